"""Counts or shares: what numbers are, by themselves or because somebody says so."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.errors import ParameterError
from maskstat.values.amounts import amounts, in_proportion, whole_numbers
from maskstat.values.given import GIVEN


def named(numbers: list[object]) -> dict[str, object]:
    return {f"c{k}": number for k, number in enumerate(numbers)}


@pytest.mark.parametrize(
    ("numbers", "whole", "kind"),
    [
        ([5587, 802, 11], [5587, 802, 11], "counts"),
        ([5587.0, 802.0], [5587, 802], "counts"),
        (["5587", " 802 "], [5587, 802], "counts"),
        ([np.int32(7), np.uint64(2**62)], [7, 2**62], "counts"),
        ([Decimal(5000), 1], [5000, 1], "counts"),
        ([0.521, 0.302, 0.177], [521, 302, 177], "shares"),
        (["0.5210", "0.302", ".177"], [521, 302, 177], "shares"),
        ([52.1, 30.2, 17.7], [521, 302, 177], "percent"),
        ([33.3, 33.3, 33.3], [333, 333, 333], "percent"),
        ([0.33, 0.33, 0.33], [33, 33, 33], "shares"),
        (list(np.float32([0.521, 0.302, 0.177])), [521, 302, 177], "shares"),
        ([0.5, 0.5, 0], [5, 5, 0], "shares"),
        ([1e-12, 1 - 1e-12], [1, 10**12 - 1], "shares"),
        ([3] * 31, [3] * 31, "counts"),  # 93: too far from 100, however many are rounded
    ],
)
def test_what_numbers_are(numbers: list[object], whole: list[int], kind: str) -> None:
    found, unit = amounts(named(numbers))
    assert unit == kind
    assert found.dtype == np.int64
    factor = found[0] / whole[0]
    assert found.tolist() == [round(number * factor) for number in whole]
    assert kind != "counts" or factor == 1


@pytest.mark.parametrize(
    ("numbers", "readings"),
    [
        ([50, 30, 20], "counts and percent"),
        ([33, 33, 33], "counts and percent"),
        ([100], "counts and percent"),
        ([1, 0, 0], "counts and shares"),
        ([1.0], "counts and shares"),
    ],
)
def test_two_readings_are_never_guessed(numbers: list[object], readings: str) -> None:
    with pytest.raises(ParameterError, match=f"can be {readings}; say which: unit=") as raised:
        amounts(named(numbers))
    assert raised.value.parameter == "counts"
    for unit in readings.split(" and "):
        found, kind = amounts(named(numbers), unit)  # type: ignore[arg-type]
        assert kind == unit
        assert (found / found.sum()).tolist() == [n / sum(numbers) for n in numbers]  # type: ignore[arg-type, operator]


@pytest.mark.parametrize("numbers", [[0.5, 0.2, 0.1], [0.3] * 3, [1.5, 2, 3], [99.5, 3.2]])
def test_fractions_that_are_neither_say_so(numbers: list[object]) -> None:
    with pytest.raises(ParameterError, match="neither shares, which sum to 1, nor percentages"):
        amounts(named(numbers))


def test_what_shares_lack_may_be_of_no_class() -> None:
    assert amounts(named([0.5, 0.2, 0.1]), "shares")[0].tolist() == [5, 2, 1]
    assert amounts(named([50, 20]), "percent")[0].tolist() == [5, 2]
    with pytest.raises(ParameterError, match=r"sum to 1\.2, more than 1"):
        amounts(named([0.7, 0.5]), "shares")


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (-1, "-1 is negative"),
        (-0.5, "-0.5 is negative"),
        (float("nan"), "nan is no count"),
        (float("inf"), "inf is no count"),
        (True, "True is no count"),
        (np.bool_(False), "False is no count"),
        (None, "None is no count"),
        ("many", "'many' is no number"),
        ("1_000", "'1_000' is no number"),
        ("٣", "'٣' is no number"),
        ("17%", "'17%' is no number; write percentages without the sign"),
        ([3], r"'\[3\]' is no number"),
        (2**63, r"9\.223e\+18 is more than 64 bits hold"),
        (1e300, r"1e\+300 is more than 64 bits hold"),
        ("1e999999999", r"1e\+999999999 is more than 64 bits hold"),
    ],
)
def test_what_is_no_count_names_its_class_in_one_line(number: object, why: str) -> None:
    with pytest.raises(ParameterError, match=f"^counts class c1: {why}$"):
        amounts(named([5, number]))


def test_limits() -> None:
    with pytest.raises(ParameterError, match="every class has 0"):
        amounts(named([0, 0.0]))
    with pytest.raises(ParameterError, match="together they are more than 64 bits hold"):
        amounts(named([2**62, 2**62]))
    assert amounts(named([2**62, 2**62 - 1]))[0].sum() == 2**63 - 1
    with pytest.raises(ParameterError, match=r"class c0: 2\.5 is no whole number"):
        amounts(named([2.5, 5000]), "counts")
    with pytest.raises(ParameterError, match="a share of 1e-19 is too small to be told from 0"):
        amounts(named([1e-19, 1.0]), "shares")
    with pytest.raises(ParameterError, match="unit: 'px' is not one of counts, shares, percent"):
        amounts(named([5, 6]), "px")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"masks class c0: 1\.5 is no whole number"):
        whole_numbers(named([1.5]), "masks")
    assert whole_numbers(named([0, 3]), "masks").tolist() == [0, 3]
    assert GIVEN == ("counts", "shares", "percent")


counts = st.lists(st.integers(0, 10**12), min_size=1, max_size=12).filter(any)


@given(counts)
def test_counts_stay_as_they_are(numbers: list[int]) -> None:
    found, kind = amounts(named(list(numbers)), "counts")
    assert (found.tolist(), kind) == (numbers, "counts")


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=12).filter(any))
def test_shares_keep_their_proportions(numbers: list[int]) -> None:
    total = sum(numbers)
    shares = [number / total for number in numbers]
    found, _ = amounts(named(list(shares)), "shares")
    np.testing.assert_allclose(found / found.sum(), shares, rtol=1e-9)
    hundred, _ = amounts(named([100 * share for share in shares]), "percent")
    np.testing.assert_allclose(hundred / hundred.sum(), shares, rtol=1e-9)
    again = in_proportion((found / found.sum()).tolist())
    np.testing.assert_allclose(again / again.sum(), shares, rtol=1e-9)


@given(counts, st.randoms(use_true_random=False))
def test_order_is_no_matter(numbers: list[int], random: object) -> None:
    order = list(range(len(numbers)))
    random.shuffle(order)  # type: ignore[attr-defined]
    one, _ = amounts(named(list(numbers)), "counts")
    other, _ = amounts(named([numbers[k] for k in order]), "counts")
    assert other.tolist() == one[order].tolist()
