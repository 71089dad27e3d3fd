"""Situations for the rules of `Scan.recommend`: a plain one, those of each rule, and any."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from maskstat.advice.choices import GOALS
from maskstat.advice.situation import Lacking, Situation

NAMES = ("road", "car", "pole")


def situation(frequency: tuple[float, ...] = (0.9, 0.09, 0.01), **facts: Any) -> Situation:
    """Three classes in 100 masks of 50 groups, all known and none of it strange."""
    count = len(frequency)
    shares = np.array(frequency) / sum(frequency)
    usual = {
        "names": NAMES[:count],
        "measure": "iou",
        "batch_is_known": True,
        "masks": np.full(count, 60),
        "groups": np.full(count, 40),
        "width": np.full(count, 1.5),
        "in_batches": np.full(count, 0.9),
        "groups_are_named": True,
        "group_by": "folder",
        "ignored": 0.1,
        "validation": shares,
        "validation_name": "val",
        "calls": {"scan": "train"},
        "of_files": {"scan": "train"},
    }
    return Situation(frequency=shares, **{**usual, **facts})


APPLIES: dict[str, Situation] = {
    "one-class": situation((0.0, 1.0, 0.0)),
    "accuracy": situation(measure="accuracy"),
    "even-classes": situation((0.5, 0.3, 0.2)),
    "iou": situation(),
    "recall": situation(measure="recall"),
    "square-root": situation(),
    "full": situation(measure="recall"),
    "binary": situation((0.9, 0.1)),
    "batch-mean": situation(measure="recall", lacking=Lacking((2,), 39)),
    "huge": situation((1.0, 0.1, 1e-7), measure="recall"),
    "unsure": situation(width=np.array([1.5, np.nan, 4.5])),
    "groups": situation(groups_are_named=False, group_by=""),
    "few": situation(groups=np.array([40, 40, 2])),
    "absent": situation((0.9, 0.1, 0.0)),
    "crops": situation(in_batches=np.array([1.0, 0.7, 0.2])),
    "validation": situation(validation=np.array([0.5, 0.5, 0.0])),
    "ignored": situation(ignored=0.62),
    "watch": situation((0.0, 1.0, 0.0)),
    "seeds": situation(),
    "undo": situation(),
    "decide": situation((0.5, 0.3, 0.2)),
}
"""By the name of a rule: where it applies."""

SILENT: dict[str, Situation] = {
    **dict.fromkeys(APPLIES, situation((0.5, 0.3, 0.2), measure="accuracy")),
    "accuracy": situation(),
    "even-classes": situation((0.9, 0.3, 0.2)),
    "iou": situation((0.9, 0.3, 0.25)),
    "recall": situation((0.5, 0.3, 0.26), measure="recall"),
    "binary": situation((0.5, 0.3)),
    "batch-mean": situation(lacking=Lacking((2,), 39)),
    "huge": situation((1.0, 0.1, 1e-5)),
    "crops": situation(in_batches=np.array([1.0, 0.7, 0.2]), draws_classes=True),
    "validation": situation(validation=None),
    "decide": situation(measure="accuracy"),
}
"""By the name of a rule: where it does not, mostly just so."""

ALWAYS = {"watch"}


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Any: some classes absent, some things unknown."""
    count = draw(st.integers(1, 6))
    pixels = draw(st.lists(st.integers(0, 10**9), min_size=count, max_size=count).filter(any))

    def maybe(elements: st.SearchStrategy[float], kind: type = float) -> Any:
        lists = st.lists(elements, min_size=count, max_size=count)
        found = draw(st.none() | lists)
        return None if found is None else np.array(found, kind)

    shares = maybe(st.integers(0, 1000))
    lacking = st.builds(Lacking, st.just((0,)), st.none() | st.integers(1, 99))
    return Situation(
        tuple(f"c{k}" for k in range(count)),
        draw(st.sampled_from(GOALS)),
        np.array(pixels) / sum(pixels),
        draw(st.integers(1, 10**6)),
        draw(st.booleans()),
        draw(st.sampled_from(["mask", "crop"])),
        maybe(st.integers(0, 9), int),
        maybe(st.integers(0, 9), int),
        maybe(st.floats(1, 1e9) | st.just(np.nan)),
        maybe(st.floats(0, 1)),
        draw(st.none() | lacking),
        draw(st.booleans()),
        draw(st.sampled_from(["", "names look like frames"])),
        draw(st.sampled_from(["", "folder"])),
        draw(st.none() | st.floats(0, 1)),
        None if shares is None or not shares.any() else shares / shares.sum(),
        draw(st.sampled_from(["", "val"])),
    )
