"""The loops people write today, each exact for 8-bit grey and palette masks, and the floor.

Every function counts a list of paths and returns int64[256]. The floor reads, checks and inflates
the same files and counts nothing: no scanner of deflated files can be faster.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bins = NDArray[np.int64]
Loop = Callable[[Sequence[str]], Bins]


def pillow_bincount(paths: Sequence[str]) -> Bins:
    """Pillow + np.bincount, the loop in most repositories."""
    total = np.zeros(256, np.int64)
    for path in paths:
        with Image.open(path) as image:
            total += np.bincount(np.asarray(image).ravel(), minlength=256)
    return total


def pillow_unique(paths: Sequence[str]) -> Bins:
    """Pillow + np.unique, the loop in most answers."""
    total = np.zeros(256, np.int64)
    for path in paths:
        with Image.open(path) as image:
            values, counts = np.unique(np.asarray(image), return_counts=True)
        total[values] += counts
    return total


def pillow_histogram(paths: Sequence[str]) -> Bins:
    """Pillow's own Image.histogram."""
    total = np.zeros(256, np.int64)
    for path in paths:
        with Image.open(path) as image:
            total += np.array(image.histogram(), np.int64)
    return total


def opencv_bincount(paths: Sequence[str]) -> Bins:
    """OpenCV + np.bincount. Right for grey masks only: palettes come back as colours."""
    import cv2

    total = np.zeros(256, np.int64)
    for path in paths:
        pixels = cv2.imread(path, cv2.IMREAD_UNCHANGED)
        if pixels.ndim != 2:
            raise ValueError("OpenCV made colours of a palette mask")
        total += np.bincount(pixels.ravel(), minlength=256)
    return total


def floor(paths: Sequence[str]) -> Bins:
    """Read, parse, check and inflate; count nothing."""
    from maskstat.readers.png import inflate_png

    for path in paths:
        # The cheapest way to read a small file that Python has.
        descriptor = os.open(path, os.O_RDONLY)
        data = os.read(descriptor, os.fstat(descriptor).st_size)
        os.close(descriptor)
        inflate_png(data)
    return np.zeros(256, np.int64)


def spread(loop: Loop, pool: Executor, workers: int, paths: Sequence[str]) -> Bins:
    """A loop over the workers of a pool, in four parts a worker: little overhead, fair ends."""
    size = -(-len(paths) // (4 * workers))
    parts = [paths[start : start + size] for start in range(0, len(paths), size)]
    return np.sum(list(pool.map(loop, parts)), 0)


def contenders(workers: int, *, palette: bool) -> tuple[dict[str, Loop], list[Executor]]:
    """Name -> loop for one process, a process pool and threads; and the pools to shut down."""
    single: dict[str, Loop] = {
        "Pillow + bincount": pillow_bincount,
        "Pillow + unique": pillow_unique,
        "Pillow Image.histogram": pillow_histogram,
    }
    try:
        import cv2

        cv2.setNumThreads(1)
        if not palette:
            single["OpenCV + bincount"] = opencv_bincount
    except ImportError:
        pass
    processes = ProcessPoolExecutor(workers, get_context("spawn"))
    threads = ThreadPoolExecutor(workers)
    loops = dict(single)
    for name in [name for name in single if "bincount" in name]:
        loops[f"{name}, {workers} processes"] = partial(spread, single[name], processes, workers)
        loops[f"{name}, {workers} threads"] = partial(spread, single[name], threads, workers)
    loops["floor: read + inflate"] = partial(spread, floor, threads, workers)
    return loops, [processes, threads]
