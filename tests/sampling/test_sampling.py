"""Sampling weights: published formulas, convex optima against SciPy, laws, files."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.optimize import minimize, nnls

from maskstat.errors import FileFormatError, ParameterError, WeightError
from maskstat.files.documents.formats import write_document
from maskstat.parameters import assignments
from maskstat.sampling.compute import sample
from maskstat.sampling.methods import METHODS, find_method
from maskstat.sampling.mix import effective_masks, expected_mix, expected_presence
from maskstat.sampling.table import SamplingTable, load_sampling
from maskstat.values.ledger import MaskLedger
from tests.support.equal_cost_cases import camvid_table, ledger_of, rare_class_table
from tests.support.loops import at_least_one
from tests.support.paths import ROOT

Table = NDArray[np.int64]
CLASSES = 4

tables = (
    st.integers(1, 12)
    .flatmap(
        lambda masks: arrays(
            np.int64, (masks, CLASSES), elements=st.sampled_from([0, 0, 1, 3, 40, 10**6])
        )
    )
    .filter(np.any)
)
methods = st.sampled_from(sorted(METHODS))
labels = [f"class_{k}" for k in range(CLASSES)]


def sampled(table: Table, method: str, **params: object) -> SamplingTable:
    ledger = ledger_of(table)
    names = [f"class_{k}" for k in range(ledger.class_count)]
    return sample(ledger, names, method, parameters=params)


# Laws of every method


@given(tables, methods)
def test_every_method_gives_usable_weights(table: Table, method: str) -> None:
    found = sampled(table, method)
    assert len(found) == len(table)
    assert np.isfinite(found.weights).all() and (found.weights >= 0).all()
    if METHODS[method].unit == "probability":
        assert found.weights.sum() == pytest.approx(1)
        assert not found.weights[~table.any(axis=1)].any()
        assert found.epoch_masks == len(table)
    else:
        assert (found.weights >= 1).all()
        assert found.epoch_masks == pytest.approx(found.weights.sum())
    assert 1 - 1e-9 <= found.effective_masks <= len(table) + 1e-9
    json.dumps(found.to_document(), allow_nan=False)


@given(tables, methods)
def test_mix_before_and_after(table: Table, method: str) -> None:
    found = sampled(table, method)
    mass = found.weights @ table
    before = table.sum(axis=0) / table.sum()
    assert [entry.before for entry in found.mix] == pytest.approx(before.tolist())
    assert [entry.after for entry in found.mix] == pytest.approx((mass / mass.sum()).tolist())
    present = table > 0
    assert [e.presence_before for e in found.mix] == pytest.approx(present.mean(axis=0).tolist())
    after = found.weights @ present / found.weights.sum()
    assert [e.presence_after for e in found.mix] == pytest.approx(after.tolist())
    assert all(e.presence_after <= 1 for e in found.mix)


@given(tables, methods, st.permutations(range(CLASSES)), st.randoms(use_true_random=False))
def test_order_of_masks_and_classes_is_no_matter(
    table: Table, method: str, columns: Any, random: Any
) -> None:
    rows = list(range(len(table)))
    random.shuffle(rows)
    found = sampled(table, method).weights
    moved = sampled(table[rows][:, columns], method).weights
    assert moved == pytest.approx(found[rows], rel=1e-3, abs=1e-4)


@given(tables, methods, st.integers(2, 1000))
def test_scale_of_pixels_is_no_matter(table: Table, method: str, factor: int) -> None:
    found = sampled(table, method).weights
    assert sampled(table * factor, method).weights == pytest.approx(found, rel=1e-3, abs=1e-4)


@given(st.integers(1, 20), methods)
def test_equal_masks_are_drawn_equally_often(masks: int, method: str) -> None:
    weights = sampled(np.tile([1, 5, 0, 9], (masks, 1)), method).weights
    assert weights == pytest.approx(np.full(masks, weights.mean()))


@pytest.mark.parametrize("method", METHODS)
def test_nothing_labelled_is_an_error(method: str) -> None:
    with pytest.raises(WeightError, match="not one pixel belongs to a class"):
        sampled(np.zeros((3, 2), np.int64), method)
    with pytest.raises(WeightError, match="not one pixel belongs to a class"):
        sampled(np.zeros((0, 2), np.int64), method)


@pytest.mark.parametrize("method", METHODS)
def test_registry_says_everything(method: str) -> None:
    entry = find_method(method)
    assert entry.name == method
    assert entry.formula and entry.source and entry.summary.endswith(".")
    page = (ROOT / "docs" / "sampling.md").read_text("utf-8")
    assert f"`{method}`" in page
    assert all(f"`{name}`" in page for name in entry.parameters)


# Repeat factors


@given(tables, st.floats(0, 2))
def test_repeat_factors_follow_the_published_formula(table: Table, threshold: float) -> None:
    found = sampled(table, "repeat-factor", threshold=threshold).weights
    share = (table > 0).sum(axis=0) / len(table)
    for row, factor in at_least_one(zip(table, found.tolist(), strict=True)):
        of_classes = [max(1.0, math.sqrt(threshold / share[c])) for c in np.flatnonzero(row)]
        assert factor == pytest.approx(max(of_classes, default=1.0))


@given(tables)
def test_no_threshold_repeats_nothing(table: Table) -> None:
    assert (sampled(table, "repeat-factor", threshold=0).weights == 1).all()


# Inverse frequency


@given(tables, st.floats(0, 3))
def test_inverse_frequency_follows_its_formula(table: Table, power: float) -> None:
    found = sampled(table, "inverse-frequency", power=power).weights
    frequency = table.sum(axis=0) / table.sum()
    occurs = frequency > 0
    raw = np.array(
        [
            (row[occurs] / row.sum() / frequency[occurs] ** power).mean() if row.any() else 0.0
            for row in table
        ]
    )
    assert found == pytest.approx(raw / raw.sum())


@given(tables)
def test_power_zero_draws_all_labelled_masks_alike(table: Table) -> None:
    labelled = table.any(axis=1)
    found = sampled(table, "inverse-frequency", power=0).weights
    assert found == pytest.approx(labelled / labelled.sum())


def test_extreme_powers_do_not_overflow() -> None:
    found = sampled(np.array([[10**15, 1], [10**15, 0]]), "inverse-frequency", power=50)
    assert np.isfinite(found.weights).all()


# Target mix


def mixes_of(table: Table) -> NDArray[np.float64]:
    return table / table.sum(axis=1, keepdims=True)


def least_squares(table: Table, target: NDArray[np.float64]) -> float:
    """The smallest sum of squares that any sampling reaches, by SciPy's NNLS."""
    heavy = 1e3
    system = np.vstack([mixes_of(table).T, np.full((1, len(table)), heavy)])
    shares, _ = nnls(system, np.append(target, heavy))
    shares /= shares.sum()
    return float(((shares @ mixes_of(table) - target) ** 2).sum())


full_tables = (
    st.integers(2, 10)
    .flatmap(
        lambda masks: arrays(
            np.int64, (masks, CLASSES), elements=st.integers(0, 1000).map(lambda n: n * n)
        )
    )
    .filter(lambda table: bool(table.any(axis=1).all() and table.any(axis=0).all()))
)


def aim(table: Table, target: str) -> NDArray[np.float64]:
    pixels = table.sum(axis=0)
    wanted = np.sqrt(pixels) if target == "sqrt" else np.ones(table.shape[1])
    return wanted / wanted.sum()


def after(found: SamplingTable) -> NDArray[np.float64]:
    return np.array([entry.after for entry in found.mix])


@given(full_tables, st.sampled_from(["uniform", "sqrt"]))
def test_squares_without_a_floor_is_nnls(table: Table, target: str) -> None:
    found = sampled(table, "target-mix", target=target, effective=0, distance="squares")
    wanted = aim(table, target)
    assert [entry.target for entry in found.mix] == pytest.approx(wanted.tolist())
    reached = float(((after(found) - wanted) ** 2).sum())
    best = least_squares(table, wanted)
    # The weakest pull towards plain sampling that is ever used, times the largest divergence.
    slack = 2 / CLASSES * 1e-5 * math.log(table.sum() / table.sum(axis=1).min()) + 1e-9
    assert best - 1e-7 <= reached <= best + slack


@given(full_tables, st.sampled_from(["uniform", "sqrt"]))
@settings(max_examples=25)
def test_divergence_without_a_floor_is_as_small_as_scipy_finds(table: Table, target: str) -> None:
    found = sampled(table, "target-mix", target=target, effective=0)
    wanted, mixes = aim(table, target), mixes_of(table)

    def divergence(logits: NDArray[np.float64]) -> float:
        shares = np.exp(logits - logits.max())
        mix = shares / shares.sum() @ mixes
        return float(wanted @ np.log(wanted / np.maximum(mix, 1e-300)))

    best = minimize(
        divergence,
        np.zeros(len(table)),
        method="Nelder-Mead",
        options={"maxiter": 500, "adaptive": True},
    ).fun
    reached = float(wanted @ np.log(wanted / after(found)))
    slack = 1e-5 * math.log(table.sum() / table.sum(axis=1).min()) + 1e-7
    assert reached <= best + slack


def test_a_target_within_reach_is_met() -> None:
    table = np.array([[100, 0, 0], [0, 10, 0], [0, 0, 1], [500, 10, 1]])
    for distance in ("kl", "squares"):
        found = sampled(table, "target-mix", effective=0, distance=distance)
        assert after(found) == pytest.approx(np.full(3, 1 / 3), abs=1e-4)


@given(full_tables, st.floats(0, 1), st.sampled_from(["kl", "squares"]))
def test_enough_masks_are_used(table: Table, effective: float, distance: str) -> None:
    found = sampled(table, "target-mix", effective=effective, distance=distance)
    assert found.effective_masks >= effective * len(table) - 1e-9


@given(full_tables, st.sampled_from(["kl", "squares"]))
def test_all_masks_used_means_plain_sampling(table: Table, distance: str) -> None:
    found = sampled(table, "target-mix", effective=1, distance=distance)
    assert found.weights == pytest.approx(np.full(len(table), 1 / len(table)))


@given(full_tables, st.sampled_from(["kl", "squares"]))
def test_the_mix_never_moves_away_and_freedom_helps(table: Table, distance: str) -> None:
    wanted = aim(table, "uniform")

    def far(mix: NDArray[np.float64]) -> float:
        if distance == "squares":
            return float(((mix - wanted) ** 2).sum())
        return float(wanted @ np.log(wanted / np.maximum(mix, 1e-300)))

    plain = far(table.sum(axis=0) / table.sum())
    steps = [
        far(after(sampled(table, "target-mix", effective=floor, distance=distance)))
        for floor in (1.0, 0.6, 0.3, 0.0)
    ]
    assert steps[0] == pytest.approx(plain, abs=1e-6)
    assert all(later <= earlier + 1e-6 for earlier, later in pairwise(steps))


def test_optimal_against_random_competitors() -> None:
    """Nothing that is as close to plain sampling is closer to the target."""
    table = rare_class_table(60, 6)
    found = sampled(table, "target-mix", effective=0.4)
    labelled = table.sum(axis=1)
    plain, mixes, wanted = labelled / labelled.sum(), mixes_of(table), aim(table, "uniform")

    def measures(weights: NDArray[np.float64]) -> tuple[float, float]:
        shares = weights * labelled / (weights @ labelled)
        positive = shares > 0
        distance = float(wanted @ np.log(wanted / (shares @ mixes)))
        return distance, float(shares[positive] @ np.log(shares[positive] / plain[positive]))

    distance, divergence = measures(found.weights)
    generator = np.random.default_rng(0)
    near = 0
    for strength in generator.uniform(0.01, 1.0, 2000):
        rival = found.weights * np.exp(strength * generator.normal(size=len(table)))
        rival_distance, rival_divergence = measures(rival / rival.sum())
        if rival_divergence <= divergence:
            near += 1
            assert rival_distance >= distance - 1e-9
    assert near > 20


def test_a_rare_class_is_seen_more_often(camvid: Path) -> None:
    table = camvid_table(camvid)
    rare = int(table.sum(axis=0).argmin())
    found = sampled(table, "target-mix")
    assert found.mix[rare].after > 3 * found.mix[rare].before
    assert found.effective_masks == pytest.approx(len(table) / 4, rel=0.02)


def test_many_masks_and_classes() -> None:
    masks, classes = 6_000, 150
    generator = np.random.default_rng(1)
    lengths = generator.integers(3, 25, masks)
    indptr = np.concatenate(([0], np.cumsum(lengths)))
    popularity = 1 / np.arange(1, classes + 1)
    drawn = np.concatenate(
        [
            np.sort(generator.choice(classes, n, replace=False, p=popularity / popularity.sum()))
            for n in lengths
        ]
    )
    pixels = (generator.pareto(1.0, drawn.size) * 1000).astype(np.int64) + 1
    ledger = MaskLedger(
        classes, tuple(map(str, range(masks))), np.full(masks, 2**40), indptr, drawn, pixels
    )
    found = sample(ledger, list(map(str, range(classes))), "target-mix")
    assert found.effective_masks >= masks / 4
    wanted = 1 / classes
    before, later = (
        sum(wanted * math.log(wanted / getattr(e, when)) for e in found.mix)
        for when in ("before", "after")
    )
    assert later < before / 2


# Helpers, options, files


@given(arrays(np.float64, st.integers(1, 9), elements=st.floats(0, 100)).filter(np.any))
@example(np.array([5e-324]))
def test_effective_masks(weights: NDArray[np.float64]) -> None:
    found = effective_masks(weights)
    assert 1 - 1e-9 <= found <= weights.size + 1e-9
    assert effective_masks(weights * 8) == pytest.approx(found)
    assert effective_masks(np.full(weights.size, 0.3)) == pytest.approx(weights.size)
    assert effective_masks(np.zeros(3)) == 0


@given(tables)
def test_plain_sampling_changes_nothing(table: Table) -> None:
    ledger = ledger_of(table)
    same = np.full(len(table), 0.25)
    assert expected_mix(ledger, same) == pytest.approx(table.sum(axis=0) / table.sum())
    assert expected_presence(ledger, same) == pytest.approx((table > 0).mean(axis=0))


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("repeat", {}, "known are repeat-factor"),
        ("repeat-factor", {"t": 1}, "method repeat-factor has no parameter 't'"),
        ("repeat-factor", {"threshold": "x"}, "threshold must be a number"),
        ("repeat-factor", {"threshold": "nan"}, "threshold must be a number"),
        ("repeat-factor", {"threshold": -1}, "must not be negative"),
        ("inverse-frequency", {"power": -0.1}, "must not be negative"),
        ("target-mix", {"target": "flat"}, "is not one of uniform, sqrt"),
        ("target-mix", {"effective": 1.5}, "from 0 to 1"),
        ("target-mix", {"distance": "far"}, "is not one of kl, squares"),
    ],
)
def test_wrong_options(method: str, params: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        sampled(np.ones((2, 2), np.int64), method, **params)


def test_assignments() -> None:
    assert assignments(["a=1", " b = x=y "], parameter="parameters") == {"a": "1", "b": "x=y"}
    with pytest.raises(ParameterError, match="parameters: 'a' is not NAME=VALUE"):
        assignments(["a"], parameter="parameters")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("suffix", [".json", ".yaml", ".csv", ".txt"])
def test_files_round_trip(tmp_path: Path, method: str, suffix: str) -> None:
    names = ("a,b.png", 'q"\n.png', "=1+1.png", "\x1b[2J.png")
    table = np.array([[5, 1], [7, 0], [0, 3], [1, 1]])
    made = sample(ledger_of(table, names), ["road", "sky"], method, provenance={"source": "here"})
    read = load_sampling(made.save(tmp_path / f"weights{suffix}"))
    assert read.names == made.names
    assert read.weights.tolist() == made.weights.tolist()
    assert (read.method, read.unit, read.mix) == (made.method, made.unit, made.mix)
    assert dict(read.parameters) == dict(made.parameters)
    assert read.provenance["source"] == "here"


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".csv", ".txt", ".npy"])
def test_plain_numbers_round_trip(tmp_path: Path, suffix: str) -> None:
    made = sampled(rare_class_table(7, 2), "inverse-frequency")
    path = made.save(tmp_path / f"weights{suffix}", "list")
    assert load_sampling(path).weights.tolist() == made.weights.tolist()
    assert load_sampling(path).names == tuple("0123456")
    if suffix == ".npy":
        assert np.load(path).tolist() == made.weights.tolist()


@pytest.mark.parametrize(
    "change",
    [
        {"format": "maskstat weights"},
        {"schema": 99},
        {"mix": [1]},
        {"mix": [{"name": "x"}]},
    ],
)
def test_other_files_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    document = sampled(np.ones((2, 2), np.int64), "repeat-factor").to_document()
    path = tmp_path / "other.json"
    write_document(document._replace(metadata={**document.metadata, **change}), path)
    with pytest.raises(FileFormatError, match=r"other\.json"):
        load_sampling(path)


@pytest.mark.parametrize("weights", [[-1.0, 1.0], ["x", 1.0], [1.0]])
def test_unusable_weights_are_refused(tmp_path: Path, weights: list[object]) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({"masks": ["a", "b"], "weights": weights}))
    with pytest.raises(FileFormatError, match=r"bad\.json: holds no sampling weights"):
        load_sampling(path)
