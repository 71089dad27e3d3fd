"""Files of rare class sampling: what DAFormer's own loop writes, and what its loader reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import maskstat as ms
from maskstat.errors import FileFormatError
from maskstat.files.mask_tables.daformer import SAMPLES, STATS, write_folder
from maskstat.files.mask_tables.mask_table import write_table
from maskstat.values.catalog import ClassCatalog
from maskstat.values.crop_draws import CropDraws
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import Encoding, MaskTally, TallyTable
from tests.support.equal_cost_cases import CAMVID_NAMES, camvid_masks
from tests.support.strategies import catalogs, tally_lists


def theirs(labels: dict[str, NDArray[Any]], classes: int) -> tuple[str, str]:
    """Both files as tools/convert_datasets/cityscapes.py of DAFormer makes them, mask by mask."""
    sample_class_stats = []
    for file, label in labels.items():
        stats: dict[Any, Any] = {}
        for c in range(classes):
            n = int(np.sum(label == c))
            if n > 0:
                stats[int(c)] = n
        stats["file"] = file
        sample_class_stats.append(stats)
    first = json.dumps(sample_class_stats, indent=2)
    sample_class_stats_dict = {}
    for stats in sample_class_stats:
        sample_class_stats_dict[stats.pop("file")] = stats
    samples_with_class: dict[Any, Any] = {}
    for file, stats in sample_class_stats_dict.items():
        for c, n in stats.items():
            if c not in samples_with_class:
                samples_with_class[c] = [(file, n)]
            else:
                samples_with_class[c].append((file, n))
    return first, json.dumps(samples_with_class, indent=2)


def written(folder: Path) -> tuple[str, str]:
    return (folder / STATS).read_text("ascii"), (folder / SAMPLES).read_text("ascii")


def test_camvid_is_what_daformer_writes_and_draws_alike(camvid: Path, tmp_path: Path) -> None:
    masks = sorted((camvid / "train" / "masks").glob("*.png"))
    labels = dict(zip((file.name for file in masks), camvid_masks(camvid), strict=True))
    with ms.scan(camvid / "train" / "masks", classes=list(CAMVID_NAMES), ignore=[11]) as scan:
        scan.export(tmp_path / "rcs", format="daformer")
        ledger = scan.ledger
    assert written(tmp_path / "rcs") == theirs(labels, 11)

    # Their loader: chances of the classes, and masks with more than `min_pixels` of each.
    stats = json.loads((tmp_path / "rcs" / STATS).read_text())
    overall = np.array([sum(row.get(str(c), 0) for row in stats) for c in range(11)])
    softmax = np.exp((1 - overall / overall.sum()) / 0.01 - 100)
    draws = CropDraws(least_pixels=101)
    assert np.allclose(draws.class_probabilities(ledger), softmax / softmax.sum())
    samples = json.loads((tmp_path / "rcs" / SAMPLES).read_text())
    pairs, rows = draws.pair_probabilities(ledger), np.repeat(range(367), ledger.class_counts)
    for c in range(11):
        drawn = pairs[ledger.classes == c] > 0
        names = [ledger.names[row] for row in rows[ledger.classes == c][drawn]]
        assert names == [file for file, pixels in samples[str(c)] if pixels > 100]


@given(catalogs(), tally_lists(), st.integers(1, 4))
def test_they_say_what_the_ledger_says(
    tmp_path: Path, catalog: ClassCatalog, tallies: list[MaskTally], most: int
) -> None:
    tables = [TallyTable.of(tallies[at : at + most]) for at in range(0, len(tallies), most)]
    folder = write_table(tables, catalog, tmp_path / "rcs", format="daformer")
    ledger = MaskLedger.of(catalog, TallyTable.of(tallies))
    stats, samples = map(json.loads, written(folder))
    dense = ledger.dense().tolist()
    assert stats == [
        {**{str(c): n for c, n in enumerate(row) if n}, "file": name}
        for name, row in zip(ledger.names, dense, strict=True)
    ]
    assert samples == {
        str(c): [[name, row[c]] for name, row in zip(ledger.names, dense, strict=True) if row[c]]
        for c in range(len(catalog))
        if any(row[c] for row in dense)
    }


def test_nothing_is_written_as_nothing(tmp_path: Path) -> None:
    write_folder([], ClassCatalog.numbered(2), tmp_path)
    assert written(tmp_path) == ("[]", "{}") == theirs({}, 2)
    grey = Encoding("png", "grey", 8)
    unlabelled = MaskTally("a", (1, 5), grey, np.array([255]), np.array([5]))
    write_folder([TallyTable.of([unlabelled])], ClassCatalog.numbered(2), tmp_path)
    assert written(tmp_path) == theirs({"a": np.full(5, 255)}, 2)


@pytest.mark.parametrize("place", ["file", "absent/folder"])
def test_what_is_no_folder_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileFormatError, match="is no folder, and none can be made"):
        write_folder([], ClassCatalog.numbered(2), tmp_path / place)
