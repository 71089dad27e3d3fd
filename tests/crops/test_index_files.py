"""Class indices as files: what is loaded is what was saved; all else is refused in one line."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.crops.class_index import ClassIndex
from maskstat.errors import FileFormatError
from maskstat.values.catalog import ClassCatalog, ClassInfo
from tests.crops.test_class_index import CLASSES, Masks, indexed, label_sets

Arrays = dict[str, np.ndarray]


def same(one: ClassIndex, other: ClassIndex) -> bool:
    """Whether two indices are equal, down to the last pixel."""
    assert one.names == other.names
    assert one.catalog == other.catalog
    assert (one.sizes == other.sizes).all()
    assert (one.class_pixels == other.class_pixels).all()
    for k in np.flatnonzero(one.class_pixels).tolist():
        ranks = np.arange(one.pixels(k))
        pairs = zip(one.pixel(k, ranks), other.pixel(k, ranks), strict=True)
        assert all((mine == its).all() for mine, its in pairs)
    return True


@given(label_sets())
def test_an_index_comes_back(tmp_path_factory: pytest.TempPathFactory, masks: Masks) -> None:
    path = tmp_path_factory.mktemp("index") / "index.npz"
    index = indexed(masks)
    assert index.save(path) == path
    loaded = ClassIndex.load(path)
    assert same(loaded, index)
    again = loaded.save(path.with_name("again.npz"))
    assert again.read_bytes() == path.read_bytes()
    for one in (loaded, index):
        assert same(pickle.loads(pickle.dumps(one)), index)


def test_a_loaded_index_is_pickled_by_its_path(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    index = indexed([rng.integers(0, CLASSES, (300, 300))])
    loaded = ClassIndex.load(index.save(tmp_path / "index.npz"))
    assert len(pickle.dumps(loaded)) < 1000 < len(pickle.dumps(index))


def test_numpy_reads_it_without_pickles(tmp_path: Path) -> None:
    path = indexed([np.eye(5, dtype=int)] * 3).save(tmp_path / "index.npz")
    with np.load(path, allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
        assert about["names"] == ["m0", "m1", "m2"]
        assert arrays["sizes"].tolist() == [[5, 5]] * 3
        assert {name: arrays[name].dtype.kind for name in arrays} == dict.fromkeys(arrays, "u")


def test_odd_names(tmp_path: Path) -> None:
    names = ["\x1b[2J.png", "a\nb", "é\udcff", "../x"]
    catalog = ClassCatalog((ClassInfo(0, "sky ☁", (7,)), ClassInfo(1, "x", ())))
    index = ClassIndex.of_labels(names, [np.zeros((1, 2), int)] * 4, catalog)
    assert same(ClassIndex.load(index.save(tmp_path / "index.npz")), index)


def rewritten(path: Path, change: Callable[[Arrays], None]) -> Path:
    """The same file with other arrays, as NumPy writes them."""
    with np.load(path) as file:
        arrays: Arrays = dict(file)
    change(arrays)
    target = path.with_name("hostile.npz")
    with zipfile.ZipFile(target, "w") as archive:
        for name, array in arrays.items():
            stream = io.BytesIO()
            np.save(stream, array)
            archive.writestr(f"{name}.npy", stream.getvalue())
    return target


def about(**words: object) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        said = {**json.loads(arrays["about"].tobytes()), **words}
        arrays["about"] = np.frombuffer(json.dumps(said).encode(), np.uint8)

    return change


def put(name: str, array: object) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name] = np.asarray(array)

    return change


def number(name: str, at: int, value: int) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        array = arrays[name].copy()
        array.reshape(-1)[at] = value
        arrays[name] = array

    return change


HOSTILE: dict[str, tuple[Callable[[Arrays], None], str]] = {
    "another format": (about(format="weights"), "is no class index"),
    "a later version": (about(schema=2), "newer maskstat"),
    "no names": (about(names=None), "names"),
    "numbers as names": (about(names=[1, 2]), "names"),
    "a name twice": (about(names=["a", "a"]), "two masks of one name"),
    "a name too many": (about(names=["a", "b", "c"]), "contradict"),
    "no classes": (about(catalog={}), "classes"),
    "a class of no name": (about(catalog={"classes": [{"values": [0]}]}), "class"),
    "not JSON": (put("about", np.zeros(9, np.uint8)), "is no class index"),
    "a pickle": (put("sizes", np.array([{}, {}], object)), "no class index|another kind"),
    "floats": (put("sizes", np.ones((2, 2), "<f4")), "another kind"),
    "more sizes": (put("sizes", np.ones((3000, 2), "<u4")), "impossible size"),
    "more blocks": (put("blocks", np.ones(1 << 20, "<u4")), "impossible size"),
    "wide data": (put("data", np.zeros(9, "<u2")), "no array of bytes"),
    "data cut off": (put("data", np.zeros(1, np.uint8)), "contradict"),
    "no height": (number("sizes", 0, 0), "contradict"),
    "a mask too large": (number("sizes", 0, 2**32 - 1), "contradict"),
    "a mask too small": (number("sizes", 0, 1), "contradict"),
    "a mask too narrow": (number("sizes", 1, 7), "no runs"),
    "a class that there is not": (number("classes", 0, 99), "contradict"),
    "a class twice": (number("classes", 0, 1), "contradict"),
    "a block too many": (number("blocks", 0, 2), "contradict"),
    "no block": (number("blocks", 0, 0), "contradict"),
    "an entry too many": (number("entries", 0, 3), "contradict"),
    "no pixel": (number("pixels", 0, 0), "contradict"),
    "a pixel more": (number("pixels", 0, 13), "no runs"),
    "a byte more": (number("lengths", 0, 40), "contradict"),
    "other bytes": (number("data", 0, 255), "no runs"),
}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Two masks, the first 6 x 8 with 12 pixels of class 0 and 28 of class 1."""
    mask = np.ones((6, 8), int)
    mask[0] = -1
    mask[1:5, 2:5] = 0
    return indexed([mask, mask.T]).save(tmp_path / "index.npz")


@pytest.mark.parametrize(("change", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files(saved: Path, change: Callable[[Arrays], None], message: str) -> None:
    with pytest.raises(FileFormatError, match=message) as raised:
        ClassIndex.load(rewritten(saved, change))
    assert "\n" not in str(raised.value)
    assert "hostile.npz" in str(raised.value)


def test_the_change_is_what_is_wrong(saved: Path) -> None:
    """Rewritten without a change, the file is fine."""
    assert same(ClassIndex.load(rewritten(saved, lambda _: None)), ClassIndex.load(saved))


def test_every_bit_that_changes_is_seen_or_says_nothing(saved: Path) -> None:
    """Dates and the like are no part of an index."""
    content, index = saved.read_bytes(), ClassIndex.load(saved)
    rng = np.random.default_rng(0)
    seen = 0
    for at in rng.choice(len(content), 400, replace=False).tolist():
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(rng.integers(8))
        path = saved.with_name("damaged.npz")
        path.write_bytes(damaged)
        try:
            loaded = ClassIndex.load(path)
        except FileFormatError:
            seen += 1
        else:
            assert same(loaded, index)
    assert seen > 200


@given(st.data())
def test_a_file_cut_off(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = indexed([np.eye(9, dtype=int)]).save(tmp_path_factory.mktemp("cut") / "index.npz")
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(FileFormatError, match="no class index"):
        ClassIndex.load(path)


def test_a_member_that_expands_without_bound(saved: Path) -> None:
    with np.load(saved) as file:
        arrays: Arrays = dict(file)
    target = saved.with_name("bomb.npz")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            stream = io.BytesIO()
            np.save(stream, np.zeros(1 << 26, np.uint8) if name == "about" else array)
            archive.writestr(f"{name}.npy", stream.getvalue())
    with pytest.raises(FileFormatError, match="compressed"):
        ClassIndex.load(target)


def test_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="can't be read: No such file"):
        ClassIndex.load(tmp_path / "index.npz")
    with pytest.raises(FileFormatError, match="can't be read"):
        ClassIndex.load(tmp_path)
    index = indexed([np.zeros((1, 1), int)])
    with pytest.raises(FileFormatError, match=r"a class index is a \.npz; call it index\.npz"):
        index.save(tmp_path / "index.json")
    with pytest.raises(FileFormatError, match="there is no folder"):
        index.save(tmp_path / "no" / "index.npz")
