"""What comparisons and checks come to in words: each thing that there is to say, and only it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from maskstat.errors import spelled
from maskstat.naming import percent
from maskstat.statistics.check_verdict import check_verdict
from maskstat.statistics.comparison import compare_splits
from maskstat.statistics.findings import Finding
from maskstat.statistics.random_splits import Split
from maskstat.values.groups import MaskGroups
from tests.support.split_cases import split

Table = NDArray[np.int64]


def masks(seed: int, count: int, more: int = 1, rare: int | None = None) -> Table:
    """Masks of 5 classes, of which the second has `more` pixels; and a sixth in `rare` of them."""
    rng = np.random.default_rng(seed)
    table = rng.integers(1, 50, (count, 6)) * (rng.random((count, 6)) < 0.6)
    table[:, 1] *= more
    table[:, 0] += 10
    if rare is not None:
        table[:, 5] = 0
        table[:rare, 5] = 7
    return table


def side(name: str, table: Table, groups: Sequence[str] | None = None, size: int = 10) -> Split:
    return split(name, table, groups, [(size, size)] * len(table))


def verdict(first: Split, second: Split, **leaked: tuple[str, ...]) -> str:
    leaks = [(leaked["train"], leaked["val"])] if leaked else []
    return compare_splits([first, second], {("train", "val"): leaks}).verdict


CLIPS = [*"abcdefghij"]


def test_nothing() -> None:
    told = verdict(side("train", masks(1, 60)), side("val", masks(2, 30)))
    assert told.startswith("val differs from train no more than random splits of these masks do (p")
    assert told.count(".") == 2  # one sentence, one number


def test_one_class() -> None:
    told = verdict(side("train", masks(1, 60, rare=2)), side("val", masks(2, 30, rare=17)))
    assert told.startswith(
        "val differs from train in nothing but class_5 (in 2 of 60 masks of train and 17 of 30"
        " masks of val), more than random splits of these masks do (p < 0.0001)."
    )
    assert "only group_by makes this a fair comparison" in told


def test_several_classes_and_sizes() -> None:
    told = verdict(side("train", masks(1, 60)), side("val", masks(2, 30, 4), None, 20))
    assert "in 3 of 6 classes (class_1, " in told
    assert " and the sizes of its masks, more than random splits of these masks do (p 0." in told


def test_sizes_alone() -> None:
    told = verdict(side("train", masks(1, 60)), side("val", masks(2, 30), None, 20))
    assert told.startswith("val differs from train in the sizes of its masks, more than")


def test_a_missing_class_that_chance_explains() -> None:
    told = verdict(side("train", masks(1, 60, rare=2)), side("val", masks(2, 30, rare=0)))
    assert "no more than random splits" in told
    assert "class_5 (in 2 masks of train) is missing in val, which chance alone would" in told


def test_a_class_by_its_pixels() -> None:
    """Where a class is in as many masks, only its pixels are said."""
    rng = np.random.default_rng(0)
    table = np.column_stack((rng.integers(500, 1500, 90), rng.integers(90, 300, 90), [20] * 90))
    table[60:, 2] = 30
    told = verdict(side("train", table[:60]), side("val", table[60:]))
    shares = [part[:, 2].sum() / part.sum() for part in (table[:60], table[60:])]
    assert told.startswith(
        f"val differs from train in nothing but class_2 ({percent(shares[0])} of train and"
        f" {percent(shares[1])} of val), more than random splits of these masks do (p"
    )


def test_more_missing_classes_than_by_chance() -> None:
    table = np.zeros((40, 9), np.int64)
    table[:, 0] = 90
    lacking = table.copy()
    table[np.arange(40), 1 + np.arange(40) % 8] = 5
    told = verdict(side("train", table), side("val", lacking))
    assert "missing in val." in told and "explain" not in told


def test_names_that_suggest_groups() -> None:
    """They are said always, even where nothing differs: what is in both is worse."""
    first, second = side("train", masks(1, 60)), side("val", masks(2, 30))
    rule = "^([^_]+)_"
    suggested = {
        "train": MaskGroups.of_labels(rule, [*"abcde"] * 12),
        "val": MaskGroups.of_labels(rule, [*"exz"] * 10),
    }
    told = compare_splits([first, second], suggested=suggested).verdict
    assert told.endswith(
        "Names look like frames of 7 sequences, of which e is in both: with group_by='^([^_]+)_'"
        " the comparison is a fair one."
    )
    assert "no more than random splits" in told


def test_too_few_masks() -> None:
    told = verdict(side("train", masks(1, 4)), side("val", masks(2, 2, rare=0)))
    assert told.startswith(
        "Too few masks to tell: 4 masks of train and 2 masks of val can be dealt out in 15 ways, so"
        " p is 0.067 at least."
    )
    assert (
        "class_3 and class_5 (in 3 masks of train at most) are missing in val." in told
    )  # nobody can say that chance explains it
    assert "differs" not in told


def test_too_few_groups_while_masks_would_have_been_enough() -> None:
    first = side("train", masks(1, 40), [*"abcd"] * 10)
    told = verdict(first, side("val", masks(2, 20, 3), [*"xy"] * 10))
    assert told.startswith("Too few groups to tell: 4 groups of train and 2 groups of val")
    assert "By mask one would have thought otherwise: 95% of random splits of masks have" in told


def test_groups_that_differ() -> None:
    first = side("train", masks(1, 40), CLIPS * 4)
    told = verdict(first, side("val", masks(2, 20, 4), [each * 2 for each in CLIPS] * 2))
    assert "more than random splits of these groups do" in told
    assert "group_by" not in told and "By mask" not in told


def test_groups_and_masks_in_both() -> None:
    first = side("train", masks(1, 40), CLIPS * 4)
    second = side("val", masks(2, 20), [*"abklmnopqr"] * 2)
    told = verdict(first, second, train=("1.png",), val=("2.png", "3.png"))
    assert told.startswith("2 masks of val are in train too, pixel for pixel. 2 groups (a and b)")
    assert "are in both, so val is no test of groups that training did not see." in told


def test_all_groups_in_both() -> None:
    first = side("train", masks(1, 40), CLIPS * 4)
    told = verdict(first, side("val", masks(2, 20, 3), [*"ab"] * 10))
    assert "10 groups of train and 2 groups of val can't be dealt out otherwise." in told


def test_hostile_names_are_escaped() -> None:
    told = verdict(
        side("train", masks(1, 40), ["\x1b[2J\n", *"abcdefghi"] * 4),
        side("val", masks(2, 20), ["\x1b[2J\n", *"klmnopqrs"] * 2),
    )
    assert "\x1b" not in told and "\n" not in told
    assert r"1 group (\x1b[2J\n) is in both" in told


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ((), "nothing found"),
        (("outlier",), "nothing is wrong, there are notes only"),
        (("few-masks", "outlier"), "nothing is wrong for sure. To look at: few-masks (2 classes)."),
        (("lossy", "leakage"), "not fit for training: lossy (2 masks), leakage (2 masks)."),
        (
            ("shared-group", "stale"),
            "not fit for training: shared-group (2 groups). To look at, too: stale (2 masks).",
        ),
    ],
)
def test_checks(kinds: tuple[str, ...], told: str) -> None:
    assert check_verdict([Finding(kind, 2) for kind in kinds]) == spelled(told)
