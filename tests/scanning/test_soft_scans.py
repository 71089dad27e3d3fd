"""Scans of soft masks: no classes are inferred, and every way to use them says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import maskstat as ms
from maskstat.cli import run
from maskstat.errors import UnlistedValuesError
from maskstat.render.documents.scan import scan_document
from tests.support.paths import SHARED
from tests.support.scan_cases import grey_png, write

NOT_SOFT = np.kron(np.arange(4).reshape(2, 2), np.ones((25, 25), np.int64))


def soft(values: tuple[int, ...]) -> np.ndarray:
    """Stripes of these values, smoothed."""
    stripes = np.repeat(np.array([values], np.uint8), 9, axis=0).repeat(20, axis=1)
    tall = np.repeat(stripes, 10, axis=0)
    slanted = np.stack([np.roll(row, at // 3) for at, row in enumerate(tall)])
    size = (int(slanted.shape[1] * 1.37), int(slanted.shape[0] * 1.37))
    return np.asarray(Image.fromarray(slanted).resize(size, Image.Resampling.BILINEAR))


@pytest.fixture
def db(tmp_path: Path) -> Path:
    for number in range(3):
        write(tmp_path / "masks" / f"{number}.png", grey_png(soft((0, 255))[number:]))
    ms.scan(tmp_path / "masks", db=tmp_path / "s.db").close()
    return tmp_path / "s.db"


USES: dict[str, Callable[[ms.Scan], object]] = {
    "weights": lambda scan: scan.weights("balanced"),
    "equal cost": lambda scan: scan.weights(),
    "for batches": lambda scan: scan.weights(average="batch", batch_size=2),
    "unlisted": lambda scan: scan.weights("balanced", unlisted="ignore", absent="one"),
    "all": lambda scan: scan.all_weights(),
    "costs": lambda scan: scan.costs(),
    "sampling": lambda scan: scan.sampling(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_nothing_is_weighed(db: Path, use: Callable[[ms.Scan], object]) -> None:
    with ms.open_scan(db) as scan, pytest.raises(UnlistedValuesError) as caught:
        use(scan)
    assert "3 of 3 masks (first 0.png) look soft" in str(caught.value)
    assert "'values: [0-127]' and 'values: [128-255]'" in str(caught.value)
    assert "nearest neighbour" in str(caught.value)


def test_all_is_counted_and_said(db: Path) -> None:
    with ms.open_scan(db) as scan:
        assert scan.soft_masks == scan.soft_masks  # the second time from the store
        document = scan_document(scan)
        assert document["classes"] == [] and document["ignored"] == {}
        assert document["soft_masks"]["peaks"] == [0, 255]
        assert scan.histogram.unlisted_pixels == scan.histogram.total_pixels
        kinds = [finding.kind for finding in scan.check()]
        assert "soft-masks" in kinds and "unlisted" not in kinds and "unlabelled" not in kinds
    with ms.open_scan(db) as scan:  # as it is kept
        assert scan.soft_masks is not None and scan.soft_masks.masks == 3


def test_whoever_declares_classes_is_told_why_values_are_left(db: Path) -> None:
    with ms.open_scan(db) as scan:
        with pytest.raises(UnlistedValuesError, match=r"look soft.*'values: \[0-127\]'"):
            scan.under(2).weights("balanced")
        declared = ms.ClassCatalog(
            (
                ms.ClassInfo(0, "no", tuple(range(128))),
                ms.ClassInfo(1, "yes", tuple(range(128, 256))),
            )
        )
        assert scan.under(declared).weights("balanced").weights.shape == (2,)
        assert scan.under(ignore=range(1, 255)).histogram.pixels.size == 1


def test_masks_in_memory_are_no_different() -> None:
    with pytest.raises(UnlistedValuesError, match="look soft"):
        ms.count(soft((0, 255))).weights()
    assert ms.count(NOT_SOFT.astype(np.uint8)).histogram.pixels.tolist() == [625] * 4


def test_a_set_is_looked_at_anew_when_it_changes(tmp_path: Path, db: Path) -> None:
    write(tmp_path / "masks" / "0.png", grey_png(NOT_SOFT))
    for number in (1, 2):
        (tmp_path / "masks" / f"{number}.png").unlink()
    with ms.scan(tmp_path / "masks", db=db) as scan:
        assert scan.soft_masks is None and scan.histogram.pixels.tolist() == [625] * 4


def test_commands(db: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks, draft = str(tmp_path / "masks"), str(tmp_path / "classes.yaml")
    assert run(["weights", "--db", str(db)]) == 1
    assert "maskstat scan SOURCE --draft FILE.yaml" in capsys.readouterr().err
    assert run(["scan", masks, "--db", str(db), "--draft", draft]) == 0
    shown = capsys.readouterr()
    assert "No classes are inferred" in shown.out and "class_" not in shown.out
    assert "soft masks without classes will stop 'maskstat weights'" in shown.err
    for command in ("show", "check", "report --format md"):
        assert run([*command.split(), "--db", str(db)]) == 0
        assert "no classes are inferred" in " ".join(capsys.readouterr().out.lower().split())
    assert run(["scan", masks, "--db", str(db), "--classes", draft, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in document["classes"]] == ["background", "foreground"]
    assert document["unlisted_values"] == [] and document["ignored"] == {}
    assert run(["weights", "--db", str(db)]) == 0


def test_a_draft_of_several_classes_lists_what_stands_out(tmp_path: Path) -> None:
    write(tmp_path / "masks" / "a.png", grey_png(soft((0, 85, 170, 255))))
    ms.scan(tmp_path / "masks", draft=tmp_path / "classes.yaml").close()
    scan = ms.scan(tmp_path / "masks", classes=tmp_path / "classes.yaml")
    assert [info.values for info in scan.catalog.classes] == [(0,), (85,), (170,), (255,)]
    with pytest.raises(UnlistedValuesError, match="unlisted='ignore' leaves out"):
        scan.weights()
    assert scan.weights(unlisted="ignore").weights.shape == (4,)


@pytest.mark.skipif(not SHARED.is_dir(), reason="real masks are absent: ../shared")
def test_the_case_of_soft_masks() -> None:
    scan = ms.scan(SHARED / "cases" / "soft-binary" / "png")
    assert len(scan.catalog) == 0
    with pytest.raises(UnlistedValuesError, match="look soft"):
        scan.weights()
