"""Measures of imbalance: their limits, invariances, and agreement with SciPy and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import entropy

from maskstat.statistics.imbalance import (
    ClassGroups,
    groups_by_share,
    imbalance,
    lorenz_curve,
)

Counts = NDArray[np.int64]


def arrays(*, least: int = 0, most: int = 10**9) -> st.SearchStrategy[Counts]:
    return st.lists(st.integers(least, most), min_size=1, max_size=12).map(
        lambda values: np.array(values, np.int64)
    )


def numbers(counts: Counts) -> list[float | None]:
    found = imbalance(counts)
    return [
        found.ratio,
        found.entropy,
        found.normalised_entropy,
        found.effective_classes,
        found.gini,
        found.kl_uniform,
        found.majority_accuracy,
    ]


@given(arrays())
def test_agrees_with_scipy_and_brute_force(counts: Counts) -> None:
    found = imbalance(counts)
    if counts.sum() == 0:
        assert (found.ratio, found.kl_uniform, found.majority_accuracy) == (None, None, None)
        return
    shares = counts / counts.sum()
    uniform = np.full(counts.size, 1 / counts.size)
    assert found.entropy == pytest.approx(entropy(shares), abs=1e-12)
    assert found.kl_uniform == pytest.approx(entropy(shares, uniform), abs=1e-9)
    assert found.majority_accuracy == max(shares)
    differences = np.abs(shares[:, None] - shares[None, :]).sum()
    assert found.gini == pytest.approx(differences / (2 * counts.size), abs=1e-12)
    assert found.effective_classes == pytest.approx(math.exp(found.entropy))


@given(arrays(), st.integers(2, 1000), st.randoms(use_true_random=False))
def test_scale_and_order_of_classes_do_not_matter(
    counts: Counts, factor: int, random: object
) -> None:
    shuffled = counts.tolist()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert numbers(np.array(shuffled, np.int64)) == pytest.approx(numbers(counts), abs=1e-12)
    assert numbers(counts * factor) == pytest.approx(numbers(counts), abs=1e-12)


@given(st.integers(1, 200), st.integers(1, 10**12))
def test_equal_counts(classes: int, count: int) -> None:
    found = imbalance(np.full(classes, count, np.int64))
    assert found.ratio == 1
    assert found.kl_uniform == pytest.approx(0, abs=1e-12)
    assert found.gini == pytest.approx(0, abs=1e-12)
    assert found.majority_accuracy == pytest.approx(1 / classes)
    assert found.effective_classes == pytest.approx(classes)


@given(st.integers(2, 200), st.integers(1, 10**12))
def test_one_class_has_everything(classes: int, count: int) -> None:
    counts = np.zeros(classes, np.int64)
    counts[classes // 2] = count
    found = imbalance(counts)
    assert found.kl_uniform == pytest.approx(math.log(classes))
    assert found.gini == pytest.approx((classes - 1) / classes)
    assert found.majority_accuracy == found.effective_classes == 1


@given(arrays())
def test_lorenz_curve_is_convex_and_its_area_is_gini(counts: Counts) -> None:
    x, y = lorenz_curve(counts)
    assert x.size == y.size == counts.size + 1
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, pytest.approx(1))
    assert (np.diff(y, 2) >= -1e-12).all()
    assert (y <= x + 1e-12).all()
    area = float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum())
    assert 1 - 2 * area == pytest.approx(imbalance(counts).gini, abs=1e-12)


def members(groups: ClassGroups) -> list[int]:
    return sorted([*groups.head, *groups.medium, *groups.tail, *groups.absent])


@given(arrays(most=20))
def test_groups_by_share_follow_their_rule(counts: Counts) -> None:
    groups = groups_by_share(counts)
    assert members(groups) == list(range(counts.size))
    for index, count in enumerate(counts.tolist()):
        larger = sum(other for other in counts.tolist() if other > count)
        if count == 0:
            group = groups.absent
        elif larger * 100 < 80 * counts.sum():
            group = groups.head
        elif larger * 100 < 95 * counts.sum():
            group = groups.medium
        else:
            group = groups.tail
        assert index in group


@given(arrays(most=20), st.integers(2, 10**6))
def test_groups_by_share_are_free_of_scale(counts: Counts, factor: int) -> None:
    assert groups_by_share(counts * factor) == groups_by_share(counts)


def test_zipf_has_a_head_and_a_tail() -> None:
    counts = (1e6 / np.arange(1, 31) ** 1.5).astype(np.int64)
    groups = groups_by_share(counts)
    held = counts[list(groups.head)].sum() / counts.sum()
    assert groups.head == tuple(range(len(groups.head)))
    assert 0.8 <= held < 0.8 + counts[0] / counts.sum()
    assert counts[list(groups.tail)].sum() / counts.sum() <= 0.05
