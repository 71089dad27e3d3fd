"""Files are opened in one place, and what is no regular file is refused there at once."""

from __future__ import annotations

import ast
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import maskstat as ms
from maskstat.errors import MaskstatError
from maskstat.regular_files import open_file, read_file
from maskstat.weights.cost_matrix import read_cost_matrix
from tests.support.paths import ROOT

PACKAGE = ROOT / "maskstat"
# What opens no file that somebody gave: os.devnull, what the system says of its memory, what is
# written, what comes with the package.
OTHERS = {
    "regular_files.py",
    "cli/__init__.py",
    "kernels/fill_cache.py",
    "kernels/kept_code.py",
    "memory.py",
    "files/writing.py",
    "exposure/recipes/__init__.py",
    "values/presets/__init__.py",
}


def openings(tree: ast.AST) -> Iterator[int]:
    """Lines that open a file by name: open(), os.open(), Path.read_bytes() and read_text()."""
    for node in ast.walk(tree):
        name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if name in {"open", "os.open", "io.open"} or name.endswith((".read_bytes", ".read_text")):
            yield node.lineno  # type: ignore[attr-defined]


def test_files_are_opened_in_one_place() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): list(openings(ast.parse(path.read_text("utf-8"))))
        for path in PACKAGE.rglob("*.py")
    }
    found = {name: lines for name, lines in found.items() if lines}
    assert found.keys() <= OTHERS, found
    assert found["regular_files.py"]


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(".", os.O_RDONLY)
        os.chdir(path.parent)  # names of sockets are short
        try:
            server.bind(path.name)
        finally:
            os.fchdir(here)
            os.close(here)


LOADERS: dict[str, Callable[[Path], object]] = {
    "classes.yaml": lambda path: ms.load_catalog(path),
    "weights.json": lambda path: ms.load_weights(path),
    "counts.csv": lambda path: ms.from_counts(path),
    "costs.npy": lambda path: read_cost_matrix(path, 3),
    "list.csv": lambda path: ms.scan(path, classes=3),
    "list.txt": lambda path: ms.scan(path, classes=3),
    "table.arrow": lambda path: ms.scan(path, classes=3),
    "masks.zip": lambda path: ms.scan(path, classes=3),
    "masks.tar": lambda path: ms.scan(path, classes=3),
    "data.yaml": lambda path: ms.scan(path, classes=3),
    "coco.json": lambda path: ms.scan(path, classes=3),
    "ids.json": lambda path: ms.scan(path.parent, classes=3, panoptic=path),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("make", [pipe, device, bound_socket])
@pytest.mark.parametrize("name", LOADERS)
def test_nothing_else_is_waited_for(
    make: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(MaskstatError):
        LOADERS[name](path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_regular_file_says_so(tmp_path: Path) -> None:
    for make in (pipe, device, bound_socket):
        path = tmp_path / make.__name__
        make(path)
        with pytest.raises(OSError, match="not a regular file"):
            open_file(path)
    with pytest.raises(IsADirectoryError):
        open_file(tmp_path)
    with pytest.raises(OSError, match="zero byte"):
        open_file("a\0b")


def test_no_more_is_read_than_wanted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_file(tmp_path / "a", 5) == b"12345"
    assert read_file(tmp_path / "a", 4) is None
