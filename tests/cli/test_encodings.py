"""Every command in encodings that lack characters, on poor terminals, with names of any bytes."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from maskstat import cli
from maskstat.cli.plain_text import accept_all_text
from tests.support.loops import at_least_one
from tests.support.paths import ROOT

# Linux takes any bytes for a name.
ANY = os.fsdecode(b"\xff") if sys.platform == "linux" else "y"
STORE = f"--db s{ANY}.db"
ONE = f"{STORE} --scan one{ANY}"
CATALOGUE = "classes: [{name: Straße}, {name: 路}, {name: '[bold]…'}]\n"
LINES = {
    "scan": [
        f"masks{ANY} --classes c{ANY}.yaml --name one{ANY} {STORE}",
        f"masks{ANY} --classes c{ANY}.yaml --name two --profile {STORE}",
        f"masks{ANY} --name inferred --draft d{ANY}.yaml {STORE}",
        f"masks{ANY} --classes 2 --name unlisted {STORE}",
        f"plain --classes c{ANY}.yaml --name again {STORE}",
        f"masks{ANY} --classes c{ANY}.yaml --name one{ANY} {STORE} --json",
    ],
    "show": [
        ONE,
        f"{ONE} --json",
        f"{ONE} --classes c{ANY}.yaml --ignore 0",
        f"{STORE} --scan b{ANY}",
    ],
    "weights": [
        ONE,
        f"{ONE} --compare",
        f"{ONE} --json",
        f"{ONE} --scheme equal-cost --for torch --batch-size 2 -o w{ANY}.yaml",
        f"{ONE} -o w{ANY}.csv",
        f"{ONE} -o w{ANY}.txt",
        f"--counts w{ANY}.csv",
    ],
    "costs": [ONE, f"{ONE} --weights w{ANY}.yaml", f"{ONE} --json"],
    "sampling": [f"{ONE} -o m{ANY}.csv", f"{ONE} --json", "--methods"],
    # A folder whose name is no text can't be found again.
    "exposure": [
        f"{STORE} --scan again --crop 2",
        f"{STORE} --scan again --crop 2 --json",
        f"{STORE} --scan again --recipe r{ANY}.yaml",
    ],
    "check": [ONE, f"{ONE} --json", f"{STORE} --scan two --fail-on error --images masks{ANY}"],
    "compare": [f"one{ANY} two {STORE}", f"one{ANY} two {STORE} --json"],
    "split": [f"--folds 2 {ONE} -o s{ANY}.csv", f"--folds 2 {ONE} --json"],
    "class-index": [f"{STORE} --scan again -o i{ANY}.npz"],
    "recommend": [
        f"{STORE} --scan again -o w{ANY}.json",
        f"{STORE} --scan again --why",
        f"{ONE} --json",
    ],
    "decide": [
        f"p{ANY} {STORE} --scan again --group-by mask",
        f"p{ANY} {STORE} --scan again --group-by mask --json",
    ],
    "plot": [f"lorenz {ONE} -o p{ANY}.svg", f"rank {STORE} --scan again --crop 2 -o p{ANY}.svg"],
    "report": [f"{ONE} -o r{ANY}.json"],
    "merge": [f"s{ANY}.db --scan one{ANY} --scan two -o n{ANY}.db --force --separate"],
    "export": [ONE, f"{ONE} --layout long -o t{ANY}.csv"],
    "schemes": ["", "--json"],
    "presets": ["", "cityscapes-train-ids", "--json", f"b{ANY}"],
    "plugins": ["", "--json"],
    "scans": [STORE, f"{STORE} --json", f"{STORE} --remove b{ANY}"],
    "help": ["", "scan", f"b{ANY}"],
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Masks, a catalogue, and a store of scans."""
    folder = tmp_path_factory.mktemp("encodings")
    masks = folder / f"masks{ANY}"
    masks.mkdir()
    (folder / "plain").mkdir()
    pixels = np.array([[0, 0, 1, 2], [0, 1, 1, 2]], np.uint8)
    for name in (f"a{ANY}", "é", "路", "b"):
        np.save(masks / f"{name}.npy", pixels)
        np.save(folder / "plain" / f"{name}.npy", pixels)
    (folder / f"p{ANY}").mkdir()
    for name in (f"a{ANY}", "é", "路", "b"):
        np.save(folder / f"p{ANY}" / f"{name}.npy", np.zeros((3, *pixels.shape), np.float32))
    (masks / f"broken{ANY}.png").write_bytes(b"no image")
    (folder / f"c{ANY}.yaml").write_text(CATALOGUE, encoding="utf-8")
    (folder / f"r{ANY}.yaml").write_text("crop: [1, 2]\n", encoding="utf-8")
    return folder


class Terminal(io.BytesIO):
    """A file that says it is one."""

    def isatty(self) -> bool:
        return True


def printed(
    line: str, monkeypatch: pytest.MonkeyPatch, encoding: str, file: type[io.BytesIO] = io.BytesIO
) -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr of a command with streams in an encoding."""
    with monkeypatch.context() as patch:
        out, err = file(), file()
        patch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding, write_through=True))
        patch.setattr(sys, "stderr", io.TextIOWrapper(err, encoding, write_through=True))
        patch.setattr(sys, "argv", ["maskstat", *shlex.split(line)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return int(str(left.value.code)), out.getvalue(), err.getvalue()


def plain(text: bytes, encoding: str) -> bytes:
    """UTF-8 text in an encoding."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding, newline="")
    accept_all_text(stream)
    stream.write(text.decode("utf-8"))
    stream.flush()
    return stream.buffer.getvalue()  # type: ignore[attr-defined, no-any-return]


def codes(line: str) -> set[int]:
    """Of what is to go well (a mask is none), and of a name that nothing has."""
    return {1, 2} if f"b{ANY}" in line or "--fail-on" in line else {0, 3}


def is_data(line: str) -> bool:
    """What a program reads is UTF-8 everywhere."""
    return "--json" in line or line.startswith(("export", "presets cityscapes-train-ids"))


def test_every_command_has_lines() -> None:
    commands = typer.main.get_command(cli.app()).commands  # type: ignore[attr-defined]
    assert set(LINES) == {*commands, "help"}


@pytest.mark.parametrize(("encoding", "width"), [("cp1252", None), ("ascii", "20")])
def test_every_command_prints_in_every_encoding(
    world: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, width: str | None
) -> None:
    """The same text as in UTF-8, with plain characters or escapes for what there is not."""
    monkeypatch.chdir(world)
    if width is not None:
        monkeypatch.setenv("COLUMNS", width)
    for command, rests in at_least_one(LINES.items()):
        for rest in at_least_one(rests):
            line = f"{command} {rest}"
            if command == "scan":  # how many masks are counted anew
                printed(line, monkeypatch, "utf-8")
            code, out, _ = printed(line, monkeypatch, "utf-8")
            assert code in codes(line), f"{line}: {code}"
            assert b"\x1b" not in out
            again, other, err = printed(line, monkeypatch, encoding)
            assert again == code, line
            assert b"this is a bug" not in err, err
            err.decode(encoding)
            assert other == (out if is_data(line) else plain(out, encoding)), line


@pytest.mark.parametrize("poor", [{"TERM": "dumb"}, {"NO_COLOR": "1", "TERM": "xterm"}])
def test_every_command_on_a_poor_terminal(
    world: Path, monkeypatch: pytest.MonkeyPatch, poor: dict[str, str]
) -> None:
    monkeypatch.chdir(world)
    for name, value in poor.items():
        monkeypatch.setenv(name, value)
    for command, rests in at_least_one(LINES.items()):
        for rest in at_least_one(rests):
            line = f"{command} {rest}"
            code, out, err = printed(line, monkeypatch, "ascii", Terminal)
            assert code in codes(line), f"{line}: {code}"
            assert b"this is a bug" not in err, err
            out.decode("utf-8" if is_data(line) else "ascii")
            if poor["TERM"] == "dumb":
                assert b"\x1b" not in out + err, line
            else:  # bold and what a progress bar needs, but no colours
                assert b"\x1b[3" not in out + err, line


def test_characters_that_there_are_stay() -> None:
    assert plain("─│█▍…→×±²é路".encode(), "utf-8") == "─│█▍…→×±²é路".encode()
    assert plain("─│█▍…→×±²é路".encode(), "cp1252").decode("cp1252") == "-|#.…->×±²é\\u8def"
    assert plain("─│█▍…→×±²é路".encode(), "ascii") == b"-|#.~->x+-^2\\xe9\\u8def"


COMMANDS = """
import shlex, sys
from maskstat import cli
for line in sys.argv[1:]:
    sys.argv = ["maskstat", *shlex.split(line)]
    try:
        cli.main()
    except SystemExit as left:
        print(f"(exit {left.code})", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="locales are set as on Linux")
def test_files_are_the_same_in_every_locale(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where Python would write ASCII into them."""
    monkeypatch.chdir(world)
    for rest in LINES["scan"]:
        printed(f"scan {rest}", monkeypatch, "utf-8")
    lines = [
        *(f"weights {ONE} -o w{ANY}.{suffix}" for suffix in ("json", "yaml", "csv", "txt", "npy")),
        f"scan masks{ANY} --name inferred --draft d{ANY}.yaml {STORE}",
        f"sampling {ONE} -o m{ANY}.csv",
        f"export {ONE} -o t{ANY}.csv",
        f"plot classes {ONE} -o p{ANY}.svg",
        f"report {STORE} --scan two -o r{ANY}.html",
        f"report {STORE} --scan two -o r{ANY}.md",
        f"report {STORE} --scan two -o r{ANY}.json",
    ]
    names = [shlex.split(line)[-1] for line in lines]
    names[5] = f"d{ANY}.yaml"
    for suffix in ("yaml", "csv", "json"):
        lines.append(f"weights --counts w{ANY}.{suffix}")
    found = []
    for locale in (
        {"PYTHONUTF8": "1"},
        {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
    ):
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONIOENCODING"}
        done = subprocess.run(
            [sys.executable, "-c", COMMANDS, *lines],
            env={**kept, "PYTHONPATH": str(ROOT), **locale},
            capture_output=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert b"bug" not in done.stderr, done.stderr
        assert b"(exit 1)" not in done.stdout, done.stderr
        found.append({name: Path(name).read_bytes() for name in names})
        for name in names:
            Path(name).unlink()
    assert found[0] == found[1]
    assert "Straße" in found[0][f"w{ANY}.yaml"].decode("utf-8")
