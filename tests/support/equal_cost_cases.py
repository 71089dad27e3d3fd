"""Ledgers and a brute-force oracle for the equal-cost tests."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from maskstat.values.ledger import MaskLedger

CAMVID_NAMES = (
    "Sky",
    "Building",
    "Pole",
    "Road",
    "Pavement",
    "Tree",
    "SignSymbol",
    "Fence",
    "Car",
    "Pedestrian",
    "Bicyclist",
)

CAMVID_BATCH_1 = (
    1.93607,
    1.35379,
    35.79899,
    1.0,
    7.73264,
    3.38907,
    32.25863,
    39.86406,
    5.27997,
    57.66067,
    185.83145,
)


def ledger_of(table: np.ndarray, names: tuple[str, ...] | None = None) -> MaskLedger:
    """A ledger from a dense masks x classes table of pixel counts."""
    table = np.asarray(table, np.int64)
    masks, classes = np.nonzero(table)
    indptr = np.concatenate(([0], np.cumsum((table > 0).sum(axis=1)))).astype(np.int64)
    return MaskLedger(
        class_count=table.shape[1],
        names=names or tuple(f"mask_{row:06}" for row in range(len(table))),
        areas=table.sum(axis=1) + 1,
        indptr=indptr,
        classes=classes.astype(np.int64),
        pixels=table[masks, classes],
    )


@lru_cache(maxsize=4)
def camvid_masks(folder: Path, step: int = 1) -> np.ndarray:
    """uint8[B, H, W], values 0..10 and 11 for void, every `step`-th row and column."""
    files = sorted((folder / "train" / "masks").glob("*.png"))
    return np.stack([np.asarray(Image.open(file))[::step, ::step] for file in files])


@lru_cache(maxsize=4)
def camvid_table(folder: Path, step: int = 1) -> np.ndarray:
    """int64[B, 11] by a plain bincount."""
    masks = camvid_masks(folder, step)
    return np.stack([np.bincount(mask.ravel(), minlength=12)[:11] for mask in masks])


def rare_class_table(masks: int = 2000, with_rare: int = 80) -> np.ndarray:
    """int64[masks, 5]; the last class occurs in `with_rare` masks only."""
    generator = np.random.default_rng(0)
    sizes = np.array([30.0, 10.0, 5.0, 3.0, 1.0])
    table = (generator.lognormal(8.0, 1.0, (masks, 5)) * sizes).astype(np.int64) + 1
    table[:, 4] *= generator.permutation(masks) < with_rare
    return table


def brute_force_status(table: np.ndarray, batch_size: int, *, drop_last: bool) -> str:
    """'possible', 'border' or 'impossible', from all sets of classes and in exact fractions."""
    table = table[:, table.any(axis=0)]
    classes = table.shape[1]
    sets = [sum(1 << c for c in range(classes) if row[c]) for row in table]
    status = "possible"
    for chosen in range(1, 2**classes - 1):
        chance, needed = chance_and_need(sets, chosen, batch_size, classes, drop_last=drop_last)
        if chance < needed:
            return "impossible"
        splits_off = batch_size == 1 and not any(s & chosen and s & ~chosen for s in sets)
        if chance == needed and not splits_off:
            status = "border"
    return status


def chance_and_need(
    sets: list[int], chosen: int, batch_size: int, classes: int, *, drop_last: bool
) -> tuple[Fraction, Fraction]:
    """Share of an epoch's batches, on average, that contain a class of the set, and |T|/K."""
    some, labelled = Fraction(0), Fraction(0)
    for size, number in batches_of_an_epoch(len(sets), batch_size, drop_last=drop_last):
        total = math.comb(len(sets), size)
        without = math.comb(sum(not members & chosen for members in sets), size)
        empty = math.comb(sum(not members for members in sets), size)
        some += number * Fraction(total - without, total)
        labelled += number * Fraction(total - empty, total)
    return some / labelled, Fraction(chosen.bit_count(), classes)


def batches_of_an_epoch(masks: int, batch_size: int, *, drop_last: bool) -> list[tuple[int, int]]:
    """Sizes of batches and how many of them there are."""
    whole, left = divmod(masks, batch_size)
    return [(batch_size, whole)] + ([(left, 1)] if left and not drop_last else [])
