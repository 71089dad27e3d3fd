"""Grey TIFFs counted strip by strip: the counts are those of their pixels, however they are cut."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from maskstat.errors import MaskError
from maskstat.kernels.compiled_engine import CompiledEngine
from maskstat.kernels.numpy_engine import NumpyEngine
from maskstat.readers import tiff as tiff_reader
from maskstat.readers import tiff_plain
from maskstat.readers.formats import read_tally
from maskstat.readers.tiff_directory import read_directory
from maskstat.values.tally import Encoding, MaskTally
from tests.support.mask_files import ALL, same_counts
from tests.support.packages import package

tifffile = package("tifffile", reason="needs maskstat[tiff]")


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine that unpacks LZW data."""
    monkeypatch.setattr(tiff_plain, "current_engine", CompiledEngine)


def written(pixels: np.ndarray, **how: Any) -> bytes:
    """A TIFF as tifffile writes it."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="minisblack", metadata=None, **how)
    return buffer.getvalue()


def plain(data: bytes) -> MaskTally | None:
    return tiff_plain.tally_plain(data, read_directory(io.BytesIO(data)), "x")


def generated(seed: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Pixels of a random size and kind, and a random way to write them."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 90, 2)
    bits = (8, 16)[seed % 2]
    most = int(rng.choice([2, 9, 1 << bits]))
    blocks = rng.integers(0, most, (int(height), int(width)))
    if seed % 3:  # as masks are, not noise
        blocks = np.repeat(np.repeat(blocks, 7, 0), 5, 1)[:height, :width]
    how: dict[str, Any] = {"byteorder": "<>"[seed // 2 % 2], "bigtiff": bool(seed % 5 == 0)}
    if seed // 4 % 2:
        how["tile"] = tuple(int(n) * 16 for n in rng.integers(1, 5, 2))
    else:
        how["rowsperstrip"] = int(rng.integers(1, height + 4))
    how["compression"] = (None, "zlib", "lzw")[seed // 8 % 3]
    return blocks.astype(f"u{bits // 8}"), how


@pytest.mark.parametrize("seed", range(96))
def test_counts_are_those_of_the_pixels(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, how = generated(seed)
    monkeypatch.setattr(tiff_plain, "_WORTH_COUNTING", 1 << (4 + seed % 9))
    data = written(pixels, **how)
    found = plain(data)
    if found is None:  # a big-endian BigTIFF is none that gets here
        pytest.fail(f"not plain: {how}")
    found.check()
    encoding = Encoding("tiff", "grey", 8 * pixels.itemsize)
    assert same_counts(found, MaskTally.of_pixels("x", pixels, encoding))
    assert found.encoding == encoding
    assert found.shape == pixels.shape


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("seed", range(48))
def test_damaged_files_are_left_to_other_readers(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they say, be it counts or a reason, is what anybody hears, but for tags of no matter."""
    pixels, how = generated(seed)
    data = bytearray(written(pixels, **how))
    whole = outcome(bytes(data))
    rng = np.random.default_rng(seed)
    for _ in range(20):
        damaged = bytearray(data)
        if rng.random() < 0.3:
            del damaged[int(rng.integers(8, len(data))) :]
        else:
            damaged[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        ours = outcome(bytes(damaged))
        with monkeypatch.context() as patch:
            patch.setattr(tiff_reader, "tally_plain", lambda *_: None)
            others = outcome(bytes(damaged))
        if isinstance(ours, MaskTally):
            other = whole if isinstance(others, str) else others
            assert isinstance(other, MaskTally)
            assert same_counts(ours, other)
            assert (ours.shape, ours.encoding) == (other.shape, other.encoding)
        else:
            assert ours == others


def outcome(data: bytes) -> MaskTally | str:
    try:
        return read_tally(data, "x", ALL)
    except MaskError as error:
        return str(error)


@pytest.mark.parametrize(
    "how",
    [
        {"compression": "lzw", "predictor": True},
        {"compression": "zlib", "predictor": True},
        {"compression": "zstd"},
    ],
)
def test_what_is_not_plain_is_left_alone(how: dict[str, Any]) -> None:
    assert plain(written(np.ones((20, 30), np.uint8), **how)) is None


def test_lzw_data_is_left_alone_by_an_engine_without_a_decoder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = written(np.ones((20, 30), np.uint8), compression="lzw")
    assert plain(data) is not None
    monkeypatch.setattr(tiff_plain, "current_engine", NumpyEngine)
    assert plain(data) is None
    assert isinstance(outcome(data), MaskTally)


def test_strips_that_claim_more_than_their_data_are_left_alone() -> None:
    data = written(np.zeros((64, 64), np.uint8), compression="zlib", rowsperstrip=64)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tags = file.pages[0].tags
        height, strip = tags["ImageLength"].valueoffset, tags["RowsPerStrip"].valueoffset
    larger = bytearray(data)
    for place in (height, strip):
        larger[place : place + 4] = (40_000).to_bytes(4, "little")
    assert plain(bytes(larger)) is None
