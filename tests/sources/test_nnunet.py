"""nnU-Net and MSD: folders of labels beside `dataset.json` are splits, and its labels classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maskstat as ms
from maskstat.errors import CatalogError, MaskstatError
from maskstat.sources.base import Selection
from maskstat.sources.opening import find_splits, open_source
from tests.support.mask_files import metaimage, nrrd

LABELS = {"background": 0, "liver": 1, "tumour": 2, "ignore": 3}
VOXELS = {
    "labelsTr/case_001.nrrd": np.array([[[0, 1], [1, 3]]], np.uint8),
    "labelsTr/case_002.nrrd": np.array([[[0, 2], [2, 2]]], np.uint8),
    "labelsTs/case_003.mha": np.array([[[0, 0], [1, 1]]], np.uint8),
}


def dataset(folder: Path, labels: Any = LABELS) -> Path:
    """A data set with images that are no masks, in the same formats."""
    root = folder / "Dataset007_Liver"
    for name, voxels in VOXELS.items():
        write = nrrd if name.endswith(".nrrd") else metaimage
        for place in (name, f"{name.replace('labels', 'images').partition('.')[0]}_0000.nrrd"):
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            (root / place).write_bytes(write(voxels))
    (root / "predictions").mkdir()
    (root / "predictions" / "case_003.nrrd").write_bytes(nrrd(VOXELS["labelsTr/case_001.nrrd"]))
    (root / "labelsTr" / "._case_001.nrrd").write_bytes(b"of macOS")
    text = json.dumps({"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nrrd"})
    (root / "dataset.json").write_text(text)
    return root


def test_labels_alone_are_masks_and_their_names_classes(tmp_path: Path) -> None:
    scan = ms.scan(dataset(tmp_path))
    assert scan.ledger.names == tuple(VOXELS)
    assert scan.histogram.catalog.names == ("background", "liver", "tumour")
    assert scan.histogram.pixels.tolist() == [4, 4, 3]
    assert [*scan.histogram.ignored] == [3]
    assert scan.name == "Dataset007_Liver"
    assert scan.failures == ()


def test_folders_of_labels_are_splits(tmp_path: Path) -> None:
    root = dataset(tmp_path)
    assert find_splits(root, Selection(suffixes=frozenset({".nrrd", ".mha"}))) == {
        "train": 2,
        "test": 1,
    }
    splits = ms.scan_splits(root)
    assert [*splits] == ["train", "test"]
    train, test = splits.values()
    assert (train.name, test.name) == ("Dataset007_Liver-train", "Dataset007_Liver-test")
    assert train.histogram.pixels.tolist() == [2, 2, 3]
    assert test.histogram.pixels.tolist() == [2, 2, 0]
    assert ms.scan(root, split="test").histogram == test.histogram
    again = open_source(test.source, Selection(suffixes=frozenset({".mha"})))
    assert [entry.name for entry in again.entries()] == ["labelsTs/case_003.mha"]


def test_without_labels_for_tests(tmp_path: Path) -> None:
    """As the Decathlon ships its tasks; and its labels are names by value."""
    root = dataset(tmp_path, {"0": "background", "1": "liver", "2": "tumour", "3": "vessel"})
    (root / "labelsTs" / "case_003.mha").unlink()
    (root / "labelsTs").rmdir()
    scan = ms.scan(root)
    assert scan.histogram.catalog.names == ("background", "liver", "tumour", "vessel")
    assert scan.histogram.pixels.tolist() == [2, 2, 3, 1]


def test_a_link_to_labels_is_followed(tmp_path: Path) -> None:
    root = dataset(tmp_path)
    moved = tmp_path / "elsewhere"
    (root / "labelsTr").rename(moved)
    (root / "labelsTr").symlink_to(moved, target_is_directory=True)
    assert ms.scan(root).ledger.names == tuple(VOXELS)


@pytest.mark.parametrize("choice", [{"exclude": "labelsTs"}, {"include": "labelsTr/*"}])
def test_choices_hold(tmp_path: Path, choice: dict[str, str]) -> None:
    scan = ms.scan(dataset(tmp_path), **choice)
    assert scan.ledger.names == ("labelsTr/case_001.nrrd", "labelsTr/case_002.nrrd")


def test_classes_are_matched_by_name(tmp_path: Path) -> None:
    root = dataset(tmp_path)
    scan = ms.scan(root, classes=["tumour", "liver", "background"])
    assert scan.histogram.pixels.tolist() == [3, 4, 4]
    assert ms.scan(root, classes=3).histogram.pixels.tolist() == [4, 4, 3]
    with pytest.raises(CatalogError, match="background, liver, tumour"):
        ms.scan(root, classes=31)


@pytest.mark.parametrize(
    "labels", [{"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}, [[0], 1], "x", None, 7]
)
def test_labels_that_name_no_classes(tmp_path: Path, labels: Any) -> None:
    """Regions overlap: values are counted, and classes inferred, unless somebody names them."""
    root = dataset(tmp_path, labels)
    scan = ms.scan(root)
    assert scan.histogram.pixels.tolist() == [4, 4, 3, 1]
    assert ms.scan(root, classes=["0", "1", "2", "3"]).histogram.pixels.tolist() == [4, 4, 3, 1]


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\0", '{"labels": {"a": 1e999}}', "[]"])
def test_a_damaged_dataset_json_costs_no_mask(tmp_path: Path, text: str) -> None:
    root = dataset(tmp_path)
    (root / "dataset.json").write_text(text)
    assert ms.scan(root).histogram.pixels.tolist() == [4, 4, 3, 1]


def test_a_folder_of_labels_that_is_empty_is_said(tmp_path: Path) -> None:
    root = tmp_path / "Dataset001_None"
    (root / "labelsTr").mkdir(parents=True)
    (root / "dataset.json").write_text("{}")
    with pytest.raises(MaskstatError, match="no masks"):
        ms.scan(root)
