"""A plan of folds where scikit-learn takes a splitter."""

from __future__ import annotations

import numpy as np
import pytest

from maskstat.errors import ParameterError
from maskstat.splits.plan import SplitPlan
from tests.splits.test_splits import EIGHTY, folds, groups_of, plan_of, table_of
from tests.support.loops import at_least_one
from tests.support.packages import package

dummy = package("sklearn.dummy")
selection = package("sklearn.model_selection")
TABLE = table_of(60, 4, 1)


@pytest.fixture(scope="module")
def plan() -> SplitPlan:
    return plan_of(TABLE, folds(4), column="fold")


def test_each_fold_is_tested_on_once(plan: SplitPlan) -> None:
    pairs = list(plan.split(TABLE))
    assert len(pairs) == plan.get_n_splits() == 4
    for fold, (train, test) in at_least_one(enumerate(pairs)):
        assert sorted([*train, *test]) == list(range(60))
        assert tuple(plan.names[at] for at in test) == plan.names_of(str(fold))
        assert test.tolist() == plan.indices_of(str(fold)).tolist()
    assert [test.tolist() for _, test in plan.split()] == [test.tolist() for _, test in pairs]


def test_scikit_learn_goes_round_the_folds(plan: SplitPlan) -> None:
    """Of a model that says the mean, scores and searches are those of the folds by hand."""
    amounts = TABLE[:, 0].astype(float)
    found = selection.cross_validate(
        *(dummy.DummyRegressor(), TABLE, amounts),
        cv=plan,
        scoring="neg_mean_absolute_error",
        return_indices=True,
    )
    by_hand = [
        -np.abs(amounts[test] - amounts[train].mean()).mean() for train, test in plan.split(TABLE)
    ]
    assert found["test_score"] == pytest.approx(by_hand)
    assert [at.tolist() for at in found["indices"]["test"]] == [
        test.tolist() for _, test in plan.split()
    ]
    search = selection.GridSearchCV(
        dummy.DummyRegressor(), {"strategy": ["mean", "median"]}, cv=plan
    )
    search.fit(TABLE, amounts, groups=np.arange(60))
    assert search.n_splits_ == 4
    assert set(search.cv_results_) >= {f"split{fold}_test_score" for fold in range(4)}


def test_parts_that_are_no_folds_are_given_as_they_are() -> None:
    plan = plan_of(TABLE, EIGHTY)
    with pytest.raises(ParameterError, match=r"train, val, test are no folds") as error:
        plan.split(TABLE)
    pair = (plan.indices_of("train"), plan.indices_of("val"))
    assert "cv=[(plan.indices_of('train'), plan.indices_of('val'))]" in str(error.value)
    found = selection.cross_val_score(dummy.DummyRegressor(), TABLE, TABLE[:, 0], cv=[pair])
    assert found.shape == (1,)
    with pytest.raises(ValueError, match="not in"):
        plan.indices_of("dev")


def test_other_rows_and_groups_in_two_folds_are_refused(plan: SplitPlan) -> None:
    for rows in at_least_one([TABLE[1:], TABLE[1:].tolist()]):
        with pytest.raises(ParameterError, match="X: has 59 rows, and the plan 60 masks"):
            plan.split(rows)
    with pytest.raises(ParameterError, match="groups: has 3 rows"):
        plan.split(TABLE, groups=[1, 2, 3])
    clips = np.arange(60) // 6
    with pytest.raises(ParameterError, match=r"groups: 0 is in several folds"):
        plan.split(TABLE, groups=np.where(clips == 0, 0, np.arange(60) + 100))
    whole = plan_of(TABLE, folds(4), groups=groups_of(clips), column="fold")
    assert len(list(whole.split(TABLE, groups=clips))) == 4
