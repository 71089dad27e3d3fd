"""Counts near the limit of 64 bits: sums are exact, or they raise; none wraps round."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat.errors import CountOverflowError, FileFormatError, ParameterError
from maskstat.statistics.imbalance import groups_by_share, imbalance, lorenz_curve
from maskstat.training.metrics import ConfusionMatrix
from maskstat.values.catalog import ClassCatalog
from maskstat.values.histogram import ClassHistogram
from maskstat.values.sums import LARGEST, added, multiplied, total
from maskstat.values.tally import Encoding, MaskTally, TallyTable

NEAR = st.one_of(
    st.integers(0, LARGEST),
    st.integers(0, 9),
    st.builds(
        lambda shift, by: max(0, min(LARGEST, (1 << shift) + by)),
        st.integers(60, 63),
        st.integers(-9, 9),
    ),
)
SIDES = st.one_of(st.integers(1, 9), st.integers(1, LARGEST), st.integers(2**31 - 9, 2**31 + 2**30))
COUNTS = st.lists(NEAR, min_size=1, max_size=6)


@given(COUNTS, st.data())
def test_sums_are_exact_or_raise(counts: list[int], data: st.DataObject) -> None:
    others = data.draw(st.lists(NEAR, min_size=len(counts), max_size=len(counts)))
    left, right = np.array(counts, np.int64), np.array(others, np.int64)
    if sum(counts) > LARGEST:
        with pytest.raises(CountOverflowError):
            total(left)
    else:
        assert total(left) == sum(counts)
    sums = list(map(sum, zip(counts, others, strict=True)))
    if max(sums) > LARGEST:
        with pytest.raises(CountOverflowError):
            added(left, right)
    else:
        assert added(left, right).tolist() == sums


@given(st.lists(st.tuples(SIDES, SIDES), max_size=4))
def test_totals_of_masks_are_exact_or_raise(shapes: list[tuple[int, int]]) -> None:
    """Of tables and of histograms that add up, in both ways."""
    catalog = ClassCatalog.numbered(3)
    tables = [
        TallyTable.of([_mask(number, shape)]) if shape[0] * shape[1] <= LARGEST else None
        for number, shape in enumerate(shapes)
    ]
    areas = [height * width for height, width in shapes]
    if None in tables:
        with pytest.raises(CountOverflowError):
            multiplied(*np.array(shapes, np.int64).T)
        return
    whole = TallyTable.of(_mask(number, shape) for number, shape in enumerate(shapes))
    if sum(areas) > LARGEST:
        with pytest.raises(CountOverflowError):
            ClassHistogram.of(catalog, whole)
        with pytest.raises(CountOverflowError):
            sum(ClassHistogram.of(catalog, table) for table in tables if table)
        return
    found = ClassHistogram.of(catalog, whole)
    assert found.total_pixels == sum(areas) == found.labelled_pixels
    assert found.pixels.tolist() == [sum(areas[k::3]) for k in range(3)]
    if tables:
        assert sum(ClassHistogram.of(catalog, table) for table in tables if table) == found


def _mask(number: int, shape: tuple[int, int]) -> MaskTally:
    """All of one class."""
    value, count = np.array([number % 3]), np.array([shape[0] * shape[1]])
    return MaskTally(f"m{number}", shape, Encoding("png", "grey", 8), value, count)


@given(COUNTS)
def test_given_counts_are_exact_or_refused(counts: list[int]) -> None:
    if sum(counts) > LARGEST:
        with pytest.raises(ParameterError, match="64 bits"):
            ms.from_counts(counts)
    elif sum(counts) not in {0, 1, 100}:
        scan = ms.from_counts(counts)
        assert scan.histogram.labelled_pixels == sum(counts)
        frequency = scan.weights("inverse", absent="zero").frequency
        assert (frequency >= 0).all()
        assert frequency.sum() == pytest.approx(1)


@pytest.mark.parametrize("suffix", [".json", ".csv", ".yaml"])
def test_weight_files_with_too_many_pixels_are_refused(suffix: str, tmp_path: Path) -> None:
    path = (
        ms.from_counts({"a": LARGEST - 5, "b": 5}).weights("inverse").save(tmp_path / f"w{suffix}")
    )
    assert ms.load_weights(path).pixels.tolist() == [LARGEST - 5, 5]
    path.write_text(path.read_text().replace(str(LARGEST - 5), str(LARGEST)))
    with pytest.raises(FileFormatError, match="pixel counts"):
        ms.load_weights(path)


@given(COUNTS)
def test_measures_of_imbalance_are_of_the_exact_total_or_raise(counts: list[int]) -> None:
    given_counts = np.array(counts, np.int64)
    if sum(counts) > LARGEST:
        for measure in (imbalance, lorenz_curve, groups_by_share):
            with pytest.raises(CountOverflowError):
                measure(given_counts)
        return
    whole = max(sum(counts), 1)
    assert (imbalance(given_counts).majority_accuracy or 0.0) == pytest.approx(max(counts) / whole)
    assert lorenz_curve(given_counts)[1][1:-1].tolist() == pytest.approx(
        [sum(sorted(counts)[:k]) / whole for k in range(1, len(counts))]
        if sum(counts)
        else np.arange(1, len(counts)) / len(counts)
    )
    found = groups_by_share(given_counts)
    before = {count: sum(other for other in counts if other > count) for count in counts}
    assert found.tail == tuple(k for k, n in enumerate(counts) if n and before[n] / whole >= 0.95)


def test_confusion_matrices_do_not_wrap() -> None:
    one = ConfusionMatrix(np.array([[1 << 62, 0], [0, 0]]), 0)
    with pytest.raises(CountOverflowError):
        one + one


def test_counts_in_a_document_are_within_64_bits(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"a": LARGEST, "b": 1}))
    with pytest.raises(ParameterError, match="64 bits"):
        ms.from_counts(path)
