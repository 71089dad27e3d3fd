"""Watching a loader: batches pass unchanged, and their labels are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sized
from dataclasses import replace
from typing import Any, Generic, TypeVar, cast

import numpy as np

from maskstat.api.loader_check import Came, Expected, LoaderCheck, check_loader
from maskstat.api.scan import Scan
from maskstat.arrays.device_labels import DeviceLabels
from maskstat.arrays.items import Key
from maskstat.arrays.label_batches import is_on_cuda, label_tallies, labels_in, layout_of_labels
from maskstat.errors import MaskError, SourceError
from maskstat.naming import counted
from maskstat.scanning.class_options import Classes, parse_ignored
from maskstat.scanning.in_memory import scan_of_tallies
from maskstat.showing import one_line
from maskstat.values.catalog import DEFAULT_IGNORE, IGNORED, UNLISTED, ClassCatalog, ClassInfo
from maskstat.values.catalog_files import load_catalog
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import NO_NUMBER, MaskTally, TallyTable

Batch = TypeVar("Batch")


class Watch(Generic[Batch]):
    """A loader whose labels are counted as they pass; made by `watch`.

    Going through it gives the loader's own batches, the same objects in the same order. `len` is
    the loader's, and so is every attribute that a watch has not itself. What was counted adds up
    over all epochs, about as many bytes a mask as `MaskCounter` keeps.
    """

    def __init__(self, loader: Iterable[Batch], catalog: ClassCatalog, key: Key | None):
        self._loader, self._catalog, self._key = loader, catalog, key
        self._tallies: list[MaskTally] = []
        declared = [max(info.values, default=0) for info in catalog.classes]
        self._device = DeviceLabels(max([*declared, DEFAULT_IGNORE]))
        self._batches = 0

    @property
    def loader(self) -> Iterable[Batch]:
        """What is watched."""
        return self._loader

    @property
    def catalog(self) -> ClassCatalog:
        """The classes, as labels have them: class k is the value k."""
        return self._catalog

    @property
    def mask_count(self) -> int:
        """Masks that came so far."""
        return len(self._tallies) + self._device.waiting

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._loader:
            # Before training has it: labels may be changed in place.
            self._count(batch)
            yield batch

    def __len__(self) -> int:
        return len(cast(Sized, self._loader))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._loader, name)

    def __repr__(self) -> str:
        return one_line(
            self,
            f"of a {type(self._loader).__name__}",
            counted(self.mask_count, "mask"),
            counted(len(self._catalog), "class"),
        )

    def scan(self, name: str = "watched") -> Scan:
        """A scan of the labels that came so far: histogram, ledger, weights, costs and the rest.

        It does not change any more. There are no files behind it.

        Args:
            name: what the scan is called.

        Raises:
            MaskError: labels are no whole numbers.
            SourceError: nothing came yet.
        """
        seen = self._seen(some=True)
        broken = sum(1 for tally in seen if tally.values[:1] == NO_NUMBER)
        if broken:
            raise MaskError(
                f"labels of {counted(broken, 'mask')} are no whole numbers: they were interpolated",
                remedy="resize labels to the nearest pixel",
            )
        named = (replace(tally, name=str(at)) for at, tally in enumerate(seen))
        return Scan.of(scan_of_tallies(named, self._catalog, name))

    def compare(self, exposure: Expected, *, confidence: float = 0.95) -> LoaderCheck:
        """Compare what came with what a recipe says.

        Found is: labels that are no whole numbers, or values that no class has; classes that no
        mask has; masks of another size than the recipe's crops; classes that never came; shares of
        classes and of ignored pixels that chance does not explain. In all shares together a false
        finding is as rare as `confidence` says, where masks are drawn independently; where an epoch
        takes each mask once, rarer.

        Args:
            exposure: of a scan of the same classes, by `Scan.exposure`.
            confidence: that nothing is found by shares where all is as expected.

        Raises:
            SourceError: nothing came yet.
            ParameterError: the exposure is of other classes, or `confidence` is no share.
        """
        came = self._came(self._seen(some=True))
        crop = getattr(getattr(exposure, "recipe", None), "crop", None)
        return check_loader(came, exposure, crop, self._catalog, confidence)

    def _count(self, batch: Batch) -> None:
        try:
            for labels in labels_in(batch, self._key):
                self._add(labels)
        except MaskError as error:
            where = f"labels of batch {self._batches}"
            raise MaskError(error.problem, where=where, remedy=error.remedy) from error
        self._batches += 1

    def _add(self, labels: Any) -> None:
        if not is_on_cuda(labels):
            self._tallies += label_tallies(labels)
            return
        layout = layout_of_labels(labels)
        if layout.masks and self._device.add(labels, layout):
            self._seen()

    def _seen(self, *, some: bool = False) -> list[MaskTally]:
        """The tallies of all that came. Raises SourceError where there are none but `some`."""
        self._tallies += self._device.take()
        if some and not self._tallies:
            raise SourceError("no labels came yet", remedy="go through the batches first")
        return self._tallies

    def _came(self, seen: list[MaskTally]) -> Came:
        table = TallyTable.of(seen)
        masks = np.repeat(np.arange(len(table)), np.diff(table.indptr))
        targets = self._catalog.targets(table)

        def pixels(chosen: Any) -> Any:
            sums = np.zeros(len(table), np.int64)
            np.add.at(sums, masks[chosen], table.counts[chosen])
            return sums

        broken = table.values == NO_NUMBER
        unlisted: Counter[int] = Counter()
        for value, count in zip(
            table.values[(targets == UNLISTED) & ~broken].tolist(),
            table.counts[(targets == UNLISTED) & ~broken].tolist(),
            strict=True,
        ):
            unlisted[value] += count
        return Came(
            MaskLedger.of(self._catalog, table),
            pixels(targets == IGNORED),
            pixels(broken),
            unlisted,
            Counter(tally.shape for tally in seen),
        )


def watch(
    loader: Iterable[Batch],
    *,
    classes: Classes,
    ignore: int | str | Iterable[int | str] = (),
    key: Key | None = None,
) -> Watch[Batch]:
    """Watch what a loader gives: the same batches, and their labels are counted as they pass.

        >>> import numpy as np
        >>> import maskstat as ms
        >>> images, labels = np.zeros((2, 3, 1, 4)), np.array([[[0, 0, 1, 255]], [[1, 1, 1, 1]]])
        >>> loader = ms.watch([(images, labels)], classes=2)
        >>> for images, labels in loader:
        ...     pass  # a step of training
        >>> loader.scan().histogram.pixels
        array([2, 5])

    One function for all: a `DataLoader` of torch, a `tf.data.Dataset`, and whatever gives batches
    one after the other. `Watch.compare` says whether they are what a recipe says. Labels on a GPU
    are counted there, and the training never waits for the counts. (Values below -256, or above
    both 255 and the last class, are then told apart by mask only: each mask's least and largest.)
    Of loaders of their own Keras' `fit` takes generators alone: pass `iter(loader)`, which is one.

    Labels are class indices, as a loss takes them: class k is the value k, whatever the masks of a
    catalogue hold. They are (N, H, W), (N, 1, H, W), (N, H, W, 1) or (H, W), of any type of whole
    numbers, or floats that are whole.

    Args:
        loader: what gives batches; it may be gone through more than once.
        classes: K, names, a catalogue, its file or a preset, of which the names count.
        ignore: values that the loss leaves out, besides 255 (where that is no class).
        key: where the labels are in a batch: a position, a name, or a function from a batch to
            labels or a list of them. Without: the second of two parts; of more parts the one with
            whole numbers and the axes of labels; of mappings what is called mask, label, target,
            semantic_seg and the like.

    Raises:
        CatalogError: `classes` is malformed.
        ParameterError: `ignore` is no value; later on, it can't be told where the labels are.
        MaskError: later on, something else is where the labels should be.
    """
    named = load_catalog(classes)
    indices = ClassCatalog(
        tuple(
            ClassInfo(k, info.name, (k,), (), info.colour) for k, info in enumerate(named.classes)
        ),
        name=named.name,
        origin=named.origin,
    )
    void, _ = parse_ignored(ignore)
    if len(indices) <= DEFAULT_IGNORE:
        void.append(DEFAULT_IGNORE)
    return Watch(loader, indices.ignoring(void), key)
