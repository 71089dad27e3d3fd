"""Which mask of a table belongs to which item of a data set, by name."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from maskstat.errors import ParameterError
from maskstat.naming import counted, printable
from maskstat.values.tally import IntArray

_SHOWN = 3


def match_names(names: Sequence[str | os.PathLike[str]], masks: Sequence[str]) -> IntArray:
    """The mask of every name: the same name, or the same stem and as many folders as possible.

    `/data/val/images/park/7.jpg` fits the mask `park/7.png`, whatever `street/7.png` there is
    too. Folders count from the file upwards and stop at the first that differs; of masks that
    fit equally well, the one of the same file suffix is taken.

    Args:
        names: names or paths of the items; a name may come twice.
        masks: names of the masks.

    Returns:
        int64[len(names)], positions in `masks`.

    Raises:
        ParameterError: a name fits no mask, or two equally well, or two names fit one mask.
    """
    exact = {mask: row for row, mask in enumerate(masks)}
    by_stem: dict[str, list[int]] = {}
    for row, mask in enumerate(masks):
        by_stem.setdefault(_stem(_file(mask)), []).append(row)
    found: dict[str, int] = {}
    missing: list[str] = []
    several: list[str] = []
    for name in dict.fromkeys(map(_posix, names)):
        if name in exact:
            found[name] = exact[name]
            continue
        file = _file(name)
        rows = by_stem.get(_stem(file)) or by_stem.get(file, [])
        ranks = [_likeness(name, masks[row]) for row in rows]
        if not rows:
            missing.append(name)
        elif ranks.count(max(ranks)) > 1:
            several.append(name)
        else:
            found[name] = rows[ranks.index(max(ranks))]
    _refuse(missing, "no mask", len(found) + len(missing) + len(several))
    _refuse(several, "several masks", len(found) + len(several))
    owners: dict[int, str] = {}
    for name, row in found.items():
        if (other := owners.setdefault(row, name)) != name:
            raise ParameterError(
                f"both {printable(other)} and {printable(name)} fit the mask"
                f" {printable(masks[row])} best",
                remedy=_REMEDY,
            )
    return np.array([found[_posix(name)] for name in names], np.int64)


_REMEDY = (
    "give key=, a function from the item's name to the mask's,"
    " or names=, the mask of every item in order"
)


def _refuse(names: list[str], fit: str, total: int) -> None:
    if names:
        shown = ", ".join(map(printable, names[:_SHOWN])) + (" ..." if len(names) > _SHOWN else "")
        raise ParameterError(
            f"{len(names)} of {counted(total, 'name')} in the data set fit {fit}: {shown}",
            remedy=_REMEDY,
        )


def _posix(name: str | os.PathLike[str]) -> str:
    text = os.fspath(name)
    return text.replace(os.sep, "/") if os.sep != "/" else text


def _file(name: str) -> str:
    return name.rpartition("/")[2]


def _stem(file: str) -> str:
    return file.rpartition(".")[0] or file


def _likeness(name: str, mask: str) -> tuple[int, bool]:
    """How many folders above the file agree, and whether the file suffix does."""
    agree = 0
    for left, right in zip(name.split("/")[-2::-1], mask.split("/")[-2::-1], strict=False):
        if left != right:
            break
        agree += 1
    return agree, _file(name) == _file(mask)
