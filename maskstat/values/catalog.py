"""ClassCatalog: which raw values mean which class.

Counting knows raw values only; a catalogue interprets them afterwards. So classes, ignored values
and remaps can change without decoding one mask again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import CatalogError, ParameterError, argument
from maskstat.naming import counted, printable, storable
from maskstat.showing import cut, html, one_line
from maskstat.values.tally import GREY, Encoding, IntArray, TallyTable, value_label

IGNORED = -1
UNLISTED = -2
DEFAULT_IGNORE = 255
MAX_CLASSES = 65536
_DISTANCES_AT_ONCE = 1 << 20

_Kind = tuple[str, int | None]  # of masks that are looked up alike: what values are, and nodata
_COLOUR: _Kind = ("colour", None)


@dataclass(frozen=True, slots=True)
class ClassInfo:
    """One class.

    Attributes:
        index: position in the catalogue, 0..K-1; the model's output channel.
        name: unique name.
        values: raw values that mean this class in index masks; empty only where the class was
            ignored by the user or exists only in colour-coded masks.
        colours: values that mean this class in colour-coded masks, as in `MaskTally.values`.
        colour: 0xRRGGBB to show the class in, or None.
    """

    index: int
    name: str
    values: tuple[int, ...]
    colours: tuple[int, ...] = ()
    colour: int | None = None

    __repr__ = one_line


@dataclass(frozen=True, repr=False)
class ClassCatalog:
    """K classes and what is ignored.

    Attributes:
        classes: K entries, `classes[i].index == i`.
        ignored_values: raw values of index masks that are left out of every count of classes; so
            is what the file of a mask calls nodata, where no class is declared to have it.
        ignored_colours: the same for colour-coded masks.
        ignore_255: whether 255 is ignored in 8-bit index masks where it is not a class.
        nearest_colour: how far a colour of a mask may be off, as the largest difference of a
            channel (alpha is one), to count as the nearest listed colour; 0: not at all.
        nodata_first: whether a value that the file of a mask calls nodata is ignored in it even
            where a class has it: of inferred classes, which nobody declared.
        name: what the catalogue is called in output.
        origin: "number" (only K was given), "inferred" (from the values found), "file", "preset" or
            "source" (names and values of a source that has its own).
        binary: whether 255 was taken for class 1, since nobody said what it is (`reading`).
        multilabel: whether values are of several channels, one a label: a pixel has any number of
            the K classes, and their values are numbers of channels, from 0 (`values.labels`).

    Raises:
        CatalogError: a value, colour or name belongs to two.
    """

    classes: tuple[ClassInfo, ...]
    ignored_values: frozenset[int] = frozenset()
    ignored_colours: frozenset[int] = frozenset()
    ignore_255: bool = True
    name: str = "classes"
    origin: str = "file"
    nearest_colour: int = 0
    nodata_first: bool = False
    binary: bool = False
    multilabel: bool = False
    _lookups: dict[_Kind, tuple[IntArray, IntArray]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _names: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", storable(self.name))  # it may be a file's
        fewest = 0 if self.origin == "inferred" else 1
        if not fewest <= len(self.classes) <= MAX_CLASSES:
            raise CatalogError(
                f"a catalogue has 1 to {MAX_CLASSES} classes, not {len(self.classes)}"
            )
        if not 0 <= self.nearest_colour <= 255:
            raise CatalogError(f"a colour is off by 0 to 255, not by {self.nearest_colour}")
        object.__setattr__(self, "_names", tuple(info.name for info in self.classes))
        owners: dict[tuple[bool, int], str] = {}
        names: set[str] = set()
        for index, info in enumerate(self.classes):
            if info.index != index:
                raise CatalogError(
                    f"class {printable(info.name)!r} has index {info.index}, "
                    f"but stands at position {index}"
                )
            if not info.name.strip() or "\0" in info.name or info.name != storable(info.name):
                raise CatalogError(f"the name of class {index} is not text")
            if info.name in names:
                raise CatalogError(f"two classes are called {printable(info.name)!r}")
            names.add(info.name)
            _claim(owners, f"class {printable(info.name)!r}", info.values, info.colours)
        _claim(owners, "the ignored values", self.ignored_values, self.ignored_colours)

    @classmethod
    def numbered(cls, count: int) -> ClassCatalog:
        """K classes class_0..class_{K-1} with the raw values 0..K-1.

        Raises:
            CatalogError: `count` is not 1 to MAX_CLASSES.
        """
        if not 1 <= count <= MAX_CLASSES:
            raise CatalogError(f"the number of classes must be 1 to {MAX_CLASSES}, not {count}")
        classes = tuple(ClassInfo(k, f"class_{k}", (k,)) for k in range(count))
        return cls(classes, name=f"{count} classes", origin="number")

    @classmethod
    def to_infer(cls) -> ClassCatalog:
        """No classes yet: they are to be inferred from the values that a scan finds."""
        return cls((), name="inferred", origin="inferred")

    @classmethod
    def inferred(
        cls,
        values: Iterable[int],
        *,
        eight_bit: bool,
        ignored: frozenset[int] = frozenset(),
        nodata: Iterable[int] = (),
    ) -> ClassCatalog:
        """Classes from the raw values found in index masks.

        Class index equals raw value (0..max) while max < 256, so that weights line up with a
        model's outputs even where a value in between never occurs; with larger or negative
        values there is one class a value found, in ascending order. 255 counts as the ignore
        index of 8-bit masks, except where the values are just {0, 255}: a binary mask. `nodata` is
        what files call so; there it is ignored, whatever the classes of other masks.

        Raises:
            CatalogError: there would be more than MAX_CLASSES.
        """
        found = sorted(set(values))
        if not found:
            return cls.to_infer()
        if eight_bit and not ignored and found == [0, DEFAULT_IGNORE]:
            background = ClassInfo(0, "background", (0,))
            foreground = ClassInfo(1, "foreground", (DEFAULT_IGNORE,))
            return cls((background, foreground), name="binary mask", origin="inferred", binary=True)
        void = ignored | {DEFAULT_IGNORE} if eight_bit else ignored
        kept = [v for v in found if v not in void]
        if not kept:
            return cls.to_infer()
        raw = range(kept[-1] + 1) if kept[0] >= 0 and kept[-1] < 256 else kept
        if len(raw) > MAX_CLASSES:
            raise CatalogError(
                f"{len(raw)} different values found: too many to be classes",
                remedy=f"say what they mean with {argument('classes')}",
            )
        classes = tuple(ClassInfo(k, f"class_{v}", (v,)) for k, v in enumerate(raw))
        first = any(value in raw for value in nodata)
        return cls(classes, name="inferred", origin="inferred", nodata_first=first)

    def __len__(self) -> int:
        return len(self.classes)

    def __repr__(self) -> str:
        return one_line(self, cut(self.name), counted(len(self), "class"))

    def _repr_html_(self) -> str | None:
        return html(self)

    @property
    def names(self) -> tuple[str, ...]:
        """The K class names."""
        return self._names

    @property
    def has_colours(self) -> bool:
        """Whether the catalogue can explain colour-coded masks."""
        return any(info.colours for info in self.classes)

    def explains(self, value: int) -> bool:
        """Whether a raw value of index masks is declared a class or ignored."""
        return value in self.ignored_values or any(value in info.values for info in self.classes)

    @property
    def digest(self) -> str:
        """SHA-256 over everything that decides which pixel belongs to which class."""
        return hashlib.sha256(
            json.dumps(
                [
                    [[c.name, sorted(c.values), sorted(c.colours)] for c in self.classes],
                    sorted(self.ignored_values),
                    sorted(self.ignored_colours),
                    self.ignore_255,
                    *([self.nearest_colour] if self.nearest_colour else []),
                    *(["nodata first"] if self.nodata_first else []),
                    *(["multilabel"] if self.multilabel else []),
                ],
                ensure_ascii=True,
            ).encode()
        ).hexdigest()

    def ignoring(self, values: Iterable[int] = (), colours: Iterable[int] = ()) -> ClassCatalog:
        """The same catalogue with more ignored.

        An ignored value that was a class's is taken from the class, which keeps its index.
        """
        dropped, dropped_colours = frozenset(values), frozenset(colours)
        if not dropped and not dropped_colours:
            return self
        classes = tuple(
            replace(
                info,
                values=tuple(v for v in info.values if v not in dropped),
                colours=tuple(c for c in info.colours if c not in dropped_colours),
            )
            for info in self.classes
        )
        return replace(
            self,
            classes=classes,
            ignored_values=self.ignored_values | dropped,
            ignored_colours=self.ignored_colours | dropped_colours,
        )

    @property
    def may_be_binary(self) -> bool:
        """Whether the classes are the values 0 and 1, and nobody said what 255 is."""
        return (
            [info.values for info in self.classes] == [(0,), (1,)]
            and self.ignore_255
            and not self.multilabel
            and self.origin != "source"
            and DEFAULT_IGNORE not in self.ignored_values
        )

    def reading(self, found: Iterable[int]) -> ClassCatalog:
        """The catalogue as index masks of these raw values are to be read.

        Where the classes are 0 and 1, the values found are just {0, 255}, and nobody said what 255
        is, the masks are binary: 255 is class 1.
        """
        kept = {*found} - self.ignored_values
        if not self.may_be_binary or kept != {0, DEFAULT_IGNORE}:
            return self
        background, foreground = self.classes
        return replace(
            self,
            classes=(background, replace(foreground, values=(DEFAULT_IGNORE,))),
            name=f"{self.name}, 255 is {foreground.name}",
            binary=True,
        )

    @property
    def begins_at_one(self) -> bool:
        """Whether class k is the value k + 1, and 0 is void."""
        return (
            bool(self.classes)
            and 0 in self.ignored_values
            and all(set(info.values) <= {info.index + 1} for info in self.classes)
            and any(info.values for info in self.classes)
        )

    @property
    def lacks_zero(self) -> bool:
        """Whether class k is the value k, but the value 0 is ignored, so that class 0 has none."""
        return (
            len(self) > 1
            and 0 in self.ignored_values
            and not self.classes[0].values
            and any(info.values for info in self.classes)
            and all(set(info.values) <= {info.index} for info in self.classes)
        )

    def reducing_zero_label(self) -> ClassCatalog:
        """The same classes for labels that begin at 1: 0 is void, class k is the value k + 1.

        Raises:
            ParameterError: the classes are not the values 0 to K - 1.
        """
        if self.begins_at_one:
            return self
        if not self.classes:
            raise ParameterError(
                "goes with classes, not with those that are inferred",
                parameter="reduce_zero_label",
                remedy=f"say how many labels there are besides 0: {argument('classes')}",
            )
        ignored = self.ignored_values | {0}
        for info in self.classes:
            if info.values != (info.index,) and not (not info.values and info.index in ignored):
                raise ParameterError(
                    f"goes with classes that are the values 0 to {len(self) - 1}, and class"
                    f" {printable(info.name)!r} is {' and '.join(map(str, info.values)) or 'none'}",
                    parameter="reduce_zero_label",
                    remedy="leave it out where the catalogue has the masks' own values",
                )
        classes = tuple(
            replace(info, values=() if info.index + 1 in ignored else (info.index + 1,))
            for info in self.classes
        )
        return replace(self, classes=classes, ignored_values=ignored)

    def targets(self, table: TallyTable) -> NDArray[np.int64]:
        """Class index of every entry of a table, or IGNORED, or UNLISTED. Shape (nnz,).

        Raises:
            CatalogError: the classes are labels, of which a pixel has any number.
        """
        self._demand_classes()
        targets = np.empty(table.values.size, np.int64)
        kinds = {encoding: self._kind(encoding) for encoding in set(table.encodings)}
        used = list(dict.fromkeys(kinds.values()))
        if len(used) == 1:
            return self._targets(used[0], table.values)
        kind_of_mask = np.array([used.index(kinds[e]) for e in table.encodings], np.int64)
        kind_of_entry = np.repeat(kind_of_mask, np.diff(table.indptr))
        for number, kind in enumerate(used):
            chosen = kind_of_entry == number
            targets[chosen] = self._targets(kind, table.values[chosen])
        return targets

    def targets_of(self, encoding: Encoding, values: IntArray) -> NDArray[np.int64]:
        """The same for raw values [V] of one mask."""
        self._demand_classes()
        return self._targets(self._kind(encoding), values)

    def _demand_classes(self) -> None:
        if self.multilabel:
            raise CatalogError("a pixel has any number of labels, and no class of its own")

    def _targets(self, kind: _Kind, values: IntArray) -> NDArray[np.int64]:
        targets = self._look_up(kind, values)
        if kind == _COLOUR and self.nearest_colour:
            off = targets == UNLISTED
            nearest, difference = self.nearest(values[off])
            targets[off] = np.where(difference <= self.nearest_colour, nearest, UNLISTED)
        return targets

    def nearest(self, colours: IntArray) -> tuple[IntArray, IntArray]:
        """What the listed colour nearest to each of `colours` means, and how far it is.

        The distance is the largest difference of a channel. Where colours of several classes (or
        one of these and an ignored one) are equally near, none is the nearest.

        Args:
            colours: int64[n] values of colour-coded masks.

        Returns:
            int64[n] class indices or IGNORED, or UNLISTED where none is the nearest; int64[n]
            distances, 256 where no colours are listed.
        """
        keys, meanings = self._lookup(_COLOUR)
        unique, inverse = np.unique(colours, return_inverse=True)
        targets = np.full(unique.size, UNLISTED, np.int64)
        distances = np.full(unique.size, 256, np.int64)
        if keys[0] >= 0:
            listed = _channels(keys)
            step = max(1, _DISTANCES_AT_ONCE // keys.size)
            for first in range(0, unique.size, step):
                part = slice(first, first + step)
                off = np.abs(_channels(unique[part])[:, None] - listed).max(axis=2)
                distances[part] = off.min(axis=1)
                near = off == distances[part, None]
                lowest = np.where(near, meanings, np.iinfo(np.int64).max).min(axis=1)
                highest = np.where(near, meanings, np.iinfo(np.int64).min).max(axis=1)
                targets[part] = np.where(lowest == highest, lowest, UNLISTED)
        inverse = inverse.reshape(-1)
        return targets[inverse], distances[inverse]

    def _kind(self, encoding: Encoding) -> _Kind:
        """Which lookup explains masks of this encoding, and what is nodata in them."""
        if encoding.is_colour:
            grey = encoding.lacks_grey and not self.has_colours
            return ("grey in colour", None) if grey else _COLOUR
        return "8-bit index" if encoding.is_eight_bit else "index", encoding.nodata

    def _lookup(self, kind: _Kind) -> tuple[IntArray, IntArray]:
        if kind not in self._lookups:
            self._lookups[kind] = self._build(kind)
        return self._lookups[kind]

    def _look_up(self, kind: _Kind, values: IntArray) -> IntArray:
        keys, targets = self._lookup(kind)
        at = np.minimum(np.searchsorted(keys, values), keys.size - 1)
        return np.where(keys[at] == values, targets[at], UNLISTED)

    def _build(self, of: _Kind) -> tuple[IntArray, IntArray]:
        table: dict[int, int] = {}
        kind, nodata = of
        if kind == "colour":
            table.update(dict.fromkeys(self.ignored_colours, IGNORED))
            table.update((c, info.index) for info in self.classes for c in info.colours)
        else:
            if self.ignore_255 and kind != "index":
                table[DEFAULT_IGNORE] = IGNORED
            table.update(dict.fromkeys(self.ignored_values, IGNORED))
            void = {} if nodata is None else {nodata: IGNORED}
            table |= void
            table.update((v, info.index) for info in self.classes for v in info.values)
            if self.nodata_first:
                table |= void
            if kind == "grey in colour":
                table = {v * GREY: target for v, target in table.items() if 0 <= v <= 255}
                table |= dict.fromkeys(self.ignored_colours, IGNORED)
        table = table or {np.iinfo(np.int64).min: UNLISTED}
        keys = np.array(sorted(table), np.int64)
        return keys, np.array([table[int(key)] for key in keys], np.int64)

    def to_dict(self) -> dict[str, object]:
        """The catalogue as the mapping a catalogue file holds; loads back equal."""
        classes: list[dict[str, object]] = []
        for info in self.classes:
            entry: dict[str, object] = {"name": info.name, "values": list(info.values)}
            entry["colour"] = None if info.colour is None else f"#{info.colour:06x}"
            entry["colours"] = [value_label(c, colour=True) for c in info.colours]
            classes.append(entry)
        return {
            "name": self.name,
            "classes": classes,
            "ignore": sorted(self.ignored_values),
            "ignore_colours": [value_label(c, colour=True) for c in sorted(self.ignored_colours)],
            "ignore_255": self.ignore_255,
            "nearest_colour": self.nearest_colour,
            **({"nodata_first": True} if self.nodata_first else {}),
            "origin": self.origin,
        }


def _channels(colours: IntArray) -> NDArray[np.int16]:
    """int16[n, 4] samples of colours: red, green, blue, and what opacity lacks."""
    samples: IntArray = colours[:, None] >> np.array([16, 8, 0, 24]) & 0xFF
    return samples.astype(np.int16)


def _claim(
    owners: dict[tuple[bool, int], str],
    owner: str,
    values: Iterable[int],
    colours: Iterable[int],
) -> None:
    """Note that these values and colours belong to `owner`, or raise if one is taken."""
    claims: Sequence[tuple[bool, int]] = [
        *((False, value) for value in values),
        *((True, colour) for colour in colours),
    ]
    for colour, value in claims:
        if not (0 <= value < 1 << 32 if colour else -(1 << 63) <= value < 1 << 63):
            raise CatalogError(f"{owner} has the value {value}, which no pixel can have")
        if (taken := owners.setdefault((colour, value), owner)) != owner:
            what = "colour" if colour else "value"
            label = value_label(value, colour=colour)
            raise CatalogError(f"{what} {label} belongs to {taken} and to {owner}")
