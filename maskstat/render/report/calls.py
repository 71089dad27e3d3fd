"""Calls of a scan's methods as a report writes them: they name the scan that it is about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskstat.errors import call
from maskstat.exposure.asking import asked_again

if TYPE_CHECKING:
    from maskstat.scanning.stored_scan import StoredScan

_USUAL_STORE = "maskstat.db"


def scan_call(scan: StoredScan, method: str, *positional: object, **named: object) -> str:
    """A text for `errors.spelled`: this method of this scan, of its store where it is another."""
    further = read_as(scan)
    if scan._crops is None and method == "sampling":
        further = {}
    elif method == "check":  # which is of the files
        further = _grouped(scan)
    return call(f"Scan.{method}", *positional, **whose(scan), **further, **named)


def read_as(scan: StoredScan) -> dict[str, object]:
    """The options that say what its masks are seen through, or else in which groups."""
    if scan._crops is None:
        return _grouped(scan)
    return {"seen": asked_again(scan._crops.recipe)}


def compare_call(scan: StoredScan, others: Sequence[str]) -> str:
    """The same: a comparison of this scan with others of its store."""
    return call("Scan.compare", scan.name, *others, **_store(scan), **_grouped(scan))


def can_be_typed(scan: StoredScan) -> bool:
    """Whether a call of a method says everything: who drew crops from a file has it, and counts
    that no store holds can't be named."""
    seen = scan._crops
    drawn = seen is not None and seen.recipe.draws is None and not seen.shuffled
    return scan.has_files and not drawn and scan._store.path.exists()


def whose(scan: StoredScan) -> dict[str, object]:
    """The options that say which scan is meant and how it is read."""
    options = {**_store(scan), "scan": scan.name}
    if scan._given.digest != scan.info.catalog.digest:
        options |= scan._catalog_options()
    return options


def _store(scan: StoredScan) -> dict[str, object]:
    path = scan._store.path
    if path.name == _USUAL_STORE and path.parent.resolve() == Path.cwd():
        return {}
    return {"db": str(path)}


def _grouped(scan: StoredScan) -> dict[str, object]:
    """The rule of its groups, where it is not the one that was kept with it."""
    rule = scan.group_rule.text
    return {} if rule == (scan.info.group_by or "mask") else {"group_by": rule}
