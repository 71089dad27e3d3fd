"""Where the paths of a list lead: from its own folder, or from one above it, as data sets have it.

Lists are written for a data set's folder and lie somewhere in it: VOC's `ImageSets/Segmentation`
two folders down, others in `list/`. What they begin with "/" is mostly meant from there, too. So a
few of their paths are tried. Nothing is guessed of paths that are not there: they stay as they are,
and reading them fails.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from maskstat.errors import SourceError, argument
from maskstat.naming import natural_key, printable, storable
from maskstat.sources.base import Selection
from maskstat.sources.local.folders import is_store
from maskstat.sources.locations import is_url, location_of
from maskstat.sources.tables.mask_columns import LOOKED_AT, is_called_masks

_ROOTS = ("", "../", "../../", "../../../")  # from a list's folder up
_STEMS = 20_000  # that are looked for in every folder of masks
_OF_VOC = "SegmentationClass"  # whose lists mean it, whatever lies beside it


class Lead(NamedTuple):
    """How a path of a list leads on from the list's folder.

    Attributes:
        listed_in: the list's path or URL.
        before, after: what is put around it, where it is not absolute.
        rooted: whether a leading "/" stands for the folder that `before` is.
    """

    listed_in: str
    before: str = ""
    after: str = ""
    rooted: bool = False

    def path(self, text: str) -> str:
        """Relative to the list's folder, absolute, or a URL."""
        if is_url(text) or is_url(self.listed_in) or "\0" in text:
            return text
        if "\\" in text and not os.path.lexists(self.place(text)):
            text = text.replace("\\", "/")
        if self.rooted:
            text = text.lstrip("/")
        return text if os.path.isabs(text) else f"{self.before}{text}{self.after}"

    def place(self, path: str) -> str:
        """The path or URL of what `path` gives."""
        if is_url(path):
            return path
        if is_url(self.listed_in):
            return f"{self.listed_in.partition('?')[0].rpartition('/')[0]}/{path.lstrip('/')}"
        return os.path.join(os.path.dirname(self.listed_in), path)

    def is_outside(self, path: str) -> bool:
        """Whether what `path` gives lies neither in the list's folder nor below it."""
        if is_url(path) or is_url(self.listed_in):
            return False
        if not os.path.isabs(path):
            return os.path.normpath(path).replace(os.sep, "/").startswith("../")
        folder = os.path.join(os.path.dirname(os.path.abspath(self.listed_in)), "")
        return not os.path.normpath(path).startswith(folder)

    def finds(self, text: str) -> bool:
        """Whether there is a file (or a store of chunks) where a path leads."""
        place = self.place(self.path(text))
        return os.path.isfile(place) or (is_store(place) and os.path.isdir(place))


def lead_of(paths: Iterable[str], listed_in: str) -> Lead:
    """How the paths of a list lead on, of which these are the first; a few are tried.

    Raises:
        SourceError: paths with a leading "/" are there in both readings.
    """
    plain = Lead(listed_in)
    if is_url(listed_in):
        return plain
    tried = [path for path in islice(paths, LOOKED_AT) if path and not is_url(path)]
    absolute = [path for path in tried if path[0] in "/\\" and plain.finds(path)]
    for root in _ROOTS:
        lead = Lead(listed_in, root, rooted=True)
        found = [path for path in tried if lead.finds(path) and not _is_same(lead, plain, path)]
        slashed = [path for path in found if path[0] in "/\\"]
        if slashed and absolute:
            shown = printable(storable(slashed[0]))
            below = printable(storable(os.path.abspath(lead.place(lead.path(slashed[0])))))
            raise SourceError(
                f"{shown} may be that file, or {below}, and both are there",
                where=printable(location_of(listed_in)),
                remedy="leave out the leading / of its paths, or write them whole",
            )
        if found:
            return lead._replace(rooted=bool(slashed))
    return plain


def _is_same(lead: Lead, plain: Lead, path: str) -> bool:
    """Whether an absolute path leads to one file in both readings."""
    if path[0] not in "/\\" or not plain.finds(path):
        return False
    return os.path.samefile(plain.place(plain.path(path)), lead.place(lead.path(path)))


def lead_of_stems(stems: list[str], listed_in: str, selection: Selection) -> Lead | None:
    """How names without a suffix lead to masks: in a folder that is called so; None where none has.

    The folder is in that of the list or above it; of several the one that has most of them.

    Raises:
        SourceError: several have as many.
    """
    for root in _ROOTS:
        counts: dict[Lead, int] = {}
        for lead in _folders(stems, Lead(listed_in, root), selection):
            wanted = (stem for stem in stems if selection.takes_named(lead.path(stem)))
            counts[lead] = sum(map(lead.finds, islice(wanted, _STEMS)))
        most = max(counts.values(), default=0)
        best = [lead for lead, count in counts.items() if count == most]
        if most and len(best) > 1:
            best = [lead for lead in best if f"/{lead.before}".endswith(f"/{_OF_VOC}/")] or best
        if most and len(best) > 1:
            choices = [argument("include", f"{lead.before}*{lead.after}") for lead in best]
            raise SourceError(
                "its lines are names without a suffix, and several folders have masks of them",
                where=printable(location_of(listed_in)),
                remedy=f"say which are meant: {', or '.join(choices)}",
            )
        if most:
            return best[0]
    return None


def _folders(stems: list[str], lead: Lead, selection: Selection) -> Iterator[Lead]:
    """Folders of masks at a root that have some of the first stems, with their suffixes."""
    root = os.path.join(os.path.dirname(lead.listed_in), lead.before)
    try:
        names = [item.name for item in os.scandir(root or os.curdir) if item.is_dir()]
    except OSError:
        return
    for name in sorted(filter(is_called_masks, names), key=natural_key):
        for suffix in sorted(selection.suffixes):
            found = lead._replace(before=f"{lead.before}{name}/", after=suffix)
            if any(map(found.finds, stems[:LOOKED_AT])):
                yield found
