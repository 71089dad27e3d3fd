"""Values of channels that nobody listed: what they are is said, and what else can be done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maskstat as ms
from maskstat.cli import run
from maskstat.errors import UnlistedValuesError
from tests.support.scan_cases import npy, write

CALLS = {
    "weights": lambda scan: scan.weights("balanced"),
    "equal cost": lambda scan: scan.weights(),
    "all": lambda scan: scan.all_weights(),
}


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """10 x 10 pixels: 60 in no channel, 30 in the first, 10 in the second; 5 of these in both."""
    channels = np.zeros((10, 10, 2), np.uint8)
    channels[:3, :, 0] = channels[3, :, 1] = 1
    write(tmp_path / "one-hot" / "a.npy", npy(channels))
    channels[3, :5, 0] = 1
    write(tmp_path / "bitmask" / "a.npy", npy(channels))
    return tmp_path


@pytest.mark.parametrize("asked", CALLS.values(), ids=CALLS)
def test_pixels_of_no_channel_may_be_background(stack: Path, asked: Any) -> None:
    with ms.scan(stack / "one-hot", channels="one-hot", classes=2) as scan:
        with pytest.raises(UnlistedValuesError) as caught:
            asked(scan)
        assert "-1 (60 pixels in 1 mask" in str(caught.value)
        assert "'name: background, value: -1'" in str(caught.value)
        assert "ignore=[-1] drops 60.0% of the pixels" in str(caught.value)
    classes = stack / "classes.yaml"
    classes.write_text(
        "classes:\n- {name: background, value: -1}\n- {name: a, value: 0}\n- {name: b, value: 1}\n"
    )
    with ms.scan(stack / "one-hot", channels="one-hot", classes=classes) as scan:
        assert scan.histogram.pixels.tolist() == [60, 30, 10]
        asked(scan)


@pytest.mark.parametrize("asked", CALLS.values(), ids=CALLS)
def test_pixels_of_no_channel_are_no_inferred_class(stack: Path, asked: Any) -> None:
    array = np.load(stack / "one-hot" / "a.npy")
    for scan in (
        ms.scan(stack / "one-hot", channels="one-hot", draft=stack / "draft.yaml"),
        ms.count(array, channels="one-hot"),
        ms.count(np.moveaxis(array, -1, 0), channels="one-hot-first"),
    ):
        assert scan.catalog.names == ("class_0", "class_1")
        assert scan.histogram.pixels.tolist() == [30, 10]
        assert scan.histogram.unlisted[-1].pixels == 60
        with pytest.raises(UnlistedValuesError, match="'name: background, value: -1'"):
            asked(scan)
        assert scan.under(ignore=-1).weights("balanced").weights.tolist() == [4 / 6, 2]
    with ms.scan(stack / "one-hot", channels="one-hot", classes=stack / "draft.yaml") as scan:
        assert scan.catalog.names == ("class_0", "class_1", "background")
        assert scan.histogram.pixels.tolist() == [30, 10, 60]


def test_the_table_says_what_pixels_of_no_channel_are(
    stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = str(stack / "s.db")
    assert run(["scan", str(stack / "one-hot"), "--channels", "one-hot", "--db", db]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "'name: background, value: -1'" in shown
    assert "--ignore -1 drops 60.0% of the pixels" in shown


@pytest.mark.parametrize("asked", CALLS.values(), ids=CALLS)
def test_pixels_of_several_channels_are_never_to_be_ignored(stack: Path, asked: Any) -> None:
    with ms.scan(stack / "bitmask", channels="bitmask", classes=3) as scan:
        with pytest.raises(UnlistedValuesError) as caught:
            asked(scan)
        assert "3 (5 pixels in 1 mask" in str(caught.value)
        assert "the sum of 2^k" in str(caught.value)
        assert "classes" in str(caught.value.remedy)
        assert "ignore=" not in str(caught.value)
    classes = stack / "classes.yaml"
    classes.write_text(
        "classes:\n- {name: none, value: 0}\n- {name: a, value: 1}\n- {name: b, values: [2, 3]}\n"
    )
    with ms.scan(stack / "bitmask", channels="bitmask", classes=classes) as scan:
        assert scan.histogram.pixels.tolist() == [60, 30, 10]
        asked(scan)


def test_other_values_are_as_they_were(stack: Path) -> None:
    with (
        ms.scan(stack / "one-hot", channels="one-hot", classes=1, ignore=-1) as scan,
        pytest.raises(UnlistedValuesError) as caught,
    ):
        scan.weights()
    assert "channel" not in str(caught.value)
    assert "ignore=[1]" in str(caught.value)


def test_the_command_line(stack: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.chdir(stack)
    for kind, offered in (("one-hot", "--ignore -1"), ("bitmask", "--classes FILE")):
        assert run(["scan", kind, "--channels", kind, "--classes", "2"]) == 0
        capfd.readouterr()
        assert run(["weights", "--scan", kind]) == 1
        said = " ".join(capfd.readouterr().err.split())
        assert offered in said
        assert ("--ignore" in said) == (kind == "one-hot")
        assert ("value: -1" in said) == (kind == "one-hot")
