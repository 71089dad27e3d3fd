"""TIFFs through tifffile: every layout by windows, overviews, pages, channels; hostile sizes."""

from __future__ import annotations

import ast
import contextlib
import io
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.readers import tiff as tiff_reader
from maskstat.readers import tiff_segments
from maskstat.readers.formats import read_label_map, read_tally, read_tally_stream
from maskstat.readers.options import ReadOptions
from maskstat.values.tally import Encoding, MaskTally
from tests.support.interpreters import run_script
from tests.support.mask_files import (
    ALL,
    check,
    coloured,
    colours_of,
    from_tifffile,
    labels,
    refusal,
    sparse,
)
from tests.support.packages import package
from tests.support.tiff_factory import (
    BITS,
    HEIGHT,
    ROWS_PER_STRIP,
    SAMPLES,
    STRIP_BYTES,
    STRIP_OFFSETS,
    WHITE_IS_ZERO,
    WIDTH,
    tiff,
)
from tests.support.tracing import stop_tracing

tifffile = package("tifffile", reason="needs maskstat[tiff]")

LARGE = np.repeat(np.arange(5 * 40, dtype=np.uint16).reshape(40, 5) % 23, 13, axis=1)  # 40 x 65
NEW_SUBFILE, TILE_WIDTH, TILE_HEIGHT = 254, 322, 323


@pytest.fixture
def by_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every TIFF goes to tifffile, as those do that Pillow can't read."""
    monkeypatch.setattr(tiff_reader, "_beyond_pillow", lambda *_: "this test")


def pages_of(*pages: dict[str, Any], **options: Any) -> bytes:
    """A TIFF of several pages, each written with its own options."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, **options) as writer:
        for page in pages:
            writer.write(metadata=None, **page)
    return stream.getvalue()


def plain(data: bytes, **options: Any) -> NDArray[np.int64]:
    """The pixels of the first page by tifffile alone."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return np.asarray(file.pages[0].asarray(**options)).astype(np.int64)


# --- every layout ------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd", "lzma", "packbits"])
@pytest.mark.parametrize("layout", [{"tile": (16, 32)}, {"rowsperstrip": 7}, {}])
@pytest.mark.parametrize("dtype", ["<u1", ">u2", "<i2", ">u4", "<i8", ">f4", "<f8"])
def test_layouts_and_compressions(
    by_windows: None, compression: str | None, layout: dict[str, Any], dtype: str
) -> None:
    pixels = LARGE.astype(dtype)
    predicts = compression not in {None, "packbits"} and dtype[1:] in {"u1", "u2", "i2", "u4"}
    data = from_tifffile(
        pixels,
        compression=compression,
        byteorder=dtype[0],
        bigtiff=dtype[1] == "u",
        predictor=predicts,
        **layout,
    )
    assert np.array_equal(plain(data), LARGE)
    kind = {"u": "grey", "i": "int", "f": "float"}[np.dtype(dtype).kind]
    bits = np.dtype(dtype).itemsize * 8
    check(data, pixels, Encoding("tiff", "uint" if dtype == ">u4" else kind, bits))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("photometric", [WHITE_IS_ZERO, 1, 3])
@pytest.mark.parametrize("reverse_bits", [False, True])
def test_small_samples_are_what_pillow_has(
    by_windows: None, bits: int, photometric: int, reverse_bits: bool
) -> None:
    """`test_readers_tiff` says the same of Pillow."""
    pixels = labels(1 << bits)
    data = tiff(pixels, bits, photometric=photometric, reverse_bits=reverse_bits)
    check(data, pixels, Encoding("tiff", "palette" if photometric == 3 else "grey", bits))


@pytest.mark.parametrize("bits", [3, 5, 12])
def test_samples_of_odd_sizes(bits: int) -> None:
    """Pillow knows none of them."""
    pixels = labels(1 << bits)
    digits = (pixels[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    packed = np.packbits(digits.reshape(len(pixels), -1).astype(np.uint8), axis=1)
    data = tiff(packed, 8, extra={WIDTH: (pixels.shape[1],), BITS: (bits,)})
    check(data, pixels, Encoding("tiff", "grey", bits))


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("layout", [{"tile": (16, 16)}, {"rowsperstrip": 3, "compression": "lzw"}])
def test_colours(by_windows: None, planar: str, channels: int, layout: dict[str, Any]) -> None:
    pixels = coloured(channels)
    stored = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0)
    extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    data = from_tifffile(stored, photometric="rgb", planarconfig=planar, **layout, **extra)
    check(data, colours_of(pixels), Encoding("tiff", "rgb" if channels == 3 else "rgba", 8))
    assert "catalogue with colours" in refusal(data)


def test_16_bit_colours_are_refused_here_too(by_windows: None) -> None:
    data = from_tifffile(np.zeros((4, 4, 3), np.uint16), photometric="rgb")
    assert "16-bit RGB image" in refusal(data, ALL)


def test_png_in_tiff_is_lossless_and_jpeg_in_tiff_is_not(by_windows: None) -> None:
    pixels = LARGE.astype(np.uint8)
    check(
        from_tifffile(pixels, compression="png", tile=(16, 16)), pixels, Encoding("tiff", "grey", 8)
    )
    for compression, name in (("jpeg", "JPEG"), ("jpeg2000", "JPEG 2000"), ("webp", "WebP")):
        image = np.repeat(pixels[..., None], 3, axis=2) if compression == "webp" else pixels
        data = from_tifffile(image, compression=compression, tile=(32, 32))
        assert f"{name}-in-TIFF compression is lossy" in refusal(data)
        assert read_tally(data, "m", ALL).encoding.is_lossy
    assert "compression 50002 is not decoded" in refusal(tiff(pixels, 8, extra={259: (50002,)}))


def test_strips_higher_than_memory_go_by_rows(
    by_windows: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff_segments, "MAX_SEGMENT_BYTES", 256)
    monkeypatch.setattr(tiff_segments, "_BAND_BYTES", 100)
    for bits, reverse_bits in ((1, False), (2, True), (4, False), (8, True), (16, False)):
        pixels = labels(1 << bits).repeat(9, axis=0).astype(np.uint16)
        for order in "<>":
            data = tiff(pixels, bits, order=order, reverse_bits=reverse_bits)
            check(data, pixels, Encoding("tiff", "grey", bits))
        assert "ends within its pixels" in refusal(data[:-1])
    check(from_tifffile(LARGE.astype(">f4"), byteorder=">"), LARGE, Encoding("tiff", "float", 32))
    for options in ({"compression": "zlib"}, {"tile": (16, 32), "compression": None}):
        data = from_tifffile(LARGE, rowsperstrip=40, **options)
        assert "gdal_translate -co TILED=YES" in refusal(data)


def test_an_open_file_says_the_same(tmp_path: Path, by_windows: None) -> None:
    path = tmp_path / "mosaic.tif"
    path.write_bytes(from_tifffile(LARGE, tile=(16, 16), compression="zlib"))
    with path.open("rb") as file:
        tally = read_tally_stream(file, "m", ReadOptions())
    whole = read_tally(path.read_bytes(), "m", ReadOptions())
    assert tally.counts.tolist() == whole.counts.tolist()
    assert tally.shape == LARGE.shape


# --- overviews, pages, channels ----------------------------------------------------------------


def test_overviews_do_not_count() -> None:
    """A cloud-optimised GeoTIFF has them as pages, or as directories below a page."""
    small = {"data": LARGE[::2, ::2], "subfiletype": 1, "tile": (16, 16)}
    data = pages_of({"data": LARGE, "tile": (16, 16)}, small)
    check(data, LARGE, Encoding("tiff", "grey", 16))
    check(pages_of(dict(small), {"data": LARGE}), LARGE, Encoding("tiff", "grey", 16))
    data = pages_of({"data": LARGE, "subifds": 1}, {"data": LARGE[::2, ::2], "subfiletype": 1})
    check(data, LARGE, Encoding("tiff", "grey", 16))
    mask = {"data": np.ones(LARGE.shape, bool), "subfiletype": 4, "photometric": "mask"}
    check(pages_of({"data": LARGE}, mask), LARGE, Encoding("tiff", "grey", 16))


def test_pages_count_when_they_are_asked_for() -> None:
    pages = [LARGE, LARGE[::-1] + 100, LARGE[:, ::-1] + 200]
    data = pages_of(*({"data": page, "compression": "zlib"} for page in pages))
    assert "has 3 pages where one mask is expected (pages" in refusal(data)
    for asked, expected in (("all", np.concatenate(pages)), *enumerate(pages, 1)):
        options = ReadOptions(pages=asked)
        tally = read_tally(data, "m", options)
        tally.check()
        reading = "all pages" if asked == "all" else f"page {asked}"
        assert tally.encoding == Encoding("tiff", "grey", 16, reading)
        assert tally.shape == expected.shape
        assert np.array_equal(tally.values, np.unique(expected))
        assert np.array_equal(read_label_map(data, options).pixels, expected)
    assert "there is no pages=4" in refusal(data, ReadOptions(pages=4))
    single = from_tifffile(LARGE)
    assert "has 1 page: there is no pages=2" in refusal(single, ReadOptions(pages=2))
    assert read_tally(single, "m", ReadOptions(pages=1)).encoding.reading == "page 1"
    mixed = pages_of({"data": LARGE}, {"data": LARGE[:9]})
    assert "page 2 is of another size" in refusal(mixed, ReadOptions(pages="all"))


def stack_of(classes: int, *, overlap: bool) -> NDArray[np.uint8]:
    """(H, W, classes) of zeros and ones; a row of pixels without any, and one with two."""
    stack = (LARGE[..., None] % classes == np.arange(classes)).astype(np.uint8)
    stack[0] = 0
    if overlap:
        stack[1, :, :2] = 1
    return stack


@pytest.mark.parametrize("top", [1, 255])
@pytest.mark.parametrize("kind", ["contig", "separate", "pages"])
def test_stacks_of_channels(kind: str, top: int) -> None:
    exclusive, overlapping = (stack_of(5, overlap=over) * np.uint8(top) for over in (False, True))

    def stored(stack: NDArray[np.uint8]) -> bytes:
        options: dict[str, Any] = {"photometric": "minisblack", "tile": (16, 16)}
        if kind == "contig":
            return from_tifffile(stack, planarconfig="contig", **options)
        planes = np.ascontiguousarray(np.moveaxis(stack, -1, 0))
        if kind == "separate":
            return from_tifffile(planes, planarconfig="separate", **options)
        return pages_of(*({"data": plane, **options} for plane in planes))

    said = refusal(stored(exclusive))
    assert ("5 pages" if kind == "pages" else "5 channels") in said
    assert "takes them for classes)" in said
    one_hot, bitmask = (ReadOptions(channels=mode) for mode in ("one-hot", "bitmask"))
    expected = np.where(exclusive.any(axis=-1), exclusive.argmax(axis=-1), -1)
    pixels, encoding = read_label_map(stored(exclusive), one_hot)
    assert np.array_equal(pixels, expected)
    assert encoding == Encoding("tiff", "int", 64, "one-hot")
    tally = read_tally(stored(exclusive), "m", one_hot)
    tally.check()
    assert tally.values.tolist() == [-1, 0, 1, 2, 3, 4]
    assert "several channels set: not one-hot" in refusal(stored(overlapping), one_hot)
    sums = ((overlapping > 0) << np.arange(5)).sum(axis=-1)
    tally = read_tally(stored(overlapping), "m", bitmask)
    assert np.array_equal(tally.values, np.unique(sums))
    assert int(tally.counts.sum()) == LARGE.size


@pytest.mark.parametrize("value", [2, 7, 254])
def test_a_channel_of_other_values_is_no_class(value: int) -> None:
    stack = stack_of(5, overlap=False)
    stack[5, 5, 0] = value
    data = from_tifffile(stack, photometric="minisblack", planarconfig="contig")
    assert f"the value {value}" in refusal(data, ReadOptions(channels="one-hot"))


def test_one_channel_is_no_stack() -> None:
    data = from_tifffile(LARGE, compression="zlib")
    assert "nothing to take for channels" in refusal(data, ReadOptions(channels="one-hot"))
    many = from_tifffile(
        np.zeros((5, 5, 70), np.uint8), photometric="minisblack", planarconfig="contig"
    )
    assert "bitmask takes up to 62" in refusal(many, ReadOptions(channels="bitmask"))


# --- what is missing ---------------------------------------------------------------------------


def test_tiles_left_out_are_nodata_or_refused(by_windows: None) -> None:
    tally = read_tally(sparse("255"), "m", ReadOptions())
    assert dict(zip(tally.values.tolist(), tally.counts.tolist(), strict=True)) == {
        3: 768,
        255: 256,
    }
    for nodata in (None, "-9999", "nan", "none"):
        assert "missing, and it names no nodata value" in refusal(sparse(nodata))


def test_damage_is_noticed(by_windows: None) -> None:
    data = from_tifffile(LARGE, tile=(16, 16), compression="zlib")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        place = file.pages[0].dataoffsets[3]
    assert "corrupt TIFF" in refusal(data[: place + 5] + b"\xff\xff\xff" + data[place + 8 :])
    assert "ends within its pixels" in refusal(from_tifffile(LARGE, rowsperstrip=9)[:-1])
    short = tiff(labels(9), 8, extra={ROWS_PER_STRIP: (2,)})
    assert "strips or tiles are missing" in refusal(short)


# --- hostile sizes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "extra",
    [
        {WIDTH: (1 << 31,), HEIGHT: (1 << 31,), ROWS_PER_STRIP: (1 << 31,)},
        {TILE_WIDTH: (65520,), TILE_HEIGHT: (65520,), 324: (8,), 325: (100,)},
        {WIDTH: (1 << 20,), HEIGHT: (1 << 20,), 259: (5,), ROWS_PER_STRIP: (1 << 20,)},
        {WIDTH: (1 << 20,), HEIGHT: (1 << 20,), ROWS_PER_STRIP: (1,)},
        {STRIP_BYTES: (1 << 31,)},
        {STRIP_OFFSETS: ((1 << 32) - 1,)},
        {SAMPLES: (65535,), 284: (2,)},
        {BITS: (0,)},
        {BITS: (65535,)},
    ],
)
def test_sizes_are_checked_before_memory_is_taken(by_windows: None, extra: Any) -> None:
    data = tiff(labels(9), 8, extra=extra)
    tracemalloc.start()
    try:
        for options in (ALL, ReadOptions(channels="one-hot")):
            with contextlib.suppress(MaskError):
                read_tally(data, "m", options).check()
            assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        stop_tracing()


def test_bombs_expand_no_further_than_their_tile(by_windows: None) -> None:
    """16 x 16 pixels; the strip's data would make half a million."""
    for compression in ("zlib", "zstd", "lzma", "packbits"):
        bomb = from_tifffile(
            np.zeros((1, 500_000), np.uint8), compression=compression, rowsperstrip=1
        )
        with tifffile.TiffFile(io.BytesIO(bomb)) as file:
            page = file.pages[0]
            place, size = page.dataoffsets[0], page.databytecounts[0]
            encoded, number = bomb[place : place + size], int(page.compression)
        small = bytearray(tiff(np.zeros((16, 16), np.uint8), 8, extra={259: (number,)}))
        at = small.index(struct.pack("<HHI", STRIP_OFFSETS, 4, 1)) + 8
        small[at : at + 4] = struct.pack("<I", len(small))
        at = small.index(struct.pack("<HHI", STRIP_BYTES, 4, 1)) + 8
        small[at : at + 4] = struct.pack("<I", min(len(encoded), 1 << 20))
        tracemalloc.start()
        try:
            read_tally(bytes(small) + encoded, "m", ALL)
        except MaskError:
            pass
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            stop_tracing()
        assert peak < 300_000


def test_directories_that_go_round_in_a_circle() -> None:
    data = bytearray(tiff(labels(9), 8, directory_last=True))
    data[-4:] = data[4:8]
    assert "round in a circle" in refusal(bytes(data))


def test_pages_without_directories_are_no_single_page() -> None:
    stack = np.zeros((3, 20, 20), np.uint8)
    stream = io.BytesIO()
    tifffile.imwrite(stream, stack, photometric="minisblack", truncate=True, metadata={})
    about = b'{"shape": [3, 20, 20], "truncated": true}'
    older = b'{"truncated": true, "shape": [3, 20, 20]}'  # by tifffile before 2026
    assert about in stream.getvalue() or older in stream.getvalue()
    for said in (about, older):
        data = stream.getvalue().replace(about, said).replace(older, said)
        assert "no directories of their own" in refusal(data)
    stream = io.BytesIO()
    tifffile.imwrite(stream, stack[0], imagej=True)
    assert read_tally(stream.getvalue(), "m", ReadOptions()).shape == (20, 20)


# --- memory, and life without tifffile -----------------------------------------------------------

_COUNT = """
import sys
from pathlib import Path
from maskstat.readers.formats import ReadOptions, read_tally_stream
with open(sys.argv[1], "rb") as file:
    tally = read_tally_stream(file, "m", ReadOptions())
print(tally.shape, dict(zip(tally.values.tolist(), tally.counts.tolist())))
status = Path("/proc/self/status").read_text()
print(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("tiled", [True, False])
def test_a_large_mosaic_in_bounded_memory(tmp_path: Path, tiled: bool) -> None:
    """20,000 x 20,000 16-bit pixels, 800 MB when decoded, in less than 250 MB all told.

    Of these 135 are Numba's.
    """
    side, tile = 20_000, 500
    block = np.repeat(np.arange(tile * 10).reshape(tile, 10) % 40 * 1000, 50, axis=1)
    path = tmp_path / "mosaic.tif"
    layout: dict[str, Any] = {"rowsperstrip": 25}
    strip = zlib.compress(np.tile(block[:25], (1, side // tile)).astype("<u2").tobytes(), 1)
    blocks: Iterator[Any] = (strip for _ in range(side // 25))
    if tiled:
        layout = {"tile": (tile + 12, tile + 12)}
        padded = zlib.compress(np.pad(block, (0, 12), mode="edge").astype("<u2").tobytes(), 1)
        blocks = (padded for _ in range(40 * 40))
    tifffile.imwrite(
        path,
        blocks,
        shape=(side, side),
        dtype=np.uint16,
        compression="zlib",
        metadata=None,
        **layout,
    )
    said = run_script(_COUNT, str(path)).splitlines()
    assert said[0].startswith(f"({side}, {side})")
    counts = ast.literal_eval(said[0].partition(")")[2].strip())
    assert sum(counts.values()) == side * side
    assert set(counts) == set(range(0, 40_000, 1000))
    if not tiled:
        assert counts[0] == int((block[:25] == 0).sum()) * 40 * (side // 25)
    assert int(said[1]) * 1024 < 250_000_000


@pytest.mark.parametrize("missing", ["tifffile", "imagecodecs"])
def test_without_the_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Pillow reads is read; what it can't says what to install."""
    pixels = labels(200).astype(np.uint8)
    needing = [
        from_tifffile(pixels, bigtiff=True, byteorder=">"),
        pages_of({"data": pixels}, {"data": pixels[::2], "subfiletype": 1}),
        from_tifffile(pixels.astype(">u4"), byteorder=">"),
        from_tifffile(pixels.astype(np.float64)),
        from_tifffile(pixels, compression="png"),
    ]
    simple = from_tifffile(pixels, compression="zlib")
    monkeypatch.setitem(sys.modules, missing, None)
    for limit in (tiff_reader.PILLOW_BYTES, 10):
        monkeypatch.setattr(tiff_reader, "PILLOW_BYTES", limit)
        check(simple, pixels, Encoding("tiff", "grey", 8))
    for data in needing:
        said = refusal(data, ALL)
        assert said.endswith('needs tifffile and imagecodecs: pip install "maskstat[tiff]"')


def test_both_ways_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's and tifffile's, on all that both read."""
    files = [
        from_tifffile(LARGE.astype(dtype), compression=compression, **layout)
        for dtype in (np.uint8, np.int16, np.uint16, np.uint32, np.float32)
        for compression in (None, "zlib", "lzw", "packbits")
        for layout in ({"tile": (16, 16)}, {"rowsperstrip": 5})
    ]
    first: list[MaskTally] = [read_tally(data, "m", ALL) for data in files]
    monkeypatch.setattr(tiff_reader, "_beyond_pillow", lambda *_: "this test")
    for data, tally in zip(files, first, strict=True):
        again = read_tally(data, "m", ALL)
        assert again.encoding == tally.encoding
        assert again.values.tolist() == tally.values.tolist()
        assert again.counts.tolist() == tally.counts.tolist()
