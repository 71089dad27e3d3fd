"""The documents tell the truth: their commands are run and their output compared.

A ```console block holds `$ command` lines, each followed by what it prints (stdout and stderr). A
```python block is executed. All blocks of one document run in order in one folder that holds a
copy of `sample_masks`. With MASKSTAT_REWRITE_DOCS=1 the printed output is written into the
documents instead of compared.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REWRITE = bool(os.environ.get("MASKSTAT_REWRITE_DOCS"))

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="documents use a POSIX shell")


def _environment(folder: Path) -> dict[str, str]:
    import matplotlib

    scripts = str(Path(sys.executable).parent)
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith(("MASKSTAT_", "COV_"))},
        "PATH": scripts + os.pathsep + os.environ.get("PATH", ""),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
        "COLUMNS": "100",
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        # Matplotlib looks for fonts once and says so; that is not for the documents.
        "MPLCONFIGDIR": matplotlib.get_configdir(),
    }


def _run(command: str, folder: Path) -> str:
    finished = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=_environment(folder),
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=120,
    )
    # Trailing blanks are a table's padding; editors and diffs fight over them.
    return "".join(line.rstrip() + "\n" for line in finished.stdout.splitlines())


def _commands(block: str) -> list[tuple[str, str]]:
    """(command, expected output) pairs of a console block; a trailing backslash goes on."""
    pairs: list[tuple[str, str]] = []
    for line in block.splitlines(keepends=True):
        if line.startswith("$ "):
            pairs.append((line[2:], ""))
        elif pairs and pairs[-1][0].endswith("\\\n") and not pairs[-1][1]:
            pairs[-1] = (pairs[-1][0] + line, "")
        else:
            command, expected = pairs[-1]
            pairs[-1] = (command, expected + line)
    return pairs


def _with_blocks() -> list[Any]:
    """The documents with something to run; those with torch in a block of Python are marked."""
    found = []
    for document in DOCUMENTS:
        blocks = BLOCK.findall(document.read_text(encoding="utf-8"))
        torch = any(kind == "python" and "torch" in block for kind, block in blocks)
        if blocks:
            marks = [pytest.mark.slow, *([pytest.mark.torch] if torch else [])]
            found.append(pytest.param(document, id=document.name, marks=marks))
    assert len(found) > 10
    return found


@pytest.mark.parametrize("document", _with_blocks())
def test_blocks_do_what_they_say(document: Path, tmp_path: Path) -> None:
    assert shutil.which("maskstat", path=_environment(tmp_path)["PATH"]), "install it first"
    shutil.copytree(ROOT / "sample_masks", tmp_path / "sample_masks")
    text = document.read_text(encoding="utf-8")
    differences: list[str] = []

    def check(match: re.Match[str]) -> str:
        kind, block = match.groups()
        if kind == "python":
            script = tmp_path / "block.py"
            script.write_text(block, encoding="utf-8")
            finished = subprocess.run(
                [sys.executable, str(script)],
                cwd=tmp_path,
                env=_environment(tmp_path),
                check=False,
                capture_output=True,
                text=True,
                timeout=300,
            )
            if finished.returncode:
                differences.append(f"{block}\nfailed:\n{finished.stderr}")
            return match.group(0)
        written = ""
        for command, expected in _commands(block):
            printed = _run(command, tmp_path)
            written += f"$ {command}{printed}"
            if printed != expected:
                differences.append(f"$ {command}printed\n{printed}instead of\n{expected}")
        return f"```console\n{written}```"

    rewritten = BLOCK.sub(check, text)
    if REWRITE:
        document.write_text(rewritten, encoding="utf-8")
    assert REWRITE or not differences, "\n\n".join(differences)


def test_links_lead_somewhere() -> None:
    links = [
        (document, target)
        for document in DOCUMENTS
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8"))
    ]
    assert len(links) > 50
    assert [(page, target) for page, target in links if not (page.parent / target).exists()] == []
