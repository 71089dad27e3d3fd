"""The words that say how weights are made, each with one meaning everywhere; no heavy import."""

from __future__ import annotations

from typing import Literal

Average = Literal["pixel", "batch"]
AVERAGES: tuple[Average, ...] = ("pixel", "batch")
"""How a loss is averaged. "pixel": a plain mean or sum over pixels, as Keras does it. "batch":
every batch divided by its own sum of weights, as PyTorch's `CrossEntropyLoss(weight=w)` does it."""

Absent = Literal["zero", "one", "max", "error"]
ABSENT: tuple[Absent, ...] = ("zero", "one", "max", "error")
"""The weight of classes that never occur, or that there must be none."""

Unlisted = Literal["refuse", "ignore"]
UNLISTED: tuple[Unlisted, ...] = ("refuse", "ignore")
"""What to do about values that are neither classes nor ignored."""

Normalisation = Literal["none", "mean", "sum", "max", "min", "pixel"]
NORMALISATIONS: tuple[Normalisation, ...] = ("none", "mean", "sum", "max", "min", "pixel")
"""Which number of the weights becomes 1: their mean, sum, maximum, least above 0, or the weight of
the average labelled pixel, so that loss scale and learning rate carry over. "none": no division."""

WeightLayout = Literal["full", "list", "dict", "pos-weight"]
WEIGHT_LAYOUTS: tuple[WeightLayout, ...] = ("full", "list", "dict", "pos-weight")
"""What a file of weights holds: all, numbers, numbers by index, or w1 / w0 of two classes."""
