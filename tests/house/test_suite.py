"""The rules of the tests themselves: skips, markers, what stays together, what collecting costs."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import FILES_OF, markers_of
from tests.support.expected_skips import LIST, patterns
from tests.support.packages import package
from tests.support.paths import ROOT, TESTS

FRAMEWORKS = {"torch", "keras", "tensorflow", "jax", "lightning"}
EXPENSIVE = {"sklearn", "zarr", "pandas", "nibabel", "pyarrow", "distributed", "moto", "fsspec"}

# --- skips ---------------------------------------------------------------------------------------

SKIPPING = """
import pytest

@pytest.mark.skipif(True, reason="the moon is full")
def test_marked():
    pass

def test_by_itself():
    pytest.skip("as the list says, and why")

@pytest.fixture
def absent():
    pytest.importorskip("no_such_package")

def test_by_a_fixture(absent):
    pass

@pytest.mark.xfail(reason="the moon is full", strict=True)
def test_known_to_fail():
    assert False

def test_fine():
    pass
"""
SKIPPING_FILE = "import pytest\npytest.skip('a whole file', allow_module_level=True)\n"


def run_pytest(folder: Path, *options: str, **environment: str) -> tuple[int, str]:
    """Of the tests in a folder, with the mechanism alone."""
    (folder / "conftest.py").write_text("pytest_plugins = ['tests.support.expected_skips']\n")
    kept = {key: value for key, value in os.environ.items() if key != "CI"}
    kept = {key: value for key, value in kept.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def skipping(tmp_path: Path) -> Path:
    """Tests that are skipped in every way there is."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_skipping.py").write_text(SKIPPING)
    (tmp_path / "list.txt").write_text("# a comment\n\n^as the list says\n")
    return tmp_path


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_an_unexpected_skip_is_a_failure(skipping: Path, workers: list[str]) -> None:
    code, said = run_pytest(skipping, "--expected-skips", "list.txt", *workers)
    assert code == pytest.ExitCode.TESTS_FAILED, said
    assert "1 passed, 1 skipped, 1 xfailed, 2 errors" in said
    assert "does not expect: the moon is full" in said
    assert "does not expect: could not import 'no_such_package'" in said
    (skipping / "list.txt").write_text("moon\nas the list says\nno_such_package\n")
    code, said = run_pytest(skipping, "--expected-skips", "list.txt", *workers)
    assert code == pytest.ExitCode.OK, said
    assert "1 passed, 3 skipped, 1 xfailed" in said
    assert re.search(r"SKIPPED .*the moon is full", said)


def test_a_file_that_skips_itself_is_an_error(skipping: Path) -> None:
    (skipping / "test_skipping.py").write_text(SKIPPING_FILE)
    code, said = run_pytest(skipping, "--expected-skips", "list.txt")
    assert code == pytest.ExitCode.INTERRUPTED, said
    assert "does not expect: a whole file" in said


def test_the_list_is_held_on_ci_and_nowhere_else(skipping: Path) -> None:
    for ci, expected in (("true", 1), ("1", 1), ("", 0), ("false", 0)):
        code, said = run_pytest(skipping, "test_skipping.py::test_marked", CI=ci)
        assert code == expected, said


def test_the_list_is_short_and_says_when() -> None:
    lines = LIST.read_text(encoding="utf-8").splitlines()
    assert 0 < len(patterns(LIST)) <= 12
    for number, line in enumerate(lines):
        assert not line or line.startswith(("#", "^")), "a pattern starts where the reason does"
        assert not line.startswith("^") or lines[number - 1].startswith(("#", "^")), "say when"


# --- what collecting costs -------------------------------------------------------------------


def imported_at_once(path: Path) -> set[str]:
    """Packages that a module of the tests imports when it is imported."""
    found: set[str] = set()
    todo: list[ast.stmt] = ast.parse(path.read_text(encoding="utf-8")).body
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.Expr | ast.Assign) and isinstance(node.value, ast.Call):
            if "importorskip" in ast.dump(node.value.func):
                found.add(ast.literal_eval(node.value.args[0]).partition(".")[0])
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
            todo += node.body
    return found


def test_frameworks_are_imported_by_who_is_marked() -> None:
    files = [path for path in TESTS.rglob("*.py") if path.name.startswith("test_")]
    assert len(files) > 90
    for path in files:
        imported = imported_at_once(path)
        assert not imported & EXPENSIVE, path
        assert not imported & FRAMEWORKS or {"torch", "keras"} & markers_of(path), path


def test_an_import_is_seen(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    for line in (
        "import numpy, torch.nn as nn",
        "from torch import nn",
        "torch = pytest.importorskip('torch')",
        "pytest.importorskip('torch.nn')",
        "if True:\n    import torch",
    ):
        module.write_text(line)
        assert "torch" in imported_at_once(module)
    module.write_text("def test():\n    import torch")
    assert imported_at_once(module) == set()


def test_a_package_is_imported_by_who_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "wave"  # nobody's
    monkeypatch.delitem(sys.modules, name, raising=False)
    module = package(name)
    repr(module)
    assert name not in sys.modules
    assert module.open is sys.modules[name].open
    monkeypatch.setattr(module, "open", 5)
    assert sys.modules[name].open == 5
    with pytest.raises(pytest.skip.Exception, match="needs it"):
        _ = package("no_such_package", reason="needs it").anything


# --- markers ---------------------------------------------------------------------------------


def test_what_is_marked_by_its_place_is_there() -> None:
    for marker, files in FILES_OF.items():
        for file in files:
            assert (TESTS / file).exists(), f"{marker}: {file}"
    assert markers_of(TESTS / "torch" / "test_data.py") == {"torch", "extra"}
    assert markers_of(TESTS / "torch") == {"torch", "extra"}
    assert markers_of(TESTS / "values" / "test_tally.py") == set()


def test_tests_of_one_unit_share_a_worker() -> None:
    scheduling = package("tests.support.scheduling", reason="needs pytest-xdist")
    units = {
        "tests/values/test_tally.py::test_a[b::c]": "tests/values/test_tally.py",
        "tests/executors/test_dask.py::test_a": "clusters",
        "tests/executors/test_dask_scan.py::test_b": "clusters",
        "tests/keras/test_losses.py::test_losses[torch-a]": "keras torch",
        "tests/keras/test_adapters.py::test_adapters[torch-b]": "keras torch",
        "tests/keras/test_losses.py::test_without": "tests/keras/test_losses.py",
        "tests/house/test_docs.py::test[a.md]": "tests/house/test_docs.py::test[a.md]",
    }
    assert {test: scheduling.unit_of(test) for test in units} == units
