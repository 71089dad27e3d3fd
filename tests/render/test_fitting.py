"""Tables at every width: numbers are whole, lines are no wider, what is missing is said."""

from __future__ import annotations

import io
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from maskstat.naming import percent
from maskstat.render.documents.scan import class_records
from maskstat.render.documents.weighing import price_of
from maskstat.render.terminal.cost_tables import cost_table
from maskstat.render.terminal.fitting import LAST, Fitted, TableColumn, cut, fit, folded
from maskstat.render.terminal.rows import RowChoice
from maskstat.render.terminal.scheme_tables import compare_table
from maskstat.render.terminal.tables import class_table, weight_table
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.histogram import ClassHistogram
from maskstat.weights.compute import compute
from maskstat.weights.costs import linear_price_list
from tests.support.loops import at_least_one

WIDTHS = st.integers(40, 200)
NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40)

Counts = tuple[list[str], list[int], bool]  # names, pixels, whether classes have colours


@st.composite
def counted_classes(draw: st.DrawFn, least: int = 1) -> Counts:
    """Names in any letters, long and short; counts from nothing to thousands of millions."""
    names = draw(st.lists(NAMES, min_size=least, max_size=60, unique=True))
    pixels = draw(
        st.lists(
            st.one_of(st.just(0), st.integers(1, 50), st.integers(1, 10**12)),
            min_size=len(names),
            max_size=len(names),
        )
    )
    pixels[0] += 1
    return names, pixels, draw(st.booleans())


def histogram_of(counts: Counts) -> ClassHistogram:
    names, pixels, coloured = counts
    classes = tuple(
        ClassInfo(name=name, index=k, values=(k,), colour=k if coloured else None)
        for k, name in enumerate(names)
    )
    return ClassHistogram(ClassCatalog(classes), np.array(pixels))


def lines_of(shown: RenderableType, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(shown)
    return console.export_text().splitlines()


def rows_of(lines: list[str], count: int) -> list[str]:
    """The lines of the classes: those that begin with an index."""
    rows = [line for line in lines if re.match(r" +\d+  ", line)]
    assert len(rows) == count
    return rows


def assert_fits(lines: list[str], width: int) -> None:
    assert max(map(cell_len, lines)) <= width, lines


@settings(max_examples=150, deadline=None)
@given(counted_classes(), WIDTHS, st.sampled_from(["frequency", "catalog"]))
def test_the_table_of_classes_has_whole_numbers_at_every_width(
    counts: Counts, width: int, order: str
) -> None:
    histogram = histogram_of(counts)
    records = class_records(histogram)
    frequency = histogram.frequency
    lines = lines_of(class_table(records, None, RowChoice(order)), width)  # type: ignore[arg-type]
    assert_fits(lines, width)
    rows = rows_of(lines, len(records))
    indices = [int(row.split()[0]) for row in rows]
    if order == "frequency":
        assert indices == sorted(range(len(records)), key=lambda k: (-frequency[k], k))
    else:
        assert indices == list(range(len(records)))
    note = " ".join(" ".join(lines).split())
    for row, k in zip(rows, indices, strict=True):
        printed = row.split()
        assert (percent(frequency[k]) if frequency[k] else "never") in printed
        if ": pixels" not in note and ", pixels" not in note:
            assert f"{records[k]['pixels']:,}" in printed


GOING_FIRST = ["median px", "parts", "share there", "of all", "pixels", "width px", "95% interval"]


@settings(max_examples=60, deadline=None)
@given(counted_classes(), st.integers(60, 130))
def test_what_is_needed_least_goes_first(counts: Counts, width: int) -> None:
    histogram = histogram_of(counts)
    records = [
        {**record, "masks": 7, "image_pixels": 2 * record["pixels"], "interval": [0.123, 0.456]}
        for record in class_records(histogram)
    ]
    measured = [
        {"components": n, "sizes": {"median": n // 2}, "width": n / 7 if n else None}
        for n in histogram.pixels.tolist()
    ]
    table = class_table(records, 9, RowChoice(), measured, {"group_by": "mask"})
    assert_fits(lines_of(table, width), width)
    left_out = [" ".join(one.heading.split()) for one in fit(table.columns, width).left_out]
    assert left_out[: len(GOING_FIRST)] == GOING_FIRST[: len(left_out)]
    printed = lines_of(table, 250)
    for row in rows_of(printed, len(records)):
        n = int(histogram.pixels[int(row.split()[0])])
        if n:
            assert "12.3–45.6%" in row
            of_all, there, parts, median, wide = row.split()[-5:]
            assert (of_all, there) == ("77.8%", "50.0%")
            assert (parts, median) == (f"{n:,}", f"{n // 2:,}")
            assert float(wide.replace(",", "")) == pytest.approx(n / 7, abs=0.5 if n > 69 else 0.05)


@settings(max_examples=100, deadline=None)
@given(counted_classes(least=2), WIDTHS)
def test_weights_and_costs_have_whole_numbers_at_every_width(counts: Counts, width: int) -> None:
    histogram = histogram_of(counts)
    table = compute(histogram, "sqrt", absent="one")
    lines = lines_of(weight_table(table, histogram.catalog), width)
    assert_fits(lines, width)
    for row in rows_of(lines, len(table)):
        assert f"{table.weights[int(row.split()[0])]:.6g}" in row.split()
    for row in rows_of(lines_of(weight_table(table, histogram.catalog), 200), len(table)):
        k = int(row.split()[0])
        shares = [percent(float(table.frequency[k])), percent(float(table.mass[k]))]
        assert row.split()[-2:] == shares  # of the loss, without and with the weights
    costs = linear_price_list(histogram.pixels, table.weights)
    document = {
        "weights": "sqrt",
        "average": "pixel",
        "predictor_confidence": 0.9,
        "unweighted": {"relative_spread": 1.0, "spread": 1.0, "best_constant_loss": 1.0},
        "weighted": {"relative_spread": 1.0, "spread": 1.0, "best_constant_loss": 1.0},
        "classes": [
            {
                "index": k,
                "name": name,
                "occurs": bool(costs.occurs[k]),
                "cost_unweighted": 1.0,
                "cost": float(costs.costs[k]),
                "standard_error": 0.0,
                "best_constant_probability": 0.5,
                "pixel_accuracy": float(costs.pixel_accuracy[k]),
                "mean_iou": 0.5,
                "balanced_accuracy": 0.5,
            }
            for k, name in enumerate(table.names)
        ],
    }
    lines = lines_of(cost_table(document), width)
    assert_fits(lines, width)
    for row in rows_of(lines, len(table)):
        assert f"{costs.costs[int(row.split()[0])]:.5g}" in row.split()


@settings(max_examples=60, deadline=None)
@given(counted_classes(least=2), WIDTHS)
def test_schemes_are_compared_by_prices_at_every_width(counts: Counts, width: int) -> None:
    histogram = histogram_of(counts)
    schemes = ("equal-cost", "inverse", "sqrt", "enet", "uniform")
    tables = {name: compute(histogram, name, absent="one") for name in schemes}
    lines = lines_of(compare_table(tables), width)
    assert_fits(lines, width)
    text = "\n".join(lines)
    assert re.search(r"^equal-cost = (balanced = )?inverse", text, re.MULTILINE)
    rows = {
        line.split()[0]: line.split() for line in lines if line[1:2].isalpha() and line[0] == " "
    }
    for name in at_least_one(name for name in schemes if name in rows):
        price = price_of(tables[name])
        spread = 0.0 if price.spread <= 1e-9 else price.spread
        assert percent(spread) in rows[name]
    # The weights of classes have one scale: the average pixel weighs 1, whatever the scheme.
    wide = lines_of(compare_table(tables), 400)
    occurring = [k for k in np.argsort(-histogram.frequency) if histogram.frequency[k] > 0]
    for name in at_least_one(name for name in schemes if name in rows):
        row = next(line for line in wide if line.startswith(f" {name} ")).split()
        table = tables[name]
        for k, printed in ((occurring[0], row[-min(len(occurring), 6)]), (occurring[-1], row[-1])):
            weight = float(table.weights[k] / (table.frequency @ table.weights))
            assert float(printed.replace(",", "")) == pytest.approx(weight, rel=6e-4, abs=0.5e-4)


@pytest.mark.parametrize("scheme", ["equal-cost", "sqrt", "power", "enet", "log", "uniform"])
def test_prices_are_those_of_the_definitions(scheme: str) -> None:
    pixels = (1e7 / np.arange(1, 151) ** 2).astype(np.int64)
    classes = tuple(ClassInfo(name=f"c{k}", index=k, values=(k,)) for k in range(150))
    table = compute(ClassHistogram(ClassCatalog(classes), pixels), scheme)
    w, p = table.weights, pixels / pixels.sum()
    price = price_of(table)
    assert price.loss_ratio == pytest.approx((p * w).max() / (p * w).min())
    assert price.weight_ratio == pytest.approx(w.max() / w.min())
    assert price.effective == pytest.approx((p @ w) ** 2 / (p @ w**2))


@settings(max_examples=300)
@given(NAMES, st.integers(10, 40))
def test_names_are_cut_at_the_end(name: str, size: int) -> None:
    shown = cut(name, size)
    assert cell_len(shown) <= size
    assert shown == name or (shown.endswith("…") and name.startswith(shown[:-1]))
    assert shown == name or cell_len(name) > size


@settings(max_examples=200)
@given(st.lists(NAMES, min_size=2, max_size=30, unique=True), WIDTHS)
def test_names_that_become_equal_are_said_to_be(names: list[str], width: int) -> None:
    table = Fitted([TableColumn("#", ["1" * 25] * len(names)), TableColumn("name", names, "name")])
    lines = lines_of(table, width)
    assert_fits(lines, width)
    size = fit(table.columns, width).widths[1]
    alike = len(names) - len({cut(name, size) for name in names})
    assert ("to the same letters" in " ".join(lines)) is (alike > 0)


@settings(max_examples=200)
@given(st.lists(st.text("ab道1,", min_size=1, max_size=30), min_size=1), st.integers(18, 80))
def test_folding_loses_nothing(words: list[str], width: int) -> None:
    lines = folded(" ".join(words), width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(words)


@given(st.integers(1, 3000), st.integers(0, 3000), st.sampled_from(["frequency", "catalog"]))
def test_of_many_classes_the_ends_are_shown_and_the_rest_is_counted(
    classes: int, absent: int, order: str
) -> None:
    frequency = [1 / (k + 1) for k in range(classes)] + [0.0] * absent
    shown = RowChoice(order, 40).of(frequency)  # type: ignore[arg-type]
    hidden = [k for _, left in shown.left_out for k in left]
    assert sorted([*shown.indices, *hidden]) == list(range(classes + absent))
    assert len(shown.indices) <= 40
    assert bool(hidden) is (classes + absent > 40)
    assert RowChoice(order).of(frequency).left_out == ()  # type: ignore[arg-type]
    assert math.isclose(sum(frequency), sum(frequency[k] for k in (*shown.indices, *hidden)))


def test_what_is_left_out_is_called_what_it_is() -> None:
    rows = ["1", "2"]
    shown = [TableColumn("#", rows), TableColumn("", rows, "bar", goes=LAST + 1)]
    table = Fitted([*shown, TableColumn("", ["██"] * 2, "text", LAST + 2)])
    for width, gone in ((18, "left out: colours"), (8, "left out: bars, colours")):
        assert " ".join(" ".join(lines_of(table, width)).split()).endswith(gone)
