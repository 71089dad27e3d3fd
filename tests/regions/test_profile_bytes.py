"""Profiles as bytes: they come back equal, and what anybody else wrote is refused."""

from __future__ import annotations

import json
import random
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.regions import profile_bytes
from maskstat.regions.components import Components, CountTable
from maskstat.regions.profile import PixelProfile, SmallComponent
from maskstat.regions.profile_bytes import from_bytes, to_bytes
from maskstat.values.catalog import ClassCatalog
from tests.regions.test_profile import FOUR, Masks, grids, mask_lists, profiled
from tests.support.profile_cases import made_up_profile
from tests.support.report_cases import view_of

PIXELS = np.array([[0, 0, 1, 2], [7, 1, 1, 2], [255, 3, 3, 0]])
ONE = profiled([("é/<b>\x1b.png", PIXELS)], 3)
DATA = to_bytes(ONE)
HEAD = profile_bytes._HEAD


@given(mask_lists, grids)
def test_round_trip(masks: Masks, grid: int) -> None:
    profile = profiled(masks, grid)
    data = to_bytes(profile)
    assert from_bytes(FOUR, data) == profile
    assert to_bytes(from_bytes(FOUR, data)) == data
    assert to_bytes(profiled(masks[::-1], grid)) == data


def test_many_classes_make_few_bytes() -> None:
    profile = made_up_profile(view_of(150).histogram, grid=64)
    data = to_bytes(profile)
    assert from_bytes(profile.catalog, data) == profile
    assert len(data) < 0.25 * profile.heat.nbytes
    assert len(to_bytes(PixelProfile.empty(FOUR))) < 500


def refused(data: bytes, catalog: ClassCatalog = FOUR) -> None:
    with pytest.raises(ValueError):
        from_bytes(catalog, data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"mskP",
        b"hello, I am something else altogether",
        "text",
        None,
        DATA[:-1],
        DATA + b"\0",
        DATA[:30],
        HEAD.pack(b"mskP", profile_bytes.VERSION, 0, 0),
        HEAD.pack(b"mskP", profile_bytes.VERSION, 9, 9) + DATA,
    ],
)
def test_something_else(data: Any) -> None:
    refused(data)


def test_another_catalogue_or_another_version() -> None:
    refused(DATA, FOUR.ignoring([1]))
    refused(DATA, ClassCatalog.numbered(4))
    head = list(HEAD.unpack_from(DATA))
    for version in (profile_bytes.VERSION - 1, profile_bytes.VERSION + 1):
        head[1] = version
        refused(HEAD.pack(*head) + DATA[HEAD.size :])


def test_no_memory_is_taken_for_what_a_header_claims() -> None:
    packed = zlib.compress(bytes(1 << 20))
    for claim in (1 << 60, 1 << 40, len(packed) * 1032 + 8):
        refused(HEAD.pack(b"mskP", profile_bytes.VERSION, claim, 0) + packed)
    bomb = zlib.compress(bytes(200 << 20))
    tracemalloc.start()
    refused(HEAD.pack(b"mskP", profile_bytes.VERSION, 8000, 0) + bomb)
    text = json.dumps({**json.loads(meta_of(DATA)), "grid": 256, "labels": 5}).encode()
    refused(packed_again(text, numbers_of(DATA)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@given(st.randoms(use_true_random=False))
def test_damaged_bytes_never_raise_anything_else(chance: random.Random) -> None:
    data = bytearray(DATA)
    for _ in range(chance.randint(1, 4)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    try:
        assert from_bytes(FOUR, bytes(data)) == ONE
    except ValueError:
        return


@given(st.data())
def test_numbers_that_were_tampered_with(data: st.DataObject) -> None:
    """Whatever passes is consistent: everything can be computed from it."""
    numbers = numbers_of(DATA).copy()
    at = data.draw(st.integers(0, numbers.size - 1))
    numbers[at] = data.draw(st.sampled_from([-1, 0, 1, 2, 2**31, 2**62, -(2**63)]))
    try:
        profile = from_bytes(FOUR, packed_again(meta_of(DATA), numbers))
    except ValueError:
        return
    for what in ("centres", "outline", "width", "neighbours", "vertical", "components", "aspect"):
        assert np.isfinite(getattr(profile, what)).all()
    assert (profile.eight.size_quantiles([0.5]) >= 0).all()
    assert profile + profile == sum([profile, profile])


def meta_of(data: bytes) -> bytes:
    size = HEAD.unpack_from(data)[3]
    return zlib.decompress(data[HEAD.size :])[:size]


def numbers_of(data: bytes) -> np.ndarray:
    planes = np.frombuffer(zlib.decompress(data[HEAD.size :])[HEAD.unpack_from(data)[3] :], "u1")
    return np.ascontiguousarray(planes.reshape(8, -1).T).view("<i8").reshape(-1)


def packed_again(text: bytes, numbers: np.ndarray) -> bytes:
    planes = numbers.astype("<i8").view(np.uint8).reshape(-1, 8).T.tobytes()
    head = HEAD.pack(b"mskP", profile_bytes.VERSION, len(text) + len(planes), len(text))
    return head + zlib.compress(text + planes)


def test_the_helpers_above_take_apart_and_put_together() -> None:
    assert from_bytes(FOUR, packed_again(meta_of(DATA), numbers_of(DATA))) == ONE


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "0" * 64},
        {"digest": None},
        {"grid": 4},
        {"grid": "3"},
        {"grid": 0},
        {"grid": 10**9},
        {"masks": -1},
        {"masks": 1.5},
        {"masks": 2**60},
        {"masks": 0},
        {"extent": [3]},
        {"extent": [0, 0]},
        {"extent": ["a", 4]},
        {"labels": 3},
        {"labels": 9},
        {"rows": []},
        {"rows": [1] * 6},
        {"smallest": []},
        {"smallest": [[]] * 4},
        {"smallest": [[[1, "m", 0]]] * 4},
        {"smallest": 5},
    ],
)
def test_a_description_that_contradicts_the_numbers(change: dict[str, Any]) -> None:
    meta = json.loads(meta_of(DATA))
    assert set(change) <= set(meta)
    refused(packed_again(json.dumps(meta | change).encode(), numbers_of(DATA)))


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b"7", b"not JSON", b"\xff", b"[" * 10_000, b'{"grid": 3']
)
def test_a_description_that_is_none(text: bytes) -> None:
    refused(packed_again(text, numbers_of(DATA)))


def changed(array: np.ndarray, at: Any, value: int) -> np.ndarray:
    array = array.copy()
    array[at] = value
    return array


def with_components(name: str, part: str, table: CountTable) -> PixelProfile:
    components: Components = getattr(ONE, name)
    return replace(ONE, **{name: replace(components, **{part: table})})


TABLE = ONE.eight.sizes
CONTRADICTIONS: dict[str, Callable[[], PixelProfile]] = {
    "a longer outline than pixels have": lambda: replace(ONE, frame=4 * ONE.class_pixels),
    "a longer frame than pixels have": lambda: replace(ONE, frame=4 * ONE.class_pixels + 1),
    "a negative frame": lambda: replace(ONE, frame=changed(ONE.frame, 0, -1)),
    "half a pixel of heat": lambda: replace(
        ONE, heat=changed(ONE.heat, (0, 0, 0), int(ONE.heat[0, 0, 0]) + 1)
    ),
    "negative heat": lambda: replace(ONE, heat=changed(ONE.heat, (0, 0, 0), -9)),
    "heat beyond 64 bits": lambda: replace(ONE, heat=changed(ONE.heat, (0, 0), 2**62)),
    "a centre outside": lambda: replace(ONE, moments=ONE.moments + (1 << 40)),
    "a centre above": lambda: replace(ONE, moments=changed(ONE.moments, (0, 0), -1)),
    "more outline than edges": lambda: replace(ONE, adjacency=ONE.adjacency * 100),
    "sides of no box": lambda: replace(ONE, sides=ONE.sides * 2),
    "a component more": lambda: with_components("eight", "sizes", TABLE + TABLE),
    "components of nobody": lambda: with_components("four", "sizes", CountTable.empty()),
    "components of no size": lambda: with_components(
        "four", "sizes", CountTable.of(np.array([0]), np.array([0]))
    ),
    "components of an unknown class": lambda: with_components(
        "four", "sizes", CountTable.of(np.array([4]), np.array([1]))
    ),
    "more masks than there are": lambda: with_components(
        "eight", "in_mask", CountTable.of(TABLE.classes, np.ones_like(TABLE.keys), TABLE.counts)
    ),
    "sums beyond 64 bits": lambda: with_components(
        "eight", "sizes", CountTable(TABLE.keys.copy(), np.full_like(TABLE.counts, 2**46))
    ),
    "smallest of another size": lambda: replace(
        ONE, smallest=tuple((SmallComponent(99, "m", 0, 0),) for _ in ONE.smallest)
    ),
    "smallest out of order": lambda: replace(
        ONE, smallest=tuple(tuple(reversed(found)) for found in ONE.smallest)
    ),
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_numbers_that_contradict_each_other(what: str) -> None:
    refused(to_bytes(CONTRADICTIONS[what]()))
