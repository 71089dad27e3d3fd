"""Which classes a table shows: the first and the last of the order where there are many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from maskstat.naming import counted
from maskstat.render.plots.choices import Order

_EACH_END = 12


@dataclass(frozen=True, slots=True)
class RowChoice:
    """How many classes a table shows, and in which order.

    Attributes:
        order: "frequency" (the largest share first, equals as the catalogue has them) or "catalog".
        most: where there are more, only the first and the last of the order are shown, and those
            that never occur are counted; None shows all.
        hint: what shows all, said with each count.
    """

    order: Order = "frequency"
    most: int | None = None
    hint: str = ""

    def of(self, frequency: Sequence[float]) -> Shown:
        """Which rows to show of classes of these shares."""
        order = list(range(len(frequency)))
        if self.order == "frequency":
            order.sort(key=lambda k: -frequency[k])
        if self.most is None or len(order) <= self.most:
            return Shown(tuple(order), ())
        never: list[int] = []
        if self.order == "frequency":
            never = [k for k in order if not frequency[k]]
            order = order[: len(order) - len(never)]
        middle: list[int] = []
        shown = order
        if len(order) > self.most:
            middle = order[_EACH_END:-_EACH_END]
            shown = order[:_EACH_END] + order[-_EACH_END:]
        gaps = [(_EACH_END, middle), (len(shown), never)]
        return Shown(tuple(shown), tuple((at, tuple(left)) for at, left in gaps if left), self.hint)


@dataclass(frozen=True, slots=True)
class Shown:
    """RowChoice of a table: indices of classes, and those that a line stands in for."""

    indices: tuple[int, ...]
    left_out: tuple[tuple[int, tuple[int, ...]], ...]
    hint: str = ""

    def gaps(
        self, frequency: Sequence[float], say: Callable[[Sequence[int]], str]
    ) -> list[tuple[int, str]]:
        """The lines: how many classes there are, and what `say` knows of them."""
        shows = f" ({self.hint})" if self.hint else ""
        return [
            (
                at,
                f"   ⋮ {counted(len(left), 'class')}"
                + (say(left) if any(frequency[k] for k in left) else " without a pixel")
                + shows,
            )
            for at, left in self.left_out
        ]


ALL = RowChoice()
