"""A real S3 server behind one that fails: errors, dropped, slow and silent connections."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import maskstat as ms
from maskstat.errors import MaskError, SourceError
from maskstat.scanning import counting
from maskstat.scanning.changes import Changes
from maskstat.sources.remote import connections
from tests.sources.test_changed import PACKED, of_one_version, versions
from tests.support.flaky_server import FINE, Fault, FlakyServer
from tests.support.packages import needs, package
from tests.support.scan_cases import digests, grey_png, pixels_of, stored_rows
from tests.support.source_cases import (
    SOURCES,
    entries_of,
    parquet_of,
    source_at,
    tar_of,
    zip_of,
)

fsspec = package("fsspec", reason="needs maskstat[remote]")
pytestmark = [needs(name, "needs maskstat[remote]") for name in ("fsspec", "s3fs", "aiohttp")]
moto_server = package("moto.server", reason="needs moto's S3 server")

MASKS = {f"{'abc'[n % 3]}/mask_{n}.png": grey_png(pixels_of(n)) for n in range(12)}
TRIES = connections.RETRIES + 1


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(connections, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(connections, "PATIENCE", 0.5)


@pytest.fixture(scope="module")
def s3_server() -> Iterator[FlakyServer]:
    """moto's S3 server behind a server that fails on command; the bucket `data` has the masks."""
    moto = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    flaky = FlakyServer((host, port))
    store = fsspec.filesystem(
        "s3", key="k", secret="s", endpoint_url=f"http://{host}:{port}", skip_instance_cache=True
    )
    store.mkdir("data")
    names = list(MASKS)
    shards = {f"shard-{n:03}.tar": {m: MASKS[m] for m in names[n::3]} for n in range(3)}
    objects = {f"masks/{name}": data for name, data in MASKS.items()}
    objects |= {name: tar_of(files) for name, files in shards.items()}
    objects |= {
        "m.zip": zip_of(MASKS),
        "m.tar.gz": tar_of(MASKS, "w:gz"),
        "m.parquet": parquet_of(MASKS),
        "list.csv": "\n".join(["mask", *(f"masks/{name}" for name in names)]).encode(),
        "masks/notes.txt": b"x",
        "masks/.hidden/x.png": b"x",
    }
    store.pipe({f"data/{name}": data for name, data in objects.items()})
    yield flaky
    flaky.close()
    moto.stop()


@pytest.fixture
def s3(s3_server: FlakyServer, monkeypatch: pytest.MonkeyPatch) -> FlakyServer:
    """The server, working, and fsspec told to use it."""
    settings = {"key": "k", "secret": "s", "endpoint_url": s3_server.url}
    monkeypatch.setitem(fsspec.config.conf, "s3", settings)
    s3_server.reset()
    return s3_server


@pytest.fixture
def bucket(s3: FlakyServer) -> Any:
    """What writes into the bucket, past the server that fails."""
    host, port = s3.target
    return fsspec.filesystem(
        "s3",
        key="k",
        secret="s",
        endpoint_url=f"http://{host}:{port}",
        skip_instance_cache=True,
        use_listings_cache=False,
    )


@pytest.fixture(scope="module")
def in_folder(tmp_path_factory: pytest.TempPathFactory) -> ms.Scan:
    return ms.scan(SOURCES["folder"](tmp_path_factory.mktemp("folder"), MASKS), classes=7)


def test_a_bucket_is_as_good_as_a_folder(
    s3: FlakyServer, in_folder: ms.Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PAGE_KEYS", 7)
    with ms.scan("s3://data/masks", classes=7) as scan:
        assert digests(scan) == digests(in_folder)
        assert scan.changes == Changes(new=12, skipped=1)
        assert (scan.name, scan.source) == ("masks", "s3://data/masks")
        assert sorted(entry.load() for entry in scan.entries()) == sorted(MASKS.values())
    assert s3.gets("list-type=2") >= 2 * 2, "listed page by page"


@pytest.mark.parametrize(
    "where",
    [
        "s3://data/masks/",
        "s3://data/masks/*/*.png",
        "s3://data/m*/**",
        "s3://data/m.zip",
        "s3://data/m.tar.gz",
        "s3://data/m.parquet",
        "s3://data/list.csv",
        "s3://data/shard-{000..002}.tar",
        "s3://data/shard-*.tar",
    ],
)
def test_everything_in_a_bucket_is_read_through_failures(
    where: str, s3: FlakyServer, in_folder: ms.Scan
) -> None:
    """Each request fails twice, once with an error and once in the middle of the body."""

    def plan(path: str, attempt: int) -> Fault:
        return (Fault(status=503), Fault(drop_after=10), FINE)[min(attempt, 2)]

    s3.reset(plan)
    with ms.scan(where, classes=7) as scan:
        assert scan.failures == ()
        assert scan.histogram == in_folder.histogram


def test_unchanged_objects_are_known_by_their_etag(
    s3: FlakyServer, bucket: Any, tmp_path: Path
) -> None:
    bucket.pipe({f"data/again/{name}": data for name, data in MASKS.items()})
    db = tmp_path / "s.db"
    ms.scan("s3://data/again", classes=7, db=db).close()
    s3.reset()
    with ms.scan("s3://data/again", classes=7, db=db) as scan:
        assert scan.changes == Changes(unchanged=12)
    assert s3.gets("/data/again/") == 0
    bucket.pipe("data/again/a/mask_0.png", MASKS["a/mask_0.png"])  # another time, the same content
    bucket.pipe("data/again/a/mask_3.png", grey_png([[6]]))
    bucket.rm("data/again/b/mask_1.png")
    s3.reset()
    with ms.scan("s3://data/again", classes=7, db=db) as scan:
        assert scan.changes == Changes(changed=1, unchanged=10, gone=1)
        assert stored_rows(scan)["a/mask_3.png"] == ([6], [1])
    assert s3.gets("/data/again/") == 1


@pytest.mark.parametrize(
    ("fault", "tries", "expected"),
    [
        (Fault(status=503), 0, "503 (tried "),
        (Fault(status=500), 0, "500 (tried "),
        (Fault(drop_after=5), TRIES, ""),
        (Fault(status=403), 1, "no permission"),
        (Fault(status=404), 1, "it is not there"),
    ],
    ids=["503", "500", "dropped", "403", "404"],
)
def test_what_fails_for_good_is_one_failed_mask(
    s3: FlakyServer, fault: Fault, tries: int, expected: str
) -> None:
    s3.reset(lambda path, attempt: fault if "b/mask_4.png" in path else FINE)
    with ms.scan("s3://data/masks", classes=7) as scan:
        assert scan.histogram.mask_count == 11
        assert [failure.mask for failure in scan.failures] == ["b/mask_4.png"]
        assert expected in scan.failures[0].reason
        assert scan.failures[0].reason.startswith("can't be read: ")
    if tries:
        assert s3.gets("b/mask_4.png") == tries
    else:  # as long as a store that has no time is asked again
        assert s3.gets("b/mask_4.png") > TRIES


def test_slow_answers_are_waited_for(s3: FlakyServer, in_folder: ms.Scan) -> None:
    s3.reset(lambda path, attempt: Fault(piece=100, pause=0.01) if "mask_1" in path else FINE)
    assert digests(ms.scan("s3://data/masks", classes=7)) == digests(in_folder)
    assert s3.gets("mask_") == 12, "nothing was asked for twice"


def test_silent_answers_are_given_up_and_asked_for_again(
    s3: FlakyServer, in_folder: ms.Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "QUIET_SECONDS", 0.5)
    silent = {"a/mask_0.png", "list-type"}
    s3.reset(
        lambda path, attempt: (
            Fault(silence=1.5) if attempt == 0 and any(s in path for s in silent) else FINE
        )
    )
    assert digests(ms.scan("s3://data/masks", classes=7)) == digests(in_folder)
    assert s3.gets("a/mask_0.png") == 2


def test_many_reads_are_under_way_but_not_more_than_allowed(
    s3: FlakyServer, in_folder: ms.Scan
) -> None:
    s3.reset(lambda path, attempt: Fault(silence=0.05))
    assert source_at("s3://data/masks").reads == 32
    assert digests(ms.scan("s3://data/masks", classes=7)) == digests(in_folder)
    assert 2 <= s3.most <= 32
    s3.reset(lambda path, attempt: Fault(silence=0.02))
    assert digests(ms.scan("s3://data/masks", classes=7, workers=3)) == digests(in_folder)
    assert s3.most <= 3


@pytest.mark.parametrize(
    ("fault", "where", "expected"),
    [
        (Fault(status=403), "s3://data/masks", "no permission"),
        (Fault(status=503), "s3://data/masks", "503"),
        (FINE, "s3://missing/masks", "there is nothing here"),
        (FINE, "s3://data/missing", "there is nothing here"),
        (FINE, "s3://data/missing.tar", "it is not there"),
        (FINE, "s3://data/missing.parquet", "it is not there"),
        (FINE, "s3://data/missing.csv", "it is not there"),
        (FINE, "s3://data/missing-*.tar", "no file matches"),
        (FINE, "s3://missing", "there is nothing here"),
    ],
)
def test_a_source_that_can_not_be_listed_is_an_error(
    s3: FlakyServer, fault: Fault, where: str, expected: str
) -> None:
    s3.reset(lambda path, attempt: fault)
    with pytest.raises(SourceError, match=expected) as caught:
        ms.scan(where, classes=7)
    assert where in str(caught.value)
    if "permission" in expected:
        assert "FSSPEC_S3_ANON" in str(caught.value)


def test_a_listing_that_fails_midway_keeps_what_was_counted(
    s3: FlakyServer, in_folder: ms.Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PAGE_KEYS", 7)
    db = tmp_path / "s.db"
    s3.reset(lambda path, attempt: Fault(status=503) if "continuation-token" in path else FINE)
    with pytest.raises(SourceError, match="can't be listed"):
        ms.scan("s3://data/masks", classes=7, db=db, workers=1)
    s3.reset()
    with ms.scan("s3://data/masks", classes=7, db=db) as scan:
        assert digests(scan) == digests(in_folder)


def test_a_shard_that_fails_is_one_failure(s3: FlakyServer) -> None:
    s3.reset(lambda path, attempt: Fault(status=503) if "shard-001" in path else FINE)
    with ms.scan("s3://data/shard-{000..003}.tar", classes=7) as scan:
        assert scan.histogram.mask_count == 8
        assert [f.mask for f in scan.failures] == ["shard-001.tar", "shard-003.tar"]
        assert scan.failures[1].reason == "can't be read: it is not there"


def test_large_objects_are_read_in_growing_pieces(
    s3: FlakyServer, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(3 << 20)
    bucket.pipe("data/large/big.bin", data)
    entry = entries_of("s3://data/large")["big.bin"]
    with entry.open() as file:
        assert file.read(100) == data[:100]
        assert file.read() == data[100:]
        assert file.seek(-10, io.SEEK_END) == len(data) - 10
        assert file.read() == data[-10:]
        assert file.seek(5) == 5
        assert file.read(5) == data[5:10]
    assert 4 <= s3.gets("big.bin") <= 10
    assert entry.load() == data


def test_keys_are_only_names(s3: FlakyServer, bucket: Any) -> None:
    keys = ["a..b/../c.png", "a//b.png", "x y+z%41#.png", "ünï.png", "q?.png"]
    bucket.pipe({f"data/odd/{key}": grey_png([[1, n]]) for n, key in enumerate(keys)})
    with ms.scan("s3://data/odd", classes=7) as scan:
        assert sorted(scan.ledger.names) == sorted(keys)
        assert scan.failures == ()


@pytest.mark.parametrize("again", [MASKS["a/mask_0.png"][:-20], grey_png(pixels_of(3)), b""])
def test_an_object_that_was_replaced_after_the_listing_fails_by_name(
    again: bytes, s3: FlakyServer, bucket: Any
) -> None:
    bucket.pipe("data/moving/a.png", MASKS["a/mask_0.png"])
    entry = entries_of("s3://data/moving")["a.png"]
    bucket.pipe("data/moving/a.png", again)
    with pytest.raises(MaskError, match="changed while it was being read"):
        entry.load()


@pytest.mark.parametrize("kind", PACKED)
def test_an_object_that_is_replaced_between_two_requests(
    kind: str, s3: FlakyServer, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "STREAM_ABOVE", 50_000)
    old, new = versions(kind)
    for when in (0, 1):
        bucket.pipe(f"data/replaced/{kind}", old)

        def plan(path: str, attempt: int, when: int = when) -> Fault:
            if kind in path and s3.gets(kind) == when + 1:
                bucket.pipe(f"data/replaced/{kind}", new)
            return FINE

        s3.reset(plan)
        assert not of_one_version(f"s3://data/replaced/{kind}")


@pytest.mark.parametrize("part", ["list-type=2", "mask_4", "/data/"])
def test_a_burst_of_refusals_is_waited_out(
    part: str, s3: FlakyServer, in_folder: ms.Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 20.0)
    refusals = 2 * TRIES
    busy = Fault(status=503)
    s3.reset(lambda path, attempt: busy if part in path and attempt < refusals else FINE)
    assert digests(ms.scan("s3://data/masks", classes=7)) == digests(in_folder)
    assert s3.gets(part) > refusals


def test_a_store_is_asked_again_when_it_wants_to_be(
    s3: FlakyServer, in_folder: ms.Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = Fault(status=503, retry_after="1")
    monkeypatch.setattr(connections, "PATIENCE", 20.0)
    s3.reset(lambda path, attempt: later if "mask_4" in path and attempt == 0 else FINE)
    began = time.monotonic()
    assert digests(ms.scan("s3://data/masks", classes=7)) == digests(in_folder)
    assert time.monotonic() - began > 1.0
    assert s3.gets("mask_4") == 2


def test_a_mask_has_so_much_time_and_no_more(s3: FlakyServer) -> None:
    s3.reset(lambda path, attempt: Fault(piece=1, pause=0.2) if "mask_4" in path else FINE)
    with ms.scan("s3://data/masks", classes=7, timeout=3) as scan:
        assert [failure.mask for failure in scan.failures] == ["b/mask_4.png"]
        assert re.search(r"only \d+ bytes came in 3 s; timeout=SECONDS", scan.failures[0].reason)
