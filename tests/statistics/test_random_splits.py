"""Random splits: an enumeration that knows nothing of them, exactness, limits, real frames."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.distance import jensenshannon
from scipy.stats import binom

from maskstat.errors import MaskstatError, ParameterError
from maskstat.statistics import random_splits as module
from maskstat.statistics.comparison import P_VALUES, compare_splits
from maskstat.statistics.random_splits import (
    SIGNIFICANT,
    RandomSplits,
    Split,
    random_splits,
    shared_groups,
)
from maskstat.values.groups import GroupRule, MaskGroups
from tests.support.loops import at_least_one
from tests.support.split_cases import split

Table = NDArray[np.int64]
CLASSES = 4

masks = arrays(np.int64, (CLASSES,), elements=st.sampled_from([0, 0, 2, 3, 50])).filter(np.any)
# A few groups of a few masks each.
sides = st.lists(st.lists(masks, min_size=1, max_size=3), min_size=1, max_size=4)


def of_groups(name: str, groups: list[list[Table]], shared: int = 0) -> Split:
    """A split of these groups, the first few of which the other one has as well."""
    table = np.stack([mask for group in groups for mask in group])
    labels = [
        f"both{at}" if at < shared else f"{name}{at}"
        for at, group in enumerate(groups)
        for _ in group
    ]
    return split(name, table, labels)


class Enumerated(NamedTuple):
    """p-values by every way to deal out the groups."""

    js: float
    missing: float
    presence: NDArray[np.float64]


def enumerated(first: list[list[Table]], second: list[list[Table]], shared: int) -> Enumerated:
    stays = [first[:shared], second[:shared]]
    free = first[shared:] + second[shared:]
    found = []
    for chosen in combinations(range(len(free)), len(first) - shared):
        sides = [
            stays[0] + [free[at] for at in chosen],
            stays[1] + [free[at] for at in range(len(free)) if at not in chosen],
        ]
        tables = [np.array([mask for group in side for mask in group]) for side in sides]
        totals = [table.sum(axis=0) for table in tables]
        shares = [(table > 0).mean(axis=0) for table in tables]
        inside = sum((table > 0).sum(axis=0) for table in tables)
        counts = [len(table) for table in tables]
        spread = inside * (sum(counts) - inside)
        effect = np.abs(shares[0] - shares[1]) * np.sqrt(
            counts[0] * counts[1] / np.maximum(spread, 1)
        )
        js = float(jensenshannon(*totals, base=2))
        missing = int(((totals[0] > 0) != (totals[1] > 0)).sum())
        found.append((js, missing, effect))
    given = found[0]
    return Enumerated(
        float(np.mean([each[0] >= given[0] - 1e-7 for each in found])),
        float(np.mean([each[1] >= given[1] for each in found])),
        np.mean([each[2] >= given[2] - 1e-9 for each in found], axis=0),
    )


@given(sides, sides, st.integers(0, 2))
def test_all_ways_to_deal_out_groups(
    first: list[list[Table]], second: list[list[Table]], shared: int
) -> None:
    shared = min(shared, len(first), len(second))
    found = random_splits(of_groups("a", first, shared), of_groups("b", second, shared))
    expected = enumerated(first, second, shared)
    assert found.exact
    assert found.metrics["js"].p_value == pytest.approx(expected.js)
    assert found.metrics["missing"].p_value == pytest.approx(expected.missing)
    if found.by_mask is not None or shared:
        assert found.presence.p_value == pytest.approx(expected.presence)
    assert len(found.shared) == shared
    least = min(metric.p_value for metric in found.metrics.values())
    assert least >= found.least_p - 1e-12


@given(sides, sides)
def test_which_comes_first_is_no_matter(
    first: list[list[Table]], second: list[list[Table]]
) -> None:
    there = random_splits(of_groups("a", first), of_groups("b", second))
    back = random_splits(of_groups("b", second), of_groups("a", first))
    assert there.metrics == back.metrics
    assert there.frequency.adjusted_p.tolist() == back.frequency.adjusted_p.tolist()


def many(seed: int, count: int, more: float = 1.0) -> Table:
    """Masks of 6 classes, of which the second has `more` pixels than usual."""
    rng = np.random.default_rng(seed)
    table = rng.integers(1, 50, (count, 6)) * (rng.random((count, 6)) < 0.6)
    table[:, 1] = (table[:, 1] * more).astype(np.int64)
    table[:, 0] += 10
    return table


def test_the_same_splits_are_drawn_always() -> None:
    one, other = split("a", many(1, 60)), split("b", many(2, 30))
    first, second, back = (
        random_splits(*sides) for sides in ((one, other), (one, other), (other, one))
    )
    assert not first.exact and first.count == module.LEAST_SPLITS
    assert first.metrics == second.metrics == back.metrics


def test_drawn_ones_are_as_good_as_all(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = split("a", many(1, 8)), split("b", many(2, 7, more=2))
    exact = random_splits(one, other)
    assert (exact.exact, exact.count) == (True, 6_435)
    monkeypatch.setattr(module, "LEAST_SPLITS", 5_000)
    monkeypatch.setattr(module, "SPLITS_A_TEST", 1)
    drawn = random_splits(one, other)
    assert not drawn.exact
    for name in at_least_one(drawn.metrics):
        p_value = exact.metrics[name].p_value
        spread = 4 * np.sqrt(p_value * (1 - p_value) / 5_000)
        assert drawn.metrics[name].p_value == pytest.approx(p_value, abs=spread + 1e-3)


def test_groups_that_move_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few hundred units instead of thousands of groups: nearly the same law."""
    one, other = split("a", many(3, 1_500)), split("b", many(4, 600))
    together = random_splits(one, other)
    monkeypatch.setattr(module, "_UNITS", 5_000)
    alone = random_splits(one, other)
    for name in at_least_one(["js", "psi"]):
        usual = alone.metrics[name].usual
        assert together.metrics[name].usual == pytest.approx(usual, rel=0.15)
        assert together.metrics[name].p_value == pytest.approx(alone.metrics[name].p_value, abs=0.1)
    differs = random_splits(one, split("b", many(4, 600, more=1.3)))
    assert differs.frequency.differs[1]


def test_sizes_are_dealt_out_too() -> None:
    table = np.ones((12, 2), np.int64)
    small, large = [(4, 4)] * 12, [(8, 8)] * 12
    found = random_splits(split("a", table, None, small), split("b", table, None, large))
    assert found.metrics["resolution"].p_value == pytest.approx(found.least_p, abs=1e-3)
    assert found.resolution_adjusted <= SIGNIFICANT
    mixed = small[:6] + large[:6]
    alike = random_splits(split("a", table, None, mixed), split("b", table, None, mixed))
    assert alike.metrics["resolution"].p_value == 1
    one_size = random_splits(split("a", table, None, small), split("b", table, None, small))
    assert one_size.resolution_adjusted == 1
    assert one_size.tests == alike.tests - 1


def test_many_sizes() -> None:
    """A grid of 128 of them is looked at: the tests stay exact."""
    table = np.ones((500, 2), np.int64)
    shapes = [(7, 10 + at) for at in range(500)]
    larger = [(7, 300 + at) for at in range(500)]
    same = random_splits(split("a", table, None, shapes), split("b", table, None, shapes))
    assert same.metrics["resolution"].p_value == 1
    found = random_splits(split("a", table, None, shapes), split("b", table, None, larger))
    assert found.metrics["resolution"].p_value == pytest.approx(1e-4)


@pytest.mark.parametrize(("first", "second"), [(1, 1), (2, 3), (3, 3), (1, 9), (4, 4)])
def test_few_groups_have_no_small_p_value(first: int, second: int) -> None:
    """Splits that have nothing in common reach the least one."""
    one = split("a", [[9, 0]] * (2 * first), np.repeat(np.arange(first), 2))
    other = split("b", [[0, 9]] * (2 * second), 100 + np.repeat(np.arange(second), 2))
    found = random_splits(one, other)
    assert found.exact
    assert found.metrics["js"].p_value == pytest.approx(found.least_p)
    assert found.p_value == pytest.approx(found.least_adjusted)


def test_groups_of_both_stay_where_they_are() -> None:
    one = split("a", [[9, 1], [1, 9]], ["clip", "own"])
    other = split("b", [[9, 1], [9, 1]], ["clip", "other"])
    found = random_splits(one, other)
    assert (found.shared, found.count, found.exact) == (("clip",), 2, True)
    assert found.metrics["js"].p_value == 1  # the two ways mirror each other


def test_which_groups_are_shared() -> None:
    def groups(rule: str, *labels: str) -> MaskGroups:
        return MaskGroups.of_labels(rule, labels)

    assert shared_groups(groups("folder", "b10", "b9", "c"), groups("folder", "b9", "b10")) == (
        "b9",
        "b10",
    )
    assert shared_groups(groups("folder", "", "a"), groups("folder", "", "b")) == ()
    for rule in ("mask", "file"):
        assert shared_groups(groups(rule, "1.png"), groups(rule, "1.png")) == ()


def test_random_splits_without_a_labelled_pixel() -> None:
    """They are as different as can be, and no number is not one."""
    one = split("a", [[5, 5, 0], [0, 0, 0]], None, [(1, 10), (1, 10)])
    other = split("b", [[5, 0, 5], [0, 0, 0]], None, [(1, 10), (1, 10)])
    found = random_splits(one, other)
    assert all(np.isfinite(metric).all() for metric in at_least_one(found.metrics.values()))
    assert found.metrics["js"].usual == 1


def test_below() -> None:
    one, other = split("train", many(1, 60)), split("val", many(2, 60, more=3))
    comparison = compare_splits([one, other])
    chance = comparison.pairs[0].chance
    assert chance.p_value < 0.01
    (found,) = comparison.below({"p": 0.01})
    assert (found.metric, found.value, found.limit) == ("p", chance.p_value, 0.01)
    assert chance.metrics["missing"].p_value == 1
    assert comparison.below({"missing": 1}) == ()
    assert {each.metric for each in comparison.below(dict.fromkeys(P_VALUES, 1.0))} >= {"p", "js"}
    with pytest.raises(ParameterError, match=r"^fail_below: .*'jss'; did you mean js"):
        comparison.below({"jss": 0.1})
    for limit in (0.0, -1.0, 1.5, float("nan")):
        with pytest.raises(ParameterError, match=r"^fail_below p: .* above 0 and at most 1"):
            comparison.below({"p": limit})


def test_a_limit_that_nothing_can_be_below_is_refused() -> None:
    one = split("train", [[9, 1], [8, 2]], ["a", "b"])
    other = split("val", [[1, 9], [2, 8], [3, 7]], ["c", "d", "e"])
    comparison = compare_splits([one, other])
    with pytest.raises(
        MaskstatError, match=r"js of train : val: .*masks give no .*of 10 the least is 0\.1"
    ):
        comparison.below({"js": 0.05})
    assert comparison.below({"js": 0.2})


SIZE = [(360, 480)]


def frames(folder: Path, name: str) -> tuple[tuple[str, ...], Table]:
    files = sorted((folder / name / "masks").glob("*.png"))
    counts = [np.bincount(np.asarray(Image.open(path)).ravel(), minlength=12) for path in files]
    return tuple(path.name for path in files), np.stack(counts)[:, :11]


def test_real_frames(camvid: Path) -> None:
    """By frame, train and val differ in nearly everything; by blocks of 25 frames, in Bicyclist.

    The figures of a program that shuffles frames and blocks and knows nothing of this one: 95% of
    random splits by frame are below 0.0430, by blocks below 0.162.
    """
    read = {name: frames(camvid, name) for name in ("train", "val")}

    def by(label: Callable[[int, str], str]) -> RandomSplits:
        one, other = (
            split(name, table, [label(*each) for each in enumerate(files)], SIZE * len(table))
            for name, (files, table) in read.items()
        )
        return compare_splits([one, other]).pairs[0].chance

    def block(at: int, file: str) -> str:
        """Of the frames of a sequence in a split, 25 together."""
        split_of = next(files for files, _ in read.values() if file in files)
        begins = next(at for at, name in enumerate(split_of) if name[:6] == file[:6])
        return f"{file[:6]} of {len(split_of)}: {(at - begins) // 25}"

    one, other = (split(name, t, None, SIZE * len(t)) for name, (_, t) in read.items())
    found = compare_splits([one, other]).pairs[0]
    expected = [table.sum(axis=0) / table.sum() for _, table in read.values()]
    assert found.js_distance == pytest.approx(jensenshannon(*expected, base=2))
    assert found.js_distance == pytest.approx(0.1997, abs=5e-5)
    masks = found.chance
    assert masks.metrics["js"].p_value == 1e-4
    assert masks.metrics["js"].usual == pytest.approx(0.0430, abs=0.001)
    assert masks.presence.adjusted_p[7] < 1e-10
    assert (masks.frequency.differs | masks.presence.differs).sum() == 9
    assert "differs from train in 9 of 11 classes" in found.verdict

    blocks = by(block)
    assert blocks.groups == (17, 5)
    assert blocks.metrics["js"].usual == pytest.approx(0.162, abs=0.005)
    assert blocks.metrics["js"].p_value == pytest.approx(0.011, abs=0.004)
    assert blocks.by_mask == masks.metrics["js"]
    assert np.flatnonzero(blocks.frequency.differs | blocks.presence.differs).tolist() == [10]

    clips = by(lambda at, file: file[:6])
    assert (clips.shared, clips.count) == (("0016E5",), 1)
    assert clips.p_value == 1


Draw = Callable[[np.random.Generator], tuple[Split, Split]]


def rare(rng: np.random.Generator) -> tuple[Split, Split]:
    """1,000 masks against 50, 20 classes in 5 masks each: chi-square cries wolf in a third."""
    table = np.zeros((1050, 21), np.int64)
    table[:, 0] = 1000
    for k in range(1, 21):
        table[rng.choice(1050, 5, replace=False), k] = 50
    return split("a", table[50:]), split("b", table[:50])


def usual(rng: np.random.Generator) -> tuple[Split, Split]:
    """Masks of a few hundred draws from one mix, of uneven numbers of pixels."""
    table = rng.multinomial(1, np.full(8, 1 / 8), 240) * 10
    table = table + rng.poisson(rng.lognormal(2, 1, (240, 8)) * (rng.random((240, 8)) < 0.3))
    return split("a", table[60:]), split("b", table[:60])


def clips_of(rng: np.random.Generator, count: int) -> tuple[Table, list[int]]:
    """Clips of 2 to 12 masks that hardly differ."""
    lengths = rng.integers(2, 13, count)
    mixes = rng.dirichlet(np.full(8, 0.4), count).repeat(lengths, axis=0)
    table = np.array([rng.multinomial(2000, rng.dirichlet(mix * 80 + 0.02)) for mix in mixes])
    return table, np.arange(count).repeat(lengths).tolist()


def clips(rng: np.random.Generator) -> tuple[Split, Split]:
    """16 clips against 8."""
    first, second = clips_of(rng, 16), clips_of(rng, 8)
    return split("a", *first), split("b", second[0], [100 + each for each in second[1]])


def clips_in_both(rng: np.random.Generator) -> tuple[Split, Split]:
    """12 clips against 8, and the ends of 3 that begin in the first."""
    first, second = clips_of(rng, 15), clips_of(rng, 8)
    ends = rng.permutation(first[0][:20])
    table = np.concatenate((second[0], ends))
    return split("a", *first), split("b", table, [100 + e for e in second[1]] + first[1][:20])


def frames_as_masks(rng: np.random.Generator) -> tuple[Split, Split]:
    """Clips whose masks pass for independent ones."""
    first, second = clips(rng)
    return split("a", first.ledger.dense()), split("b", second.ledger.dense())


def different(rng: np.random.Generator) -> tuple[Split, Split]:
    """Masks, of which those of the second have a little more of one class."""
    first, second = usual(rng)
    table = second.ledger.dense()
    table[:, 3] += 10
    return first, split("b", table)


def alarms(draw: Draw, times: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """In how many of so many comparisons anything at all has a star, or `p` is as small."""
    monkeypatch.setattr(module, "LEAST_SPLITS", 1000)
    monkeypatch.setattr(module, "SPLITS_A_TEST", 40)
    found = 0
    for seed in range(times):
        chance = random_splits(*draw(np.random.default_rng(seed)))
        starred = chance.frequency.differs.any() or chance.presence.differs.any()
        assert chance.p_value <= SIGNIFICANT or not starred
        found += chance.p_value <= SIGNIFICANT
    return found


@pytest.mark.slow
@pytest.mark.parametrize("draw", [rare, usual, clips, clips_in_both])
def test_a_star_means_what_it_says(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    """Splits of one population have any star in 5% of comparisons at most."""
    times = 300
    assert alarms(draw, times, monkeypatch) <= binom.ppf(0.999, times, SIGNIFICANT)


@pytest.mark.slow
@pytest.mark.parametrize("draw", [frames_as_masks, different])
def test_what_differs_has_stars(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does what only seems to differ, where clips are taken for independent masks."""
    assert alarms(draw, 30, monkeypatch) >= 24


def test_the_group_of_a_rule_is_by_name() -> None:
    groups = [GroupRule("folder").groups(names) for names in (("a/1", "b/1"), ("b/2", "c/2"))]
    assert shared_groups(*groups) == ("b",)
