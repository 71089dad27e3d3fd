"""SplitPlan: which part each mask is in, with the certificate of that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskstat.errors import ParameterError
from maskstat.frames import data_frame
from maskstat.naming import counted, printable
from maskstat.showing import cut, one_line
from maskstat.splits.certificate import Certificate
from maskstat.splits.wording import verdict
from maskstat.values.tally import IntArray

if TYPE_CHECKING:
    from pandas import DataFrame

FORMAT = "maskstat split"
SCHEMA = 1


@dataclass(frozen=True, slots=True, eq=False)
class SplitPlan:
    """B masks in F parts. Of folds, it is a splitter for scikit-learn's `cv=`.

    Attributes:
        names: names of the masks, in the order of the scan.
        part: int64[B], the part of each.
        certificate: what the parts hold; it has their names.
        target: int64[F], masks that each part was to have.
        excess: int64[F], masks by which it misses that beyond the tolerance: where 0, it was kept.
        tolerance: the share of its target by which a part might miss it.
        group_rule: how groups were read from names; "mask" where each is one.
        group_count: how many there are.
        column: what a table calls the part of a mask, "fold" or "split".
        paths: where each mask is, path or URL; none where masks are in memory.
        torn: names of groups that are in several parts: of a split that was given.
        provenance: source, classes and whatever else tells them apart.
    """

    names: tuple[str, ...]
    part: IntArray
    certificate: Certificate
    target: IntArray
    excess: IntArray
    tolerance: float
    group_rule: str = "mask"
    group_count: int = 0
    column: str = "split"
    paths: tuple[str, ...] = ()
    torn: tuple[str, ...] = ()
    provenance: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.part.flags.writeable = False

    def __repr__(self) -> str:
        sizes = zip(self.parts, self.certificate.sizes.tolist(), strict=True)
        return one_line(
            self,
            counted(len(self.names), "mask"),
            ", ".join(f"{cut(name, 20)} {size:,}" for name, size in sizes),
            f"largest share error {self.certificate.worst_share:.3g}",
        )

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the F parts."""
        return self.certificate.parts

    def names_of(self, part: str) -> tuple[str, ...]:
        """Names of the masks of a part, in the order of the scan. Raises ValueError for no part."""
        return tuple(self.names[at] for at in self.indices_of(part).tolist())

    def indices_of(self, part: str) -> IntArray:
        """int64[N], which of `names` are in a part, ascending. Raises ValueError for no part."""
        return np.flatnonzero(self.part == self.parts.index(part))

    def split(
        self,
        X: Any = None,  # noqa: N803
        y: object = None,
        groups: Sequence[object] | None = None,
    ) -> Iterator[tuple[IntArray, IntArray]]:
        """As a splitter of scikit-learn: each fold to test on once, all others to train on.

        Args:
            X: B rows, those of `names` in their order; None is them.
            y: not looked at.
            groups: B labels of what must not be in two folds, which is checked.

        Returns:
            Indices to train and to test on, int64, fold by fold.

        Raises:
            ParameterError: the parts are no folds, `X` or `groups` are of another number of rows,
                or a group is in several folds.
        """
        if self.column != "fold":
            first, second = (f"plan.indices_of({part!r})" for part in self.parts[:2])
            raise ParameterError(
                f"{', '.join(map(printable, self.parts))} are no folds to go round",
                remedy=f"cv=[({first}, {second})] trains on one part and tests on another",
            )
        self._check_rows(X, groups)
        tests = [self.part == fold for fold in range(len(self.parts))]
        return iter([(np.flatnonzero(~test), np.flatnonzero(test)) for test in tests])

    def get_n_splits(
        self,
        X: object = None,  # noqa: N803
        y: object = None,
        groups: object = None,
    ) -> int:
        """How many pairs `split` gives: as many as there are parts."""
        return len(self.parts)

    def _check_rows(self, data: Any, groups: Sequence[object] | None) -> None:
        """Raise ParameterError where they are of other rows, or a group is in several parts."""
        masks = len(self.names)
        for name, rows in {"X": data, "groups": groups}.items():
            if rows is None:
                continue
            given = rows.shape[0] if hasattr(rows, "shape") else len(rows)
            if given != masks:
                raise ParameterError(
                    f"has {counted(given, 'row')}, and the plan {counted(masks, 'mask')}",
                    parameter=name,
                    remedy="a row a mask, in the order of plan.names",
                )
        if groups is None:
            return
        part_of: dict[object, int] = {}
        for label, part in zip(groups, self.part.tolist(), strict=True):
            if part_of.setdefault(label, part) != part:
                raise ParameterError(
                    f"{cut(str(label))} is in several folds",
                    parameter="groups",
                    remedy="scan.grouped(...).split(folds=...) keeps groups whole",
                )

    def save(self, path: str | Path) -> list[Path]:
        """Write what loaders take, and return the files.

        Args:
            path: .csv or .tsv: a row a mask with its `name` and its `fold` or `split`, and where
                masks are files, in `mask` the path from the table, so that `maskstat.scan_splits`
                reads it. .json: the parts with the certificate. A folder: a text file a part with
                a name a line; below a folder ImageSets names have no suffix, as VOC has them.

        Raises:
            FileFormatError: another suffix, not writable, or a name that a list can't hold.
        """
        from maskstat.splits.saving import save_split

        return save_split(self, Path(path))

    def to_document(self) -> dict[str, Any]:
        """What `maskstat split --json` prints: the parts with their masks, and the certificate."""
        sizes = self.certificate.sizes.tolist()
        return {
            "format": FORMAT,
            "schema": SCHEMA,
            "verdict": verdict(self),
            "provenance": dict(self.provenance),
            "groups": {
                "rule": self.group_rule,
                "count": self.group_count,
                "in_several_parts": list(self.torn),
            },
            "tolerance": self.tolerance,
            "parts": [
                {
                    "name": name,
                    "ratio": float(self.certificate.ratio[at]),
                    "size": sizes[at],
                    "target": int(self.target[at]),
                    "beyond_tolerance": int(self.excess[at]),
                    "masks": list(self.names_of(name)),
                }
                for at, name in enumerate(self.parts)
            ],
            "certificate": self.certificate.to_dict(),
        }

    def to_pandas(self) -> DataFrame:
        """A row a mask: its part. Raises MissingExtraError where pandas is not installed."""
        parts = [self.parts[at] for at in self.part.tolist()]
        return data_frame({"part": parts}, {"mask": self.names})
