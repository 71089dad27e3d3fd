"""Plots of scans, ready for a paper: one module a kind, one line a kind in this table.

A kind's module has `draw(views, **options) -> Drawing`; its keyword-only parameters are the kind's
options. This table imports none of them: matplotlib is loaded when the first plot is drawn. Only
matplotlib's object interface is used, never pyplot and its global figures.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from maskstat.errors import Blank, ParameterError, argument
from maskstat.naming import printable
from maskstat.parameters import find_named

if TYPE_CHECKING:
    from maskstat.render.plots.drawing import Drawing, ScanView

SUFFIXES = (".png", ".svg", ".pdf")
DPI = (36, 600)  # the least and the most


class Kind(NamedTuple):
    """A kind of plot: its name, which is its module's too, one line on it, and its scans."""

    name: str
    summary: str
    several: bool = False  # whether it compares scans: it takes two or more, others take one


KINDS = {
    kind.name: kind
    for kind in (
        Kind("classes", "pixels of every class, and the masks it is in"),
        Kind("rank", "the long tail: pixels and masks by rank"),
        Kind("lorenz", "how unequally pixels and masks are shared out"),
        Kind("weights", "the weights of all schemes side by side"),
        Kind("costs", "what it costs to answer every pixel with one class"),
        Kind("cooccurrence", "which classes share masks"),
        Kind("heatmaps", "where in the masks each class lies (needs a pixel profile)"),
        Kind("components", "connected components of each class (needs a pixel profile)"),
        Kind("adjacency", "which classes touch (needs a pixel profile)"),
        Kind("compare", "class frequencies of several scans", several=True),
    )
}


def find_kind(name: str) -> Kind:
    """The kind of this name. Raises ParameterError with the nearest name otherwise."""
    return find_named(name, KINDS, noun="plot", parameter="kind")


def draw(name: str, views: Sequence[ScanView], **options: object) -> Drawing:
    """Draw one kind of plot of one scan, or of several where the kind compares them.

    Raises:
        ParameterError: an unknown kind, an option it does not have, too few or many scans, or one
            without classes.
        WeightError: the kind needs labelled pixels and there are none.
        ProfileError: the kind needs a pixel profile and there is none.
    """
    kind = find_kind(name)
    if kind.several and len(views) < 2:
        raise ParameterError(
            f"{name} compares scans and got {len(views)}",
            parameter="others",
            remedy=f"name two or more: {argument('others', [Blank('train'), Blank('val')])}",
        )
    if not kind.several and len(views) != 1:
        raise ParameterError(
            f"{name} shows one scan and got {len(views)}",
            parameter="others",
            remedy="the plot compare shows several",
        )
    for view in views:
        if not len(view.catalog):
            raise ParameterError(
                "has no classes, so there is nothing to draw",
                where=printable(view.name),
                remedy=f"say what its values mean with {argument('classes')}",
            )
    function = importlib.import_module(f"maskstat.render.plots.{kind.name}").draw
    known = options_of(function)
    for option in options:
        if option not in known:
            raise ParameterError(
                f"the plot {name} has no such option",
                parameter=option,
                remedy=f"it has: {', '.join(map(argument, known)) or 'none'}",
            )
    from maskstat.render.plots.drawing import under_recipe
    from maskstat.render.plots.style import drawing_style

    with drawing_style():
        drawing: Drawing = function(views if kind.several else views[0], **options)
        return under_recipe(drawing, {view.name: view.histogram.seen for view in views})


def options_of(function: object) -> tuple[str, ...]:
    """The keyword-only parameters of a kind's function: its options."""
    signature = inspect.signature(function)  # type: ignore[arg-type]
    return tuple(p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY)


def check_path(path: Path) -> None:
    """Raise ParameterError where the suffix is none that a plot can be written as."""
    if path.suffix.lower() not in SUFFIXES:
        from maskstat.files.documents.formats import no_format

        raise no_format(path, ParameterError, of="plot format", known=SUFFIXES)


def save(drawing: Drawing, path: str | Path, *, dpi: int = 200) -> Path:
    """Write a plot in the format of the suffix, whole or not at all.

    The same drawing gives the same bytes: no dates and no random identifiers are in the file.

    Raises:
        ParameterError: a suffix that is none of `SUFFIXES`, or `dpi` is out of range.
        FileFormatError: the file can't be written.
    """
    from maskstat.files.writing import write_atomically
    from maskstat.render.plots.files import encoded

    path = Path(path)
    check_path(path)
    if not DPI[0] <= dpi <= DPI[1]:
        raise ParameterError(f"is {DPI[0]} to {DPI[1]} pixels an inch, not {dpi}", parameter="dpi")
    write_atomically(path, encoded(drawing, path.suffix.lower().lstrip("."), dpi=dpi))
    return path
