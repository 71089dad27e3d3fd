"""Wheel and sdist hold what they must and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from maskstat import __version__
from maskstat.values.presets import preset_names
from tests.support.paths import ROOT


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
    assert "maskstat = maskstat.cli:main" in entry_points


def test_sdist(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
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
    } <= names
