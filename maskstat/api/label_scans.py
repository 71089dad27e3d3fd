"""What of a scan is of classes, one a pixel: refused where its masks have labels.

This is the one place that says so, with why and what to use. A method of `Scan` that is not listed
is right for labels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from maskstat.errors import MultilabelError, argument, call
from maskstat.naming import printable

if TYPE_CHECKING:
    from maskstat.scanning.stored_scan import StoredScan

Method = TypeVar("Method", bound=Callable[..., Any])

_BITMASK = (
    f"scan with {argument('channels', 'bitmask')}, and a catalogue that says which class each"
    " combination is"
)

REFUSED: dict[str, tuple[str, str]] = {
    "by_volume": ("volumes are of classes, one a voxel", _BITMASK),
    "all_weights": (
        "schemes are compared by shares of one loss, and each label has its own",
        f"choose one: '{call('Scan.weights', scheme='sqrt')}'",
    ),
    "costs": (
        "costs are of giving all pixels one class",
        f"'{call('Scan.weights')}' makes always yes cost as much as always no, label by label",
    ),
    "recommend": (
        "what is recommended is of classes, one a pixel",
        f"'{call('Scan.weights')}' gives the pos_weight of each label",
    ),
    "sampling": ("sampling evens out a mix of classes, one a pixel", _BITMASK),
    "exposure": ("exposure is of classes, one a pixel", _BITMASK),
    "approximate_exposure": ("exposure is of classes, one a pixel", _BITMASK),
    "class_index": ("an index is of classes, one a pixel", _BITMASK),
    "compare": ("splits are compared by their mix of classes, one a pixel", _BITMASK),
    "split": ("splits share out classes, one a pixel", _BITMASK),
    "certify": ("a certificate is of classes, one a pixel", _BITMASK),
    "decide": ("a decision gives each pixel one class", _BITMASK),
    "plot": (
        "plots show shares of one whole, classes of which a pixel has one",
        f"'{call('open_scan')}' has the numbers",
    ),
    "report": (
        "a report is about classes, one a pixel",
        f"'{call('open_scan')}' and '{call('Scan.check')}' say what is known",
    ),
}
"""By the method of `Scan`: why it is refused, and what to use."""


def of_classes(method: Method) -> Method:
    """A method of `Scan` that raises MultilabelError where masks have labels; see `REFUSED`."""
    why, instead = REFUSED[method.__name__]

    @wraps(method)
    def guarded(self: StoredScan, *args: Any, **named: Any) -> Any:
        if self.is_multilabel:
            raise MultilabelError(
                f"its masks are multi-label, and {why}",
                where=printable(self.name),
                remedy=instead,
            )
        return method(self, *args, **named)

    return guarded  # type: ignore[return-value]


def demand_alike(scan: StoredScan, other: StoredScan) -> None:
    """Raise MultilabelError where one of two scans has labels and the other one has classes."""
    if scan.is_multilabel != other.is_multilabel:
        labels, classes = (scan, other) if scan.is_multilabel else (other, scan)
        raise MultilabelError(
            f"its masks are multi-label, and those of {printable(classes.name)} have one class a"
            " pixel",
            where=printable(labels.name),
        )
