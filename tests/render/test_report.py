"""The report: one document, three forms with the same numbers, and no name becomes markup."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import re
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image
from typer.testing import CliRunner

from maskstat.api.counting import MaskCounter
from maskstat.api.making import scan
from maskstat.api.scan import Scan
from maskstat.errors import ParameterError
from maskstat.naming import percent, printable
from maskstat.render.documents.report import report_document
from maskstat.render.documents.scan import scan_document
from maskstat.render.documents.weighing import scheme_weights
from maskstat.render.plots.style import TOKENS
from maskstat.render.report import html, markdown, wording
from maskstat.render.report.examples import (
    SIDE,
    choose_examples,
    draw_examples,
    example_colours,
    shrunk,
)
from maskstat.render.report.snippets import snippets
from maskstat.values.catalog import ClassCatalog
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import TallyTable
from maskstat.weights.costs import price_list
from maskstat.weights.schemes import SCHEMES
from maskstat.weights.table import WeightTable
from tests.support.loops import at_least_one
from tests.support.report_cases import (
    HOSTILE_NAMES,
    Page,
    catalog_of,
    contrast,
    names_of,
    stored,
    tallies_of,
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scan]:
    """A folder of PNG masks: hostile names everywhere, a broken file, ignored, unlisted values."""
    folder = tmp_path_factory.mktemp("masks")
    draw = np.random.default_rng(5)
    count = len(HOSTILE_NAMES)
    for number in range(12):
        pixels = draw.integers(0, max(1, number % count), (40, 60)).astype(np.uint8)
        pixels[:2] = 255
        if number == 0:
            pixels[-1, :3] = 200
        name = '"><img onerror=alert(1)>' if number % 2 else "plain"
        Image.fromarray(pixels).save(folder / f"{name}_{number}.png")
    (folder / "broken <b>.png").write_bytes(b"not a PNG")
    catalog = folder.parent / f"{folder.name}.json"
    classes = [{"name": n, "value": k} for k, n in enumerate(HOSTILE_NAMES)]
    classes[2]["colour"] = "#ffffff"
    catalog.write_text(json.dumps({"classes": classes}))
    with scan(folder, classes=catalog, name="<script>alert(1)</script>") as result:
        yield result


@pytest.fixture(scope="module")
def many() -> Iterator[Scan]:
    """150 classes, three of which never occur."""
    with stored(catalog_of(names_of(150)), 60, absent=(0, 77, 149)) as result:
        yield result


@pytest.fixture(scope="module")
def hostile_page(hostile: Scan) -> str:
    return html.report_html(hostile, examples=2)


@pytest.fixture(scope="module")
def many_page(many: Scan) -> str:
    return html.report_html(many)


def test_document_extends_the_scan_document(hostile: Scan, many: Scan) -> None:
    for each in (hostile, many):
        document = report_document(each)
        for key, value in at_least_one(scan_document(each).items()):
            assert document[key] == value, key
        assert json.loads(json.dumps(document, allow_nan=False)) == document
        histogram = each.histogram
        tables = scheme_weights(histogram)
        for name, entry in at_least_one(document["weights"]["schemes"].items()):
            table = tables[name]
            assert isinstance(table, WeightTable)
            assert entry["weights"] == table.weights.tolist()
            assert table.frequency @ table.weights == pytest.approx(1)
            costs = price_list(each.ledger, table.weights).costs
            assert document["costs"]["schemes"][name]["costs"] == costs.tolist()
        assert set(document["weights"]["schemes"]) == set(SCHEMES)
        accuracies = [row["pixel_accuracy"] for row in document["constant_predictors"]]
        assert accuracies == pytest.approx(histogram.frequency.tolist())
        groups = [document["groups"][g] for g in ("head", "medium", "tail", "absent")]
        assert sorted(name for group in groups for name in group) == sorted(each.catalog.names)
        assert sum(size["masks"] for size in document["sizes"]) == histogram.mask_count


def test_findings_name_what_is_wrong(hostile: Scan) -> None:
    document = report_document(hostile)
    kinds = {finding["kind"]: finding for finding in document["findings"]}
    assert kinds["unreadable"]["files"] == ["broken <b>.png"]
    assert [record["value"] for record in kinds["unlisted"]["details"]] == [200]
    listed = [item for f in document["findings"] for item in wording.finding_items(f)]
    assert any(item.startswith("broken <b>.png: ") for item in listed)
    severities = [finding["severity"] for finding in document["findings"]]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)


def rendered(text: str) -> Page:
    """Markdown as a reader sees it, by a renderer that is not ours."""
    return Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))


def markdown_tables(text: str) -> list[list[list[str]]]:
    tables = rendered(text).tables.values()
    return [[[cell for _, cell in row] for row in table] for table in tables]


def test_three_forms_carry_the_same_numbers(many: Scan, many_page: str) -> None:
    document = report_document(many)
    tables = Page(many_page).tables
    # HTML: the values that sorting uses are the document's, bit for bit.
    for row, entry in at_least_one(
        zip(tables["table-classes"][1:], document["classes"], strict=True)
    ):
        assert int(row[0][0]) == entry["index"]
        assert row[1][1] == entry["name"]
        assert int(row[3][0]) == entry["pixels"] == int(row[3][1].replace(",", ""))
        assert float(row[4][0]) == entry["frequency"]
        assert int(row[5][0]) == entry["masks"]
    groups = document["weights"]["distinct"]
    for row, entry in at_least_one(
        zip(tables["table-weights"][1:], document["classes"], strict=True)
    ):
        expected = [document["weights"]["schemes"][g[0]]["weights"][entry["index"]] for g in groups]
        assert [float(value) for value, _ in row[2:]] == expected
    for row, entry in at_least_one(
        zip(tables["table-predictors"][1:], document["constant_predictors"], strict=True)
    ):
        scores = [entry[key] for key in ("pixel_accuracy", "mean_iou", "balanced_accuracy")]
        assert [float(value) for value, _ in row[2:5]] == scores
    # Markdown: cell by cell what HTML shows.
    classes, imbalance, weights, costs, scores = markdown_tables(markdown.render(document))
    page_rows = [[text for _, text in row] for row in tables["table-classes"]]
    assert classes == [row[:2] + row[3:] for row in page_rows]
    assert weights == [[text for _, text in row] for row in tables["table-weights"]]
    assert costs == [[text for _, text in row] for row in tables["table-costs"]]
    assert scores == [[text for _, text in row[:5]] for row in tables["table-predictors"]]
    measures = next(table for name, table in tables.items() if name.startswith("#"))
    assert imbalance == [[text for _, text in row] for row in measures]


def test_names_survive_in_markdown(hostile: Scan) -> None:
    text = markdown.report_markdown(hostile)
    tables = markdown_tables(text)
    assert [row[1] for row in tables[0][1:]] == [printable(name) for name in HOSTILE_NAMES]
    prose = re.sub(r"(?ms)^(`{3,})python$.*?^\1$", "", text)
    assert "<" not in prose and "\x1b" not in text
    assert text.count("\n\n\n") == 0


@given(st.text(max_size=40))
def test_escaped_text_reads_back(text: str) -> None:
    page = rendered(f"x{markdown.escaped(text)}")
    assert [tag for tag, _ in page.elements] == ["p"]
    assert "".join(page.texts).rstrip() == f"x{printable(text)}".rstrip()
    assert not set(markdown.escaped(text)) & set("<>|@\n")


def test_page_is_well_formed_and_accessible(hostile_page: str, many_page: str) -> None:
    for text in (hostile_page, many_page):
        assert text.startswith("<!DOCTYPE html>")
        page = Page(text)
        assert page.all("html") == [{"lang": "en"}]
        levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
        assert levels.count(1) == 1 and levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        identities = [a["id"] for _, a in page.elements if "id" in a]
        assert len(identities) == len(set(identities))
        for attributes in at_least_one(page.all("a")):
            assert (attributes["href"] or "")[1:] in identities
        assert len(page.all("table")) == len(page.all("caption"))
        assert all(heading.get("scope") in ("col", "row") for heading in page.all("th"))
        assert all(image.get("alt") for image in page.all("img"))
        for drawing in at_least_one(page.all("svg")):
            assert drawing["role"] == "img" and drawing["aria-labelledby"] in identities
        for region in at_least_one(page.all("section")):
            assert region["aria-labelledby"] in identities


def test_page_needs_and_allows_nothing_from_outside(hostile_page: str, many_page: str) -> None:
    for text in (hostile_page, many_page):
        page = Page(text)
        for _, attributes in at_least_one(page.elements):
            for name, value in attributes.items():
                assert not name.startswith("on")
                if name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
                    assert (value or "").startswith(("#", "data:"))
        style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
        assert style and "url(" not in style[1] and "@import" not in style[1]
        policy = next(
            a["content"]
            for a in page.all("meta")
            if a.get("http-equiv") == "Content-Security-Policy"
        )
        (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"script-src 'sha256-{digest}'" in policy
        assert policy.startswith("default-src 'none'; img-src data:")


def test_names_are_text_on_the_page(hostile: Scan, hostile_page: str) -> None:
    page = Page(hostile_page)
    assert len(page.all("script")) == 1 and len(page.all("style")) == 1
    assert not page.all("b")
    names = [text for _, text in (row[1] for row in page.tables["table-classes"][1:])]
    assert names == [" ".join(printable(name).split()) for name in HOSTILE_NAMES]
    words = "".join(page.texts)
    for name in HOSTILE_NAMES:
        # As a whole in the table and in every snippet, at least shortened in the plots.
        assert words.count(printable(name)) > 3
    assert '"><img onerror=alert(1)>_1.png' in words
    assert "broken <b>.png" in words
    assert "\x1b" not in hostile_page


def test_page_stays_small_and_is_reproducible(many: Scan, many_page: str) -> None:
    assert len(many_page.encode()) < 2_000_000
    assert html.report_html(many) == many_page


def test_large_class_sets_have_a_readable_frequency_plot(many: Scan) -> None:
    drawings, missing = html.draw_all(many)
    assert set(missing) == {"heatmaps", "components", "adjacency"}  # which need a pixel profile
    assert "logarithmic" in drawings["classes"].description


def test_further_plots_stand_behind_those_that_have_a_place(many: Scan) -> None:
    drawings, missing = html.draw_all(many)
    drawings["something-new"] = drawings["lorenz"]
    text = html.render(report_document(many), drawings, missing)
    page = Page(text)
    identities = [a["id"] for _, a in page.elements if "id" in a]
    assert "plot-something-new-description" in identities
    assert len(identities) == len(set(identities))


@pytest.mark.parametrize("catalog", [catalog_of(["a", "b"]), ClassCatalog.to_infer()])
def test_nothing_to_weigh_is_said_not_raised(catalog: ClassCatalog, tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", np.full((4, 4), 255, np.uint8))
    with scan(tmp_path, classes=catalog, ignore=[255]) as empty:
        document = report_document(empty)
        text = html.report_html(empty, examples=1)
        lines = markdown.report_markdown(empty)
    Page(text)
    assert document["costs"]["schemes"] == {} and document["weights"]["distinct"] == []
    reason = "there is nothing to draw" if not len(catalog) else "not one pixel belongs to a class"
    assert reason in text.replace("&#39;", "'")
    assert "not one pixel belongs to a class" in lines
    json.dumps(document, allow_nan=False)


def style_rules(page: str) -> list[dict[str, str]]:
    """The custom properties of the light, dark and print themes."""
    blocks = re.findall(r":root \{(.*?)\}", page, re.DOTALL)
    return [dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", block)) for block in blocks]


def test_contrast_in_every_theme(many_page: str) -> None:
    themes = style_rules(many_page)
    assert len(themes) == 3
    for theme in at_least_one(themes):
        assert set(TOKENS.values()) <= set(theme)
        for background in ("paper", "page"):
            for text in ("ink", "muted", "link", "error", "warning", "info"):
                assert contrast(theme[text], theme[background]) >= 4.5, (text, background)
        for mark in ("neutral", *(name for name in theme if name.startswith("series"))):
            assert contrast(theme[mark], theme["paper"]) >= 2.2, mark
    used = set(re.findall(r"var\(--([a-z0-9-]+)\)", many_page))
    assert used <= set(themes[0]) == set(themes[1]) == set(themes[2])
    for colour, token in TOKENS.items():
        assert themes[0][token] == colour


WEIGHTS = [0.0, 1e-9, 1 / 3, 12345.678901, 1.0, 2.5, 1e6, 0.1, 7.0, 3.25]


@pytest.mark.parametrize("ignore_index", [None, 255])
def test_snippets_run(ignore_index: int | None) -> None:
    """The code is valid and its numbers are the weights, whatever the classes are called."""
    code = snippets(HOSTILE_NAMES, WEIGHTS, ignore_index)
    assert set(code) == {"PyTorch", "Keras", "MMSegmentation"}
    for text in at_least_one(code.values()):
        tree = ast.parse(text)
        lists = [node for node in ast.walk(tree) if isinstance(node, ast.List)]
        (values,) = [node for node in lists if len(node.elts) == len(WEIGHTS)]
        assert ast.literal_eval(values) == pytest.approx(WEIGHTS, rel=1e-5)
        assert text.isascii() or "日本語" in text

    class Model:
        given: tuple[Any, ...] = ()

        def fit(self, images: object, labels: Any, sample_weight: Any) -> None:
            self.given = (labels, sample_weight)

    labels = np.array([[[0, 2], [4, 9]]])
    if ignore_index is not None:
        labels[0, 0, 0] = ignore_index
    scope: dict[str, Any] = {"model": Model(), "images": None, "labels": labels}
    exec(code["Keras"], scope)
    fitted_labels, weight = scope["model"].given
    expected = [0.0 if label == ignore_index else WEIGHTS[label] for label in labels.ravel()]
    assert weight.ravel().tolist() == pytest.approx(expected, rel=1e-5)
    assert fitted_labels.max() < len(WEIGHTS)
    exec(code["MMSegmentation"], scope)
    head = scope["model"]["decode_head"]
    assert head["loss_decode"]["class_weight"] == pytest.approx(WEIGHTS, rel=1e-5)
    assert head.get("ignore_index") == ignore_index


def test_pytorch_snippet_is_the_weighted_mean() -> None:
    torch = pytest.importorskip("torch")
    weights = [0.5, 2.0, 3.0]
    scope: dict[str, Any] = {}
    exec(snippets(["a", "b", "c"], weights, 255)["PyTorch"], scope)
    logits = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[[0, 1], [2, 255]]])
    losses = -torch.log_softmax(logits, 1)[0, [0, 1, 2], [0, 0, 1], [0, 1, 0]]
    expected = float((losses * torch.tensor(weights)).sum()) / sum(weights)
    assert float(scope["criterion"](logits, labels)) == pytest.approx(expected, rel=1e-5)


@given(st.integers(0, 50), st.integers(1, 5))
def test_examples_are_the_extremes(seed: int, count: int) -> None:
    catalog = catalog_of(names_of(4))
    tallies = tallies_of(4, 8, (seed % 4,), seed)
    ledger = MaskLedger.of(catalog, TallyTable.of(tallies))
    dense = ledger.dense()
    examples = choose_examples(ledger, count)
    for k in range(4):
        own = [example for example in examples if example.class_index == k]
        column = dense[:, k]
        present = int((column > 0).sum())
        assert len(own) == min(count, present)
        assert len({example.mask for example in own}) == len(own)
        for example in own:
            row = ledger.names.index(example.mask)
            assert example.pixels == column[row] > 0
            assert example.share == example.pixels / dense[row].sum()
        if own:
            assert own[0].pixels == column.max()
        if len(own) > 1:
            assert own[-1].rarest and own[-1].pixels == column[column > 0].min()
            assert [e.pixels for e in own] == sorted((e.pixels for e in own), reverse=True)
    assert choose_examples(ledger, 0) == []


def test_example_pictures_show_the_class(hostile: Scan, tmp_path: Path) -> None:
    """The class's own colour is in every picture of it, and pictures stay small."""
    chosen = choose_examples(hostile.ledger, 2)
    drawn = draw_examples(hostile, chosen)
    palette = example_colours(hostile.catalog)
    assert len({tuple(colour) for colour in palette.tolist()}) == len(palette)
    for example in at_least_one(drawn):
        assert example.image is not None
        data = base64.b64decode(example.image.removeprefix("data:image/png;base64,"))
        with Image.open(BytesIO(data)) as picture:
            assert picture.size == (example.width, example.height) == (60, 40)
            pixels = np.asarray(picture.convert("RGB"))
        own = (pixels == palette[example.class_index]).all(axis=2)
        assert own.sum() == example.pixels


def test_pictures_of_changed_or_missing_files_are_left_out(tmp_path: Path) -> None:
    for number in range(3):
        np.save(tmp_path / f"mask_{number}.npy", np.full((5, 5), number, np.uint8))
    with scan(tmp_path, classes=3) as result:
        chosen = choose_examples(result.ledger, 1)
        (tmp_path / "mask_0.npy").unlink()
        np.save(tmp_path / "mask_1.npy", np.zeros((5, 5), np.uint8))
        drawn = draw_examples(result, chosen)
        text = html.render(report_document(result), {}, {}, drawn)
    assert [example.image is None for example in drawn] == [True, True, False]
    assert text.count("no picture") == 2 and text.count("<img") == 1


@given(st.integers(1, 700), st.integers(1, 700), st.integers(0, 10**6))
def test_a_single_pixel_survives_shrinking(height: int, width: int, place: int) -> None:
    classes = np.zeros((height, width), np.int64)
    classes.flat[place % classes.size] = 1
    small = shrunk(classes, 1, SIDE)
    assert max(small.shape) <= SIDE
    assert (small == 1).sum() == 1 or classes.size == 1
    row, column = divmod(place % classes.size, width)
    step = -(-max(height, width) // SIDE)
    assert small[row // step, column // step] == 1
    assert abs(small.shape[0] * width - small.shape[1] * height) <= step * (height + width)


def test_headline_numbers(many: Scan) -> None:
    facts = {fact.label: fact for fact in wording.headline(report_document(many))}
    histogram = many.histogram
    assert facts["masks"].value == f"{histogram.mask_count:,}"
    assert facts["classes that occur"].value == str(int(histogram.present.sum()))
    assert facts["pixels"].note.startswith(
        percent(histogram.labelled_pixels / histogram.total_pixels)
    )
    assert facts["largest class"].value == percent(histogram.frequency.max())


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `maskstat report` in a folder that holds a store with one scan."""
    from maskstat.cli import report

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASKSTAT_DB", str(tmp_path / "scans.db"))
    (tmp_path / "masks").mkdir()
    np.save(tmp_path / "masks" / "mask.npy", np.arange(6, dtype=np.uint8).reshape(2, 3) % 3)
    scan(tmp_path / "masks", classes=3, db=tmp_path / "scans.db").close()
    app = typer.Typer()
    report.register(app)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_command_writes_three_forms(command: Any, tmp_path: Path) -> None:
    assert command().exit_code == 0
    assert command("--examples", "2", "-o", "with.html").exit_code == 0
    assert (tmp_path / "with.html").read_text("utf-8").count("<img") == 3
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    assert command("-o", "report.md").exit_code == 0
    assert command("-o", "report.json").exit_code == 0
    printed_markdown, printed_json = command("--format", "md"), command("--json")
    assert printed_markdown.stdout == (tmp_path / "report.md").read_text("utf-8")
    document = json.loads(printed_json.stdout)
    assert document == json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert [row["pixels"] for row in document["classes"]] == [2, 2, 2]
    assert len(page.tables["table-classes"]) == 4
    assert command("--format", "json", "-o", "numbers.txt").exit_code == 0
    assert json.loads((tmp_path / "numbers.txt").read_text("utf-8")) == document


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-o", "report.docx"), "end it in .html, .md or .json"),
        (("--json", "--format", "md"), "contradict"),
        (("--json", "--examples", "2"), "no pictures"),
    ],
)
def test_command_refuses(command: Any, arguments: tuple[str, ...], words: str) -> None:
    error = command(*arguments).exception
    assert isinstance(error, ParameterError)
    assert words in str(error)


def test_command_knows_three_formats(command: Any) -> None:
    outcome = command("--format", "pdf")
    assert outcome.exit_code == 2
    assert "not one of html, md, json" in outcome.output


def test_links_to_sorted_tables_name_real_columns(many_page: str) -> None:
    """Every sortable heading has a key, unique in its table, that a fragment can name."""
    for table in at_least_one(
        re.findall(r"<table [^>]*data-sortable>.*?</thead>", many_page, re.DOTALL)
    ):
        keys = re.findall(r'data-key="([^"]+)"', table)
        assert len(keys) == len(set(keys)) == table.count("<th ")
        assert all(unquote(key) == key and "." not in key for key in keys)


@pytest.mark.parametrize(
    ("classes", "declared"), [(40, False), (41, False), (90, True), (9000, False)]
)
def test_of_many_classes_the_first_and_the_last_are_in_the_report(
    classes: int, declared: bool
) -> None:
    """So a page is bounded by what it says, not by the values found; all are in the document."""
    pixels = np.repeat(np.arange(classes), np.arange(classes) % 7 + 1).astype(np.uint16)
    counter = MaskCounter(classes=classes if declared else None)
    counter.update(pixels[None])
    view = counter.scan()
    document = report_document(view)
    text, page = markdown.render(document), html.render(document, *html.draw_all(view))
    whole = classes <= 40 or declared
    lines = [line for line in text.splitlines() if re.match(r"\| \d+ \| class", line)]
    assert len(lines) == 3 * (classes if whole else 24)
    assert page.count('<tr><td data-value="') == 3 * (classes if whole else 24)
    gap = f"{classes - 24:,} classes from "
    assert (text.count(gap), page.count(gap)) == ((0, 0) if whole else (3, 3))
    assert ("data-sortable>" in page) == whole
    assert len(document["classes"]) == classes
    shares = [row["frequency"] for row in document["classes"]]
    if not whole:
        shown = [int(line.split()[1]) for line in lines[:24]]
        order = sorted(range(classes), key=lambda k: -shares[k])
        assert shown == [*order[:12], *order[-12:]]
    if classes > 1000:
        assert len(text) < 20_000 and len(page) < 2_000_000
        assert "too many to draw" in page and "too many to paste" in text and "too many" in page
