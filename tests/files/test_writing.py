"""Files appear whole, whoever is killed or writes at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from maskstat.files import writing
from maskstat.files.writing import replacing, write_atomically

_KILLED = """
import sys
from pathlib import Path
from maskstat.files.writing import replacing
with replacing(Path(sys.argv[1])) as file:
    file.write(b"half")
    Path(file.name + "-journal").write_bytes(b"SQLite's")
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by signals here")
def test_what_killed_writers_left_is_swept(tmp_path: Path) -> None:
    """By the next writer of that name, and no other's files; a living writer's stay."""
    path = tmp_path / "w.json"
    root = str(Path(writing.__file__).parents[2])
    command = [sys.executable, "-c", _KILLED, str(path)]
    writer = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": root},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None and writer.stdin is not None
    with writer.stdout, writer.stdin:
        assert writer.stdout.readline() == b"writing\n"
        left = {file.name for file in tmp_path.iterdir()}
        assert len(left) == 2
        write_atomically(path, b"whole")
        assert {file.name for file in tmp_path.iterdir()} == {*left, "w.json"}
        writer.kill()
        writer.wait()
    write_atomically(tmp_path / "other.json", b"whole")
    assert left < {file.name for file in tmp_path.iterdir()}
    write_atomically(path, b"new")
    assert {file.name for file in tmp_path.iterdir()} == {"w.json", "other.json"}


def test_of_another_machine_only_what_is_old_is_swept(tmp_path: Path) -> None:
    new, old = (tmp_path / f".w.json.{of}.part" for of in ("0123abcd-1f-89abcdef", "89abcdef"))
    mine = tmp_path / ".w.json.part"
    for file in (new, old, mine):
        file.write_bytes(b"half")
        os.utime(file, (time.time() - 2 * writing._OLD,) * 2)
    os.utime(new)
    write_atomically(tmp_path / "w.json", b"whole")
    assert {*tmp_path.iterdir()} == {new, mine, tmp_path / "w.json"}


def test_two_writers_of_one_name_both_end_well(tmp_path: Path) -> None:
    path, together = tmp_path / "w.json", threading.Barrier(2)

    def write(content: bytes) -> None:
        for _ in range(20):
            together.wait()
            with replacing(path) as file:
                file.write(content)
                together.wait()

    threads = [threading.Thread(target=write, args=(c,)) for c in (b"one", b"two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_bytes() in (b"one", b"two")
