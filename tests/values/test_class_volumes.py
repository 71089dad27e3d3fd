"""Shares of volume: exact sums over masks, whatever their order, their cuts and their unit."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.errors import UnknownCountsError
from maskstat.values.catalog import ClassCatalog
from maskstat.values.class_volumes import ClassVolumes, VoxelSizes
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import Encoding, MaskTally, TallyTable
from maskstat.weights.compute import compute
from maskstat.weights.schemes import SCHEMES

CATALOG = ClassCatalog.numbered(4).ignoring({9})
sizes = st.floats(1e-24, 1e24)


@st.composite
def volumes(draw: st.DrawFn, voxel: st.SearchStrategy[float] = sizes) -> list[MaskTally]:
    """Masks with class 0 in each, so that none is without a label; some values are ignored."""
    found = []
    for at in range(draw(st.integers(1, 6))):
        counts = draw(st.dictionaries(st.sampled_from([1, 2, 9]), st.integers(1, 10**6)))
        counts[0] = draw(st.integers(1, 10**6))
        values = sorted(counts)
        encoding = Encoding("nifti", "uint", 8, voxel=draw(voxel))
        tally = MaskTally(
            f"{at}",
            (1, sum(counts.values())),
            encoding,
            np.array(values, np.int64),
            np.array([counts[value] for value in values], np.int64),
        )
        tally.check()
        found.append(tally)
    return found


def of(tallies: Sequence[MaskTally], block: int = 2) -> ClassVolumes:
    tables = [TallyTable.of(tallies[at : at + block]) for at in range(0, len(tallies), block)]
    histogram = reduce(add, (ClassHistogram.of(CATALOG, table) for table in tables))
    blocks = (
        (MaskLedger.of(CATALOG, table), [e.voxel or 0.0 for e in table.encodings])
        for table in tables
    )
    return ClassVolumes.of(histogram, blocks)


def exactly(tallies: Sequence[MaskTally]) -> tuple[list[Fraction], list[Fraction], Fraction]:
    """The definition, in fractions: volumes of classes, of the masks with them, and of all."""
    classes, images, total = [Fraction(0)] * 4, [Fraction(0)] * 4, Fraction(0)
    for tally in tallies:
        size = Fraction(tally.encoding.voxel or 0.0)
        total += size * tally.area
        for value, count in zip(tally.values.tolist(), tally.counts.tolist(), strict=True):
            if value < 4:
                classes[value] += size * count
                images[value] += size * tally.area
    return classes, images, total


def resized(tallies: Sequence[MaskTally], factor: float) -> list[MaskTally]:
    return [
        replace(t, encoding=t.encoding._replace(voxel=(t.encoding.voxel or 0.0) * factor))
        for t in tallies
    ]


def same(one: ClassVolumes, other: ClassVolumes) -> bool:
    """Bit for bit."""
    return (
        one.mm3.tobytes() == other.mm3.tobytes()
        and one.image_mm3.tobytes() == other.image_mm3.tobytes()
        and (one.labelled_mm3, one.total_mm3, one.unit)
        == (other.labelled_mm3, other.total_mm3, other.unit)
        and one.histogram == other.histogram
    )


@given(volumes())
def test_they_are_the_definition_rounded_once(tallies: list[MaskTally]) -> None:
    found, (classes, images, total) = of(tallies), exactly(tallies)
    assert found.mm3.tolist() == [float(volume) for volume in classes]
    assert found.image_mm3.tolist() == [float(volume) for volume in images]
    assert found.total_mm3 == float(total)
    assert found.labelled_mm3 == float(sum(classes))
    histogram = found.histogram
    shares = [float(volume / sum(classes)) for volume in classes]
    assert histogram.frequency.tolist() == pytest.approx(shares, rel=1e-9, abs=1e-18)
    assert (histogram.pixels > 0).tolist() == [volume > 0 for volume in classes]
    assert (histogram.image_pixels >= histogram.pixels).all()
    assert (histogram.labelled_image_pixels <= histogram.image_pixels).all()
    assert histogram.unit == "volume"
    assert histogram.labelled_pixels == sum(
        int(t.counts[t.values != 9].sum()) for t in tallies
    )  # which are pixels all the same


@given(volumes(), st.randoms(), st.integers(1, 4))
def test_order_and_blocks_change_no_bit(
    tallies: list[MaskTally], rng: random.Random, block: int
) -> None:
    mixed = rng.sample(tallies, len(tallies))
    assert same(of(tallies), of(mixed, block))


@given(volumes(), st.integers(0, 5), st.integers(1, 10**6))
def test_a_mask_cut_in_two_changes_no_bit_of_any_class(
    tallies: list[MaskTally], at: int, cut: int
) -> None:
    at %= len(tallies)
    whole = tallies[at]
    few = np.minimum(whole.counts, cut)
    parts = [
        MaskTally(
            f"{name}", (1, int(some.sum())), whole.encoding, whole.values[some > 0], some[some > 0]
        )
        for name, some in (("a", few), ("b", whole.counts - few))
        if some.sum()
    ]
    one, other = of(tallies), of([*tallies[:at], *parts, *tallies[at + 1 :]])
    assert one.mm3.tobytes() == other.mm3.tobytes()
    assert one.total_mm3 == other.total_mm3
    assert one.histogram.pixels.tolist() == other.histogram.pixels.tolist()


@given(st.data(), sizes)
def test_voxels_of_one_size_are_pixels(data: st.DataObject, size: float) -> None:
    tallies = data.draw(volumes(st.just(size)))
    found, pixels = of(tallies), ClassHistogram.of(CATALOG, TallyTable.of(tallies))
    for name in ("pixels", "masks", "image_pixels", "labelled_image_pixels"):
        assert getattr(found.histogram, name).tolist() == getattr(pixels, name).tolist()
    assert found.histogram.frequency.tobytes() == pixels.frequency.tobytes()
    assert found.unit == size
    for name, scheme in SCHEMES.items():
        weights = [compute(h, name, absent="one").weights for h in (found.histogram, pixels)]
        assert weights[0].tobytes() == weights[1].tobytes(), scheme


@given(volumes(st.floats(1e-12, 1e12)), st.integers(-20, 20), st.floats(1e-6, 1e6))
def test_another_unit_changes_no_share(tallies: list[MaskTally], power: int, factor: float) -> None:
    shares = of(tallies).histogram.frequency
    assert of(resized(tallies, 2.0**power)).histogram.frequency.tobytes() == shares.tobytes()
    other = of(resized(tallies, factor)).histogram.frequency
    assert other == pytest.approx(shares, rel=1e-9, abs=1e-15)


@given(volumes(), volumes())
def test_sizes_add_up(some: list[MaskTally], others: list[MaskTally]) -> None:
    one, other = (VoxelSizes.of(TallyTable.of(part)) for part in (some, others))
    every = [tally.encoding.voxel or 0.0 for tally in (*some, *others)]
    assert one + other == other + one == VoxelSizes(len(every), min(every), max(every))
    assert one + VoxelSizes() == VoxelSizes() + one == one
    assert (one + other).differ == (max(every) > 1.01 * min(every))
    histogram = ClassHistogram.of(CATALOG, TallyTable.of(some))
    assert ClassHistogram.from_text(CATALOG, histogram.to_text()) == histogram
    assert histogram.voxels == one


def test_totals_of_images_say_nothing_of_voxels() -> None:
    """And totals that older stores kept are read as they are."""
    tally = MaskTally.of_pixels("m", np.array([[0, 1]]), Encoding("png", "grey", 8))
    flat = MaskTally.of_pixels("n", np.array([[0, 1]]), Encoding("nifti", "int", 8, voxel=0.0))
    histogram = ClassHistogram.of(CATALOG, TallyTable.of([tally, flat]))
    assert histogram.voxels == VoxelSizes()
    assert not histogram.voxels.differ
    assert "voxels" not in histogram.to_text()


def test_volumes_are_no_numbers_of_pixels_and_do_not_add() -> None:
    tallies = [
        MaskTally.of_pixels("m", np.array([[0, 1]]), Encoding("nifti", "int", 8, voxel=size))
        for size in (1.0, 0.3)
    ]
    found = of(tallies).histogram
    with pytest.raises(UnknownCountsError, match="volumes are no number of pixels"):
        compute(found, "effective-number", parameters={"count": "pixels"}, absent="one")
    with pytest.raises(UnknownCountsError, match="do not add"):
        found + found
    table = compute(found, "sqrt", absent="one")
    assert table.unit == "shares"
    assert table.provenance["measure"] == "volume"
    assert "measure" not in compute(replace(found, unit="pixels"), absent="one").provenance
