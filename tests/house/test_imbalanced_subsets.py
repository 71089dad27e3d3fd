"""Long-tailed and step subsets as in Cao et al. 2019, and what is drawn for them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.imbalanced_subsets import long_tailed_counts, step_counts, subset_indices
from maskstat.errors import ParameterError

# Class sizes of the CIFAR-10 subsets that papers since Cui et al. 2019 use.
CIFAR_10_LT = {
    10: [5000, 3871, 2997, 2320, 1796, 1391, 1077, 834, 645, 500],
    100: [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50],
}


@pytest.mark.parametrize("ratio", CIFAR_10_LT)
def test_class_sizes_are_the_published_ones(ratio):
    assert long_tailed_counts(10, 5000, ratio).tolist() == CIFAR_10_LT[ratio]
    assert step_counts(10, 5000, ratio).tolist() == [5000] * 5 + [5000 // ratio] * 5


@given(st.integers(1, 200), st.integers(1, 10**6), st.floats(1, 1000), st.floats(0, 1))
def test_sizes_fall_from_the_largest_to_the_smallest(classes, largest, ratio, minority):
    if largest < ratio:
        largest = int(np.ceil(ratio))
    smallest = int(largest / ratio * (1 + 1e-12))
    tail = long_tailed_counts(classes, largest, ratio)
    assert tail.shape == (classes,) and tail.dtype == np.int64
    assert tail[0] == largest and (np.diff(tail) <= 0).all() and tail[-1] >= 1
    assert tail[-1] == (smallest if classes > 1 else largest)
    # Geometric, to within the element that rounding takes.
    exact = largest / ratio ** (np.arange(classes) / max(classes - 1, 1))
    assert (np.abs(tail - exact) < 1).all()
    step = step_counts(classes, largest, ratio, minority=minority)
    small = int((step < largest).sum())
    assert small in (
        {int(minority * classes * (1 + 1e-12))} | ({0} if smallest == largest else set())
    )
    assert set(step.tolist()) <= {largest, smallest} and (np.diff(step) <= 0).all()


@given(st.integers(1, 50), st.integers(1, 1000))
def test_a_ratio_of_one_is_balance(classes, largest):
    assert long_tailed_counts(classes, largest, 1).tolist() == [largest] * classes
    assert step_counts(classes, largest, 1).tolist() == [largest] * classes


def test_powers_that_are_a_bit_off_cost_no_element():
    assert long_tailed_counts(4, 1000, 1000).tolist() == [1000, 100, 10, 1]
    assert long_tailed_counts(3, 5000, 100).tolist() == [5000, 500, 50]
    assert step_counts(10, 30, 3, minority=0.3).tolist() == [30] * 7 + [10] * 3


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(0, 5))
def test_a_subset_has_exactly_what_was_asked_for(seed, classes, draw):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, 200)
    there = np.bincount(labels, minlength=classes)
    wanted = generator.integers(0, there + 1)
    chosen = subset_indices(labels, wanted, seed=draw)
    assert chosen.dtype == np.int64
    np.testing.assert_array_equal(np.bincount(labels[chosen], minlength=classes), wanted)
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(chosen, subset_indices(labels, wanted, seed=draw))
    # Smaller counts draw a part of it, class by class.
    fewer = generator.integers(0, wanted + 1)
    assert set(subset_indices(labels, fewer, seed=draw).tolist()) <= set(chosen.tolist())
    other = wanted.copy()
    other[0] = 0
    rest = subset_indices(labels, other, seed=draw)
    np.testing.assert_array_equal(rest, chosen[labels[chosen] != 0])
    np.testing.assert_array_equal(subset_indices(labels, there, seed=draw), np.arange(200))


def test_seeds_choose_and_every_element_has_the_same_chance():
    labels = np.zeros(20, int)
    drawn = np.concatenate([subset_indices(labels, [5], seed=seed) for seed in range(2000)])
    counts = np.bincount(drawn, minlength=20)
    # 500 expected each; the standard deviation of a hypergeometric draw is 19.4.
    assert np.abs(counts - 500).max() < 5 * 19.4
    assert (
        subset_indices(labels, [5], seed=0).tolist() != subset_indices(labels, [5], seed=1).tolist()
    )


def test_the_draw_is_the_same_on_every_machine():
    assert subset_indices(np.arange(12) % 3, [2, 2, 1], seed=7).tolist() == [0, 2, 4, 9, 10]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: long_tailed_counts(0, 5, 2), "at least 1 class"),
        (lambda: long_tailed_counts(3, 5, 0.5), "at least 1, not 0.5"),
        (lambda: long_tailed_counts(3, 5, float("nan")), "at least 1"),
        (lambda: long_tailed_counts(3, 5, float("inf")), "at least 1"),
        (lambda: long_tailed_counts(3, 5, 10), "start from at least 10"),
        (lambda: step_counts(3, 5, 2, minority=1.5), "from 0 to 1"),
        (lambda: subset_indices([0, 0], [3]), "class 0 has 2 elements, 3 are wanted"),
        (lambda: subset_indices([0, 2], [1, 1]), "label 2 is no class"),
        (lambda: subset_indices([0, -1], [1, 1]), "label -1 is no class"),
        (lambda: subset_indices([0.5], [1]), "one integer an element"),
        (lambda: subset_indices([[0]], [1]), "one integer an element"),
        (lambda: subset_indices([0], [-1]), "at least 0"),
        (lambda: subset_indices([0], [0.5]), "whole number"),
        (lambda: subset_indices([0], [1], seed=-1), "seed"),
    ],
)
def test_what_makes_no_sense_is_refused(call, said):
    with pytest.raises(ParameterError, match=said):
        call()


def test_nothing_of_nothing():
    assert subset_indices(np.empty(0, int), [0, 0]).tolist() == []
