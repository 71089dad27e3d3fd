"""The recorder: what it takes in is in the store, however it ends."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from maskstat.errors import StrictError
from maskstat.readers import formats
from maskstat.readers.options import ReadOptions
from maskstat.scanning import recording
from maskstat.scanning.changes import Changes, Pending
from maskstat.scanning.counting import Counter, Outcome
from maskstat.scanning.listing import Listing
from maskstat.scanning.recording import Progress, Recorder
from maskstat.scanning.resuming import resumed
from maskstat.sources.base import Selection
from maskstat.sources.opening import open_source
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog
from maskstat.values.histogram import ClassHistogram
from tests.support.scan_cases import grey_png, write

CLASSES = ClassCatalog.numbered(4)
COUNT = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Mask n has n + 1 pixels; the last one is broken."""
    where = tmp_path_factory.mktemp("recorded")
    for number in range(COUNT - 1):
        write(where / f"{number:02}.png", grey_png([[number % 4] * (number + 1)]))
    write(where / f"{COUNT - 1:02}.png", b"broken")
    return where


class Stages:
    """The stages before a recorder, on a store in memory."""

    def __init__(self, folder: Path):
        source = open_source(folder, Selection(suffixes=formats.SUFFIXES))
        self.store = Store.in_memory()
        self.target = resumed(self.store, source, None, CLASSES, {})
        self.pending = Pending(
            self.store, self.target, Listing(source), refuses=lambda _: False, rescan=False
        )
        self.recorder = Recorder(self.store, self.target, self.pending)
        self.closed = False

    def outcomes(self, chunk: int = 3) -> Generator[Sequence[Outcome], None, None]:
        counter = Counter(ReadOptions())
        entries = list(self.pending.entries(by_name=True))
        try:
            for at in range(0, len(entries), chunk):
                yield [*counter(entries[at : at + chunk])]
        finally:
            self.closed = True

    def stored(self) -> ClassHistogram:
        total = ClassHistogram.empty(CLASSES)
        for table in self.store.tables(self.target.info):
            total += ClassHistogram.of(CLASSES, table)
        return total


@pytest.mark.parametrize("chunk", [1, 5, 100])
@pytest.mark.parametrize("flush", [1, 4, 4096])
def test_all_that_it_takes_in_is_committed(
    folder: Path, chunk: int, flush: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "FLUSH_MASKS", flush)
    stages, seen = Stages(folder), list[Progress]()
    stages.recorder.take_in(stages.outcomes(chunk), on_progress=seen.append)
    info = stages.recorder.finish()
    total = stages.stored()
    pixels = COUNT * (COUNT - 1) // 2
    assert (total.mask_count, total.total_pixels) == (COUNT - 1, pixels)
    assert info.complete
    assert stages.store.totals(info, CLASSES) == total  # added up on the way
    assert [failure.mask for failure in stages.store.failures(info)] == [f"{COUNT - 1:02}.png"]
    assert seen[-1] == Progress(COUNT, COUNT, 1, pixels)
    assert stages.pending.changes(stages.recorder.lost) == Changes(new=COUNT)


@pytest.mark.parametrize("after", [1, 4, 8])
def test_an_interrupt_keeps_what_was_counted(folder: Path, after: int) -> None:
    stages = Stages(folder)

    def interrupt(progress: Progress) -> None:
        if progress.done >= after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stages.recorder.take_in(stages.outcomes(1), on_progress=interrupt)
    assert stages.closed
    assert stages.stored().mask_count == after
    assert not stages.store.find().complete


def test_strict_ends_at_the_first_failure_and_keeps_what_was_counted(folder: Path) -> None:
    stages = Stages(folder)
    with pytest.raises(StrictError, match=f"{COUNT - 1:02}.png: "):
        stages.recorder.take_in(stages.outcomes(), strict=True)
    assert stages.closed
    assert stages.stored().mask_count == COUNT - 1
    assert [failure.mask for failure in stages.store.failures(stages.target.info)] == [
        f"{COUNT - 1:02}.png"
    ]
