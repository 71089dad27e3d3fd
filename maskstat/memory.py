"""Memory for decoded masks: what one may take, and how much all threads of a process may hold.

Decoders ask before they allocate, and what does not fit now waits. What was asked for is given
back when the task at hand ends: whoever reads a mask does it within a `MemoryTask`. Waiting is all
that a budget can do; how large a mask may be is `LARGEST_MASK`, the same on every machine.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TypeVar

from maskstat.errors import ParameterError
from maskstat.naming import printable

Result = TypeVar("Result")

LARGEST_MASK = 1 << 30  # bytes that one mask may take, encoded or as decoded pixels
SMALL = 1 << 20  # bytes; who needs less asks nobody
UNKNOWN = 2 << 30  # bytes that are taken as free where nobody says how many are
ALL_MEMORY = 1 << 60  # more than anybody has: who asks for it runs alone
_LOOK_SECONDS = 1.0
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([kmgt]?)(?:i?b)?", re.IGNORECASE)


class _Wait:
    """Somebody who waits for memory: how much, and the word that it is there."""

    __slots__ = ("granted", "size")

    def __init__(self, size: int):
        self.size, self.granted = size, threading.Event()


class _Holder:
    """What a thread's outermost task and those within it hold together."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = 0


class Budget:
    """So many bytes, given to many threads in the order in which they ask.

    Who holds some already and needs more goes first, so that holders get done. Who can't have what
    it needs waits; when all that hold any wait, the first of them goes on, and what does not fit
    at all runs when nobody else holds any. So nobody waits for ever, and more than the budget is
    held by one that runs alone only, beside what those hold that wait for it.

    Args:
        limit: says how many bytes there are; asked where that matters.
    """

    def __init__(self, limit: Callable[[], int]):
        self._limit = limit
        self._lock = threading.Lock()
        self._growing: deque[_Wait] = deque()  # of holders, who need more
        self._coming: deque[_Wait] = deque()
        self._holders = 0
        self.held = 0

    def take(self, holder: _Holder, size: int) -> None:
        """Give `size` bytes to a holder, as soon as there is room."""
        with self._lock:
            grows = holder.held > 0
            if not (self._growing or self._coming) and self.held + size <= self._limit():
                self.held += size
                self._holders += not grows
                holder.held += size
                return
            queue = self._growing if grows else self._coming
            wait = _Wait(size)
            queue.append(wait)
            self._admit()
            if wait.granted.is_set():
                holder.held += size
                return
        try:
            wait.granted.wait()
        except BaseException:
            with self._lock:
                if wait.granted.is_set():
                    self.held -= size
                    self._holders -= not grows
                else:
                    queue.remove(wait)
                self._admit()
            raise
        holder.held += size

    def give_back(self, holder: _Holder, size: int) -> None:
        """Take `size` bytes back from a holder."""
        with self._lock:
            holder.held -= size
            self.held -= size
            self._holders -= not holder.held
            self._admit()

    def _admit(self) -> None:
        """Grant what there is room for; the lock is held."""
        while self._growing or self._coming:
            queue = self._growing or self._coming
            first = queue[0]
            idle = self._holders == len(self._growing)  # whoever holds any waits
            if not idle and self.held + first.size > self._limit():
                return
            self._holders += queue is self._coming
            queue.popleft()
            self.held += first.size
            first.granted.set()


class _Limits:
    """How much memory there is to give: what users said, or half of what was free."""

    def __init__(self) -> None:
        self._said: list[int] = []
        self._looked, self._half = float("-inf"), 0

    def __call__(self) -> int:
        """Bytes: the least of what is said at the moment."""
        if self._said:
            return min(self._said)
        now = time.monotonic()
        # What is held is not free, and would be halved again and again.
        if not _budget.held and now - self._looked > _LOOK_SECONDS:
            self._looked, self._half = now, available() // 2
        return self._half

    @contextlib.contextmanager
    def said(self, size: int) -> Iterator[None]:
        """Have a user's word hold."""
        self._said.append(size)
        try:
            yield
        finally:
            self._said.remove(size)


class _Current(threading.local):
    """The task that a thread is at, and what it holds with those around it."""

    task: MemoryTask | None = None


class MemoryTask:
    """Within it a thread may ask for memory, which comes back at its end. Tasks may be nested."""

    __slots__ = ("_budget", "_holder", "_outer", "held")

    _holder: _Holder

    def __enter__(self) -> MemoryTask:
        self._outer = outer = _current.task
        self._budget = _budget
        self._holder = _Holder() if outer is None else outer._holder
        self.held = 0
        _current.task = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _current.task = self._outer
        if self.held:
            self._budget.give_back(self._holder, self.held)

    def take(self, size: int) -> None:
        """Hold so much more."""
        self._budget.take(self._holder, size)
        self.held += size


def ask_memory(size: int) -> None:
    """Wait until this task may take `size` bytes more; outside of a task there is no waiting."""
    if size >= SMALL and (at_hand := _current.task) is not None:
        at_hand.take(size)


def ask_memory_in_all(size: int) -> None:
    """Wait until this task may take `size` bytes in all: for what is taken again and again."""
    if size >= SMALL and (at_hand := _current.task) is not None and at_hand.held < size:
        at_hand.take(size - at_hand.held)


def with_memory(task: Callable[[bool], Result]) -> Result:
    """Do what takes memory within a `MemoryTask`; where it runs out, once more with nobody beside.

    `task` hears whether it is alone. Raises MemoryError where that is not enough.
    """
    try:
        with MemoryTask():
            return task(False)
    except MemoryError:
        pass  # and the memory of the attempt is free again
    with MemoryTask():  # others may have had what it lacked
        ask_memory(ALL_MEMORY)
        return task(True)


@contextlib.contextmanager
def memory_limited(size: int | None) -> Iterator[None]:
    """Let tasks of this process hold `size` bytes together meanwhile; None changes nothing."""
    if size is None:
        yield
        return
    with _limits.said(size):
        yield


def parse_size(given: int | str) -> int:
    """Bytes of a size: a whole number, or a text like 4G, 512M, 1.5GiB; units are of 1024.

    Raises:
        ParameterError: it is none, or less than a MiB.
    """
    size = given if isinstance(given, int) and not isinstance(given, bool) else None
    if isinstance(given, str) and (found := _SIZE.fullmatch(given.strip())):
        size = int(float(found[1]) * _UNITS[found[2].lower()])
    if size is None:
        raise ParameterError(
            f"is a size like 4G or 512M, or bytes, not {printable(repr(given))[:60]}",
            parameter="memory",
        )
    if size < SMALL:
        raise ParameterError(
            f"{printable(str(given))[:60]} is less than 1M: a size is like 4G or 512M",
            parameter="memory",
        )
    return size


# --- what is free -------------------------------------------------------------------------------


def available() -> int:
    """Bytes that this process may still take before anybody is short of memory.

    On Linux what the kernel thinks, within the limits of control groups (versions 1 and 2) and of
    the address space; on Windows what is free; elsewhere half of what the machine has.
    """
    if sys.platform == "win32":
        return _available_on_windows()
    found = [_of_machine(), *_of_groups("/proc/self/cgroup", "/sys/fs/cgroup"), *_of_addresses()]
    return max(0, min(found))


def _of_machine() -> int:
    """What Linux says, or half of all memory."""
    with contextlib.suppress(OSError, ValueError):
        for line in _text("/proc/meminfo").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return UNKNOWN


def _of_groups(groups: str, mounted: str) -> Iterator[int]:
    """What each control group that this process is in leaves of its limit."""
    text = ""
    with contextlib.suppress(OSError, ValueError):
        text = _text(groups)
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            yield from _left(mounted, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _left(f"{mounted}/memory", path, *names)


def _left(root: str, path: str, limit: str, usage: str, cache: str) -> Iterator[int]:
    """What groups from `path` up to the root leave. Within a container the path leads nowhere."""
    parts = [part for part in path.split("/") if part]
    for count in range(len(parts), -1, -1):
        folder = "/".join([root, *parts[:count]])
        with contextlib.suppress(OSError, ValueError):
            most, used = (int(_text(f"{folder}/{name}")) for name in (limit, usage))
            if most < 1 << 60:  # version 1 says "no limit" in a large number
                pairs = (line.split() for line in _text(f"{folder}/memory.stat").splitlines())
                yield most - used + sum(int(value) for name, value in pairs if name == cache)


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _of_addresses() -> Iterator[int]:
    """What `ulimit -v` leaves."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_AS)
        if most != resource.RLIM_INFINITY:
            pages = int(_text("/proc/self/statm").split()[0])
            yield most - pages * resource.getpagesize()


def _available_on_windows() -> int:
    import ctypes

    class Status(ctypes.Structure):
        """MEMORYSTATUSEX."""

        _fields_ = [
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            *((name, ctypes.c_uint64) for name in ("all", "free", "a", "b", "c", "d", "e")),
        ]

    status = Status(length=ctypes.sizeof(Status))
    windll = getattr(ctypes, "windll", None)
    if windll is None or not windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return UNKNOWN
    return int(status.free)


# --- this process -------------------------------------------------------------------------------

_limits = _Limits()
_budget = Budget(_limits)
_current = _Current()


def _begin() -> None:
    """Begin with nothing held, as a process does that was forked while others held some."""
    global _budget, _current
    _budget, _current = Budget(_limits), _Current()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin)
