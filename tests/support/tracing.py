"""Memory that Python traces, where other threads may still be at work."""

from __future__ import annotations

import re
import sys
import threading
import time
import tracemalloc
from traceback import walk_stack

_AT_WORK = re.compile(r"[/\\](maskstat|zarr|numcodecs|tifffile|imagecodecs|pyarrow)[/\\]")
_PATIENCE = 30.0


def stop_tracing() -> None:
    """`tracemalloc.stop`, once no other thread decodes any more.

    A thread that allocates without the interpreter lock (zlib does) while tracing is stopped takes
    the process along (CPython issue 128679), and a mask that was refused may leave threads behind
    that have not heard of it yet.
    """
    end = time.monotonic() + _PATIENCE
    while _others_work() and time.monotonic() < end:
        time.sleep(0.01)
    tracemalloc.stop()


def _others_work() -> bool:
    own = threading.get_ident()
    return any(
        _AT_WORK.search(inner.f_code.co_filename)
        for ident, frame in sys._current_frames().items()
        if ident != own
        for inner, _ in walk_stack(frame)
    )
