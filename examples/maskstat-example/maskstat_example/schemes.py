"""A weight scheme: of how many masks a class is in."""

import numpy as np

from maskstat import Scheme


def image_frequency(counts, *, power: float = 1.0):
    """A class that is in half as many masks weighs twice as much."""
    return (np.max(counts.masks) / counts.masks) ** power


IMAGE_FREQUENCY = Scheme(
    "image-frequency",
    formula="(max_k m_k / m_c)^power",
    source="our own",
    function=image_frequency,
    falls_with_frequency=False,
    scale_free=True,
)
