"""Weight files that are none: one clear line, whatever the bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from maskstat.errors import FileFormatError
from maskstat.files.documents.formats import SUFFIXES
from maskstat.weights.table import load_weights
from tests.support.strategies import names

weights = st.floats(0, allow_infinity=False, allow_nan=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | weights | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("w.json", b""),
        ("w.json", b"{"),
        ("w.json", b"\xff\xfe\x00"),
        ("w.json", b"null"),
        ("w.json", b"3"),
        ("w.json", b"[]"),
        ("w.json", b"{}"),
        ("w.json", b'["a"]'),
        ("w.json", b"[1, NaN]"),
        ("w.json", b"[1, Infinity]"),
        ("w.json", b"[1, -1]"),
        ("w.json", b"[1, null]"),
        ("w.json", b"[1, [2]]"),
        ("w.json", b"[1e999]"),
        ("w.json", b"[1" + b"0" * 400 + b"]"),
        ("w.json", b"[1" + b"0" * 5000 + b"]"),
        ("w.json", b"[" * 100_000),
        ("w.json", b'{"0": 1, "2": 1}'),
        ("w.json", b'{"0": 1, "00": 1}'),
        ("w.json", b'{"a": 1}'),
        ("w.json", b'{"weights": 3}'),
        ("w.json", b'{"weights": "123"}'),
        ("w.json", b'{"weights": {"0": 1}}'),
        ("w.json", b'{"weights": []}'),
        ("w.json", b'{"weights": [1], "classes": ["a", "b"]}'),
        ("w.json", b'{"weights": [1], "classes": [["a"]]}'),
        ("w.json", b'{"weights": [1], "pixels": [1.5, 2]}'),
        ("w.json", b'{"weights": [1], "pixels": [-1]}'),
        ("w.json", b'{"weights": [1], "pixels": [1e999]}'),
        ("w.json", b'{"weights": [1], "pixels": ["x"]}'),
        ("w.json", b'{"weights": [1], "pixels": [99999999999999999999]}'),
        ("w.json", b'{"weights": [1], "clip": ["a", "b"]}'),
        ("w.json", b'{"weights": [1], "clip": [2, 1]}'),
        ("w.json", b'{"weights": [1], "clip": [1]}'),
        ("w.json", b'{"weights": [1], "scheme": ["a"]}'),
        ("w.json", b'{"weights": [1], "normalisation": 3}'),
        ("w.json", b'{"weights": [1], "reduction": {}}'),
        ("w.json", b'{"weights": [1], "format": "something else"}'),
        ("w.json", b'{"weights": [1], "format": ["x"]}'),
        ("w.json", b'{"weights": [1], "schema": 3}'),
        ("w.json", b'{"weights": [1], "schema": 0}'),
        ("w.json", b'{"weights": [1], "schema": "1"}'),
        ("w.yaml", b"a: b: c"),
        ("w.yaml", b"weights: [.nan]"),
        ("w.yaml", b"weights: &a [*a]"),
        ("w.yaml", b"- &a 1\n- *a\n"),
        ("w.yaml", b"[0x" + b"f" * 900 + b"]"),
        ("w.yaml", b"!!python/object/apply:os.abort []"),
        ("w.yaml", b"\xff"),
        ("w.csv", b""),
        ("w.csv", b"weight\n"),
        ("w.csv", b"weight\nx\n"),
        ("w.csv", b"weight\n1,2\n"),
        ("w.csv", b"name\na\n"),
        ("w.csv", b'weight\n"1'),
        ("w.csv", b'weight\n"1"x\n'),
        ("w.csv", b"# [1]\nweight\n1\n"),
        ("w.csv", b"# mine\nweight\n1\n"),
        ("w.csv", b"index,weight\n0,1\n0,2\n"),
        ("w.csv", b"index,weight\nx,1\n"),
        ("w.csv", b"weight\n\0\n"),
        ("w.csv", b"weight\n" + b"9" * 200_000),
        ("w.txt", b""),
        ("w.txt", b"1 2\n"),
        ("w.txt", b"# {\n1\n"),
        ("w.txt", b'# {"schema": 9}\n1\n'),
        ("w.txt", b"inf\n"),
        ("w.npy", b""),
        ("w.npy", b"PK\3\4"),
        ("w.npy", b"\x93NUMPY\1\0\xff\xff"),
        ("w.npy", b"\x80\4N."),
    ],
)
def test_malformed_files(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FileFormatError) as caught:
        load_weights(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 200


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 2)),
        np.zeros(0),
        np.array(1.0),
        np.array(["1.0"]),
        np.array([1j]),
        np.array([True]),
        np.array([np.nan]),
        np.array([-1.0]),
        np.zeros(2, [("a", "f8")]),
    ],
)
def test_arrays_that_are_no_weights(tmp_path: Path, array: NDArray[Any]) -> None:
    np.save(tmp_path / "w.npy", array)
    with pytest.raises(FileFormatError):
        load_weights(tmp_path / "w.npy")


def test_an_npy_header_that_claims_more_than_there_is(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.zeros(3))
    data = (tmp_path / "w.npy").read_bytes()
    (tmp_path / "w.npy").write_bytes(data.replace(b"(3,), }        ", b"(10**15,), }   "))
    with pytest.raises(FileFormatError):
        load_weights(tmp_path / "w.npy")
    (tmp_path / "w.npy").write_bytes(
        data.replace(b"(3,), }               ", b"(999999999999999,), } ")
    )
    with pytest.raises(FileFormatError):
        load_weights(tmp_path / "w.npy")


def test_a_bomb_of_aliases_is_refused_at_once(tmp_path: Path) -> None:
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40))
    path = tmp_path / "w.yaml"
    path.write_text(f"a0: &a0 [x]\n{levels}\nscheme: *a39\nclasses: [*a39]\nweights: [1]\n")
    with pytest.raises(FileFormatError):
        load_weights(path)


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "w.json").open("wb") as file:
        file.truncate(1 << 34)
    with pytest.raises(FileFormatError, match="larger than 256 MiB"):
        load_weights(tmp_path / "w.json")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="can't be read"):
        load_weights(tmp_path / "w.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(FileFormatError, match="can't be read"):
        load_weights(tmp_path / "folder.json")


keys = st.sampled_from(
    ["weights", "classes", "pixels", "format", "schema", "scheme", "parameters", "clip", "absent"]
)
columns = st.lists(json_values, max_size=3)


@settings(max_examples=150)
@given(document=json_values | st.dictionaries(keys, json_values | columns, max_size=6))
def test_any_document_is_a_table_or_an_error(tmp_path: Path, document: Any) -> None:
    for name, text in (("w.json", json.dumps(document)), ("w.yaml", yaml.safe_dump(document))):
        (tmp_path / name).write_text(text, encoding="utf-8")
        try:
            table = load_weights(tmp_path / name)
        except FileFormatError:
            continue
        assert np.isfinite(table.weights).all()
        assert len(table.names) == table.weights.size


@settings(max_examples=150)
@given(
    data=st.binary(max_size=60)
    | st.text('0123456789.,e-"[]{}:# \nweightindx', max_size=60).map(str.encode),
    suffix=st.sampled_from(SUFFIXES),
)
def test_any_bytes_are_a_table_or_an_error(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(data)
    message = f"{path}: "
    try:
        table = load_weights(path)
    except FileFormatError as error:
        message = str(error)
    else:
        assert np.isfinite(table.weights).all()
    assert message.startswith(f"{path}: ")
