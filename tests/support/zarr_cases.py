"""Zarr stores for tests: made by zarr, zipped, with any codecs; and how they are refused."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.readers.formats import read_tally_folder
from maskstat.readers.options import ReadOptions
from tests.support.mask_files import STRICT, labels, refusal

zarr = pytest.importorskip("zarr", minversion="3", reason="zarr 3 needs Python 3.11")
numcodecs = pytest.importorskip("numcodecs")

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


CODECS: dict[str, dict[str, Any]] = {
    "v2 zstd": {"zarr_format": 2},
    "v2 none": {"zarr_format": 2, "compressors": None},
    "v2 blosc": {"zarr_format": 2, "compressors": numcodecs.Blosc()},
    "v2 gzip": {"zarr_format": 2, "compressors": numcodecs.GZip()},
    "v2 zlib": {"zarr_format": 2, "compressors": numcodecs.Zlib()},
    "v2 lz4": {"zarr_format": 2, "compressors": numcodecs.LZ4()},
    "v2 delta": {"zarr_format": 2, "filters": [numcodecs.Delta("<u2")]},
    "v3 zstd": {"compressors": zarr.codecs.ZstdCodec(checksum=True)},
    "v3 none": {"compressors": None},
    "v3 gzip": {"compressors": zarr.codecs.GzipCodec()},
    "v3 blosc": {"compressors": zarr.codecs.BloscCodec()},
    "v3 crc": {"compressors": [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]},
    "v3 shards": {"shards": (8, 8)},
    "v3 whole shards": {"shards": (4, 4), "compressors": zarr.codecs.GzipCodec()},
    "v3 shards of one": {"chunks": (8, 8), "shards": (16, 16), "compressors": None},
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
