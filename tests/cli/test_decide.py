"""`maskstat decide` as a user meets it: what to do first, what it writes, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import maskstat as ms
from maskstat.cli import run
from tests.support.decision_cases import PRIOR, decide, predicted
from tests.support.loops import at_least_one

Say = Callable[..., tuple[int, str, str]]
IMAGES = predicted(1, groups=6, pixels=200, overstated=1.0)


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Say:
    """Run a command in a folder with 18 masks in six folders, and predictions of them."""
    for one in IMAGES:
        mask = tmp_path / "masks" / one.name
        path = (tmp_path / "predictions" / one.name).with_suffix(".npy")
        for file in (mask, path):
            file.parent.mkdir(parents=True, exist_ok=True)
        np.save(mask.with_suffix(".npy"), one.labels.reshape(10, 20).astype(np.uint8))
        np.save(path, one.logits.reshape(4, 10, 20))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    ms.scan("masks", classes=4, db="maskstat.db").close()

    def told(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run(list(words))
        return code, *capfd.readouterr()

    return told


def test_what_to_do_comes_first_and_the_file_loads(say: Say) -> None:
    words = ("decide", "predictions", "--group-by", "folder", "--measure", "recall")
    code, out, err = say(*words, "-o", "shifts.json")
    assert (code, err) == (0, "wrote shifts.json\n")
    assert max(map(len, out.splitlines())) <= 80
    text = " ".join(out.split())
    assert text.startswith("Scan masks Use tau: +")
    assert "18 masks, in 6 groups by 'folder'" in text
    code, printed, _ = say(*words, "--json")
    document = json.loads(printed)
    assert document["recommended"] == "tau"
    shifts = ms.load_shifts("shifts.json")
    assert dict(zip(shifts.classes, shifts.values.tolist(), strict=True)) == pytest.approx(
        document["families"][0]["shifts"]
    )
    assert shifts.origin["predictions"] == document["predictions"]
    assert shifts.origin["groups"] == {"rule": "folder", "count": 6}


def test_folder_and_stream_say_the_same(say: Say) -> None:
    del say
    with ms.open_scan("maskstat.db") as scan:
        found = scan.grouped("folder").decide("predictions").to_document()
        prior = scan.histogram.frequency
    named = [one._replace(name=one.name.replace(".png", ".npy")) for one in IMAGES]
    streamed = decide(named, prior=prior).to_document()
    assert found["predictions"] == streamed["predictions"]
    for one, other in at_least_one(zip(found["families"], streamed["families"], strict=True)):
        assert one["gain"] == other["gain"]


def test_prior_is_that_of_training(say: Say) -> None:
    Path("train").mkdir()
    counts = (PRIOR * 1000).astype(int)
    np.save("train/a.npy", np.repeat(np.arange(4, dtype=np.uint8), counts)[None])
    assert say("scan", "train", "--classes", "4")[0] == 0
    code, out, _ = say(
        "decide", "predictions", "--scan", "masks", "--train", "train", "--group-by", "folder",
        "--json",
    )  # fmt: skip
    assert code == 0
    tau = next(one for one in json.loads(out)["families"] if one["family"] == "tau")
    shifts = np.array(list(tau["shifts"].values()))
    logs = np.log(PRIOR / PRIOR.max())
    assert shifts[1:] / shifts[1] == pytest.approx(logs[1:] / logs[1])


def test_archives_channels_last_and_probabilities(say: Say) -> None:
    expected = json.loads(say("decide", "predictions", "--group-by", "folder", "--json")[1])
    for path in sorted(Path("predictions").rglob("*.npy")):
        logits = np.load(path).astype(np.float64)
        shares = np.exp(logits) / np.exp(logits).sum(0)
        np.savez_compressed(path.with_suffix(".npz"), probabilities=np.moveaxis(shares, 0, -1))
        path.unlink()
    code, out, _ = say("decide", "predictions", "--group-by", "folder", "--json")
    assert code == 0
    assert json.loads(out)["argmax"] == expected["argmax"]


def test_some_masks_without_predictions_are_left_out_and_said(say: Say) -> None:
    Path("predictions/0/1.npy").unlink()
    code, out, _ = say("decide", "predictions", "--group-by", "folder", "--measure", "recall")
    assert code == 0
    text = " ".join(out.split())
    assert "17 masks" in text
    assert "1 mask without predictions is left out" in text


def test_nothing_is_written_where_nothing_is_recommended(say: Say) -> None:
    for path in Path("predictions").rglob("*.npy"):
        mask = np.load(Path("masks") / path.relative_to("predictions"))
        np.save(path, np.where(np.arange(4)[:, None, None] == mask, 9.0, 0.0))
    code, out, err = say("decide", "predictions", "--group-by", "folder", "-o", "shifts.json")
    assert code == 0
    assert "Keep argmax" in out
    assert "nothing to write to shifts.json" in err
    assert not Path("shifts.json").exists()


def _labels(path: Path) -> None:
    np.save(path, np.load(path).argmax(0).astype(np.uint8))


def _another_size(path: Path) -> None:
    np.save(path, np.load(path)[:, ::2, ::2])


def _not_finite(path: Path) -> None:
    np.save(path, np.load(path) * np.nan)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def _lying(path: Path) -> None:
    """A header that calls for far more than there is."""
    path.write_bytes(path.read_bytes().replace(b"(4, 10, 20)", b"(4, 10, 90)"))


def _no_array(path: Path) -> None:
    path.write_bytes(b"nothing")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_labels, "holds uint8"),
        (_another_size, "interpolate the logits"),
        (_not_finite, "finite"),
        (_cut, "has not the size"),
        (_lying, "do not fit"),
        (_no_array, "NPY"),
    ],
)
def test_predictions_that_are_none_are_named(
    say: Say, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(Path("predictions/2/1.npy"))
    code, out, err = say("decide", "predictions", "--group-by", "folder")
    assert code in {1, 2}
    assert not out
    assert len(err.splitlines()) == 1
    assert words in err
    assert "2/1" in err


def test_masks_that_changed_are_refused(say: Say) -> None:
    np.save("masks/2/1.npy", np.zeros((10, 20), np.uint8))
    code, _, err = say("decide", "predictions", "--group-by", "folder")
    assert code == 1
    assert "has changed since the scan" in err and "maskstat scan" in err
