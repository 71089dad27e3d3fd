"""Counting a chunk: each mask as by itself, on a thread and as what travels to a worker."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from maskstat.errors import MaskError
from maskstat.executors.base import Executor
from maskstat.executors.chunking import chunked
from maskstat.executors.threads import ThreadExecutor
from maskstat.kernels import engine
from maskstat.readers import formats
from maskstat.readers.options import ReadOptions
from maskstat.scanning import counting, measuring
from maskstat.scanning.counting import Counter
from maskstat.scanning.measuring import Measured, Measurer, Profiler
from maskstat.sources.base import Entry, FileEntry
from maskstat.store.records import Failure, StoredMask
from maskstat.values.catalog import ClassCatalog
from tests.support.scan_cases import grey_png, npy, pixels_of, write
from tests.support.source_cases import entries_of

CLASSES = ClassCatalog.numbered(7)
MEASURER = Measurer(CLASSES, [Profiler(CLASSES, 4)])


@pytest.fixture
def entries(tmp_path: Path) -> list[Entry]:
    for number in range(8):
        write(tmp_path / f"{number}.png", grey_png(pixels_of(number)))
    write(tmp_path / "8.npy", npy(pixels_of(8)))
    write(tmp_path / "broken.png", b"")
    return sorted(entries_of(tmp_path).values(), key=lambda entry: entry.name)


def rows(outcomes: object) -> list[object]:
    """What is stored of outcomes, without what was measured."""
    found: list[object] = []
    for outcome in outcomes:  # type: ignore[attr-defined]
        one = outcome.outcome if isinstance(outcome, Measured) else outcome
        if isinstance(one, StoredMask):
            counts = dict(zip(one.tally.values.tolist(), one.tally.counts.tolist(), strict=True))
            found.append((one.tally.name, one.tally.shape, counts, one.size, one.stamp))
        else:
            found.append(one)
    return found


@pytest.mark.parametrize("measurer", [None, MEASURER])
def test_a_chunk_is_its_masks_one_by_one_here_and_elsewhere(
    entries: list[Entry], measurer: Measurer | None
) -> None:
    counter = Counter(ReadOptions(), measurer)
    one_by_one = rows(map(Counter(ReadOptions()).count, entries))
    assert [type(one) for one in one_by_one] == [tuple] * 9 + [Failure]
    assert rows(counter(entries)) == one_by_one
    call = pickle.loads(pickle.dumps(counter.to_send(entries, 1)))
    came_back = counter.received([*pickle.loads(pickle.dumps(call()))])
    assert rows(came_back) == one_by_one
    on_threads: Executor = ThreadExecutor(3)
    outcomes = on_threads.outcomes(counter, chunked(entries, on_threads.sizes), in_order=True)
    assert rows(one for chunk in outcomes for one in chunk) == one_by_one


def test_what_was_measured_comes_when_it_is_late_or_is_the_rest(
    entries: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Counter(ReadOptions(), MEASURER)
    assert counter.bulky and not Counter(ReadOptions()).bulky
    MEASURER.rest()
    for seconds, expected in ((60.0, []), (-1.0, list(range(9)))):
        monkeypatch.setattr(measuring, "PART_SECONDS", seconds)
        found = list(counter(entries))
        measured = [at for at, one in enumerate(found) if isinstance(one, Measured)]
        assert measured == expected
        parts = [one.parts[0] for one in found if isinstance(one, Measured)]
        parts += [rest[0] for rest in MEASURER.rest()]
        assert [mask.name for part in parts for mask in part.masks] == [
            entry.name for entry in entries[:-1]
        ]


def test_large_files_are_read_in_pieces_and_not_measured(
    entries: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = rows(Counter(ReadOptions())(entries[8:9]))
    monkeypatch.setattr(counting, "STREAM_ABOVE", entries[8].size - 1)

    def load(_: FileEntry) -> bytes:
        raise AssertionError("read whole")

    monkeypatch.setattr(FileEntry, "load", load)
    MEASURER.rest()
    assert rows(Counter(ReadOptions(), MEASURER)(entries[8:9])) == expected
    ((part,),) = MEASURER.rest()
    (mask,) = part.masks
    assert mask.reason is not None and mask.reason.startswith("larger than the 0 MiB")


@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MaskError("wrong CRC"), "wrong CRC"),
        (PermissionError(13, "Permission denied"), "can't be read: Permission denied"),
        (MemoryError(), "not enough memory to decode it"),
    ],
)
def test_why_a_mask_has_no_counts(
    entries: list[Entry], error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_tally(*_: object) -> None:
        raise error

    monkeypatch.setattr(formats, "read_tally", read_tally)
    assert [*Counter(ReadOptions())(entries[:1])] == [Failure("0.png", reason)]


@pytest.mark.parametrize("name", ["announce", "prepare"])
def test_kernels_hear_how_much_there_is_to_do(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """All of them where pixels are measured."""
    heard: list[tuple[int, int]] = []
    monkeypatch.setattr(counting, name, lambda *much: heard.append(much))
    assert getattr(counting, name) is not getattr(engine, name)
    Counter(ReadOptions(), MEASURER if name == "prepare" else None).expect(3, 4000)
    assert heard == [(3, 4000)]


def test_a_mask_that_kills_its_workers_has_failed(entries: list[Entry]) -> None:
    failure = Counter(ReadOptions()).lost(entries[0])
    assert (failure.mask, failure.reason[:31]) == ("0.png", "each worker that read it died: ")


def test_a_mask_that_kills_while_it_is_measured_is_counted(entries: list[Entry]) -> None:
    """It is left out of the profile, and nothing looks at its pixels."""
    counter = Counter(ReadOptions(), MEASURER)
    spared = counter.spared(entries[:1])
    assert spared is not None
    (found,) = pickle.loads(pickle.dumps(spared))()
    assert isinstance(found, Measured)
    assert rows([found]) == rows(Counter(ReadOptions())(entries[:1]))
    (left_out,) = found.parts[0].masks
    assert left_out.reason == "each worker that measured it died: it took too much memory"
    assert Counter(ReadOptions()).spared(entries[:1]) is None
