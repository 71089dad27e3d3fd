"""A scan that takes its time, for a test that kills it: `slow_scan.py FOLDER DB [NAME [INCLUDE]]`.

Every file takes a few milliseconds longer and results are committed very often, so that kills
find it at work and in the middle of commits.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import maskstat as ms
from maskstat.executors import threads
from maskstat.readers import png_files
from maskstat.scanning import recording
from maskstat.sources.base import FileEntry

load = FileEntry.load


def slow_load(entry: FileEntry) -> bytes:
    time.sleep(0.005)
    return load(entry)


FileEntry.load = slow_load  # type: ignore[method-assign]
png_files.is_usual = lambda name, size: False  # by `load`, one after another
threads.CHUNK_FILES = 2
recording.FLUSH_SECONDS = 0.004

if __name__ == "__main__":
    folder, db, name, include, *_ = (*sys.argv[1:], None, None)
    for mask in Path(folder).rglob("*.png"):  # all that a scan imports, which takes its time
        ms.scan(mask, classes=4).close()
        break
    print("ready", flush=True)
    ms.scan(folder, classes=4, db=db, name=name, include=include or (), workers=2)
