"""Calls of a scan's methods as a report writes them: they name the scan that it is about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from maskstat.errors import call

if TYPE_CHECKING:
    from maskstat.scanning.stored_scan import StoredScan

_USUAL_STORE = "maskstat.db"


def scan_call(scan: StoredScan, method: str, *positional: object, **named: object) -> str:
    """A text for `errors.spelled`: this method of this scan, of its store where it is another."""
    return call(f"Scan.{method}", *positional, **whose(scan), **named)


def can_be_typed(scan: StoredScan) -> bool:
    """Whether a call of a method says everything: a recipe's options are the reader's own, and
    counts that no store holds can't be named."""
    return scan.has_files and scan._crops is None and scan._store.path.exists()


def whose(scan: StoredScan) -> dict[str, object]:
    """The options that say which scan is meant and how it is read."""
    options: dict[str, object] = {}
    if scan._store.path.name != _USUAL_STORE or scan._store.path.parent.resolve() != Path.cwd():
        options["db"] = str(scan._store.path)
    options["scan"] = scan.name
    if scan._given.digest != scan.info.catalog.digest:
        options |= scan._catalog_options()
    return options
