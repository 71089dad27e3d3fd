"""NPZ and Zarr: arrays by name, in pieces or chunks, within every limit; planes and channels."""

from __future__ import annotations

import io
import shutil
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import maskstat as ms
from maskstat.errors import MaskError
from maskstat.readers import npy as npy_reader
from maskstat.readers.formats import (
    FORMATS,
    read_label_map,
    read_tally,
    read_tally_folder,
    read_tally_stream,
)
from maskstat.readers.options import ReadOptions
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.tally import Encoding, MaskTally
from tests.support.mask_files import (
    ALL,
    FILES,
    MORE_FILES,
    SHAPE,
    STRICT,
    coloured,
    colours_of,
    hdf5,
    labels,
    npy,
    npz,
    refusal,
)
from tests.support.scan_cases import stored_rows
from tests.support.tracing import stop_tracing
from tests.support.zarr_cases import CODECS, LABELS, store, store_refusal, zarr, zipped

# 5 planes of (H, W); a stack of 3 channels, exclusive, with pixels of no class
VOLUME = np.stack([labels(9, seed=k) for k in range(5)]).astype(np.uint8)
STACK = (LABELS[..., None] % 4 == np.arange(3)).astype(np.uint8)


def check(tally: MaskTally, expected: NDArray[Any], encoding: Encoding) -> None:
    tally.check()
    plain = MaskTally.of_pixels(
        "m", expected.reshape(-1, expected.shape[-1]).astype(np.int64), encoding
    )
    assert tally.encoding == encoding
    assert tally.shape == plain.shape
    assert tally.values.tolist() == plain.values.tolist()
    assert tally.counts.tolist() == plain.counts.tolist()


# --- every container of arrays says the same -----------------------------------------------------


def as_npy(array: NDArray[Any], folder: Path) -> bytes:
    return npy(array)


def as_npz(array: NDArray[Any], folder: Path) -> bytes:
    return npz(mask=array)


def as_zarr(array: NDArray[Any], folder: Path) -> bytes:
    """A zip of a store, cut into chunks in every axis."""
    shutil.rmtree(folder / "s.zarr", ignore_errors=True)
    chunks = tuple(min(4, length) for length in array.shape)
    made = zarr.create_array(folder / "s.zarr", shape=array.shape, chunks=chunks, dtype=array.dtype)
    made[...] = array
    return zipped(folder / "s.zarr")


def as_hdf5(array: NDArray[Any], folder: Path) -> bytes:
    """In chunks in every axis."""
    chunks = tuple(min(4, length) for length in array.shape)
    return hdf5(mask={"data": array, "chunks": chunks, "compression": "gzip"})


CONTAINERS: dict[str, Callable[[NDArray[Any], Path], bytes]] = {
    "npy": as_npy,
    "npz": as_npz,
    "hdf5": as_hdf5,
    "zarr": as_zarr,
}


@pytest.fixture(params=CONTAINERS)
def container(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(
    "dtype", ["?", "<u1", ">u2", "<u4", "<u8", "<i1", ">i2", "<i4", "<i8", "<f4", "<f8"]
)
def test_types(container: str, dtype: str, tmp_path: Path) -> None:
    pixels = labels(2 if dtype == "?" else 100).astype(dtype)
    data = CONTAINERS[container](pixels, tmp_path)
    kind = {"b": "bool", "u": "uint", "i": "int", "f": "float"}[pixels.dtype.kind]
    bits = 1 if dtype == "?" else 8 * pixels.dtype.itemsize
    check(read_tally(data, "m", STRICT), pixels, Encoding(container, kind, bits))
    assert np.array_equal(read_label_map(data, STRICT).pixels, pixels)
    if kind == "float":
        pixels[1, 1] = 0.5
        assert "value 0.5" in refusal(CONTAINERS[container](pixels, tmp_path))


@pytest.mark.parametrize("channels", [3, 4])
def test_colours(container: str, channels: int, tmp_path: Path) -> None:
    pixels = coloured(channels)
    data = CONTAINERS[container](pixels, tmp_path)
    encoding = Encoding(container, "rgb" if channels == 3 else "rgba", 8)
    check(read_tally(data, "m", ALL), colours_of(pixels), encoding)
    assert np.array_equal(read_label_map(data, ALL).pixels, colours_of(pixels))
    assert "catalogue with colours" in refusal(data)


def test_volumes_and_planes(container: str, tmp_path: Path) -> None:
    data = CONTAINERS[container](VOLUME, tmp_path)
    assert "where (H, W) is expected (pages='each'" in refusal(data)
    everything = ReadOptions(pages="all")
    tally = read_tally(data, "m", everything)
    check(tally, VOLUME, Encoding(container, "uint", 8, "all pages"))
    assert np.array_equal(read_label_map(data, everything).pixels, VOLUME.reshape(-1, SHAPE[1]))
    for page in (1, 4):
        tally = read_tally(data, "m", ReadOptions(pages=page))
        check(tally, VOLUME[page - 1], Encoding(container, "uint", 8, f"page {page}"))
        pixels = read_label_map(data, ReadOptions(pages=page)).pixels
        assert np.array_equal(pixels, VOLUME[page - 1])
    assert "has 5 planes: there is no pages=6" in refusal(data, ReadOptions(pages=6))
    single = CONTAINERS[container](LABELS, tmp_path)
    assert "has 1 plane: there is no pages=2" in refusal(single, ReadOptions(pages=2))
    assert read_tally(single, "m", ReadOptions(pages=1)).shape == SHAPE
    data = CONTAINERS[container](VOLUME, tmp_path)
    squeezed = CONTAINERS[container](VOLUME[None, :, None], tmp_path)
    assert (
        read_tally(squeezed, "m", everything).counts.tolist()
        == np.unique(VOLUME, return_counts=True)[1].tolist()
    )
    check(
        read_tally(CONTAINERS[container](LABELS[None, None], tmp_path), "m", STRICT),
        LABELS,
        Encoding(container, "uint", 16),
    )


@pytest.mark.parametrize("top", [1, 255, True, 1.0])
@pytest.mark.parametrize("mode", ["one-hot", "bitmask", "one-hot-first", "bitmask-first"])
def test_channels(container: str, mode: str, top: Any, tmp_path: Path) -> None:
    stack = STACK.astype(type(top)) if not isinstance(top, int) or top is True else STACK * top
    stored = np.moveaxis(stack, -1, 0) if mode.endswith("first") else stack
    data = CONTAINERS[container](np.ascontiguousarray(stored), tmp_path)
    options = ReadOptions(channels=mode)
    if mode.startswith("one-hot"):
        expected = np.where(STACK.any(axis=-1), STACK.argmax(axis=-1), -1)
    else:
        expected = (STACK.astype(np.int64) << np.arange(3)).sum(axis=-1)
    check(read_tally(data, "m", options), expected, Encoding(container, "int", 64, mode))
    assert np.array_equal(read_label_map(data, options).pixels, expected)


def test_channels_of_volumes(container: str, tmp_path: Path) -> None:
    """(C, D, H, W) and (D, H, W, C)."""
    last = (VOLUME[..., None] % 4 == np.arange(3)).astype(np.uint8)
    expected = np.where(VOLUME % 4 < 3, VOLUME.astype(np.int64) % 4, -1)
    for mode, stack in (("one-hot", last), ("one-hot-first", np.moveaxis(last, -1, 0))):
        data = CONTAINERS[container](np.ascontiguousarray(stack), tmp_path)
        reading = f"all pages, {mode}"
        check(
            read_tally(data, "m", ReadOptions(pages="all", channels=mode)),
            expected,
            Encoding(container, "int", 64, reading),
        )
        check(
            read_tally(data, "m", ReadOptions(pages=2, channels=mode)),
            expected[1],
            Encoding(container, "int", 64, f"page 2, {mode}"),
        )


def test_arrays_that_are_no_stack(container: str, tmp_path: Path) -> None:
    one_hot = ReadOptions(channels="one-hot")
    assert "channels needs one more axis" in refusal(
        CONTAINERS[container](LABELS, tmp_path), one_hot
    )
    overlapping = STACK.copy()
    overlapping[0, 0] = 1
    data = CONTAINERS[container](overlapping, tmp_path)
    assert "1 pixels have several channels set" in refusal(data, one_hot)
    probabilities = STACK.astype(np.float32) * 0.7
    data = CONTAINERS[container](probabilities, tmp_path)
    assert "whole numbers" in refusal(data, one_hot)


# --- NPZ ---------------------------------------------------------------------------------------


def test_arrays_by_name() -> None:
    data = npz(image=coloured(3), cells=LABELS)
    assert "has 2 arrays: array=NAME chooses one (it has image, cells)" in refusal(data)
    tally = read_tally(data, "m", ReadOptions(array="cells"))
    check(tally, LABELS, Encoding("npz", "uint", 16, "array cells"))
    said = refusal(data, ReadOptions(array="\x1b[2J"))
    assert "x1b[2J' (it has image, cells)" in said
    assert "holds no arrays" in refusal(npz())


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["image", "label"], "label"),
        (["label", "data", "spacing"], "label"),
        (["X", "Y"], "Y"),
        (["seg", "raw"], "seg"),
        (["image", "mask", "label"], None),  # both may be meant
        (["mask", "instances"], None),  # the other may be meant
        (["image", "cells"], None),
        (["image", "data"], None),
    ],
)
def test_arrays_are_found_by_names_that_masks_have(names: list[str], found: str | None) -> None:
    arrays = {name: np.full((3, 4), at, np.uint8) for at, name in enumerate(names)}
    for data in (npz(**arrays), hdf5(**arrays)):
        if found is None:
            assert f"has {len(names)} arrays: array=NAME" in refusal(data)
        else:
            assert read_tally(data, "m", STRICT).values.tolist() == [names.index(found)]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("compressed", [False, True])
def test_pieces_add_up(order: Any, compressed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npy_reader, "PIECE", 40)
    for array, options, expected in (
        (LABELS, STRICT, LABELS),
        (coloured(3), ALL, colours_of(coloured(3))),
        (VOLUME, ReadOptions(pages=3), VOLUME[2]),
    ):
        data = npz(compressed=compressed, mask=np.asarray(array, order=order))
        plain = npy(np.asarray(array, order=order))
        for tally in (
            read_tally(data, "m", options),
            read_tally_stream(io.BytesIO(data), "m", options),
            read_tally_stream(io.BytesIO(plain), "m", options),
        ):
            tally.check()
            values, counts = np.unique(expected, return_counts=True)
            assert tally.values.tolist() == values.tolist()
            assert tally.counts.tolist() == counts.tolist()


def member(content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("a.npy", content)
    return stream.getvalue()


def test_hostile_archives() -> None:
    whole = npy(LABELS)
    assert "has fewer than" in refusal(member(whole[:-1]))
    assert "has more than" in refusal(member(whole + b"\0"))
    assert "corrupt NPY header" in refusal(member(whole[:20]))
    assert "compressed as no NPZ is" in refusal(member(whole, zipfile.ZIP_BZIP2))
    assert "compressed as no NPZ is" in refusal(member(whole, zipfile.ZIP_LZMA))
    objects = io.BytesIO()
    np.savez(objects, a=np.array([[None]]))
    assert "whole numbers are expected" in refusal(objects.getvalue())
    stored = bytearray(member(whole, zipfile.ZIP_STORED))
    at = bytes(stored).index(whole) + len(whole) - 1
    stored[at] ^= 1
    assert "is damaged" in refusal(bytes(stored))
    encrypted = bytearray(member(whole))
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        encrypted[encrypted.index(mark) + offset] |= 1
    assert "is encrypted" in refusal(bytes(encrypted))


def test_sizes_are_checked_before_memory_is_taken() -> None:
    """100 kB of zeros that make 100 MB, which a header takes for less, for more, for what it is."""
    zeros = bytes(100_000_000)

    def lying(shape: tuple[int, ...]) -> bytes:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "|u1", "fortran_order": False, "shape": shape}
        )
        return member(header.getvalue() + zeros)

    for shape, said, options in (
        ((10, 10), "has more than the 100 bytes", STRICT),
        ((10**6, 10**6), "has fewer than", STRICT),
        ((10**4, 10**4), "100000000", STRICT),
        ((3, 10**6, 10**6), "would take", ReadOptions(channels="one-hot-first")),
    ):
        data = lying(shape)
        tracemalloc.start()
        try:
            found = str(int(read_tally(data, "m", options).counts.sum()))
        except MaskError as error:
            found = str(error)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            stop_tracing()
        assert said in found
        assert peak < 120_000_000


# --- Zarr --------------------------------------------------------------------------------------


@pytest.mark.parametrize("codecs", CODECS)
def test_zarr_codecs(codecs: str, tmp_path: Path) -> None:
    path = store(tmp_path, **CODECS[codecs]())
    encoding = Encoding("zarr", "uint", 16)
    check(read_tally_folder(str(path), "m", STRICT), LABELS, encoding)
    for prefix in ("", "inner/s.zarr/"):
        check(read_tally(zipped(path, prefix), "m", STRICT), LABELS, encoding)


def test_chunks_left_out_have_the_fill_value(tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    made = zarr.create_array(path, shape=(10, 10), chunks=(4, 4), dtype="u1", fill_value=7)
    made[:4, :4] = 1
    tally = read_tally_folder(str(path), "m", STRICT)
    assert (tally.values.tolist(), tally.counts.tolist()) == ([1, 7], [16, 84])


def test_groups(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "s.zarr")
    assert "holds no array" in store_refusal(tmp_path)
    group.create_array("labels/cells", shape=SHAPE, dtype="u2")[...] = LABELS
    check(
        read_tally_folder(str(tmp_path / "s.zarr"), "m", STRICT),
        LABELS,
        Encoding("zarr", "uint", 16),
    )
    group.create_array("image", shape=SHAPE, dtype="u1")[...] = 0
    assert "has 2 arrays: array=NAME chooses one (it has image, labels/cells)" in store_refusal(
        tmp_path
    )
    for name in ("labels/cells", "labels"):
        tally = read_tally_folder(str(tmp_path / "s.zarr"), "m", ReadOptions(array=name))
        check(tally, LABELS, Encoding("zarr", "uint", 16, f"array {name}"))
    assert "holds no array 'nothing'" in store_refusal(tmp_path, ReadOptions(array="nothing"))
    levels = [{"datasets": [{"path": "labels/cells"}, {"path": "image"}]}]
    for attributes in ({"multiscales": levels}, {"ome": {"multiscales": levels}}):
        group.attrs.clear()
        group.attrs.update(attributes)
        check(
            read_tally_folder(str(tmp_path / "s.zarr"), "m", STRICT),
            LABELS,
            Encoding("zarr", "uint", 16),
        )


def test_a_store_is_one_mask_of_its_folder(tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    store(masks)
    (masks / "other.npy").write_bytes(npy(LABELS))
    (masks / "packed.zarr.zip").write_bytes(zipped(masks / "s.zarr"))
    db = tmp_path / "scans.db"
    for source in (masks, str(masks / "*"), str(masks / "**" / "*")):
        with ms.scan(source, classes=300) as scan:
            assert scan.ledger.names == ("other.npy", "packed.zarr.zip", "s.zarr")
            assert scan.failures == ()
            assert scan.changes is not None and scan.changes.skipped == 0
    for source in (masks / "s.zarr", masks / "packed.zarr.zip", f"{masks}/s.zarr/"):
        with ms.scan(source, classes=300) as scan:
            assert scan.ledger.names == (Path(source).name,)
            assert scan.histogram.total_pixels == LABELS.size
    with ms.scan(masks, classes=300, db=db) as scan:
        assert scan.changes is not None and scan.changes.new == 3
    zarr.open(masks / "s.zarr", mode="r+")[0, 0] = 5
    with ms.scan(masks, classes=300, db=db) as scan:
        assert scan.changes is not None
        assert (scan.changes.changed, scan.changes.unchanged) == (1, 2)
    with ms.scan(masks, classes=300, exclude=["s.zarr"]) as scan:
        assert scan.ledger.names == ("other.npy", "packed.zarr.zip")


def test_every_format_inside_archives(tmp_path: Path) -> None:
    """What a folder of files counts, a zip and a tar of them count too."""
    masks = tmp_path / "masks"
    masks.mkdir()
    suffixes = {form.name: form.suffixes[0] for form in FORMATS} | {"NIfTI gzipped": ".nii.gz"}
    for name, data in (FILES | MORE_FILES).items():
        suffix = suffixes.get(name, suffixes[name.split()[0]])
        (masks / f"{name.replace(' ', '_')}{suffix}").write_bytes(data)
    (masks / "store.zarr.zip").write_bytes(zipped(store(tmp_path)))
    with zipfile.ZipFile(tmp_path / "masks.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(masks.iterdir()):
            archive.write(path, path.name)
    with tarfile.open(tmp_path / "masks.tar.gz", "w:gz") as tar:
        for path in sorted(masks.iterdir()):
            tar.add(path, path.name)
    colours = ClassCatalog((ClassInfo(0, "a", (0,), (1,)),))

    def rows(source: Path) -> dict[str, Any]:
        with ms.scan(source, classes=colours, allow_lossy=True) as scan:
            assert scan.failures == ()
            return stored_rows(scan)

    expected = rows(masks)
    assert len(expected) == len(FILES) + len(MORE_FILES) + 1
    assert rows(tmp_path / "masks.zip") == expected
    assert rows(tmp_path / "masks.tar.gz") == expected


def test_a_large_store_is_read_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path)
    monkeypatch.setattr("maskstat.scanning.counting.STREAM_ABOVE", 0)
    monkeypatch.setattr("maskstat.sources.local.folders.StoreEntry.load", None)
    with ms.scan(tmp_path, classes=300) as scan:
        assert scan.failures == ()
        assert scan.histogram.total_pixels == LABELS.size
