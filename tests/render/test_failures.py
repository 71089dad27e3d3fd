"""One line a kind: of a thousand files that fail alike, whatever numbers their reasons have."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

import maskstat as ms
from maskstat.cli import run
from maskstat.cli.spelling import AsCommands
from maskstat.errors import speaking
from maskstat.render.documents.scan import scan_document
from maskstat.render.terminal.failures import by_kind, failure_lines
from maskstat.render.terminal.tables import scan_tables

REASONS = st.builds(
    lambda problem, number, remedies: (
        f"{problem} {number}" + (f" ({'; or '.join(remedies)})" if remedies else "")
    ),
    st.sampled_from(["damaged at byte", "an image of colours:", "too large:"]),
    st.integers(0, 10**6),
    st.lists(st.sampled_from(["give --classes", "--channel r", "--pages all"]), unique=True),
)


@given(st.lists(REASONS, max_size=40))
def test_kinds_part_the_files(reasons: list[str]) -> None:
    files = [(f"{number}.png", reason) for number, reason in enumerate(reasons)]
    kinds = by_kind(files)
    assert sorted(name for names, _ in kinds for name in names) == sorted(n for n, _ in files)
    assert len(kinds) == len({reason.split(" ")[0] for reason in reasons})
    of_name = dict(files)
    for names, said in kinds:
        own = {of_name[name] for name in names}
        assert len(own) > 1 or said in own
        problems = {reason.partition(" (")[0] for reason in own}
        assert said.startswith("for example, ") == (len(problems) > 1)
        assert said.removeprefix("for example, ").partition(" (")[0] in problems


def lines_of(folder: Path) -> list[str]:
    with speaking(AsCommands()), ms.scan(folder, db=folder.parent / "m.db") as scan:
        document = scan_document(scan)
        console = Console(width=400, file=io.StringIO(), record=True)
        console.print(scan_tables(document))
        return console.export_text().splitlines()


def test_colour_masks_are_one_kind_however_many_colours_they_have(tmp_path: Path) -> None:
    """Background alone is grey, one class of VOC is red alone: no channel holds an index."""
    colours = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0], [64, 0, 128]], np.uint8)
    (tmp_path / "masks").mkdir()
    for number in range(40):
        used = np.resize(np.arange(number % 4 + 1), (8, 9))
        Image.fromarray(colours[used]).save(tmp_path / "masks" / f"{number}.png")
    lines = lines_of(tmp_path / "masks")
    (line,) = [line for line in lines if ".png" in line]
    assert line.startswith("  0.png, ") and "and 32 more: RGB image where class indices" in line
    assert "--draft FILE" in line and "--channel" not in line
    assert lines[0] == "None of 40 masks could be counted:"  # and no table of zeros


def test_photographs_among_masks_are_one_line(tmp_path: Path) -> None:
    """Whether they have 5,000 colours or 100,000."""
    (tmp_path / "masks").mkdir()
    random = np.random.default_rng(0)
    for number, side in enumerate([80, 90, 320, 80, 400]):
        pixels = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "masks" / f"{number}.png")
    for number in range(5, 30):
        Image.fromarray(np.eye(40, dtype=np.uint8)).save(tmp_path / "masks" / f"{number}.png")
    lines = lines_of(tmp_path / "masks")
    (line,) = [line for line in lines if ".png" in line]
    assert line.startswith("  0.png, 1.png, 3.png, 2.png, 4.png: for example, more than 4096")
    assert line.endswith("different values: a photograph or a float map?")


def test_a_missing_extra_is_said_and_not_zeros(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.nii").write_bytes(b"\x5c\x01\x00\x00" + bytes(340) + b"n+1\x00" + bytes(40))
    for module in ("nibabel", "nibabel.nifti1", "nibabel.nifti2"):  # whoever imported them before
        monkeypatch.setitem(sys.modules, module, None)
    assert run(["scan", str(tmp_path), "--classes", "3", "--db", str(tmp_path / "s.db")]) == 3
    out = capsys.readouterr().out
    assert ("class_0" not in out and "nibabel" in out) or "maskstat[medical]" in out


def test_a_line_has_a_few_names() -> None:
    (line,) = failure_lines((f"{n}.png", "damaged") for n in range(1000))
    assert line == ", ".join(f"{n}.png" for n in range(8)) + " and 992 more: damaged"
