"""Why a mask failed is kept in the store, and whoever reads it reads their own words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import maskstat as ms
from maskstat.cli import run
from tests.support.scan_cases import npy, write


@pytest.mark.parametrize("by_command", [False, True])
def test_a_reason_names_parameters_or_options(
    by_command: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    """Whether Python or a command put it into the store."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "masks" / "a.npy", npy(np.zeros((3, 4, 5), np.uint8)))
    write(tmp_path / "masks" / "b.npy", npy(np.zeros((4, 5), np.uint8)))
    if by_command:
        assert run(["scan", "masks", "--classes", "2", "--db", "s.db"]) == 3
    else:
        ms.scan("masks", classes=2, db="s.db").close()
    capfd.readouterr()
    with ms.open_scan("s.db", "masks") as scan:
        (failure,) = scan.failures
        assert "(pages='each' counts each plane as a mask, pages='all'" in failure.reason
    assert run(["show", "--db", "s.db", "--json"]) == 0
    said = capfd.readouterr().out
    assert "(--pages each counts each plane as a mask, --pages all one mask of all planes" in said
    assert "pages='all'" not in said and "\\u0001" not in said and "\x01" not in said
