"""Words of the decision room that the command line knows without loading it."""

from __future__ import annotations

from typing import Literal, get_args

Measure = Literal["iou", "image-iou", "recall"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
