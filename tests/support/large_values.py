"""Values as large and as hostile as they get, and values without anything in them."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from maskstat.advice.recommendation import Recommendation
from maskstat.advice.situation import Situation
from maskstat.api.check import Check
from maskstat.api.costs import Costs
from maskstat.api.counting import MaskCounter
from maskstat.api.loader_check import LoaderCheck, SeenShare
from maskstat.api.making import Splits
from maskstat.api.watching import Watch, watch
from maskstat.arrays.crop_dataset import CropDataset
from maskstat.crops.class_index import ClassIndex
from maskstat.crops.sampler import CropDraw, CropSampler
from maskstat.decision.decision_report import DecisionReport
from maskstat.decision.decisions import Decision
from maskstat.regions.profile import PixelProfile
from maskstat.sampling.table import ClassMix, SamplingTable
from maskstat.splits.compute import certify_split
from maskstat.splits.plan import SplitPlan
from maskstat.statistics.comparison import Comparison
from maskstat.statistics.findings import Finding
from maskstat.statistics.intervals import frequency_intervals
from maskstat.statistics.random_splits import Split
from maskstat.training.metrics import ConfidenceHistogram, ConfusionMatrix
from maskstat.training.shifts import Shifts
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.contributions import Contributions
from maskstat.values.crop_draws import CropBox, CropDraws
from maskstat.values.error_bars import Intervals
from maskstat.values.groups import GroupRule, MaskGroups
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import Encoding, MaskTally, TallyTable
from maskstat.weights.costs import PriceList
from maskstat.weights.schemes import ClassCounts
from maskstat.weights.table import WeightTable

MANY = 200_000
CLASSES = 65_536
# Clears a terminal, breaks lines, turns the direction of what follows; in the end half a character.
TEXT = "\x1b[2J\n\r\t\u2028\u202e\x85<b>[red]"
HOSTILE = TEXT * 5000 + "\udc80"


names = tuple(f"{TEXT}{number}" for number in range(MANY))
counts = np.ones(MANY, np.int64)
floats = np.ones(CLASSES)
catalog = ClassCatalog(
    tuple(ClassInfo(k, f"{TEXT}{k}", (k,)) for k in range(CLASSES)), name=HOSTILE
)
encoding = Encoding(HOSTILE, "grey", 8, HOSTILE)
shapes = np.ones((MANY, 2), np.int64)
table = TallyTable(names, shapes, (encoding,) * MANY, np.arange(MANY + 1), counts * 7, counts)
histogram = ClassHistogram.of(catalog, table)
ledger = MaskLedger.of(catalog, table)
groups = MaskGroups.of_labels(HOSTILE, ledger.names)
contributions = Contributions.of(ledger)
few = ClassCatalog(catalog.classes[:3])
counter = MaskCounter(classes=few)
counter.update([np.ones((1, 1), np.uint8)], names=[TEXT])
prices: dict[str, Any] = {
    field.name: floats if field.type == "FloatArray" else 1
    for field in dataclasses.fields(PriceList)
}

price_list = PriceList(**{**prices, "average": "pixel"})

side = Split(HOSTILE, histogram, ledger, shapes, GroupRule().groups(ledger.names))
share = SeenShare(HOSTILE, 1.0, 1.0, 1.0, 1.0)

class_index = ClassIndex.of_labels(names[:40], [np.ones((1, 1), np.uint8)] * 40, few)

# Values that say more than their fields' sizes, as large and as hostile as they get.
LARGE: dict[type, object] = {
    Splits: Splits(dict.fromkeys(names), 0),
    Check: Check(HOSTILE, HOSTILE, MANY, MANY, names, True, (Finding("lossy", MANY, names),) * 99),
    Costs: Costs(histogram, HOSTILE, price_list, price_list),
    MaskCounter: counter,
    LoaderCheck: LoaderCheck((share,) * MANY, share, names, MANY, 0.95),
    Watch: watch(table.names, classes=few),
    ClassCounts: ClassCounts(counts),
    ClassCatalog: catalog,
    ClassHistogram: histogram,
    MaskLedger: ledger,
    GroupRule: GroupRule(f"({re.escape(HOSTILE)})"),
    MaskGroups: groups,
    Contributions: contributions,
    Intervals: frequency_intervals(contributions, groups),
    MaskTally: MaskTally(HOSTILE, (1, MANY), encoding, counts.cumsum(), counts),
    TallyTable: table,
    WeightTable: WeightTable(catalog.names, floats, counts[:CLASSES], HOSTILE, {HOSTILE: HOSTILE}),
    PriceList: price_list,
    SplitPlan: certify_split(
        ledger.take(range(4)),
        catalog.names,
        GroupRule().groups(ledger.names[:4]),
        [f"{HOSTILE}{number}" for number in range(4)],
        np.arange(4),
    ),
    SamplingTable: SamplingTable(
        names, np.ones(MANY), HOSTILE, HOSTILE, mix=(ClassMix(HOSTILE, 1, 1, None, 1, 1),)
    ),
    Split: side,
    Comparison: Comparison((side,) * 100, (), ()),
    PixelProfile: PixelProfile.empty(few),
    ClassIndex: class_index,
    Decision: Decision(names, measure="recall"),
    DecisionReport: DecisionReport(
        names, "iou", HOSTILE, names, MANY, 1 / 3, 1.0, 1.0, floats, (), None, HOSTILE, True, ""
    ),
    Shifts: Shifts(names, np.ones(MANY)),
    CropSampler: CropSampler(class_index, 1, CropDraws((1 / 3,) * 3)),
    CropDataset: CropDataset(names),
    CropBox: CropBox(1 << 200, 1 << 200, 1 << 200, 1 << 200, (1 << 200, 1 << 200)),
    CropDraw: CropDraw(1 << 200, CropBox(0, 0, 1, 1, (1, 1))),
    Recommendation: Recommendation.of(
        Situation(catalog.names, "accuracy", floats / CLASSES), lambda scheme: pytest.fail(scheme)
    ),
    ConfusionMatrix: ConfusionMatrix(np.full((2048, 2048), 7)),
    ConfidenceHistogram: ConfidenceHistogram.empty(),
}

# The same, without anything in them.
EMPTY: tuple[object, ...] = (
    ClassHistogram.empty(few),
    ClassHistogram(few, np.array([3, 2, 1])),
    ClassHistogram(few, np.array([3, 2, 1]), unit="shares"),
    MaskLedger.concatenate([], 0),
    TallyTable.of([]),
    WeightTable((), np.empty(0), np.empty(0, np.int64), ""),
    PriceList(
        **{
            name: np.empty(0) if isinstance(value, np.ndarray) else value
            for name, value in {**prices, "average": "pixel"}.items()
        }
    ),
    SamplingTable((), np.empty(0), "", ""),
    Comparison((), ()),
    ConfusionMatrix.empty(1),
)


def filled(kind: type) -> object:
    """A value of this class whose fields hold something large or hostile, by their types."""
    annotations = {
        name: str(hint)
        for base in reversed(kind.__mro__)
        for name, hint in vars(base).get("__annotations__", {}).items()
    }
    if issubclass(kind, tuple):
        return tuple.__new__(kind, (large(annotations[name]) for name in kind._fields))  # type: ignore[attr-defined]
    value = object.__new__(kind)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        object.__setattr__(value, field.name, large(annotations[field.name]))
    return value


def large(hint: str) -> object:
    known: dict[str, object] = {
        "int": 1 << 200,
        "bool": True,
        "float": 1 / 3,
        "str": HOSTILE,
        "Array": np.ones((4, CLASSES)),
        "tuple": names,
        "Mapping": dict.fromkeys(range(MANY), HOSTILE),
        "Sequence": names,
        "Callable": repr,
    }
    return next((value for part, value in known.items() if hint.startswith(part)), catalog)
