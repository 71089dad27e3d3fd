"""A colour for every class of the page: the catalogue's, or one of its own."""

from __future__ import annotations

import colorsys

from maskstat.values.catalog import ClassCatalog

_GOLDEN = 0.618033988749895


def page_colours(catalog: ClassCatalog) -> list[str]:
    """A colour "#rrggbb" a class. Those without one get hues that the golden ratio keeps apart."""
    return [
        _invented(info.index) if info.colour is None else f"#{info.colour:06x}"
        for info in catalog.classes
    ]


def _invented(index: int) -> str:
    lightness = (0.42, 0.58, 0.72)[index % 3]
    parts = colorsys.hls_to_rgb(index * _GOLDEN % 1.0, lightness, 0.55)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)
