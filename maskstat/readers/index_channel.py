"""Indices that are stored as colours: the same number in every channel, or in the red one alone.

Many tools write an index mask as RGB, with R = G = B or, as CARLA does, with the class in R;
ADE20K's full release has it in red and green. Which channel is meant is for the user to say
(`ReadOptions.channel`); what a file looks like is told by `offer`. Transparency must be the same
everywhere: else it would mean something that no index says.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError, argument
from maskstat.readers.choices import Channel
from maskstat.values.tally import GREY

_RGB = 0xFFFFFF


def indices_of(colours: NDArray[np.integer], channel: Channel) -> NDArray[np.integer]:
    """Indices [...] from colours [...] as `MaskTally` packs them.

    Raises:
        MaskError: the transparency differs, or with "grey" the channels of a pixel do, or with
            "ade20k" a red that is no tenfold.
    """
    opacity, plain = colours >> 24, colours & _RGB
    if opacity.size and (opacity != opacity.flat[0]).any():
        raise _transparent(channel)
    if channel == "grey":
        unequal = plain != (plain & 0xFF) * GREY
        if unequal.any():
            raise _unequal(f"#{int(plain[unequal].flat[0]):06x}")
    red = plain >> 16
    if channel != "ade20k":
        return red
    if (red % 10).any():
        raise MaskError(
            f"a pixel of the colour #{int(plain[red % 10 > 0].flat[0]):06x}:"
            f" {argument('channel', channel)} is for ADE20K's *_seg.png, whose red is a tenfold"
        )
    return red // 10 * 256 + (plain >> 8 & 0xFF)


def offer(colours: NDArray[np.integer]) -> str:
    """How colours [n >= 1] can be read that look like indices; "" where they don't."""
    opacity, plain = colours >> 24, colours & _RGB
    return _offer(
        grey=bool((plain == (plain & 0xFF) * GREY).all()),
        red=not (plain & 0xFFFF).any(),
        opaque=bool((opacity == opacity.flat[0]).all()),
    )


class IndexChannel:
    """`indices_of` for samples that are wider than colours are packed, block by block.

    Args:
        channel: which channel holds the index; None only looks, so that `finish` can tell.
        samples: what the channels are, as in `Encoding`: rgb, rgba or greyalpha.
        bits: of a sample.
    """

    def __init__(self, channel: Channel | None, samples: str, bits: int):
        self._channel, self._samples, self._bits = channel, samples, bits
        self._opacity: object = None
        self._grey = self._red = self._opaque = True

    def values(self, samples: NDArray[np.generic]) -> NDArray[np.generic]:
        """Indices [...] from samples [..., channels]. Raises MaskError as `indices_of` does."""
        plain = samples
        if self._samples != "rgb":
            plain, opacity = samples[..., :-1], samples[..., -1]
            if self._opacity is None and opacity.size:
                self._opacity = opacity.flat[0]
            self._opaque &= not (opacity != self._opacity).any()
        if self._channel == "ade20k":
            raise MaskError(f"{self._bits}-bit {self._samples.upper()} image: no mask of ADE20K's")
        first = plain[..., 0]
        unequal = (plain != first[..., None]).any(axis=-1)
        self._grey &= not unequal.any()
        self._red &= plain.shape[-1] > 1 and not plain[..., 1:].any()
        if self._channel is not None and not self._opaque:
            raise _transparent(self._channel)
        if self._channel == "grey" and not self._grey:
            raise _unequal(", ".join(map(str, plain[unequal][0].tolist())))
        return first

    def finish(self) -> None:
        """Raise MaskError where nobody said which channel, with what was seen of them."""
        if self._channel is None:
            offered = _offer(grey=self._grey, red=self._red, opaque=self._opaque)
            raise MaskError(
                f"{self._bits}-bit {self._samples.upper()} image where class indices are expected"
                + (f" ({offered})" if offered else "")
            )


def _offer(*, grey: bool, red: bool, opaque: bool) -> str:
    if not opaque or not (grey or red):
        return ""
    if grey:
        return f"its channels are equal: {argument('channel', 'grey')} reads them as indices"
    return f"only red is used: {argument('channel', 'r')} reads it as indices"


def _transparent(channel: Channel) -> MaskError:
    return MaskError(
        f"its transparency differs from pixel to pixel: {argument('channel', channel)} is for masks"
        " where it is the same everywhere"
    )


def _unequal(colour: str) -> MaskError:
    return MaskError(
        f"a pixel of the colour {colour}: {argument('channel', 'grey')} is for masks whose channels"
        f" are equal ({argument('channel', 'r')} reads the red one alone)"
    )
