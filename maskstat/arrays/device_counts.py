"""Counting a torch tensor where it is: values and counts travel, pixels stay on their device.

torch itself is never imported here: whoever has a tensor has it.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from maskstat.errors import MaskError
from maskstat.values.tally import IntArray

_MOST_BINS = 1 << 24  # of the histograms of a batch that are made at once


def device_counts(labels: Any) -> list[tuple[IntArray, IntArray]]:
    """Raw values, ascending, and their counts, of each mask of a batch.

    Args:
        labels: a tensor (N, H, W) with at least one pixel a mask: whole numbers, booleans, or
            floats that are whole.

    Raises:
        MaskError: a float is no whole number, or a number has more than 64 bits.
    """
    torch = sys.modules["torch"]
    labels = _whole(torch, labels.detach()).flatten(1)
    lowest, highest = (int(bound) for bound in torch.aminmax(labels))
    span = highest - lowest + 1
    masks = len(labels)
    if span * masks > _MOST_BINS or span > labels.shape[1] + 65536:
        return [_unique(torch, mask) for mask in labels]
    firsts = torch.arange(masks, device=labels.device, dtype=torch.int64)[:, None] * span
    bins = torch.bincount((labels - lowest + firsts).flatten(), minlength=span * masks)
    table = bins.reshape(masks, span).cpu().numpy().astype(np.int64, copy=False)
    found = []
    for counts in table:
        at = counts.nonzero()[0]
        found.append((at + lowest, counts[at]))
    return found


def _whole(torch: Any, labels: Any) -> Any:
    """The same as int64 on the same device."""
    kind = str(labels.dtype)
    if labels.is_complex():
        raise MaskError(f"array of type {kind} where whole numbers are expected")
    if labels.is_floating_point():
        # 2**63 itself is not an int64; NaN fails every comparison.
        fits = (labels >= -(2.0**63)) & (labels < 2.0**63) & (labels == labels.floor())
        if not bool(fits.all()):
            bad = float(labels[~fits][0])
            raise MaskError(f"float mask with the value {bad}: labels must be whole numbers")
    whole = labels.to(torch.int64)
    if kind == "torch.uint64" and bool((whole < 0).any()):
        value = int(whole[whole < 0].max()) + 2**64
        raise MaskError(f"the value {value} does not fit a signed 64-bit integer")
    return whole


def _unique(torch: Any, mask: Any) -> tuple[IntArray, IntArray]:
    values, counts = torch.unique(mask, return_counts=True)
    order = values.argsort()
    return values[order].cpu().numpy(), counts[order].cpu().numpy()
