"""How values show themselves: in one line, and in a notebook as the tables of the command line.

The tables are made by a room above the values. `maskstat/__init__.py`, the door, says where.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

from maskstat.naming import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LINE = 120
_NAME = 40
_FACT = 24

Maker = Callable[[object], "str | None"]
_makers: list[Callable[[], Maker]] = []


def cut(text: str, most: int = _NAME) -> str:
    """The text as `printable` shows it, and an ellipsis in place of what is beyond `most`."""
    shown = printable(text[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def one_line(value: object, *facts: str) -> str:
    """A value as `<Class fact, fact>`, in at most `LINE` characters whatever it holds.

    Without facts, the fields of a dataclass or named tuple: of arrays and collections their size.
    As a `__repr__` it serves as it is.
    """
    told = facts or tuple(_fields(value))
    return cut(f"<{' '.join([type(value).__name__, ', '.join(told)])}", LINE - 1) + ">"


def span(numbers: NDArray[np.float64]) -> str:
    """The least and the largest of some numbers."""
    return f"{numbers.min():.4g} to {numbers.max():.4g}" if numbers.size else "nothing"


def _fields(value: object) -> list[str]:
    names = getattr(value, "_fields", ())
    if is_dataclass(value):
        names = [field.name for field in fields(value)]
    return [
        _fact(name, part)
        for name in names
        if not name.startswith("_") and (part := getattr(value, name)) is not None
    ]


def _fact(name: str, part: object) -> str:
    if isinstance(part, str):
        return f"{name}={cut(part, _FACT)!r}"
    if isinstance(part, (bool, int, float)):
        return f"{name}={part:.6g}" if isinstance(part, float) else f"{name}={part}"
    if (shape := getattr(part, "shape", None)) is not None:
        return f"{name}[{', '.join(map(str, shape))}]"
    if isinstance(part, Sized):
        return f"{name}[{len(part)}]"
    return f"{name}={type(part).__name__}"


def html_by(maker: Callable[[], Maker]) -> None:
    """From now on `html` asks the function that `maker` gives, called when it is first needed."""
    _makers[:] = [maker]


def html(value: object) -> str | None:
    """The value as HTML for a notebook; None where it has no table: then its `repr` is shown."""
    return _makers[0]()(value) if _makers else None
