"""`--counts`: weights and costs of counts that people already have, without a store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import maskstat as ms
from maskstat import cli

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command line in a folder that holds one table of counts and no store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MASKSTAT_DB", raising=False)
    Path("counts.csv").write_text("name,pixels\nroad,5587\ncar,802\nsign,11\n")

    def call(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(list(arguments))
        return code, *capfd.readouterr()

    return call


@pytest.mark.parametrize("scheme", ["equal-cost", "sqrt", "log"])
@pytest.mark.parametrize("counts", ["counts.csv", "5587,802,11", "0.521,0.302,0.177"])
def test_the_command_prints_and_writes_what_the_library_gives(
    run: Run, scheme: str, counts: str
) -> None:
    code, out, err = run(
        "weights", "--counts", counts, "--scheme", scheme, "--json", "-o", "weights.json"
    )
    assert (code, err) == (0, "wrote weights.json\n")
    table = ms.from_counts(counts).weights(scheme)
    document, written = table.to_document(), json.loads(Path("weights.json").read_text())
    assert written == {**document.metadata, **document.columns}
    said = {"average_weight": table.average_weight, "notes": list(table.notes)}
    assert json.loads(out) == written | said | {"intervals": None}
    assert ("shares" in document.columns) is counts.startswith("0.")
    assert {path.name for path in Path.cwd().iterdir()} == {"counts.csv", "weights.json"}


def test_costs_are_the_librarys(run: Run) -> None:
    code, out, err = run("costs", "--counts", "counts.csv", "--scheme", "sqrt", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == ms.from_counts("counts.csv").costs(scheme="sqrt").to_document()
    assert [path.name for path in Path.cwd().iterdir()] == ["counts.csv"]


def test_classes_and_ignored_values_are_those_of_a_scan(run: Run) -> None:
    Path("turned.txt").write_text("sign\nroad\ncar\n")
    code, out, _ = run("weights", "--counts", "counts.csv", "--classes", "turned.txt", "--json")
    assert code == 0
    document = json.loads(out)
    assert dict(zip(document["classes"], document["pixels"], strict=True)) == {
        "sign": 11,
        "road": 5587,
        "car": 802,
    }
    code, out, _ = run(
        "weights", "--counts", "counts.csv", "--ignore", "1", "--absent", "zero", "--json"
    )
    assert code == 0
    assert json.loads(out)["pixels"] == [5587, 0, 11]


def test_all_schemes_side_by_side_name_those_that_need_masks(run: Run) -> None:
    code, out, _ = run("weights", "--counts", "counts.csv", "--compare", "--json")
    assert code == 0
    lacking = {name for name, weights in json.loads(out).items() if "error" in weights}
    assert lacking == {"median-frequency", "effective-number"}
    code, out, _ = run("weights", "--counts", "counts.csv", "--compare")
    assert code == 0
    assert "effective-number: scheme effective-number: the number of masks with each class" in out


def test_a_matlab_table_has_what_median_frequency_needs(run: Run) -> None:
    Path("matlab.csv").write_text(
        "Name,PixelCount,ImagePixelCount\nroad,5587,20000\ncar,802,9000\nsign,11,3000\n"
    )
    code, out, _ = run(
        "weights", "--counts", "matlab.csv", "--scheme", "median-frequency", "--json"
    )
    assert code == 0
    # median(n / h) / (n / h), by hand
    frequency = [5587 / 20000, 802 / 9000, 11 / 3000]
    assert json.loads(out)["weights"] == pytest.approx([frequency[1] / f for f in frequency])
