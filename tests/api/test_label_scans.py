"""Scans of multi-label masks: every method of `Scan` is right for labels, or says why it is not."""

from __future__ import annotations

import csv
import inspect
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import maskstat as ms
from maskstat.api import label_scans
from maskstat.cli import run
from maskstat.errors import (
    AbsentClassError,
    CatalogError,
    FileFormatError,
    MultilabelError,
    ParameterError,
    ProfileError,
    UnlistedValuesError,
    WeightError,
)
from maskstat.render.documents.scan import scan_document
from maskstat.render.notebook import html
from maskstat.render.terminal.tables import scan_tables
from maskstat.weights.fit import class_counts, fitting_table
from maskstat.weights.schemes import SCHEMES
from maskstat.weights.table import WeightTable, load_weights
from tests.support.label_cases import Stack, npy, png, stack_of, write
from tests.support.loops import at_least_one

STACKS = [stack_of(k, shape=(9 + k, 11)) for k in range(12)]
STACKS[3][...] = 0  # no label at all
STACKS[5][..., 0] = 1  # one everywhere


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    write(folder / "masks", STACKS)
    write(folder / "more", STACKS[:4])
    (folder / "plain").mkdir()
    (folder / "plain" / "a.npy").write_bytes(npy(np.zeros((3, 4), np.uint8), folder))
    for name, channels in (("more", "multilabel"), ("plain", None), ("masks", "multilabel")):
        ms.scan(folder / name, channels=channels, db=folder / "m.db").close()  # type: ignore[arg-type]
    return folder / "m.db"


@pytest.fixture
def scan(store: Path) -> Iterator[ms.Scan]:
    with ms.open_scan(store, "masks") as opened:
        yield opened


RIGHT: dict[str, Callable[[ms.Scan], object]] = {
    "weights": lambda scan: scan.weights(),
    "check": lambda scan: scan.check(),
    "under": lambda scan: scan.under(3),
    "grouped": lambda scan: scan.grouped("mask"),
    "export": lambda scan: scan.export(io.BytesIO(), format="csv"),
    "tables": lambda scan: list(scan.tables()),
    "entries": lambda scan: list(scan.entries()),
    "close": lambda scan: None,
    "of": lambda scan: ms.Scan.of(scan),
}
"""What gives numbers of labels, which the tests below compare."""

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "compare": ("more",),
    "certify": ({"a": ["mask_1.npy"]},),
    "decide": ("predictions",),
    "plot": ("classes",),
}


def test_every_method_is_right_or_refused(scan: ms.Scan) -> None:
    methods = {
        name
        for name, _ in inspect.getmembers(ms.Scan, callable)
        if not name.startswith("_") and name != "need_profile"
    }
    assert methods == {*RIGHT, *label_scans.REFUSED}
    for name in at_least_one(RIGHT):
        RIGHT[name](scan)
    for name, (why, instead) in at_least_one(label_scans.REFUSED.items()):
        with pytest.raises(MultilabelError) as raised:
            getattr(scan, name)(*ARGUMENTS.get(name, ()))
        assert raised.value.where == "masks"
        assert raised.value.problem == f"its masks are multi-label, and {why}"
        assert raised.value.remedy == instead
    with pytest.raises(ProfileError, match="multi-label"):
        scan.need_profile()


def test_what_is_refused_is_right_for_classes(store: Path) -> None:
    with ms.open_scan(store, "plain") as plain:
        assert plain.costs().plain is not None
        for refused in (
            lambda: plain.check(against="masks"),
            lambda: plain.compare("masks"),
            lambda: plain.split("masks"),
            lambda: plain.report(against="masks"),
            lambda: plain.plot("compare", others="masks"),
        ):
            with pytest.raises(MultilabelError, match="those of plain have one class a pixel"):
                refused()


COMMANDS: dict[str, str | None] = {
    "scan": None,
    "show": None,
    "weights": None,
    "check": None,
    "export -o table.csv": None,
    "merge": None,
    "scans": None,
    "schemes": None,
    "presets": None,
    "plugins": None,
    "costs": "costs",
    "exposure --crop 4": "exposure",
    "weights --crop 4": "exposure",
    "show --measure volume": "by_volume",
    "weights --compare": "all_weights",
    "sampling": "sampling",
    "class-index": "class_index",
    "compare masks more": "compare",
    "split": "split",
    "split --certify masks.txt": "certify",
    "recommend": "recommend",
    "decide predictions --group-by mask": "decide",
    "plot classes -o a.png": "plot",
    "report -o a.html": "report",
}
"""Every command: None where it is right for labels, else the method that refuses."""


def test_every_command_is_right_or_refused(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from maskstat.cli import COMMANDS as NAMES

    names = set(NAMES)
    assert {line.split()[0] for line in COMMANDS} == names
    assert {method for method in COMMANDS.values() if method} == {
        *label_scans.REFUSED,
    } - {"approximate_exposure"}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "masks.txt").write_text("mask_1.npy\n")
    source = str(store.parent / "masks")
    arguments = {
        "scan": [source, "--channels", "multilabel", "--db", "x.db"],
        "merge": [str(store), "--scan", "masks", "-o", "y.db"],
        "scans": ["--db", str(store)],
        "schemes": [],
        "presets": [],
        "plugins": [],
        "compare": ["--db", str(store)],
        "split": ["--db", str(store), "--scan", "masks", "-o", "parts"],
    }
    for line, method in at_least_one(COMMANDS.items()):
        command, *rest = line.split()
        more = arguments.get(command, ["--db", str(store), "--scan", "masks"])
        if "--certify" in rest:
            more = more[:-2]
        code = run([command, *rest, *more])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        assert "nan" not in said.out.lower().replace("name", "")
        if method is None:
            assert code == 0, (line, said.err)
        else:
            assert code == 1, (line, said.out, said.err)
            assert "its masks are multi-label, and" in said.err
            assert len(said.err.strip().splitlines()) == 1
    assert not list(tmp_path.glob("a.*"))


def test_the_document_has_no_number_of_a_whole(scan: ms.Scan) -> None:
    document = scan_document(scan)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["catalog"]["multilabel"] is True
    assert set(document["imbalance"].values()) == {None}
    assert document["channels"] == [3, 3]
    for row in at_least_one(document["classes"]):
        assert row["pixels"] + row["negatives"] == document["labelled_pixels"]
    console = Console(width=120, file=io.StringIO())
    console.print(scan_tables(document))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "label" in shown
    assert "negatives" in shown
    assert "imbalance" not in shown
    assert "equal classes" not in shown
    for value in at_least_one([scan, scan.histogram, scan.weights()]):
        assert "label" in str(html(value))


def test_files_of_rare_class_sampling_are_of_classes(scan: ms.Scan, tmp_path: Path) -> None:
    with pytest.raises(MultilabelError, match="rare class sampling"):
        scan.export(tmp_path / "daformer", format="daformer")
    assert not (tmp_path / "daformer").exists()


def test_the_table_of_masks(scan: ms.Scan, tmp_path: Path) -> None:
    under = scan.under([f"l{k}" for k in range(2)], ignore=2)
    under.export(tmp_path / "table.csv")
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert len(rows) == len(STACKS)
    for row in at_least_one(rows):
        stack = STACKS[int(row["mask"].removeprefix("mask_").removesuffix(".npy"))].astype(bool)
        counts = ~stack[..., 2]
        assert int(row["pixels"]) == counts.size
        assert int(row["ignored"]) == stack[..., 2].sum()
        assert int(row["unlisted"]) == 0
        assert [int(row["l0"]), int(row["l1"])] == [
            int((stack[..., k] & counts).sum()) for k in range(2)
        ]


# --- weights ------------------------------------------------------------------------------------


def two_classes(k: int, stacks: list[Stack] = STACKS) -> ms.Scan:
    """The masks of one label by itself: classes 0 and 1."""
    return ms.count([stack[..., k] for stack in stacks], classes=2)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_pos_weight_is_the_ratio_of_two_classes(scan: ms.Scan, scheme: str) -> None:
    """Of masks of one label by itself, which is another way through all of it."""
    table = scan.weights(scheme)
    assert table.negatives is not None
    assert table.reduction == "linear"
    for k in range(3):
        alone = two_classes(k).weights(scheme)
        assert table.weights[k] == pytest.approx(alone.weights[1] / alone.weights[0], rel=1e-12)
        assert table.pixels[k] == alone.pixels[1]
        assert table.negatives[k] == alone.pixels[0]


def test_equal_cost_is_negatives_over_positives(scan: ms.Scan) -> None:
    """Always yes then costs what always no costs, of each label."""
    table = scan.weights()
    histogram = scan.histogram
    np.testing.assert_allclose(table.weights, histogram.negatives / histogram.pixels, rtol=1e-14)
    np.testing.assert_allclose(table.mass, 0.5, rtol=1e-14)
    named = scan.under(["a", "b", "c"]).weights()
    assert named.weights.tolist() == table.weights.tolist()
    assert named.names == ("a", "b", "c")
    assert not named.absent
    sure = 1 - 1e-7
    yes = -histogram.negatives * np.log(1 - sure)
    no = -table.weights * histogram.pixels * np.log(1 - sure)
    np.testing.assert_allclose(yes, no, rtol=1e-12)


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".csv"])
def test_files_say_what_they_are(scan: ms.Scan, suffix: str, tmp_path: Path) -> None:
    table = scan.weights("sqrt", clip=(0.5, 20))
    path = table.save(tmp_path / f"weights{suffix}")
    again = load_weights(path)
    assert again.weights.tolist() == table.weights.tolist()
    assert again.negatives is not None
    assert again.negatives.tolist() == scan.histogram.negatives.tolist()
    assert again.to_document().metadata["meaning"] == "pos_weight"
    assert again.to_document().metadata["schema"] == 2
    for refused in (
        lambda: fitting_table(path, reduction="weighted-mean"),
        lambda: class_counts(path),
        lambda: two_classes(0).costs(path),
    ):
        with pytest.raises(MultilabelError, match="BinaryCrossEntropy and BinaryFocal"):
            refused()
    with pytest.raises((FileFormatError, ParameterError), match="of labels, with negatives"):
        ms.from_counts(path)
    text = path.read_text()
    path.write_text(text.replace("pos_weight", "neg_weight", 1))
    with pytest.raises(FileFormatError, match="negatives and no pos_weight"):
        load_weights(path)
    with pytest.raises(MultilabelError, match="index -> weight"):
        table.save(tmp_path / f"other{suffix}", "dict")
    plain = load_weights(table.save(tmp_path / f"list{suffix}", "list"))
    assert plain.weights.tolist() == table.weights.tolist()


def test_counts_of_labels_are_no_counts_of_classes(scan: ms.Scan) -> None:
    for given in (scan_document(scan), scan.histogram.to_pandas(), scan.weights().to_pandas()):
        with pytest.raises(ParameterError, match="of labels, with negatives"):
            ms.from_counts(given)


def one_sided(**options: Any) -> ms.Scan:
    stack = stack_of(0, 4)
    stack[..., 1], stack[..., 2] = 0, 1
    return ms.count(stack, channels="multilabel", **options)


def test_labels_of_one_side_are_absent() -> None:
    scan = one_sided()
    assert scan.histogram.negatives[2] == 0
    for policy, weight in (("one", 1.0), ("zero", 0.0), (None, 1.0)):
        table = scan.weights(absent=policy)  # type: ignore[arg-type]
        assert table.weights[[1, 2]].tolist() == [weight, weight]
        assert table.absent["classes"] == ["class_1", "class_2"]
    most = scan.weights(absent="max")
    assert most.weights[1] == most.weights.max() == max(most.weights[[0, 3]])
    assert scan.weights(absent="zero", clip=(0.5, 2)).weights[1] == 0
    named = scan.under(["a", "b", "c", "d"])
    with pytest.raises(AbsentClassError, match=r"2 labels of 4 .*: b, c"):
        named.weights()
    with pytest.raises(WeightError, match="nothing to weigh"):
        ms.count(np.zeros((2, 3, 2), np.uint8), channels="multilabel").weights()


@pytest.mark.parametrize(
    "asked",
    [
        {"average": "batch"},
        {"batch_size": 4},
        {"drop_last": True},
        {"seed": 1},
        {"cost_matrix": np.ones((3, 3))},
        {"best_effort": True},
        {"max_ratio": 10.0},
        {"normalize": "max"},
    ],
)
def test_options_of_a_softmax(scan: ms.Scan, asked: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        scan.weights(**asked)


def test_channels_nobody_explained_stop_weights(scan: ms.Scan) -> None:
    two = scan.under(2)
    with pytest.raises(UnlistedValuesError, match="channels are numbered from 0") as raised:
        two.weights()
    assert "reduce_zero_label" not in str(raised.value)
    table = two.weights(unlisted="ignore")
    histogram = scan.under(2, ignore=2).histogram
    np.testing.assert_allclose(table.weights, histogram.negatives / histogram.pixels, rtol=1e-14)


def test_a_mask_that_lacks_a_channel_is_no_negative() -> None:
    """Of a label that a mask has no channel for nobody knows."""
    for stacks, classes in (
        ([stack_of(0, 3), stack_of(1, 4)], None),
        ([stack_of(0, 3), stack_of(1, 3)], 5),
    ):
        scan = ms.count(stacks, channels="multilabel", classes=classes)
        with pytest.raises(MultilabelError, match="Masks have 3"):
            scan.weights()
        assert "lacking-channel" in {finding.kind for finding in scan.check()}
        fewer = ms.count(stacks, channels="multilabel", classes=3)
        assert "lacking-channel" not in {finding.kind for finding in fewer.check()}


def test_what_check_finds(scan: ms.Scan) -> None:
    found = {finding.kind: finding for finding in scan.check()}
    assert found["no-label"].files == ("mask_3.npy",)
    assert not found.keys() & {"anti-aliased", "outlier", "single-class", "absent-class"}
    sides = {finding.kind: finding for finding in one_sided().check()}
    assert [detail["class"] for detail in sides["absent-class"].details] == ["class_1"]
    assert [detail["class"] for detail in sides["label-everywhere"].details] == ["class_2"]
    few = {finding.kind: finding for finding in scan.check(min_masks=13)}
    masks = scan.histogram.masks.tolist()
    assert [detail["masks"] for detail in few["few-masks"].details] == masks


def test_labels_are_no_classes_of_pixels(scan: ms.Scan) -> None:
    """Whatever asks for the class of a value stops, also where nobody thought of labels."""
    with pytest.raises(CatalogError, match="any number of labels"):
        scan.catalog.targets(next(scan.tables()))
    assert isinstance(scan.weights(), WeightTable)


def test_a_colour_image_is_a_stack_of_three(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(STACKS[0], tmp_path))
    with ms.scan(tmp_path, channels="multilabel", classes=["r", "g", "b"]) as scan:
        assert scan.histogram.pixels.tolist() == STACKS[0].sum((0, 1)).tolist()
