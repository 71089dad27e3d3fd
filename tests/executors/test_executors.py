"""Executors are one interface: outcomes are those of doing all of it here and now."""

from __future__ import annotations

import gc
import sys
import threading
import time
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.errors import ParameterError
from maskstat.executors import threads
from maskstat.executors.base import Executor
from maskstat.executors.chunking import chunked
from maskstat.executors.opening import COLLECT_EVERY, MAX_WORKERS, SWITCH_SECONDS, ExecutorChoice
from maskstat.executors.threads import ThreadExecutor, usable_cpus
from tests.support.work_cases import Number, Squares

numbers = st.lists(st.builds(Number, st.integers(0, 99), st.integers(0, 1 << 22)), max_size=90)


def done(executor: Executor, work: Squares, items: list[Number], *, in_order: bool) -> list[int]:
    """All outcomes."""
    chunks = chunked(items, executor.sizes)
    return [*chain.from_iterable(executor.outcomes(work, chunks, in_order=in_order))]


@given(numbers, st.integers(1, 4), st.booleans(), st.booleans(), st.booleans())
def test_threads_give_what_the_work_gives_here(
    items: list[Number], workers: int, remote: bool, bulky: bool, in_order: bool
) -> None:
    work = Squares(bulky)
    here = [*work(items)]
    found = done(ThreadExecutor(workers, remote), work, items, in_order=in_order)
    assert (found if in_order else sorted(found)) == (here if in_order else sorted(here))
    # Once, whatever the number of chunks.
    assert work.expected == [(len(items), sum(item.size for item in items))]


def test_few_items_wait_for_a_network_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ThreadExecutor(2, remote=True).sizes.items < ThreadExecutor(2).sizes.items
    monkeypatch.setattr(threads, "CHUNK_FILES", 3)
    assert [len(c) for c in chunked([Number(1)] * 8, ThreadExecutor(2).sizes)] == [3, 3, 2]


@pytest.mark.parametrize("bulky", [True, False])
def test_few_bulky_outcomes_wait(bulky: bool) -> None:
    begun: list[int] = []
    lock = threading.Lock()

    class Noticed(Squares):
        def __call__(self, items):  # type: ignore[no-untyped-def]
            with lock:
                begun.append(len(items))
            return super().__call__(items)

    chunks = [[Number(n)] for n in range(40)]
    outcomes = ThreadExecutor(2).outcomes(Noticed(bulky), chunks, in_order=True)
    assert next(one for one in outcomes if one) == [0]
    end = time.monotonic() + 20
    most = threads.BULKY_WINDOW * 2 + 1 if bulky else len(chunks)
    while len(begun) < most and time.monotonic() < end:
        time.sleep(0.002)
    time.sleep(0.05)  # time enough to run on if nothing held them
    assert len(begun) == most
    assert [*chain.from_iterable(outcomes)] == [n * n for n in range(1, 40)]


# --- what is asked -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spread", "parameter", "text"),
    [
        ({"workers": 0}, "workers", "at least one worker"),
        ({"workers": MAX_WORKERS + 1}, "workers", "at most 1,024, not 1,025"),
        (
            {"executor": "threats"},
            "executor",
            "'threats' is not one of threads, dask; did you mean threads",
        ),
        ({"scheduler": "tcp://h:1"}, "scheduler", "goes with executor='dask'"),
        ({"executor": "dask", "scheduler": "h"}, "scheduler", "an address is like tcp://"),
        (
            {"executor": "dask", "scheduler": "h:1", "workers": 2},
            "workers",
            "the one of scheduler has its own workers",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(
    spread: dict[str, str | int], parameter: str, text: str
) -> None:
    with pytest.raises(ParameterError, match=text) as caught:
        ExecutorChoice(**spread)  # type: ignore[arg-type]
    assert caught.value.parameter == parameter


@pytest.mark.parametrize(
    ("workers", "reads", "expected"),
    [
        (None, None, ThreadExecutor(usable_cpus())),
        (None, 500, ThreadExecutor(500, remote=True)),
        (3, None, ThreadExecutor(3)),
        (3, 500, ThreadExecutor(3, remote=True)),
    ],
)
def test_threads_by_default_one_a_cpu_or_as_many_as_are_worth_reading(
    workers: int | None, reads: int | None, expected: ThreadExecutor
) -> None:
    with ExecutorChoice(workers=workers).opened(reads) as executor:
        assert executor == expected


@pytest.mark.parametrize("collecting", [True, False])
def test_the_interpreter_is_set_for_threads_while_an_executor_is_open(collecting: bool) -> None:
    found = gc.get_threshold()
    gc.set_threshold(700 if collecting else 0, *found[1:])
    before = sys.getswitchinterval(), gc.get_threshold()
    during: list[tuple[float, int]] = []

    def interrupted() -> None:
        with ExecutorChoice().opened(None):
            during.append((sys.getswitchinterval(), gc.get_threshold()[0]))
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert during == [(pytest.approx(SWITCH_SECONDS), COLLECT_EVERY if collecting else 0)]
        assert (sys.getswitchinterval(), gc.get_threshold()) == before
    finally:
        gc.set_threshold(*found)
