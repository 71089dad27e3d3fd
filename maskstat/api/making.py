"""How a user comes by a scan: counting a source, or opening a store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from maskstat.api.drafts import check_draft, write_draft
from maskstat.api.scan import Scan
from maskstat.scanning import stored_scan
from maskstat.showing import cut, one_line

if TYPE_CHECKING:
    from maskstat.executors.choices import ExecutorName
    from maskstat.exposure.asking import Asked, Crop, Scale
    from maskstat.readers.choices import Channel, Channels
    from maskstat.scanning.class_options import Classes
    from maskstat.scanning.recording import Progress
    from maskstat.sources.opening import Where
    from maskstat.values.groups import GroupRule


def scan(
    source: Where,
    *,
    classes: Classes | None = None,
    ignore: int | str | Iterable[int | str] = (),
    name: str | None = None,
    db: str | Path | None = None,
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    allow_lossy: bool = False,
    pages: int | str | None = None,
    channels: Channels | None = None,
    channel: Channel | None = None,
    array: str | None = None,
    value_divisor: int | str | None = None,
    divide_all: bool = False,
    panoptic: str | Path | None = None,
    per_class: bool = False,
    nearest_colour: int | None = None,
    draft: str | Path | None = None,
    reduce_zero_label: bool = False,
    column: str | None = None,
    size: str | tuple[int, int] | None = None,
    source_format: str | None = None,
    split: str | None = None,
    strict: bool = False,
    rescan: bool = False,
    trust_folders: bool = False,
    profile: bool = False,
    grid: int | None = None,
    group_by: str | GroupRule | None = None,
    recipe: Asked | None = None,
    crop: Crop | None = None,
    scale: Scale | None = None,
    cat_max_ratio: float | None = None,
    presence: bool = False,
    index: bool = False,
    timeout: float | None = None,
    workers: int | None = None,
    memory: int | str | None = None,
    executor: ExecutorName = "threads",
    scheduler: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Scan:
    """Count every mask of a source, exactly.

    Args:
        source: a folder (walked recursively), a glob, a single mask, a text list of paths, a
            manifest, an archive, a table, the URL of any of them, or a file of annotations.
            Several paths are one mask each.
        classes: K, K names, a catalogue, its file or a preset; None takes those that a file of
            annotations names, and else infers them from the values. Where a source names its
            classes, these are matched with them by name.
        ignore: raw values (or "#rrggbb") that no count of classes should hold.
        name: what the scan is called in the store; by default the source's folder.
        db: the store's file; None keeps the counts in memory only.
        include, exclude: shell patterns on names.
        allow_lossy: count JPEG, lossy WebP and lossy JPEG 2000 too.
        pages: "each" page of a TIFF, plane of an array or slice of a volume is a mask, called
            `file#1`, `file#2`, ...; "all" pages, planes or volumes of a series are one mask;
            "first", or the number of one, from 1.
        channels: a channel a class, in TIFF, volumes and arrays of any format. "one-hot": the
            number of the one that is set, -1 for none. "bitmask": the sum of 2^k. "multilabel":
            labels, of which a pixel has any number; also in colour images, of three. With "-first"
            where an array's channels come first.
        channel: where masks of indices are stored as colours (RGB, RGBA, LA): "r" has the index in
            red, "grey" in every channel, "ade20k" in red and green (R / 10 * 256 + G). Other masks
            are read as they are.
        array: which array of an .npz, a Zarr group, or a file of HDF5, MATLAB or PyTorch. In HDF5
            also a group, or names with a `*`: with `pages="each"` all of their arrays count.
        value_divisor: N, where values are class * N + instance: value // N is counted. Values
            below N are classes already (Cityscapes: 1000). A name says both N and whether all are
            divided: "cityscapes", "kitti", "mapillary", "scannet".
        divide_all: divide values below `value_divisor` too.
        panoptic: COCO's panoptic JSON: masks are PNGs of its segments, and its categories are
            counted (and the classes, without `classes`).
        per_class: an image has a file for each class, called `00001_hair.png` or
            `hair/00001.png`: they are one mask. Of classes that overlap, the smaller one counts.
        draft: a .yaml file to write: a catalogue to fill in, of the colours and values found,
            without `classes`. Masks of colours are counted for it.
        nearest_colour: how far a channel of a mask's colour may be off its class's, 0 to 255.
        reduce_zero_label: labels begin at 1 and 0 is void: class k is the value k + 1
            (MMSegmentation's `reduce_zero_label`; ADE20K).
        column: where a table or a manifest keeps its masks, where that is not clear; of TFRecords,
            the feature.
        size: height and width of all masks of a table of run lengths ("256x1600"), where
            neither columns nor images say it.
        source_format: which plugin reads the source (`maskstat.plugins()`); what maskstat reads
            itself needs no word.
        split: only the masks of this split; `scan_splits` scans all of them.
        strict: raise at the first mask that can't be read instead of listing it.
        rescan: decode masks that have not changed too.
        trust_folders: do not look at masks of folders whose list of files has not changed since the
            last scan that was asked to; masks that were rewritten in place are not noticed then
            (docs/scale.md). For folders of files on a Linux machine.
        profile: measure the pixels too (`Scan.profile`), of masks that were counted before as well.
        grid: cells a side of the profile's heat maps, 64 by default.
        group_by: which masks belong together, since they are of one video, patient, scene or tile:
            "folder", "file" (whose planes are masks), "column:NAME" of the table that lists them,
            or a regular expression whose captured part of a name is the group. It is kept with
            the scan; None leaves what is kept. "mask" makes each a group of its own.
        recipe, crop, scale, cat_max_ratio, presence: what training sees, as `Scan.exposure` takes
            them, is worked out and kept as well: pixels are decoded once for all of it.
        index: so is where each class is in every mask, for `Scan.class_index`.
        timeout: seconds that a mask may take over a network, tries and pauses included, or a piece
            of a file of many masks; 600 by default.
        workers: threads; by default one a usable CPU, more where reading waits for a network.
            With "dask", processes of a cluster on this machine.
        memory: what decoding may hold at a time, as 4G, 512M or bytes; half of what is free by
            default. What does not fit waits, and is counted all the same. With "dask", what
            each worker may hold, by default half of its own limit.
        executor: "threads", or "dask": on a cluster.
        scheduler: address of a Dask scheduler; without, "dask" starts a cluster on this machine.
        on_progress: called after every chunk of masks.

    Masks that were counted with another way of reading (`pages` to `panoptic`) are read again.

    Raises:
        SourceError: there are no masks at the source.
        CatalogError: `classes` is malformed, or lacks one of the source's own.
        StoreError: the store can't be used.
        StrictError: with `strict`, the first mask that failed, by name.
        ParameterError: a parameter is out of range, or means nothing beside the others.
        MissingExtraError: the source or the executor needs a package that is not installed.
        PluginError: what a plugin brings by the name that was given can't be used.
        ClusterError: a cluster can't be reached, does not fit, or went away.
    """
    from maskstat.scanning import pipeline
    from maskstat.scanning.request import ScanRequest

    path = None if draft is None else check_draft(draft)
    request = ScanRequest.of(
        source,
        classes=classes,
        ignore=ignore,
        name=name,
        db=db,
        include=include,
        exclude=exclude,
        allow_lossy=allow_lossy,
        pages=pages,
        channels=channels,
        channel=channel,
        array=array,
        value_divisor=value_divisor,
        divide_all=divide_all,
        panoptic=panoptic,
        per_class=per_class,
        nearest_colour=nearest_colour,
        reduce_zero_label=reduce_zero_label,
        draft=draft is not None,
        column=column,
        size=size,
        source_format=source_format,
        split=split,
        strict=strict,
        rescan=rescan,
        trust_folders=trust_folders,
        profile=profile,
        grid=grid,
        group_by=group_by,
        recipe=recipe,
        crop=crop,
        scale=scale,
        cat_max_ratio=cat_max_ratio,
        presence=presence,
        index=index,
        timeout=timeout,
        workers=workers,
        memory=memory,
        executor=executor,
        scheduler=scheduler,
        on_progress=on_progress,
    )
    found = Scan.of(pipeline.scan(request))
    if path is not None:
        write_draft([found], path)
    return found


class Splits(Mapping[str, Scan]):
    """Scans of the splits of a source, by the split's name, training first by custom.

    Attributes:
        in_no_split: masks that are in no split, and in none of the scans; with `pages="each"`
            their files.
    """

    def __init__(self, scans: Mapping[str, Scan], in_no_split: int):
        self._scans = dict(scans)
        self.in_no_split = in_no_split

    def __repr__(self) -> str:
        return one_line(self, *(cut(split, 20) for split in self))

    def __getitem__(self, split: str) -> Scan:
        return self._scans[split]

    def __iter__(self) -> Iterator[str]:
        return iter(self._scans)

    def __len__(self) -> int:
        return len(self._scans)

    def close(self) -> None:
        """Close the stores that they read from."""
        for one in self.values():
            one.close()

    def __enter__(self) -> Splits:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def scan_splits(
    source: Where,
    *,
    classes: Classes | None = None,
    ignore: int | str | Iterable[int | str] = (),
    name: str | None = None,
    db: str | Path | None = None,
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    allow_lossy: bool = False,
    pages: int | str | None = None,
    channels: Channels | None = None,
    channel: Channel | None = None,
    array: str | None = None,
    value_divisor: int | str | None = None,
    divide_all: bool = False,
    panoptic: str | Path | None = None,
    per_class: bool = False,
    nearest_colour: int | None = None,
    draft: str | Path | None = None,
    reduce_zero_label: bool = False,
    column: str | None = None,
    size: str | tuple[int, int] | None = None,
    source_format: str | None = None,
    strict: bool = False,
    rescan: bool = False,
    trust_folders: bool = False,
    profile: bool = False,
    grid: int | None = None,
    group_by: str | GroupRule | None = None,
    recipe: Asked | None = None,
    crop: Crop | None = None,
    scale: Scale | None = None,
    cat_max_ratio: float | None = None,
    presence: bool = False,
    index: bool = False,
    timeout: float | None = None,
    workers: int | None = None,
    memory: int | str | None = None,
    executor: ExecutorName = "threads",
    scheduler: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Splits:
    """Count every mask of a source, one scan a split.

    Splits are folders called train, val, test or the like, or what a manifest's column says.

    Args:
        source: as in `scan`, and so all others.
        name: what the scans are called, with the split's name behind it.

    Raises:
        SourceError: the source has no splits.
        MaskstatError: as `scan`.
    """
    from maskstat.scanning import pipeline
    from maskstat.scanning.listing import splits_of
    from maskstat.scanning.request import ScanRequest, seconds_of

    if not isinstance(source, (str, os.PathLike)):
        source = list(source)
    seconds = seconds_of(timeout)
    found = splits_of(
        source,
        include=include,
        exclude=exclude,
        column=column,
        timeout=seconds,
        source_format=source_format,
    )
    path = None if draft is None else check_draft(draft)
    requests = (
        (
            split,
            ScanRequest.of(
                source,
                classes=classes,
                ignore=ignore,
                name=f"{name}-{split}" if name else None,
                db=db,
                include=include,
                exclude=exclude,
                allow_lossy=allow_lossy,
                pages=pages,
                channels=channels,
                channel=channel,
                array=array,
                value_divisor=value_divisor,
                divide_all=divide_all,
                panoptic=panoptic,
                per_class=per_class,
                nearest_colour=nearest_colour,
                reduce_zero_label=reduce_zero_label,
                draft=draft is not None,
                column=column,
                size=size,
                source_format=source_format,
                split=split,
                strict=strict,
                rescan=rescan,
                trust_folders=trust_folders,
                profile=profile,
                grid=grid,
                group_by=group_by,
                recipe=recipe,
                crop=crop,
                scale=scale,
                cat_max_ratio=cat_max_ratio,
                presence=presence,
                index=index,
                timeout=timeout,
                workers=workers,
                memory=memory,
                executor=executor,
                scheduler=scheduler,
                on_progress=on_progress,
            ),
        )
        for split in found
        if split is not None
    )
    scans = pipeline.scan_together(requests)
    splits = Splits({split: Scan.of(one) for split, one in scans.items()}, found.get(None, 0))
    if path is not None:
        write_draft(splits.values(), path)
    return splits


def open_scan(
    db: str | Path,
    name: str | None = None,
    *,
    classes: Classes | None = None,
    ignore: int | str | Iterable[int | str] = (),
    nearest_colour: int | None = None,
    reduce_zero_label: bool = False,
    group_by: str | GroupRule | None = None,
) -> Scan:
    """A scan from a store; nothing is decoded.

    Args:
        db: the store's file.
        name: the scan's, or its split where only one has it ("train" for "camvid-train"); None
            takes the latest, and of splits the one to train on.
        classes, ignore, nearest_colour, reduce_zero_label: read its counts under these, as `scan`
            takes them.
        group_by: the groups of its masks, as `scan` takes them, in place of those that it has.

    Raises:
        StoreError: the store can't be used, holds no such scan, or several that may be meant.
        CatalogError: `classes` is malformed, or lacks one of the source's own.
        ParameterError: something in `ignore` is neither a number nor a colour,
            `nearest_colour` is out of range, or `group_by` is no rule.
    """
    with ExitStack() as stack:
        found = stack.enter_context(Scan.of(stored_scan.open_scan(db, name)))
        if classes is not None or ignore != () or nearest_colour is not None or reduce_zero_label:
            found = found.under(classes, ignore, nearest_colour, reduce_zero_label)
        if group_by is not None:
            found = found.grouped(group_by)
        stack.pop_all()
    return found
