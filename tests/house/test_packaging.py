"""Wheel and sdist hold what they must and nothing else."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from maskstat import __version__
from maskstat.values.presets import preset_names
from tests.support.loops import at_least_one
from tests.support.paths import ROOT, TESTS

toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
PROJECT = toml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def floor(text: str) -> str:
    """The version that `--resolution lowest-direct` takes for it."""
    (lowest,) = (part.version for part in Requirement(text).specifier if part.operator == ">=")
    return lowest


def test_every_dependency_has_a_floor_that_is_installed_once() -> None:
    """On the oldest Python, where the README's first command and the core tests run with them."""
    for requirement in at_least_one(PROJECT["dependencies"]):
        assert floor(requirement), requirement
        assert str(Requirement(requirement).specifier).count(",") == 0, f"{requirement} has a cap"
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    lowest = script.split('"The lowest versions that pyproject.toml allows')[1].split("\n)")[0]
    assert "--resolution lowest-direct --output-file lowest.txt pyproject.toml" in lowest
    compiled, installed, tested = map(
        lowest.index, ("lowest-direct", 'in_steps "$(readme_command 1)"', "core_tests")
    )
    assert compiled < lowest.index("PIP_CONSTRAINT=$PWD/lowest.txt") < installed < tested
    assert "--fail-on" in lowest[installed:tested]
    expression = re.search(r"oldest=\$\(sed -n '(.+)' pyproject.toml\)", script)
    assert expression is not None
    found = subprocess.run(
        ["sed", "-n", expression[1], str(ROOT / "pyproject.toml")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert f">={found.stdout.strip()}" == PROJECT["requires-python"]


def test_extras_have_the_floors_that_are_tested() -> None:
    """What the extra `test` installs of an optional package is what its own extra says."""
    extras = dict(PROJECT["optional-dependencies"])
    for developers in ("test-core", "docs"):
        del extras[developers]
    tested = {Requirement(text).name: text for text in extras.pop("test")}
    tested["torch"] = extras["torch"][0]  # one build, whose file may lie on disk
    for extra, requirements in at_least_one(extras.items()):
        for requirement in at_least_one(requirements):
            assert tested[Requirement(requirement).name] == requirement, extra


def test_typer_carries_its_click() -> None:
    """Older ones misread every option with a click that came later: no error, exit code 0."""
    assert "click" not in {Requirement(text).name for text in importlib.metadata.requires("typer")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return folder


def test_wheel(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert wheel.name == f"maskstat-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry_points = archive.read(f"maskstat-{__version__}.dist-info/entry_points.txt").decode()
    modules = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "maskstat").rglob("*")
        if path.is_file() and path.suffix in {".py", ".yaml", ".typed", ".html", ".css", ".js"}
    }
    assert modules <= names
    assert {f"maskstat/values/presets/{name}.yaml" for name in preset_names()} <= names
    assert not [name for name in names if not name.startswith(("maskstat/", "maskstat-"))]
    assert not [name for name in names if "__pycache__" in name]
    assert "maskstat = maskstat.__main__:program" in entry_points


def test_sdist(built: Path) -> None:
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "tests/cli/test_cli.py",
        "tests/fixtures/store-schema-1.db",
        "examples/camvid.py",
        "sample_masks/classes.yaml",
        "docs/architecture.md",
        "maskstat/py.typed",
    } <= of_the_sdist(built)


def of_the_sdist(built: Path) -> set[str]:
    """Paths in it, below its folder."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def test_what_the_tests_import_and_read_is_in_the_sdist(built: Path) -> None:
    names = of_the_sdist(built)
    there = {name.partition("/")[0] for name in names}
    sources = at_least_one(TESTS.rglob("*.py"))
    used = set()
    for path in sources:
        text = path.read_text(encoding="utf-8")
        used |= set(re.findall(r'\bROOT / "([^"/]+)"', text))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                used |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                used.add(str(node.module).partition(".")[0])
    used = {name for name in used if (ROOT / name).exists()}
    assert {"maskstat", "tests", "examples", "benchmarks", "docs", "sample_masks"} <= used <= there
    for top in used:
        files = [path for path in (ROOT / top).rglob("*") if path.is_file()]
        kept = {
            path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts
        }
        assert kept <= names, sorted(kept - names)


@pytest.mark.slow
def test_tests_of_the_sdist_pass_where_it_is_unpacked(built: Path, tmp_path: Path) -> None:
    """Some of each kind: documents, examples, fixtures, children; no real masks beside it."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # from 3.11.4 on
        archive.extractall(tmp_path, **safely)
    (folder,) = tmp_path.iterdir()
    some = [
        "tests/house/test_architecture.py::test_every_room_has_a_level",
        "tests/house/test_docs.py::test_links_lead_somewhere",
        "tests/house/test_docs.py::test_blocks_do_what_they_say[tables.md]",
        "tests/house/test_imbalanced_subsets.py",
        "tests/house/test_suite.py::test_frameworks_are_imported_by_who_is_marked",
        "tests/store/test_store.py",
        "tests/weights/test_equal_cost_frameworks.py",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *some],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "CI": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ passed, \d+ skipped", done.stdout)
    assert "real masks are absent" in done.stdout
