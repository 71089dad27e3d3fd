"""Memory is taken only for what a file can hold: bombs, lies about sizes, a truly huge mask."""

from __future__ import annotations

import io
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from maskstat.errors import MaskError
from maskstat.kernels.compiled_engine import CompiledEngine
from maskstat.kernels.engine import Engine
from maskstat.kernels.numpy_engine import NumpyEngine
from maskstat.readers import png
from maskstat.readers.png import tally_png, tally_png_stream
from maskstat.values.tally import MaskTally
from tests.support import png_factory
from tests.support.interpreters import run_script
from tests.support.png_factory import SIGNATURE, chunk, header, idat

IEND = chunk(b"IEND")
ENGINES: dict[str, Engine] = {"numpy": NumpyEngine(), "compiled": CompiledEngine()}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Each engine in turn, used by the reader."""
    chosen = ENGINES[request.param]
    monkeypatch.setattr(png, "current_engine", lambda: chosen)
    return chosen


def _counts(tally: MaskTally | None) -> dict[int, int]:
    assert tally is not None
    tally.check()
    return dict(zip(tally.values.tolist(), tally.counts.tolist(), strict=True))


@pytest.fixture
def traced() -> Iterator[None]:
    """Python's memory is watched."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def _peak_of(read: str, data: bytes) -> tuple[str, int]:
    """What is said about a file, and the bytes taken beside it."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        tally = tally_png(data) if read == "whole" else tally_png_stream(io.BytesIO(data))
        said = str(_counts(tally))
    except MaskError as error:
        said = str(error)
    return said, tracemalloc.get_traced_memory()[1] - before


@pytest.mark.parametrize("read", ["whole", "stream"])
def test_bombs(read: str, traced: None, engine: Engine) -> None:
    """100 kB that inflate to 100 MB: as a small image, as an enormous one, as what they are."""
    size = 100_000_000
    bomb = zlib.compress(bytes(size), 9)
    assert len(bomb) < 110_000
    middle = chunk(b"IDAT", bomb) + IEND

    said, peak = _peak_of(read, SIGNATURE + header(10, 10, 8) + middle)
    assert "more than the 110 bytes" in said
    assert peak < 2_000_000

    said, peak = _peak_of(read, SIGNATURE + header(2**31 - 1, 2**31 - 1, 8) + middle)
    assert "cannot hold an image" in said or "is wider than" in said
    assert peak < 2_000_000

    said, peak = _peak_of(read, SIGNATURE + header(10_000, 1_000_000, 8) + middle)
    assert "cannot hold an image" in said or "inflates to 100000000 bytes" in said
    assert peak < 20_000_000

    said, peak = _peak_of(read, SIGNATURE + header(9_999, 10_000, 8) + middle)
    assert said == str({0: 99_990_000})
    assert peak < 20_000_000


@pytest.mark.parametrize("read", ["whole", "stream"])
def test_sizes_are_checked_before_memory_is_taken(read: str, traced: None) -> None:
    """A few bytes that claim any size cost next to nothing."""
    for width, height in ((2**31 - 1, 1), (1, 2**31 - 1), (2**16, 2**16), (60_000_000, 1)):
        data = SIGNATURE + header(width, height, 8) + idat(bytes(100)) + IEND
        said, peak = _peak_of(read, data)
        assert "cannot hold" in said or "is wider than" in said or "inflates to 100 bytes" in said
        assert peak < 2 * 60_000_001 if width == 60_000_000 else peak < 3_000_000
    lying = SIGNATURE + header(6, 4, 8) + struct.pack(">I", 2**31 - 1) + b"IDAT" + bytes(50)
    said, peak = _peak_of(read, lying)
    assert "file ends early" in said or "damaged pixel data" in said
    assert peak < 500_000


def _huge(path: Path, side: int, band: int) -> dict[int, int]:
    """A PNG of side x side pixels, as a stream that repeats one band; its counts.

    The band is compressed once and flushed, so that its bytes can stand behind themselves.
    """
    rng = np.random.default_rng(1)
    pixels = np.sort(rng.integers(0, 30, (band, side)), axis=1).astype(np.uint8)
    rows = png_factory.filtered(pixels, [0, *rng.integers(0, 5, band - 1).tolist()], 1)
    squeeze = zlib.compressobj(1)
    packed = squeeze.compress(rows) + squeeze.flush(zlib.Z_FULL_FLUSH)
    repeats = side // band
    checksum = 1
    for _ in range(repeats):
        checksum = zlib.adler32(rows, checksum)
    again = packed[2:]  # without the zlib header
    with path.open("wb") as file:
        file.write(SIGNATURE + header(side, side, 8) + chunk(b"IDAT", packed))
        for _ in range(repeats - 1):
            file.write(chunk(b"IDAT", again))
        file.write(chunk(b"IDAT", b"\x03\x00" + struct.pack(">I", checksum)) + IEND)
    return {value: count * repeats for value, count in png_factory.counts_of(pixels).items()}


_COUNT_HUGE = """
import sys
from pathlib import Path
from maskstat.readers.png import tally_png, tally_png_stream
if sys.argv[2] == "stream":
    with open(sys.argv[1], "rb") as file:
        tally = tally_png_stream(file)
else:
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    tally = tally_png(data)
print(dict(zip(tally.values.tolist(), tally.counts.tolist())))
status = Path("/proc/self/status").read_text()
print(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("read", ["stream", "whole"])
def test_a_huge_mask_in_bounded_memory(tmp_path: Path, read: str) -> None:
    """30,000 x 30,000 pixels, 0.9 GB when inflated, in less than 250 MB all told."""
    path = tmp_path / "huge.png"
    wanted = _huge(path, 30_000, 50)
    assert path.stat().st_size < 30_000_000
    said = run_script(_COUNT_HUGE, str(path), read, MASKSTAT_ENGINE="compiled").splitlines()
    assert said[0] == str(wanted)
    assert int(said[1]) * 1024 < 250_000_000
