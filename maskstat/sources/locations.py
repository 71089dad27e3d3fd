"""What a location says: paths, URLs, patterns, and what stands behind "#".

Nothing here looks into a file, and nothing knows what kinds of sources there are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from maskstat.errors import ParameterError, SourceError
from maskstat.naming import printable, storable
from maskstat.sources.addresses import parse_address, without_secrets

_LISTED = "#listed"
MAX_SHARDS = 1_000_000  # that braces may stand for
TIMEOUT = 600.0  # seconds for one mask that comes over a network, tries and pauses included
_MAGIC = (re.compile(r"[*?\[{]"), re.compile(r"[*\[{]"))  # "?" in a URL begins its query
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_KEYS = "(?:column|format|runs|size|split)"
_OPTIONS = re.compile(rf"#({_KEYS}=[^#&]*(?:&{_KEYS}=[^#&]*)*)$")
_SIZE = re.compile(r"([1-9][0-9]{0,8})x([1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True)
class Given:
    """What a user gave as a source, looked at once, for all kinds of sources to see.

    Attributes:
        text: the path, URL or pattern, without options.
        column: where a table or a manifest keeps its masks, if the user said so.
        is_url, is_folder, is_file: what it is; none of them for a pattern, or what is not there.
        timeout: seconds after which a mask, or a piece of a file of many, is waited for no longer.
        size: height and width of all masks, where the user said so.
    """

    text: str
    column: str | None
    is_url: bool
    is_folder: bool
    is_file: bool
    timeout: float = TIMEOUT
    size: tuple[int, int] | None = None

    @classmethod
    def of(
        cls,
        text: str,
        column: str | None = None,
        timeout: float = TIMEOUT,
        size: tuple[int, int] | None = None,
    ) -> Given:
        """Look at it."""
        if text.startswith("file://"):
            text = unquote(urlsplit(text).path)
        if is_url(text):
            return cls(text, column, True, False, False, timeout, size)
        return cls(text, column, False, os.path.isdir(text), os.path.isfile(text), timeout, size)

    @property
    def is_one(self) -> bool:
        """Whether it is one file, or may be, since it is a URL."""
        return self.is_url or self.is_file

    @property
    def is_pattern(self) -> bool:
        """Whether a path has wildcards."""
        return not self.is_url and not self.is_file and any(sign in self.text for sign in "*?[")

    @property
    def is_one_or_many(self) -> bool:
        """Whether it is one file, or a pattern, perhaps with braces."""
        return self.is_one or self.is_pattern or "{" in self.text

    def ends_in(self, suffixes: tuple[str, ...]) -> bool:
        """Whether its name has one of these suffixes."""
        return ends_in(self.text, suffixes)


def ends_in(where: str, suffixes: tuple[str, ...]) -> bool:
    """Whether a path or URL has one of these suffixes, in any case; queries are no part of it."""
    return (where.partition("?")[0] if is_url(where) else where).lower().endswith(suffixes)


def is_url(where: str) -> bool:
    """Whether this is a URL and no path."""
    return "://" in where


def with_options(location: str, **options: str | None) -> str:
    """A location with "#column=mask&split=train" behind it, as `open_source` reads it."""
    texts = [
        f"{key}={quote(value, errors='surrogateescape')}" for key, value in options.items() if value
    ]
    sign = "&" if _OPTIONS.search(location) else "#"
    return f"{location}{sign}{'&'.join(texts)}" if texts else location


def options_of(location: str) -> tuple[str, dict[str, str]]:
    """A location without its options, and these."""
    found = _OPTIONS.search(location)
    if found is None:
        return location, {}
    return location[: found.start()], dict(parse_qsl(found[1], errors="surrogateescape"))


def size_of(said: object) -> tuple[int, int]:
    """Height and width from "HxW", or from both. Raises ParameterError."""
    text = "x".join(map(str, said)) if isinstance(said, (tuple, list)) else str(said)
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ParameterError(
            f"is a height and a width in pixels, as 256x1600, not {printable(repr(said))[:60]}",
            parameter="size",
        )
    return int(found[1]), int(found[2])


def listed_at(base: str) -> str:
    """The location of masks that were named one by one, all below `base`."""
    return base + _LISTED


def listed_base(location: str) -> str | None:
    """What the names of masks that were named one by one are below; None of other locations."""
    location, _ = options_of(location)
    return location.removesuffix(_LISTED) if location.endswith(_LISTED) else None


def from_anywhere(where: str | Path) -> str:
    """What a user gave as a source, so that it does not depend on the working directory.

    Raises:
        SourceError: no other process can read it.
    """
    path = os.fspath(where)
    if path.startswith("memory://"):
        raise SourceError(
            "is in the memory of this process alone",
            where=printable(storable(path)),
            remedy="scan it with threads",
        )
    return path if is_url(path) else os.path.join(os.getcwd(), path)


def location_of(where: str) -> str:
    """Where a file or pattern is, absolute; of a URL, without passwords."""
    if is_url(where):
        return storable(without_secrets(where))
    if os.path.exists(where):
        return storable(os.path.realpath(where))
    return storable(os.path.abspath(where))


def last_part(where: str) -> str:
    """The name of a file at a path or URL."""
    if is_url(where):
        where = parse_address(where).url.partition("?")[0]
    return where.replace(os.sep, "/").rstrip("/").rpartition("/")[2]


def shards_name(where: str, suffixes: tuple[str, ...]) -> str:
    """What a scan of a file is called: its stem; of a pattern: the folder above its wildcards."""
    name = last_part(where)
    if _MAGIC[is_url(where)].search(where) and not os.path.exists(where):
        folder = fixed_folder(where)
        return storable(last_part(folder if is_url(where) else os.path.abspath(folder)) or "masks")
    endings = [suffix for suffix in suffixes if name.lower().endswith(suffix)]
    return storable(name[: len(name) - max(map(len, endings), default=0)] or "masks")


def no_shards(where: str) -> SourceError:
    """What to say where a pattern matches nothing."""
    return SourceError(
        "no file matches",
        where=printable(storable(where)),
        remedy="give a path, a glob in quotes, or braces: 'shard-{000..099}.tar'",
    )


def fixed_folder(pattern: str) -> str:
    """The folder above the first wildcard or brace of a pattern, or above a plain path."""
    magic = _MAGIC[is_url(pattern)].search(pattern)
    return os.path.dirname(pattern[: magic.start()] if magic else pattern)


def fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path matches a pattern, part by part; `**` is any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(fits(parts[at:], pattern[1:]) for at in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and fits(parts[1:], pattern[1:])


def expand_braces(text: str) -> list[str]:
    """What braces stand for, as a shell has it: "{08..11}" is a range, "{a,b}" a choice.

    Numbers of a range have as many digits as the one of its ends that starts with a zero. Braces
    with neither ".." nor "," are what they are.

    Raises:
        ParameterError: more than a million.
    """
    opening = text.find("{")
    while opening >= 0:
        closing, commas = _matching(text, opening)
        if closing < 0:
            break
        inside = text[opening + 1 : closing]
        choices: list[str] = []
        if ends := _RANGE.fullmatch(inside):
            choices = _range(*ends.groups())
        elif commas:
            edges = [opening, *commas, closing]
            choices = [text[a + 1 : b] for a, b in pairwise(edges)]
            choices = [expanded for choice in choices for expanded in expand_braces(choice)]
        if choices:
            tails = expand_braces(text[closing + 1 :])
            if len(choices) * len(tails) > MAX_SHARDS:
                raise _too_many()
            return [text[:opening] + choice + tail for choice in choices for tail in tails]
        opening = text.find("{", opening + 1)
    return [text]


def _matching(text: str, opening: int) -> tuple[int, list[int]]:
    """Where the brace at `opening` ends (-1: nowhere), and the commas between that are its own."""
    depth = 0
    commas: list[int] = []
    for at in range(opening, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return at, commas
        if depth == 1 and text[at] == ",":
            commas.append(at)
    return -1, commas


def _range(first: str, last: str) -> list[str]:
    low, high = int(first), int(last)
    if abs(high - low) >= MAX_SHARDS:
        raise _too_many()
    zeros = any(len(end) > 1 and end.startswith("0") for end in (first, last))
    width = max(len(first), len(last)) if zeros else 0
    step = 1 if high >= low else -1
    return [f"{number:0{width}d}" for number in range(low, high + step, step)]


def _too_many() -> ParameterError:
    return ParameterError(
        f"braces that stand for more than {MAX_SHARDS:,} files", parameter="source"
    )
