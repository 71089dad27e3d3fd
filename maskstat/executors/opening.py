"""How a scan's work is spread: what was asked, checked, and the executor that it opens.

In come the options of a user; out goes an executor, for as long as it is used.
"""

from __future__ import annotations

import contextlib
import gc
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from maskstat.errors import ParameterError, argument
from maskstat.executors.base import Executor
from maskstat.executors.choices import EXECUTORS, ExecutorName
from maskstat.executors.threads import ThreadExecutor, usable_cpus
from maskstat.memory import memory_limited
from maskstat.naming import printable
from maskstat.parameters import check_word

MAX_WORKERS = 1024
SWITCH_SECONDS = 0.0003
COLLECT_EVERY = 50_000  # objects that a scan may make between two collections of garbage
_ADDRESS = re.compile(r"((tcp|tls|ws|wss|ucx)://)?(\[[0-9a-fA-F:.%]+\]|[^\s/:\[\]]+):[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class ExecutorChoice:
    """Where work is to be done. Nothing is started before `opened`.

    Attributes:
        executor: one of `choices.EXECUTORS`.
        scheduler: address of a Dask scheduler; None starts a cluster on this machine.
        workers: threads, or processes of that cluster; by default one a usable CPU.
        held: bytes that decoding may hold in a process; None leaves it at half of what is free.

    Raises:
        ParameterError: there is no such executor, or options that do not go together.
    """

    executor: ExecutorName = "threads"
    scheduler: str | None = None
    workers: int | None = None
    held: int | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and not 1 <= self.workers <= MAX_WORKERS:
            raise ParameterError(
                f"takes at least one worker and at most {MAX_WORKERS:,}, not {self.workers:,}",
                parameter="workers",
            )
        check_word(self.executor, EXECUTORS, parameter="executor")
        if self.scheduler is None:
            return
        if self.executor == "threads":
            raise ParameterError(f"goes with {argument('executor', 'dask')}", parameter="scheduler")
        if not _ADDRESS.fullmatch(self.scheduler):
            # Dask would take twenty seconds to say so.
            raise ParameterError(
                f"an address is like tcp://HOST:8786, not {printable(repr(self.scheduler))[:60]}",
                parameter="scheduler",
            )
        if self.workers is not None:
            raise ParameterError(
                f"is for a cluster on this machine; the one of {argument('scheduler')} has its"
                " own workers",
                parameter="workers",
            )

    @property
    def elsewhere(self) -> bool:
        """Whether other processes than this one read the masks."""
        return self.executor != "threads"

    @contextlib.contextmanager
    def opened(self, reads: int | None) -> Iterator[Executor]:
        """The executor, while it is used.

        `reads` is how many items are worth reading at once; None where that is a matter of CPUs.

        Raises:
            ClusterError, MissingExtraError: as `maskstat.executors.clusters.cluster_at`.
        """
        with contextlib.ExitStack() as stack:
            executor: Executor
            if self.elsewhere:
                from maskstat.executors.clusters import cluster_at
                from maskstat.executors.dask import DaskExecutor

                workers = self.workers or usable_cpus()
                cluster = stack.enter_context(cluster_at(self.scheduler, workers=workers))
                executor = DaskExecutor(cluster, bool(reads), self.held)
            else:
                stack.enter_context(memory_limited(self.held))
                executor = ThreadExecutor(
                    self.workers or max(usable_cpus(), reads or 0), bool(reads)
                )
            stack.enter_context(_interpreter_for_threads())
            yield executor


@contextlib.contextmanager
def _interpreter_for_threads() -> Iterator[None]:
    """The interpreter's settings as threads need them that come and go to native code."""
    switching, thresholds = sys.getswitchinterval(), gc.get_threshold()
    # A worker that comes back from native code should not wait 5 ms for another's Python.
    sys.setswitchinterval(min(switching, SWITCH_SECONDS))
    if thresholds[0]:  # zero: somebody switched it off
        # Results that wait for a commit are no garbage; looking through them stops all threads.
        gc.set_threshold(max(thresholds[0], COLLECT_EVERY), *thresholds[1:])
    try:
        yield
    finally:
        sys.setswitchinterval(switching)
        gc.set_threshold(*thresholds)
