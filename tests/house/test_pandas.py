"""Values that are tables, as pandas tables; and what they say where pandas is not installed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from maskstat.api.check import Check
from maskstat.api.costs import Costs
from maskstat.errors import MissingExtraError
from maskstat.sampling.table import SamplingTable
from maskstat.statistics.comparison import METRICS, compare_splits
from maskstat.statistics.findings import Finding
from maskstat.statistics.random_splits import Split
from maskstat.training.metrics import ConfusionMatrix
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.groups import GroupRule
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import Encoding, MaskTally, TallyTable
from maskstat.weights.costs import price_list
from maskstat.weights.table import WeightTable

GREY = Encoding("png", "grey", 8)
CATALOG = ClassCatalog((ClassInfo(0, "road", (0,)), ClassInfo(1, "a\nb", (1,))))
TABLE = TallyTable.of(
    [
        MaskTally.of_pixels("x.png", np.array([[0, 0], [0, 1]]), GREY),
        MaskTally.of_pixels("y.png", np.array([[0, 0], [0, 0]]), GREY),
    ]
)
HISTOGRAM = ClassHistogram.of(CATALOG, TABLE)
LEDGER = MaskLedger.of(CATALOG, TABLE)
WEIGHTS = WeightTable(CATALOG.names, np.array([0.5, 2.0]), HISTOGRAM.pixels, "inverse")
SAMPLING = SamplingTable(LEDGER.names, np.array([2.0, 1.0]), "repeat-factor", "repeat factor")
CONFUSION = ConfusionMatrix(np.array([[3, 1], [0, 2]]))


def split(name: str) -> Split:
    groups = GroupRule().groups(LEDGER.names)
    return Split(name, HISTOGRAM, LEDGER, TABLE.shapes, groups)


COMPARISON = compare_splits([split("train"), split("val"), split("test")])
CHECK = Check("train", "masks", 2, 0, (), False, (Finding("lossy", 2, LEDGER.names),))
PRICES = price_list(LEDGER)
COSTS = Costs(HISTOGRAM, "no weights", PRICES, PRICES)
TABLES: dict[str, Callable[[], Any]] = {
    "histogram": HISTOGRAM.to_pandas,
    "ledger": LEDGER.to_pandas,
    "weights": WEIGHTS.to_pandas,
    "sampling": SAMPLING.to_pandas,
    "comparison": COMPARISON.to_pandas,
    "confusion": CONFUSION.to_pandas,
    "check": CHECK.to_pandas,
    "costs": COSTS.to_pandas,
}


def test_a_histogram_has_a_row_a_class() -> None:
    frame = HISTOGRAM.to_pandas()
    assert frame.index.name == "class"
    assert frame.loc["road"].to_dict() == {
        "index": 0,
        "pixels": 7,
        "masks": 2,
        "image_pixels": 8,
        "frequency": 7 / 8,
    }
    assert frame["pixels"].dtype == np.int64
    assert frame["masks"].tolist() == [2, 1]
    frame.loc["road", "pixels"] = 0  # a copy: the histogram's own numbers are read-only
    assert HISTOGRAM.pixels[0] == 7


def test_a_histogram_leaves_out_what_is_unknown() -> None:
    given = ClassHistogram(CATALOG, np.array([30, 10]))
    assert list(given.to_pandas().columns) == ["index", "pixels", "frequency"]
    shares = ClassHistogram(CATALOG, np.array([30, 10]), unit="shares")
    assert shares.to_pandas().loc["road"].to_dict() == {"index": 0, "frequency": 0.75}


def test_a_ledger_has_a_row_a_mask_and_a_column_a_class() -> None:
    named = LEDGER.to_pandas(CATALOG.names)
    assert named.index.name == "mask"
    assert named.loc["x.png"].to_dict() == {"road": 3, "a\nb": 1}
    assert named.sum().tolist() == HISTOGRAM.pixels.tolist()
    assert LEDGER.to_pandas().loc["y.png"].to_dict() == {0: 4, 1: 0}


def test_weights_and_sampling() -> None:
    frame = WEIGHTS.to_pandas()
    assert frame.to_dict("index") == {
        "road": {"pixels": 7, "weights": 0.5},
        "a\nb": {"pixels": 1, "weights": 2.0},
    }
    assert frame.join(HISTOGRAM.to_pandas()[["masks"]])["masks"].tolist() == [2, 1]
    drawn = SAMPLING.to_pandas()
    assert drawn["weights"].to_dict() == {"x.png": 2.0, "y.png": 1.0}
    assert drawn.join(LEDGER.to_pandas())[0].tolist() == [3, 4]


def test_a_comparison_has_a_row_a_pair() -> None:
    frame = COMPARISON.to_pandas()
    assert frame.index.names == ["first", "second"]
    assert list(frame.index) == [("train", "val"), ("train", "test"), ("val", "test")]
    assert list(frame.columns) == [*METRICS, "p", "verdict"]
    assert frame.loc[("train", "val"), "js"] == COMPARISON.pairs[0].js_distance


def test_a_confusion_matrix_is_square() -> None:
    frame = CONFUSION.to_pandas(["a", "b"])
    assert frame.loc["a", "b"] == 1
    assert frame.loc["b", "a"] == 0
    assert CONFUSION.to_pandas().loc[1, 1] == 2


def test_findings_have_a_row_each_and_costs_a_row_a_class() -> None:
    frame = CHECK.to_pandas()
    assert frame.loc["lossy", ["severity", "count"]].tolist() == ["error", 2]
    assert frame.loc["lossy", "files"] == ["x.png", "y.png"]
    assert Check("train", "masks", 2, 0, (), False, ()).to_pandas().empty
    costs = COSTS.to_pandas()
    assert costs["cost"].tolist() == PRICES.costs.tolist()
    assert costs.loc["road", "pixel_accuracy"] == 7 / 8
    assert costs["occurs"].dtype == bool


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_without_pandas_the_error_says_what_to_install(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(make()) == len(make().index) > 0
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pandas; pip install pandas$") as caught:
        make()
    assert isinstance(caught.value, ImportError)
