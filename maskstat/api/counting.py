"""Counting masks that are in memory, or that come by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from itertools import count as numbers
from typing import Any

from maskstat.api.scan import Scan
from maskstat.arrays.items import Key, all_tallies
from maskstat.arrays.layouts import Reading
from maskstat.errors import ParameterError, SourceError
from maskstat.naming import counted, printable, storable
from maskstat.readers.choices import Channels
from maskstat.scanning.class_options import Classes, interpreting, parse_ignored
from maskstat.scanning.in_memory import scan_of_tallies
from maskstat.values.catalog import ClassCatalog
from maskstat.values.catalog_files import load_catalog
from maskstat.values.tally import MaskTally


class MaskCounter:
    """Counts masks by hand, in a training loop say; counters add up.

        >>> import numpy as np
        >>> import maskstat as ms
        >>> counter = ms.MaskCounter(classes=3)
        >>> counter.update(np.array([[0, 0, 1], [0, 2, 2]]))
        >>> counter
        <MaskCounter of 1 mask, 3 classes>
        >>> counter.scan().histogram.pixels
        array([3, 1, 2])

    It keeps the value counts of every mask, a few hundred bytes each, and no pixels. Counters
    pickle, so they travel between processes; `sum(counters)` is what one counter would have that
    saw everything. One counter is for one thread at a time: give each its own, and add them.
    Samplers of several processes may repeat masks to fill the last batch: with names that is seen.

    Masks have the names that `update` gives them. Those without one are numbered "0", "1", ... in
    the order they came, whereby numbers that are names of others are left out; adding puts the
    masks without a name of the second counter behind those of the first. A name stands for one
    mask: where it comes twice, the mask would count twice, and that is an error.

    Args:
        classes: K, names, a catalogue, its file or a preset; None infers them from the values.
        ignore: raw values (or "#rrggbb") that no count of classes should hold. 255 is ignored in
            8-bit masks anyway, as `scan` does.
        nearest_colour: how far a channel of a mask's colour may be off its class's.

    Raises:
        CatalogError: `classes` is malformed.
        ParameterError: `ignore` or `nearest_colour` is out of range.
    """

    def __init__(
        self,
        classes: Classes | None = None,
        *,
        ignore: int | str | Iterable[int | str] = (),
        nearest_colour: int | None = None,
    ):
        catalog = ClassCatalog.to_infer() if classes is None else load_catalog(classes)
        self._catalog = interpreting(catalog.ignoring(*parse_ignored(ignore)), {}, nearest_colour)
        self._explains = (
            self._catalog.has_colours,
            any(info.values for info in self._catalog.classes),
        )
        self._named: dict[str, MaskTally] = {}
        self._unnamed: list[MaskTally] = []

    @property
    def catalog(self) -> ClassCatalog:
        """What the classes are; without classes where they are to be inferred."""
        return self._catalog

    @property
    def mask_count(self) -> int:
        """Masks counted."""
        return len(self._named) + len(self._unnamed)

    def update(
        self,
        masks: Any,
        *,
        names: str | Iterable[str] | None = None,
        key: Key | None = None,
        channels: Channels | None = None,
        allow_lossy: bool = False,
    ) -> None:
        """Count a mask, a batch, or everything that comes; all of it, or nothing on an error.

        Nothing to count counts as no masks: an epoch's last batch may be empty.

        Args:
            masks: as in `count`.
            names: of the masks, in order; every mask one, or none.
            key, channels, allow_lossy: as in `count`.

        Raises:
            MaskError: something is no mask; it says which, its shape, and what to pass.
            ParameterError: it can't be told where the masks are, a name comes twice, or there are
                more or fewer names than masks.
        """
        colours, indices = self._explains
        reading = Reading.of(channels, colours=colours, indices=indices, allow_lossy=allow_lossy)
        given = [names] if isinstance(names, str) else names
        named = len(given) if isinstance(given, (list, tuple)) else None
        tallies = all_tallies(masks, reading, key=key, named=named)
        if given is None:
            unnamed = list(tallies)
            self._demand_alike(unnamed)
            self._unnamed += unnamed
            return
        fresh: dict[str, MaskTally] = {}
        for name, tally in _with_names(given, tallies):
            if name in self._named or name in fresh:
                raise _twice(name)
            fresh[name] = replace(tally, name=name)
        self._demand_alike(fresh.values())
        self._named |= fresh

    def _demand_alike(self, tallies: Iterable[MaskTally]) -> None:
        """Raise ParameterError where some masks have labels, and others one class a pixel."""
        kinds = {tally.encoding.is_multilabel for tally in chain(self._tallies(), tallies)}
        if len(kinds) > 1:
            raise ParameterError(
                "multi-label masks are counted apart from those with one class a pixel",
                parameter="channels",
            )

    def scan(self, name: str = "memory") -> Scan:
        """A scan of what was counted so far: histogram, ledger, weights, costs and the rest.

        The counter goes on counting; the scan does not change any more. There are no files behind
        it, so nothing can look at pixels again: it has no profile, and no examples in its report.

        Args:
            name: what the scan is called.
        """
        return Scan.of(scan_of_tallies(self._tallies(), self._catalog, name))

    def _tallies(self) -> Iterator[MaskTally]:
        yield from self._named.values()
        free = (name for name in map(str, numbers()) if name not in self._named)
        for name, tally in zip(free, self._unnamed, strict=False):
            yield replace(tally, name=name)

    def __add__(self, other: object) -> MaskCounter:
        if not isinstance(other, MaskCounter):
            return NotImplemented
        if self._catalog.digest != other._catalog.digest:
            raise ParameterError("counters of different classes do not add", parameter="classes")
        meeting = next((name for name in other._named if name in self._named), None)
        if meeting is not None:
            raise _twice(meeting)
        self._demand_alike(other._tallies())
        total = MaskCounter(self._catalog)
        total._named = self._named | other._named
        total._unnamed = self._unnamed + other._unnamed
        return total

    def __radd__(self, other: object) -> MaskCounter:
        return self if other == 0 else NotImplemented

    def __repr__(self) -> str:
        classes = len(self._catalog)
        of = counted(classes, "class") if classes else "classes to infer"
        return f"<MaskCounter of {counted(self.mask_count, 'mask')}, {of}>"


def count(
    masks: Any,
    *,
    classes: Classes | None = None,
    ignore: int | str | Iterable[int | str] = (),
    names: str | Iterable[str] | None = None,
    key: Key | None = None,
    channels: Channels | None = None,
    nearest_colour: int | None = None,
    allow_lossy: bool = False,
    name: str = "memory",
) -> Scan:
    """Count masks that are in memory or come by themselves, exactly.

        >>> import numpy as np
        >>> import maskstat as ms
        >>> batch = np.array([[[0, 0, 1], [0, 2, 255]], [[1, 1, 1], [1, 1, 1]]])
        >>> scan = ms.count(batch, classes=3, ignore=255)
        >>> scan.histogram.pixels, scan.histogram.masks
        (array([3, 7, 1]), array([1, 2, 1]))

    One mask is an array (H, W) or (H, W, 1) of whole numbers of any type, raw values as a file
    would hold them; a batch is (N, H, W), (N, 1, H, W) or (N, H, W, 1). Where the classes have
    colours, (H, W, 3) and (H, W, 4) of uint8 are colours, (N, H, W, 3 or 4) a batch of them. What
    can be read in two ways is refused with both.

    Torch tensors are counted on their device, and only the counts travel. TensorFlow's and JAX's
    arrays are taken over by NumPy. No framework is imported that is not imported already.

    Args:
        masks: an array of NumPy, torch, TensorFlow or JAX, a PIL image, the bytes of an encoded
            mask, or what gives these one after the other: a list, a generator, a torch `Dataset` or
            `DataLoader`, a `tf.data.Dataset`, a column of a Hugging Face data set.
        classes: K, names, a catalogue, its file or a preset; None infers them from the values.
        ignore: raw values (or "#rrggbb") that no count of classes should hold. 255 is ignored in
            8-bit masks anyway, as `scan` does.
        names: of the masks, in order; "0", "1", ... by default.
        key: where the mask is in items that are tuples or dicts: a position, a name, or a function
            from an item to a mask or a list of masks.
        channels: how several channels, one a class, make one value: "one-hot" or "bitmask" where
            they are the last axis, "one-hot-first" or "bitmask-first" where they are before (H, W).
            "multilabel" and "multilabel-first" count each channel by itself, as a label.
        nearest_colour: how far a channel of a mask's colour may be off its class's.
        allow_lossy: count JPEG images too.
        name: what the scan is called.

    Raises:
        SourceError: nothing came. (An iterator that was used up gives nothing, and a scan of no
            masks would hide that.)
        MaskError: something is no mask; it says which, its shape, and what to pass.
        ParameterError: it can't be told where the masks are, a name comes twice, there are more
            or fewer names than masks, or an option is out of range.
        CatalogError: `classes` is malformed.
    """
    counter = MaskCounter(classes, ignore=ignore, nearest_colour=nearest_colour)
    counter.update(masks, names=names, key=key, channels=channels, allow_lossy=allow_lossy)
    if not counter.mask_count:
        raise SourceError("no masks came", remedy="was this an iterator that is used up?")
    return counter.scan(name)


def _with_names(
    names: Iterable[str], tallies: Iterator[MaskTally]
) -> Iterator[tuple[str, MaskTally]]:
    """Each mask with its name. Raises ParameterError where one lacks, or is no text."""
    rest = iter(names)
    number = 0
    for number, tally in enumerate(tallies, 1):
        name = next(rest, None)
        if name is None:
            raise ParameterError(f"there are only {number - 1}, and more masks", parameter="names")
        if not isinstance(name, str) or not name:
            raise ParameterError(f"are texts, not {printable(repr(name))[:60]}", parameter="names")
        yield storable(name), tally
    if next(rest, None) is not None:
        raise ParameterError(f"there are more than {counted(number, 'mask')}", parameter="names")


def _twice(name: str) -> ParameterError:
    return ParameterError(
        f"{printable(name)!r} was counted already: the mask would count twice", parameter="names"
    )
