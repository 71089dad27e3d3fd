"""The class index: ranks of a class are its pixels, all of them, each once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from maskstat.crops.class_index import ClassIndex
from maskstat.errors import ParameterError

CLASSES = 4
Masks = list[NDArray[np.int64]]


@st.composite
def label_sets(draw: st.DrawFn) -> Masks:
    """Up to five masks of few classes each, some pixels of none."""
    masks: Masks = []
    for _ in range(draw(st.integers(1, 5))):
        shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
        pool = draw(st.lists(st.sampled_from([-1, 255, *range(CLASSES)]), min_size=1, max_size=4))
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        pixels = rng.choice(pool, shape)
        if draw(st.booleans()):  # long runs
            pixels = np.repeat(np.repeat(pixels, 4, axis=1), 2, axis=0)
        if draw(st.integers(0, 9)) == 0:  # more runs than a block has
            pixels = rng.choice(pool, (draw(st.integers(20, 40)), draw(st.integers(20, 200))))
        masks.append(pixels.astype(np.int64))
    return masks


def indexed(masks: Masks) -> ClassIndex:
    return ClassIndex.of_labels([f"m{at}" for at in range(len(masks))], masks, CLASSES)


@given(label_sets())
def test_ranks_are_the_pixels_in_order(masks: Masks) -> None:
    index = indexed(masks)
    for k in range(CLASSES):
        every = [np.argwhere(mask == k) for mask in masks]
        counts = [len(one) for one in every]
        assert [index.pixels(k, at) for at in range(len(masks))] == counts
        assert index.pixels(k) == index.class_pixels[k] == sum(counts)
        for at, one in enumerate(every):
            if len(one):
                found = index.pixel(k, np.arange(len(one)), at)
                assert (found.mask == np.full(len(one), at)).all()
                np.testing.assert_array_equal(np.stack(found[1:], axis=1), one)
        if sum(counts):
            found = index.pixel(k, np.arange(sum(counts)))
            of_masks = np.repeat(np.arange(len(masks)), counts)
            expected = np.column_stack([of_masks, np.concatenate(every)])
            np.testing.assert_array_equal(np.stack(found, axis=1), expected)


@given(label_sets(), st.integers(0, 2**32), st.booleans())
def test_a_number_is_an_array_of_one(masks: Masks, seed: int, in_mask: bool) -> None:
    """Classes, masks and places broadcast; numbers give numbers; shares give the ranks they are."""
    index, rng = indexed(masks), np.random.default_rng(seed)
    table = [[int((mask == k).sum()) for mask in masks] for k in range(CLASSES)]
    entries = np.argwhere(np.array(table))
    if not len(entries):
        return
    classes, within = entries[rng.integers(0, len(entries), 20)].T
    shares = rng.random(20)
    asked = within if in_mask else None
    found = index.pixel(classes, shares, asked)
    for at, (k, mask, share) in enumerate(zip(classes, within, shares, strict=True)):
        one = (int(mask),) if in_mask else ()
        alone = index.pixel(int(k), float(share), *one)
        assert all(type(number) is int for number in alone)
        assert alone == tuple(int(part[at]) for part in found)
        rank = int(share * index.pixels(int(k), *one))
        assert alone == index.pixel(int(k), rank, *one)
        assert masks[alone.mask][alone.row, alone.column] == k


@given(label_sets(), st.integers(1, 40))
def test_masks_with_a_class(masks: Masks, least: int) -> None:
    index = indexed(masks)
    for k in range(CLASSES):
        expected = [at for at, mask in enumerate(masks) if (mask == k).sum() >= least]
        assert index.masks_with(k, least).tolist() == expected


def test_the_last_share_is_the_last_pixel() -> None:
    """However the product of share and count is rounded."""
    index = indexed([np.zeros((7, 5), np.int64)])
    assert index.pixel(0, np.nextafter(1, 0)) == (0, 6, 4)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ((CLASSES, 0), "there is no class 4, only 4 classes"),
        ((-1, 0), "there is no class -1"),
        ((0.5, 0), "position"),
        ((0, 6), "has the rank 6 of 6 pixels"),
        ((0, -1), "rank -1"),
        ((0, 1.0), "from 0 to below 1"),
        ((0, float("nan")), "from 0 to below 1"),
        ((0, "x"), "is a share"),
        ((0, 0, 2), "there is no mask 2, only 2 masks"),
        ((0, 0, 1), "class class_0 has no pixel in the mask"),
        ((3, 0), "class class_3 has no pixel in any mask"),
    ],
)
def test_what_can_not_be_drawn(asked: tuple[float, ...], message: str) -> None:
    index = indexed([np.zeros((2, 3), np.int64), np.ones((2, 3), np.int64)])
    with pytest.raises(ParameterError, match=message):
        index.pixel(*asked)


@pytest.mark.parametrize(
    ("names", "labels", "message"),
    [
        (["a", "a"], [np.zeros((1, 1), int)] * 2, "twice"),
        (["a"], [np.zeros((1, 1), int)] * 2, "2 masks, and 1 name"),
        (["a"], [np.zeros((1, 1))], "float64"),
        (["a"], [np.zeros(3, int)], "H, W"),
        (["a"], [np.zeros((0, 3), int)], "H, W"),
        (["a"], [np.full((1, 1), 4)], "the label 4 is no class: there are 4"),
    ],
)
def test_what_is_no_mask(names: list[str], labels: Masks, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ClassIndex.of_labels(names, labels, CLASSES)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint64"])
def test_the_type_of_labels_does_not_matter(dtype: str) -> None:
    wide = np.array([[0, 1, 1], [2, 0, -1 if dtype.startswith("i") else 0]])
    if dtype != "int8":
        wide[0, 0] = 255
    index = ClassIndex.of_labels(["a"], [wide.astype(dtype)], 3)
    counts = [int((wide == k).sum()) for k in range(3)]
    assert index.class_pixels.tolist() == counts


@given(label_sets())
def test_the_ledger_is_a_plain_count(masks: Masks) -> None:
    index = indexed(masks)
    ledger = index.ledger
    expected = [[int((mask == k).sum()) for k in range(CLASSES)] for mask in masks]
    assert ledger.dense().tolist() == expected
    assert ledger.names == index.names
    assert ledger.areas.tolist() == [mask.size for mask in masks]
    rows = np.repeat(np.arange(len(ledger)), ledger.class_counts)
    assert (np.diff(rows * CLASSES + ledger.classes) > 0).all()
