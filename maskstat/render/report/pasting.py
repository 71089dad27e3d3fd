"""Weights to paste: two schemes, the tabs of frameworks, and PyTorch's by batch size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from maskstat.advice.snippets import SNIPPETS, weights_in_code
from maskstat.errors import WeightError, spelled
from maskstat.render.report import wording
from maskstat.render.report.calls import can_be_typed, scan_call
from maskstat.render.report.subject import Subject
from maskstat.weights.any_scheme import weights_by_batch

FRAMEWORKS = ("torch", "keras", "mmseg")
"""Those whose code fits into a page, with the weights in it."""

_BATCH_SIZES = (1, 2, 4, 8, 16, 32)
_USUAL = (8, 16, 32, 4, 2, 1)
_MANY_MASKS, _MANY_CLASSES, _MOST_CLASSES = 5_000, 40, 100
"""Above so many masks or classes one batch size is worked out, not six, and of most classes none:
a size takes half a second at the first two, and ten seconds at 150 classes."""


class Tab(NamedTuple):
    """What one framework, or a command, takes."""

    label: str
    note: str
    code: str
    by_batch: bool


@dataclass(frozen=True, slots=True)
class Pasted:
    """A scheme's weights to paste.

    Attributes:
        key: the scheme.
        label: what people call it.
        weights: [K], scaled so that the average labelled pixel weighs 1.
        tabs: a tab a framework, and the command.
        batch: the batch size that the tabs are of; None where it does not matter.
        by_batch: weights by batch size, None where no weights give equal cost at that size.
    """

    key: str
    label: str
    weights: list[float]
    tabs: list[Tab]
    batch: int | None = None
    by_batch: dict[int, list[float] | None] | None = None


def pasted(subject: Subject) -> list[Pasted]:
    """What can be pasted, what is advised first; nothing where nothing can be weighed.

    The order is docs/evidence.md's: damped weights (`sqrt`) gained most there, full ones half.
    """
    found = []
    schemes = subject.document["weights"]["schemes"]
    for key, label in (("sqrt", "Square root"), ("equal-cost", "Equal cost")):
        entry = schemes.get(key, {})
        if "weights" not in entry or wording.too_many(subject.document):
            continue
        weights: list[float] = entry["weights"]
        if key == "equal-cost":
            by_batch = _by_batch(subject)
            batch = next((size for size in _USUAL if by_batch.get(size)), None)
            found.append(
                Pasted(
                    key,
                    label,
                    weights,
                    _tabs(subject, key, weights, batch, by_batch.get(batch or 0)),
                    batch,
                    by_batch,
                )
            )
        else:
            found.append(Pasted(key, label, weights, _tabs(subject, key, weights, None, None)))
    return found


def _tabs(
    subject: Subject,
    key: str,
    weights: list[float],
    batch: int | None,
    batched: list[float] | None,
) -> list[Tab]:
    tabs = []
    for framework in FRAMEWORKS:
        depends = key == "equal-cost" and SNIPPETS[framework].by_batch
        if depends and batched is None:
            why = (
                "These are for a plain mean: of so many classes weights for a mean that each batch"
                " divides by its weights take a command"
            )
            unsolved = (
                "These are for a plain mean: no weights give equal cost under a mean that each"
                " batch divides by its weights"
            )
            note = why if len(subject.names) > _MOST_CLASSES else unsolved
        elif depends:
            note = "Equal cost under a mean that each batch divides by its weights, batch size"
        elif key == "equal-cost":
            note = "Equal cost under a plain mean"
        else:
            note = "Square root of the inverse frequency, average pixel 1"
        own = batched if depends and batched is not None else weights
        code = weights_in_code(
            framework, subject.catalog.names, own, subject.document["ignore_index"]
        )
        tabs.append(Tab(SNIPPETS[framework].label, note, code, depends and batched is not None))
    if can_be_typed(subject.scan):
        tabs.append(_command(subject, key, batch))
    return tabs


def _command(subject: Subject, key: str, batch: int | None) -> Tab:
    """The same weights in a file, which `load_weights` of both frameworks reads."""
    options: dict[str, Any] = {"scheme": key}
    solved = key == "equal-cost" and batch is not None
    if solved or (key == "equal-cost" and len(subject.names) > _MOST_CLASSES):
        batch = batch or _USUAL[0]
        options |= {"average": "batch", "batch_size": batch}
    else:
        options["normalize"] = "pixel"
    if subject.document["absent_classes"]:
        options["absent"] = "one"
    made = spelled(scan_call(subject.scan, "weights", out="weights.json", **options))
    note = "The same weights as a file, for load_weights of maskstat.torch and maskstat.keras"
    return Tab("File", note, f"{made}\n", solved)


def _by_batch(subject: Subject) -> dict[int, list[float] | None]:
    """Equal-cost weights by batch size; nothing where masks are unknown."""
    scan, histogram = subject.scan, subject.scan.histogram
    if histogram.unknown:
        return {}
    seen = scan._crops
    if seen is not None and seen.recipe.batch_size > 1:
        sizes: tuple[int, ...] = (seen.recipe.batch_size,)
    elif len(histogram.catalog) > _MOST_CLASSES:
        sizes = ()
    elif len(scan.ledger) > _MANY_MASKS or len(histogram.catalog) > _MANY_CLASSES or seen:
        sizes = (8,)
    else:
        sizes = _BATCH_SIZES
    rows = scan._batch_rows
    found: dict[int, list[float] | None] = {}
    for size in sizes:
        try:
            found[size] = weights_by_batch(histogram, rows, size, scan._batching).tolist()
        except WeightError:
            found[size] = None
    return found
