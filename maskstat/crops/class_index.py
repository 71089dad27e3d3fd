"""`ClassIndex`: where each class is in every mask, to draw pixels of it without opening one."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskstat.crops.class_runs import ClassRuns, MaskTables
from maskstat.errors import FileFormatError, ParameterError
from maskstat.naming import counted
from maskstat.showing import cut, one_line
from maskstat.values.catalog import DEFAULT_IGNORE, ClassCatalog
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray

if TYPE_CHECKING:
    from maskstat.kernels.coded_runs import CodedRuns


class Pixels(NamedTuple):
    """Pixels of masks: numbers, or arrays of one shape.

    Attributes:
        mask: position of the mask in `ClassIndex.names`.
        row, column: of the pixel in its mask.
    """

    mask: int | IntArray
    row: int | IntArray
    column: int | IntArray

    def __repr__(self) -> str:
        return one_line(self)


class ClassIndex:
    """The runs of every class in every mask.

    Pixels of a class have ranks: those of the first mask in raster order, then those of the next.
    So the pixels 0 to n - 1 of a class are all n of it, and a rank drawn uniformly is a pixel drawn
    uniformly.

    Attributes:
        names: of the B masks.
        sizes: int64[B, 2], height and width of each.
        catalog: the K classes.
        runs: what is kept of the masks.
    """

    def __init__(
        self,
        names: Sequence[str],
        catalog: ClassCatalog,
        runs: ClassRuns,
    ):
        self.names, self.catalog, self.runs = tuple(names), catalog, runs
        self.sizes = runs.tables.sizes
        self._path: Path | None = None
        entries = np.searchsorted(runs.classes, np.arange(len(catalog) + 1))
        self._entries = entries.astype(np.int64)
        keys = runs.classes * len(names) + runs.masks
        self._first_pixels: list[int] = runs.before[entries].tolist()
        self._widths: list[int] = self.sizes[:, 1].tolist()
        self._keys = np.append(keys, np.iinfo(np.int64).max)

    @classmethod
    def of_labels(
        cls,
        names: Iterable[str],
        labels: Iterable[ArrayLike],
        catalog: ClassCatalog | int,
    ) -> ClassIndex:
        """The index of masks in memory.

        Args:
            names: of the masks, each once.
            labels: integers (H, W) a mask: class indices. Negative ones and 255 (where there are
                fewer classes) are pixels of no class.
            catalog: the classes, or how many there are.

        Raises:
            ParameterError: an array is of another kind, a label is no class, or names are not
                unique or of another number than masks.
        """
        catalog = ClassCatalog.numbered(catalog) if isinstance(catalog, int) else catalog
        kept = tuple(names)
        if len(set(kept)) < len(kept):
            raise ParameterError("has a name twice", parameter="names")
        data = io.BytesIO()
        tables = MaskTables.of((_coded(label, len(catalog)) for label in labels), data)
        if len(tables.sizes) != len(kept):
            raise ParameterError(
                f"{counted(len(tables.sizes), 'mask')}, and {counted(len(kept), 'name')}",
                parameter="labels",
            )
        return cls(kept, catalog, ClassRuns.of(tables, np.frombuffer(data.getvalue(), np.uint8)))

    @classmethod
    def load(cls, path: str | Path) -> ClassIndex:
        """The index that a file holds. Its runs stay on the disk, and are read where they are.

        Raises:
            FileFormatError: it can't be read, is no class index, of a version to come, or damaged.
        """
        from maskstat.crops.index_files import load_index

        names, catalog, runs = load_index(Path(path))
        index = cls(names, catalog, runs)
        index._path = Path(path)
        return index

    def save(self, path: str | Path) -> Path:
        """Write the index as a .npz that `load` reads, and NumPy too; returns the path.

        Raises:
            FileFormatError: it can't be written, or is to be called otherwise.
        """
        from maskstat.crops.index_files import save_index

        save_index(Path(path), self)
        return Path(path)

    def __reduce__(self) -> tuple[object, ...]:
        """One that was loaded is loaded again where it comes to: its bytes stay where they are."""
        if self._path is not None:
            return type(self).load, (self._path.absolute(),)
        return type(self)._of, (self.names, self.catalog, self.runs.tables, self.runs.data)

    @classmethod
    def _of(
        cls,
        names: tuple[str, ...],
        catalog: ClassCatalog,
        tables: MaskTables,
        data: NDArray[np.uint8],
    ) -> ClassIndex:
        return cls(names, catalog, ClassRuns.of(tables, data))

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return one_line(
            self,
            counted(len(self), "mask"),
            counted(len(self.catalog), "class"),
            counted(int(self.runs.before[-1]), "pixel"),
        )

    @property
    def class_pixels(self) -> IntArray:
        """int64[K], pixels of each class in all masks."""
        return np.diff(self.runs.before[self._entries])

    @property
    def ledger(self) -> MaskLedger:
        """How many pixels of each class each mask has."""
        runs = self.runs
        order = np.lexsort((runs.classes, runs.masks))
        of_masks = np.bincount(runs.masks, minlength=len(self))
        return MaskLedger(
            len(self.catalog),
            self.names,
            self.sizes.prod(axis=1),
            np.concatenate([[0], np.cumsum(of_masks, dtype=np.int64)]),
            runs.classes[order],
            np.diff(runs.before)[order],
        )

    def pixels(self, class_index: int, mask: int | None = None) -> int:
        """How many pixels of a class there are, in all masks or in one.

        Raises:
            ParameterError: there is no such class or mask.
        """
        self._check_class(class_index)
        if mask is None:
            return int(self.class_pixels[class_index])
        self._check_mask(mask)
        entry, there = self._entry(np.asarray(class_index), np.asarray(mask))
        return int(np.diff(self.runs.before[entry : entry + 2])[0]) if there else 0

    def masks_with(self, class_index: int, least_pixels: int = 1) -> IntArray:
        """int64[n], positions of the masks with so many pixels of a class or more, ascending.

        Raises:
            ParameterError: there is no such class.
        """
        self._check_class(class_index)
        first, behind = self._entries[class_index : class_index + 2]
        enough = np.diff(self.runs.before[first : behind + 1]) >= least_pixels
        return self.runs.masks[first:behind][enough]

    def pixel(self, class_index: ArrayLike, u: ArrayLike, mask: ArrayLike | None = None) -> Pixels:
        """A pixel of a class, of the whole data set or of one mask.

        Arguments are numbers, or arrays that broadcast: then so many pixels.

        Args:
            class_index: the class.
            u: where among its pixels: a float, a share in [0, 1), or an integer, a rank from 0. The
                pixel of a share drawn uniformly is one drawn uniformly.
            mask: position of the mask; without, a pixel of all masks.

        Raises:
            ParameterError: there is no such class or mask, the class has no pixel there, or `u` is
                out of range.
        """
        if _is_number(class_index) and _is_number(u) and (mask is None or _is_number(mask)):
            one = self._one(class_index, u, mask)
            if one is not None:
                return one
        classes, places = np.asarray(class_index), np.asarray(u)
        self._check_class(classes)
        before = self.runs.before
        if mask is None:
            first, behind = self._entries[classes], self._entries[classes + 1]
        else:
            masks = np.asarray(mask)
            self._check_mask(masks)
            first, there = self._entry(classes, masks)
            behind = first + there
        first, count = before[first], before[behind] - before[first]
        classes, first, count, places = np.broadcast_arrays(classes, first, count, places)
        if not count.all():
            name = self.catalog.names[int(classes[count == 0].flat[0])]
            where = "in any mask" if mask is None else "in the mask"
            raise ParameterError(f"class {cut(name)} has no pixel {where}", parameter="class_index")
        place = np.asarray(first + _ranks(places, count))
        found, at = self.runs.coded.find(np.ascontiguousarray(place.ravel()))
        if (at < 0).any():
            raise _damaged(self.names[int(found[at < 0][0])])
        row, column = np.divmod(at, self.sizes[found, 1])
        if not place.ndim:
            return Pixels(int(found[0]), int(row[0]), int(column[0]))
        return Pixels(*(one.reshape(place.shape) for one in (found, row, column)))

    def _one(self, class_index: Any, u: Any, mask: Any) -> Pixels | None:
        """What `pixel` gives for numbers, sooner; None where it has something to say about them."""
        if isinstance(class_index, float) or not 0 <= class_index < len(self.catalog):
            return None
        if mask is None:
            first, behind = self._first_pixels[class_index : class_index + 2]
        elif isinstance(mask, int) and 0 <= mask < len(self):
            key = class_index * len(self) + mask
            entry = self._keys.searchsorted(key)
            first = self.runs.before[entry].item()
            behind = self.runs.before[entry + 1].item() if self._keys[entry] == key else first
        else:
            return None
        count, share = behind - first, isinstance(u, float)
        if not 0 <= u < (1 if share else count) or not count:
            return None
        found, at = self.runs.coded.find_one(
            first + (min(int(u * count), count - 1) if share else u)
        )
        if at < 0:
            raise _damaged(self.names[found])
        return Pixels(found, *divmod(at, self._widths[found]))

    def _entry(
        self, classes: NDArray[np.integer], masks: NDArray[np.integer]
    ) -> tuple[IntArray, NDArray[np.bool_]]:
        """Where the runs of classes in masks are, or would be, and whether there are any."""
        keys = classes.astype(np.int64) * len(self) + masks
        at = np.searchsorted(self._keys, keys)
        return at, self._keys[at] == keys

    def _check_class(self, class_index: ArrayLike) -> None:
        _check_positions(class_index, len(self.catalog), "class", "class_index")

    def _check_mask(self, mask: ArrayLike) -> None:
        _check_positions(mask, len(self), "mask", "mask")


def _damaged(name: str) -> FileFormatError:
    return FileFormatError(
        f"damaged: its bytes of the mask {cut(name)} are no runs",
        where="class index",
        remedy="make it anew",
    )


def _is_number(given: object) -> bool:
    return isinstance(given, (int, float))


def _check_positions(given: ArrayLike, count: int, noun: str, parameter: str) -> None:
    """Raise ParameterError where integers are no positions among so many things."""
    positions = np.asarray(given)
    if positions.dtype.kind not in "iu":
        raise ParameterError("is a position, counted from 0", parameter=parameter)
    off = (positions < 0) | (positions >= count)
    if off.any():
        raise ParameterError(
            f"there is no {noun} {int(positions[off].flat[0])}, only {counted(count, noun)}",
            parameter=parameter,
        )


def _ranks(places: NDArray[Any], count: IntArray) -> IntArray:
    """Ranks below `count` that shares in [0, 1), or ranks, stand for. Raises ParameterError."""
    if places.dtype.kind == "f":
        if not ((places >= 0) & (places < 1)).all():
            raise ParameterError("a share of pixels is from 0 to below 1", parameter="u")
        # The product may be rounded up to `count` itself.
        return np.minimum((places.astype(np.float64) * count).astype(np.int64), count - 1)
    if places.dtype.kind not in "iu":
        raise ParameterError("is a share in [0, 1) or a rank", parameter="u")
    off = (places < 0) | (places >= count)
    if off.any():
        raise ParameterError(
            f"has the rank {places[off].flat[0]} of {counted(int(count[off].flat[0]), 'pixel')}",
            parameter="u",
        )
    return places.astype(np.int64)


def _coded(label: ArrayLike, classes: int) -> CodedRuns:
    """The runs of a mask of class indices. Raises ParameterError."""
    from maskstat.kernels.coded_runs import CodedRuns
    from maskstat.kernels.label_runs import runs_of

    array = np.asarray(label)
    if array.ndim != 2 or not array.size or array.dtype.kind not in "iu":
        raise ParameterError(
            f"masks are integers (H, W), not {array.dtype} {array.shape}", parameter="labels"
        )
    values = np.unique(array)
    ignored = (values == DEFAULT_IGNORE) & (classes <= DEFAULT_IGNORE)
    off = (values >= classes) & ~ignored
    if off.any():
        raise ParameterError(
            f"the label {values[off].max()} is no class: there are {classes}", parameter="labels"
        )
    some = values[(values >= 0) & ~ignored].astype(np.int64)
    return CodedRuns.of(*runs_of(array, some, some))
