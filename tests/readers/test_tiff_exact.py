"""TIFFs that are easily misread: damaged under a checksum, turned, cut in unusual ways."""

from __future__ import annotations

import io
import os
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from maskstat.errors import MaskError
from maskstat.readers import tiff as tiff_reader
from maskstat.readers.formats import read_label_map, read_tally
from maskstat.values.tally import Encoding, MaskTally
from tests.support.interpreters import run_script
from tests.support.mask_files import ALL, check, from_tifffile, labels, refusal, same_counts, saved
from tests.support.packages import package
from tests.support.paths import SHARED
from tests.support.tiff_factory import (
    FILL_ORDER,
    FLOAT,
    ROWS_PER_STRIP,
    STRIP_BYTES,
    STRIP_OFFSETS,
    tiff,
)

tifffile = package("tifffile", reason="needs maskstat[tiff]")

CASES = SHARED / "cases" / "tiff"
ORIENTATION, PREDICTOR, TILE_WIDTH, TILE_HEIGHT = 274, 317, 322, 323
BLOCKS = np.kron(np.random.default_rng(3).integers(0, 9, (5, 4)), np.ones((8, 12), int))  # 40 x 48


@pytest.fixture(params=["as it comes", "by windows", "without the extra"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """By Pillow, by tifffile, and by Pillow where there is nothing else."""
    if request.param == "by windows":
        monkeypatch.setattr(tiff_reader, "_beyond_pillow", lambda *_: "this test")
    if request.param == "without the extra":
        monkeypatch.setitem(sys.modules, "imagecodecs", None)
    return str(request.param)


def case(name: str) -> bytes:
    if not (CASES / name).is_file():
        pytest.skip("real masks are absent: ../shared/cases")
    return (CASES / name).read_bytes()


# --- damaged under a checksum ------------------------------------------------------------------


def flips(data: bytes, count: int) -> list[bytes]:
    """The file with one bit of its pixel data flipped, each time another one."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        spans = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    places = [place for start, size in spans for place in range(start, start + size)]
    rng = np.random.default_rng(len(data))
    damaged = []
    for place in rng.choice(places, count):
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(flipped))
    return damaged


@pytest.mark.parametrize(
    "layout",
    [
        {"compression": "zlib"},
        {"compression": "zlib", "rowsperstrip": 7},
        {"compression": "zlib", "tile": (16, 32), "predictor": 2},
        {"compression": "zlib", "dtype": ">u2", "byteorder": ">", "predictor": 2},
        {"compression": "zlib", "dtype": "<f4"},
        {"compression": "zlib", "bigtiff": True},
        {"compression": 32946, "rowsperstrip": 16},
        {"compression": "lzma"},
        {"compression": "zstd"},
    ],
    ids=str,
)
def test_no_flipped_bit_makes_other_counts(way: str, layout: dict[str, Any]) -> None:
    """Deflate, LZMA, and Zstandard where its frames have a checksum."""
    layout = dict(layout)
    pixels = BLOCKS.astype(layout.pop("dtype", np.uint8))
    zstd = layout["compression"] == "zstd"
    data = with_checksum(pixels) if zstd else from_tifffile(pixels, **layout)
    if way == "without the extra" and layout["compression"] in {"lzma", "zstd"}:
        assert 'pip install "maskstat[tiff]"' in refusal(data)
        return
    right = read_tally(data, "m", ALL)
    assert right.area == BLOCKS.size
    refused = 0
    for damaged in flips(data, 150):
        try:
            assert same_counts(read_tally(damaged, "m", ALL), right)
        except MaskError:
            refused += 1
    assert refused >= 100


def with_checksum(pixels: NDArray[np.uint8]) -> bytes:
    """A TIFF of one Zstandard frame that ends with a checksum."""
    zstandard = package("zstandard", reason="makes frames with a checksum")
    frame = zstandard.ZstdCompressor(write_checksum=True).compress(pixels.tobytes())
    plain = tiff(pixels, 8, extra={259: (50000,), STRIP_BYTES: (len(frame),), PREDICTOR: (1,)})
    return plain[: len(plain) - pixels.size] + frame


def test_the_flipped_bit_of_a_real_file(way: str) -> None:
    tally = read_tally(case("tiff-deflate-original.tif"), "m", ALL)
    assert tally.shape == (360, 480)
    assert "corrupt TIFF" in refusal(case("tiff-deflate-bitflip.tif"))


def test_deflate_data_of_reversed_bits_and_with_rows_to_spare(way: str) -> None:
    """Neither is damage: some writers fill up the last strip."""
    pixels = labels(200).astype(np.uint8)
    spare = 0 if way == "by windows" else 3 * pixels.shape[1]
    packed = zlib.compress(pixels.tobytes() + bytes(spare))
    for reverse in (False, True):
        stored = packed
        if reverse:
            stored = bytes(int(f"{byte:08b}"[::-1], 2) for byte in packed)
        tags = {259: (8,), STRIP_BYTES: (len(packed),), ROWS_PER_STRIP: (14,)}
        head = tiff(pixels, 8, extra={**tags, FILL_ORDER: (1 + reverse,)})
        data = head[: len(head) - pixels.size] + stored
        check(data, pixels, Encoding("tiff", "grey", 8))
        assert "corrupt TIFF" in refusal(data[:-3])


# --- which way up ------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["plain", "zlib", "colours", "palette", "bits"])
def test_counts_do_not_depend_on_the_orientation_and_shapes_do(
    way: str, orientation: int, kind: str
) -> None:
    pixels = labels(2 if kind == "bits" else 200)
    shown = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.T,
        6: pixels.T[:, ::-1],
        7: pixels.T[::-1, ::-1],
        8: pixels.T[::-1],
    }[orientation]
    encoding = Encoding("tiff", "grey", 1 if kind == "bits" else 8)
    if kind == "zlib":
        extratags = [(ORIENTATION, 3, 1, orientation, True)]
        data = from_tifffile(pixels.astype(np.uint8), compression="zlib", extratags=extratags)
    elif kind == "colours":
        colours = np.stack([pixels, pixels * 0, pixels * 0 + 9], axis=-1)
        data = tiff(colours, 8, photometric=2, extra={ORIENTATION: (orientation,)})
        shown, encoding = shown << 16 | 9, Encoding("tiff", "rgb", 8)
    else:
        photometric = 3 if kind == "palette" else 1
        extra = {ORIENTATION: (orientation,)}
        data = tiff(pixels, encoding.bits, photometric=photometric, extra=extra)
        encoding = encoding._replace(samples="palette" if kind == "palette" else "grey")
    check(data, shown, encoding)
    if orientation == 6 and kind == "plain" and way == "as it comes":
        with Image.open(io.BytesIO(data)) as image:
            assert np.array_equal(np.asarray(image), shown)


def test_an_orientation_that_is_none_says_nothing(way: str) -> None:
    pixels = labels(200)
    data = tiff(pixels, 8, extra={ORIENTATION: (9,)})
    check(data, pixels, Encoding("tiff", "grey", 8))


def test_a_real_file_that_lies_on_its_side(way: str) -> None:
    data = case("or6_zlib.tif")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        pixels = file.asarray()
    assert pixels.shape == (120, 40)
    check(data, pixels.T[:, ::-1], Encoding("tiff", "grey", 8))


# --- how it is cut -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "u8", "f4", "f8"])
@pytest.mark.parametrize("predictor", [2, 3])
def test_a_predictor_without_compression_is_none_at_every_depth(
    way: str, dtype: str, predictor: int
) -> None:
    """What libtiff and GDAL say."""
    pixels = labels(100).astype(dtype)
    sample_format = {"u": 1, "i": 2, "f": FLOAT}[dtype[0]]
    bits = pixels.dtype.itemsize * 8
    data = tiff(pixels, bits, sample_format=sample_format, extra={PREDICTOR: (predictor,)})
    if way == "without the extra" and dtype in {"u8", "f8"}:
        assert 'pip install "maskstat[tiff]"' in refusal(data)
        return
    assert np.array_equal(read_label_map(data, ALL).pixels, pixels)
    assert same_counts(
        read_tally(data, "m", ALL),
        MaskTally.of_pixels("m", pixels.astype(np.int64), Encoding("tiff", "grey", 8)),
    )


def test_tiles_under_the_tags_of_strips() -> None:
    """As in cramps-tile.tif of libtiff's own images."""
    blocks = np.arange(6).reshape(2, 3).repeat(16, axis=0).repeat(16, axis=1)
    tiles = [blocks[y : y + 16, x : x + 16] for y in (0, 16) for x in (0, 16, 32)]
    data = tiled_as_strips(np.stack(tiles).astype(np.uint8), blocks.shape)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert np.array_equal(file.asarray(), blocks)
    check(data, blocks, Encoding("tiff", "grey", 8))


def test_tiles_under_the_tags_of_strips_need_tifffile(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiled_as_strips(np.zeros((6, 16, 16), np.uint8), (32, 48))
    monkeypatch.setitem(sys.modules, "tifffile", None)
    assert 'pip install "maskstat[tiff]"' in refusal(data)


def tiled_as_strips(tiles: NDArray[np.uint8], shape: tuple[int, int]) -> bytes:
    count, size = len(tiles), tiles[0].size
    extra: dict[int, tuple[int, ...]] = {
        257: (shape[0],),
        256: (shape[1],),
        TILE_WIDTH: (tiles.shape[2],),
        TILE_HEIGHT: (tiles.shape[1],),
        STRIP_BYTES: (size,) * count,
        STRIP_OFFSETS: (0,) * count,
    }
    column = tiles.reshape(-1, tiles.shape[2])
    first = len(tiff(column, 8, extra=extra, without=[ROWS_PER_STRIP])) - tiles.size
    extra[STRIP_OFFSETS] = tuple(first + size * k for k in range(count))
    return tiff(column, 8, extra=extra, without=[ROWS_PER_STRIP])


def test_an_uncompressed_strip_that_is_left_out_is_no_copy_of_the_header(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its place is 0, where the file begins; Pillow would read that."""
    pixels = labels(200).astype(np.uint8)
    extra = {STRIP_OFFSETS: (0, 200), STRIP_BYTES: (0, 65), ROWS_PER_STRIP: (6,)}
    data = tiff(pixels, 8, extra=extra)
    assert "strips or tiles are missing" in refusal(data)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    assert 'pip install "maskstat[tiff]"' in refusal(data)


# --- what libtiff says -------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_a_fax_that_libtiff_complains_of_is_refused(compression: str) -> None:
    bits = Image.fromarray(BLOCKS % 2 == 1)
    data = saved(bits, "TIFF", compression=compression)
    check(data, BLOCKS % 2, Encoding("tiff", "grey", 1))
    reasons = set()
    for damaged in flips(data, 300):
        try:
            read_tally(damaged, "m", ALL)
        except MaskError as error:
            reasons.add(str(error))
    assert any(reason.startswith("corrupt TIFF: Fax") for reason in reasons)


def test_damaged_files_write_nothing_on_the_terminal(tmp_path: Path) -> None:
    """Neither libtiff nor a decoder: what is wrong is said with the file's name, by us."""
    bits, grey = Image.fromarray(BLOCKS % 2 == 1), Image.fromarray(BLOCKS.astype(np.uint8))
    files = [
        *flips(saved(bits, "TIFF", compression="group4"), 60),
        *flips(saved(grey, "TIFF", compression="packbits"), 60),
        *flips(saved(grey, "TIFF", compression="tiff_lzw"), 60),
        *flips(saved(grey, "TIFF", compression="tiff_adobe_deflate"), 60),
    ]
    for number, data in enumerate(files):
        (tmp_path / f"{number}.tif").write_bytes(data)
    said = run_script(
        """
import os, sys
from pathlib import Path
from PIL import Image
from maskstat.errors import MaskError
from maskstat.readers.formats import ReadOptions, read_tally
os.dup2(1, 2)
files = sorted(Path(sys.argv[1]).glob("*.tif"))
refused = 0
for file in files:
    try:
        read_tally(file.read_bytes(), file.name, ReadOptions())
    except MaskError:
        refused += 1
print(refused, "refused", flush=True)
for file in files:  # others are told as before
    try:
        Image.open(file).load()
    except OSError:
        pass
""",
        str(tmp_path),
    )
    ours, _, others = said.partition(" refused")
    assert 60 <= int(ours) < len(files)
    assert "PackBitsDecode: " in others or not hasattr(os, "fork")
