"""The store: what goes in comes out, and a file that is not ours is left alone."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.errors import StoreError
from maskstat.naming import natural_key
from maskstat.store import store as store_module
from maskstat.store.records import Failure, StoredMask
from maskstat.store.schema import APPLICATION_ID, SCHEMA_VERSION
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog
from maskstat.values.histogram import ClassHistogram
from maskstat.values.tally import Encoding, MaskTally, TallyTable
from tests.support.strategies import catalogs, tally_lists

GREY = Encoding("png", "grey", 8)
TEN = ClassCatalog.numbered(10)


def stored(tallies: list[MaskTally]) -> list[StoredMask]:
    return [StoredMask(tally, 100 + at, 10**18 + at) for at, tally in enumerate(tallies)]


def rows_of(tables: list[TallyTable]) -> dict[str, tuple[object, ...]]:
    """name -> everything the store knows of a mask."""
    found: dict[str, tuple[object, ...]] = {}
    for table in tables:
        for at, name in enumerate(table.names):
            entries = slice(table.indptr[at], table.indptr[at + 1])
            found[name] = (
                tuple(table.shapes[at].tolist()),
                table.encodings[at],
                table.values[entries].tolist(),
                table.counts[entries].tolist(),
            )
    return found


def mask(name: str, *values: int, encoding: Encoding = GREY) -> MaskTally:
    return MaskTally.of_pixels(name, np.array([values]), encoding)


def filled(path: Path) -> None:
    with Store.open(path, create=True) as store:
        store.write(store.begin("a", "/data/a", TEN), stored([mask("m", 0, 1)]))


# --- round trips ------------------------------------------------------------------------------


@given(catalogs(), tally_lists(), st.integers(1, 4))
def test_tallies_come_back_as_they_were(
    catalog: ClassCatalog, tallies: list[MaskTally], block: int
) -> None:
    with Store.in_memory() as store:
        info = store.begin("scan", "/data", catalog)
        store.write(info, stored(tallies))
        tables = list(store.tables(info, rows=block))
        assert rows_of(tables) == rows_of([TallyTable.of(tallies)])
        assert all(len(table) <= block for table in tables)
        assert [name for table in tables for name in table.names] == sorted(
            tally.name for tally in tallies
        )
        assert store.mask_count(info) == len(tallies)
        assert store.find("scan").catalog == catalog
        assert [*store.names(info)] == sorted(tally.name for tally in tallies)
        assert store.marks(info, [*(tally.name for tally in tallies), "no mask"]) == {
            tally.name: (100 + at, 10**18 + at, tally.encoding.to_text())
            for at, tally in enumerate(tallies)
        }


@pytest.mark.parametrize(
    ("values", "counts", "shape"),
    [
        ([0, 255], [1, 2**32 - 2], (1, 2**32 - 1)),
        ([0, 255], [1, 2**32], (1, 2**32 + 1)),
        ([7], [2**40], (2**20, 2**20)),
        ([0, 256, 65535], [1, 1, 1], (1, 3)),
        ([65536, 2**32 - 1], [1, 1], (1, 2)),
        ([2**32], [1], (1, 1)),
        ([-1, 0], [1, 1], (1, 2)),
        ([-(2**63), 2**63 - 1], [5, 7], (3, 4)),
        ([0x00804080, 0xFFFFFFFF], [2, 2], (2, 2)),  # opaque and wholly transparent colours
        (list(range(65536)), [1] * 65536, (256, 256)),
    ],
)
def test_every_size_of_value_and_count(
    tmp_path: Path, values: list[int], counts: list[int], shape: tuple[int, ...]
) -> None:
    tally = MaskTally("m", shape, GREY, np.array(values, np.int64), np.array(counts, np.int64))
    tally.check()
    with Store.open(tmp_path / "s.db", create=True) as store:
        store.write(store.begin("a", "/a", TEN), stored([tally]))
    with Store.open(tmp_path / "s.db") as store:
        assert rows_of(list(store.tables(store.find()))) == rows_of([TallyTable.of([tally])])


@pytest.mark.parametrize("masks", [0, 1, 99, 100, 101, 250])
def test_many_masks_in_one_commit(masks: int) -> None:
    """Every layout of a row, on both sides of what one statement holds, in any order."""
    extremes = [255, 65535, 2**32 - 1, 2**40, -1]
    tallies = [mask(f"m{at}", at % 7, extremes[at % 5]) for at in range(masks)]
    random.Random(masks).shuffle(tallies)
    with Store.in_memory() as store:
        info = store.begin("a", "/a", TEN)
        table = store.write(info, stored(tallies))
        assert rows_of([table]) == rows_of([TallyTable.of(tallies)])
        assert rows_of(list(store.tables(info))) == rows_of([table])


@given(catalogs(), tally_lists())
def test_totals_that_come_with_the_end_of_a_run(
    catalog: ClassCatalog, tallies: list[MaskTally]
) -> None:
    totals = ClassHistogram.of(catalog, TallyTable.of(tallies))
    with Store.in_memory() as store:
        info = store.begin("a", "/a", catalog)
        store.write(info, stored(tallies))
        assert store.totals(info, catalog) is None
        store.finish(info, totals, store.revision(info) - 1)
        assert store.totals(info, catalog) is None
        store.finish(info, totals, store.revision(info))
        assert store.totals(info, catalog) == totals
        store.write(info, (), [Failure("m", "broken")])
        assert store.totals(info, catalog) is None


def test_a_later_result_replaces_an_earlier_one() -> None:
    with Store.in_memory() as store:
        info = store.begin("a", "/a", TEN)
        store.write(info, stored([mask("m", 0), mask("n", 0)]), [Failure("x", "broken")])
        store.write(info, stored([mask("m", 1, 1)]), [Failure("n", "truncated")])
        assert rows_of(list(store.tables(info))) == {"m": ((1, 2), GREY, [1], [2])}
        assert store.failures(info) == [Failure("n", "truncated"), Failure("x", "broken")]
        assert store.begin("a", "/a", TEN).id == info.id
        assert store.failures(info) == []
        store.forget(info, ["m", "was never there"])
        assert store.mask_count(info) == 0


def test_failures_come_in_natural_order() -> None:
    names = ["m_10", "m_9", "m_100", "é"]
    with Store.in_memory() as store:
        info = store.begin("a", "/a", TEN)
        store.write(info, (), [Failure(name, "r") for name in names])
        assert [f.mask for f in store.failures(info)] == sorted(names, key=natural_key)


def test_scans_have_names_and_the_last_run_is_the_latest() -> None:
    with Store.in_memory() as store:
        a = store.begin("a", "/a", TEN)
        b = store.begin("b", "/b", ClassCatalog.to_infer())
        assert [info.name for info in store.scans()] == ["a", "b"]
        assert store.find().name == "b"
        assert not store.find("a").complete
        store.finish(a)
        assert store.find("a").complete
        again = store.begin("a", "/elsewhere", TEN.ignoring([3]))
        assert again.id == a.id
        assert again.created == a.created
        assert again.source == "/elsewhere"
        assert again.catalog == TEN.ignoring([3])
        assert not again.complete
        assert store.find().name == "a"
        store.write(a, stored([mask("m", 0)]))
        store.write(b, stored([mask("m", 0), mask("n", 0)]), [Failure("x", "r")])
        store.remove(b)
        assert [info.name for info in store.scans()] == ["a"]
        assert store.mask_count(a) == 1
        assert store.mask_count(b) == 0
        assert store.failures(b) == []


def test_names_are_data_and_never_sql(tmp_path: Path) -> None:
    name = "x'); DROP TABLE mask; --\n\x1b"
    with Store.open(tmp_path / "s.db", create=True) as store:
        info = store.begin(name, name, TEN)
        store.write(info, stored([mask(name, 0)]), [Failure(f"{name}2", name)])
        assert store.find(name).source == name
        assert list(rows_of(list(store.tables(info)))) == [name]
        with pytest.raises(StoreError) as caught:
            store.find("missing")
    assert str(caught.value).isprintable()


def test_a_write_is_whole_or_not_at_all() -> None:
    with Store.in_memory() as store:
        info = store.begin("a", "/a", TEN)

        def breaking() -> Iterator[StoredMask]:
            yield from stored([mask("m", 0)])
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.write(info, breaking())
        bad = stored([mask("n", 0)])[0]._replace(stamp=2**80)
        with pytest.raises(OverflowError):
            store.write(info, [*stored([mask("m", 0)]), bad])
        assert store.mask_count(info) == 0
        store.write(info, stored([mask("m", 0)]))
        assert store.mask_count(info) == 1


def test_what_is_written_together_is_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Store.open(path, create=True) as store, Store.open(path) as other:
        info = store.begin("a", "/a", TEN)

        def broken_off() -> None:
            with store.together():
                store.write(info, stored([mask("m", 0)]))
                store.finish(info)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            broken_off()
        assert store.mask_count(info) == 0
        assert not store.find("a").complete
        with store.together():
            store.write(info, stored([mask("m", 0)]))
            assert other.mask_count(info) == 0  # nobody sees a part of it
            store.write(info, stored([mask("n", 0)]))
            store.finish(info)
        assert other.mask_count(info) == 2
        assert other.find("a").complete


def test_a_store_may_be_used_and_dropped_by_another_thread(tmp_path: Path) -> None:
    filled(tmp_path / "s.db")
    store = Store.open(tmp_path / "s.db")
    seen: list[int] = []

    def use(own: list[Store]) -> None:
        seen.append(own[0].mask_count(own[0].find()))
        own.clear()

    box = [store]
    del store
    thread = threading.Thread(target=use, args=(box,))
    thread.start()
    thread.join()
    assert seen == [1]


# --- files that are not as they should be -----------------------------------------------------


def refused(path: Path, *, create: bool = False) -> str:
    def read() -> None:
        with Store.open(path, create=create) as store:
            list(store.tables(store.find()))

    with pytest.raises(StoreError) as caught:
        read()
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_no_store() -> None:
    assert "scan first: 'scan(FOLDER, classes=K)'" in refused(Path("/no/such/maskstat.db"))


def test_reading_creates_nothing(tmp_path: Path) -> None:
    refused(tmp_path / "s.db")
    assert list(tmp_path.iterdir()) == []


def test_no_folder_for_it(tmp_path: Path) -> None:
    assert "folder" in refused(tmp_path / "missing" / "s.db", create=True)


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    assert f"name a file in it: db='{tmp_path}" in refused(tmp_path, create=True)


def test_no_scan_yet(tmp_path: Path) -> None:
    Store.open(tmp_path / "s.db", create=True).close()
    assert "holds no scan yet" in refused(tmp_path / "s.db")


@pytest.mark.parametrize("content", [b"hello, I am a text file", b"\0" * 5000])
@pytest.mark.parametrize("create", [True, False])
def test_a_file_of_another_kind_is_left_as_it_is(
    tmp_path: Path, content: bytes, create: bool
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    assert "not a database" in refused(path, create=create)
    assert path.read_bytes() == content


@pytest.mark.parametrize("create", [True, False])
def test_a_database_of_another_program_is_left_as_it_is(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "photos.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE scan (id INTEGER)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    assert "not a scan store" in refused(path, create=create)
    assert path.read_bytes() == before


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_newer_schema_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    filled(path)
    change(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = path.read_bytes()
    assert "pip install -U maskstat" in refused(path, create=True)
    assert path.read_bytes() == before


def test_ours_says_so_in_its_header(tmp_path: Path) -> None:
    filled(tmp_path / "s.db")
    header = (tmp_path / "s.db").read_bytes()[:100]
    assert int.from_bytes(header[68:72], "big") == APPLICATION_ID
    assert int.from_bytes(header[60:64], "big") == SCHEMA_VERSION


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE scan SET catalog = 'not json'",
        "UPDATE scan SET catalog = '{}'",
        "UPDATE scan SET catalog = x'ff'",
        "UPDATE mask SET form = 3",
        "UPDATE mask SET form = 'x'",
        "UPDATE mask SET tally = x''",
        "UPDATE mask SET tally = x'00'",
        "UPDATE mask SET tally = 'text'",
        "UPDATE mask SET encoding = 'png'",
        "UPDATE mask SET encoding = 7",
        "UPDATE mask SET height = 'tall'",
        "UPDATE mask SET height = 2",
        "UPDATE mask SET width = 1e300",
        "DROP TABLE mask",
    ],
)
def test_a_store_with_damaged_content(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "s.db"
    filled(path)
    change(path, statement)
    refused(path)


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
def test_a_truncated_store(tmp_path: Path, cut: float) -> None:
    path = tmp_path / "s.db"
    with Store.open(path, create=True) as store:
        masks = [mask(f"m{n}", *range(200)) for n in range(100)]
        store.write(store.begin("a", "/a", TEN), stored(masks))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * cut)])
    refused(path)


def test_a_locked_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "LOCK_SECONDS", 0.05)
    path = tmp_path / "s.db"
    filled(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert "another maskstat is writing" in refused(path)
    other.execute("ROLLBACK")
    with Store.open(path) as store:
        other.execute("BEGIN IMMEDIATE")
        assert store.mask_count(store.find()) == 1  # one may read while another writes
        with pytest.raises(StoreError, match="another maskstat is writing"):
            store.begin("b", "/b", TEN)
    other.close()


def test_two_that_create_it_at_once(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    errors: list[BaseException] = []

    def create(name: str) -> None:
        try:
            with Store.open(path, create=True) as store:
                store.write(store.begin(name, "/", TEN), stored([mask("m", 0)]))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=create, args=(f"scan{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Store.open(path) as store:
        assert sorted(info.name for info in store.scans()) == [f"scan{n}" for n in range(8)]


def test_the_catalogue_is_kept_as_json_that_anybody_can_read(tmp_path: Path) -> None:
    filled(tmp_path / "s.db")
    connection = sqlite3.connect(tmp_path / "s.db")
    (text,) = connection.execute("SELECT catalog FROM scan").fetchone()
    connection.close()
    assert [entry["name"] for entry in json.loads(text)["classes"]] == list(TEN.names)


# --- kept totals ------------------------------------------------------------------------------


@given(catalogs(), tally_lists())
def test_kept_totals_are_the_totals(catalog: ClassCatalog, tallies: list[MaskTally]) -> None:
    with Store.in_memory() as store:
        info = store.begin("scan", "/data", catalog)
        store.write(info, stored(tallies))
        total = ClassHistogram.of(catalog, TallyTable.of(tallies))
        assert store.totals(info, catalog) is None
        store.keep_totals(info, total, store.revision(info))
        assert store.totals(info, catalog) == total
        assert store.totals(info, catalog.ignoring([12345])) is None


def test_kept_totals_go_out_of_date_with_every_change() -> None:
    changes = [
        lambda store, info: store.write(info, stored([mask("n", 1)])),
        lambda store, info: store.write(info, (), [Failure("m", "truncated")]),
        lambda store, info: store.forget(info, ["m"]),
    ]
    for change in changes:
        with Store.in_memory() as store:
            info = store.begin("a", "/a", TEN)
            store.write(info, stored([mask("m", 0)]))
            before = store.revision(info)
            total = ClassHistogram.empty(TEN)
            store.keep_totals(info, total, before)
            assert store.totals(info, TEN) == total
            change(store, info)
            assert store.revision(info) > before
            assert store.totals(info, TEN) is None
            store.keep_totals(info, total, before)  # added up while somebody else was writing
            assert store.totals(info, TEN) is None


@pytest.mark.parametrize("asked", [1, 2, 3, 511, 512, 513, 1025, 3000])
def test_marks_of_any_number_of_masks(asked: int) -> None:
    names = [f"m{number}" for number in range(2000)]
    with Store.in_memory() as store:
        info, other = store.begin("a", "/a", TEN), store.begin("b", "/b", TEN)
        store.write(info, stored([mask(name, 0) for name in names[::2]]))
        store.write(other, stored([mask(name, 0) for name in names]))
        wanted = [f"m{number}" for number in reversed(range(asked))]
        assert set(store.marks(info, wanted)) == set(wanted) & set(names[::2])
        assert store.marks(info, []) == {}


@pytest.mark.parametrize("masks", [1, 8191, 8192, 8193, 20_000])
def test_all_masks_but_some_are_forgotten(masks: int, tmp_path: Path) -> None:
    kept = {f"m{number}" for number in range(0, masks, 3)}
    with Store.open(tmp_path / "s.db", create=True) as store:
        info, other = store.begin("a", "/a", TEN), store.begin("b", "/b", TEN)
        everything = stored([mask(f"m{number}", 0) for number in range(masks)])
        for scan in (info, other):
            store.write(scan, everything)
        before = store.revision(info)
        assert store.forget_others(info, iter([*kept, *kept, "new"])) == masks - len(kept)
        assert set(store.names(info)) == kept
        assert (store.revision(info) > before) == (masks > len(kept))
        assert store.mask_count(other) == masks
        assert store.forget_others(info, kept) == 0
        assert store.forget_all(info) == len(kept)
        assert [*store.names(info)] == []
        assert store.mask_count(other) == masks
