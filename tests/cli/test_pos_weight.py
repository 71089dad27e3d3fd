"""`maskstat weights` of two classes: the line, what to type next, and the file of one number."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from maskstat import cli
from tests.support.loops import at_least_one

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MASKSTAT_DB", raising=False)

    def call(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", line.split())
        code = cli.run(line.split()[1:])
        return code, *capfd.readouterr()

    return call


def test_the_command_writes_and_says_it(run: Run) -> None:
    line = "maskstat weights --counts 980000,20000"
    code, out, _ = run(f"{line} --layout pos-weight -o p.json")
    assert code == 0
    assert float(Path("p.json").read_text(encoding="utf-8")) == 49
    assert "pos_weight of a binary loss with a plain mean, w1 / w0: 49\n" in out
    assert "pos_weight" not in run("maskstat weights --counts 1,2,3")[1]
    for counts, message in (("1,2,3", "these are 3; count two"), ("9,0", "never occurs")):
        line = f"maskstat weights --counts {counts} --absent one --layout pos-weight -o none.json"
        code, _, err = run(line)
        assert code == 1
        assert message in err
        assert not Path("none.json").exists()


def test_it_is_said_where_weights_are_for_its_mean(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in at_least_one(range(3)):
        np.save(f"{at}.npy", np.array([[0, 0, 1, at % 2]], np.uint8))
    assert run("maskstat scan . --classes 2 --name two")[0] == 0
    batches = "maskstat weights --for torch --batch-size 3"
    assert "pos_weight" not in run(batches)[1]
    code, _, err = run(f"{batches} --layout pos-weight -o p.json")
    assert code == 1
    assert "take weights from 'maskstat weights --average pixel'" in err
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    following = "maskstat weights --scheme sqrt --layout pos-weight -o pos_weight.json"
    assert following in run("maskstat weights --scheme sqrt")[2]
    assert run(following)[0] == 0
    assert "pos-weight" not in run(batches)[2]
