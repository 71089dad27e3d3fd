"""Readers that other packages bring (docs/plugins.md): which takes a file, whose counts are old.

Formats that are built in come first. The encoding of a mask says which package read it in which
version, so that no count depends in silence on what is installed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from maskstat.entry_points import Plugin, PluginGroup, reason
from maskstat.errors import MaskError, PluginError

_OF_PLUGIN = re.compile(r"(\S+) \((.+)\)")


class PluginReader(NamedTuple):
    """A format that a package reads.

    Attributes:
        plugin: whose it is.
        suffixes: of files that are worth `include`.
        recognises: whether a file that begins with these bytes is one.
        read: an array from the bytes of a file, and a function to ask for memory.
    """

    plugin: Plugin
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], object]
    read: Callable[[bytes, Callable[[int], None]], object]

    @property
    def container(self) -> str:
        """What `Encoding.container` is of its masks: the format, the package and its version."""
        return self.plugin.label


def _made(plugin: Plugin, given: Any) -> PluginReader:
    suffixes = getattr(given, "suffixes", None)
    if not isinstance(suffixes, tuple) or not all(
        isinstance(one, str) and re.fullmatch(r"\.[A-Za-z0-9_.-]{1,20}", one) for one in suffixes
    ):
        raise ValueError("its 'suffixes' are no tuple of texts such as '.pgm'")
    for name in ("recognises", "read"):
        if not callable(getattr(given, name, None)):
            raise ValueError(f"it has no function '{name}'")
    return PluginReader(plugin, suffixes, given.recognises, given.read)


READERS = PluginGroup("readers", _made)  # `formats` says which names are built in


def taking(head: bytes) -> PluginReader | None:
    """The reader of files that begin so. Raises MaskError where several say that it is theirs."""
    found = [reader for reader in READERS.usable().values() if _recognises(reader, head)]
    if len(found) > 1:
        both = " and ".join(str(reader.plugin) for reader in found)
        raise MaskError(f"{both} both take it", remedy="uninstall one of them")
    return found[0] if found else None


def _recognises(reader: PluginReader, head: bytes) -> bool:
    try:
        return bool(reader.recognises(head))
    except Exception:  # `troubles` says so where nobody else takes the file
        return False


def troubles(head: bytes) -> list[str]:
    """Of readers that could not be asked about a file that begins so: which, and why."""
    found = []
    for plugin in READERS.listed():
        try:
            READERS.load(plugin).recognises(head)
        except PluginError as error:
            found.append(f"{error.where} can't be used: {error.problem}")
        except Exception as error:
            found.append(f"{plugin} fails: {reason(error)}")
    return found


def is_of_plugin(container: str) -> bool:
    """Whether a mask was read by a plugin's reader."""
    return container.endswith(")")


def is_outdated(container: str) -> bool:
    """Whether a mask was read by another version of a package than the one that would read it now.

    What nobody here can read any more stays as it was counted.
    """
    found = _OF_PLUGIN.fullmatch(container)
    now = [p for p in READERS.listed() if found is not None and p.name == found[1]]
    return bool(now) and all(container != plugin.label for plugin in now)
