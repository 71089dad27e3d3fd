"""tf.train.Example without TensorFlow: where in a record the values of its features are.

A message of protobuf's is fields one after another: a number and a wire type, then a varint, four
or eight bytes, or a length and as many bytes. Every length is checked against what it is in, and
what two parsers may take differently (a feature that is there twice) is damage.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from maskstat.errors import MaskError

_MOST_FIELDS = 10_000  # of one message
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_KINDS = {1: "bytes", 2: "floats", 3: "integers"}


class Feature(NamedTuple):
    """A feature's kind, and of bytes the ends of the first two values."""

    kind: str = "nothing"
    spans: tuple[tuple[int, int], ...] = ()

    @property
    def in_words(self) -> str:
        """Its kind."""
        return "several bytes" if len(self.spans) > 1 else self.kind

    def only(self) -> tuple[int, int]:
        """Where its bytes begin and end. Raises MaskError where it has none, or several."""
        if len(self.spans) != 1:
            holds = "no bytes" if self.kind == "bytes" else self.kind
            raise MaskError(f"holds {'several masks' if len(self.spans) > 1 else holds}")
        return self.spans[0]


def features_of(record: bytes) -> dict[str, Feature]:
    """The features of an example by name. Raises MaskError where it is none."""
    found: dict[str, Feature] = {}
    for at in _inside(record, (0, len(record)), 1):
        for entry in _inside(record, at, 1):
            parts = _parts(record, entry)
            start, end = parts.get(1, (0, 0))
            name = record[start:end].decode("utf-8", "backslashreplace")
            if name in found:
                raise _damaged()
            found[name] = _feature(record, parts[2]) if 2 in parts else Feature()
    return found


def _feature(record: bytes, at: tuple[int, int]) -> Feature:
    parts = _parts(record, at)
    if len(parts) > 1 or not parts.keys() <= _KINDS.keys():
        raise _damaged()
    for number, values in parts.items():
        spans = islice(_inside(record, values, 1), 2) if number == 1 else ()
        return Feature(_KINDS[number], tuple(spans))
    return Feature()


def _parts(record: bytes, at: tuple[int, int]) -> dict[int, tuple[int, int]]:
    """The fields of a message that has each once."""
    found = dict[int, tuple[int, int]]()
    for number, wire, start, end in _fields(record, *at):
        if number in found or wire != _BYTES:
            raise _damaged()
        found[number] = (start, end)
    return found


def _inside(record: bytes, at: tuple[int, int], wanted: int) -> Iterator[tuple[int, int]]:
    """Where the messages, texts or bytes of a number are."""
    for number, wire, start, end in _fields(record, *at):
        if number == wanted:
            if wire != _BYTES:
                raise _damaged()
            yield start, end


def _fields(record: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, start and end of each field."""
    for _ in range(_MOST_FIELDS):
        if at == end:
            return
        key, start = _varint(record, at, end)
        wire, length = key & 7, {_EIGHT: 8, _FOUR: 4}.get(key & 7, 0)
        if wire == _VARINT:
            _, start = _varint(record, start, end)
        elif wire == _BYTES:
            length, start = _varint(record, start, end)
        elif not length:
            raise _damaged()
        at = start + length
        if at > end or key < 8:
            raise _damaged()
        yield key >> 3, wire, start, at
    raise MaskError(f"not read as an example: more than {_MOST_FIELDS:,} parts")


def _varint(record: bytes, at: int, end: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = 0
    for shift, byte in zip(range(0, 70, 7), record[at : min(at + 10, end)], strict=False):
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at + shift // 7 + 1
    raise _damaged()


def _damaged() -> MaskError:
    return MaskError("holds no tf.train.Example, or a damaged one")
