"""An exposure that takes its time, for a test that kills it: `slow_exposure.py DB [MASKS]`.

With a folder of masks it is worked out in the pass of a scan with a profile.

Commits follow each other closely, so that kills hit them. Every commit is a line of output.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import maskstat as ms
from maskstat.exposure import mask_exposure
from maskstat.exposure.recipe import Recipe
from maskstat.scanning import exposing, kept_rows, measuring
from maskstat.store.store import Store

keep_exposed, expose = Store.keep_exposed, mask_exposure.expose


def keep_and_say(store: Store, *arguments: Any) -> list[str]:
    changed = keep_exposed(store, *arguments)
    print("kept", flush=True)
    return changed


def slowly(*arguments: Any, **options: Any) -> Any:
    time.sleep(0.001)
    return expose(*arguments, **options)


Store.keep_exposed = keep_and_say  # type: ignore[method-assign]
mask_exposure.expose = slowly
kept_rows.FLUSH_SECONDS = measuring.PART_SECONDS = 0.01

RECIPE = Recipe(crop=(2, 3))

if __name__ == "__main__" and len(sys.argv) > 2:
    ms.scan(sys.argv[2], classes=4, db=sys.argv[1], profile=True, grid=4, recipe=RECIPE).close()
elif __name__ == "__main__":
    with ms.open_scan(sys.argv[1]) as scan:
        exposing.ExposureShelf.of(scan, RECIPE).fill(scan)
