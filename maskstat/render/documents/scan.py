"""A scan in numbers: the one JSON document that tables and reports are made from."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from maskstat.errors import UnknownCountsError
from maskstat.render.documents.profile import imbalance_document, profile_document
from maskstat.scanning.stored_scan import StoredScan
from maskstat.statistics.imbalance import Imbalance, imbalance
from maskstat.values.catalog import DEFAULT_IGNORE, IGNORED, UNLISTED
from maskstat.values.catalog_fields import parse_colour
from maskstat.values.histogram import ClassHistogram
from maskstat.values.known import known
from maskstat.version import __version__

if TYPE_CHECKING:
    from maskstat.exposure.recipe import Recipe
    from maskstat.values.class_volumes import ClassVolumes
    from maskstat.values.error_bars import Intervals

SCHEMA = 1


def scan_document(scan: StoredScan, *, intervals: bool = True) -> dict[str, Any]:
    """Everything about a scan; plain JSON types, no NaN.

    Without `intervals` no mask is read again, however many there are: those are null.

    Keys: `schema`, `maskstat`, `scan`, `source`, `complete`, `catalog`, `reading` (how masks were
    read, where files do not say), `kept_ids` (masks with values below `value_divisor`, which were
    taken for classes as they are), `masks`, `total_pixels`, `labelled_pixels`, `classes` (index,
    name, colour, values, pixels, masks, image_pixels, frequency, of labels negatives, and of
    the frequency `relative_standard_error`, the 95% `interval` [low, high], and how many masks or
    groups like these are `needed` for ±10%, null where unknown), `intervals` (what these
    count: `group_by`, `groups`, `masks`; and in words, as `notes`, which groups names suggest or
    how many independent masks these are worth), `ignored` and `unlisted` (value -> pixels),
    `nodata` (of these what files call so; "nodata" for NaN and what else is no
    label), `unlisted_values` (with masks, the first mask and, beside a colour, the
    nearest listed one: class and largest channel difference), `ignored_by_default` ([255] or
    none), `doubtful_255` (whether that may be a declared class, since one has no pixel),
    `imbalance` (null of labels, which share no whole), `absent_classes`, `no_channel` (pixels in no
    channel of one-hot stacks, which nobody explained), `channels` (of multi-label masks, the fewest
    and the most that one has; null of all others), `soft_masks` (null, or what is known of
    masks whose values are no classes, so that none were inferred: `masks` of `of`, the `first`,
    different `values` from `lowest` to `highest`, the `peaks` among them),
    `single_class_masks`, `unlabelled_masks`, `failures` (mask, reason), `profile` (see
    `profile_document`; null where nothing was measured), `exposures` (recipes that were worked out
    under these classes, the latest first, and what each does in words) and, after a scan,
    `changes`.

    Of counts that were given (`maskstat.from_counts`) much is unknown: those keys are null, and
    `unknown` lists them. `unit` is "shares" where only the shares of the classes are known. `row`
    is "mask", or "crop" where counts are of what training sees: what keys call masks is crops of an
    epoch then.

    `voxels` says how large voxels are in mm³ (`smallest`, `largest`, of how many `masks`), null
    where no file says it. Of `Scan.by_volume` `unit` is "volume": frequencies, intervals and
    `imbalance` are of volume, classes have `mm3` and `image_mm3` in the place of pixels and
    image_pixels, and `volume` has `labelled_mm3` and `total_mm3`; all other keys count pixels.
    """
    histogram = scan.histogram
    catalog = scan.catalog
    names = catalog.names  # made anew at each call
    shares = histogram.unit == "shares"
    ignored = known(histogram, "ignored")
    bars = known_intervals(scan) if intervals else None
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "maskstat": __version__,
        "scan": scan.name,
        "source": scan.source,
        "complete": scan.info.complete,
        "catalog": {
            "name": catalog.name,
            "origin": catalog.origin,
            "digest": catalog.digest,
            "nearest_colour": catalog.nearest_colour,
            "binary": catalog.binary,
            "multilabel": catalog.multilabel,
        },
        "reading": dict(scan.info.reading),
        "kept_ids": scan.kept_ids,
        "unit": histogram.unit,
        "row": histogram.row,
        "unknown": list(histogram.unknown),
        "masks": known(histogram, "mask_count"),
        "total_pixels": known(histogram, "total_pixels"),
        "labelled_pixels": None if shares else histogram.labelled_pixels,
        "voxels": asdict(histogram.voxels) if histogram.voxels.masks else None,
        "classes": class_records(histogram, bars, scan._volumes),
        "intervals": None if bars is None else {**bars.about(), "notes": list(scan.sample_notes)},
        "ignored": None
        if ignored is None
        else {str(value): count.pixels for value, count in ignored.items()},
        "unlisted": {str(value): count.pixels for value, count in histogram.unlisted.items()},
        "unlisted_values": _unlisted_values(scan),
        "ignored_by_default": [] if histogram.void_by_default is None else [DEFAULT_IGNORE],
        "doubtful_255": histogram.doubtful_255 is not None,
        "nodata": _nodata(scan),
        "no_channel": 0 if scan.no_channel is None else scan.no_channel.pixels,
        "soft_masks": None if scan.soft_masks is None else scan.soft_masks.to_dict(),
        "channels": None if scan.channel_counts is None else list(scan.channel_counts),
        "imbalance": _imbalance(histogram),
        "absent_classes": [names[k] for k in np.flatnonzero(~histogram.present)],
        "single_class_masks": known(histogram, "single_class_masks"),
        "unlabelled_masks": known(histogram, "unlabelled_masks"),
        "failures": [{"mask": f.mask, "reason": f.reason} for f in scan.failures],
        "profile": profile_document(scan),
        "exposures": [
            {"recipe": recipe.to_dict(), "does": recipe.words()} for recipe in _begun(scan)
        ],
    }
    if (volumes := scan._volumes) is not None:
        totals = {"labelled_mm3": volumes.labelled_mm3, "total_mm3": volumes.total_mm3}
        document["volume"] = totals
    if scan.changes is not None:
        changes = scan.changes
        document["changes"] = {
            "new": changes.new,
            "changed": changes.changed,
            "unchanged": changes.unchanged,
            "gone": changes.gone,
            "skipped": changes.skipped,
            "splits": list(changes.splits),
            "pattern": changes.pattern,
            "outside": changes.outside,
            "plugins": list(changes.plugins),
        }
    return document


def _begun(scan: StoredScan) -> list[Recipe]:
    """The recipes that were worked out; counts that were given have none."""
    if scan.histogram.unknown or not scan._has_exposures:
        return []
    from maskstat.scanning.exposing import begun

    return begun(scan)


def _imbalance(histogram: ClassHistogram) -> dict[str, float | None]:
    """Measures of how a whole is shared out; of labels, which share none, they are all null."""
    if histogram.catalog.multilabel:
        return dict.fromkeys(field.name for field in fields(Imbalance))
    return imbalance_document(imbalance(histogram.pixels))


def known_intervals(scan: StoredScan) -> Intervals | None:
    """The intervals of the frequencies; None where counts were given and no masks."""
    try:
        return scan.intervals
    except UnknownCountsError:
        return None


def class_records(
    histogram: ClassHistogram,
    intervals: Intervals | None = None,
    volumes: ClassVolumes | None = None,
) -> list[dict[str, Any]]:
    """The rows of `classes`; null where something is unknown of counts that were given."""
    columns = {}
    for name in ("pixels", "masks", "image_pixels"):
        shares = name != "masks" and histogram.unit != "pixels"
        counts = None if shares else known(histogram, name)
        columns[name] = [None] * len(histogram.catalog) if counts is None else counts.tolist()
    if volumes is not None:
        columns |= {"mm3": volumes.mm3.tolist(), "image_mm3": volumes.image_mm3.tolist()}
    if histogram.catalog.multilabel:
        columns["negatives"] = histogram.negatives.tolist()
    columns["frequency"] = histogram.frequency.tolist()
    unknown = [None] * len(histogram.catalog)
    columns |= (
        dict.fromkeys(("relative_standard_error", "interval", "needed"), unknown)
        if intervals is None
        else {**intervals.columns(), "needed": _needed(intervals)}
    )
    return [
        {
            "index": info.index,
            "name": info.name,
            "colour": None if info.colour is None else f"#{info.colour:06x}",
            "values": list(info.values),
            **{name: column[info.index] for name, column in columns.items()},
        }
        for info in histogram.catalog.classes
    ]


def _needed(intervals: Intervals) -> list[int | None]:
    """Masks or groups for ±10% of each class; None where nobody can say."""
    known = intervals.known.tolist()
    return [
        int(n) if sure else None for n, sure in zip(intervals.needed.tolist(), known, strict=True)
    ]


def _unlisted_values(scan: StoredScan) -> list[dict[str, Any]]:
    """Unlisted values; beside a colour the class (or null: ignored) of the nearest listed one."""
    rows: list[dict[str, Any]] = [
        {"value": value, "pixels": c.pixels, "masks": c.masks, "first": c.first, "nearest": None}
        for value, c in scan.histogram.unlisted.items()
    ]
    coloured = [row for row in rows if isinstance(row["value"], str)]
    colours = np.array([parse_colour(row["value"]) for row in coloured], np.int64)
    nearest, differences = scan.catalog.nearest(colours)
    names = {**dict(enumerate(scan.catalog.names)), IGNORED: None}
    for row, target, difference in zip(
        coloured, nearest.tolist(), differences.tolist(), strict=True
    ):
        if target != UNLISTED:
            row["nearest"] = {"class": names[target], "difference": difference}
    return rows


def _nodata(scan: StoredScan) -> dict[str, int]:
    """Pixels of each value that is ignored only because files call it nodata."""
    catalog = scan.catalog
    others = catalog.ignored_values | ({DEFAULT_IGNORE} if catalog.ignore_255 else set())
    return {
        str(value): count.pixels
        for value, count in (known(scan.histogram, "ignored") or {}).items()
        if not str(value).startswith("#") and value not in others
    }
