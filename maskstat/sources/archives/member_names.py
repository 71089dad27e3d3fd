"""Names in archives: only names, whatever they look like."""

from __future__ import annotations

from maskstat.naming import storable
from maskstat.sources.base import Selection

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst")
ONE_MASK_SUFFIXES = (".zarr.zip",)  # of a zip that is one mask
_NESTED = (*ARCHIVE_SUFFIXES, ".tar.bz2", ".tar.xz", ".7z", ".rar")


def member_name(prefix: str, member: str) -> str:
    """What a member's mask is called: as in the archive, without "./" in front."""
    while member.startswith("./"):
        member = member[2:].lstrip("/")
    return prefix + storable(member)


def wanted(name: str, selection: Selection) -> bool:
    """Whether a member is worth an entry: a mask, or an archive that may hold masks."""
    return selection.takes_below(name) or (is_nested(name) and selection.takes_named(name))


def is_nested(name: str) -> bool:
    """Whether a member is an archive itself."""
    lower = name.lower()
    return lower.endswith(_NESTED) and not lower.endswith(ONE_MASK_SUFFIXES)


def refused(name: str) -> str | None:
    """Why a member of this name is not even looked at; None where it is."""
    if is_nested(name):
        return "an archive inside an archive is not opened: unpack it"
    return None
