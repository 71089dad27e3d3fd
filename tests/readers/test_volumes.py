"""NRRD and MetaImage: counts as in NIfTI, by SimpleITK and pynrrd; segments; hostile headers."""

from __future__ import annotations

import gzip
import io
import re
import tracemalloc
import zlib
from collections.abc import Callable
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
from maskstat.values.tally import NO_SPACING, Encoding, MaskTally
from tests.support import stack_cases
from tests.support.loops import at_least_one
from tests.support.mask_files import ALL, STRICT, metaimage, nrrd, refusal, same_counts
from tests.support.packages import package

itk = package("SimpleITK", reason="SimpleITK is not installed")
pynrrd = package("nrrd", reason="pynrrd is not installed")

WRITERS: dict[str, Callable[..., bytes]] = {"nrrd": nrrd, "metaimage": metaimage}
SUFFIX = {"nrrd": ".nrrd", "metaimage": ".mha"}
SHAPE = (3, 5, 7)  # Z, Y, X
TYPES = ["u1", "i1", "<u2", ">i2", "<i4", ">u4", "<i8", ">u8", "<f4", ">f8"]


def volume(high: int = 9, shape: tuple[int, ...] = SHAPE, seed: int = 1) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, high, shape)


def as_mask(voxels: NDArray[Any]) -> NDArray[np.int64]:
    return voxels.reshape(-1, voxels.shape[-1]).astype(np.int64)


def check(
    data: bytes, expected: NDArray[Any], encoding: Encoding, options: ReadOptions = STRICT
) -> None:
    for tally in (
        read_tally(data, "v", options),
        read_tally_stream(io.BytesIO(data), "v", options),
    ):
        tally.check()
        assert tally.encoding._replace(voxel=None) == encoding
        assert same_counts(tally, MaskTally.of_pixels("v", as_mask(expected), encoding))
    assert np.array_equal(read_label_map(data, options).pixels, as_mask(expected))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("form", WRITERS)
def test_types(form: str, dtype: str, packed: bool) -> None:
    voxels = volume().astype(dtype)
    names = {"u": "uint", "i": "int", "f": "float"}
    encoding = Encoding(form, names[voxels.dtype.kind], 8 * voxels.dtype.itemsize)
    check(WRITERS[form](voxels, packed=packed), voxels, encoding)


@pytest.mark.extra
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("form", WRITERS)
def test_simpleitk_reads_our_files_as_we_read_its(
    tmp_path: Path, form: str, dtype: str, packed: bool
) -> None:
    voxels = volume().astype(dtype)
    ours, its = tmp_path / f"ours{SUFFIX[form]}", tmp_path / f"its{SUFFIX[form]}"
    ours.write_bytes(WRITERS[form](voxels, packed=packed))
    assert np.array_equal(itk.GetArrayFromImage(itk.ReadImage(str(ours))), voxels)
    native = voxels.astype(voxels.dtype.newbyteorder("="))
    itk.WriteImage(itk.GetImageFromArray(native), str(its), packed)
    assert np.array_equal(read_label_map(its.read_bytes(), STRICT).pixels, as_mask(voxels))


@pytest.mark.extra
@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_pynrrd_reads_the_same(tmp_path: Path, encoding: str) -> None:
    voxels = volume().astype(np.int16)
    path = tmp_path / "a.nrrd"
    pynrrd.write(str(path), voxels, {"encoding": encoding, "space": "RAS"}, index_order="C")
    check(path.read_bytes(), voxels, Encoding("nrrd", "int", 16))
    path.write_bytes(nrrd(voxels, packed=encoding == "gzip"))
    assert np.array_equal(pynrrd.read(str(path), index_order="C")[0], voxels)


@pytest.mark.extra
def test_a_volume_has_the_same_mask_in_every_format(tmp_path: Path) -> None:
    """One image by SimpleITK in NIfTI, NRRD and MetaImage."""
    voxels = volume(5, (4, 6, 9)).astype(np.uint8)
    found = []
    for suffix in (".nii", ".nii.gz", ".nrrd", ".mha"):
        path = tmp_path / f"a{suffix}"
        itk.WriteImage(itk.GetImageFromArray(voxels), str(path))
        found.append(read_label_map(path.read_bytes(), STRICT).pixels)
    assert len(found) == 4
    for pixels in found:
        assert np.array_equal(pixels, as_mask(voxels))


@pytest.mark.parametrize("form", WRITERS)
def test_series_and_channels(form: str) -> None:
    write = WRITERS[form]
    series = volume(shape=(4, *SHAPE)).astype(np.uint8)
    assert "has 4 volumes where one mask is expected" in refusal(write(series))
    encoding = Encoding(form, "uint", 8, "page 3")
    check(write(series), series[2], encoding, ReadOptions(pages=3))
    check(write(series), series, encoding._replace(reading="all pages"), ReadOptions(pages="all"))
    classes = volume(4)
    stack = (classes[..., None] == np.arange(3)).astype(np.uint8)
    expected = np.where(classes < 3, classes, -1)
    encoding = Encoding(form, "int", 64, "one-hot")
    for packed in (False, True):
        data = write(stack, packed=packed, channels=3)
        check(data, expected, encoding, ReadOptions(channels="one-hot"))
        assert "3 channels where one of class indices is expected (channels" in refusal(data)
    check(write(np.moveaxis(stack, -1, 0)), expected, encoding, ReadOptions(channels="one-hot"))
    one = write(classes.astype(np.uint8)[..., None], channels=1)
    if form == "nrrd":  # a list of one says nothing
        check(one, classes, Encoding(form, "uint", 8))
    both = write(np.stack([stack, stack]), channels=3)
    assert "2 volumes of 3 channels" in refusal(both, ReadOptions(channels="one-hot"))
    assert "3 channels" in refusal(both, ReadOptions(pages=1))


@pytest.mark.extra
@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii"])
def test_a_voxel_is_as_large_as_simpleitk_has_it(tmp_path: Path, suffix: str) -> None:
    image = itk.GetImageFromArray(volume().astype(np.uint8))
    image.SetSpacing((0.5, 0.75, 2.5))
    image.SetDirection((0.6, 0.8, 0, -0.8, 0.6, 0, 0, 0, -1))
    path = tmp_path / f"a{suffix}"
    itk.WriteImage(image, str(path))
    found = read_tally(path.read_bytes(), "v", STRICT).encoding.voxel
    assert found == pytest.approx(0.9375, rel=1e-6)
    flat = itk.GetImageFromArray(np.zeros((3, 4), np.uint8))
    itk.WriteImage(flat, str(path))
    assert read_tally(path.read_bytes(), "v", STRICT).encoding.voxel == NO_SPACING


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["spacings: 0.5 2 4"], 4.0),
        (["spacings: 0.5 2 4", 'units: "um" "um" "um"'], 4e-9),
        (["spacings: 0.5 2"], NO_SPACING),
        (["spacings: 0.5 2 nan"], NO_SPACING),
        (["space directions: (0, 0, 2) (3,0,0) (0,-1,0)", 'space units: "cm" "cm" ""'], 6e3),
        (["space directions: (1,0,0) (0,1,0) none"], NO_SPACING),
        (["space directions: (1,0) (0,1) (1,1)"], NO_SPACING),
        (["space directions: (1,0,0) (1,0,0) (0,0,1)"], NO_SPACING),
        (["spacings: 1 1 1", 'units: "mm" "mm" "furlong"'], NO_SPACING),
        ([], NO_SPACING),
    ],
)
def test_spacings_of_nrrd(lines: list[str], expected: float) -> None:
    data = nrrd(volume().astype(np.uint8), *lines)
    assert read_tally(data, "v", STRICT).encoding.voxel == expected
    stack = np.zeros((*SHAPE, 2), np.uint8)
    lines = [re.sub('^(spac[^:]*:)(?! *")', r"\1 none", line) for line in lines]
    if not any("spacings" in line for line in lines):
        data = nrrd(stack, *lines, channels=2)
        tally = read_tally(data, "v", ReadOptions(channels="bitmask"))
        assert tally.encoding.voxel == expected


@given(st.integers(1, 50), st.lists(st.integers(1, 6), min_size=1, max_size=3), st.booleans())
def test_pieces_of_any_size_add_up(piece: int, shape: list[int], packed: bool) -> None:
    voxels = volume(shape=tuple(shape)).astype("<u2")
    patch = pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.setattr(volumes, "_PIECE", 2 * piece)
        patched.setattr(volumes, "_COMPRESSED_PIECE", piece)
        patched.setattr(volumes, "_HEADER_PIECE", piece)
        for write in at_least_one(WRITERS.values()):
            tally = read_tally(write(voxels, packed=packed), "v", STRICT)
            assert int(tally.counts.sum()) == voxels.size
            assert np.array_equal(tally.values, np.unique(voxels))


def test_headers_as_others_write_them() -> None:
    voxels = volume().astype(np.uint8)
    bytes_ = Encoding("nrrd", "uint", 8)
    check(nrrd(voxels, "byte skip: -1").replace(b"\n\n", b"\n\nfront", 1), voxels, bytes_)
    check(nrrd(voxels, "byteskip: 4").replace(b"\n\n", b"\n\n1234", 1), voxels, bytes_)
    head, rest = nrrd(voxels, "key:=sizes: 1").split(b"\n\n", 1)
    check(head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + rest, voxels, bytes_)
    head, rest = metaimage(voxels, "HeaderSize = -1").split(b"LOCAL\n", 1)
    head = head.replace(b"ObjectType = Image\n", b"  Comment = of ours\n")
    data = head + b"Local\r\nfront" + rest
    check(data, voxels, Encoding("metaimage", "uint", 8))
    old = metaimage(voxels.astype(">i2")).replace(b"BinaryDataByteOrderMSB", b"ElementByteOrderMSB")
    check(old, voxels, Encoding("metaimage", "int", 16))


# --- segmentations of 3D Slicer ------------------------------------------------------------------


def segmented(layers: NDArray[Any], *segments: tuple[int, int], packed: bool = False) -> bytes:
    """Layers (Z, Y, X, layers) and the (layer, value) of each segment, as Slicer writes them."""
    lines = [
        line
        for number, (layer, value) in enumerate(segments)
        for line in (
            f"Segment{number}_ID:=Segment_{number}",
            f"Segment{number}_LabelValue:={value}",
            f"Segment{number}_Layer:={layer}",
            f"Segment{number}_Name:=tumour: {number}",
        )
    ]
    return nrrd(layers, *lines, packed=packed, channels=layers.shape[-1])


@pytest.mark.parametrize("packed", [False, True])
def test_of_overlapping_segments_the_smaller_lies_on_top(tmp_path: Path, packed: bool) -> None:
    rng = np.random.default_rng(3)
    layers = np.zeros((*SHAPE, 2), np.uint8)
    layers[..., 0] = rng.integers(0, 3, SHAPE)  # 1 and 2, about a third each
    layers[..., 1] = 3 * (rng.random(SHAPE) < 0.2)
    data = segmented(layers, (0, 1), (0, 2), (1, 3), packed=packed)
    expected = np.where(layers[..., 1] > 0, layers[..., 1], layers[..., 0])
    assert (np.count_nonzero(layers, axis=-1) > 1).any()
    check(data, expected, Encoding("nrrd", "uint", 8))
    path = tmp_path / "a.seg.nrrd"
    path.write_bytes(data)
    whole = ms.scan(path, classes=4)
    each = ms.scan(path, classes=4, pages="each", name="each")
    assert each.histogram.pixels.tolist() == whole.histogram.pixels.tolist()
    assert len(each.ledger.names) == SHAPE[0]
    labels = ReadOptions(channels="multilabel")
    if not packed:
        binary = segmented((layers > 0).astype(np.uint8), (0, 1), (1, 1))
        tally = read_tally(binary, "m", labels)
        assert tally.encoding.is_multilabel
        sums = (layers > 0) @ np.array([1, 2])
        assert tally.counts.tolist() == np.unique(sums, return_counts=True)[1].tolist()


def test_one_layer_counts_as_stored() -> None:
    voxels = volume(4).astype(np.uint8)
    check(segmented(voxels[..., None], (0, 1), (0, 2)), voxels, Encoding("nrrd", "uint", 8))


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        ([(0, 1), (1, 1)], "have one value: voxels don't say which"),
        ([(0, 1)], "voxels of a value that no segment has"),
        ([(0, 1), (2, 2)], "a layer that is not there"),
        ([(0, 1), (1, 0)], "a layer that is not there"),
        ([(0, 1), (1, 300)], "a value that voxels lack"),
        ([], "2 channels where one of class indices is expected"),
    ],
)
def test_layers_that_say_no_class_are_refused(segments: list[tuple[int, int]], said: str) -> None:
    layers = np.ones((*SHAPE, 2), np.uint8) * np.array([1, 2], np.uint8)
    assert said in refusal(segmented(layers, *segments))


# --- hostile files -------------------------------------------------------------------------------

VOXELS = np.zeros((2, 2, 2), np.uint8)


def swapped(data: bytes, old: str, new: str) -> bytes:
    assert data.count(old.encode()) == 1
    return data.replace(old.encode(), new.encode())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("sizes: 2 2 2", "sizes: 10000 10000 10000", "ends within its voxels"),
        ("sizes: 2 2 2", f"sizes: {10**17} 2 2", "impossible shape"),
        ("sizes: 2 2 2", "sizes: -2 -2 2", "impossible shape"),
        ("sizes: 2 2 2", "sizes: 0 2 2", "no voxels"),
        ("sizes: 2 2 2", "sizes: 2 2", "another dimension"),
        ("sizes: 2 2 2", f"sizes: {10**30} 2 2", "another dimension"),
        ("sizes: 2 2 2", "sizes: 2 2 2 2 2 2 2 2", "another dimension"),
        ("sizes: 2 2 2", "sizes: 2 2 2\nsizes: 2 2 1", "two fields 'sizes'"),
        ("type: uint8", "type: block", "of type 'block'"),
        ("type: uint8", "type: \x1b[2J", "of type"),
        ("type: uint8", "type: int16", "ends within its voxels"),
        ("endian: little", "endian: middle", ""),
        ("type: uint8\n", "type: int16\nendian: middle\n", "two fields 'endian'"),
        ("encoding: raw", "encoding: bzip2", "save them raw or as gzip"),
        ("encoding: raw", "encoding: hex", "save them raw or as gzip"),
        ("encoding: raw", "encoding: gzip", "damaged gzip data"),
        ("encoding: raw", "encoding: raw\nbyte skip: -2", "can't be skipped"),
        ("encoding: raw", f"encoding: raw\nbyte skip: {10**15}", "ends before its voxels"),
        ("encoding: raw", "encoding: raw\nline skip: 1", "skips lines"),
        ("encoding: raw", "encoding: raw\nsizes", "a line that is no 'field: value'"),
        ("encoding: raw", "encoding: raw\ndata file: ../../etc/passwd", "in another file"),
        ("encoding: raw", "encoding: raw\ndatafile: LIST", "in another file, 'LIST'"),
    ],
)
def test_nrrd_headers_that_lie(old: str, new: str, said: str) -> None:
    data = swapped(nrrd(VOXELS), old, new)
    if not said:  # of bytes there is no order
        check(data, VOXELS, Encoding("nrrd", "uint", 8))
        return
    assert_cheaply_refused(data, said)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("DimSize = 2 2 2", "DimSize = 10000 10000 10000", "ends within its voxels"),
        ("DimSize = 2 2 2", f"DimSize = {10**17} 2 2", "impossible shape"),
        ("DimSize = 2 2 2", "DimSize = 2 -2 -2", "impossible shape"),
        ("DimSize = 2 2 2", "DimSize = 2 2 0", "no voxels"),
        ("DimSize = 2 2 2", "DimSize = 2 2 x", "another number of axes"),
        ("DimSize = 2 2 2", "DimSize = 2 2 2\nDimSize = 2 2 1", "two 'DimSize'"),
        ("Channels = 1", "Channels = 0", "no voxels"),
        ("Channels = 1", "Channels = -1", "impossible shape"),
        ("Channels = 1", f"Channels = {10**16}", "impossible shape"),
        ("MET_UCHAR", "MET_STRING", "of type 'STRING'"),
        ("MET_UCHAR", "MET_LONG_LONG", "ends within its voxels"),
        ("BinaryData = True", "BinaryData = False", "as text"),
        ("CompressedData = False", "CompressedData = True", "damaged zlib data"),
        ("ObjectType = Image", "ObjectType = Tube", "of a Tube, no image"),
        ("LOCAL", "/etc/passwd", "in another file, '/etc/passwd'"),
        ("LOCAL", "LIST", "in another file, 'LIST'"),
        ("NDims = 3", "NDims = 3\nHeaderSize = 7", "a HeaderSize of 7"),
        ("NDims = 3", "NDims = 3\nNDims", "a line that is no 'key = value'"),
    ],
)
def test_metaimage_headers_that_lie(old: str, new: str, said: str) -> None:
    assert_cheaply_refused(swapped(metaimage(VOXELS), old, new), said)


def assert_cheaply_refused(data: bytes, said: str) -> None:
    tracemalloc.start()
    try:
        assert said in refusal(data, ALL)
        with pytest.raises(MaskError):
            read_label_map(data, ALL)
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", WRITERS)
def test_bombs_take_no_memory(form: str) -> None:
    """100 kB that inflate to 100 MB of zeros: a volume that big, a small one, a larger one."""
    wbits = 31 if form == "nrrd" else 15
    packer = zlib.compressobj(9, wbits=wbits)
    bomb = packer.compress(bytes(100_000_000)) + packer.flush()
    assert len(bomb) < 120_000
    small = WRITERS[form](VOXELS, packed=True)
    head = re.match(rb"(?s).*?(?:\n\n|LOCAL\n)", small)
    assert head is not None
    for sizes, said in (
        ("1000 1000 100", "100000000"),
        ("10 10 10", "1000"),
        ("2000 2000 2000", "data ends early|ends within its voxels"),
    ):
        data = head[0].replace(b"2 2 2", sizes.encode()) + bomb
        tracemalloc.start()
        try:
            found = str(int(read_tally(data, "v", STRICT).counts.sum()))
        except MaskError as error:
            found = str(error)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert re.search(said, found)
        assert peak < 80_000_000


@pytest.mark.parametrize("form", WRITERS)
def test_damage_of_packed_voxels_is_noticed(form: str) -> None:
    data = WRITERS[form](volume().astype(np.uint8), packed=True)
    wrong = data[:-8] + bytes([data[-8] ^ 1]) + data[-7:]
    assert re.search("damaged (gzip|zlib) data", refusal(wrong))
    assert "ends" in refusal(data[:-9])


@pytest.mark.parametrize("form", WRITERS)
def test_what_is_unpacked_at_once_is_what_zlib_unpacks(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With bytes behind it, in several members, cut off, damaged: the same counts and reasons."""
    data = WRITERS[form](volume().astype(np.uint8), packed=True)
    cases = [data, data + b"behind", data[:-1], data[:-20], data[:-4] + b"abcd"]
    cases += [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data))]

    def found() -> list[object]:
        said: list[object] = []
        for case in cases:
            try:
                said.append(read_tally(case, "v", STRICT).counts.tolist())
            except MaskError as error:
                said.append(str(error))
        return said

    at_once = found()
    calls: list[int] = []
    monkeypatch.setattr(volumes.VoxelStream, "hasten", lambda self, size: calls.append(size))
    assert at_once == found()
    assert calls
    assert at_once[0] == at_once[1]


def test_headers_without_an_end() -> None:
    for start in (b"NRRD0004\n", b"NDims = 3\n"):
        assert "more than 1 MiB" in refusal(start + b"a: b = c\n" * 300_000)
        assert refusal(start)


def test_another_member_of_gzip_data_counts() -> None:
    voxels = volume().astype(np.uint8)
    head, _ = nrrd(voxels, packed=True).split(b"\n\n", 1)
    raw = voxels.tobytes()
    data = head + b"\n\n" + gzip.compress(raw[:40]) + gzip.compress(raw[40:])
    check(data, voxels, Encoding("nrrd", "uint", 8))


def test_folders_of_all_of_them(tmp_path: Path) -> None:
    stack = stack_cases.stack_of(4)
    (tmp_path / "a.nrrd").write_bytes(nrrd(stack, packed=True))
    (tmp_path / "b.seg.nrrd").write_bytes(nrrd(stack))
    (tmp_path / "c.mha").write_bytes(metaimage(stack))
    scan = ms.scan(tmp_path, classes=5)
    assert scan.ledger.names == ("a.nrrd", "b.seg.nrrd", "c.mha")
    assert scan.histogram.pixels.tolist() == (3 * np.bincount(stack.ravel(), minlength=5)).tolist()
