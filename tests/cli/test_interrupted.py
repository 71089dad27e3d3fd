"""Weights of a scan that was interrupted: refused, with what finishes it and what accepts it."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maskstat as ms
from maskstat import cli
from maskstat.errors import IncompleteScanError
from tests.support.paths import SUPPORT

MASKS = 400
COMMANDS = ("weights", "weights --compare", "weights --scheme sqrt", "costs", "sampling")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="commands of a POSIX shell")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Masks of class 0, a few of class 3, and files that are left out; `s.db`: a killed scan."""
    base = tmp_path_factory.mktemp("interrupted")
    (base / "my masks").mkdir()
    for number in range(MASKS):
        mask = np.full((2, 2), 3 if number % 9 == 8 else 0, np.uint8)
        np.save(base / "my masks" / f"{number}.npy", mask)
    np.save(base / "my masks" / "other.npy", np.full((9, 9), 2, np.uint8))
    command = [sys.executable, str(SUPPORT / "slow_scan.py"), str(base / "my masks")]
    process = subprocess.Popen([*command, str(base / "s.db"), "mine", "[0-9]*"])
    end = time.monotonic() + 60
    while not counted(base / "s.db"):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    process.kill()
    process.wait()
    return base


def counted(db: Path) -> int:
    return sum(record.masks for record in ms.scans(db)) if db.exists() else 0


@pytest.fixture
def run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Any:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.db").write_bytes((folder / "s.db").read_bytes())

    def run(line: str) -> tuple[int, str, str]:
        words = shlex.split(line)
        monkeypatch.setattr(sys, "argv", ["maskstat", *words])
        return cli.run(words), *capfd.readouterr()

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_both_ways_on_are_commands_to_type(run: Any, folder: Path, command: str) -> None:
    code, out, err = run(f"{command} --db s.db")
    assert (code, out) == (1, "")
    assert err == (
        "maskstat: mine: the scan was interrupted, or is still going on;"
        f" finish it: maskstat scan '{folder}/my masks' --db s.db --classes 4"
        " --include '[0-9]*' --name mine;"
        f" type: maskstat {command} --db s.db --allow-incomplete\n"
    )
    accepts = err.rstrip().rpartition("type: maskstat ")[2]
    code, out, _ = run(accepts)
    assert code == 0
    assert out.startswith("Scan mine, interrupted: some masks are not counted\n")
    finishes = err.partition("finish it: maskstat ")[2].partition("; type: ")[0]
    assert run(finishes)[0] == 0
    code, out, _ = run(f"{command} --db s.db")
    assert code == 0
    assert out.startswith("Scan mine\n")
    assert ms.scans("s.db")[0].masks == MASKS  # and what was left out is not counted


def test_what_files_say(run: Any) -> None:
    assert run("weights --db s.db --allow-incomplete -o w.json")[0] == 0
    provenance = ms.load_weights("w.json").provenance
    assert (provenance["scan"], provenance["complete"]) == ("mine", False)
    with ms.open_scan("s.db") as scan:
        assert scan.sampling(allow_incomplete=True).provenance["complete"] is False
        assert scan.costs(allow_incomplete=True).scan == "mine"
        for table in scan.all_weights(allow_incomplete=True).values():
            assert isinstance(table, ms.MaskstatError) or table.provenance["complete"] is False


def test_in_python(run: Any) -> None:
    with ms.open_scan("s.db") as scan:
        for ask in (scan.weights, scan.all_weights, scan.costs, scan.sampling):
            with pytest.raises(IncompleteScanError, match=r"; allow_incomplete=True$"):
                ask()
    assert ms.from_counts([3, 4]).weights().provenance.get("complete", True)


def test_a_merged_scan_is_finished_by_merging_again(run: Any) -> None:
    ms.merge(["s.db"], "all.db", allow_incomplete=True).close()
    code, _, err = run("weights --db all.db")
    assert code == 1
    assert "; finish those that were merged, and merge them again; type: maskstat weights" in err


def test_other_commands_speak_of_it(run: Any) -> None:
    for command in ("show", "check"):
        code, out, _ = run(f"{command} --db s.db")
        assert code == 0
        assert out.startswith("Scan mine, interrupted: some masks are not counted\n")


def test_it_needs_a_stored_scan(run: Any) -> None:
    code, _, err = run("weights --counts 3,4 --allow-incomplete")
    assert code == 2
    assert err.startswith("maskstat: --allow-incomplete: ")
