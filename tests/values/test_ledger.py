"""Ledgers: the sparse mask x class table equals the plain one, row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.naming import natural_key
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import Encoding, MaskTally, TallyTable
from tests.support.oracles import plain_counts
from tests.support.strategies import catalogs, tally_lists


def same(left: MaskLedger, right: MaskLedger) -> bool:
    arrays = ("areas", "indptr", "classes", "pixels")
    return (left.class_count, left.names) == (right.class_count, right.names) and all(
        np.array_equal(getattr(left, name), getattr(right, name)) for name in arrays
    )


@given(catalogs(), tally_lists())
def test_rows_are_what_a_plain_count_finds(catalog: ClassCatalog, tallies: list[MaskTally]) -> None:
    ledger = MaskLedger.of(catalog, TallyTable.of(tallies))
    plain = plain_counts(catalog, tallies)
    assert ledger.names == tuple(tally.name for tally in tallies)
    assert ledger.areas.tolist() == [tally.area for tally in tallies]
    for number, tally in enumerate(tallies):
        entries = slice(ledger.indptr[number], ledger.indptr[number + 1])
        row = dict(
            zip(ledger.classes[entries].tolist(), ledger.pixels[entries].tolist(), strict=True)
        )
        assert row == plain.rows[tally.name]
        assert ledger.labelled[number] == sum(row.values())
        assert ledger.class_counts[number] == len(row)


@given(catalogs(), tally_lists())
def test_form(catalog: ClassCatalog, tallies: list[MaskTally]) -> None:
    ledger = MaskLedger.of(catalog, TallyTable.of(tallies))
    assert ledger.indptr[0] == 0
    assert ledger.indptr[-1] == ledger.classes.size == ledger.pixels.size
    assert ledger.indptr.size == len(ledger) + 1
    assert (ledger.pixels >= 1).all()
    assert ((ledger.classes >= 0) & (ledger.classes < len(catalog))).all()
    for start, stop in zip(ledger.indptr[:-1], ledger.indptr[1:], strict=True):
        assert (np.diff(ledger.classes[start:stop]) > 0).all()
    for array in (ledger.areas, ledger.indptr, ledger.classes, ledger.pixels):
        assert array.dtype == np.int64
        assert not array.flags.writeable


@given(catalogs(), tally_lists())
def test_column_sums_are_the_histogram(catalog: ClassCatalog, tallies: list[MaskTally]) -> None:
    table = TallyTable.of(tallies)
    ledger = MaskLedger.of(catalog, table)
    histogram = ClassHistogram.of(catalog, table)
    dense = ledger.dense()
    assert dense.shape == (len(tallies), len(catalog))
    assert np.array_equal(dense.sum(axis=0), histogram.pixels)
    assert np.array_equal((dense > 0).sum(axis=0), histogram.masks)
    assert np.array_equal(ledger.areas @ (dense > 0), histogram.image_pixels)
    assert np.array_equal(ledger.labelled @ (dense > 0), histogram.labelled_image_pixels)
    assert histogram == ClassHistogram.of(catalog, table, ledger)


@given(catalogs(), tally_lists(), st.data())
def test_any_cut_joins_again(
    catalog: ClassCatalog, tallies: list[MaskTally], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(tallies)), max_size=3)))
    bounds = zip([0, *cuts], [*cuts, len(tallies)], strict=True)
    parts = [MaskLedger.of(catalog, TallyTable.of(tallies[a:b])) for a, b in bounds]
    whole = MaskLedger.of(catalog, TallyTable.of(tallies))
    assert same(MaskLedger.concatenate(parts, len(catalog)), whole)


@given(catalogs(), tally_lists(), st.data())
def test_taking_rows(catalog: ClassCatalog, tallies: list[MaskTally], data: st.DataObject) -> None:
    ledger = MaskLedger.of(catalog, TallyTable.of(tallies))
    rows = data.draw(st.lists(st.integers(0, len(tallies) - 1))) if tallies else []
    taken = ledger.take(rows)
    assert taken.names == tuple(ledger.names[row] for row in rows)
    assert np.array_equal(taken.dense(), ledger.dense()[rows].reshape(-1, len(catalog)))
    assert taken.areas.tolist() == [int(ledger.areas[row]) for row in rows]


@given(catalogs(), tally_lists())
def test_natural_order(catalog: ClassCatalog, tallies: list[MaskTally]) -> None:
    ordered = MaskLedger.of(catalog, TallyTable.of(tallies)).naturally_sorted()
    resorted = sorted(tallies, key=lambda tally: natural_key(tally.name))
    assert same(ordered, MaskLedger.of(catalog, TallyTable.of(resorted)))


@given(
    st.lists(
        st.one_of(
            st.from_regex(r"[ab\u00e9\U0001f600]{1,2}/[0-9]{2}_[0-9]{1,2}x", fullmatch=True),
            st.text(alphabet="ab01\u0661\ud800\uffff", max_size=4),
        ),
        unique=True,
    ),
    st.sampled_from([1, 2, 3, 8192]),
)
def test_names_that_ascend_are_taken_for_sorted_only_where_they_are(
    names: list[str], block: int
) -> None:
    grey = Encoding("png", "grey", 8)
    one = np.ones(1, np.int64)
    table = TallyTable.of(MaskTally(name, (1, 1), grey, one, one) for name in sorted(names))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("maskstat.values.ledger._BLOCK", block)
        ordered = MaskLedger.of(ClassCatalog.numbered(3), table).naturally_sorted()
    assert list(ordered.names) == sorted(names, key=natural_key)


def test_no_key_is_made_where_numbers_are_equally_long(monkeypatch: pytest.MonkeyPatch) -> None:
    grey, one = Encoding("png", "grey", 8), np.ones(1, np.int64)
    names = [f"train/{number:05d}.png" for number in range(20_000)]
    table = TallyTable.of(MaskTally(name, (1, 1), grey, one, one) for name in names)
    ledger = MaskLedger.of(ClassCatalog.numbered(3), table)
    monkeypatch.setattr("maskstat.naming.natural_key", None)
    assert ledger.naturally_sorted() is ledger


def test_no_ledgers_make_an_empty_one() -> None:
    empty = MaskLedger.concatenate([], 3)
    assert len(empty) == 0
    assert empty.dense().shape == (0, 3)
    assert empty.labelled.size == empty.class_counts.size == 0
    assert same(empty.naturally_sorted(), empty)


def test_ledgers_of_different_classes_do_not_join() -> None:
    none = TallyTable.of([])
    two, three = (MaskLedger.of(ClassCatalog.numbered(k), none) for k in (2, 3))
    with pytest.raises(ValueError, match="do not join"):
        MaskLedger.concatenate([two, three], 2)


def test_presence_is_decided_after_values_are_mapped() -> None:
    """Two values of one class in a mask are one occurrence of the class."""
    catalog = ClassCatalog((ClassInfo(0, "b", (5,)), ClassInfo(1, "a", (1, 2, 9))))
    pixels = np.array([[1, 2, 9, 5]])
    ledger = MaskLedger.of(
        catalog, TallyTable.of([MaskTally.of_pixels("m", pixels, Encoding("png", "grey", 8))])
    )
    assert ledger.classes.tolist() == [0, 1]
    assert ledger.pixels.tolist() == [1, 3]
