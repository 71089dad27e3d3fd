"""NPY: every type that holds whole numbers; headers that lie are found out."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.readers.formats import read_label_map, read_tally, read_tally_stream
from maskstat.readers.options import ReadOptions
from maskstat.values.tally import Encoding
from tests.support.mask_files import (
    ALL,
    SHAPE,
    check,
    coloured,
    colours_of,
    labels,
    npy,
    refusal,
    same_counts,
)

INTEGERS = [
    np.dtype(f"{order}{kind}{size}") for order in "<>" for kind in "iu" for size in (1, 2, 4, 8)
]


@pytest.mark.parametrize("dtype", sorted(set(INTEGERS), key=str), ids=str)
@pytest.mark.parametrize("fortran", [False, True])
def test_npy_integers(dtype: np.dtype[Any], fortran: bool) -> None:
    info = np.iinfo(dtype)
    high = min(info.max, 2**63 - 1)
    pixels = labels(high, low=info.min).astype(dtype)
    data = npy(np.asfortranarray(pixels) if fortran else pixels)
    kind = "int" if info.min else "uint"
    check(data, pixels, Encoding("npy", kind, 8 * dtype.itemsize))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, ">f4"])
def test_npy_floats_of_whole_numbers(dtype: str | type[Any]) -> None:
    pixels = labels(2000, low=-5).astype(dtype)
    check(npy(pixels), pixels, Encoding("npy", "float", 8 * np.dtype(dtype).itemsize))
    for bad in (0.5, -0.25, np.nan, np.inf, -np.inf):
        pixels[2, 2] = bad
        assert f"value {bad}" in refusal(npy(pixels))


@pytest.mark.parametrize("value", [2.0**63, -(2.0**64), 1e300])
def test_npy_floats_beyond_64_bits(value: float) -> None:
    assert "whole numbers" in refusal(npy(np.array([[value, 1]])))


def test_npy_bool() -> None:
    check(npy(labels(2).astype(bool)), labels(2), Encoding("npy", "bool", 1))


@pytest.mark.parametrize("options", [ALL, ReadOptions(channels="one-hot-first")])
def test_any_byte_but_0_is_true(options: ReadOptions) -> None:
    """As NumPy has it: other programs write -1, or 255."""
    truth = labels(2).astype(bool)
    stack = np.stack([truth, ~truth]) if options.channels else truth
    data = npy(stack)
    head = len(data) - stack.size
    other = data[:head] + bytes(np.where(stack, labels(256, low=1)[None] | 2, 0).astype(np.uint8))
    assert np.array_equal(np.load(io.BytesIO(other)), stack)
    for read in (read_label_map(data, options), read_label_map(other, options)):
        assert np.array_equal(read.pixels, ~truth if options.channels else truth)
    assert same_counts(read_tally(other, "m", options), read_tally(data, "m", options))


def test_npy_values_beyond_63_bits() -> None:
    assert str(2**63) in refusal(npy(np.array([[1, 2**63]], np.uint64)))


def test_npy_colours() -> None:
    for channels, samples in ((3, "rgb"), (4, "rgba")):
        data = npy(coloured(channels))
        check(data, colours_of(coloured(channels)), Encoding("npy", samples, 8))
        assert "catalogue with colours" in refusal(data)


@pytest.mark.parametrize("shape", [(1, *SHAPE), (*SHAPE, 1), (1, 1, *SHAPE), (1, *SHAPE, 1)])
def test_npy_axes_of_length_1_say_nothing(shape: tuple[int, ...]) -> None:
    pixels = labels(300).astype(np.uint16)
    check(npy(pixels.reshape(shape)), pixels, Encoding("npy", "uint", 16))


@pytest.mark.parametrize("shape", [(12,), (), (2, 3, 5), (5, 4, 3), (2, 1, 2, 2)])
def test_npy_of_other_shapes(shape: tuple[int, ...]) -> None:
    reason = refusal(npy(np.zeros(shape, np.uint16)), ALL)
    assert "(H, W)" in reason
    assert str(shape) in reason


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0,)])
def test_npy_without_pixels(shape: tuple[int, ...]) -> None:
    assert "no pixels" in refusal(npy(np.zeros(shape, np.uint8)))


@pytest.mark.parametrize(
    "array",
    [
        np.array([["a"]]),
        np.array([[1j]]),
        np.array([[None]], object),
        np.array([[(1, 2)]], [("a", "u1"), ("b", "u1")]),
        np.array([["2020-01-01"]], "datetime64[D]"),
    ],
)
def test_npy_of_other_types(array: NDArray[Any]) -> None:
    assert "whole numbers are expected" in refusal(npy(array))


def npy_header(text: str, payload: bytes = b"", version: bytes = b"\1\0") -> bytes:
    head = text.encode("latin1")
    return b"\x93NUMPY" + version + struct.pack("<H", len(head)) + head + payload


@pytest.mark.parametrize(
    "data",
    [
        npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (9, 9), }", b"\0" * 80),
        npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (9, 9), }", b"\0" * 82),
        npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (10**9, 9), }", b"\0"),
        npy_header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({10**15}, {10**15}), }}"),
        npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, -1), }", b"\0"),
        npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (True, 1), }", b"\0\0"),
        npy_header("{'descr': '|O', 'fortran_order': False, 'shape': (1, 1), }", b"\0" * 8),
        npy_header("{'descr': '|u1', 'fortran_order': 7, 'shape': (1, 1), }", b"\0"),
        npy_header("__import__('os').abort()"),
        npy_header("(" * 9000),
        npy_header("{'descr': '<u2L', 'shape': (1L, 1L)}"),
        npy_header("", version=b"\3\0"),
        npy_header("", version=b"\xff\xff"),
        b"\x93NUMPY",
        b"\x93NUMPY\1\0",
        npy(labels(9))[:-1],
        npy(labels(9))[:50],
    ],
)
def test_npy_headers_that_lie(data: bytes) -> None:
    refusal(data)


def test_streams_are_of_the_length_that_their_header_says() -> None:
    data = npy(labels(200).astype(np.uint8))
    for wrong, said in ((data[:-1], "has fewer than"), (data + b"\0", "has more than")):
        with pytest.raises(MaskError, match=said):
            read_tally_stream(io.BytesIO(wrong), "m", ALL)
