"""The blocks of docs/training.md, and processes that run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import maskstat
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")


def block(section: str, number: int = 0) -> str:
    """A ```py block of a section."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"^```py\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[number]


def files_of_the_page() -> maskstat.WeightTable:
    """Write the files that the page names to the folder that is current."""
    with maskstat.scan(ROOT / "sample_masks", classes=31) as scan:
        table = scan.weights("sqrt")
        scan.sampling("repeat-factor", parameters={"threshold": 0.2}).save("sampling.csv")
    table.save("weights.json")
    table.save("class_weight.json", layout="list")
    return table


def run(code: str, **environment: str) -> None:
    """Run code in a process of its own, in the folder that is current; it asserts by itself."""
    Path("block.py").write_text(code, encoding="utf-8")
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "block.py"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path),
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **environment,
        },
    )
    assert done.returncode == 0, done.stderr
