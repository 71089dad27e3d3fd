"""What to type next: said on a terminal alone, with the options that were typed, and it works."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from maskstat.cli import run

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


@pytest.mark.parametrize("db", ["", " --db 'an other.db'"])
def test_what_comes_next_works(
    db: str, masks: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = said(f"maskstat scan masks --classes 3{db}", capsys, monkeypatch)
    assert first == [f"maskstat weights{db} -o weights.json", f"maskstat check{db}"]
    second = said(f"maskstat scan masks --classes 4 --name four{db}", capsys, monkeypatch)
    assert second == [
        f"maskstat weights{db} --scan four -o weights.json",
        f"maskstat check{db} --scan four",
    ]
    for line in first:
        said(line, capsys, monkeypatch)
    weights = f"maskstat weights{db} --scan masks"
    assert said(weights, capsys, monkeypatch) == [
        f"{weights} -o weights.json",
        f"{weights} --compare",
    ]
    assert said(f"{weights} --compare", capsys, monkeypatch) == [
        f"{weights} --scheme NAME -o weights.json"
    ]
    for option in ("--scheme sqrt", "--order catalog", "--all"):
        nexts = said(f"{weights} {option}", capsys, monkeypatch)
        assert nexts == [f"{weights} {option} -o weights.json"]
        assert said(nexts[0], capsys, monkeypatch) == []


def test_pipes_are_not_told(
    masks: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in ("maskstat scan masks --classes 3", "maskstat weights"):
        assert said(line, capsys, monkeypatch, terminal=False) == []
