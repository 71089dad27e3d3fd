"""`Shifts`: what is added to the logits before the largest is taken, as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import FileFormatError, ParameterError, call
from maskstat.files.writing import check_place, write_atomically
from maskstat.naming import counted, printable
from maskstat.regular_files import read_file
from maskstat.showing import one_line

FORMAT = "maskstat shifts"
SCHEMA = 1
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Shifts:
    """A shift of the logit of each class: decide argmax_c (z_c + b_c).

    Attributes:
        classes: names of the K classes.
        values: float64[K], nats; they matter up to a common constant.
        origin: where they are from: family, measure, groups, gain, digest of the predictions.
    """

    classes: tuple[str, ...]
    values: NDArray[np.float64]
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        values = np.array(self.values, np.float64)
        if values.shape != (len(self.classes),) or not np.isfinite(values).all():
            raise ValueError("shifts are one finite number a class")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    def __repr__(self) -> str:
        largest = float(np.ptp(self.values)) if self.values.size else 0.0
        return one_line(self, counted(len(self.classes), "class"), f"spread {largest:.3g} nats")

    def save(self, path: str | Path) -> Path:
        """Write a .json. Raises FileFormatError: another suffix, or not writable."""
        path = Path(path)
        check_output(path)
        document = {
            "format": FORMAT,
            "schema": SCHEMA,
            "origin": dict(self.origin),
            "classes": [
                {"name": name, "shift": value}
                for name, value in zip(self.classes, self.values.tolist(), strict=True)
            ],
        }
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(path, text.encode("utf-8", "backslashreplace"))
        return path


def check_output(path: Path) -> None:
    """Raise FileFormatError where nothing can be written, before there is anything to write."""
    if path.suffix.lower() != ".json":
        raise FileFormatError("shifts are written as .json", where=printable(str(path)))
    check_place(path)


def load_shifts(path: str | Path) -> Shifts:
    """Read what `Shifts.save` wrote.

    Raises:
        FileFormatError: not readable, or no file of shifts.
    """
    path = Path(path)
    where = printable(str(path))
    try:
        text = read_file(path, _MOST_BYTES)
        document = None if text is None else json.loads(text)
    except OSError as error:
        raise FileFormatError(f"can't be read: {error.strerror or error}", where=where) from error
    except (ValueError, RecursionError) as error:
        raise FileFormatError("is no JSON", where=where) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise FileFormatError(
            "holds no shifts", where=where, remedy=f"'{call('Scan.decide')}' gives them"
        )
    try:
        rows = document["classes"]
        values = [row["shift"] for row in rows]
        if not all(type(value) in (int, float) for value in values):
            raise ValueError("a shift is no number")
        origin = document.get("origin", {})
        if not rows or not isinstance(origin, dict):
            raise ValueError("nothing in it")
        return Shifts(tuple(str(row["name"]) for row in rows), np.array(values, np.float64), origin)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FileFormatError("is a damaged file of shifts", where=where) from error


def shift_values(given: Any) -> NDArray[np.float64]:
    """float64[K] of numbers, `Shifts`, or their file.

    Raises:
        ParameterError: no finite numbers, one a class.
        FileFormatError: a file that holds no shifts.
    """
    if isinstance(given, (str, Path)):
        given = load_shifts(given)
    values = np.array(given.values if isinstance(given, Shifts) else given, np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ParameterError("shifts are one finite number a class", parameter="shift")
    return values
