"""`maskstat split` as a user meets it: what it says first, what it writes, what reads that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import maskstat as ms
from maskstat.api.splitting import starts_at_once
from maskstat.cli import run
from tests.support.loops import at_least_one
from tests.support.paths import ROOT

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Say:
    """Run a command in a folder with a store of 30 masks in three clips."""
    random = np.random.default_rng(0)
    for clip in "abc":
        (tmp_path / "masks" / clip).mkdir(parents=True)
        for frame in range(10):
            mask = random.choice(3, (6, 10), p=[0.7, 0.2, 0.1]).astype(np.uint8)
            if clip == "a" and frame == 0:
                mask[0, 0] = 3
            Image.fromarray(mask).save(tmp_path / "masks" / clip / f"{frame}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    ms.scan("masks", classes=4, db="maskstat.db").close()

    def told(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run(list(words))
        return code, *capfd.readouterr()

    return told


def test_scarce_classes_come_first_then_the_verdict(say: Say) -> None:
    code, out, _ = say("split", "--folds", "5")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    text = " ".join(out.split())
    scarce = "1 class in fewer masks than parts, so not in every part: class_3 (1)"
    missing = "4 pairs of a class and a part without it; at least 4 can't be helped"
    verdict = "In all 5 parts the share of each of the 3 common classes is within"
    assert 0 <= text.index(scarce) < text.index(missing) < text.index(verdict)
    assert "Of 200 random splits of such sizes the best is within" in text
    assert "frames of one video may be in several parts" in text
    assert "optimal" not in text


def test_a_table_is_scanned_by_split(say: Say) -> None:
    """Folds that the command writes are the scans that the next command makes."""
    code, _, err = say("split", "--folds", "3", "--group-by", "folder", "-o", "folds.csv")
    assert (code, err) == (0, "wrote folds.csv\n")
    assert Path("folds.csv").read_text("utf-8").splitlines()[0] == "name,fold,mask"
    code, _, err = say("scan", "folds.csv", "--split", "--classes", "4")
    assert code == 0, err
    names = ["folds-0", "folds-1", "folds-2"]
    assert [scan.name for scan in ms.scans("maskstat.db") if scan.name in names] == names
    for name in at_least_one(names):
        with ms.open_scan("maskstat.db", name) as scan:
            assert len({mask.split("/")[1] for mask in scan.ledger.names}) == 1
            assert len(scan.ledger) == 10


def test_lists_are_certified_as_they_were_made(say: Say) -> None:
    code, out, err = say("split", "--ratios", "0.8,0.2", "-o", "lists", "--json")
    made = json.loads(out)
    assert (code, err) == (0, "wrote lists/train.txt\nwrote lists/val.txt\n")
    code, out, _ = say("split", "--certify", "lists/train.txt", "lists/val.txt", "--json")
    seen = json.loads(out)
    assert code == 0
    assert seen["certificate"]["search"] == "given"
    for key in at_least_one(["worst_share_error", "worst_presence_error", "missing"]):
        assert seen["certificate"][key] == made["certificate"][key]
    code, out, _ = say(
        *("split", "--certify", "lists/train.txt", "lists/val.txt", "--group-by", "folder")
    )
    assert "3 groups in several parts, so these know each other: a, b, c" in out


def test_what_cannot_be_is_one_line_with_what_can(say: Say) -> None:
    code, out, err = say("split", "--folds", "5", "--group-by", "folder")
    assert (code, out) == (2, "")
    assert err == (
        "maskstat: --folds: 3 groups can't fill 5 parts, since a group goes into one; --folds 3; or"
        " a finer rule of groups (--group-by mask keeps nothing together)\n"
    )


def test_what_is_decided_stays_and_the_rest_goes_around_it(say: Say) -> None:
    Path("val.txt").write_text("# decided\na/0\nb/1.png\n", "utf-8")
    options = ("--ratios", "0.8,0.2", "--fixed", "val.txt", "--json")
    code, out, _ = say("split", *options)
    parts = {part["name"]: part["masks"] for part in json.loads(out)["parts"]}
    assert code == 0
    assert {"a/0.png", "b/1.png"} <= set(parts["val"])
    assert [len(parts[name]) for name in ("train", "val")] == [24, 6]
    Path("val.txt").rename("dev.txt")
    code, out, err = say("split", "--ratios", "0.8,0.2", "--fixed", "dev.txt")
    assert (code, out) == (2, "")
    assert err == (
        "maskstat: --fixed: there is no part 'dev': a list is called like its part; the parts are"
        " train, val\n"
    )


def test_a_verdict_on_all_there_are_says_so_first(say: Say) -> None:
    code, out, _ = say("split", "--folds", "3", "--group-by", "folder")
    assert code == 0
    text = " ".join(out.split())
    assert "Of all 27 ways to deal out the groups none costs less. In all 3 parts" in text


@pytest.mark.parametrize(("terminal", "cold"), [(True, True), (True, False), (False, True)])
def test_a_terminal_is_told_that_the_search_compiles(
    say: Say, monkeypatch: pytest.MonkeyPatch, terminal: bool, cold: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr("maskstat.api.splitting.starts_at_once", lambda: not cold)
    code, out, err = say("split", "--folds", "3")
    assert code == 0
    assert ("compiling the search, once on this machine" in err) == (terminal and cold)
    assert "compiling" not in out
    if not terminal:
        assert err == ""


def test_the_first_search_on_a_machine_is_known_beforehand(say: Say, tmp_path: Path) -> None:
    """A cache that is empty, and then the one of these tests, which a search has filled."""
    ask = "from maskstat.api.splitting import starts_at_once; print(starts_at_once())"
    cold = subprocess.run(
        [sys.executable, "-c", ask],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert cold.stdout == "False\n"
    assert say("split", "--folds", "3")[0] == 0
    assert starts_at_once()
