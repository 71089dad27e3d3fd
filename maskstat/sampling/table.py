"""SamplingTable: a weight for every mask, and what the weights do to the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskstat.errors import FileFormatError
from maskstat.files.documents.base import Document, Layout
from maskstat.files.documents.formats import read_document, write_document
from maskstat.frames import data_frame
from maskstat.naming import counted, printable
from maskstat.sampling.mix import FloatArray, effective_masks
from maskstat.showing import cut, html, one_line

if TYPE_CHECKING:
    from pandas import DataFrame

FORMAT = "maskstat sampling"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class ClassMix:
    """One class in a sampled epoch: shares of labelled pixels, and of drawn masks that have it.

    `target` is the share asked for, None where the method asks for none.
    """

    name: str
    before: float
    after: float
    target: float | None
    presence_before: float
    presence_after: float

    __repr__ = one_line


@dataclass(frozen=True, slots=True, eq=False)
class SamplingTable:
    """B sampling weights and what they do.

    Attributes:
        names: names of the masks.
        weights: float64[B], finite and >= 0: probabilities that sum to 1, or repeat factors.
        method: the method's name.
        unit: "probability" or "repeat factor".
        parameters: its parameters.
        mix: each class before (all masks alike) and after.
        provenance: source, catalogue, version and whatever else tells them apart.
    """

    names: tuple[str, ...]
    weights: FloatArray
    method: str
    unit: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    mix: tuple[ClassMix, ...] = ()
    provenance: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.names) != self.weights.size:
            raise ValueError("names and weights must be equally long")
        if not np.isfinite(self.weights).all() or (self.weights < 0).any():
            raise ValueError("weights must be finite and not negative")
        self.weights.flags.writeable = False

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return one_line(
            self,
            cut(self.method),
            counted(len(self), "mask"),
            f"effectively {self.effective_masks:,.1f}",
        )

    def _repr_html_(self) -> str | None:
        return html(self)

    @property
    def effective_masks(self) -> float:
        """Effective sample size in masks (Kish 1965)."""
        return effective_masks(self.weights)

    @property
    def epoch_masks(self) -> float:
        """Masks of an epoch: the sum of repeat factors, or as many draws as there are masks."""
        return float(self.weights.sum()) if self.unit == "repeat factor" else float(len(self))

    def save(self, path: str | Path, layout: Layout = "full") -> Path:
        """Write to .csv, .json, .yaml, .txt or .npy (weights in the order of `names`).

        Raises:
            FileFormatError: unknown suffix, a layout that the format can't hold, or not writable.
        """
        return write_document(self.to_document(), Path(path), layout)

    def to_pandas(self) -> DataFrame:
        """A row a mask: weights. Raises MissingExtraError where pandas is not installed."""
        return data_frame({"weights": self.weights}, {"mask": self.names})

    def to_document(self) -> Document:
        """What files hold: a row a mask."""
        metadata: dict[str, object] = {
            "format": FORMAT,
            "schema": SCHEMA,
            "method": self.method,
            "unit": self.unit,
            "parameters": dict(self.parameters),
            "effective_masks": self.effective_masks,
            "epoch_masks": self.epoch_masks,
            "mix": [asdict(entry) for entry in self.mix],
            "provenance": dict(self.provenance),
        }
        columns: dict[str, Sequence[object]] = {
            "masks": list(self.names),
            "weights": self.weights.tolist(),
        }
        return Document(metadata, columns, values="weights")

    @classmethod
    def from_document(cls, document: Document) -> SamplingTable:
        """Read what `to_document` made. Where a layout has no names, masks are numbered.

        Raises:
            FileFormatError: it holds something else.
        """
        metadata, columns = document.metadata, document.columns
        if metadata.get("format", FORMAT) != FORMAT:
            raise FileFormatError("holds no sampling weights")
        if metadata.get("schema", SCHEMA) != SCHEMA:
            raise FileFormatError("has a schema that this maskstat does not know")
        try:
            weights = np.array([float(w) for w in columns["weights"]])  # type: ignore[arg-type]
            names = tuple(map(str, columns.get("masks") or range(weights.size)))
            mix = tuple(ClassMix(**entry) for entry in _records(metadata.get("mix")))
            return cls(
                names,
                weights,
                str(metadata.get("method", "unknown")),
                str(metadata.get("unit", "unknown")),
                _mapping(metadata.get("parameters")),
                mix,
                _mapping(metadata.get("provenance")),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise FileFormatError("holds no sampling weights") from error


def _records(value: Any) -> list[dict[str, Any]]:
    return list(value) if isinstance(value, list) else []


def _mapping(value: Any) -> dict[str, object]:
    return dict(value) if isinstance(value, Mapping) else {}


def load_sampling(path: str | Path) -> SamplingTable:
    """Read a file that `SamplingTable.save` wrote. Raises FileFormatError, naming the file."""
    try:
        return SamplingTable.from_document(read_document(Path(path), values="weights"))
    except FileFormatError as error:
        where = printable(str(path))
        raise FileFormatError(error.problem, where=where, remedy=error.remedy) from error
