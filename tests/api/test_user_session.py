"""A user's script that uses every public call runs, and passes mypy --strict."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import maskstat
from tests.api import user_session
from tests.support import api_page
from tests.support.paths import ROOT

SCRIPT = Path(user_session.__file__)
TREE = ast.parse(SCRIPT.read_text(encoding="utf-8"))
WORDS = {node.attr for node in ast.walk(TREE) if isinstance(node, ast.Attribute)}


def test_the_session_runs(tmp_path: Path) -> None:
    user_session.main(ROOT / "sample_masks", tmp_path)


def test_the_session_uses_every_public_call() -> None:
    of_package = {
        node.attr
        for node in ast.walk(TREE)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "ms"
    }
    assert set(maskstat.__all__) - of_package == set()


@pytest.mark.parametrize("kind", ["Scan", "MaskCounter", "WeightTable", "SamplingTable"])
def test_the_session_uses_every_method(kind: str) -> None:
    module, node = api_page.find_offered("maskstat", kind)
    assert isinstance(node, ast.ClassDef)
    found = api_page.members(node, module)
    methods = {name for name, (inner, _) in found.items() if not api_page.is_property(inner)}
    plumbing = {"__init__", "of", "to_document", "from_document"}
    assert len(methods) > 2
    assert methods - plumbing - WORDS == set()


@pytest.mark.slow
def test_the_session_is_typed(tmp_path: Path) -> None:
    """Wrong lines say `type: ignore`, and mypy complains where it has nothing to ignore."""
    assert SCRIPT.read_text(encoding="utf-8").count("# type: ignore[") >= 6
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores"),
            *("--follow-imports=silent", f"--cache-dir={tmp_path}", str(SCRIPT)),
        ],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
