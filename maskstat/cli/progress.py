"""How far a command is, on a terminal."""

from __future__ import annotations

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
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn(doing),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("masks{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=None, rate="")

        def show(progress: Progress) -> None:
            if progress.done < bar.tasks[task].completed:  # the next split
                bar.reset(task, rate="")
            elapsed = bar.tasks[task].elapsed or 0
            rate = ""
            if elapsed > 0.2:
                megapixels = progress.pixels / elapsed / 1e6
                rate = f", {progress.done / elapsed:,.0f} masks/s, {megapixels:,.0f} MPix/s"
            if progress.failed:
                rate += f", {progress.failed:,} failed"
            bar.update(task, total=progress.total, completed=progress.done, rate=rate)

        yield show
