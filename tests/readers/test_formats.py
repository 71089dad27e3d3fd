"""Readers: values exactly as stored, in every format and depth; what is no mask is refused."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile

from maskstat.errors import MaskError
from maskstat.readers import formats, tiff
from maskstat.readers.formats import (
    Format,
    read_label_map,
    read_tally,
    read_tally_and_pixels,
    recognise,
)
from maskstat.readers.options import ReadOptions
from maskstat.values.tally import Encoding, MaskTally
from tests.support.bmp_factory import bmp
from tests.support.mask_files import (
    ALL,
    FILES,
    GREY_COLOURS,
    PALETTE_COLOURS,
    SAMPLED,
    SHAPE,
    STRICT,
    check,
    coloured,
    colours_of,
    labels,
    npy,
    palette_image,
    refusal,
    same_counts,
    saved,
)
from tests.support.png_factory import GREY, PALETTE, chunk, png

# --- PNG ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_png_grey(bits: int) -> None:
    pixels = labels(1 << bits)
    check(png(pixels, bits, [0] * SHAPE[0]), pixels, Encoding("png", "grey", bits))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_png_palette_indices(bits: int) -> None:
    pixels = labels(1 << bits)
    data = png(pixels, bits, [4] * SHAPE[0], colour_type=PALETTE)
    check(data, pixels, Encoding("png", "palette", bits))


@pytest.mark.parametrize("colours", [PALETTE_COLOURS, GREY_COLOURS, GREY_COLOURS[::-1]])
def test_png_palettes_never_become_colours(colours: list[tuple[int, ...]]) -> None:
    pixels = labels(256)
    data = saved(palette_image(pixels, colours), "PNG")
    check(data, pixels, Encoding("png", "palette", 8))


def test_png_transparency_of_a_palette_changes_nothing() -> None:
    pixels = labels(5)
    data = saved(palette_image(pixels, PALETTE_COLOURS), "PNG", transparency=2, bits=8)
    check(data, pixels, Encoding("png", "palette", 8))


@pytest.mark.parametrize(("form", "container"), [("PNG", "png"), ("TIFF", "tiff")])
@pytest.mark.parametrize(("channels", "samples"), [(3, "rgb"), (4, "rgba")])
def test_colours_are_packed_red_first(
    form: str, container: str, channels: int, samples: str
) -> None:
    pixels = coloured(channels)
    assert (colours_of(pixels) & 0xFFFFFF == 0x8040C0).any()
    data = saved(Image.fromarray(pixels), form)
    check(data, colours_of(pixels), Encoding(container, samples, 8))


@pytest.mark.parametrize(("form", "container"), [("PNG", "png"), ("TIFF", "tiff")])
def test_grey_with_alpha(form: str, container: str) -> None:
    pixels = coloured(3)[..., :2]
    data = saved(grey_alpha(pixels), form)
    grey, alpha = pixels[..., 0].astype(np.int64), pixels[..., 1].astype(np.int64)
    check(data, grey * 0x010101 | (255 - alpha) << 24, Encoding(container, "greyalpha", 8))
    assert "class indices are expected" in refusal(data)


def grey_alpha(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.merge(
        "LA", [Image.fromarray(np.ascontiguousarray(pixels[..., k])) for k in (0, 1)]
    )


def test_interlaced_png() -> None:
    """Pillow can't write them; this one has its seven passes."""
    pixels = labels(256).astype(np.uint8)
    passes = [
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ]
    stream = b"".join(
        b"\0" + row.tobytes()
        for y, x, dy, dx in passes
        for row in np.ascontiguousarray(pixels[y::dy, x::dx])
        if row.size
    )
    ihdr = struct.pack(">IIBBBBB", SHAPE[1], SHAPE[0], 8, GREY, 0, 0, 1)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr)
    packed = zlib.compress(stream)
    data = start + chunk(b"IDAT", packed) + chunk(b"IEND")
    check(data, pixels, Encoding("png", "grey", 8))
    for damaged in (packed[:-1] + bytes([packed[-1] ^ 1]), packed[:-1], zlib.compress(stream[:-1])):
        assert "pixel data" in refusal(start + chunk(b"IDAT", damaged) + chunk(b"IEND"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_pixels_of_damaged_colours_are_refused_as_their_counts_are(mode: str) -> None:
    """Pillow, which decodes them, compares no checksum."""
    sound = saved(Image.fromarray(coloured(4)).convert(mode), "PNG")
    at = sound.index(b"IDAT")
    (length,) = struct.unpack_from(">I", sound, at - 4)
    packed = sound[at + 4 : at + 4 + length]
    damaged = packed[:-1] + bytes([packed[-1] ^ 1])
    data = sound[: at - 4] + chunk(b"IDAT", damaged) + sound[at + 8 + length :]
    reasons = {refusal(data, ALL)}
    with pytest.raises(MaskError) as caught:
        read_tally_and_pixels(data, "m", ALL)
    assert {str(caught.value)} == reasons


@pytest.mark.parametrize("colour_type", [2, 4, 6])
def test_png_with_16_bit_colours_is_refused_rather_than_cut_to_8(colour_type: int) -> None:
    channels = {2: 3, 4: 2, 6: 4}[colour_type]
    row = b"\0" + bytes(range(2 * channels))
    ihdr = struct.pack(">IIBBBBB", 1, 1, 16, colour_type, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + chunk(b"IDAT", zlib.compress(row))
    assert "16-bit" in refusal(data + chunk(b"IEND"), ALL)


# --- BMP and GIF -------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("count", [2, 3, 16, 256])
@pytest.mark.parametrize(
    "colours",
    [PALETTE_COLOURS, GREY_COLOURS, [(0, 0, 0), (255, 255, 255), *GREY_COLOURS[2:]]],
    ids=["colours", "greys", "black and white"],
)
@pytest.mark.parametrize("stated", [True, False])
def test_bmp_palette_indices_whatever_the_palette(
    bits: int, count: int, colours: list[tuple[int, ...]], stated: bool
) -> None:
    count = min(count, 1 << bits)
    pixels = labels(count).astype(np.uint8)
    full = colours if stated else colours[: 1 << bits]
    data = bmp(
        pixels, bits, full[:count] if stated else full, stated_colours=count if stated else 0
    )
    check(data, pixels, Encoding("bmp", "palette", bits))


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_bmp_as_pillow_writes_it(mode: str) -> None:
    pixels = labels(2 if mode == "1" else 256)
    if mode == "P":
        image = palette_image(pixels, PALETTE_COLOURS)
    else:
        image = Image.fromarray(pixels.astype(bool if mode == "1" else np.uint8))
    bits = 1 if mode == "1" else 8
    check(saved(image, "BMP"), pixels, Encoding("bmp", "palette", bits))


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        (10, 30, "within the header or the palette"),
        (30, 1, "run lengths of another depth"),
        (30, 2, "run lengths of another depth"),
    ],
)
def test_a_bmp_header_that_contradicts_itself(at: int, value: int, said: str) -> None:
    data = bytearray(bmp(labels(2).astype(np.uint8), 1, PALETTE_COLOURS[:2]))
    struct.pack_into("<I", data, at, value)
    assert said in refusal(bytes(data))


def test_bmp_colours() -> None:
    pixels = coloured(3)
    check(saved(Image.fromarray(pixels), "BMP"), colours_of(pixels), Encoding("bmp", "rgb", 8))


@pytest.mark.parametrize("compression", [1, 2])
def test_bmp_runs(compression: int) -> None:
    """RLE8 and RLE4: runs of one index, end of line, end of bitmap."""
    bits = 8 if compression == 1 else 4
    index = [5, 3]
    runs = b"".join(
        bytes([4, v if bits == 8 else v << 4 | v]) + (b"\0\0" if row else b"\0\1")
        for row, v in zip((1, 0), index, strict=True)
    )
    palette = b"".join(bytes([b, g, r, 0]) for r, g, b in PALETTE_COLOURS[: 1 << bits])
    start = 54 + len(palette)
    data = struct.pack("<2sIHHI", b"BM", start + len(runs), 0, 0, start)
    data += struct.pack("<IiiHHIIiiII", 40, 4, 2, 1, bits, compression, len(runs), 0, 0, 0, 0)
    expected = np.array([[3] * 4, [5] * 4])  # the last row comes first
    check(data + palette + runs, expected, Encoding("bmp", "palette", bits))


@pytest.mark.parametrize("colours", [PALETTE_COLOURS, GREY_COLOURS, GREY_COLOURS[::-1]])
@pytest.mark.parametrize("options", [{}, {"transparency": 3}, {"interlace": 0}])
def test_gif_indices_whatever_the_palette(
    colours: list[tuple[int, ...]], options: dict[str, int]
) -> None:
    pixels = labels(256)
    image = palette_image(pixels, colours)
    data = saved(image, "GIF", optimize=False, **options)
    pixels_read, encoding = read_label_map(data, ALL)
    assert (encoding.container, encoding.bits) == ("gif", 8)
    assert not encoding.is_colour
    assert np.array_equal(pixels_read, pixels)
    assert same_counts(read_tally(data, "m", STRICT), MaskTally.of_pixels("m", pixels, encoding))


def test_grey_gif() -> None:
    pixels = labels(256)
    data = saved(Image.fromarray(pixels.astype(np.uint8)), "GIF", optimize=False)
    assert np.array_equal(read_label_map(data, STRICT).pixels, pixels)


def test_animations_are_refused() -> None:
    frames = [palette_image(labels(9, seed=n), PALETTE_COLOURS) for n in range(3)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert "3 frames" in refusal(data)
    images = [Image.fromarray(coloured(3, seed=n)) for n in range(2)]
    data = saved(images[0], "WEBP", save_all=True, append_images=images[1:], lossless=True)
    assert "animated" in refusal(data)


# --- WebP and JPEG -----------------------------------------------------------------------------


def test_lossless_webp_of_grey_levels_needs_no_colours() -> None:
    pixels = labels(256)
    grey = np.repeat(pixels[..., None], 3, axis=2).astype(np.uint8)
    data = saved(Image.fromarray(grey), "WEBP", lossless=True)
    check(data, pixels * 0x010101, Encoding("webp", "rgb", 8))
    assert read_tally(data, "m", STRICT).encoding.lacks_grey


@pytest.mark.parametrize("channels", [3, 4])
def test_lossless_webp_of_colours(channels: int) -> None:
    pixels = coloured(channels)
    data = saved(Image.fromarray(pixels), "WEBP", lossless=True, exact=True)
    check(data, colours_of(pixels), Encoding("webp", "rgb" if channels == 3 else "rgba", 8))
    assert "catalogue with colours" in refusal(data)


@pytest.mark.parametrize("channels", [3, 4])
def test_lossy_webp_is_refused_unless_allowed(channels: int) -> None:
    data = saved(Image.fromarray(coloured(channels)), "WEBP", quality=90)
    assert "lossy" in refusal(data)
    assert "lossy" in refusal(data, ReadOptions(colours=True))
    assert read_tally(data, "m", ALL).encoding.is_lossy


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_is_refused_unless_allowed(mode: str) -> None:
    image = Image.fromarray(labels(256).astype(np.uint8)).convert(mode)
    data = saved(image, "JPEG", quality=95)
    assert "JPEG compression is lossy and invents classes" in refusal(data)
    tally = read_tally(data, "m", ALL)
    tally.check()
    assert tally.encoding == Encoding("jpeg lossy", "grey" if mode == "L" else "rgb", 8)
    with Image.open(io.BytesIO(data)) as again:
        assert np.array_equal(
            read_label_map(data, ALL).pixels & 0xFF, np.asarray(again.convert("L"))
        )


def test_cmyk_jpeg_is_no_mask() -> None:
    data = saved(Image.new("CMYK", (8, 8)), "JPEG")
    assert "CMYK" in refusal(data, ALL)


# --- what is no mask ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty file"),
        (b"hello, world", "not an image: text"),
        ("mask \u00fc".encode() * 200, "not an image: text"),
        (b"root:x:0:0", "not an image: text"),
        (b' {"a": 1}', "not an image: JSON"),
        (b"<!DOCTYPE html><p>404", "not an image: HTML"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not an image: a Git LFS pointer"),
        (b"\0" * 600, "not an image: zeros"),
        (b"\x89PNG", "not an image (known are"),
        (b"\xfe\xfa\x01\x00", "not an image (known are"),
        (b"RIFF\0\0\0\0WAVE", "not an image: a RIFF file"),
        (b"%PDF-1.7", "not an image: a PDF"),
        (b"\x7fELF\2\1", "not an image: an ELF program"),
        (b"II*\0", "TIFF"),
        (b"BM", "BMP"),
        (b"GIF89a", "GIF"),
        (b"RIFF\x04\0\0\0WEBP", "WebP"),
        (b"\xff\xd8\xff", "JPEG"),
    ],
)
def test_bytes_that_are_no_mask(data: bytes, said: str) -> None:
    """Their kind is said, and nothing of what they hold: any file may have been listed."""
    said_of_it = refusal(data, ALL)
    assert said in said_of_it
    assert data[:4].hex(" ") not in said_of_it or not data


@pytest.mark.parametrize("form", SAMPLED, ids=lambda form: form.name)
def test_first_bytes_decide_never_a_name(form: Format) -> None:
    assert all(suffix.startswith(".") and suffix.islower() for suffix in form.suffixes)
    (sample,) = [data for name, data in FILES.items() if name == form.name]
    assert recognise(sample) is form
    assert read_tally(sample, "whatever.txt", ALL).encoding.container.startswith(form.name.lower())


def test_colours_without_a_catalogue_of_colours_are_refused() -> None:
    assert "RGB image where class indices" in refusal(saved(Image.fromarray(coloured(3)), "PNG"))
    grey = saved(Image.fromarray(labels(9).astype(np.uint8)).convert("RGB"), "PNG")
    assert "channel='grey' reads them as indices" in refusal(grey)


def test_a_photograph_is_no_mask() -> None:
    photo = np.arange(3 * 300 * 300, dtype=np.uint32).astype(">u4").view(np.uint8)
    photo = photo.reshape(-1, 4)[:, 1:].reshape(-1, 3)[: 300 * 300].reshape(300, 300, 3)
    assert "photograph" in refusal(saved(Image.fromarray(photo), "PNG"), ALL)


def test_float_noise_is_no_mask() -> None:
    assert "float map" in refusal(npy(np.arange(70_000.0).reshape(7, -1)))


def test_an_invented_end_of_a_truncated_file_is_never_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Programs that train networks often set this flag of Pillow, which is global."""
    data = saved(Image.fromarray(labels(256).astype(np.uint8)).convert("P"), "TIFF")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert "LOAD_TRUNCATED_IMAGES" in refusal(data)
    assert "LOAD_TRUNCATED_IMAGES" in refusal(data[:-20])


def test_sizes_are_checked_before_memory_is_taken() -> None:
    """30 000 x 30 000 pixels would be far more than a reader may take."""
    for data in (
        bmp(np.zeros((1, 1), np.uint8), 8, PALETTE_COLOURS),
        saved(Image.new("RGB", (16, 16)), "BMP"),
    ):
        lying = bytearray(data)
        lying[18:26] = struct.pack("<ii", 40_000, 40_000)
        assert "MiB" in refusal(bytes(lying), ALL)


def test_more_pixels_than_pillow_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its limit is for images that a program shows; a mosaic goes by windows instead."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    pixels = labels(9).astype(np.uint8)
    check(saved(Image.fromarray(pixels), "TIFF"), pixels, Encoding("tiff", "grey", 8))
    monkeypatch.setattr(tiff, "_needs_mosaic", lambda *_: False)
    palette = Image.fromarray(pixels).convert("P")
    assert "PIL.Image.MAX_IMAGE_PIXELS" in refusal(saved(palette, "TIFF"))


def test_every_suffix_of_the_readers_is_claimed_once() -> None:
    claimed = [suffix for form in formats.FORMATS for suffix in form.suffixes]
    assert sorted([*claimed, *formats.STORE_SUFFIXES]) == sorted(formats.SUFFIXES)
    folder = Path(formats.__file__).parent
    assert all((folder / f"{form.module}.py").is_file() for form in formats.FORMATS)
