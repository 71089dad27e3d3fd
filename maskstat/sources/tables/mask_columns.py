"""Which column of a table holds the masks: by its name, else by its cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from maskstat.files.photographs import is_photograph
from maskstat.naming import printable, storable

Look = Literal["masks", "photographs", "run lengths", "text", "no files", "unknown"]
"""What the first cells of a column are: images of a kind, texts, or paths that lead nowhere.

"unknown" is what can't be told at a glance.
"""

LOOKED_AT = 8  # rows
_DECODED = 3  # of them
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_OF_MASKS = frozenset(
    """
    mask masks seg segs segm segmentation segmentations segmap semantic label
    labels labelmap annotation annotations annot anno ann gt truth groundtruth
    target targets
    """.split()  # noqa: SIM905
)
# "mask_id" and "num_labels" are about masks, and hold none.
_ABOUT_MASKS = frozenset(
    """
    id ids index count num number width height size area type has is shape score
    split
    """.split()  # noqa: SIM905
)
_OF_FILES = frozenset({"file", "filename", "path", "filepath", "url"})
_PATH = re.compile(r".*\.[A-Za-z]\w{0,7}", re.DOTALL)
_RUNS = re.compile(r"\d+( \d+)+")
_NO_RUNS = "-1"  # of an image without any, in some competitions


def is_called_masks(name: str) -> bool:
    """Whether a column of this name may hold masks: `mask_file_name` may, `mask_id` does not."""
    parts = {part.lower() for part in _PARTS.findall(name)}
    if not parts & _OF_MASKS:
        return False
    return bool(parts & _OF_FILES) or not parts & _ABOUT_MASKS


@dataclass(frozen=True, slots=True)
class Choice:
    """The column that holds the masks; None where it is not clear, and what was seen of each."""

    column: str | None
    seen: Mapping[str, Look]

    def in_words(self) -> str:
        """What was seen, in brackets behind a problem; empty where nothing was looked at."""
        texts = [f"{printable(storable(name))}: {look}" for name, look in self.seen.items()]
        return f" ({', '.join(texts)})" if texts else ""


def choose(columns: Iterable[str], look: Callable[[str], Look]) -> Choice:
    """Of columns that may hold masks the one that does.

    The only one that is called so; else the only one that holds masks, where all others hold
    photographs or lead nowhere.

    Args:
        look: what the first cells of a column are.
    """
    names = list(columns)
    called = [name for name in names if is_called_masks(name)]
    if len(called) == 1:
        return Choice(called[0], {})
    seen = {name: look(name) for name in called or names}
    masks = [name for name, found in seen.items() if found == "masks"]
    others = set(seen.values()) - {"masks"}
    if len(masks) == 1 and others <= {"photographs", "no files"}:
        return Choice(masks[0], seen)
    if len(seen) == 1 and others <= {"unknown", "no files"}:
        return Choice(next(iter(seen)), seen)
    return Choice(None, seen)


def look_at_texts(cells: Sequence[str], exists: Callable[[str], bool]) -> Look:
    """What texts are, as far as they say themselves: "unknown" is paths, or no cell at all."""
    filled = [cell for cell in cells if cell]
    if any(_PATH.fullmatch(cell) or exists(cell) for cell in filled) or not filled:
        return "unknown"
    runs = [cell for cell in filled if cell != _NO_RUNS]
    return "run lengths" if runs and all(map(_RUNS.fullmatch, runs)) else "text"


def look_at_images(contents: Iterable[bytes]) -> Look:
    """What encoded images are, by the first few of them."""
    found = {is_photograph(data) for data, _ in zip(contents, range(_DECODED), strict=False)}
    if found == {True}:
        return "photographs"
    return "masks" if found == {False} else "unknown"
