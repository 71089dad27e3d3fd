"""Packages with plugins: installed for real or made by hand, and processes that have them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.paths import ROOT


def install(project: Path, folder: Path) -> Path:
    """The folder, after pip installed a project there."""
    with tempfile.TemporaryDirectory() as made:  # pip leaves files where it builds
        source = Path(made) / project.name
        shutil.copytree(project, source, ignore=shutil.ignore_patterns("__pycache__"))
        options = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(folder)]
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", *options, str(source)],
            check=True,
            env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        )
    return folder


def package(
    folder: Path, name: str, entries: dict[str, str], code: str = "", version: str = "1.0"
) -> Path:
    """A folder with an installed package, as pip leaves it: `entries` are "group/name": target."""
    folder.mkdir(parents=True, exist_ok=True)
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(code)
    for old in folder.glob(f"{module}-*.dist-info"):
        shutil.rmtree(old)
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for entry, target in entries.items():
        group, called = entry.split("/", 1)
        lines.append(f"[maskstat.{group}]\n{called} = {target}\n")
    (info / "entry_points.txt").write_text("\n".join(lines))
    return folder


def python(code: str, where: Path, *packages: Path, warnings: str = "error") -> str:
    """What a program prints that runs in a folder, with these packages installed."""
    done = run(["-W", warnings, "-c", code], where, *packages)
    assert done.returncode == 0, done.stderr
    return done.stdout


def maskstat(line: str, where: Path, *packages: Path) -> tuple[int, str, str]:
    """The exit code of a command, what it prints, and what it says beside."""
    done = run(["-W", "error", "-m", "maskstat", *line.split()], where, *packages)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def run(words: list[str], where: Path, *packages: Path) -> subprocess.CompletedProcess[str]:
    """A process of Python that has these packages, and of plugins no others."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*map(str, packages), str(ROOT)]),
        "PYTHONDONTWRITEBYTECODE": "1",  # a version may follow another one within a second
        "PYTHONIOENCODING": "utf-8",
        "COLUMNS": "80",
    }
    return subprocess.run(
        [sys.executable, *words],
        cwd=where,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


def counts(document: str) -> list[int]:
    """Pixels of the classes in a scan's JSON."""
    return [one["pixels"] for one in json.loads(document)["classes"]]
