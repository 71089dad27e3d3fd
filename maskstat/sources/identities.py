"""Which mask a name stands for, whatever it was scanned as: location and name, put together.

The same file is `a/0001.png` of one folder, `0001.png` of the folder in it, and
`../masks/a/0001.png` of a list of paths. Together with where its source is, each of them says the
same place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import TYPE_CHECKING, Literal, NamedTuple

from maskstat.naming import natural_key, split_plane
from maskstat.sources.locations import fits, fixed_folder, is_url, listed_base, options_of

if TYPE_CHECKING:
    from maskstat.sources.base import Entry

IN_MEMORY = "memory"  # the source of masks that no file holds; every other one is absolute
_MERGED = "#merged"
_WINDOWS = re.compile(r"[A-Za-z]:\\|\\\\")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:[\\/]|[A-Za-z][A-Za-z0-9+.-]*://")
_ROOT = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*://")
_BRACES = re.compile(r"\{[^/]*\}")
_MAGIC = re.compile(r"[*?\[{]")


class Place(NamedTuple):
    """What the names of a scan's masks are relative to.

    Attributes:
        base: a folder, an archive, a table, or the like.
        kind: "below": names are just names, below the base. "links": they are paths, which may be
            absolute or lead up by "..". "sum": those of a sum of scans, or of masks named one by
            one, which may be absolute. "whole": the base is itself the one mask.
    """

    base: str
    kind: Literal["below", "links", "sum", "whole"] = "below"

    @property
    def folder(self) -> str:
        """What the mask or the masks are below."""
        return _parent(self.base) if self.kind == "whole" else self.base

    def identity(self, name: str) -> str:
        """Where the mask of this name is: what no two masks share."""
        if self.kind == "whole":
            return self.base
        base = self.base
        if self.kind != "below" and is_absolute(name):
            return name
        while self.kind == "links" and name.startswith("../"):
            base, name = _parent(base), name[3:]
        return _joined(base, name)


def merged_at(base: str) -> str:
    """The location of a scan that is a sum of others, all below `base`."""
    return base + _MERGED


def is_merged(location: str) -> bool:
    """Whether a location is that of a sum of scans: nothing to scan, since it is no one place."""
    return location.endswith(_MERGED)


def knows_names_only(location: str) -> bool:
    """Whether what a location holds can't be listed: its masks are found by their names alone."""
    return is_merged(location) or listed_base(location) is not None


def files_of(location: str, names: Iterable[str]) -> Iterator[Entry]:
    """The masks of these names that are files here; the others are left out.

    The location is one of which names alone are known.
    """
    from maskstat.sources.local.named_files import file_entry

    place = place_of(location, "")
    for name in sorted(names, key=natural_key):
        path = place.identity(name)
        if is_absolute(path) and os.path.exists(path):
            yield file_entry(path, name)


def is_absolute(name: str) -> bool:
    """Whether a name says by itself where its mask is."""
    return _ABSOLUTE.match(name) is not None


def place_of(location: str, name: str, *, alone: bool = False) -> Place:
    """What names are relative to in a scan of this location.

    Args:
        location: as a source says it.
        name: one of its masks, to see what the location is.
        alone: whether that is its only mask.
    """
    from maskstat.sources.opening import names_are_paths

    if is_merged(location):
        return Place(location.removesuffix(_MERGED), "sum")
    if (base := listed_base(location)) is not None:
        return Place(base, "sum")
    links = names_are_paths(location)
    location, _ = options_of(location)
    if _WINDOWS.match(location):
        location = location.replace("\\", "/")
    file, plane = split_plane(name)
    if _is_pattern(location, name) or (plane is not None and _is_pattern(location, file)):
        return Place(fixed_folder(location) or "/")
    plain = location.partition("?")[0] if is_url(location) else location
    if links:
        return Place(_parent(plain), "links")
    last = plain.rpartition("/")[2]
    if plane is not None and file == last:  # planes of one file
        return Place(_parent(plain))
    return Place(location, "whole" if alone and last == name else "below")


def common_base(bases: Iterable[str]) -> str:
    """The deepest place that all of these are at or below; nothing where there is none."""
    split = [_parts(base) for base in bases]
    shared = [
        level[0]
        for level in takewhile(lambda level: len(set(level)) == 1, zip(*split, strict=False))
    ]
    return _text(shared)


def name_below(base: str, identity: str) -> str:
    """A name for a mask among others at or below `base`; `identity` again where there is none."""
    start = _joined(base, "") if base else ""
    rest = identity.removeprefix(start)
    if start and (not identity.startswith(start) or is_absolute(rest) or not rest):
        return identity
    return rest


def _is_pattern(location: str, name: str) -> bool:
    """Whether a location is a pattern and no folder that has such a name."""
    found = _MAGIC.search(location.partition("?")[0] if is_url(location) else location)
    if found is None:
        return False
    base = fixed_folder(location)
    pattern = _BRACES.sub("*", location[len(base) :].lstrip("/")).split("/")
    parts = name.split("/")
    return any(fits(parts[:at], pattern) for at in range(1, len(parts) + 1))


def _joined(base: str, name: str) -> str:
    return base + name if not base or base.endswith("/") else f"{base}/{name}"


def _parts(base: str) -> list[str]:
    """The parts of a path or URL; the first is its root, which may be empty."""
    found = _ROOT.match(base)
    root = found[0] if found else ""
    rest = base[len(root) :].rstrip("/")
    return [root, *(rest.split("/") if rest else [])]


def _text(parts: list[str]) -> str:
    return "".join(parts[:1]) + "/".join(parts[1:])


def _parent(base: str) -> str:
    return _text(_parts(base)[:-1]) or base
