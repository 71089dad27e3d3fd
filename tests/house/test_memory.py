"""The budget of memory: never more than it has but by one that runs alone, and nobody waits on."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskstat import memory
from maskstat.errors import ParameterError
from maskstat.memory import (
    SMALL,
    Budget,
    MemoryTask,
    ask_memory,
    ask_memory_in_all,
    memory_limited,
    parse_size,
)

SECONDS = 30.0  # after which somebody who waits is taken for lost
LIMIT = 100

# What a thread asks for, one after another, before it gives everything back; and how often.
asks = st.lists(st.integers(1, 2 * LIMIT), min_size=1, max_size=3)
crowds = st.lists(st.lists(asks, min_size=1, max_size=4), min_size=1, max_size=6)


class Watched(Budget):
    """A budget that checks its law whenever it gives something."""

    def __init__(self) -> None:
        super().__init__(lambda: LIMIT)
        self.broken: list[str] = []

    def _admit(self) -> None:
        super()._admit()
        running = self._holders - len(self._growing)
        if self.held > LIMIT and running > 1:
            self.broken.append(f"{running} run with {self.held}")
        if not running and (self._growing or self._coming):
            self.broken.append("all wait, and nobody was let in")


@settings(max_examples=60, deadline=None)
@given(crowds)
def test_no_crowd_overdraws_it_or_waits_for_ever(crowd: list[list[list[int]]]) -> None:
    budget = Watched()
    failed: list[BaseException] = []

    def work(turns: list[list[int]]) -> None:
        try:
            for sizes in turns:
                holder = memory._Holder()
                for size in sizes:
                    budget.take(holder, size)
                budget.give_back(holder, holder.held)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(turns,), daemon=True) for turns in crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert not any(thread.is_alive() for thread in threads)
    assert not failed
    assert not budget.broken
    assert (budget.held, budget._holders) == (0, 0)


class Thread:
    """A thread that holds what it is told to, until it is told to let go."""

    def __init__(self, budget: Budget, size: int, order: list[int] | None = None):
        self.holder, self.budget, self.got = memory._Holder(), budget, threading.Event()
        self.queued = len(budget._coming) + len(budget._growing)
        self.thread = threading.Thread(target=self._take, args=(size, order), daemon=True)
        self.thread.start()

    def _take(self, size: int, order: list[int] | None) -> None:
        self.budget.take(self.holder, size)
        if order is not None:
            order.append(size)
        self.got.set()

    def waits(self) -> bool:
        """Whether it stands in the queue; it is given time to come there."""
        for _ in range(3000):
            if len(self.budget._coming) + len(self.budget._growing) > self.queued:
                return True
            if self.got.wait(0.01):
                return False
        raise AssertionError("neither")

    def done(self) -> None:
        assert self.got.wait(SECONDS)
        self.budget.give_back(self.holder, self.holder.held)


def test_a_large_one_is_not_passed_by() -> None:
    """First come, first served: small ones that would fit wait behind one that does not."""
    budget, order = Budget(lambda: LIMIT), list[int]()
    first = Thread(budget, 60, order)
    assert not first.waits()
    large = Thread(budget, 90, order)
    assert large.waits()
    small = [Thread(budget, size, order) for size in (20, 30)]
    assert small[0].waits()
    for thread in (first, large, *small):
        thread.done()
    assert order[:2] == [60, 90]
    assert sorted(order[2:]) == [20, 30]


def test_what_is_larger_than_all_of_it_runs_alone() -> None:
    budget = Budget(lambda: LIMIT)
    small = Thread(budget, 1)
    assert not small.waits()
    huge = Thread(budget, 10 * LIMIT)
    assert huge.waits()
    small.done()
    assert huge.got.wait(SECONDS)
    other = Thread(budget, 1)
    assert other.waits()
    huge.done()
    other.done()
    assert budget.held == 0


def test_holders_that_need_more_never_wait_for_each_other() -> None:
    """Six threads hold their encoded bytes, and each needs more than what is left."""
    budget = Budget(lambda: LIMIT)
    all_hold = threading.Barrier(6)
    most: list[int] = []

    def work() -> None:
        holder = memory._Holder()
        budget.take(holder, 16)
        all_hold.wait(SECONDS)
        budget.take(holder, 80)
        most.append(budget.held)
        budget.give_back(holder, holder.held)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert len(most) == 6
    assert max(most) <= 6 * 16 + 80
    assert budget.held == 0


class Interrupt(BaseException):
    """What stands for Ctrl-C."""


def test_who_is_interrupted_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget(lambda: LIMIT)
    holder, waiting = memory._Holder(), memory._Holder()
    budget.take(holder, LIMIT)

    def interrupted(self: threading.Event, timeout: float | None = None) -> bool:
        raise Interrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Event, "wait", interrupted)
        with pytest.raises(Interrupt):
            budget.take(waiting, 1)
    budget.give_back(holder, LIMIT)
    assert (budget.held, budget._holders, len(budget._coming)) == (0, 0, 0)
    budget.take(waiting, 10 * LIMIT)
    assert budget.held == 10 * LIMIT


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[Budget]:
    """The process's own budget, with nothing held."""
    budget = Budget(memory._limits)
    monkeypatch.setattr(memory, "_budget", budget)
    yield budget
    assert budget.held == 0


def test_tasks_give_back_what_was_asked_within_them(fresh: Budget) -> None:
    ask_memory(SMALL)  # outside of a task
    assert fresh.held == 0
    with memory_limited(64 * SMALL), MemoryTask():
        ask_memory(SMALL - 1)
        assert fresh.held == 0
        ask_memory(2 * SMALL)
        with contextlib.suppress(ZeroDivisionError), MemoryTask():
            ask_memory(3 * SMALL)
            assert fresh.held == 5 * SMALL
            raise ZeroDivisionError
        assert fresh.held == 2 * SMALL
        ask_memory_in_all(SMALL)
        assert fresh.held == 2 * SMALL
        ask_memory_in_all(5 * SMALL)
        assert fresh.held == 5 * SMALL


def test_the_least_of_what_is_said_holds(monkeypatch: pytest.MonkeyPatch, fresh: Budget) -> None:
    looked = [800 * SMALL, 80 * SMALL]
    monkeypatch.setattr(memory, "available", lambda: looked.pop(0))
    limits = memory._Limits()
    assert limits() == limits() == 400 * SMALL  # half of what is free, looked at once a second
    with limits.said(7 * SMALL), limits.said(9 * SMALL):
        assert limits() == 7 * SMALL
    monkeypatch.setattr(memory, "_LOOK_SECONDS", -1)
    assert limits() == 40 * SMALL


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_begins_with_nothing_held(fresh: Budget) -> None:
    with MemoryTask():
        ask_memory(8 * SMALL)
        pid = os.fork()
        if not pid:
            os._exit(memory._budget.held > 0)
        assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (1 << 30, 1 << 30),
        ("1048576", 1 << 20),
        ("512M", 512 << 20),
        ("4g", 4 << 30),
        ("1.5 GiB", 3 << 29),
        ("2TB", 2 << 40),
    ],
)
def test_sizes(given: int | str, size: int) -> None:
    assert parse_size(given) == size


@pytest.mark.parametrize(
    "given", [0, -1, True, 4, "4", "", "G", "4GG", "-4G", "1e9", "nan", "4 000 M", "٤G", None, 2.5]
)
def test_what_is_no_size(given: object) -> None:
    with pytest.raises(ParameterError, match=r"^memory: .*4G or 512M"):
        parse_size(given)  # type: ignore[arg-type]


# --- what is free -------------------------------------------------------------------------------


def test_something_is_free() -> None:
    assert 0 < memory.available() < 1 << 50


def test_control_groups(tmp_path: Path) -> None:
    """The tightest of all groups above counts; caches can be had back; version 1 says it else."""
    groups = tmp_path / "cgroup"
    groups.write_text("9:name=systemd:/\n4:cpu,memory:/a/b\n0::/c/d\n", encoding="utf-8")

    def group(path: str, limit: str, usage: int, cache: int, *, old: bool) -> None:
        folder = tmp_path / path
        folder.mkdir(parents=True, exist_ok=True)
        names = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes")
            if old
            else ("memory.max", "memory.current")
        )
        for name, value in zip(names, (limit, usage), strict=True):
            (folder / name).write_text(f"{value}\n", encoding="utf-8")
        kind = "total_inactive_file" if old else "inactive_file"
        (folder / "memory.stat").write_text(f"anon 7\n{kind} {cache}\n", encoding="utf-8")

    group("memory", str((1 << 63) - 4096), 5, 0, old=True)
    group("memory/a", "1000", 300, 50, old=True)
    group("c", "2000", 1900, 0, old=False)
    group("c/d", "max", 10, 0, old=False)
    assert sorted(memory._of_groups(str(groups), str(tmp_path))) == [100, 750]
    assert [*memory._of_groups(str(tmp_path / "none"), str(tmp_path))] == []
