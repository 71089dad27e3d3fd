"""How many masks a sample is worth: copies and masks of one group count less."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat import cli
from maskstat.cli.spelling import AsCommands
from maskstat.errors import ParameterError, speaking
from maskstat.statistics.effective_masks import (
    different_masks,
    different_words,
    effective_masks,
    effective_words,
)
from maskstat.statistics.findings import Finding
from tests.support.scan_cases import grey_png, write


def scan_of(bases: list[list[int]], copies: int) -> ms.Scan:
    """Each base is counted several times, as frames of a sequence of its own."""
    masks = [np.repeat([0, 1, 2], base)[None] for base in bases for _ in range(copies)]
    names = [f"s{at}_{n:03d}" for at in range(len(bases)) for n in range(copies)]
    return ms.count(masks, classes=3, names=names)


@given(
    st.lists(st.lists(st.integers(1, 50), min_size=3, max_size=3), min_size=3, max_size=8).filter(
        lambda bases: np.linalg.matrix_rank(np.array(bases)) == 3
    ),
    st.integers(1, 5),
)
def test_copies_are_worth_what_one_of_them_is(bases: list[list[int]], copies: int) -> None:
    scan = scan_of(bases, copies)
    worth = effective_masks(scan.intervals, scan.grouped("^(s[0-9]+)").intervals)
    groups, masks = len(bases), len(bases) * copies
    # B · [B / (B - 1) · m S] / [G / (G - 1) · m² S]; as many as groups, but for the corrections
    assert worth == pytest.approx(masks * (groups - 1) / (masks - 1))
    said = effective_words(scan.intervals, scan.grouped("^(s[0-9]+)").intervals)
    worth_all = f"{masks} masks in {groups} groups by '^(s[0-9]+)' are worth as many independent"
    assert said.startswith(worth_all) == (copies == 1)
    assert said.endswith("(median class)")


def test_where_no_class_has_an_interval_nobody_knows() -> None:
    scan = scan_of([[1, 2, 3], [2, 2, 2]], 2)
    said = effective_words(scan.intervals, scan.grouped("^(s)").intervals)
    assert said == "4 masks in 1 group by '^(s)': nothing says how much others would differ"
    assert np.isnan(effective_masks(scan.intervals, scan.grouped("^(s)").intervals)).all()


def test_what_is_said_beside_intervals() -> None:
    frames = scan_of([[9, 2, 3], [2, 8, 2], [1, 1, 9]], 5)
    with speaking(AsCommands()):
        assert frames.sample_notes == (
            "Intervals assume that masks are independent; names look like frames of 3 sequences:"
            " --group-by '^([^_]+)_'",
        )
    grouped = frames.grouped("^([^_]+)_")
    assert grouped.sample_notes == (
        "15 masks in 3 groups by '^([^_]+)_' are worth about 2 independent ones (median class)",
    )
    assert frames.grouped("mask").sample_notes == ()
    with pytest.raises(ParameterError, match="no group of 15 of 15 masks"):
        _ = frames.grouped("^x").sample_notes


def test_copies_are_no_different_masks(tmp_path: Path) -> None:
    for n, value in enumerate((1, 1, 1, 2, 3, 3, 4)):
        write(tmp_path / f"m{n}.png", grey_png([[0, value]]))
    found = ms.scan(tmp_path, classes=5).check()
    assert different_masks(found, 7) == found.different_masks == 4
    assert found.to_document()["different_masks"] == 4
    said = str(found.to_document()["notes"])
    assert said.startswith("['7 masks are 4 different ones: intervals count the copies")
    others = [f for f in found if f.kind != "duplicate"]
    assert different_masks(others, 7) == 7
    assert different_words(7, 7) == ""
    pair = Finding("duplicate", 2, ("a", "b"), ({"masks": ["a", "b"]},))
    assert different_masks([pair], 2) == 1


@pytest.mark.parametrize("command", ["show", "weights", "weights --compare"])
def test_commands_with_intervals_say_it(
    tmp_path: Path,
    command: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for sequence in range(3):
        for n in range(5):
            pixels = [[0, 1, 2, *[sequence] * 3, n % 2]]
            write(tmp_path / "masks" / f"s{sequence}_{n:03d}.png", grey_png(pixels))
    ms.scan("masks", classes=3, db="maskstat.db").close()
    options = ["--scheme", "sqrt"] if command == "weights" else []
    for rule, says in (
        ([], "look like frames of 3 sequences: --group-by '^([^_]+)_'\n"),
        (["--group-by", "^([^_]+)_"], "15 masks in 3 groups by '^([^_]+)_' are worth about"),
        (["--group-by", "mask"], None),
    ):
        assert cli.run([*command.split(), *options, *rule]) == 0
        said = capsys.readouterr().out
        assert (says is None) == ("frames of" not in said and "are worth" not in said)
        assert says is None or says in said
