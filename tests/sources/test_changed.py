"""What is replaced while it is read gives no numbers of the one and the other."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maskstat as ms
from maskstat.errors import MaskError, SourceError
from maskstat.scanning import counting
from maskstat.sources.base import WatchedFile
from maskstat.sources.blobs import LocalBlob
from maskstat.sources.local.folders import store_entry
from tests.support.packages import needs
from tests.support.ranged_server import serving
from tests.support.scan_cases import npy, write
from tests.support.source_cases import arrow_of, parquet_of, tar_of, zip_of

CHANGED = "changed while it was being read; scan again"
PACKED: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "m.zip": zip_of,
    "m.tar": tar_of,
    "m.tar.gz": lambda files: tar_of(files, "w:gz"),
    "m.parquet": lambda files: parquet_of(files, rows=2),
    "m.arrow": lambda files: arrow_of(files, rows=2),
    "m.npy": lambda files: b"".join(files.values()),
}


def versions(kind: str) -> tuple[bytes, bytes]:
    """Two files of one kind and length; the values of one are below 128, and of the other not."""
    drawn = np.random.default_rng(3).integers(0, 128, (8, 150, 200), dtype=np.uint8)
    return tuple(
        PACKED[kind](
            {"all.npy": npy(drawn.reshape(-1, 200) + more)}
            if kind == "m.npy"
            else {f"{n}.npy": npy(array + more) for n, array in enumerate(drawn)}
        )
        for more in (0, 128)
    )  # type: ignore[return-value]


def of_one_version(where: str) -> bool:
    """Whether it was read undisturbed; what was counted is of one version in any case."""
    try:
        # Of a tar without a choice, the first members are looked at before it is read.
        scan = ms.scan(where, classes=256, workers=1, include="*")
    except SourceError as error:
        return error.problem != CHANGED.partition(";")[0]
    with scan:
        pixels = scan.histogram.pixels
        assert not (pixels[:128].any() and pixels[128:].any())
        assert all(CHANGED in failure.reason for failure in scan.failures)
        if not scan.failures:
            assert pixels.sum() == 8 * 150 * 200
        return not scan.failures


@pytest.fixture(autouse=True)
def _in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "STREAM_ABOVE", 50_000)


@needs("fsspec", "needs maskstat[remote]")
@needs("aiohttp", "needs maskstat[remote]")
@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("mark", ["ETag", "Last-Modified"])
def test_on_a_server(kind: str, mark: str) -> None:
    old, new = versions(kind)
    with serving(mark) as server:
        path = f"/{kind}"

        def replace(number: int) -> None:
            if number == when:
                server.files[path], server.version = new, 1

        server.before = replace
        for when in range(20):
            server.files[path], server.version, server.gets = old, 0, 0
            undisturbed = of_one_version(server.url + path)
            assert undisturbed == (server.gets <= when)
            if undisturbed:
                break
    assert undisturbed
    assert when > 1, "it took several requests"


@needs("fsspec", "needs maskstat[remote]")
@pytest.mark.parametrize("kind", PACKED)
def test_in_a_store_whose_library_does_not_say(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    old, new = versions(kind)
    real = type(store).cat_file
    done: list[int] = []

    def cat_file(self: Any, path: str, **options: Any) -> Any:
        if len(done) == when:
            store.pipe(f"/changed/{kind}", new)
        done.append(1)
        return real(self, path, **options)

    monkeypatch.setattr(type(store), "cat_file", cat_file)
    for when in (0, 1):  # noqa: B007
        done.clear()
        store.pipe(f"/changed/{kind}", old)
        assert not of_one_version(f"memory://changed/{kind}")


@pytest.mark.parametrize("way", ["written to", "replaced"])
@pytest.mark.parametrize("kind", PACKED)
def test_on_disk(kind: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = versions(kind)
    path, other = tmp_path / kind, tmp_path / "other"
    done: list[int] = []

    def before(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def called(*given: Any) -> Any:
            if len(done) == when:
                if way == "written to":
                    write(path, new)
                else:
                    os.replace(write(other, new), path)
            done.append(1)
            return real(*given)

        monkeypatch.setattr(owner, name, called)

    for name in ("readinto", "readall"):
        before(WatchedFile, name)
    before(LocalBlob, "read_at")
    undisturbed = []
    for when in (1, 2, 4, 1000):  # noqa: B007
        done.clear()
        write(path, old, stamp=1_600_000_000_000_000_000)
        undisturbed.append(of_one_version(str(path)))
    # Who has a file open goes on reading the one that was replaced.
    assert way == "replaced" or not all(undisturbed)
    assert undisturbed[-1]


def test_a_store_of_chunks(tmp_path: Path) -> None:
    for name in ("zarr.json", "c/0", "c/1"):
        write(tmp_path / "a.zarr" / name, b"12", stamp=1_600_000_000_000_000_000)
    entry = store_entry(str(tmp_path / "a.zarr"), "a.zarr")
    assert entry.load()
    write(tmp_path / "a.zarr" / "c/1", b"34")
    with pytest.raises(MaskError, match="changed while it was being read"):
        entry.load()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("suffix", [".zip", ".tar", ".parquet"])
def test_pipes_are_not_waited_for(suffix: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"a{suffix}")
    write(tmp_path / f"b{suffix}", PACKED[f"m{suffix}"]({"x.npy": npy(np.ones((2, 2), "u1"))}))
    with ms.scan(f"{tmp_path}/{{a,b}}{suffix}", classes=2) as scan:
        assert [one.reason for one in scan.failures] == ["can't be read: not a regular file"]
        assert scan.histogram.mask_count == 1
