"""Tallies: raw values that occur with their pixels, however they were counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from maskstat.readers.tallying import count_pixels
from maskstat.values.tally import Encoding, MaskTally, TallyTable
from tests.support.strategies import ENCODINGS, label_maps, tallies, tally_lists

GREY = Encoding("png", "grey", 8)


def as_dict(tally: MaskTally) -> dict[int, int]:
    return dict(zip(tally.values.tolist(), tally.counts.tolist(), strict=True))


@given(label_maps())
def test_counting_pixels(pixels: NDArray[Any]) -> None:
    tally = MaskTally.of_pixels("m", pixels, GREY)
    tally.check()
    flat = pixels.reshape(-1).tolist()
    assert as_dict(tally) == {value: flat.count(value) for value in flat}
    assert tally.area == pixels.size
    assert tally.shape == pixels.shape


@given(
    label_maps(),
    st.sampled_from([np.uint8, np.int8, np.uint16, np.int32, np.uint32, np.int64, np.uint64]),
    st.booleans(),
    st.integers(1, 7),
)
def test_counting_by_bands_is_counting(
    pixels: NDArray[Any], dtype: type[Any], fortran: bool, band: int
) -> None:
    if dtype is np.uint64:  # where a negative value would be one beyond int64, which is refused
        pixels = pixels & (2**63 - 1)
    array = np.asarray(pixels.astype(dtype), order="F" if fortran else "C")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("maskstat.readers.tallying._BAND_PIXELS", band)
        fast = count_pixels("m", array, GREY)
    fast.check()
    assert as_dict(fast) == as_dict(MaskTally.of_pixels("m", array.astype(np.int64), GREY))
    assert fast.shape == array.shape


@given(st.lists(st.integers(0, 9), min_size=1, max_size=300).filter(any))
def test_a_dense_histogram_is_a_tally(bins: list[int]) -> None:
    total = sum(bins)
    tally = MaskTally.of_bins("m", (1, total), GREY, np.array(bins, np.int64))
    tally.check()
    assert as_dict(tally) == {value: count for value, count in enumerate(bins) if count}


@pytest.mark.parametrize(
    ("values", "counts", "shape"),
    [
        ([1, 0], [2, 2], (2, 2)),
        ([0, 0], [2, 2], (2, 2)),
        ([0, 1], [4, 0], (2, 2)),
        ([0, 1], [5, -1], (2, 2)),
        ([0], [3], (2, 2)),
        ([0, 1], [4], (2, 2)),
    ],
)
def test_broken_invariants_are_found(
    values: list[int], counts: list[int], shape: tuple[int, ...]
) -> None:
    tally = MaskTally("m", shape, GREY, np.array(values, np.int64), np.array(counts, np.int64))
    with pytest.raises(ValueError, match=r"values|counts"):
        tally.check()


def test_wrong_types_are_found() -> None:
    tally = MaskTally("m", (1, 1), GREY, np.array([0], np.uint8), np.array([1], np.int64))
    with pytest.raises(ValueError, match="int64"):
        tally.check()


@given(tally_lists())
def test_a_table_holds_its_tallies(rows: list[MaskTally]) -> None:
    table = TallyTable.of(rows)
    assert len(table) == len(rows)
    assert table.names == tuple(row.name for row in rows)
    assert table.areas.tolist() == [row.area for row in rows]
    assert table.encodings == tuple(row.encoding for row in rows)
    for number, row in enumerate(rows):
        entries = slice(table.indptr[number], table.indptr[number + 1])
        assert np.array_equal(table.values[entries], row.values)
        assert np.array_equal(table.counts[entries], row.counts)
        assert tuple(table.shapes[number].tolist()) == row.shape
    for array in (table.shapes, table.indptr, table.values, table.counts, table.areas):
        assert array.dtype == np.int64


@given(tally_lists())
def test_index_values_leave_colours_out(rows: list[MaskTally]) -> None:
    def expected(eight_bit: bool) -> list[int]:
        found: set[int] = set()
        for row in rows:
            if not row.encoding.is_colour and (row.encoding.bits == 8) == eight_bit:
                found.update(row.values.tolist())
            if eight_bit and row.encoding.container == "webp":
                found.update(v & 255 for v in row.values.tolist() if v == (v & 255) * 0x010101)
        return sorted(found)

    table = TallyTable.of(rows)
    for eight_bit in (True, False):
        assert table.index_values(eight_bit=eight_bit).tolist() == expected(eight_bit)


@given(tallies())
def test_encodings_survive_as_text(tally: MaskTally) -> None:
    encoding = tally.encoding
    assert Encoding.from_text(encoding.to_text()) == encoding
    lossy = encoding.lossy()
    assert lossy.is_lossy
    assert not encoding.is_lossy
    assert lossy.lossy() == lossy
    assert Encoding.from_text(lossy.to_text()) == lossy


def test_what_encodings_say() -> None:
    eight_bit = [e for e in ENCODINGS if e.is_eight_bit]
    assert eight_bit == [*ENCODINGS[:2], ENCODINGS[-1]]
    assert [e.samples for e in ENCODINGS if e.is_colour] == ["rgb", "rgba", "rgb"]
    assert Encoding("png", "greyalpha", 8).is_colour
    assert str(Encoding("png", "grey", 4)) == "png grey 4-bit"
