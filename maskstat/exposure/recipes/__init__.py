"""Recipes that ship, as YAML files with their sources."""

from __future__ import annotations

from importlib import resources


def recipe_names() -> list[str]:
    """Their names."""
    files = resources.files(__name__).iterdir()
    return sorted(item.name[: -len(".yaml")] for item in files if item.name.endswith(".yaml"))


def recipe_text(name: str) -> str:
    """The file of one of them."""
    return (resources.files(__name__) / f"{name}.yaml").read_text(encoding="utf-8")
