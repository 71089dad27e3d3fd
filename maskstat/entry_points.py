"""Plugins: what other packages bring by entry point, one group a kind (docs/plugins.md).

What is built in is never looked for here: a group is asked where a name is unknown, where bytes are
of no format, or where somebody wants a list. Then the entry points of the environment are read,
once a process (a hundredth of a second), and an object is imported when its name is asked for. One
that can't be used says why, and is in nobody's way.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from maskstat.errors import MaskstatError, PluginError, call
from maskstat.naming import printable, storable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Made = TypeVar("Made")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ODD = re.compile(r"[^\w.+!-]", re.ASCII)
_MOST_TEXT = 200


@dataclass(frozen=True)
class Plugin:
    """An entry point of a package.

    Attributes:
        group: readers, sources, schemes, presets or recipes.
        name: what users call it by.
        package, version: the distribution that it comes with.
        others: packages that bring the same name, which is nobody's then.
    """

    group: str
    name: str
    package: str
    version: str
    others: tuple[str, ...] = ()
    entry: EntryPoint | None = field(default=None, repr=False, compare=False)

    @property
    def origin(self) -> str:
        """The package and its version."""
        return f"{self.package} {self.version}"

    @property
    def label(self) -> str:
        """Name, package and version, as scans keep them: "pgm (maskstat-example 1.0)"."""
        return f"{self.name} ({' '.join(_ODD.sub('_', one) for one in self.origin.split())})"

    def __str__(self) -> str:
        return f"the {self.group[:-1]} {self.name} of {self.origin}"


class PluginGroup(Generic[Made]):
    """The plugins of one kind.

    Args:
        name: that of the entry points is "maskstat." and this.
        make: what is used, from a plugin and its object; whatever it raises says what is wrong.
        built_in: gives the names that no plugin can have.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[Plugin, Any], Made],
        built_in: Callable[[], Container[str]] = tuple,
    ):
        self.name, self._make, self.built_in = name, make, built_in
        self._listed: tuple[Plugin, ...] | None = None
        self._loaded: dict[Plugin, Made | PluginError] = {}
        self._lock = threading.RLock()  # readers are asked by many threads

    def listed(self) -> tuple[Plugin, ...]:
        """All of them, by name; nothing is imported."""
        with self._lock:
            if self._listed is None:
                self._listed = tuple(_found(self.name))
            return self._listed

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, each once; nothing is imported."""
        return tuple(dict.fromkeys(plugin.name for plugin in self.listed()))

    def find(self, name: str) -> Made | None:
        """What is called so; None where no package brings it. Raises PluginError."""
        plugin = next((plugin for plugin in self.listed() if plugin.name == name), None)
        return None if plugin is None else self.load(plugin)

    def load(self, plugin: Plugin) -> Made:
        """What a plugin brings, imported once. Raises PluginError where it can't be used."""
        with self._lock:
            if plugin not in self._loaded:
                try:
                    self._loaded[plugin] = self._load(plugin)
                except PluginError as error:
                    self._loaded[plugin] = error
            found = self._loaded[plugin]
        if isinstance(found, PluginError):
            raise PluginError(found.problem, where=found.where, remedy=found.remedy)
        return found

    def usable(self) -> dict[str, Made]:
        """Those that can be used, by name."""
        made: dict[str, Made] = {}
        for plugin in self.listed():
            try:
                made[plugin.name] = self.load(plugin)
            except PluginError:
                continue
        return made

    def _load(self, plugin: Plugin) -> Made:
        if not _NAME.fullmatch(plugin.name):
            raise _unusable(plugin, "its name is not of letters, digits, '.', '_' and '-'")
        if plugin.name in self.built_in():
            raise _unusable(plugin, f"maskstat has {self.name} of its own, and one is called so")
        if plugin.others:
            raise PluginError(
                f"{' and '.join((plugin.package, *plugin.others))} both bring it",
                where=f"the {plugin.group[:-1]} {plugin.name}",
                remedy="uninstall one of them",
            )
        assert plugin.entry is not None
        try:
            found = plugin.entry.load()
        except (Exception, SystemExit) as error:
            raise _unusable(plugin, f"it can't be imported: {reason(error)}") from error
        try:
            return self._make(plugin, found)
        except Exception as error:
            raise _unusable(plugin, reason(error)) from error


def text_of_file(given: Any, most: int) -> str:
    """The text of a file in a package, as `importlib.resources.files` gives it, or a path.

    Raises ValueError where it is none, OSError where it can't be read.
    """
    if not callable(getattr(given, "open", None)) or isinstance(given, (str, bytes)):
        raise ValueError(f"it is {type(given).__name__}, and no file of importlib.resources")
    with given.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"its file is larger than {most >> 10} KiB")
    return str(data, "utf-8-sig")


def reason(error: BaseException) -> str:
    """What somebody else's exception says, in one line: a ValueError in its own words."""
    if isinstance(error, MaskstatError):
        return error.text
    said = printable(storable(" ".join(str(error).split())))[:_MOST_TEXT]
    if type(error) is ValueError and said:
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _unusable(plugin: Plugin, problem: str) -> PluginError:
    remedy = f"update or uninstall {plugin.package}; '{call('plugins')}' lists plugins"
    return PluginError(problem, where=str(plugin), remedy=remedy)


def _found(group: str) -> Iterator[Plugin]:
    from importlib.metadata import entry_points

    found = []
    for entry in entry_points(group=f"maskstat.{group}"):
        package = entry.dist.name if entry.dist is not None else ""
        version = entry.dist.version if entry.dist is not None else ""
        found.append((_shown(entry.name), _shown(package), _shown(version), entry))
    for name, package, version, entry in sorted(found, key=lambda one: one[:3]):
        others = {other[1] for other in found if other[0] == name and other[3] is not entry}
        yield Plugin(group, name, package, version, tuple(sorted(others)), entry)


def _shown(text: str | None) -> str:
    return printable(storable(str(text or "unknown")))[:64]
