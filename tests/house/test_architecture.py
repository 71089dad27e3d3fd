"""The house: lower rooms never import higher ones, and nothing heavy loads before it is needed."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGE = ROOT / "maskstat"

# A room is a module or a folder right below the package; every one has its level here.
LEVELS: dict[int, set[str]] = {
    0: {"errors", "naming", "version", "parameters"},
    1: {"values"},
    2: {"files", "kernels", "executors", "regions"},
    3: {"sources", "readers", "store", "weights", "statistics", "sampling", "training"},
    4: {"scanning"},
    5: {"render", "torch", "keras"},
    6: {"cli"},
}
LEVEL = {room: level for level, rooms in LEVELS.items() for room in rooms}
# Entry points: they lead into the house and belong to no room.
DOORS = {"__init__", "__main__"}
# Rooms that may use another one of their level.
ALLOWED: set[tuple[str, str]] = set()
# Level 0 is small modules, which may use each other, without circles.
VOCABULARY = 0

HEAVY = {
    "numpy",
    "numba",
    "matplotlib",
    "scipy",
    "PIL",
    "torch",
    "keras",
    "tensorflow",
    "dask",
    "pyarrow",
    "sklearn",
    "pandas",
    "torchmetrics",
}


def room_of(module: str) -> str:
    """The room of a dotted module name below the package."""
    return module.split(".")[1] if "." in module else "__init__"


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def for_type_checkers(node: ast.If) -> bool:
    test = node.test
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def imports(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Absolute names of all imports, also those inside functions, not those for type checkers."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, node.lineno
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        yield str(node.module), node.lineno
        for alias in node.names:
            yield f"{node.module}.{alias.name}", node.lineno
    exempt = node.body if isinstance(node, ast.If) and for_type_checkers(node) else []
    for child in ast.iter_child_nodes(node):
        if child not in exempt:
            yield from imports(child)


def inner_imports() -> Iterator[tuple[str, str, str]]:
    """(room, imported room, where) for every import within the package."""
    for module, path in modules():
        for name, line in imports(ast.parse(path.read_text(encoding="utf-8"))):
            if name == "maskstat" or not name.startswith("maskstat."):
                continue
            if room_of(name) not in LEVEL and not is_module(name):
                continue  # a name that maskstat/__init__.py offers
            yield room_of(module), room_of(name), f"{path.relative_to(PACKAGE.parent)}:{line}"


def is_module(name: str) -> bool:
    relative = Path(*name.split(".")[1:])
    return (PACKAGE / relative).is_dir() or (PACKAGE / relative).with_suffix(".py").is_file()


def test_every_room_has_a_level() -> None:
    rooms = {room_of(module) for module, _ in modules()}
    assert rooms - DOORS <= set(LEVEL), "a new room: give it a level here and in the documents"


def test_lower_rooms_never_import_higher_ones() -> None:
    wrong = [
        f"{where}: {room} (level {LEVEL[room]}) imports {other} (level {LEVEL[other]})"
        for room, other, where in inner_imports()
        if room not in DOORS and LEVEL[room] < LEVEL[other]
    ]
    assert wrong == []


def test_neighbours_keep_to_themselves() -> None:
    wrong = [
        f"{where}: {room} imports its neighbour {other}"
        for room, other, where in inner_imports()
        if room not in DOORS
        and room != other
        and LEVEL[room] == LEVEL[other] > VOCABULARY
        and (room, other) not in ALLOWED
    ]
    assert wrong == []


def test_no_room_imports_itself_in_a_circle() -> None:
    """Rooms, as wholes, form a directed graph without cycles."""
    graph: dict[str, set[str]] = {}
    for room, other, _ in inner_imports():
        if room not in DOORS and room != other:
            graph.setdefault(room, set()).add(other)
    done: set[str] = set()

    def visit(room: str, path: tuple[str, ...]) -> None:
        assert room not in path, " -> ".join((*path, room))
        if room not in done:
            for other in sorted(graph.get(room, ())):
                visit(other, (*path, room))
            done.add(room)

    for room in sorted(graph):
        visit(room, ())


def test_frameworks_are_imported_in_their_own_rooms_only() -> None:
    homes = {
        "torch": {"torch"},
        "torchmetrics": {"torch"},
        "keras": {"keras"},
        "tensorflow": {"keras"},
    }
    wrong = [
        f"{path.relative_to(PACKAGE.parent)}:{line} imports {name}"
        for module, path in modules()
        for name, line in imports(ast.parse(path.read_text(encoding="utf-8")))
        if (top := name.split(".")[0]) in homes and room_of(module) not in homes[top]
    ]
    assert wrong == []


def test_the_reader_of_imports_sees_what_it_should() -> None:
    source = """
import numpy
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import torch
else:
    import scipy
def f():
    from maskstat import store
    class A:
        import PIL.Image
"""
    found = {name for name, _ in imports(ast.parse(source))}
    assert {"numpy", "scipy", "maskstat.store", "PIL.Image"} <= found
    assert "torch" not in found


# --- what is loaded ---------------------------------------------------------------------------

LOADED = "import sys; print(sorted({name.partition('.')[0] for name in sys.modules}))"


def loaded_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{code}\n{LOADED}"],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = ast.literal_eval(done.stdout.splitlines()[-1])
    return set(found) & HEAVY


HELP = """
import contextlib, io, sys
sys.argv = ["maskstat", {argument!r}]
from maskstat.cli import main
with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
    main()
assert "scan" in said.getvalue() or {argument!r} == "--version", said.getvalue()
"""

needs_cli = pytest.mark.skipif(
    not hasattr(importlib.import_module("maskstat.cli"), "main"), reason="no command line yet"
)


@pytest.mark.parametrize(
    "code",
    [
        "import maskstat",
        "import maskstat; maskstat.__version__, dir(maskstat)",
        pytest.param("import maskstat.cli", marks=needs_cli),
        pytest.param(HELP.format(argument="--help"), marks=needs_cli),
        pytest.param(HELP.format(argument="--version"), marks=needs_cli),
    ],
    ids=["import maskstat", "names", "import cli", "--help", "--version"],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    assert loaded_after(code) == set()


def test_the_check_sees_what_is_loaded() -> None:
    assert "numpy" in loaded_after("import maskstat; maskstat.ClassCatalog")


@pytest.mark.parametrize("used", ["maskstat.load_weights", "maskstat.load_catalog"])
def test_weights_and_catalogues_need_neither_images_nor_compilers(used: str) -> None:
    assert loaded_after(f"import maskstat; {used}") <= {"numpy"}


def test_public_names_are_what_the_package_offers() -> None:
    import maskstat

    assert dir(maskstat) == sorted(maskstat.__all__)
    for name in maskstat.__all__:
        assert getattr(maskstat, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = maskstat.nothing
