"""Help has its options in groups and examples that run; the shell completes what has names."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

import maskstat as ms
from maskstat import cli
from maskstat.cli import run
from maskstat.render.plots.plot import KINDS
from maskstat.scanning.labelling import label_maps
from maskstat.values.presets import preset_names
from maskstat.weights.schemes import SCHEMES
from tests.support.loops import at_least_one
from tests.support.paths import ROOT, SAMPLES

COMMANDS: dict[str, Any] = dict(typer.main.get_command(cli.app()).commands)  # type: ignore[attr-defined]


def help_of(command: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert run([command, "--help"]) == 0
    return printed.getvalue()


def sections(text: str) -> dict[str, str]:
    """What is below each heading."""
    parts = re.split(r"^(\w[\w ]+):\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_in_one_group(command: str) -> None:
    text = help_of(command)
    assert max(map(len, text.splitlines())) <= 80
    found = sections(text)
    names = [heading for heading in found if heading not in {"Arguments", "Options"}]
    assert names[-2:] == ["Common options", "Examples"]
    options = [
        name
        for heading, below in found.items()
        if heading != "Examples"
        for line in re.findall(r"^  (-\S.*)", below, re.MULTILINE)
        for name in re.findall(r"(?<!\S)--[\w-]+", line.split("  ")[0])
    ]
    declared = [
        name
        for p in COMMANDS[command].params
        for name in [*p.opts, *p.secondary_opts]
        if name[:2] == "--"
    ]
    assert sorted(options) == sorted([*declared, "--help"])


@pytest.mark.slow
def test_examples_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with the sample masks, a scan of some, the stores of two shards, predictions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MASKSTAT_DB", raising=False)
    shutil.copytree(SAMPLES, tmp_path / "sample_masks")
    for name, folder, db in (
        ("train", "street", "maskstat.db"),
        ("a", "street", "a.db"),
        ("b", "park", "b.db"),
    ):
        masks = tmp_path / "sample_masks" / folder
        ms.scan(masks, classes=31, name=name, db=db).close()
    with ms.scan(tmp_path / "sample_masks" / "park", classes=31) as scan:
        for name, labels in at_least_one(label_maps(scan, set(scan.ledger.names))):
            path = tmp_path / "predictions" / Path(name).with_suffix(".npz")
            path.parent.mkdir(exist_ok=True)
            np.savez_compressed(path, np.zeros((31, *labels.shape), np.float16))
    for command in at_least_one(COMMANDS):
        lines = sections(help_of(command))["Examples"].splitlines()
        assert len(lines) == 2
        for line in lines:
            program, *arguments = shlex.split(line)
            assert program == "maskstat"
            assert arguments[0] == command
            with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), encoding="utf-8")):
                assert run(arguments) == 0, line


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell asks in this way")
def test_completion(tmp_path: Path) -> None:
    def completed(line: str) -> set[str]:
        words = shlex.split(line)
        environment = {
            "_MASKSTAT_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, "-c", "from maskstat.cli import main; main()"],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        return set(done.stdout.split())

    assert completed("maskstat show --scan tr") == set()  # there is no store yet
    for name in ("train", "tram", "val"):
        mask = SAMPLES / "park" / "mask_15.png"
        ms.scan(mask, classes=31, name=name, db=tmp_path / "maskstat.db").close()
    assert completed("maskstat show --scan tr") == {"train", "tram"}
    assert completed("maskstat compare train v") == {"val"}
    assert completed("maskstat scan m --classes ca") == {n for n in preset_names() if n[:2] == "ca"}
    assert completed("maskstat weights --scheme e") == {n for n in SCHEMES if n[0] == "e"}
    assert completed("maskstat plot c") == {n for n in KINDS if n[0] == "c"}
