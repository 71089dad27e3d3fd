"""All schemes on one scan, and what constant predictions cost under them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from maskstat.errors import WeightError
from maskstat.parameters import several
from maskstat.values.histogram import ClassHistogram
from maskstat.weights.choices import Absent, Normalisation
from maskstat.weights.compute import compute
from maskstat.weights.costs import PriceList, linear_price_list
from maskstat.weights.schemes import SCHEMES, find_scheme
from maskstat.weights.table import WeightTable

NORMALISATION: Normalisation = "pixel"
ABSENT: Absent = "one"


def scheme_weights(
    histogram: ClassHistogram,
    schemes: str | Iterable[str] | None = None,
    *,
    source: str | None = None,
) -> dict[str, WeightTable | str]:
    """Weights by scheme with default parameters, or the reason why a scheme has none here.

    They are scaled so that the average labelled pixel weighs 1, which makes schemes and their
    costs comparable. Classes that never occur get 1 before scaling; unlisted values are left out.

    Raises:
        ParameterError: an unknown scheme.
    """
    tables: dict[str, WeightTable | str] = {}
    for name in SCHEMES if schemes is None else several(schemes):
        find_scheme(name)
        try:
            tables[name] = compute(
                histogram,
                name,
                normalize=NORMALISATION,
                absent=ABSENT,
                unlisted="ignore",
                source=source,
            )
        except WeightError as error:
            tables[name] = str(error)
    return tables


@dataclass(frozen=True, slots=True)
class Group:
    """Schemes that give the same weights: their names and the weights of the first."""

    names: tuple[str, ...]
    table: WeightTable

    @property
    def label(self) -> str:
        """The names, joined."""
        return " = ".join(self.names)


def distinct(tables: Mapping[str, WeightTable | str]) -> list[Group]:
    """Schemes grouped where they agree on every class that occurs."""
    groups: list[Group] = []
    for name, table in tables.items():
        if isinstance(table, str):
            continue
        occurs = table.pixels > 0
        for at, group in enumerate(groups):
            if np.allclose(table.weights[occurs], group.table.weights[occurs], rtol=1e-9, atol=0):
                groups[at] = Group((*group.names, name), group.table)
                break
        else:
            groups.append(Group((name,), table))
    return groups


def scheme_prices(
    histogram: ClassHistogram, tables: Mapping[str, WeightTable | str]
) -> dict[str, PriceList]:
    """The price list of constant predictions under each scheme that has weights.

    Costs are a linear average's (Keras, any plain mean): there the batch size does not matter.
    """
    return {
        name: linear_price_list(histogram.pixels, table.weights)
        for name, table in tables.items()
        if isinstance(table, WeightTable)
    }


@dataclass(frozen=True, slots=True)
class Price:
    """What a scheme costs.

    Attributes:
        spread: dearest constant answer over cheapest, minus 1.
        effective: share of the pixels that, equally weighted, give as steady a loss: Kish's.
        loss_ratio: largest to smallest share of the loss among classes that occur.
        weight_ratio: largest to smallest weight among them.
    """

    spread: float
    effective: float
    loss_ratio: float
    weight_ratio: float


def price_of(table: WeightTable) -> Price:
    """What weights cost on the counts that they were made from."""
    occurs = table.pixels > 0
    p, w = table.frequency[occurs], table.weights[occurs]
    square = float(p @ w**2)
    spread = linear_price_list(table.pixels, table.weights).relative_spread
    kish = float(p @ w) ** 2 / (square * float(p.sum())) if square > 0 else 0.0
    return Price(spread, kish, _ratio(p * w), _ratio(w))


def _ratio(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    least = float(values.min(initial=np.inf))
    return float(values.max(initial=0.0)) / least if least > 0 else float("inf")
