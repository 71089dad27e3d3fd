"""Files counted many at a time: each as by itself, or left to who reads it by itself."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import maskstat
from maskstat.errors import MaskError
from maskstat.kernels import loading
from maskstat.kernels.c_functions import Libdeflate
from maskstat.kernels.compiled_engine import CompiledEngine
from maskstat.kernels.numpy_engine import NumpyEngine
from maskstat.readers import libdeflate, png_files
from maskstat.readers.png import tally_png
from maskstat.values.tally import MaskTally
from tests.support import png_factory
from tests.support.loops import at_least_one
from tests.support.png_factory import GREY, PALETTE, SIGNATURE, chunk, header, idat
from tests.support.png_mutations import MUTATIONS

RUNS = int(os.environ.get("MASKSTAT_FUZZ", "2000"))
SEED = int(os.environ.get("MASKSTAT_FUZZ_SEED", "20"))

pytestmark = pytest.mark.skipif(
    libdeflate.c_library() is None or not loading.CAN_READ_MANY,
    reason="libdeflate's package has no C functions here",
)


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever other tests did, the compiled engine counts."""
    engine = CompiledEngine()
    monkeypatch.setattr(png_files, "current_engine", lambda: engine)


def _written(folder: Path, files: list[bytes]) -> list[tuple[str, str, int]]:
    found = []
    for number, data in enumerate(files):
        path = folder / f"{number}.png"
        path.write_bytes(data)
        found.append((f"mask {number}", str(path), len(data)))
    return found


def _alone(name: str, data: bytes) -> MaskTally | None:
    try:
        return tally_png(data, name)
    except MaskError:
        return None


def _same(one: MaskTally, other: MaskTally | None) -> None:
    one.check()
    assert other is not None
    assert (one.name, one.shape, one.encoding) == (other.name, other.shape, other.encoding)
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.counts, other.counts)


def _usual(rng: np.random.Generator) -> bytes:
    """A sound file of 8 bits, in one IDAT chunk or several."""
    height, width = rng.integers(1, 200, 2).tolist()
    make = png_factory.noise if rng.random() < 0.3 else png_factory.labels
    return png_factory.png(
        make(rng, height, width, 8),
        8,
        rng.integers(0, 5, height).tolist(),
        colour_type=int(rng.choice([GREY, PALETTE])),
        cuts=rng.integers(0, 300, int(rng.integers(0, 4))).tolist(),
    )


def test_sound_files_count_as_by_themselves(tmp_path: Path) -> None:
    """Files of different sizes, in one call; none is left out."""
    rng = np.random.default_rng(SEED)
    files = [_usual(rng) for _ in range(60)]
    for given, tally, data in zip(
        *(listed := _written(tmp_path, files), png_files.tally_files(listed)), files, strict=True
    ):
        assert tally is not None
        _same(tally, tally_png(data, given[0]))


def test_mutations(tmp_path: Path) -> None:
    """What is counted is what is counted alone; nothing is that is refused alone."""
    rng = np.random.default_rng(SEED)
    seeds = [_usual(rng) for _ in range(12)]
    counted = left_out = 0
    for first in range(0, RUNS, 50):
        files = [
            MUTATIONS[turn % len(MUTATIONS)](rng, seeds[int(rng.integers(len(seeds)))])
            for turn in range(first, min(RUNS, first + 50))
        ]
        listed = _written(tmp_path, files)
        for given, tally, data in zip(listed, png_files.tally_files(listed), files, strict=True):
            if tally is None:
                left_out += 1
            else:
                counted += 1
                _same(tally, _alone(given[0], data))
    assert min(counted, left_out) > RUNS // 20


@pytest.mark.parametrize("bits", [1, 2, 4, 16])
def test_other_depths_are_left_out(tmp_path: Path, bits: int) -> None:
    """One pixel in a byte, no less, no more."""
    data = png_factory.png(np.zeros((3, 4), np.uint16), bits, [0, 1, 2])
    assert png_files.tally_files(_written(tmp_path, [data])) == [None]


def test_a_row_too_many_is_refused(tmp_path: Path) -> None:
    """And so are pixels that end early; those beside it count."""
    good = png_factory.png(np.ones((3, 4), np.uint8), 8, [0] * 3)
    long, short = (png_factory.wrap(4, 3, 8, bytes(5 * rows)) for rows in (4, 2))
    tallies = png_files.tally_files(_written(tmp_path, [long, good, short]))
    assert [tally is None for tally in tallies] == [True, False, True]


def test_rows_of_many_megabytes_are_left_out(tmp_path: Path) -> None:
    """Before memory is taken for them, whatever the header says, true or not."""
    large = (3000, 3000)
    packed = idat(bytes(large[0] * (1 + large[1])), level=9)
    frame = SIGNATURE, packed + chunk(b"IEND")
    true = frame[0] + header(*large, 8) + frame[1]
    lies = frame[0] + header(2**31 - 1, 2**31 - 1, 8) + frame[1]
    good = png_factory.png(np.ones((3, 4), np.uint8), 8, [0] * 3)
    tallies = png_files.tally_files(_written(tmp_path, [true, lies, good]))
    assert [tally is None for tally in tallies] == [True, True, False]


def test_files_that_are_not_as_listed_are_left_out(tmp_path: Path) -> None:
    """Grown, cut short, gone, a folder; and a pipe is not waited for."""
    data = png_factory.png(np.ones((30, 40), np.uint8), 8, [0] * 30)
    listed = _written(tmp_path, [data] * 6)
    (tmp_path / "0.png").write_bytes(data + b"more")
    (tmp_path / "1.png").write_bytes(data[:-1])
    (tmp_path / "2.png").unlink()
    for number, make in ((3, os.mkdir), (4, os.mkfifo)):
        (tmp_path / f"{number}.png").unlink()
        make(tmp_path / f"{number}.png")
    tallies = png_files.tally_files(listed)
    assert [tally is None for tally in tallies] == [True] * 5 + [False]
    zero = [("mask", f"{tmp_path}/\0.png", 99)]
    assert png_files.tally_files(zero) == [None]


def test_what_is_usual() -> None:
    """Small files called .png."""
    assert png_files.is_usual("a/b.png", 57)
    for name, size in (("a.png", 56), ("a.png", png_files.LARGEST + 1), ("a.tif", 99)):
        assert not png_files.is_usual(name, size)


@pytest.mark.parametrize("lacking", ["library", "engine"])
def test_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str) -> None:
    """All are left to who reads them one by one, and a scan counts the same."""
    listed = _written(tmp_path, [_usual(np.random.default_rng(seed)) for seed in range(9)])
    with maskstat.scan(tmp_path, classes=256, db=None, workers=2) as together:
        expected = together.histogram.pixels
    if lacking == "library":
        monkeypatch.setattr(png_files, "c_library", lambda: None)
    else:
        engine = NumpyEngine()
        monkeypatch.setattr(png_files, "current_engine", lambda: engine)
    assert png_files.tally_files(listed) == [None] * 9
    with maskstat.scan(tmp_path, classes=256, db=None, workers=2) as alone:
        np.testing.assert_array_equal(alone.histogram.pixels, expected)
    assert int(expected.sum()) > 0


def test_a_scan_counts_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks of a folder come this way, all but the damaged one, which has its reason."""
    rng = np.random.default_rng(SEED)
    _written(tmp_path, [*(_usual(rng) for _ in range(20)), SIGNATURE + bytes(99)])
    given: list[int] = []
    tally_files = png_files.tally_files

    def watched(files: list[tuple[str, str, int]]) -> list[MaskTally | None]:
        found = tally_files(files)
        given.append(sum(tally is not None for tally in found))
        return found

    monkeypatch.setattr(png_files, "tally_files", watched)
    with maskstat.scan(tmp_path, classes=256, db=None) as scan:
        assert [failure.mask for failure in scan.failures] == ["20.png"]
        assert "IHDR" in scan.failures[0].reason
    assert sum(given) == 20


def test_too_little_memory_for_many_is_enough_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read one by one then."""
    _written(tmp_path, [_usual(np.random.default_rng(seed)) for seed in range(9)])

    def tally_files(files: object) -> None:
        raise MemoryError

    monkeypatch.setattr(png_files, "tally_files", tally_files)
    with maskstat.scan(tmp_path, classes=256, db=None) as scan:
        assert not scan.failures
        assert len(scan.ledger) == 9


def test_another_library_is_not_called() -> None:
    """One that has no such functions, and what is none at all."""
    import _ctypes

    with pytest.raises(AttributeError):
        Libdeflate(_ctypes.__file__)
    with pytest.raises(OSError, match="no_library"):
        Libdeflate("/no_library.so")


def test_decompressors_are_used_again() -> None:
    """By one at a time."""
    library = libdeflate.c_library()
    assert library is not None
    one, other = library.borrow(), library.borrow()
    assert one != other
    library.give_back(one)
    library.give_back(other)
    assert {library.borrow(), library.borrow()} == {one, other}
    library.give_back(one)
    library.give_back(other)


def test_every_seed_is_sound() -> None:
    """What is mutated is read to begin with."""
    for seed in at_least_one(range(12)):
        assert tally_png(_usual(np.random.default_rng(seed))) is not None
