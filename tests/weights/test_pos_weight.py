"""pos_weight: w1 / w0 of two classes, in tables and in files, or why there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat.errors import FileFormatError, ParameterError, WeightError
from maskstat.weights.choices import WEIGHT_LAYOUTS
from maskstat.weights.fit import pos_weight_of
from maskstat.weights.schemes import SCHEMES
from maskstat.weights.table import WeightTable, load_weights


def table(*weights: float, pixels: Any = (96, 4), **about: Any) -> WeightTable:
    names = ("background", "crack", "stain")[: len(weights)]
    counts = np.resize(np.array(pixels, np.int64), len(weights))
    return WeightTable(names, np.array(weights, float), counts, "equal-cost", **about)


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_equal_cost_is_negatives_over_positives(negatives: int, positives: int) -> None:
    counts = ms.from_counts({"background": negatives, "crack": positives})
    wanted = pytest.approx(negatives / positives, rel=1e-12)
    for normalize in ("none", "pixel", "sum"):
        assert counts.weights("equal-cost", normalize=normalize).pos_weight == wanted
    assert counts.weights("sqrt").pos_weight ** 2 == wanted


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_has_one(scheme: str) -> None:
    masks = [np.array([[0, 0, 0, 1], [0, 0, 0, k % 2]], np.uint8) for k in range(5)]
    weights = ms.count(masks, classes=2).weights(scheme)
    assert weights.pos_weight == weights.weights[1] / weights.weights[0]


# --- files ----------------------------------------------------------------------------------------

hard = st.sampled_from([1 / 3, 1e-5, 1e22, 5e-324, 1.7976931348623157e308, 49.0])


@given(
    hard | st.floats(1e-300, 1e300), st.sampled_from([".json", ".yaml", ".yml", ".txt", ".JSON"])
)
def test_a_file_holds_the_number_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, number: float, suffix: str
) -> None:
    folder = tmp_path_factory.mktemp("number", numbered=True)
    path = table(1.0, number).save(folder / f"p{suffix}", "pos-weight")
    text = path.read_text(encoding="utf-8")
    assert float(text) == json.loads(text) == yaml.safe_load(text) == float(np.loadtxt(path))
    assert type(yaml.safe_load(text)) is type(json.loads(text)) is float
    assert pos_weight_of(path) == number


def test_the_layout_goes_into_four_suffixes(tmp_path: Path) -> None:
    for suffix in (".csv", ".npy"):
        with pytest.raises(FileFormatError, match=r"can't hold the layout pos-weight; .*\.json"):
            table(1.0, 2.0).save(tmp_path / f"p{suffix}", "pos-weight")
    with pytest.raises(ParameterError, match="'pos' is not one of full, list, dict, pos-weight"):
        table(1.0, 2.0).save(tmp_path / "p.json", "pos")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_one_number_is_no_weights(tmp_path: Path) -> None:
    path = table(1.0, 2.0).save(tmp_path / "p.json", "pos-weight")
    with pytest.raises(FileFormatError, match=r"p\.json: holds one number, .*BinaryCrossEntropy"):
        load_weights(path)


@pytest.mark.parametrize("layout", [layout for layout in WEIGHT_LAYOUTS if layout != "pos-weight"])
def test_files_of_two_weights(tmp_path: Path, layout: Any) -> None:
    """Numbers alone are weights or already pos_weight: nobody guesses."""
    path = table(0.5, 8.0).save(tmp_path / "w.json", layout)
    if layout == "full":
        assert pos_weight_of(path) == pos_weight_of(str(path)) == 16
        return
    with pytest.raises(
        WeightError, match=r"w\.json: holds 2 numbers alone: weights of classes, or"
    ):
        pos_weight_of(path)


# --- why there is none ----------------------------------------------------------------------------

NONE: dict[str, tuple[WeightTable, str]] = {
    "three classes": (
        table(1, 2, 3),
        r"of two classes, and these are 3; count two, .*classes=FILE",
    ),
    "one class": (table(1), "these are 1"),
    "no positives": (table(1, 2, pixels=(9, 0)), "crack never occurs.*count masks in which both"),
    "no negatives": (table(1, 2, pixels=(0, 9)), "background never occurs"),
    "a weight of 0": (table(0, 2), "background weighs 0"),
    "unknown counts": (table(0, 2, pixels=(0, 0)), "background weighs 0"),
    "positives of weight 0": (table(1, 0), "crack weighs 0"),
    "too far apart": (table(1e-300, 1e300), "beyond what numbers hold"),
}


@pytest.mark.parametrize("why", NONE)
def test_refused(why: str, tmp_path: Path) -> None:
    weights, message = NONE[why]
    for call in (
        lambda: weights.pos_weight,
        lambda: weights.save(tmp_path / "p.json", "pos-weight"),
        lambda: pos_weight_of(weights),
        lambda: pos_weight_of(weights.save(tmp_path / "full.json")),
    ):
        with pytest.raises(WeightError, match=message):
            call()
    assert not (tmp_path / "p.json").exists()


def test_weights_of_pytorchs_mean_have_none(tmp_path: Path) -> None:
    masks = [np.array([[0, 0, 1, k % 2]], np.uint8) for k in range(6)]
    weights = ms.count(masks, classes=2).weights("equal-cost", average="batch", batch_size=2)
    for call in (
        lambda: weights.pos_weight,
        lambda: weights.save(tmp_path / "p.json", "pos-weight"),
    ):
        with pytest.raises(WeightError, match=r"plain mean.*average='pixel'"):
            call()
    with pytest.warns(UserWarning, match="made for a mean that divides every batch"):
        assert pos_weight_of(weights) == weights.weights[1] / weights.weights[0]


# --- labels ---------------------------------------------------------------------------------------


def test_labels_have_one_each(tmp_path: Path) -> None:
    stack = np.array([[[1, 0], [1, 1]], [[0, 0], [1, 0]]], np.uint8)
    weights = ms.count(stack, channels="multilabel").weights()
    assert weights.pos_weight.tolist() == weights.weights.tolist() == [1 / 3, 3]
    path = weights.save(tmp_path / "p.json", "pos-weight")
    assert json.loads(path.read_text(encoding="utf-8")) == [1 / 3, 3]
    # Two numbers alone could be weights of two classes as well.
    with pytest.raises(WeightError, match="2 numbers alone: weights of classes, or pos_weight"):
        pos_weight_of(path)
    full = pos_weight_of(weights.save(tmp_path / "full.json"))
    assert np.array_equal(full, weights.pos_weight)
