"""What was looked at: findings, what was found fine, and what nobody looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maskstat.errors import spelled
from maskstat.naming import counted
from maskstat.render.documents.report import MIN_MASKS
from maskstat.render.report.calls import can_be_typed, scan_call
from maskstat.render.report.subject import Subject
from maskstat.scanning.checking import check_scan
from maskstat.sources.locations import is_url

if TYPE_CHECKING:
    from maskstat.scanning.stored_scan import StoredScan

MOST_MASKS = 20_000
"""Above so many no file is compared with others: it takes a command of its own."""


@dataclass(frozen=True)
class Checks:
    """Findings, and what else is known.

    Attributes:
        findings: as `Finding.to_dict` has them, errors first.
        looked: whether files were compared, so that duplicates would be among them.
        fine: what was looked at and found fine, a few words each.
        unseen: what nobody looked at, and what would.
    """

    findings: Sequence[Mapping[str, Any]]
    looked: bool
    fine: list[str]
    unseen: list[str]


def checks_of(subject: Subject, against: StoredScan | None, *, open_files: bool) -> Checks:
    """The findings of the counts, and of the files where few enough masks may be opened."""
    scan = subject.files
    document = subject.document
    if document["findings"] is None:
        return Checks((), False, [], [])
    looked = open_files and comparable(scan) and subject.unit == "mask"
    findings: Sequence[Mapping[str, Any]] = document["findings"]
    if looked:
        others = [] if against is None else [against]
        found = check_scan(scan, against=others, min_masks=MIN_MASKS)
        findings = [one.to_dict() for one in found]
    kinds = {finding["kind"] for finding in findings}
    fine = [
        text
        for text, holds in (
            (f"All {counted(document['masks'], 'mask')} could be read", not document["failures"]),
            (
                "No value outside the catalogue",
                not document["unlisted"] and document["catalog"]["origin"] != "inferred",
            ),
            ("No duplicates", looked and not kinds & {"duplicate", "stale", "no-file"}),
            (
                "No mask in both splits",
                looked and against is not None and not kinds & {"leakage", "stale", "no-file"},
            ),
            ("Every mask has labelled pixels", not document["unlabelled_masks"]),
            ("Every class occurs", not document["absent_classes"]),
            (_one_size(document), len(document["sizes"] or ()) == 1),
        )
        if holds and subject.unit == "mask"
    ]
    unseen = []
    if scan.has_files:
        if not looked:
            typed = spelled(scan_call(scan, "check")) if can_be_typed(scan) else "a check"
            unseen.append(f"Duplicates: no file was compared with others; {typed} does it")
        unseen.append("Images: whether each mask has one, and its size")
    return Checks(findings, looked, fine, unseen)


def comparable(scan: StoredScan) -> bool:
    """Whether a report may open files of these masks unasked: they are here, and not too many."""
    return scan.has_files and not is_url(scan.source) and len(scan.ledger) <= MOST_MASKS


def _one_size(document: Mapping[str, Any]) -> str:
    sizes = document["sizes"]
    return f"One size: {sizes[0]['width']:,} × {sizes[0]['height']:,}" if sizes else ""
