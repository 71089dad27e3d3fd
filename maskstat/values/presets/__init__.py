"""Catalogues of public datasets, one YAML file each, as `maskstat.values.catalog_files` reads."""

from __future__ import annotations

from importlib import resources


def preset_names() -> tuple[str, ...]:
    """Names of all presets, sorted."""
    folder = resources.files(__name__)
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".yaml")))


def preset_text(name: str) -> str:
    """The YAML of one preset. Raises KeyError where there is none of this name."""
    if name not in preset_names():
        raise KeyError(name)
    return (resources.files(__name__) / f"{name}.yaml").read_text(encoding="utf-8")
