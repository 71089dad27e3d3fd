"""YAML: the same objects as JSON."""

from __future__ import annotations

import yaml

from maskstat.files.documents.base import Document, Layout
from maskstat.files.documents.json import as_object, from_object

LAYOUTS: tuple[Layout, ...] = ("full", "list", "dict")


def dumps(document: Document, layout: Layout) -> bytes:
    """UTF-8 YAML; floats are written by repr, so they read back to the same bits."""
    text = yaml.dump(
        as_object(document, layout),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
    )
    return str(text).encode("utf-8", "backslashreplace")


def loads(data: bytes, values: str) -> Document:
    """Read any of the layouts. Raises ValueError where it is not YAML."""
    try:
        return from_object(yaml.load(data, Loader=Loader), values)
    except yaml.YAMLError as error:
        raise ValueError("not YAML") from error


class _Dumper(yaml.SafeDumper):
    """Writes a value that occurs twice, twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    # Unquoted, some kinds of line break would be lost.
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


class Loader(yaml.SafeLoader):
    """Refuses aliases: a few of them can stand for more values than fit into any memory."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)
