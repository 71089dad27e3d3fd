"""A plane that is a mask of its own counts as the same pixels in a file of their own."""

from __future__ import annotations

import io
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maskstat.errors import MaskError
from maskstat.readers import chunked, formats, npz, planes
from maskstat.readers.formats import open_planes, read_tally
from maskstat.readers.options import ReadOptions
from maskstat.values.tally import MaskTally
from tests.support import stack_cases
from tests.support.mask_files import same_counts
from tests.support.stack_cases import STACKS, stack_of

EACH = ReadOptions(pages="each")
each_format = pytest.mark.parametrize("name", STACKS)


def opened(data: bytes, options: ReadOptions = EACH) -> formats.OpenPlanes:
    found = open_planes(io.BytesIO(data), options)
    assert found is not None
    return found


def refusal(data: bytes, options: ReadOptions = EACH) -> str:
    with pytest.raises(MaskError) as caught:
        opened(data, options).prepare()
    return str(caught.value)


@each_format
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_planes_are_those_of_the_array(name: str, tmp_path: Path, data: st.DataObject) -> None:
    """In any order, and as one mask of the format is read that holds this plane alone."""
    dtype = data.draw(st.sampled_from(["u1", "<i2", ">u2", "<f4"]))
    stack = stack_of(data.draw(st.integers(0, 99)), data.draw(st.integers(2, 9)), dtype)
    found = opened(STACKS[name](stack, tmp_path))
    assert found.count == len(stack)
    found.prepare()
    for at in data.draw(st.lists(st.integers(0, len(stack) - 1), min_size=1, max_size=12)):
        tally = found.tally(at, "m")
        tally.check()
        expected = MaskTally.of_pixels("m", stack[at].astype(np.int64), tally.encoding)
        assert same_counts(tally, expected)
        assert tally.shape == stack.shape[1:]
        also, pixels = found.tally_and_pixels(at, "m")
        assert same_counts(also, expected)
        assert np.array_equal(pixels.astype(np.int64), stack[at])
        assert np.array_equal(found.label_map(at, "m").pixels.astype(np.int64), stack[at])
        alone = read_tally(STACKS[name](stack[at : at + 1], tmp_path), "m", EACH)
        assert same_counts(alone, expected)
        assert alone.encoding == tally.encoding == found.label_map(at, "m").encoding
        assert tally.encoding.reading == "each page"


@pytest.mark.parametrize("order", [1, -1])
@each_format
def test_planes_of_what_is_unpacked_piece_by_piece(
    name: str, order: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = stack_of(1)
    data = STACKS[name](stack, tmp_path)
    for module in (npz, planes):
        monkeypatch.setattr(module, "KEPT_BYTES", 10)
    monkeypatch.setattr("maskstat.readers.volumes.KEPT_BYTES", 10)
    monkeypatch.setattr(planes, "PIECE", 16)
    monkeypatch.setattr(chunked, "MAX_CHUNK_BYTES", 3 * stack[0].size - 1)
    monkeypatch.setattr(chunked, "_BLOCK_BYTES", 1)
    monkeypatch.setattr(chunked, "_COUNTED_TOGETHER", 2)
    found = opened(data)
    found.prepare()
    for at in range(len(stack))[::order]:
        tally = found.tally(at, "m")
        assert same_counts(tally, MaskTally.of_pixels("m", stack[at].astype("i8"), tally.encoding))
        assert np.array_equal(found.label_map(at, "m").pixels, stack[at])


@pytest.mark.parametrize("name", ["a.npy", "columns.npy", "a.npz", "deep.zarr.zip"])
def test_axes_before_the_last_two_number_the_planes(name: str, tmp_path: Path) -> None:
    stack = stack_of(2, planes=6)
    if "zarr" in name:
        made = stack_cases.zarr_of((2, 2, 4, 4))(stack.reshape(2, 3, 11, 13), tmp_path)  # type: ignore[arg-type]
    else:
        made = STACKS[name](stack.reshape(2, 3, 11, 13), tmp_path)
    found = opened(made)
    found.prepare()
    assert [found.tally(at, "m").counts.tolist() for at in range(found.count)] == [
        np.unique(plane, return_counts=True)[1].tolist() for plane in stack
    ]
    for shape in ((1, 11, 13), (11, 13), (11, 13, 1), (1, 1, 11, 13)):
        single = stack_cases.npy(stack[0].reshape(shape), tmp_path)
        assert opened(single).count == 1
        assert read_tally(single, "m", EACH).shape == (11, 13)
    assert opened(stack_cases.npy(stack[..., None], tmp_path)).count == 6


def test_colours_and_channels_belong_to_a_plane(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 3, (4, 5, 6, 3)).astype(np.uint8)
    colours = ReadOptions(pages="each", colours=True)
    found = opened(stack_cases.npy(images, tmp_path), colours)
    assert found.count == 4
    for at, image in enumerate(images):
        alone = read_tally(stack_cases.npy(image, tmp_path), "m", colours)
        assert same_counts(found.tally(at, "m"), alone)
    assert opened(stack_cases.npy(images[0], tmp_path), colours).count == 1
    one_hot = (np.arange(3) == rng.integers(0, 3, (4, 5, 6, 1))).astype(np.uint8)
    classes = ReadOptions(pages="each", channels="one-hot")
    found = opened(stack_cases.npy(one_hot, tmp_path), classes)
    for at, one in enumerate(one_hot):
        values, counts = np.unique(one.argmax(-1), return_counts=True)
        tally = found.tally(at, "m")
        assert (tally.values.tolist(), tally.counts.tolist()) == (values.tolist(), counts.tolist())
    first = ReadOptions(pages="each", channels="one-hot-first")
    assert "planes or channels may be its first axis" in refusal(
        stack_cases.npy(one_hot, tmp_path), first
    )
    volume = stack_cases.nibabel.Nifti1Image(one_hot.transpose(2, 1, 0, 3), np.eye(4)).to_bytes()
    found = opened(volume, classes)
    found.prepare()
    assert found.count == 4
    for at, one in enumerate(one_hot):
        counts = np.unique(one.argmax(-1), return_counts=True)[1]
        assert found.tally(at, "m").counts.tolist() == counts.tolist()


def test_slices_of_all_volumes_of_a_series_are_scaled_as_the_header_says() -> None:
    series = np.arange(2 * 3 * 4 * 5, dtype=np.int16).reshape(2, 3, 4, 5)
    image = stack_cases.nibabel.Nifti1Image(series, np.eye(4))
    image.header.set_slope_inter(2, -1)
    data = image.to_bytes()
    found = opened(data)
    found.prepare()
    assert found.count == 20
    raw = stack_cases.nibabel.Nifti1Image.from_bytes(data).get_fdata()
    assert raw.max() > series.max()
    for at in (0, 3, 4, 19):
        expected = raw[..., at % 4, at // 4].T
        assert np.array_equal(found.label_map(at, "m").pixels, expected)


def test_pages_may_differ_in_size_and_kind(tmp_path: Path) -> None:
    stream = io.BytesIO()
    pages = [np.full((4, 5), 3, "u1"), np.full((70, 6), 999, "<u2"), np.zeros((2, 2, 3), "u1")]
    with stack_cases.tifffile.TiffWriter(stream) as file:
        for page in pages:
            file.write(page, metadata=None)
        file.write(np.zeros((2, 2), "u1"), subfiletype=1, metadata=None)  # an overview
        stack = np.zeros((2, 2, 5), "u1")
        file.write(stack, photometric="minisblack", planarconfig="contig", metadata=None)
    found = opened(stream.getvalue())
    assert found.count == 4
    assert [found.tally(at, "m").shape for at in range(2)] == [(4, 5), (70, 6)]
    for at, words in ((2, "RGB image where class indices are expected"), (3, "5 channels where")):
        with pytest.raises(MaskError, match=words):
            found.tally(at, "m")


def _npy_header(shape: tuple[int, ...]) -> bytes:
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(10 + len(text) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def _npz_claiming(shape: tuple[int, ...], held: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", _npy_header(shape) + bytes(held))
    return stream.getvalue()


def test_a_claim_of_a_thousand_million_planes_is_refused_at_once(tmp_path: Path) -> None:
    claims = {
        _npy_header((10**9, 2, 2)): "has 1,000,000,000 planes, more than the 1,048,576",
        _npy_header((10**6, 60, 60)): "where its header says 3600000000",
        _npz_claiming((10**6, 60, 60), 100): "fewer than the 3600000000 bytes",
        _npz_claiming((2**21, 1, 2), 2**22): "has 2,097,152 planes, more than the 1,048,576",
    }
    volume = bytearray(stack_cases.nifti(stack_of(0), tmp_path))
    struct.pack_into("<4h", volume, 40, 3, 9000, 9000, 32000)
    claims[bytes(volume)] = "the file ends within its voxels"
    for data, words in claims.items():
        start = time.perf_counter()
        assert words in refusal(data)
        assert time.perf_counter() - start < 1


def test_chunks_that_nobody_wrote_are_no_million_masks(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    stack_cases.zarr.create_array(path, shape=(10**9, 5, 5), dtype="u1", chunks=(10**6, 5, 5))
    start = time.perf_counter()
    assert "has 1,000,000,000 planes, more than" in refusal(stack_cases.zipped(path))
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("name", ["a.npz", "deflated.npz", "a.nii.gz"])
def test_no_plane_counts_where_a_checksum_is_wrong(name: str, tmp_path: Path) -> None:
    data = bytearray(STACKS[name](stack_of(3), tmp_path))
    if name == "a.npz":
        data[data.index(b"\n") + 200] ^= 1
    elif name == "a.nii.gz":
        data[-6] ^= 1
    else:
        at = data.rindex(b"PK\x01\x02") + 16
        data[at] ^= 1
    assert "damaged" in refusal(bytes(data))


@each_format
def test_a_file_that_is_cut_off_is_refused(name: str, tmp_path: Path) -> None:
    data = STACKS[name](stack_of(3), tmp_path)
    for length in (len(data) - 40, len(data) // 2):
        with pytest.raises(MaskError):
            _count_all(data[:length])


def _count_all(data: bytes) -> None:
    found = opened(data)
    found.prepare()
    for at in range(found.count):
        found.tally(at, "m")


def test_a_file_that_became_several_planes_is_no_mask(tmp_path: Path) -> None:
    for name, make in STACKS.items():
        with pytest.raises(MaskError, match="had one when it was listed"):
            read_tally(make(stack_of(0), tmp_path), name, EACH)
