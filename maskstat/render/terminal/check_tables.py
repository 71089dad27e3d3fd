"""Findings as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from maskstat.naming import counted, printable
from maskstat.render.terminal.failures import failure_lines
from maskstat.render.terminal.fitting import LAST, Fitted, TableColumn
from maskstat.statistics.findings import CALLED

_SHOWN = 3
# As of GCC: yellow and cyan words are hard to read on white.
_STYLES = {"error": "bold red", "warning": "magenta", "info": ""}


def check_tables(document: Mapping[str, Any], *, note: str = "") -> RenderableType:
    """The verdict, and a row a finding, errors first: the first few things found, what to do.

    `note` says where all files are listed.
    """
    checked = counted(document["masks"] + document["failures"], "mask")
    verdict = f"{checked}: {document['verdict']}"
    if not document["findings"]:
        return Text(verdict)
    findings = document["findings"]
    last = findings[-1]
    columns = [
        TableColumn(
            "severity",
            [_severity(found["severity"]) for found in findings],
            "text",
        ),
        TableColumn("kind", [found["kind"] for found in findings], "text", LAST),
        TableColumn("count", [f"{found['count']:,}" for found in findings]),
        TableColumn(
            "what, and what to do",
            ["\n".join(_lines(found)) + ("" if found is last else "\n") for found in findings],
            "words",
        ),
    ]
    parts: list[RenderableType] = [Text(f"{verdict}\n"), Fitted(columns)]
    return Group(*parts, *(Text(line) for line in (*document["notes"], note) if line))


def _severity(name: str) -> Text:
    return Text(CALLED[name], style=_STYLES[name])


def _lines(finding: Mapping[str, Any]) -> Iterable[str]:
    """The rule, its first few cases, and the advice."""
    yield finding["meaning"]
    if what := _WITH_REASONS.get(finding["kind"]):
        files = ((found[what], found["reason"]) for found in finding["details"])
        yield from failure_lines(files, _SHOWN)
        yield f"→ {finding['advice']}"
        return
    describe = _DESCRIPTIONS.get(finding["kind"])
    cases = [describe(d) for d in finding["details"]] if describe else finding["files"]
    if cases:
        more = f" and {len(cases) - _SHOWN:,} more" if len(cases) > _SHOWN else ""
        yield ", ".join(printable(case) for case in cases[:_SHOWN]) + more
    yield f"→ {finding['advice']}"


def _size(pair: Iterable[int]) -> str:
    return "×".join(map(str, pair))


# Findings of files with a reason each, and what a file is there.
_WITH_REASONS = {"unreadable": "mask", "unmeasured": "mask", "unreadable-image": "image"}
_DESCRIPTIONS: dict[str, Any] = {
    "unlisted": lambda d: f"{d['value']} ({counted(d['pixels'], 'pixel')}, first in {d['first']})",
    "soft-masks": lambda d: (
        f"first {d['first']}; {counted(d['values'], 'different value')},"
        + (f" of which {d['standing_out']} stand out," if "standing_out" in d else "")
        + f" threshold {d['threshold']}"
    ),
    "size-mismatch": lambda d: (
        f"{d['mask']} ({_size(d['mask_size'])}, its image {_size(d['image_size'])})"
    ),
    "siblings": lambda d: f"{d['masks']} ({d['hold']})",
    "leakage": lambda d: f"{d['mask']} (as {d['same_as'][0]['mask']} of {d['same_as'][0]['scan']})",
    "shared-group": lambda d: (
        f"{d['group']} ({counted(d['masks'], 'mask')}, also in {', '.join(d['in'][:_SHOWN])})"
    ),
    "shared-sequence": lambda d: (
        f"{d['group']} ({counted(d['masks'], 'mask')} by {d['group_by']}, also in"
        f" {', '.join(d['in'][:_SHOWN])})"
    ),
    "absent-class": lambda d: d["class"],
    "few-masks": lambda d: f"{d['class']} (in {d['masks']})",
    "few-components": lambda d: f"{d['class']} ({d['components']})",
    "thin-class": lambda d: f"{d['class']} ({d['width']:.1f} px)",
    "duplicate": lambda d: " = ".join(d["masks"][:_SHOWN]) + ("..." if len(d["masks"]) > 3 else ""),
    "ambiguous-pair": lambda d: f"{d['mask']} ({' or '.join(d['images'][:_SHOWN])})",
    "exif-rotated": lambda d: f"{d['image']} (orientation {d['orientation']})",
    "outlier": lambda d: f"{d['mask']} (distance {d['distance']:.2f}, z {d['robust_z']:.1f})",
    "mixed-sizes": lambda d: f"{d['width']}×{d['height']} ({counted(d['masks'], 'mask')})",
    "mixed-encodings": lambda d: f"{d['encoding']} ({counted(d['masks'], 'mask')})",
}
