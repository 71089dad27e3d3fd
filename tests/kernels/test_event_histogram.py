"""Both engines against the plain reference: every bit depth, filter and width."""

from __future__ import annotations

import functools
import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.errors import MaskError
from maskstat.kernels.compiled_engine import CompiledEngine
from maskstat.kernels.engine import Engine
from maskstat.kernels.numpy_engine import NumpyEngine
from maskstat.kernels.packed import bytes_per_row, pixel_bins, unpack_rows
from tests.support import png_factory

DEPTHS = (1, 2, 4, 8, 16)
MIXED = "mixed"
ENGINES = ("numpy", "compiled")


@functools.cache
def _engine(name: str) -> Engine:
    if name == "numpy":
        return NumpyEngine()
    engine = CompiledEngine()
    engine.load_two_byte_kernels()
    return engine


@pytest.fixture(params=ENGINES, scope="module")
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn."""
    return _engine(request.param)


def _as_dict(found: tuple[np.ndarray, np.ndarray]) -> dict[int, int]:
    values, counts = found
    assert values.dtype == counts.dtype == np.int64
    assert (np.diff(values) > 0).all()
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _filters(rng: np.random.Generator, kind: int | str, height: int) -> list[int]:
    if kind == MIXED:
        return rng.integers(0, 5, height).tolist()
    return [int(kind)] * height


def _check(engine: Engine, pixels: np.ndarray, bits: int, stream: bytes, cuts: list[int]) -> None:
    """Whole, in bands cut after the given rows, and as pixels: all must equal the image."""
    height, width = pixels.shape
    wanted = png_factory.counts_of(pixels)
    assert _as_dict(engine.tally(bytearray(stream), height, width, bits)) == wanted
    stride = 1 + bytes_per_row(width, bits)
    counter = engine.bands(width, bits)
    edges = [0, *sorted(cuts), height]
    for first, last in pairwise(edges):
        if last > first:
            band = bytearray(stream[first * stride : last * stride])
            counter.add(memoryview(band), last - first)
    assert _as_dict(counter.finish()) == wanted
    decoded = engine.unfilter(bytearray(stream), height, width, bits)
    assert decoded.dtype == (np.uint16 if bits == 16 else np.uint8)
    np.testing.assert_array_equal(decoded, pixels)


@pytest.mark.parametrize("kind", [*png_factory.FILTERS, MIXED])
@pytest.mark.parametrize("bits", DEPTHS)
def test_every_depth_filter_and_width(engine: Engine, bits: int, kind: int | str) -> None:
    """Widths 1 to 200, label-like and noisy content, padding bits at random."""
    rng = np.random.default_rng([bits, 99 if kind == MIXED else int(kind)])
    for width in range(1, 201):
        height = int(rng.integers(1, 9))
        make = png_factory.noise if width % 4 == 0 else png_factory.labels
        pixels = make(rng, height, width, bits)
        padding = rng.integers(0, 256, height)
        rows = png_factory.rows_of(pixels, bits, padding)
        filters = _filters(rng, kind, height)
        stream = png_factory.filtered(rows, filters, 2 if bits == 16 else 1)
        _check(engine, pixels, bits, stream, rng.integers(0, height + 1, 2).tolist())


@pytest.mark.parametrize("bits", DEPTHS)
def test_larger_images_cross_blocks(engine: Engine, bits: int) -> None:
    """Images of several blocks of rows, filters in runs as encoders choose them."""
    rng = np.random.default_rng(bits)
    height, width = 700, 2300 * 8 // max(bits, 8) + 13
    pixels = png_factory.labels(rng, height, width, bits)
    filters = np.repeat(rng.integers(0, 5, 70), 10).tolist()
    stream = png_factory.stream_of(pixels, bits, filters)
    _check(engine, pixels, bits, stream, [1, 350, 699])


@given(
    bits=st.sampled_from(DEPTHS),
    width=st.integers(1, 150),
    filters=st.lists(st.integers(0, 4), min_size=1, max_size=12),
    seed=st.integers(0, 2**32),
    density=st.sampled_from([0.0, 0.003, 0.02, 0.1, 0.5, 1.0]),
)
def test_any_stream_equals_the_plain_reference(
    bits: int, width: int, filters: list[int], seed: int, density: float
) -> None:
    """Residuals that no encoder would write: what they decode to is still defined."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 256, (len(filters), 1 + bytes_per_row(width, bits)), dtype=np.uint8)
    rows[rng.random(rows.shape) >= density] = 0
    rows[:, 0] = filters
    stream = rows.tobytes()
    pixels = png_factory.plain_unfilter(stream, len(filters), width, bits)
    assert pixels is not None
    for engine in map(_engine, ENGINES):
        _check(engine, pixels, bits, stream, [len(filters) // 2])


@given(
    bits=st.sampled_from([1, 2, 4, 8]),
    tile=st.integers(1, 70),
    kind=st.sampled_from(png_factory.FILTERS),
    values=st.tuples(st.integers(0, 255), st.integers(0, 255)),
)
def test_steps_and_stretches(bits: int, tile: int, kind: int, values: tuple[int, int]) -> None:
    """A border that moves by a whole tile a row: long stretches out of step, and settling."""
    top = (1 << bits) - 1
    y, x = np.mgrid[0:12, 0:300]
    pixels = np.where(x // tile > y, values[0] & top, values[1] & top).astype(np.uint16)
    stream = png_factory.stream_of(pixels, bits, [kind] * 12)
    for engine in map(_engine, ENGINES):
        _check(engine, pixels, bits, stream, [5])


@pytest.mark.parametrize("bits", DEPTHS)
@pytest.mark.parametrize("unknown", [5, 7, 255])
@pytest.mark.parametrize("row", [0, 3, 5])
def test_unknown_filter_type(engine: Engine, bits: int, unknown: int, row: int) -> None:
    """The row is named, by every way of counting; and later counts are not spoilt."""
    pixels = png_factory.labels(np.random.default_rng(1), 6, 40, bits)
    stride = 1 + bytes_per_row(40, bits)
    stream = bytearray(png_factory.stream_of(pixels, bits, [4, 1, 2, 0, 3, 2]))
    sound = bytes(stream)
    stream[row * stride] = unknown
    message = f"unknown PNG filter type {unknown} in row {row}$"
    with pytest.raises(MaskError, match=message):
        engine.tally(stream, 6, 40, bits)
    with pytest.raises(MaskError, match=message):
        engine.unfilter(stream, 6, 40, bits)
    counter = engine.bands(40, bits)
    counter.add(stream[: row * stride], row)
    with pytest.raises(MaskError, match=message):
        counter.add(stream[row * stride :], 6 - row)
    _check(engine, pixels, bits, sound, [])


def test_threads_do_not_disturb_each_other(engine: Engine) -> None:
    """One engine, eight threads, images of different sizes and depths."""
    rng = np.random.default_rng(8)
    cases = []
    for k in range(8):
        bits = DEPTHS[k % 5]
        pixels = png_factory.labels(rng, 60, 30 + 50 * k, bits)
        stream = png_factory.stream_of(pixels, bits, _filters(rng, MIXED, 60))
        cases.append((pixels, bits, bytearray(stream)))
    wrong: list[int] = []

    def work(start: int) -> None:
        for turn in range(30):
            pixels, bits, stream = cases[(start + turn) % 8]
            found = engine.tally(stream, *pixels.shape, bits)
            if _as_dict(found) != png_factory.counts_of(pixels):
                wrong.append(start)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7, 8, 9, 16, 31])
def test_packed_bytes(bits: int, width: int) -> None:
    """Byte histograms give pixel histograms whatever the padding holds; unpacking agrees."""
    rng = np.random.default_rng(width)
    pixels = png_factory.noise(rng, 50, width, bits)
    rows = png_factory.rows_of(pixels, bits, rng.integers(0, 256, 50))
    bins = pixel_bins(
        np.bincount(rows.reshape(-1), minlength=256),
        np.bincount(rows[:, -1], minlength=256),
        width,
        bits,
    )
    np.testing.assert_array_equal(bins, np.bincount(pixels.reshape(-1), minlength=1 << bits))
    np.testing.assert_array_equal(unpack_rows(rows, width, bits), pixels)


def test_the_reference_agrees_with_the_writer() -> None:
    """The plain reader undoes what the plain writer did: both follow the standard."""
    rng = np.random.default_rng(0)
    for bits in DEPTHS:
        pixels = png_factory.noise(rng, 9, 21, bits)
        stream = png_factory.stream_of(pixels, bits, _filters(rng, MIXED, 9))
        np.testing.assert_array_equal(png_factory.plain_unfilter(stream, 9, 21, bits), pixels)
