"""One bit of a store is another one: what comes out is right, or a StoreError of one short line."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maskstat as ms
from maskstat import cli
from maskstat.errors import StoreError
from maskstat.store.records import Failure, StoredMask
from maskstat.store.store import MeasuredMask, ProfileKey, Store
from maskstat.values.catalog import ClassCatalog
from maskstat.values.histogram import ClassHistogram
from maskstat.values.tally import Encoding, MaskTally
from tests.support.shared_cases import shared_case

CATALOGS = (ClassCatalog.numbered(4), ClassCatalog.numbered(9))
FLIPS = 400


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    """A store with a scan of twenty masks and three failures."""
    path = tmp_path / "s.db"
    chance = np.random.default_rng(1)
    encoding = Encoding("png", "grey", 8)
    with Store.open(path, create=True) as store:
        info = store.begin("a", "/masks", CATALOGS[0], {"pages": "all"})
        tallies = [
            MaskTally.of_pixels(f"m/{n}.png", chance.integers(0, 6, (8, 8)), encoding)
            for n in range(20)
        ]
        failed = [Failure(f"m/bad{n}.png", "not an image: text") for n in range(3)]
        table = store.write(info, [StoredMask(tally, 99, 7) for tally in tallies], failed)
        store.finish(info, ClassHistogram.of(CATALOGS[0], table), store.revision(info))
    return path.read_bytes()


def counts(path: Path) -> Any:
    """All numbers that a store gives, and what they are of."""
    with Store.open(path) as store:
        info = store.find("a")
        totals = [
            store.totals(info, catalog)
            or sum(ClassHistogram.of(catalog, table) for table in store.tables(info))
            for catalog in CATALOGS
        ]
        marks = store.marks(info, [f"m/{n}.png" for n in range(20)])
        return info.catalog.to_dict(), info.source, totals, marks, store.failures(info)


def test_any_bit(whole: bytes, tmp_path: Path) -> None:
    chance = random.Random(7)
    path = tmp_path / "t.db"
    path.write_bytes(whole)
    expected = counts(path)
    written = [at for at, byte in enumerate(whole) if byte]
    refused: list[StoreError] = []
    for _ in range(FLIPS):
        damaged = bytearray(whole)
        damaged[chance.choice(written)] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            assert counts(path) == expected
        except StoreError as error:
            refused.append(error)
    assert FLIPS / 10 < len(refused) < FLIPS
    assert all(str(error).isprintable() and len(error.problem) < 100 for error in refused)


def test_texts_that_are_no_utf_8_are_not_shown(
    whole: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.db"
    path.write_bytes(whole.replace(b"/masks", b"/ma\xffks"))
    with pytest.raises(StoreError, match="text that is not UTF-8"):
        counts(path)
    for command in ("scans", "show", "weights"):
        assert cli.run([command, "--db", str(path)]) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert (
            "ma" not in said.removeprefix("maskstat: ").replace(str(path), "").split("damaged")[0]
        )


@pytest.mark.parametrize("command", ["scans", "show", "weights", "check"])
def test_a_store_with_a_bit_flipped(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    where = shared_case("damaged/store-flip-38.db")
    assert cli.run([command, "--db", str(where)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "bug" not in said
    assert len(said) < 200


def test_rows_that_are_gone(whole: bytes, tmp_path: Path) -> None:
    for table in ("mask", "failure"):
        path = tmp_path / f"{table}.db"
        path.write_bytes(whole)
        connection = sqlite3.connect(path)
        connection.execute(f"DELETE FROM {table} WHERE name LIKE '%1.png'")
        connection.commit()
        connection.close()
        with pytest.raises(StoreError, match="no scan wrote"):
            counts(path)
        with pytest.raises(StoreError, match="no scan wrote"):
            ms.merge([path], tmp_path / f"merged {table}.db")


def test_blocks_of_a_profile_that_are_gone(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(whole)
    with Store.open(path, create=True) as store:
        key = ProfileKey(store.find("a"), CATALOGS[0].digest, 64)
        for n in range(2):
            assert store.keep_block(key, [MeasuredMask(f"m/{n}.png", 99, 7, None)], b"block")
        assert len(list(store.blocks(key))) == 2
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM profile_block WHERE id = 2")
    connection.commit()
    connection.close()
    with Store.open(path) as store, pytest.raises(StoreError, match="no scan wrote"):
        list(store.blocks(key))
