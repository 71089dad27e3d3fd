"""Plots: every kind draws whatever the data, shows the right lengths, and collides with nothing."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from maskstat.errors import FileFormatError, ParameterError, WeightError
from maskstat.naming import printable
from maskstat.render.documents.weighing import distinct, scheme_prices, scheme_weights
from maskstat.render.plots.cooccurrence import clustered
from maskstat.render.plots.costs import draw_prices
from maskstat.render.plots.drawing import Drawing
from maskstat.render.plots.files import encoded
from maskstat.render.plots.plot import KINDS, SUFFIXES, draw, save
from maskstat.render.plots.rows import MOST_ROWS
from maskstat.render.plots.scale import ZERO_ROOM, Scale
from maskstat.render.plots.style import (
    SMALL,
    drawing_style,
    fitted,
    percent_tick,
    plain_tick,
    text_width,
)
from maskstat.statistics.cooccurrence import CoOccurrence
from maskstat.statistics.imbalance import imbalance, lorenz_curve
from maskstat.values.catalog import ClassCatalog
from maskstat.weights.costs import price_list, wrong_and_right
from maskstat.weights.schemes import SCHEMES
from tests.support.loops import at_least_one
from tests.support.paths import ROOT
from tests.support.report_cases import (
    HOSTILE_NAMES,
    View,
    assert_cells_are,
    names_of,
    unlabelled_view,
    view_of,
    view_of_tallies,
)

SVG = "{http://www.w3.org/2000/svg}"
ABSENT = {1: (), 2: (), 3: (), 31: (4, 30), 150: (0, 77, 149)}
SIGNATURES = {".png": b"\x89PNG\r\n\x1a\n", ".svg": b"<?xml", ".pdf": b"%PDF"}


def views_for(kind: str, view: View) -> list[View]:
    """What the kind takes: the view, or it among two others with classes of their own."""
    if not KINDS[kind].several:
        return [view]
    count = len(view.catalog)
    names = ["only here", *names_of(count)]
    return [view, view_of(count, seed=1, name="val"), view_of(count + 1, seed=2, names=names)]


def drawn(kind: str, view: View, **options: object) -> Drawing:
    return draw(kind, views_for(kind, view), **options)


def shown_texts(drawing: Drawing) -> list[tuple[str, Any]]:
    """Every text that is drawn, with its box in pixels at 72 a inch."""
    from matplotlib.text import Text

    with drawing_style():
        figure = drawing.figure
        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()
        texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
        return [(text.get_text(), text.get_window_extent(renderer)) for text in texts]


def assert_tidy(drawing: Drawing, what: str) -> None:
    """No text overlaps another one or leaves the figure."""
    texts = shown_texts(drawing)
    width, height = drawing.figure.bbox.size
    for text, box in at_least_one(texts):
        inside = box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1
        assert inside, f"{what}: {text!r} leaves the figure"
    boxes = np.array([box.extents for _, box in texts]) * 72 / drawing.figure.dpi  # points
    for at in range(len(texts)):
        rest = boxes[at + 1 :]
        wide = np.minimum(boxes[at, 2], rest[:, 2]) - np.maximum(boxes[at, 0], rest[:, 0])
        high = np.minimum(boxes[at, 3], rest[:, 3]) - np.maximum(boxes[at, 1], rest[:, 1])
        hits = np.flatnonzero((wide > 0.5) & (high > 0.5))
        assert not hits.size, f"{what}: {texts[at][0]!r} overlaps {texts[at + 1 + hits[0]][0]!r}"


@pytest.mark.parametrize("count", sorted(ABSENT))
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_without_collisions(kind: str, count: int) -> None:
    drawing = drawn(kind, view_of(count, absent=ABSENT[count]))
    assert_tidy(drawing, f"{kind}, {count} classes")
    root = ElementTree.fromstring(encoded(drawing, "svg"))
    assert root.find(f"{SVG}desc").text == drawing.description
    assert drawing.description.endswith(".")


OF_PIXELS = {"heatmaps", "components", "adjacency"}  # which are not measured in crops
SEEN = "a-recipe: scaled 0.5 to 2 (uniform), crops of 8 × 8, refused from 0.75 of one class on"


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - OF_PIXELS))
def test_what_training_sees_is_said_above_and_called_crops(kind: str) -> None:
    """Nothing else moves, so lengths stay true."""

    def places(figure: Any) -> list[list[float]]:
        height = figure.bbox.height / figure.dpi * 72
        return [[x * height for x in axes.get_position().bounds[1::2]] for axes in figure.axes]

    views = views_for(kind, view_of(5))
    seen = [replace(v, histogram=replace(v.histogram, seen=SEEN), profile=None) for v in views]
    drawing = draw(kind, seen)
    assert_tidy(drawing, kind)
    words = " ".join(text for text, _ in reversed(shown_texts(drawing)))
    said = re.sub(r"95% interval, \d+ masks", "", words + drawing.description)  # the sample
    assert "mask" not in said
    for word in SEEN.split():
        assert word in words, word
    assert drawing.description.endswith(f" As training sees it: {SEEN}.")
    np.testing.assert_allclose(places(drawing.figure), places(draw(kind, views).figure))


@pytest.mark.parametrize("kind", KINDS)
def test_one_mask_and_options(kind: str) -> None:
    assert_tidy(drawn(kind, view_of(5, masks=1)), kind)
    if kind in ("classes", "weights", "costs", "compare", "heatmaps", "components"):
        assert_tidy(drawn(kind, view_of(5), order="catalog"), kind)
    if kind == "classes":
        assert_tidy(drawn(kind, view_of(31, absent=(3,)), log=True), kind)
    if kind in ("weights", "costs"):
        assert_tidy(drawn(kind, view_of(5), schemes=("sqrt", "uniform")), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_labelled(kind: str) -> None:
    """Without a labelled pixel there are no weights; everything else says "never"."""
    if kind in ("weights", "costs"):
        with pytest.raises(WeightError, match="not one pixel"):
            drawn(kind, unlabelled_view(3))
    else:
        assert_tidy(drawn(kind, unlabelled_view(3)), kind)


@pytest.mark.parametrize(
    "kind", ["classes", "weights", "cooccurrence", "compare", "heatmaps", "components", "adjacency"]
)
def test_more_classes_than_a_page_holds(kind: str) -> None:
    count = MOST_ROWS + 30
    drawing = drawn(kind, view_of(count, masks=300))
    assert_tidy(drawing, kind)
    words = " ".join(text for text, _ in shown_texts(drawing))
    squares = ("cooccurrence", "adjacency", "heatmaps")
    assert "left out" in words if kind in squares else "are shown" in words


def axis_reader(axes: Any, text_value: Callable[[str], float], *, log: bool) -> Any:
    """positions -> values, as a reader of the plot gets them: between the axis's labels."""
    ticks = [
        (position, text_value(label.get_text()))
        for position, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
    ]
    (left, low), *_, (right, high) = [tick for tick in ticks if tick[1] > 0 or not log]
    if log:
        low, high = math.log(low), math.log(high)

    def read(positions: np.ndarray) -> np.ndarray:
        values = low + (np.asarray(positions, float) - left) / (right - left) * (high - low)
        return np.exp(values) if log else values

    return read


def from_percent(text: str) -> float:
    return float(text.rstrip("%")) / 100


def from_number(text: str) -> float:
    return float(text.replace(",", ""))


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("count", [3, 31, 150])
def test_bars_are_as_long_as_the_data(count: int, log: bool) -> None:
    view = view_of(count, absent=ABSENT[count])
    figure = drawn("classes", view, log=log).figure
    panels = len(figure.axes) // 2
    for column, expected in enumerate(
        (view.histogram.frequency, view.histogram.masks / view.histogram.mask_count)
    ):
        lengths = []
        for axes in figure.axes[column::2]:
            read = axis_reader(axes, from_percent, log=log and column == 0)
            ends = np.array([bar.get_width() for bar in axes.patches])
            lengths.append(np.where(ends > 0, read(ends), 0.0))
        order = np.argsort(-view.histogram.pixels, kind="stable")
        np.testing.assert_allclose(np.concatenate(lengths), expected[order], rtol=1e-6, atol=1e-9)
    assert panels == (1 if count <= 80 else 2)


def series_values(figure: Any, text_value: Any, *, log: bool, column: int, columns: int) -> Any:
    """[series, K] values of all markers, in the order of the rows."""
    blocks = []
    for axes in figure.axes[column::columns]:
        read = axis_reader(axes, text_value, log=log)
        lines = [line for line in axes.lines if line.get_marker() not in ("None", None, "")]
        # Grid lines have no marker.
        blocks.append(np.array([read(line.get_xdata()) for line in lines]))
    return np.concatenate(blocks, axis=1)


@pytest.mark.parametrize("count", [3, 31, 150])
def test_weight_markers_show_the_weights(count: int) -> None:
    view = view_of(count, absent=ABSENT[count])
    values = series_values(
        drawn("weights", view).figure, from_number, log=True, column=0, columns=1
    )
    groups = distinct(scheme_weights(view.histogram))
    assert sorted(name for group in groups for name in group.names) == sorted(SCHEMES)
    order = np.argsort(-view.histogram.pixels, kind="stable")
    present = view.histogram.present
    expected = np.array([np.where(present, g.table.weights, np.nan)[order] for g in groups])
    np.testing.assert_allclose(values, expected, rtol=1e-6)


@pytest.mark.parametrize("count", [2, 31])
def test_cost_markers_show_the_price_list(count: int) -> None:
    view = view_of(count, absent=ABSENT[count])
    schemes = ("equal-cost", "sqrt", "uniform")
    figure = drawn("costs", view, schemes=schemes).figure
    values = series_values(figure, from_number, log=True, column=0, columns=1)
    prices = scheme_prices(view.histogram, scheme_weights(view.histogram, schemes))
    order = np.argsort(-view.histogram.pixels, kind="stable")
    present = view.histogram.present
    for name, found in at_least_one(zip(schemes, values, strict=True)):
        price = prices[name]
        all_wrong = price.scale * wrong_and_right(count, price.epsilon)[0]
        expected = np.where(present, all_wrong - price.costs, np.nan)[order]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.nanmax(values[0]) - np.nanmin(values[0]) < 1e-6 * np.nanmax(values[0])


def test_any_price_lists_can_be_drawn() -> None:
    """Also those of a weight-normalised mean, whose batches matter."""
    view = view_of(5)
    plain = price_list(view.ledger, None, "batch")
    weighted = price_list(view.ledger, [1.0, 2.0, 3.0, 4.0, 5.0], "batch")
    drawing = draw_prices(view.histogram, {"no weights": plain, "$mine$ <1>": weighted})
    assert_tidy(drawing, "prices")
    values = series_values(drawing.figure, from_number, log=True, column=0, columns=1)
    order = np.argsort(-view.histogram.pixels, kind="stable")
    np.testing.assert_allclose(values, [plain.saved[order], weighted.saved[order]], rtol=1e-5)
    assert "$mine$ <1>" in {text for text, _ in shown_texts(drawing)}


def test_compare_matches_classes_by_name() -> None:
    """Each dot reads as its scan's frequency; a class that a catalogue lacks has no dot."""
    views = views_for("compare", view_of(31, absent=(4, 30)))
    figure = draw("compare", views).figure
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    values = series_values(figure, from_percent, log=True, column=0, columns=2)
    # The place of 0 is left of the axis and reads as less than anything shown.
    smallest = min(v.histogram.frequency[v.histogram.present].min() for v in views)
    for view, row in at_least_one(zip(views, values, strict=True)):
        frequency = dict(zip(view.catalog.names, view.histogram.frequency, strict=True))
        for label, value in zip(labels, row, strict=True):
            name = next(n for n in ["only here", *names_of(31)] if fitted_alike(n, label))
            if name not in frequency:
                assert np.isnan(value)
            elif frequency[name] == 0:
                assert value < smallest
            else:
                assert value == pytest.approx(frequency[name], rel=1e-6)


def fitted_alike(name: str, label: str) -> bool:
    """Whether a label is this name, as a whole or without its middle."""
    head, _, tail = label.partition("…")
    return name == label or ("…" in label and name.startswith(head) and name.endswith(tail))


def test_lorenz_curves_are_the_data() -> None:
    view = view_of(31, absent=(4, 30))
    axes = drawn("lorenz", view).figure.axes[0]
    read = axis_reader(axes, from_percent, log=False)
    curves = [line for line in axes.lines if len(line.get_xdata()) == 32]
    assert view.profile is not None
    shared_out = (view.histogram.pixels, view.histogram.masks, view.profile.components)
    for line, counts in at_least_one(zip(curves, shared_out, strict=True)):
        x, y = lorenz_curve(counts)
        np.testing.assert_allclose(read(line.get_xdata()), x, atol=1e-9)
        np.testing.assert_allclose(read(line.get_ydata()), y, atol=1e-9)
    assert f"Gini {imbalance(view.histogram.pixels).gini:.3f}" in drawn("lorenz", view).description


def test_cooccurrence_shows_lift() -> None:
    view = view_of(31, absent=(4, 30))
    image = drawn("cooccurrence", view).figure.axes[0].images[0].get_array()
    lift = CoOccurrence.of(view.ledger).lift[np.ix_(*[view.histogram.present] * 2)]
    assert_cells_are(image, lift, 2)


def test_clustering_brings_together_what_appears_together() -> None:
    """Two groups of classes that never meet come out as two blocks, whatever their order."""
    shuffled = np.random.default_rng(0).permutation(8)
    group = np.arange(8) % 2
    together = np.where(group[:, None] == group[None, :], 9, 0)
    order = clustered(together[np.ix_(shuffled, shuffled)])
    assert sorted(order) == list(range(8))
    blocks = group[shuffled][order]
    assert np.count_nonzero(np.diff(blocks)) == 1


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_data_gives_the_same_bytes(kind: str, form: str) -> None:
    first, second = (encoded(drawn(kind, view_of(5)), form, dpi=50) for _ in range(2))
    assert first == second


def test_bytes_do_not_depend_on_the_process() -> None:
    """Hash seeds and a user's own matplotlib settings change nothing; pyplot is never loaded."""
    code = (
        "import sys, hashlib, matplotlib\n"
        "matplotlib.rcParams.update({'text.usetex': True, 'font.size': 30, 'axes.grid': True})\n"
        "from tests.support.report_cases import view_of\n"
        "from maskstat.render.plots.plot import draw\n"
        "from maskstat.render.plots.files import encoded\n"
        "def settings(): return {k: matplotlib.rcParams[k] for k in matplotlib.rcParams"
        " if k != 'backend'}\n"
        "before = settings()\n"
        "data = encoded(draw('weights', [view_of(5)]), 'svg')\n"
        "assert settings() == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "print(hashlib.sha256(data).hexdigest())\n"
    )
    import hashlib

    expected = hashlib.sha256(encoded(drawn("weights", view_of(5)), "svg")).hexdigest()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"PYTHONHASHSEED": "123", "PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert done.stdout.strip() == expected, done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_names_are_text(kind: str) -> None:
    """No mathtext, no markup: a name is shown as it is, or shortened, never interpreted."""
    view = view_of(len(HOSTILE_NAMES), names=HOSTILE_NAMES, masks=60, name="$scan$ <b>")
    drawing = draw(kind, [view, view]) if KINDS[kind].several else draw(kind, [view])
    assert_tidy(drawing, kind)
    for text in (encoded(drawing, "svg"),):
        root = ElementTree.fromstring(text)
        tags = {element.tag.removeprefix(SVG) for element in root.iter()}
        assert tags <= {
            "svg",
            "g",
            "path",
            "text",
            "tspan",
            "use",
            "defs",
            "clipPath",
            "rect",
            "image",
            "desc",
        }
        for element in root.iter():
            assert not any(name.startswith("on") for name in element.attrib)
        # A name that was taken for mathematics would be in pieces.
        written = {(element.text or "").strip() for element in root.iter() if len(element) == 0}
        for shown, _ in at_least_one(shown_texts(drawing)):
            assert {line.strip() for line in shown.split("\n")} <= written, shown
    if kind in ("classes", "weights", "costs"):
        shown = {text for text, _ in shown_texts(drawing)}
        for name in HOSTILE_NAMES:
            label = printable(name)
            assert any(fitted_alike(label, text) for text in shown), label


numbers = st.floats(1e-9, 1e12)


@given(st.lists(numbers, min_size=1, max_size=20), st.floats(40, 400), st.booleans(), st.booleans())
def test_ticks_never_touch(values: list[float], length: float, log: bool, zero: bool) -> None:
    with drawing_style():
        scale = Scale.over([*values, 0.0] if zero else values, length, log=log)
        for text in (percent_tick, plain_tick):
            placed = scale.ticks(text)
            for (left, first), (right, second) in combinations(placed, 2):
                assert right - left >= (text_width(first, SMALL) + text_width(second, SMALL)) / 2
            assert all(-1e-6 <= position <= length + 1e-6 for position, _ in placed)


@given(st.lists(numbers, min_size=2, max_size=20), st.booleans())
def test_scales_keep_order_and_show_everything(values: list[float], log: bool) -> None:
    scale = Scale.over(values, 300.0, log=log)
    positions = scale(values)
    order = np.argsort(values, kind="stable")
    assert (np.diff(positions[order]) >= -1e-9).all()
    assert positions.min() >= -1e-6 and positions.max() <= 300 + 1e-6


def test_zero_has_its_own_place_on_a_logarithmic_axis() -> None:
    scale = Scale.over([0.0, 0.001, 1.0], 200.0, log=True)
    zero, low, high = scale([0.0, 0.001, 1.0])
    assert zero == 0 and low >= ZERO_ROOM and high > low
    assert (0.0, "0") in scale.ticks(plain_tick)
    assert np.isnan(scale([np.nan])).all()
    assert Scale.over([], 100.0, log=True).ticks(plain_tick)


@given(st.text(max_size=60), st.floats(20, 150))
def test_names_are_shortened_to_their_room(name: str, room: float) -> None:
    with drawing_style():
        label = fitted(name, SMALL, room)
        whole = printable(name)
        assert label.isprintable()
        if text_width(whole, SMALL) <= room:
            assert label == whole
        else:
            assert text_width(label, SMALL) <= room
            head, _, tail = label.partition("…")
            assert whole.startswith(head) and whole.endswith(tail)


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    view = view_of(3)
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: draw("clases", [view]), "did you mean classes"),
        (lambda: draw("compare", [view]), "name two or more"),
        (lambda: draw("classes", [view, view]), "plot compare"),
        (lambda: draw("lorenz", [view], log=True), "lorenz has no such option"),
        (lambda: draw("classes", [view], order="name"), "not one of frequency, catalog"),
        (lambda: draw("weights", [view], schemes=("sqr",)), "did you mean sqrt"),
        (lambda: save(draw("classes", [view]), tmp_path / "a.gif"), "known are .png"),
    ]
    for call, words in cases:
        with pytest.raises(ParameterError, match=re.escape(words)):
            call()
    with pytest.raises(ParameterError, match="has no classes"):
        draw("classes", [view_of_tallies(ClassCatalog.to_infer(), [])])
    with pytest.raises(FileFormatError, match="can't be written"):
        save(draw("classes", [view]), tmp_path / "no such folder" / "a.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_of_every_suffix(tmp_path: Path, suffix: str) -> None:
    path = save(drawn("classes", view_of(3)), tmp_path / f"plot{suffix.upper()}", dpi=50)
    assert path.read_bytes().startswith(SIGNATURES[suffix])


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command finds scans by name, hands options on and prints what the plot shows."""
    from maskstat.api.making import scan
    from maskstat.cli import plot
    from maskstat.cli.commands import add

    monkeypatch.setenv("MASKSTAT_DB", str(tmp_path / "scans.db"))
    for name in ("train", "val"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "mask.npy", np.arange(6, dtype=np.uint8).reshape(2, 3) % 3)
        scan(tmp_path / name, classes=3, db=tmp_path / "scans.db").close()
    app = typer.Typer()
    add(app, plot)
    runner = CliRunner()
    out = tmp_path / "plot.svg"
    arguments = ["compare", "--scan", "train", "--scan", "val", "-o", str(out)]
    done = runner.invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "train" in done.output and "val" in done.output
    assert ElementTree.fromstring(out.read_bytes()).tag == f"{SVG}svg"
    done = runner.invoke(app, ["classes", "--log", "--scan", "train", "-o", str(out)])
    assert done.exit_code == 0 and "logarithmic" in done.output
    done = runner.invoke(app, ["lorenz", "--log", "-o", str(out)])
    assert isinstance(done.exception, ParameterError)
