"""What there is to choose from: weight schemes, sampling methods, catalogues of public datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from maskstat.showing import one_line
from maskstat.values.catalog import ClassCatalog
from maskstat.values.catalog_files import load_preset
from maskstat.values.presets import preset_names, preset_text

if TYPE_CHECKING:
    from maskstat.sampling.methods import Method
    from maskstat.weights.schemes import Scheme


@dataclass(frozen=True, slots=True)
class Preset:
    """The catalogue of a public dataset.

    Attributes:
        name: what `classes` calls it.
        title: the dataset.
        link: its page.
        masks: patterns of the names of its masks, the first that matches any counts.
        text: its YAML, a file to start from.
        catalog: its classes.
    """

    name: str
    title: str
    link: str
    masks: tuple[str, ...]
    text: str
    catalog: ClassCatalog

    __repr__ = one_line


def schemes() -> dict[str, Scheme]:
    """The weight schemes by name: formula, parameters with defaults, source."""
    from maskstat.weights.schemes import SCHEMES

    return dict(SCHEMES)


def sampling_methods() -> dict[str, Method]:
    """The sampling methods by name: formula, unit, parameters with defaults, source."""
    from maskstat.sampling.methods import METHODS

    return dict(METHODS)


def presets() -> dict[str, Preset]:
    """The catalogues of public datasets by name."""
    return {name: preset(name) for name in preset_names()}


def preset(name: str) -> Preset:
    """One of `presets()`. Raises CatalogError, with the nearest name, where there is none."""
    import yaml

    catalog, text = load_preset(name), preset_text(name)
    document = yaml.safe_load(text)
    masks = tuple(document.get("masks", ()))
    return Preset(name, document["title"], document["link"], masks, text, catalog)
