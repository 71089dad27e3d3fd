"""WeightTable: weights with everything needed to know where they come from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskstat.errors import FileFormatError, MultilabelError, spelled
from maskstat.files.documents.numbers import read_number, write_number
from maskstat.frames import data_frame
from maskstat.naming import counted, printable
from maskstat.parameters import check_word
from maskstat.showing import cut, html, one_line, span
from maskstat.values.amounts import in_proportion
from maskstat.values.error_bars import Intervals
from maskstat.values.histogram import Unit
from maskstat.values.sums import LARGEST, total
from maskstat.values.tally import IntArray
from maskstat.weights.choices import WEIGHT_LAYOUTS, WeightLayout
from maskstat.weights.notes import notes_of, unsure_of
from maskstat.weights.pos_weight import plain_ratio
from maskstat.weights.schemes import FloatArray

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray
    from pandas import DataFrame

    from maskstat.files.documents.base import Document
    from maskstat.weights.equal_cost import EqualCostWeights

FORMAT = "maskstat weights"
SCHEMA = 1
LABEL_SCHEMA = 2
"""Of files of labels, which no version may read that takes them for weights of classes."""

POS_WEIGHT = "pos_weight"


@dataclass(frozen=True, slots=True, eq=False)
class WeightTable(Mapping[str, float]):
    """K class weights and their provenance.

    Attributes:
        names: K class names.
        weights: float64[K], finite and >= 0.
        pixels: int64[K], the pixel counts they were made from; zeros where unknown. In proportion
            to them where `unit` is "shares".
        scheme: the scheme's name.
        parameters: its parameters.
        normalisation: how they were scaled.
        reduction: the average they are meant for: "linear" (Keras, any plain mean or sum),
            "weight-normalised" (PyTorch's mean), or None where the scheme knows no difference.
        absent: policy for classes that never occur and the classes it met, or empty.
        clip: bounds that were applied last, or None.
        provenance: source, masks, counts digest, version and whatever else tells them apart.
        unit: "shares" where only shares of the classes were known: files then hold these.
        solution: of equal cost under PyTorch's mean, how it was found and how far to trust it;
            None for all others, and where it comes from a file.
        masks: int64[K], masks with each class; None where unknown, and where it comes from a file.
        intervals: 95% intervals of the weights, where masks or groups of them are the sample; None
            where only counts are known, and of numbers without provenance.
        negatives: int64[K], of labels the pixels that lack each, while `pixels` have it; None of
            classes. The weights are `pos_weight` of binary cross entropy then, one a label, and no
            weights of classes.

    A mapping: `weights["road"]` is the weight of one class, `dict(weights)` are all by name, and
    `numpy.asarray(weights)` is float64[K].
    """

    names: tuple[str, ...]
    weights: FloatArray
    pixels: IntArray
    scheme: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    normalisation: str = "none"
    reduction: str | None = None
    absent: Mapping[str, object] = field(default_factory=dict)
    clip: tuple[float, float] | None = None
    provenance: Mapping[str, object] = field(default_factory=dict)
    unit: Unit = "pixels"
    solution: EqualCostWeights | None = field(default=None, repr=False)
    masks: IntArray | None = field(default=None, repr=False)
    intervals: Intervals | None = field(default=None, repr=False)
    negatives: IntArray | None = field(default=None, repr=False)
    _index: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not len(self.names) == self.weights.size == self.pixels.size:
            raise ValueError("names, weights and pixels must be equally long")
        if self.negatives is not None and self.negatives.size != len(self.names):
            raise ValueError("names and negatives must be equally long")
        if self.masks is not None and self.masks.size != len(self.names):
            raise ValueError("names and masks must be equally long")
        if not np.isfinite(self.weights).all() or (self.weights < 0).any():
            raise ValueError("weights must be finite and not negative")
        if self.intervals is not None and len(self.intervals) != len(self.names):
            raise ValueError("names and intervals must be equally long")
        total(self.pixels)
        for array in (self.weights, self.pixels):
            array.flags.writeable = False
        object.__setattr__(self, "_index", {name: k for k, name in enumerate(self.names)})

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return one_line(
            self,
            cut(self.scheme),
            counted(len(self), "class"),
            span(self.weights),
            *([cut(str(self.provenance["does"]), 60)] if "does" in self.provenance else []),
        )

    def _repr_html_(self) -> str | None:
        return html(self)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __getitem__(self, name: str) -> float:
        return float(self.weights[self._index[name]])

    # Two tables of equal weights may have been made from different counts.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False and dtype is not None and np.dtype(dtype) != self.weights.dtype:
            raise ValueError("another type needs a copy")
        if copy is None:
            return np.asarray(self.weights, dtype)
        return np.array(self.weights, dtype, copy=copy)

    @property
    def frequency(self) -> FloatArray:
        """float64[K], pixel frequency; of labels their shares of the pixels, each of its own."""
        if self.negatives is not None:
            return np.asarray(self.pixels / np.maximum(self.pixels + self.negatives, 1))
        return np.asarray(self.pixels / max(int(self.pixels.sum()), 1))

    @property
    def mass(self) -> FloatArray:
        """float64[K], each class's share of the weighted pixels: what the gradient sees.

        Of labels the share of the positives among the weighted pixels of each label.
        """
        weighted = self.frequency * self.weights
        if self.negatives is not None:
            whole = weighted + (1 - self.frequency)
            return np.divide(weighted, whole, out=np.zeros_like(weighted), where=whole > 0)
        total = float(weighted.sum())
        return weighted / total if total > 0 else weighted

    @property
    def average_weight(self) -> float:
        """What the average labelled pixel weighs; 0 where the pixels are unknown, and of labels."""
        if self.negatives is not None:
            return 0.0
        return float(self.frequency @ self.weights)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before training with them, a line each; mostly none.

        They say what absent classes weigh, which classes take a share of the loss that fewer than
        10 masks or 0.01% of the pixels don't carry, and where the average labelled pixel weighs
        less than 0.1 or more than 10, which changes the scale of a loss that is a plain mean.
        """
        return tuple(map(spelled, notes_of(self)))

    @property
    def unsure(self) -> tuple[str, ...]:
        """What is not known, some lines: the least sure weights with their 95% intervals.

        Nothing where all are sure to a quarter of what they are.
        """
        return tuple(unsure_of(self))

    @property
    def pos_weight(self) -> float | FloatArray:
        """w1 / w0 of two classes: `pos_weight` of binary losses, class 1 being what is looked for.

        Of labels float64[L], one number a label.

        It is for a plain mean: `torch.nn.BCEWithLogitsLoss(pos_weight=...)`, `BinaryCrossEntropy`.
        For `equal-cost` it is negatives over positives.

        Raises:
            WeightError: other than two classes, one that never occurs or weighs 0, or weights for
                a mean that divides every batch by its own sum of weights.
        """
        return plain_ratio(self) if self.negatives is None else self.weights.copy()

    def save(self, path: str | Path, layout: WeightLayout = "full") -> Path:
        """Write to a file whose suffix decides the format, atomically; numbers round-trip exactly.

        Args:
            path: ends in .json, .yaml, .yml, .csv, .txt or .npy.
            layout: "full" keeps everything (.npy holds the numbers only), "list" is a plain list
                (MMSegmentation's class_weight file, torch.tensor), "dict" index -> weight (Keras'
                class_weight for one label an image; for masks give a loss its weights, or
                `maskstat.keras.add_sample_weights`), "pos-weight" `pos_weight` alone: the
                one number of two classes (.json, .yaml, .txt), or a plain list of labels.

        Raises:
            FileFormatError: unknown suffix, a layout that the format can't hold, or not writable.
            WeightError: "pos-weight" of a table that has none.
            MultilabelError: "dict" of labels.
        """
        from maskstat.files.documents.formats import write_document

        check_word(layout, WEIGHT_LAYOUTS, parameter="layout")
        if self.negatives is not None and layout == "dict":
            raise MultilabelError(
                "index -> weight is of classes, and these are pos_weight of labels",
                remedy='the layouts "full" and "list" hold them',
            )
        if layout == "pos-weight":
            if self.negatives is None:
                return write_number(plain_ratio(self), Path(path), layout)
            layout = "list"
        return write_document(self.to_document(), Path(path), layout)

    def to_pandas(self) -> DataFrame:
        """A row a class: pixels (or shares), of labels negatives, weights.

        Raises MissingExtraError without pandas.
        """
        negatives = {} if self.negatives is None else {"negatives": self.negatives}
        columns = {self.unit: self._amounts, **negatives, "weights": self.weights}
        return data_frame(columns, {"class": self.names})

    @property
    def _amounts(self) -> IntArray | FloatArray:
        """[K], what `unit` says."""
        return self.frequency if self.unit == "shares" else self.pixels

    def to_document(self) -> Document:
        """What files hold."""
        from maskstat.files.documents.base import Document

        metadata: dict[str, object] = {
            "format": FORMAT,
            "schema": SCHEMA if self.negatives is None else LABEL_SCHEMA,
            **({} if self.negatives is None else {"meaning": POS_WEIGHT}),
            "scheme": self.scheme,
            "parameters": dict(self.parameters),
            "normalisation": self.normalisation,
            "reduction": self.reduction,
            "absent": dict(self.absent),
            "clip": None if self.clip is None else list(self.clip),
            "provenance": dict(self.provenance),
        }
        columns: dict[str, Sequence[object]] = {
            "classes": list(self.names),
            self.unit: self._amounts.tolist(),
            **({} if self.negatives is None else {"negatives": self.negatives.tolist()}),
            "weights": self.weights.tolist(),
        }
        if self.intervals is not None:
            metadata["intervals"] = self.intervals.about()
            columns |= self.intervals.file_columns()
        return Document(metadata, columns, values="weights")

    @classmethod
    def from_document(cls, document: Document) -> WeightTable:
        """Read what `to_document` made, of this schema or an older one.

        Raises:
            FileFormatError: a newer schema, or weights that are not finite numbers >= 0.
        """
        metadata, columns = document.metadata, document.columns
        if (form := _text(metadata, "format", FORMAT)) != FORMAT:
            raise FileFormatError(f"holds {printable(form)[:60]}, not weights")
        schema = metadata.get("schema", SCHEMA)
        if not isinstance(schema, int) or not 1 <= schema <= LABEL_SCHEMA:
            raise FileFormatError(
                f"has a schema that this maskstat does not know (it knows 1 to {LABEL_SCHEMA})",
                remedy="pip install -U maskstat",
            )
        weights = _numbers(columns.get(document.values))
        names = columns.get("classes") or [f"class_{k}" for k in range(len(weights))]
        if not all(isinstance(name, str) for name in names):
            raise FileFormatError("holds a class name that is not text")
        shares = columns.get("shares")
        unit: Unit = "pixels" if shares is None else "shares"
        if shares is None:
            pixels = _counts(columns.get("pixels"), len(weights))
        else:
            pixels = _shares(shares, len(weights))
        negatives = columns.get("negatives")
        if (negatives is None) == (metadata.get("meaning") == POS_WEIGHT):
            raise FileFormatError("holds negatives and no pos_weight, or the other way round")
        if len(names) != len(weights):
            raise FileFormatError(f"names {len(names)} classes, but has {len(weights)} weights")
        reduction = _text(metadata, "reduction", "")
        return cls(
            tuple(map(str, names)),
            np.array(weights, np.float64),
            np.array(pixels, np.int64),
            _text(metadata, "scheme", "unknown"),
            _mapping(metadata.get("parameters")),
            _text(metadata, "normalisation", "unknown"),
            reduction or None,
            _mapping(metadata.get("absent")),
            _clip(metadata.get("clip")),
            _mapping(metadata.get("provenance")),
            unit,
            intervals=_intervals(metadata.get("intervals"), columns, len(weights)),
            negatives=None
            if negatives is None
            else np.array(_counts(negatives, len(weights)), np.int64),
        )


def load_weights(path: str | Path) -> WeightTable:
    """Weights from a file that `WeightTable.save` wrote, of any layout and schema version.

    Files that hold numbers only come back with classes called class_0, class_1, ...

    Raises:
        FileFormatError: not readable, not weights, or written by a newer schema.
    """
    from maskstat.files.documents.formats import read_document

    where = printable(str(path))
    if read_number(Path(path)) is not None and Path(path).suffix.lower() != ".txt":
        raise FileFormatError(
            "holds one number, pos_weight of a binary loss, and not weights",
            where=where,
            remedy="give it to BinaryCrossEntropy or BinaryFocal",
        )
    try:
        return WeightTable.from_document(read_document(Path(path), values="weights"))
    except FileFormatError as error:
        raise FileFormatError(error.problem, where=where, remedy=error.remedy) from error


def _numbers(column: Sequence[object] | None) -> list[float]:
    if not column:
        raise FileFormatError("holds no weights")
    numbers = [_number(value) for value in column]
    if not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise FileFormatError("holds a weight that is not a finite number of at least 0")
    return numbers


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _text(metadata: Mapping[str, object], key: str, default: str) -> str:
    value = metadata.get(key)
    if value is not None and not isinstance(value, str):
        raise FileFormatError(f"holds a {key} that is not text")
    return default if value is None else value


def _clip(bounds: object) -> tuple[float, float] | None:
    if bounds is None:
        return None
    low, high = map(_number, bounds) if isinstance(bounds, list) and len(bounds) == 2 else (1, 0)
    if not 0 <= low <= high < math.inf:
        raise FileFormatError("holds bounds of clipping that are no range of weights")
    return low, high


def _intervals(
    about: object, columns: Mapping[str, Sequence[object]], length: int
) -> Intervals | None:
    if not isinstance(about, Mapping):  # a file of an older version, or of counts
        return None
    try:
        found = Intervals.from_file(about, columns)
    except ValueError as error:
        raise FileFormatError(f"holds {error}") from error
    if len(found) != length:
        raise FileFormatError("holds intervals that do not fit its weights")
    return found


def _counts(column: Sequence[object] | None, length: int) -> list[int]:
    if column is None:
        return [0] * length
    try:
        counts = [int(value) for value in column]  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError) as error:
        raise FileFormatError("holds a pixel count that is no whole number") from error
    if len(counts) != length or min(counts, default=0) < 0 or sum(counts) > LARGEST:
        raise FileFormatError("holds pixel counts that do not fit its weights")
    return counts


def _shares(column: Sequence[object], length: int) -> list[int]:
    shares = [_number(value) for value in column]
    if len(shares) != length or not all(0 <= share <= 1 for share in shares):
        raise FileFormatError("holds shares that do not fit its weights")
    numbers: list[int] = in_proportion(shares).tolist()
    return numbers


def _mapping(value: Any) -> dict[str, object]:
    return dict(value) if isinstance(value, Mapping) else {}
