"""The documents tell the truth: their commands are run and their output compared.

A ```console block holds `$ command` lines, each followed by what it prints (stdout and stderr). A
```python block is executed. All blocks of one document run in order in one folder that holds a
copy of `sample_masks`; then its ```pycon examples, in one session. With MASKSTAT_REWRITE_DOCS=1
the printed output is written into the documents instead of compared.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.support.paths import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEED_PACKAGES = {"clusters.md", "formats.md", "sources.md", "tables.md"}
EXAMPLES = "\n```pycon\n"
REWRITE = bool(os.environ.get("MASKSTAT_REWRITE_DOCS"))

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="documents use a POSIX shell")


def _environment(folder: Path) -> dict[str, str]:
    import matplotlib

    scripts = str(Path(sys.executable).parent)
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith(("MASKSTAT_", "COV_"))},
        "PATH": scripts + os.pathsep + os.environ.get("PATH", ""),
        "PYTHONPATH": str(ROOT),
        # Keras on PyTorch, with NumPy 2: its own.
        "PYTHONWARNINGS": "error,ignore:__array__ implementation:DeprecationWarning",
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
    """The documents with something to run; those with a framework in a block are marked."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        code = "".join(block for kind, block in BLOCK.findall(text) if kind == "python")
        if BLOCK.search(text) or EXAMPLES in text:
            marks = [getattr(pytest.mark, name) for name in ("torch", "keras") if name in code]
            if document.name in NEED_PACKAGES:
                marks.append(pytest.mark.extra)
            found.append(pytest.param(document, id=document.name, marks=[pytest.mark.slow, *marks]))
    assert len(found) > 10
    return found


@pytest.mark.parametrize("document", _with_blocks())
def test_blocks_do_what_they_say(document: Path, tmp_path: Path) -> None:
    assert shutil.which("maskstat", path=_environment(tmp_path)["PATH"]), "install it first"
    shutil.copytree(ROOT / "sample_masks", tmp_path / "sample_masks")
    text = document.read_text(encoding="utf-8")
    differences: list[str] = []

    def python(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=_environment(tmp_path),
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def check(match: re.Match[str]) -> str:
        kind, block = match.groups()
        if kind == "python":
            (tmp_path / "block.py").write_text(block, encoding="utf-8")
            finished = python("block.py")
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
    if EXAMPLES in text:
        examples = python("-m", "doctest", "-o", "ELLIPSIS", str(document))
        if examples.returncode:
            differences.append(examples.stdout + examples.stderr)
    assert REWRITE or not differences, "\n\n".join(differences)


def test_links_lead_somewhere() -> None:
    links = [
        (document, target)
        for document in DOCUMENTS
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8"))
    ]
    assert len(links) > 50
    assert [(page, target) for page, target in links if not (page.parent / target).exists()] == []


def test_every_page_is_on_the_site() -> None:
    """Once, and in the order of docs/index.md, which says what is on each."""
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    pages = re.findall(r"[\w-]+\.md", str(site["nav"]))
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert pages == ["index.md", *re.findall(r"\]\(([\w-]+\.md)\)", index)]
    assert sorted(pages) == sorted(page.name for page in DOCUMENTS[1:])


def test_the_factors_of_the_readme_are_measured() -> None:
    """Extremes of the table of docs/performance.md: of masks that are real, and of the rest."""
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    rows = {
        name.strip(" *"): [re.sub(r"[*×,]|\(.*", "", cell).strip() for cell in cells]
        for name, *cells in (
            line.strip("| ").split(" | ") for line in page.splitlines() if "|" in line
        )
    }
    ours, loop = (np.array(rows[name], float) for name in ("maskstat.scan", "Pillow + bincount"))
    best = np.array(rows["× the best 2-process bincount loop"], float)
    plain = ours / loop
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    said = re.search(
        r"(\d+) to (\d+) times as fast as the loop .*?, (\d+) to (\d+) times as fast as that loop"
        r" on as many .*?; on noise ([\d.]+) and ([\d.]+) times",
        readme,
    )
    assert said is not None
    real, noise = slice(None, 5), slice(5, None)
    expected = [plain[real].min(), plain[real].max(), best[real].min(), best[real].max()]
    assert [int(text) for text in said.groups()[:4]] == [round(factor) for factor in expected]
    assert float(said[5]) == round(plain[noise].min(), 1)
    assert float(said[6]) == best[noise].min()
