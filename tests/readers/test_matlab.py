"""MATLAB's files: what SciPy reads of them is counted, with planes where MATLAB has them."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import io as scipy_io
from scipy import sparse

import maskstat as ms
from maskstat.errors import MaskError
from maskstat.readers.formats import open_planes, read_label_map, read_tally
from maskstat.readers.options import ReadOptions
from tests.support.mask_files import (
    ALL,
    STRICT,
    coloured,
    colours_of,
    h5py,
    labels,
    mat,
    mat_7_3,
    refusal,
)
from tests.support.tracing import stop_tracing

LABELS = labels(200)
VOLUME = np.stack([labels(7, seed=k) for k in range(5)], axis=-1)  # (H, W, D)
SAMPLES = Path(scipy_io.matlab.__file__).parent / "tests" / "data"
versions = pytest.mark.parametrize("write", [mat, mat_7_3])


def pixels(data: bytes, options: ReadOptions = STRICT) -> NDArray[np.integer]:
    tally, (found, _) = read_tally(data, "m", options), read_label_map(data, options)
    tally.check()
    values, counts = np.unique(found.astype(np.int64), return_counts=True)
    assert (tally.values.tolist(), tally.counts.tolist()) == (values.tolist(), counts.tolist())
    assert tally.shape == found.shape
    assert tally.encoding.container == "matlab"
    return found


@settings(max_examples=40)
@given(
    st.sampled_from(["u1", "<u2", ">i4", "<i8", "f4", "f8", "i1", "u8"]),
    st.booleans(),
    st.sampled_from([mat, mat_7_3]),
)
def test_what_is_saved_is_read(dtype: str, compressed: bool, write: Any) -> None:
    array = LABELS.astype(dtype) if dtype != "i1" else (LABELS - 100).astype(dtype)
    data = write(compressed=compressed, LabelMap=array)
    assert np.array_equal(pixels(data), array)
    if write is mat:
        assert np.array_equal(pixels(data), scipy_io.loadmat(io.BytesIO(data))["LabelMap"])


@versions
def test_sbd_s_structures(write: Any) -> None:
    """GTcls and GTinst: the only array with a height and a width is the mask."""
    contours = np.empty((20, 1), object)
    contours[:] = [[sparse.csc_matrix(LABELS > 3)]] * 20 if write is mat else 0
    fields: dict[str, Any] = {
        "Segmentation": LABELS.astype("u1"),
        "CategoriesPresent": np.arange(3),
    }
    if write is mat:
        fields["Boundaries"] = contours
    data = write(GTcls=fields)
    assert np.array_equal(pixels(data), LABELS)
    for name in ("GTcls.Segmentation", "GTcls/Segmentation"):
        assert np.array_equal(pixels(data, ReadOptions(array=name)), LABELS)
    if write is mat:
        said = refusal(data, ReadOptions(array="GTcls.Boundaries"))
        assert "its 'GTcls/Boundaries' is a cell, no array of numbers" in said


@versions
def test_slices_are_behind_height_and_width(write: Any) -> None:
    for dtype in ("u1", "f8"):
        data = write(seg=VOLUME.astype(dtype), img=VOLUME * 0.5)
        assert "where (H, W) is expected" in refusal(data)
        found = open_planes(io.BytesIO(data), ReadOptions(pages="each"))
        assert found is not None and found.count == VOLUME.shape[2]
        for at in range(found.count):
            assert np.array_equal(found.label_map(at, "m").pixels, VOLUME[..., at])
        whole = pixels(data, ReadOptions(pages="all"))
        assert np.array_equal(whole, np.moveaxis(VOLUME, 2, 0).reshape(-1, VOLUME.shape[1]))
        assert np.array_equal(pixels(data, ReadOptions(pages=3)), VOLUME[..., 2])


@versions
def test_colours_and_channels_are_the_last_axis(write: Any) -> None:
    image = coloured(3)
    assert np.array_equal(read_label_map(write(m=image), ALL).pixels, colours_of(image))
    stack = (LABELS[..., None] % 4 == np.arange(4)).astype(np.uint8)
    found = pixels(write(m=stack), ReadOptions(channels="one-hot"))
    assert np.array_equal(found, LABELS % 4)
    deep = np.stack([stack, stack[::-1]], axis=2)  # (H, W, D, C)
    found = pixels(write(m=deep), ReadOptions(channels="one-hot", pages=2))
    assert np.array_equal(found, LABELS[::-1] % 4)


def test_doubles_that_are_stored_as_bytes_are_no_colours() -> None:
    """MATLAB stores whole numbers of any class in as few bytes as will do."""
    path = SAMPLES / "test3dmatrix_7.4_GLNX86.mat"
    if not path.exists():
        pytest.skip("SciPy's samples are not installed")
    expected = scipy_io.loadmat(path)["test3dmatrix"]
    assert expected.dtype == np.uint8
    whole = pixels(path.read_bytes(), ReadOptions(pages="all"))
    assert np.array_equal(whole.reshape(4, 2, 3), np.moveaxis(expected, 2, 0))


def test_files_that_matlab_wrote() -> None:
    """All samples of SciPy's: what it reads as an array of numbers is read alike."""
    if not SAMPLES.is_dir():
        pytest.skip("SciPy's samples are not installed")
    compared = 0
    for path in sorted(SAMPLES.glob("*.mat")):
        data = path.read_bytes()
        try:
            expected = scipy_io.loadmat(path)
        except Exception:
            continue
        for name, array in expected.items():
            plain = isinstance(array, np.ndarray) and array.dtype.kind in "biuf" and array.size
            if name.startswith("__") or not plain or not data.startswith(b"MATLAB 5.0"):
                continue
            if array.ndim == 2 and not (array % 1).any():
                assert np.array_equal(pixels(data, ReadOptions(array=name)), array), path.name
                compared += 1
    assert compared >= 5
    assert "value" in refusal((SAMPLES / "testhdf5_7.4_GLNX86.mat").read_bytes())  # fractions


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("text", "is a text"),
        (np.array([[1, "a"]], object), "is a cell"),
        (sparse.csc_matrix(LABELS), "is a sparse matrix"),
        (LABELS * 1j, "complex numbers"),
        (LABELS + 0.5, "value"),
        (np.zeros((0, 3)), "has no pixels"),
    ],
)
def test_what_is_no_mask(value: Any, said: str) -> None:
    assert said in refusal(mat(m=value))


def test_several_arrays() -> None:
    data = mat(a=LABELS, b=LABELS, name="x", weights=[1.0, 2.0])
    assert "has 2 arrays: array=NAME chooses one (it has a, b)" in refusal(data)
    assert "its 'name' is a text" in refusal(data, ReadOptions(array="name"))
    assert "has no array 'c'" in refusal(data, ReadOptions(array="c"))


@versions
def test_a_folder_and_threads(write: Any, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    for number in range(6):
        array = labels(9, seed=number).astype(np.uint8)
        (masks / f"{number}.mat").write_bytes(write(GTcls={"Segmentation": array}))
    with ms.scan(masks, classes=9, workers=3) as scan:
        assert scan.failures == ()
        expected = sum(np.bincount(labels(9, seed=n).ravel(), minlength=9) for n in range(6))
        assert scan.histogram.pixels.tolist() == expected.tolist()


def test_objects_of_matlab_7_3_are_no_numbers() -> None:
    """A table is kept as six numbers that say where its object is; a text as its letters."""
    for attributes in (
        {"MATLAB_class": "table", "MATLAB_object_decode": 3},
        {"MATLAB_class": "char"},
    ):
        stream = io.BytesIO(mat_7_3(m=np.arange(6).reshape(2, 3).astype("u4")))
        with h5py.File(stream, "r+") as file:
            for name, value in attributes.items():
                file["m"].attrs[name] = np.bytes_(value) if isinstance(value, str) else value
        assert "a MATLAB text, object or empty array" in refusal(stream.getvalue())


def variable(shape: tuple[int, int], tag: bytes, kind: int = 9) -> bytes:
    """A matrix whose numbers are what a tag says."""
    body = struct.pack("<4I", 6, 8, kind, 0) + struct.pack("<2I2i", 5, 8, *shape)
    body += struct.pack("<2I", 1, 1) + b"m".ljust(8, b"\0") + tag
    return struct.pack("<2I", 14, len(body)) + body


def file_of(*elements: bytes) -> bytes:
    return mat(m=0)[:128] + b"".join(elements)


def packed(element: bytes) -> bytes:
    data = zlib.compress(element, 9)
    return struct.pack("<2I", 15, len(data)) + data


@pytest.mark.parametrize("pack", [bytes, packed])
def test_tags_that_lie(pack: Any) -> None:
    for tag in (
        struct.pack("<2I", 2, 1 << 31),
        struct.pack("<2I", 2, 16) + bytes(16),
        struct.pack("<2I", 77, 16) + bytes(16),
        b"",
        b"\2\0",
    ):
        tracemalloc.start()
        try:
            assert "is damaged" in refusal(file_of(pack(variable((1 << 15, 1 << 16), tag))))
            assert tracemalloc.get_traced_memory()[1] < 5_000_000
        finally:
            stop_tracing()


def test_what_is_compressed_expands_no_further_than_it_says() -> None:
    """100 kB that make 100 MB: said to be less; and of a variable that nobody asked for."""
    bomb = bytearray(variable((1, 1), struct.pack("<2I", 2, 100_000_000) + bytes(100_000_000)))
    small = variable((2, 3), struct.pack("<2I", 2, 6) + bytes(8)).replace(b"m\0", b"n\0")
    beside = file_of(packed(bytes(bomb)), packed(small))
    struct.pack_into("<I", bomb, 4, 64)
    for data, options in ((file_of(packed(bytes(bomb))), STRICT), (beside, ReadOptions(array="n"))):
        tracemalloc.start()
        try:
            said = str(read_tally(data, "m", options).counts.tolist())
        except MaskError as error:
            said = str(error)
        finally:
            assert tracemalloc.get_traced_memory()[1] < 5_000_000
            stop_tracing()
        assert said == "[6]" or "is damaged" in said


def test_structures_are_followed_a_few_deep() -> None:
    """SciPy follows them to any depth, in C."""
    inner = b""
    for _ in range(200_000 // 100):
        body = struct.pack("<4I", 6, 8, 2, 0) + struct.pack("<2I2i", 5, 8, 1, 1)
        body += struct.pack("<2I", 1, 1) + b"m".ljust(8, b"\0")
        body += struct.pack("<2HI", 5, 4, 2) + struct.pack("<2I", 1, 2) + b"a".ljust(8, b"\0")
        inner = struct.pack("<2I", 14, len(body) + len(inner)) + body + inner
    assert "no array of numbers" in refusal(file_of(inner))


def test_files_that_are_cut_off() -> None:
    for whole in (mat(m=LABELS), mat(compressed=False, m=LABELS)):
        for length in range(20, len(whole) - 1, 7):
            refusal(whole[:length])
