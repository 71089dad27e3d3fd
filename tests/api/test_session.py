"""What a library user types, as the documents promise it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import maskstat as ms
from maskstat.errors import StoreError
from tests.support.paths import SAMPLES

CATALOG = SAMPLES / "classes.yaml"


@pytest.fixture(scope="module")
def scan() -> ms.Scan:
    return ms.scan(SAMPLES, classes=31)


def test_classes_are_a_number_names_or_a_catalogue(scan: ms.Scan) -> None:
    pixels = scan.histogram.pixels.tolist()
    assert len(pixels) == 31
    assert ms.scan(str(SAMPLES), classes=CATALOG).histogram.pixels.tolist() == pixels
    names = [f"thing {number}" for number in range(31)]
    named = ms.scan(SAMPLES, classes=names)
    assert named.catalog.names == tuple(names)
    assert named.histogram.pixels.tolist() == pixels
    assert named.catalog.digest == scan.under(tuple(names)).catalog.digest


def test_weights_are_a_mapping_and_an_array(scan: ms.Scan) -> None:
    weights = scan.weights("sqrt", normalize="pixel")
    assert isinstance(weights, Mapping)
    assert list(weights) == list(scan.catalog.names)
    assert len(weights) == 31
    assert weights["class_3"] == weights.weights[3]
    assert dict(weights) == dict(zip(scan.catalog.names, weights.weights.tolist(), strict=True))
    assert "class_31" not in weights
    with pytest.raises(KeyError, match="class_31"):
        weights["class_31"]
    array = np.asarray(weights)
    assert array.dtype == np.float64
    assert array.tolist() == list(weights.values())
    assert np.asarray(weights, np.float32).dtype == np.float32
    assert np.array(weights).flags.writeable
    assert float(scan.histogram.frequency @ array) == pytest.approx(1)
    assert weights == weights
    assert weights != scan.weights("sqrt", normalize="pixel")
    assert len({weights, weights}) == 1


def test_equal_cost_has_one_entry_for_both_averages(scan: ms.Scan) -> None:
    linear = scan.weights("equal-cost")
    assert linear.solution is None
    assert linear.reduction == "linear"
    assert scan.weights(average="pixel").weights.tolist() == linear.weights.tolist()
    weights = scan.weights("equal-cost", average="batch", batch_size=8)
    assert weights.reduction == "weight-normalised"
    assert weights.solution is not None
    assert weights.solution.batch_size == 8
    assert weights.solution.relative_spread < 1e-9
    assert (weights.solution.relaxations != ()) == weights.solution.is_near_border
    effort = scan.weights(average="batch", batch_size=8, best_effort=True, max_ratio=50)
    assert effort.solution is not None
    assert effort.weights.max() / effort.weights.min() <= 50 * (1 + 1e-9)


def test_costs(scan: ms.Scan, tmp_path: Path) -> None:
    costs = scan.costs()
    assert costs.label == "equal-cost"
    assert costs.weighted.relative_spread == pytest.approx(0, abs=1e-9)
    assert costs.plain.relative_spread > 0.1
    table = scan.weights("enet")
    by_name = scan.costs(scheme="enet")
    table.save(tmp_path / "enet.json")
    for given in (table, table.weights * 7, table.weights.tolist(), tmp_path / "enet.json"):
        assert scan.costs(given).weighted.costs == pytest.approx(by_name.weighted.costs)
    assert [scan.costs(given).label for given in (table, tmp_path / "enet.json", [1.0] * 31)] == [
        "enet",
        "enet.json",
        "weights",
    ]
    batches = scan.costs(average="batch", batch_size=8, predictor_confidence=0.9)
    assert batches.average == "batch"
    assert batches.weighted.epsilon == pytest.approx(0.1)
    drawing = costs.plot(tmp_path / "costs.svg")
    assert (tmp_path / "costs.svg").read_text("utf-8").startswith("<?xml")
    assert "equal-cost" in drawing.description
    with pytest.raises(ValueError, match="choose one of weights and scheme"):
        scan.costs(table, scheme="enet")
    with pytest.raises(ms.MaskstatError, match="holds 3 weights, but the scan has 31 classes"):
        scan.costs([1, 2, 3])


def test_check_and_compare(scan: ms.Scan, tmp_path: Path) -> None:
    found = scan.check(min_masks=3)
    assert len(found) == len(found.findings) > 0
    assert [finding.kind for finding in found] == [finding.kind for finding in found.findings]
    errors = found.failing(["error"])
    assert [one for one in found.failing("warning") if one.severity == "error"] == list(errors)
    with pytest.raises(ValueError, match=r"^fail_on: 'lossie' is neither .* did you mean lossy"):
        found.failing("lossie")
    street, park = (
        ms.scan(SAMPLES / name, classes=31, name=name, db=tmp_path / "s.db")
        for name in ("street", "park")
    )
    comparison = street.compare(park)
    (pair,) = comparison.pairs
    assert comparison.above({"js": pair.js_distance}) == ()
    (excess,) = comparison.above({"js": 0, "leakage": 100})
    assert (excess.metric, excess.value) == ("js", pair.js_distance)
    with pytest.raises(ValueError, match=r"^fail_above: .*'jsd'; did you mean js"):
        comparison.above({"jsd": 0})
    assert street.compare("park", classes=20).splits[0].histogram.pixels.size == 20
    assert street.check(against=park).to_document() == street.check(against="park").to_document()
    with pytest.raises(StoreError, match="no scan called 'val'"):
        street.check(against="val")


def test_sampling_says_where_it_comes_from(scan: ms.Scan) -> None:
    table = scan.sampling("repeat-factor", parameters={"threshold": 0.5})
    assert len(table) == scan.histogram.mask_count
    assert table.parameters == {"threshold": 0.5}
    assert table.provenance["counts_digest"] == scan.histogram.counts_digest()
    assert (table.provenance["source"], table.provenance["scan"]) == (scan.source, scan.name)


def test_plots_and_reports(scan: ms.Scan, tmp_path: Path) -> None:
    drawing = scan.plot("classes", tmp_path / "classes.png", order="catalog", log=True)
    assert (tmp_path / "classes.png").read_bytes().startswith(b"\x89PNG")
    assert drawing.description
    assert "sqrt" in scan.plot("weights", schemes="sqrt").description
    other = ms.scan(SAMPLES / "park", classes=31)
    assert scan.plot("compare", others=other).description
    text = scan.report(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text("utf-8") == text
    assert text.lower().startswith("<!doctype html>")
    assert scan.report(format="md").startswith("#")
    with pytest.raises(ValueError, match=r"^dpi: is 36 to 600 pixels an inch, not 35$"):
        scan.plot("classes", tmp_path / "classes.png", dpi=35)
    with pytest.raises(ValueError, match=r"^examples: are 0 to 20, not 21$"):
        scan.report(examples=21)
    scan.export(tmp_path / "table.csv", layout="long")
    assert (tmp_path / "table.csv").read_text("utf-8").startswith('"mask"')


def test_stores(tmp_path: Path) -> None:
    db = tmp_path / "maskstat.db"
    ms.scan(SAMPLES / "street", classes=31, db=db, name="train").close()
    ms.scan(SAMPLES / "park", classes=31, db=db, name="val").close()
    assert [(record.name, record.masks) for record in ms.scans(db)] == [("train", 14), ("val", 10)]
    with ms.open_scan(db, "train") as train, ms.open_scan(db, "val") as val:
        assert (train.name, val.name) == ("train", "val")
        with ms.open_scan(db) as chosen:
            assert chosen.name == "train"  # of splits, the one to train on
        assert train.histogram.mask_count == 14
    with ms.open_scan(db, "train", classes=20, ignore=255) as narrow:
        assert len(narrow.catalog) == 20
    ms.remove_scan(db, "val")
    assert [record.name for record in ms.scans(db)] == ["train"]
    with ms.merge([db], tmp_path / "merged.db") as merged:
        assert merged.mask_count == 14


def test_what_there_is_to_choose_from() -> None:
    assert "equal-cost" in ms.schemes()
    assert ms.schemes()["effective-number"].parameters["beta"] == 0.999
    assert set(ms.sampling_methods()) == {"repeat-factor", "inverse-frequency", "target-mix"}
    assert len(ms.presets()["voc"].catalog) == 21
    assert ms.preset("voc").text.startswith(("#", "name"))
    assert ms.preset("voc").masks == ("*SegmentationClass/*",)
    assert ms.preset("voc").link.startswith("http://host.robots.ox.ac.uk/")
    with pytest.raises(ms.MaskstatError, match="did you mean cityscapes"):
        ms.preset("cityscape")
