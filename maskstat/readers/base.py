"""What every module of a format gives, and what none of them takes without leave."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.readers.options import ReadOptions
from maskstat.values.tally import Encoding


class LabelMap(NamedTuple):
    """Pixels (H, W) of any integer type holding raw values, and how the file stored them."""

    pixels: NDArray[np.integer]
    encoding: Encoding


def refuse_lossy(kind: str, options: ReadOptions) -> None:
    """Raise MaskError for a lossy file unless the user allowed it."""
    if not options.allow_lossy:
        raise MaskError(
            f"{kind} compression is lossy and invents classes at borders"
            " (export masks as PNG; --exclude leaves it out, --allow-lossy counts it as it is)"
        )
