"""A short run of the harness of hostile input, and the page that shows its long one.

MASKSTAT_FUZZ=10000 for the long one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.extra,
    pytest.mark.skipif(sys.platform != "linux", reason="the harness forks and limits: Linux"),
]
MUTATIONS = os.environ.get("MASKSTAT_FUZZ", "120")
KILLS = "100" if "MASKSTAT_FUZZ" in os.environ else "5"
GROUPS = {
    "files": [
        *("png", "tiff", "bmp", "gif", "webp", "jpeg"),
        *("npy", "npz", "nifti", "nrrd", "metaimage", "dicom", "zarr", "hdf5", "matlab", "pytorch"),
    ],
    "sources": ["zip", "tar", "tar.gz", "parquet", "arrow", "csv", "coco", "labelme"],
    "runs": ["kill scan", "kill scan --profile", "kill merge", "kill weights -o"],
    "stores": ["flip a bit of the store", "disk full", "two runs, one store"],
}


def harness(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.hostile", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("group", GROUPS)
def test_no_crash_no_hang_no_bug_nothing_wrong(group: str) -> None:
    done = harness("--mutations", MUTATIONS, "--kills", KILLS, "--only", *GROUPS[group])
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines()[2:]]
    assert rows == GROUPS[group]


def test_every_sound_file_counts_as_another_program_counts_it(tmp_path: Path) -> None:
    from benchmarks.hostile.subjects import SUBJECTS, Unclear, quietly

    for subject in SUBJECTS.values():
        for data in subject.seeds():
            ours = quietly(lambda: subject.ours(data, tmp_path))  # noqa: B023
            assert ours.masks or subject.name == "labelme"
            assert not ours.refused
            try:
                plain = quietly(lambda: subject.plain(data))  # noqa: B023
            except Unclear:
                assert subject.name == "labelme"
            else:
                assert sorted(plain.masks) == sorted(ours.masks), subject.name


def test_a_wrong_count_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness itself can fail."""
    from benchmarks.hostile import files
    from benchmarks.hostile.subjects import Found

    one, other = ((0, 5), (1, 7)), ((0, 6), (1, 6))
    assert files.compared(Found([one]), Found([one])) == ("equal", "")
    assert files.compared(Found([one]), Found([other]))[0] == "wrong"
    assert files.compared(Found([]), Found([one]))[0] == "wrong"
    assert files.compared(Found([one]), Found([one, other]))[0] == "wrong"
    assert files.compared(Found([one], 1), Found([one, other])) == ("equal", "")
    assert files.compared(Found([one]), Found([], 1)) == ("ours alone", "")


def test_the_page_shows_a_long_run_of_everything() -> None:
    """Of each kind of input and of run, without a bad end."""
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| ([^|]+) \|((?: [\d,]+ \|){8})$", text, re.MULTILINE)
    rows = {
        name: [int(n.replace(",", "")) for n in numbers.split("|")[:-1]] for name, numbers in table
    }
    assert list(rows) == [name for group in GROUPS.values() for name in group]
    for tried, equal, alone, refused, *bad in rows.values():
        assert tried == equal + alone + refused
        assert tried >= 100
        assert bad == [0, 0, 0, 0]
