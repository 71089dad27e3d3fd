"""HDF5: what h5py writes counts as h5py reads it; files that lie, lead elsewhere, or never end."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import struct
import sys
import threading
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maskstat as ms
from maskstat.errors import MaskError
from maskstat.readers.formats import open_planes, read_label_map, read_tally
from maskstat.readers.options import ReadOptions
from tests.support.mask_files import STRICT, h5py, hdf5, labels, refusal
from tests.support.tracing import stop_tracing

LABELS = labels(7)
EACH = ReadOptions(pages="each")
LAYOUTS: dict[str, dict[str, Any]] = {
    "one piece": {},
    "chunks": {"chunks": (3, 4)},
    "deflate": {"chunks": (4, 13), "compression": "gzip"},
    "deflate, shuffled and checked": {
        "chunks": (3, 4),
        "compression": "gzip",
        "shuffle": True,
        "fletcher32": True,
    },
    "LZF": {"chunks": (5, 5), "compression": "lzf", "shuffle": True},
    "checked": {"chunks": (3, 5), "fletcher32": True},
}


def pixels_of(data: bytes) -> int:
    return int(read_tally(data, "m", STRICT).counts.sum())


def made(write: Callable[[Any], None], **options: Any) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w", **options) as file:
        write(file)
    return stream.getvalue()


@settings(max_examples=60)
@given(
    st.sampled_from(["?", "u1", ">u2", "<i8", "<f2", ">f8", "i1", ">i4", "<u4"]),
    st.sampled_from(sorted(LAYOUTS)),
    st.sampled_from(["earliest", "latest"]),
)
def test_what_h5py_writes_is_read_as_it_reads_it(dtype: str, layout: str, version: str) -> None:
    data = hdf5(version, label={"data": LABELS.astype(dtype), **LAYOUTS[layout]})
    with h5py.File(io.BytesIO(data)) as file:
        values, counts = np.unique(file["label"][()].astype(np.int64), return_counts=True)
    tally = read_tally(data, "m", STRICT)
    tally.check()
    assert (tally.values.tolist(), tally.counts.tolist()) == (values.tolist(), counts.tolist())
    assert np.array_equal(read_label_map(data, STRICT).pixels, LABELS.astype(dtype))


@pytest.mark.parametrize("length", [1, 2, 3, 1000, 200_001])
def test_checksums_are_hdf5_s(length: int) -> None:
    """A chunk of bytes of any length, and one bit of it changed."""
    pixels = np.random.default_rng(length).integers(0, 9, (1, length)).astype(np.uint8) + 200
    data = hdf5(m={"data": pixels, "chunks": (1, length), "fletcher32": True})
    assert pixels_of(data) == length
    damaged = bytearray(data)
    damaged[data.rindex(pixels.tobytes()) + length // 2] ^= 4
    assert "a chunk of it is damaged" in refusal(bytes(damaged))


def test_chunks_that_were_never_written_have_the_fill_value() -> None:
    def write(file: Any) -> None:
        array = file.create_dataset("m", (9, 9), "u1", chunks=(4, 4), fillvalue=7)
        array[:4, :4] = 1

    tally = read_tally(made(write), "m", STRICT)
    assert (tally.values.tolist(), tally.counts.tolist()) == ([1, 7], [16, 65])
    nothing = made(lambda file: file.create_dataset("m", (9, 9), "u1", fillvalue=3))
    assert read_tally(nothing, "m", STRICT).values.tolist() == [3]


def test_a_volume_beside_its_image(tmp_path: Path) -> None:
    """TransUNet's case0005.npy.h5: float labels [D, H, W]; each slice a mask."""
    volume = np.stack([labels(9, seed=k) for k in range(4)]).astype(np.float32)
    masks = tmp_path / "test_vol_h5"
    masks.mkdir()
    for case in (5, 8):
        data = hdf5(image=volume * 0.3, label=volume)
        (masks / f"case000{case}.npy.h5").write_bytes(data)
    assert "where (H, W) is expected (pages='each'" in refusal(data)
    with ms.scan(masks, classes=9, pages="each", workers=4) as scan:
        assert scan.failures == ()
        assert scan.ledger.names[:2] == ("case0005.npy.h5#1", "case0005.npy.h5#2")
        expected = 2 * np.bincount(volume.astype(int).ravel(), minlength=9)
        assert scan.histogram.pixels.tolist() == expected.tolist()


def samples() -> bytes:
    def write(file: Any) -> None:
        for number in (10, 2, 1):
            file[f"{number}/mask"] = np.full((number, 3), number, np.uint8)
            file[f"{number}/points"] = np.zeros((4, 2))
        file["more/volume"] = np.stack([LABELS] * 2)

    return made(write)


def test_an_array_a_sample() -> None:
    """Those of a group, or of a pattern, in natural order; each plane of each is a mask."""
    data = samples()
    assert "has 6 arrays: array=NAME chooses one" in refusal(data)
    assert "'*/mask' names 3 arrays of it: pages='each'" in refusal(
        data, ReadOptions(array="*/mask")
    )
    found = open_planes(io.BytesIO(data), ReadOptions(pages="each", array="*/mask"))
    assert found is not None
    assert [found.tally(at, "m").counts.tolist() for at in range(found.count)] == [[3], [6], [30]]
    assert [found.tally(at, "m").values.tolist() for at in (2, 0, 1)] == [[10], [1], [2]]
    found = open_planes(io.BytesIO(data), ReadOptions(pages="each", array="*[ek]"))
    assert found is not None and found.count == 5
    assert [found.tally_and_pixels(at, "m")[1].shape for at in (0, 3, 4)] == [
        (1, 3),
        LABELS.shape,
        LABELS.shape,
    ]
    group = open_planes(io.BytesIO(data), ReadOptions(pages="each", array="more"))
    assert group is not None and group.count == 2
    assert "has no array 'less'" in refusal(data, ReadOptions(array="less"))


def test_only_arrays_with_a_height_and_a_width_are_looked_at() -> None:
    def write(file: Any) -> None:
        file["cells"] = LABELS
        file["names"] = ["a", "b"]
        file["spacing"] = [1.0, 2.0]
        file["points"] = np.zeros((5, 1))
        file["boxes"] = np.zeros((5, 4), [("x", "i4")])

    assert pixels_of(made(write)) == LABELS.size


def test_links_within_the_file_are_followed() -> None:
    def write(file: Any) -> None:
        file["a/mask"] = LABELS
        file["b"] = LABELS * 0
        file["soft"] = h5py.SoftLink("a")
        file["softer"] = h5py.SoftLink("/soft/mask")
        file["round"] = h5py.SoftLink("/round")
        file["nowhere"] = h5py.SoftLink("/nothing")

    data = made(write)
    for name in ("a/mask", "soft/mask", "softer"):
        tally = read_tally(data, "m", ReadOptions(array=name))
        assert tally.counts.tolist() == np.unique(LABELS, return_counts=True)[1].tolist()
    assert "links without end" in refusal(data, ReadOptions(array="round"))
    assert "has no array 'nowhere'" in refusal(data, ReadOptions(array="nowhere"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_no_other_file_is_ever_opened(tmp_path: Path) -> None:
    """A pipe would be waited for; what is behind links and virtual arrays is not even looked at."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def linked(file: Any) -> None:
        file["mask"] = LABELS
        file["out"] = h5py.ExternalLink(str(pipe), "mask")

    assert pixels_of(made(linked)) == LABELS.size
    for name in ("out", "out/mask"):
        said = refusal(made(linked), ReadOptions(array=name))
        assert "is a link to another file, which is not read" in said

    def virtual(file: Any) -> None:
        layout = h5py.VirtualLayout((11, 13), "u1")
        layout[...] = h5py.VirtualSource(str(pipe), "mask", (11, 13))
        file.create_virtual_dataset("mask", layout)

    def external(file: Any) -> None:
        file.create_dataset("mask", (11, 13), "u1", external=[(str(pipe), 0, 143)])

    for write in (virtual, external):
        assert "is in other files, which are not read" in refusal(made(write))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        ({"data": LABELS, "chunks": (4, 4), "scaleoffset": 0}, "packed by scaleoffset"),
        ({"data": np.zeros((2, 2), complex)}, "whole numbers are expected"),
        ({"data": np.zeros((0, 4))}, "has no pixels"),
        ({"data": 3}, "where (H, W) is expected"),
        ({"data": [b"abc", b"d"]}, "whole numbers are expected"),
        ({"data": LABELS + 0.5}, "value"),
        ({"shape": (1 << 20, 1 << 21), "dtype": "u1"}, "more pixels than are counted"),
        ({"shape": (1 << 11, 1 << 11), "dtype": "u1", "chunks": (1, 1)}, "4,194,304 chunks"),
        ({"shape": (1 << 15, 1 << 15), "dtype": "u1", "chunks": (1 << 15, 1 << 14)}, "512 MiB"),
    ],
)
def test_arrays_that_are_no_masks(array: dict[str, Any], said: str) -> None:
    assert said in refusal(hdf5(m=array))


def test_filters_that_hdf5_does_not_bring_are_named() -> None:
    made_of = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made_of.set_chunk((4, 4))
    made_of.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))

    def write(file: Any) -> None:
        space = h5py.h5s.create_simple((8, 8))
        h5py.h5d.create(file.id, b"m", h5py.h5t.STD_U8LE, space, dcpl=made_of)

    assert "packed by zstd, which is not read here: h5repack" in refusal(made(write))


def test_chunks_expand_no_further_than_a_chunk() -> None:
    """100 kB that make 100 MB, in a chunk of 64 kB, and a chunk that is no chunk."""
    bomb = zlib.compress(bytes(100_000_000), 9)
    for packed in (bomb, zlib.compress(bytes(1 << 16))[:-1], zlib.compress(bytes(15)), b"?"):

        def write(file: Any, packed: bytes = packed) -> None:
            array = file.create_dataset(
                "m", (300, 300), "u1", chunks=(256, 256), compression="gzip"
            )
            array.id.write_direct_chunk((0, 256), packed)

        data = made(write)
        tracemalloc.start()
        try:
            assert "a chunk of it is" in refusal(data)
            assert tracemalloc.get_traced_memory()[1] < 5_000_000
        finally:
            stop_tracing()


def test_filters_that_a_chunk_went_without() -> None:
    def write(file: Any) -> None:
        array = file.create_dataset(
            "m", (4, 4), "u2", chunks=(4, 4), compression="gzip", shuffle=True
        )
        array.id.write_direct_chunk((0, 0), np.full((4, 4), 258, "<u2").tobytes(), 3)

    assert read_tally(made(write), "m", STRICT).values.tolist() == [258]


@pytest.mark.parametrize("first", [0, 16])
def test_a_heap_whose_free_blocks_go_round(first: int) -> None:
    """HDF5's library would follow them for ever, in C, and take memory at every step."""
    data = bytearray(hdf5(m=LABELS))
    at = data.index(b"HEAP")
    (place,) = struct.unpack_from("<Q", data, at + 24)
    struct.pack_into("<Q", data, at + 16, first)
    struct.pack_into("<2Q", data, place + first, first, 16)
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(refusal(bytes(data))), daemon=True)
    thread.start()
    thread.join(20)
    assert found and "a list in it has no end" in found[0]


def test_files_that_are_cut_off() -> None:
    whole = hdf5("latest", m={"data": LABELS, **LAYOUTS["deflate"]})
    for length in range(8, len(whole), 50):
        said = refusal(whole[:length])
        assert "HDF5" in said or "the file ends" in said


def test_what_reading_raises_is_passed_on() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 1000:
                raise OSError(5, "gone")
            return super().read(size)

    from maskstat.readers.formats import read_tally_stream

    with pytest.raises(OSError, match="gone"):
        read_tally_stream(Failing(hdf5(m=LABELS)), "m", STRICT)


def test_files_are_closed_without_the_garbage_collector() -> None:
    """Which may run in any thread, where HDF5's lock is waited for."""
    data = hdf5("latest", m={"data": LABELS, **LAYOUTS["deflate"]})
    damaged = bytearray(data)
    damaged[-30:] = bytes(30)
    kinds = h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE
    gc.collect()
    gc.disable()
    try:
        before = h5py.h5f.get_obj_count(*kinds)
        for content in (data, bytes(damaged), data[:300], hdf5(m=LABELS + 0.5)):
            with contextlib.suppress(MaskError):
                read_tally(content, "m", STRICT)
        open_planes(io.BytesIO(data), EACH)
        assert h5py.h5f.get_obj_count(*kinds) == before
    finally:
        gc.enable()


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    data = hdf5(m=LABELS)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MaskError, match=r'needs h5py: pip install "maskstat\[hdf5\]"'):
        read_tally(data, "m", STRICT)


def test_many_threads_at_once() -> None:
    """HDF5's library is one thread's at a time; not all of h5py's functions take its lock."""
    pixels = (np.arange(96 * 96).reshape(96, 96) % 5).astype(np.uint8)
    data = hdf5(m={"data": pixels, "chunks": (8, 8), "compression": "gzip"})
    found: list[list[int]] = []

    def work() -> None:
        for _ in range(50):
            found.append(read_tally(data, "m", STRICT).counts.tolist())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [np.bincount(pixels.reshape(-1)).tolist()] * 200
