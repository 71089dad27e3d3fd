"""Intervals of weights as they are printed: any scheme, against resampling, laws and limits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import maskstat as ms
from maskstat.errors import FileFormatError
from maskstat.statistics.intervals import frequency_intervals
from maskstat.values.catalog import ClassCatalog
from maskstat.values.contributions import Contributions
from maskstat.values.groups import MaskGroups
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger
from maskstat.weights.any_scheme import weigh
from maskstat.weights.batches import Batching
from maskstat.weights.choices import NORMALISATIONS
from maskstat.weights.schemes import SCHEMES
from maskstat.weights.table import WeightTable
from tests.support.equal_cost_cases import ledger_of
from tests.support.loops import at_least_one


def histogram_of(ledger: MaskLedger, catalog: ClassCatalog | None = None) -> ClassHistogram:
    count = ledger.class_count
    row = np.repeat(np.arange(len(ledger)), ledger.class_counts)

    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(ledger.classes, values, count).astype(np.int64)

    return ClassHistogram(
        catalog or ClassCatalog.numbered(count),
        summed(ledger.pixels),
        summed(np.ones(row.size)),
        summed(ledger.areas[row]),
        summed(ledger.labelled[row]),
        {},
        mask_count=len(ledger),
        single_class_masks=0,
        unlabelled_masks=0,
        total_pixels=int(ledger.areas.sum()),
    )


def table_of(masks: int = 120, seed: int = 2) -> np.ndarray:
    """Pixels of five classes, the rarer ones not in all masks."""
    generator = np.random.default_rng(seed)
    pixels = generator.gamma(3.0, 1.0, (masks, 5)) * [9000, 3000, 500, 200, 60]
    some = generator.random((masks, 5)) < [1, 1, 0.8, 0.6, 0.5]
    return np.where(some, pixels, 0).astype(np.int64)


def weighed(
    ledger: MaskLedger, of: np.ndarray, scheme: str = "equal-cost", **options
) -> WeightTable:
    groups = MaskGroups.of_labels("film", [str(at) for at in of])
    return weigh(
        histogram_of(ledger),
        lambda: ledger,
        scheme,
        sample=lambda: (Contributions.of(ledger), groups),
        **options,
    )


def jackknife(table: np.ndarray, of: np.ndarray, scheme: str, **options) -> np.ndarray:
    """Standard errors of ln w by leaving out each group: nothing is linearised."""
    logs = []
    for group in np.unique(of):
        kept = of != group
        logs.append(np.log(weighed(ledger_of(table[kept]), of[kept], scheme, **options).weights))
    count = len(logs)
    return np.sqrt((count - 1) / count * ((logs - np.mean(logs, axis=0)) ** 2).sum(axis=0))


@pytest.mark.parametrize("normalize", NORMALISATIONS)
@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_any_scheme_and_normalisation_agree_with_leaving_groups_out(scheme, normalize):
    table = table_of()
    of = np.arange(120) // 2
    found = weighed(ledger_of(table), of, scheme, normalize=normalize)
    bars = found.intervals
    assert bars.known.all() and bars.group_count == 60 and bars.mask_count == 120
    expected = jackknife(table, of, scheme, normalize=normalize)
    assert bars.relative_standard_error == pytest.approx(expected, rel=0.12, abs=2e-5)
    assert (bars.lower <= found.weights * (1 + 1e-9)).all()
    assert (bars.upper >= found.weights * (1 - 1e-9)).all()


# Sizes whose batches are all taken, so that solving again draws nothing.
@pytest.mark.parametrize(("masks", "batch_size"), [(60, 1), (24, 3), (60, 60)])
@pytest.mark.parametrize("normalize", ["none", "max", "pixel"])
def test_equal_cost_of_batches_agrees_with_leaving_masks_out(masks, batch_size, normalize):
    table, of = table_of(masks), np.arange(masks)
    options = {"average": "batch", "batch_size": batch_size, "normalize": normalize}
    found = weighed(ledger_of(table), of, drop_last=True, **options)
    assert not found.solution.sampled and found.reduction == "weight-normalised"
    expected = jackknife(table, of, "equal-cost", drop_last=True, **options)
    errors = found.intervals.relative_standard_error
    assert errors == pytest.approx(expected, rel=0.15 if masks == 60 else 0.3, abs=1e-9)
    if batch_size == masks:
        plain = weighed(ledger_of(table), of, normalize=normalize).intervals
        assert errors == pytest.approx(plain.relative_standard_error, rel=0.03, abs=1e-9)


def test_random_batches_agree_with_the_bootstrap_of_groups():
    table, of = table_of(100), np.arange(100) // 2
    bars = weighed(ledger_of(table), of, average="batch", batch_size=6).intervals
    generator, logs = np.random.default_rng(5), []
    for seed in range(100):
        rows = (2 * generator.integers(50, size=(50, 1)) + [0, 1]).ravel()
        solved = weighed(ledger_of(table[rows]), of, average="batch", batch_size=6, seed=seed)
        logs.append(np.log(solved.weights))
    ratio = bars.relative_standard_error / np.std(logs, axis=0, ddof=1)
    assert ratio == pytest.approx(1, abs=0.28)  # four standard errors of 100 replicates
    assert ratio.mean() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("options", [{}, {"average": "batch", "batch_size": 1}])
def test_copies_of_masks_in_their_groups_say_nothing_new(options):
    table, of = table_of(40), np.arange(40) // 2
    one = weighed(ledger_of(table), of, **options).intervals
    copied = weighed(ledger_of(np.repeat(table, 3, axis=0)), np.repeat(of, 3), **options).intervals
    assert copied.relative_standard_error == pytest.approx(one.relative_standard_error, rel=1e-6)
    assert copied.lower == pytest.approx(one.lower, rel=1e-6)
    alone = weighed(ledger_of(np.repeat(table, 3, axis=0)), np.arange(120), **options).intervals
    assert (alone.relative_standard_error < 0.8 * one.relative_standard_error).all()


@pytest.mark.parametrize("options", [{}, {"average": "batch", "batch_size": 1}])
def test_order_of_masks_is_no_matter(options):
    table, of = table_of(40), np.arange(40) % 13
    order = np.random.default_rng(0).permutation(40)
    one = weighed(ledger_of(table), of, **options).intervals
    other = weighed(ledger_of(table[order]), of[order], **options).intervals
    assert other.relative_standard_error == pytest.approx(one.relative_standard_error, rel=1e-9)


def test_inverse_weights_are_as_sure_as_the_shares():
    ledger, of = ledger_of(table_of()), np.arange(120) // 3
    groups = MaskGroups.of_labels("film", [str(at) for at in of])
    shares = frequency_intervals(Contributions.of(ledger), groups)
    for scheme in at_least_one(["equal-cost", "balanced", "inverse"]):
        bars = weighed(ledger, of, scheme).intervals
        assert bars.relative_standard_error == pytest.approx(
            shares.relative_standard_error, rel=1e-8
        )
    damped = weighed(ledger, of, "power", parameters={"alpha": 0}).intervals
    assert (damped.relative_standard_error < 1e-9).all()


def test_what_is_scaled_to_be_1_is_1_and_bounds_bound_the_interval():
    ledger, of = ledger_of(table_of()), np.arange(120) // 3
    largest = weighed(ledger, of, normalize="max")
    rare = int(largest.weights.argmax())
    assert largest.intervals.interval(rare) == (1.0, 1.0)
    assert largest.intervals.relative_standard_error[rare] == 0
    free = weighed(ledger, of)
    low, high = free.weights[1] * 1.02, free.weights[4] * 0.98
    clipped = weighed(ledger, of, clip=(low, high))
    bars = clipped.intervals
    assert bars.lower == pytest.approx(np.clip(free.intervals.lower, low, high))
    assert bars.upper == pytest.approx(np.clip(free.intervals.upper, low, high))
    assert bars.relative_standard_error[[1, 4]].tolist() == [0, 0]
    assert bars.interval(4)[0] < high == bars.interval(4)[1]
    uniform = weighed(ledger, of, "uniform")
    assert uniform.intervals.interval(3) == (1.0, 1.0) and uniform.unsure == ()


@pytest.mark.parametrize("absent", ["zero", "one", "max"])
@pytest.mark.parametrize("options", [{}, {"average": "batch", "batch_size": 15}])
def test_absent_and_lonely_classes_have_no_interval(absent, options):
    table = np.pad(table_of(30), ((0, 0), (0, 2)))
    table[7, 5] = 40
    found = weighed(
        ledger_of(table), np.arange(30) // 2, absent=absent, normalize="mean", **options
    )
    assert found.intervals.known.tolist() == [True] * 5 + [False] * 2
    assert found.intervals.reason(5) == "it is in one group only"
    assert found.intervals.reason(6) == "it never occurs"
    said = found.unsure
    assert said[0].startswith("Least sure ")
    assert said[0].endswith(" weights, with 95% intervals from 15 groups by 'film':")
    assert said[1] == "  class_5: in one group only, so nobody knows"
    assert len(said) <= 4
    one = weighed(ledger_of(table), np.zeros(30), absent=absent, **options)
    assert not one.intervals.known.any()
    assert one.unsure == ("How sure the weights are is unknown: there is one group only",)


def test_what_has_no_interval_says_why():
    ledger, of = ledger_of(table_of(30)), np.arange(30)
    effort = weighed(ledger, of, average="batch", batch_size=1, best_effort=True, max_ratio=2.0)
    assert not effort.intervals.known.any()
    assert effort.unsure == (
        "How sure the weights are is unknown: a best effort follows no formula",
    )
    given = ms.from_counts({"a": 5, "b": 50}).weights()
    assert given.intervals is None
    assert given.unsure == ("How sure the weights are is unknown: counts were given, no masks",)
    parts = weighed(
        ledger,
        of,
        "effective-number",
        parameters={"count": "components"},
        components=lambda: np.arange(1, 6),
    )
    assert parts.unsure == ("How sure the weights are is unknown: not counted mask by mask",)


def test_many_classes_have_weights_and_no_intervals():
    """The square of 65,536 classes would be 32 GiB."""
    table = np.ones((2, 1 << 16), np.int64)
    found = weighed(ledger_of(table), np.arange(2))
    assert not found.intervals.known.any() and found.weights[0] == 1
    assert found.unsure == (
        "How sure the weights are is unknown: there are too many classes, or masks with so many",
    )


def test_crops_of_a_mask_are_one_mask():
    """With every crop the mask itself, crops say what masks say, however many."""
    table, of = table_of(60), np.arange(60) // 2
    groups = MaskGroups.of_labels("film", [str(at) for at in of])
    masks = ledger_of(table)

    def cropped(crops: int, **options) -> WeightTable:
        rows = ledger_of(np.repeat(table, crops, axis=0))
        batching = Batching(drop_last=True, crops=crops, replicates=2, **options)
        return weigh(
            histogram_of(masks),
            lambda: rows,
            average="batch",
            batch_size=1,
            batching=batching,
            sample=lambda: (Contributions.of(masks), groups),
        )

    plain = weighed(masks, of, average="batch", batch_size=1).intervals
    for crops in at_least_one([2, 6]):
        found = cropped(crops)
        assert found.intervals.relative_standard_error == pytest.approx(
            plain.relative_standard_error, rel=1e-6
        )
        assert found.intervals.mask_count == 60
    drawn = cropped(2, draws=np.where(np.arange(60) < 30, 1.0, 2.0)).intervals
    assert not np.allclose(drawn.lower, plain.lower) and drawn.known.all()


@pytest.mark.parametrize("suffix", ["json", "yaml", "csv"])
def test_full_files_keep_them_and_older_ones_lack_them(tmp_path: Path, suffix: str):
    table = np.pad(table_of(30), ((0, 0), (0, 1)))
    saved = weighed(ledger_of(table), np.arange(30) // 2, absent="one")
    path = saved.save(tmp_path / f"w.{suffix}")
    loaded = ms.load_weights(path)
    assert loaded.intervals is not None
    for name in at_least_one(("relative_standard_error", "lower", "upper", "masks", "groups")):
        ours, theirs = getattr(saved.intervals, name), getattr(loaded.intervals, name)
        np.testing.assert_array_equal(ours, theirs)
    assert loaded.intervals.about() == saved.intervals.about()
    assert loaded.unsure == saved.unsure
    older = replace(saved, intervals=None)
    assert ms.load_weights(older.save(tmp_path / f"old.{suffix}")).intervals is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lower", ["x"] * 5),
        ("lower", [1e9] * 5),
        ("upper", [None] * 5),
        ("upper", [1.0]),
        ("relative_standard_error", [-1.0] * 5),
        ("relative_standard_error", ["inf"] * 5),
        ("seen_in_groups", [10**30] * 5),
        ("seen_in_masks", 5),
        ("intervals", {"group_by": "mask"}),
    ],
)
def test_files_whose_intervals_are_none_are_refused(tmp_path: Path, key: str, value: object):
    path = weighed(ledger_of(table_of(30)), np.arange(30)).save(tmp_path / "w.json")
    document = json.loads(path.read_text())
    assert key in document
    path.write_text(json.dumps({**document, key: value}))
    with pytest.raises(FileFormatError, match="holds intervals"):
        ms.load_weights(path)


def test_a_scan_s_weights_have_them_and_comparing_all_costs_none(forty_masks: Path, tmp_path: Path):
    scan = ms.scan(forty_masks, classes=7, db=tmp_path / "x.db")
    bars = scan.weights().intervals
    assert (bars.rule, bars.group_count) == ("mask", 40)
    assert bars.relative_standard_error == pytest.approx(
        scan.intervals.relative_standard_error, rel=1e-8, nan_ok=True
    )
    films = scan.grouped("folder").weights().intervals
    assert (films.rule, films.group_count) == ("folder", 3)
    seen = scan.exposure(crop=2, crops=4)
    crops = seen.weights().intervals
    assert crops.relative_standard_error == pytest.approx(
        seen.intervals.relative_standard_error, rel=0.02, nan_ok=True
    )
    batch = seen.weights(average="batch", batch_size=16)
    assert batch.intervals.mask_count == 40 and batch.intervals.known.any()
    for table in at_least_one(scan.all_weights().values()):
        assert getattr(table, "intervals", None) is None
