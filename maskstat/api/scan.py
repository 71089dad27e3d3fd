"""Scan: what a user holds of counted masks, and everything that can be made of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from maskstat.errors import ParameterError
from maskstat.naming import printable
from maskstat.scanning.stored_scan import StoredScan

if TYPE_CHECKING:
    from maskstat.weights.equal_cost_table import EqualCost, Framework
    from maskstat.weights.table import WeightTable


class Scan(StoredScan):
    """A finished or stored scan, read under one catalogue, and what can be made of it."""

    @classmethod
    def of(cls, stored: StoredScan) -> Scan:
        """The same scan, from the room that reads and writes stores."""
        return cls(stored._store, stored.info, stored._given, stored.changes, stored._grid)

    def export(self, path: str | Path, *, layout: str = "wide", format: str | None = None) -> Path:
        """Write the table of masks and classes; see `mask_table.write_table`.

        Raises ParameterError too where `path` is the store itself.
        """
        from maskstat.files.mask_tables.mask_table import write_table

        path = Path(path)
        if path.exists() and self._store.path.exists() and path.samefile(self._store.path):
            raise ParameterError(f"{printable(str(path))} is the store itself", parameter="path")
        about = {"scan": self.name, "source": self.source}
        return write_table(
            self.tables(), self.catalog, path, layout=layout, format=format, metadata=about
        )

    def weights(self, scheme: str = "equal-cost", **options: object) -> WeightTable:
        """Class weights from these counts; options as in `maskstat.weights.compute`."""
        from maskstat.weights.compute import compute

        return compute(
            self.histogram,
            scheme,
            source=self.source,
            components=lambda: self.need_profile(of_all=True).components,
            **options,  # type: ignore[arg-type]
        )

    def equal_cost(self, framework: Framework = "keras", **options: object) -> EqualCost:
        """Equal-cost weights for a framework; options of `weights.equal_cost_table.equal_cost`."""
        from maskstat.weights.equal_cost_table import equal_cost

        return equal_cost(
            self.histogram,
            lambda: self.ledger,
            framework,
            source=self.source,
            **options,  # type: ignore[arg-type]
        )
