"""Tables that fit: numbers stay whole; columns go first, then bars shrink, then names are cut.

A `Fitted` table knows its columns and which of them can be spared; how wide the terminal is it
learns when it is printed. Lines are written as they are, which is quick for thousands of rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from maskstat.naming import counted

BAR = 24
"""Cells of a bar where there is room."""
LAST = 10
"""Columns that go less than this are spared last, after bars and names have given way."""

_GAP = "  "
_EDGE = " "
_NARROWEST_BAR = 6
_NARROWEST_NAME = 10
_NARROWEST_WORDS = 18
_GOOD_BAR, _GOOD_NAME = 12, 24  # bars and names give way down to here before a column goes
_ELLIPSIS = "…"

Cell = str | Text | Callable[[int], str]
Kind = Literal["number", "text", "name", "words", "bar"]


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a table.

    Attributes:
        heading: its lines are parted by newlines.
        cells: texts, styled or not; of a bar, a function of the cells it may have.
        kind: "number" (to the right), "text" (to the left; both are never cut), "name" (may be
            cut), "words" (fold into several lines) or "bar".
        goes: 0 stays; the highest goes first. Below `LAST` it goes only when nothing else helps.
        called: what it is called where it was left out; those of one name are named once.
    """

    heading: str
    cells: Sequence[Cell]
    kind: Kind = "number"
    goes: int = 0
    style: str = ""
    called: str = ""


@dataclass(frozen=True, slots=True)
class FittedColumns:
    """What is printed at a width: columns with their widths, and what was left out."""

    columns: tuple[TableColumn, ...]
    widths: tuple[int, ...]
    left_out: tuple[TableColumn, ...]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A table that is as wide as there is room for.

    Attributes:
        columns: all there are.
        gaps: lines that stand in for rows, by the number of the row they come before.
    """

    columns: Sequence[TableColumn]
    gaps: Sequence[tuple[int, str]] = field(default=())

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.columns[0].cells) if self.columns else 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        width = options.max_width
        layout = fit(self.columns, width)
        bold = console.get_style("bold")
        for line in _headings(layout):
            yield Segment(line.rstrip(), bold)
            yield Segment.line()
        yield Segment(_EDGE + "─" * (_total(layout.widths) - len(_EDGE)))
        yield Segment.line()
        columns = [
            list(_padded(column, size, console))
            for column, size in zip(layout.columns, layout.widths, strict=True)
        ]
        gaps = dict(self.gaps)
        for number in range(self.rows + 1):
            if number in gaps:
                yield from _folded(gaps[number], width)
            if number < self.rows:
                yield from _row([column[number] for column in columns], layout.widths)
        yield Segment.line()
        if note := _note(layout, width):
            yield from _folded(note, width)


def fit(columns: Sequence[TableColumn], width: int) -> FittedColumns:
    """The columns that have room, and how wide they are."""
    sizes = {id(column): _size(column) for column in columns}
    live, left_out = list(columns), []

    def widths(bar: int, name: int, words: int) -> list[int]:
        limits = {"bar": bar, "name": name, "words": words}
        return [_limited(column, sizes[id(column)], limits) for column in live]

    def spare(least: int, *limits: int) -> None:
        while _total(widths(*limits)) > width:
            going = [column for column in live if column.goes >= least]
            if not going:
                return
            first = max(going, key=lambda column: column.goes)
            live.remove(first)
            left_out.append(first)

    spare(LAST, _GOOD_BAR, _GOOD_NAME, _NARROWEST_WORDS)
    spare(1, _NARROWEST_BAR, _NARROWEST_NAME, _NARROWEST_WORDS)
    bar, name, words = BAR, max(sizes.values()), max(sizes.values())

    def most(least: int, most: int, fits: Callable[[int], list[int]]) -> int:
        """The largest size at which all fits; the least where none does."""
        while least < most:
            middle = (least + most + 1) // 2
            least, most = (middle, most) if _total(fits(middle)) <= width else (least, middle - 1)
        return least

    words = most(_NARROWEST_WORDS, words, lambda n: widths(_GOOD_BAR, name, n))
    name = most(_GOOD_NAME, max(name, _GOOD_NAME), lambda n: widths(_GOOD_BAR, n, words))
    bar = most(_NARROWEST_BAR, bar, lambda n: widths(n, name, words))
    if _total(widths(bar, name, words)) > width:
        name = most(_NARROWEST_NAME, name, lambda n: widths(bar, n, words))
    return FittedColumns(tuple(live), tuple(widths(bar, name, words)), tuple(left_out))


def cut(name: str, size: int) -> str:
    """A name in so many cells, its end an ellipsis where it has more."""
    if cell_len(name) <= size:
        return name
    return set_cell_size(name, max(size - 1, 0)).rstrip() + _ELLIPSIS


def _size(column: TableColumn) -> int:
    if column.kind == "bar":
        return BAR
    parts = [*column.heading.split("\n"), *(_plain(cell) for cell in column.cells)]
    return max(map(cell_len, parts))


def _plain(cell: Cell) -> str:
    return cell.plain if isinstance(cell, Text) else cell if isinstance(cell, str) else ""


def _limited(column: TableColumn, size: int, limits: Mapping[str, int]) -> int:
    if column.kind == "bar":
        return limits["bar"]
    if column.kind not in limits:
        return size
    # A heading is never cut: it may be a scan's name over numbers.
    least = max(map(cell_len, column.heading.split("\n")))
    return max(least, min(size, limits[column.kind]))


def _total(widths: Sequence[int]) -> int:
    return len(_EDGE) + sum(widths) + len(_GAP) * max(len(widths) - 1, 0)


def _headings(layout: FittedColumns) -> Iterator[str]:
    deep = max(column.heading.count("\n") for column in layout.columns)
    lines = [
        [""] * (deep - column.heading.count("\n")) + column.heading.split("\n")
        for column in layout.columns
    ]
    for line in zip(*lines, strict=True):
        yield _EDGE + _GAP.join(
            _filled(text, size, right=column.kind == "number")
            for text, column, size in zip(line, layout.columns, layout.widths, strict=True)
        )


def _filled(text: str, size: int, *, right: bool) -> str:
    blank = " " * (size - cell_len(text))
    return blank + text if right else text + blank


def _padded(column: TableColumn, size: int, console: Console) -> Iterator[list[Segment]]:
    """Each cell as its lines."""
    styles: dict[str, Style] = {}
    right = column.kind == "number"
    for cell in column.cells:
        text = cell(size) if callable(cell) else _plain(cell)
        named = str(cell.style) if isinstance(cell, Text) else column.style
        if named not in styles:
            styles[named] = console.get_style(named or "none")
        lines = [text]
        if column.kind == "name":
            lines = [cut(text, size)]
        elif column.kind == "words":
            lines = [line for part in text.split("\n") for line in folded(part, size)]
        yield [Segment(_filled(line, size, right=right), styles[named]) for line in lines]


def _row(cells: Sequence[Sequence[Segment]], widths: Sequence[int]) -> Iterator[Segment]:
    for line in range(max(map(len, cells))):
        parts: list[Segment] = []
        for place, (cell, size) in enumerate(zip(cells, widths, strict=True)):
            parts.append(Segment(_GAP if place else _EDGE))
            parts.append(cell[line] if line < len(cell) else Segment(" " * size))
        while parts and not parts[-1].text.strip():
            parts.pop()
        if parts:
            parts[-1] = Segment(parts[-1].text.rstrip(), parts[-1].style)
        yield from parts
        yield Segment.line()


def folded(text: str, width: int) -> list[str]:
    """A line of words as lines of a width, indented alike; a word that has no room is broken."""
    indent = " " * (len(text) - len(text.lstrip()))
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and cell_len(f"{line} {word}") > width:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else indent + word
        while cell_len(line) > width > len(indent):
            start = set_cell_size(line, width)
            lines.append(start)
            line = indent + line[len(start.rstrip()) :]
    return [*lines, line]


def _folded(text: str, width: int) -> Iterator[Segment]:
    for line in folded(text, width):
        yield Segment(line)
        yield Segment.line()


def _called(column: TableColumn) -> str:
    """What has no heading is a bar, or a patch of a class's colour."""
    heading = column.called or " ".join(column.heading.split())
    return heading or ("bars" if column.kind == "bar" else "colours")


def _note(layout: FittedColumns, width: int) -> str:
    """What a narrow terminal does not show."""
    parts = []
    if layout.left_out:
        gone = dict.fromkeys(map(_called, reversed(layout.left_out)))
        parts.append(f"left out: {', '.join(gone)}")
    for column, size in zip(layout.columns, layout.widths, strict=True):
        if column.kind != "name":
            continue
        names = [_plain(cell) for cell in column.cells]
        shortened = [cut(name, size) for name in names if cell_len(name) > size]
        if not shortened:
            continue
        part = f"{counted(len(shortened), 'name')} cut"
        if alike := sum(n for n in Counter(shortened).values() if n > 1):
            part += f", {alike} of them to the same letters"
        parts.append(part)
    return f"In {width} columns {'; '.join(parts)}" if parts else ""
