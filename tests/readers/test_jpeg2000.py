"""JPEG 2000: reversible ones give their samples as stored, and others are refused as JPEGs are."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from maskstat.errors import MaskError
from maskstat.readers.formats import read_label_map, read_tally
from maskstat.values.tally import Encoding
from tests.support.mask_files import (
    ALL,
    PALETTE_COLOURS,
    STRICT,
    check,
    coloured,
    colours_of,
    labels,
    refusal,
    saved,
)
from tests.support.packages import package

imagecodecs = package("imagecodecs", reason="needs maskstat[tiff]")

COD, COC, SOT = b"\xff\x52", b"\xff\x53", b"\xff\x90"


def jp2(pixels: NDArray[np.generic], **options: object) -> bytes:
    return saved(Image.fromarray(pixels), "JPEG2000", **options)


def stream(pixels: NDArray[np.generic], **options: object) -> bytes:
    return jp2(pixels, no_jp2=True, **options)


GREY = labels(200).astype(np.uint8)


@pytest.mark.parametrize("codec", ["jp2", "j2k"])
@pytest.mark.parametrize("bits", [1, 2, 4, 7, 8, 9, 12, 15, 16])
def test_depths_by_another_encoder(bits: int, codec: str) -> None:
    pixels = labels(1 << bits).astype(np.uint8 if bits <= 8 else np.uint16)
    data = imagecodecs.jpeg2k_encode(
        pixels, level=0, reversible=True, bitspersample=bits, codecformat=codec
    )
    assert np.array_equal(imagecodecs.jpeg2k_decode(data), pixels)
    check(data, pixels, Encoding("jpeg 2000", "grey", bits))


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("options", [{}, {"no_jp2": True}, {"tile_size": (4, 5)}, {"mct": 0}])
def test_colours(channels: int, options: dict[str, object]) -> None:
    pixels = coloured(channels)
    samples = "rgba" if channels == 4 else "rgb"
    data = saved(Image.fromarray(pixels), "JPEG2000", **options)
    check(data, colours_of(pixels), Encoding("jpeg 2000", samples, 8))


@pytest.mark.parametrize(
    "options",
    [
        {"tile_size": (4, 4)},
        {"num_resolutions": 1},
        {"progression": "RPCL"},
        {"codeblock_size": (4, 4)},
        {"offset": (3, 2), "tile_offset": (1, 1), "tile_size": (7, 7)},
        {"plt": True},
        {"comment": "a mask"},
    ],
)
def test_layouts(options: dict[str, object]) -> None:
    check(jp2(GREY, **options), GREY, Encoding("jpeg 2000", "grey", 8))
    check(stream(GREY, **options), GREY, Encoding("jpeg 2000", "grey", 8))


def with_boxes(data: bytes, *boxes: bytes) -> bytes:
    """A JP2 with boxes more in its header."""
    more = b"".join(struct.pack(">I", 4 + len(box)) + box for box in boxes)
    at = data.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", data, at)
    longer = field(data, at, ">I", size + len(more))
    return longer[: at + size] + more + longer[at + size :]


def test_palette_indices_are_as_stored() -> None:
    """A palette stands beside the codestream, of which alone samples are."""
    colours = bytes(sample for colour in PALETTE_COLOURS for sample in colour)
    palette = b"pclr" + struct.pack(">H4B", 256, 3, 7, 7, 7) + colours
    mapping = b"cmap" + b"".join(struct.pack(">H2B", 0, 1, column) for column in range(3))
    check(with_boxes(jp2(GREY), palette, mapping), GREY, Encoding("jpeg 2000", "grey", 8))


# --- lossy ---------------------------------------------------------------------------------------


def with_segment(data: bytes, segment: bytes, *, in_tile: bool = False) -> bytes:
    """A codestream with a segment more: in its main header, or in that of its only tile."""
    at = data.index(SOT)
    if not in_tile:
        return data[:at] + segment + data[at:]
    (size,) = struct.unpack_from(">I", data, at + 6)
    longer = data[: at + 6] + struct.pack(">I", size + len(segment)) + data[at + 10 :]
    return longer[: at + 12] + segment + longer[at + 12 :]


def irreversible_segment(data: bytes, marker: bytes) -> bytes:
    """That of coding, for one component or all, with the other wavelet."""
    at = data.index(COD)
    (length,) = struct.unpack_from(">H", data, at + 2)
    own = bytearray(data[at : at + 2 + length])
    if marker == COC:
        own = bytearray(COC + struct.pack(">H", 9) + b"\0\0" + own[9:14])
    own[-1] = 0
    return bytes(own)


@pytest.mark.parametrize("marker", [COD, COC])
@pytest.mark.parametrize("in_tile", [False, True])
def test_every_header_that_says_so_makes_it_lossy(marker: bytes, in_tile: bool) -> None:
    sound = stream(GREY)
    assert read_tally(sound, "m", STRICT).encoding == Encoding("jpeg 2000", "grey", 8)
    data = with_segment(sound, irreversible_segment(sound, marker), in_tile=in_tile)
    assert "9/7 compression is lossy" in refusal(data)


@pytest.mark.parametrize("options", [{}, {"quality_layers": [40]}, {"no_jp2": True}])
def test_lossy_ones_are_marked(options: dict[str, object]) -> None:
    data = jp2(coloured(3), irreversible=True, **options)
    assert "9/7 compression is lossy and invents classes at borders" in refusal(data)
    assert read_label_map(data, ALL).encoding.is_lossy


# --- hostile -------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [jp2(GREY), stream(GREY, tile_size=(5, 5))])
def test_nothing_is_made_up_where_a_file_is_cut_off(data: bytes) -> None:
    for length in range(len(data)):
        with pytest.raises(MaskError):
            read_tally(data[:length], "m", ALL)


def test_a_tile_that_is_missing() -> None:
    data = stream(GREY, tile_size=(5, 5))
    at = data.index(SOT)
    (size,) = struct.unpack_from(">I", data, at + 6)
    assert "with 8 of 9 tiles" in refusal(data[:at] + data[at + size :])


def field(data: bytes, at: int, form: str, value: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(form, changed, at, value)
    return bytes(changed)


def test_sizes_and_components_that_no_mask_has() -> None:
    data = stream(GREY)
    assert data[2:4] == b"\xff\x51"
    huge = field(field(data, 8, ">I", 1 << 31), 12, ">I", 1 << 31)
    wide = field(field(huge, 24, ">I", 1 << 31), 28, ">I", 1 << 31)
    for bad, said in {
        huge: "tiles",
        wide: "MiB",
        field(data, 24, ">I", 0): "impossible sizes",
        field(data, 16, ">I", 1 << 20): "impossible sizes",
        field(data, 40, ">H", 5): "several kinds of components",
        field(data, 40, ">H", 0): "several kinds of components",
        field(data, 42, ">B", 0x87): "signed or subsampled",
        field(data, 43, ">B", 2): "signed or subsampled",
        field(data, 42, ">B", 31): "32-bit JPEG 2000 of 1 components",
        field(data, data.index(SOT) + 6, ">I", 5): "cut off",
        field(data, data.index(SOT) + 6, ">I", 1 << 31): "cut off",
        field(data, data.index(COD) + 2, ">H", 0): "no header where one should be",
    }.items():
        assert said in refusal(bad, ALL), said


def test_boxes_that_change_colours_or_lie() -> None:
    data = jp2(coloured(3))
    at = data.index(b"colr") + 7
    assert data[at : at + 4] == struct.pack(">I", 16)
    assert "not RGB" in refusal(field(data, at, ">I", 18), ALL)
    start = data.index(b"jp2c") - 4
    assert "ends behind the file" in refusal(field(data, start, ">I", 1 << 30), ALL)
    assert "no codestream" in refusal(data[:start], ALL)
    sized = data[:start] + struct.pack(">I4sQ", 1, b"jp2c", len(data) - start + 8)
    check(sized + data[start + 8 :], colours_of(coloured(3)), Encoding("jpeg 2000", "rgb", 8))
    order = struct.pack(">4sH9H", b"cdef", 3, 0, 0, 3, 1, 0, 2, 2, 0, 1)
    assert "in another order" in refusal(with_boxes(data, order), ALL)


@given(st.data())
def test_damaged_headers_are_refused_or_read(draw: st.DataObject) -> None:
    data = stream(GREY)
    at = draw.draw(st.integers(4, data.index(b"\xff\x93")))
    damaged = field(data, at, ">B", draw.draw(st.integers(0, 255)))
    try:
        tally = read_tally(damaged, "m", ALL)
    except MaskError:
        refusal(damaged, ALL)
    else:
        tally.check()
