"""Work for executors: squares of numbers, here or in another process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Number(NamedTuple):
    """An item; `held` bytes of memory are its own."""

    value: int
    size: int = 1
    held: int = 0
    group: str | None = None


@dataclass(frozen=True)
class Squares:
    """Squares each number; remembers what it heard, in this process."""

    bulky: bool = False
    expected: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, items: Sequence[Number]) -> Iterator[int]:
        return (item.value**2 for item in items)

    def expect(self, items: int, size: int) -> None:
        self.expected.append((items, size))

    def to_send(self, items: Sequence[Number], at_once: int) -> Sent:
        return Sent(tuple(items), at_once)

    def received(self, results: Sequence[tuple[int, int] | int]) -> list[int]:
        return [one if isinstance(one, int) else one[0] for one in results]

    def spared(self, items: Sequence[Number]) -> None:
        """There is no less."""

    def lost(self, item: Number) -> int:
        return -1 - item.value


@dataclass(frozen=True)
class Sent:
    """The same as a call; what it gives is to be unpacked."""

    items: tuple[Number, ...]
    at_once: int

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(item.value for item in self.items)

    def __call__(self) -> list[tuple[int, int]]:
        return [(item.value**2, self.at_once) for item in self.items]
