"""What is asked of a scan, checked once.

In come the options of `maskstat.scan`; out goes a `ScanRequest`, which no later stage questions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from maskstat.errors import ParameterError, argument
from maskstat.executors.choices import ExecutorName
from maskstat.executors.opening import ExecutorChoice
from maskstat.memory import parse_size
from maskstat.naming import storable
from maskstat.parameters import refuse_idle, several
from maskstat.readers import formats
from maskstat.readers.choices import Channel, Channels
from maskstat.readers.options import ReadOptions
from maskstat.scanning.class_options import Classes, interpreting, parse_ignored, shifted
from maskstat.scanning.per_class import by_class
from maskstat.sources.base import Selection, Source
from maskstat.sources.locations import TIMEOUT, from_anywhere, size_of
from maskstat.sources.opening import Where, open_source
from maskstat.values.catalog import ClassCatalog
from maskstat.values.catalog_files import load_catalog
from maskstat.values.groups import GroupRule, rule_of

if TYPE_CHECKING:
    from maskstat.exposure.asking import Asked, Crop, Scale
    from maskstat.exposure.recipe import Recipe
    from maskstat.scanning.recording import Progress


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """What is to be counted, how, and where the counts go.

    Attributes:
        source: where the masks are; nothing of it is listed yet.
        catalog: the classes; none where they are to be inferred.
        options: how masks are read.
        executor: where they are counted.
        chosen: whether the user said by name which files are the masks.
        db: the store's file; None keeps the counts in memory.
        name: of the scan in its store; None takes a free one.
        include, exclude: patterns on names that the source heeds.
        strict: whether the first mask that fails ends it, by name.
        rescan: whether masks that have not changed are read, too.
        trust_folders: whether masks of folders whose list of files is as it was are not looked at.
        grid: cells a side of the profile's heat maps; None where no profile is wanted.
        group_by: which masks belong together; None where nothing is said of it.
        recipes: what training does to masks, to be worked out for each.
        presence: whether the exact chances of classes to be in crops are wanted.
        index: whether a class index is wanted.
        on_progress: called after every chunk of masks.
    """

    source: Source
    catalog: ClassCatalog
    options: ReadOptions
    executor: ExecutorChoice
    chosen: bool = False
    db: str | Path | None = None
    name: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    strict: bool = False
    rescan: bool = False
    trust_folders: bool = False
    grid: int | None = None
    group_by: GroupRule | None = None
    recipes: tuple[Recipe, ...] = ()
    presence: bool = False
    index: bool = False
    on_progress: Callable[[Progress], None] | None = None

    @property
    def agreed(self) -> str:
        """What decides the counts, as JSON: runs of one scan agree in it, or wait."""
        said: dict[str, object] = {
            "source": self.source.location,
            "include": sorted(self.include),
            "only": self.source.only,
            "exclude": sorted(self.exclude),
            "reading": self.options.recorded,
            "allow_lossy": self.options.allow_lossy,
            "colours": self.options.colours,
            **({"trust_folders": True} if self.trust_folders else {}),
        }
        return json.dumps(said, sort_keys=True)

    @classmethod
    def of(
        cls,
        source: Where,
        *,
        classes: Classes | None = None,
        ignore: int | str | Iterable[int | str] = (),
        name: str | None = None,
        db: str | Path | None = None,
        include: str | Iterable[str] = (),
        exclude: str | Iterable[str] = (),
        allow_lossy: bool = False,
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
        workers: int | None = None,
        memory: int | str | None = None,
        column: str | None = None,
        size: str | tuple[int, int] | None = None,
        source_format: str | None = None,
        split: str | None = None,
        timeout: float | None = None,
        pages: int | str | None = None,
        channels: Channels | None = None,
        channel: Channel | None = None,
        array: str | None = None,
        value_divisor: int | str | None = None,
        divide_all: bool = False,
        panoptic: str | Path | None = None,
        per_class: bool = False,
        nearest_colour: int | None = None,
        draft: bool = False,
        reduce_zero_label: bool = False,
        executor: ExecutorName = "threads",
        scheduler: str | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> ScanRequest:
        """From the options of `maskstat.scan`; raises what it says of them."""
        if not profile:
            refuse_idle({"grid": grid}, goes_with=argument("profile", True))
        recipes: tuple[Recipe, ...] = ()
        if any(word is not None for word in (recipe, crop, scale, cat_max_ratio)):
            from maskstat.exposure.asking import recipe_of

            recipes = (recipe_of(recipe, crop=crop, scale=scale, cat_max_ratio=cat_max_ratio),)
        else:
            goes_with = f"{argument('recipe')} or {argument('crop')}"
            refuse_idle({"presence": presence or None}, goes_with=goes_with)
        held = None if memory is None else parse_size(memory)
        elsewhere = ExecutorChoice(executor, scheduler, workers, held)
        said = {
            "pages": pages,
            "channels": channels,
            "channel": channel,
            "array": array,
            "value_divisor": value_divisor,
            "divide_all": divide_all,
            "panoptic": panoptic,
            "per_class": per_class,
        }
        options = ReadOptions.of(said, allow_lossy=allow_lossy)
        selection = Selection(several(include), several(exclude), formats.SUFFIXES)
        where = source
        if elsewhere.elsewhere and isinstance(source, (str, Path)):
            where = from_anywhere(source)
        seconds = seconds_of(timeout)
        found = open_source(
            where,
            selection,
            column=column,
            split=split,
            timeout=seconds,
            size=None if size is None else size_of(size),
            source_format=source_format,
        )
        rule = rule_of(group_by)
        if rule is not None and rule.heading is not None:
            found.column_values(rule.heading, ())  # said before anything is counted
        if options.labels:
            _refuse_of_classes(profile=profile, recipe=bool(recipes), draft=draft, index=index)
        found = by_class(found, options)
        catalog = _catalog(classes, options, found, parse_ignored(ignore))
        if draft and len(catalog):
            raise ParameterError("the classes are known", parameter="draft")
        if reduce_zero_label:
            catalog = shifted(catalog, options.recorded)
        catalog = interpreting(catalog, options.recorded, nearest_colour)
        count = len(catalog)
        if profile:
            from maskstat.regions.profile import DEFAULT_GRID, check_size

            grid = DEFAULT_GRID if grid is None else grid
            check_size(max(1, count), grid)
        for one in recipes if count else ():
            one.check_padding(count)
        return cls(
            found,
            catalog,
            replace(
                options,
                colours=catalog.has_colours or draft,
                knows_zero=catalog.explains(0),
            ),
            elsewhere,
            chosen=bool(selection.include or selection.exclude),
            db=db,
            name=storable(name) if name else None,
            include=selection.include,
            exclude=selection.exclude,
            strict=strict,
            rescan=rescan,
            trust_folders=trust_folders,
            grid=grid,
            group_by=rule,
            recipes=recipes,
            presence=presence,
            index=index,
            on_progress=on_progress,
        )


def _refuse_of_classes(**asked: bool) -> None:
    """Raise ParameterError for what knows one class a pixel, where masks have labels."""
    for parameter, given in asked.items():
        if given:
            raise ParameterError(
                f"is of one class a pixel, and {argument('channels', 'multilabel')} has any number"
                " of labels",
                parameter=parameter,
                remedy="leave it out",
            )


def seconds_of(timeout: float | None) -> float:
    """How long a mask may take over a network. Raises ParameterError."""
    if timeout is None:
        return TIMEOUT
    if not (isinstance(timeout, (int, float)) and 0 < timeout < inf):
        raise ParameterError(f"{timeout!r} is no number of seconds above 0", parameter="timeout")
    return float(timeout)


def _catalog(
    classes: Classes | None,
    options: ReadOptions,
    source: Source,
    ignored: tuple[list[int], list[int]],
) -> ClassCatalog:
    """The classes that the user names, or the files; else they are to be inferred."""
    from maskstat.values.own_names import NAMED_BY_SOURCE, by_name

    own = _own_catalog(options, source)
    if own is not None:
        own = replace(own.ignoring(*ignored), origin=NAMED_BY_SOURCE)
    if classes is None:
        catalog = own or ClassCatalog.to_infer()
    else:
        given = load_catalog(classes)
        catalog = given if own is None else by_name(given, own)
    return catalog.ignoring(*ignored)


def _own_catalog(options: ReadOptions, source: Source) -> ClassCatalog | None:
    """The classes that the files name themselves."""
    from maskstat.values.catalog_mapping import catalog_from_categories

    if options.panoptic is not None:
        return catalog_from_categories(options.panoptic.categories, name="panoptic categories")
    return source.catalog()
