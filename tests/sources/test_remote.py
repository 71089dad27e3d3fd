"""Web servers, addresses without secrets, and what any store must get right, in memory."""

from __future__ import annotations

import http.server
import os
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import maskstat as ms
from maskstat.errors import MaskError, MissingExtraError, SourceError
from maskstat.readers.formats import SUFFIXES
from maskstat.scanning.changes import Changes
from maskstat.sources.addresses import scrubbed, without_secrets
from maskstat.sources.base import Selection
from maskstat.sources.opening import open_source
from maskstat.sources.remote import connections
from maskstat.sources.remote.connections import Connection, reason
from tests.support.packages import needs, package
from tests.support.scan_cases import digests, grey_png, npy, pixels_of, write
from tests.support.source_cases import (
    SOURCES,
    Files,
    arrow_of,
    entries_of,
    parquet_of,
    tar_of,
    zip_of,
    zstandard_of,
)

fsspec = package("fsspec", reason="needs maskstat[remote]")
pytestmark = [needs(name, "needs maskstat[remote]") for name in ("fsspec", "s3fs", "aiohttp")]

MASKS = {f"{'abc'[n % 3]}/mask_{n}.png": grey_png(pixels_of(n)) for n in range(12)}
TRIES = connections.RETRIES + 1


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "FIRST_PAUSE", 0.0)


@pytest.fixture(scope="module")
def in_folder(tmp_path_factory: pytest.TempPathFactory) -> ms.Scan:
    return ms.scan(SOURCES["folder"](tmp_path_factory.mktemp("folder"), MASKS), classes=7)


# --- web servers -------------------------------------------------------------------------------


class _Folder(http.server.SimpleHTTPRequestHandler):
    """Python's own server: an index of each folder, no parts of files, no ETags."""

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The masks on a web server."""
    SOURCES["folder"](tmp_path / "site", {**MASKS, "notes.txt": b"x"})
    write(tmp_path / "site" / "m.zip", zip_of(MASKS))
    handler = partial(_Folder, directory=str(tmp_path / "site"))
    yield from _serving(handler)


def _serving(handler: Any) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_web_server_with_an_index(web: str, in_folder: ms.Scan, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    with ms.scan(f"{web}/masks/", classes=7, db=db) as scan:
        assert digests(scan) == digests(in_folder)
        assert scan.changes == Changes(new=12, skipped=1)
    with ms.scan(f"{web}/masks/", classes=7, db=db) as scan:
        assert scan.changes == Changes(unchanged=12, skipped=1)
    path = tmp_path / "site" / "masks" / "a" / "mask_0.png"
    os.utime(path, (1_000_000_000, 1_000_000_000))
    with ms.scan(f"{web}/masks/", classes=7, db=db) as scan:
        assert scan.changes == Changes(changed=1, unchanged=11, skipped=1)


def test_one_mask_on_a_web_server(web: str) -> None:
    with ms.scan(f"{web}/masks/a/mask_0.png", classes=7) as scan:
        assert scan.ledger.names == ("mask_0.png",)
        assert scan.name == "mask_0"
    with pytest.raises(SourceError, match="nothing here"):
        ms.scan(f"{web}/masks/a/missing.png", classes=7)
    with pytest.raises(SourceError, match="nothing here"):
        ms.scan(f"{web}/missing/", classes=7)


def test_an_archive_on_a_server_that_sends_no_parts(web: str) -> None:
    with pytest.raises(SourceError, match="download it first"):
        ms.scan(f"{web}/m.zip", classes=7)


def test_a_server_that_sends_more_than_it_said_fills_no_memory() -> None:
    class Endless(http.server.BaseHTTPRequestHandler):
        sent = 0

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                while Endless.sent < 256 << 20:
                    self.wfile.write(bytes(1 << 16))
                    Endless.sent += 1 << 16
            except OSError:
                pass

        def log_message(self, *args: object) -> None:
            pass

    for url in _serving(Endless):
        (entry,) = open_source(f"{url}/a.png", Selection(suffixes=SUFFIXES)).entries()
        with pytest.raises(MaskError, match="1,001 bytes came where 1,000 were listed"):
            entry.load()
    assert Endless.sent < 128 << 20


def test_user_and_password_are_used_and_never_shown(tmp_path: Path) -> None:
    import base64

    wanted = "Basic " + base64.b64encode(b"me:s3cr3t").decode()
    write(tmp_path / "site" / "a.png", grey_png([[1]]))

    class Guarded(_Folder):
        def do_GET(self) -> None:
            self._guard(super().do_GET)

        def do_HEAD(self) -> None:
            self._guard(super().do_HEAD)

        def _guard(self, answer: Any) -> None:
            if self.headers.get("Authorization") == wanted:
                answer()
            else:
                self.send_error(401)

    for url in _serving(partial(Guarded, directory=str(tmp_path / "site"))):
        secret = url.replace("http://", "http://me:s3cr3t@")
        with ms.scan(f"{secret}/", classes=7, db=tmp_path / "s.db") as scan:
            assert scan.source == f"{url}/"
            assert scan.histogram.mask_count == 1
        assert b"s3cr3t" not in (tmp_path / "s.db").read_bytes()
        for tried in (f"{secret.replace('me:', 'you:')}/", f"{secret}/x/", f"{secret}/*.tar"):
            with pytest.raises(SourceError) as caught:
                ms.scan(tried, classes=7)
            assert "s3cr3t" not in str(caught.value)
        with pytest.raises(SourceError, match="no permission"):
            ms.scan(f"{url}/", classes=7)


# --- addresses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://bucket/masks", "s3://bucket/masks"),
        ("s3://KEY:SECRET@bucket/a@b.png", "s3://bucket/a@b.png"),
        ("https://user:p%40ss@host:8080/x/", "https://host:8080/x/"),
        ("https://token@host/x", "https://host/x"),
        ("https://host/a.zip?X-Amz-Signature=s&versionId=3", "https://host/a.zip?versionId=3"),
        ("https://a.blob.net/x?sv=1&sig=abc%3D&se=2", "https://a.blob.net/x?sv=1&se=2"),
        ("https://host/x?token=abc", "https://host/x"),
        ("https://host/x?a=1#column=mask", "https://host/x?a=1#column=mask"),
        ("abfs://container@account.dfs.core.windows.net/x", None),
        ("hf://datasets/user/name@main/x", None),
        ("ftp://me:secret@host/x", "ftp://host/x"),
        ("sftp://me@host/x", None),
    ],
)
def test_addresses_are_shown_without_secrets(url: str, expected: str | None) -> None:
    assert without_secrets(url) == (expected or url)
    assert without_secrets(without_secrets(url)) == without_secrets(url)
    assert scrubbed(f"oops '{url}' failed") == f"oops '{expected or url}' failed"


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (OSError("reset"), True),
        (TimeoutError(), True),
        (ConnectionResetError(), True),
        (EOFError(), True),
        (FileNotFoundError("x"), False),
        (PermissionError("x"), False),
        (IsADirectoryError("x"), False),
        (ValueError("x"), False),
        (OSError(22, "invalid range"), False),
        (type("NoCredentialsError", (Exception,), {})(), False),
        *(
            (type("HttpError", (Exception,), {"status": status})(), again)
            for status, again in (
                (400, False),
                (401, False),
                (403, False),
                (404, False),
                (408, True),
                (416, False),
                (429, True),
                (500, True),
                (502, True),
                (503, True),
                (504, True),
            )
        ),
    ],
    ids=repr,
)
def test_only_what_may_pass_is_tried_again_with_growing_random_pauses(
    error: Exception, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(connections, "FIRST_PAUSE", 2.0)
    monkeypatch.setattr(connections, "LONGEST_PAUSE", 9.0)
    monkeypatch.setattr(connections.time, "sleep", pauses.append)
    monkeypatch.setattr(connections.random, "random", iter([1.0, 0.5, 0.25, 1.0]).__next__)
    calls: list[int] = []

    def action() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        Connection("memory", None, None).tried(action)
    assert len(calls) == (TRIES if again else 1)
    assert pauses == ([2.0, 2.0, 2.0, 9.0] if again else [])
    assert reason(error).isprintable()
    assert reason(error)


def test_an_error_is_told_in_a_line_without_secrets() -> None:
    error = OSError("GET https://me:pw@host/x?sig=abc\nHeaders: Authorization: Bearer token\x1b[2J")
    assert reason(error) == "GET https://host/x"
    assert len(reason(OSError("x" * 5000))) <= 200


# --- logic, in memory --------------------------------------------------------------------------


@pytest.fixture
def memory() -> Iterator[Any]:
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    yield store
    store.store.clear()
    store.pseudo_dirs[:] = [""]


def put(store: Any, files: Files) -> None:
    for name, data in files.items():
        store.pipe(f"/{name}", data)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("memory://top", ["a.png", "v/b.png", "v/w/c.png", "v/w/d.png"]),
        ("memory://top/v", ["b.png", "w/c.png", "w/d.png"]),
        ("memory://top/v/", ["b.png", "w/c.png", "w/d.png"]),
        ("memory://top/*.png", ["a.png"]),
        ("memory://top/*/*.png", ["v/b.png"]),
        ("memory://top/**/*.png", ["a.png", "v/b.png", "v/w/c.png", "v/w/d.png"]),
        ("memory://top/v/w/[cx].png", ["c.png"]),
        ("memory://top/a.png", ["a.png"]),
    ],
)
def test_folders_globs_and_single_objects(memory: Any, where: str, expected: list[str]) -> None:
    names = ["a.png", "v/b.png", "v/w/c.png", "v/w/d.png", "v/n.txt", ".h/e.png", "v/.f.png"]
    put(memory, {f"top/{name}": b"x" for name in names})
    source = open_source(where, Selection(suffixes=SUFFIXES))
    assert sorted(entry.name for entry in source.entries()) == expected
    assert source.location == where


def test_excluded_folders_are_not_even_listed(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(memory, {"top/a/x.png": b"1", "top/b/y.png": b"2", "top/b/c/z.png": b"3"})
    listed: list[str] = []
    real = type(memory).ls

    def ls(self: Any, path: str, **options: Any) -> Any:
        listed.append(path)
        return real(self, path, **options)

    monkeypatch.setattr(type(memory), "ls", ls)
    assert [*entries_of("memory://top", exclude=("b",))] == ["a/x.png"]
    assert listed == ["/top", "/top/a"]


def test_what_nothing_marks_is_read_every_time(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(memory, {"top/a.png": grey_png([[1]]), "top/b.png": grey_png([[2]])})
    real = type(memory).info

    def without_marks(self: Any, path: str, **options: Any) -> Any:
        return {k: v for k, v in real(self, path, **options).items() if k != "created"}

    def ls(self: Any, path: str, **options: Any) -> Any:
        return [without_marks(self, f"/top/{name}.png") for name in "ab"]

    monkeypatch.setattr(type(memory), "info", without_marks)
    monkeypatch.setattr(type(memory), "ls", ls)
    db = tmp_path / "s.db"
    for changes in (Changes(new=2), Changes(changed=2), Changes(changed=2)):
        with ms.scan("memory://top/*.png", classes=7, db=db) as scan:
            assert scan.changes == changes


@pytest.mark.parametrize(
    "name", ["m.zip", "m.tar", "m.tar.gz", "m.tar.zst", "m.parquet", "m.arrow"]
)
def test_archives_and_tables_in_a_store(memory: Any, name: str, in_folder: ms.Scan) -> None:
    packed = {
        "m.zip": zip_of,
        "m.tar": tar_of,
        "m.tar.gz": lambda files: tar_of(files, "w:gz"),
        "m.tar.zst": lambda files: zstandard_of(tar_of(files)),
        "m.parquet": parquet_of,
        "m.arrow": arrow_of,
    }[name](MASKS)
    put(memory, {f"data/{name}": packed})
    with ms.scan(f"memory://data/{name}", classes=7) as scan:
        assert scan.histogram == in_folder.histogram
        assert scan.name == "m"
        entries = list(scan.entries())
        assert sorted(entry.load() for entry in entries) == sorted(MASKS.values())


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [("nosuch", "unknown scheme"), ("zip", "unknown scheme"), ("simplecache", "unknown scheme")],
)
def test_schemes_that_nobody_knows(scheme: str, expected: str) -> None:
    for where in (f"{scheme}://x/y", f"{scheme}://x/y.tar", f"{scheme}://x/{{0..3}}.parquet"):
        with pytest.raises(SourceError, match=expected):
            ms.scan(where, classes=7)


@pytest.mark.parametrize(
    ("module", "where", "remedy"),
    [
        ("fsspec", "s3://x/y", 'pip install "maskstat[remote]"'),
        ("s3fs", "s3://x/y", 'pip install "maskstat[remote]"'),
        ("aiohttp", "https://x/y/", 'pip install "maskstat[remote]"'),
        ("gcsfs", "gs://x/y", 'pip install "maskstat[remote]" gcsfs'),
        ("adlfs", "az://x/y", 'pip install "maskstat[remote]" adlfs'),
        ("huggingface_hub", "hf://datasets/x/y", 'pip install "maskstat[remote]" huggingface_hub'),
    ],
)
def test_absent_packages(
    module: str, where: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = sys.modules["fsspec.registry"]._registry  # type: ignore[attr-defined]
    for scheme in [scheme for scheme in known if where.startswith(scheme)]:
        monkeypatch.delitem(known, scheme)  # so that its module is imported again
    hidden = {module, "fsspec.implementations.http"} if module == "aiohttp" else {module}
    for name in [name for name in sys.modules if name in hidden]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as caught:
        ms.scan(where, classes=7)
    assert caught.value.remedy == remedy


def test_urls_of_files_are_paths(tmp_path: Path) -> None:
    where = write(tmp_path / "my masks" / "a.png", grey_png([[1]]))
    assert [*entries_of(f"file://{tmp_path}/my%20masks")] == ["a.png"]
    assert [*entries_of(where.as_uri())] == ["a.png"]


def test_npy_masks_in_a_store(memory: Any) -> None:
    put(memory, {"top/a.npy": npy(pixels_of(1))})
    assert ms.scan("memory://top", classes=7).histogram.mask_count == 1
