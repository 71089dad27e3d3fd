"""Recipes as they are asked for, in Python and on the command line, and what is made of them."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat import cli
from maskstat.cli.spelling import AsCommands
from maskstat.errors import (
    ExposureError,
    MaskstatError,
    ParameterError,
    ProfileError,
    speaking,
)
from maskstat.exposure.asking import asked_again, recipe_of
from maskstat.exposure.recipes import recipe_names
from maskstat.render.plots.plot import KINDS
from maskstat.render.report.report import report_text
from maskstat.values.crop_draws import CropDraws
from tests.support.loops import at_least_one
from tests.support.typed import typed

Told = Callable[[str], str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nine masks of four classes, the last of them in one corner, and their scan."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MASKSTAT_DB", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    random = np.random.default_rng(3)
    for number in range(9):
        pixels = random.integers(0, 3, (20, 30)).repeat(2, 0).repeat(2, 1).astype(np.uint8)
        pixels[:2, :2] = 3
        (tmp_path / "masks").mkdir(exist_ok=True)
        np.save(tmp_path / "masks" / f"m{number}.npy", pixels)
    ms.scan("masks", classes=4, db="maskstat.db").close()
    return tmp_path


@pytest.fixture
def told(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Told:
    """Runs a command; what it printed, or its error."""

    def told(line: str) -> str:
        words = shlex.split(line)
        monkeypatch.setattr(sys, "argv", ["maskstat", *words])
        code = cli.run(words)
        captured = capfd.readouterr()
        return captured.out if code == 0 else captured.err

    return told


# --- what is asked for ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "same"),
    [
        ({"crop": 512}, {"crop": "512"}),
        ({"crop": (512, 1024)}, {"crop": "512x1024"}),
        ({"crop": 8, "scale": (0.5, 2)}, {"crop": "8X8", "scale": "0.5:2"}),
        ({"crop": 8, "scale": (0.5, 1, 2)}, {"crop": 8, "scale": "0.5,1,2"}),
        ({"crop": 8, "scale": 0.5}, {"crop": 8, "scale": "0.5"}),
        (
            {"crop": 8, "scale": ms.Rescaling("log-uniform", (0.5, 2.0))},
            {"crop": 8, "scale": "0.5:2:log"},
        ),
        ({"recipe": {"crop": [8, 9]}}, {"recipe": ms.Recipe((8, 9))}),
        ({"recipe": "deeplab", "drop_last": True}, {"recipe": "deeplab", "drop_last": True}),
    ],
)
def test_the_same_in_other_words(asked: dict[str, Any], same: dict[str, Any]) -> None:
    assert recipe_of(**asked) == recipe_of(**same)


def test_other_words_change_a_named_recipe() -> None:
    named = recipe_of("mmseg-ade20k")
    smaller = recipe_of("mmseg-ade20k", crop=256, scale="0.8:1.2", batch_size=2, drop_last=True)
    assert named.scale is not None
    assert smaller.scale is not None
    assert (smaller.scale.of, smaller.scale.base) == (named.scale.of, named.scale.base)
    assert smaller.scale.ratios == (0.8, 1.2)
    assert (smaller.crop, smaller.batch_size, smaller.last_batch) == ((256, 256), 2, "drop")
    assert smaller.cat_max_ratio == named.cat_max_ratio
    assert (named.name, smaller.name) == ("mmseg-ade20k", None)
    assert recipe_of("mmseg-ade20k", batch_size=2).name == "mmseg-ade20k"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("crop: 0", "crop: sides are from 1"),
        ("crop: [1, 2, 3]", "crop: "),
        ("crop: [.inf, 2]", "holds no recipe"),
        ("crop: abc", "holds no recipe"),
        ("crop: 8\nbatch_size: 2.5", "batch_size: is a whole number"),
        ("crop: 8\nlast_batch: never", "last_batch: 'never' is not one of keep, drop, endless"),
        ("crop: 8\ncat_max_ratio: .nan", "cat_max_ratio: is above 0"),
        ("crop: 8\nscale: {law: uniform}\nturn: 3", "has 'turn', and knows crop, scale"),
        ("crop: 8\nscale: {low: 3}", "holds no recipe"),
        ("- crop", "a mapping such as 'crop: 512'"),
        ("crop: &a 8\nscale: *a", "aliases are not read"),
        ("crop: [", "not valid YAML"),
        ("a\x00b", "not valid YAML"),
    ],
)
def test_files_that_hold_no_recipe_say_so_in_a_line(folder: Path, text: str, said: str) -> None:
    (folder / "r.yaml").write_text(text)
    with pytest.raises(MaskstatError) as caught:
        recipe_of("r.yaml")
    assert said in str(caught.value)
    assert "r.yaml" in str(caught.value)
    assert str(caught.value).isprintable()


# --- what is made of it -----------------------------------------------------------------------


def test_approximate_shares_come_with_bounds_that_hold(told: Told, folder: Path) -> None:
    assert "no pixel profile" in told("exposure --crop 12x16 --approximate")
    told("scan masks --classes 4 --profile --crop 12x16")
    about = json.loads(told("exposure --crop 12x16 --approximate --json"))
    exact = json.loads(told("exposure --crop 12x16 --json"))
    assert (about["approximate"], exact["approximate"]) == (True, False)
    for mine, right in at_least_one(zip(about["classes"], exact["classes"], strict=True)):
        assert mine["lowest"] < right["exposure"] < mine["highest"]
        assert mine["exposure"] == pytest.approx(right["exposure"], rel=0.05, abs=1e-4)
        assert mine["frequency"] == right["frequency"]
    shown = told("exposure --crop 12x16 --approximate")
    assert "least" in shown and "approximate, from heat maps; exact ones are within" in shown


def test_commands_that_take_a_recipe_agree_with_the_library(told: Told, folder: Path) -> None:
    assert told("exposure --crop 12x16 --json") != ""
    with speaking(AsCommands()), ms.open_scan("maskstat.db") as scan:
        seen = scan.exposure(crop=(12, 16), stored=True)
        assert json.loads(told("exposure --crop 12x16 --json")) == seen.to_document()
        weights = json.loads(told("weights --crop 12x16 --scheme sqrt --json"))
        assert weights["weights"] == seen.weights("sqrt").weights.tolist()
        assert weights["weights"] != scan.weights("sqrt").weights.tolist()
        costs = json.loads(told("costs --crop 12x16 --scheme sqrt --json"))
        assert costs == seen.costs(scheme="sqrt").to_document()
        table = seen.sampling("inverse-frequency")
        sampling = json.loads(told("sampling --crop 12x16 --method inverse-frequency --json"))
        assert sampling["weights"] == table.weights.tolist()
        assert sampling["masks"] == list(scan.ledger.names)
        report = json.loads(told("report --crop 12x16 --json"))
        assert report == json.loads(seen.report(format="json", examples=0))
        assert report["exposure"] == seen.to_document()
        assert json.loads(told("report --json"))["exposure"] is None
        described = told("plot classes --crop 12x16 -o p.svg")
        assert seen.plot("classes").description in described
        assert "as training sees it: crops of 12 × 16" in described
        table.save("s.json")
        drawn = scan.exposure(crop=(12, 16), sampler="s.json", stored=True)
        weights = json.loads(told("weights --crop 12x16 --sampler s.json --scheme sqrt --json"))
        assert weights["weights"] == drawn.weights("sqrt").weights.tolist()


@pytest.mark.parametrize(
    "command", ["weights", "costs", "sampling", "report", "plot classes -o x.png"]
)
def test_what_was_not_worked_out_is_the_command_that_does_it(
    told: Told, folder: Path, command: str
) -> None:
    error = told(f"{command} --crop 7 --scale 0.5:2 --db maskstat.db --scan masks")
    line = "exposure --crop 7 --scale 0.5:2 --db maskstat.db --scan masks"
    assert error.endswith(f"type: maskstat {line}\n")
    assert "9 masks of 9" in error
    assert "class_3" in told(line)
    shown = told(f"{command} --crop 7 --scale 0.5:2 --db maskstat.db --scan masks --db maskstat.db")
    assert "not worked out" not in shown


def test_the_remedy_in_python_is_a_call(folder: Path) -> None:
    with ms.open_scan("maskstat.db") as scan:
        with pytest.raises(ExposureError, match=r"type: Scan\.exposure\(crop=7\)$") as caught:
            scan.exposure(crop=7, stored=True)
        assert typed(str(caught.value.remedy)) == "type: maskstat exposure --crop 7"
        with pytest.raises(ExposureError, match=r"Scan\.exposure\(crop=7, crops=3\)$"):
            scan.exposure(crop=7, crops=3, stored=True)
        with pytest.raises(ParameterError, match=r"^recipe: none is given; crop=512, say, or"):
            scan.exposure(batch_size=3)


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".csv"])
def test_weight_files_record_the_recipe(folder: Path, suffix: str) -> None:
    with ms.open_scan("maskstat.db") as scan:
        seen = scan.exposure(crop=(12, 16), scale="0.5:2")
        path = seen.weights("sqrt").save(folder / f"w{suffix}")
    again = ms.load_weights(path)
    assert ms.Recipe.of(again.provenance["recipe"]) == seen.recipe  # type: ignore[arg-type]
    assert "crops of 12 × 16" in repr(again)


def test_notes_speak_of_crops(folder: Path) -> None:
    with ms.open_scan("maskstat.db") as scan:
        notes = scan.exposure(crop=4).weights("inverse").notes
        assert any("in 1 crop of an epoch" in note for note in notes), notes


def test_what_is_of_files_is_the_scan_s(folder: Path) -> None:
    with ms.open_scan("maskstat.db") as scan:
        seen = scan.exposure(crop=8)
        with seen as same:
            assert same is seen
        assert scan.exposure(crop=8).frequency.tolist() == seen.frequency.tolist()  # still open
        for method in ("check", "compare", "export", "under"):
            with pytest.raises(ExposureError, match=rf"use the scan itself: folder\.{method}$"):
                getattr(seen, method)()
        with pytest.raises(ProfileError, match="is not measured"):
            seen.weights("effective-number", parameters={"count": "components"})
        assert seen.profile is None
        assert seen.exposure(crop=9, crops=2).recipe.crop == (9, 9)
        assert seen.failures == scan.failures
        assert "share of" in str(seen._repr_html_())
        assert "share of" not in str(scan._repr_html_())
        page = seen.report(format="html", examples=1)
        assert "As training sees it, crops of 8 × 8" in page


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_tables_of_crops_fit(told: Told, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for line in ("exposure --crop 8 --batch-size 2", "weights --crop 8", "sampling --crop 8"):
        lines = told(line).splitlines()
        assert max(map(len, lines[:-3])) <= columns, line
        assert any("class_3" in row for row in lines)


def test_what_no_crop_happened_to_have_is_not_said_to_be_never_there(told: Told) -> None:
    """A corner of 4 of 2,400 pixels: in a crop of one pixel once in 600 times."""
    rows = {
        line.split()[1]: line.split()
        for line in told("exposure --crop 1 --crops 1").splitlines()
        if line.split()[:1] == ["3"]
    }
    assert rows["class_3"][-1] == rows["class_3"][-2] == "<11.1%"
    assert "batches of 4, the last of an epoch of 1" in told("exposure --crop 1 --batch-size 4")
    assert "the last" not in told("exposure --crop 1 --batch-size 4 --drop-last")


# --- what is a crop is called one -----------------------------------------------------------------

OF_A_RECIPE = {
    name
    for name, command in typer.main.get_command(cli.app()).commands.items()  # type: ignore[attr-defined]
    if any("--crop" in option.opts for option in command.params)
} - {"scan"}  # which shows what it counts: masks
UNDER_A_RECIPE = (
    "weights",
    "weights --compare",
    "weights --for torch --batch-size 2",
    "weights --for torch",
    "costs",
    "costs --for torch --batch-size 2",
    "sampling --method inverse-frequency",
    "exposure",
    "recommend",
    "report --format md",
    *(f"plot {kind.name} -o x.png" for kind in KINDS.values() if not kind.several),
    "plot compare --scan one --scan two -o x.png",
)
# What is said of masks, and meant.
OF_MASKS = (
    r"of each mask|a crop a mask|, of masks in \S+masks\.|classes a mask|crops a mask|maskstat",
    r"report without the recipe is of whole masks|see those of the masks",
    r"95% intervals? ?(count|,) \d+ masks|masks needed|masks are independent",
    r"## Needs attention[\s\S]*?## Classes|- Source: .*|on validation masks",
)
OF_DRAWN_MASKS = {  # a sampler draws masks; the table of exposures has both, side by side
    "sampling": r"in masks|\d masks",
    "exposure": r"\d masks|masks +crops +batches",
}


def test_no_command_calls_crops_masks(told: Told, folder: Path) -> None:
    """Tables, messages and what plots say in words, of every command that takes a recipe."""
    for name in ("one", "two"):
        ms.scan("masks", classes=4, db="maskstat.db", name=name).close()
        told(f"exposure --crop 8 --scan {name}")
    seen = set()
    for line in UNDER_A_RECIPE:
        said = told(f"{line} --crop 8{'' if '--scan' in line else ' --scan one'}")
        assert "crop" in said, line
        command = line.split()[0]
        for allowed in (*OF_MASKS, OF_DRAWN_MASKS.get(command, r"$^")):
            said = re.sub(allowed, "", said)
        assert "mask" not in said, (line, said)
        seen.add(command)
    assert seen == OF_A_RECIPE


def test_a_plot_of_several_scans_is_of_crops_of_all(told: Told) -> None:
    """And the scan of which there are none is named."""
    ms.scan("masks", classes=4, db="maskstat.db", name="others").close()
    told("exposure --crop 8 --scan masks")
    line = "plot compare --scan masks --scan others -o x.png --crop 8"
    assert told(line).endswith("type: maskstat exposure --crop 8 --scan others\n")
    told("exposure --crop 8 --scan others")
    assert "share of crops of 4 classes in masks, others" in told(line)
    with ms.open_scan("maskstat.db", "masks") as scan:
        mixed = scan.plot("compare", others=ms.open_scan("maskstat.db", "others").exposure(crop=8))
        assert "share of masks or crops" in mixed.description
        assert mixed.description.endswith("masks: masks as they are; others: crops of 8 × 8.")


def test_documents_say_what_their_masks_are(folder: Path) -> None:
    with ms.open_scan("maskstat.db") as scan:
        seen = scan.exposure(crop=8)
        assert scan.weights("sqrt").provenance.get("row", "mask") == scan.histogram.row == "mask"
        assert seen.weights("sqrt").provenance["row"] == seen.histogram.row == "crop"
        rows = [json.loads(report_text(one, "json"))["row"] for one in (scan, seen)]
        assert rows == ["mask", "crop"]
        assert "9 crops" in repr(seen.histogram)
        with pytest.raises(ValueError, match="do not add"):
            scan.histogram + seen.histogram


# --- what a store has -----------------------------------------------------------------------------

WORDS = st.fixed_dictionaries(
    {},
    optional={
        "recipe": st.sampled_from(recipe_names()),
        "crop": st.integers(1, 600) | st.tuples(st.integers(1, 600), st.integers(1, 600)),
        "scale": st.sampled_from(["0.5:2", "0.3:1.7:log", "0.5,1,2", "1.25"])
        | st.floats(0.01, 100),
        "cat_max_ratio": st.floats(0.1, 0.99),
        "draw": st.sampled_from(["rare", "uniform"]),
        "chance": st.floats(0, 1),
        "batch_size": st.integers(1, 9),
    },
)


@given(WORDS)
def test_a_recipe_is_asked_for_again(words: dict[str, Any]) -> None:
    try:
        recipe = recipe_of(**words)
    except ParameterError:
        return
    again = asked_again(recipe)
    assert recipe_of(**again).digest == recipe.digest, again
    assert recipe_of(**again).draws == recipe.draws, again
    if len(words) == 1 and "recipe" in words:
        assert again == words


@pytest.mark.parametrize(
    "recipe",
    [
        ms.Recipe(),
        ms.Recipe((8, 8), padding=0),
        ms.Recipe((8, 8), tries=3),
        ms.Recipe((8, 8), draws=CropDraws((1.0, 2.0))),
        ms.Recipe((8, 8), draws=CropDraws("rare", temperature=0.5)),
        ms.Recipe((8, 8), ms.Rescaling("steps", (0.5,), "short-side", (64,))),
        ms.Recipe((8, 8), ms.Rescaling("uniform", (0.5, 2.0), nearest="centred")),
    ],
)
def test_what_no_words_say_is_a_file(recipe: ms.Recipe) -> None:
    assert asked_again(recipe) == {"recipe": "FILE"}


def test_show_names_what_was_worked_out(told: Told) -> None:
    """By commands that print it, of these classes only."""
    assert "worked out" not in told("show")
    assert json.loads(told("show --json"))["exposures"] == []
    for line in ("exposure --crop 8", "exposure --crop 4x6 --scale 0.5:2", "exposure --crop 8"):
        told(line)
    shown = " ".join(told("show").split())
    commands = "maskstat exposure --crop 4x6 --scale 0.5:2; maskstat exposure --crop 8"
    assert f"What training sees is worked out, and shown by: {commands}" in shown
    for command in at_least_one(commands.split("; ")):
        assert "class_3" in told(command.removeprefix("maskstat "))
    recipes = [one["recipe"] for one in json.loads(told("show --json"))["exposures"]]
    assert [ms.Recipe.of(said).crop for said in recipes] == [(4, 6), (8, 8)]
    assert "worked out" not in told("show --ignore 3")


def test_a_page_on_crops_of_masks_that_have_a_profile(told: Told, folder: Path) -> None:
    """What checks found in the masks is said without a profile of the crops."""
    told("scan masks --classes 4 --profile --crop 8")
    assert "thin-class" in told("check")
    told("report --crop 8 -o page.html")
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert "class_3 is 1 px wide" in page
    assert "share of crops" in page or "in crops" in page
