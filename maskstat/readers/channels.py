"""Stacks of channels, one a class: how the channels of a pixel make one raw value.

*one-hot*: the value is the number of the one channel that is set, from 0, or NONE where none is.
A pixel in several classes at once has no such number: the stack is refused. *bitmask*: the value
is the sum of 2**k over the channels k that are set, so that every combination is a value of its own
and nothing is counted twice. *multilabel*: the same sum, said to be of labels, of which a pixel has
any number; a colour image is one of three channels. Each way every pixel has one value, and counts
add up to the image.

A channel is set where it is 1, or 255; everything but 0 and one of these is refused.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import Blank, MaskError, argument
from maskstat.readers.choices import NONE, is_multilabel
from maskstat.readers.tallying import whole_numbers
from maskstat.values.labels import MOST_LABELS
from maskstat.values.tally import LABELS, Encoding

BITMASK_CHANNELS = MOST_LABELS
MOST_CHANNELS = 65536


_COLOUR_LABELS = 3


def encoding_of(container: str, mode: str, channels: int, reading: str = "") -> Encoding:
    """How so many channels store the pixels of a mask."""
    if is_multilabel(mode):
        return Encoding(container, LABELS, channels, reading)
    return Encoding(container, "int", 64, reading)


def labels_of_colours(colours: NDArray[np.integer]) -> NDArray[np.int64]:
    """Values [...] of three labels, in red, green and blue, from colours as `MaskTally` packs them.

    Raises:
        MaskError: a pixel is transparent, or a sample is no label's.
    """
    wide = colours.astype(np.int64)
    if (wide >> 24).any():
        raise MaskError(
            "a pixel is transparent: labels are in red, green and blue, and no fourth channel"
        )
    samples = wide[..., None] >> np.array([16, 8, 0]) & 0xFF
    return ChannelReader("multilabel", _COLOUR_LABELS).values(samples)


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
        self._is_multilabel = is_multilabel(mode)
        most = MOST_CHANNELS if self.one_hot else BITMASK_CHANNELS
        if channels > most:
            raise MaskError(
                f"{channels} channels, the last axis of an array unless {argument('channels')} says"
                f" -first; {mode.removesuffix('-first')} takes up to {most}"
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
                void = (
                    f" (void pixels need a channel of their own: {argument('ignore', Blank('K'))})"
                    if self._is_multilabel
                    else ""
                )
                raise MaskError(
                    f"a channel has the value {value}: set is 1 or 255, and always one{void}"
                )
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
                f" ({argument('channels', 'multilabel')} counts each label,"
                f" {argument('channels', 'bitmask')} every combination)"
            )
        return np.where(per_pixel == 1, present.argmax(axis=-1), NONE)
