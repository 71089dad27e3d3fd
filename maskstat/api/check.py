"""Check: what is wrong with a scanned set of masks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from maskstat.frames import data_frame
from maskstat.naming import counted
from maskstat.showing import cut, one_line
from maskstat.statistics.check_verdict import check_verdict
from maskstat.statistics.effective_masks import different_masks
from maskstat.statistics.findings import Finding, chosen_kinds

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class Check(Sequence[Finding]):
    """Findings, errors first: a sequence of them.

    Attributes:
        scan: name of the scan.
        source: where its masks are.
        masks: masks counted.
        failures: masks that could not be counted.
        against: names of the scans that it was checked against.
        images: whether images were looked at.
        findings: what was found.
    """

    scan: str
    source: str
    masks: int
    failures: int
    against: tuple[str, ...]
    images: bool
    findings: tuple[Finding, ...]

    def __repr__(self) -> str:
        found = counted(len(self), "kind") if self.findings else "nothing"
        checked = counted(self.masks + self.failures, "mask")
        return one_line(self, cut(self.scan), checked, f"{found} found")

    def _repr_html_(self) -> str:
        from maskstat.render.notebook import to_html
        from maskstat.render.terminal.check_tables import check_tables

        return to_html(check_tables(self.to_document()))

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Finding]: ...
    def __getitem__(self, index: int | slice) -> Finding | Sequence[Finding]:
        return self.findings[index]

    @property
    def different_masks(self) -> int:
        """How many of the masks are different ones, pixel for pixel: copies count once."""
        return different_masks(self.findings, self.masks)

    @property
    def verdict(self) -> str:
        """What it comes to, in words."""
        return check_verdict(self.findings)

    def failing(self, fail_on: str | Iterable[str]) -> tuple[Finding, ...]:
        """The findings of these kinds.

        Args:
            fail_on: kinds, "error", or "warning" (which includes errors).

        Raises:
            ParameterError: a word is neither.
        """
        kinds = chosen_kinds(fail_on)
        return tuple(finding for finding in self.findings if finding.kind in kinds)

    def to_pandas(self) -> DataFrame:
        """A row a finding, errors first: severity, count, what, meaning, advice, files.

        Raises MissingExtraError where pandas is not installed.
        """
        rows = [finding.to_dict() for finding in self.findings]
        names = ("severity", "count", "what", "meaning", "advice", "files")
        return data_frame(
            {name: [row[name] for row in rows] for name in names},
            {"kind": [row["kind"] for row in rows]},
        )

    def to_document(self) -> dict[str, Any]:
        """Everything `maskstat check --json` prints; plain JSON types."""
        from maskstat.render.documents.check import check_document

        return check_document(self)
