"""Every command is a function or method of the library, by the same words, and no more than it."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import typer

import maskstat as ms
from maskstat import Scan, cli
from maskstat.api import making, merging, registries, stores
from maskstat.cli.spelling import AsCommands
from maskstat.errors import speaking
from maskstat.executors.choices import EXECUTORS
from maskstat.readers.choices import CHANNELS
from maskstat.readers.options import ReadOptions
from maskstat.render.plots.choices import ORDERS
from maskstat.render.plots.style import order_of
from maskstat.splits.plan import SplitPlan
from maskstat.weights.choices import ABSENT, AVERAGES, NORMALISATIONS, UNLISTED
from tests.support.paths import SAMPLES

COMMANDS: dict[str, Any] = dict(typer.main.get_command(cli.app()).commands)  # type: ignore[attr-defined]

# The functions and methods whose words a command's options are, `open_scan` first where it has a
# stored scan to find.
FACE: dict[str, tuple[Callable[..., object], ...]] = {
    "scan": (ms.scan, ms.scan_splits),
    "show": (ms.open_scan,),
    "weights": (
        ms.open_scan,
        ms.from_counts,
        Scan.weights,
        Scan.all_weights,
        ms.WeightTable.save,
        Scan.exposure,
    ),
    "recommend": (ms.open_scan, Scan.recommend, ms.WeightTable.save, Scan.exposure),
    "costs": (ms.open_scan, ms.from_counts, Scan.costs, ms.Costs.plot, Scan.exposure),
    "sampling": (
        ms.open_scan,
        Scan.sampling,
        ms.sampling_methods,
        ms.SamplingTable.save,
        Scan.exposure,
    ),
    "exposure": (ms.open_scan, Scan.exposure),
    "check": (ms.open_scan, Scan.check, ms.Check.failing),
    "compare": (ms.open_scan, Scan.compare, ms.Comparison.above, ms.Comparison.below),
    "split": (ms.open_scan, Scan.split, Scan.certify, SplitPlan.save),
    "class-index": (ms.open_scan, Scan.class_index, ms.ClassIndex.save),
    "decide": (ms.open_scan, Scan.decide, ms.Shifts.save),
    "plot": (ms.open_scan, Scan.plot, Scan.exposure),
    "report": (ms.open_scan, Scan.report, Scan.exposure),
    "merge": (ms.merge,),
    "export": (ms.open_scan, Scan.export),
    "schemes": (ms.schemes,),
    "presets": (ms.presets, ms.preset),
    "plugins": (ms.plugins,),
    "scans": (ms.scans, ms.remove_scan),
}

# Options that are no parameters, and what they are instead.
ELSEWHERE = {
    "--json": "how to print a result: `to_document` of the value",
    ("recommend", "--snippet"): "`Recommendation.snippet`",
    ("recommend", "--why"): "how much to print: every `Advice` has its rule",
    "--all": "how to print a table: values have all of their classes",
    **{
        (command, "--order"): "how to print a table: values are in the catalogue's order"
        for command in ("scan", "show", "weights", "costs", "sampling")
    },
    "--scan": "`name` of `open_scan`, `others` of `plot`, `scans` of `merge`",
    "--output": "`path` of what writes, `output` of `merge`",
    "--param": "`parameters`, a mapping",
    "--counts": "`from_counts` in place of a scan",
    ("weights", "--compare"): "`all_weights`",
    ("weights", "--predictor-confidence"): "of the costs that are printed beside: `costs`",
    ("exposure", "--approximate"): "`Scan.approximate_exposure`",
    ("sampling", "--methods"): "`sampling_methods`",
    ("scan", "--split"): "`scan_splits`",
    ("show", "--measure"): "`Scan.by_volume`",
    ("scans", "--remove"): "`remove_scan`",
    ("split", "FILES"): "`parts` of `certify`",
    ("split", "--certify"): "`certify` in place of `split`",
    ("compare", "SCANS"): "`name` of `open_scan` and `others` of `compare`",
}


def called(parameter: Any) -> str:
    """What an option is called: its longest name; of an argument, its name in capitals."""
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    return str(max(parameter.opts, key=len))


OPTIONS = [(command, called(p)) for command, entry in COMMANDS.items() for p in entry.params]


def words(command: str) -> set[str]:
    return {name for function in FACE[command] for name in inspect.signature(function).parameters}


def test_every_command_has_its_function() -> None:
    assert set(COMMANDS) == set(FACE)
    assert len(OPTIONS) > 100


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_every_option_is_a_parameter_of_the_same_word(command: str, option: str) -> None:
    word = option.strip("-").replace("-", "_").lower()
    if option in ELSEWHERE or (command, option) in ELSEWHERE:
        return
    # Where an option can be repeated, a parameter takes several.
    assert {word, f"{word}s"} & words(command)


def test_every_exception_is_one() -> None:
    for key in ELSEWHERE:
        pairs = {key} if isinstance(key, tuple) else {(c, key) for c in COMMANDS}
        assert pairs & set(OPTIONS) or key == "--counts"


def test_no_option_of_the_face_hides_behind_stars() -> None:
    functions = [f for found in FACE.values() for f in found]
    assert len(functions) > 20
    for function in functions:
        kinds = {p.kind for p in inspect.signature(function).parameters.values()}
        assert inspect.Parameter.VAR_KEYWORD not in kinds, function


def test_scanning_splits_takes_what_scanning_takes() -> None:
    one, all_of_them = (inspect.signature(f).parameters for f in (ms.scan, ms.scan_splits))
    assert [p for name, p in one.items() if name != "split"] == list(all_of_them.values())


def test_words_that_mean_nothing_are_refused() -> None:
    scan = ms.scan(SAMPLES, classes=31)
    with pytest.raises(TypeError, match="normalise"):
        scan.weights("sqrt", normalise="pixel")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="beta"):
        scan.weights("effective-number", beta=0.9)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"^unlisted: 'iggnore' is not one of refuse, ignore; did"):
        scan.weights("sqrt", unlisted="iggnore")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"no parameter 'gamma'; it has: beta, count"):
        scan.weights("effective-number", parameters={"gamma": 1})
    with pytest.raises(ValueError, match=r"^batch_size: goes with average='batch'$"):
        scan.weights(batch_size=8)
    with pytest.raises(ValueError, match=r"^average: .*: batch_size=8$"):
        scan.weights(average="batch")
    with pytest.raises(ValueError, match=r"^max_ratio: goes with best_effort=True$"):
        scan.weights(average="batch", batch_size=8, max_ratio=10)
    with pytest.raises(ValueError, match=r"^grid: goes with profile=True$"):
        ms.scan(SAMPLES, classes=31, grid=8)
    with pytest.raises(ValueError, match=r"^order: the plot rank has no such option"):
        scan.plot("rank", order="catalog")
    with pytest.raises(ms.MaskstatError, match=r"in memory, and there is no store"):
        scan.compare("val")


def test_light_lists_of_words_are_those_that_are_understood() -> None:
    assert NORMALISATIONS == ("none", "mean", "sum", "max", "min", "pixel")
    for order in ORDERS:
        assert len(order_of([1, 2], order)) == 2
    for channels in CHANNELS:
        assert ReadOptions.of({"channels": channels}).channels == channels
    assert (AVERAGES, UNLISTED) == (("pixel", "batch"), ("refuse", "ignore"))
    assert ABSENT == ("zero", "one", "max", "error")
    assert EXECUTORS == ("threads", "dask")


# --- a command parses, calls once, renders -----------------------------------------------------

OPENING = {"open_scan"}
CALLS = {
    "scan": "scan sample --classes 31 --db other.db",
    "show": "show",
    "weights": "weights --scheme sqrt -o w.json",
    "recommend": "recommend --batch-size 4 -o w.json",
    "costs": "costs --scheme sqrt",
    "sampling": "sampling -o s.json",
    "exposure": "exposure --crop 64 --crops 2",
    "check": "check",
    "compare": "compare street park",
    "split": "split --folds 2 -o folds.csv",
    "class-index": "class-index -o index.npz",
    "plot": "plot lorenz -o p.svg",
    "report": "report --format json",
    "merge": "merge maskstat.db -o merged.db",
    "export": "export -o e.csv",
    "schemes": "schemes",
    "presets": "presets",
    "scans": "scans",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("face")
    (folder / "sample").symlink_to(SAMPLES)
    for name in ("street", "park"):
        db = folder / "maskstat.db"
        ms.scan(SAMPLES / name, classes=31, ignore=255, name=name, db=db).close()
    return folder


@contextmanager
def counted_calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the functions of the face that are called, not from one another."""
    made: list[str] = []
    depth = [0]

    def spied(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **named: Any) -> Any:
            if not depth[0]:
                made.append(name)
            depth[0] += 1
            try:
                return function(*args, **named)
            finally:
                depth[0] -= 1

        return call

    with monkeypatch.context() as patch:
        for module in (making, merging, stores, registries):
            for name, function in inspect.getmembers(module, inspect.isfunction):
                if function.__module__ == module.__name__ and not name.startswith("_"):
                    patch.setattr(module, name, spied(name, function))
        for name, function in vars(Scan).items():
            if inspect.isfunction(function) and not name.startswith("_"):
                patch.setattr(Scan, name, spied(name, function))
        yield made


def printed(line: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "argv", ["maskstat", *line.split()])
    assert cli.run(line.split()) == 0
    return json.loads(capfd.readouterr().out or "null")


@pytest.mark.parametrize("command", CALLS)
def test_a_command_makes_one_call(
    command: str, world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world)
    monkeypatch.delenv("MASKSTAT_DB", raising=False)
    with counted_calls(monkeypatch) as made:
        monkeypatch.setattr(sys, "argv", ["maskstat", *CALLS[command].split()])
        assert cli.run(CALLS[command].split()) == 0, capfd.readouterr().err
    called = [name for name in made if name not in OPENING]
    assert len(called) == (command != "show"), made
    assert made.count("open_scan") == (ms.open_scan in FACE[command])


def test_what_is_printed_is_what_the_face_gives(
    world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world)
    monkeypatch.delenv("MASKSTAT_DB", raising=False)

    def told(line: str) -> Any:
        return printed(line, capfd, monkeypatch)

    with speaking(AsCommands()), ms.open_scan("maskstat.db", "street") as scan:
        table = scan.weights("equal-cost", average="batch", batch_size=4, absent="one", seed=3)
        line = "weights --scan street --average batch --batch-size 4 --absent one --seed 3 --json"
        assert told(line)["weights"] == list(table.values())
        assert table.solution is not None
        assert told(line.replace("--average batch", "--for torch")) == told(line)
        costs = scan.costs(scheme="sqrt", average="batch", batch_size=4, drop_last=True)
        line = "costs --scan street --scheme sqrt --average batch --batch-size 4 --drop-last --json"
        assert told(line) == costs.to_document()
        assert told("check --scan street --against park --json") == (
            scan.check(against="park").to_document()
        )
        seen = scan.exposure(crop="32x48", scale=(0.5, 2), crops=3, batch_size=2)
        line = "exposure --scan street --crop 32x48 --scale 0.5:2 --crops 3 --batch-size 2 --json"
        assert told(line) == seen.to_document()
        sampling = scan.sampling("repeat-factor", parameters={"threshold": 0.5})
        document = told("sampling --scan street --param threshold=0.5 --json")
        assert document["weights"] == sampling.weights.tolist()
        assert document["provenance"] == sampling.provenance
        assert told("report --scan street --json") == json.loads(scan.report(format="json"))
        assert told("scans --json") == [row.to_document() for row in ms.scans("maskstat.db")]
        with ms.open_scan("maskstat.db", "park") as park:
            assert (
                scan.compare(park).pairs[0].js_distance
                == (told("compare street park --json")["pairs"][0]["js"])
            )
            assert scan.compare("park").pairs[0].psi == scan.compare(park).pairs[0].psi


def test_a_store_is_named_by_who_uses_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASKSTAT_DB", str(tmp_path / "other.db"))
    ms.scan(SAMPLES / "park", classes=31)
    assert list(tmp_path.iterdir()) == []


def test_splits_are_scans_by_name(tmp_path: Path) -> None:
    for split in ("val", "train"):
        (tmp_path / "set" / split).mkdir(parents=True)
        source = SAMPLES / "park" / "mask_16.png"
        (tmp_path / "set" / split / "mask.png").write_bytes(source.read_bytes())
    (tmp_path / "set" / "stray.png").write_bytes(source.read_bytes())
    db = tmp_path / "s.db"
    with ms.scan_splits(tmp_path / "set", classes=31, db=db, name="mine") as splits:
        assert list(splits) == ["train", "val"]
        assert repr(splits) == "<Splits train, val>"
        assert splits.in_no_split == 1
        assert [one.name for one in splits.values()] == ["mine-train", "mine-val"]
        assert splits["train"].compare(splits["val"]).pairs[0].leakage == 1
    assert [record.name for record in ms.scans(db)] == ["mine-train", "mine-val"]
    ms.remove_scan(db, "mine-val")
    assert [record.name for record in ms.scans(db)] == ["mine-train"]
