"""Zarr stores for tests: made by zarr, zipped, with any codecs; and how they are refused."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.readers.formats import read_tally_folder
from maskstat.readers.options import ReadOptions
from tests.support.mask_files import STRICT, labels, refusal
from tests.support.packages import package

zarr = package("zarr", minversion="3", reason="zarr 3 needs Python 3.11")
numcodecs = package("numcodecs")

LABELS = labels(300).astype(np.uint16)


def zipped(folder: Path, prefix: str = "") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, prefix + path.relative_to(folder).as_posix())
    return stream.getvalue()


def store(folder: Path, pixels: NDArray[Any] = LABELS, **options: Any) -> Path:
    path = folder / "s.zarr"
    shutil.rmtree(path, ignore_errors=True)
    options.setdefault("chunks", (4, 4))
    made = zarr.create_array(path, shape=pixels.shape, dtype=pixels.dtype, **options)
    made[...] = pixels
    return path


# What makes the options of a store: zarr is imported by who calls it.
CODECS: dict[str, Callable[[], dict[str, Any]]] = {
    "v2 zstd": lambda: {"zarr_format": 2},
    "v2 none": lambda: {"zarr_format": 2, "compressors": None},
    "v2 blosc": lambda: {"zarr_format": 2, "compressors": numcodecs.Blosc()},
    "v2 gzip": lambda: {"zarr_format": 2, "compressors": numcodecs.GZip()},
    "v2 zlib": lambda: {"zarr_format": 2, "compressors": numcodecs.Zlib()},
    "v2 lz4": lambda: {"zarr_format": 2, "compressors": numcodecs.LZ4()},
    "v2 delta": lambda: {"zarr_format": 2, "filters": [numcodecs.Delta("<u2")]},
    "v3 zstd": lambda: {"compressors": zarr.codecs.ZstdCodec(checksum=True)},
    "v3 none": lambda: {"compressors": None},
    "v3 gzip": lambda: {"compressors": zarr.codecs.GzipCodec()},
    "v3 blosc": lambda: {"compressors": zarr.codecs.BloscCodec()},
    "v3 crc": lambda: {"compressors": [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]},
    "v3 shards": lambda: {"shards": (8, 8)},
    "v3 whole shards": lambda: {"shards": (4, 4), "compressors": zarr.codecs.GzipCodec()},
    "v3 shards of one": lambda: {"chunks": (8, 8), "shards": (16, 16), "compressors": None},
}


def store_refusal(folder: Path, options: ReadOptions = STRICT) -> str:
    """The reason, the same from a folder and from a zip of it."""
    with pytest.raises(MaskError) as caught:
        read_tally_folder(str(folder / "s.zarr"), "m", options)
    reason = str(caught.value)
    assert reason.isprintable()
    try:
        assert refusal(zipped(folder / "s.zarr"), options) == reason
    except MaskError as error:
        pytest.fail(str(error))
    return reason
