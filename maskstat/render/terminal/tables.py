"""Numbers as tables for a terminal. Every name goes through `printable` and is never markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from maskstat.errors import WeightError, argument, spelled
from maskstat.naming import counted, printable
from maskstat.render.terminal.profile_tables import profile_lines, unmeasured_lines
from maskstat.values.catalog import DEFAULT_IGNORE, ClassCatalog
from maskstat.values.readings import begin_at_one, readings_of_255, readings_of_unlisted
from maskstat.weights.schemes import SCHEMES
from maskstat.weights.table import WeightTable

_BAR_CELLS = 16
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SHOWN_FAILURES = 8
_SHOWN_NAMES = 12
_SLIGHTLY_OFF = 5  # what palettes and colour profiles do to colours; more may be another class


def scan_tables(document: Mapping[str, Any]) -> RenderableType:
    """Class table, totals and what needs attention, from `scan_document`."""
    parts: list[RenderableType] = []
    if document["classes"]:
        parts.append(class_table(document["classes"], document["masks"]))
    parts.append(_totals(document))
    if attention := _attention(document):
        parts.append(Text("\nNeeds attention", style="bold yellow"))
        parts.extend(attention)
    return Group(*parts)


def new_table(*columns: tuple[str, str]) -> Table:
    """An empty table in this project's style; columns are (heading, justification)."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading, justify in columns:
        # Fold, never cut: a name must be readable in full.
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    return table


def class_table(classes: Sequence[Mapping[str, Any]], masks: int | None) -> Table:
    """A row a class; what is null in all of them, or needs an unknown `masks`, has no column."""
    coloured = any(row["colour"] for row in classes)
    swatch = [("", "left")] if coloured else []
    known = {name for row in classes for name, value in row.items() if value is not None}
    columns = {
        "pixels": "pixels" in known,
        "share": True,
        "": True,
        "masks": "masks" in known,
        "in masks": "masks" in known and masks is not None,
        "share there": "image_pixels" in known,
    }
    shown = [name for name, has in columns.items() if has]
    table = new_table(
        ("#", "right"),
        *swatch,
        ("class", "left"),
        *((name, "right" if name else "left") for name in shown),
    )
    largest = max((row["frequency"] for row in classes), default=0) or 1
    for row in classes:
        there = row["pixels"] / row["image_pixels"] if row["image_pixels"] else None
        cells: list[str | Text] = [str(row["index"])]
        if coloured:
            cells.append(Text("██", style=row["colour"]) if row["colour"] else "")
        numbers: dict[str, str | Text] = {
            "pixels": _count(row["pixels"]),
            "share": share(row["frequency"]) if row["frequency"] else "never",
            "": Text(bar(row["frequency"] / largest), style="cyan"),
            "masks": _count(row["masks"]),
            "in masks": share(row["masks"] / masks) if row["masks"] is not None and masks else "",
            "share there": "" if there is None else share(there),
        }
        table.add_row(*cells, Text(printable(row["name"])), *(numbers[name] for name in shown))
    return table


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def binary_note(foreground: str) -> str:
    """What to say where 255 is class 1 although nobody said so."""
    return (
        f"255 is class {printable(foreground)}: the only values are 0 and 255"
        f" ({spelled(argument('ignore', DEFAULT_IGNORE))} where it is void)"
    )


def given_counts(document: Mapping[str, Any]) -> str:
    """What to say of counts that were given: what is unknown."""
    what = "Shares" if document["unit"] == "shares" else "Counts"
    unknown = ", ".join(name.replace("_", " ") for name in document["unknown"])
    return f"{what} that were given: unknown are {unknown}"


def _totals(document: Mapping[str, Any]) -> Text:
    total, masks, labelled = (document[key] for key in ("total_pixels", "masks", "labelled_pixels"))
    measures = document["imbalance"]
    known = [
        None if masks is None else counted(masks, "mask"),
        None if total is None else counted(total, "pixel"),
        None if labelled is None else f"{labelled:,} labelled",
    ]
    for what in ("ignored", "unlisted"):
        if pixels := sum((document[what] or {}).values()):
            part = "" if total is None else f" ({share(pixels / total)})"
            known.append(f"{pixels:,} {what}{part}")
    lines = [", ".join(part for part in known if part is not None)]
    if not lines[0]:
        lines.clear()
    if measures["ratio"] is not None:
        line = f"Imbalance ratio {measures['ratio']:,.6g} (largest / smallest class that occurs)"
        if measures["normalised_entropy"] is not None:
            line += (
                f", normalised entropy {measures['normalised_entropy']:.4f}, as diverse as"
                f" {measures['effective_classes']:.1f} equal classes"
            )
        lines.append(line)
    if document["profile"] is not None:
        lines += profile_lines(document["profile"])
    notes = list(_notes(document))
    return Text("\n".join(lines + notes))


def _notes(document: Mapping[str, Any]) -> Iterable[str]:
    if document["unknown"]:
        yield given_counts(document)
    catalog = document["catalog"]
    if catalog["origin"] == "inferred" and document["classes"]:
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
    if changes := document.get("changes"):
        others = changes["skipped"]
        skipped = f", {counted(others, 'other file')} skipped" if others else ""
        yield (
            f"{changes['new']:,} new, {changes['changed']:,} changed,"
            f" {changes['unchanged']:,} unchanged, {changes['gone']:,} gone{skipped}"
        )
        if pattern := changes["pattern"]:
            yield (
                f"Masks are {printable(pattern)}, as of {printable(catalog['name'])}; others are"
                f" passed over ({spelled(argument('include'))} chooses otherwise)"
            )
        if len(splits := changes["splits"]) > 1:
            listed = ", ".join(map(printable, splits))
            split = spelled(argument("split"))
            yield f"There are splits ({listed}): {split} makes one scan of each"


def _attention(document: Mapping[str, Any]) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if not document["complete"]:
        parts.append(
            Text("This scan was interrupted: run the same scan again and it goes on from there")
        )
    if document["unlisted_values"]:
        parts.append(_unlisted(document))
        unlisted = [row["value"] for row in document["unlisted_values"]]
        values = [row["values"] for row in document["classes"]]
        if values and begin_at_one(values, unlisted):
            numbered = document["catalog"]["origin"] == "number"
            parts.append(Text(spelled(readings_of_unlisted(values, unlisted, numbered=numbered))))
    if absent := document["absent_classes"]:
        heading = f"{counted(len(absent), 'class')} without a pixel"
        parts.append(Text(f"{heading}: {_names(absent)}"))
    if document["failures"]:
        parts.append(_failures(document["failures"]))
    if document["profile"] is not None:
        parts.extend(Text(line) for line in unmeasured_lines(document["profile"]))
    for key, what in (
        ("single_class_masks", "a single class"),
        ("unlabelled_masks", "no labelled pixel"),
    ):
        if count := document[key]:
            parts.append(Text(f"{counted(count, 'mask')} of {document['masks']:,} with {what}"))
    return parts


def _unlisted(document: Mapping[str, Any]) -> Group:
    table = new_table(
        ("value", "right"),
        ("pixels", "right"),
        ("share", "right"),
        ("masks", "right"),
        ("first mask", "left"),
    )
    rows, total = document["unlisted_values"], document["total_pixels"]
    colours = [row for row in rows if row.get("nearest")]
    if colours:
        table.add_column("nearest colour", overflow="fold")
    for row in sorted(rows, key=lambda row: -row["pixels"])[:_SHOWN_NAMES]:
        table.add_row(
            str(row["value"]),
            f"{row['pixels']:,}",
            "" if total is None else share(row["pixels"] / total),
            f"{row['masks']:,}",
            Text(printable(row["first"] or "")),
            *([Text(_nearest(row))] if colours else []),
        )
    more = f", the {_SHOWN_NAMES} most frequent are shown" if len(rows) > _SHOWN_NAMES else ""
    heading = f"{counted(len(rows), 'unlisted value')}, neither class nor ignored{more}:"
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


def _failures(failures: Sequence[Mapping[str, str]]) -> Group:
    """Failures by reason, so that one cause a thousand times is one line."""
    lines = [Text(f"{counted(len(failures), 'mask')} could not be counted:")]
    by_reason = sorted(failures, key=lambda failure: failure["reason"])
    for reason, group in groupby(by_reason, key=lambda failure: failure["reason"]):
        names = [failure["mask"] for failure in group]
        shown = ", ".join(map(printable, names[:_SHOWN_FAILURES]))
        more = f" and {len(names) - _SHOWN_FAILURES:,} more" if len(names) > _SHOWN_FAILURES else ""
        lines.append(Text(f"  {shown}{more}: {printable(reason)}"))
    return Group(*lines)


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(map(printable, names[:_SHOWN_NAMES]))
    return shown + (f" and {len(names) - _SHOWN_NAMES:,} more" if len(names) > _SHOWN_NAMES else "")


def weight_table(weights: WeightTable, catalog: ClassCatalog | None = None) -> RenderableType:
    """Class, frequency, weight and share of the weighted pixel mass; colours of the catalogue."""
    colours = colours_of(catalog, len(weights))
    coloured = any(colour is not None for colour in colours)
    swatch = [("", "left")] if coloured else []
    table = new_table(
        ("#", "right"),
        *swatch,
        ("class", "left"),
        ("share", "right"),
        ("weight", "right"),
        ("share of the loss", "right"),
        ("", "left"),
    )
    largest = float(weights.mass.max(initial=0.0)) or 1.0
    columns = (colours, weights.names, weights.frequency, weights.weights, weights.mass)
    for index, (colour, name, frequency, weight, mass) in enumerate(zip(*columns, strict=True)):
        table.add_row(
            str(index),
            *([swatch_of(colour)] if coloured else []),
            Text(printable(name)),
            share(frequency) if frequency else "never",
            f"{weight:.6g}",
            share(mass),
            Text(bar(mass / largest), style="cyan"),
        )
    return Group(table, Text("\n".join(_weight_notes(weights))))


def colours_of(catalog: ClassCatalog | None, count: int) -> list[int | None]:
    """What to show classes in: None where there is no catalogue or it says nothing."""
    return [None] * count if catalog is None else [info.colour for info in catalog.classes]


def swatch_of(colour: int | None) -> str | Text:
    """A cell that shows the colour of a class."""
    return "" if colour is None else Text("██", style=f"#{colour:06x}")


def _weight_notes(weights: WeightTable) -> Iterable[str]:
    parameters = ", ".join(f"{name} {value}" for name, value in weights.parameters.items())
    average = weights.average_weight
    yield (
        f"Scheme {weights.scheme}{f' ({parameters})' if parameters else ''},"
        f" normalisation {weights.normalisation}"
        + (f", clipped to {weights.clip[0]:g}..{weights.clip[1]:g}" if weights.clip else "")
        + (f"; the average labelled pixel weighs {average:.3g}" if average > 0 else "")
    )
    yield from weights.notes


def compare_table(
    tables: Mapping[str, WeightTable | WeightError], catalog: ClassCatalog
) -> RenderableType:
    """All schemes side by side; a scheme that has no weights here says why below."""
    usable = {name: table for name, table in tables.items() if isinstance(table, WeightTable)}
    table = new_table(("#", "right"), ("class", "left"), ("share", "right"))
    table.padding = (0, 0, 0, 1)
    for name in usable:
        # Broken at its hyphens a heading is no wider than the numbers below it.
        table.add_column(name.replace("-", "-\n"), justify="right", no_wrap=True)
    for info in catalog.classes:
        first = next(iter(usable.values()))
        frequency = float(first.frequency[info.index])
        table.add_row(
            str(info.index),
            Text(printable(info.name)),
            share(frequency) if frequency else "never",
            *(f"{weights.weights[info.index]:.4g}" for weights in usable.values()),
        )
    reasons = [f"{name}: {why}" for name, why in tables.items() if isinstance(why, WeightError)]
    return Group(table, Text("\n".join(reasons))) if reasons else table


def scheme_table() -> RenderableType:
    """Name, formula, parameters and source of every scheme."""
    table = new_table(
        ("scheme", "left"), ("formula", "left"), ("parameters", "left"), ("source", "left")
    )
    for entry in SCHEMES.values():
        parameters = ", ".join(f"{name}={value}" for name, value in entry.parameters.items())
        table.add_row(entry.name, Text(entry.formula), Text(parameters), Text(entry.source))
    return table


def record_table(rows: Sequence[Mapping[str, object]]) -> RenderableType:
    """Records of equal keys as rows; whole numbers to the right."""
    if not rows:
        return Text("none")
    table = new_table(
        *((key, "right" if isinstance(rows[0][key], int) else "left") for key in rows[0])
    )
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    return table


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else printable(str(value))


def share(fraction: float) -> str:
    """A share of a whole; tiny ones are not rounded to nothing."""
    if 0 < fraction < 0.0001:
        return "<0.01%"
    return f"{fraction:.2%}"


def bar(fraction: float, cells: int = _BAR_CELLS) -> str:
    """A horizontal bar; whatever is not zero shows at least a sliver."""
    eighths = round(max(0.0, min(1.0, fraction)) * cells * 8)
    if fraction > 0:
        eighths = max(1, eighths)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")
