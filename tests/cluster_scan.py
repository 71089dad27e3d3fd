"""The command line with slow masks: `python cluster_scan.py SECONDS ARGUMENTS...`."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cluster_cases import Altered, SlowEntry

from maskstat import scanning
from maskstat.cli import run
from maskstat.sources import Source, open_source


def slow_source(seconds: float, *arguments: object, **options: object) -> Source:
    source = open_source(*arguments, **options)  # type: ignore[arg-type]
    return Altered(source, functools.partial(SlowEntry, seconds=seconds))


if __name__ == "__main__":
    scanning.open_source = functools.partial(slow_source, float(sys.argv[1]))
    scanning.CLUSTER_CHUNK_FILES = 4
    sys.exit(run(sys.argv[2:]))
