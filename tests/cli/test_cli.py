"""The command line as a user meets it: output, exit codes, one-line errors."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml

from maskstat import cli, load_weights
from maskstat.values.presets import preset_names, preset_text
from tests.support.cluster_cases import eventually
from tests.support.loops import at_least_one
from tests.support.paths import ROOT


class Outcome:
    """Exit code and what was printed."""

    def __init__(self, code: int, out: str, err: str):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def maskstat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Any:
    """Run a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MASKSTAT_DB", raising=False)

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["maskstat", *arguments])
        code = cli.run(list(arguments))
        return Outcome(code, *capfd.readouterr())

    return run


def save(path: Path, pixels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.asarray(pixels, np.uint8))


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """Three masks: classes 0, 1 and 3 of four, void on one border, no 2."""
    folder = tmp_path / "masks"
    save(folder / "mask_1.npy", [[0, 0, 0], [0, 1, 255]])
    save(folder / "mask_2.npy", [[0, 0], [1, 1]])
    save(folder / "mask_10.npy", [[3, 0]])
    return folder


def test_main_job(maskstat: Any, masks: Path, tmp_path: Path) -> None:
    scanned = maskstat("scan", "masks", "--classes", "4")
    assert scanned.code == 0
    assert "class_3" in scanned.out
    assert "3 masks, 12 pixels, 11 labelled, 1 ignored" in scanned.out
    assert "255 is ignored" in scanned.out
    assert "1 class without a pixel: class_2" in scanned.out
    weighed = maskstat("weights", "--scheme", "equal-cost", "-o", "weights.json")
    assert weighed.code == 0
    assert weighed.err == "wrote weights.json\n"
    table = load_weights(tmp_path / "weights.json")
    # 7, 3 and 1 pixels of three classes that occur; the absent class weighs 1.
    assert table.weights.tolist() == pytest.approx([11 / 21, 11 / 9, 1.0, 11 / 3])
    assert "'one'" in weighed.out
    assert table.provenance["masks"] == 3


def test_json_has_everything(maskstat: Any, masks: Path) -> None:
    save(masks / "odd.npy", [[9, 9], [200, 0]])
    (masks / "broken.npy").write_bytes(b"\x93NUMPY nonsense")
    printed = maskstat("scan", "masks", "--classes", "4", "--json")
    assert printed.code == 3
    document = printed.json
    assert document["scan"] == "masks"
    assert document["masks"] == 4
    assert document["total_pixels"] == 16
    assert [c["pixels"] for c in document["classes"]] == [8, 3, 0, 1]
    assert [c["masks"] for c in document["classes"]] == [4, 2, 0, 1]
    assert [c["image_pixels"] for c in document["classes"]] == [16, 10, 0, 2]
    assert [c["index"] for c in document["classes"]] == [0, 1, 2, 3]
    assert sum(c["frequency"] for c in document["classes"]) == pytest.approx(1)
    assert document["ignored"] == {"255": 1}
    assert document["unlisted"] == {"9": 2, "200": 1}
    assert [f["mask"] for f in document["failures"]] == ["broken.npy"]
    assert document["failures"][0]["reason"]
    shown = maskstat("show", "--json")
    assert shown.code == 0
    later = shown.json
    of_intervals = {"relative_standard_error", "interval", "needed"}  # which a scan leaves out
    for one in (later, document):
        assert (one.pop("intervals") is None) == (one is document)
        one["classes"] = [
            {k: v for k, v in row.items() if k not in of_intervals} for row in one["classes"]
        ]
    assert later == {k: v for k, v in document.items() if k != "changes"}


def test_unlisted_values_stop_weights_with_what_to_type(maskstat: Any, masks: Path) -> None:
    save(masks / "odd.npy", [[9, 9], [200, 0]])
    assert maskstat("scan", "masks", "--classes", "4").code == 0
    refused = maskstat("weights", "--scheme", "sqrt")
    assert refused.code == 1
    assert refused.out == ""
    assert "first odd.npy" in refused.err
    options, _, rest = refused.err.rpartition("; ")[0].rpartition("; ")[2].partition(" where ")
    assert rest == "they are void"
    obeyed = maskstat("weights", "--scheme", "sqrt", *shlex.split(options))
    assert obeyed.code == 0, obeyed.err
    assert "where they are classes" in refused.err
    assert maskstat("weights", "--unlisted", "ignore").code == 0
    assert maskstat("weights", "--classes", "201").code == 0


def test_only_what_changed_is_decoded(maskstat: Any, masks: Path) -> None:
    maskstat("scan", "masks", "--classes", "4")
    save(masks / "mask_2.npy", [[0, 0, 0], [1, 1, 1]])
    save(masks / "mask_3.npy", [[0]])
    (masks / "mask_10.npy").unlink()
    document = maskstat("scan", "masks", "--classes", "4", "--json").json
    assert document["changes"] == {
        "new": 1,
        "changed": 1,
        "unchanged": 1,
        "gone": 1,
        "skipped": 0,
        "splits": [],
        "pattern": None,
        "outside": 0,
        "plugins": [],
    }
    assert document["total_pixels"] == 13
    again = maskstat("scan", "masks", "--classes", "4")
    assert "0 new, 0 changed, 3 unchanged, 0 gone" in again.out


def test_two_sources_of_one_name_are_two_scans(maskstat: Any, tmp_path: Path) -> None:
    save(tmp_path / "train" / "masks" / "a.npy", [[0]])
    save(tmp_path / "val" / "masks" / "a.npy", [[0, 1]])
    for split in ("train", "val", "train"):
        assert maskstat("scan", f"{split}/masks", "--classes", "2").code == 0
    rows = maskstat("scans", "--json").json
    assert [(row["scan"], row["masks"]) for row in rows] == [("val-masks", 1), ("masks", 1)]
    assert maskstat("show", "--json").json["scan"] == "masks"
    assert maskstat("show", "--scan", "val-masks", "--json").json["total_pixels"] == 2
    assert maskstat("scans", "--remove", "masks").code == 0
    assert [row["scan"] for row in maskstat("scans", "--json").json] == ["val-masks"]
    assert maskstat("show", "--scan", "masks").code == 1


def test_strict_names_the_first_failure(maskstat: Any, masks: Path) -> None:
    (masks / "mask_3.npy").write_bytes(b"")
    (masks / "mask_20.npy").write_bytes(b"")
    stopped = maskstat("scan", "masks", "--classes", "4", "--strict")
    assert stopped.code == 1
    assert stopped.err == "maskstat: mask_3.npy: empty file\n"
    assert maskstat("scan", "masks", "--classes", "4").code == 3


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["scan", "nowhere"], 1, "no such file or folder"),
        (["scan", "empty"], 1, "no masks found"),
        (["scan", "masks", "--classes", "cityscape"], 1, "did you mean cityscapes?"),
        (["scan", "masks", "--classes", "0"], 1, "must be 1 to"),
        (["scan", "masks", "--ignore", "red"], 2, "--ignore"),
        (["scan", "masks", "--workers", "0"], 2, "--workers"),
        (["scan"], 2, "SOURCE"),
        (["scan", "masks", "--db", "no/such/folder/x.db"], 1, "--db"),
        (["scan", "masks", "--db", "masks"], 1, "masks"),
        (["nonsense"], 2, "No such command"),
        (["show", "--db", "absent.db"], 1, "there is no scan store"),
        (["show", "--scan", "absent"], 1, "it has: masks"),
        (["weights", "--scheme", "median-freq"], 2, "did you mean median-frequency?"),
        (["weights", "--param", "beta"], 2, "NAME=VALUE"),
        (["weights", "--param", "beta=1"], 2, "no parameter"),
        (["weights", "--scheme", "enet", "--param", "c=x"], 2, "must be a number"),
        (["weights", "--normalize", "l2"], 2, "not one of none"),
        (["weights", "--clip", "3"], 2, "LO:HI"),
        (["weights", "--clip", "3:1"], 2, "no range"),
        (["weights", "--absent", "error"], 1, "class_2"),
        (["weights", "--absent", "maybe"], 2, "not one of zero"),
        (["weights", "--unlisted", "maybe"], 2, "--unlisted"),
        (["weights", "-o", "weights.xlsx"], 2, "known are .json"),
        (["weights", "-o", "w.npy", "--layout", "dict"], 1, "can't hold"),
        (["weights", "-o", "absent/w.json"], 1, "can't be written"),
        (["weights", "--compare", "-o", "w.json"], 2, "writes no file"),
        (["presets", "cityscape"], 1, "no preset"),
    ],
)
def test_errors_are_one_line_with_a_documented_code(
    maskstat: Any, masks: Path, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    (tmp_path / "empty").mkdir()
    maskstat("scan", "masks", "--classes", "4")
    failed = maskstat(*arguments)
    assert failed.code == code
    assert words in failed.err
    assert failed.err.startswith("maskstat: ")
    assert failed.err.count("\n") == 1
    assert failed.out == ""


def test_names_are_shown_not_obeyed(maskstat: Any, tmp_path: Path) -> None:
    catalog = {"classes": ["[red]road[/red]", "sky\x1b[2J", "a\nb"]}
    (tmp_path / "c.json").write_text(json.dumps(catalog))
    save(tmp_path / "masks" / "x\x1b[31m.npy", [[0, 1, 2, 7]])
    printed = maskstat("scan", "masks", "--classes", "c.json")
    assert printed.code == 0
    assert "\x1b" not in printed.out
    assert "[red]road[/red]" in printed.out
    assert "a\\nb" in printed.out
    assert "x\\x1b[31m.npy" in printed.out


@pytest.mark.parametrize("suffix", ["json", "yaml", "csv", "txt"])
@pytest.mark.parametrize("layout", ["full", "list"])
def test_weight_files_load_back(
    maskstat: Any, masks: Path, tmp_path: Path, suffix: str, layout: str
) -> None:
    maskstat("scan", "masks", "--classes", "4")
    options = ("--scheme", "enet", "--normalize", "pixel")
    assert maskstat("weights", *options, "--layout", layout, "-o", f"w.{suffix}").code == 0
    printed = maskstat("weights", *options, "--json").json
    assert load_weights(tmp_path / f"w.{suffix}").weights.tolist() == printed["weights"]


def test_layouts_that_frameworks_take(maskstat: Any, masks: Path, tmp_path: Path) -> None:
    maskstat("scan", "masks", "--classes", "4")
    maskstat("weights", "-o", "list.json", "--layout", "list")
    maskstat("weights", "-o", "dict.json", "--layout", "dict")
    numbers = json.loads((tmp_path / "list.json").read_text())
    assert len(numbers) == 4
    assert all(isinstance(number, float) for number in numbers)
    by_index = json.loads((tmp_path / "dict.json").read_text())
    assert {int(index): value for index, value in by_index.items()} == dict(enumerate(numbers))


def test_compare_shows_every_scheme(maskstat: Any, masks: Path) -> None:
    from maskstat.weights.schemes import SCHEMES

    maskstat("scan", "masks", "--classes", "4")
    compared = maskstat("weights", "--compare", "--json").json
    assert list(compared) == list(SCHEMES)
    for name in at_least_one(SCHEMES):
        single = maskstat("weights", "--scheme", name, "--json").json
        assert compared[name] == single["weights"]
    shown = maskstat("weights", "--compare").out
    for name in at_least_one(SCHEMES):
        assert re.search(rf"^ {name} |= {name}[ :=]|^[a-z= -]*{name}: ", shown, re.MULTILINE), name


@pytest.mark.parametrize("name", preset_names())
def test_presets_print_catalogues_that_work(maskstat: Any, tmp_path: Path, name: str) -> None:
    printed = maskstat("presets", name)
    (tmp_path / "printed.yaml").write_text(printed.out, encoding="utf-8")
    save(tmp_path / "masks" / "a.npy", [[1]])
    from_file = maskstat("scan", "masks", "--classes", "printed.yaml", "--json").json
    from_name = maskstat("show", "--classes", name, "--json").json
    assert from_file["catalog"]["digest"] == from_name["catalog"]["digest"]
    assert yaml.safe_load(printed.out)["name"] == name


def test_presets_are_listed(maskstat: Any) -> None:
    """For people by their titles, for programs with the links and patterns of their YAML."""
    printed, rows = maskstat("presets").out, maskstat("presets", "--json").json
    assert [row["preset"] for row in rows] == list(preset_names())
    for row in at_least_one(rows):
        name = row["preset"]
        preset = yaml.safe_load(preset_text(name))
        facts = {"classes": len(preset["classes"]), "masks": preset.get("masks", [])}
        facts |= {"title": preset["title"], "link": preset["link"]}
        assert row == {"preset": name} | facts
        assert re.search(rf"^ {name} +{facts['classes']} ", printed, re.MULTILINE), name


def test_schemes_are_listed(maskstat: Any) -> None:
    from maskstat.weights.schemes import SCHEMES

    printed = maskstat("schemes").out
    for scheme in at_least_one(SCHEMES.values()):
        assert scheme.name in printed
        assert scheme.formula in printed
        assert all(parameter in printed for parameter in scheme.parameters)
    assert [row["scheme"] for row in maskstat("schemes", "--json").json] == list(SCHEMES)


def test_inferred_classes_are_said_to_be(maskstat: Any, tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.npy", [[0, 2, 255]])
    printed = maskstat("scan", "masks")
    assert "Classes were inferred from the values found (3 classes)" in printed.out
    assert [c["pixels"] for c in maskstat("show", "--json").json["classes"]] == [1, 0, 1]
    kept = maskstat("scan", "masks", "--ignore", "2", "--json").json
    assert [c["pixels"] for c in kept["classes"]] == [1]
    assert kept["ignored"] == {"2": 1, "255": 1}
    assert maskstat("show", "--json").json["ignored"] == {"2": 1, "255": 1}


def test_store_from_the_environment(
    maskstat: Any, masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASKSTAT_DB", str(tmp_path / "elsewhere.db"))
    assert maskstat("scan", "masks", "--classes", "4").code == 0
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "maskstat.db").exists()
    assert maskstat("show", "--db", "maskstat.db").code == 1


def test_version_and_help(maskstat: Any) -> None:
    from maskstat import __version__

    assert maskstat("--version").out == f"maskstat {__version__}\n"
    printed = maskstat("--help")
    assert printed.code == 0
    for code in ("0", "1", "2", "3", "130"):
        assert f" {code} " in " ".join(printed.out.split())
    assert maskstat("weights", "--help").code == 0


def test_help_is_found_by_whoever_asks(maskstat: Any) -> None:
    whole = maskstat("--help")
    assert "\nCommands:\n" in whole.out
    for line in ((), ("-h",), ("help",)):
        asked = maskstat(*line)
        assert (asked.code, asked.out, asked.err) == (0, whole.out, "")
    commands = set(typer.main.get_command(cli.app()).commands)  # type: ignore[attr-defined]
    for command in at_least_one(sorted(commands)):
        told = maskstat(command, "--help")
        assert told.out.startswith(f"Usage: maskstat {command} ")
        for line in (("help", command), (command, "-h")):
            asked = maskstat(*line)
            assert (asked.code, asked.out, asked.err) == (0, told.out, "")
    unknown = maskstat("help", "weigths")
    assert (unknown.code, unknown.out) == (2, "")
    assert "No such command 'weigths'" in unknown.err


def _subprocess(script: str, folder: Path, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    return subprocess.Popen(
        [sys.executable, "-c", script], cwd=folder, env=environment, text=True, **options
    )


def test_interrupt_keeps_what_was_counted(tmp_path: Path) -> None:
    for number in range(400):
        path = tmp_path / "masks" / f"mask_{number}.npy"
        save(path, [[0, number % 3]])
        os.utime(path, (10**9, 10**9))  # what was written just now may change again, and is reread
    script = """
import sys, time
from maskstat.sources.base import FileEntry
load = FileEntry.load
def slow(entry):
    time.sleep(0.05)
    return load(entry)
FileEntry.load = slow
from maskstat.cli import run
sys.exit(run(["scan", "masks", "--classes", "3"]))
"""
    process = _subprocess(script, tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE)

    def has_begun() -> bool:
        try:
            uri = f"{(tmp_path / 'maskstat.db').as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True)) as connection:
                return connection.execute("SELECT 1 FROM mask").fetchone() is not None
        except sqlite3.OperationalError:
            return False

    assert eventually(has_begun)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - sent < 5
    assert process.returncode == 130
    assert err == "maskstat: interrupted; what was counted is kept, the same command goes on\n"
    assert out == ""
    script = """
import sys
from maskstat.cli import run
sys.exit(run(["scan", "masks", "--classes", "3", "--json"]))
"""
    process = _subprocess(script, tmp_path, stdout=subprocess.PIPE)
    document = json.loads(process.communicate(timeout=60)[0])
    assert process.returncode == 0
    assert document["masks"] == 400
    assert document["changes"]["unchanged"] > 0
    assert document["changes"]["unchanged"] + document["changes"]["new"] == 400


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_closed_pipe_is_no_error(tmp_path: Path, masks: Path) -> None:
    script = """
import os, sys
from maskstat.cli import run
run(["scan", "masks", "--classes", "4", "--json"])
read, write = os.pipe()
os.dup2(write, 1); os.close(write); os.close(read)
sys.exit(run(["show", "--classes", "2000", "--json"]))
"""
    process = _subprocess(script, tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0


def test_a_bug_is_one_line_too(maskstat: Any, masks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from maskstat.api import making

    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("something\nunforeseen")

    monkeypatch.setattr(making, "scan", broken)
    failed = maskstat("scan", "masks")
    assert failed.code == 1
    assert failed.err.startswith("maskstat: unexpected RuntimeError: something unforeseen")
    assert failed.err.count("\n") == 1
    monkeypatch.setenv("MASKSTAT_DEBUG", "1")
    with pytest.raises(RuntimeError):
        maskstat("scan", "masks")
