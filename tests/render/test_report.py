"""The report: one document, three forms with the same numbers, and no name becomes markup."""

from __future__ import annotations

import json
import re
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
