"""Splits: laws of every split, and a slow and obvious oracle for few masks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskstat.errors import ParameterError, WeightError
from maskstat.kernels.split_search import Task, dealt, descended, measured
from maskstat.splits.certificate import js_between
from maskstat.splits.compute import certify_split, split_masks
from maskstat.splits.features import UnitCounts, in_fixed_order, units_of
from maskstat.splits.floors import error_floor
from maskstat.splits.plan import SplitPlan
from maskstat.splits.search import targets_of, worst_share
from maskstat.values.groups import MaskGroups
from maskstat.values.ledger import MaskLedger
from tests.support.loops import at_least_one

EIGHTY = {"train": 0.8, "val": 0.1, "test": 0.1}


def folds(count: int) -> dict[str, float]:
    return {str(fold): 1 / count for fold in range(count)}


def ledger_of(table: np.ndarray, names: tuple[str, ...] | None = None) -> MaskLedger:
    """From dense counts int64[B, K]."""
    row, column = np.nonzero(table)
    return MaskLedger(
        table.shape[1],
        names or tuple(f"{number:04d}.png" for number in range(len(table))),
        table.sum(1).astype(np.int64),
        np.concatenate(([0], np.cumsum((table > 0).sum(1)))).astype(np.int64),
        column.astype(np.int64),
        table[row, column].astype(np.int64),
    )


def table_of(masks: int, classes: int, seed: int) -> np.ndarray:
    """Dense counts: class k is in ever fewer masks, and every mask has the first one."""
    random = np.random.default_rng(seed)
    table = random.integers(1, 1000, (masks, classes)) ** 2
    table[random.random((masks, classes)) > 1.5 / (1 + np.arange(classes))] = 0
    table[:, 0] = random.integers(1, 10_000, masks)
    return table


def groups_of(labels: list[object] | np.ndarray) -> MaskGroups:
    return MaskGroups.of_labels("column:clip", [f"g{label}" for label in labels])


def alone(ledger: MaskLedger) -> MaskGroups:
    return MaskGroups.of_labels("mask", ledger.names)


def plan_of(table: np.ndarray, parts: dict[str, float], **options: object) -> SplitPlan:
    ledger = ledger_of(table)
    groups = options.pop("groups", None) or alone(ledger)
    classes = [f"class {k}" for k in range(table.shape[1])]
    return split_masks(ledger, classes, groups, parts, **options)  # type: ignore[arg-type]


cases = st.tuples(
    st.integers(6, 60), st.integers(1, 6), st.integers(0, 99), st.sampled_from([1, 1, 2, 5])
)


@settings(max_examples=15)
@given(cases, st.sampled_from([folds(2), folds(3), {"train": 0.7, "val": 0.3}]))
def test_parts_are_a_partition(case: tuple[int, int, int, int], parts: dict[str, float]) -> None:
    """Every mask is in one part, groups whole, sizes as they should be or the excess is said."""
    masks, classes, seed, together = case
    labels = np.arange(masks) // together
    table = table_of(masks, classes, seed)
    groups = None if together == 1 else groups_of(labels)
    if len(set(labels)) < len(parts):
        with pytest.raises(ParameterError, match="can't fill"):
            plan_of(table, parts, groups=groups)
        return
    plan = plan_of(table, parts, groups=groups, seed=seed)
    assert plan.part.min() >= 0
    assert plan.certificate.sizes.tolist() == np.bincount(plan.part).tolist()
    assert (plan.certificate.sizes > 0).all()
    assert all(len(set(plan.part[labels == label])) == 1 for label in at_least_one(set(labels)))
    listed = [name for part in parts for name in plan.names_of(part)]
    assert sorted(listed) == sorted(plan.names)
    if together == 1:
        assert plan.certificate.sizes.tolist() == plan.target.tolist()
        assert not plan.excess.any()
    slack = np.floor(plan.tolerance * plan.target + 1e-9)
    beyond = np.abs(plan.certificate.sizes - plan.target) - slack
    assert plan.excess.tolist() == np.maximum(beyond, 0).tolist()
    # the certificate is what the parts hold
    for at in at_least_one(range(len(parts))):
        assert plan.certificate.pixels[at].tolist() == table[plan.part == at].sum(0).tolist()
        assert plan.certificate.masks[at].tolist() == (table[plan.part == at] > 0).sum(0).tolist()


def test_a_seed_is_a_split() -> None:
    table = table_of(40, 5, 1)
    first, again, other = (plan_of(table, EIGHTY, seed=seed) for seed in (3, 3, 4))
    assert first.part.tolist() == again.part.tolist()
    assert first.part.tolist() != other.part.tolist()


@pytest.mark.parametrize("together", [1, 4])
def test_neither_the_order_of_masks_nor_that_of_classes_matters(together: int) -> None:
    random = np.random.default_rng(5)
    table = table_of(60, 5, 2)
    labels = [f"g{number // together}" for number in range(60)]
    masks, classes = random.permutation(60), random.permutation(5)
    one = ledger_of(table)
    other = ledger_of(table[masks][:, classes], tuple(one.names[at] for at in masks))
    rule = "mask" if together == 1 else "column:clip"
    plans = [
        split_masks(
            ledger,
            [str(k) for k in order],
            MaskGroups.of_labels(rule, [labels[at] for at in rows]),
            folds(4),
        )
        for ledger, rows, order in ((one, range(60), range(5)), (other, masks, classes))
    ]
    assert plans[0].part[masks].tolist() == plans[1].part.tolist()
    first, second = (plan.certificate for plan in plans)
    assert first.pixels[:, classes].tolist() == second.pixels.tolist()
    assert first.pixel_floor[classes].tolist() == second.pixel_floor.tolist()
    assert first.groups_with[classes].tolist() == second.groups_with.tolist()


def test_what_is_fixed_stays() -> None:
    table = table_of(90, 4, 3)
    fixed = np.full(90, -1)
    fixed[:20], fixed[20:25] = 0, 2
    plan = plan_of(table, EIGHTY, fixed=fixed)
    assert plan.part[:25].tolist() == fixed[:25].tolist()
    assert plan.certificate.sizes.tolist() == plan.target.tolist()
    labels = np.arange(90) // 10
    fixed = np.full(90, -1)
    fixed[3] = 1  # which decides for its group
    grouped = plan_of(table, EIGHTY, groups=groups_of(labels), fixed=fixed)
    assert set(grouped.part[:10]) == {1}
    fixed[4] = 2
    with pytest.raises(ParameterError, match=r"g0 has masks in test and in val"):
        plan_of(table, EIGHTY, groups=groups_of(labels), fixed=fixed)


def test_all_decided_is_nothing_to_search() -> None:
    table = table_of(30, 3, 0)
    fixed = np.arange(30) % 2
    plan = plan_of(table, {"a": 0.5, "b": 0.5}, fixed=fixed)
    assert plan.part.tolist() == fixed.tolist()


def worth(
    table: np.ndarray, of: np.ndarray, task: Task, part: np.ndarray
) -> tuple[int, int, float]:
    """Over, gap and cost of an assignment of units, from the formulas with dense features."""
    ledger = ledger_of(table)
    units = units_of(ledger, of, task.ratio)
    dense = np.zeros((len(units.size), len(units.root)))
    row = np.repeat(np.arange(len(units.size)), np.diff(units.indptr))
    dense[row, units.index] = units.value
    over = gap = 0
    cost = 0.0
    for f in range(len(task.ratio)):
        mine = part == f
        over += max(0, abs(int(units.size[mine].sum()) - int(task.target[f])) - int(task.slack[f]))
        gap += sum(
            table[:, k].any() and not table[mine[of], k].any() for k in range(table.shape[1])
        )
        cost += float(((dense[mine].sum(0) / task.ratio[f] - units.root) ** 2).sum())
    return over, gap, cost


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("together", [1, 3])
def test_few_units_are_enumerated(seed: int, together: int) -> None:
    """No assignment of a plain loop over all of them is better, and its measures are the same."""
    units, parts = 7, folds(3) if seed % 2 else {"a": 0.5, "b": 0.3, "c": 0.2}
    of = np.repeat(np.arange(units), together)
    table = table_of(units * together, 3, seed)
    plan = plan_of(table, parts, groups=None if together == 1 else groups_of(of))
    assert plan.certificate.search == "enumerated"
    ratio = np.array(list(parts.values()))
    target = targets_of(len(of), ratio)
    slack = np.floor(plan.tolerance * target + 1e-9).astype(np.int64)
    task = Task(ratio, target, slack, np.full(units, -1))
    best = min(
        worth(table, of, task, np.array(part))
        for part in itertools.product(range(3), repeat=units)
        if len(set(part)) == 3
    )
    found = worth(table, of, task, plan.part[::together])
    assert found[:2] == best[:2]
    assert found[2] == pytest.approx(best[2], rel=1e-9)
    measure = measured(units_of(ledger_of(table), of, ratio), task, plan.part[::together])
    assert (measure.over, measure.gap) == found[:2]
    assert measure.cost == pytest.approx(found[2], rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("together", [1, 6])
def test_a_search_never_makes_anything_worse(seed: int, together: int) -> None:
    """Measures after a search are those of its answer, and no worse than of where it began."""
    of = np.arange(120) // together
    table = table_of(120, 6, seed)
    ratio = np.array([0.6, 0.25, 0.15])
    target = targets_of(120, ratio)
    units = units_of(ledger_of(table), of, ratio)
    task = Task(ratio, target, target // 10, np.full(len(units.size), -1))
    start = dealt(units.size, task, np.random.default_rng(seed).permutation(len(units.size)))
    before = measured(units, task, start)
    found = descended(units, task, start, seed, hot=False)
    assert (found.over, found.gap, found.cost) <= (before.over, before.gap, before.cost)
    plain = worth(table, of, task, found.part)
    assert (found.over, found.gap) == plain[:2]
    assert found.cost == pytest.approx(plain[2], rel=1e-9)
    assert found.exhausted
    for one, other in at_least_one(itertools.combinations(range(len(units.size)), 2)):
        swapped = found.part.copy()
        swapped[[one, other]] = swapped[[other, one]]
        after = measured(units, task, swapped)
        assert (after.over, after.gap, after.cost + 1e-9) >= (found.over, found.gap, found.cost)


def test_many_masks_are_mended_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many to try every exchange: classes that miss most are nearer then, sizes are kept."""
    table = table_of(4_200, 12, 0)
    ratio = np.array([0.8, 0.1, 0.1])
    target = targets_of(len(table), ratio)
    units = units_of(ledger_of(table), np.arange(len(table)), ratio)
    task = Task(ratio, target, np.zeros_like(target), np.full(len(table), -1))
    task.fixed[:90] = np.arange(90) % 3
    start = dealt(units.size, task, np.random.default_rng(0).permutation(np.arange(90, 4_200)))
    mended = descended(units, task, start, 0)
    monkeypatch.setattr("maskstat.kernels.split_search._MENDINGS", 0)
    plain = descended(units, task, start, 0)
    worst = []
    for found in at_least_one([plain, mended]):
        assert found.over == found.gap == 0
        assert not found.exhausted
        assert found.part[:90].tolist() == task.fixed[:90].tolist()
        assert found.cost == pytest.approx(measured(units, task, found.part).cost)
        pixels = np.stack([table[found.part == f].sum(0) for f in range(3)])
        worst.append(np.abs(pixels / (ratio[:, None] * table.sum(0)) - 1).max())
    assert worst[1] < worst[0] < 0.05


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("together", [1, 5])
def test_never_worse_than_random_splits(seed: int, together: int) -> None:
    """Of 200 that have the same sizes and classes missing, none has a smaller share error."""
    of = np.arange(80) // together
    plan = plan_of(table_of(80, 5, seed), folds(4), groups=None if together == 1 else groups_of(of))
    assert plan.certificate.search != "enumerated"
    if not plan.excess.any() and not plan.certificate.missing:
        assert plan.certificate.worst_share <= plan.certificate.share_random.min()
    assert len(plan.certificate.share_random) == 200


def test_a_class_is_in_every_part_unless_that_is_impossible() -> None:
    """By cost alone four equal masks would all go to train."""
    table = table_of(100, 2, 0)
    table = np.concatenate((table, np.zeros((100, 2), np.int64)), axis=1)
    table[[5, 25, 45, 65], 2] = 400
    table[[7, 8], 3] = 10
    plan = plan_of(table, EIGHTY)
    assert plan.certificate.unavoidable.tolist() == [0, 0, 0, 1]
    assert plan.certificate.missing == 1
    assert sorted((plan.certificate.masks[:, 2] > 0).tolist()) == [True] * 3
    assert plan.certificate.common.tolist() == [True, True, False, False]


def test_presence_floor_of_equal_amounts_is_a_plain_loop() -> None:
    for count in at_least_one(range(1, 12)):
        for ratio in (np.array([0.8, 0.1, 0.1]), np.full(5, 0.2), np.array([0.5, 0.5])):
            floor, met = error_floor(np.ones(count, np.int64), ratio)
            best = min(
                max(abs(held / (count * r) - 1) for held, r in zip(parts, ratio, strict=True))
                for parts in itertools.product(range(count + 1), repeat=len(ratio))
                if sum(parts) == count
            )
            assert met
            assert floor == pytest.approx(best, abs=1e-9)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.sampled_from([2, 3]))
def test_pixel_floor_of_few_masks_is_a_plain_loop(amounts: list[int], parts: int) -> None:
    ratio = np.array([0.6, 0.4]) if parts == 2 else np.array([0.5, 0.3, 0.2])
    best = min(
        max(
            abs(
                sum(a for a, p in zip(amounts, place, strict=True) if p == f) / sum(amounts) / r - 1
            )
            for f, r in enumerate(ratio)
        )
        for place in itertools.product(range(parts), repeat=len(amounts))
    )
    floor, met = error_floor(np.array(amounts), ratio)
    assert met
    assert floor == pytest.approx(best, abs=1e-9)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 1000), min_size=12, max_size=40), st.integers(0, 999))
def test_a_floor_is_below_every_split(amounts: list[int], seed: int) -> None:
    ratio = np.full(5, 0.2)
    floor, _ = error_floor(np.array(amounts), ratio)
    part = np.random.default_rng(seed).integers(0, 5, len(amounts))
    held = np.bincount(part, amounts, 5)
    assert floor <= np.abs(held / (0.2 * sum(amounts)) - 1).max() + 1e-9


def test_what_cannot_be_split_is_refused_with_what_can() -> None:
    table = table_of(30, 2, 0)
    with pytest.raises(ParameterError, match=r"3 groups can't fill 5 parts.*folds=3") as error:
        plan_of(table, folds(5), groups=groups_of(np.arange(30) // 10))
    assert error.value.parameter == "folds"
    with pytest.raises(ParameterError, match=r"b would have none of 30 masks") as error:
        plan_of(table, {"a": 0.99, "b": 0.01})
    assert error.value.parameter == "ratios"
    with pytest.raises(WeightError, match="no mask has a labelled pixel"):
        plan_of(np.zeros((4, 2), np.int64), folds(2))


def test_a_given_split_is_certified_as_it_is() -> None:
    table = table_of(60, 3, 1)
    ledger = ledger_of(table)
    part = np.arange(60) % 3
    plan = certify_split(ledger, ["a", "b", "c"], alone(ledger), ["x", "y", "z"], part)
    assert plan.certificate.search == "given"
    assert plan.certificate.sizes.tolist() == [20, 20, 20]
    held = np.stack([table[part == f].sum(0) for f in range(3)])
    assert plan.certificate.pixels.tolist() == held.tolist()
    share = held / held.sum(1, keepdims=True) / (table.sum(0) / table.sum()) - 1
    assert np.allclose(plan.certificate.share_error, share)
    assert plan.torn == ()
    groups = groups_of([number // 2 for number in range(60)])
    torn = certify_split(ledger, ["a", "b", "c"], groups, ["x", "y", "z"], part)
    assert len(torn.torn) == 30
    whole = certify_split(ledger, ["a", "b", "c"], groups_of(part), ["x", "y", "z"], part)
    assert whole.torn == ()


def test_js_is_the_textbook_one() -> None:
    from scipy.spatial.distance import jensenshannon

    held = np.array([[10, 20, 0], [5, 5, 5], [0, 0, 7]])
    pairs = itertools.combinations(held, 2)
    expected = max(jensenshannon(p, q, base=2) for p, q in at_least_one(pairs))
    assert js_between(held) == pytest.approx(expected)


def test_units_add_up() -> None:
    """Features of groups are sums of those of their masks, and each sums to its root."""
    table = table_of(50, 4, 7)
    ledger, of, rows = in_fixed_order(ledger_of(table), groups_of(np.arange(50) // 5))
    assert sorted(rows.tolist()) == list(range(50))
    units = units_of(ledger, of, np.full(2, 0.5))
    held = np.bincount(units.index, units.value, len(units.root))
    assert np.allclose(held, units.root)
    assert units.size.tolist() == [5] * 10
    counts = UnitCounts.of_ledger(ledger, of)
    assert counts.tables(np.zeros(10, np.int64), 1)[0].sum() == table.sum()
    assert worst_share(counts, np.arange(10) % 2, 2) > 0


def test_documents_hold_finite_numbers_and_names_once() -> None:
    import json

    table = np.concatenate((table_of(40, 3, 4), np.zeros((40, 1), np.int64)), axis=1)
    plan = plan_of(table, EIGHTY)
    document = json.loads(json.dumps(plan.to_document(), allow_nan=False))
    assert [part["size"] for part in document["parts"]] == [32, 4, 4]
    listed = [name for part in document["parts"] for name in part["masks"]]
    assert sorted(listed) == sorted(plan.names)
    never = document["certificate"]["classes"][3]
    assert never["share_error"] == never["pixel_error"] == [0.0, 0.0, 0.0]
    assert never["groups"] == never["unavoidable"] == 0
