"""The house: lower rooms never import higher ones, and nothing heavy loads before it is needed."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.loops import at_least_one
from tests.support.paths import ROOT

PACKAGE = ROOT / "maskstat"

# A room is a module or a folder right below the package; every one has its level here.
LEVELS: dict[int, set[str]] = {
    0: {
        "entry_points",
        "errors",
        "frames",
        "memory",
        "naming",
        "showing",
        "version",
        "parameters",
        "regular_files",
    },
    1: {"values"},
    2: {"files", "kernels", "executors", "regions"},
    3: {
        *("sources", "readers", "store", "weights", "statistics"),
        *("sampling", "training", "exposure", "splits", "crops"),
    },
    4: {"scanning", "arrays", "decision", "advice"},
    5: {"render", "torch", "keras"},
    6: {"api"},
    7: {"cli"},
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
    "pydantic",
    "yaml",
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


@functools.cache
def imports_of(source: str) -> tuple[tuple[str, int], ...]:
    """Those of a file; the tests ask for the same ones again and again."""
    return tuple(imports(ast.parse(source)))


def inner_imports() -> Iterator[tuple[str, str, str]]:
    """(room, imported room, where) for every import within the package."""
    for module, path in modules():
        for name, line in imports_of(path.read_text(encoding="utf-8")):
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


# --- no cycles of files ------------------------------------------------------------------------


def by_name(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Modules that are imported by a text: "maskstat.x", or "maskstat.x.*" where the end varies."""
    for call in ast.walk(node):
        if not isinstance(call, ast.Call):
            continue
        called = call.func.attr if isinstance(call.func, ast.Attribute) else None
        called = call.func.id if isinstance(call.func, ast.Name) else called
        if called not in {"import_module", "__import__"} or not call.args:
            continue
        text = call.args[0]
        if isinstance(text, ast.Constant):
            yield str(text.value), call.lineno
        elif isinstance(text, ast.JoinedStr):
            first = text.values[0]
            assert isinstance(first, ast.Constant), "a module imported by name starts with its room"
            yield f"{first.value}*", call.lineno
        else:
            raise AssertionError(f"line {call.lineno}: what is imported here can't be told")


@functools.cache
def taken_by(source: str) -> tuple[set[str], list[tuple[str, list[str]]], list[str]]:
    """Of a file: all that it imports, `from A import B, C` as (A, [B, C]), and those by name."""
    tree = ast.parse(source)
    from_modules = [
        (str(node.module), [alias.name for alias in node.names])
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    ]
    named = {name for name, _ in imports_of(source)}
    return named, from_modules, [text for text, _ in by_name(tree)]


def file_graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Which modules each module imports at any time, by any means; not for type checkers alone."""
    graph: dict[str, set[str]] = {}
    for module, source in sources.items():
        named, from_modules, by_text = taken_by(source)
        # `from package.module import name` gives both names; the longer one is no module, mostly.
        edges = {name for name in named if name in sources}
        # `from package import module` takes the module, and nothing that the package defines.
        for package, names in from_modules:
            if {f"{package}.{name}" for name in names} <= sources.keys():
                edges.discard(package)
        for text in by_text:
            if text.endswith("*"):
                folder = text[:-1]
                edges |= {
                    name
                    for name in sources
                    if name.startswith(folder) and "." not in name[len(folder) :]
                }
            elif text in sources:
                edges.add(text)
        graph[module] = edges - {module}
    return graph


def circles(graph: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """Sets of modules each of which reaches all others: strongly connected, of two or more."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[tuple[str, ...]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(graph.get(module, ())):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(tuple(sorted(group)))

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return found


def texts() -> dict[str, str]:
    return {
        module: path.read_text(encoding="utf-8")
        for module, path in modules()
        if module not in {"maskstat", "maskstat.__main__"}
    }


def test_no_circle_of_files() -> None:
    """Of any length, inside rooms too; imports inside functions and by name are imports."""
    assert circles(file_graph(texts())) == []


@pytest.mark.parametrize(
    "line",
    [
        "from maskstat.readers.png import read",
        "import maskstat.readers.png",
        "from maskstat.readers import png",
        "def later():\n    from maskstat.readers.png import read",
        "import importlib\nimportlib.import_module('maskstat.readers.png')",
        "from importlib import import_module\nimport_module(f'maskstat.readers.{format}')",
    ],
)
def test_a_circle_is_seen(line: str) -> None:
    """The mutation: png imports what imports errors, so errors must not import png."""
    mutated = texts()
    mutated["maskstat.errors"] += f"\n{line}\n"
    found = circles(file_graph(mutated))
    assert len(found) == 1
    assert {"maskstat.errors", "maskstat.readers.png"} <= set(found[0])


def test_a_circle_of_one_room_is_seen() -> None:
    mutated = texts()
    mutated["maskstat.values.tally"] += "\nfrom maskstat.values.histogram import ClassHistogram\n"
    (found,) = circles(file_graph(mutated))
    assert {"maskstat.values.tally", "maskstat.values.histogram"} <= set(found)


def test_the_house_is_not_imported_through_its_door() -> None:
    """`maskstat` offers names to users; inside, a name comes from where it is defined."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for module, path in modules()
        if module != "maskstat"
        for name, line in imports_of(path.read_text(encoding="utf-8"))
        if name == "maskstat" or (name.startswith("maskstat.") and not known(name))
    ]
    assert wrong == []


def known(name: str) -> bool:
    """Whether a dotted name is a module, or a name in one that is not the package itself."""
    return is_module(name) or (name.count(".") > 1 and is_module(name.rpartition(".")[0]))


# --- one name means one thing -------------------------------------------------------------------

# Rooms that are twins by design: the same class for two frameworks, and what both build on.
TWINS = {"torch", "keras", "training"}
# Rooms whose modules are called like what they call or show: a command, a plot, a document.
FACES = {"api", "cli", "render"}
# Other names that modules of several rooms have, and what they mean in each of them.
SHARED_NAMES = {
    "base": "what the modules of a room share",
    "formats": "the table of a room's formats, one module each",
    "opening": "chooses among a room's kinds",
    "choices": "the words that a room's parameters take, without what they need",
    "csv": "a format",
    "npy": "a format",
    "parquet": "a format",
    "compute": "a room's own computation, by a registered scheme or method",
    "table": "what that computation gives",
    "store": "the room, and in it the class",
    "crops": "the room, and the kernels that count what crops hold",
}


def public_classes(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Where each public class is defined; all twins are one place."""
    found: dict[str, set[str]] = {}
    for module, source in sources.items():
        place = "twins" if room_of(module) in TWINS else module
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, set()).add(place)
    return found


def test_a_class_name_is_one_class() -> None:
    found = public_classes(texts())
    assert len(found) > 100
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_a_second_class_of_a_name_is_seen() -> None:
    mutated = texts()
    mutated["maskstat.store.rows"] += "\nclass LabelMap:\n    pass\n"
    assert public_classes(mutated)["LabelMap"] == {"maskstat.readers.base", "maskstat.store.rows"}


def test_a_module_name_is_one_module_or_on_the_list() -> None:
    found: dict[str, list[str]] = {}
    for module, _ in modules():
        if room_of(module) not in TWINS | FACES:
            found.setdefault(module.rpartition(".")[2], []).append(module)
    twice = {name: places for name, places in found.items() if len(places) > 1}
    assert twice.keys() == SHARED_NAMES.keys(), twice


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
        for name, line in imports_of(path.read_text(encoding="utf-8"))
        if (top := name.split(".")[0]) in homes and room_of(module) not in homes[top]
        # PyTorch's own files are read by it alone.
        if (module, top) != ("maskstat.readers.pytorch", "torch")
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


# --- what the document says ---------------------------------------------------------------------

DOCUMENT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_document_has_every_room_at_its_level() -> None:
    rows = re.findall(r"^\| (\d) \| ([^|]+) \|", DOCUMENT, re.MULTILINE)
    told = {
        name.rstrip("/"): int(level)
        for level, rooms in rows
        for name in re.findall(r"`([^`]+)`", rooms)
    }
    assert told == LEVEL


def test_the_document_names_what_is_there() -> None:
    """Every path in it exists, seen from the package or from the repository."""
    paths = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.(?:py|md))?)`", DOCUMENT))
    assert len(paths) > 20
    folders = {path.name for path in PACKAGE.rglob("*") if path.is_dir()}

    def is_there(path: str) -> bool:
        # A folder of a room may be named alone, in the row of its room.
        return any((top / path).exists() for top in (PACKAGE, ROOT)) or path[:-1] in folders

    assert [path for path in sorted(paths) if not is_there(path)] == []


# --- what is loaded ---------------------------------------------------------------------------

LOADED = "import sys; print(sorted(sys.modules))"


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{code}\n{LOADED}"],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(ast.literal_eval(done.stdout.splitlines()[-1]))


def heavy(found: Iterable[str]) -> set[str]:
    return {module.partition(".")[0] for module in found} & HEAVY


def loaded_after(code: str) -> set[str]:
    return heavy(modules_after(code))


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


COMMAND = """
import contextlib, io
from maskstat.cli import run
with contextlib.redirect_stdout(io.StringIO()) as said:
    assert run({arguments!r}) == 0
assert "class_1" in said.getvalue(), said.getvalue()
"""
# What is a tenth of a second to import, and only some commands need.
ELSEWHERE = {
    "numpy.ma",
    "maskstat.advice",
    "maskstat.arrays",
    "maskstat.crops",
    "maskstat.exposure",
    "maskstat.regions",
    "maskstat.sampling",
    "maskstat.splits",
    "maskstat.weights.batches",
}


def test_short_commands_load_what_they_need(tmp_path: Path) -> None:
    """A scan of a few masks no compiler, and a look at one no reader; nothing is drawn or fitted.

    Pillow undoes the filters of PNGs where kernels are not worth their compiler.
    """
    store = str(tmp_path / "few.db")
    masks = str(ROOT / "sample_masks" / "park")
    scanned = modules_after(
        COMMAND.format(arguments=["scan", masks, "--classes", "31", "--db", store])
    )
    assert heavy(scanned) <= {"numpy", "PIL"}
    assert scanned & (ELSEWHERE | {"maskstat.values.contributions"}) == set()
    for words in (["show"], ["weights"], ["weights", "--scheme", "sqrt"]):
        found = modules_after(COMMAND.format(arguments=[*words, "--db", store]))
        assert heavy(found) == {"numpy"}, words
        few = {"maskstat.scanning.pipeline", "maskstat.kernels", "maskstat.sources.base"}
        assert found & (ELSEWHERE | few) == set(), words
        assert {one for one in found if one.startswith("maskstat.cli.")} & {
            "maskstat.cli.scan",
            "maskstat.cli.report",
        } == set(), "a command loads the options of others"


def test_the_check_sees_what_is_loaded() -> None:
    assert "numpy" in loaded_after("import maskstat; maskstat.ClassCatalog")


@pytest.mark.parametrize("used", ["maskstat.load_weights", "maskstat.load_catalog"])
def test_weights_and_catalogues_need_neither_images_nor_compilers(used: str) -> None:
    assert loaded_after(f"import maskstat; {used}") <= {"numpy"}


def test_public_names_are_what_the_package_offers() -> None:
    import maskstat

    assert dir(maskstat) == sorted(maskstat.__all__)
    for name in at_least_one(maskstat.__all__):
        assert getattr(maskstat, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = maskstat.nothing
