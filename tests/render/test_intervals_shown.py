"""Intervals as people see them: in tables, in reports and as whiskers, the same as in documents."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.api.given_counts import from_counts
from maskstat.naming import between, percent
from maskstat.render.documents.scan import scan_document
from maskstat.render.plots.drawing import Drawing
from maskstat.render.plots.plot import draw
from maskstat.render.plots.scale import ZERO_ROOM
from maskstat.render.plots.whiskers import WHISKERS
from maskstat.render.report.markdown import escaped
from maskstat.render.report.report import report_text
from maskstat.render.terminal.tables import class_table, interval_lines
from maskstat.scanning.stored_scan import StoredScan
from maskstat.statistics.intervals import frequency_intervals
from maskstat.values.contributions import Contributions
from maskstat.values.error_bars import Intervals
from maskstat.values.groups import GroupRule
from tests.render.test_plots import assert_tidy, axis_reader, from_number, from_percent
from tests.support.loops import at_least_one
from tests.support.report_cases import View, catalog_of, names_of, stored, view_of

RULES = ("mask", r"^mask_(\d)")  # 40 masks, or 10 groups of those that begin with a digit
COUNTS = (3, 31, 150)


@dataclasses.dataclass(frozen=True)
class GroupedView(View):
    """A view whose masks come in groups."""

    rule: str = "mask"

    @property
    def intervals(self) -> Intervals:
        groups = GroupRule(self.rule).groups(self.ledger.names)
        return frequency_intervals(Contributions.of(self.ledger), groups)


def grouped(count: int, rule: str, *, seed: int = 0, name: str = "made up") -> GroupedView:
    view = view_of(count, seed=seed, name=name, absent=(1,) if count > 3 else ())
    return GroupedView(view.name, view.histogram, view.ledger, view.profile, rule)


def cells(table: Any, heading: str) -> list[str]:
    (found,) = [column for column in table.columns if column.heading == heading]
    return [str(cell) for cell in found.cells]


# --- words ------------------------------------------------------------------------------------


@given(st.floats(0, 1), st.floats(0, 1))
def test_an_interval_reads_as_its_ends(one: float, other: float) -> None:
    low, high = sorted((one, other))
    first, last = between(low, high).split("–")
    assert (f"{first}%", last) == (percent(low), percent(high))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("count", COUNTS)
def test_tables_show_the_intervals_of_the_document(count: int, rule: str) -> None:
    scan = stored(catalog_of(names_of(count)), 40, absent=(1,)).grouped(rule)
    document = scan_document(scan)
    table = class_table(document["classes"], 40, intervals=document["intervals"])
    order = [int(index) for index in cells(table, "#")]
    for k, shown in at_least_one(zip(order, cells(table, "95%\ninterval"), strict=True)):
        row = document["classes"][k]
        if row["interval"] is not None:
            low, high = row["interval"]
            assert low <= row["frequency"] <= high
            assert shown == between(low, high)
        elif row["frequency"]:
            assert scan.intervals.groups[k] == 1
            assert shown == ("one mask" if rule == "mask" else "one group")
        else:
            assert shown == ""
    needed = [row["needed"] for row in document["classes"]]
    right = [None if np.isnan(n) else int(n) for n in scan.intervals.needed]
    assert needed == right
    page = report_text(scan, "md")
    assert f"| 0 | {names_of(count)[0]} |" in page
    for row in at_least_one(row for row in document["classes"] if row["interval"] is not None):
        assert f"| {escaped(between(*row['interval']))} |" in page


@pytest.mark.parametrize("rule", RULES)
def test_what_is_needed_is_said_of_the_least_sure(rule: str) -> None:
    names = [f"c{k}" for k in range(31)]
    scan = stored(catalog_of(names), 40).grouped(rule)
    document = scan_document(scan)
    line, *_ = interval_lines(document)
    unit = "mask" if rule == "mask" else "group"
    sample = "40 masks" if rule == "mask" else f"{len(scan.groups)} groups of 40 masks ("
    assert line.startswith(f"95% intervals count {sample}")
    needed = {row["name"]: row["needed"] for row in document["classes"] if row["needed"]}
    unsure = sorted(
        (n for n in needed if needed[n] > len(scan.groups)), key=needed.__getitem__, reverse=True
    )
    first = ", ".join(f"{name} {needed[name]:,}" for name in unsure[:3])
    more = f"{len(unsure) - 3} other class{'' if len(unsure) == 4 else 'es'}"
    assert line.endswith(f"; {unit}s needed for ±10%: {first} and more for {more}")


def test_sure_shares_need_no_more() -> None:
    same = stored(catalog_of(["a", "b"]), 1)
    document = {**scan_document(same), "intervals": {"group_by": "mask", "groups": 9, "masks": 9}}
    document["intervals"]["notes"] = []
    for row in document["classes"]:
        row["needed"] = 9
    assert list(interval_lines(document)) == ["95% intervals count 9 masks"]


def test_counts_that_were_given_have_none() -> None:
    document = scan_document(from_counts({"a": 3, "b": 5}))
    assert list(interval_lines(document)) == []
    table = class_table(document["classes"], None, intervals=document["intervals"])
    assert "95%\ninterval" not in [column.heading for column in table.columns]
    for kind in ("classes", "rank", "weights"):
        drawing = draw(kind, [from_counts({"a": 3, "b": 5})])
        assert "95%" not in drawing.description.replace("95% of the pixels", "")
        assert whisker_ends(drawing, 0, 1) == []
    assert "95% interval" not in report_text(from_counts({"a": 3, "b": 5}), "md")


# --- whiskers ---------------------------------------------------------------------------------


def whisker_ends(drawing: Drawing, column: int, columns: int) -> list[list[np.ndarray]]:
    """By axes of a column their whiskers, set by set: [n, 3], first, last, and the other axis."""
    from matplotlib.collections import LineCollection

    blocks = []
    for axes in drawing.figure.axes[column::columns]:
        sets = [
            np.array([(*line[:, 0], line[0, 1]) for line in lines.get_segments()]).reshape(-1, 3)
            for lines in axes.findobj(LineCollection)
            if lines.get_label() == WHISKERS
        ]
        blocks.append(sets)
    return [sets for sets in blocks if sets]


def assert_whiskers(
    found: np.ndarray, rows: np.ndarray, intervals: Intervals, axes: Any, read: Callable[..., Any]
) -> None:
    """One a class that has an interval, from its one end to the other, or to the edge."""
    known = rows[intervals.known[rows]]
    places = np.flatnonzero(intervals.known[rows])
    assert found[:, 2].round().astype(int).tolist() == places.tolist()
    edges = axes.get_xlim()
    for end, right in (
        (found[:, 0], intervals.lower[known]),
        (found[:, 1], intervals.upper[known]),
    ):
        inside = (end > max(edges[0], 0) + 1e-6) & (end < edges[1] - 1e-6)
        inside &= np.abs(end - ZERO_ROOM) > 1e-6
        np.testing.assert_allclose(read(end)[inside], right[inside], rtol=1e-6)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("count", COUNTS)
def test_whiskers_of_bars_end_where_the_intervals_do(count: int, rule: str, log: bool) -> None:
    view = grouped(count, rule)
    drawing = draw("classes", [view], log=log)
    assert_tidy(drawing, f"{count} {rule}")
    order = np.argsort(-view.histogram.pixels, kind="stable")
    blocks = np.array_split(order, 1 if count <= 80 else 2)
    found = whisker_ends(drawing, 0, 2)
    all_axes = drawing.figure.axes[::2]
    for rows, (ends,), axes in at_least_one(zip(blocks, found, all_axes, strict=True)):
        read = axis_reader(axes, from_percent, log=log)
        assert_whiskers(ends, rows, view.intervals, axes, read)
        # Every one ends before the number behind it, and on a linear axis all are whole.
        texts = {round(t.get_position()[1]): t.get_position()[0] for t in axes.texts}
        for _, last, place in at_least_one(ends.tolist()):
            assert last <= texts[round(place)]
    sample = "40 masks" if rule == "mask" else f"{view.intervals.group_count} groups"
    assert f"Lines: 95% interval, {sample}." in drawing.description
    if not log:
        ends = np.concatenate([ends for (ends,) in found])
        assert len(ends) == view.intervals.known.sum()
        assert (ends[:, 0] >= 0).all()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("count", COUNTS)
def test_whiskers_by_rank_end_where_the_intervals_do(count: int, rule: str) -> None:
    view = grouped(count, rule)
    drawing = draw("rank", [view])
    assert_tidy(drawing, f"{count} {rule}")
    from matplotlib.collections import LineCollection

    top = drawing.figure.axes[0]
    (lines,) = [one for one in top.findobj(LineCollection) if one.get_label() == WHISKERS]
    found = np.array([line[:, 1] for line in lines.get_segments()])
    order = np.argsort(-view.histogram.pixels, kind="stable")
    known = order[view.intervals.known[order]]
    assert len(found) == len(known)
    ticks = [
        (y, from_number(label.get_text()))
        for y, label in zip(top.get_yticks(), top.get_yticklabels(), strict=True)
    ]
    (bottom, least), *_, (up, most) = [tick for tick in ticks if tick[1] > 0]
    total = view.histogram.labelled_pixels
    for ends, right in at_least_one(
        ((found[:, 0], view.intervals.lower), (found[:, 1], view.intervals.upper))
    ):
        inside = (ends > ZERO_ROOM + 1e-6) & (ends < top.get_ylim()[1] - 1e-6)
        share = (ends[inside] - bottom) / (up - bottom)
        read = np.exp(np.log(least) + share * (np.log(most) - np.log(least))) / total
        np.testing.assert_allclose(read, right[known][inside], rtol=1e-6)
    assert "Lines: 95% interval" in drawing.description


@pytest.mark.parametrize("rule", RULES)
def test_whiskers_of_several_scans_are_those_of_each(rule: str) -> None:
    views = [grouped(31, rule), grouped(31, rule, seed=1, name="val")]
    drawing = draw("compare", views)
    assert_tidy(drawing, rule)
    axes = drawing.figure.axes[0]
    (sets,) = whisker_ends(drawing, 0, 2)
    together = sum(view.histogram.frequency for view in views)
    ranks = np.empty(31, np.int64)
    ranks[np.argsort(together, kind="stable")] = np.arange(31)
    ranks[together == 0] = 0
    rows = np.argsort(-ranks, kind="stable")
    read = axis_reader(axes, from_percent, log=True)
    for view, found in at_least_one(zip(views, sets, strict=True)):
        assert_whiskers(found, rows, view.intervals, axes, read)
    assert (sets[0][:, 2] % 1 > 0.5).all()  # a little above the middle of the row
    assert (sets[1][:, 2] % 1 < 0.5).all()
    assert ("groups)" in str([t.get_text() for t in drawing.figure.texts])) == (rule != "mask")


@pytest.mark.parametrize("schemes", [None, ("sqrt", "uniform")])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("count", COUNTS)
def test_whiskers_of_weights_are_those_of_the_first_scheme(
    count: int, rule: str, schemes: tuple[str, ...] | None
) -> None:
    scan = stored(catalog_of(names_of(count)), 40, absent=(1,)).grouped(rule)
    drawing = scan.plot("weights", schemes=schemes)
    assert_tidy(drawing, f"{count} {rule}")
    first = "equal-cost" if schemes is None else schemes[0]
    right = scan.weights(first, normalize="pixel", absent="one").intervals
    assert right is not None
    order = np.argsort(-scan.histogram.pixels, kind="stable")
    blocks = np.array_split(order, 1 if count <= 80 else 2)
    found = whisker_ends(drawing, 0, 1)
    for rows, (ends,), axes in at_least_one(zip(blocks, found, drawing.figure.axes, strict=True)):
        assert_whiskers(ends, rows, right, axes, axis_reader(axes, from_number, log=True))
    sample = "40 masks" if rule == "mask" else f"{len(scan.groups)} groups"
    assert f"Lines with caps: 95% interval, {sample}, of {first}." in drawing.description


def test_one_mask_says_nothing_of_how_sure_it_is() -> None:
    """So there are no lines, and no words of any."""
    view = view_of(5, masks=1)
    for kind in at_least_one(["classes", "rank", "weights"]):
        drawing = draw(kind, [view])
        assert not any(ends.size for sets in whisker_ends(drawing, 0, 1) for ends in sets)
        assert "95% interval" not in drawing.description


def test_a_scan_is_a_view_with_its_groups() -> None:
    scan: StoredScan = stored(catalog_of(["a", "b", "c"]), 40)
    by_mask, by_group = (draw("classes", [one]) for one in (scan, scan.grouped(RULES[1])))
    assert "95% interval, 40 masks" in by_mask.description
    assert "95% interval, 10 groups" in by_group.description
