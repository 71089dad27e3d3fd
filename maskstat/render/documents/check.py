"""Findings as one JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from maskstat.statistics.check_verdict import check_verdict
from maskstat.statistics.effective_masks import different_masks, different_words
from maskstat.statistics.findings import SEVERITIES, Finding
from maskstat.version import __version__

SCHEMA = 1


class Checked(Protocol):
    """What is known of a check; `maskstat.api.check.Check` is one."""

    @property
    def scan(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def masks(self) -> int: ...

    @property
    def failures(self) -> int: ...

    @property
    def against(self) -> Sequence[str]: ...

    @property
    def images(self) -> bool: ...

    @property
    def findings(self) -> Sequence[Finding]: ...


def check_document(check: Checked) -> dict[str, Any]:
    """Everything `maskstat check --json` prints; plain JSON types, no NaN.

    Keys: `schema`, `maskstat`, `scan`, `source`, `masks`, `failures`, `against`, `images` (whether
    they were looked at), `verdict` (in words), `different_masks` (copies count once), `notes` (what
    that means for intervals, where there are copies), `errors`, `warnings`, `infos` (how many kinds
    were found) and `findings` (kind, severity, count, what, meaning, advice, files, details).
    """
    different = different_masks(check.findings, check.masks)
    severities = [finding.severity for finding in check.findings]
    return {
        "schema": SCHEMA,
        "maskstat": __version__,
        "scan": check.scan,
        "source": check.source,
        "masks": check.masks,
        "failures": check.failures,
        "against": list(check.against),
        "images": check.images,
        "verdict": check_verdict(check.findings),
        "different_masks": different,
        "notes": [words] if (words := different_words(different, check.masks)) else [],
        **{f"{severity}s": severities.count(severity) for severity in SEVERITIES},
        "findings": [finding.to_dict() for finding in check.findings],
    }
