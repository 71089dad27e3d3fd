"""NIfTI: every voxel of every type counts, scaled or not, gzipped or not; hostile headers."""

from __future__ import annotations

import gzip
import io
import struct
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import maskstat as ms
from maskstat.errors import MaskError
from maskstat.readers import volumes
from maskstat.readers.formats import read_label_map, read_tally, read_tally_stream
from maskstat.readers.options import ReadOptions
from maskstat.values.tally import Encoding, MaskTally
from tests.support.loops import at_least_one
from tests.support.mask_files import ALL, STRICT, nifti, refusal
from tests.support.packages import package

nibabel = package("nibabel", reason="needs maskstat[medical]")

SHAPE = (7, 5, 3)  # X, Y, Z


def volume(high: int = 9, shape: tuple[int, ...] = SHAPE, seed: int = 1) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, high, shape)


def saved(voxels: NDArray[Any], *, kind: str = "Nifti1Image", scale: Any = None) -> bytes:
    """A file by nibabel; `scale` is (slope, inter), and the voxels are stored as they are."""
    image = getattr(nibabel, kind)(voxels, np.eye(4), dtype=voxels.dtype)
    if scale is not None:
        image.header.set_slope_inter(*scale)
        image.header["magic"] = b"n+1" if kind == "Nifti1Image" else b"n+2"
        image.header["vox_offset"] = image.header.single_vox_offset
        with io.BytesIO() as stream:
            image.header.write_to(stream)
            stream.write(bytes(image.header.single_vox_offset - stream.tell()))
            return stream.getvalue() + voxels.tobytes(order="F")
    data: bytes = image.to_bytes()
    return data


def both(data: bytes) -> list[bytes]:
    return [data, gzip.compress(data, 1, mtime=0)]


def as_mask(voxels: NDArray[Any]) -> NDArray[Any]:
    """(X, Y, Z) as slices one below the other, each Y high and X wide."""
    return np.transpose(voxels, (2, 1, 0)).reshape(-1, voxels.shape[0])


def check(data: bytes, expected: NDArray[Any], encoding: Encoding, options: Any = STRICT) -> None:
    for packed in at_least_one(both(data)):
        for tally in (
            read_tally(packed, "v", options),
            read_tally_stream(io.BytesIO(packed), "v", options),
        ):
            tally.check()
            assert tally.encoding._replace(voxel=None) == encoding  # see test_spacing.py
            plain = MaskTally.of_pixels("v", as_mask(expected).astype(np.int64), encoding)
            assert tally.shape == plain.shape
            assert tally.values.tolist() == plain.values.tolist()
            assert tally.counts.tolist() == plain.counts.tolist()
        pixels = read_label_map(packed, options).pixels
        assert np.array_equal(pixels, as_mask(expected))


@pytest.mark.parametrize("kind", ["Nifti1Image", "Nifti2Image"])
@pytest.mark.parametrize(
    "dtype", ["<u1", "<i1", "<u2", ">i2", "<i4", ">u4", "<i8", "<u8", "<f4", ">f8"]
)
def test_types(kind: str, dtype: str) -> None:
    voxels = volume().astype(dtype)
    names = {"u": "uint", "i": "int", "f": "float"}
    data = saved(voxels, kind=kind)
    assert np.array_equal(np.asarray(getattr(nibabel, kind).from_bytes(data).dataobj), voxels)
    check(data, voxels, Encoding("nifti", names[dtype[1]], 8 * voxels.dtype.itemsize))


def test_big_endian_headers() -> None:
    voxels = volume().astype(">i2")
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    data = nibabel.Nifti1Image(voxels, np.eye(4), header).to_bytes()
    assert data[:4] == b"\0\0\1\x5c"
    check(data, voxels, Encoding("nifti", "int", 16))


@pytest.mark.parametrize(
    ("scale", "stored"), [((2.0, -3.0), "<i2"), ((0.5, 0.0), "<u1"), ((1.0, 7.0), "<f4")]
)
def test_scaled_volumes_of_whole_numbers(scale: tuple[float, float], stored: str) -> None:
    slope, inter = scale
    voxels = (volume() * 2).astype(stored)
    data = saved(voxels, scale=scale)
    values = np.asarray(nibabel.Nifti1Image.from_bytes(data).dataobj)
    assert np.array_equal(values, voxels * slope + inter)
    check(data, values, Encoding("nifti", "float", 64))


def test_other_scales() -> None:
    voxels = volume().astype(np.int16)
    assert "whole numbers" in refusal(saved(voxels, scale=(0.3, 0.0)))
    for scale in ((0.0, 5.0), (np.nan, np.nan)):  # which the standard calls not scaled
        data = bytearray(saved(voxels))
        struct.pack_into("<2f", data, 112, *scale)
        check(bytes(data), voxels, Encoding("nifti", "int", 16))
    assert "64-bit voxels would be rounded" in refusal(saved(volume(), scale=(2.0, 1.0)))


def test_fractions_are_no_labels() -> None:
    voxels = volume().astype(np.float32)
    voxels[1, 1, 1] = 0.5
    for data in both(saved(voxels)):
        assert "value 0.5" in refusal(data)
    voxels[1, 1, 1] = np.nan
    assert "value nan" in refusal(saved(voxels))


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 3, 1), (4, 3, 2, 1, 1)])
def test_axes_of_length_1_say_nothing(shape: tuple[int, ...]) -> None:
    voxels = volume(shape=shape).astype(np.uint8)
    full = voxels.reshape((*shape, 1, 1, 1)[:3])
    check(saved(voxels), full, Encoding("nifti", "uint", 8))


def test_series_need_a_word() -> None:
    series = volume(shape=(*SHAPE, 4)).astype(np.uint8)
    data = saved(series)
    assert "has 4 volumes where one mask is expected (pages" in refusal(data)
    for page in (1, 3):
        encoding = Encoding("nifti", "uint", 8, f"page {page}")
        check(data, series[..., page - 1], encoding, ReadOptions(pages=page))
    assert "there is no pages=5" in refusal(data, ReadOptions(pages=5))
    tally = read_tally(data, "v", ReadOptions(pages="all"))
    assert tally.shape == (SHAPE[1] * SHAPE[2] * 4, SHAPE[0])
    assert np.array_equal(tally.counts, np.unique(series, return_counts=True)[1])


def test_the_fourth_axis_as_classes() -> None:
    classes = volume(4)
    stack = (classes[..., None] == np.arange(3)).astype(np.uint8)
    expected = np.where(classes < 3, classes, -1)
    check(
        saved(stack),
        expected,
        Encoding("nifti", "int", 64, "one-hot"),
        ReadOptions(channels="one-hot"),
    )
    stack[..., 0] = 1
    assert "not one-hot" in refusal(saved(stack), ReadOptions(channels="one-hot"))
    bits = (stack.astype(np.int64) << np.arange(3)).sum(axis=-1)
    check(
        saved(stack), bits, Encoding("nifti", "int", 64, "bitmask"), ReadOptions(channels="bitmask")
    )
    assert "needs a fourth axis" in refusal(
        nifti(np.zeros((2, 2), np.uint8)), ReadOptions(channels="one-hot")
    )


@given(st.integers(1, 50), st.lists(st.integers(1, 6), min_size=1, max_size=3))
def test_pieces_of_any_size_add_up(piece: int, shape: list[int]) -> None:
    voxels = volume(shape=tuple(shape)).astype("<u2")
    patch = pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.setattr(volumes, "_PIECE", 2 * piece)
        patched.setattr(volumes, "_COMPRESSED_PIECE", piece)
        for data in both(saved(voxels)):
            tally = read_tally(data, "v", STRICT)
            assert int(tally.counts.sum()) == voxels.size
            assert np.array_equal(tally.values, np.unique(voxels))


def test_a_folder_of_volumes(tmp_path: Path) -> None:
    """`.nii.gz` is one suffix: other gzipped files beside are none of ours."""
    voxels = volume(3).astype(np.uint8)
    for name, data in zip(("a.nii", "b.nii.gz"), both(saved(voxels)), strict=True):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "notes.txt.gz").write_bytes(gzip.compress(b"hello"))
    scan = ms.scan(tmp_path, classes=3)
    assert scan.ledger.names == ("a.nii", "b.nii.gz")
    assert scan.failures == ()
    assert scan.changes is not None
    assert scan.changes.skipped == 1
    assert scan.histogram.pixels.tolist() == (2 * np.bincount(voxels.ravel())).tolist()
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(b"hello"))
    (failure,) = ms.scan(tmp_path, classes=3).failures
    assert "not a NIfTI volume" in failure.reason


# --- hostile files -----------------------------------------------------------------------------


def header_with(**fields: Any) -> bytes:
    """A sound file of 2 x 2 voxels with some fields of its header overwritten."""
    places = {
        "dim": (40, "<8h"),
        "datatype": (70, "<h"),
        "vox_offset": (108, "<f"),
        "magic": (344, "4s"),
    }
    data = bytearray(nifti(np.zeros((2, 2), np.uint8)))
    for name, value in fields.items():
        at, code = places[name]
        struct.pack_into(code, data, at, *value)
    return bytes(data)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"dim": [3, 10000, 10000, 10000, 1, 1, 1, 1]}, "ends within its voxels"),
        ({"dim": [7, 32767, 32767, 32767, 32767, 1, 1, 1]}, "impossible shape"),
        ({"dim": [3, -4, 4, 4, 1, 1, 1, 1]}, "impossible shape"),
        ({"dim": [3, 0, 4, 4, 1, 1, 1, 1]}, "no voxels"),
        ({"dim": [0, 0, 0, 0, 0, 0, 0, 0]}, "no voxels"),
        ({"dim": [9, 1, 1, 1, 1, 1, 1, 1]}, "impossible shape"),
        ({"datatype": [128]}, "whole numbers are expected"),
        ({"datatype": [32]}, "whole numbers are expected"),
        ({"datatype": [9999]}, "not a readable NIfTI"),
        ({"vox_offset": [1e13]}, "begin at byte"),
        ({"vox_offset": [-5.0]}, "begin at byte"),
        ({"vox_offset": [float("nan")]}, "begin at byte"),
        ({"vox_offset": [1e6]}, "ends before its voxels"),
        ({"magic": [b"ni1\0"]}, "another file (.img)"),
        ({"magic": [b"\0\0\0\0"]}, "Analyze"),
    ],
)
def test_headers_that_lie(fields: dict[str, Any], said: str) -> None:
    data = header_with(**fields)
    tracemalloc.start()
    try:
        for packed in at_least_one(both(data)):
            assert said in refusal(packed, ALL)
            with pytest.raises(MaskError):
                read_label_map(packed, ALL)
            assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


def test_bombs_take_no_memory() -> None:
    """100 kB that inflate to 100 MB of zeros: a volume that big, a small one, a larger one."""
    zeros = zlib.compressobj(9, wbits=31)
    tail = bytes(100_000_000)
    for dim, said in (
        ([3, 1000, 1000, 100, 1, 1, 1, 1], "100000000"),
        ([3, 10, 10, 10, 1, 1, 1, 1], "1000"),
        ([3, 2000, 2000, 2000, 1, 1, 1, 1], "ends within its voxels"),
    ):
        packer = zeros.copy()
        bomb = packer.compress(header_with(dim=dim)[:352]) + packer.compress(tail) + packer.flush()
        assert len(bomb) < 120_000
        tracemalloc.start()
        try:
            found = str(int(read_tally(bomb, "v", STRICT).counts.sum()))
        except MaskError as error:
            found = str(error)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert said in found
        assert peak < 150_000_000 if found == "100000000" else peak < 80_000_000


def test_gzip_damage_is_noticed() -> None:
    data = gzip.compress(saved(volume().astype(np.uint8)), mtime=0)
    wrong = data[:-8] + bytes([data[-8] ^ 1]) + data[-7:]
    assert "damaged gzip data" in refusal(wrong)
    assert "gzip data ends early" in refusal(data[:-9])
    whole = read_tally(data, "v", STRICT)
    again = read_tally(data + b"\0" * 100, "v", STRICT)
    assert again.counts.tolist() == whole.counts.tolist()
    half = len(saved(volume().astype(np.uint8))) // 2
    raw = saved(volume().astype(np.uint8))
    members = gzip.compress(raw[:half], mtime=0) + gzip.compress(raw[half:], mtime=0)
    assert read_tally(members, "v", STRICT).counts.tolist() == whole.counts.tolist()


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    data = nifti(np.zeros((2, 2), np.uint8))
    monkeypatch.setitem(sys.modules, "nibabel.nifti1", None)
    for packed in at_least_one(both(data)):
        assert refusal(packed) == 'a NIfTI volume needs nibabel: pip install "maskstat[medical]"'
