"""Headers and their voxels in two files: one mask, read from one folder; hostile names."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import maskstat as ms
from maskstat.errors import MaskError
from maskstat.scanning import counting
from maskstat.sources.local.detached import DetachedEntry
from maskstat.sources.local.named_files import file_entry
from tests.support.loops import at_least_one
from tests.support.mask_files import metaimage, nrrd
from tests.support.packages import package
from tests.support.stack_cases import stack_of

itk = package("SimpleITK", reason="SimpleITK is not installed")

Write = Callable[[Path, NDArray[np.uint8], bool], Path]


def mhd(folder: Path, stack: NDArray[np.uint8], packed: bool = False, name: str = "a") -> Path:
    other = f"{name}.{'zraw' if packed else 'raw'}"
    header, voxels = metaimage(stack, packed=packed).split(b"LOCAL\n", 1)
    (folder / other).write_bytes(voxels)
    (folder / f"{name}.mhd").write_bytes(header + other.encode() + b"\n")
    return folder / f"{name}.mhd"


def nhdr(folder: Path, stack: NDArray[np.uint8], packed: bool = False, name: str = "b") -> Path:
    other = f"{name}.raw{'.gz' if packed else ''}"
    header, voxels = nrrd(stack, f"data file: ./{other}", packed=packed).split(b"\n\n", 1)
    (folder / other).write_bytes(voxels)
    (folder / f"{name}.nhdr").write_bytes(header + b"\n")
    return folder / f"{name}.nhdr"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("write", [mhd, nhdr])
def test_two_files_are_one_mask(tmp_path: Path, write: Write, packed: bool) -> None:
    stack = stack_of(1)
    path = write(tmp_path, stack, packed)
    expected = np.bincount(stack.ravel(), minlength=5).tolist()
    (tmp_path / "list.txt").write_text(path.name)
    for source in at_least_one([tmp_path, path, str(tmp_path / "*hd*"), tmp_path / "list.txt"]):
        scan = ms.scan(source, classes=5)
        assert scan.failures == ()
        assert scan.ledger.names == (path.name,)
        assert scan.histogram.pixels.tolist() == expected
    each = ms.scan(tmp_path, classes=5, pages="each")
    assert len(each.ledger.names) == len(stack)
    assert each.histogram.pixels.tolist() == expected


@pytest.mark.extra
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_as_simpleitk_writes_them(tmp_path: Path, suffix: str, packed: bool) -> None:
    stack = stack_of(2)
    itk.WriteImage(itk.GetImageFromArray(stack), str(tmp_path / f"a{suffix}"), packed)
    assert len(list(tmp_path.iterdir())) == 2
    scan = ms.scan(tmp_path, classes=5)
    assert scan.histogram.pixels.tolist() == np.bincount(stack.ravel(), minlength=5).tolist()


def test_large_ones_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "STREAM_ABOVE", 0)
    stack = stack_of(3)
    mhd(tmp_path, stack, True)
    nhdr(tmp_path, stack)
    scan = ms.scan(tmp_path, classes=5)
    assert scan.histogram.pixels.tolist() == (2 * np.bincount(stack.ravel(), minlength=5)).tolist()


def test_the_voxels_of_an_unchanged_header_may_change(tmp_path: Path) -> None:
    db = tmp_path / "kept.db"
    masks = tmp_path / "masks"
    masks.mkdir()
    mhd(masks, stack_of(4))
    assert ms.scan(masks, classes=5, db=db).changes.new == 1  # type: ignore[union-attr]
    assert ms.scan(masks, classes=5, db=db).changes.unchanged == 1  # type: ignore[union-attr]
    (masks / "a.raw").write_bytes(stack_of(5).tobytes())
    os.utime(masks / "a.raw", ns=(1, 1))
    scan = ms.scan(masks, classes=5, db=db)
    assert scan.changes is not None and scan.changes.changed == 1
    assert scan.histogram.pixels.tolist() == np.bincount(stack_of(5).ravel()).tolist()


def test_what_changes_before_it_is_read_fails(tmp_path: Path) -> None:
    for name in ("a.mhd", "a.raw"):
        entry = file_entry(str(mhd(tmp_path, stack_of(6))), "a.mhd")
        assert isinstance(entry, DetachedEntry)
        assert pickle.loads(pickle.dumps(entry)) == entry
        assert entry.local_files == (str(tmp_path / "a.mhd"), str(tmp_path / "a.raw"))
        os.utime(tmp_path / name, ns=(1, 1))
        with pytest.raises(MaskError, match="changed while it was being read"):
            entry.load()
        (tmp_path / name).unlink()
        with pytest.raises(MaskError, match="can't be read"):
            entry.load()


@pytest.mark.parametrize(
    "name",
    [
        "../a.raw",
        "/etc/passwd",
        "sub/a.raw",
        "LIST",
        "",
        "..",
        "absent.raw",
        "a.mhd",
        "fifo",
        "sub",
    ],
)
@pytest.mark.parametrize("write", [mhd, nhdr])
def test_names_that_lead_elsewhere_are_not_opened(tmp_path: Path, write: Write, name: str) -> None:
    """The reason is the reader's, in one line, and nothing else is lost."""
    folder = tmp_path / "masks"
    (folder / "sub").mkdir(parents=True)
    path = write(folder, stack_of(7), False)
    for place in (tmp_path / "a.raw", folder / "sub" / "a.raw"):
        place.write_bytes(stack_of(7).tobytes())
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "fifo")
    own = path.with_suffix(".raw").name
    name = path.name if name == "a.mhd" else name
    path.write_bytes(path.read_bytes().replace(own.encode(), name.encode()).replace(b"./.", b"."))
    assert not isinstance(file_entry(str(path), path.name), DetachedEntry)
    mhd(folder, stack_of(8), name="sound")
    scan = ms.scan(folder, classes=5)
    assert scan.ledger.names == ("sound.mhd",)
    (failure,) = scan.failures
    assert failure.mask == path.name
    assert "its voxels are in another file" in failure.reason
    assert "save both as one" in failure.reason


def test_archives_have_headers_alone(tmp_path: Path) -> None:
    mhd(tmp_path, stack_of(9))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("a.mhd", "a.raw"):
            archive.write(tmp_path / name, name)
    (failure,) = ms.scan(tmp_path / "a.zip", classes=5).failures
    assert "another file, 'a.raw', which is read only from the folder" in failure.reason


def test_voxels_that_are_too_few_or_too_many(tmp_path: Path) -> None:
    path = mhd(tmp_path, stack_of(1))
    (tmp_path / "a.raw").write_bytes(b"short")
    (failure,) = ms.scan(path, classes=5).failures
    assert "the file ends within its voxels" in failure.reason
    os.truncate(tmp_path / "a.raw", 1 << 31)
    scan = ms.scan(path, classes=5)  # the first voxels of a sparse file, most of them zeros
    assert int(scan.histogram.pixels[0]) == stack_of(1).size - len("short")
