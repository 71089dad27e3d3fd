"""A sample that stands for all masks: what it keeps, what it depends on, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import maskstat
from maskstat.values.catalog import ClassCatalog
from maskstat.values.contributions import Contributions
from maskstat.values.groups import GroupRule
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import Encoding, MaskTally, TallyTable
from maskstat.weights.any_scheme import weigh
from maskstat.weights.batches import MaskRows
from maskstat.weights.equal_cost import InfeasibleEqualCost
from maskstat.weights.mask_sample import MaskSample
from maskstat.weights.table import WeightTable, load_weights
from tests.support.loops import at_least_one

CLASSES = 5


def tallies(masks: int, prefix: str = "", *, rare: bool = True) -> TallyTable:
    """Made-up counts: class k is in a share of about 1 / (1 + k)^2 of the masks, the last in 4.

    Or in 0.9 to 0.5 of them.
    """
    rng = np.random.default_rng(0)
    shares = 1 / (1 + np.arange(CLASSES)) ** 2 if rare else np.linspace(0.9, 0.5, CLASSES)
    made = []
    for number in range(masks):
        has = rng.random(CLASSES) < shares
        if rare:
            has[-1] = number % (masks // 4) == 7
        values = np.flatnonzero(has) if has.any() else np.array([255])
        counts = rng.integers(1, 400, values.size)
        made.append(
            MaskTally(
                f"{prefix}{number:05d}.png",
                (1, int(counts.sum())),
                Encoding("png", "grey", 8),
                values.astype(np.int64),
                counts.astype(np.int64),
            )
        )
    return TallyTable.of(made)


def counted(table: TallyTable) -> tuple[ClassHistogram, MaskLedger]:
    """What counts are under the classes."""
    catalog = ClassCatalog.numbered(CLASSES).ignoring([255])
    return ClassHistogram.of(catalog, table), MaskLedger.of(catalog, table)


def sampled(
    ledger: MaskLedger, size: int, blocks: Sequence[np.ndarray] | None = None
) -> MaskSample:
    """A sample of a ledger that comes in blocks."""
    parts = [ledger] if blocks is None else [ledger.take(rows) for rows in blocks]
    with_ = np.bincount(ledger.classes, minlength=ledger.class_count)
    return MaskSample.of(parts, with_, len(ledger), size)


def test_it_depends_on_no_order_and_no_blocks() -> None:
    _, ledger = counted(tallies(2000))
    first = sampled(ledger, 150)
    assert len(first.ledger) == 150
    rng = np.random.default_rng(1)
    for pieces in at_least_one([1, 3, 40]):
        blocks = np.array_split(rng.permutation(len(ledger)), pieces)
        again = sampled(ledger, 150, blocks)
        assert again.ledger.names == first.ledger.names
        assert np.array_equal(again.stands_for, first.stands_for)
        assert np.array_equal(again.ledger.pixels, first.ledger.pixels)


def test_rare_classes_are_in_it_whole() -> None:
    _, ledger = counted(tallies(2000))
    some = sampled(ledger, 150)
    everywhere = np.bincount(ledger.classes, minlength=CLASSES)
    here = np.bincount(some.ledger.classes, minlength=CLASSES)
    alone = np.repeat(some.stands_for == 1, some.ledger.class_counts)
    whole = {int(k) for k in np.flatnonzero(everywhere == here)}
    assert CLASSES - 1 in whole
    assert alone[some.ledger.classes == CLASSES - 1].all()
    assert len(whole) < CLASSES


def test_sums_over_it_are_right_on_average() -> None:
    found = []
    for turn in range(120):
        histogram, ledger = counted(tallies(1000, f"{turn}/"))
        some = sampled(ledger, 100)
        times = np.repeat(some.stands_for, some.ledger.class_counts)
        sums = np.bincount(some.ledger.classes, some.ledger.pixels * times, CLASSES)
        found.append([*(sums / histogram.pixels), some.stands_for.sum() / len(ledger)])
    means, errors = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(len(found))
    assert (np.abs(means - 1) <= 4 * errors + 1e-12).all()
    assert errors[CLASSES - 1] == 0


def test_all_of_them_are_all_of_them() -> None:
    histogram, ledger = counted(tallies(300, rare=False))
    some = sampled(ledger, 300)
    assert some.ledger.names == ledger.names
    assert (some.stands_for == 1).all()
    exact = weigh(histogram, lambda: ledger, average="batch", batch_size=1)
    found = weigh(
        histogram, lambda: some.ledger, average="batch", batch_size=1, batching=some.batching
    )
    assert np.allclose(found.weights, exact.weights, rtol=1e-8)


def test_counts_of_a_sample_are_of_what_it_stands_for() -> None:
    _, ledger = counted(tallies(3000))
    some = sampled(ledger, 1000)
    rows, of_all = MaskRows.of(some.ledger, some.batching), MaskRows.of(ledger)
    assert np.allclose(rows.presence, of_all.presence, rtol=0.2)
    assert rows.presence[-1] == of_all.presence[-1]
    assert rows.labelled_rows == pytest.approx(of_all.labelled_rows, rel=0.05)


def test_what_is_impossible_is_so_in_a_sample() -> None:
    histogram, ledger = counted(tallies(3000))
    some = sampled(ledger, 500)
    with pytest.raises(InfeasibleEqualCost) as of_all:
        weigh(histogram, lambda: ledger, average="batch", batch_size=8)
    with pytest.raises(InfeasibleEqualCost) as found:
        of_sample(histogram, some, 8)
    assert found.value.classes == of_all.value.classes
    assert found.value.presence == of_all.value.presence
    assert found.value.chance == pytest.approx(of_all.value.chance, rel=0.3)


def of_sample(histogram: ClassHistogram, some: MaskSample, batch_size: int = 1) -> WeightTable:
    """Weights; of single masks no batches are drawn."""
    groups = GroupRule("mask").groups(some.ledger.names)
    return weigh(
        histogram,
        lambda: some.ledger,
        average="batch",
        batch_size=batch_size,
        batching=some.batching,
        sample=lambda: (Contributions.of(some.ledger), groups),
    )


def test_the_error_it_states_is_the_one_it_has() -> None:
    weights, stated, covered = [], [], []
    exact = None
    for turn in range(40):
        histogram, ledger = counted(tallies(1500, f"{turn}/", rare=False))
        exact = exact or weigh(histogram, lambda of=ledger: of, average="batch", batch_size=1)  # type: ignore[misc]
        table = of_sample(histogram, sampled(ledger, 400))
        weights.append(np.log(table.weights / exact.weights))
        stated.append(table.provenance["sampled_masks"]["standard_error"])  # type: ignore[index]
        assert table.intervals is not None
        covered.append(
            (table.intervals.lower <= exact.weights) & (exact.weights <= table.intervals.upper)
        )
    largest = float(np.std(weights, axis=0).max())
    assert largest == pytest.approx(float(np.mean(stated)), rel=0.3)
    assert np.mean(covered) > 0.9


def test_a_scan_of_too_many_masks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    arrays = {f"m{n:03d}.npy": rng.integers(0, 3, (8, 8)).astype(np.uint8) for n in range(120)}
    folder = tmp_path / "masks"
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / name, array)
    with maskstat.scan(folder, classes=3, db=tmp_path / "a.db") as scan:
        exact = scan.weights("equal-cost", average="batch", batch_size=4)
        assert "sampled_masks" not in exact.provenance
    monkeypatch.setattr("maskstat.weights.mask_sample.MOST_MASKS", 100)
    monkeypatch.setattr("maskstat.weights.mask_sample.SAMPLED_MASKS", 50)
    with maskstat.open_scan(tmp_path / "a.db") as scan:
        found = scan.weights("equal-cost", average="batch", batch_size=4)
        assert "ledger" not in vars(scan)
        assert scan.weights("equal-cost").provenance.get("sampled_masks") is None
    said = found.provenance["sampled_masks"]
    assert isinstance(said, dict)
    assert (said["masks"], said["of"]) == (50, 120)
    assert np.abs(np.log(found.weights / exact.weights)).max() < 5 * said["standard_error"] + 0.02
    assert any("120 masks are more than are held" in note for note in found.notes)
    again = load_weights(found.save(tmp_path / "w.json"))
    assert again.provenance["sampled_masks"] == said
    assert again.notes == found.notes
