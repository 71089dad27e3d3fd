"""The regions of one mask by an engine, under the labels of a catalogue, with heat maps."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.kernels import label_runs
from maskstat.kernels.region_types import Adjacency, EightComponents, FourComponents
from maskstat.regions.profile_sums import ProfileSum

Integers = NDArray[np.int64]
LabelsOf = tuple[Integers, Integers]  # values, and their labels: K is "no class"


class Regions(NamedTuple):
    """What `RegionCounts` says, and heat maps; rows are of the labels that occur."""

    labels: Integers
    heat: Integers
    moments: Integers
    frame: Integers
    adjacency: Adjacency
    four: FourComponents
    eight: EightComponents


def measure(pixels: NDArray[Any], labels_of: LabelsOf, class_count: int, grid: int = 64) -> Regions:
    """Measure a mask (H, W) of any integer type."""
    runs, classes = _runs(pixels, labels_of, class_count)
    engine = label_runs.current_engine()
    found = engine.measure(runs)
    names = np.append(classes, class_count)
    heat = np.zeros((names.size, grid, grid + 2), np.int64)
    engine.spread(runs, np.arange(names.size), heat)
    occur = found.moments[:, 1] > 0
    first, second, edges = found.adjacency
    return Regions(
        names[occur],
        np.cumsum(heat[occur, :, :grid], axis=2),
        found.moments[occur],
        found.frame[occur],
        Adjacency(names[first], names[second], edges),
        found.four._replace(label=names.astype(np.int32)[found.four.label]),
        found.eight._replace(label=names.astype(np.int32)[found.eight.label]),
    )


def add_mask(total: ProfileSum, name: str, pixels: NDArray[Any], labels_of: LabelsOf) -> None:
    """Add a mask to a profile."""
    runs, classes = _runs(pixels, labels_of, len(total.catalog))
    engine = label_runs.current_engine()
    total.add(name, runs.shape, classes, engine.measure(runs), partial(engine.spread, runs))


def _runs(pixels: NDArray[Any], labels_of: LabelsOf, class_count: int) -> Any:
    values, labels = labels_of
    return label_runs.runs_of(pixels, values, np.where(labels == class_count, -1, labels))
