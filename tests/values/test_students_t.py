"""Quantiles of Student's t against scipy's, and what they tend to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from maskstat.values import students_t
from maskstat.values.students_t import CONFIDENCE, NORMAL, student


def test_student_is_scipys() -> None:
    """Of every number that is summed, beyond the change to the expansion, and in any order."""
    degrees = np.array([*range(1, 700), 10**3, 10**4, 10**5, 10**6, 3, 2, 3])
    found = student(degrees)
    # SciPy 1.11 inverts its distribution to eight digits only; the distribution itself is exact.
    assert found == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-8)
    assert stats.t.cdf(found, degrees) == pytest.approx(np.full(len(found), 0.975), rel=1e-14)
    assert (np.diff(student(degrees[:703])) < 0).all()


def test_many_degrees_are_the_normal_distribution() -> None:
    assert stats.norm.ppf((1 + CONFIDENCE) / 2) == pytest.approx(NORMAL, rel=1e-15)
    assert student(np.array([10**18])).tolist() == [NORMAL]


def test_the_sum_and_the_expansion_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    number = students_t._MANY
    expanded = students_t._expanded(number)
    monkeypatch.setattr(students_t, "_MANY", 10 * number)
    students_t._quantile.cache_clear()
    assert students_t._quantile(number) == pytest.approx(expanded, rel=1e-13)


def test_no_degrees_at_all() -> None:
    assert student(np.array([], np.int64)).shape == (0,)
