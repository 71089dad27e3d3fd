"""What to type next: said on a terminal, below a table, where there is one such thing and it works.

Nothing is said to pipes, beside JSON, or where what comes next depends on what somebody wants.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from maskstat.cli.options import database, say
from maskstat.naming import counted, printable

if TYPE_CHECKING:
    from maskstat.api.scan import Scan
    from maskstat.scanning.stored_scan import StoredScan


def reads_along() -> bool:
    """Whether somebody reads a terminal."""
    return sys.stdout.isatty()


def say_next(*commands: str) -> None:
    """Say on stderr what to type next, to somebody who reads the table above it on a terminal."""
    if not reads_along():
        return
    for place, command in enumerate(commands):
        say(("\nNext:  " if place == 0 else "       ") + printable(command))


def after_counts(scan: Scan, options: str, *, weights_only: bool = False) -> list[str]:
    """What comes after a look at counts: weights where they can be had, else what is wrong."""
    weights = [f"maskstat weights{options} -o weights.json"] if may_be_weighed(scan) else []
    if weights_only:
        return weights
    reported = weights and not scan.is_multilabel
    report = [f"maskstat report{options} -o report.html"] if reported else []
    return [*weights, f"maskstat check{options}", *report]


def may_be_weighed(scan: Scan) -> bool:
    """Whether the command that is offered would give weights."""
    from maskstat.errors import MaskstatError

    try:
        scan.weights()
    except MaskstatError:
        return False
    return True


def say_left_out(scan: StoredScan, options: str) -> None:
    """Say on stderr, as the last line, that the exit code is 0 though pixels are left out."""
    if unlisted := scan.histogram.unlisted_pixels:
        say(
            f"exit code 0: {counted(unlisted, 'unlisted pixel')} left out;"
            f" 'maskstat check{printable(options)}' says which"
        )


def voxels_differ(scan: StoredScan, command: str) -> list[str]:
    """What to say on stderr where voxels differ in size; `command` shows shares of volume."""
    counts = scan.histogram
    voxels = counts.voxels
    if not voxels.differ or scan.is_multilabel or voxels.masks < counts.mask_count:
        return []
    from maskstat.render.terminal.tables import voxel_words

    return [
        f"voxels of {printable(scan.name)} measure {voxel_words(asdict(voxels))}, so shares of"
        f" pixels are not shares of volume: '{printable(command)}' has these"
    ]


def other_split(db: Path | None, scan: StoredScan) -> str | None:
    """The name of a scan that is another split of what this one is a split of; the latest."""
    from maskstat.scanning.choosing import split_names, splits_beside
    from maskstat.store.store import Store

    with Store.open(database(db)) as store:
        others = [one for one in split_names(splits_beside(store, scan.info)) if one != scan.name]
    return others[-1] if others else None
