"""Values in a notebook: the tables that the command line prints, as HTML that needs nothing else.

No scripts, no style sheets, no colours but those of classes, so that it reads on dark and on light.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import singledispatch
from html import escape
from itertools import islice

from rich.color import ColorType
from rich.console import Group, RenderableType
from rich.style import Style
from rich.text import Text

from maskstat.advice.recommendation import Recommendation
from maskstat.decision.decision_report import DecisionReport
from maskstat.naming import counted
from maskstat.render.documents.exposure import exposure_document
from maskstat.render.documents.scan import class_records, scan_document
from maskstat.render.terminal.advice_tables import Sentences, advice_tables
from maskstat.render.terminal.compare_tables import compare_document, compare_tables
from maskstat.render.terminal.decision_tables import decision_tables
from maskstat.render.terminal.exposure_tables import exposure_tables
from maskstat.render.terminal.fitting import BAR, Cell, Fitted
from maskstat.render.terminal.sampling_tables import sampling_tables
from maskstat.render.terminal.tables import class_table, record_table, scan_tables, weight_table
from maskstat.sampling.table import SamplingTable
from maskstat.scanning.exposing import left_out
from maskstat.scanning.stored_scan import StoredScan
from maskstat.statistics.comparison import Comparison
from maskstat.values.catalog import ClassCatalog
from maskstat.values.catalog_fields import written_values
from maskstat.values.histogram import ClassHistogram
from maskstat.values.known import known
from maskstat.weights.table import WeightTable

MOST_ROWS = 1000  # of a table: a notebook keeps all that it shows


def html(value: object) -> str | None:
    """A value as its tables; None where it has none."""
    shown = tables(value)
    return None if shown is None else to_html(shown)


def to_html(shown: RenderableType) -> str:
    """Tables and lines of text as HTML."""
    return f"<div>{''.join(_blocks(shown))}</div>"


@singledispatch
def tables(value: object) -> RenderableType | None:
    """What the command line prints of a value; None where it prints no table."""
    return None


@tables.register
def _(value: StoredScan) -> RenderableType:
    if (seen := value._crops) is not None:
        document = exposure_document(value._files, seen, left_out(value._files, seen.recipe))
        return exposure_tables(document, value.catalog)
    return scan_tables(scan_document(value))


@tables.register
def _(value: ClassHistogram) -> RenderableType:
    return class_table(class_records(value), known(value, "mask_count"))


@tables.register
def _(value: WeightTable) -> RenderableType:
    return weight_table(value)


@tables.register
def _(value: SamplingTable) -> RenderableType | None:
    return sampling_tables(value) if value.mix else None


@tables.register
def _(value: Recommendation) -> RenderableType:
    return advice_tables(value)


@tables.register
def _(value: DecisionReport) -> RenderableType:
    return decision_tables(value)


@tables.register
def _(value: Comparison) -> RenderableType:
    return compare_tables(compare_document(value))


@tables.register
def _(value: ClassCatalog) -> RenderableType:
    return record_table(
        [
            {"index": info.index, "class": info.name, "values": written_values(info.values)}
            for info in value.classes
        ]
    )


def _blocks(shown: RenderableType) -> Iterator[str]:
    if isinstance(shown, Group):
        for part in shown.renderables:
            yield from _blocks(part)
    elif isinstance(shown, Fitted):
        yield "".join(_table(shown))
    elif isinstance(shown, Sentences):
        yield f"<ul>{''.join(_items(shown))}</ul>"
    elif text := _text(shown).plain.strip("\n"):
        yield f'<p style="margin: 0.5em 0">{_marked_up(_text(shown), text)}</p>'


def _items(listed: Sentences) -> Iterator[str]:
    for text, commands in listed.items:
        typed = "".join(f"<br><code>{escape(command)}</code>" for command in commands)
        yield f"<li>{escape(text)}{typed}</li>"


def _table(table: Fitted) -> Iterator[str]:
    """All of its columns: a page is as wide as it has to be."""
    sides = ["right" if column.kind == "number" else "left" for column in table.columns]
    yield '<table style="border-collapse: collapse; font-variant-numeric: tabular-nums">'
    yield '<thead style="border-bottom: 1px solid"><tr>'
    yield from _cells("th", sides, [column.heading for column in table.columns])
    yield "</tr></thead><tbody>"
    for row in islice(zip(*(column.cells for column in table.columns), strict=True), MOST_ROWS):
        yield "<tr>"
        yield from _cells("td", sides, row)
        yield "</tr>"
    yield "</tbody></table>"
    if left := max(0, table.rows - MOST_ROWS):
        yield f"<p>and {counted(left, 'row')} more</p>"


def _cells(tag: str, sides: list[str], row: Iterable[Cell]) -> Iterator[str]:
    for side, cell in zip(sides, row, strict=True):
        text = _text(cell)
        style = f"text-align: {side}; padding: 1px 0.6em; white-space: nowrap"
        yield f'<{tag} style="{style}">{_marked_up(text, text.plain)}</{tag}>'


def _text(shown: RenderableType | Cell) -> Text:
    if isinstance(shown, str):
        return Text(shown)
    if isinstance(shown, Text):
        return shown
    if callable(shown):
        return Text(shown(BAR))
    raise TypeError(f"a {type(shown).__name__} has no form in HTML")


def _marked_up(text: Text, words: str) -> str:
    """The words, bold or in the colour of a class where the text is."""
    style = Style.parse(text.style) if isinstance(text.style, str) else text.style
    inner = escape(words).replace("\n", "<br>")
    if style.color is not None and style.color.type is ColorType.TRUECOLOR:
        return f'<span style="color: {style.color.name}">{inner}</span>'
    return f"<b>{inner}</b>" if style.bold else inner
