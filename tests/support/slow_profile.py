"""A scan with a profile that takes its time, for a test that kills it: `slow_profile.py FOLDER DB`.

Blocks are of a few masks and commits follow each other closely, so that kills hit them. Every block
that was committed is a line of output.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import maskstat as ms
from maskstat.scanning import measuring, recording
from maskstat.store.store import Store
from tests.support import slow_scan

keep_block = Store.keep_block


def keep_and_say(store: Store, *arguments: Any) -> bool:
    kept = keep_block(store, *arguments)
    print("block", flush=True)
    return kept


Store.keep_block = keep_and_say  # type: ignore[method-assign]
recording.BLOCK_MASKS = 5
measuring.PART_SECONDS = 0.004
slow_scan.recording.FLUSH_SECONDS = 0.004

if __name__ == "__main__":
    print("ready", flush=True)
    ms.scan(sys.argv[1], classes=4, db=sys.argv[2], workers=2, profile=True, grid=4)
