"""Scanning on a Dask cluster: the rows of a scan on threads, whatever dies on the way."""

from __future__ import annotations

import functools
import http.server
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import maskstat as ms
from maskstat.cli import run
from maskstat.errors import ClusterError, MissingExtraError, ParameterError, StrictError
from maskstat.executors import clusters, dask
from maskstat.exposure.recipe import Recipe
from maskstat.regions.profile_bytes import to_bytes
from maskstat.scanning import exposing, recording, request
from maskstat.scanning.changes import Changes
from maskstat.scanning.recording import Progress
from maskstat.sources.base import Entry, Source
from maskstat.sources.opening import open_source
from tests.support.annotation_cases import SQUARE, annotation, coco, image, saved
from tests.support.cluster_cases import (
    Altered,
    DeadlyEntry,
    Processes,
    SlowEntry,
    eventually,
    processes,
)
from tests.support.packages import needs
from tests.support.paths import SUPPORT
from tests.support.scan_cases import grey_png, pixels_of, write
from tests.support.source_cases import SOURCES, Files
from tests.support.typed import typed

pytestmark = [
    needs("distributed", "needs maskstat[dask]"),
    pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by signals here"),
]

MASKS = {f"{'abc'[n % 3]}/mask_{n}.png": grey_png(pixels_of(n)) for n in range(40)}
BROKEN = {"a/broken.png": b"\x89PNG\r\n\x1a\nnothing", "c/empty.png": b""}
Row = tuple[object, ...]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with processes(tmp_path_factory.mktemp("cluster"), workers=2) as running:
        yield running


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "CHUNK_FILES", 4)


@pytest.fixture
def altered(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Entry], Entry]], None]:
    """Have every source list other entries."""

    def alter(function: Callable[[Entry], Entry]) -> None:
        def opened(*arguments: Any, **options: Any) -> Source:
            return Altered(open_source(*arguments, **options), function)

        monkeypatch.setattr(request, "open_source", opened)

    return alter


def rows(db: Path) -> tuple[list[Row], list[Row]]:
    """All that a store holds of masks and failures."""
    connection = sqlite3.connect(db)
    try:
        masks = connection.execute("SELECT * FROM mask ORDER BY scan, name").fetchall()
        failures = connection.execute("SELECT * FROM failure ORDER BY scan, name").fetchall()
    finally:
        connection.close()
    return masks, failures


def local(where: str | Path, db: Path, **options: Any) -> tuple[list[Row], list[Row]]:
    ms.scan(where, db=db, **options).close()
    return rows(db)


def on(cluster: Processes, where: str | Path, db: Path, **options: Any) -> Any:
    """What a scan on the cluster stores."""
    ms.scan(where, db=db, executor="dask", scheduler=cluster.address, **options).close()
    return rows(db)


# --- the same as threads -----------------------------------------------------------------------


@pytest.mark.parametrize("build", SOURCES.values(), ids=SOURCES.keys())
def test_rows_are_those_of_threads(
    build: Callable[[Path, Files], str], tmp_path: Path, cluster: Processes
) -> None:
    where = build(tmp_path, MASKS | BROKEN)
    expected = local(where, tmp_path / "threads.db", classes=7)
    assert on(cluster, where, tmp_path / "dask.db", classes=7) == expected
    assert len(expected[0]) == len(MASKS) and len(expected[1]) == len(BROKEN)


@pytest.mark.parametrize("kind", ["folder", "tar.gz"])
def test_exposures_are_those_of_threads(kind: str, tmp_path: Path, cluster: Processes) -> None:
    """In a pass of their own, and in that of a scan with a profile."""
    recipe, found = Recipe(crop=(5, 4)), []
    for executor, in_scan in (("threads", False), ("dask", False), ("dask", True)):
        where = SOURCES[kind](tmp_path / f"{executor}{in_scan}", MASKS)
        elsewhere: dict[str, Any] = {
            "executor": executor,
            "scheduler": cluster.address if executor == "dask" else None,
        }
        at_once = {"profile": True, "recipe": recipe, **elsewhere} if in_scan else {}
        with ms.scan(where, classes=7, **at_once) as scan:
            seen = scan.exposure(recipe, stored=in_scan, **elsewhere)
            digest = exposing.digest_of(scan.catalog, recipe)
            names = seen.counts.names
            found.append(list(scan._store.exposed_masks(scan.info, digest, names)))
            if in_scan:
                profile = scan.need_profile(of_all=True)
                assert np.array_equal(profile.class_pixels, scan.histogram.pixels)
    assert len(found[0]) == len(MASKS)
    assert found[0] == found[1] == found[2]


def test_paths_that_depend_on_the_working_directory(
    tmp_path: Path, cluster: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    SOURCES["folder"](tmp_path, MASKS)
    write(tmp_path / "list.txt", "\n".join(f"masks/{name}" for name in MASKS).encode())
    monkeypatch.chdir(tmp_path)
    for number, where in enumerate(["masks", "masks/*/*.png", "list.txt", "./masks/../masks/a"]):
        expected = local(where, tmp_path / f"threads{number}.db")
        assert expected[0] and not expected[1]
        assert on(cluster, where, tmp_path / f"dask{number}.db") == expected


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # callers that are not let in at once come back a second later


class _Folder(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def test_masks_on_a_server_are_read_by_the_workers(
    tmp_path: Path, cluster: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker reads several at once."""
    pytest.importorskip("aiohttp", reason="needs maskstat[remote]")
    monkeypatch.setattr(dask, "CHUNK_FILES", 20)
    SOURCES["folder"](tmp_path / "site", MASKS | BROKEN)
    handler = functools.partial(_Folder, directory=str(tmp_path / "site"))
    server = _Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        where = f"http://127.0.0.1:{server.server_address[1]}/masks/"
        expected = local(where, tmp_path / "threads.db", classes=7)
        assert len(expected[0]) == len(MASKS) and len(expected[1]) == len(BROKEN)
        assert on(cluster, where, tmp_path / "dask.db", classes=7) == expected
    finally:
        server.shutdown()
        server.server_close()


def test_annotations_are_drawn_by_the_workers(tmp_path: Path, cluster: Processes) -> None:
    pytest.importorskip("pycocotools", reason="needs maskstat[annotations]")
    images = [image(n) for n in range(9)]
    drawn = [annotation(n, 1 + n % 2, [SQUARE]) for n in range(7)]
    where = saved(tmp_path, coco(images, [*drawn, annotation(7, 1, [[1, 2]])]))
    expected = local(where, tmp_path / "threads.db")
    assert len(expected[0]) == 8 and len(expected[1]) == 1
    assert on(cluster, where, tmp_path / "dask.db") == expected


def test_options_travel_with_the_masks(tmp_path: Path, cluster: Processes) -> None:
    """Of a panoptic file, each chunk takes what is about its own PNGs."""
    annotations = []
    for number in range(10):
        ids = np.array([[number + 1, number + 1, 0, 70000 + number]])
        colours = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], -1).astype(np.uint8)
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(colours).save(tmp_path / "masks" / f"{number}.png")
        segments = [{"id": int(ids[0, at]), "category_id": 5 + at} for at in (0, 3)]
        annotations.append({"file_name": f"{number}.png", "segments_info": segments[: 1 + number]})
    categories = [{"id": 5, "name": "road"}, {"id": 8, "name": "car"}]
    document = {"annotations": annotations, "categories": categories}
    options = {"panoptic": write(tmp_path / "panoptic.json", json.dumps(document).encode())}
    expected = local(tmp_path / "masks", tmp_path / "threads.db", **options)
    assert len(expected[0]) == 9 and len(expected[1]) == 1
    assert on(cluster, tmp_path / "masks", tmp_path / "dask.db", **options) == expected


@pytest.mark.parametrize("classes", [7, None])
def test_a_profile_is_that_of_threads(
    tmp_path: Path, cluster: Processes, classes: int | None
) -> None:
    where = SOURCES["folder"](tmp_path, MASKS | BROKEN)
    options = {"classes": classes, "profile": True, "grid": 6}
    with (
        ms.scan(where, **options) as expected,  # type: ignore[arg-type]
        ms.scan(where, executor="dask", scheduler=cluster.address, **options) as scan,  # type: ignore[arg-type]
    ):
        assert to_bytes(scan.need_profile()) == to_bytes(expected.need_profile())
        assert scan.changes == expected.changes
        assert scan.failures == expected.failures


def test_what_is_unchanged_is_not_counted_again(tmp_path: Path, cluster: Processes) -> None:
    where, db = SOURCES["folder"](tmp_path, MASKS), tmp_path / "s.db"
    on(cluster, where, db)
    write(tmp_path / "masks" / "a" / "mask_0.png", grey_png([[1, 2]]))
    said: list[Progress] = []
    with ms.scan(
        where, db=db, executor="dask", scheduler=cluster.address, on_progress=said.append
    ) as scan:
        assert scan.changes == Changes(changed=1, unchanged=len(MASKS) - 1)
    assert said[-1] == Progress(1, 1, 0, 2)
    assert rows(db) == local(where, tmp_path / "other.db")


def test_strict_names_the_first_failure_by_name(tmp_path: Path, cluster: Processes) -> None:
    where = SOURCES["folder"](tmp_path, MASKS | BROKEN)
    with pytest.raises(StrictError) as expected:
        ms.scan(where, strict=True)
    with pytest.raises(StrictError) as found:
        on(cluster, where, tmp_path / "s.db", strict=True)
    assert str(found.value) == str(expected.value)
    assert str(found.value).startswith("a/broken.png")


# --- what dies ---------------------------------------------------------------------------------


def test_killed_workers_change_nothing(
    tmp_path: Path, cluster: Processes, altered: Callable[[Callable[[Entry], Entry]], None]
) -> None:
    where, traces = SOURCES["folder"](tmp_path, MASKS | BROKEN), tmp_path / "traces"
    expected = local(where, tmp_path / "threads.db")
    traces.mkdir()
    altered(functools.partial(SlowEntry.of, seconds=0.03, traces=str(traces)))
    killed: set[int] = set()

    def kill(progress: Progress) -> None:
        pids = {int(pid) for pid in os.listdir(traces)} - killed
        if pids and len(killed) < 3 and progress.done >= 6 * len(killed):
            os.kill(victim := pids.pop(), signal.SIGKILL)
            killed.add(victim)

    assert on(cluster, where, tmp_path / "dask.db", on_progress=kill) == expected
    assert len(killed) == 3


def test_masks_that_kill_their_worker_fail_and_no_others(
    tmp_path: Path,
    altered: Callable[[Callable[[Entry], Entry]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clusters, "_DEATHS", 0)
    where = SOURCES["folder"](tmp_path, MASKS)
    expected = local(where, tmp_path / "threads.db")[0]
    deadly = {"a/mask_12.png", "a/mask_15.png"}
    altered(
        lambda entry: (
            DeadlyEntry(entry.name, entry.path, entry.size, entry.stamp)
            if entry.name in deadly
            else entry
        )
    )
    db = tmp_path / "dask.db"
    ms.scan(where, db=db, executor="dask", workers=2).close()
    masks, failures = rows(db)
    assert masks == [row for row in expected if row[1] not in deadly]
    assert {row[1] for row in failures} == deadly
    assert all(str(row[2]).startswith("each worker that read it died") for row in failures)


def test_a_scan_goes_on_where_the_scheduler_died(
    tmp_path: Path,
    altered: Callable[[Callable[[Entry], Entry]], None],
    monkeypatch: pytest.MonkeyPatch,
    decoded: list[str],
) -> None:
    where, db = SOURCES["folder"](tmp_path, MASKS), tmp_path / "s.db"
    expected = local(where, tmp_path / "threads.db")
    monkeypatch.setattr(recording, "FLUSH_SECONDS", 0)
    altered(functools.partial(SlowEntry.of, seconds=0.02))
    with processes(tmp_path / "cluster", workers=1) as running:

        def kill(progress: Progress) -> None:
            if progress.done >= 8:
                running.kill_scheduler()

        with pytest.raises(ClusterError, match="the scheduler is gone; what was counted is kept"):
            on(running, where, db, on_progress=kill)
    before = {str(row[1]) for row in rows(db)[0]}
    assert 8 <= len(before) < len(MASKS)
    decoded.clear()
    assert local(where, db) == expected
    assert sorted(decoded) == sorted(MASKS.keys() - before)


def scanning_slowly(tmp_path: Path, *arguments: str, seconds: float) -> subprocess.Popen[str]:
    """The command line, in a session of its own, with masks that take their time."""
    return subprocess.Popen(
        [
            sys.executable,
            str(SUPPORT / "cluster_scan.py"),
            f"{seconds}",
            "scan",
            str(tmp_path / "masks"),
            "--db",
            str(tmp_path / "s.db"),
            "--executor",
            "dask",
            *arguments,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def nobody_left(session: int) -> bool:
    """Whether no process of a session is alive."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "sess=,stat="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    alive = (line.split() for line in listed)
    return not any(int(sess) == session and not stat.startswith("Z") for sess, stat in alive)


def test_a_local_cluster_comes_and_goes(tmp_path: Path) -> None:
    expected = local(SOURCES["folder"](tmp_path, MASKS | BROKEN), tmp_path / "threads.db")
    process = scanning_slowly(tmp_path, "--workers", "2", seconds=0)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3
    check = f"'maskstat check --db {tmp_path / 's.db'}' says which"
    assert err == f"exit code 3: 2 masks could not be counted; {check}\n"
    assert "2 masks could not be counted" in out
    assert rows(tmp_path / "s.db") == expected
    assert eventually(lambda: nobody_left(process.pid))


def test_ctrl_c_keeps_what_was_counted_and_leaves_nobody(tmp_path: Path) -> None:
    expected = local(SOURCES["folder"](tmp_path, MASKS), tmp_path / "threads.db")
    process = scanning_slowly(tmp_path, "--workers", "2", seconds=0.1)
    db = tmp_path / "s.db"

    def has_begun() -> bool:
        try:
            return bool(rows(db)[0])
        except sqlite3.OperationalError:
            return False

    assert eventually(has_begun)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers get it too
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == "maskstat: interrupted; what was counted is kept, the same command goes on\n"
    assert eventually(lambda: nobody_left(process.pid))
    assert 0 < len(rows(db)[0]) < len(MASKS)
    assert local(tmp_path / "masks", db) == expected


# --- clusters that do not do -------------------------------------------------------------------


def test_another_version_is_refused_before_anything_is_counted(
    tmp_path: Path, cluster: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, db = SOURCES["folder"](tmp_path, MASKS), tmp_path / "s.db"
    mine = clusters.versions()
    monkeypatch.setattr(clusters, "__version__", "99.0")
    with pytest.raises(ClusterError) as found:
        on(cluster, where, db)
    assert str(found.value) == (
        f"the scheduler: has maskstat {mine[0]} on Python {mine[1]}, while this is 99.0 on Python"
        f" {mine[1]}; install the same on all machines of the cluster"
    )
    assert not db.exists()


def test_machines_without_maskstat_are_refused(tmp_path: Path) -> None:
    text = "raise ImportError('no maskstat here')"
    write(tmp_path / "path" / "maskstat" / "__init__.py", text.encode())
    SOURCES["folder"](tmp_path, MASKS)
    with (
        processes(tmp_path / "cluster", workers=1, path=tmp_path / "path") as running,
        pytest.raises(ClusterError, match=r"can't run maskstat .*: no maskstat here; install"),
    ):
        on(running, tmp_path / "masks", tmp_path / "s.db")


def test_a_cluster_without_workers_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(clusters, "WORKERS_SECONDS", 0.3)
    where = SOURCES["folder"](tmp_path, MASKS)
    with (
        processes(tmp_path / "cluster", workers=0) as running,
        pytest.raises(ClusterError, match="there was no worker for 0 seconds; start workers"),
    ):
        on(running, where, tmp_path / "s.db")
    assert [record.getMessage() for record in caplog.records if "maskstat" in record.name] == [
        f"no workers at {running.address} yet: waiting for up to 0 seconds"
    ]


def test_a_scheduler_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 0.3)
    where = SOURCES["folder"](tmp_path, MASKS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        arguments = ["scan", where, "--db", str(tmp_path / "s.db"), "--executor", "dask"]
        assert run([*arguments, "--scheduler", address]) == 1
    assert capsys.readouterr().err == (
        f"maskstat: {address}: no Dask scheduler to be reached: it does not answer; --scheduler"
        " takes the address that 'dask scheduler' prints: tcp://HOST:8786\n"
    )
    assert not (tmp_path / "s.db").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scheduler": "tcp://h:1"}, "--scheduler: goes with --executor dask"),
        (
            {"executor": "dask", "scheduler": "h"},
            "--scheduler: an address is like tcp://HOST:8786, not 'h'",
        ),
        (
            {"executor": "dask", "scheduler": "http://h:80"},
            "--scheduler: an address is like tcp://HOST:8786, not 'http://h:80'",
        ),
        (
            {"executor": "dask", "scheduler": "tcp://h:1", "workers": 2},
            "--workers: is for a cluster on this machine; the one of --scheduler has its own"
            " workers",
        ),
    ],
)
def test_options_that_mean_nothing(
    tmp_path: Path, options: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = SOURCES["folder"](tmp_path, MASKS)
    with pytest.raises(ParameterError) as found:
        ms.scan(where, **options)
    assert typed(found.value.text) == said
    assert "--" not in str(found.value)
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    assert run(["scan", where, "--db", str(tmp_path / "s.db"), *words]) == 2
    assert capsys.readouterr().err == f"maskstat: {said}\n"


def test_without_distributed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    where = SOURCES["folder"](tmp_path, MASKS)
    with pytest.raises(MissingExtraError) as found:
        ms.scan(where, executor="dask")
    assert str(found.value) == (
        'the executor dask needs the package distributed; pip install "maskstat[dask]"'
    )
    ms.scan(where).close()
