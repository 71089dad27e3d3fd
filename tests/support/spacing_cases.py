"""Volumes with a spacing, and stores of before the size of voxels was kept."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np

from maskstat.scanning.stored_scan import StoredScan
from maskstat.store.rows import COLUMNS, opened, sealed
from maskstat.store.schema import SPACINGS
from maskstat.values.tally import Encoding


def saved(
    affine: Any, unit: str = "mm", *, kind: str = "Nifti1Image", shape: Any = (2, 2, 2)
) -> Any:
    """An image of nibabel's, all zeros."""
    import nibabel

    image = getattr(nibabel, kind)(np.zeros(shape, np.uint8), affine)
    image.header.set_xyzt_units(unit)
    return image


def voxels_of(scan: StoredScan) -> dict[str, float | None]:
    """What its rows say of each mask."""
    return {
        name: encoding.voxel
        for table in scan.tables()
        for name, encoding in zip(table.names, table.encodings, strict=True)
    }


def as_before(db: Path) -> None:
    """Make a store of one scan what it was before encodings said how large a voxel is."""

    def older(row: Any) -> Any:
        encoding = Encoding.from_text(row[5])._replace(voxel=None)
        return (*row[:5], encoding.to_text(), *row[6:])

    connection = sqlite3.connect(db)
    (scan,) = connection.execute("SELECT id FROM scan").fetchone()
    rows = list(opened(connection.execute(f"SELECT {COLUMNS} FROM mask")))
    connection.executemany(
        "REPLACE INTO mask VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(scan, *row) for row in sealed(map(older, rows))],
    )
    connection.execute("DELETE FROM summary")
    connection.execute(f"PRAGMA user_version = {SPACINGS - 1}")
    connection.commit()
    connection.close()
