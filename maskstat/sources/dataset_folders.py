"""Folders that are one data set in files of many masks, told by the names of their files."""

from __future__ import annotations

import os
import re
from pathlib import Path

from maskstat.naming import natural_key

_RECORDS = re.compile(
    r"[^/]*\.(?:tfrecords?|tfrec|record)(?:[-*?{\[][^./]*)?(?:\.gz|\.zlib)?", re.IGNORECASE
)
SPLITS, STATE = "dataset_dict.json", "state.json"  # of datasets that Hugging Face's library saved
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


def is_one_dataset(folder: str) -> bool:
    """Whether a folder is any of these."""
    return is_saved(folder) or bool(records_in(folder))
