"""How far a command is, on a terminal; pipes and logs are told nothing."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maskstat.scanning.recording import Progress


@contextmanager
def progress_bar(doing: str) -> Iterator[Callable[[Progress], None] | None]:
    """A progress bar on stderr where that is a terminal; it goes when all is done."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn(doing), BarColumn(), TextColumn("{task.fields[far]}"))
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=None, far="looking for masks")

        def show(progress: Progress) -> None:
            if progress.done < bar.tasks[task].completed:  # the next split
                bar.reset(task)
            bar.update(task, total=progress.total, completed=progress.done)
            now = bar.tasks[task]
            bar.update(task, far=how_far(progress, now.elapsed or 0, now.time_remaining))

        yield show


@contextmanager
def search_bar() -> Iterator[Callable[[int, int], None] | None]:
    """As `progress_bar`, of searches; before the first one on a machine, that it compiles."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    from maskstat.api.splitting import starts_at_once
    from maskstat.cli.options import say

    if not starts_at_once():
        say("compiling the search, once on this machine: some ten seconds")
    columns = (TextColumn("searching"), BarColumn(), TextColumn("{task.fields[far]}"))
    with Bar(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("searching", total=None, far="")

        def show(done: int, of: int) -> None:
            if of > 1:  # one has no middle that is known
                bar.update(task, total=of, completed=done, far=f"{done:,}/{of:,} searches")

        yield show


def how_far(progress: Progress, elapsed: float, left: float | None) -> str:
    """Masks, how fast they are, failures, and the seconds that are left where that is known; or
    what is being done instead."""
    if progress.doing:
        return progress.doing
    of = "" if progress.total is None else f"/{progress.total:,}"
    parts = [f"{progress.done:,}{of} masks"]
    if elapsed > 0.2 and progress.done:
        rate = progress.done / elapsed
        parts.append(f"{f'{rate:,.0f}' if rate >= 10 else f'{rate:.2g}'} masks/s")
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    if left is not None and progress.done != progress.total:
        minutes, seconds = divmod(math.ceil(left), 60)
        hours, minutes = divmod(minutes, 60)
        clock = f"{minutes:02}:{seconds:02}"
        parts.append(f"{f'{hours}:{clock}' if hours else clock} left")
    return ", ".join(parts)
