"""WebDataset: members of a tar that share a name up to its first dot; one of them is the mask."""

from __future__ import annotations

from collections.abc import Iterable
from glob import escape
from itertools import islice

from maskstat.errors import MaskError, SourceError, argument
from maskstat.naming import printable
from maskstat.sources.base import Entry
from maskstat.sources.reading_ahead import READ_AHEAD
from maskstat.sources.tables.mask_columns import Look, choose, is_called_masks, look_at_images

_SAMPLES = 8  # that are looked at
_MEMBERS = 256


def patterns_of_masks(members: Iterable[Entry | None], where: str) -> tuple[str, ...]:
    """The pattern of the masks of samples, and those of other members that it would take.

    Nothing where samples have one image each, or it is not clear which one is the mask. Raises
    SourceError where several are called masks.
    """
    samples: dict[str, dict[str, Entry]] = {}
    held = 0
    for entry in islice(members, _MEMBERS):
        if entry is None:
            continue
        folder, _, last = entry.name.rpartition("/")
        stem, _, ending = last.partition(".")
        held += entry.held
        if (len(samples) == _SAMPLES and f"{folder}/{stem}" not in samples) or held > READ_AHEAD:
            break
        samples.setdefault(f"{folder}/{stem}", {})[ending] = entry
    if all(len(sample) == 1 for sample in samples.values()):
        return ()

    def look(ending: str) -> Look:
        try:
            return look_at_images(s[ending].load() for s in samples.values() if ending in s)
        except MaskError:
            return "unknown"

    endings = {ending: f"*.{escape(ending)}" for sample in samples.values() for ending in sample}
    chosen = choose(endings, look).column
    if chosen is not None:
        others = (endings[o] for o in endings if o != chosen and o.endswith(f".{chosen}"))
        return endings[chosen], *others
    called = [argument("include", pattern) for e, pattern in endings.items() if is_called_masks(e)]
    if called:
        raise SourceError(
            "has several masks in each sample",
            where=printable(where),
            remedy=f"say which ones are meant: {', or '.join(called)}",
        )
    return ()
