"""A Dask cluster to work on: reached or started, checked, and left as it was found.

What Dask logs and warns of is for those who run clusters. Here everything that concerns the user
becomes one `ClusterError`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from concurrent.futures import Future as PendingCluster
from typing import TYPE_CHECKING, Any

from maskstat.errors import ClusterError, MaskstatError, MissingExtraError, argument
from maskstat.naming import printable, storable
from maskstat.version import __version__

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

CONNECT_SECONDS = 10.0
WORKERS_SECONDS = 300.0  # how long there may be no worker at all: machines take a while to start
START_SECONDS = 120.0  # for a local cluster, each time
LOCAL_SECONDS = 60.0  # how long a local cluster may have no worker: Dask starts them again
CLOSE_SECONDS = 2.0  # for saying goodbye to a scheduler
STOP_SECONDS = 10.0  # for a local cluster, whose workers are killed: a quarter of one does
_PAUSE = 0.1
_FETCH_SECONDS = 10.0  # for one result, then it is asked for again
_LOOK_SECONDS = 2.0  # between two looks at how many workers there are
_NO_PAGES: dict[str, list[str]] = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
_STARTS = 3
_DEATHS = 1  # of its workers that a task of a local cluster survives

# What Dask may raise when somebody does not answer.
_GONE = (OSError, asyncio.TimeoutError, asyncio.CancelledError, CancelledError)

_log = logging.getLogger(__name__)


def versions() -> tuple[str, str]:
    """maskstat's version here, and Python's up to the minor one."""
    return __version__, f"{sys.version_info[0]}.{sys.version_info[1]}"


class Cluster:
    """The cluster behind a scheduler. Its methods raise ClusterError when the scheduler is gone.

    Attributes:
        address: the scheduler's.
    """

    def __init__(self, client: Client, address: str, local: LocalCluster | None = None):
        self._client, self.address, self._local = client, address, local
        self._threads = 0
        self._looked = time.monotonic()
        self._none_since: float | None = None

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Have a function called by a worker."""
        import dask

        # Whoever calls bounds what is in flight.
        quiet = {"distributed.admin.large-graph-warning-threshold": "1 GiB"}
        with self.reached(), dask.config.set(quiet):
            return self._client.submit(function, *arguments, pure=False)

    def result(self, future: Future[Any]) -> Any:
        """What a function gave; None where it went with its worker, and is worked out again."""
        try:
            return future.result(timeout=_FETCH_SECONDS)
        except _GONE:
            if self.is_lost:
                raise self.lost() from None
            return None

    @contextlib.contextmanager
    def reached(self) -> Iterator[None]:
        """Raise ClusterError for what Dask raises when a scheduler is gone."""
        try:
            yield
        except (MaskstatError, MemoryError):
            raise
        except (Exception, asyncio.CancelledError) as error:
            if self.is_lost or isinstance(error, _GONE):
                raise self.lost() from None
            raise

    @property
    def is_lost(self) -> bool:
        """Whether the scheduler is no longer there."""
        return bool(self._client.status != "running")

    def lost(self) -> ClusterError:
        """What to say when the scheduler is gone."""
        return ClusterError(
            "the scheduler is gone",
            where=self.address,
            remedy="what was counted is kept: the same command goes on, with or without a cluster",
        )

    def threads(self) -> int:
        """Threads of all workers, as of two seconds ago.

        Raises ClusterError where there is no worker for five minutes, or for one where the cluster
        is a local one, whose workers are started again.
        """
        now = time.monotonic()
        if self.is_lost:
            raise self.lost()
        if not self._threads or now - self._looked > _LOOK_SECONDS:
            with self.reached():
                self._threads = sum(self._client.nthreads().values())
            if self._local is not None:
                self._local.loop.add_callback(_reopened, self._local)
            self._looked = time.monotonic()
            if self._threads:
                self._none_since = None
            elif self._none_since is None:
                self._none_since = self._looked
            elif self._local is not None and self._looked - self._none_since > LOCAL_SECONDS:
                raise ClusterError(
                    "all of its workers died, and none could be started again",
                    where=self.address,
                    remedy="what was counted is kept: the same command goes on; fewer workers, as"
                    f" {argument('workers', 1)}, have more memory each",
                )
            elif self._looked - self._none_since > WORKERS_SECONDS:
                raise ClusterError(
                    f"there was no worker for {WORKERS_SECONDS:.0f} seconds",
                    where=self.address,
                    remedy="start workers: dask worker ADDRESS; what was counted is kept",
                )
        return self._threads

    def await_workers(self) -> None:
        """Wait until there is a worker, and check that all fit. Raises ClusterError."""
        if self._local is not None:  # of this machine, this Python and this maskstat
            while not self.threads():
                time.sleep(_PAUSE)
            return
        if not self.threads():
            _log.warning(
                "no workers at %s yet: waiting for up to %.0f seconds",
                self.address,
                WORKERS_SECONDS,
            )
            with self.reached():  # clusters that grow with their work have none before
                work = self._client.submit(len, (), pure=False)
            while not self.threads():
                time.sleep(_PAUSE)
            work.release()
        with self.reached():
            found: dict[str, object] = {"the scheduler": self._scheduler_versions()}
            found |= self._client.run(versions, on_error="return")
        self._check(found)

    def _scheduler_versions(self) -> object:
        try:
            return self._client.run_on_scheduler(versions)
        except ImportError as error:
            return error

    def _check(self, found: dict[str, object]) -> None:
        for place, there in found.items():
            # One that has died meanwhile is no matter, and every task looks once more.
            if there != versions() and not isinstance(there, OSError):
                raise unfit(there, where=place if "://" not in place else f"worker {place}")


def unfit(there: object, *, where: str) -> ClusterError:
    """What to say where `versions` gives something else, or can't even be found."""
    if isinstance(there, BaseException):
        problem = f"can't run maskstat {__version__}: {printable(str(there))[:200]}"
    else:
        theirs, mine = (
            " on Python ".join(map(str, pair if isinstance(pair, tuple) else (pair,)))
            for pair in (there, versions())
        )
        problem = f"has maskstat {theirs}, while this is {mine}"
    return ClusterError(
        problem, where=where, remedy="install the same on all machines of the cluster"
    )


@contextlib.contextmanager
def cluster_at(scheduler: str | None, *, workers: int) -> Iterator[Cluster]:
    """The cluster of a scheduler, or one of `workers` processes on this machine while it is used.

    Raises:
        ClusterError: it can't be reached or started, has no workers, or other versions.
        MissingExtraError: Dask is not installed.
    """
    try:
        import distributed
    except ImportError as error:
        raise MissingExtraError(
            "the executor dask needs the package distributed",
            remedy='pip install "maskstat[dask]"',
        ) from error
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        if scheduler is None:
            import dask

            # A worker that takes longer to start again would be given up for good.
            stack.enter_context(dask.config.set({"distributed.deploy.lost-worker-timeout": "1h"}))
            local = _start(distributed.LocalCluster, workers)
            stack.callback(_stop, local)
            address, shown = local.scheduler_address, "local cluster"
        else:
            local = None
            address = shown = scheduler
        client = _connect(distributed.Client, address)
        stack.callback(_close, client)
        cluster = Cluster(client, printable(storable(shown)), local)
        cluster.await_workers()
        yield cluster


def _connect(kind: type[Client], address: str) -> Client:
    """Raises ClusterError."""
    try:
        return kind(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except Exception as error:
        # Dask puts its own words in front of the reason, and that may be anything.
        reason = "it does not answer" if isinstance(error, OSError) else str(error)
        raise ClusterError(
            f"no Dask scheduler to be reached: {printable(reason)[:200]}",
            where=printable(storable(address)),
            remedy=f"{argument('scheduler')} takes the address that 'dask scheduler' prints: "
            "tcp://HOST:8786",
        ) from None


def _start(kind: Callable[..., LocalCluster], workers: int) -> LocalCluster:
    """A cluster on this machine, of processes that Ctrl-C does not reach. Raises ClusterError."""
    from multiprocessing import resource_tracker

    if hasattr(resource_tracker, "ensure_running"):
        resource_tracker.ensure_running()  # later, it would let signals through again
    for left in reversed(range(_STARTS)):
        made: PendingCluster[LocalCluster] = PendingCluster()
        # Threads and processes that this one begins have its mask of signals, for ever.
        maker = threading.Thread(
            target=_make, args=(made, kind, workers), name="maskstat-cluster", daemon=True
        )
        try:
            maker.start()
            return made.result(START_SECONDS)
        except KeyboardInterrupt:
            if maker.ident is not None:
                with contextlib.suppress(Exception):
                    _stop(made.result(STOP_SECONDS))
            raise
        except Exception as error:
            if left and made.done():
                continue  # a worker may have been killed by chance
            reason = printable(" ".join(str(error).split()))[:200]
            late = f"it takes more than {START_SECONDS:.0f} seconds"
            raise ClusterError(
                f"no local cluster can be started: {reason or late}",
                remedy="in a script, scan below: if __name__ == '__main__'; elsewhere its workers"
                f" were killed, and fewer, as {argument('workers', 1)}, take less memory",
            ) from None
    raise AssertionError("unreachable")


async def _reopened(local: LocalCluster) -> None:
    """Start workers again that Dask gave up: those that were killed while they started."""
    from distributed.core import Status

    with contextlib.suppress(Exception):
        for name, nanny in [*local.workers.items()]:
            if nanny.status in {Status.closed, Status.failed}:
                del local.workers[name]
        await local._correct_state()


def _make(
    made: PendingCluster[LocalCluster], kind: Callable[..., LocalCluster], workers: int
) -> None:
    import dask

    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    local = {"dashboard": False, "dashboard_address": "127.0.0.1:0", "allowed_failures": _DEATHS}
    try:
        with dask.config.set(_NO_PAGES):
            made.set_result(
                kind(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                    scheduler_kwargs=local,
                )
            )
    except BaseException as error:
        made.set_exception(error)


def _stop(cluster: LocalCluster) -> None:
    """End a local cluster at once: what its workers are at is of no use to anybody."""
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        pid = nanny.pid
        if pid is not None:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    with contextlib.suppress(Exception):
        cluster.close(timeout=STOP_SECONDS)


def _close(client: Client) -> None:
    with contextlib.suppress(Exception):
        client.close(timeout=CLOSE_SECONDS)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing that Dask set up prints logs."""
    names = [name for name in logging.root.manager.loggerDict if _is_of_dask(name)]
    handlers = {handler for name in names for handler in logging.getLogger(name).handlers}
    levels = {handler: handler.level for handler in handlers}
    for handler in handlers:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for handler, level in levels.items():
            handler.setLevel(level)


def _is_of_dask(name: str) -> bool:
    return name.partition(".")[0] in {"distributed", "tornado"}
