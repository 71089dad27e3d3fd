"""The command line with slow masks: `python cluster_scan.py SECONDS ARGUMENTS...`."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from maskstat.cli import run
from maskstat.executors import dask
from maskstat.scanning import request
from maskstat.sources.base import Source
from maskstat.sources.opening import open_source
from tests.support.cluster_cases import Altered, SlowEntry


def slow_source(seconds: float, *arguments: object, **options: object) -> Source:
    source = open_source(*arguments, **options)  # type: ignore[arg-type]
    return Altered(source, functools.partial(SlowEntry.of, seconds=seconds))


if __name__ == "__main__":
    request.open_source = functools.partial(slow_source, float(sys.argv[1]))
    dask.CHUNK_FILES = 4
    sys.exit(run(sys.argv[2:]))
