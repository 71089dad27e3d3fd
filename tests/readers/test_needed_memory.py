"""Readers ask for at least what they take: peaks of a process of its own beside what was asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.support.dicom_cases import of_stack
from tests.support.interpreters import run_script
from tests.support.loops import at_least_one
from tests.support.mask_files import mat, metaimage, nrrd

SIDE = 2400  # large beside what a process takes by itself for no reason that is told here
SLACK = 16 << 20

_SCRIPT = """
import json, sys
import numpy as np
from maskstat import memory
from maskstat.kernels.engine import current_engine
from maskstat.kernels.label_runs import runs_of
from maskstat.readers import formats

def status(line):
    with open("/proc/self/status") as file:
        return next(int(text.split()[1]) << 10 for text in file if text.startswith(line))

class Counted(memory.Budget):
    most = 0
    def take(self, holder, size):
        super().take(holder, size)
        self.most = max(self.most, self.held)

def read(path, kind, options):
    with open(path, "rb") as file:
        data = b"" if kind == "stream" else file.read()
        with open("/proc/self/clear_refs", "w") as reset:
            reset.write("5")
        before = status("VmRSS")
        budget = memory._budget = Counted(lambda: 1 << 50)
        with memory.MemoryTask():
            if kind == "stream":
                formats.read_tally_stream(file, "m", options)
            elif kind == "tally":
                formats.read_tally(data, "m", options)
            else:
                tally, pixels = formats.read_tally_and_pixels(data, "m", options)
                classes = np.where(tally.values < 2, tally.values, -1)
                current_engine().measure(runs_of(pixels, tally.values, classes)[0])
        return budget.most, status("VmHWM") - before

found = []
for small, large, channels in json.loads(sys.argv[1]):
    options = formats.ReadOptions(allow_lossy=True, colours=True, channels=channels)
    for kind in ("stream", "tally", "pixels"):
        read(small, kind, options)  # which imports and keeps what both of them need
        found.append((large, kind, *read(large, kind, options)))
print(json.dumps(found))
"""


def _grey(side: int) -> Image.Image:
    return Image.fromarray(_pixels(side))


def _pixels(side: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return (np.indices((side, side)).sum(axis=0) // 64 % 3).astype(np.uint8)


def _rgb(side: int) -> Image.Image:
    return Image.fromarray(np.stack([_pixels(side)] * 3, axis=-1))


def _stack(side: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    return (_pixels(side)[..., None] == np.arange(3)).astype(np.uint8)


def _tiled(path: Path, pixels: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    tifffile.imwrite(path, pixels, tile=(1024, 1024), compression="zlib", photometric="minisblack")


def _nifti(path: Path, side: int) -> None:
    import nibabel

    image = nibabel.Nifti1Image(_pixels(side)[..., None].astype(np.int16), np.eye(4))  # type: ignore[no-untyped-call]
    image.header.set_slope_inter(2, 1)
    nibabel.save(image, path)  # type: ignore[attr-defined]


def _layers(path: Path, side: int) -> None:
    """Two layers of segments, of which the second lies on the first."""
    layers = np.stack([_pixels(side), 3 * (_pixels(side) > 1)], axis=-1).astype(np.uint8)
    lines = [
        f"Segment{at}_{key}:={value}"
        for at, (layer, label) in enumerate([(0, 1), (0, 2), (1, 3)])
        for key, value in (("Layer", layer), ("LabelValue", label))
    ]
    path.write_bytes(nrrd(layers[None], *lines, channels=2))


def _segments(path: Path, side: int) -> None:
    path.write_bytes(of_stack(_pixels(side)[None] + 1))


def _mat(path: Path, side: int) -> None:
    path.write_bytes(mat(mask=_pixels(side).astype(np.int64)))


def _hdf5(
    path: Path, pixels: np.ndarray[tuple[int, ...], np.dtype[np.generic]], how: str | None
) -> None:
    import h5py

    chunks = None if how is None else pixels.shape
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "mask", data=pixels, chunks=chunks, compression=how, shuffle=how is not None
        )


FILES: dict[str, Callable[[Path, int], None]] = {
    "a.gif": lambda path, side: _grey(side).save(path),
    "a.bmp": lambda path, side: _grey(side).save(path),
    "rgb.bmp": lambda path, side: _rgb(side).save(path),
    "a.webp": lambda path, side: _rgb(side).save(path, lossless=True, method=0),
    "progressive.jpg": lambda path, side: _rgb(side).save(path, progressive=True, subsampling=0),
    "a.jp2": lambda path, side: _grey(side).save(path),
    "rgb.j2k": lambda path, side: _rgb(side).save(path),
    "a.png": lambda path, side: _grey(side).save(path, compress_level=1),
    "bits.png": lambda path, side: _grey(side).point(lambda x: x * 255, "1").save(path),
    "a.tif": lambda path, side: _grey(side).save(path, compression="tiff_lzw"),
    "float.tif": lambda path, side: tifffile.imwrite(path, _pixels(side).astype(np.float32)),
    "tiled.tif": lambda path, side: _tiled(path, _pixels(side).astype(np.uint64)),
    "a.npy": lambda path, side: np.save(path, _pixels(side).astype(np.float64)),
    "a.npz": lambda path, side: np.savez_compressed(path, np.asfortranarray(_stack(side))),
    "a.nii": _nifti,
    "packed.nrrd": lambda path, side: path.write_bytes(
        nrrd(_pixels(side).astype(np.float64), packed=True)
    ),
    "layers.seg.nrrd": _layers,
    "packed.mha": lambda path, side: path.write_bytes(metaimage(_pixels(side), packed=True)),
    "a.dcm": _segments,
    "map.dcm": lambda path, side: path.write_bytes(of_stack(_pixels(side)[None], "LABELMAP")),
    "a.mat": _mat,
    "a.h5": lambda path, side: _hdf5(path, _pixels(side).astype(np.int64), None),
    "deflated.h5": lambda path, side: _hdf5(path, _pixels(side).astype(np.float64), "gzip"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("engine", ["compiled", "numpy"])
def test_what_is_taken_was_asked_for(tmp_path: Path, engine: str) -> None:
    files = []
    for name, write in FILES.items():
        small, large = tmp_path / name, tmp_path / f"large-{name}"
        write(small, 64)
        write(large, SIDE)
        files.append((str(small), str(large), "one-hot" if name.endswith(".npz") else None))
    # Otherwise what one file left free would do for the next.
    settings = {"MALLOC_MMAP_THRESHOLD_": "131072", "MASKSTAT_ENGINE": engine}
    found = json.loads(run_script(_SCRIPT, json.dumps(files), **settings))
    assert len(found) == 3 * len(FILES)
    for path, kind, asked, taken in at_least_one(found):
        assert taken <= asked + SLACK, (path, kind, asked >> 20, taken >> 20)
