"""What to type next: said on a terminal alone, with the options that were typed, and it works."""

from __future__ import annotations

import html
import re
import shlex
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from maskstat.cli import run
from tests.support.loops import at_least_one

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="commands are a POSIX shell's")


@pytest.fixture
def masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "masks").mkdir()
    np.save(tmp_path / "masks" / "m.npy", np.array([[0, 0, 1, 2]], np.uint8))
    return tmp_path


def said(
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    terminal: bool = True,
) -> list[str]:
    """What a command that must go well says comes next."""
    words = shlex.split(line)
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    code = run(words[1:])
    err = capsys.readouterr().err
    assert code == 0, err
    return [one[7:] for one in err.splitlines() if one[:7] in ("Next:  ", " " * 7)]


WEIGHTS, CHECK, REPORT = (
    f"maskstat {what}"
    for what in ("weights{} -o weights.json", "check{}", "report{} -o report.html")
)


def after(options: str, *lines: str) -> list[str]:
    """What is expected, with the options that name the scan and the store."""
    return [line.format(options) for line in lines]


@pytest.mark.parametrize("db", ["", " --db 'an other.db'"])
def test_what_comes_next_works(
    db: str, masks: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = said(f"maskstat scan masks --classes 3{db}", capsys, monkeypatch)
    assert first == after(db, WEIGHTS, CHECK, REPORT)
    for line in first:
        said(line, capsys, monkeypatch)
    second = said(f"maskstat scan masks --classes 4 --name four{db}", capsys, monkeypatch)
    # Class 3 has no pixel, and only the number of classes was declared.
    assert second == after(f"{db} --scan four", WEIGHTS, CHECK, REPORT)
    weights = f"maskstat weights{db} --scan masks"
    assert said(weights, capsys, monkeypatch) == [
        f"{weights} -o weights.json",
        f"{weights} --compare",
    ]
    assert said(f"{weights} --compare", capsys, monkeypatch) == [
        f"{weights} --scheme NAME -o weights.json",
        *after(f"{db} --scan masks", REPORT),
    ]
    for option in ("--scheme sqrt", "--order catalog", "--all"):
        nexts = said(f"{weights} {option}", capsys, monkeypatch)
        assert nexts == [f"{weights} {option} -o weights.json"]
        assert said(nexts[0], capsys, monkeypatch) == []


def test_every_command_with_one_next_thing_says_it(
    masks: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    db = " --db 'an other.db'"
    said(f"maskstat scan masks --classes 3 --name other{db}", capsys, monkeypatch)
    said(f"maskstat scan masks --classes 3{db}", capsys, monkeypatch)
    of_masks = f"{db} --scan masks"
    read_so = f"{of_masks} --classes 4 --ignore 2"
    said_after = {
        f"maskstat show{of_masks}": after(of_masks, WEIGHTS, CHECK, REPORT),
        f"maskstat show{read_so}": after(read_so, WEIGHTS, CHECK, REPORT),
        f"maskstat show{of_masks} --reduce-zero-label": after(
            f"{of_masks} --reduce-zero-label", WEIGHTS
        ),
        f"maskstat show{of_masks} --classes 2": after(f"{of_masks} --classes 2", CHECK),
        f"maskstat show{of_masks} --nearest-colour 1": [],
        f"maskstat costs{read_so}": after(read_so, WEIGHTS),
        f"maskstat costs{of_masks} --for torch --batch-size 1": after(
            f"{of_masks} --for torch --batch-size 1", WEIGHTS
        ),
        f"maskstat costs{of_masks} --scheme sqrt --for torch --batch-size 1": [],
        f"maskstat costs{of_masks} --predictor-confidence 0.9": [],
        "maskstat costs --counts 5,6": after(" --counts 5,6", WEIGHTS),
        f"maskstat sampling{of_masks}": [f"maskstat sampling{of_masks} -o sampling.json"],
        "maskstat weights --counts 5,6 --compare": [
            "maskstat weights --counts 5,6 --scheme NAME -o weights.json"
        ],
        f"maskstat exposure --crop 2 --crops 3 --presence --batch-size 2{read_so}": after(
            f" --crop 2{read_so}", WEIGHTS
        ),
        f"maskstat costs --crop 2{read_so}": after(f" --crop 2{read_so}", WEIGHTS),
        f"maskstat plot classes --crop 2{read_so} -o c.svg": after(f" --crop 2{read_so}", REPORT),
        f"maskstat report --crop 2{read_so} -o r.html": after(f" --crop 2{read_so}", WEIGHTS),
        f"maskstat check{read_so}": after(read_so, REPORT),
        f"maskstat compare masks other{db}": [
            f"maskstat plot compare{db} --scan masks --scan other -o compare.png"
        ],
        f"maskstat plot classes{read_so} -o c.svg": after(read_so, REPORT),
        f"maskstat report{read_so} -o r.html": after(read_so, WEIGHTS),
        f"maskstat report{of_masks} --format md": [],
        f"maskstat export{of_masks} -o t.csv": [],
        f"maskstat class-index{of_masks}": [f"maskstat class-index{of_masks} -o index.npz"],
        f"maskstat class-index{of_masks} -o i.npz": [],
        "maskstat merge 'an other.db' -o merged.db": after(
            " --db merged.db", WEIGHTS, CHECK, REPORT
        ),
    }
    for line, expected in said_after.items():
        assert said(line, capsys, monkeypatch) == expected, line
    lines = {line for expected in said_after.values() for line in expected if " NAME " not in line}
    for line in sorted(lines - {REPORT.format(of_masks)}):
        said(line, capsys, monkeypatch)


def test_a_check_of_a_split_goes_on_with_the_other(
    masks: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for split, value in (("train", 1), ("val", 2)):
        (masks / "both" / split).mkdir(parents=True)
        np.save(masks / "both" / split / "m.npy", np.array([[0, 1, value]], np.uint8))
    for split in ("train", "val"):
        said(f"maskstat scan 'both/{split}' --classes 3 --name 'a {split}'", capsys, monkeypatch)
    (following,) = said("maskstat check --scan 'a train'", capsys, monkeypatch)
    assert following == "maskstat check --scan 'a train' --against 'a val'"
    assert said(following, capsys, monkeypatch) == after(" --scan 'a train'", REPORT)


@pytest.mark.parametrize("db", ["--db 'an other.db'", "--db='an other.db'"])
def test_remedies_name_the_store_that_was_typed(
    db: str, masks: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said(f"maskstat scan masks --classes 3 {db}", capsys, monkeypatch)
    approximate = f"maskstat exposure --crop 1 --approximate {db}"
    assert run(shlex.split(approximate)[1:]) == 1
    remedy = capsys.readouterr().err.partition("type: ")[2].strip()
    assert remedy.endswith("--profile --classes 3 --db 'an other.db'")
    said(remedy, capsys, monkeypatch)
    said(approximate, capsys, monkeypatch)
    assert not Path("maskstat.db").exists()


def test_weights_are_not_offered_where_they_would_be_refused(
    masks: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (masks / "names.txt").write_text("sky\nroad\ntree\ncar\n")
    nexts = said("maskstat scan masks --classes names.txt", capsys, monkeypatch)
    assert nexts == after("", CHECK)  # no pixel is a car


def test_pipes_are_not_told(
    masks: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in ("maskstat scan masks --classes 3", "maskstat weights", "maskstat check"):
        assert said(line, capsys, monkeypatch, terminal=False) == []
    for command in ("show", "weights", "costs", "sampling", "check", "report"):
        assert said(f"maskstat {command} --json", capsys, monkeypatch) == []


def test_exit_code_0_is_explained_where_pixels_are_left_out(
    masks: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody allowed it, and whoever reads the numbers later should know."""
    run(["scan", "masks", "--classes", "2"])
    err = capsys.readouterr().err
    assert err.startswith("exit code 0: all masks are counted, but 1 unlisted value will stop")
    said = "exit code 0: 1 unlisted pixel left out; 'maskstat check{}' says which"
    for terminal in (True, False):
        monkeypatch.setattr(sys.stdout, "isatty", lambda now=terminal: now, raising=False)
        for command in (
            "weights --unlisted ignore",
            "weights --unlisted ignore --compare",
            "costs",
        ):
            for options in ("", " --classes 2 --ignore 7"):
                for json in ("", " --json"):
                    assert run(shlex.split(f"{command}{options}{json}")) == 0
                    last = capsys.readouterr().err.splitlines()[-1]
                    assert last == said.format(options)


def test_commands_of_a_report_say_what_it_says(
    masks: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another store than the usual one, and groups that only this report has."""
    draw = np.random.default_rng(1)
    for split, films in (("train", "ab"), ("val", "bc")):
        Path(split).mkdir()
        for film, number in product(films, range(12)):
            mask = draw.choice(3, (9, 9), p=(0.8, 0.19, 0.01)).astype(np.uint8)
            np.save(Path(split) / f"{film}_{number}.npy", mask)
        assert run(["scan", split, "--classes", "3", "--db", "s.db", "--name", split]) == 0
    Path("predictions").mkdir()
    for path in Path("val").iterdir():
        np.save(Path("predictions") / path.name, draw.normal(size=(3, 9, 9)))
    blanks = {"PREDICTIONS": "predictions", "SIZE": "4"}
    grouped = ["--group-by", "^(.)_", "--against", "val", "-o", "r.html"]
    assert run(["report", "--db", "s.db", "--scan", "train", *grouped]) == 0
    page = Path("r.html").read_text()
    assert "Splits that overlap" in page
    ran = {}
    for command in at_least_one(re.findall(r"<code>maskstat ([^<]+)<", page)):
        words = [blanks.get(word, word) for word in shlex.split(html.unescape(command))]
        capfd.readouterr()
        assert run(words) == 0, command
        ran[words[0]] = capfd.readouterr().out
    assert "b (12 masks, also in val)" in ran["check"]
    assert {"weights", "decide"} <= ran.keys()
