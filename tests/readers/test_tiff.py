"""TIFF: every depth, sign, order and compression as stored; what Pillow would change is refused."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskstat.readers.formats import read_tally
from maskstat.values.tally import Encoding
from tests.support.mask_files import (
    ALL,
    PALETTE_COLOURS,
    check,
    coloured,
    colours_of,
    from_tifffile,
    labels,
    palette_image,
    refusal,
    saved,
)
from tests.support.packages import package
from tests.support.tiff_factory import (
    EXTRA_SAMPLES,
    FILL_ORDER,
    FLOAT,
    PHOTOMETRIC,
    ROWS_PER_STRIP,
    SAMPLE_FORMAT,
    SAMPLES,
    SIGNED,
    UNSIGNED,
    WHITE_IS_ZERO,
    tiff,
)
from tests.support.tiff_factory import PALETTE as TIFF_PALETTE
from tests.support.tiff_factory import RGB as TIFF_RGB

tifffile = package("tifffile", reason="needs maskstat[tiff]")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("photometric", [WHITE_IS_ZERO, 1])
@pytest.mark.parametrize("reverse_bits", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_small_samples_as_stored(
    bits: int, photometric: int, reverse_bits: bool, order: str
) -> None:
    pixels = labels(1 << bits)
    data = tiff(pixels, bits, order=order, photometric=photometric, reverse_bits=reverse_bits)
    check(data, pixels, Encoding("tiff", "grey", bits))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_palette_indices(bits: int, order: str) -> None:
    pixels = labels(1 << bits)
    data = tiff(pixels, bits, order=order, photometric=TIFF_PALETTE)
    check(data, pixels, Encoding("tiff", "palette", bits))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("dtype", "samples"),
    [
        (np.uint8, "grey"),
        (np.int8, "int"),
        (np.uint16, "grey"),
        (np.int16, "int"),
        (np.uint32, "uint"),
        (np.int32, "int"),
    ],
)
def test_tiff_wide_samples_as_stored(order: str, dtype: type[Any], samples: str) -> None:
    info = np.iinfo(dtype)
    pixels = labels(info.max, low=info.min).astype(dtype)
    for data in (
        from_tifffile(pixels, byteorder=order),
        tiff(pixels, info.bits, order=order, sample_format=SIGNED if info.min else UNSIGNED),
    ):
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            assert np.array_equal(file.asarray(), pixels)
        check(data, pixels, Encoding("tiff", samples, info.bits))


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_floats_of_whole_numbers(order: str) -> None:
    pixels = labels(1 << 24, low=-(1 << 24)).astype(np.float32)
    check(from_tifffile(pixels, byteorder=order), pixels, Encoding("tiff", "float", 32))
    pixels[3, 3] = 0.5
    assert "value 0.5" in refusal(from_tifffile(pixels, byteorder=order))
    pixels[3, 3] = np.nan
    assert "value nan" in refusal(from_tifffile(pixels, byteorder=order))


def test_tiff_of_64_bit_floats_is_not_rounded() -> None:
    pixels = np.full((1, 1), 2.0**24 + 1)
    check(tiff(pixels, 64, sample_format=FLOAT), pixels, Encoding("tiff", "float", 64))


@pytest.mark.parametrize(
    "options",
    [
        {"bigtiff": True},
        {"tile": (16, 16)},
        {"rowsperstrip": 3},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": 2},
        {"photometric": "miniswhite"},
        {"photometric": "miniswhite", "dtype": np.uint16},
        {"dtype": np.uint16, "byteorder": ">", "rowsperstrip": 2},
        {"dtype": np.uint16, "tile": (16, 16), "bigtiff": True},
    ],
)
def test_tiff_layouts_against_tifffile(options: Any) -> None:
    options = dict(options)
    dtype = options.pop("dtype", np.uint8)
    pixels = labels(256).astype(dtype)
    needs_codec = options.get("predictor")
    try:
        data = from_tifffile(pixels, **options)
    except (ValueError, ImportError) as error:
        if not needs_codec:
            raise
        pytest.skip(f"tifffile can't write it here: {error}")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert np.array_equal(file.asarray(), pixels)
    check(data, pixels, Encoding("tiff", "grey", 8 * np.dtype(dtype).itemsize))


@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits"]
)
@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "I", "F", "RGB"])
def test_tiff_compressions(compression: str, mode: str) -> None:
    pixels = labels({"1": 2, "I;16": 65536}.get(mode, 256))
    encoding = {
        "1": Encoding("tiff", "grey", 1),
        "L": Encoding("tiff", "grey", 8),
        "P": Encoding("tiff", "palette", 8),
        "I;16": Encoding("tiff", "grey", 16),
        "I": Encoding("tiff", "int", 32),
        "F": Encoding("tiff", "float", 32),
        "RGB": Encoding("tiff", "rgb", 8),
    }[mode]
    if mode == "P":
        image = palette_image(pixels, PALETTE_COLOURS)
    elif mode == "RGB":
        image, pixels = Image.fromarray(coloured(3)), colours_of(coloured(3))
    else:
        dtypes = {"1": bool, "I;16": np.uint16, "I": np.int32, "F": np.float32}
        image = Image.fromarray(pixels.astype(dtypes.get(mode, np.uint8)))
    assert image.mode == mode
    check(saved(image, "TIFF", compression=compression), pixels, encoding)


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_tiff_fax_compressions_of_bits(compression: str) -> None:
    pixels = labels(2)
    data = saved(Image.fromarray(pixels.astype(bool)), "TIFF", compression=compression)
    check(data, pixels, Encoding("tiff", "grey", 1))


def test_jpeg_in_tiff_is_lossy() -> None:
    data = saved(Image.fromarray(labels(256).astype(np.uint8)), "TIFF", compression="jpeg")
    assert "JPEG-in-TIFF compression is lossy" in refusal(data)
    assert read_tally(data, "m", ALL).encoding == Encoding("tiff lossy", "grey", 8)


def test_a_tiff_that_ends_within_its_directory_is_refused_rather_than_read_without_the_rest() -> (
    None
):
    """Without its last entry, the sign, -1 would come back as 255."""
    pixels = np.array([[-1, 2]], np.int8)
    data = tiff(pixels, 8, sample_format=SIGNED, directory_last=True)
    check(data, pixels, Encoding("tiff", "int", 8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as users run it
        for cut in range(1, 20):
            assert "ends within its directory" in refusal(data[:-cut])


def test_missing_strips_are_no_class_0() -> None:
    """Pillow would fill them with zeros."""
    pixels = labels(9) + 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = tiff(pixels, 8, extra={ROWS_PER_STRIP: (2,)})
        assert "strips or tiles are missing" in refusal(data)


@pytest.mark.parametrize("tag", [PHOTOMETRIC, FILL_ORDER, SAMPLES, SAMPLE_FORMAT])
@pytest.mark.parametrize("bits", [1, 2, 8, 16])
def test_tiff_without_a_tag_that_has_a_default(tag: int, bits: int) -> None:
    pixels = labels(1 << bits)
    if tag == PHOTOMETRIC and bits == 16:
        pixels = pixels.astype(np.uint16)
    data = tiff(pixels, bits, without={tag})
    check(data, pixels, Encoding("tiff", "grey", bits))


@pytest.mark.parametrize(("channels", "kind"), [(2, 0), (5, 0)])
def test_channels_beyond_colours_are_refused_rather_than_dropped(channels: int, kind: int) -> None:
    pixels = np.zeros((2, 2, channels), np.uint8)
    pixels[..., -1] = 7
    photometric = 1 if channels == 2 else TIFF_RGB
    extra = (kind,) * (1 if channels == 2 else channels - 3)
    data = tiff(pixels, 8, photometric=photometric, extra={EXTRA_SAMPLES: extra})
    assert f"{channels} channels" in refusal(data, ALL)


def test_big_endian_bigtiff() -> None:
    pixels = labels(256).astype(np.uint8)
    data = from_tifffile(pixels, bigtiff=True, byteorder=">")
    check(data, pixels, Encoding("tiff", "grey", 8))


def test_16_bit_colours_in_tiff_are_refused_rather_than_cut_to_8() -> None:
    data = tiff(np.full((2, 2, 3), 0x1234, np.uint16), 16, photometric=TIFF_RGB)
    assert "16-bit RGB image" in refusal(data, ALL)


def test_several_pages_are_refused() -> None:
    data = from_tifffile(np.zeros((3, 20, 20), np.uint8), photometric="minisblack")
    assert "has 3 pages where one mask is expected (pages" in refusal(data)
