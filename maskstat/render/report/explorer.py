"""The data of the page's mask explorer: pixels of classes in masks, and previews.

Columns of the ledger are laid out byte by byte, which deflates to a third, and inflated by the
browser when the explorer comes into view.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstat.naming import printable
from maskstat.render.report.previews import Previews, deflated
from maskstat.values.ledger import MaskLedger

MOST_MASKS = 100_000
MOST_ENTRIES = 2_000_000
MOST_CLASSES = 1000


@dataclass(frozen=True)
class Explorer:
    """What the page's script reads.

    Attributes:
        blobs: base64 of deflated columns, by name.
        shapes: height and width of each preview; one where all are alike.
        pictured: how many masks have a preview.
    """

    blobs: dict[str, str]
    shapes: list[list[int]]
    pictured: int

    @property
    def described(self) -> dict[str, Any]:
        """What is said of the columns beside the page's other data."""
        return {"shapes": self.shapes, "pictured": self.pictured}


def too_large(ledger: MaskLedger) -> str:
    """Why there is no explorer of these masks; "" where there is one."""
    if len(ledger) > MOST_MASKS:
        return f"The explorer is left out above {MOST_MASKS:,} masks; these are {len(ledger):,}."
    if len(ledger.classes) > MOST_ENTRIES:
        return (
            f"The explorer is left out above {MOST_ENTRIES:,} pairs of a mask and a class in it;"
            f" these are {len(ledger.classes):,}."
        )
    if ledger.class_count > MOST_CLASSES:
        return (
            f"The explorer is left out above {MOST_CLASSES:,} classes; these are"
            f" {ledger.class_count:,}."
        )
    return ""


def columns_of(ledger: MaskLedger) -> dict[str, str]:
    """The ledger as columns that the script can read."""
    names = json.dumps([printable(name) for name in ledger.names], ensure_ascii=True)
    kind = "u1" if ledger.class_count <= 256 else "<u2"
    return {
        "names": _packed(names.encode()),
        "counts": _packed(ledger.class_counts.astype("<u2").tobytes()),
        "classes": _packed(ledger.classes.astype(kind).tobytes()),
        "pixels": _packed(_planes(ledger.pixels)),
        "areas": _packed(_planes(ledger.areas)),
    }


def with_previews(columns: dict[str, str], previews: Previews | None, packed: bytes) -> Explorer:
    """The explorer of these columns and of previews, deflated as `previews.fitted` does it."""
    if previews is None or not len(previews.rows):
        return Explorer({**columns, "rows": _packed(b""), "maps": _packed(b"")}, [], 0)
    shapes = [list(small.shape) for small in previews.maps]
    alike = shapes[:1] if all(shape == shapes[0] for shape in shapes) else shapes
    blobs = {
        **columns,
        "rows": _packed(previews.rows.astype("<u4").tobytes()),
        "maps": base64.b64encode(packed).decode("ascii"),
    }
    return Explorer(blobs, alike, len(shapes))


def _planes(numbers: NDArray[np.integer]) -> bytes:
    """Six bytes a number, all lowest ones first: high ones are mostly 0 and cost nothing."""
    return b"".join(((numbers >> shift) & 255).astype("u1").tobytes() for shift in range(0, 48, 8))


def _packed(data: bytes) -> str:
    return base64.b64encode(deflated(data, 6)).decode("ascii")
