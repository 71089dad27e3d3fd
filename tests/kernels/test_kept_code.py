"""Machine code in files: what was kept, or nothing; and what needs no Numba then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import maskstat
from maskstat.kernels import file_kernel, kept_code, loading
from maskstat.kernels.kept_code import MachineCode, keep, kept
from maskstat.readers import libdeflate
from tests.support import png_factory
from tests.support.interpreters import run_script
from tests.support.loops import at_least_one

CODE = MachineCode("some_function", bytes(range(256)) * 9)
SOURCES = ("vector",)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where code is kept now."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_was_kept_is_found(folder: Path) -> None:
    """By its name and the text that it was made of."""
    assert kept("a", SOURCES) is None
    keep("a", SOURCES, CODE)
    assert kept("a", SOURCES) == CODE
    assert kept("b", SOURCES) is None
    assert kept("a", ("png_filters",)) is None
    keep("a", SOURCES, CODE._replace(symbol="another"))
    assert kept("a", SOURCES) == CODE._replace(symbol="another")
    assert len(list(folder.iterdir())) == 1


def test_another_processor_has_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code for one may end a process on another."""
    keep("a", SOURCES, CODE)
    monkeypatch.setattr(kept_code, "_target_of", lambda _: ("i486", "-sse"))
    assert kept("a", SOURCES) is None


def test_damaged_code_is_none(folder: Path) -> None:
    """Wherever a bit changes, and wherever the file ends."""
    keep("a", SOURCES, CODE)
    (file,) = folder.iterdir()
    data = file.read_bytes()
    for at in at_least_one(range(0, len(data), 97)):
        file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert kept("a", SOURCES) is None
        file.write_bytes(data[:at])
        assert kept("a", SOURCES) is None
    file.write_bytes(data)
    assert kept("a", SOURCES) == CODE


@pytest.mark.parametrize("name", ["numba_gil_ensure", "NRT_Free", "PyErr_Clear"])
def test_code_that_only_numba_can_load_is_not_kept(folder: Path, name: str) -> None:
    """Loading it without would end the process."""
    keep("a", SOURCES, CODE._replace(data=CODE.data + name.encode()))
    assert kept("a", SOURCES) is None


def test_nowhere_to_keep_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that can't be is no error."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "folder"))
    keep("a", SOURCES, CODE)
    assert kept("a", SOURCES) is None


def test_the_kernel_is_kept_for_everybody() -> None:
    """Its code needs nothing of Numba's: a process without it loads it."""
    assert file_kernel.file_kernel(compile_it=True) is not None
    assert kept("whole_files", file_kernel.SOURCES) is not None


needs_files = pytest.mark.skipif(
    libdeflate.c_library() is None or not loading.CAN_READ_MANY,
    reason="libdeflate's package has no C functions here",
)

_SCAN = """
import sys
import maskstat
with maskstat.scan(sys.argv[1], classes=256, db=None, workers=2) as scan:
    print(scan.histogram.pixels.tolist())
print('numba' in sys.modules, 'llvmlite' in sys.modules)
"""


@needs_files
@pytest.mark.slow
@pytest.mark.parametrize(("masks", "loaded"), [(20, "False False"), (1000, "False True")])
def test_a_scan_of_usual_masks_needs_no_numba(tmp_path: Path, masks: int, loaded: str) -> None:
    """A few are counted by NumPy, many by the code that is kept; the counts are the same."""
    file_kernel.file_kernel(compile_it=True)
    rng = np.random.default_rng(5)
    expected = np.zeros(256, np.int64)
    for number in range(masks):
        pixels = png_factory.labels(rng, 40, 50, 8)
        expected += np.bincount(pixels.ravel(), minlength=256)
        (tmp_path / f"{number}.png").write_bytes(png_factory.png(pixels, 8, [number % 2] * 40))
    counts, found = run_script(_SCAN, str(tmp_path)).splitlines()
    assert found == loaded
    assert counts == str(expected.tolist())


@needs_files
@pytest.mark.slow
def test_other_masks_get_their_kernels(tmp_path: Path) -> None:
    """Many of 16 bits keep NumPy busy, though the kernel for usual files is loaded."""
    pixels = png_factory.labels(np.random.default_rng(5), 600, 800, 16)
    data = png_factory.png(pixels, 16, [4] * 600)
    for number in range(300):
        (tmp_path / f"{number}.png").write_bytes(data)
    script = _SCAN.replace("classes=256", "classes=65536")
    with maskstat.scan(tmp_path, classes=65536, db=None) as scan:
        expected = str(scan.histogram.pixels.tolist())
    counts, found = run_script(script, str(tmp_path)).splitlines()
    assert counts == expected
    assert found == "True True"
