"""Catalogues: which raw value means which class, whatever the encoding; nothing belongs to two."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.errors import CatalogError
from maskstat.values.catalog import IGNORED, MAX_CLASSES, UNLISTED, ClassCatalog, ClassInfo
from maskstat.values.catalog_mapping import catalog_from_mapping
from maskstat.values.tally import Encoding, MaskTally, TallyTable, value_label
from tests.support.oracles import meaning
from tests.support.strategies import EIGHT_BIT, VALUES, catalogs, tally_lists

GREY = Encoding("png", "grey", 8)
GREY_16 = Encoding("png", "grey", 16)
RGB = Encoding("png", "rgb", 8)
WEBP = Encoding("webp", "rgb", 8)


def looked_up(catalog: ClassCatalog, encoding: Encoding, *values: int) -> list[int]:
    """Targets of one mask that has one pixel of each value."""
    pixels = np.array([sorted(values)], np.int64)
    table = TallyTable.of([MaskTally.of_pixels("m", pixels, encoding)])
    targets = dict(zip(sorted(values), catalog.targets(table).tolist(), strict=True))
    return [targets[value] for value in values]


@given(catalogs(), tally_lists())
def test_every_value_means_what_the_plain_rule_says(
    catalog: ClassCatalog, tallies: list[MaskTally]
) -> None:
    table = TallyTable.of(tallies)
    expected = [
        meaning(catalog, tally.encoding, value)
        for tally in tallies
        for value in tally.values.tolist()
    ]
    assert catalog.targets(table).tolist() == expected
    one_by_one = [catalog.targets_of(tally.encoding, tally.values).tolist() for tally in tallies]
    assert [target for targets in one_by_one for target in targets] == expected


def test_names_are_put_together_once() -> None:
    """Whoever asks for one name after another does not pay for all of them each time."""
    catalog = ClassCatalog.numbered(3)
    assert catalog.names is catalog.names
    assert replace(catalog, name="others").names == ("class_0", "class_1", "class_2")


def test_several_values_and_colours_may_mean_one_class() -> None:
    animal = ClassInfo(0, "animal", (3, 7, 300), (0x400000, 0x400080))
    catalog = ClassCatalog((animal, ClassInfo(1, "road", (1,), (0x804080,))))
    assert looked_up(catalog, GREY, 1, 3, 7, 9) == [1, 0, 0, UNLISTED]
    assert looked_up(catalog, GREY_16, 300) == [0]
    assert looked_up(catalog, RGB, 0x400000, 0x400080, 0x804080, 3) == [0, 0, 1, UNLISTED]


def test_255_is_ignored_by_default_in_8_bit_masks_only_and_only_where_it_is_no_class() -> None:
    five = ClassCatalog.numbered(5)
    assert looked_up(five, GREY, 255) == [IGNORED]
    assert looked_up(five, GREY_16, 255) == [UNLISTED]
    assert looked_up(five, RGB, 255) == [UNLISTED]
    assert looked_up(ClassCatalog.numbered(256), GREY, 255) == [255]
    assert looked_up(replace(five, ignore_255=False), GREY, 255) == [UNLISTED]


def test_grey_levels_of_a_format_without_grey_are_class_indices() -> None:
    catalog = ClassCatalog.numbered(3).ignoring([9], [0x123456])
    colours = (0x000000, 0x020202, 0x090909, 0x050505, 0xFFFFFF, 0x123456, 0x000002)
    assert looked_up(catalog, WEBP, *colours) == [
        0,
        2,
        IGNORED,
        UNLISTED,
        IGNORED,
        IGNORED,
        UNLISTED,
    ]
    coloured = ClassCatalog((ClassInfo(0, "black", (0,), (0,)), ClassInfo(1, "one", (1,))))
    assert looked_up(coloured, WEBP, 0x000000, 0x010101) == [0, UNLISTED]


@given(catalogs(), st.sets(st.sampled_from(VALUES)))
def test_ignoring_takes_values_away_and_keeps_indices(
    catalog: ClassCatalog, dropped: set[int]
) -> None:
    fewer = catalog.ignoring(dropped)
    assert fewer.names == catalog.names
    assert [info.index for info in fewer.classes] == list(range(len(catalog)))
    encoding = Encoding("npy", "int", 64)
    for value in VALUES:
        expected = IGNORED if value in dropped else meaning(catalog, encoding, value)
        assert looked_up(fewer, encoding, value) == [expected]


@given(catalogs(), st.sets(st.sampled_from(VALUES)), st.sets(st.sampled_from(VALUES)))
def test_ignoring_is_idempotent_and_order_does_not_matter(
    catalog: ClassCatalog, first: set[int], second: set[int]
) -> None:
    both = catalog.ignoring(first | second)
    assert catalog.ignoring(first).ignoring(second) == both
    assert both.ignoring(first) == both
    assert catalog.ignoring() == catalog


@given(catalogs())
def test_the_dict_form_loads_back_equal(catalog: ClassCatalog) -> None:
    document = json.loads(json.dumps(catalog.to_dict()))
    again = catalog_from_mapping(document, name="another")
    assert again == catalog
    assert again.digest == catalog.digest


@given(catalogs(), catalogs())
def test_equal_digests_mean_equal_counts(left: ClassCatalog, right: ClassCatalog) -> None:
    if left.digest != right.digest:
        assert left != right or left.name != right.name
        return
    for encoding in (GREY, GREY_16, RGB, WEBP):
        for value in EIGHT_BIT:
            assert looked_up(left, encoding, value) == looked_up(right, encoding, value)


def test_the_digest_covers_what_decides_a_pixels_class_and_nothing_else() -> None:
    base = ClassCatalog((ClassInfo(0, "a", (1, 2), (5,)), ClassInfo(1, "b", (3,))))
    a, b = base.classes
    others = [
        replace(base, classes=(replace(a, name="c"), b)),
        replace(base, classes=(replace(a, values=(1,)), b)),
        replace(base, classes=(replace(a, colours=()), b)),
        replace(base, ignored_values=frozenset({9})),
        replace(base, ignored_colours=frozenset({9})),
        replace(base, ignore_255=False),
        replace(base, classes=(a,)),
    ]
    digests = {base.digest, *(other.digest for other in others)}
    assert len(digests) == len(others) + 1
    same = replace(
        base, name="other", origin="preset", classes=(replace(a, values=(2, 1), colour=7), b)
    )
    assert same.digest == base.digest


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ClassCatalog(()), "1 to 65536 classes"),
        (lambda: ClassCatalog.numbered(0), "1 to 65536"),
        (lambda: ClassCatalog.numbered(-3), "-3"),
        (lambda: ClassCatalog.numbered(MAX_CLASSES + 1), "65537"),
        (lambda: ClassCatalog((ClassInfo(1, "a", (0,)),)), "index 1"),
        (lambda: ClassCatalog((ClassInfo(0, " ", (0,)),)), "class 0"),
        (lambda: ClassCatalog((ClassInfo(0, "a\0", (0,)),)), "class 0"),
        (lambda: ClassCatalog((ClassInfo(0, "\udcff", (0,)),)), "class 0"),
        (lambda: ClassCatalog((ClassInfo(0, "a\ud800", (0,)),)), "class 0"),
        (
            lambda: ClassCatalog((ClassInfo(0, "a", (0,)), ClassInfo(1, "a", (1,)))),
            "two classes are called 'a'",
        ),
        (
            lambda: ClassCatalog((ClassInfo(0, "a", (4,)), ClassInfo(1, "b", (4,)))),
            "value 4 belongs to class 'a' and to class 'b'",
        ),
        (
            lambda: ClassCatalog((ClassInfo(0, "a", (), (4,)), ClassInfo(1, "b", (), (4,)))),
            "colour #000004 belongs to class 'a' and to class 'b'",
        ),
        (
            lambda: ClassCatalog((ClassInfo(0, "a", (4,)),), ignored_values=frozenset({4})),
            "value 4 belongs to class 'a' and to the ignored values",
        ),
        (lambda: ClassCatalog((ClassInfo(0, "a", (2**63,)),)), "no pixel can have"),
        (lambda: ClassCatalog((ClassInfo(0, "a", (), (-1,)),)), "no pixel can have"),
        (lambda: ClassCatalog.numbered(2).ignoring([10**30]), "no pixel can have"),
    ],
)
def test_contradictions_are_named(make: Callable[..., Any], said: str) -> None:
    with pytest.raises(CatalogError) as caught:
        make()
    assert said in str(caught.value)


def test_a_value_and_a_colour_of_the_same_number_are_different_things() -> None:
    catalog = ClassCatalog((ClassInfo(0, "a", (4,)), ClassInfo(1, "b", (), (4,))))
    assert looked_up(catalog, GREY, 4) == [0]
    assert looked_up(catalog, RGB, 4) == [1]


@pytest.mark.parametrize(
    ("found", "eight_bit", "values"),
    [
        ({0, 1, 2}, True, [0, 1, 2]),
        ({0, 2}, True, [0, 1, 2]),  # index stays value although 1 never occurs
        ({3}, True, [0, 1, 2, 3]),
        ({0, 2, 255}, True, [0, 1, 2]),
        ({0, 2, 255}, False, list(range(256))),
        ({0, 300}, False, [0, 300]),
        ({-1, 0, 4}, False, [-1, 0, 4]),
        (set(), True, []),
    ],
)
def test_inferred_classes(found: set[int], eight_bit: bool, values: list[int]) -> None:
    catalog = ClassCatalog.inferred(found, eight_bit=eight_bit)
    assert [info.values for info in catalog.classes] == [(v,) for v in values]
    assert [info.name for info in catalog.classes] == [f"class_{v}" for v in values]
    assert catalog.origin == "inferred"


def test_just_0_and_255_is_a_binary_mask() -> None:
    catalog = ClassCatalog.inferred({0, 255}, eight_bit=True)
    assert catalog.names == ("background", "foreground")
    assert looked_up(catalog, GREY, 0, 255) == [0, 1]


def test_too_many_values_are_no_classes() -> None:
    with pytest.raises(CatalogError, match="too many"):
        ClassCatalog.inferred(range(-1, MAX_CLASSES), eight_bit=False)


def test_a_catalogue_to_infer_has_no_classes_yet() -> None:
    catalog = ClassCatalog.to_infer()
    assert len(catalog) == 0
    assert looked_up(catalog, GREY, 0, 7) == [UNLISTED, UNLISTED]
    assert catalog_from_mapping(catalog.to_dict(), name="x") == catalog


@pytest.mark.parametrize(
    ("value", "colour", "label"),
    [
        (7, False, 7),
        (-1, False, -1),
        (0x804080, True, "#804080"),
        (0x7F804080, True, "#80408080"),
        (0xFF000000, True, "#00000000"),
    ],
)
def test_values_are_written_as_people_write_them(
    value: int, colour: bool, label: int | str
) -> None:
    assert value_label(value, colour=colour) == label
