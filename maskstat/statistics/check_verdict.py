"""What a check comes to, in words."""

from __future__ import annotations

from collections.abc import Sequence

from maskstat.naming import counted
from maskstat.statistics.findings import KINDS, Finding


def check_verdict(findings: Sequence[Finding]) -> str:
    """A sentence or two: what has to be mended before training, and what to look at."""
    wrong, odd = (
        ", ".join(
            f"{found.kind} ({counted(found.count, KINDS[found.kind].noun)})"
            for found in findings
            if found.severity == severity
        )
        for severity in ("error", "warning")
    )
    if wrong:
        return f"not fit for training: {wrong}." + (f" To look at, too: {odd}." if odd else "")
    if odd:
        return f"nothing is wrong for sure. To look at: {odd}."
    return "nothing is wrong, there are notes only" if findings else "nothing found"
