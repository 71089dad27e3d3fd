"""FlatBuffers as Arrow's metadata is made of, read with every offset checked.

The libraries that read Arrow files crash on metadata that points outside itself; this raises
MaskError instead.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError


def damaged() -> MaskError:
    """What is wrong with metadata that contradicts itself."""
    return MaskError("damaged: its metadata contradicts itself")


@dataclass(frozen=True, slots=True)
class FlatTable:
    """A table of a buffer; fields are asked for by number, and raise MaskError."""

    data: bytes
    at: int

    @classmethod
    def root(cls, data: bytes) -> FlatTable:
        """The table that a buffer is."""
        return cls(data, _number(data, "<I", 0))

    def number(self, field: int, form: str, default: int = 0) -> int:
        """A whole number of a `struct` format."""
        at = self._place(field)
        return default if at is None else _number(self.data, f"<{form}", at)

    def table(self, field: int) -> FlatTable | None:
        """A table, where there is one."""
        at = self._place(field)
        return None if at is None else self._behind(at)

    def tables(self, field: int) -> Iterator[FlatTable]:
        """A vector of tables."""
        start, count = self._vector(field, 4)
        return (self._behind(start + 4 * place) for place in range(count))

    def numbers(self, field: int, *forms: str) -> NDArray[np.int64]:
        """A vector of structs of numbers, [n, numbers]; forms are those of NumPy, without order."""
        form = np.dtype([(str(place), f"<{form}") for place, form in enumerate(forms)], align=True)
        start, count = self._vector(field, form.itemsize)
        found = np.frombuffer(self.data, form, count, start) if count else np.empty(0, form)
        return np.stack([found[name].astype(np.int64) for name in form.fields or ()], axis=1)

    def text(self, field: int) -> str:
        """A string, empty where there is none; bytes that are no UTF-8 are escaped."""
        start, count = self._vector(field, 1)
        return self.data[start : start + count].decode("utf-8", "backslashreplace")

    def _behind(self, at: int) -> FlatTable:
        return FlatTable(self.data, at + _number(self.data, "<I", at))

    def _place(self, field: int) -> int | None:
        """Where a field is; None where it is left out."""
        slots = self.at - _number(self.data, "<i", self.at)
        slot = 4 + 2 * field
        if slot + 2 > _number(self.data, "<H", slots):
            return None
        offset = _number(self.data, "<H", slots + slot)
        return self.at + offset if offset else None

    def _vector(self, field: int, size: int) -> tuple[int, int]:
        """Where the items of a vector start, and how many there are."""
        at = self._place(field)
        if at is None:
            return 0, 0
        start = at + _number(self.data, "<I", at)
        count = _number(self.data, "<I", start)
        if start + 4 + count * size > len(self.data):
            raise damaged()
        return start + 4, count


def _number(data: bytes, form: str, at: int) -> int:
    try:
        if at < 0:  # which `struct` would count from the end
            raise damaged()
        return int(struct.unpack_from(form, data, at)[0])
    except struct.error as error:
        raise damaged() from error
