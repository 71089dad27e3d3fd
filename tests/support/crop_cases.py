"""Masks in memory and their index, for tests of crops."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskstat.crops.class_index import ClassIndex
from tests.support.equal_cost_cases import CAMVID_NAMES, camvid_masks

CLASSES = 4


@lru_cache(maxsize=1)
def blobs() -> tuple[NDArray[np.uint8], ...]:
    """Six masks of 20 to 40 pixels a side: class 0 all over, 1 in bars, 2 a dot, 3 in one mask."""
    generator = np.random.default_rng(3)
    masks = []
    for number in range(6):
        mask = np.zeros(generator.integers(20, 41, 2), np.uint8)
        mask[5:8] = 1
        if number % 2:
            row, column = generator.integers(0, 18, 2)
            mask[row : row + 2, column : column + 2] = 2
        if number == 4:
            mask[-1, -3:] = 3
        mask[10, :4] = 255
        masks.append(mask)
    return tuple(masks)


def blob_index() -> ClassIndex:
    """The index of `blobs`."""
    masks = blobs()
    return ClassIndex.of_labels([f"b{k}.png" for k in range(len(masks))], masks, CLASSES)


@lru_cache(maxsize=1)
def camvid_index(folder: Path, count: int) -> ClassIndex:
    """The index of CamVid's first training masks."""
    masks = camvid_masks(folder)[:count]
    files = sorted((folder / "train" / "masks").glob("*.png"))[:count]
    labels = [np.where(mask == len(CAMVID_NAMES), 255, mask) for mask in masks]
    return ClassIndex.of_labels([file.name for file in files], labels, len(CAMVID_NAMES))
