"""Which engine counts: NumPy at once, compiled kernels where they pay, and never an error more."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.support import png_factory
from tests.support.interpreters import run_script

_COUNT = """
import sys
from pathlib import Path
from maskstat.errors import ParameterError
from maskstat.kernels import engine
from maskstat.readers.png import tally_png
data = Path(sys.argv[1]).read_bytes()
"""


@pytest.fixture
def mask_file(tmp_path: Path) -> Path:
    """A small sound file on disk."""
    path = tmp_path / "mask.png"
    path.write_bytes(png_factory.png(np.arange(600).reshape(20, 30) // 70, 8, [4] * 20))
    return path


def test_few_masks_never_load_numba(mask_file: Path) -> None:
    """A folder of twenty masks is counted without it."""
    script = _COUNT + (
        "engine.prepare(20, 20 * 30_000)\n"
        "for _ in range(20): tally_png(data)\n"
        "print(engine.current_engine().name, 'numba' in sys.modules, 'PIL' in sys.modules)"
    )
    assert run_script(script, str(mask_file)) == "numpy False True\n"


def test_a_large_workload_loads_cached_kernels(mask_file: Path) -> None:
    """And says the same as before."""
    script = _COUNT + (
        "before = tally_png(data).counts.tolist()\n"
        "engine.prepare(100_000, 0)\n"
        "print(engine.current_engine().name, before == tally_png(data).counts.tolist())"
    )
    run_script(_COUNT + "engine.current_engine()", str(mask_file), MASKSTAT_ENGINE="compiled")
    assert run_script(script, str(mask_file)) == "compiled True\n"


def test_kernels_are_compiled_beside_the_counting(mask_file: Path, tmp_path: Path) -> None:
    """With a cold cache NumPy goes on until another process has compiled the kernels."""
    script = _COUNT + (
        "import time\n"
        "engine.prepare(100_000, 0)\n"
        "first = engine.current_engine().name\n"
        "counts = {tuple(tally_png(data).counts.tolist())}\n"
        "for _ in range(2000):\n"
        "    if engine.current_engine().name == 'compiled': break\n"
        "    counts.add(tuple(tally_png(data).counts.tolist()))\n"
        "    time.sleep(0.1)\n"
        "counts.add(tuple(tally_png(data).counts.tolist()))\n"
        "print(first, engine.current_engine().name, len(counts))"
    )
    cache = str(tmp_path / "cache")
    assert run_script(script, str(mask_file), NUMBA_CACHE_DIR=cache) == "numpy compiled 1\n"


def test_busy_counting_calls_for_compiled_kernels(mask_file: Path) -> None:
    """Nobody has to announce a workload."""
    pixels = png_factory.noise(np.random.default_rng(1), 400, 400, 4)
    mask_file.write_bytes(png_factory.png(pixels, 8, [4] * 400))
    script = _COUNT + (
        "for _ in range(1_000_000):\n"
        "    tally_png(data)\n"
        "    if engine.current_engine().name == 'compiled': break\n"
        "print(engine.current_engine().name)"
    )
    run_script(_COUNT + "engine.current_engine()", str(mask_file), MASKSTAT_ENGINE="compiled")
    assert run_script(script, str(mask_file)) == "compiled\n"


def test_numpy_by_order(mask_file: Path) -> None:
    """MASKSTAT_ENGINE=numpy keeps Numba out for good."""
    script = _COUNT + (
        "engine.prepare(10**9, 10**12)\n"
        "tally_png(data)\n"
        "print(engine.current_engine().name, 'numba' in sys.modules)"
    )
    assert run_script(script, str(mask_file), MASKSTAT_ENGINE="numpy") == "numpy False\n"


def test_without_numba(mask_file: Path) -> None:
    """NumPy goes on and that is said, once, unless compiled kernels were ordered."""
    script = (
        "import sys; sys.modules['numba'] = None; sys.stderr = sys.stdout\n"
        + _COUNT
        + "engine.prepare(10**9, 10**12)\n"
        "tally_png(data)\n"
        "print(engine.current_engine().name)"
    )
    said = run_script(script, str(mask_file)).splitlines()
    assert said[1:] == ["numpy"]
    assert re.fullmatch(
        r"compiled kernels cannot be loaded \(.*numba.*\): NumPy does their work, many times"
        " slower; install a Numba that fits this Python, or set MASKSTAT_ENGINE=numpy to leave it"
        " at that",
        said[0],
    )
    script = (
        "import sys; sys.modules['numba'] = None\n"
        + _COUNT
        + ("try: tally_png(data)\nexcept ParameterError as error: print(error)")
    )
    said = run_script(script, str(mask_file), MASKSTAT_ENGINE="compiled")
    assert said.startswith("MASKSTAT_ENGINE: compiled kernels cannot be loaded (")


_AT_ONCE = """
import sys, threading, time
import numpy as np
from maskstat.kernels import engine, loading
from maskstat.kernels.label_runs import runs_of

unguarded = set()
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numba", "llvmlite") and not loading.lock._is_owned():
            unguarded.add(name)
sys.meta_path.insert(0, Watch())

sys.setswitchinterval(1e-6)
together = threading.Barrier(4)
def measuring():
    together.wait()
    runs, _ = runs_of(np.eye(9, dtype="u1"), np.arange(2), np.arange(2))
    engine.current_engine().measure(runs)
threads = [threading.Thread(target=measuring) for _ in range(3)]
for thread in threads: thread.start()
together.wait()
engine.prepare(100_000, 0)
for thread in threads: thread.join()
for _ in range(2000):
    if engine.current_engine().name == 'compiled': break
    time.sleep(0.1)
print(engine.current_engine().name, unguarded or "")
"""


def test_threads_that_load_at_once(tmp_path: Path) -> None:
    """Threads that measure and one that prepares, all new to Numba, get their kernels.

    Without the lock every second process fell back; so no module may be imported outside it.
    """
    said = run_script(_AT_ONCE, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert said == "compiled \n"


def test_registries_are_filled_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever makes Numba look into its registries holds the lock."""
    from numba.core import base

    from maskstat.kernels import compiled_engine, compiled_regions, loading

    held: list[bool] = []
    real = base.BaseContext.refresh

    def refresh(context: object) -> None:
        held.append(loading.lock._is_owned())  # type: ignore[attr-defined]
        real(context)

    monkeypatch.setattr(base.BaseContext, "refresh", refresh)
    for look in (
        compiled_engine.is_cached,
        lambda: compiled_engine.CompiledEngine().load_plain_kernels(),
        compiled_regions.is_cached,
        compiled_regions.Regions,
    ):
        look()
    assert held and all(held)


def test_no_such_engine(mask_file: Path) -> None:
    """A misspelt engine is an error, not a guess."""
    script = _COUNT + "try: tally_png(data)\nexcept ParameterError as error: print(error)"
    said = run_script(script, str(mask_file), MASKSTAT_ENGINE="fast")
    assert said == "MASKSTAT_ENGINE: 'fast' is no engine; use numpy or compiled\n"


def test_kernels_without_a_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Numba finds no folder to write, a kernel is compiled without its cache."""
    from maskstat.kernels import compiling

    real = compiling.njit

    def njit_without_folders(cache: bool = False, **options: object) -> object:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(compiling, "njit", njit_without_folders)
    monkeypatch.setattr(compiling, "_without_folder", set())
    assert compiling.has_cache()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kernel = compiling.compiled(lambda a: a + 1)
        assert kernel(1) == 2
    assert not compiling.has_cache()


def test_kernels_with_a_broken_cache() -> None:
    """Where the cache fails at loading or saving, a kernel is compiled without it."""
    from numba import njit, types

    from maskstat.kernels import compiling

    class Broken:
        py_func = staticmethod(lambda a: a + 1)

        def compile(self, signature: object) -> None:
            raise OSError("no space left on device")

    kernel = compiling.loaded(Broken(), (types.int64,))
    assert kernel(1) == njit(lambda a: a + 1)(1) == 2
