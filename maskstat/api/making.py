"""How a user comes by a scan: counting a source, or opening a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskstat.api.scan import Scan
from maskstat.regions.profile import DEFAULT_GRID
from maskstat.scanning import pipeline, stored_scan
from maskstat.scanning.recording import Progress
from maskstat.scanning.request import ScanRequest
from maskstat.scanning.stored_scan import Classes

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from maskstat.readers.options import Reading


def scan(
    source: str | Path,
    *,
    classes: Classes | None = None,
    ignore: int | str | Iterable[int | str] = (),
    name: str | None = None,
    db: str | Path | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    allow_lossy: bool = False,
    strict: bool = False,
    rescan: bool = False,
    profile: bool = False,
    grid: int = DEFAULT_GRID,
    workers: int | None = None,
    column: str | None = None,
    split: str | None = None,
    nearest_colour: int | None = None,
    executor: str = "threads",
    scheduler: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    **reading: Unpack[Reading],
) -> Scan:
    """Count every mask of a source, exactly.

    Args:
        source: a folder (walked recursively), a glob, a single mask, a text list of paths, a
            manifest, an archive, a table, the URL of any of them, or a file of annotations.
        classes: K, a catalogue, its file or a preset; None takes those that a file of annotations
            names, and else infers them from the values.
        ignore: raw values (or "#rrggbb") that no count of classes should hold.
        name: what the scan is called in the store; by default the source's folder.
        db: the store's file; None keeps the counts in memory only.
        include, exclude: shell patterns on names.
        allow_lossy: count JPEG and lossy WebP too.
        strict: raise at the first mask that can't be read instead of listing it.
        rescan: decode masks that have not changed too.
        profile: measure the pixels too (`Scan.profile`), of masks that were counted before as well.
        grid: cells a side of the profile's heat maps.
        workers: threads; by default one a usable CPU, more where reading waits for a network.
            With "dask", processes of a cluster on this machine.
        column: where a table or a manifest keeps its masks, where that is not clear.
        split: only the masks of this split, as `maskstat.sources.opening.find_splits` names them.
        nearest_colour: how far a channel of a mask's colour may be off its class's.
        executor: "threads", or "dask": on a cluster.
        scheduler: address of a Dask scheduler; without, "dask" starts a cluster on this machine.
        on_progress: called after every chunk of masks.
        reading: how masks are read where a file alone does not say: `pages`, `channels`, `array`,
            `value_divisor`, `divide_all`, `panoptic`; see `maskstat.readers.options.ReadOptions`.
            Masks that were counted with another reading are read again.

    Raises:
        SourceError: there are no masks at the source.
        CatalogError: `classes` is malformed.
        StoreError: the store can't be used.
        StrictError: with `strict`, the first mask that failed, by name.
        ParameterError: an option is out of range.
        MissingExtraError: the source or the executor needs a package that is not installed.
        ClusterError: a cluster can't be reached, does not fit, or went away.
    """
    asked = ScanRequest.of(
        source,
        classes=classes,
        ignore=ignore,
        name=name,
        db=db,
        include=include,
        exclude=exclude,
        allow_lossy=allow_lossy,
        strict=strict,
        rescan=rescan,
        profile=profile,
        grid=grid,
        workers=workers,
        column=column,
        split=split,
        nearest_colour=nearest_colour,
        executor=executor,
        scheduler=scheduler,
        on_progress=on_progress,
        **reading,
    )
    return Scan.of(pipeline.scan(asked))


def open_scan(db: str | Path, name: str | None = None) -> Scan:
    """A scan from a store: the one of this name, or the latest. Raises StoreError."""
    return Scan.of(stored_scan.open_scan(db, name))
