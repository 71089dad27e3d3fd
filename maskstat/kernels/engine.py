"""Which engine counts: NumPy at once, compiled kernels where they pay.

Numba takes up to three quarters of a second to load kernels from its cache, and seconds to compile
them the first time. So counting begins with the NumPy engine. When a workload is announced to be
large (`prepare`), or when the NumPy engine has been busy for about as long as loading takes, the
compiled kernels are loaded and the engine is switched. Counting pauses meanwhile: loading holds the
interpreter lock, and threads that fight for it would make it several times longer.

The kernel that counts whole PNG files, which most masks are, is kept as machine code and loaded
without Numba, in a sixth of that time (`kept_code`). Where it is there, a large workload
(`announce`) does not ask for the others: they come when other masks have kept NumPy busy.

Kernels that are in no cache yet are compiled by a child process, while the NumPy engine goes on.
That leaves the interpreter lock to the threads that count, and nothing has to wait for a compiler
when the program ends or is interrupted.

The environment variable MASKSTAT_ENGINE settles the matter: `numpy` never loads Numba, `compiled`
loads the kernels before the first mask, and fails where it cannot. Without the variable the NumPy
engine stays where loading fails, and that is said once (`loading`). Both engines give the same
answers.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from time import thread_time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from maskstat.errors import ParameterError
from maskstat.kernels import loading
from maskstat.kernels.loading import VARIABLE, cannot_load
from maskstat.kernels.numpy_engine import NumpyEngine

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from maskstat.kernels.c_functions import Libdeflate
    from maskstat.kernels.compiled_engine import CompiledEngine
    from maskstat.kernels.region_types import (
        Image,
        IndexedPixels,
        Int32Array,
        IntArray,
        RegionCounts,
        Runs,
    )

    Bins = NDArray[np.int64]

Method = TypeVar("Method", bound=Callable[..., Any])

# Seconds. Loading from the cache takes about this much; the estimates in `prepare` are of the
# NumPy engine on one thread: what a mask costs, and what a megabyte of mask files costs.
_LOADING = 0.35
_LOADING_KEPT = 0.06  # the kernel for files, without Numba
_PER_MASK = 1.5e-4
_PER_MEGABYTE = 0.04


class BandCounter(Protocol):
    """Counts an image that arrives in bands of whole rows, from the top."""

    def add(self, stream: bytearray | memoryview, height: int) -> None:
        """Count `height` more rows; MaskError where a filter type is unknown."""

    def finish(self) -> tuple[Bins, Bins]:
        """Values that occur, ascending, and their counts, both int64."""


class ColourCounter(BandCounter, Protocol):
    """Counts colours of 2 to 4 channels, 8 bits each: grey and alpha, RGB, RGBA.

    Its values are those of `MaskTally`. Every method raises MaskError where there are more
    colours than a mask can have.
    """

    def add_pixels(self, pixels: NDArray[np.uint8]) -> None:
        """Count plain pixels, (..., channels), besides what `add` counts."""


class FileCounter(Protocol):
    """Counts many PNG files in one call."""

    def tally(
        self,
        data: NDArray[np.uint8],
        starts: IntArray,
        sizes: IntArray,
        room: tuple[int, int],
        library: Libdeflate,
    ) -> tuple[IntArray, IntArray, IntArray]:
        """Counts of N >= 1 files.

        Args:
            data: uint8[n], which has them all; `starts` and `sizes`, int64[N], say where.
            room: how many bytes the rows of one may take, filter types included, and how many
                pixels one may be wide.
            library: what inflates them.

        Returns:
            int64[N, 3]: height, width and number of values of each; the latter is below 0 where
            a file is left out, since it is damaged, or no usual one. Then the values that occur,
            ascending, and their counts, both int64, file by file.
        """


class Engine(Protocol):
    """Counts filtered PNG rows of grey levels or palette indices of 1, 2, 4, 8 or 16 bits, and of
    colours of 8 bits a channel; finds the runs of a mask, and measures its regions.

    A stream holds `height` rows of 1 + bytes_per_row(width, bits) bytes, the first of each its
    filter type, as they come out of inflating the IDAT chunks; the caller vouches for the size.
    What looks at rows raises MaskError where a filter type is unknown. Engines are safe to share
    between threads.
    """

    name: str

    def tally(self, stream: bytearray, height: int, width: int, bits: int) -> tuple[Bins, Bins]:
        """Values that occur, ascending, and their counts, both int64."""

    def file_counter(self) -> FileCounter | None:
        """What counts whole files; None where they are to be read one by one."""

    def bands(self, width: int, bits: int) -> BandCounter:
        """The same for an image that comes band by band."""

    def tally_colours(
        self, stream: bytearray, height: int, width: int, channels: int
    ) -> tuple[Bins, Bins]:
        """Values that occur, ascending, and their counts; rows have width * channels bytes."""

    def tally_colours_and_pixels(
        self, stream: bytearray, height: int, width: int, channels: int
    ) -> tuple[Bins, Bins, IndexedPixels] | None:
        """The same and its pixels, from one pass; None where these are to be read another way."""

    def colours(self, width: int, channels: int) -> ColourCounter:
        """A counter for an image of colours that comes band by band, or as plain pixels."""

    def add_bytes(self, bins: Bins, pixels: NDArray[np.uint8]) -> None:
        """Add plain pixels [n], n >= 1, to the histogram of their values, int64[256]."""

    def value_sums(self, pixels: NDArray[np.integer]) -> tuple[Bins, Bins]:
        """Values of plain pixels [n], n >= 1, ascending, and their counts, both int64.

        The pixels are uint16, int32 or int64.
        """

    def unpack_lzw(self, data: memoryview, size: int) -> memoryview | None:
        """The first `size` bytes that TIFF's LZW data makes.

        None where they can't be had here: of data that is damaged, or of an old kind, or for an
        engine that has no decoder.
        """

    def unfilter(
        self, stream: bytearray, height: int, width: int, bits: int
    ) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Raw values (H, W): uint16 for 16 bits, uint8 for fewer."""

    def tally_and_pixels(
        self, stream: bytearray, height: int, width: int, bits: int
    ) -> tuple[Bins, Bins, NDArray[np.uint8] | NDArray[np.uint16]]:
        """What `tally` and `unfilter` give, from one pass over the rows."""

    def find_runs(self, image: Image, number_of: Int32Array, label_count: int) -> Runs:
        """The runs of an image of values (H, W), where value v has the label number_of[v]."""

    def measure(self, runs: Runs) -> RegionCounts:
        """What the runs of a mask show. Raises MaskError where they are too many pieces."""

    def spread(self, runs: Runs, slots: IntArray, heat: IntArray) -> None:
        """Add the runs of a mask to heat maps, of which label l has slots[l], int64[L].

        `heat` is int64[maps, G, G + 2]: in each row of cells the differences from cell to cell of
        a label's area, in units of 1 / G^2 pixel, from the left. What is behind the first G says
        nothing.
        """


def _metered(method: Method) -> Method:
    """A method of the NumPy engine whose time counts towards loading the compiled one."""

    @wraps(method)
    def call(self: _MeteredNumpyEngine, *arguments: Any) -> Any:
        self.selector.pause()
        start = thread_time()
        found = method(self, *arguments)
        self.note(thread_time() - start)
        return found

    return cast("Method", call)


class _MeteredNumpyEngine(NumpyEngine):
    """Calls for the compiled kernels when counting has taken as long as loading them would."""

    def __init__(self, selector: _Selector) -> None:
        self.selector = selector
        self._busy = 0.0

    tally = _metered(NumpyEngine.tally)
    tally_colours = _metered(NumpyEngine.tally_colours)
    tally_and_pixels = _metered(NumpyEngine.tally_and_pixels)
    add_bytes = _metered(NumpyEngine.add_bytes)
    value_sums = _metered(NumpyEngine.value_sums)
    find_runs = _metered(NumpyEngine.find_runs)
    measure = _metered(NumpyEngine.measure)
    spread = _metered(NumpyEngine.spread)

    def file_counter(self) -> FileCounter | None:
        """The kernel for files, where it will pay and needs no compiler."""
        return self.selector.file_counter(self._busy)

    def note(self, seconds: float) -> None:
        """Count so many seconds of work."""
        self._busy += seconds
        if self._busy > _LOADING:
            self.selector.load()


class _Selector:
    """The state behind `current_engine`: the engine in use, and the way to the other one."""

    def __init__(self) -> None:
        self.engine: Engine = _MeteredNumpyEngine(self)
        self._lock = threading.Lock()
        self._loading = False
        self._tried = False
        self._files: FileCounter | None = None
        self._files_tried = False
        self.expected = 0.0  # seconds that the NumPy engine would take for what was announced
        self._closing = False
        self._compiler: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def pause(self) -> None:
        """Wait while another thread loads the kernels."""
        if self._loading:
            with self._lock:
                pass

    def file_counter(self, busy: float) -> FileCounter | None:
        """The kernel for files, loaded if it is kept and there is work for it.

        None as long as another thread loads or compiles anything.
        """
        if self._files_tried or self._closing or max(self.expected / 2, busy) <= _LOADING_KEPT:
            return self._files
        if not loading.lock.acquire(blocking=False):
            return None
        try:
            with self._lock:
                self._load_files()
        finally:
            loading.lock.release()
        return self._files

    def _load_files(self) -> None:
        if self._files_tried:
            return
        self._loading = True
        try:
            from maskstat.kernels.file_kernel import file_kernel

            self._files = file_kernel(compile_it=False)
        except Exception as error:  # as in `load`
            loading.fell_back(error)
        finally:
            self._files_tried, self._loading = True, False

    def load(self) -> None:
        """Switch to the compiled kernels if they are cached, else begin to compile them; once."""
        if self._tried:
            return
        with loading.lock, self._lock:
            if self._tried or self._closing:
                return
            self._loading = True
            try:
                self._load_or_compile()
            except Exception as error:  # no Numba, or one that does not fit: NumPy goes on
                loading.fell_back(error)
            finally:
                self._tried, self._loading = True, False

    def _load_or_compile(self) -> None:
        from maskstat.kernels.compiled_engine import CompiledEngine, is_cached

        if is_cached():
            engine = CompiledEngine(compile_regions=self._compile_regions)
            engine.load_two_byte_kernels()
            self.engine = engine
        else:
            self._begin_compiling(self._load_compiled)

    def _begin_compiling(self, then: Callable[..., None], *arguments: CompiledEngine) -> None:
        """Compile what is in no cache by a child, where it can be kept, and `then` on a thread."""
        from maskstat.kernels.compiling import has_cache

        self._compiler = _start_compiler() if has_cache() else None
        # a daemon, since it may still be waiting for the compiler when the program ends
        self._thread = threading.Thread(
            target=self._unless_it_fails,
            args=(then, *arguments),
            name="maskstat-kernels",
            daemon=True,
        )
        self._thread.start()

    def _unless_it_fails(self, load: Callable[..., None], *arguments: CompiledEngine) -> None:
        try:
            load(*arguments)
        except Exception as error:  # as in `load`
            if not self._closing:
                loading.fell_back(error)
        finally:
            if self._compiler is not None and self._compiler.stdout is not None:
                self._compiler.stdout.close()

    def _load_compiled(self) -> None:
        """Load each set of kernels when the compiler has finished it."""
        from maskstat.kernels.compiled_engine import CompiledEngine

        self._await_kernels()
        if self._closing:
            return
        engine = CompiledEngine(on_demand=False)
        self.engine = engine
        for load in (
            engine.load_file_kernel,
            engine.load_two_byte_kernels,
            engine.load_colour_kernels,
            engine.load_plain_kernels,
            engine.load_region_kernels,
        ):
            self._await_kernels()
            if not self._closing:
                load()

    def _compile_regions(self, engine: CompiledEngine) -> None:
        """Load the kernels for regions, which come last, when the compiler has finished them."""
        with self._lock:
            if not self._closing:
                self._begin_compiling(self._load_regions, engine)

    def _load_regions(self, engine: CompiledEngine) -> None:
        if self._compiler is not None and self._compiler.stdout is not None:
            self._compiler.stdout.read()
        if not self._closing:
            engine.load_region_kernels()

    def _await_kernels(self) -> None:
        """Wait until the compiler has finished one more set of kernels, or is gone."""
        if self._compiler is not None and self._compiler.stdout is not None:
            self._compiler.stdout.readline()

    def load_now(self) -> None:
        """Load the compiled kernels and switch to them before returning; errors pass through."""
        with loading.lock:
            from maskstat.kernels.compiled_engine import CompiledEngine

            engine = CompiledEngine()
            engine.load_file_kernel()
            engine.load_two_byte_kernels()
        self.engine = engine

    def close(self) -> None:
        """Let native code of the loading thread come to its end before the interpreter does."""
        with self._lock:
            self._closing = True
            compiler = self._compiler
        if compiler is not None and compiler.poll() is None:
            # The thread merely waits for the child, which goes on for the next run's good.
            compiler.returncode = 0
        elif self._thread is not None:
            self._thread.join()


def _start_compiler() -> subprocess.Popen[bytes] | None:
    """A child process that fills the cache, and writes a line for each set of kernels."""
    if not sys.executable or getattr(sys, "frozen", False):  # not an interpreter
        return None
    package_parent = str(Path(__file__).resolve().parents[2])
    search = [package_parent, os.environ.get("PYTHONPATH", "")]
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "maskstat.kernels.fill_cache"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            bufsize=0,  # a buffered pipe that a daemon waits for cannot be torn down at exit
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, search))},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError:
        return None


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
                raise cannot_load(error) from error
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


def announce(masks: int, total_bytes: int) -> None:
    """Announce so many masks, in files of `total_bytes` together (0: unknown), to be counted only.

    Errors are those of `current_engine`.
    """
    selector = _selector or _start()
    selector.expected = masks * _PER_MASK + total_bytes / 1e6 * _PER_MEGABYTE
    if selector.file_counter(0.0) is None and selector.expected > 2 * _LOADING:
        selector.load()


def prepare(masks: int, total_bytes: int) -> None:
    """Announce as many to be measured, or rows of a large image: all kernels are wanted.

    Where they will pay for themselves they are loaded, if need be compiled in the background.
    Errors are those of `current_engine`.
    """
    selector = _selector or _start()
    if masks * _PER_MASK + total_bytes / 1e6 * _PER_MEGABYTE > 2 * _LOADING:
        selector.load()
