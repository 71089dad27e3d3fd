"""The YAML of presets, read without the package."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.paths import ROOT

PRESETS = ROOT / "maskstat" / "values" / "presets"


class StrictLoader(yaml.SafeLoader):
    """A loader that refuses a key given twice, which YAML's own keeps silent about."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key is given twice in {node.start_mark}"
        return super().construct_mapping(node, deep=deep)


def load(name: str) -> dict[str, Any]:
    text = (PRESETS / f"{name}.yaml").read_text(encoding="utf-8")
    catalogue = yaml.load(text, Loader=StrictLoader)
    assert isinstance(catalogue, dict)
    return catalogue


def expanded(values: list[int | str]) -> list[int]:
    """Values, and ranges of them like "4-7"."""
    found: list[int] = []
    for item in values:
        first, _, last = str(item).partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def values_of(entry: dict[str, Any], position: int) -> list[int]:
    if "values" in entry:
        return expanded(entry["values"])
    return [entry.get("value", position)]


def matching_colours(entry: dict[str, Any]) -> list[str]:
    return list(entry["colours"]) if "colours" in entry else [entry["colour"]]
