"""Counts that nobody made are unknown, never 0."""

import copy
import pickle
from dataclasses import fields, replace

import numpy as np
import pytest

from maskstat.errors import MaskstatError, UnknownCountsError, WeightError
from maskstat.values.catalog import ClassCatalog
from maskstat.values.histogram import ClassHistogram, ValueCount
from maskstat.values.known import Known, known
from maskstat.weights.schemes import ClassCounts

CATALOG = ClassCatalog.numbered(3)
FIELDS = [
    f.name for f in fields(ClassHistogram) if isinstance(vars(ClassHistogram).get(f.name), Known)
]


def given(**more: object) -> ClassHistogram:
    return ClassHistogram(CATALOG, np.array([5, 0, 7]), **more)  # type: ignore[arg-type]


def counted() -> ClassHistogram:
    return ClassHistogram(
        CATALOG,
        np.array([1, 2, 3]),
        np.array([1, 1, 2]),
        np.array([8, 8, 16]),
        np.array([3, 3, 6]),
        {255: ValueCount(4, 1)},
        {9: ValueCount(6, 2, "a")},
        2,
        1,
        0,
        16,
    )


def test_the_fields_that_may_be_unknown() -> None:
    assert FIELDS == [
        "masks",
        "image_pixels",
        "labelled_image_pixels",
        "ignored",
        "mask_count",
        "single_class_masks",
        "unlabelled_masks",
        "total_pixels",
    ]


@pytest.mark.parametrize("name", FIELDS)
def test_an_unknown_field_raises_and_a_known_one_is_read(name: str) -> None:
    with pytest.raises(UnknownCountsError, match=r"is unknown: .*; scan the masks") as raised:
        getattr(given(), name)
    assert isinstance(raised.value, WeightError)
    assert isinstance(raised.value, MaskstatError)
    assert known(given(), name) is None
    assert name in given().unknown
    value = counted()
    assert known(value, name) is getattr(value, name)
    assert value.unknown == ()


def test_what_follows_from_an_unknown_field_is_unknown() -> None:
    with pytest.raises(UnknownCountsError):
        _ = given().ignored_pixels
    assert given().unlisted_pixels == 0
    assert given().labelled_pixels == 12
    assert given().frequency.tolist() == [5 / 12, 0, 7 / 12]


def test_zero_is_known() -> None:
    zero = given(mask_count=0, masks=np.zeros(3, np.int64), ignored={})
    assert (zero.mask_count, zero.masks.tolist(), zero.ignored_pixels) == (0, [0, 0, 0], 0)
    assert set(zero.unknown) == set(FIELDS) - {"mask_count", "masks", "ignored"}


def test_what_one_side_does_not_know_nobody_knows_of_the_sum() -> None:
    for left, right in ((given(), counted()), (counted(), given())):
        total = left + right
        assert total.pixels.tolist() == [6, 2, 10]
        assert set(total.unknown) == set(FIELDS)
        assert total.unlisted == counted().unlisted
    both = given(masks=np.array([1, 0, 1])) + counted()
    assert both.masks.tolist() == [2, 1, 3]
    assert set(both.unknown) == set(FIELDS) - {"masks"}


def test_histograms_with_unknowns_are_a_monoid() -> None:
    values = [given(), counted(), given(masks=np.array([1, 0, 1])), given(mask_count=4)]
    empty = ClassHistogram.empty(CATALOG)
    for a in values:
        assert a + empty == a == empty + a
        assert sum([a]) == a
        for b in values:
            assert a + b == b + a
            for c in values:
                assert (a + b) + c == a + (b + c)


def test_shares_do_not_add() -> None:
    shares = given(unit="shares")
    for left, right in ((shares, shares), (shares, counted()), (given(), shares)):
        with pytest.raises(UnknownCountsError, match="shares do not add"):
            left + right
    empty = ClassHistogram.empty(CATALOG)
    assert shares + empty == shares == empty + shares


def test_of_shares_no_number_of_pixels_is_known() -> None:
    shares = given(unit="shares")
    with pytest.raises(UnknownCountsError, match="the number of pixels is unknown"):
        _ = shares.labelled_pixels
    assert shares.frequency.tolist() == given().frequency.tolist()
    assert "labelled_pixels" in shares.unknown
    counts = ClassCounts(np.array([1]), unit="shares")
    with pytest.raises(UnknownCountsError, match="the number of pixels is unknown"):
        _ = counts.exact_pixels


def test_equality_and_digest_tell_unknown_from_zero() -> None:
    zeros = np.zeros(3, np.int64)
    kinds = [given(), given(masks=zeros), given(mask_count=0), given(unit="shares"), counted()]
    for i, a in enumerate(kinds):
        for j, b in enumerate(kinds):
            assert (a == b) is (i == j)
    assert len({kind.counts_digest() for kind in kinds}) == len(kinds)


def test_values_with_unknowns_copy_and_travel() -> None:
    for value in (given(), counted(), given(unit="shares", mask_count=3)):
        assert pickle.loads(pickle.dumps(value)) == value
        assert copy.copy(value) == value
        assert "\n" not in repr(value)
    assert replace(counted(), total_pixels=None).unknown == ("total_pixels",)
    with pytest.raises(AttributeError):
        given().mask_count = 3  # type: ignore[misc]
