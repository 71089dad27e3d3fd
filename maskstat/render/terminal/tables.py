"""Numbers as tables for a terminal. Every name goes through `printable` and is never markup."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from maskstat.errors import argument, call, spelled
from maskstat.naming import between, counted, factor, percent, printable
from maskstat.render.terminal.failures import failure_lines
from maskstat.render.terminal.fitting import BAR, LAST, Cell, Fitted, Kind, TableColumn
from maskstat.render.terminal.profile_tables import profile_lines, unmeasured_lines
from maskstat.render.terminal.rows import ALL, RowChoice, Shown
from maskstat.statistics.imbalance import degree_of
from maskstat.values.catalog import DEFAULT_IGNORE, ClassCatalog
from maskstat.values.readings import (
    CHANNELS_UNLISTED,
    begin_at_one,
    channels_lack,
    readings_of_255,
    readings_of_no_channel,
    readings_of_unlisted,
)

if TYPE_CHECKING:
    from maskstat.weights.table import WeightTable

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SHOWN_NAMES, _SHOWN_RECIPES, _SHOWN_UNSURE = 12, 4, 3
_VOLUMES = (("ml", 1e3, 1e3), ("mm³", 1.0, 0.01), ("µm³", 1e-9, 0.0))  # mm³, from how many on
_LABELS_OVERLAP = (
    "Multi-label: a share is of all labelled pixels, and shares need not add up to 100%"
)
_SLIGHTLY_OFF = 5  # what palettes and colour profiles do to colours; more may be another class


def scan_tables(document: Mapping[str, Any], rows: RowChoice = ALL) -> RenderableType:
    """Class table, totals and what needs attention, from `scan_document`."""
    if document["failures"] and not document["masks"]:  # zeros would hide why
        several = len(document["failures"]) > 1
        heading = "None of {} could be counted:" if several else "{} could not be counted:"
        return _failures(document["failures"], heading)
    parts: list[RenderableType] = []
    if document["classes"]:
        measured = (document["profile"] or {}).get("classes")
        about = document["intervals"]
        parts.append(class_table(document["classes"], document["masks"], rows, measured, about))
    parts.append(_totals(document))
    if attention := _attention(document):
        parts.append(Text("\nNeeds attention", style="bold"))
        parts.extend(attention)
    return Group(*parts)


def class_table(
    classes: Sequence[Mapping[str, Any]],
    masks: int | None,
    rows: RowChoice = ALL,
    measured: Sequence[Mapping[str, Any]] | None = None,
    intervals: Mapping[str, Any] | None = None,
) -> Fitted:
    """A row a class; what is null in all of them, or needs an unknown `masks`, has no column.

    `measured` is what a pixel profile says of each class, and `intervals` what theirs count.
    """
    frequency = [row["frequency"] for row in classes]
    shown = rows.of(frequency)
    chosen = [classes[k] for k in shown.indices]
    known = {name for row in classes for name, value in row.items() if value is not None}
    largest = max(frequency, default=0) or 1
    labels = "negatives" in known
    columns = class_columns(
        shown,
        [row["name"] for row in classes],
        [row["colour"] for row in classes],
        "label" if labels else "class",
    )
    columns.append(TableColumn("share", [share_or_never(row["frequency"]) for row in chosen]))
    columns.append(
        TableColumn("", [bar_of(row["frequency"] / largest) for row in chosen], "bar", 2, "cyan")
    )
    if intervals is not None:
        cells = [interval_cell(row, intervals) for row in chosen]
        columns.append(TableColumn("95%\ninterval", cells, goes=LAST))
    if "mm3" in known:
        unit, cells = in_unit([row["mm3"] for row in classes])
        columns.append(TableColumn(unit, [cells[k] for k in shown.indices], goes=LAST + 2))
    if "pixels" in known:
        columns.append(
            TableColumn("pixels", [_count(row["pixels"]) for row in chosen], goes=LAST + 2)
        )
    if labels:
        columns.append(
            TableColumn("negatives", [_count(row["negatives"]) for row in chosen], goes=LAST + 1)
        )
    if "masks" in known:
        columns.append(TableColumn("masks", [_count(row["masks"]) for row in chosen], goes=1))
    if "masks" in known and masks is not None:
        columns.append(
            TableColumn("of all", [_of_masks(row, masks) for row in chosen], goes=LAST + 3)
        )
    if known & {"image_pixels", "image_mm3"}:
        columns.append(TableColumn("share\nthere", [_there(row) for row in chosen], goes=LAST + 4))
    if measured is not None:
        columns += _measured_columns([measured[k] for k in shown.indices])
    return Fitted(
        columns, shown.gaps(frequency, lambda left: from_to(frequency, left, together=not labels))
    )


def _measured_columns(chosen: Sequence[Mapping[str, Any]]) -> Iterable[TableColumn]:
    """Connected components, and how large and wide they are; nothing for what never occurs."""
    medians = [_count(row["sizes"]["median"]) if row["components"] else "" for row in chosen]
    widths = ["" if row["width"] is None else _in_pixels(row["width"]) for row in chosen]
    yield TableColumn("parts", [_count(row["components"]) for row in chosen], goes=LAST + 5)
    yield TableColumn("median\npx", medians, goes=LAST + 6)
    yield TableColumn("width\npx", widths, goes=LAST + 1)


def _in_pixels(length: float) -> str:
    return f"{length:,.0f}" if length >= 9.95 else f"{length:.1f}"


def class_columns(
    shown: Shown, names: Sequence[str], colours: Sequence[str | None], heading: str = "class"
) -> list[TableColumn]:
    """Index, colour where there is one, and name of the classes that are shown."""
    columns = [TableColumn("#", [str(k) for k in shown.indices])]
    if any(colours):
        columns.append(TableColumn("", [swatch_of(colours[k]) for k in shown.indices], "text", 4))
    columns.append(TableColumn(heading, [printable(names[k]) for k in shown.indices], "name"))
    return columns


def interval_cell(row: Mapping[str, Any], intervals: Mapping[str, Any]) -> str:
    """The interval of a share; "one mask" where that is all there is of the class."""
    if row["interval"] is not None:
        return between(*row["interval"])
    return f"one {_sampled(intervals)}" if row["frequency"] else ""


def _sampled(intervals: Mapping[str, Any]) -> str:
    return "mask" if intervals["group_by"] == "mask" else "group"


def interval_lines(document: Mapping[str, Any]) -> Iterable[str]:
    """What the intervals of the shares count, and how much more would make them narrow."""
    about = document["intervals"]
    if about is None or not document["classes"]:
        return
    sample = counted(about["masks"], "mask")
    if (unit := _sampled(about)) == "group":
        rule = printable(spelled(argument("group_by", about["group_by"])))
        sample = f"{counted(about['groups'], unit)} of {sample} ({rule})"
    unsure = [row for row in document["classes"] if (row["needed"] or 0) > about["groups"]]
    unsure.sort(key=lambda row: -row["needed"])
    line = f"95% intervals count {sample}"
    if unsure:
        shown = unsure[:_SHOWN_UNSURE]
        line += f"; {unit}s needed for ±10%: "
        line += ", ".join(f"{printable(row['name'])} {row['needed']:,}" for row in shown)
        more = len(unsure) - len(shown)
        line += f" and more for {counted(more, 'other class')}" if more else ""
    yield line
    yield from about["notes"]


def _of_masks(row: Mapping[str, Any], masks: int) -> str:
    return percent(row["masks"] / masks) if row["masks"] is not None and masks else ""


def _there(row: Mapping[str, Any]) -> str:
    part, whole = ("mm3", "image_mm3") if "mm3" in row else ("pixels", "image_pixels")
    return percent(row[part] / row[whole]) if row[whole] else ""


def from_to(frequency: Sequence[float], left: Sequence[int], *, together: bool = True) -> str:
    """Shares of the classes that are not shown; those of labels are together nothing."""
    shares = [frequency[k] for k in left]
    most, least, all_of_them = map(percent, (max(shares), min(shares), math.fsum(shares)))
    return f" from {most} to {least}" + (f", together {all_of_them}" if together else "")


def share_or_never(fraction: float) -> str:
    """A share of a whole; nothing is "never"."""
    return percent(fraction) if fraction else "never"


def bar_of(fraction: float) -> Callable[[int], str]:
    """A bar of as many cells as there are."""
    return lambda cells: bar(fraction, cells)


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def binary_note(foreground: str) -> str:
    """What to say where 255 is class 1 although nobody said so."""
    return (
        f"255 is class 1 ({printable(foreground)}): the only values are 0 and 255"
        f" ({spelled(argument('ignore', DEFAULT_IGNORE))} where it is void)"
    )


def soft_masks_note(soft: Mapping[str, Any]) -> str:
    """What to say where no class was inferred, since the masks are soft; for `errors.spelled`."""
    from maskstat.statistics.soft_masks import SoftMasks

    about = SoftMasks.from_dict(soft)
    return f"No classes are inferred: {about.problem}. What to do: {about.remedy}"


def given_counts(document: Mapping[str, Any]) -> str:
    """What to say of counts that were given: what is unknown."""
    what = "Shares" if document["unit"] == "shares" else "Counts"
    unknown = ", ".join(name.replace("_", " ") for name in document["unknown"])
    return f"{what} that were given: unknown are {unknown}"


def in_unit(volumes: Sequence[float]) -> tuple[str, list[str]]:
    """Volumes in mm³ as texts of one unit that suits the largest: ml (cm³), mm³ or µm³."""
    most = max(volumes, default=0.0)
    unit, size = next((unit, size) for unit, size, least in _VOLUMES if most >= least)
    return unit, [_three_digits(volume / size) for volume in volumes]


def _three_digits(number: float) -> str:
    """Nothing is 0, and only nothing is."""
    return f"{number:,.0f}" if number >= 1000 or not number else f"{number:.3g}"


def voxel_words(voxels: Mapping[str, Any]) -> str:
    """How large voxels are: "0.9 mm³", or "0.9 to 5.2 mm³"."""
    unit, (least, most) = in_unit([voxels["smallest"], voxels["largest"]])
    return f"{most} {unit}" if least == most else f"{least} to {most} {unit}"


def _volumes(labelled_mm3: float, total_mm3: float) -> tuple[str, str]:
    unit, (labelled, total) = in_unit([labelled_mm3, total_mm3])
    every = labelled_mm3 == total_mm3
    return f"{total} {unit}", "all labelled" if every else f"{labelled} {unit} labelled"


def _totals(document: Mapping[str, Any]) -> Text:
    total, masks, labelled = (document[key] for key in ("total_pixels", "masks", "labelled_pixels"))
    measures = document["imbalance"]
    known = [
        None if masks is None else counted(masks, "mask"),
        *(
            _volumes(**document["volume"])
            if "volume" in document
            else (None if total is None else counted(total, "pixel"), _labelled(labelled, total))
        ),
    ]
    for what in ("ignored", "unlisted"):
        if pixels := sum((document[what] or {}).values()):
            part = "" if total is None else f" ({percent(pixels / total)})"
            noun = "voxels " if "volume" in document else ""
            known.append(f"{pixels:,} {noun}{what}{part}")
    lines = [", ".join(part for part in known if part is not None)]
    if not lines[0]:
        lines.clear()
    if document["catalog"].get("multilabel") and document["classes"]:
        lines.append(_LABELS_OVERLAP)
    if measures["ratio"] is not None:
        lines.append(_imbalance_line(document["classes"], measures))
    lines += interval_lines(document)
    if document["profile"] is not None:
        lines += profile_lines(document["profile"])
    notes = list(_notes(document))
    return Text("\n".join(lines + notes))


def _labelled(labelled: int | None, total: int | None) -> str | None:
    if labelled is None:
        return None
    return "all labelled" if labelled == total and labelled else f"{labelled:,} labelled"


def _imbalance_line(classes: Sequence[Mapping[str, Any]], measures: Mapping[str, Any]) -> str:
    """The verdict: how far the classes that occur are apart, and by how many it is as diverse."""
    occurring = [row for row in classes if row["frequency"]]
    most, least = (
        printable(choose(occurring, key=lambda row: row["frequency"])["name"])
        for choose in (max, min)
    )
    if most == least:
        return f"All labelled pixels are of one class: {most}"
    line = (
        f"{degree_of(measures['ratio']).capitalize()}: {most} is {factor(measures['ratio'])}"
        f" times as frequent as {least}"
    )
    if measures["normalised_entropy"] is None:
        return line
    return (
        f"{line}; as diverse as {measures['effective_classes']:.1f} equal classes of"
        f" {len(classes):,} (normalised entropy {measures['normalised_entropy']:.3f})"
    )


def _notes(document: Mapping[str, Any]) -> Iterable[str]:
    if document["unknown"]:
        yield given_counts(document)
    if "volume" in document:
        yield f"Shares are of volume: a voxel measures {voxel_words(document['voxels'])}"
    catalog = document["catalog"]
    if catalog["origin"] == "inferred" and catalog.get("multilabel") and document["classes"]:
        yield (
            f"Labels are the channels found ({len(document['classes']):,}): name them with"
            f" {spelled(argument('classes'))}"
        )
    elif catalog["origin"] == "inferred" and document["classes"]:
        found = counted(len(document["classes"]), "class")
        yield (
            f"Classes were inferred from the values found ({found}): declare them with"
            f" {spelled(argument('classes'))}"
        )
    if catalog.get("binary"):
        yield binary_note(document["classes"][1]["name"])
    if document["doubtful_255"]:
        yield (f"255 is ignored by default, and a class has no pixel: {spelled(readings_of_255())}")
    elif document["ignored_by_default"]:
        yield (
            "255 is ignored: the usual void value of 8-bit masks, and not a class here"
            " (a catalogue with 'ignore_255: false' lists it)"
        )
    if nodata := document["nodata"]:
        values = ", ".join(value for value in nodata if value != "nodata")
        named = f" ({values})" if values else ""
        otherwise = " (a class that is declared with the value counts it)" if values else ""
        pixels = counted(sum(nodata.values()), "pixel")
        yield f"Nodata is ignored, as the files say{named}: {pixels}{otherwise}"
    if reading := document.get("reading"):
        yield f"Masks are read with {spelled(' '.join(map(argument, reading, reading.values())))}"
    if kept := document.get("kept_ids"):
        divisor = document["reading"]["value_divisor"]
        yield (
            f"Values below {divisor} were taken for classes as they are, in"
            f" {counted(kept, 'mask')}: {spelled(argument('divide_all', True))} takes them for"
            " instances of class 0"
        )
    if off := catalog.get("nearest_colour"):
        yield f"A colour that is off by up to {off} counts as the nearest one listed"
    if document["exposures"]:
        yield _worked_out(document["exposures"])
    if changes := document.get("changes"):
        others = changes["skipped"]
        skipped = f", {counted(others, 'other file')} skipped" if others else ""
        if outside := changes["outside"]:
            skipped += f", {outside:,} outside the list's folder"
        yield (
            f"{changes['new']:,} new, {changes['changed']:,} changed,"
            f" {changes['unchanged']:,} unchanged, {changes['gone']:,} gone{skipped}"
        )
        if plugins := changes["plugins"]:
            yield f"Read by plugins: {', '.join(map(printable, plugins))}"
        if pattern := changes["pattern"]:
            yield (
                f"Masks are {printable(pattern)}; others are passed over"
                f" ({spelled(argument('include'))} chooses otherwise)"
            )
        if len(splits := changes["splits"]) > 1:
            listed = ", ".join(map(printable, splits))
            split = spelled(argument("split"))
            yield f"There are splits ({listed}): {split} makes one scan of each"


def _worked_out(exposures: Iterable[Mapping[str, Any]]) -> str:
    """How to see what a scan's recipes make of it."""
    from maskstat.exposure.asking import asked_again
    from maskstat.exposure.recipe import Recipe

    asked = (asked_again(Recipe.of(one["recipe"])) for one in exposures)
    calls = list(dict.fromkeys(call("Scan.exposure", **words) for words in asked))
    more = f"; and {len(calls) - _SHOWN_RECIPES} more" if len(calls) > _SHOWN_RECIPES else ""
    return spelled(
        f"What training sees is worked out, and shown by: {'; '.join(calls[:_SHOWN_RECIPES])}{more}"
    )


def _attention(document: Mapping[str, Any]) -> list[RenderableType]:
    parts: list[RenderableType] = []
    labels = document["catalog"].get("multilabel", False)
    if labels and (full := [row["name"] for row in document["classes"] if _is_everywhere(row)]):
        parts.append(Text(f"{counted(len(full), 'label')} in every pixel: {_names(full)}"))
    if labels and (problem := _channels_lack(document)):
        parts.append(Text(problem))
    if not document["complete"]:
        parts.append(
            Text("This scan was interrupted: run the same scan again and it goes on from there")
        )
    if soft := document["soft_masks"]:
        parts.append(Text(spelled(soft_masks_note(soft))))
    elif document["unlisted_values"]:
        parts.append(_unlisted(document))
        if in_none := document["no_channel"]:
            readings = readings_of_no_channel(in_none, document["total_pixels"])
            parts.append(Text(spelled(readings)))
        unlisted = [row["value"] for row in document["unlisted_values"]]
        values = [row["values"] for row in document["classes"]]
        if labels:
            parts.append(Text(spelled(CHANNELS_UNLISTED)))
        elif values and begin_at_one(values, unlisted):
            numbered = document["catalog"]["origin"] == "number"
            parts.append(Text(spelled(readings_of_unlisted(values, unlisted, numbered=numbered))))
    if absent := document["absent_classes"]:
        heading = f"{counted(len(absent), 'label' if labels else 'class')} without a pixel"
        parts.append(Text(f"{heading}: {_names(absent)}"))
    if document["failures"]:
        parts.append(_failures(document["failures"]))
    if document["profile"] is not None:
        parts.extend(Text(line) for line in unmeasured_lines(document["profile"]))
    for key, what in (
        ("single_class_masks", "a single label" if labels else "a single class"),
        ("unlabelled_masks", "no label in any pixel" if labels else "no labelled pixel"),
    ):
        if document["classes"] and (count := document[key]):
            parts.append(Text(f"{counted(count, 'mask')} of {document['masks']:,} with {what}"))
    return parts


def _is_everywhere(row: Mapping[str, Any]) -> bool:
    return bool(row["pixels"]) and row["negatives"] == 0


def _channels_lack(document: Mapping[str, Any]) -> str | None:
    """That masks lack the channel of a label."""
    counts = document["channels"]
    values = [row["values"] for row in document["classes"]]
    return None if counts is None else channels_lack(values, *counts)


def _unlisted(document: Mapping[str, Any]) -> Group:
    rows, total = document["unlisted_values"], document["total_pixels"]
    labels = document["catalog"].get("multilabel", False)
    colours = [row for row in rows if row.get("nearest")]
    chosen = sorted(rows, key=lambda row: -row["pixels"])[:_SHOWN_NAMES]
    columns = [
        TableColumn("channel" if labels else "value", [str(row["value"]) for row in chosen]),
        TableColumn("pixels", [f"{row['pixels']:,}" for row in chosen]),
    ]
    if total is not None:
        columns.append(
            TableColumn("share", [percent(row["pixels"] / total) for row in chosen], goes=LAST + 1)
        )
    columns.append(TableColumn("masks", [f"{row['masks']:,}" for row in chosen], goes=LAST + 2))
    columns.append(
        TableColumn("first mask", [printable(row["first"] or "") for row in chosen], "name", 1)
    )
    if colours:
        columns.append(
            TableColumn("nearest colour", [_nearest(row) for row in chosen], "text", LAST + 3)
        )
    table = Fitted(columns)
    more = f", the {_SHOWN_NAMES} most frequent are shown" if len(rows) > _SHOWN_NAMES else ""
    what = "unlisted channel" if labels else "unlisted value"
    heading = (
        f"{counted(len(rows), what)}, neither {'label' if labels else 'class'} nor ignored{more}:"
    )
    # What is near to an ignored colour may be a class that the catalogue lacks.
    void = [row["nearest"]["difference"] for row in colours if row["nearest"]["class"] is None]
    limit = min([_SLIGHTLY_OFF, *(difference - 1 for difference in void)])
    near = [row for row in colours if row["nearest"]["difference"] <= limit]
    if not near:
        return Group(Text(heading), table)
    off = max(row["nearest"]["difference"] for row in near)
    hint = (
        f"{counted(len(near), 'colour')} of these, {sum(row['pixels'] for row in near):,} pixels,"
        f" off by at most {off}: {spelled(argument('nearest_colour', off))}"
        " counts them as the nearest class"
    )
    return Group(Text(heading), table, Text(hint))


def _nearest(row: Mapping[str, Any]) -> str:
    """What the listed colour nearest to an unlisted value means, in words."""
    nearest = row["nearest"]
    if nearest is None:
        return "several" if isinstance(row["value"], str) else ""
    what = "ignored" if nearest["class"] is None else printable(nearest["class"])
    return f"{what}, off by {nearest['difference']}"


def _failures(
    failures: Sequence[Mapping[str, str]], heading: str = "{} could not be counted:"
) -> Group:
    lines = failure_lines((failure["mask"], failure["reason"]) for failure in failures)
    return Group(
        Text(heading.format(counted(len(failures), "mask"))),
        *(Text(f"  {line}") for line in lines),
    )


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(map(printable, names[:_SHOWN_NAMES]))
    return shown + (f" and {len(names) - _SHOWN_NAMES:,} more" if len(names) > _SHOWN_NAMES else "")


def weight_table(
    weights: WeightTable, catalog: ClassCatalog | None = None, rows: RowChoice = ALL
) -> RenderableType:
    """Class, share of the pixels, weight, share of the loss without and with the weights.

    Colours are those of the catalogue. Of labels: share of the pixels, pos_weight, and the share of
    the label's loss that its positives then have.
    """
    labels = weights.negatives is not None
    frequency, values, mass = (
        array.tolist() for array in (weights.frequency, weights.weights, weights.mass)
    )
    shown = rows.of(frequency)
    average = float(weights.frequency @ weights.weights)
    factors = values if labels else [value / average if average > 0 else 0.0 for value in values]
    heading = "label" if labels else "class"
    columns = [
        *class_columns(shown, weights.names, colours_of(catalog, len(weights)), heading),
        TableColumn("share", [share_or_never(frequency[k]) for k in shown.indices]),
        TableColumn(
            "pos_weight" if labels else "weight", [f"{values[k]:.6g}" for k in shown.indices]
        ),
        TableColumn("", _balances(factors, shown.indices), "bar", 2, "cyan"),
        TableColumn(
            "positives'\nloss share" if labels else "loss share\nwith",
            [percent(mass[k]) for k in shown.indices],
            goes=LAST + 1,
        ),
    ]
    if not labels:
        without = [percent(frequency[k]) for k in shown.indices]
        columns.insert(-1, TableColumn("loss share\nwithout", without, goes=LAST + 2))

    def say(left: Sequence[int]) -> str:
        between = [values[k] for k in left]
        return f", weights from {min(between):.6g} to {max(between):.6g}"

    table = Fitted(columns, shown.gaps(frequency, say))
    return Group(table, Text("\n".join(_weight_notes(weights))))


def _balances(factors: Sequence[float], shown: Sequence[int]) -> list[Cell]:
    """Bars from the average pixel's weight: to the right what weighs more, to the left less."""
    widest = max((abs(math.log(factor)) for factor in factors if factor > 0), default=0.0)

    def balance(factor: float) -> Callable[[int], str]:
        def drawn(cells: int) -> str:
            half = (cells - 1) // 2
            if factor <= 0:
                return " " * half + "│"
            length = round(abs(math.log(factor)) / widest * half) if widest > 0 else 0
            if factor < 1:
                return ("━" * length).rjust(half) + "│"
            return " " * half + "│" + "━" * length

        return drawn

    return [balance(factors[k]) for k in shown]


def colours_of(catalog: ClassCatalog | None, count: int) -> list[str | None]:
    """What to show classes in: None where there is no catalogue or it says nothing."""
    if catalog is None:
        return [None] * count
    return [None if c.colour is None else f"#{c.colour:06x}" for c in catalog.classes]


def swatch_of(colour: str | None) -> str | Text:
    """A cell that shows the colour of a class."""
    return "" if colour is None else Text("██", style=colour)


def _weight_notes(weights: WeightTable) -> Iterable[str]:
    from maskstat.weights.pos_weight import plain_ratio_or_none

    parameters = ", ".join(f"{name} {value}" for name, value in weights.parameters.items())
    average = weights.average_weight
    yield from weights.unsure
    yield (
        f"Scheme {weights.scheme}{f' ({parameters})' if parameters else ''}"
        + (f", normalisation {weights.normalisation}" if weights.negatives is None else "")
        + (f", clipped to {weights.clip[0]:g}..{weights.clip[1]:g}" if weights.clip else "")
        + (f"; the average labelled pixel weighs {average:.3g}" if average > 0 else "")
    )
    if (ratio := plain_ratio_or_none(weights)) is not None:
        yield f"pos_weight of a binary loss with a plain mean, w1 / w0: {ratio:.6g}"
    yield from weights.notes


def record_table(rows: Sequence[Mapping[str, object]]) -> RenderableType:
    """Records of equal keys as rows; whole numbers to the right. The first column stays."""
    if not rows:
        return Text("none")
    columns = []
    for place, key in enumerate(rows[0]):
        cells = [_cell(row[key]) for row in rows]
        kind: Kind = "number" if isinstance(rows[0][key], int) else "name"
        columns.append(TableColumn(key, cells, kind, LAST + place if place else 0))
    return Fitted(columns)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else printable(str(value))


def bar(fraction: float, cells: int = BAR) -> str:
    """A horizontal bar; whatever is not zero shows at least a sliver."""
    eighths = round(max(0.0, min(1.0, fraction)) * cells * 8)
    if fraction > 0:
        eighths = max(1, eighths)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")
