"""Pixels without a header in Parquet files: with their height and width beside them, masks."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat.sources.tables.headerless import as_image
from tests.support.mask_files import FILES, MORE_FILES
from tests.support.packages import needs, package
from tests.support.scan_cases import grey_png, pixels_of

pytestmark = needs("pyarrow", "needs maskstat[parquet]")
pyarrow = package("pyarrow")
pq = package("pyarrow.parquet")

MASKS = [pixels_of(n) for n in range(6)]


def saved(path: Path, masks: object, **columns: object) -> Path:
    pq.write_table(pyarrow.table({"mask": masks, **columns}), path, row_group_size=4)
    return path


def shapes(prefix: str = "") -> dict[str, list[int]]:
    return {
        f"{prefix}width": [mask.shape[1] for mask in MASKS],
        f"{prefix}height": [mask.shape[0] for mask in MASKS],
    }


@pytest.mark.parametrize("kind", ["u1", "<u2"])
@pytest.mark.parametrize("prefix", ["", "mask_"])
def test_raw_pixels_count_as_numpy_counts_them(kind: str, prefix: str, tmp_path: Path) -> None:
    raw = [mask.astype(kind).tobytes() for mask in MASKS]
    others = {} if not prefix else {"height": [1] * 6, "width": [1] * 6}
    cells = [{"bytes": data, "path": f"{n}.raw"} for n, data in enumerate(raw)]
    for masks in (raw, cells):
        where = saved(tmp_path / "m.parquet", masks, id=[*"abcdef"], **shapes(prefix), **others)
        with ms.scan(where, classes=7) as scan:
            expected = np.bincount(np.concatenate([mask.ravel() for mask in MASKS]), minlength=7)
            assert scan.histogram.pixels.tolist() == expected.tolist()
            areas = [mask.size for mask in MASKS]
            assert scan.ledger.dense().sum(1).tolist() == areas
            for entry, mask in zip(scan.entries(), MASKS, strict=True):
                entry.let_go()
                assert np.array_equal(np.load(io.BytesIO(entry.load())), mask)
                assert entry.size == len(entry.load())


def test_images_beside_their_sizes_stay_images_and_what_fits_nothing_fails(tmp_path: Path) -> None:
    images = [grey_png(mask) for mask in MASKS]
    with ms.scan(saved(tmp_path / "m.parquet", images, **shapes()), classes=7) as scan:
        assert scan.histogram.mask_count == 6
        assert scan.failures == ()
    raw = [mask.astype("u1").tobytes() for mask in MASKS]
    raw[1], raw[2] = raw[1] + b"\0", MASKS[2].astype("<i4").tobytes()
    wrong = shapes()
    wrong["height"][3], wrong["width"][4] = -wrong["height"][3], 2**62
    with ms.scan(saved(tmp_path / "n.parquet", raw, **wrong), classes=7) as scan:
        assert [failure.mask for failure in scan.failures] == ["1", "2", "3", "4"]
        assert all("not an image" in failure.reason for failure in scan.failures)
    texts = {"height": ["2"] * 6, "width": [None] * 6}
    with ms.scan(saved(tmp_path / "o.parquet", images, **texts), classes=7) as scan:
        assert scan.failures == ()


def test_an_encoded_mask_is_never_pixels() -> None:
    """Not even where it is as long as its pixels would be."""
    for data in (*FILES.values(), *MORE_FILES.values()):
        assert as_image(data, 1, len(data)) == data
        assert as_image(data, len(data) // 2 or 1, 1) == data


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["u1", "<u2"]))
def test_pixels_come_back_as_they_were(height: int, width: int, kind: str) -> None:
    pixels = np.arange(height * width).reshape(height, width).astype(kind)
    back = np.load(io.BytesIO(as_image(pixels.tobytes(), height, width)))
    assert back.dtype == np.dtype(kind) and np.array_equal(back, pixels)
