"""In a real terminal of any width: no line is wider, and no number or name folds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from rich.cells import cell_len

from maskstat.naming import percent
from tests.support.loops import at_least_one
from tests.support.paths import ROOT

if sys.platform == "win32":
    pytest.skip("a terminal is a pty of POSIX", allow_module_level=True)

WIDTHS = (40, 60, 80, 120)
CLASSES = (3, 11, 31, 150)
INFERRED = 8000
COMMANDS = (
    "scan m{k}.npy --classes n{k}.txt --profile --db {k}.db",
    "show --db {k}.db",
    "weights --db {k}.db",
    "weights --compare --db {k}.db",
)
OTHERS = ("costs", "sampling", "check", "compare m31 m150", "schemes", "scans", "presets")
SESSION = """
import fcntl, struct, sys, termios, time
from maskstat.cli import run

for line in sys.stdin.read().splitlines():
    width, command = line.split(" ", 1)
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 50, int(width), 0, 0))
    sys.argv = ["maskstat", *command.split()]
    start = time.perf_counter()
    code = run(sys.argv[1:])
    print(f"@{code} {time.perf_counter() - start:.3f} {line}", flush=True)
"""


class Printed(NamedTuple):
    """What one command printed in a terminal."""

    width: int
    command: str
    code: int
    seconds: float
    lines: list[str]


def in_terminal(typed: list[tuple[int, str]], folder: Path) -> list[Printed]:
    """Commands one after another in one terminal whose width is changed in between."""
    import pty

    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    child = subprocess.Popen(
        [sys.executable, "-c", SESSION],
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=subprocess.DEVNULL,  # commands to copy, which are not folded
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT), "TERM": "xterm", "LANG": "C.UTF-8"},
        text=True,
    )
    os.close(theirs)
    assert child.stdin is not None
    with child.stdin:
        child.stdin.write("".join(f"{width} {command}\n" for width, command in typed))
    data = b""
    try:
        while part := os.read(ours, 1 << 16):
            data += part
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    assert child.wait() == 0
    found: list[Printed] = []
    lines: list[str] = []
    for line in re.sub(r"\x1b\[[\d;]*m", "", data.decode()).split("\r\n"):
        if line[:1] == "@":
            code, seconds, width, command = line[1:].split(" ", 3)
            found.append(Printed(int(width), command, int(code), float(seconds), lines))
            lines = []
        else:
            lines.append(line)
    assert [(one.width, one.command) for one in found] == typed
    return found


def counts_of(classes: int) -> np.ndarray:
    """Pixels of each class: from millions to one."""
    return np.maximum(2_000_000 // np.arange(1, classes + 1) ** 3, 1)


def names_of(classes: int) -> list[str]:
    """Short ones, long ones, and wide ones."""
    return [
        ("c{}", "a rather long name of class {}", "道路{}")[k % 3].format(k) for k in range(classes)
    ]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[Printed]:
    folder = tmp_path_factory.mktemp("terminal")
    typed = []
    for k in CLASSES:
        counts = counts_of(k)
        pixels = np.repeat(np.arange(k, dtype=np.uint8), counts)
        np.save(folder / f"m{k}.npy", np.resize(pixels, (len(pixels), 1)))
        (folder / f"n{k}.txt").write_text("\n".join(names_of(k)), "utf-8")
        typed += [(width, command.format(k=k)) for width in WIDTHS for command in COMMANDS]
    typed += [(80, f"scan m{k}.npy --classes n150.txt --db both.db") for k in (31, 150)]
    typed += [
        (width, f"{command}{' --db both.db' if command not in ('schemes', 'presets') else ''}")
        for width in WIDTHS
        for command in OTHERS
    ]
    np.save(folder / "ids.npy", np.arange(INFERRED, dtype=np.uint16)[None])
    typed += [
        (80, "scan ids.npy --db ids.db"),
        (80, "show --db ids.db"),
        (80, "weights --db ids.db"),
    ]
    return in_terminal(typed, folder)


def test_no_line_is_wider_than_the_terminal(printed: list[Printed]) -> None:
    for one in at_least_one(printed):
        assert one.code == 0, one
        assert max(map(cell_len, one.lines)) <= one.width, one
        assert one.seconds < 30, one  # thousands of classes are not printed one by one


def test_numbers_and_names_never_fold(printed: list[Printed]) -> None:
    for one in at_least_one(one for one in printed if re.search(r" \d+\.db", one.command)):
        k = int(re.findall(r"(\d+)\.db", one.command)[0])
        if "--compare" in one.command:
            rows = [line.split() for line in one.lines if re.match(r" [a-z-]+ +\d", line)]
            assert {"equal-cost", "sqrt", "enet"} <= {row[0] for row in rows}
            (cells_of_a_row,) = {len(row) for row in rows}
            assert cells_of_a_row >= 3  # with the spread of costs and the shares of the loss
            continue
        counts, names = counts_of(k), names_of(k)
        rows = [line.split("  ") for line in one.lines if re.match(r" +\d+  \S", line)]
        cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
        assert len(cells) == (k if k <= 40 else 24), one
        for index, name, share, *others in cells:
            whole = names[int(index)]
            assert name == whole or (name[-1] == "…" and whole.startswith(name[:-1].rstrip()))
            assert name == whole or cell_len(name) >= 8
            assert share == percent(counts[int(index)] / counts.sum())
            if one.command.startswith("weights"):
                weight = counts.sum() / counts[int(index)] / k  # printed with six digits
                assert float(others[0]) == pytest.approx(weight, rel=1e-5)
            elif one.width >= 120:
                assert f"{counts[int(index)]:,}" in others


def test_thousands_of_inferred_classes_are_their_ends(printed: list[Printed]) -> None:
    for one in at_least_one(one for one in printed if "ids" in one.command):
        rows = [line for line in one.lines if re.match(r" +\d+  ", line)]
        assert len(rows) == 24
        assert any(f"⋮ {INFERRED - 24:,} classes" in line for line in one.lines)
