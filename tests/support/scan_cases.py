"""Small masks to scan, and what to compare of two scans."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskstat.api.scan import Scan
from maskstat.scanning.recording import Progress
from maskstat.values.tally import Encoding
from tests.support.png_factory import png

GREY = Encoding("png", "grey", 8)


def grey_png(pixels: NDArray[np.integer] | Sequence[Sequence[int]], bits: int = 8) -> bytes:
    array = np.array(pixels)
    return png(array, bits, [0] * len(array))


def pixels_of(seed: int, high: int = 7) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 30, 2)
    return np.repeat(rng.integers(0, high, (shape[0], 1 + shape[1] // 3)), 3, axis=1)


def write(path: Path, data: bytes, *, stamp: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if stamp is not None:
        os.utime(path, ns=(stamp, stamp))
    return path


def stored_rows(scan: Scan) -> dict[str, tuple[list[int], list[int]]]:
    """name -> (values, counts) as the scan keeps them."""
    return {
        name: (
            table.values[table.indptr[at] : table.indptr[at + 1]].tolist(),
            table.counts[table.indptr[at] : table.indptr[at + 1]].tolist(),
        )
        for table in scan.tables()
        for at, name in enumerate(table.names)
    }


def npy(array: NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def digests(scan: Scan) -> tuple[str, tuple[str, ...], list[int]]:
    return scan.histogram.counts_digest(), scan.ledger.names, scan.ledger.pixels.tolist()


def interrupting(after: int) -> Callable[[Progress], None]:
    def on_progress(progress: Progress) -> None:
        if progress.done >= after:
            raise KeyboardInterrupt

    return on_progress
