"""Every command says which scan it speaks of: above its tables, or beside its data."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskstat import cli, load_weights

LINE = "Scan masks-train"
TABLES = (
    "show",
    "weights",
    "weights --compare",
    "costs",
    "sampling",
    "check",
    "plot classes -o c.png",
)
DATA = ("weights --compare --json", "export", "report --format md", "report --json", "report")
DOCUMENTS = ("show", "weights", "costs", "sampling", "check", "report", "compare train val")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Run a command line where `scan --split` made scans of train and val, val's the latest."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MASKSTAT_DB", raising=False)
    for split, value in (("train", 0), ("val", 1)):
        (tmp_path / "masks" / split).mkdir(parents=True)
        pixels = np.array([[value, 0, 0], [0, 1, 1]], np.uint8)
        np.save(tmp_path / "masks" / split / "a.npy", pixels)

    def run(line: str) -> tuple[int, str, str]:
        words = shlex.split(line)
        monkeypatch.setattr(sys, "argv", ["maskstat", *words])
        code = cli.run(words)
        return code, *capfd.readouterr()

    code, out, _ = run("scan masks --classes 2 --split")
    assert code == 0
    assert [line for line in out.splitlines() if line.startswith("Scan")] == [
        LINE,
        "Scan masks-val",
    ]
    return run


@pytest.mark.parametrize("command", TABLES)
def test_above_tables(run: Any, command: str) -> None:
    code, out, _ = run(command)
    assert (code, out.splitlines()[0]) == (0, LINE)
    assert run(f"{command} --scan val")[1].splitlines()[0] == "Scan masks-val"


@pytest.mark.parametrize("command", DATA)
def test_beside_data(run: Any, command: str) -> None:
    code, out, err = run(command)
    assert (code, err.splitlines()[0]) == (0, LINE)
    assert LINE not in out


@pytest.mark.parametrize("command", DOCUMENTS)
def test_in_documents(run: Any, command: str) -> None:
    code, out, _ = run(f"{command} --json")
    assert code == 0
    assert '"masks-train"' in json.dumps(json.loads(out))


def test_in_files(run: Any, tmp_path: Path) -> None:
    assert run("weights -o w.yaml")[0] == 0
    assert load_weights(tmp_path / "w.yaml").provenance["scan"] == "masks-train"


def test_given_counts_are_no_scan(run: Any) -> None:
    code, out, err = run("weights --counts 3,4")
    assert code == 0
    assert "Scan" not in out + err


def test_merge_takes_the_training_set_too(run: Any) -> None:
    code, out, _ = run("merge maskstat.db -o merged.db")
    assert code == 0
    assert "masks-train" in out
    assert "masks-val" not in out


def test_one_that_is_not_clear_is_asked_for(run: Any) -> None:
    assert run("scan masks/val --classes 2 --name x-val")[0] == 0
    code, out, err = run("weights --scan val")
    assert (code, out) == (1, "")
    assert err == (
        "maskstat: maskstat.db: 'val' may be any of these scans: masks-val, x-val;"
        " give the whole name\n"
    )
