"""What a listing says of an object, and whether an answer is still about the same content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from maskstat.naming import storable
from maskstat.sources.base import changed

# What tells that content is the same, best first, whatever a library calls it.
_MARKS = (
    *("etag", "blobid", "sha", "md5hash", "contentmd5", "checksum", "digest"),
    *("lastmodified", "updated", "mtime", "modified", "modify", "modificationtime", "created"),
)
_TAG = "etag"
_COMPARED = frozenset({_TAG, "lastmodified"})  # sums in an answer may be of a part


class Facts(NamedTuple):
    """What a listing says of one object; `size` and `stamp` are None where it says nothing.

    `mark` is what `stamp` is: "etag", say.
    """

    key: str
    is_folder: bool
    size: int | None
    stamp: str | None
    mark: str = ""

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> Facts:
        """From one of fsspec's dictionaries."""
        known = _known(info)
        mark = next((mark for mark in _MARKS if known.get(mark) not in {None, ""}), "")
        size = info.get("size")
        return cls(
            str(info["name"]),
            info.get("type") == "directory",
            int(size) if isinstance(size, (int, float)) else None,
            _stamp(known[mark]) if mark else None,
            mark,
        )

    def check(self, answer: Mapping[str, Any], *, whole: bool = False) -> None:
        """Compare with what an answer says of its content. Raises MaskError where it is another.

        `answer` are the headers of a server, or what a library makes of them. A `whole` object that
        comes at once is of one version; a time of change that is new in every answer does no harm.
        """
        known = _known(answer)
        stamp, size = known.get(self.mark), _whole_size(known)
        marked = stamp and self.stamp and self.mark in ({_TAG} if whole else _COMPARED)
        if marked and _strong(_stamp(stamp)) != _strong(str(self.stamp)):
            raise changed()
        if None not in {size, self.size} and size != self.size:
            raise changed()

    def check_again(self, later: Facts) -> None:
        """Compare with what is listed now. Raises MaskError where that is other content."""
        if (self.size, self.stamp) != (later.size, later.stamp):
            raise changed()


def _known(said: Mapping[str, Any]) -> dict[str, Any]:
    return {re.sub("[^a-z0-9]", "", key.lower()): value for key, value in said.items()}


def _stamp(value: object) -> str:
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.timestamp()  # fsspec's memory lists a number where it tells a time elsewhere
    return storable(str(value).strip('"'))


def _strong(stamp: str) -> str:
    """An ETag whether it was said to be weak or not: one server may say both of one content."""
    return stamp.removeprefix("W/").strip('"')


def _whole_size(known: Mapping[str, Any]) -> int | None:
    """How long all of the content is of which an answer has a part, or all."""
    whole = str(known.get("contentrange") or "").rpartition("/")[2]
    if not whole and str(known.get("contentencoding") or "identity") == "identity":
        whole = str(known.get("contentlength", ""))
    return int(whole[:20]) if whole.isascii() and whole.isdigit() else None
