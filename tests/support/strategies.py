"""Generated input for property tests: catalogues, masks of raw values, tallies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.tally import Encoding, MaskTally

# Few values, so that classes, ignored values and unlisted ones all turn up, with the awkward ones:
# negative, 255, above 8 and above 32 bits.
VALUES = (0, 1, 2, 3, 7, 11, 255, 256, 300, 65535, 2**32, 2**40, -1, -(2**63), 2**63 - 1)
EIGHT_BIT = (0, 1, 2, 3, 7, 11, 254, 255)
COLOURS = (0x000000, 0x010101, 0x070707, 0x804080, 0x408040, 0xFFFFFF, 0x7F804080, 0xFF000000)

ENCODINGS = (
    Encoding("png", "grey", 8),
    Encoding("png", "palette", 8),
    Encoding("png", "grey", 16),
    Encoding("npy", "int", 64),
    Encoding("png", "rgb", 8),
    Encoding("tiff", "rgba", 8),
    Encoding("webp", "rgb", 8),
    Encoding("nifti", "uint", 8, voxel=0.1),
)

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
mask_names = st.text("ab0129/_.é", min_size=1, max_size=6)


def values_of(encoding: Encoding) -> tuple[int, ...]:
    """Raw values that a mask of this encoding may hold."""
    if encoding.is_colour:
        return COLOURS
    return EIGHT_BIT if encoding.bits == 8 else VALUES


@st.composite
def catalogs(draw: st.DrawFn, *, colours: bool | None = None, min_size: int = 1) -> ClassCatalog:
    """Catalogues of up to six classes, some with several values, some ignored ones."""
    values = draw(st.lists(st.sampled_from(VALUES + EIGHT_BIT), unique=True, max_size=12))
    shades = draw(st.lists(st.sampled_from(COLOURS), unique=True, max_size=8))
    if not (draw(st.booleans()) if colours is None else colours):
        shades = []
    count = draw(st.integers(min_size, 6))
    labels = draw(st.lists(names.filter(str.strip), min_size=count, max_size=count, unique=True))
    owner = st.integers(0, count)  # the last one stands for "ignored"
    owned = {value: draw(owner) for value in values}
    owned_colours = {colour: draw(owner) for colour in shades}
    return ClassCatalog(
        tuple(
            ClassInfo(
                index,
                label,
                tuple(v for v, who in owned.items() if who == index),
                tuple(c for c, who in owned_colours.items() if who == index),
                draw(st.none() | st.integers(0, 0xFFFFFF)),
            )
            for index, label in enumerate(labels)
        ),
        ignored_values=frozenset(v for v, who in owned.items() if who == count),
        ignored_colours=frozenset(c for c, who in owned_colours.items() if who == count),
        ignore_255=draw(st.booleans()),
    )


@st.composite
def label_maps(draw: st.DrawFn, values: Sequence[int] = VALUES) -> NDArray[np.int64]:
    """Small masks, shape (H, W), of few values each."""
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    pool = draw(st.lists(st.sampled_from(values), min_size=1, max_size=4))
    pixels = draw(st.lists(st.sampled_from(pool), min_size=height * width, max_size=height * width))
    return np.array(pixels, np.int64).reshape(height, width)


@st.composite
def tallies(draw: st.DrawFn, encodings: Sequence[Encoding] = ENCODINGS) -> MaskTally:
    """Tallies of small masks of any encoding."""
    encoding = draw(st.sampled_from(encodings))
    pixels = draw(label_maps(values_of(encoding)))
    return MaskTally.of_pixels(draw(mask_names), pixels, encoding)


def tally_lists(
    encodings: Sequence[Encoding] = ENCODINGS, *, max_size: int = 8
) -> st.SearchStrategy[list[MaskTally]]:
    """Tallies with different names."""
    return st.lists(tallies(encodings), max_size=max_size, unique_by=lambda tally: tally.name)
