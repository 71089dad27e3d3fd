"""Where the labels of a training batch are, and their tallies; what is no label is counted too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstat.arrays.frameworks import is_array, is_tensor, shape_of, to_numpy, type_of
from maskstat.arrays.items import Key, described, taken
from maskstat.arrays.layouts import Layout, Reading, layout_of
from maskstat.arrays.tallies import tallies_of
from maskstat.errors import MaskError, ParameterError, argument
from maskstat.readers.tallying import PixelCounter
from maskstat.values.tally import NO_NUMBER, Encoding, MaskTally

# What collate functions and data sets call labels of pixels.
KEYS = (
    *("mask", "masks", "label", "labels", "target", "targets", "semantic_seg"),
    *("gt_semantic_seg", "semantic_mask", "segmentation", "segmentation_mask", "seg", "annotation"),
)
_REMEDY = "or a function from a batch to labels (N, H, W)"


def labels_in(batch: Any, key: Key | None) -> list[Any]:
    """The labels of a batch: one array, or several where `key` leads to several.

    Without a key: the batch itself; of a pair the second part; of more parts the one that holds
    whole numbers and has the axes of labels; of a mapping what has a name of `KEYS`.

    Raises:
        ParameterError: it can't be told where they are, or they are not where `key` says.
    """
    if key is not None:
        return list(taken(batch, key, "batches are"))
    found = _candidates(batch)
    if len(found) == 1:
        return found
    several = ", in which several parts may be labels" if found else ""
    example: Any = 1
    if isinstance(batch, Mapping):
        example = next((name for name in KEYS if name in batch), "mask")
    remedy = f"say where the labels are: {argument('key', example)}, {_REMEDY}"
    raise ParameterError(f"batches are {described(batch)}{several}", parameter="key", remedy=remedy)


def layout_of_labels(labels: Any) -> Layout:
    """How an array of labels makes masks. Raises MaskError where it has other axes."""
    shape = shape_of(labels)
    try:
        # Labels are no colours, whatever their last axis is.
        return layout_of(shape, type_of(labels), Reading(), named=shape[0] if shape else None)
    except MaskError as error:
        problem = error.problem
        raise MaskError(
            problem, remedy=f"{argument('key')} may be a function from a batch to labels (N, H, W)"
        ) from error


def label_tallies(labels: Any) -> Iterator[MaskTally]:
    """The tallies of labels, without names; pixels that are no whole number have `NO_NUMBER`.

    Raises MaskError where this is no array of labels.
    """
    if not is_array(labels):
        yield from tallies_of(labels, Reading())
        return
    layout = layout_of_labels(labels)
    if layout.masks == 0:
        return
    planes = to_numpy(labels)[layout.select]
    for plane in planes:
        yield tally_of(plane, layout)


def tally_of(plane: NDArray[Any], layout: Layout) -> MaskTally:
    """The tally of one plane of labels (H, W)."""
    counter = PixelCounter()
    try:
        counter.add(plane)
    except MaskError:
        if plane.dtype.kind != "f":
            raise
        return _of_fractions(plane, layout.encoding)
    return counter.finish("", layout.shape, layout.encoding)


def _of_fractions(plane: NDArray[Any], encoding: Encoding) -> MaskTally:
    """Floats of which some are no whole numbers."""
    wide = plane.astype(np.float64)
    whole = np.isfinite(wide) & (wide == np.floor(wide)) & (np.abs(wide) < 2.0**53)
    counter = PixelCounter()
    counter.add(wide[whole])
    height, width = plane.shape
    found = counter.finish("", (height, width), encoding)
    rest = int(whole.size - np.count_nonzero(whole))
    values = np.concatenate(([NO_NUMBER], found.values)) if rest else found.values
    counts = np.concatenate(([rest], found.counts)) if rest else found.counts
    return MaskTally("", found.shape, encoding, values, counts)


def is_on_cuda(labels: Any) -> bool:
    """Whether these are counted without waiting for their device."""
    return is_tensor(labels) and labels.device.type == "cuda"


def _candidates(batch: Any) -> list[Any]:
    """The parts of a batch that may be its labels."""
    if is_array(batch):
        return [batch] if _may_be_labels(batch) else []
    if isinstance(batch, Mapping):
        return [part for name in KEYS if name in batch for part in _candidates(batch[name])]
    if not isinstance(batch, (list, tuple)):
        return []
    parts = [_candidates(part) for part in batch]
    if len(parts) == 2:
        return parts[1] or parts[0]
    found = [part for some in parts for part in some]
    # Three parts may be images, labels and weights of pixels.
    return [part for part in found if type_of(part).kind in "bui"] or found


def _may_be_labels(array: Any) -> bool:
    shape = shape_of(array)
    if len(shape) == 4:
        return shape[1] == 1 or shape[3] == 1
    return len(shape) == 2 or (len(shape) == 3 and not (shape[2] in {3, 4} and shape[1] > 4))
