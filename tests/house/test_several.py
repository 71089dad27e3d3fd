"""A text is never taken for a sequence of characters: one thing alone means a list of it.

No type checker helps, since a `str` is an `Iterable[str]`. So every parameter of the library that
takes several texts or paths is found in the signatures; it must say that one alone will do, and
have a case here that shows it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import maskstat as ms
from maskstat.api.given_counts import from_counts
from maskstat.errors import CatalogError
from maskstat.parameters import several
from maskstat.render.documents.weighing import scheme_weights
from maskstat.render.plots import costs as costs_plot
from maskstat.render.plots import weights as weights_plot
from maskstat.sampling.compute import sample
from maskstat.scanning import merging
from maskstat.scanning.class_options import parse_ignored
from maskstat.scanning.listing import splits_of
from maskstat.scanning.request import ScanRequest
from maskstat.sources.base import Selection
from maskstat.statistics.findings import chosen_kinds
from maskstat.training.metrics import ConfusionMatrix
from maskstat.values.catalog_files import load_catalog
from maskstat.weights.equal_cost import linear, weight_normalised
from tests.support.paths import ROOT

PACKAGE = ROOT / "maskstat"
# Rooms that users do not call: what they get are lists that other rooms make.
INNER = {"cli", "executors", "files", "kernels", "readers", "sources", "store"}
# Functions of the other rooms that only maskstat calls, with lists and tuples that it makes.
OWN_LISTS = {
    "advice.snippets.weights_in_code": "names of a catalogue",
    "crops.class_index.ClassIndex": "names of masks that are indexed",
    "crops.class_index.ClassIndex.of_labels": "a name a mask",
    "exposure.joining.CropNames": "names of the masks of an exposure",
    "decision.decision_report.report_of": "names that `Decision` made a tuple of",
    "decision.decision_words.classes_of": "names of a report",
    "decision.prediction_files.paired": "names of a ledger",
    "naming.did_you_mean": "words of a table",
    "parameters.assignments": "repeated options of the command line",
    "render.plots.matrix.matrix_figure": "names of a catalogue",
    "render.plots.weights.scheme_series": "groups of schemes",
    "render.report.previews.draw": "colours of a catalogue",
    "render.report.calls.compare_call": "names of scans",
    "render.report.wording.scheme_label": "names of a group of schemes",
    "render.terminal.cost_tables.equal_cost_notes": "names of a catalogue",
    "render.terminal.failures.by_kind": "names and reasons of a scan",
    "render.terminal.failures.failure_lines": "names and reasons of a scan",
    "render.terminal.tables.class_columns": "names of a catalogue",
    "sampling.matching.match_names": "names that `sampler` made a list of",
    "scanning.duplicates.entries_of": "names of a scan",
    "scanning.duplicates.find_duplicates": "a function of names",
    "scanning.kept_rows.RowMaker.of_masks": "names of a scan",
    "scanning.kept_rows.RowMaker.without": "a file's mark",
    "scanning.labelling.label_maps": "names of a ledger",
    "scanning.measuring.Consumer.of_masks": "names of a scan",
    "scanning.measuring.Measurer.of_masks": "names of a scan",
    "scanning.measuring.Profiler.of_masks": "names of a scan",
    "scanning.per_class.are_numbered": "ends of names",
    "scanning.per_class.layout_of": "names of a listing",
    "scanning.sequences.suggested_groups": "names of a ledger",
    "splits.wanted_parts.NamesOfMasks": "names of a ledger",
    "splits.wanted_parts.NamesOfMasks.positions": "lines of a list",
    "splits.certificate.certified": "names of parts and of a catalogue",
    "splits.compute.certify_split": "names of parts and of a catalogue",
    "splits.compute.split_masks": "names of a catalogue",
    "statistics.comparison.compare_splits": "pairs",
    "statistics.findings.of_files": "names of findings",
    "statistics.quality.pair_by_stem": "names of masks and images",
    "values.groups.GroupRule.groups": "names of a ledger",
    "values.groups.GroupRule.of_all": "names of a ledger",
    "values.groups.MaskGroups.of_labels": "a label a mask",
    "values.groups.no_column": "columns of a table",
    "values.ledger.is_in_natural_order": "names of a ledger",
    "values.readings.begin_at_one": "values of a histogram",
    "values.readings.readings_of_unlisted": "values of a histogram",
    "weights.equal_cost_shares.class_name": "names that `linear` made a tuple of",
    "weights.equal_cost_shares.equal_cost_shares": "names that `linear` made a tuple of",
    "weights.equal_cost_shares.listed": "names that `linear` made a tuple of",
    "torch.data.rows_of_items": "names of a table or an index",
}
_ITEM = r"(?:[\s|,]|\bint\b|\bstr\b|\bPath\b|\bScan\b|os\.PathLike\[str\]|\.\.\.)*"
SEVERAL = re.compile(
    rf"\b(?:Sequence|Iterable|Collection|Set|list|tuple|set|frozenset)\[({_ITEM})\]"
)


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    """(dotted name, function) of every public function and method of a module."""
    module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for node in ast.parse(path.read_text("utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{module}.{node.name}" if isinstance(node, ast.ClassDef) else module
        if isinstance(node, ast.ClassDef) and node.name.startswith("_"):
            continue
        for entry in inner:
            if isinstance(entry, ast.FunctionDef):
                if entry.name == "__init__":
                    yield prefix, entry
                elif not entry.name.startswith("_"):
                    yield f"{prefix}.{entry.name}", entry


def several_texts() -> dict[tuple[str, str], str]:
    """(function, parameter) -> annotation, of all that take several texts or paths."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] in INNER:
            continue
        for name, function in functions(path):
            arguments = function.args
            for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                text = "" if one.annotation is None else ast.unparse(one.annotation)
                match = SEVERAL.search(text)
                if match and re.search(r"\bstr\b|Path", match[1]):
                    found[name, one.arg] = text
    return found


FOUND = several_texts()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Masks in two folders, their scan in a store, another scan, in the folder of work."""
    monkeypatch.chdir(tmp_path)
    for at, name in enumerate(("train/a", "train/s", "val/b", "val/t")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / f"{name}.npy", np.array([[0, 1, 1], [9, 9, at % 2]], np.uint8))
    scan = ms.scan("train", classes=2, ignore=9, db="a.db", name="t")
    ms.scan("val", classes=2, ignore=9, db="a.db", name="v").close()
    return SimpleNamespace(scan=ms.open_scan("a.db", "t"), first=scan)


def merged(stores: Any, merge: Callable[..., Any] = ms.merge, **options: Any) -> object:
    with merge(stores, "new.db", force=True, **options) as result:
        return result.name, result.ledger.names


def counted(**options: Any) -> object:
    with ms.scan(".", classes=2, **{"ignore": 9, **options}) as scan:
        return scan.ledger.names, scan.histogram.ignored, scan.histogram.unlisted


def plotted(drawing: Any) -> object:
    return drawing.description


def torch_names(names: Any) -> object:
    data = pytest.importorskip("maskstat.torch.data", reason="needs torch")
    table = sample(one_mask(), ("x", "y"))
    return list(data.sampler(table, [0], names=names))


def torch_crop_names(names: Any) -> object:
    crops = pytest.importorskip("maskstat.torch.crops", reason="needs torch")
    index = ms.ClassIndex.of_labels(["m"], [np.array([[0, 1]])], 2)
    return list(crops.crop_sampler(index, [0], 1, names=names))


def refusal(make: Callable[[], object]) -> str:
    with pytest.raises(ms.MaskstatError) as raised:
        make()
    return str(raised.value)


def decided(**options: Any) -> object:
    """Of a batch of one image: a group or a name for each, or one alone."""
    decision = ms.Decision(2)
    alone = isinstance(options.get("group", "a"), str)
    scores, labels = np.eye(2)[:, [0, 1, 1]], np.array([0, 1, 1])
    batch = (scores, labels) if alone else (scores[None], labels[None])
    decision.update(*batch, **{"group": "a", **options})
    return decision.report().to_document()


def one_mask() -> ms.MaskLedger:
    return ms.count([np.array([[0, 1]], np.uint8)], classes=2, names="m").ledger


def scan_of(counter: ms.MaskCounter) -> object:
    return counter.scan().ledger.names, counter.scan().histogram.ignored


def updated(names: Any) -> object:
    counter = ms.MaskCounter(2)
    counter.update([np.array([[0, 1]], np.uint8)], names=names)
    return scan_of(counter)


def ignoring(ignore: Any) -> object:
    counter = ms.MaskCounter(2, ignore=ignore)
    counter.update([np.array([[0, 12]], np.uint8)])
    return scan_of(counter)


def of_all(scans: dict[str | None, ms.Scan] | Any) -> object:
    """Names and what is ignored of each of several scans."""
    each = scans.items() if hasattr(scans, "items") else enumerate(scans)
    return [(name, s.ledger.names, s.histogram.ignored) for name, s in each if hasattr(s, "ledger")]


def request(value: Any, parameter: str) -> object:
    asked = ScanRequest.of(".", **{"classes": 2, parameter: value})
    return asked.catalog.ignored_values, [entry.name for entry in asked.source.entries()]


CASES: dict[tuple[str, str], tuple[object, Callable[[Any, Any], object]]] = {
    ("api.check.Check.failing", "fail_on"): (
        "warning",
        lambda v, w: [f.kind for f in w.scan.check().failing(v)],
    ),
    ("api.counting.MaskCounter", "ignore"): ("12", lambda v, w: ignoring(v)),
    ("api.counting.MaskCounter.update", "names"): ("mask", lambda v, w: updated(v)),
    ("api.counting.count", "ignore"): (
        "12",
        lambda v, w: ms.count([np.array([[12]])], classes=2, ignore=v).histogram.ignored,
    ),
    ("api.counting.count", "names"): (
        "mask",
        lambda v, w: ms.count([np.array([[1]])], classes=2, names=v).ledger.names,
    ),
    ("api.given_counts.GivenScan.under", "ignore"): (
        "12",
        lambda v, w: from_counts([5] * 13).under(ignore=v).histogram.pixels.tolist(),
    ),
    ("api.making.open_scan", "ignore"): (
        "10",
        lambda v, w: ms.open_scan("a.db", "t", ignore=v).catalog.ignored_values,
    ),
    ("api.making.scan", "ignore"): ("9", lambda v, w: counted(ignore=v)),
    ("api.making.scan", "include"): ("train/*", lambda v, w: counted(include=v)),
    ("api.making.scan", "exclude"): ("train/*", lambda v, w: counted(exclude=v)),
    ("api.merging.merge", "stores"): ("a.db", lambda v, w: merged(v)),
    ("api.merging.merge", "scans"): ("t", lambda v, w: merged("a.db", scans=v)),
    ("api.watching.watch", "ignore"): (
        "12",
        lambda v, w: ms.watch([], classes=2, ignore=v).catalog.ignored_values,
    ),
    ("api.scan.Scan.check", "against"): (
        "v",
        lambda v, w: [f.to_dict() for f in w.scan.check(against=v).findings],
    ),
    ("api.scan.Scan.compare", "ignore"): (
        "10",
        lambda v, w: w.scan.compare("v", ignore=v).splits[0].histogram.catalog.ignored_values,
    ),
    ("api.scan.Scan.plot", "others"): (
        "v",
        lambda v, w: plotted(w.scan.plot("compare", others=v)),
    ),
    ("api.scan.Scan.plot", "schemes"): (
        "sqrt",
        lambda v, w: plotted(w.scan.plot("weights", schemes=v)),
    ),
    ("render.documents.weighing.scheme_weights", "schemes"): (
        "sqrt",
        lambda v, w: list(scheme_weights(w.scan.histogram, v)),
    ),
    ("render.plots.costs.draw", "schemes"): (
        "sqrt",
        lambda v, w: plotted(costs_plot.draw(w.scan, schemes=v)),
    ),
    ("render.plots.weights.draw", "schemes"): (
        "sqrt",
        lambda v, w: plotted(weights_plot.draw(w.scan, schemes=v)),
    ),
    ("sampling.compute.sample", "classes"): (
        "road",
        lambda v, w: sample(ms.count([np.zeros((1, 1), int)], classes=1).ledger, v).mix,
    ),
    ("decision.decisions.Decision", "classes"): (
        "road",
        lambda v, w: refusal(lambda: ms.Decision(v)),
    ),
    ("decision.decisions.Decision.update", "group"): ("a", lambda v, w: decided(group=v)),
    ("decision.decisions.Decision.update", "name"): ("a", lambda v, w: decided(name=v)),
    ("scanning.listing.splits_of", "include"): ("train/*", lambda v, w: splits_of(".", include=v)),
    ("scanning.listing.splits_of", "exclude"): ("train/*", lambda v, w: splits_of(".", exclude=v)),
    ("scanning.merging.merge", "stores"): ("a.db", lambda v, w: merged(v, merging.merge)),
    ("scanning.merging.merge", "scans"): (
        "t",
        lambda v, w: merged("a.db", merging.merge, scans=v),
    ),
    ("scanning.request.ScanRequest.of", "ignore"): ("12", lambda v, w: request(v, "ignore")),
    ("scanning.request.ScanRequest.of", "include"): (
        "train/*",
        lambda v, w: request(v, "include"),
    ),
    ("scanning.request.ScanRequest.of", "exclude"): (
        "train/*",
        lambda v, w: request(v, "exclude"),
    ),
    ("scanning.stored_scan.StoredScan.under", "ignore"): (
        "12",
        lambda v, w: w.scan.under(ignore=v).catalog.ignored_values,
    ),
    ("scanning.class_options.parse_ignored", "ignore"): ("12", lambda v, w: parse_ignored(v)),
    ("statistics.findings.chosen_kinds", "words"): ("warning", lambda v, w: chosen_kinds(v)),
    ("torch.crops.crop_sampler", "names"): (
        Path("images") / "m.jpg",
        lambda v, w: torch_crop_names(v),
    ),
    ("torch.data.sampler", "names"): (Path("images") / "m.jpg", lambda v, w: torch_names(v)),
    ("training.metrics.ConfusionMatrix.to_pandas", "classes"): (
        "road",
        lambda v, w: list(pandas(ConfusionMatrix(np.array([[3]])).to_pandas, v)),
    ),
    ("training.metrics.ConfusionMatrix.to_dict", "names"): (
        "road",
        lambda v, w: ConfusionMatrix(np.array([[3]])).to_dict(v)["classes"],
    ),
    ("values.ledger.MaskLedger.to_pandas", "classes"): (
        "road",
        lambda v, w: list(pandas(ms.count([np.zeros((1, 1), int)], classes=1).ledger.to_pandas, v)),
    ),
    ("weights.equal_cost.linear", "names"): (
        "road",
        lambda v, w: linear(np.array([5]), names=v).tolist(),
    ),
    ("weights.equal_cost.weight_normalised", "names"): (
        "road",
        lambda v, w: weight_normalised(
            ms.count([np.zeros((1, 1), int)], classes=1).ledger, 1, names=v
        ).weights.tolist(),
    ),
    ("api.making.scan_splits", "ignore"): (
        "9",
        lambda v, w: of_all(splits(ignore=v)),
    ),
    ("api.making.scan_splits", "include"): ("*/a.npy", lambda v, w: of_all(splits(include=v))),
    ("api.making.scan_splits", "exclude"): ("*/a.npy", lambda v, w: of_all(splits(exclude=v))),
}
# A list is K names there, and a text alone is a number, a file or a preset: see the tests below.
NAMES = {("values.catalog_files.load_catalog", "classes")}


def pandas(method: Callable[[Any], Any], classes: Any) -> Any:
    pytest.importorskip("pandas", reason="needs pandas")
    return method(classes)


def splits(**options: Any) -> Any:
    from maskstat.api.making import scan_splits

    return scan_splits(".", classes=2, **options)


def test_every_parameter_of_several_texts_says_that_one_alone_will_do() -> None:
    assert len(FOUND) > 30
    silent = {
        key: text
        for key, text in FOUND.items()
        if key[0] not in OWN_LISTS
        and key not in NAMES
        and not re.search(
            r"(^|\| )(str|str \| Path|str \| os\.PathLike\[str\]) \| Iterable\[", text
        )
    }
    assert silent == {}
    assert {name for name, _ in FOUND} >= OWN_LISTS.keys() - {"scanning.duplicates.find_duplicates"}
    assert all(OWN_LISTS.values())


def test_every_one_of_them_has_its_case() -> None:
    wanted = {key for key in FOUND if key[0] not in OWN_LISTS} - NAMES
    assert wanted - CASES.keys() == set(), "a new parameter: give it a case"
    assert CASES.keys() - wanted == set(), "cases of nothing"


@pytest.mark.parametrize(("key", "case"), CASES.items(), ids=[".".join(key) for key in CASES])
def test_one_alone_is_a_list_of_one(
    key: tuple[str, str],
    case: tuple[object, Callable[[Any, Any], object]],
    world: SimpleNamespace,
) -> None:
    one, of = case
    alone, listed, tupled = of(one, world), of([one], world), of((one,), world)
    assert alone == listed == tupled


@pytest.mark.parametrize("one", ["ab", "", b"ab", Path("ab"), 12, None])
def test_several(one: object) -> None:
    assert several(one) == several([one]) == several(iter([one])) == (one,)
    assert several(()) == ()


def test_patterns_of_a_selection() -> None:
    assert Selection(include="ab").include == ("ab",)  # type: ignore[arg-type]
    assert Selection(exclude="ab").exclude == ("ab",)  # type: ignore[arg-type]


def test_one_pattern_counts_what_it_matches() -> None:
    """Characters of "street/*" as patterns would match every name: one of them is "*"."""
    masks = ROOT / "sample_masks"
    folder = next(path.name for path in sorted(masks.iterdir()) if path.is_dir())
    with ms.scan(masks, include=f"{folder}/*") as some, ms.scan(masks) as every:
        assert {name.split("/")[0] for name in some.ledger.names} == {folder}
        assert 0 < len(some.ledger) < len(every.ledger)


@pytest.mark.parametrize("several_names", [["road", "sky"], ("road", "sky"), iter(["road", "sky"])])
def test_classes_by_their_names_alone(several_names: Any, tmp_path: Path) -> None:
    catalog = load_catalog(several_names)
    assert catalog.names == ("road", "sky")
    assert [info.values for info in catalog.classes] == [(0,), (1,)]
    assert catalog.origin == "file"


def test_names_alone_work_wherever_classes_do(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.array([[0, 1, 1]], np.uint8))
    names = ["road", "sky"]
    with ms.scan(tmp_path, classes=names) as scan:
        assert scan.catalog.names == ("road", "sky")
        assert scan.under(["a", "b", "c"]).catalog.names == ("a", "b", "c")
    assert ms.count([np.array([[1]])], classes=names).catalog.names == ("road", "sky")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "not 0"),
        (["road", "road"], "two classes are called 'road'"),
        (["road", ""], "names, not ''"),
        (["road", 3], "names, not 3"),
        ([7, 8], "names, not 7"),
        ([None], "names, not None"),
        ([{"name": "road"}], "names, not a dict"),
    ],
)
def test_lists_that_are_no_names(names: Any, said: str) -> None:
    with pytest.raises(CatalogError) as caught:
        load_catalog(names)
    assert said in str(caught.value)
    assert caught.value.parameter == "classes"


def test_a_text_alone_is_no_list_of_names() -> None:
    assert load_catalog("3").names == load_catalog(3).names
    with pytest.raises(CatalogError, match="neither a number, a file nor a preset"):
        load_catalog("ab")
