"""What somebody means by `classes`: a number, names, a preset, or a file in any form there is.

A file's suffix decides: `.json`, `.yaml` and `.yml` hold documents (`catalog_mapping`,
`catalog_documents`), all others lines (`catalog_lines`, `catalog_tables`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

from maskstat.entry_points import Plugin, PluginGroup, text_of_file
from maskstat.errors import CatalogError, PluginError, call, unreadable
from maskstat.naming import counted, did_you_mean, printable
from maskstat.parameters import parse_whole
from maskstat.regular_files import read_file
from maskstat.values.catalog import ClassCatalog
from maskstat.values.catalog_fields import shown

MAX_FILE_BYTES = 16 << 20


def load_catalog(classes: ClassCatalog | int | str | Path | Iterable[str]) -> ClassCatalog:
    """The catalogue that somebody means by `classes`.

    A number K (values 0..K-1), K names (of the same values), a preset name, or the path of a
    YAML/JSON catalogue, of a table of classes (CSV, TSV, `id name`, `r g b name`, a CVAT/VOC
    `labelmap.txt`), of a text list of names (LabelMe's `__ignore__` and `_background_`
    included) or of the class file of another tool (nnU-Net's `dataset.json`, Mapillary's
    `config.json`, Datumaro's `dataset_meta.json`, Supervisely's `meta.json`). A file wins over
    a preset of the same name.

    Raises:
        CatalogError: neither a number nor a file nor a preset, the file is malformed, or names are
            none, no texts, or come twice.
    """
    if isinstance(classes, ClassCatalog):
        return classes
    if isinstance(classes, int) and not isinstance(classes, bool):
        return _numbered(classes)
    if isinstance(classes, Iterable) and not isinstance(classes, (str, bytes, os.PathLike)):
        return _named(list(classes))
    text = str(classes)
    number = parse_whole(text)
    if number is not None:
        return _numbered(number)
    path = Path(text)
    try:
        if path.is_file():
            return read_catalog(path)
    except (OSError, ValueError) as error:
        raise CatalogError(unreadable(error), where=printable(text)) from error
    from maskstat.values.presets import preset_names

    if text in preset_names() or PLUGINS.find(text) is not None:
        return load_preset(text)
    folder = bool(text) and path.is_dir()
    raise CatalogError(
        "is a folder, not a file of classes" if folder else "neither a number, a file nor a preset",
        where=printable(text) or repr(text),
        parameter="classes",
        remedy=f"{did_you_mean(text, all_presets())}'{call('presets')}' lists the presets",
    )


def _numbered(count: int) -> ClassCatalog:
    try:
        return ClassCatalog.numbered(count)
    except CatalogError as error:
        raise CatalogError(error.problem, parameter="classes", remedy=error.remedy) from None


def _named(names: list[object]) -> ClassCatalog:
    """Names as a file would list them: classes that never occur are no accident."""
    from maskstat.values.catalog_mapping import catalog_from_mapping

    try:
        for name in names:
            if not isinstance(name, str) or not name.strip():
                raise CatalogError(f"a list of classes holds their names, not {shown(name)}")
        return catalog_from_mapping(names, name=counted(len(names), "name"))
    except CatalogError as error:
        raise CatalogError(error.problem, parameter="classes", remedy=error.remedy) from None


def load_preset(name: str) -> ClassCatalog:
    """The catalogue of a public dataset, by name, built in or a plugin's.

    Raises CatalogError where there is none, and PluginError where it is one that can't be used.
    """
    return _preset(text_of_preset(name), name)


def text_of_preset(name: str) -> str:
    """The YAML of a preset. Raises as `load_preset`."""
    from maskstat.values.presets import preset_names, preset_text

    if name in preset_names():
        return preset_text(name)
    text = PLUGINS.find(name)
    if text is None:
        raise CatalogError(
            f"no preset is called {printable(name)!r}",
            remedy=f"{did_you_mean(name, all_presets())}'{call('presets')}' lists them",
        )
    return text


def all_presets() -> tuple[str, ...]:
    """Names of those that are built in, then of those of plugins that can be used."""
    from maskstat.values.presets import preset_names

    return *preset_names(), *PLUGINS.usable()


def _preset(text: str, name: str) -> ClassCatalog:
    from maskstat.values.catalog_mapping import catalog_from_mapping

    return catalog_from_mapping(_parse_yaml(text), name=name, origin="preset")


def _of_plugin(plugin: Plugin, given: object) -> str:
    """The YAML of a plugin's preset, which is in the form of those that are built in."""
    text = text_of_file(given, MAX_FILE_BYTES)
    catalog = _preset(text, plugin.name)
    if catalog.origin != "preset" or catalog.name != plugin.name:
        raise ValueError("its file says another name or origin than a preset has")
    document = _parse_yaml(text)
    said = document if isinstance(document, Mapping) else {}
    for key in ("title", "link"):
        if not isinstance(said.get(key), str):
            raise ValueError(f"its file has no {key!r}")
    masks = said.get("masks", [])
    if not isinstance(masks, list) or not all(isinstance(one, str) and one for one in masks):
        raise ValueError("its 'masks' are no list of patterns of names")
    return text


def _built_in() -> tuple[str, ...]:
    from maskstat.values.presets import preset_names

    return preset_names()


PLUGINS = PluginGroup("presets", _of_plugin, _built_in)


def masks_of_preset(catalog: ClassCatalog) -> tuple[str, ...]:
    """Patterns of the names of a preset's masks, the first that matches any counts; else none."""
    if catalog.origin != "preset":
        return ()
    try:
        document = _parse_yaml(text_of_preset(catalog.name))
    except (CatalogError, PluginError):  # of a package that is not installed any longer
        return ()
    return tuple(document.get("masks", ())) if isinstance(document, Mapping) else ()


def read_catalog(path: Path) -> ClassCatalog:
    """Read a catalogue file; its suffix decides the form. Raises CatalogError naming the file."""
    from maskstat.values.catalog_lines import catalog_from_text
    from maskstat.values.catalog_mapping import catalog_from_mapping

    where = printable(str(path))
    try:
        data = read_file(path, MAX_FILE_BYTES)
        if data is None:
            raise CatalogError(f"larger than {MAX_FILE_BYTES >> 20} MiB: not a catalogue")
        text = data.decode("utf-8-sig")
        suffix = path.suffix.lower()
        if suffix == ".json":
            return catalog_from_mapping(_parse_json(text), name=path.stem)
        if suffix in {".yaml", ".yml"}:
            return catalog_from_mapping(_parse_yaml(text), name=path.stem)
        return catalog_from_text(text, name=path.stem)
    except UnicodeDecodeError as error:
        raise CatalogError("not UTF-8 text", where=where) from error
    except CatalogError as error:
        raise CatalogError(error.problem, where=where, remedy=error.remedy) from error


def _parse_yaml(text: str) -> object:
    import yaml

    class LoaderOfKeysOnce(yaml.SafeLoader):
        """Of two equal keys, YAML's own loader would keep the last."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
            if isinstance(node, yaml.MappingNode):
                keys = [key for key, _ in node.value if not key.tag.endswith(":merge")]
                _refuse_twice([self.construct_object(key, deep=True) for key in keys])
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, LoaderOfKeysOnce)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise CatalogError(f"not valid YAML: {_one_line(error)}") from error


def _parse_json(text: str) -> object:
    def mapping(pairs: list[tuple[str, object]]) -> dict[str, object]:
        _refuse_twice([key for key, _ in pairs])
        return dict(pairs)

    def no_number(text: str) -> object:
        raise CatalogError(f"not valid JSON: {text} is no number")

    try:
        return json.loads(text, object_pairs_hook=mapping, parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        raise CatalogError(f"not valid JSON: {_one_line(error)}") from error


def _refuse_twice(keys: list[Any]) -> None:
    """Raise CatalogError where a mapping has a key twice: one of its values would be lost."""
    seen: set[Hashable] = set()
    for key in keys:
        if isinstance(key, Hashable) and key in seen:
            raise CatalogError(f"the key {shown(key)} comes twice")
        if isinstance(key, Hashable):
            seen.add(key)


def _one_line(error: BaseException) -> str:
    return printable(" ".join(str(error).split()))[:200]
