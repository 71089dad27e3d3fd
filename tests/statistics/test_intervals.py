"""Intervals of frequencies: formulas, laws, what the bootstrap says, and reference values."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat.statistics.intervals import frequency_intervals
from maskstat.values.contributions import TOTALS, Contributions
from maskstat.values.error_bars import Intervals
from maskstat.values.groups import MaskGroups
from maskstat.values.ledger import MaskLedger
from maskstat.values.students_t import student
from tests.support.loops import at_least_one


def ledger_of(table: np.ndarray) -> MaskLedger:
    """A ledger of dense counts [B, K]; areas are somewhat larger."""
    row, column = table.nonzero()
    indptr = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=len(table)))))
    names = tuple(f"m{at}" for at in range(len(table)))
    areas = table.sum(axis=1) + 3
    return MaskLedger(table.shape[1], names, areas, indptr, column, table[row, column])


def intervals_of(table: np.ndarray, of: np.ndarray | None = None) -> Intervals:
    groups = (
        MaskGroups.of_labels("mask", [str(at) for at in range(len(table))])
        if of is None
        else MaskGroups.of_labels("sequence", [str(at) for at in of])
    )
    return frequency_intervals(Contributions.of(ledger_of(table)), groups)


def formula(table: np.ndarray, of: np.ndarray) -> np.ndarray:
    """The same in one line a step, dense."""
    sums = np.zeros((of.max() + 1, table.shape[1]))
    np.add.at(sums, of, table)
    sums = sums[np.unique(of)]
    count, share = len(sums), sums.sum(0) / sums.sum()
    off = sums - share * sums.sum(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(count / (count - 1) * (off**2).sum(0)) / (share * sums.sum())


tables = st.integers(2, 9).flatmap(
    lambda masks: st.integers(1, 4).flatmap(
        lambda classes: st.lists(
            st.lists(st.integers(0, 40), min_size=classes, max_size=classes),
            min_size=masks,
            max_size=masks,
        ).map(lambda rows: np.array(rows, np.int64))
    )
)


@given(tables, st.data())
def test_sparse_sums_are_the_formula(table, data):
    of = np.array(data.draw(st.lists(st.integers(0, 4), min_size=len(table), max_size=len(table))))
    found = intervals_of(table, of)
    assert found.group_count == np.unique(of).size
    if found.group_count < 2 or not table.any():
        assert not found.known.any()
        return
    expected = formula(table, of)
    for k in at_least_one(range(table.shape[1])):
        has = {int(g) for g, n in zip(of, table[:, k], strict=True) if n}
        assert found.groups[k] == len(has) and found.masks[k] == (table[:, k] > 0).sum()
        assert found.known[k] == (len(has) >= 2) == (found.reason(k) is None)
        if found.known[k]:
            assert found.relative_standard_error[k] == pytest.approx(expected[k], abs=1e-7)
            share = table[:, k].sum() / table.sum()
            factor = np.exp(student(np.array([len(has) - 1]))[0] * expected[k])
            assert found.interval(k) == pytest.approx(
                (share / factor, min(1, share * factor)), rel=1e-4
            )


@given(tables, st.permutations(range(9)))
def test_order_of_masks_is_no_matter(table, order):
    order = [at for at in order if at < len(table)]
    one, other = intervals_of(table), intervals_of(table[order])
    for name in ("relative_standard_error", "lower", "upper"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-7, nan_ok=True)


@given(tables)
def test_copies_of_masks_in_their_groups_say_nothing_new(table):
    """Every mask three times, as frames of a film that stands still: nobody is surer for it."""
    of = np.arange(len(table)) // 2
    one = intervals_of(table, of)
    copied = intervals_of(np.repeat(table, 3, axis=0), np.repeat(of, 3))
    assert copied.relative_standard_error == pytest.approx(
        one.relative_standard_error, abs=1e-7, nan_ok=True
    )
    assert (copied.groups == one.groups).all() and (copied.masks == 3 * one.masks).all()
    assert copied.needed == pytest.approx(one.needed, abs=1, nan_ok=True)


def test_copies_without_groups_pretend():
    table = np.random.default_rng(3).integers(0, 50, (20, 3))
    one, copied = intervals_of(table), intervals_of(np.repeat(table, 4, axis=0))
    ratio = copied.relative_standard_error / one.relative_standard_error
    assert ratio == pytest.approx(np.sqrt(19 / 79), rel=1e-9)


def test_counts_near_2_to_the_63_and_classes_that_are_everywhere():
    big = (1 << 62) // 4
    found = intervals_of(np.array([[big, 1], [big, 1], [big, 1]]))
    assert found.relative_standard_error == pytest.approx(0, abs=1e-7)
    assert found.known.all() and (found.upper <= 1).all()
    one_class = intervals_of(np.array([[5], [9], [2]]))
    assert one_class.interval(0) == (1.0, 1.0) and one_class.needed[0] == 0


def test_what_is_unknown_says_why():
    table = np.array([[5, 1, 0], [4, 2, 0], [3, 0, 0]])
    found = intervals_of(table, np.array([0, 0, 1]))
    assert found.known.tolist() == [True, False, False]
    assert found.reason(0) is None
    assert found.reason(1) == "it is in one group only"
    assert found.reason(2) == "it never occurs"
    assert found.seen_in(1) == "2 masks in 1 group"
    alone = intervals_of(table[:1])
    assert not alone.known.any() and alone.reason(0) == "it is in one mask only"
    columns = found.columns()
    assert columns["interval"][1:] == [None, None] and columns["interval"][0][0] > 0
    empty = intervals_of(np.zeros((4, 2), np.int64))
    assert not empty.known.any()


def test_all_samples_of_a_tiny_population_agree_on_average():
    """Over all 5^5 samples with replacement the squared errors are near the true variance."""
    population = np.array([[30, 9], [25, 11], [40, 10], [33, 14], [28, 8]])
    share = population.sum(0) / population.sum()
    picks = np.indices((5,) * 5).reshape(5, -1).T
    sums = population[picks].sum(axis=1)
    shares = sums / sums.sum(axis=1, keepdims=True)
    true = np.sqrt(((shares - share) ** 2).mean(axis=0))
    off = population[picks] - shares[:, None] * population[picks].sum(2, keepdims=True)
    squared = 5 / 4 * (off**2).sum(1) / sums.sum(1, keepdims=True) ** 2
    assert np.sqrt(squared.mean(axis=0)) == pytest.approx(true, rel=0.02)
    # and one of those samples is what the package says of it
    assert intervals_of(population).relative_standard_error == pytest.approx(
        formula(population, np.arange(5)), rel=1e-9
    )


def test_contributions_add_up_to_the_histogram(tiny_scan: ms.Scan):
    contributions, groups = tiny_scan._contributing
    for total in at_least_one(TOTALS):
        summed = contributions.of_groups(groups, total).totals
        assert (summed == getattr(tiny_scan.histogram, total)).all(), total


@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(1, 5))
def test_parts_of_groups_are_sums_of_rows(seed: int, masks: int, classes: int):
    """Against a dense table, for groups in any order; every entry once, in order."""
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 4, (masks, classes))
    of = rng.integers(0, masks, masks)
    groups = MaskGroups.of_labels("sequence", [str(at) for at in of])
    found = Contributions.of(ledger_of(table)).of_groups(groups)
    dense = np.zeros((len(groups), classes))
    np.add.at(dense, groups.of, table)
    assert [found.groups.tolist(), found.classes.tolist()] == [
        at.tolist() for at in dense.nonzero()
    ]
    assert found.parts.tolist() == dense[dense.nonzero()].tolist()
    assert found.totals.tolist() == table.sum(axis=0).tolist()


def test_crops_are_of_masks(tiny_scan: ms.Scan):
    seen = tiny_scan.exposure(crop=3, crops=4)
    contributions, groups = seen._contributing
    assert len(groups) == len(tiny_scan.ledger) and len(seen.ledger) == 4 * len(groups)
    for total in at_least_one(TOTALS):
        summed = contributions.of_groups(groups, total).totals
        assert summed == pytest.approx(getattr(seen.histogram, total), abs=1.5), total
    bars = seen.intervals
    assert bars.mask_count == len(groups) and bars.known.any()
    more = tiny_scan.exposure(crop=3, crops=8).intervals
    assert more.relative_standard_error == pytest.approx(
        bars.relative_standard_error, nan_ok=True
    ), "expected pixels are exact: more crops say nothing more of the masks"
    whole = tiny_scan.exposure(crop=64, crops=2).intervals
    assert whole.relative_standard_error == pytest.approx(
        tiny_scan.intervals.relative_standard_error, rel=1e-4, nan_ok=True
    )


@pytest.fixture
def tiny_scan(tmp_path: Path, forty_masks: Path) -> ms.Scan:
    return ms.scan(forty_masks, classes=7, db=tmp_path / "tiny.db")


def test_camvid_is_as_the_reference_says(camvid: Path, tmp_path: Path):
    scan = ms.scan(camvid / "train" / "masks", classes="camvid-11", db=tmp_path / "camvid.db")
    names = scan.catalog.names
    bars = scan.intervals
    said = dict(zip(names, np.round(100 * bars.relative_standard_error, 1).tolist(), strict=True))
    assert said == {
        "Sky": 2.2, "Building": 3.1, "Pole": 4.0, "Road": 1.1, "Pavement": 4.0, "Tree": 4.9,
        "SignSymbol": 7.6, "Fence": 10.4, "Car": 5.1, "Pedestrian": 6.6, "Bicyclist": 13.7,
    }  # fmt: skip
    needed = dict(zip(names, bars.needed.tolist(), strict=True))
    assert {k: needed[k] for k in ("Road", "Sky", "Car", "Pedestrian", "Fence", "Bicyclist")} == {
        "Road": 18, "Sky": 67, "Car": 368, "Pedestrian": 607, "Fence": 1520, "Bicyclist": 2630,
    }  # fmt: skip
    # Blocks of ten frames of each film.
    frames: Counter[str] = Counter()
    labels = []
    for name in scan.ledger.names:
        film = name.partition("_")[0]
        labels.append(f"{film}/{frames[film] // 10}")
        frames[film] += 1
    blocks = MaskGroups.of_labels("blocks of 10", labels)
    found = frequency_intervals(Contributions.of(scan.ledger), blocks)
    errors = dict(zip(names, np.round(100 * found.relative_standard_error, 1), strict=True))
    assert (errors["Road"], errors["Fence"], errors["Bicyclist"]) == (3.2, 23.4, 22.1)
    # The bootstrap of masks agrees within its own error.
    table = scan.ledger.dense().astype(float)
    drawn = np.random.default_rng(1).multinomial(367, np.full(367, 1 / 367), 4000) @ table
    logs = np.log(drawn / drawn.sum(axis=1, keepdims=True))
    ratio = logs.std(axis=0) / bars.relative_standard_error
    assert ratio == pytest.approx(1.0, abs=0.05)
    films = scan.grouped("^([^_]+)_").intervals
    assert films.group_count == 3 and films.seen_in(names.index("Bicyclist")) == (
        "201 masks in 3 groups"
    )
    assert (films.relative_standard_error > bars.relative_standard_error).sum() >= 9
