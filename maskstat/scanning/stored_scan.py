"""A stored scan, read under one catalogue: histogram, ledger, profile, failures, weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from maskstat.errors import (
    Blank,
    IncompleteScanError,
    MultilabelError,
    ProfileError,
    SourceError,
    UnlistedValuesError,
    argument,
    call,
)
from maskstat.naming import counted, printable, split_plane
from maskstat.readers.choices import CHANNELS, NONE
from maskstat.scanning.choosing import chosen, other_splits
from maskstat.scanning.class_options import has_labels, interpreting, parse_ignored, shifted
from maskstat.scanning.grouping import Grouped
from maskstat.scanning.stored_profiles import ProfileState, profile_state
from maskstat.showing import cut, html, one_line
from maskstat.sources.identities import IN_MEMORY, is_merged, knows_names_only
from maskstat.store.records import Failure, ScanInfo, Settled
from maskstat.store.store import Store
from maskstat.values.catalog import DEFAULT_IGNORE, ClassCatalog
from maskstat.values.histogram import ClassHistogram, ValueCount
from maskstat.values.known import known
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import KEPT_IDS, TallyTable, value_label

if TYPE_CHECKING:
    from maskstat.exposure.counts import ExposureCounts
    from maskstat.readers.options import ReadOptions
    from maskstat.regions.profile import PixelProfile
    from maskstat.scanning.changes import Changes
    from maskstat.scanning.class_options import Classes
    from maskstat.sources.base import Entry
    from maskstat.statistics.soft_masks import SoftMasks
    from maskstat.values.class_volumes import ClassVolumes
    from maskstat.values.contributions import Contributions
    from maskstat.values.groups import MaskGroups
    from maskstat.weights.batches import Batching
    from maskstat.weights.mask_sample import MaskSample

Self = TypeVar("Self", bound="StoredScan")


class StoredScan(Grouped):
    """A finished or stored scan, read under one catalogue.

    Attributes:
        info: the store's record of it.
        catalog: the classes its counts are read under.
        changes: what the run that made it found; None where it was opened from a store.

    `histogram`, `ledger` and `profile` are computed when first asked for, a block of masks at a
    time.
    """

    def __init__(
        self,
        store: Store,
        info: ScanInfo,
        catalog: ClassCatalog | None = None,
        changes: Changes | None = None,
        grid: int | None = None,
    ):
        self._store = store
        self._grid = grid
        self.info = info
        given = catalog if catalog is not None else info.catalog
        self._given = replace(given, multilabel=True) if self.is_multilabel else given
        self.changes = changes

    def __repr__(self) -> str:
        # Nothing is read or computed for it.
        classes = counted(len(self._given), "class") if len(self._given) else "classes inferred"
        masks = known(self.histogram, "mask_count") if "histogram" in vars(self) else None
        counts = [] if masks is None else [counted(masks, "mask")]
        return one_line(self, cut(self.name), f"of {cut(self.source)}", classes, *counts)

    def _repr_html_(self) -> str | None:
        return html(self)

    @property
    def name(self) -> str:
        """The scan's name in its store."""
        return self.info.name

    @property
    def source(self) -> str:
        """Where its masks are."""
        return self.info.source

    @property
    def has_files(self) -> bool:
        """Whether files hold its masks, so that pixels can be looked at again."""
        return self.source != IN_MEMORY

    @property
    def is_multilabel(self) -> bool:
        """Whether its masks have labels, of which a pixel has any number, and no classes."""
        return has_labels(self.info.reading)

    @cached_property
    def catalog(self) -> ClassCatalog:
        """The catalogue given, or the classes inferred from the values found.

        Where 255 may be a class or void (`ClassCatalog.may_be_binary`), the values found say which.

        Raises:
            CatalogError: 255 was class 1, and a mask that came since says otherwise.
        """
        if len(self._given) and not self._given.may_be_binary:
            return self._given
        return self._read_under(*self._settled_now())

    @cached_property
    def histogram(self) -> ClassHistogram:
        """Exact totals."""
        kept = self._store.totals(self.info, self.catalog)
        if kept is not None:
            return kept
        # Read first: whatever another process changes meanwhile makes these totals out of date.
        revision = self._store.revision(self.info)
        total = ClassHistogram.empty(self.catalog)
        for table in self.tables():
            total += ClassHistogram.of(self.catalog, table)
        self._store.keep_totals(self.info, total, revision)
        return total

    @cached_property
    def ledger(self) -> MaskLedger:
        """Pixels of each class in each mask, in natural order of the names."""
        blocks = [MaskLedger.of(self.catalog, table) for table in self.tables()]
        return MaskLedger.concatenate(blocks, len(self.catalog)).naturally_sorted()

    @cached_property
    def profile(self) -> PixelProfile | None:
        """Where and how large classes are, of all masks but those that `profile_state` left out.

        None unless every other mask was measured under these classes: `scan` with `profile` does.
        Of several grids the one asked for last in this process, or the finest.
        """
        from maskstat.scanning.stored_profiles import stored_profile

        state = self.profile_state
        if state is None or state.unmeasured:
            return None
        return stored_profile(self._store, self.info, self.catalog, state.grid)

    @cached_property
    def profile_state(self) -> ProfileState | None:
        """How far the profile is under these classes; None where nothing was measured."""
        return profile_state(self._store, self.info, self.catalog, self._grid)

    def need_profile(self, *, of_all: bool = False) -> PixelProfile:
        """`profile`, where there is one; with `of_all`, where no mask was left out of it.

        Raises:
            ProfileError: there is none. It says what to type.
        """
        state = self.profile_state
        if self.is_multilabel:
            raise ProfileError(
                "a pixel profile is of one class a pixel, and its masks are multi-label",
                where=printable(self.name),
            )
        if not self.has_files:
            raise ProfileError(
                "masks that were counted in memory have no pixel profile",
                where=printable(self.name),
                remedy="save them and scan the files with a profile",
            )
        if self.profile is None:
            some = self.histogram.mask_count - (state.unmeasured if state else 0)
            lacking = (
                f"the pixel profile lacks {counted(state.unmeasured, 'mask')}"
                if state is not None and some
                else "there is no pixel profile under these classes"
            )
            raise ProfileError(
                lacking, where=printable(self.name), remedy=f"type: {self.profile_call}"
            )
        if of_all and state is not None and state.left_out:
            first = state.left_out[0]
            raise ProfileError(
                f"{counted(len(state.left_out), 'mask')} could not be measured, first"
                f" {printable(first.mask)} ({first.reason})",
                where=printable(self.name),
            )
        return self.profile

    @property
    def _files(self) -> StoredScan:
        """The scan of the files: another one where this one is of crops of them."""
        return self

    @property
    def _crops(self) -> ExposureCounts | None:
        """What training sees of the files, where this scan is of that."""
        return None

    @property
    def _volumes(self) -> ClassVolumes | None:
        """What classes measure, where that is what shares are of."""
        return None

    @property
    def _batch_rows(self) -> MaskLedger:
        """What batches are made of."""
        return self.ledger

    @property
    def _batching(self) -> Batching | None:
        """What makes them; None where it takes every mask once."""
        return None

    @cached_property
    def _mask_sample(self) -> MaskSample | None:
        """Masks that stand for all in batches, where there are too many to hold."""
        from maskstat.weights.mask_sample import MOST_MASKS, SAMPLED_MASKS, MaskSample

        counts = self.histogram
        if self._crops is not None or counts.unknown or counts.mask_count <= MOST_MASKS:
            return None
        blocks = (MaskLedger.of(self.catalog, table) for table in self.tables())
        return MaskSample.of(blocks, counts.masks, counts.mask_count, SAMPLED_MASKS)

    def _contributing_sample(self, sample: MaskSample) -> tuple[Contributions, MaskGroups]:
        """As `_contributing`, of these masks alone."""
        from maskstat.values.contributions import Contributions

        names = sample.ledger.names
        groups = self.group_rule.groups(names, partial(self._column, names))
        return Contributions.of(sample.ledger), groups

    @property
    def sample_notes(self) -> tuple[str, ...]:
        """What to say beside intervals: which groups names suggest, or what masks are worth.

        Raises:
            ParameterError: the rule does not say the group of some mask.
        """
        from maskstat.scanning.sequences import suggested_groups

        sample: MaskSample | None = vars(self).get("_mask_sample")
        if sample is None:
            return super().sample_notes
        found = None if self.has_group_rule else suggested_groups(sample.ledger.names)
        return () if found is None else (found.sentence,)

    def _need_complete(self) -> None:
        """Raise IncompleteScanError, which says how to finish it, where some masks may be missing.

        Its remedy is what goes on without them.
        """
        if self.info.complete:
            return
        finish = f"finish it: {self._scan_call(db=self._store.path)}"
        if is_merged(self.source):
            finish = "finish those that were merged, and merge them again"
        elif knows_names_only(self.source):
            finish = "scan the same masks again"
        raise IncompleteScanError(
            f"the scan was interrupted, or is still going on; {finish}",
            where=printable(self.name),
            remedy=argument("allow_incomplete", True),
        )

    @property
    def profile_call(self) -> str:
        """The call that adds a profile under these classes, as `errors.call` has it in a text."""
        return self._scan_call(profile=True)

    def _scan_call(self, **first: object) -> str:
        """The call that scans the same masks again as they were, with these options more."""
        from maskstat.sources.identities import place_of

        merged = knows_names_only(self.source)
        source = place_of(self.source, "").base if merged else self.source
        options = {**first, **self._catalog_options(), **self.info.reading}
        asked = json.loads(self._store.asked(self.info) or "{}")
        options |= {
            key: asked[key] for key in ("include", "exclude", "allow_lossy") if asked.get(key)
        }
        if Path(self.source).name != self.name and not merged:
            options["name"] = self.name
        return call("scan", source, **options)

    def _catalog_options(self) -> dict[str, object]:
        """The options that say which classes it is read under."""
        catalog = self._given if len(self._given) else self.catalog
        options: dict[str, object] = {}
        if catalog.origin in {"number", "inferred"}:
            if catalog.origin == "number":
                options["classes"] = len(catalog)
            shifted = catalog.begins_at_one
            ignored: list[int | str] = sorted(catalog.ignored_values - ({0} if shifted else set()))
            ignored += [value_label(c, colour=True) for c in sorted(catalog.ignored_colours)]
            if ignored:
                options["ignore"] = ignored
        else:
            options["classes"] = catalog.name if catalog.origin == "preset" else Blank("FILE")
        if catalog.begins_at_one and catalog.origin == "number":
            options["reduce_zero_label"] = True
        if catalog.nearest_colour:
            options["nearest_colour"] = catalog.nearest_colour
        return options

    @property
    def has_planes(self) -> bool:
        """Whether masks may be planes of files, called `name#1`, `name#2`, ..."""
        return self.info.reading.get("pages") == "each"

    @property
    def _has_exposures(self) -> bool:
        """Whether recipes were worked out, under whatever classes."""
        return bool(self._store.exposures(self.info))

    @cached_property
    def soft_masks(self) -> SoftMasks | None:
        """Masks without declared classes whose values are no classes either, where most look so."""
        return None if len(self._given) else self._find_soft_masks()

    def _find_soft_masks(self) -> SoftMasks | None:
        """The same, whatever the classes."""
        from maskstat.statistics.soft_masks import FEWEST_BETWEEN, SoftMasks, find_soft_masks

        if self.is_multilabel:
            return None
        narrow, wide, _ = self._index_values()
        if len(narrow | wide) < FEWEST_BETWEEN:
            return None
        digest = ClassCatalog.to_infer().ignoring(self._given.ignored_values).digest
        kept = self._store.soft_masks(self.info, digest)
        if kept is not None:
            with self._store.checked():
                document = json.loads(kept)
                return document and SoftMasks.from_dict(document)
        revision = self._store.revision(self.info)
        found = find_soft_masks(self.tables, self._given.ignored_values)
        self._store.keep_soft_masks(
            self.info, digest, json.dumps(found and found.to_dict()), revision
        )
        return found

    @property
    def _unnamed(self) -> frozenset[int]:
        """Values that no class is inferred from: a pixel in none of several channels."""
        return frozenset({NONE}) if self._channels == "one-hot" else frozenset()

    @cached_property
    def _channels(self) -> str:
        """How channels made values: "one-hot", "bitmask", "multilabel", or not at all: ""."""
        said = str(self.info.reading.get("channels", "")).removesuffix("-first")
        if said or self.source != IN_MEMORY:
            return said
        readings = {e.reading for table in self.tables() for e in set(table.encodings)}
        return next((way.removesuffix("-first") for way in CHANNELS if way in readings), "")

    @cached_property
    def channel_counts(self) -> tuple[int, int] | None:
        """The fewest and the most channels of a multi-label mask; None where masks are others."""
        if not self.is_multilabel:
            return None
        counts = {e.bits for table in self.tables() for e in set(table.encodings)}
        return (min(counts), max(counts)) if counts else None

    @property
    def no_channel(self) -> ValueCount | None:
        """Pixels that are in no channel of one-hot stacks, where nobody said what they are."""
        return self.histogram.unlisted.get(NONE) if self._channels == "one-hot" else None

    def _need_classes(self) -> None:
        """Raise UnlistedValuesError where no class was inferred, since the masks are soft."""
        if (soft := self.soft_masks) is not None:
            raise UnlistedValuesError(
                f"no classes are inferred: {soft.problem}",
                where=printable(self.name),
                remedy=soft.remedy,
            )

    def _need_channels(self) -> None:
        """Raise MultilabelError where masks lack the channel of a label."""
        from maskstat.values.readings import channels_lack

        counts = self.channel_counts
        values = [info.values for info in self.catalog.classes]
        if counts is not None and (problem := channels_lack(values, *counts)) is not None:
            raise MultilabelError(
                problem,
                where=printable(self.name),
                remedy="scan masks of one number of channels, with labels that are among them",
            )

    @cached_property
    def failures(self) -> tuple[Failure, ...]:
        """Masks that could not be counted, with the reason, in natural order."""
        return tuple(self._store.failures(self.info))

    @cached_property
    def kept_ids(self) -> int:
        """Masks with values below `value_divisor` that were taken for classes as they are."""
        reading = self.info.reading
        if "value_divisor" not in reading or "divide_all" in reading:
            return 0
        return self._store.masks_read(self.info, KEPT_IDS)

    def tables(self) -> Iterator[TallyTable]:
        """Raw tallies as stored, a block of masks at a time."""
        return self._store.tables(self.info)

    @cached_property
    def read_options(self) -> ReadOptions:
        """How its masks were read, lossy ones and colours allowed: to look at pixels again.

        Raises:
            FileFormatError: it was read with a panoptic file that can't be read any more.
        """
        from maskstat.readers.options import ReadOptions

        options = ReadOptions.of(self.info.reading, allow_lossy=True, colours=True)
        return replace(options, knows_zero=True)

    def entries(self) -> Iterator[Entry]:
        """The files of its masks as they are now: to look at pixels again.

        A mask whose file is gone is not among them. One that comes with its bytes keeps them until
        the next is asked for, and can still be read after that. Raises SourceError where the source
        is gone, or where masks were counted in memory.
        """
        from maskstat.sources.base import lightly

        yield from lightly(self._entries_of(set(self._store.names(self.info))))

    def _entries_of(self, names: set[str]) -> Iterator[Entry]:
        """The files of these of its masks, each once; whoever takes them lets go of them."""
        from maskstat.readers import formats
        from maskstat.readers.options import ReadOptions
        from maskstat.scanning.per_class import PerClassSource
        from maskstat.scanning.plane_entries import planes_of
        from maskstat.sources.base import Selection
        from maskstat.sources.identities import files_of
        from maskstat.sources.opening import open_source

        if not self.has_files:
            raise SourceError("its masks were counted in memory", where=printable(self.name))
        # A file may be called like the plane of another.
        wanted = names | {split_plane(name)[0] for name in names} if self.has_planes else names
        entries: Iterator[Entry]
        if knows_names_only(self.source):
            entries = files_of(self.source, wanted)
        elif self.info.reading.get("per_class"):
            # Other files than those would be other classes.
            asked = json.loads(self._store.asked(self.info) or "{}")
            chosen = Selection(asked.get("include", ()), asked.get("exclude", ()), formats.SUFFIXES)
            options = ReadOptions.of(self.info.reading, allow_lossy=True)
            entries = PerClassSource(open_source(self.source, chosen), options).entries()
        else:
            listed = open_source(self.source, Selection(include=("*",))).entries()
            entries = _of_names(listed, wanted)
        if self.has_planes:
            reading = {key: said for key, said in self.info.reading.items() if key != "panoptic"}
            entries = planes_of(entries, ReadOptions.of(reading, allow_lossy=True, colours=True))
        seen: set[str] = set()
        for entry in _of_names(entries, names):
            if entry.name in seen:  # the first of a name is the one that was counted
                entry.let_go()
                continue
            seen.add(entry.name)
            yield entry

    @property
    def _reads(self) -> int | None:
        """How many masks are worth reading at once; None where that is a matter of CPUs."""
        from maskstat.sources.base import Selection
        from maskstat.sources.opening import open_source

        if not self.has_files or knows_names_only(self.source):
            return None
        return open_source(self.source, Selection(include=("*",))).reads

    def under(
        self: Self,
        classes: Classes | None = None,
        ignore: int | str | Iterable[int | str] = (),
        nearest_colour: int | None = None,
        reduce_zero_label: bool = False,
    ) -> Self:
        """The same counts read under another catalogue or with more ignored; nothing is decoded.

        `nearest_colour` is how far colours may be off, where the catalogue should not say;
        with `reduce_zero_label` 0 is void, and class k is the value k + 1.

        Raises:
            CatalogError: `classes` names no catalogue, or not the classes of a source that names
                its own.
            ParameterError: something in `ignore` is neither a number nor a colour,
                `nearest_colour` is out of range, or `reduce_zero_label` goes with other classes
                than the values 0 to K - 1.
        """
        from maskstat.values.catalog_files import load_catalog
        from maskstat.values.own_names import read_under

        ignored = parse_ignored(ignore)
        catalog = self._given
        if classes is not None:
            catalog = read_under(load_catalog(classes), self.info.catalog.ignoring(*ignored))
        if reduce_zero_label:
            catalog = shifted(catalog, self.info.reading)
        catalog = catalog.ignoring(*ignored)
        catalog = interpreting(catalog, self.info.reading, nearest_colour)
        view = type(self)(self._store, self.info, catalog, self.changes, self._grid)
        view._rule = self._rule
        return view

    def _settle(self, others: frozenset[int] | None = None) -> None:
        """Keep by which values it is settled what 255 means, now that all masks are counted.

        `others` are the values of splits that were scanned together with it, None where it was
        scanned alone. Raises CatalogError like `catalog`.
        """
        if len(self._given) and not self._given.may_be_binary:
            return
        now, before = self._settled_now(others)
        if before is not None:
            self._read_under(now, before)
        if before is not None or DEFAULT_IGNORE in now.all:
            self._store.settle(self.info, now)

    def _settled_now(self, others: frozenset[int] | None = None) -> tuple[Settled, Settled | None]:
        """The values that settle it now, and those that settled it before.

        Where it was scanned alone, the other splits of the store count as well.
        """
        before = self._store.settled(self.info)
        if others is not None:
            return Settled(self._values_found, others), before
        others = frozenset() if before is None else before.others
        for split in self._splits_alike:
            others |= split._values_found
            before = before or self._store.settled(split.info)
        return Settled(self._values_found, others), before

    @property
    def _splits_alike(self) -> Iterator[StoredScan]:
        """Scans of other splits in the store of which nobody said either what 255 is."""
        for info in other_splits(self._store, self.info):
            split = StoredScan(self._store, info)
            silent = info.catalog.may_be_binary or not len(info.catalog)
            if (
                silent
                and info.reading == self.info.reading
                and DEFAULT_IGNORE not in info.catalog.ignored_values
                and split.soft_masks is None
            ):
                yield split

    @property
    def _values_found(self) -> frozenset[int]:
        """Raw values that say what 255 means; none where the catalogue says it."""
        if not len(self._given):
            return frozenset().union(*self._index_values()[:2])
        if not self._given.may_be_binary:
            return frozenset()
        kept = None if self._given.has_colours else self._store.totals(self.info, self._given)
        if kept is not None:  # they tell it, and no mask's counts must be looked at
            beside = [v for v in (*kept.ignored, *kept.unlisted) if isinstance(v, int)]
            all_known = len(beside) == len(kept.ignored) + len(kept.unlisted)
            if all_known and DEFAULT_IGNORE not in beside:
                return frozenset([*np.flatnonzero(kept.present).tolist(), *beside])
        narrow, wide, nodata = self._index_values()
        return frozenset() if DEFAULT_IGNORE in nodata else frozenset(narrow | wide)

    def _read_under(self, now: Settled, settled: Settled | None) -> ClassCatalog:
        from maskstat.scanning.settling import (
            IndexValues,
            catalog_of_soft_masks,
            declared_catalog,
            inferred_catalog,
        )

        if not len(self._given):
            if self.soft_masks is not None:
                return catalog_of_soft_masks(self._given)
            narrow, wide, nodata = map(frozenset, self._index_values())
            found = IndexValues(narrow, wide, nodata, self._unnamed)
            return inferred_catalog(self._given, found, now, settled)
        return declared_catalog(self._given, now, settled)

    def _index_values(self) -> tuple[set[int], set[int], set[int]]:
        """Raw values of the index masks: with 8 bits a pixel, of all others; and nodata."""
        kept = self._store.index_values(self.info)
        if kept is not None:
            return kept
        revision = self._store.revision(self.info)
        narrow: set[int] = set()
        wide: set[int] = set()
        nodata: set[int] = set()
        for table in self.tables():
            narrow.update(table.index_values(eight_bit=True).tolist())
            wide.update(table.index_values(eight_bit=False).tolist())
            nodata.update(e.nodata for e in table.encodings if e.nodata is not None)
        self._store.keep_index_values(self.info, (narrow, wide, nodata), revision)
        return narrow, wide, nodata

    def close(self) -> None:
        """Close the store this scan reads from."""
        self._store.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _of_names(entries: Iterable[Entry], names: set[str]) -> Iterator[Entry]:
    """Those of these names; the others hold nothing any longer."""
    for entry in entries:
        if entry.name in names:
            yield entry
        else:
            entry.let_go()


def settle(scans: Sequence[StoredScan]) -> None:
    """Settle what 255 means in scans that were counted together, or in one.

    Raises:
        CatalogError: 255 was class 1 in one of them, and other values came since.
    """
    found = [scan._values_found for scan in scans]
    for at, scan in enumerate(scans):
        others = frozenset().union(*found[:at], *found[at + 1 :])
        scan._settle(others if len(scans) > 1 else None)


def open_scan(db: str | Path, name: str | None = None) -> StoredScan:
    """A scan from a store: the one that `choosing.chosen` takes. Raises StoreError."""
    store = Store.open(db)
    try:
        return StoredScan(store, chosen(store, name))
    except BaseException:
        store.close()
        raise
