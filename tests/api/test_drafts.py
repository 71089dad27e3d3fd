"""A catalogue to fill in: whoever takes it as it is counts what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import maskstat as ms
from maskstat.cli import run
from maskstat.errors import ParameterError
from maskstat.values.catalog_files import load_catalog
from tests.support.mask_files import saved
from tests.support.scan_cases import grey_png, write

COLOURS = np.array([[0, 0, 0, 255], [200, 10, 30, 255], [9, 9, 9, 128]], np.uint8)
COUNTED = {"#000000": (50, 1), "#c80a1e": (120, 2), "#09090980": (30, 1)}


def coloured(rows: list[int]) -> bytes:
    """10 pixels a row, of these colours."""
    return saved(Image.fromarray(COLOURS[np.repeat(rows, 10).reshape(-1, 10)]), "PNG")


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    write(tmp_path / "masks" / "train" / "a.png", coloured([0] * 5 + [1] * 5))
    write(tmp_path / "masks" / "val" / "b.png", coloured([1] * 7 + [2] * 3))
    return tmp_path / "masks"


@pytest.mark.parametrize("split", [False, True])
def test_what_was_found_is_what_the_draft_counts(
    masks: Path, tmp_path: Path, split: bool, decoded: list[str]
) -> None:
    """All pixels are of classes then, most first; nothing is decoded again."""
    draft, db = tmp_path / "classes.yaml", tmp_path / "scans.db"
    if split:
        ms.scan_splits(masks, draft=draft).close()
    else:
        with ms.scan(masks, draft=draft, db=db) as scan:
            assert not scan.failures
            found = {value: (c.pixels, c.masks) for value, c in scan.histogram.unlisted.items()}
            assert found == COUNTED
    catalog = load_catalog(draft)
    assert [info.colours for info in catalog.classes] == [(0xC80A1E,), (0,), (0x7F090909,)]
    for (pixels, in_masks), line in zip(
        sorted(COUNTED.values(), reverse=True), draft.read_text().splitlines()[3:], strict=True
    ):
        assert line.endswith(f"# {pixels} pixels in {in_masks} mask{'s' * (in_masks > 1)}")
    decoded.clear()
    with ms.scan(masks, classes=draft, db=db) as scan:
        assert scan.histogram.pixels.tolist() == [120, 50, 30]
        assert not scan.histogram.unlisted and not scan.failures
    assert bool(decoded) == split
    with ms.scan(masks, db=db) as without:
        assert len(without.failures) == 2


def test_values_keep_their_places(tmp_path: Path) -> None:
    """Classes of index masks have the index that is their value, also where one never occurs."""
    write(tmp_path / "masks" / "a.png", grey_png([[0, 3, 3, 255]]))
    write(tmp_path / "masks" / "b.png", coloured([1]))
    draft = tmp_path / "classes.yaml"
    ms.scan(tmp_path / "masks", draft=draft).close()
    with ms.scan(tmp_path / "masks", classes=draft) as scan:
        assert scan.histogram.pixels.tolist() == [1, 0, 0, 2, 10]
        assert not scan.histogram.unlisted and not scan.failures


def test_where_there_is_nothing_to_fill_in(masks: Path, tmp_path: Path) -> None:
    for wrong in ("classes.json", "classes"):
        with pytest.raises(ParameterError, match=r"draft: a catalogue to fill in is a \.yaml file"):
            ms.scan(masks, draft=tmp_path / wrong)
    with pytest.raises(ParameterError, match="draft: the classes are known"):
        ms.scan(masks, draft=tmp_path / "x.yaml", classes=2)
    assert not list(tmp_path.glob("*.yaml"))


def test_the_message_leads_to_it(masks: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.chdir(masks.parent)
    assert run(["scan", "masks"]) == 3
    assert "--classes a catalogue with colours; --draft FILE writes one to fill in" in " ".join(
        capfd.readouterr().out.split()
    )
    assert run(["scan", "masks", "--draft", "classes.yaml"]) == 0
    said = capfd.readouterr()
    assert "wrote classes.yaml" in said.err
    for colour in COUNTED:
        assert colour in said.out
    assert run(["scan", "masks", "--classes", "classes.yaml"]) == 0
    assert "0 new, 0 changed, 2 unchanged" in capfd.readouterr().out
