"""Counting labels on a GPU without waiting for it: counts stay there until somebody asks.

torch itself is never imported here: whoever has a tensor has it. (`torch.bincount` waits for the
device, since it must know the largest value before it has memory for the counts.)
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from maskstat.arrays.layouts import Layout
from maskstat.values.tally import NO_NUMBER, IntArray, MaskTally

LOWEST = -256  # of the values that are told apart, so that -1 and -100 are
MOST_BATCHES = 64  # whose counts are on the device at a time
# Pixels side by side mostly have one value; so that they are not added to one place in turn, there
# are so many places for it.
_STRIPES = 32


class DeviceLabels:
    """Counts of batches of labels on their device, in the order they came.

    Values from `LOWEST` to `highest` are told apart. In each mask those below count as its least
    value, those above as its largest: none of them is a class.
    """

    def __init__(self, highest: int):
        self._highest = highest
        self._pending: list[tuple[Layout, Any, Any]] = []

    @property
    def waiting(self) -> int:
        """Masks that were added and not taken yet."""
        return sum(layout.masks for layout, _, _ in self._pending)

    def add(self, labels: Any, layout: Layout) -> bool:
        """Begin counting a tensor of labels; True where it is time to `take`."""
        table, ends = device_table(labels[layout.select], LOWEST, self._highest)
        self._pending.append((layout, table, ends))
        return len(self._pending) >= MOST_BATCHES

    def take(self) -> list[MaskTally]:
        """The tallies of all that was added since, without names; waits for the device."""
        pending, self._pending = self._pending, []
        if not pending:
            return []
        torch = sys.modules["torch"]
        tables, ends = (
            torch.cat([part[at] for part in pending]).cpu().numpy().astype(np.int64, copy=False)
            for at in (1, 2)
        )
        layouts = [layout for layout, table, _ in pending for _ in range(len(table))]
        return [
            self._tally(layout, row, int(end[0]), int(end[1]))
            for layout, row, end in zip(layouts, tables, ends, strict=True)
        ]

    def _tally(self, layout: Layout, row: IntArray, least: int, largest: int) -> MaskTally:
        at = row.nonzero()[0]
        values = at + (LOWEST - 1)
        values[at == 0] = least
        values[at == row.size - 2] = largest
        values[at == row.size - 1] = NO_NUMBER
        order = values.argsort()
        return MaskTally("", layout.shape, layout.encoding, values[order], row[at][order])


def device_table(labels: Any, lowest: int, highest: int) -> tuple[Any, Any]:
    """Counts of labels (N, H, W), and the least and largest value of each mask, on their device.

    Returns:
        int64[N, V + 3]: pixels below `lowest`, of each value from `lowest` to `highest`, above
        `highest`, and those that are no whole number; int64[N, 2].
    """
    torch = sys.modules["torch"]
    flat = labels.detach().flatten(1)
    masks, bins = len(flat), highest - lowest + 4
    whole = None
    if flat.is_floating_point():
        flat = flat if flat.dtype == torch.float64 else flat.float()
        whole = (flat == flat.floor()) & flat.isfinite()
        flat = torch.where(whole, flat, 0.0).clamp(-(2.0**53), 2.0**53)
    flat = flat.to(torch.int64)
    ends = torch.stack((flat.amin(1), flat.amax(1)), 1)
    at = flat.clamp(lowest - 1, highest + 1) - (lowest - 1)
    if whole is not None:
        at = torch.where(whole, at, bins - 1)
    at += torch.arange(masks, device=at.device)[:, None] * bins
    at *= _STRIPES
    at += torch.arange(at.shape[1], device=at.device) % _STRIPES
    table = torch.zeros(masks * bins * _STRIPES, dtype=torch.int64, device=at.device)
    one = torch.ones(1, dtype=torch.int64, device=at.device)
    table.scatter_add_(0, at.flatten(), one.expand(at.numel()))
    return table.view(masks, bins, _STRIPES).sum(2), ends
