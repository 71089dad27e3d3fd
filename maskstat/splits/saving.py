"""A split as files that loaders take: lists of names, tables, JSON."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskstat.errors import FileFormatError
from maskstat.files.spreadsheets import guarded
from maskstat.files.writing import write_atomically
from maskstat.naming import printable
from maskstat.showing import cut
from maskstat.splits.wanted_parts import without_suffix

if TYPE_CHECKING:
    from maskstat.splits.plan import SplitPlan

SUFFIXES = (".csv", ".tsv", ".json")


def check_output(path: Path) -> None:
    """Raise FileFormatError where nothing can be written, before there is anything to write."""
    suffix = path.suffix.lower()
    if suffix and suffix not in SUFFIXES and not path.is_dir():
        raise FileFormatError(
            f"{printable(suffix)} is no format of splits",
            where=printable(str(path)),
            remedy=f"use {', '.join(SUFFIXES)}, or a folder for a text list a part",
        )
    if suffix not in SUFFIXES and path.exists() and not path.is_dir():
        raise FileFormatError("is a file and no folder", where=printable(str(path)))


def save_split(plan: SplitPlan, path: Path) -> list[Path]:
    """Write a table (.csv, .tsv), all with the certificate (.json), or a list a part in a folder.

    Returns:
        The files.

    Raises:
        FileFormatError: they can't be written, or a list can't hold a name.
    """
    check_output(path)
    suffix = path.suffix.lower()
    if suffix == ".json":
        text = json.dumps(plan.to_document(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    elif suffix in SUFFIXES:
        text = _table(plan, path, "\t" if suffix == ".tsv" else ",")
    else:
        return _lists(plan, path)
    write_atomically(path, text.encode("utf-8", "backslashreplace"))
    return [path]


def _table(plan: SplitPlan, path: Path, delimiter: str) -> str:
    """Columns name and fold or split; and mask, the path from the table, where masks are files."""
    files = _from(plan.paths, path.absolute().parent)
    parts = [plan.parts[at] for at in plan.part.tolist()]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(["name", plan.column] if files is None else ["name", plan.column, "mask"])
    for at, (name, part) in enumerate(zip(plan.names, parts, strict=True)):
        writer.writerow([guarded(name), guarded(part), *([] if files is None else [files[at]])])
    return text.getvalue()


def _from(paths: Sequence[str], folder: Path) -> list[str] | None:
    """Paths of masks from a folder, where all are files or URLs; None where some are not."""
    if not paths or not all("://" in path or os.path.isfile(path) for path in paths):
        return None
    found = []
    for path in paths:
        near = path
        if "://" not in path:
            try:
                near = os.path.relpath(path, folder).replace(os.sep, "/")
            except ValueError:  # another drive
                near = path
        # "./=x.png" is the same file, and no formula to a spreadsheet
        found.append(near if guarded(near) == near else f"./{near}")
    return found


def _lists(plan: SplitPlan, folder: Path) -> list[Path]:
    """A text file a part, a name a line; names without suffix where VOC has its ImageSets."""
    stems = "ImageSets" in folder.absolute().parts
    lines = [without_suffix(name) if stems else name for name in plan.names]
    if len(set(lines)) < len(lines):
        raise FileFormatError(
            "two masks have one name without suffix, and ImageSets know no other",
            where=printable(str(folder)),
            remedy="write to a folder of another name, or a .csv",
        )
    for line in lines:
        if line != line.strip() or line.startswith("#") or len(line.splitlines()) != 1:
            raise FileFormatError(
                f"a list can't hold the name {cut(line)}",
                where=printable(str(folder)),
                remedy="write a .csv or a .json",
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileFormatError(
            f"can't be made: {error.strerror or error}", where=printable(str(folder))
        ) from error
    written = []
    for at, part in enumerate(plan.parts):
        own = [line for line, of in zip(lines, plan.part.tolist(), strict=True) if of == at]
        path = folder / f"{'fold-' if plan.column == 'fold' else ''}{part}.txt"
        write_atomically(path, ("\n".join(own) + "\n").encode("utf-8", "backslashreplace"))
        written.append(path)
    return written
