"""Scripts run by a fresh interpreter, whatever the one that runs the tests has imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import maskstat


def run_script(script: str, *arguments: str, **environment: str) -> str:
    """What a fresh interpreter prints, with warnings as errors."""
    root = str(Path(maskstat.__file__).resolve().parents[1])
    kept = {key: value for key, value in os.environ.items() if key != "MASKSTAT_ENGINE"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        env={**kept, "PYTHONPATH": root, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout
