"""Pixels that lie plain in memory: both engines count them as NumPy's `unique` does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from maskstat.kernels.compiled_engine import CompiledEngine
from maskstat.kernels.engine import Engine
from maskstat.kernels.numpy_engine import NumpyEngine
from maskstat.kernels.plain_pixels import LOWEST, MOST_OTHERS, WINDOW
from maskstat.kernels.runs import value_sums
from maskstat.readers import tallying
from maskstat.values.tally import Encoding

by_both = pytest.mark.parametrize("engine", ["numpy", "compiled"], indirect=True)

# Runs of any length: within a word of 64 bytes, over several, and pixel by pixel.
run_lengths = st.lists(st.integers(1, 200) | st.just(1), min_size=1, max_size=150)
EDGES = [LOWEST - 1, LOWEST, -1, 0, 255, 256, LOWEST + WINDOW - 1, LOWEST + WINDOW]


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Engine:
    """The engine of a name."""
    return NumpyEngine() if request.param == "numpy" else CompiledEngine()


def expected(pixels: NDArray[Any]) -> dict[int, int]:
    values, counts = np.unique(pixels, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def found(values: NDArray[np.int64], counts: NDArray[np.int64]) -> dict[int, int]:
    assert values.dtype == counts.dtype == np.int64
    assert (np.diff(values) > 0).all()
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


@by_both
@given(run_lengths, st.data())
def test_bytes(engine: Engine, lengths: list[int], data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, 255), min_size=1, max_size=len(lengths)))
    pixels = np.repeat(np.resize(values, len(lengths)), lengths).astype(np.uint8)
    bins = np.arange(256)  # what was counted before stays
    engine.add_bytes(bins, pixels)
    assert np.array_equal(bins - np.arange(256), np.bincount(pixels, minlength=256))


@by_both
@given(run_lengths, st.sampled_from([np.uint16, np.int32, np.int64]), st.data())
def test_wider_values(
    engine: Engine, lengths: list[int], dtype: type[Any], data: st.DataObject
) -> None:
    limits = np.iinfo(dtype)
    value = st.sampled_from([v for v in EDGES if limits.min <= v <= limits.max])
    value |= st.integers(0, 9) | st.integers(int(limits.min), int(limits.max))
    values = data.draw(st.lists(value, min_size=1, max_size=len(lengths)))
    pixels = np.repeat(np.resize(np.array(values, dtype), len(lengths)), lengths)
    assert found(*engine.value_sums(pixels)) == expected(pixels)
    assert found(*engine.value_sums(pixels)) == expected(pixels)  # nothing is left over


@by_both
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("more", [-1, 0, 1, MOST_OTHERS + 5])
def test_more_runs_elsewhere_than_there_is_room_for(
    engine: Engine, dtype: type[Any], more: int
) -> None:
    """Ids of instances, say: two pixels each, with a stretch of noise among them."""
    ids = np.repeat(np.arange(MOST_OTHERS + more) % 1000 + 10**6, 2)
    noise = np.random.default_rng(3).integers(0, 7, 1000)
    pixels = np.concatenate([ids, noise, ids]).astype(dtype)
    assert found(*engine.value_sums(pixels)) == expected(pixels)


TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", ">u2", ">i4", ">i8", "f4", "f8", "?"]


@by_both
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("size", [1, 63, 64, 65, 5000])
def test_every_type_is_counted(
    engine: Engine, dtype: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tallying, "current_engine", lambda: engine)
    values = [0, 1, 1, 255] if dtype in {"u1", "?"} else [0, 1, 1, 127]
    if np.dtype(dtype).kind in "if":
        values += [-1, -1, -128]
    if dtype in {"u4", "u8"}:
        values += [2**32 - 1, 2**31]
    pixels = np.random.default_rng(size).choice(values, size).astype(dtype)
    counter = tallying.PixelCounter()
    counter.add(pixels[: size // 2])
    counter.add(pixels[size // 2 :])
    tally = counter.finish("m", (1, size), Encoding("npy", "int", 64))
    tally.check()
    assert found(tally.values, tally.counts) == expected(pixels.astype(np.int64))


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.integers(-(2**62), 2**62))
@example([0, 1] * 20, -(2**63))
@example([-1, 0] * 20, 2**63 - 1)
def test_values_far_from_zero_by_numpy(offsets: list[int], middle: int) -> None:
    pixels = np.array([middle + offset for offset in offsets], np.int64)
    assert found(*value_sums(pixels)) == expected(pixels)


def test_an_array_that_is_not_aligned_or_may_not_be_written() -> None:
    raw = np.zeros(8 * 100 + 1, np.uint8)
    pixels = raw[1:].view(np.int64)
    assert not pixels.flags.aligned
    pixels[50:] = 7
    pixels.flags.writeable = False
    for engine in (NumpyEngine(), CompiledEngine()):
        assert found(*engine.value_sums(pixels)) == {0: 50, 7: 50}
