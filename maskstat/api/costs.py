"""Costs: what constant predictions cost under no weights and under some."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from maskstat.errors import ParameterError, WeightError, argument
from maskstat.frames import data_frame
from maskstat.naming import counted, printable
from maskstat.showing import cut, one_line, span
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger
from maskstat.weights.any_scheme import EQUAL_COST, batching_of, check_average, weigh
from maskstat.weights.batches import Batching
from maskstat.weights.choices import Average
from maskstat.weights.costs import PriceList, epsilon_of, linear_price_list, price_list
from maskstat.weights.fit import demand_classes
from maskstat.weights.normalise import normalise
from maskstat.weights.table import WeightTable, load_weights

if TYPE_CHECKING:
    from pandas import DataFrame

    from maskstat.render.plots.drawing import Drawing

GivenWeights = WeightTable | npt.ArrayLike | str | os.PathLike[str]


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """What it costs to answer always with one class, under no weights and under some.

    The average labelled pixel weighs 1 under both, so the costs compare.

    Attributes:
        histogram: the counts they are about.
        label: what the weights are called.
        plain: prices under no weights.
        weighted: prices under the weights.
        scan: name of the scan that they are about; None where it has none.
    """

    histogram: ClassHistogram
    label: str
    plain: PriceList
    weighted: PriceList
    scan: str | None = None

    def __repr__(self) -> str:
        classes = counted(len(self.histogram.catalog), "class")
        return one_line(self, cut(self.label), classes, f"{span(self.weighted.costs)} nats a pixel")

    def _repr_html_(self) -> str:
        from maskstat.render.notebook import to_html
        from maskstat.render.terminal.cost_tables import cost_table

        return to_html(cost_table(self.to_document()))

    @property
    def average(self) -> Average:
        """How the loss is averaged: "pixel" (Keras) or "batch" (PyTorch)."""
        return self.weighted.average

    def to_pandas(self) -> DataFrame:
        """A row a class: what `maskstat costs --json` says of each.

        Columns: index, occurs, cost_unweighted, cost, standard_error, best_constant_probability,
        pixel_accuracy, mean_iou, balanced_accuracy. Raises MissingExtraError without pandas.
        """
        rows = self.to_document()["classes"]
        columns = {name: [row[name] for row in rows] for name in rows[0] if name != "name"}
        return data_frame(columns, {"class": [row["name"] for row in rows]})

    def to_document(self) -> dict[str, Any]:
        """Everything `maskstat costs --json` prints; plain JSON types."""
        from maskstat.render.documents.costs import cost_document

        return cost_document(
            self.histogram.catalog, self.plain, self.weighted, self.label, self.scan
        )

    def plot(self, path: str | Path | None = None, *, dpi: int = 200) -> Drawing:
        """Draw both price lists, a dot a class, and write them to a .png, .svg or .pdf.

        Args:
            path: the file; None writes none.
            dpi: pixels an inch, for .png.

        Raises:
            ParameterError: a suffix of no plot.
            FileFormatError: the file can't be written.
        """
        from maskstat.render.plots.costs import draw_prices
        from maskstat.render.plots.plot import check_path, save

        if path is not None:
            check_path(Path(path))
        drawing = draw_prices(self.histogram, {"no weights": self.plain, self.label: self.weighted})
        if path is not None:
            save(drawing, path, dpi=dpi)
        return drawing


def given_weights(given: GivenWeights, histogram: ClassHistogram) -> tuple[str, npt.ArrayLike]:
    """What given weights are called, and the weights scaled to an average pixel weight of 1.

    Raises:
        WeightError: they are not K, or weigh nothing that occurs.
        FileFormatError: a file that can't be read, or holds something else.
        ParameterError: numbers that are negative or not finite.
    """
    label, where = "weights", None
    if isinstance(given, (str, os.PathLike)):
        where = printable(str(given))
        label = printable(Path(given).name)
        given = load_weights(Path(given))
    elif isinstance(given, WeightTable):
        label = given.scheme
    if isinstance(given, WeightTable):
        demand_classes(given, where or "weights")
    weights = np.asarray(given, np.float64)
    count = len(histogram.catalog)
    if weights.shape != (count,):
        found = counted(weights.size, "weight") if weights.ndim == 1 else str(weights.shape)
        raise WeightError(
            f"holds {found}, but the scan has {counted(count, 'class')}",
            where=where,
            parameter=None if where else "weights",
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ParameterError("are finite numbers, none of them negative", parameter="weights")
    if not (weights * histogram.frequency).any():
        raise WeightError(
            "gives every class that occurs the weight 0",
            where=where,
            parameter=None if where else "weights",
        )
    return label, normalise(weights, histogram.frequency, "pixel")


def price(
    histogram: ClassHistogram,
    ledger: Callable[[], MaskLedger],
    weights: GivenWeights | None,
    *,
    scheme: str | None,
    average: Average | None,
    batch_size: int | None,
    drop_last: bool,
    seed: int | None,
    predictor_confidence: float | None,
    source: str | None,
    scan: str | None = None,
    batching: Batching | None = None,
) -> Costs:
    """The costs under no weights and under some; see `maskstat.api.scan.Scan.costs`."""
    if weights is not None and scheme is not None:
        raise ParameterError(
            f"choose one of {argument('weights')} and {argument('scheme')}", parameter="scheme"
        )
    asked = check_average(average, batch_size, seed, drop_last=drop_last)
    if asked == "batch" and batch_size is None:
        raise ParameterError(
            "the costs depend on the batch",
            parameter="average",
            remedy=f"say {argument('batch_size', 8)}",
        )
    epsilon = epsilon_of(predictor_confidence)
    if weights is not None:
        label, chosen = given_weights(weights, histogram)
    else:
        label = EQUAL_COST if scheme is None else scheme
        batches = asked == "batch" and label == EQUAL_COST
        chosen = weigh(
            histogram,
            ledger,
            label,
            average="batch" if batches else None,
            batch_size=batch_size if batches else None,
            drop_last=batches and drop_last,
            batching=batching,
            seed=seed if batches else None,
            normalize="pixel",
            absent="one",
            unlisted="ignore",
            source=source,
        )
    plain, weighted = (
        linear_price_list(histogram.pixels, table, epsilon=epsilon)
        if asked == "pixel"
        else price_list(
            ledger(),
            table,
            asked,
            batch_size=batch_size or 1,
            batching=batching_of(batching, drop_last=drop_last),
            pixels=histogram.pixels,
            epsilon=epsilon,
            seed=seed or 0,
        )
        for table in (None, chosen)
    )
    return Costs(histogram, label, plain, weighted, scan)
