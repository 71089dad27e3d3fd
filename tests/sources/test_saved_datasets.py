"""Datasets of Hugging Face on disk: the files that `state.json` names, a split a folder."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import maskstat as ms
from maskstat.errors import ParameterError, SourceError
from tests.support.packages import needs, package
from tests.support.paths import FIXTURES
from tests.support.scan_cases import grey_png, pixels_of, write
from tests.support.source_cases import arrow_of, source_at

pytestmark = needs("pyarrow", "needs maskstat[parquet]")
pyarrow = package("pyarrow")

# Two splits, one of two files, of photographs and labels: by datasets 5.2.0.
REAL = FIXTURES / "saved_dataset"
MASKS = {f"m/{n}.png": grey_png(pixels_of(n)) for n in range(6)}
STATE = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": None}


def by_pyarrow(folder: Path) -> list[int]:
    total = np.zeros(7, np.int64)
    for file in folder.glob("*.arrow"):
        for cell in pyarrow.ipc.open_stream(file.read_bytes()).read_all()["label"].to_pylist():
            pixels = np.asarray(Image.open(io.BytesIO(cell["bytes"])))
            total += np.bincount(pixels.ravel(), minlength=7)
    return total.tolist()


def saved(folder: Path, state: object = STATE, data: bytes | None = None) -> Path:
    write(folder / "data-00000-of-00001.arrow", arrow_of(MASKS) if data is None else data)
    write(folder / "state.json", state if isinstance(state, bytes) else json.dumps(state).encode())
    write(folder / "dataset_info.json", b"{}")
    return folder


def test_what_the_library_wrote_counts_as_pyarrow_reads_it(tmp_path: Path) -> None:
    shutil.copytree(REAL, tmp_path / "d")
    scans = ms.scan_splits(tmp_path / "d", classes=7)
    assert list(scans) == ["train", "validation"]
    for split, scan in scans.items():
        assert scan.histogram.pixels.tolist() == by_pyarrow(REAL / split)
        assert scan.failures == ()
    assert scans["train"].ledger.names == tuple(
        f"train/data-0000{n}-of-00002.arrow/{row}" for n in range(2) for row in range(3)
    )
    whole = ms.scan(tmp_path / "d", classes=7, column="label")
    assert whole.histogram == scans["train"].histogram + scans["validation"].histogram
    again = source_at(source_at(tmp_path / "d", column="label").location)
    assert len(list(again.entries())) == 8
    grouped = ms.scan(tmp_path / "d", classes=7, group_by="column:id", name="grouped")
    assert grouped.groups is not None and set(grouped.groups.names) == {*"01234568"}
    with pytest.raises(SourceError, match="no column 'x'"):
        ms.scan(tmp_path / "d", column="x")


def test_only_files_of_the_dataset_are_read_and_others_stay_folders(tmp_path: Path) -> None:
    folder = saved(tmp_path / "a")
    write(folder / "cache-0123.arrow", arrow_of(MASKS))
    with ms.scan(folder, classes=7) as scan:
        assert scan.ledger.names == tuple(f"data-00000-of-00001.arrow/{n}" for n in range(6))
    write(tmp_path / "b" / "state.json", b"{}")
    write(tmp_path / "b" / "a.png", MASKS["m/0.png"])
    assert ms.scan(tmp_path / "b", classes=7).histogram.mask_count == 1
    with pytest.raises(ParameterError, match="have columns"):
        ms.scan(tmp_path / "b", classes=7, column="mask")


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff\xfe",
        b"[]",
        {},
        {"_data_files": 3},
        {"_data_files": [{}]},
        {"_data_files": [{"filename": "../secret.arrow"}]},
        {"_data_files": [{"filename": "/etc/passwd"}]},
        {"_data_files": [{"filename": ".."}]},
        {"_data_files": [{"filename": "a\0b"}]},
        {"_data_files": [{"filename": "a\x1b[2J/b"}]},
        {**STATE, "_indices_data_files": [{"filename": "indices.arrow"}]},
    ],
)
def test_documents_that_lie_are_errors_and_cost_their_split_only(
    state: object, tmp_path: Path
) -> None:
    write(tmp_path / "secret.arrow", arrow_of(MASKS))
    with pytest.raises(SourceError, match="no dataset that can be read") as caught:
        ms.scan(saved(tmp_path / "a", state), classes=7)
    assert str(caught.value).isprintable()
    saved(tmp_path / "d" / "train")
    saved(tmp_path / "d" / "test", state)
    write(tmp_path / "d" / "dataset_dict.json", b'{"splits": ["train", "test", "gone"]}')
    with ms.scan(tmp_path / "d", classes=7) as scan:
        assert scan.histogram.mask_count == 6
        reasons = {failure.mask: failure.reason for failure in scan.failures}
        assert list(reasons) == ["gone", "test"]
        assert "no dataset that can be read" in reasons["test"]
        assert "No such file" in reasons["gone"]
    write(tmp_path / "d" / "dataset_dict.json", b'{"splits": ["../a"]}')
    with pytest.raises(SourceError, match="no dataset that can be read"):
        ms.scan(tmp_path / "d", classes=7)


def test_a_file_that_is_gone_or_damaged_is_a_failure(tmp_path: Path) -> None:
    names = [f"data-{n:05}-of-00003.arrow" for n in range(3)]
    folder = saved(tmp_path / "a", {"_data_files": [{"filename": name} for name in names]})
    (folder / "data-00000-of-00001.arrow").unlink()
    write(folder / names[0], arrow_of(MASKS))
    write(folder / names[1], arrow_of(MASKS)[:200])
    scan = ms.scan(folder, classes=7)
    assert scan.histogram.mask_count == 6
    assert [failure.mask for failure in scan.failures] == names[1:]
