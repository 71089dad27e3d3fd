"""A pixel profile in a few lines for a terminal, and as a table a class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from maskstat.errors import argument, spelled
from maskstat.naming import counted, factor, printable

_SHOWN = 5


def profile_lines(profile: Mapping[str, Any]) -> Iterable[str]:
    """What a profile shows first: components, thin classes, the smallest objects."""
    from maskstat.statistics.findings import MIN_COMPONENTS, THIN_WIDTH

    if "classes" not in profile:
        return
    measures = profile["imbalance"]
    line = (
        f"Pixel profile of {counted(profile['masks'], 'mask')}:"
        f" {counted(profile['components'], 'component')}"
    )
    if measures["ratio"] is not None:
        line += f", up to {factor(measures['ratio'])} times as many of one class as of another"
    yield line
    rows = [row for row in profile["classes"] if row["components"]]
    thin = sorted((row for row in rows if row["width"] <= THIN_WIDTH), key=lambda row: row["width"])
    if thin:
        named = _listed(thin, lambda row: f"{row['width']:.1f} px")
        yield f"Thin (typical width up to {THIN_WIDTH:g} px): {named}"
    few = sorted(
        (row for row in rows if row["components"] < MIN_COMPONENTS),
        key=lambda row: row["components"],
    )
    if few:
        yield f"In fewer than {MIN_COMPONENTS} components: " + _listed(
            few, lambda row: str(row["components"])
        )
    if rows:
        smallest = sorted(rows, key=lambda row: (row["sizes"]["median"], row["sizes"]["least"]))
        yield "Smallest by their median component: " + _listed(
            smallest[:_SHOWN], lambda row: f"{row['sizes']['median']:,} px"
        )
    specks = [
        (row["size_histogram"][0], row["smallest"][0], row)
        for row in rows
        if row["sizes"]["least"] == 1
    ]
    if specks:
        count = sum(found for found, _, _ in specks)
        _, first, row = max(specks, key=lambda speck: speck[0])
        yield (
            f"{counted(count, 'component')} of a single pixel in"
            f" {counted(len(specks), 'class')}, most of {printable(row['name'])}: first"
            f" {printable(first['mask'])} at x {first['x']}, y {first['y']}"
        )


def unmeasured_lines(profile: Mapping[str, Any]) -> Iterable[str]:
    """What is missing from a profile, for people to act on."""
    if profile["unmeasured"]:
        yield (
            f"{counted(profile['unmeasured'], 'mask')} not measured yet: the same scan with"
            f" {spelled(argument('profile', True))} goes on with them"
        )
    if left_out := profile["left_out"]:
        shown = ", ".join(
            f"{printable(mask['mask'])} ({printable(mask['reason'])})" for mask in left_out[:_SHOWN]
        )
        more = f" and {len(left_out) - _SHOWN:,} more" if len(left_out) > _SHOWN else ""
        yield f"{counted(len(left_out), 'mask')} counted, but not profiled: {shown}{more}"


def _listed(rows: Sequence[Mapping[str, Any]], fact: Any) -> str:
    shown = ", ".join(f"{printable(row['name'])} ({fact(row)})" for row in rows[:_SHOWN])
    return shown + (f" and {len(rows) - _SHOWN:,} more" if len(rows) > _SHOWN else "")
