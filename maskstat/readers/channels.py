"""Stacks of channels, one a class: how the channels of a pixel make one raw value.

*one-hot*: the value is the number of the one channel that is set, from 0, or NONE where none is.
A pixel in several classes at once has no such number: the stack is refused. *bitmask*: the value
is the sum of 2**k over the channels k that are set, so that every combination is a value of its own
and nothing is counted twice. Both ways every pixel has one value, and counts add up to the image.

A channel is set where it is 1, or 255; everything but 0 and one of these is refused.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError, argument
from maskstat.readers.tallying import whole_numbers

NONE = -1
BITMASK_CHANNELS = 62
MOST_CHANNELS = 65536


class ChannelReader:
    """Turns the channels of pixels into raw values, for one mask.

    Args:
        mode: one of `maskstat.readers.options.CHANNELS`.
        channels: how many there are.

    Raises:
        MaskError: more channels than the mode has values for.
    """

    def __init__(self, mode: str, channels: int):
        self.one_hot = mode.startswith("one-hot")
        most = MOST_CHANNELS if self.one_hot else BITMASK_CHANNELS
        if channels > most:
            raise MaskError(
                f"{channels} channels, the last axis of an array unless {argument('channels')} says"
                " -first;"
                f" {'one-hot' if self.one_hot else 'bitmask'} takes up to {most}"
            )
        self.channels = channels
        self._top = 0  # the value of a set channel, once one was seen

    def values(self, samples: NDArray[np.generic]) -> NDArray[np.int64]:
        """int64[...] from samples [..., channels] of any whole type.

        Raises:
            MaskError: a sample is neither 0, 1 nor 255, or a pixel of a one-hot stack has two.
        """
        samples = whole_numbers(samples)
        present = samples != 0
        if not self._top and present.any():
            self._top = int(samples[present][0])
        if self._top:
            odd = present & (samples != self._top)
            if self._top not in {1, 255} or odd.any():
                value = int(samples[odd][0]) if odd.any() else self._top
                raise MaskError(f"a channel has the value {value}: set is 1 or 255, and always one")
        if not self.one_hot:
            weights = np.int64(1) << np.arange(self.channels, dtype=np.int64)
            # Channel by channel, since a product would first widen every sample to 64 bits.
            values = np.zeros(present.shape[:-1], np.int64)
            for k in range(self.channels):
                values[present[..., k]] |= weights[k]
            return values
        per_pixel = np.count_nonzero(present, axis=-1)
        if (per_pixel > 1).any():
            raise MaskError(
                f"{int((per_pixel > 1).sum()):,} pixels have several channels set: not one-hot"
                f" ({argument('channels', 'bitmask')} counts every combination)"
            )
        return np.where(per_pixel == 1, present.argmax(axis=-1), NONE)
