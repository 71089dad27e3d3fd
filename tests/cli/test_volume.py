"""`--measure volume`: what is printed, what is said where voxels differ in size, in 80 columns."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from maskstat.cli import run
from tests.support.loops import at_least_one
from tests.support.packages import package

nibabel = package("nibabel", reason="needs maskstat[medical]")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="commands are a POSIX shell's")


def volume(path: Path, spacing: tuple[float, float, float], unit: str = "mm") -> None:
    """1,000 voxels of class 0 and 100 of class 1."""
    voxels = np.zeros((10, 10, 11), np.uint8)
    voxels[:, :, 10] = 1
    image = nibabel.Nifti1Image(voxels, np.diag([*spacing, 1.0]))
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)


@pytest.fixture
def labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "labels").mkdir()
    volume(tmp_path / "labels" / "a.nii", (1.0, 1.0, 1.0))
    volume(tmp_path / "labels" / "b.nii", (1.0, 1.0, 5.0))
    return tmp_path / "labels"


def printed(
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    code: int = 0,
) -> tuple[str, str]:
    words = shlex.split(line)
    monkeypatch.setattr(sys, "argv", words)
    assert run(words[1:]) == code
    found = capsys.readouterr()
    return found.out, found.err


def test_the_table_is_of_volume(
    labels: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed("maskstat scan labels --classes 3 --ignore 2", capsys, monkeypatch)
    out, err = printed("maskstat show --measure volume --ignore 1", capsys, monkeypatch)
    assert " ml " in out
    assert "2 masks, 6.6 ml, 6 ml labelled, 200 voxels ignored (9.09%)" in out
    assert "Shares are of volume: a voxel measures 1 to 5 mm³" in out
    assert not err
    assert all(len(row) <= 80 for row in out.splitlines())
    out, err = printed("maskstat weights --scheme sqrt --measure volume", capsys, monkeypatch)
    assert "Shares are of volume, as of masks that are resampled to one spacing" in out
    assert not err
    out, _ = printed("maskstat weights --compare --measure volume", capsys, monkeypatch)
    assert "equal-cost" in out


@pytest.mark.parametrize(
    ("spacing", "unit", "shown"),
    [
        ((1.0, 1.0, 1.0), "mm", "1.1 ml"),
        ((0.1, 0.1, 0.1), "mm", "1.1 mm³"),
        ((10.0, 10.0, 30.0), "micron", "3,300,000 µm³"),
        ((90.0, 90.0, 90.0), "micron", "0.802 mm³"),
        ((1.0, 1.0, 2.0), "micron", "2,200 µm³"),
        ((0.01, 0.01, 0.01), "micron", "0.0011 µm³"),
        ((10.0, 10.0, 10.0), "mm", "1,100 ml"),
    ],
)
def test_units_suit_the_size(
    spacing: tuple[float, float, float],
    unit: str,
    shown: str,
    labels: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    volume(labels / "a.nii", spacing, unit)
    (labels / "b.nii").unlink()
    printed("maskstat scan labels --classes 2", capsys, monkeypatch)
    out, _ = printed("maskstat show --measure volume", capsys, monkeypatch)
    assert f"1 mask, {shown}, all labelled" in out
    document = json.loads(printed("maskstat show --measure volume --json", capsys, monkeypatch)[0])
    assert document["unit"] == "volume"
    share = document["classes"][1]["mm3"] / document["volume"]["total_mm3"]
    assert share == pytest.approx(1 / 11)


def test_a_scan_of_voxels_that_differ_says_so_and_the_command_works(
    labels: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "measure 1 to 5 mm³, so shares of pixels are not shares of volume"
    for command, offered in at_least_one(
        [
            ("maskstat scan labels --classes 2", "maskstat show --measure volume"),
            ("maskstat scan labels --classes 2 --json", "maskstat show --measure volume"),
            ("maskstat show --all", "maskstat show --all --measure volume"),
            ("maskstat show --json", "maskstat show --json --measure volume"),
            ("maskstat weights --compare", "maskstat weights --compare --measure volume"),
            ("maskstat weights --scheme sqrt", "maskstat weights --scheme sqrt --measure volume"),
            ("maskstat weights --for torch --batch-size 1", "maskstat weights --measure volume"),
            ("maskstat recommend", "maskstat weights --measure volume"),
        ]
    ):
        out, err = printed(command, capsys, monkeypatch)
        assert said not in out
        assert f"voxels of labels {said}: '{offered}' has these" in err
        assert said not in printed(offered, capsys, monkeypatch)[1]
    # With another store and scan, by their names.
    printed("maskstat scan labels --classes 2 --db 'an other.db'", capsys, monkeypatch)
    _, err = printed(
        "maskstat scan labels --classes 2 --name two --db 'an other.db'", capsys, monkeypatch
    )
    offered = "maskstat show --db 'an other.db' --scan two --measure volume"
    assert f"'{offered}' has these" in err
    printed(offered, capsys, monkeypatch)


def test_a_report_says_so(
    labels: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed("maskstat scan labels --classes 2", capsys, monkeypatch)
    for name in at_least_one(["r.html", "r.md"]):
        printed(f"maskstat report -o {name}", capsys, monkeypatch)
        said = "Voxels measure 1 to 5 mm³, so these shares of pixels are not shares of volume"
        assert f"{said} (--measure volume)." in Path(name).read_text("utf-8")


@pytest.mark.parametrize("thick", [1.0, 1.009])
def test_nothing_is_said_where_they_do_not(
    thick: float,
    labels: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    volume(labels / "b.nii", (1.0, 1.0, thick))
    for command in at_least_one(
        ["maskstat scan labels --classes 2", "maskstat show", "maskstat weights --scheme sqrt"]
    ):
        out, err = printed(command, capsys, monkeypatch)
        assert "volume" not in out + err


def test_nothing_is_said_that_would_be_refused(
    labels: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(labels / "c.npy", np.zeros((2, 2), np.uint8))
    out, err = printed("maskstat scan labels --classes 2", capsys, monkeypatch)
    assert "volume" not in out + err
    out, err = printed("maskstat show --measure volume", capsys, monkeypatch, code=1)
    assert not out
    assert err == (
        "maskstat: labels: 1 of 3 masks have no spacing, first c.npy (npy has none); scan volumes"
        " alone: --exclude\n"
    )
