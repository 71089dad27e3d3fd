"""Folders that are one data set, told by the names of their files and folders."""

from __future__ import annotations

import os
import re
from pathlib import Path

from maskstat.naming import natural_key
from maskstat.sources.split_names import LABELS

_RECORDS = re.compile(
    r"[^/]*\.(?:tfrecords?|tfrec|record)(?:[-*?{\[][^./]*)?(?:\.gz|\.zlib)?", re.IGNORECASE
)
SPLITS, STATE = "dataset_dict.json", "state.json"  # of datasets that Hugging Face's library saved
DATASET = "dataset.json"  # of nnU-Net and MSD
_BESIDE = frozenset({".json", ".txt", ".md", ".yaml", ".yml", ".pbtxt", ".csv"})


def is_records(name: str) -> bool:
    """Whether a file, or files of a pattern, of this name hold TFRecords."""
    return _RECORDS.fullmatch(name) is not None


def records_in(folder: str) -> list[str]:
    """The names of TFRecords in a folder, where there is nothing else but what describes them."""
    found: list[str] = []
    try:
        with os.scandir(folder) as listing:
            for item in listing:
                if is_records(item.name) and item.is_file():
                    found.append(item.name)
                elif item.name[0] != "." and Path(item.name).suffix.lower() not in _BESIDE:
                    return []
    except OSError:
        return []
    return sorted(found, key=natural_key)


def is_saved(folder: str) -> bool:
    """Whether a folder is a dataset of Hugging Face's library, of one split or several."""
    return any(
        all(os.path.isfile(os.path.join(folder, name)) for name in names)
        for names in ((SPLITS,), (STATE, "dataset_info.json"))
    )


def labels_in(folder: str) -> list[str]:
    """The folders of labels of an nnU-Net or MSD data set; none where a folder is no such one."""
    found = [name for name in LABELS if os.path.isdir(os.path.join(folder, name))]
    return found if os.path.isfile(os.path.join(folder, DATASET)) else []


def is_one_dataset(folder: str) -> bool:
    """Whether a folder is any of these."""
    return is_saved(folder) or bool(labels_in(folder)) or bool(records_in(folder))
