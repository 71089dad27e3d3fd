"""What a kind of source is: a record and its entries' methods, and nothing else knows it."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

import maskstat as ms
from maskstat.errors import MaskError
from maskstat.readers.options import ReadOptions
from maskstat.scanning.counting import Counter, Outcomes
from maskstat.sources import opening
from maskstat.sources.base import BrokenEntry, Entry, Selection, Source, SourceKind
from maskstat.sources.locations import Given
from maskstat.store.records import Failure, StoredMask
from tests.support.scan_cases import grey_png, npy, pixels_of
from tests.support.source_cases import SOURCES, Files, source_at

MASKS = {f"m_{n}.png": grey_png(pixels_of(n)) for n in range(6)}


@pytest.mark.parametrize("build", SOURCES.values(), ids=SOURCES.keys())
def test_an_entry_says_what_it_carries_and_what_reading_it_takes(
    build: Callable[[Path, Files], str], tmp_path: Path
) -> None:
    where = build(tmp_path, MASKS)
    entries = list(source_at(where).entries())
    assert len(entries) == len(MASKS)
    for entry in entries:
        content = entry.load()
        # What carries its bytes takes no file, and what lets go of them takes the one it came from.
        assert entry.held == (0 if entry.local_files else len(content))
        entry.let_go()
        assert entry.held == 0
        (file,) = entry.local_files
        assert Path(file).is_file() and file.startswith(str(tmp_path))
        assert entry.load() == content
        assert entry.folder is None


def test_a_folder_of_chunks_is_a_folder_and_what_is_broken_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    (entry,) = source_at(tmp_path, include=("*.zarr",)).entries()
    assert entry.folder == entry.local_files[0] == str(tmp_path / "a.zarr")
    broken = BrokenEntry("a", "a", reason="cut off")
    assert broken.local_files == () and broken.held == 0
    with pytest.raises(MaskError, match="cut off"):
        broken.load()


# --- kinds that do not exist yet ----------------------------------------------------------------


@dataclass(slots=True)
class PlaneEntry(Entry):
    """One mask of several in a file."""

    file: str
    plane: int

    def load(self) -> bytes:
        try:
            return npy(np.load(self.file)[self.plane])
        except OSError as error:
            raise MaskError(f"can't be read: {error.strerror}") from error

    def open(self) -> BinaryIO:
        return io.BytesIO(self.load())

    @property
    def local_files(self) -> tuple[str, ...]:
        return (self.file,)


@dataclass(slots=True)
class ClassesEntry(Entry):
    """A mask that is a file for each class."""

    files: tuple[str, ...]

    def load(self) -> bytes:
        try:
            layers = [np.load(file) for file in self.files]
        except OSError as error:
            raise MaskError(f"can't be read: {error.strerror}") from error
        return npy(sum(layer.astype(np.uint8) * k for k, layer in enumerate(layers, 1)))

    def open(self) -> BinaryIO:
        return io.BytesIO(self.load())

    @property
    def local_files(self) -> tuple[str, ...]:
        return self.files


@dataclass
class Stack(Source):
    path: str

    @property
    def default_name(self) -> str:
        return "stack"

    @property
    def location(self) -> str:
        return self.path

    def entries(self) -> Iterator[Entry]:
        self._begin()
        for plane, pixels in enumerate(np.load(self.path)):
            place = f"{self.path}::{plane}"
            yield PlaneEntry(f"{plane}", place, pixels.nbytes, f"@{plane}", self.path, plane)


@dataclass
class Layers(Source):
    path: str

    @property
    def default_name(self) -> str:
        return "layers"

    @property
    def location(self) -> str:
        return self.path

    def entries(self) -> Iterator[Entry]:
        self._begin()
        for folder in sorted(Path(self.path).iterdir()):
            files = tuple(map(str, sorted(folder.iterdir())))
            yield ClassesEntry(folder.name, str(folder), len(files), len(files), files)


STACK = SourceKind(
    takes=lambda given: given.is_file and given.ends_in((".stack.npy",)),
    open=lambda given, _: Stack(given.text),
)
LAYERS = SourceKind(
    takes=lambda given: given.is_folder and given.ends_in((".layers",)),
    open=lambda given, _: Layers(given.text),
)


@pytest.fixture
def new_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    known = opening.kinds
    monkeypatch.setattr(opening, "kinds", lambda: chain([STACK, LAYERS], known()))


def stack(root: Path) -> Path:
    np.save(root / "x.stack.npy", np.arange(24, dtype=np.uint8).reshape(3, 2, 4) % 5)
    return root / "x.stack.npy"


def layers(root: Path) -> Path:
    for name, rows in {"a": ([1, 0, 0], [0, 1, 0]), "b": ([0, 0, 1], [1, 1, 0])}.items():
        (root / "y.layers" / name).mkdir(parents=True)
        for k, row in enumerate(rows):
            np.save(root / "y.layers" / name / f"{k}.npy", np.array([row], bool))
    return root / "y.layers"


def test_a_file_of_many_masks_and_a_mask_of_many_files(new_kinds: None, tmp_path: Path) -> None:
    with ms.scan(stack(tmp_path), classes=5) as scan:
        assert scan.ledger.names == ("0", "1", "2")
        assert scan.histogram.pixels.tolist() == [5, 5, 5, 5, 4]
    with ms.scan(layers(tmp_path), classes=3, db=tmp_path / "store.db") as scan:
        assert scan.ledger.names == ("a", "b")
        assert scan.histogram.pixels.tolist() == [1, 2, 3]
    with ms.open_scan(tmp_path / "store.db") as scan:  # by its location alone
        assert [entry.local_files for entry in scan.entries()] == [
            tuple(str(tmp_path / "y.layers" / name / f"{k}.npy") for k in (0, 1)) for name in "ab"
        ]


def test_a_worker_that_sees_one_file_of_a_mask_only_says_so(
    new_kinds: None, tmp_path: Path
) -> None:
    where = layers(tmp_path)
    entries = list(opening.open_source(where, Selection(include=("*",))).entries())
    hidden = where / "b" / "1.npy"
    hidden.unlink()
    work = pickle.loads(pickle.dumps(Counter(ReadOptions()).to_send(entries, 1)))
    found: Outcomes = pickle.loads(pickle.dumps(work()))
    (unseen,) = found.unseen
    assert (unseen.failure.mask, unseen.file) == ("b", str(hidden))
    (mask,) = found.outcomes
    assert isinstance(mask, StoredMask) and mask.tally.name == "a"
    assert isinstance(unseen.failure, Failure)


def test_what_is_given_is_looked_at_once(tmp_path: Path) -> None:
    (tmp_path / "a[1].png").write_bytes(b"")
    assert Given.of(str(tmp_path)).is_folder
    file = Given.of(f"file://{tmp_path}/a%5B1%5D.png")
    assert file.is_file and file.is_one and not file.is_pattern and file.ends_in((".png",))
    pattern = Given.of(f"{tmp_path}/*.PNG", "mask")
    assert pattern.is_pattern and pattern.is_one_or_many and pattern.ends_in((".png",))
    assert pattern.column == "mask" and not pattern.is_one
    url = Given.of("https://server/m.zip?sig=*")
    assert url.is_url and url.is_one and not url.is_pattern and url.ends_in((".zip",))
    braces = Given.of("m-{0..3}.tar")
    assert braces.is_one_or_many and not braces.is_pattern
    nothing = Given.of(str(tmp_path / "nothing.png"))
    assert not (nothing.is_one_or_many or nothing.is_folder)
