"""Masks under a recipe put together: batches by all draws there are; blocks change nothing."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.errors import ParameterError
from maskstat.exposure import joining
from maskstat.exposure.counts import ExposureCounts
from maskstat.exposure.exposure_bytes import from_bytes, to_bytes
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.units import CHANCE_BITS, UNIT_BITS, MaskExposure
from maskstat.kernels.draws import chance_of_none
from maskstat.values.catalog import ClassCatalog

K, J = 5, 6
CATALOG = ClassCatalog.numbered(K)


def exposed(rng: np.random.Generator, *, exact: bool) -> MaskExposure:
    classes = np.flatnonzero(rng.random(K) < 0.6)
    table = rng.integers(0, 300, (J, classes.size)) * (rng.random((J, classes.size)) < 0.5)
    return MaskExposure(
        classes,
        rng.integers(0, 300 << UNIT_BITS, classes.size),
        int(rng.integers(0, 99 << UNIT_BITS)),
        rng.integers(0, (1 << CHANCE_BITS) + 1, classes.size) if exact else None,
        table,
        table.sum(axis=1) + rng.integers(0, 2, J) * int(rng.integers(0, 70_000)),
    )


def masks_of(seed: int, count: int, *, exact: bool) -> list[tuple[str, MaskExposure]]:
    rng = np.random.default_rng(seed)
    return [(f"m{n}", exposed(rng, exact=exact)) for n in range(count)]


def chances_of(counts: ExposureCounts) -> Any:
    table = np.zeros((len(counts.names), K))
    spread = np.repeat(np.arange(len(counts.names)), np.diff(counts.indptr))
    table[spread, counts.classes] = counts.chances
    return table


@given(
    st.integers(0, 1 << 30),
    st.integers(1, 8),
    st.integers(1, 9),
    st.booleans(),
    st.sampled_from(["keep", "drop", "endless"]),
)
def test_batches_by_all_draws(seed: int, count: int, size: int, exact: bool, last: Any) -> None:
    counts = ExposureCounts.of(
        Recipe(batch_size=size, last_batch=last), CATALOG, masks_of(seed, count, exact=exact)
    )
    has = chances_of(counts)

    def of_size(drawn: int) -> Any:
        subsets = combinations(range(count), min(drawn, count))
        return np.mean([1 - (1 - has[list(some)]).prod(axis=0) for some in subsets], axis=0)

    whole, left = divmod(count, size)
    expected = of_size(size)
    if last == "keep" and left:
        expected = (whole * expected + of_size(left)) / (whole + 1)
    np.testing.assert_allclose(counts.in_batches(), expected, rtol=1e-12, atol=1e-14)


def test_large_draws_lose_no_digit() -> None:
    """A class that every mask has with one chance: draws are independent, whatever their number."""
    total, chance = 100_000, 1e-5
    for drawn in (1, 1000, total // 2, total):
        starts = np.array([0, total, total])
        none = chance_of_none(starts[:2], np.full(total, chance), total, min(drawn, 1000))
        assert none[0] == pytest.approx((1 - chance) ** min(drawn, 1000), rel=1e-10)
        # And of masks that surely have it, n of them: no draw is among those.
        few = chance_of_none(np.array([0, 3]), np.ones(3), total, drawn)
        left = total - drawn
        exact = left * (left - 1) * (left - 2) / (total * (total - 1) * (total - 2))
        assert few[0] == pytest.approx(exact, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("exact", [False, True])
def test_blocks_and_bytes_change_nothing(monkeypatch: pytest.MonkeyPatch, exact: bool) -> None:
    masks = masks_of(3, 40, exact=exact)
    packed = [(name, from_bytes(to_bytes(one, name), name)) for name, one in masks]
    whole = ExposureCounts.of(Recipe(), CATALOG, masks)
    monkeypatch.setattr(joining, "_BLOCK", 7)
    parts = ExposureCounts.of(Recipe(), CATALOG, iter(packed))
    assert parts.names == whole.names and (parts.chance is not None) == exact
    for word in ("indptr", "classes", "expected", "rest", "chances", "crop_pixels"):
        assert np.array_equal(getattr(parts, word), getattr(whole, word)), word
    assert np.array_equal(parts.crops.dense(), whole.crops.dense())
    assert np.array_equal(parts.crops.areas, np.concatenate([one.area for _, one in masks]))
    rows = [row for _, one in masks for row in one.counts]
    assert np.array_equal(
        whole.crops.pixels, np.concatenate([row[row > 0] for row in rows]).astype(np.int64)
    )
    assert list(whole.crops.names[5:7]) == ["m0 crop 5", "m1 crop 0"]
    first, *others = whole.replicates()
    assert list(first.names)[:3] == ["m0 crop 0", "m0 crop 4", "m1 crop 0"]
    assert len(others) == 3 and np.array_equal(first.dense()[1], whole.crops.dense()[4])
    doubled = whole.drawn({name: float(n == 1) for n, name in enumerate(whole.names)}).ledger
    assert len(doubled) == len(whole.crops) and doubled.names[39] == "m1 crop 0"
    fewer = masks[0][1]._replace(counts=masks[0][1].counts[1:], area=masks[0][1].area[1:])
    with pytest.raises(ParameterError, match="different numbers of crops"):
        ExposureCounts.of(Recipe(), CATALOG, [*masks, ("x", fewer)])


def test_no_masks() -> None:
    none = ExposureCounts.of(Recipe(), CATALOG, [])
    assert none.crops_per_mask == 0
    assert none.expected_pixels.tolist() == [0] * K
    assert none.histogram.total_pixels == 0
