"""Hugging Face datasets as `save_to_disk` leaves them: a folder of Arrow files, or one a split.

`state.json` says which files are the data: results of `map` lie beside them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from typing import NoReturn

from maskstat.errors import SourceError, unreadable
from maskstat.naming import printable, storable
from maskstat.regular_files import open_file
from maskstat.sources.base import SourceKind
from maskstat.sources.blobs import LocalBlob, Shard
from maskstat.sources.dataset_folders import SPLITS, STATE, is_saved
from maskstat.sources.tables.parquet import TableSource

_LARGEST = 16 << 20  # bytes of a document


class SavedDataset(TableSource):
    """Masks of a dataset on disk; of several splits, each is a folder of their names."""

    def _shards(self) -> list[Shard]:
        found: list[Shard] = []
        for split in self._splits_listed():
            folder = os.path.join(self.where, split)
            try:
                found += _files(folder, f"{split}/" if split else "")
            except SourceError as error:
                if not split:
                    raise
                found.append(Shard(storable(f"{split}/"), folder, partial(_fail, error)))
        return found

    def _splits_listed(self) -> list[str]:
        if not os.path.isfile(os.path.join(self.where, SPLITS)):
            return [""]
        return list(_names(_document(self.where, SPLITS).get("splits"), self.where))


def _files(folder: str, prefix: str) -> Iterator[Shard]:
    """The files of one split. Raises SourceError."""
    state = _document(folder, STATE)
    if state.get("_indices_data_files"):
        raise _wrong(folder, "its rows are chosen by an index, as old versions wrote")
    for name in _names(state.get("_data_files"), folder):
        path = os.path.join(folder, name)
        yield Shard(storable(f"{prefix}{name}/"), path, partial(LocalBlob.at, path))


def _fail(error: SourceError) -> NoReturn:
    raise error


def _names(said: object, folder: str) -> Iterator[str]:
    """Names of files or folders in a folder. Raises SourceError where they are others."""
    if not isinstance(said, list):
        raise _wrong(folder, "its JSON files are damaged")
    for one in said:
        name = one.get("filename") if isinstance(one, dict) else one
        if not isinstance(name, str) or name in {"", ".", ".."} or set(name) & set("/\\\0"):
            raise _wrong(folder, f"its JSON files name {printable(repr(name))[:60]}")
        yield name


def _document(folder: str, name: str) -> dict[str, object]:
    path = os.path.join(folder, name)
    try:
        with open_file(path) as file:
            found = json.loads(file.read(_LARGEST))
    except OSError as error:
        raise SourceError(unreadable(error), where=printable(storable(path))) from error
    except (ValueError, RecursionError) as error:
        raise _wrong(folder, f"{name} is damaged") from error
    return found if isinstance(found, dict) else {}


def _wrong(folder: str, problem: str) -> SourceError:
    return SourceError(
        f"no dataset that can be read: {problem}",
        where=printable(storable(folder)),
        remedy="save it again by dataset.save_to_disk, or name its files: 'folder/*.arrow'",
    )


KIND = SourceKind(
    takes=lambda given: given.is_folder and is_saved(given.text),
    open=lambda given, selection: SavedDataset(given.text, selection, given.timeout, given.column),
    has_columns=True,
)
