"""Whether a loader does what a recipe says: shares seen beside those expected, and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import ParameterError, argument
from maskstat.frames import data_frame
from maskstat.naming import counted, percent, printable
from maskstat.showing import cut, one_line
from maskstat.statistics.loader_shares import Shares, ShareTable, adjusted, compare_shares
from maskstat.values.catalog import ClassCatalog
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray

if TYPE_CHECKING:
    from pandas import DataFrame

_MOST_ROWS = 40
_MOST_NAMED = 6
_SURE = 3  # standard errors that a share is larger, to say why
_FILLED = 0.7  # of the pixels that lack as ignored ones, and came as one class instead


class Expected(Protocol):
    """What training should see, as `Scan.exposure` works it out."""

    @property
    def frequency(self) -> NDArray[np.float64]:
        """float64[K], shares of the classes among pixels that have one."""

    @property
    def ledger(self) -> MaskLedger:
        """A sample of crops, a row each."""

    @property
    def histogram(self) -> ClassHistogram:
        """An epoch; its classes, and how many pixels have none."""


class SeenShare(NamedTuple):
    """A class in the batches that came: a share of the pixels that have a class.

    Attributes:
        name: of the class.
        expected: its share under the recipe.
        seen: its share in what came.
        standard_error: of the share among so many masks, where all is as expected.
        p_value: how likely such a difference is where all is as expected; not adjusted.
        by_masks: whether that is of how many masks have the class, since too few do for how much
            of it they have to tell anything.
    """

    name: str
    expected: float
    seen: float
    standard_error: float
    p_value: float
    by_masks: bool = False

    def __repr__(self) -> str:
        return one_line(self)

    @property
    def z(self) -> float | None:
        """The difference in standard errors; None where it says nothing: the share can't vary, or
        too few masks have the class."""
        if self.by_masks or not self.standard_error > 0:
            return None
        return (self.seen - self.expected) / self.standard_error


@dataclass(frozen=True, slots=True)
class LoaderCheck:
    """What a loader gave, beside what a recipe says it should give. `print` shows a table.

    Attributes:
        rows: the K classes.
        ignored: pixels that the loss leaves out, padding included, as a share of all.
        findings: what differs, in words; () where nothing does.
        mask_count: masks that came.
        confidence: that nothing is found by shares where all is as expected.
    """

    rows: tuple[SeenShare, ...]
    ignored: SeenShare
    findings: tuple[str, ...]
    mask_count: int
    confidence: float

    @property
    def agrees(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __repr__(self) -> str:
        found = counted(len(self.findings), "finding") if self.findings else "as expected"
        return one_line(self, counted(self.mask_count, "mask"), found)

    def __str__(self) -> str:
        shown = sorted(self.rows, key=lambda row: row.p_value)[:_MOST_ROWS]
        chosen = {id(row) for row in shown}
        rows = [row for row in self.rows if id(row) in chosen]
        head = f"{counted(self.mask_count, 'mask')} came, "
        if self.agrees:
            head += f"as the recipe says (confidence {self.confidence:g})"
        else:
            head += counted(len(self.findings), "finding")
        lines = [head, "", *_table([*rows, self.ignored])]
        if len(rows) < len(self.rows):
            lines.append(f"and {counted(len(self.rows) - len(rows), 'class')} that differ less")
        return "\n".join([*lines, *([""] if self.findings else []), *self.findings])

    def to_pandas(self) -> DataFrame:
        """A row a class: expected, seen, standard_error, z, p_value.

        Raises MissingExtraError without pandas.
        """
        columns = ("expected", "seen", "standard_error", "z", "p_value")
        table = {name: [getattr(row, name) for row in self.rows] for name in columns}
        return data_frame(table, {"class": [row.name for row in self.rows]})


class Came(NamedTuple):
    """What came out of a loader.

    Attributes:
        ledger: a row a mask.
        ignored: int64[n], ignored pixels of each.
        fractions: int64[n], pixels of each that are no whole number.
        unlisted: pixels by values that are no class, and not ignored.
        shapes: (height, width) -> masks.
    """

    ledger: MaskLedger
    ignored: IntArray
    fractions: IntArray
    unlisted: Mapping[int, int]
    shapes: Mapping[tuple[int, int], int]

    def __repr__(self) -> str:
        return one_line(self)


def check_loader(
    came: Came,
    expected: Expected,
    crop: tuple[int, int] | None,
    catalog: ClassCatalog,
    confidence: float,
) -> LoaderCheck:
    """Compare. `crop` is that of the recipe, if it has one.

    Raises:
        ParameterError: of other classes, or `confidence` is no share.
    """
    if not 0 < confidence < 1:
        raise ParameterError("is above 0 and below 1", parameter="confidence")
    names = [printable(name) for name in catalog.names]
    frequency = np.asarray(expected.frequency, np.float64)
    if frequency.shape != (len(names),):
        raise ParameterError(
            f"is of {counted(frequency.size, 'class')}, and what came of {len(names)}",
            parameter="exposure",
            remedy=f"watch with {argument('classes')} of the same scan",
        )
    crops, totals = expected.ledger, expected.histogram
    share = np.array([totals.ignored_pixels / max(totals.total_pixels, 1)])
    classes = compare_shares(
        frequency, ShareTable.of_classes(crops), ShareTable.of_classes(came.ledger)
    )
    void = compare_shares(
        share,
        ShareTable.of_one(crops.areas, crops.areas - crops.labelled),
        ShareTable.of_one(came.ledger.areas, came.ignored),
    )
    differs = adjusted(np.concatenate((classes.p_value, void.p_value))) <= 1 - confidence
    if not came.ledger.pixels.size:
        differs[:-1] = False  # no pixel has a class: there is no share to compare
    rows = _rows(names, frequency, classes)
    (ignored,) = _rows(["(ignored, of all)"], share, void)
    findings = [
        *_no_labels(came, len(names)),
        *_other_shapes(came, crop),
        *_other_shares(rows, differs[:-1], classes),
        *_other_void(ignored, rows, bool(differs[-1])),
    ]
    return LoaderCheck(rows, ignored, tuple(findings), len(came.ledger), confidence)


def _rows(
    names: Sequence[str], expected: NDArray[np.float64], shares: Shares
) -> tuple[SeenShare, ...]:
    columns = (
        *(expected, shares.seen, shares.standard_error),
        *(shares.p_value, shares.by_masks),
    )
    numbers = zip(*(column.tolist() for column in columns), strict=True)
    return tuple(SeenShare(name, *row) for name, row in zip(names, numbers, strict=True))


def _no_labels(came: Came, class_count: int) -> Iterator[str]:
    """Pixels that are neither of a class nor ignored."""
    total = int(came.ledger.areas.sum())
    if came.fractions.any():
        masks = counted(int(np.count_nonzero(came.fractions)), "mask")
        yield (
            f"{percent(int(came.fractions.sum()) / total)} of the pixels, in {masks}, are no whole"
            " numbers: labels were interpolated; resize them to the nearest pixel"
        )
    if not came.unlisted:
        return
    values = sorted(came.unlisted, key=lambda value: (-came.unlisted[value], value))
    named = ", ".join(map(str, sorted(values[:_MOST_NAMED])))
    named += f" and {len(values) - _MOST_NAMED} others" if len(values) > _MOST_NAMED else ""
    pixels = percent(sum(came.unlisted.values()) / total)
    if values == [class_count]:
        remedy = f"do labels begin at 1? Classes are 0 to {class_count - 1}"
    elif len(values) == 1:
        remedy = f"where the loss leaves it out, watch with ignore={values[0]}"
    elif all(class_count <= value < 255 for value in values):
        remedy = "labels that are interpolated have such values; resize them to the nearest pixel"
    else:
        remedy = "those that the loss leaves out belong into ignore="
    what = "the value" if len(values) == 1 else "values"
    yield f"{pixels} of the pixels have {what} {named}, which no class has: {remedy}"


def _other_shapes(came: Came, crop: tuple[int, int] | None) -> Iterator[str]:
    others = [shape for shape in came.shapes if crop is not None and shape != crop]
    if crop is None or not others:
        return
    named = ", ".join(f"{height} × {width}" for height, width in sorted(others)[:_MOST_NAMED])
    more = f" and {len(others) - _MOST_NAMED} others" if len(others) > _MOST_NAMED else ""
    masks = counted(sum(came.shapes[shape] for shape in others), "mask")
    yield f"{masks} of {named}{more} came; the recipe's crops are {crop[0]} × {crop[1]}"


def _other_shares(
    rows: Sequence[SeenShare], differs: NDArray[np.bool_], shares: Shares
) -> Iterator[str]:
    for k, row in enumerate(rows):
        if not differs[k]:
            continue
        if row.expected == 0:
            yield (
                f"{row.name}: no mask has it, and {percent(row.seen)} came; interpolated labels"
                " have classes that are between others"
            )
        elif row.seen == 0:
            yield (
                f"{row.name}: never came, {percent(row.expected)} expected; so many masks without"
                f" it come by chance {_rarely(float(shares.never[k]))}"
            )
        else:
            yield f"{row.name}: {_came(row)}"


def _other_void(ignored: SeenShare, rows: Sequence[SeenShare], differs: bool) -> Iterator[str]:
    if not differs:
        return
    text = f"ignored pixels: {_came(ignored)}"
    lacking = ignored.expected - ignored.seen
    gains = [row.seen * (1 - ignored.seen) - row.expected * (1 - ignored.expected) for row in rows]
    most = int(np.argmax(gains))
    sure = gains[most] >= _SURE * rows[most].standard_error
    if sure and gains[most] >= _FILLED * lacking > 0:
        text += f"; {rows[most].name} has as much more: is padding filled with it?"
    elif lacking < 0:
        text += "; padding does not explain them"
    yield text


def _came(row: SeenShare) -> str:
    error = "" if row.by_masks else f" ± {_digits(row)}"
    return f"{percent(row.seen)} came, {percent(row.expected)}{error} expected"


def _digits(row: SeenShare) -> str:
    return f"{100 * row.standard_error:.2g}%"


def _rarely(chance: float) -> str:
    return f"once in {1 / chance:,.0f} times" if chance > 1e-9 else "less than once in 10⁹ times"


def _table(rows: Sequence[SeenShare]) -> Iterator[str]:
    cells = [("class", "expected", "seen", "error", "z")]
    for row in rows:
        z = "" if row.z is None else f"{row.z:+.1f}"
        shares = percent(row.expected), percent(row.seen)
        error = "few masks" if row.by_masks else _digits(row)
        cells.append((cut(row.name, 30), *shares, error, z))
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for cell in cells:
        first = cell[0].ljust(widths[0])
        yield "  ".join(
            [first, *(text.rjust(w) for text, w in zip(cell[1:], widths[1:], strict=True))]
        )
