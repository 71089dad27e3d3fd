"""Runs as bytes: what is read is what was written, whatever the mask; nothing else is read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from maskstat.crops.run_bytes import from_bytes, to_bytes
from maskstat.errors import MaskError
from maskstat.kernels import run_codes
from maskstat.kernels.coded_runs import MOST_PIXELS, CodedRuns, RunTables
from maskstat.kernels.label_runs import runs_of
from maskstat.kernels.region_types import Runs

Mask = NDArray[np.int64]


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    """Masks whose rows look like the rows above, more or less; -1 is no class."""
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 400))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    labels = rng.integers(-1, draw(st.integers(1, 4)), (height, width))
    runs = draw(st.sampled_from([1, 3, 40, 400]))
    labels = np.repeat(labels, runs, axis=1)[:, :width]
    keeps = draw(st.sampled_from([0.0, 0.5, 0.9]))
    for y in range(1, height):  # a row below another one, a few pixels aside
        if rng.random() < keeps:
            labels[y] = np.roll(labels[y - 1], rng.integers(-5, 6))
    return labels


def coded(mask: Mask) -> CodedRuns:
    values = np.unique(mask)
    return CodedRuns.of(*runs_of(mask, values, values))


def tables(runs: CodedRuns) -> RunTables:
    """Of one mask."""
    blocks = np.concatenate([[0], np.cumsum(runs.blocks)])
    before = np.cumsum(runs.pixels) - runs.pixels
    pixels = np.append(before, before[-1:] + runs.pixels[-1:])
    return RunTables(
        pixels[blocks],
        np.zeros(len(runs.classes), np.int64),
        np.array([runs.shape]),
        blocks,
        (before - np.repeat(before[blocks[:-1]], runs.blocks)).astype(np.uint32),
        np.cumsum(runs.sizes) - runs.sizes,
        np.frombuffer(runs.data, np.uint8),
    )


@given(masks())
def test_what_is_read_was_written(mask: Mask) -> None:
    runs = coded(mask)
    assert runs.classes.tolist() == [k for k in np.unique(mask) if k >= 0]
    if not len(runs.classes):
        return
    found = tables(runs)
    assert found.first_damaged == -1
    for entry, k in enumerate(runs.classes):
        expected = np.flatnonzero(mask == k)
        places = np.arange(*found.before[entry : entry + 2])
        of, at = found.find(places)
        np.testing.assert_array_equal(at, expected)
        assert not of.any()
        assert found.find_one(int(places[-1])) == (0, expected[-1])


@given(masks())
def test_bytes_of_a_store_come_back(mask: Mask) -> None:
    runs = coded(mask)
    found = from_bytes(to_bytes(runs, "a"), "a")
    assert (found.shape, found.data) == (runs.shape, runs.data)
    for one, other in zip(found[1:5], runs[1:5], strict=True):
        np.testing.assert_array_equal(one, other)


def test_bytes_of_a_store_that_have_changed() -> None:
    content = to_bytes(coded(np.arange(12).reshape(3, 4) // 5), "a")
    with pytest.raises(ValueError, match="changed"):
        from_bytes(content, "b")
    for at in range(len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[at] ^= 1 << bit
            with pytest.raises(ValueError, match="runs"):
                from_bytes(bytes(damaged), "a")
    for length in range(len(content)):
        with pytest.raises(ValueError, match="runs"):
            from_bytes(content[:length], "a")


@given(st.binary(max_size=80), st.integers(1, 9), st.integers(1, 9))
def test_no_bytes_lead_out_of_the_mask(data: bytes, height: int, width: int) -> None:
    """Anything is runs of the mask, or damaged; what is read is in range."""
    ranks = np.arange(height * width + 1)
    found = RunTables(
        np.array([0, len(ranks)]),
        np.zeros(1, np.int64),
        np.array([[height, width]]),
        np.array([0, 1]),
        np.zeros(1, np.uint32),
        np.zeros(1, np.int64),
        np.frombuffer(data, np.uint8),
    )
    _, at = found.find(ranks)
    some = int((at >= 0).sum())
    assert (at[some:] == -1).all()
    assert (np.diff(at[:some]) > 0).all()
    assert (at < height * width).all()


@given(masks(), st.integers(0, 2**32))
def test_damage_within_blocks_is_seen_or_harmless(mask: Mask, seed: int) -> None:
    """Where it is not seen, all runs are of the mask and have the pixels that they should."""
    runs = coded(mask)
    if not len(runs.classes):
        return
    rng = np.random.default_rng(seed)
    data = bytearray(runs.data)
    data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    found = tables(runs._replace(data=bytes(data)))
    damaged = found.first_damaged
    for entry in range(len(found.masks) if damaged < 0 else damaged):
        _, at = found.find(np.arange(*found.before[entry : entry + 2]))
        assert at[0] >= 0
        assert (np.diff(at) > 0).all()
        assert at[-1] < mask.size


def test_code_words_are_a_complete_prefix_code() -> None:
    """Any bits are some events: no table entry is left over, none is claimed twice."""
    for bits, reading in zip(run_codes._BITS, run_codes.READING, strict=True):
        assert sum(2.0**-length for length in bits) == 1
        events = reading >> 4
        for event, length in enumerate(bits):
            assert (events == event).sum() == 2 ** (run_codes.LONGEST - length)
    assert [len(bits) for bits in run_codes._BITS] == [run_codes.EVENTS, run_codes.LAST_EVENTS]


def test_more_pixels_than_numbers_hold() -> None:
    shape = (1 << 16, 1 << 16)
    assert shape[0] * shape[1] == MOST_PIXELS + 1
    none = np.zeros(0, np.int32)
    runs = Runs(np.zeros(shape[0] + 1, np.int64), none, none, shape, 1)
    with pytest.raises(MaskError, match="too many"):
        CodedRuns.of(runs, np.empty(0, np.int64))


@given(masks())
def test_runs_of_bytes_are_those_of_wider_pixels(mask: Mask) -> None:
    """Also where the same values mean other classes than just before."""
    values = np.unique(mask)
    for labels in (values, values[::-1], np.minimum(values, 1)):
        narrow, classes = runs_of((mask + 1).astype(np.uint8), values + 1, labels)
        wide, wide_classes = runs_of(mask, values, labels)
        assert classes.tolist() == wide_classes.tolist()
        for found, expected in zip(narrow, wide, strict=True):
            assert np.array_equal(found, expected)
