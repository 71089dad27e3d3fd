"""Counting a torch tensor where it is: values and counts travel, pixels stay on their device.

torch itself is never imported here: whoever has a tensor has it.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from maskstat.errors import MaskError
from maskstat.readers.channels import BITMASK_CHANNELS
from maskstat.readers.choices import NONE
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


def device_labels(planes: Any, channels: str | None, *, colours: bool) -> Any:
    """Raw values (N, H, W) of a batch, made on its device, or None where they can't be.

    Args:
        planes: a tensor (N, H, W) of labels, (N, H, W, 3 or 4) of colours, or with `channels`
            (N, H, W, C) or (N, C, H, W).
        channels: how several channels make one value, as `readers.channels` has it. A stack that
            is not as it should be gives None: `readers.channels` says what is wrong with it.
        colours: whether these are colours.
    """
    torch = sys.modules["torch"]
    planes = planes.detach()
    if colours:
        wide = planes.to(torch.int64)
        labels = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
        return labels if wide.shape[-1] == 3 else labels | 255 - wide[..., 3] << 24
    if channels is None:
        return planes
    stack = planes.movedim(1, -1) if channels.endswith("-first") else planes
    present = stack != 0
    top = stack.max()
    if float(top) not in {0, 1, 255} or not bool((present == (stack == top)).all() | (top == 0)):
        return None
    if bool((stack < 0).any()):
        return None
    if channels.startswith("one-hot"):
        per_pixel = present.sum(-1)
        if bool((per_pixel > 1).any()):
            return None
        return torch.where(per_pixel == 1, present.to(torch.uint8).argmax(-1), NONE)
    if stack.shape[-1] > BITMASK_CHANNELS:
        return None
    labels = torch.zeros(stack.shape[:-1], dtype=torch.int64, device=stack.device)
    for k in range(stack.shape[-1]):
        labels |= present[..., k].to(torch.int64) << k
    return labels


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
