"""Threads: every item once, results in order or as ready, bounded, and gone when nobody listens."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskstat.executors import threads
from maskstat.executors.threads import map_chunks, usable_cpus

Result = TypeVar("Result")


def running() -> int:
    return sum(thread.name.startswith("maskstat-") for thread in threading.enumerate())


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether something comes true within a time that no healthy machine needs."""
    end = time.monotonic() + 20
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def each(function: Callable[[int], Result]) -> Callable[[Sequence[int]], Iterable[Result]]:
    """Work on a chunk that does this with each of its items."""
    return partial(map, function)


def flat(results: Iterator[list[int]]) -> list[int]:
    return list(itertools.chain.from_iterable(results))


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.integers(), min_size=1, max_size=5), max_size=20),
    st.integers(1, 4),
    st.integers(1, 6),
    st.integers(0, 2**16),
)
def test_results_come_in_order_whatever_order_they_finish_in(
    chunks: list[list[int]], workers: int, window: int, seed: int
) -> None:
    chance = random.Random(seed)

    def double(item: int) -> int:
        if chance.random() < 0.2:
            time.sleep(chance.random() * 0.002)
        return 2 * item

    results = map_chunks(each(double), chunks, workers=workers, window=window)
    assert [r for r in results if r] == [[2 * item for item in chunk] for chunk in chunks]


@settings(max_examples=20)
@given(st.lists(st.lists(st.integers(), min_size=1, max_size=5), max_size=20), st.integers(1, 4))
def test_without_order_every_chunk_comes_once(chunks: list[list[int]], workers: int) -> None:
    results = map_chunks(
        each(lambda item: item + 1), chunks, workers=workers, window=2, in_order=False
    )
    expected = sorted([item + 1 for item in chunk] for chunk in chunks)
    assert sorted(r for r in results if r) == expected


@pytest.mark.parametrize("window", [1, 2])
def test_a_narrow_window_never_blocks_itself(window: int) -> None:
    """Many workers for few slots: the next job in order must always be among those at work."""
    chunks = [[n] for n in range(3000)]
    assert flat(map_chunks(each(int), chunks, workers=8, window=window)) == list(range(3000))


def test_one_slow_item_holds_up_no_others_where_order_does_not_matter() -> None:
    go_on = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            go_on.wait(20)
        return item

    results = map_chunks(each(work), [[n] for n in range(10)], workers=2, in_order=False)
    others = list(itertools.islice((r for r in results if r), 9))
    assert sorted(flat(iter(others))) == list(range(1, 10))
    go_on.set()
    assert [r for r in results if r] == [[0]]


def test_a_result_does_not_wait_for_the_rest_of_a_slow_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "_PATIENCE", 0)
    seen = threading.Event()

    def work(item: int) -> bool:
        return item == 0 or seen.wait(20)

    results = map_chunks(each(work), [[0, 1]], workers=1, in_order=False)
    assert next(r for r in results if r) == [True]
    seen.set()
    assert [r for r in results if r] == [[True]]


@settings(max_examples=20)
@given(st.lists(st.lists(st.integers(), min_size=1, max_size=5), max_size=20), st.integers(1, 4))
def test_slow_chunks_lose_and_repeat_nothing(chunks: list[list[int]], workers: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "_PATIENCE", -1)
        results = map_chunks(each(int), chunks, workers=workers, window=2, in_order=False)
        assert sorted(flat(results)) == sorted(itertools.chain.from_iterable(chunks))


@pytest.mark.parametrize("place", [0, 3, 9])
def test_an_exception_comes_at_its_place_and_ends_it(place: int) -> None:
    def work(item: int) -> int:
        if item == place:
            raise ZeroDivisionError(f"item {item}")
        return item

    results = map_chunks(each(work), [[n] for n in range(10)], workers=3)
    seen: list[int] = []

    def listen() -> None:
        for result in results:
            seen.extend(result)

    with pytest.raises(ZeroDivisionError, match=f"item {place}"):
        listen()
    assert seen == list(range(place))
    assert eventually(lambda: running() == 0)


def test_an_exception_of_the_listing_ends_it_too() -> None:
    def listing() -> Iterator[list[int]]:
        yield [1]
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        list(map_chunks(each(int), listing(), workers=2))
    assert eventually(lambda: running() == 0)


def test_no_more_than_a_window_of_results_is_held() -> None:
    """As long as nobody takes results, work stops at the window."""
    started = []

    def work(item: int) -> int:
        started.append(item)
        return item

    results = map_chunks(each(work), [[n] for n in range(200)], workers=3, window=5)
    first = next(r for r in results if r)
    assert first == [0]
    assert eventually(lambda: len(started) >= 6)
    time.sleep(0.05)  # time enough to run on if nothing held them
    assert len(started) <= 6
    assert flat(results) == list(range(1, 200))


@pytest.mark.parametrize("in_order", [True, False])
@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 4), st.integers(0, 20))
def test_heavy_chunks_are_taken_only_as_there_is_room(
    in_order: bool, weights: list[int], workers: int, room: int
) -> None:
    """What is taken and not yet done with weighs at most `room`, or is a single chunk."""
    lock = threading.Lock()
    held: list[int] = []

    def listing() -> Iterator[list[int]]:
        for weight in weights:
            with lock:
                assert not held or sum(held) <= max(room, *held), "the one before had to wait"
                held.append(weight)
            yield [weight]

    def work(item: int) -> int:
        with lock:
            held.remove(item)
        return item

    results = flat(
        map_chunks(each(work), listing(), workers=workers, in_order=in_order, weigh=sum, room=room)
    )
    assert sorted(results) == sorted(weights)
    assert results == weights or not in_order


@pytest.mark.parametrize("how", ["close", "break", "raise"])
def test_abandoning_it_stops_the_threads(how: str) -> None:
    started = []

    def work(item: int) -> int:
        started.append(item)
        time.sleep(0.001)
        return item

    def use() -> None:
        results = map_chunks(each(work), [[n] * 50 for n in range(10_000)], workers=2)
        for result in results:
            if not result:
                continue
            if how == "raise":
                raise KeyboardInterrupt
            if how == "close":
                results.close()
            break

    if how == "raise":
        with pytest.raises(KeyboardInterrupt):
            use()
    else:
        use()
    assert eventually(lambda: running() == 0)
    assert len(started) < 10_000


def test_while_nothing_is_ready_the_caller_is_woken() -> None:
    go_on = threading.Event()
    results = map_chunks(each(lambda item: go_on.wait(20)), [[0]], workers=1)
    assert next(results) == []
    go_on.set()
    assert [r for r in results if r] == [[True]]


def test_threads_go_when_all_is_done() -> None:
    assert flat(map_chunks(each(int), [[1, 2], [3]], workers=4)) == [1, 2, 3]
    assert flat(map_chunks(each(int), [], workers=4)) == []
    assert eventually(lambda: running() == 0)


def test_usable_cpus() -> None:
    assert usable_cpus() >= 1
