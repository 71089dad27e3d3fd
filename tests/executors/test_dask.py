"""What goes to workers and comes back: in order or as ready, bounded, and in columns."""

from __future__ import annotations

import itertools
import json
import pickle
import random
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.api.making import scan
from maskstat.errors import ClusterError, MaskError, MissingExtraError, SourceError
from maskstat.executors import clusters, dask
from maskstat.executors.chunking import chunked
from maskstat.executors.clusters import Cluster, cluster_at
from maskstat.readers.options import ReadOptions
from maskstat.readers.panoptic import load_panoptic
from maskstat.regions.profile_bytes import to_bytes
from maskstat.scanning.counting import Counter, Outcomes
from maskstat.scanning.mask_reader import Reader
from maskstat.scanning.measuring import Measured, Measurer, ProfilePart, Profiler
from maskstat.scanning.worker_chunks import Unseen
from maskstat.store.records import Failure, StoredMask
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import Encoding, MaskTally
from tests.support.cluster_cases import Doubling, Failing, MemoryOfWorker, processes
from tests.support.packages import needs
from tests.support.scan_cases import GREY, grey_png, pixels_of, write
from tests.support.source_cases import entries_of
from tests.support.work_cases import Number, Sent, Squares

pytestmark = [
    needs("distributed", "needs maskstat[dask]"),
    pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by signals here"),
]

THREADS = 2


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with (
        processes(tmp_path_factory.mktemp("cluster"), workers=THREADS) as running,
        cluster_at(running.address, workers=1) as found,
    ):
        while found.threads() < THREADS:
            threading.Event().wait(0.05)
        yield found


def lost(number: int) -> int:
    raise AssertionError(f"{number} is not lost")


def slow_for_some(numbers: Sequence[int]) -> Doubling:
    return Doubling(tuple(numbers), random.Random(numbers[0]).random() * 0.03)


# --- the way there and back --------------------------------------------------------------------


@pytest.mark.parametrize("in_order", [True, False])
def test_every_chunk_comes_once(cluster: Cluster, in_order: bool) -> None:
    chunks = [[number, number + 1] for number in range(0, 60, 2)]
    expected = [[2 * number for number in chunk] for chunk in chunks]
    results = dask.map_chunks(cluster, slow_for_some, chunks, lost=lost, in_order=in_order)
    found = [result for result in results if result]
    assert (found if in_order else sorted(found)) == expected


def test_workers_keep_to_their_memory(cluster: Cluster) -> None:
    """What the user says, or half of the worker's own limit."""

    def found(held: int | None) -> list[tuple[int, int]]:
        results = dask.map_chunks(
            cluster, lambda _: MemoryOfWorker(), [[1], [2]], lost=lambda _: (0, 0), held=held
        )
        return [*itertools.chain.from_iterable(results)]

    assert [limit for limit, _ in found(7 << 20)] == 2 * [7 << 20]
    assert all(limit == own // 2 > 0 for limit, own in found(None))


@pytest.mark.parametrize("in_order", [True, False])
def test_no_more_is_in_flight_than_fits(
    cluster: Cluster, in_order: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tasks a thread, however slow who takes the results; chunks are not even listed before."""
    most, taken, given_out, in_flight = 2 * THREADS, 0, 0, []
    real = Cluster.submit

    def submit(self: Cluster, *arguments: object) -> object:
        in_flight.append(taken - given_out)
        return real(self, *arguments)  # type: ignore[arg-type]

    def chunks() -> Iterator[list[int]]:
        nonlocal taken
        for number in range(40):
            yield [number]
            taken += 1

    monkeypatch.setattr(Cluster, "submit", submit)
    for result in dask.map_chunks(cluster, slow_for_some, chunks(), lost=lost, in_order=in_order):
        given_out += len(result)
        assert taken - given_out <= most
        threading.Event().wait(0.005 * (given_out % 3))
    assert given_out == len(in_flight) == 40
    assert max(in_flight) == most - 1  # and one more is sent: what fits is used, too


def test_no_more_bytes_are_in_flight_than_fit(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heavy tasks go one by one where two do not fit, and one that fits nowhere goes alone."""
    real_submit, real_result = Cluster.submit, Cluster.result
    held: list[int] = []
    weights: dict[object, int] = {}

    def submit(self: Cluster, function: object, versions: object, parcel: bytes) -> object:
        future = real_submit(self, function, versions, parcel)  # type: ignore[arg-type]
        weights[future.key] = len(parcel)
        held.append(sum(weights.values()))
        return future

    def result(self: Cluster, future: object) -> object:
        found = real_result(self, future)  # type: ignore[arg-type]
        del weights[future.key]  # type: ignore[attr-defined]
        return found

    def call(numbers: Sequence[int]) -> Doubling:
        return Doubling(tuple(numbers), 0.01, bytes(numbers[0]))

    monkeypatch.setattr(Cluster, "submit", submit)
    monkeypatch.setattr(Cluster, "result", result)
    sizes = [60_000, 60_000, 10_000, 10_000, 10_000, 300_000, 60_000, 10_000] * 2
    room = 100_000
    results = dask.map_chunks(cluster, call, [[size] for size in sizes], lost=lost, room=room)
    assert [*itertools.chain.from_iterable(results)] == [2 * size for size in sizes]
    assert len(held) == len(sizes)
    alone = 300_000
    assert max(total for total in held if total < alone) > 60_000  # several where they fit
    assert all(total <= room or alone < total < alone + 1000 for total in held)


def test_what_a_call_raises_is_raised_here(cluster: Cluster) -> None:
    with pytest.raises(ZeroDivisionError, match="no number"):
        list(
            dask.map_chunks(
                cluster, lambda _: Failing(ZeroDivisionError("no number")), [[1]], lost=lost
            )
        )
    missing = MissingExtraError("needs x", remedy='pip install "maskstat[x]"')
    with pytest.raises(MissingExtraError, match=r'worker tcp://.*: needs x; pip install "maskst'):
        list(dask.map_chunks(cluster, lambda _: Failing(missing), [[1]], lost=lost))


def test_a_worker_of_another_version_counts_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that joined after the cluster was looked at."""
    monkeypatch.setattr(dask, "versions", lambda: ("99.0", "3.99"))
    text = r"worker tcp://.* has maskstat .*, while this is .*install the same on all machines"
    with pytest.raises(ClusterError, match=text):
        list(dask.map_chunks(cluster, slow_for_some, [[1]], lost=lost))


def test_what_cannot_travel_is_said(cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match=r"can't be sent to another machine: .*; scan it with"):
        list(dask.map_chunks(cluster, lambda _: lambda: [1], [[1]], lost=lost))


def test_an_exception_of_the_listing_ends_it(cluster: Cluster) -> None:
    def listing() -> Iterator[list[int]]:
        yield [1]
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        list(dask.map_chunks(cluster, slow_for_some, listing(), lost=lost))


def test_versions_name_the_package_and_python() -> None:
    text = str(clusters.unfit(("0.0.1", "3.9"), where="worker w"))
    assert text.startswith("worker w: has maskstat 0.0.1 on Python 3.9, while this is ")


# --- who is to blame ---------------------------------------------------------------------------


class MadeUpFuture:
    """One that is done at once."""

    def __init__(self, cluster: MadeUpCluster, key: int, result: list[Any] | None):
        self.cluster, self.key, self.found = cluster, key, result
        # What was finished may be lost with its worker, and kill others before it is fetched.
        late = cluster.unlucky.random() < 0.5
        self.status = "error" if result is None and not late else "finished"

    def add_done_callback(self, callback: Callable[[MadeUpFuture], None]) -> None:
        callback(self)

    def exception(self) -> BaseException:
        from distributed import KilledWorker
        from distributed.scheduler import WorkerState

        return KilledWorker(f"{self.key}", WorkerState.__new__(WorkerState), 3)

    def release(self) -> None:
        self.cluster.in_flight.remove(self.key)


class MadeUpCluster:
    """Workers that die of some numbers, and now and then take along what was beside them."""

    def __init__(self, deadly: set[int], unlucky: random.Random):
        self.deadly, self.unlucky = deadly, unlucky
        self.in_flight: list[int] = []
        self.at_once: set[int] = set()
        self.sent = 0

    def threads(self) -> int:
        return 3

    def submit(self, _: object, __: object, parcel: bytes) -> MadeUpFuture:
        call: Doubling | Sent = pickle.loads(parcel)
        self.at_once |= {call.at_once} if isinstance(call, Sent) else set()
        beside = bool(self.in_flight) and self.unlucky.random() < 0.3
        dies = beside or not self.deadly.isdisjoint(call.numbers)
        self.sent += 1
        self.in_flight.append(self.sent)
        return MadeUpFuture(self, self.sent, None if dies else call())

    def result(self, future: MadeUpFuture) -> list[Any] | None:
        if future.found is None:
            raise future.exception()
        return future.found


@given(
    st.integers(0, 40), st.integers(1, 7), st.sets(st.integers(0, 40)), st.integers(), st.booleans()
)
def test_only_those_are_lost_that_kill_alone(
    numbers: int, chunk: int, deadly: set[int], seed: int, in_order: bool
) -> None:
    cluster = MadeUpCluster(deadly, random.Random(seed))
    chunks = [[*range(at, min(at + chunk, numbers))] for at in range(0, numbers, chunk)]
    results = dask.map_chunks(
        cluster,  # type: ignore[arg-type]
        lambda items: Doubling(tuple(items)),
        chunks,
        lost=lambda number: -1 - number,
        in_order=in_order,
    )
    found = [*itertools.chain.from_iterable(results)]
    expected = [-1 - number if number in deadly else 2 * number for number in range(numbers)]
    assert (found if in_order else sorted(found)) == (expected if in_order else sorted(expected))
    assert cluster.in_flight == []


def test_less_is_tried_before_a_task_is_lost() -> None:
    """Of what kills alone: 7 can still be done with less, 8 cannot."""
    cluster = MadeUpCluster({7, 8}, random.Random(1))
    results = dask.map_chunks(
        cluster,  # type: ignore[arg-type]
        lambda items: Doubling(tuple(items)),
        [[5, 6, 7, 8, 9]],
        lost=lambda number: -1 - number,
        less_of=lambda items: None if 8 in items else Doubling((100 + items[0],)),
    )
    assert [*itertools.chain.from_iterable(results)] == [10, 12, 214, -9, 18]


@given(
    st.lists(st.integers(0, 99), max_size=80, unique=True),
    st.sets(st.integers(0, 99), max_size=5),
    st.booleans(),
    st.booleans(),
)
def test_the_executor_gives_what_the_work_gives_here(
    values: list[int], deadly: set[int], remote: bool, in_order: bool
) -> None:
    """Unpacked; what is lost is what the work says of it, and nobody here expects work."""
    cluster = MadeUpCluster(deadly, random.Random(0))
    executor = dask.DaskExecutor(cluster, remote)  # type: ignore[arg-type]
    work = Squares()
    chunks = chunked(map(Number, values), executor.sizes)
    found = [*itertools.chain.from_iterable(executor.outcomes(work, chunks, in_order=in_order))]
    expected = [-1 - value if value in deadly else value**2 for value in values]
    assert (found if in_order else sorted(found)) == (expected if in_order else sorted(expected))
    assert cluster.at_once <= {dask.READS if remote else 1}
    assert cluster.in_flight == work.expected == []


# --- outcomes in columns -----------------------------------------------------------------------


def tally_of(name: str, counts: dict[int, int], encoding: Encoding) -> MaskTally:
    values = np.array(sorted(counts), np.int64)
    pixels = np.array([counts[value] for value in values.tolist()], np.int64)
    return MaskTally(name, (1, int(pixels.sum())), encoding, values, pixels)


encodings = st.sampled_from([GREY, Encoding("tiff", "int", 64, "page 2"), GREY.lossy()])
counts = st.dictionaries(st.integers(-(2**63), 2**63 - 1), st.integers(1, 2**40), max_size=5)
marks = st.one_of(st.integers(0, 2**63 - 1), st.text(max_size=5))
masks = st.tuples(st.text(max_size=8), counts, encodings, st.integers(0, 2**40), marks)


def plain(outcome: StoredMask | Failure | Measured | Unseen[Failure]) -> object:
    if not isinstance(outcome, StoredMask):
        return outcome
    tally = outcome.tally
    assert tally.values.dtype == tally.counts.dtype == np.int64
    assert type(outcome.tally.shape[0]) is type(outcome.size) is int
    return (
        tally.name,
        tally.shape,
        tally.encoding,
        tally.values.tolist(),
        tally.counts.tolist(),
        outcome.size,
        outcome.stamp,
    )


@given(st.lists(masks, max_size=6), st.lists(st.tuples(st.text(), st.text()), max_size=3))
def test_outcomes_arrive_as_they_were(
    drawn: list[tuple[str, dict[int, int], Encoding, int, int | str]],
    failed: list[tuple[str, str]],
) -> None:
    stored = [
        StoredMask(tally_of(name, found, encoding), size, stamp)
        for name, found, encoding, size, stamp in drawn
    ]
    failures = [Failure(*words) for words in failed]
    unseen = [Unseen(failure, "/file", "node") for failure in failures[:1]]
    outcomes = Outcomes([*stored, *failures], None, unseen)
    arrived = pickle.loads(pickle.dumps(outcomes))
    assert [plain(one) for one in arrived] == [plain(one) for one in outcomes]
    again = pickle.loads(pickle.dumps(arrived))
    assert [plain(one) for one in again] == [plain(one) for one in outcomes]


def test_a_mask_takes_few_bytes_on_its_way_back() -> None:
    stored = [
        StoredMask(tally_of(f"{n:06}.png", dict.fromkeys(range(10), 1000 + n), GREY), 5000, n)
        for n in range(1000)
    ]
    assert len(pickle.dumps(Outcomes(stored))) < 80 * len(stored)


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_chunk_counts_and_measures_as_single_masks_do(tmp_path: Path, at_once: int) -> None:
    for number in range(10):
        write(tmp_path / f"{number}.png", grey_png(pixels_of(number)))
    write(tmp_path / "broken.png", b"")
    entries = list(entries_of(tmp_path).values())
    catalog = ClassCatalog.numbered(7)
    counter = Counter(ReadOptions(), Measurer(catalog, [Profiler(catalog, 4)]), 1 << 20)
    call = pickle.loads(pickle.dumps(counter.to_send(entries, at_once)))
    found = list(pickle.loads(pickle.dumps(call())))
    assert isinstance(found[-1], Measured)
    (part,) = found[-1].parts
    assert isinstance(part, ProfilePart)
    outcomes = [one.outcome if isinstance(one, Measured) else one for one in found]
    plain_counter = Counter(ReadOptions(), None, 1 << 20)
    expected = [*plain_counter(entries)]
    assert sorted(map(repr, map(plain, outcomes))) == sorted(map(repr, map(plain, expected)))
    assert sorted(mask.name for mask in part.masks) == sorted(f"{n}.png" for n in range(10))
    one_by_one = Measurer(catalog, [Profiler(catalog, 4)])
    for entry in entries:
        if entry.size:
            one_by_one.read(entry, Reader(ReadOptions()))
    (whole,) = one_by_one.rest()
    assert to_bytes(part.total.profile()) == to_bytes(whole[0].total.profile())


def test_a_worker_that_does_not_see_the_files_is_no_reason_to_list_them_as_failed(
    tmp_path: Path,
) -> None:
    here, gone = (write(tmp_path / f"{n}.png", grey_png(pixels_of(n))) for n in range(2))
    entries = list(entries_of(tmp_path).values())
    here.unlink()
    gone.unlink()
    counter = Counter(ReadOptions())
    outcomes = [*counter.to_send(entries, 1)()]
    assert [type(one) for one in outcomes] == [Unseen, Unseen]
    settled = counter.received(outcomes)
    reason = "can't be read: No such file or directory"
    assert settled == [Failure("0.png", reason), Failure("1.png", reason)]
    here.write_bytes(b"there it is")
    with pytest.raises(ClusterError, match=r"0\.png: the worker on .* does not see this file; mas"):
        counter.received(outcomes)


def test_memory_of_this_process_is_not_read_by_others() -> None:
    with pytest.raises(SourceError, match="is in the memory of this process alone; scan it with"):
        scan("memory://masks", executor="dask", scheduler="tcp://127.0.0.1:1")


# --- what options take along -------------------------------------------------------------------


@given(st.sets(st.integers(0, 5), max_size=6), st.booleans())
def test_a_part_of_a_panoptic_file_says_the_same_of_its_masks(
    tmp_path_factory: pytest.TempPathFactory, wanted: set[int], below: bool
) -> None:
    annotations = [
        {
            "file_name": f"{n}.png",
            "segments_info": [{"id": 1 + n * k, "category_id": k} for k in range(n)],
        }
        for n in range(6)
        if n != 1
    ]
    document = {"annotations": annotations, "categories": [{"id": k} for k in range(6)]}
    path = tmp_path_factory.getbasetemp() / "panoptic.json"
    if not path.exists():
        write(path, json.dumps(document).encode())
    whole = load_panoptic(str(path))
    names = [f"{'a/' * below}{n}.png" for n in sorted(wanted)]
    part = whole.of_masks(names)
    assert part.digest == whole.digest
    for name in names:
        ids = np.array([(1 + 2 * k) << 16 for k in range(3)], np.int64)
        ones = np.ones(3, np.int64)
        try:
            expected: object = whole.categories_of(name, ids, ones).tolist()
        except MaskError as error:
            expected = str(error)
        try:
            found: object = part.categories_of(name, ids, ones).tolist()
        except MaskError as error:
            found = str(error)
        assert found == expected


# --- a local cluster ---------------------------------------------------------------------------


def test_workers_that_are_gone_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are started again at each look, and not waited for for ever."""
    monkeypatch.setattr(clusters, "LOCAL_SECONDS", 0.0)
    monkeypatch.setattr(clusters, "_LOOK_SECONDS", 0.0)
    asked: list[tuple[object, ...]] = []
    loop = SimpleNamespace(add_callback=lambda *call: asked.append(call))
    local: Any = SimpleNamespace(loop=loop)
    client: Any = SimpleNamespace(status="running", nthreads=dict)
    made = Cluster(client, "local cluster", local)
    text = "^local cluster: all of its workers died, and none could be started again; what was"
    assert made.threads() == 0
    with pytest.raises(ClusterError, match=text):
        list(iter(made.threads, None))
    assert asked[0] == (clusters._reopened, local)


@pytest.mark.parametrize("killed", [2, 3])
def test_workers_that_are_killed_while_they_start(killed: int) -> None:
    """By chance: then again; each time: no cluster, and both reasons that there may be."""
    starts = itertools.count(1)

    def kind(**_: object) -> Any:
        if next(starts) <= killed:
            raise RuntimeError("Nanny failed to start.")
        return "a cluster"

    if killed == 2:
        assert clusters._start(kind, 2) == "a cluster"
    else:
        text = r"can be started: Nanny .*; in a script, .*; elsewhere its workers were killed, and"
        with pytest.raises(ClusterError, match=text):
            clusters._start(kind, 2)
