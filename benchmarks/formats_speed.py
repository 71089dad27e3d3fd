"""maskstat.scan against loops, on formats besides 8-bit PNG, in one process run.

    python -m benchmarks.formats_speed [--masks FOLDER_OF_REAL_MASKS] [--rounds 5] [--only TIFF]

PNG of 1, 2, 4 and 16 bits, NPY, JPEG 2000, HDF5, MATLAB, NRRD, MHA, NIfTI (NII), and TIFF in strips
and tiles. Every set is read by each library that gives its values unchanged, and counted by
np.bincount: in one process and in a pool of them, in turns with maskstat. The table compares with
the fastest of these loops; all counts are compared.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import mask_sets, user_loops
from benchmarks.scan_speed import OURS, scanner

Pixels = NDArray[Any]
SHAPE = (1024, 2048)
BINS = 256  # above every value
WIDE = 8  # what labels are multiplied by where pixels have more than 8 bits


def pillow(path: str) -> Pixels:
    """By Pillow. Right for all PNGs here; 1-bit ones are booleans."""
    with Image.open(path) as image:
        pixels = np.asarray(image)
    return pixels.astype(np.uint8) if pixels.dtype == bool else pixels


def opencv(path: str) -> Pixels:
    """By OpenCV. Right where a file is grey of 8 or 16 bits."""
    import cv2

    cv2.setNumThreads(1)
    return np.asarray(cv2.imread(path, cv2.IMREAD_UNCHANGED))


def tifffile(path: str) -> Pixels:
    """By tifffile, and imagecodecs below it."""
    from tifffile import imread

    return np.asarray(imread(path, maxworkers=1))


def numpy(path: str) -> Pixels:
    """By np.load."""
    return np.asarray(np.load(path))


def numpy_mapped(path: str) -> Pixels:
    """By np.load, of which bincount reads what it needs."""
    return np.asarray(np.load(path, mmap_mode="r"))


def h5py(path: str) -> Pixels:
    """By h5py."""
    from h5py import File

    with File(path) as file:
        return np.asarray(file["mask"][()])


def scipy(path: str) -> Pixels:
    """By scipy.io.loadmat."""
    from scipy.io import loadmat

    return np.asarray(loadmat(path)["mask"])


def simpleitk(path: str) -> Pixels:
    """By SimpleITK."""
    import SimpleITK

    return np.asarray(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path)))


def nibabel(path: str) -> Pixels:
    """By nibabel."""
    import nibabel

    return np.asarray(nibabel.load(path).dataobj)


def pynrrd(path: str) -> Pixels:
    """By pynrrd."""
    import nrrd

    return np.asarray(nrrd.read(path, index_order="C")[0])


Decode = Callable[[str], Pixels]


class FormatSet(NamedTuple):
    """Masks of a format: how one is saved, and who reads it right."""

    name: str
    suffix: str
    save: Callable[[Path, mask_sets.Labels], None]
    loops: tuple[Decode, ...]


def _save_png(bits: int, path: Path, labels: mask_sets.Labels) -> None:
    if bits == 16:
        Image.fromarray(labels.astype(np.uint16) * WIDE).save(path)
    elif bits == 1:
        Image.fromarray(labels > 3).save(path)
    else:
        image = Image.fromarray(labels % (1 << bits))
        image.putpalette(np.arange(3 << bits, dtype=np.uint8).tobytes())
        image.save(path, bits=bits)


def _save_jpeg2000(path: Path, labels: mask_sets.Labels) -> None:
    Image.fromarray(labels).save(path)


def _save_npy(dtype: str, path: Path, labels: mask_sets.Labels) -> None:
    np.save(path, labels.astype(dtype))


def _save_hdf5(compression: str | None, path: Path, labels: mask_sets.Labels) -> None:
    from h5py import File

    side = min(256, *labels.shape)
    chunks = None if compression is None else (side, side)
    with File(path, "w") as file:
        file.create_dataset("mask", data=labels, compression=compression, chunks=chunks)


def _save_volume(packed: bool, path: Path, labels: mask_sets.Labels) -> None:
    import SimpleITK

    slices = labels.reshape(8, -1, labels.shape[1])
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(slices), str(path), packed)


def _save_matlab(path: Path, labels: mask_sets.Labels) -> None:
    from scipy.io import savemat

    savemat(path, {"mask": labels}, do_compression=True)


def _save_tiff(
    compression: str | None, tiled: bool, bits: int, path: Path, labels: mask_sets.Labels
) -> None:
    from tifffile import imwrite

    pixels = labels if bits == 8 else labels.astype(np.uint16) * WIDE
    layout = {"tile": (256, 256)} if tiled else {"rowsperstrip": 16}
    imwrite(path, pixels, compression=compression, photometric="minisblack", **layout)


def all_sets() -> list[FormatSet]:
    """Every format."""
    sets = [
        FormatSet(
            f"PNG, {bits} bits",
            ".png",
            partial(_save_png, bits),
            (pillow, opencv)[: 1 + bits // 16],
        )
        for bits in (1, 2, 4, 16)
    ]
    sets += [
        FormatSet(f"NPY, {dtype}", ".npy", partial(_save_npy, dtype), (numpy, numpy_mapped))
        for dtype in ("uint8", "int32", "int64")
    ]
    sets.append(FormatSet("JPEG 2000, 8 bits", ".jp2", _save_jpeg2000, (pillow,)))
    sets += [
        FormatSet(f"HDF5, {how or 'one piece'}", ".h5", partial(_save_hdf5, how), (h5py,))
        for how in (None, "gzip", "lzf")
    ]
    sets.append(FormatSet("MATLAB, compressed", ".mat", _save_matlab, (scipy,)))
    volumes: dict[str, tuple[Decode, ...]] = {
        ".nrrd": (simpleitk, pynrrd),
        ".mha": (simpleitk,),
        ".nii": (simpleitk, nibabel),
    }
    for suffix, loops in volumes.items():
        for packed in (False, True):
            name = f"{suffix[1:].upper()}, {'packed' if packed else 'raw'}"
            suffix += ".gz" if packed and suffix == ".nii" else ""
            sets.append(FormatSet(name, suffix, partial(_save_volume, packed), loops))
    for bits in (8, 16):
        for tiled in (False, True):
            for compression in (None, "lzw", "deflate"):
                layout, kind = "tiles" if tiled else "strips", compression or "uncompressed"
                name = f"TIFF {layout}, {kind}, {bits} bits"
                save = partial(_save_tiff, compression, tiled, bits)
                sets.append(FormatSet(name, ".tif", save, (pillow, opencv, tifffile)))
    return sets


def bincount(decode: Decode, paths: Sequence[str]) -> user_loops.Bins:
    """What people write: decode, then count."""
    total = np.zeros(BINS, np.int64)
    for path in paths:
        total += np.bincount(decode(path).ravel(), minlength=BINS)
    return total


def write(one: FormatSet, folder: Path, count: int, distinct: int, real: Sequence[Path]) -> None:
    """Fill a folder with masks, copies of some different ones, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    make = mask_sets.maker(SHAPE, real)
    for number in range(count):
        path = folder / f"mask_{number:05d}{one.suffix}"
        if path.exists():
            continue
        if number < distinct:
            one.save(path, make(number))
        else:
            first = folder / f"mask_{number % distinct:05d}{one.suffix}"
            path.write_bytes(first.read_bytes())


def measure(
    one: FormatSet, folder: Path, pool: Executor, rounds: int, workers: int, db: Path
) -> dict[str, float]:
    """Median seconds a mask of every contender; all counts compared."""
    paths = sorted(str(path) for path in folder.iterdir())
    part = paths[:: max(1, len(paths) // 20)]
    contenders: dict[str, tuple[user_loops.Loop, Sequence[str]]] = {}
    for decode in one.loops:
        loop = partial(bincount, decode)
        contenders[decode.__name__] = loop, part
        spread = partial(user_loops.spread, loop, pool, workers)
        contenders[f"{decode.__name__}, {workers} processes"] = spread, paths
    contenders[OURS] = scanner(folder, db, workers), paths
    counts = {len(some): bincount(one.loops[-1], some) for some in (part, paths)}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, (loop, some) in contenders.items():
            start = time.perf_counter()
            found = loop(some)
            elapsed = (time.perf_counter() - start) / len(some)
            if not np.array_equal(found, counts[len(some)]):
                raise AssertionError(f"{name} counts differently on {one.name}")
            if turn:  # the first round warms caches, pools and compiled kernels
                times[name].append(elapsed)
    return {name: statistics.median(values) for name, values in times.items()}


def row(one: FormatSet, result: dict[str, float]) -> str:
    """A line of the table: milliseconds a mask, and the ratio."""
    loops = {name: seconds for name, seconds in result.items() if name != OURS}
    best = min(loops, key=loops.__getitem__)
    ours = result[OURS]
    return (
        f"| {one.name} | {best} | {1e3 * loops[best]:.2f} | {1e3 * ours:.3f} |"
        f" **{loops[best] / ours:.1f}×** |"
    )


def main() -> None:
    """Parse the options, measure, print the table."""
    parser = mask_sets.arguments(__doc__)
    parser.add_argument("--json", type=Path, help="write the medians here too")
    options = parser.parse_args()
    # Some sets are done before kernels are loaded that a longer scan would count with.
    os.environ.setdefault("MASKSTAT_ENGINE", "compiled")
    count = max(2, round(200 * options.scale))
    real = mask_sets.real_masks(options.masks)
    lines, results = [], {}
    with (
        tempfile.TemporaryDirectory() as scratch,
        ProcessPoolExecutor(options.workers, get_context("spawn")) as pool,
    ):
        where = options.folder or Path(scratch) / "sets"
        for one in all_sets():
            if options.only and options.only not in one.name:
                continue
            folder = where / one.name.replace(", ", "-").replace(" ", "-")
            write(one, folder, count, min(count, 20), real)
            if hasattr(os, "sync"):
                os.sync()  # or the disk would still be busy with the set
            db = Path(scratch) / "benchmark.db"
            results[one.name] = measure(one, folder, pool, options.rounds, options.workers, db)
            lines.append(row(one, results[one.name]))
            print(f"measured {one.name}", flush=True)
    print("| 2048x1024 | best loop | its ms a mask | maskstat's | × |")
    print("| --- | --- | --- | --- | --- |")
    print("\n".join(lines))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
