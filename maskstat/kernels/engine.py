"""Which engine counts: NumPy at once, compiled kernels where they pay.

Numba takes a fifth of a second to load kernels from its cache and some seconds to compile them the
first time. So counting begins with the NumPy engine. When a workload is announced to be large
(`prepare`), or when the NumPy engine has been busy for as long as loading takes, a thread loads the
compiled kernels beside it and the engine is switched. Kernels that are in no cache yet are compiled
by a child process: that leaves the interpreter lock to the threads that count, and nothing has to
wait for a compiler when the program ends or is interrupted.

The environment variable MASKSTAT_ENGINE settles the matter: `numpy` never loads Numba, `compiled`
loads the kernels before the first mask, and fails where it cannot. Without Numba, or where
loading it fails, the NumPy engine simply stays. Both engines give the same answers.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from maskstat.errors import ParameterError
from maskstat.kernels.numpy_engine import NumpyEngine

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bins = NDArray[np.int64]

VARIABLE = "MASKSTAT_ENGINE"

# Seconds. Loading from the cache takes about this much; the estimates in `prepare` are of the
# NumPy engine on one thread: what a mask costs, and what a megabyte of mask files costs.
_LOADING = 0.3
_PER_MASK = 1.5e-4
_PER_MEGABYTE = 0.04


class BandCounter(Protocol):
    """Counts an image that arrives in bands of whole rows, from the top."""

    def add(self, stream: bytearray | memoryview, height: int) -> None:
        """Count `height` more rows; MaskError where a filter type is unknown."""

    def finish(self) -> tuple[Bins, Bins]:
        """Values that occur, ascending, and their counts, both int64."""


class Engine(Protocol):
    """Counts filtered PNG rows of grey levels or palette indices of 1, 2, 4, 8 or 16 bits.

    A stream holds `height` rows of 1 + bytes_per_row(width, bits) bytes, the first of each its
    filter type, as they come out of inflating the IDAT chunks; the caller vouches for the size.
    Every method raises MaskError where a filter type is unknown. Engines are safe to share
    between threads.
    """

    name: str

    def tally(self, stream: bytearray, height: int, width: int, bits: int) -> tuple[Bins, Bins]:
        """Values that occur, ascending, and their counts, both int64."""

    def bands(self, width: int, bits: int) -> BandCounter:
        """The same for an image that comes band by band."""

    def unfilter(
        self, stream: bytearray, height: int, width: int, bits: int
    ) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Raw values (H, W): uint16 for 16 bits, uint8 for fewer."""


class _MeteredNumpyEngine(NumpyEngine):
    """Calls for the compiled kernels when counting has taken as long as loading them would."""

    def __init__(self, selector: _Selector) -> None:
        self._selector = selector
        self._busy = 0.0

    def tally(self, stream: bytearray, height: int, width: int, bits: int) -> tuple[Bins, Bins]:
        start = perf_counter()
        found = super().tally(stream, height, width, bits)
        self._busy += perf_counter() - start
        if self._busy > _LOADING:
            self._selector.start_loading()
        return found


class _Selector:
    """The state behind `current_engine`: the engine in use, and the thread that loads the other."""

    def __init__(self) -> None:
        self.engine: Engine = _MeteredNumpyEngine(self)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._compiler: subprocess.Popen[bytes] | None = None
        self._closing = False

    def start_loading(self) -> None:
        """Begin to load the compiled kernels, once; returns at once."""
        with self._lock:
            if self._thread is None and not self._closing:
                # a daemon, since it may be waiting for the child when the program ends
                self._thread = threading.Thread(
                    target=self._load, name="maskstat-kernels", daemon=True
                )
                self._thread.start()

    def _load(self) -> None:
        try:
            from maskstat.kernels import compiled_engine
        except Exception:  # no Numba, or one that does not fit: NumPy goes on
            return
        if not compiled_engine.is_cached():
            self._compile_in_child()
        if self._closing:
            return
        try:
            engine = compiled_engine.CompiledEngine()
            self.engine = engine
            if not self._closing:
                engine.load_two_byte_kernels()
        except Exception:
            return

    def _compile_in_child(self) -> None:
        """Have another process fill the cache, and wait for it."""
        if not sys.executable:
            return
        package_parent = str(Path(__file__).resolve().parents[2])
        search = [package_parent, os.environ.get("PYTHONPATH", "")]
        try:
            self._compiler = subprocess.Popen(
                [sys.executable, "-m", "maskstat.kernels.fill_cache"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, search))},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError:
            return
        self._compiler.wait()

    def load_now(self) -> None:
        """Load the compiled kernels and switch to them before returning; errors pass through."""
        from maskstat.kernels.compiled_engine import CompiledEngine

        engine = CompiledEngine()
        engine.load_two_byte_kernels()
        self.engine = engine

    def close(self) -> None:
        """Let native code of the loading thread come to its end before the interpreter does."""
        self._closing = True
        thread, compiler = self._thread, self._compiler
        if thread is None:
            return
        if compiler is not None and compiler.poll() is None:
            return  # the thread only waits; the child goes on, for the next run's good
        thread.join()


_selector: _Selector | None = None
_start_lock = threading.Lock()


def _start() -> _Selector:
    """Read MASKSTAT_ENGINE, once."""
    global _selector
    with _start_lock:
        if _selector is not None:
            return _selector
        selector = _Selector()
        wanted = os.environ.get(VARIABLE, "")
        if wanted == "numpy":
            selector.engine = NumpyEngine()
            selector.close()
        elif wanted == "compiled":
            try:
                selector.load_now()
            except Exception as error:
                raise ParameterError(
                    f"compiled kernels cannot be loaded ({error})",
                    where=VARIABLE,
                    remedy="install a Numba that fits this Python, or unset the variable",
                ) from error
        elif wanted:
            raise ParameterError(
                f"{wanted!r} is no engine", where=VARIABLE, remedy="use numpy or compiled"
            )
        atexit.register(selector.close)
        _selector = selector
        return selector


def _forget() -> None:
    """A forked child has none of the threads: it selects anew."""
    global _selector, _start_lock
    _selector, _start_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def current_engine() -> Engine:
    """The engine to count the next mask with.

    Raises ParameterError where MASKSTAT_ENGINE is not one of the two, or names an engine that
    cannot be loaded.
    """
    return (_selector or _start()).engine


def prepare(masks: int, total_bytes: int) -> None:
    """Announce a workload of so many masks, in files of `total_bytes` together (0: unknown).

    Where compiled kernels will pay for themselves, they begin to load; nothing waits for them.
    Errors are those of `current_engine`.
    """
    selector = _selector or _start()
    if masks * _PER_MASK + total_bytes / 1e6 * _PER_MEGABYTE > 2 * _LOADING:
        selector.start_loading()
