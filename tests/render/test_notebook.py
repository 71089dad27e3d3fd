"""What notebooks show is what the command line prints, as HTML that is safe and needs nothing."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console, RenderableType

import maskstat
from maskstat.api.check import Check
from maskstat.api.costs import Costs
from maskstat.render import notebook
from maskstat.render.terminal.check_tables import check_tables
from maskstat.render.terminal.cost_tables import cost_table
from maskstat.render.terminal.fitting import Fitted, TableColumn
from maskstat.sampling.compute import sample
from maskstat.scanning.comparing import compare_scans
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.histogram import ClassHistogram
from maskstat.weights.table import WeightTable
from tests.support.paths import ROOT

HOSTILE = '<script>alert("1")</script>\x1b[2J\n[red]&amp;'
CATALOG = ClassCatalog(
    (
        ClassInfo(0, "road", (0,), colour=0x804080),
        ClassInfo(1, HOSTILE, (1,), colour=0x00FF00),
        ClassInfo(2, "never", (2,)),
    )
)
TAGS = {"div", "table", "thead", "tbody", "tr", "th", "td", "p", "b", "span", "br"}


class Page(HTMLParser):
    """The words and tags of some HTML."""

    def __init__(self, text: str):
        super().__init__()
        self.text, self.rows, self.tags = "", [[]], Counter[str]()  # type: ignore[var-annotated]
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        assert {name for name, _ in attrs} <= {"style"}
        assert all(value and "(" not in value for _, value in attrs)
        self.tags[tag] += 1
        self.text += " "
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.rows[-1]:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> tuple[maskstat.Scan, maskstat.Scan]:
    made = []
    for name, count in (("train", 4), ("val", 3)):
        folder = tmp_path_factory.mktemp(name)
        for number in range(count):
            mask = np.zeros((4, 5), np.uint8)
            mask[: number % 3 + 1, 0] = 1
            mask[0, 1] = 9  # in no class
            np.save(folder / f"<b>{number}.npy", mask)
        (folder / "broken.npy").write_bytes(b"\x93NUMPY<i>")
        made.append(maskstat.scan(folder, classes=CATALOG, name=name))
    return made[0], made[1]


def values(scans: tuple[maskstat.Scan, maskstat.Scan]) -> dict[str, object]:
    first = scans[0]
    return {
        "scan": first,
        "histogram": first.histogram,
        "given histogram": ClassHistogram(CATALOG, np.array([3, 2, 0])),
        "weights": first.weights("sqrt", absent="one", unlisted="ignore"),
        "sampling": sample(first.ledger, CATALOG.names, "repeat-factor"),
        "comparison": compare_scans(scans),
        "catalog": CATALOG,
        "check": first.check(min_masks=2),
        "costs": first.costs(),
    }


def printed(value: object) -> RenderableType | None:
    """What the commands print."""
    if isinstance(value, Check):
        return check_tables(value.to_document())
    if isinstance(value, Costs):
        return cost_table(value.to_document())
    return notebook.tables(value)


def words(text: str) -> Counter[str]:
    """What a person reads: no lines of boxes."""
    return Counter(word for word in text.split() if set(word) - set("─╶╴"))


@pytest.mark.parametrize(
    "name",
    [
        "scan",
        "histogram",
        "given histogram",
        "weights",
        "sampling",
        "comparison",
        "catalog",
        "check",
        "costs",
    ],
)
def test_a_notebook_says_what_the_command_line_prints(
    scans: tuple[maskstat.Scan, maskstat.Scan], name: str
) -> None:
    value = values(scans)[name]
    html = value._repr_html_()  # type: ignore[attr-defined]
    page = Page(html)
    assert page.tags["table"] >= 1
    assert page.tags["td"] >= 6
    assert html.replace("\n", "").isprintable()
    console = Console(width=500, record=True, file=StringIO())
    shown = printed(value)
    assert shown is not None
    console.print(shown)
    assert words(page.text) == words(console.export_text())


def test_names_are_text_and_classes_have_their_colours(
    scans: tuple[maskstat.Scan, maskstat.Scan],
) -> None:
    html = scans[0]._repr_html_()
    assert html is not None
    assert html.count("&lt;script&gt;") >= 1
    rows = Page(html).rows
    assert [row[2] for row in rows if row[:1] == ["1"]] == [
        '<script>alert("1")</script>\\x1b[2J\\n[red]&amp;'
    ]
    assert html.count("color: #804080") == html.count("color: #00ff00") == 1


def test_rows_agree_with_the_counts(scans: tuple[maskstat.Scan, maskstat.Scan]) -> None:
    histogram = scans[0].histogram
    rows = Page(histogram._repr_html_() or "").rows
    cells = {row[0]: row for row in rows if row and row[0].isdigit()}
    assert [cells[str(k)][5] for k in range(3)] == [f"{n:,}" for n in histogram.pixels]
    assert [cells[str(k)][6] for k in range(3)] == [str(n) for n in histogram.masks]


def test_a_long_table_is_cut_and_says_so() -> None:
    numbers = range(notebook.MOST_ROWS + 7)
    table = Fitted(
        [
            TableColumn("#", [str(number) for number in numbers]),
            TableColumn("name", [f"[{number}]" for number in numbers], "name"),
        ]
    )
    page = Page(notebook.to_html(table))
    assert page.tags["tr"] == notebook.MOST_ROWS + 1
    assert page.text.endswith("and 7 rows more")


def test_weights_need_no_counts_or_classes() -> None:
    bare = WeightTable(("a", "b"), np.array([1.0, 2.0]), np.zeros(2, np.int64), "unknown")
    assert "2" in Page(bare._repr_html_() or "").text
    assert (
        Page(WeightTable((), np.empty(0), np.empty(0, np.int64), "")._repr_html_() or "").tags["td"]
        == 0
    )


def test_only_who_came_through_the_door_has_tables(tmp_path: Path) -> None:
    """Values import nothing of the rooms above them; without the door `repr` is shown."""
    code = (
        "import sys, numpy as np; from maskstat.weights.table import WeightTable as W;"
        "w = W(('a',), np.ones(1), np.ones(1, np.int64), 'x');"
        "assert w._repr_html_() is None and 'rich' not in sys.modules;"
        "import maskstat; maskstat.WeightTable; assert 'rich' not in sys.modules;"
        "assert '<table' in w._repr_html_()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
