"""`maskstat recommend` as a user meets it: a screen, a file, one document, and clear refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import maskstat as ms
from maskstat.advice.choices import FRAMEWORKS
from maskstat.advice.rules import RULES
from maskstat.advice.snippets import SNIPPETS
from maskstat.cli import run
from tests.support.loops import at_least_one

Say = Callable[..., tuple[int, str, str]]
CLASSES = ["road", "car", "\x1b[2Jp[bold]ole"]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Say:
    """Run a command in a folder with two scans: pole is in 2 of 40 masks, and in no other one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for name, count in (("train", 40), ("val", 6)):
        (tmp_path / name).mkdir()
        for k in range(count):
            mask = np.zeros((20, 20), np.uint8)
            mask[0, : 3 + k % 4] = 1
            if name == "train" and k < 2:
                mask[5, 5] = 2
            np.save(tmp_path / name / f"{k}.npy", mask)
        ms.scan(name, classes=CLASSES, db="maskstat.db").close()

    def told(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run(list(words))
        return code, *capfd.readouterr()

    return told


def rules(document: str) -> set[str]:
    return {one["rule"] for one in json.loads(document)["advice"]}


def test_it_is_a_screen_with_the_verdict_first(say: Say) -> None:
    code, out, err = say("recommend", "--scan", "train", "--against", "val", "--group-by", "mask")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) <= 44
    assert all(len(line) <= 80 for line in lines if not line.startswith("    maskstat "))
    assert lines[0] == "Scan train"
    assert lines[3].startswith("Train without weights first")
    assert "\x1b" not in out
    assert "\\x1b[2Jp[bold]ole" in " ".join(out.split())
    asked = ("--scan", "train", "--against", "val", "--group-by", "mask", "--json")
    found = rules(say("recommend", *asked)[1])
    assert {"iou", "square-root", "few", "crops", "validation", "undo", "decide"} <= found
    assert not {"groups", "absent", "binary", "huge"} & found


def test_why_gives_reason_and_evidence_of_all_that_is_said(say: Say) -> None:
    said = rules(say("recommend", "--scan", "train", "--json")[1])
    _, out, _ = say("recommend", "--scan", "train", "--why")
    told = " ".join(out.split())
    for rule in at_least_one(rule for rule in RULES if rule.name in said):
        assert rule.reason in told
        assert all(source in told for source in rule.evidence)


def test_it_writes_the_weights_that_weights_does(say: Say) -> None:
    code, out, err = say("recommend", "--scan", "train", "-o", "w.json")
    assert (code, err) == (0, "wrote w.json\n")
    command = next(line.strip() for line in out.splitlines() if "maskstat weights" in line)
    assert run(command.split()[1:]) == 0
    written, typed = ms.load_weights("w.json"), ms.load_weights("weights.json")
    assert written.weights.tolist() == typed.weights.tolist()
    assert written.scheme == "sqrt"
    code, _, err = say("recommend", "--scan", "train", "--measure", "accuracy", "-o", "n.json")
    assert (code, err) == (0, "nothing to write to n.json: no weights are recommended\n")
    assert not Path("n.json").exists()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_lines_to_paste_load_the_file_that_is_written(say: Say, framework: str) -> None:
    asked = ("recommend", "--scan", "train", "--snippet", framework)
    _, out, _ = say(*asked, "-o", "w.json")
    lines = out.partition("\n    maskstat decide")[2].partition("\n\n")[2]
    compile(lines, framework, "exec")
    assert '"w.json"' in lines
    _, out, _ = say(*asked, "--measure", "accuracy")
    assert ".json" not in out
    assert "oss" in out


def test_frameworks_are_those_of_the_snippets() -> None:
    assert set(FRAMEWORKS) == set(SNIPPETS)


def test_what_training_sees(say: Say) -> None:
    code, _, err = say("recommend", "--scan", "train", "--crop", "8")
    assert code == 1
    assert "maskstat exposure --crop 8" in err
    assert say("exposure", "--scan", "train", "--crop", "8", "--batch-size", "2")[0] == 0
    code, out, _ = say("recommend", "--scan", "train", "--crop", "8", "--json")
    assert code == 0
    document = json.loads(out)
    assert document["situation"]["row"] == "crop"
    typed = [c for one in document["advice"] for c in one["commands"] if "exposure" in c]
    assert typed == ["maskstat exposure --scan train --crop 8 --draw rare --chance 0.25"]
    assert run(typed[0].split()[1:]) == 0
    code, out, _ = say("recommend", *typed[0].split()[2:], "--json")
    assert code == 0
    assert "crops" not in rules(out)


def test_equal_cost_in_batches_that_are_too_small(say: Say) -> None:
    asked = ("recommend", "--scan", "train", "--measure", "recall", "--json")
    assert "batch-mean" not in rules(say(*asked)[1])  # nobody said how large they are
    code, out, _ = say(*asked, "--batch-size", "2")
    assert code == 0
    text = next(o["text"] for o in json.loads(out)["advice"] if o["rule"] == "batch-mean")
    size = int(text.split("from batches of ")[1].split()[0])
    with ms.open_scan("maskstat.db", "train") as scan:
        assert scan.weights(average="batch", batch_size=size)
        with pytest.raises(ms.MaskstatError, match=f"with batch size {size} it can"):
            scan.weights(average="batch", batch_size=2)


def test_counts_alone_say_what_they_can() -> None:
    found = ms.from_counts({"road": 9000, "car": 900, "pole": 10}).recommend()
    assert found.weights is not None
    assert {one.rule.name for one in found.advice} == {
        *("iou", "square-root", "watch", "seeds", "undo", "decide")
    }
    more = ms.from_counts([9000, 900, 10], masks=[50, 40, 1], mask_count=50)
    names = {one.rule.name for one in more.recommend(batch_size=4).advice}
    assert {"few", "crops"} <= names


def test_refusals_are_one_line(say: Say) -> None:
    with ms.open_scan("maskstat.db", "train") as scan:
        with pytest.raises(ms.MaskstatError, match=r"^against: 'train' is the scan itself$"):
            scan.recommend(against="train")
        with pytest.raises(ms.MaskstatError, match=r"^batch_size: must be at least 1$"):
            scan.recommend(batch_size=0)
        with (
            ms.open_scan("maskstat.db", "val", classes=["a", "b", "c"]) as other,
            pytest.raises(ms.MaskstatError, match=r"^val: is read under other classes than train;"),
        ):
            scan.recommend(against=other)
    empty = ms.count([np.full((2, 2), 255, np.uint8)], classes=2)
    with pytest.raises(ms.MaskstatError, match="nothing to weigh"):
        empty.recommend()
