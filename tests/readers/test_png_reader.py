"""The PNG fast path: sound files of every kind, real masks, and files out to do harm."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from maskstat.errors import MaskError
from maskstat.kernels.compiled_engine import CompiledEngine
from maskstat.kernels.engine import Engine
from maskstat.kernels.numpy_engine import NumpyEngine
from maskstat.readers import png
from maskstat.readers.png import decode_png, inflate_png, tally_png, tally_png_stream
from maskstat.values.tally import Encoding, MaskTally
from tests.support import png_factory
from tests.support.loops import at_least_one
from tests.support.png_factory import GREY, PALETTE, SIGNATURE, chunk, header, idat, palette

KINDS = [(GREY, bits) for bits in (1, 2, 4, 8, 16)] + [(PALETTE, bits) for bits in (1, 2, 4, 8)]
IEND = chunk(b"IEND")


def _compiled() -> CompiledEngine:
    engine = CompiledEngine()
    engine.load_two_byte_kernels()
    return engine


ENGINES: dict[str, Engine] = {"numpy": NumpyEngine(), "compiled": _compiled()}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Each engine in turn, used by the reader."""
    chosen = ENGINES[request.param]
    monkeypatch.setattr(png, "current_engine", lambda: chosen)
    return chosen


@pytest.fixture
def without_libdeflate(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the deflate package is not installed."""
    monkeypatch.setattr(png, "_libdeflate", None)
    monkeypatch.setattr(png, "_crc32", zlib.crc32)


def _counts(tally: MaskTally | None) -> dict[int, int]:
    assert tally is not None
    tally.check()
    return dict(zip(tally.values.tolist(), tally.counts.tolist(), strict=True))


def _sound(rng: np.random.Generator, colour_type: int, bits: int) -> tuple[np.ndarray, bytes]:
    """Pixels, and a sound file of them, cut into IDAT chunks anywhere."""
    height, width = rng.integers(1, 40, 2).tolist()
    pixels = png_factory.labels(rng, height, width, bits)
    data = png_factory.png(
        pixels,
        bits,
        rng.integers(0, 5, height).tolist(),
        colour_type=colour_type,
        cuts=rng.integers(0, 60, int(rng.integers(0, 5))).tolist(),
        padding=rng.integers(0, 256, height),
    )
    return pixels, data


def _mask(**options: object) -> bytes:
    """A small sound file."""
    pixels = png_factory.labels(np.random.default_rng(5), 20, 30, 8)
    return png_factory.png(pixels, 8, [k % 5 for k in range(20)], **options)  # type: ignore[arg-type]


# sound files


@pytest.mark.parametrize(("colour_type", "bits"), KINDS)
def test_sound_files(engine: Engine, colour_type: int, bits: int) -> None:
    """All ways of reading a file give its pixels, and say how it stores them."""
    rng = np.random.default_rng([colour_type, bits])
    for _ in range(40):
        pixels, data = _sound(rng, colour_type, bits)
        wanted = png_factory.counts_of(pixels)
        for tally in (
            tally_png(data, "a/b"),
            tally_png(memoryview(data), "a/b"),
            tally_png_stream(io.BytesIO(data), "a/b"),
        ):
            assert _counts(tally) == wanted
            assert tally is not None
            assert (tally.name, tally.shape) == ("a/b", pixels.shape)
            samples = "palette" if colour_type == PALETTE else "grey"
            assert tally.encoding == Encoding("png", samples, bits)
        decoded = decode_png(data)
        assert decoded is not None
        np.testing.assert_array_equal(decoded, pixels)
        assert decoded.dtype == (np.uint16 if bits == 16 else np.uint8)


def test_without_libdeflate(engine: Engine, without_libdeflate: None) -> None:
    """The standard library takes over, with the same results."""
    rng = np.random.default_rng(2)
    for colour_type, bits in KINDS:
        pixels, data = _sound(rng, colour_type, bits)
        assert _counts(tally_png(data)) == png_factory.counts_of(pixels)
        assert _counts(tally_png_stream(io.BytesIO(data))) == png_factory.counts_of(pixels)


def test_large_images_go_by_bands(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result does not depend on how many rows a band or how many bytes a piece has."""
    rng = np.random.default_rng(3)
    for colour_type, bits in KINDS:
        pixels, data = _sound(rng, colour_type, bits)
        for band, piece in ((1, 1), (7, 3), (100, 50), (10_000, 7)):
            monkeypatch.setattr(png, "WHOLE_BYTES", 0)
            monkeypatch.setattr(png, "BAND_BYTES", band)
            monkeypatch.setattr(png, "_PIECE", piece)
            assert _counts(tally_png(data)) == png_factory.counts_of(pixels)
            assert _counts(tally_png_stream(io.BytesIO(data))) == png_factory.counts_of(pixels)


class _Dribble(io.RawIOBase):
    """A file that gives a few bytes at a time, as pipes and sockets do."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)
        self._turn = 0

    def read(self, size: int = -1) -> bytes:
        self._turn += 1
        return self._data.read(min(size, 1 + self._turn % 7))


def test_streams_that_give_little_at_a_time() -> None:
    """Short reads are not the end of the file."""
    data = _mask()
    file = _Dribble(data)
    assert _counts(tally_png_stream(file)) == _counts(tally_png(data))  # type: ignore[arg-type]


def test_inflate_png_gives_the_filtered_rows() -> None:
    """The stream as the writer made it."""
    pixels = png_factory.labels(np.random.default_rng(1), 9, 11, 4)
    data = png_factory.png(pixels, 4, [3] * 9)
    assert inflate_png(data) == png_factory.stream_of(pixels, 4, [3] * 9)


@pytest.mark.parametrize(("colour_type", "bits"), KINDS)
def test_equal_to_pillow(colour_type: int, bits: int) -> None:
    """Our writer's files mean to Pillow what they mean to us, once its scaling is undone."""
    rng = np.random.default_rng([7, colour_type, bits])
    for _ in range(10):
        pixels, data = _sound(rng, colour_type, bits)
        with Image.open(io.BytesIO(data)) as image:
            seen = np.asarray(image).astype(np.int64)
        if colour_type == GREY and bits in (2, 4):
            seen //= 255 // ((1 << bits) - 1)
        np.testing.assert_array_equal(seen, pixels)
        assert _counts(tally_png(data)) == png_factory.counts_of(seen)


def _masks(camvid: Path) -> list[Path]:
    return sorted(camvid.glob("*/masks/*.png"))


def test_real_masks_compiled(camvid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All CamVid masks, equal to Pillow's decode."""
    monkeypatch.setattr(png, "current_engine", lambda: ENGINES["compiled"])
    paths = _masks(camvid)
    assert len(paths) == 468
    for path in at_least_one(paths):
        with Image.open(path) as image:
            pixels = np.asarray(image)
        wanted = np.bincount(pixels.reshape(-1))
        assert _counts(tally_png(path.read_bytes())) == {
            value: count for value, count in enumerate(wanted.tolist()) if count
        }


def test_real_masks_every_way(camvid: Path, engine: Engine) -> None:
    """A sample of CamVid masks, streamed and decoded, too."""
    for path in at_least_one(_masks(camvid)[::20]):
        with Image.open(path) as image:
            pixels = np.asarray(image)
        data = path.read_bytes()
        np.testing.assert_array_equal(decode_png(data), pixels)
        wanted = png_factory.counts_of(pixels)
        assert _counts(tally_png(data)) == wanted
        with path.open("rb") as file:
            assert _counts(tally_png_stream(file)) == wanted


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_16_bit_colours_are_left_to_another_reader(colour_type: int, channels: int) -> None:
    """None, not an error, and not a count of something."""
    rows = (b"\0" + bytes(5 * 2 * channels)) * 4
    _check_left(SIGNATURE + header(5, 4, 16, colour_type) + idat(rows) + IEND)


def test_interlaced_is_left_to_another_reader() -> None:
    """Adam7 stores seven small images."""
    _check_left(
        SIGNATURE + header(8, 8, 8, methods=b"\0\0\1") + idat(bytes(15 * 5)) + IEND,
    )


def _check_left(data: bytes) -> None:
    assert tally_png(data) is None
    assert tally_png_stream(io.BytesIO(data)) is None
    assert decode_png(data) is None
    assert inflate_png(data) is None
    with pytest.raises(MaskError):
        tally_png(data[:-5])
    with pytest.raises(MaskError):
        tally_png_stream(io.BytesIO(data[:-5]))


def _with_chunks(before: bytes = b"", behind: bytes = b"", end: bytes = b"") -> bytes:
    """A sound file with more chunks before and behind its IDAT, and bytes behind its IEND."""
    stream = png_factory.stream_of(np.arange(12).reshape(3, 4), 8, [0, 1, 2])
    return SIGNATURE + header(4, 3, 8) + before + idat(stream) + behind + IEND + end


@pytest.mark.parametrize(
    "data",
    [
        _with_chunks(chunk(b"tRNS", b"\0\3")),
        _with_chunks(chunk(b"gAMA", bytes(4)), chunk(b"tEXt", b"Comment\0road")),
        _with_chunks(chunk(b"zzZz", bytes(1000))),
        _with_chunks(chunk(b"acTL", bytes(8)), chunk(b"fdAT", bytes(50))),
        _with_chunks(palette(3)),
        _with_chunks(end=b"appended by some tool"),
        _with_chunks(end=IEND + bytes(100)),
    ],
    ids=["tRNS", "gamma and text", "unknown", "frames", "PLTE in grey", "tail", "IEND twice"],
)
def test_what_cannot_change_values_is_ignored(data: bytes) -> None:
    """Ancillary chunks, a palette that is not used, bytes behind the end."""
    assert _counts(tally_png(data)) == dict.fromkeys(range(12), 1)
    assert _counts(tally_png_stream(io.BytesIO(data))) == dict.fromkeys(range(12), 1)


def test_indices_beyond_the_palette_are_counted_as_stored() -> None:
    """Two colours, four indices."""
    stream = png_factory.stream_of(np.array([[0, 1, 2, 3]]), 8, [0])
    data = SIGNATURE + header(4, 1, 8, PALETTE) + palette(2) + idat(stream) + IEND
    assert _counts(tally_png(data)) == {0: 1, 1: 1, 2: 1, 3: 1}


def test_empty_idat_chunks_and_data_behind_the_stream() -> None:
    """Both are legal or harmless."""
    stream = png_factory.stream_of(np.array([[7, 7]]), 8, [0])
    empty = chunk(b"IDAT")
    packed = zlib.compress(stream)
    for pixels in (
        empty + chunk(b"IDAT", packed) + empty + empty,
        chunk(b"IDAT", packed + b"more"),
        chunk(b"IDAT", packed) + chunk(b"IDAT", b"more"),
    ):
        data = SIGNATURE + header(2, 1, 8) + pixels + IEND
        assert _counts(tally_png(data)) == {7: 2}
        assert _counts(tally_png_stream(io.BytesIO(data))) == {7: 2}


# broken files

_ROWS = png_factory.stream_of(np.zeros((4, 6), int), 8, [0] * 4)
_PACKED = zlib.compress(_ROWS)
_HEAD = SIGNATURE + header(6, 4, 8)


def _with_pixels(packed: bytes) -> bytes:
    return _HEAD + chunk(b"IDAT", packed) + IEND


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty file"),
    "signature alone": (SIGNATURE, "file ends in the PNG header"),
    "text": (b"hello, world; this is not a mask at all", "not a PNG file"),
    "short text": (b"hello", "not a PNG file"),
    "jpeg": (b"\xff\xd8\xff\xe0" + bytes(100), "not a PNG file"),
    "line ends": (SIGNATURE.replace(b"\r\n", b"\n") + bytes(50), "not a PNG file"),
    "first chunk": (SIGNATURE + chunk(b"IDAT", bytes(13)) + IEND, "first chunk is not IHDR"),
    "long IHDR": (SIGNATURE + chunk(b"IHDR", bytes(14)) + IEND, "first chunk is not IHDR"),
    "IHDR CRC": (
        SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 6, 4, 8, 0, 0, 0, 0), crc=1) + IEND,
        "wrong CRC in chunk IHDR at byte 8",
    ),
    "no width": (SIGNATURE + header(0, 4, 8) + idat(_ROWS) + IEND, "impossible size 0 x 4"),
    "no height": (SIGNATURE + header(6, 0, 8) + idat(_ROWS) + IEND, "impossible size 6 x 0"),
    "width over": (SIGNATURE + header(2**31, 4, 8) + idat(_ROWS) + IEND, "impossible size"),
    "depth 3": (SIGNATURE + header(6, 4, 3) + idat(_ROWS) + IEND, "undefined combination"),
    "palette 16": (SIGNATURE + header(6, 4, 16, PALETTE) + IEND, "undefined combination"),
    "colour type 1": (SIGNATURE + header(6, 4, 8, 1) + IEND, "undefined combination"),
    "compression": (SIGNATURE + header(6, 4, 8, methods=b"\1\0\0") + IEND, "unknown compression"),
    "filtering": (SIGNATURE + header(6, 4, 8, methods=b"\0\1\0") + IEND, "unknown compression"),
    "interlace": (SIGNATURE + header(6, 4, 8, methods=b"\0\0\2") + IEND, "unknown compression"),
    "IHDR twice": (_HEAD + header(6, 4, 8) + idat(_ROWS) + IEND, "unknown critical chunk IHDR"),
    "critical": (_HEAD + chunk(b"CgBI", bytes(4)) + idat(_ROWS) + IEND, "critical chunk CgBI"),
    "critical behind": (_HEAD + idat(_ROWS) + chunk(b"ABCD") + IEND, "critical chunk ABCD"),
    "no IDAT": (_HEAD + IEND, "no IDAT chunk"),
    "no IEND": (_HEAD + idat(_ROWS), "file ends early: the chunk at byte"),
    "IEND with data": (
        _HEAD + idat(_ROWS) + chunk(b"IEND", b"x"),
        "IEND at byte \\d+ is not empty",
    ),
    "IDAT apart": (
        _HEAD + chunk(b"IDAT", _PACKED[:9]) + chunk(b"tEXt") + chunk(b"IDAT", _PACKED[9:]) + IEND,
        "IDAT chunks do not follow each other",
    ),
    "no palette": (
        SIGNATURE + header(6, 4, 8, PALETTE) + idat(_ROWS) + IEND,
        "palette image without PLTE",
    ),
    "palette late": (
        SIGNATURE + header(6, 4, 8, PALETTE) + idat(_ROWS) + palette(4) + IEND,
        "palette image without PLTE",
    ),
    "palette twice": (_HEAD + palette(2) + palette(2) + idat(_ROWS) + IEND, "PLTE out of place"),
    "palette behind": (_HEAD + idat(_ROWS) + palette(2) + IEND, "PLTE out of place"),
    "palette of 4 bytes": (_HEAD + chunk(b"PLTE", bytes(4)) + IEND, "impossible length of 4 bytes"),
    "palette of 257": (_HEAD + chunk(b"PLTE", bytes(771)) + IEND, "impossible length of 771"),
    "empty palette": (_HEAD + chunk(b"PLTE") + IEND, "impossible length of 0 bytes"),
    "no chunk": (_HEAD + chunk(b"\0\1\2\3", b"?") + IEND, "no chunk at byte 33"),
    "IDAT CRC": (
        _HEAD + chunk(b"IDAT", _PACKED, crc=7) + IEND,
        "wrong CRC in chunk IDAT at byte 33",
    ),
    "IEND CRC": (_HEAD + idat(_ROWS) + chunk(b"IEND", crc=7), "wrong CRC in chunk IEND at byte"),
    "text CRC": (_HEAD + chunk(b"tEXt", b"hi", crc=7) + idat(_ROWS) + IEND, "CRC in chunk tEXt"),
    "chunk too long": (_HEAD + struct.pack(">I", 2**32 - 1) + b"IDAT" + bytes(90), "at byte 33"),
    "Adler": (_with_pixels(_PACKED[:-1] + bytes([_PACKED[-1] ^ 1])), "damaged pixel data .*check"),
    "no Adler": (_with_pixels(_PACKED[:-4]), "pixel data ends before its checksum"),
    "half an Adler": (_with_pixels(_PACKED[:-2]), "pixel data ends before its checksum"),
    "zlib header": (_with_pixels(b"\x79\x9c" + _PACKED[2:]), "damaged pixel data .*header"),
    "zlib dictionary": (_with_pixels(b"\x78\xbb" + _PACKED[2:]), "damaged pixel data"),
    "block type": (_with_pixels(b"\x78\x9c\x07" + _PACKED[3:]), "damaged pixel data .*block type"),
    "distance": (_with_pixels(b"\x78\x9c\x63\x00\x22\x00\x00"), "damaged pixel data .*distance"),
    "garbage": (_with_pixels(bytes(range(60))), "damaged pixel data"),
    "empty IDAT": (_HEAD + chunk(b"IDAT") + IEND, "cannot hold an image"),
    "cut stream": (
        _with_pixels(zlib.compress(bytes(range(28)))[:20]),
        "inflates to .* calls for 28",
    ),
    "a byte short": (
        _with_pixels(zlib.compress(_ROWS[:-1])),
        "inflates to 27 bytes.* calls for 28",
    ),
    "a row short": (_with_pixels(zlib.compress(_ROWS[:-7])), "inflates to 21 bytes.* calls for 28"),
    "a byte long": (_with_pixels(zlib.compress(_ROWS + b"\0")), "more than the 28 bytes"),
    "much too long": (_with_pixels(zlib.compress(bytes(10**6))), "more than the 28 bytes"),
    "filter 7": (
        _with_pixels(zlib.compress(bytes(14) + b"\7" + bytes(13))),
        "filter type 7 in row 2",
    ),
    "filter 5": (_with_pixels(zlib.compress(b"\5" + bytes(27))), "filter type 5 in row 0"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(name: str) -> None:
    """Each is refused with the reason, whole and streamed."""
    data, reason = BROKEN[name]
    with pytest.raises(MaskError, match=reason) as caught:
        tally_png(data, "secret/name.png")
    text = str(caught.value)
    assert "secret" not in text
    assert len(text) < 120
    assert text.isascii()
    assert text.isprintable()
    with pytest.raises(MaskError):
        tally_png_stream(io.BytesIO(data))
    with pytest.raises(MaskError):
        decode_png(data)


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "empty IDAT"])
def test_broken_files_without_libdeflate(name: str, without_libdeflate: None) -> None:
    """The same reasons."""
    data, reason = BROKEN[name]
    with pytest.raises(MaskError, match=reason):
        tally_png(data)


@pytest.mark.parametrize("name", [name for name in BROKEN if "chunk" not in name])
def test_broken_streams_have_a_reason(name: str) -> None:
    """The streamed way says the same wherever it can know as much."""
    data, reason = BROKEN[name]
    if name == "empty IDAT":
        reason = "inflates to 0 bytes"
    with pytest.raises(MaskError, match=reason):
        tally_png_stream(io.BytesIO(data))


@pytest.mark.parametrize("read", ["whole", "stream"])
def test_truncated_at_any_byte(read: str) -> None:
    """No beginning of a file is a file."""
    data = _mask(cuts=[10, 10, 50])
    tally = tally_png if read == "whole" else lambda part: tally_png_stream(io.BytesIO(part))
    for length in range(len(data)):
        with pytest.raises(MaskError):
            tally(data[:length])


def test_any_flipped_bit_is_noticed() -> None:
    """CRCs cover all but the lengths, and a wrong length misses the next CRC."""
    data = _mask(cuts=[40])
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(MaskError):
            tally_png(bytes(damaged))


@given(
    cuts=st.lists(st.integers(0, 300), max_size=12),
    tail=st.binary(max_size=20),
)
def test_idat_cut_anyhow(cuts: list[int], tail: bytes) -> None:
    """How the stream is divided into chunks means nothing."""
    data = _mask(cuts=cuts) + tail
    assert _counts(tally_png(data)) == _counts(tally_png(_mask()))
    assert _counts(tally_png_stream(io.BytesIO(data))) == _counts(tally_png(_mask()))


def test_pixel_limit_of_decoding() -> None:
    """More pixels than allowed are refused before memory is taken; counting has no such limit."""
    data = _mask()
    assert decode_png(data, limit=600) is not None
    with pytest.raises(MaskError, match="30x20 pixels would take 0 MiB decoded, more than"):
        decode_png(data, limit=599)
