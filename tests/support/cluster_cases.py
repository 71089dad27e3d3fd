"""Dask clusters of real processes, and masks that sleep or kill whoever reads them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from maskstat.memory import _limits
from maskstat.sources.base import Entry, Source
from tests.support.paths import ROOT


@dataclass(slots=True)
class DeadlyEntry(Entry):
    """A mask that kills the process that reads it, as a broken decoder does."""

    def load(self) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("it is still alive")

    def open(self) -> BinaryIO:
        raise NotImplementedError


@dataclass(slots=True)
class SlowEntry(Entry):
    """A mask that takes its time, and leaves a file to show that it was read."""

    entry: Entry
    seconds: float
    traces: str = ""

    @classmethod
    def of(cls, entry: Entry, seconds: float, traces: str = "") -> SlowEntry:
        return cls(entry.name, entry.path, entry.size, entry.stamp, entry, seconds, traces)

    def load(self) -> bytes:
        time.sleep(self.seconds)
        if self.traces:
            with open(os.path.join(self.traces, f"{os.getpid()}"), "a") as trace:
                trace.write(f"{self.name}\n")
        return self.entry.load()

    def open(self) -> BinaryIO:
        return self.entry.open()


@dataclass
class Altered(Source):
    """A source with other entries in place of some."""

    base: Source
    alter: Callable[[Entry], Entry]

    def __post_init__(self) -> None:
        self.reads = self.base.reads

    @property
    def default_name(self) -> str:
        return self.base.default_name

    @property
    def location(self) -> str:
        return self.base.location

    def entries(self) -> Iterator[Entry]:
        return map(self.alter, self.base.entries())


@dataclass
class Processes:
    """A scheduler and its workers, each a process of its own."""

    address: str
    scheduler: subprocess.Popen[bytes]

    def kill_scheduler(self) -> None:
        self.scheduler.kill()
        self.scheduler.wait()


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether something comes true within a time that no healthy machine needs."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _address(file: Path) -> str:
    """The scheduler's, as its file says; nothing as long as that is not written to its end."""
    with contextlib.suppress(OSError, ValueError):
        return str(json.loads(file.read_text())["address"])
    return ""


@contextlib.contextmanager
def processes(folder: Path, *, workers: int, path: Path | None = None) -> Iterator[Processes]:
    """A cluster as `dask scheduler` and `dask worker` make one; `path` is put before sys.path."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "scheduler.json"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(part) for part in (path, ROOT) if part is not None),
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
        "DASK_TEMPORARY_DIRECTORY": str(folder),
    }

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments, "--scheduler-file", str(file)],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    running = []
    try:
        running.append(start("scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1"))
        if workers:
            running.append(
                start("worker", "--nworkers", f"{workers}", "--nthreads", "1", "--no-dashboard")
            )
        assert eventually(lambda: _address(file) != "")
        yield Processes(_address(file), running[0])
    finally:
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # the workers that it began, too
            process.wait()


@dataclass(frozen=True)
class Doubling:
    """A call for a worker: twice each number, after a while; `ballast` is what it weighs."""

    numbers: tuple[int, ...]
    seconds: float = 0.0
    ballast: bytes = b""

    def __call__(self) -> list[int]:
        time.sleep(self.seconds)
        return [2 * number for number in self.numbers]


@dataclass(frozen=True)
class Failing:
    """A call for a worker that raises what it is given."""

    error: BaseException

    def __call__(self) -> list[int]:
        raise self.error


class MemoryOfWorker:
    """A call that says what decoders of its worker may hold, and the worker's own limit."""

    def __call__(self) -> list[tuple[int, int]]:
        from distributed import get_worker

        return [(_limits(), int(get_worker().memory_manager.memory_limit or 0))]
