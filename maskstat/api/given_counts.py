"""`from_counts`: a scan of counts that people already have. No mask is known to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from maskstat.api.scan import Scan
from maskstat.errors import CatalogError, ParameterError, StoreError, UnknownCountsError, argument
from maskstat.files.count_tables import (
    GivenTable,
    Key,
    numbers_of,
    read_count_table,
    table_of,
)
from maskstat.naming import did_you_mean, printable
from maskstat.scanning.class_options import Classes, parse_ignored
from maskstat.scanning.stored_scan import StoredScan
from maskstat.store.records import Failure, ScanInfo
from maskstat.values.amounts import amounts, whole_numbers
from maskstat.values.catalog import DEFAULT_IGNORE, ClassCatalog, ClassInfo
from maskstat.values.catalog_files import load_catalog
from maskstat.values.catalog_mapping import catalog_from_mapping
from maskstat.values.given import Given
from maskstat.values.histogram import ClassHistogram, ValueCount
from maskstat.values.known import known
from maskstat.values.tally import IntArray

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from maskstat.readers.options import ReadOptions
    from maskstat.regions.profile import PixelProfile
    from maskstat.sources.base import Entry
    from maskstat.values.ledger import MaskLedger
    from maskstat.values.tally import TallyTable

NamedOrOrdered = Mapping[str, int] | Sequence[int]
"""A number for each class: by name, or in the order of the counts."""


class GivenScan(Scan):
    """A scan of given counts: a `Scan` in which whatever only masks can say is unknown.

    Reading `ledger`, `tables`, `entries`, `read_options`, or what the histogram does not know
    raises UnknownCountsError.
    """

    def __init__(self, histogram: ClassHistogram, name: str, source: str):
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self.info = ScanInfo(0, name, source, histogram.catalog, now, now, complete=True)
        self.changes = None
        self._given, self._grid = histogram.catalog, None
        self._histogram = histogram

    @property
    def catalog(self) -> ClassCatalog:
        """The classes of the counts."""
        return self._given

    @property
    def histogram(self) -> ClassHistogram:
        """The counts, as far as they were given."""
        return self._histogram

    @property
    def has_files(self) -> bool:
        """False: nothing can look at pixels again."""
        return False

    @property
    def ledger(self) -> MaskLedger:
        """Unknown. Raises UnknownCountsError."""
        self._refuse("the content of each mask")

    @property
    def profile_state(self) -> None:
        """None: nothing was measured."""
        return None

    def need_profile(self, *, of_all: bool = False) -> PixelProfile:
        """There is none. Raises UnknownCountsError."""
        self._refuse("the place and form of classes")

    @property
    def profile_call(self) -> str:
        """There is none. Raises UnknownCountsError."""
        self._refuse("the place of the masks")

    @property
    def failures(self) -> tuple[Failure, ...]:
        """None: no mask was read."""
        return ()

    @property
    def read_options(self) -> ReadOptions:
        """Unknown. Raises UnknownCountsError."""
        self._refuse("the way masks are read")

    def tables(self) -> Iterator[TallyTable]:
        """Unknown. Raises UnknownCountsError."""
        self._refuse("the content of each mask")

    def entries(self) -> Iterator[Entry]:
        """Unknown. Raises UnknownCountsError."""
        self._refuse("the place of the masks")

    def exposure(self, *_: object, **__: object) -> NoReturn:
        """There is no mask to crop. Raises UnknownCountsError."""
        self._refuse("the content of each mask")

    def approximate_exposure(self, *_: object, **__: object) -> NoReturn:
        """There is no heat map. Raises UnknownCountsError."""
        self._refuse("the place and form of classes")

    def class_index(self, *_: object, **__: object) -> NoReturn:
        """There is no mask to index. Raises UnknownCountsError."""
        self._refuse("the content of each mask")

    def export(self, *_: object, **__: object) -> NoReturn:
        """There is no mask to export. Raises UnknownCountsError."""
        self._refuse("the content of each mask")

    def under(
        self,
        classes: Classes | None = None,
        ignore: int | str | Iterable[int | str] = (),
        nearest_colour: int | None = None,
        reduce_zero_label: bool = False,
    ) -> GivenScan:
        """The same counts with the classes of another catalogue, told by their names.

        Ignored values take their class's counts away, where it has no other value.

        Raises:
            CatalogError: `classes` names no catalogue, or other classes than were counted.
            ParameterError: something in `ignore` is neither a number nor a colour.
            UnknownCountsError: a class has ignored values and others, or colours or values are
                asked for.
        """
        if nearest_colour is not None:
            self._refuse("the colours in the masks")
        if reduce_zero_label:
            self._refuse("the values in the masks")
        mine = self.histogram
        catalog = self.catalog if classes is None else load_catalog(classes)
        rows = _rows_of(mine.catalog.names, catalog, mine.pixels)
        values, colours = parse_ignored(ignore)
        narrowed = catalog.ignoring(values, colours)
        gone = np.zeros(len(catalog), bool)
        for before, after in zip(catalog.classes, narrowed.classes, strict=True):
            if (before.values, before.colours) == (after.values, after.colours):
                continue
            if after.values or after.colours:
                self._refuse(
                    f"the number of pixels of each value of class {printable(before.name)!r}"
                )
            gone[before.index] = True

        def moved(name: str) -> IntArray | None:
            counts = known(mine, name)
            return None if counts is None else np.where(gone, 0, counts[rows])

        histogram = ClassHistogram(
            narrowed,
            np.where(gone, 0, mine.pixels[rows]),
            moved("masks"),
            moved("image_pixels"),
            None if gone.any() else moved("labelled_image_pixels"),
            unlisted=mine.unlisted,
            mask_count=known(mine, "mask_count"),
            single_class_masks=None if gone.any() else known(mine, "single_class_masks"),
            unlabelled_masks=None if gone.any() else known(mine, "unlabelled_masks"),
            total_pixels=known(mine, "total_pixels"),
            unit=mine.unit,
        )
        return GivenScan(histogram, self.name, self.source)

    @contextmanager
    def _other(self, scan: Scan | str) -> Iterator[StoredScan]:
        if not isinstance(scan, StoredScan):
            raise StoreError(
                f"counts were given, and there is no store to find {printable(repr(scan))} in",
                where=printable(self.name),
                remedy="give the scan itself",
            )
        yield scan

    def close(self) -> None:
        """There is nothing to close."""

    def _refuse(self, what: str) -> NoReturn:
        raise UnknownCountsError(
            f"{what} is unknown: counts were given, no masks",
            where=printable(self.name),
            remedy="scan the masks",
        )


def from_counts(
    counts: Mapping[Key, Any] | Iterable[Any] | ArrayLike | str | Path,
    *,
    classes: Classes | None = None,
    unit: Given | None = None,
    masks: NamedOrOrdered | None = None,
    image_pixels: NamedOrOrdered | None = None,
    mask_count: int | None = None,
    name: str | None = None,
) -> Scan:
    """A scan of counts that you already have: weights, costs and plots without counting again.

        >>> import maskstat as ms
        >>> scan = ms.from_counts({"road": 5587, "car": 802, "sign": 11})
        >>> scan.weights("sqrt", normalize="max").weights.round(4)
        array([0.0444, 0.1171, 1.    ])
        >>> ms.from_counts([52.1, 30.2, 17.7], classes=["road", "car", "sign"]).histogram
        <ClassHistogram 3 classes, unknown masks, shares>

    Whole numbers are counts of pixels. Fractions that sum to 1 are shares, to 100 percentages,
    within the rounding of their digits; shares stay shares: `histogram.unit` says so, and how many
    pixels there are is unknown. What masks hold is unknown, not 0: schemes, costs and plots that
    need it raise UnknownCountsError, which says what they lack.

    Args:
        counts: K numbers: a mapping of names (or raw values of masks) to numbers, one number a
            class in order, a pandas Series or DataFrame, or a file: CSV, TSV, JSON or YAML with a
            name and a number a class, a full weight file, or what `maskstat show --json` prints.
            Columns "masks" and "image_pixels" are read too, and MATLAB's PixelCount and
            ImagePixelCount. A text like "5587,802,11" is numbers.
        classes: a number, names, a file or a preset, as of a scan. By default the names of the
            counts, or class_0, class_1, ... Raw values are looked up in it; those that do not
            occur have 0.
        unit: "counts", "shares" or "percent", where the numbers could be two of these. Shares may
            then sum to less than a whole, the rest being of no class.
        masks: how many masks contain each class (image count), where known.
        image_pixels: all pixels of the masks with each class, where known.
        mask_count: how many masks there are, where known.
        name: what the scan is called; by default the file's name or "counts".

    Raises:
        ParameterError: numbers that are none, negative, all 0, too large, or could be two things;
            what does not fit together.
        CatalogError: names that are not the classes', or a class that is there twice.
        FileFormatError: a file that holds no table of counts.
    """
    table, source = _read(counts)
    stem = Path(source).stem
    try:
        histogram = _histogram(table, classes, unit, masks, image_pixels, mask_count)
    except (ParameterError, CatalogError) as error:
        if source and error.parameter == "counts":
            error.where = " ".join(filter(None, (printable(source), error.where)))
        raise
    return GivenScan(histogram, name or stem or "counts", source or "given counts")


def _histogram(
    table: GivenTable,
    classes: Classes | None,
    unit: Given | None,
    masks: NamedOrOrdered | None,
    image_pixels: NamedOrOrdered | None,
    mask_count: int | None,
) -> ClassHistogram:
    """What the table and the parameters of `from_counts` say. Raises like it."""
    catalog, keys = _catalog(table, classes)
    numbers = {str(key): number for key, number in zip(keys, table.numbers, strict=True)}
    values, kind = amounts(numbers, table.unit if unit is None else unit)
    rows = _placed(keys, catalog)
    beside = {}
    for what, given in (("masks", masks), ("image_pixels", image_pixels)):
        column = _beside(what, given, table, keys)
        beside[what] = None if column is None else _spread(rows, column, len(catalog))
    if kind != "counts" and beside["image_pixels"] is not None:
        raise ParameterError(
            "shares and pixels do not compare", parameter="image_pixels", remedy="give counts"
        )
    about = _of_document(table.document)
    if mask_count is not None:
        about["mask_count"] = int(whole_numbers({"all": mask_count}, "mask_count")[0])
    histogram = ClassHistogram(
        catalog,
        _spread(rows, values, len(catalog)),
        beside["masks"],
        beside["image_pixels"],
        unit="pixels" if kind == "counts" else "shares",
        **about,
    )
    _demand_consistent(histogram)
    return histogram


def _read(counts: object) -> tuple[GivenTable, str]:
    """The table, and the path of its file, or ""."""
    if isinstance(counts, str) and (numbers := numbers_of(counts)) is not None:
        return GivenTable(numbers), ""
    if isinstance(counts, str) and not counts:  # an array would compare its items
        raise ParameterError("an empty text is no file's name", parameter="counts")
    if isinstance(counts, (str, Path)):
        return read_count_table(Path(counts)), str(counts)
    return table_of(counts), ""


def _catalog(table: GivenTable, classes: Classes | None) -> tuple[ClassCatalog, list[Key]]:
    """The classes, and what each number belongs to: a class's name or a raw value."""
    keys = table.keys
    if not table.numbers:
        raise ParameterError("there are no counts", parameter="counts")
    if classes is not None:
        catalog = load_catalog(classes)
        if keys is not None:
            catalog = catalog.reading(key for key in keys if isinstance(key, int))
    elif keys is None:
        catalog = ClassCatalog.numbered(len(table.numbers))
    elif all(isinstance(key, int) for key in keys):
        values = [int(key) for key in keys]
        if not 0 <= min(values) <= max(values) < DEFAULT_IGNORE:
            raise ParameterError(
                f"the values {min(values)} to {max(values)} have no names",
                parameter="counts",
                remedy=f"say what they mean: {argument('classes')}",
            )
        catalog = ClassCatalog.numbered(max(values) + 1)
    else:
        catalog = _named(table, [str(key) for key in keys])
    if keys is not None:
        return catalog, list(keys)
    if len(catalog) != len(table.numbers):
        raise ParameterError(
            f"there are {len(table.numbers)} numbers and {len(catalog)} classes",
            parameter="counts",
        )
    return catalog, list(catalog.names)


def _named(table: GivenTable, names: Sequence[str]) -> ClassCatalog:
    """A catalogue of these names, and of what a scan's document says of them."""
    about = (table.document or {}).get("catalog")
    rows = (table.document or {}).get("classes")
    if not isinstance(about, Mapping) or not isinstance(rows, list):
        return ClassCatalog(tuple(ClassInfo(k, name, (k,)) for k, name in enumerate(names)))
    kept = ("name", "values", "colour")
    return catalog_from_mapping(
        {
            "classes": [{key: row[key] for key in kept if key in row} for row in rows],
            "name": about.get("name", "classes"),
            "origin": about.get("origin", "file"),
        },
        name="classes",
    )


def _placed(keys: Sequence[Key], catalog: ClassCatalog) -> list[int]:
    """The class of each key, -1 where its value is ignored. Raises ParameterError."""
    if not all(isinstance(key, int) for key in keys):
        return _rows_of_names([str(key) for key in keys], catalog)
    owners = {value: info.index for info in catalog.classes for value in info.values}
    ordered = [int(key) for key in keys]
    if sorted(ordered) == list(range(len(catalog))) and any(
        owners.get(value) != value for value in ordered
    ):
        raise ParameterError(
            f"0 to {len(catalog) - 1} can be the classes in order, or raw values of masks",
            parameter="counts",
            remedy="give the numbers in order without them, or the names",
        )
    ignored = set(catalog.ignored_values) | ({DEFAULT_IGNORE} if catalog.ignore_255 else set())
    for value in ordered:
        if value not in owners and value not in ignored:
            raise ParameterError(
                f"the value {value} is neither a class nor ignored", parameter="counts"
            )
    return [owners.get(value, -1) for value in ordered]


def _rows_of_names(names: Sequence[str], catalog: ClassCatalog) -> list[int]:
    at = {name: index for index, name in enumerate(catalog.names)}
    for name in names:
        if name not in at:
            raise CatalogError(
                f"the counts have a class {printable(name)[:60]!r}, and these have none",
                remedy=did_you_mean(name, at).removesuffix(" ") or None,
                parameter="classes",
            )
    for name in catalog.names:
        if name not in set(names):
            raise CatalogError(
                f"there is no count of the class {printable(name)[:60]!r}",
                remedy="give 0 where it never occurs",
            )
    return [at[name] for name in names]


def _rows_of(names: Sequence[str], catalog: ClassCatalog, pixels: IntArray) -> list[int]:
    """Of each class of a catalogue its place among names; what is left over must not occur."""
    at = {name: index for index, name in enumerate(names)}
    for name in catalog.names:
        if name not in at:
            raise CatalogError(
                f"there is no count of the class {printable(name)[:60]!r}",
                remedy="the classes of given counts are told by their names",
            )
    for name in names:
        if name not in catalog.names and pixels[at[name]]:
            raise CatalogError(
                f"the class {printable(name)[:60]!r} has pixels, and is not among these classes"
            )
    return [at[name] for name in catalog.names]


def _spread(rows: Sequence[int], numbers: IntArray, count: int) -> IntArray:
    totals = np.zeros(count, np.int64)
    for row, number in zip(rows, numbers.tolist(), strict=True):
        if row >= 0:
            totals[row] += number
    return totals


def _beside(
    what: str, given: NamedOrOrdered | None, table: GivenTable, keys: Sequence[Key]
) -> IntArray | None:
    """What is given beside the counts, as a parameter or in the table, in the order of these."""
    column = table.columns.get(what)
    if given is not None and column is not None:
        raise ParameterError("the table of counts has them, too", parameter=what)
    if given is None:
        if column is None:
            return None
        return whole_numbers(dict(zip(map(str, keys), column, strict=True)), what)
    if isinstance(given, Mapping):
        if set(given) != set(keys):
            raise ParameterError("does not have the classes of the counts", parameter=what)
        given = [given[key] for key in keys]  # type: ignore[index]
    if len(given) != len(keys):
        raise ParameterError(
            f"has {len(given)} numbers, and there are {len(keys)} counts", parameter=what
        )
    return whole_numbers(dict(zip(map(str, keys), given, strict=True)), what)


def _of_document(document: Mapping[str, object] | None) -> dict[str, Any]:
    """What a scan's document knows besides its classes."""
    if document is None:
        return {}
    about: dict[str, Any] = {}
    for field, key in (
        ("mask_count", "masks"),
        ("total_pixels", "total_pixels"),
        ("single_class_masks", "single_class_masks"),
        ("unlabelled_masks", "unlabelled_masks"),
    ):
        if document.get(key) is not None:
            about[field] = int(whole_numbers({key: document[key]}, "counts")[0])
    rows = document.get("unlisted_values")
    if isinstance(rows, list) and rows:
        about["unlisted"] = {
            row["value"]: ValueCount(int(row["pixels"]), int(row["masks"]), row.get("first"))
            for row in rows
        }
    return about


def _demand_consistent(histogram: ClassHistogram) -> None:
    """Raise ParameterError where numbers that were given contradict each other."""
    pixels, names = histogram.pixels, histogram.catalog.names
    total = known(histogram, "mask_count")
    masks, image_pixels = known(histogram, "masks"), known(histogram, "image_pixels")
    for what, counts in (("masks", masks), ("image_pixels", image_pixels)):
        if counts is None:
            continue
        if (wrong := np.flatnonzero((counts > 0) != (pixels > 0))).size:
            raise ParameterError(
                f"class {printable(names[wrong[0]])[:60]} has {pixels[wrong[0]]:,} pixels and"
                f" {counts[wrong[0]]:,} here",
                parameter=what,
            )
    if image_pixels is not None and (short := np.flatnonzero(image_pixels < pixels)).size:
        raise ParameterError(
            f"class {printable(names[short[0]])[:60]} has more pixels than the masks with it",
            parameter="image_pixels",
        )
    if masks is not None and total is not None and (most := int(masks.max())) > total:
        raise ParameterError(f"a class is in {most:,} of {total:,} masks", parameter="mask_count")
