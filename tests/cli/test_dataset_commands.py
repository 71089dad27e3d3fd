"""`maskstat check`, `compare` and `sampling` as a user meets them: output, exit codes, errors."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import typer
from PIL import Image

from maskstat import cli
from maskstat.cli import check, compare, sampling, scan
from maskstat.cli.commands import add
from maskstat.sampling.methods import METHODS
from maskstat.sampling.table import load_sampling
from maskstat.statistics.comparison import METRICS
from maskstat.statistics.findings import KINDS


class Outcome(NamedTuple):
    """Exit code and what was printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=pytest.fail)


Run = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command line in an empty folder."""
    app = typer.Typer(pretty_exceptions_enable=False)
    for command in (scan, check, compare, sampling):
        add(app, command)
    monkeypatch.setattr(cli, "app", lambda commands: app)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MASKSTAT_DB", raising=False)

    def of(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["maskstat", *arguments])
        code = cli.run(list(arguments))
        return Outcome(code, *capfd.readouterr())

    return of


def blob(seed: int) -> np.ndarray:
    """Classes 0 to 2; equal counts for all seeds, different pixels."""
    flat = np.repeat(np.arange(3, dtype=np.uint8), [60, 30, 10])
    return np.random.default_rng(seed).permutation(flat).reshape(10, 10)


def save(path: str, pixels: np.ndarray) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    np.save(path, pixels)


@pytest.fixture
def splits(run: Run) -> Run:
    """Scans train (a, b) and val (c, which is also in train; d, which lacks class 2)."""
    save("train/a.npy", blob(1))
    save("train/b.npy", blob(2))
    save("val/c.npy", blob(2))
    save("val/d.npy", np.minimum(blob(3), 1))
    for name in ("train", "val"):
        assert run("scan", name, "--classes", "3").code == 0
    return run


def only_line(text: str) -> str:
    """The one line of text that an error is."""
    assert text.endswith("\n") and text.count("\n") == 1, text
    return text[:-1]


def test_check_finds_and_passes(splits: Run) -> None:
    found = splits("check", "--scan", "val", "--against", "train")
    assert (found.code, found.err) == (0, "")
    assert "leakage" in found.out and "c.npy (as b.npy of train)" in found.out
    assert "few-masks" in found.out
    assert "2 masks: not fit for training: " in found.out


def test_check_of_a_clean_set(run: Run) -> None:
    for number in range(3):
        save(f"masks/{number}.npy", blob(number))
    run("scan", "masks", "--classes", "3")
    found = run("check", "--min-masks", "3", "--fail-on", "warning")
    assert (found.code, found.out) == (0, "Scan masks\n3 masks: nothing found\n")


def test_check_document(splits: Run) -> None:
    document = splits("check", "--scan", "val", "--against", "train", "--json").json
    assert document["scan"] == "val"
    assert document["against"] == ["train"]
    assert document["images"] is False
    kinds = [finding["kind"] for finding in document["findings"]]
    assert kinds == ["leakage", "few-masks"]
    assert (document["errors"], document["warnings"], document["infos"]) == (1, 1, 0)
    leakage = document["findings"][0]
    assert leakage["files"] == ["c.npy"]
    assert leakage["details"] == [
        {"mask": "c.npy", "same_as": [{"scan": "train", "mask": "b.npy"}]}
    ]


@pytest.mark.parametrize(
    ("fail_on", "code"),
    [
        (["leakage"], 1),
        (["error"], 1),
        (["warning"], 1),
        (["lossy,few-masks"], 1),
        (["lossy", "few-masks"], 1),
        (["lossy"], 0),
        (["unreadable, stale"], 0),
    ],
)
def test_check_fail_on(splits: Run, fail_on: list[str], code: int) -> None:
    options = [part for item in fail_on for part in ("--fail-on", item)]
    found = splits("check", "--scan", "val", "--against", "train", "--json", *options)
    assert found.code == code
    assert found.json["findings"]
    if code:
        assert only_line(found.err).startswith("maskstat: --fail-on: found ")
    else:
        assert found.err == ""


def test_check_fail_on_error_leaves_warnings(splits: Run) -> None:
    assert splits("check", "--scan", "val", "--fail-on", "error").code == 0
    assert splits("check", "--scan", "val", "--fail-on", "warning").code == 1


@pytest.mark.parametrize("kind", KINDS)
def test_check_knows_every_kind(splits: Run, kind: str) -> None:
    assert splits("check", "--fail-on", kind).code in {0, 1}


def test_check_with_images(run: Run) -> None:
    save("masks/a_label.npy", blob(1))
    save("masks/b_label.npy", blob(2))
    os.mkdir("images")
    Image.new("RGB", (10, 10)).save("images/a_rgb.png")
    Image.new("RGB", (12, 10)).save("images/b_rgb.png")
    run("scan", "masks", "--classes", "3")
    suffixes = ("--image-suffix", "_rgb", "--mask-suffix", "_label")
    found = run("check", "--images", "images", *suffixes, "--fail-on", "size-mismatch")
    assert found.code == 1
    assert "b_label.npy (10×10, its image 12×10)" in found.out
    assert "found size-mismatch (1 mask)" in only_line(found.err)
    plain = run("check", "--images", "images", "--json").json
    assert plain["images"] is True
    kinds = {finding["kind"]: finding["count"] for finding in plain["findings"]}
    assert (kinds["mask-without-image"], kinds["image-without-mask"]) == (2, 2)


def test_check_reads_other_classes_without_decoding(splits: Run) -> None:
    found = splits("check", "--scan", "train", "--classes", "2", "--json").json
    assert found["findings"][0]["kind"] == "unlisted"
    assert found["findings"][0]["files"] == ["a.npy", "b.npy"]
    ignored = splits("check", "--scan", "train", "--classes", "2", "--ignore", "2", "--json").json
    assert "unlisted" not in [finding["kind"] for finding in ignored["findings"]]


def test_names_can_not_play_tricks(run: Run) -> None:
    name = "[red]\x1b[2Jx\ny"
    save(f"masks/{name}1.npy", blob(1))
    save(f"masks/{name}2.npy", blob(1))
    run("scan", "masks", "--classes", "3", "--name", "s\x1b[2J")
    found = run("check")
    assert "\x1b" not in found.out
    assert "[red]\\x1b[2Jx\\ny1.npy = " in found.out
    save("other/1.npy", blob(1))
    run("scan", "other", "--classes", "3", "--name", "o\x1b[2J")
    for arguments in (("compare", "s\x1b[2J", "o\x1b[2J"), ("sampling",)):
        shown = run(*arguments)
        assert shown.code == 0
        assert "\x1b" not in shown.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("check", "--fail-on", "lossie"), 2, "did you mean lossy?"),
        (("check", "--fail-on", ""), 2, "neither a severity nor a kind"),
        (("check", "--min-masks", "-1"), 2, "min-masks"),
        (("check", "--against", "train"), 2, "is the scan to check itself"),
        (("check", "--against", "test"), 1, "holds no scan called 'test'"),
        (("check", "--images", "nowhere"), 1, "there is no such file or folder"),
        (("check", "--images", "train"), 1, "no images found"),
        (("compare", "train"), 2, "maskstat compare train val"),
        (("compare", "train", "train"), 2, "two or more different splits"),
        (("compare", "train", "test"), 1, "holds no scan called 'test'"),
        (("compare", "train", "val", "--fail-above", "js"), 2, "is not NAME=VALUE"),
        (("compare", "train", "val", "--fail-above", "j=1"), 2, "known are js, psi"),
        (("compare", "train", "val", "--fail-above", "js=nan"), 2, "is not a number"),
        (("sampling", "--method", "magic"), 2, "known are repeat-factor"),
        (("sampling", "--param", "x"), 2, "is not NAME=VALUE"),
        (("sampling", "--param", "x=1"), 2, "has no parameter 'x'"),
        (("sampling", "-o", "w.xyz"), 2, "no format has the suffix"),
        (("sampling", "-o", "w.npy", "--layout", "dict"), 1, "can't hold the layout"),
    ],
)
def test_errors_are_one_line(
    splits: Run, arguments: tuple[str, ...], code: int, message: str
) -> None:
    found = splits(*arguments)
    assert found.code == code
    assert message in only_line(found.err)


def test_compare_shows_what_differs(splits: Run) -> None:
    found = splits("compare", "train", "val")
    assert (found.code, found.err) == (0, "")
    assert "train : val" in found.out
    assert "1 mask of val also in train, pixel for pixel: c.npy = b.npy" in found.out
    rows = [line for line in found.out.splitlines() if "class_" in line and "%" in line]
    # Of class 2, one of two masks lost everything; class 1 gained what it lost.
    assert rows[0].split()[1] == "class_2"


def test_compare_document(splits: Run) -> None:
    document = splits("compare", "train", "val", "--json").json
    assert [split["scan"] for split in document["splits"]] == ["train", "val"]
    assert document["splits"][0]["median_size"] == [10, 10]
    (pair,) = document["pairs"]
    assert pair["leakage"] == 1
    assert pair["leaked"] == [{"first": ["b.npy"], "second": ["c.npy"]}]
    shares = {row["name"]: [s["share"] for s in row["splits"]] for row in document["classes"]}
    assert shares == {
        "class_0": [0.6, 0.6],
        "class_1": [0.3, 0.35],
        "class_2": [0.1, 0.05],
    }


@pytest.mark.parametrize("metric", METRICS)
def test_compare_fail_above(splits: Run, metric: str) -> None:
    value = splits("compare", "train", "val", "--json").json["pairs"][0][metric]
    at = splits("compare", "train", "val", "--fail-above", f"{metric}={value!r}")
    assert (at.code, at.err) == (0, "")
    below = splits("compare", "train", "val", "--fail-above", f"{metric}={value - 0.01!r}")
    if value == 0:  # nothing is less different than equal
        assert (below.code, below.out) == (2, "")
        assert "'-0.01' is not a number of at least 0" in only_line(below.err)
        return
    assert below.code == 1
    assert f"maskstat: --fail-above: {metric} of train : val is" in only_line(below.err)
    assert "train : val" in below.out


def test_compare_needs_one_catalogue(splits: Run) -> None:
    splits("scan", "val", "--classes", "4")
    refused = splits("compare", "train", "val")
    assert refused.code == 1
    assert "read all under one catalogue: --classes 4" in only_line(refused.err)
    assert splits("compare", "train", "val", "--classes", "4").code == 0


def test_compare_three_splits(splits: Run) -> None:
    save("test/e.npy", blob(9))
    splits("scan", "test", "--classes", "3")
    document = splits("compare", "train", "val", "test", "--json").json
    assert len(document["pairs"]) == 3
    assert all(len(row["pairs"]) == 3 for row in document["classes"])
    assert splits("compare", "train", "val", "test").code == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("suffix", [".csv", ".json", ".npy"])
def test_sampling_writes_a_row_a_mask(splits: Run, method: str, suffix: str) -> None:
    path = f"sampling{suffix}"
    found = splits("sampling", "--scan", "val", "--method", method, "-o", path)
    assert (found.code, found.err) == (0, f"wrote {path}\n")
    assert "Effectively" in found.out or "an epoch stays as it is" in found.out
    table = load_sampling(path)
    assert len(table) == 2
    if suffix != ".npy":
        assert table.names == ("c.npy", "d.npy")
        assert table.provenance["scan"] == "val"
    assert table.weights[0] >= table.weights[1]  # the only mask with class 2


def test_sampling_document_and_methods(splits: Run) -> None:
    document = splits("sampling", "--scan", "val", "--param", "threshold=2", "--json").json
    assert document["masks"] == ["c.npy", "d.npy"]
    assert document["weights"] == pytest.approx([2, 2**0.5])
    assert document["unit"] == "repeat factor"
    listed = splits("sampling", "--methods", "--json").json
    assert [entry["method"] for entry in listed] == list(METHODS)
    assert all(name in splits("sampling", "--methods").out for name in METHODS)


def test_sampling_says_when_nothing_is_repeated(splits: Run) -> None:
    assert "raise --param threshold" in splits("sampling").out


def test_sampling_says_what_is_left_out(splits: Run) -> None:
    found = splits("sampling", "--scan", "train", "--classes", "2")
    assert "20 unlisted pixels are left out" in found.out
