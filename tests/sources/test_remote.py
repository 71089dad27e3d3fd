"""Web servers, addresses without secrets, and what any store must get right, in memory."""

from __future__ import annotations

import http.server
import os
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maskstat as ms
from maskstat.errors import MaskError, MissingExtraError, ParameterError, SourceError
from maskstat.readers.formats import SUFFIXES
from maskstat.scanning import plane_entries
from maskstat.scanning.changes import Changes
from maskstat.sources.addresses import scrubbed, without_secrets
from maskstat.sources.base import Selection
from maskstat.sources.opening import open_source
from maskstat.sources.remote import connections
from maskstat.sources.remote.connections import Connection
from maskstat.sources.remote.failures import GaveUpError, reason
from tests.support.packages import needs, package
from tests.support.ranged_server import RangedServer, serving
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
from tests.support.stack_cases import npz_deflated, stack_of

fsspec = package("fsspec", reason="needs maskstat[remote]")
pytestmark = [needs(name, "needs maskstat[remote]") for name in ("fsspec", "s3fs", "aiohttp")]

MASKS = {f"{'abc'[n % 3]}/mask_{n}.png": grey_png(pixels_of(n)) for n in range(12)}
TRIES = connections.RETRIES + 1


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(connections, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(connections, "PATIENCE", 0.5)


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


# --- what a server does instead of sending a mask ----------------------------------------------


@pytest.fixture
def odd() -> Iterator[RangedServer]:
    """A server of a list and of the masks that it names, none of which comes."""

    def redirect(request: Any, to: str) -> None:
        request.send_response(302)
        request.send_header("Location", to)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def answer(request: Any) -> bool:
        path = request.path.partition("?")[0]
        if path == "/circle.png":
            redirect(request, "/circle/again.png")
        elif path == "/circle/again.png":
            redirect(request, "/circle.png")
        elif path.startswith("/far"):
            redirect(request, f"/far{path[4:-4]}x.png")
        elif path.startswith("/drip"):
            request.send_response(200)
            request.send_header("Content-Length", "1000")
            request.end_headers()
            for _ in range(1000 if request.command == "GET" else 0):
                request.wfile.write(b"x")
                time.sleep(0.2)
        elif path.startswith("/silent"):
            time.sleep(2.5)
        elif path.startswith("/busy"):
            request.send_response(429)
            request.send_header("Retry-After", "2000")
            request.send_header("Content-Length", "0")
            request.end_headers()
        else:
            return False
        return True

    with serving() as server:
        server.answer = answer
        yield server


def test_what_a_server_does_instead_is_told_in_words(odd: RangedServer, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    expected = {
        f"{odd.url}/circle.png": "the server redirects in a circle; give the address",
        f"{odd.url}/far.png": "the server redirects more than 10 times; give the address",
        f"{odd.url}/drip.png": r"only \d+ bytes came in 2 s; timeout=SECONDS allows more",
        f"{odd.url}/silent.png": "no answer in 2 s; timeout=SECONDS allows more",
        f"{odd.url}/busy.png": r"429 \(tried 1 time in 0 s, and it asks to wait 2,000 s\)",
        f"{odd.url}/gone.png": "it is not there$",
        f"https{odd.url[4:]}/tls.png": "TLS fails: .*; does the server speak https",
        f"http://127.0.0.1:{port}/refused.png": r"connection refused \(tried 5 times",
    }
    wrote = "".join(f"{url.replace('://', '://me:s3cr3t@')}?token=s3cr3t\n" for url in expected)
    write(tmp_path / "list.txt", wrote.encode())
    with ms.scan(tmp_path / "list.txt", classes=2, timeout=2) as scan:
        reasons = {failure.mask: failure.reason for failure in scan.failures}
    assert sorted(reasons) == sorted(expected)
    for url, reason_ in reasons.items():
        assert re.search(f"^can't be read: .*{expected[url]}", reason_), (url, reason_)
        assert "s3cr3t" not in reason_


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (socket.gaierror(-2, "Name or service not known"), "name is not known"),
        (
            ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate"),
            "certificate",
        ),
    ],
)
def test_a_server_that_is_not_reached(error: OSError, expected: str) -> None:
    import aiohttp
    from aiohttp.client_reqrep import ConnectionKey

    key = ConnectionKey("host", 443, True, True, None, None, None)
    wrapped = FileNotFoundError("https://host/x")
    wrapped.__cause__ = aiohttp.ClientConnectorError(key, error)
    assert expected in reason(wrapped)


def test_a_time_that_is_none() -> None:
    for timeout in (0, -1, float("nan"), float("inf"), "5"):
        with pytest.raises(ParameterError, match="no number of seconds"):
            ms.scan("memory://x", timeout=timeout)  # type: ignore[arg-type]


# --- lists -------------------------------------------------------------------------------------


def test_a_list_on_a_server_names_what_lies_beside_it(tmp_path: Path, in_folder: ms.Scan) -> None:
    with serving() as server:
        server.files = {f"/set/masks/{name}": data for name, data in MASKS.items()}
        paths = [f"./masks/{name}" for name in MASKS]
        paths[3] = f"{server.url}/set/{paths[3][2:]}"
        paths[5] = f"/{paths[5]}"  # never above the list's folder
        server.files["/set/list.txt"] = "\n".join(["# masks", *paths, paths[0]]).encode()
        where = f"{server.url}/set/list.txt"
        db = tmp_path / "s.db"
        with ms.scan(where, classes=7, db=db) as scan:
            assert scan.histogram == in_folder.histogram
            assert (scan.name, scan.source) == ("list", where)
            assert f"masks/{next(iter(MASKS))}" in scan.ledger.names
        with ms.scan(where, classes=7, db=db) as scan:
            assert scan.changes == Changes(unchanged=12)
        assert open_source(where, Selection()).reads == 32
        with pytest.raises(SourceError, match="it is not there"):
            ms.scan(f"{server.url}/none.txt", classes=7)


def test_a_list_on_disk_names_urls(tmp_path: Path) -> None:
    write(tmp_path / "b.png", grey_png([[2]]))
    with serving() as server:
        server.files["/a.png"] = grey_png([[1]])
        secret = server.url.replace("//", "//me:s3cr3t@")
        text = f"b.png\n{secret}/a.png?sig=s3cr3t\n{server.url}/none.png\n"
        write(tmp_path / "list.txt", text.encode())
        with ms.scan(tmp_path / "list.txt", classes=3) as scan:
            assert set(scan.ledger.names) == {"b.png", f"{server.url}/a.png"}
            assert [failure.mask for failure in scan.failures] == [f"{server.url}/none.png"]


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
    error: Exception, again: bool, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "FIRST_PAUSE", 2.0)
    monkeypatch.setattr(connections, "LONGEST_PAUSE", 9.0)
    monkeypatch.setattr(connections, "PATIENCE", 27.0)
    chances = [1.0, 0.5, 0.25, 1.0, 1.0, 1.0]
    monkeypatch.setattr(connections.random, "random", iter(chances).__next__)
    calls: list[int] = []

    def action(watch: object) -> None:
        calls.append(1)
        raise error

    with pytest.raises(GaveUpError if again else type(error)) as caught:
        Connection("memory", None, None, 600).tried(action)
    # A server that has no time is asked for as long as PATIENCE says, another error five times.
    answered = hasattr(error, "status")
    expected = [2.0, 2.0, 2.0, 9.0, *[9.0] * answered] if again else []
    assert clock == expected
    assert len(calls) == len(expected) + 1
    assert reason(caught.value).isprintable()
    assert reason(caught.value)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses, which take no time; others do not take any, either."""
    pauses: list[float] = []
    monkeypatch.setattr(connections, "sleep", pauses.append)
    monkeypatch.setattr(connections, "monotonic", lambda: 1000.0 + sum(pauses))
    return pauses


@pytest.mark.parametrize(
    ("said", "pauses"),
    [
        ("7", [7.0] * 8),
        ("61", []),
        ("nonsense", None),
        ("a date in 40", [40.0]),
        ("a date in -40", None),
    ],
)
def test_a_server_is_asked_again_when_it_wants_to_be(
    said: str, pauses: list[float] | None, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 60.0)
    monkeypatch.setattr(connections, "FIRST_PAUSE", 1.0)
    monkeypatch.setattr(connections.random, "random", lambda: 0.5)
    if said.startswith("a date in "):
        said = formatdate(time.time() + float(said[10:]))
    headers = {"Retry-After": said}
    error = type("HttpError", (Exception,), {"status": 503, "headers": headers})()

    def action(watch: object) -> None:
        raise error

    with pytest.raises(GaveUpError) as caught:
        Connection("memory", None, None, 600).tried(action)
    if pauses is None:  # as if it had said nothing
        assert clock == [0.025] * len(clock)
    else:
        assert clock == pytest.approx(pauses, abs=2.0)
    assert ("it asks to wait" in reason(caught.value)) == (pauses is not None)
    assert sum(clock) <= connections.PATIENCE


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


@pytest.mark.parametrize("whole", [True, False])
def test_planes_in_a_store(memory: Any, whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is fetched once or, where it is large, plane by plane."""
    stack = stack_of(1)
    monkeypatch.setattr(plane_entries, "READ_WHOLE", 1 << 20 if whole else 0)
    files = {"a.npy": npy(stack), "b.npy": npy(stack[0]), "c.npz": npz_deflated(stack, Path())}
    put(memory, {f"top/{name}": data for name, data in files.items()})
    with ms.scan("memory://top", classes=5, pages="each") as scan:
        assert scan.failures == ()
        assert scan.ledger.names == (
            *(f"a.npy#{at + 1}" for at in range(7)),
            "b.npy",
            *(f"c.npz#{at + 1}" for at in range(7)),
        )
        both = np.bincount(np.concatenate([stack, stack, stack[:1]]).ravel(), minlength=5)
        assert scan.histogram.pixels.tolist() == both.tolist()


def test_planes_on_a_server_that_sends_no_parts(web: str, tmp_path: Path) -> None:
    stack = stack_of(1)
    for name, data in (("a.npy", npy(stack)), ("b.npy", npy(stack[0])), ("c.npy", b"")):
        write(tmp_path / "site" / "planes" / name, data)
    with ms.scan(f"{web}/planes/", classes=5, pages="each") as scan:
        assert [(failure.mask, failure.reason) for failure in scan.failures] == [
            ("c.npy", "empty file")
        ]
        assert scan.histogram.mask_count == 8
        assert scan.histogram.pixels.sum() == 8 * stack[0].size
