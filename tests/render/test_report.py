"""The report: one document, three forms with the same numbers, and no name becomes markup."""

from __future__ import annotations

import ast
import json
import re
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from maskstat.api.counting import MaskCounter
from maskstat.api.making import scan
from maskstat.api.scan import Scan
from maskstat.errors import ParameterError
from maskstat.naming import percent, printable
from maskstat.render.documents.report import report_document
from maskstat.render.documents.scan import scan_document
from maskstat.render.documents.weighing import scheme_weights
from maskstat.render.report import markdown, wording
from maskstat.render.report.snippets import BY_BATCH, FRAMEWORKS, snippets
from maskstat.weights.costs import price_list
from maskstat.weights.schemes import SCHEMES
from maskstat.weights.table import WeightTable
from tests.support.loops import at_least_one
from tests.support.report_cases import (
    HOSTILE_NAMES,
    Page,
)


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


def test_markdown_carries_the_document_s_numbers(many: Scan) -> None:
    document = report_document(many)
    classes, imbalance, weights, costs, scores = markdown_tables(markdown.render(document))
    for row, entry in at_least_one(zip(classes[1:], document["classes"], strict=True)):
        assert row[0] == str(entry["index"]) and row[1] == entry["name"]
        assert int(row[2].replace(",", "")) == entry["pixels"]
        assert int(row[5].replace(",", "")) == entry["masks"]
    groups = document["weights"]["distinct"]
    for row, entry in at_least_one(zip(weights[1:], document["classes"], strict=True)):
        found = [document["weights"]["schemes"][g[0]]["weights"][entry["index"]] for g in groups]
        assert row[2:] == [wording.number(weight) for weight in found]
    for row, entry in at_least_one(zip(scores[1:], document["constant_predictors"], strict=True)):
        keys = ("pixel_accuracy", "mean_iou", "balanced_accuracy")
        assert row[2:] == [percent(entry[key]) for key in keys]
    assert [row[0] for row in imbalance[1:]] == [label for label, _ in wording.MEASURES]
    assert len(costs) == len(groups) + 1


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


WEIGHTS = [0.0, 1e-9, 1 / 3, 12345.678901, 1.0, 2.5, 1e6, 0.1, 7.0, 3.25]


def numbers_in(code: str) -> list[float]:
    """The only list of as many numbers in a Python source."""
    lists = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.List)]
    (values,) = [node for node in lists if len(node.elts) == len(WEIGHTS)]
    found: list[float] = ast.literal_eval(values)
    return found


@pytest.mark.parametrize("ignore_index", [None, 255])
def test_snippets_have_the_weights(ignore_index: int | None) -> None:
    """The code is valid and its numbers are the weights, whatever the classes are called."""
    code = snippets(HOSTILE_NAMES, WEIGHTS, ignore_index)
    assert tuple(code) == FRAMEWORKS
    for text in at_least_one(code.values()):
        assert numbers_in(text) == pytest.approx(WEIGHTS, rel=1e-5)
        assert text.isascii() or "日本語" in text
        assert (f"ignore_index={ignore_index}" in text) is (ignore_index is not None)


def test_weights_of_a_batch_go_where_the_mean_divides_by_them() -> None:
    by_batch = [2 * weight for weight in WEIGHTS]
    code = snippets(HOSTILE_NAMES, WEIGHTS, 255, by_batch)
    for framework, text in at_least_one(code.items()):
        expected = by_batch if framework in BY_BATCH else WEIGHTS
        assert numbers_in(text) == pytest.approx(expected, rel=1e-5)


def test_keras_snippet_compiles_with_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = types.SimpleNamespace(CrossEntropy=lambda **given: given)
    monkeypatch.setitem(sys.modules, "maskstat.keras", losses)
    compiled: dict[str, Any] = {}
    model = types.SimpleNamespace(compile=lambda **given: compiled.update(given))
    exec(snippets(HOSTILE_NAMES, WEIGHTS, 255)["Keras"], {"model": model})
    assert compiled["loss"]["ignore_index"] == 255
    assert compiled["loss"]["weight"] == pytest.approx(WEIGHTS, rel=1e-5)


def weighted_mean(logits: Any, labels: Any, weights: list[float]) -> float:
    """The mean of cross entropies that is divided by the weights of labelled pixels; in NumPy."""
    flat = np.asarray(logits, np.float64).transpose(0, 2, 3, 1).reshape(-1, len(weights))
    chosen = np.asarray(labels).reshape(-1)
    kept = chosen != 255
    log_odds = flat - np.log(np.exp(flat).sum(axis=1, keepdims=True))
    costs = -log_odds[np.flatnonzero(kept), chosen[kept]]
    own = np.asarray(weights)[chosen[kept]]
    return float((costs * own).sum() / own.sum())


def test_pytorch_and_mmsegmentation_snippets_are_the_weighted_mean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also with ignored labels, at which MMSegmentation's own loss ends in an index error."""
    torch = pytest.importorskip("torch")
    weights = [0.5, 2.0, 3.0]
    logits = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[[0, 1], [2, 255]]])
    expected = weighted_mean(logits, labels, weights)
    code = snippets(["a", "b", "c"], weights, 255)
    scope: dict[str, Any] = {}
    exec(code["PyTorch"], scope)
    assert float(scope["criterion"](logits, labels)) == pytest.approx(expected, rel=1e-5)

    registered: dict[str, Any] = {}
    models = types.SimpleNamespace(
        register_module=lambda: lambda made: registered.setdefault(made.__name__, made)
    )
    monkeypatch.setitem(sys.modules, "mmseg", types.ModuleType("mmseg"))
    monkeypatch.setitem(sys.modules, "mmseg.registry", types.SimpleNamespace(MODELS=models))
    scope = {}
    exec(code["MMSegmentation"], scope)
    head = scope["model"]["decode_head"]
    assert head["ignore_index"] == 255
    options = dict(head["loss_decode"])
    loss = registered[options.pop("type")](**options)
    assert float(loss(logits, labels, ignore_index=255)) == pytest.approx(expected, rel=1e-5)


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
    from maskstat.cli.commands import add

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASKSTAT_DB", str(tmp_path / "scans.db"))
    (tmp_path / "masks").mkdir()
    np.save(tmp_path / "masks" / "mask.npy", np.arange(6, dtype=np.uint8).reshape(2, 3) % 3)
    scan(tmp_path / "masks", classes=3, db=tmp_path / "scans.db").close()
    app = typer.Typer()
    add(app, report)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_command_writes_three_forms(command: Any, tmp_path: Path) -> None:
    assert command().exit_code == 0
    assert command("--examples", "0", "-o", "without.html").exit_code == 0
    pictures = [
        len(Page((tmp_path / f"{name}.html").read_text("utf-8")).all("img"))
        for name in ("report", "without")
    ]
    assert pictures == [3 * 1, 0]
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


@pytest.mark.parametrize(
    ("classes", "declared"), [(40, False), (41, False), (90, True), (9000, False)]
)
def test_of_many_classes_the_first_and_the_last_are_in_markdown(
    classes: int, declared: bool
) -> None:
    """So it is bounded by what it says, not by the values found; all are in the document."""
    pixels = np.repeat(np.arange(classes), np.arange(classes) % 7 + 1).astype(np.uint16)
    counter = MaskCounter(classes=classes if declared else None)
    counter.update(pixels[None])
    document = report_document(counter.scan())
    text = markdown.render(document)
    whole = classes <= 40 or declared
    lines = [line for line in text.splitlines() if re.match(r"\| \d+ \| class", line)]
    assert len(lines) == 3 * (classes if whole else 24)
    gap = f"{classes - 24:,} classes from "
    assert text.count(gap) == (0 if whole else 3)
    assert len(document["classes"]) == classes
    shares = [row["frequency"] for row in document["classes"]]
    if not whole:
        shown = [int(line.split()[1]) for line in lines[:24]]
        order = sorted(range(classes), key=lambda k: -shares[k])
        assert shown == [*order[:12], *order[-12:]]
    if classes > 1000:
        assert len(text) < 20_000
        assert "too many to paste" in text
