"""Counts and pixels of a mask from one decoding: the readers, both engines, and lent memory."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from maskstat.errors import MaskError
from maskstat.kernels import image_buffers
from maskstat.kernels.compiled_engine import CompiledEngine
from maskstat.kernels.engine import Engine
from maskstat.kernels.image_buffers import lent_array
from maskstat.kernels.numpy_engine import NumpyEngine
from maskstat.kernels.region_types import raw_pixels
from maskstat.readers import png
from maskstat.readers.formats import read_label_map, read_tally, read_tally_and_pixels
from maskstat.readers.packed_colours import pack_colours
from tests.support import png_factory
from tests.support.mask_files import ALL, FILES, STRICT
from tests.support.png_factory import PALETTE

DEPTHS = (1, 2, 4, 8, 16)


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


@pytest.mark.parametrize("bits", DEPTHS)
def test_engines_give_both(engine: Engine, bits: int) -> None:
    """What `tally` counts and `unfilter` rebuilds, also before kernels for 16 bits are there."""
    rng = np.random.default_rng(bits)
    for width in (1, 2, 3, 7, 8, 9, 63, 64, 65, 200):
        height = int(rng.integers(1, 12))
        pixels = png_factory.labels(rng, height, width, bits)
        padding = rng.integers(0, 256, height)
        rows = png_factory.rows_of(pixels, bits, padding)
        filters = rng.integers(0, 5, height).tolist()
        stream = bytearray(png_factory.filtered(rows, filters, 2 if bits == 16 else 1))
        for some in (engine, CompiledEngine()) if engine.name == "compiled" else (engine,):
            values, counts, found = some.tally_and_pixels(stream, height, width, bits)
            wanted = engine.tally(stream, height, width, bits)
            np.testing.assert_array_equal((values, counts), wanted)
            assert values.dtype == counts.dtype == np.int64
            np.testing.assert_array_equal(found, pixels)
            assert found.dtype == (np.uint16 if bits == 16 else np.uint8)
            assert found.flags.c_contiguous


@pytest.mark.parametrize("samples", ["greyalpha", "rgb", "rgba"])
def test_colours(samples: str) -> None:
    """Counts as of plain scans, and pixels as Pillow has them, at every width and filter."""
    engine = CompiledEngine()
    channels = {"greyalpha": 2, "rgb": 3, "rgba": 4}[samples]
    rng = np.random.default_rng(channels)
    for width in (1, 2, 15, 16, 17, 21, 22, 31, 32, 33, 64, 200):
        height = int(rng.integers(1, 12))
        colours = rng.integers(0, 256, (5, channels)).astype(np.uint8)
        pixels = colours[np.repeat(rng.integers(0, 5, (height, width)), 3, axis=1)[:, :width]]
        filters = rng.integers(0, 5, height).tolist()
        rows = pixels.reshape(height, -1)
        stream = bytearray(png_factory.filtered(rows, filters, channels))
        found = engine.tally_colours_and_pixels(stream, height, width, channels)
        assert found is not None
        wanted = NumpyEngine().tally_colours(stream, height, width, channels)
        np.testing.assert_array_equal(found[:2], wanted)
        np.testing.assert_array_equal(raw_pixels(found[2]), pack_colours(pixels, samples))


def test_colours_that_have_no_numbers_left() -> None:
    """65,536 colours are counted, but one more was met that no pixel has in the end: black."""
    pixels = np.zeros((257, 256, 3), np.uint8)
    pixels[:256, :, 0], pixels[:256, :, 1] = np.mgrid[:256, :256]
    pixels[..., 2] = 1
    pixels[256] = pixels[0]
    stream = bytearray(png_factory.filtered(pixels.reshape(257, -1), [2] * 257, 3))
    engine = CompiledEngine()
    assert engine.tally_colours(stream, 257, 256, 3)[0].size == 65536
    assert engine.tally_colours_and_pixels(stream, 257, 256, 3) is None


@pytest.mark.parametrize("bits", DEPTHS)
def test_unknown_filter_type(engine: Engine, bits: int) -> None:
    """The row is named."""
    pixels = png_factory.labels(np.random.default_rng(1), 6, 40, bits)
    stream = bytearray(png_factory.stream_of(pixels, bits, [4, 1, 2, 0, 3, 2]))
    stream[3 * (len(stream) // 6)] = 9
    with pytest.raises(MaskError, match=r"unknown PNG filter type 9 in row 3$"):
        engine.tally_and_pixels(stream, 6, 40, bits)


@pytest.mark.parametrize("colour_type", [png_factory.GREY, PALETTE])
def test_a_png_is_inflated_once(
    engine: Engine, colour_type: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And neither counted nor rebuilt a second time."""
    calls: list[int] = []
    real = png._inflate
    monkeypatch.setattr(png, "_inflate", lambda *a: calls.append(1) or real(*a))
    monkeypatch.setattr(png, "read", None)
    pixels = png_factory.labels(np.random.default_rng(2), 30, 70, 4)
    data = png_factory.png(pixels, 4, [3] * 30, colour_type=colour_type)
    tally, found = read_tally_and_pixels(data, "a", STRICT)
    assert calls == [1]
    np.testing.assert_array_equal(found, pixels)
    assert (tally.name, tally.shape) == ("a", (30, 70))


@pytest.mark.parametrize("name", FILES)
def test_every_format(name: str) -> None:
    """The same counts and the same pixels as from the two functions that give one of them."""
    data = FILES[name]
    tally, pixels = read_tally_and_pixels(data, "m", ALL)
    tally.check()
    wanted = read_tally(data, "m", ALL)
    assert (tally.name, tally.shape, tally.encoding) == (wanted.name, wanted.shape, wanted.encoding)
    np.testing.assert_array_equal(tally.values, wanted.values)
    np.testing.assert_array_equal(tally.counts, wanted.counts)
    label_map = read_label_map(data, ALL)
    assert label_map.encoding == tally.encoding
    np.testing.assert_array_equal(pixels, label_map.pixels)
    assert pixels.dtype == label_map.pixels.dtype


@pytest.mark.parametrize("name", FILES)
def test_the_same_is_refused(name: str) -> None:
    """With the same words as by `read_tally`."""

    def said(read: object, data: bytes) -> str:
        try:
            read(data, "m", STRICT)  # type: ignore[operator]
        except MaskError as error:
            return str(error)
        return ""

    data = FILES[name]
    assert said(read_tally_and_pixels, data) == said(read_tally, data)
    for cut in (0, 4, 20, len(data) // 2):
        assert said(read_tally_and_pixels, data[:cut]) == said(read_tally, data[:cut]) != ""


def test_too_many_pixels(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """They can be counted, but not be held: said before anything is inflated."""
    monkeypatch.setattr(png, "LARGEST_MASK", 599)
    pixels = png_factory.labels(np.random.default_rng(2), 20, 30, 8)
    data = png_factory.png(pixels, 8, [0] * 20)
    assert read_tally(data, "m", STRICT).area == 600
    monkeypatch.setattr(png, "_inflate", None)
    with pytest.raises(MaskError, match="30x20 pixels would take 0 MiB decoded, more than"):
        read_tally_and_pixels(data, "m", STRICT)


# lent memory


@pytest.fixture
def nothing_idle() -> None:
    """No buffer waits."""
    gc.collect()
    image_buffers._idle.clear()


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_masks_do_not_share_memory(nothing_idle: None) -> None:
    """What is held stays as it is, whatever is decoded afterwards."""
    rng = np.random.default_rng(6)
    engine, images, found = ENGINES["compiled"], [], []
    for k in range(20):
        bits = (8, 16)[k % 2]
        images.append(png_factory.labels(rng, 10 + k, 40, bits))
        stream = bytearray(png_factory.stream_of(images[-1], bits, [k % 5] * (10 + k)))
        found.append(engine.unfilter(stream, 10 + k, 40, bits)[k // 2 :, 3:])
        if k % 3 == 0:  # some go back
            images.pop(0)
            found.pop(0)
    for k, (image, view) in enumerate(zip(images, found, strict=True)):
        rows = len(image) - len(view)
        np.testing.assert_array_equal(view, image[rows:, 3:], str(k))
    for k, one in enumerate(found):
        assert not any(np.shares_memory(one, other) for other in found[:k])


def test_memory_is_used_again_when_the_last_view_is_gone(nothing_idle: None) -> None:
    """Not before."""
    first = lent_array(1000, np.uint16)
    place, view = _address(first), first[5:].reshape(-1, 5)[1:]
    del first
    other = lent_array(1000, np.uint16)
    assert _address(other) != place
    del view
    again = lent_array(2000, np.uint8)
    assert _address(again) == place
    assert (again.size, again.dtype, again.flags.writeable) == (2000, np.uint8, True)
    larger = lent_array(3000, np.uint8)
    assert larger.size == 3000


def test_large_images_are_not_kept(nothing_idle: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor more than a few."""
    monkeypatch.setattr(image_buffers, "MAX_KEPT_BYTES", 100)
    lent_array(101, np.uint8)
    assert len(image_buffers._idle) == 0
    held = [lent_array(100, np.uint8) for _ in range(50)]
    assert len(image_buffers._idle) == 0
    held.clear()
    assert len(image_buffers._idle) == image_buffers._idle.maxlen
