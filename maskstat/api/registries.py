"""What there is to choose from: weight schemes, sampling methods, presets, and plugins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maskstat.errors import PluginError
from maskstat.showing import one_line
from maskstat.values.catalog import ClassCatalog
from maskstat.values.catalog_files import all_presets, load_preset, text_of_preset

if TYPE_CHECKING:
    from maskstat.entry_points import PluginGroup
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


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """What another package brings by entry point.

    Attributes:
        package, version: the distribution.
        group: "readers", "sources", "schemes", "presets" or "recipes".
        name: what it is called by.
        problem: why it can't be used; None where it can.
    """

    package: str
    version: str
    group: str
    name: str
    problem: str | None

    __repr__ = one_line


def plugins() -> list[PluginRecord]:
    """What other packages bring, by group and name. All of it is imported to see whether it works.

    See docs/plugins.md.
    """
    found = []
    for group in _groups():
        for plugin in group.listed():
            problem = None
            try:
                group.load(plugin)
            except PluginError as error:
                problem = error.problem
            found.append(
                PluginRecord(plugin.package, plugin.version, group.name, plugin.name, problem)
            )
    return found


def _groups() -> tuple[PluginGroup[Any], ...]:
    from maskstat.exposure import named
    from maskstat.readers import formats
    from maskstat.sources import plugin_sources
    from maskstat.values import catalog_files
    from maskstat.weights import schemes

    return (
        formats.READERS,
        plugin_sources.SOURCES,
        schemes.PLUGINS,
        catalog_files.PLUGINS,
        named.PLUGINS,
    )


def schemes() -> dict[str, Scheme]:
    """The weight schemes by name, those of plugins last: formula, parameters, source."""
    from maskstat.weights.schemes import all_schemes

    return all_schemes()


def sampling_methods() -> dict[str, Method]:
    """The sampling methods by name: formula, unit, parameters with defaults, source."""
    from maskstat.sampling.methods import METHODS

    return dict(METHODS)


def presets() -> dict[str, Preset]:
    """The catalogues of public datasets by name, those of plugins last."""
    return {name: preset(name) for name in all_presets()}


def preset(name: str) -> Preset:
    """One of `presets()`. Raises CatalogError, with the nearest name, where there is none.

    Raises PluginError where it is a plugin's that can't be used.
    """
    import yaml

    catalog, text = load_preset(name), text_of_preset(name)
    document = yaml.safe_load(text)
    masks = tuple(document.get("masks", ()))
    return Preset(name, document["title"], document["link"], masks, text, catalog)
