"""Arrow files: what pyarrow wrote comes back, whatever is beside it, and damage never crashes."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskstat.errors import MaskError, SourceError
from maskstat.sources.blobs import LocalBlob
from maskstat.sources.tables import arrow, parquet
from maskstat.sources.tables.parquet import Table
from tests.support.packages import package
from tests.support.scan_cases import write
from tests.support.shared_cases import shared_case

pyarrow = package("pyarrow", reason="needs maskstat[parquet]")
ipc = package("pyarrow.ipc", reason="needs maskstat[parquet]")

Cell = tuple[bytes | None, str | None]
LONG = "a text that no view holds in itself"


def beside(rows: int) -> dict[str, Any]:
    """Columns of all kinds, whose buffers have to be passed over."""
    numbers = pyarrow.array(range(rows))
    texts = pyarrow.array([LONG] * rows)
    kinds = pyarrow.array([row % 2 for row in range(rows)], pyarrow.int8())
    found = {
        "null": pyarrow.nulls(rows),
        "int": numbers,
        "bool": pyarrow.array([None if row % 3 else True for row in range(rows)], pyarrow.bool_()),
        "list": pyarrow.array([[1, 2]] * rows, pyarrow.list_(pyarrow.int16())),
        "views": pyarrow.array([[LONG]] * rows, pyarrow.large_list(pyarrow.string_view())),
        "list view": pyarrow.array([[1]] * rows, pyarrow.list_view(pyarrow.int16())),
        "map": pyarrow.array([[("a", 1)]] * rows, pyarrow.map_(pyarrow.string(), pyarrow.int8())),
        "dictionary": texts.dictionary_encode(),
        "fixed list": pyarrow.array([[1.0, 2.0]] * rows, pyarrow.list_(pyarrow.float32(), 2)),
        "fixed": pyarrow.array([b"abcd"] * rows, pyarrow.binary(4)),
        "time": pyarrow.array([1] * rows, pyarrow.timestamp("us")),
        "decimal": pyarrow.array([1] * rows, pyarrow.decimal128(10)),
        "sparse": pyarrow.UnionArray.from_sparse(kinds, [numbers, texts]),
        "dense": pyarrow.UnionArray.from_dense(
            pyarrow.array([0] * rows, pyarrow.int8()), numbers.cast("int32"), [numbers, texts]
        ),
        "struct": pyarrow.array([{"a": {"b": 1}}] * rows),
    }
    if rows:
        ends = pyarrow.array([rows], pyarrow.int32())
        found["runs"] = pyarrow.RunEndEncodedArray.from_arrays(ends, pyarrow.array(["x"]))
    return found


def column(cells: list[Cell], kind: str) -> Any:
    """A column of masks of a type."""
    if not kind.startswith("struct"):
        return pyarrow.array([content for content, _ in cells], getattr(pyarrow, kind)())
    view = "_view" * kind.endswith("views")
    fields = [("path", getattr(pyarrow, f"string{view}")()), ("n", pyarrow.int8())]
    fields.insert(len(cells) % 3, ("bytes", getattr(pyarrow, f"binary{view}")()))
    rows = [None if c is None and p is None else {"bytes": c, "path": p, "n": 1} for c, p in cells]
    return pyarrow.array(rows, pyarrow.struct(fields))


KINDS = ["binary", "large_binary", "binary_view", "struct", "struct of views"]


def written(
    cells: list[Cell], kind: str, footer: bool, chance: random.Random, **options: Any
) -> bytes:
    """A file of two equal batches, with other columns before and after."""
    others = list(beside(len(cells)).items())
    chance.shuffle(others)
    at = chance.randrange(len(others) + 1)
    columns = [*others[:at], ("mask", column(cells, kind)), *others[at:]]
    batch = pyarrow.RecordBatch.from_arrays([c for _, c in columns], [n for n, _ in columns])
    stream = io.BytesIO()
    new = ipc.new_file if footer else ipc.new_stream
    with new(stream, batch.schema, options=ipc.IpcWriteOptions(**options)) as writer:
        writer.write_batch(batch)
        writer.write_batch(batch)
    return stream.getvalue()


def read(where: Path) -> tuple[list[Cell], list[str]]:
    """All rows, and what was wrong."""
    cells: list[Cell] = []
    wrong: list[str] = []
    try:
        for rows in Table(LocalBlob.at(str(where)), "mask").rows():
            if isinstance(rows, MaskError):
                wrong.append(rows.problem)
            else:
                cells += zip(rows.contents, rows.paths, strict=True)
    except (MaskError, SourceError) as error:
        wrong.append(str(error))
    return cells, wrong


CELLS = st.lists(
    st.tuples(
        st.none() | st.binary(max_size=40), st.none() | st.sampled_from(["", "a.png", "ü" * 9])
    ),
    max_size=20,
)


@settings(max_examples=60)
@given(
    CELLS,
    st.sampled_from(KINDS),
    st.booleans(),
    st.sampled_from([None, "lz4", "zstd"]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_what_was_written_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    cells: list[Cell],
    kind: str,
    footer: bool,
    compression: str | None,
    legacy: bool,
    chance: random.Random,
) -> None:
    data = written(
        cells,
        kind,
        footer,
        chance,
        compression=compression,
        use_legacy_format=legacy and not footer,
    )
    where = write(tmp_path_factory.getbasetemp() / "m.arrow", data)
    expected = cells if kind.startswith("struct") else [(content, None) for content, _ in cells]
    assert read(where) == (expected * 2, [])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_rows_are_taken_a_few_at_a_time(
    kind: str, compression: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many fit; what is large is decompressed twice and never held."""
    cells: list[Cell] = [(bytes([row]) * 100, "p") for row in range(50)]
    data = written(cells, kind, True, random.Random(1), compression=compression)
    where = write(tmp_path / "m.arrow", data)
    whole = read(where)
    monkeypatch.setattr(arrow, "_IN_MEMORY", 99)
    for name, value in (("_BATCH_BYTES", 250), ("_BATCH_ROWS", 2)):
        monkeypatch.setattr(parquet, name, value)
        parts = list(Table(LocalBlob.at(str(where)), "mask").rows())
        assert {len(part.contents) for part in parts if isinstance(part, parquet.Rows)} == {2}
        assert read(where) == whole
    assert len(whole[0]) == 100


def damaged(data: bytes, chance: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 5])):
        near = chance.choice([64, 1000, len(found)])
        at = chance.choice([1, -1]) * chance.randrange(1, min(near, len(found)))
        found[at] = chance.choice([0, 1, 127, 128, 255, found[at] ^ 1 << chance.randrange(8)])
        if chance.random() < 0.3:
            at = chance.randrange(len(found) // 4) * 4
            found[at : at + 4] = chance.choice([b"\xff" * 4, bytes(4), b"\xff\xff\xff\x7f"])
    return bytes(found)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_a_failure_or_harmless_and_never_ends_the_process(
    kind: str, tmp_path: Path
) -> None:
    chance = random.Random(kind)
    cells: list[Cell] = [(chance.randbytes(30), "a.png"), (None, None), (b"short", "b.png")] * 2
    for compression in (None, "zstd"):
        for footer in (False, True):
            data = written(cells, kind, footer, chance, compression=compression)
            for _ in range(60):
                _, wrong = read(write(tmp_path / "m.arrow", damaged(data, chance)))
                assert all("\n" not in text for text in wrong)


def test_a_stream_that_goes_on_behind_its_end_is_not_taken_for_whole(tmp_path: Path) -> None:
    data = written([(b"1", None)], "binary", False, random.Random(2))
    cells, wrong = read(write(tmp_path / "m.arrow", data * 2))
    assert (len(cells), len(wrong)) == (2, 1)


def test_a_footer_that_forgets_a_batch_is_damaged(tmp_path: Path) -> None:
    data = written([(b"1", None)], "binary", True, random.Random(3))
    start = len(data) - 10 - int.from_bytes(data[-10:-6], "little")
    found = [
        read(write(tmp_path / "m.arrow", data[:at] + b"\1\0\0\0" + data[at + 4 :]))
        for at in range(start, len(data) - 10, 4)
        if data[at : at + 4] == b"\2\0\0\0"
    ]
    assert ([], ["damaged: its footer leaves out a part of the file"]) in found
    assert all(wrong or len(cells) == 2 for cells, wrong in found)


@pytest.mark.parametrize("name", ["arrow-segv", "arrow-unexpected"])
def test_files_that_crashed_a_process(name: str) -> None:
    for where in shared_case(f"damaged/{name}").iterdir():
        assert read(where)[1]
