"""How a scan's work is spread. An executor calls a function for chunks and yields what it gives."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from maskstat.errors import ParameterError
from maskstat.naming import printable

if TYPE_CHECKING:
    from maskstat.executors.clusters import Cluster

EXECUTORS = ("threads", "dask")
_ADDRESS = re.compile(r"((tcp|tls|ws|wss|ucx)://)?(\[[0-9a-fA-F:.%]+\]|[^\s/:\[\]]+):[0-9]{1,5}")


def opened(
    executor: str, *, scheduler: str | None = None, workers: int | None = None
) -> contextlib.AbstractContextManager[Cluster | None]:
    """The cluster that an executor works on while it is used; None for threads.

    Args:
        executor: one of `EXECUTORS`.
        scheduler: address of a Dask scheduler; None starts a cluster on this machine.
        workers: processes of that one; by default one a usable CPU.

    Raises:
        ParameterError: there is no such executor, or options that do not go together.
        ClusterError, MissingExtraError: as `maskstat.executors.clusters.cluster_at`.
    """
    if executor not in EXECUTORS:
        raise ParameterError(
            f"is one of {', '.join(EXECUTORS)}, not {printable(repr(executor))[:60]}",
            where="--executor",
        )
    if executor == "threads":
        if scheduler is not None:
            raise ParameterError("goes with --executor dask", where="--scheduler")
        return contextlib.nullcontext()
    if scheduler is not None and not _ADDRESS.fullmatch(scheduler):
        # Dask would take twenty seconds to say so.
        raise ParameterError(
            f"an address is like tcp://HOST:8786, not {printable(repr(scheduler))[:60]}",
            where="--scheduler",
        )
    if scheduler is not None and workers is not None:
        raise ParameterError(
            "is for a cluster on this machine; the one of --scheduler has its own workers",
            where="--workers",
        )
    from maskstat.executors.clusters import cluster_at
    from maskstat.executors.threads import usable_cpus

    return cluster_at(scheduler, workers=workers or usable_cpus())
