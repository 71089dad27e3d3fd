"""Histograms: nothing vanishes, and they add up like numbers."""

from __future__ import annotations

import random
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.naming import natural_key
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.histogram import ClassHistogram, ValueCount
from maskstat.values.tally import Encoding, MaskTally, TallyTable, value_label
from tests.support.oracles import plain_counts
from tests.support.strategies import catalogs, tally_lists

GREY = Encoding("png", "grey", 8)
RGB = Encoding("png", "rgb", 8)


def of(catalog: ClassCatalog, tallies: list[MaskTally]) -> ClassHistogram:
    return ClassHistogram.of(catalog, TallyTable.of(tallies))


def mask(name: str, *values: int, encoding: Encoding = GREY) -> MaskTally:
    return MaskTally.of_pixels(name, np.array([values]), encoding)


@given(catalogs(), tally_lists())
def test_totals_are_what_a_plain_count_finds(
    catalog: ClassCatalog, tallies: list[MaskTally]
) -> None:
    histogram = of(catalog, tallies)
    plain = plain_counts(catalog, tallies)
    for name in ("pixels", "masks", "image_pixels", "labelled_image_pixels"):
        counts = getattr(plain, name)
        assert getattr(histogram, name).tolist() == [counts[k] for k in range(len(catalog))]
    assert histogram.ignored_pixels == plain.ignored
    assert histogram.unlisted_pixels == plain.unlisted
    assert histogram.total_pixels == plain.total
    assert histogram.mask_count == len(tallies)
    assert histogram.single_class_masks == plain.single_class_masks
    assert histogram.unlabelled_masks == plain.unlabelled_masks


@given(catalogs(), tally_lists())
def test_invariants(catalog: ClassCatalog, tallies: list[MaskTally]) -> None:
    h = of(catalog, tallies)
    assert h.labelled_pixels + h.ignored_pixels + h.unlisted_pixels == h.total_pixels
    assert np.array_equal(h.pixels > 0, h.masks > 0)
    assert np.array_equal(h.present, h.pixels > 0)
    assert (h.pixels <= h.labelled_image_pixels).all()
    assert (h.labelled_image_pixels <= h.image_pixels).all()
    assert (h.image_pixels <= h.total_pixels).all()
    assert (h.masks <= h.mask_count).all()
    assert np.isfinite(h.frequency).all()
    assert h.frequency.sum() == (pytest.approx(1) if h.labelled_pixels else 0)
    for name in ("pixels", "masks", "image_pixels", "labelled_image_pixels"):
        array = getattr(h, name)
        assert array.dtype == np.int64
        assert not array.flags.writeable


@given(catalogs(), tally_lists())
def test_values_that_are_no_class_are_listed_one_by_one(
    catalog: ClassCatalog, tallies: list[MaskTally]
) -> None:
    histogram = of(catalog, tallies)
    expected: dict[int | str, list[tuple[str, int]]] = {}
    for tally in tallies:
        targets = catalog.targets(TallyTable.of([tally]))
        for value, count, target in zip(tally.values, tally.counts, targets, strict=True):
            if target < 0:
                label = value_label(int(value), colour=tally.encoding.is_colour)
                expected.setdefault(label, []).append((tally.name, int(count)))
    listed = {**histogram.ignored, **histogram.unlisted}
    # One value may be ignored in 8-bit masks and unlisted in others, hence the sums.
    for label, masks in expected.items():
        both = [v[label] for v in (histogram.ignored, histogram.unlisted) if label in v]
        assert sum(count.pixels for count in both) == sum(pixels for _, pixels in masks)
        assert sum(count.masks for count in both) == len(masks)
        if label not in histogram.ignored:
            first = min((name for name, _ in masks), key=natural_key)
            assert histogram.unlisted[label].first == first
    assert listed.keys() == expected.keys()


# --- the monoid -------------------------------------------------------------------------------


@given(catalogs(), tally_lists(max_size=10), st.data())
def test_any_split_in_any_order_adds_up_to_the_whole(
    catalog: ClassCatalog, tallies: list[MaskTally], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(tallies)), max_size=4)))
    shuffled = data.draw(st.permutations(tallies))
    bounds = zip([0, *cuts], [*cuts, len(tallies)], strict=True)
    parts = data.draw(st.permutations([of(catalog, shuffled[a:b]) for a, b in bounds]))
    whole = of(catalog, tallies)
    assert sum(parts) == whole
    assert sum(parts, ClassHistogram.empty(catalog)) == whole
    assert sum(parts).counts_digest() == whole.counts_digest()


@given(catalogs(), tally_lists(), tally_lists(), tally_lists())
def test_identity_associativity_commutativity(
    catalog: ClassCatalog, first: list[MaskTally], second: list[MaskTally], third: list[MaskTally]
) -> None:
    a, b, c = (of(catalog, tallies) for tallies in (first, second, third))
    nothing = ClassHistogram.empty(catalog)
    assert a + nothing == nothing + a == a
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert of(catalog, []) == nothing


@given(catalogs(), catalogs())
def test_different_catalogues_do_not_add(left: ClassCatalog, right: ClassCatalog) -> None:
    a, b = ClassHistogram.empty(left), ClassHistogram.empty(right)
    if left.digest == right.digest:
        assert a + b == a
        return
    assert a != b
    with pytest.raises(ValueError, match="different catalogues"):
        _ = a + b


def test_only_histograms_add() -> None:
    nothing = ClassHistogram.empty(ClassCatalog.numbered(2))
    assert sum([nothing]) == nothing
    assert nothing != 0
    with pytest.raises(TypeError):
        _ = nothing + 1
    with pytest.raises(TypeError):
        _ = 1 + nothing


@given(catalogs(), tally_lists(), tally_lists())
def test_equal_histograms_are_equal_in_every_field(
    catalog: ClassCatalog, first: list[MaskTally], second: list[MaskTally]
) -> None:
    a, b = of(catalog, first), of(catalog, second)
    equal = all(
        np.array_equal(getattr(a, f.name), getattr(b, f.name))
        for f in fields(a)
        if f.name != "catalog"
    )
    assert (a == b) == equal


# --- single facts -----------------------------------------------------------------------------


def test_counts_beyond_double_precision_stay_exact() -> None:
    """A float64 sum of these is off by one."""
    catalog = ClassCatalog.numbered(2)
    tallies = [
        MaskTally(f"m{n}", (1, area), GREY, np.array([0]), np.array([area]))
        for n, area in enumerate([2**53, 1, 2**55 + 1])
    ]
    histogram = of(catalog, tallies)
    assert histogram.pixels.tolist() == [2**53 + 1 + 2**55 + 1, 0]
    assert histogram.image_pixels.tolist() == [2**53 + 1 + 2**55 + 1, 0]
    assert histogram.total_pixels == 2**53 + 1 + 2**55 + 1


def test_an_index_and_a_colour_of_the_same_number_are_listed_apart() -> None:
    histogram = of(ClassCatalog.numbered(2), [mask("a", 5, 5), mask("b", 5, encoding=RGB)])
    assert histogram.unlisted == {5: ValueCount(2, 1, "a"), "#000005": ValueCount(1, 1, "b")}


def test_the_first_mask_with_an_unlisted_value_is_first_in_natural_order() -> None:
    masks = [mask(name, 0, 9) for name in ("mask_10", "mask_9", "mask_100")]
    random.Random(0).shuffle(masks)
    parts = [of(ClassCatalog.numbered(2), [m]) for m in masks]
    assert sum(parts).unlisted[9] == ValueCount(3, 3, "mask_9")


def test_ignored_void_is_in_the_image_pixels_and_not_in_the_labelled_ones() -> None:
    histogram = of(ClassCatalog.numbered(2), [mask("a", 0, 0, 255, 1), mask("b", 255, 255)])
    assert histogram.pixels.tolist() == [2, 1]
    assert histogram.image_pixels.tolist() == [4, 4]
    assert histogram.labelled_image_pixels.tolist() == [3, 3]
    assert histogram.ignored == {255: ValueCount(3, 2)}
    assert histogram.unlabelled_masks == 1
    assert histogram.labelled_pixels == 3


def test_single_class_masks_are_counted_after_mapping() -> None:
    catalog = ClassCatalog((ClassInfo(0, "a", (1, 2)), ClassInfo(1, "b", (3,))))
    histogram = of(catalog, [mask("x", 1, 2), mask("y", 1, 3), mask("z", 3, 255)])
    assert histogram.single_class_masks == 2


def test_the_digest_covers_every_count_that_weights_are_made_from() -> None:
    catalog = ClassCatalog.numbered(2)
    base = of(catalog, [mask("a", 0, 1, 255)])
    changed = [
        replace(base, pixels=base.pixels + 1),
        replace(base, masks=base.masks + 1),
        replace(base, image_pixels=base.image_pixels + 1),
        replace(base, labelled_image_pixels=base.labelled_image_pixels + 1),
        replace(base, mask_count=2),
        replace(base, total_pixels=9),
        replace(base, catalog=catalog.ignoring([1])),
    ]
    digests = {histogram.counts_digest() for histogram in [base, *changed]}
    assert len(digests) == len(changed) + 1
