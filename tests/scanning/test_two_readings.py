"""Values that can be read in two ways: 255 as class or void, labels that begin at 1."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import maskstat as ms
from maskstat.errors import (
    AbsentClassError,
    CatalogError,
    MaskstatError,
    ParameterError,
    UnlistedValuesError,
    WeightError,
)
from maskstat.values.catalog import ClassCatalog, ClassInfo
from tests.support.paths import SHARED
from tests.support.png_factory import png

CASES = SHARED / "cases"
NAMES = ["sky", "road", "car"]
BINARY = [[[0, 0, 255]], [[0, 0, 0]]]


def put(folder: Path, *masks: list[list[int]], bits: int = 8) -> Path:
    """A folder of grey masks, named by their place."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, mask in enumerate(masks):
        data = png(np.array(mask), bits, [0] * len(mask))
        (folder / f"{len(list(folder.iterdir()))}-{number}.png").write_bytes(data)
    return folder


# --- 255 ----------------------------------------------------------------------------------------


@pytest.mark.skipif(not CASES.is_dir(), reason="real masks are absent: ../shared")
@pytest.mark.parametrize("classes", [2, ["background", "crack"]])
def test_the_case_of_binary_masks(classes: int | list[str]) -> None:
    scan = ms.scan(CASES / "binary-0-255", classes=classes)
    assert scan.histogram.pixels.tolist() == [3300, 3900]
    assert scan.weights("balanced").weights == pytest.approx([1.090909, 0.923077], abs=1e-6)


@pytest.mark.parametrize("bits", [8, 16])
def test_255_of_binary_masks_is_class_1(tmp_path: Path, bits: int) -> None:
    scan = ms.scan(put(tmp_path, *BINARY, bits=bits), classes=2)
    assert scan.histogram.pixels.tolist() == [5, 1]
    assert scan.histogram.ignored == scan.histogram.unlisted == {}
    assert scan.ledger.pixels.tolist() == [2, 1, 3]
    assert scan.catalog.binary
    table = scan.weights("inverse")
    assert table.weights == pytest.approx([6 / 5, 6])
    assert table.provenance["catalog"] == "2 classes, 255 is class_1"
    assert [finding.kind for finding in scan.check()].count("binary-255") == 1


@pytest.mark.parametrize(
    "said",
    [
        {"classes": 2, "ignore": 255},
        {"classes": ClassCatalog(ClassCatalog.numbered(2).classes, ignore_255=False)},
        {"classes": 3},
        {"classes": 2, "ignore": 0},
    ],
)
def test_not_where_somebody_said_what_255_is(tmp_path: Path, said: dict[str, object]) -> None:
    scan = ms.scan(put(tmp_path, *BINARY), **said)  # type: ignore[arg-type]
    assert not scan.catalog.binary
    assert scan.histogram.pixels[1] == 0


def test_a_value_that_is_ignored_counts_for_nothing(tmp_path: Path) -> None:
    scan = ms.scan(put(tmp_path, [[0, 128, 255]]), classes=2, ignore=128)
    assert scan.histogram.pixels.tolist() == [1, 1]
    assert scan.under(2).histogram.pixels.tolist() == [1, 0]
    with pytest.raises(UnlistedValuesError, match="128"):
        scan.under(2).weights("balanced")


def test_every_way_to_read_a_store_agrees(tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    ms.scan(put(tmp_path / "m", *BINARY), classes=["sky", "road"], db=db).close()
    with ms.open_scan(db) as scan:
        assert scan.histogram.pixels.tolist() == [5, 1]
        assert scan.under(2).histogram.pixels.tolist() == [5, 1]
        assert scan.under(ignore=255).histogram.pixels.tolist() == [5, 0]
        assert scan.under(3).histogram.pixels.tolist() == [5, 0, 0]
        assert scan.histogram == scan.under(["sky", "road"]).histogram
    with ms.open_scan(db) as scan:  # its totals are kept by now
        assert scan.histogram.pixels.tolist() == [5, 1]


def test_masks_in_memory_and_given_counts_are_read_alike() -> None:
    assert ms.count(np.array([[0, 255]], np.uint8), classes=2).histogram.pixels.tolist() == [1, 1]
    counter = ms.MaskCounter(classes=2)
    counter.update(np.array([[0, 255]], np.uint8))
    assert counter.scan().histogram.pixels.tolist() == [1, 1]
    counter.update(np.array([[1, 1]], np.uint8))
    assert counter.scan().histogram.pixels.tolist() == [1, 2]
    assert ms.from_counts({0: 5, 255: 3}, classes=2).histogram.pixels.tolist() == [5, 3]


def test_splits_scanned_together_mean_the_same(tmp_path: Path) -> None:
    db, root = tmp_path / "s.db", tmp_path / "data"
    put(root / "train", *BINARY)
    put(root / "val", [[0, 0]])
    with ms.scan_splits(root, classes=2, db=db, profile=True, grid=4) as splits:
        train, val = splits["train"], splits["val"]
        assert train.histogram.pixels.tolist() == [5, 1]
        assert train.catalog.binary and val.catalog.binary
        assert len(train.compare(val).splits) == 2
        for scan in (train, val):
            assert scan.profile is not None
            assert scan.profile.catalog.digest == scan.catalog.digest
    with ms.open_scan(db, "data-val") as val:
        assert val.catalog.binary and val.under(2).catalog.binary


def test_a_split_whose_255_is_void_elsewhere_is_void(tmp_path: Path) -> None:
    db, root = tmp_path / "s.db", tmp_path / "data"
    put(root / "train", [[0, 1, 255]])
    put(root / "val", [[0, 255]])
    ms.scan_splits(root, classes=2, db=db).close()
    with ms.open_scan(db, "data-val") as val:
        assert val.histogram.pixels.tolist() == [1, 0]
        assert val.histogram.ignored_pixels == 1
        with pytest.raises(AbsentClassError, match="255 is ignored by default"):
            val.weights("balanced")


@pytest.mark.parametrize("classes", [2, None])
def test_a_later_mask_with_another_value_is_an_error(tmp_path: Path, classes: int | None) -> None:
    db, masks = tmp_path / "s.db", put(tmp_path / "m", *BINARY)
    ms.scan(masks, classes=classes, db=db).close()
    put(masks, [[0, 1]])
    words = r"value 1 came.*ignore=\[255\] where it is void.*values: \[1, 255\]"
    for _ in range(2):
        with pytest.raises(CatalogError, match=words):
            ms.scan(masks, classes=classes, db=db).close()
        with ms.open_scan(db) as scan, pytest.raises(CatalogError, match=words):
            scan.weights("balanced")
    with ms.scan(masks, classes=2, ignore=255, db=db) as void:
        assert void.histogram.pixels.tolist() == [6, 1]
    both = ClassCatalog((ClassInfo(0, "no", (0,)), ClassInfo(1, "yes", (1, 255))))
    with ms.scan(masks, classes=both, db=db) as scan:
        assert scan.histogram.pixels.tolist() == [6, 2]


@pytest.mark.parametrize("classes", [2, NAMES[:2], None])
@pytest.mark.parametrize("order", [("train", "val"), ("val", "train")])
@pytest.mark.parametrize("name", ["x-{}", None])
def test_splits_scanned_one_after_the_other_mean_the_same(
    tmp_path: Path, classes: int | list[str] | None, order: tuple[str, str], name: str | None
) -> None:
    db, root = tmp_path / "s.db", tmp_path / "data"
    put(root / "train", *BINARY)
    put(root / "val", [[0, 0]])
    for split in order:
        called = name and name.format(split)
        ms.scan(root / split, classes=classes, db=db, name=called).close()
    with ms.open_scan(db, "train") as train, ms.open_scan(db, "val") as val:
        assert train.catalog.binary and val.catalog.binary
        assert train.histogram.pixels.tolist() == [5, 1]
        assert val.histogram.pixels.tolist() == [2, 0]
        assert len(train.compare(val).splits) == 2


@pytest.mark.parametrize("classes", [2, None])
def test_a_later_split_with_another_value_is_an_error(tmp_path: Path, classes: int | None) -> None:
    db, root = tmp_path / "s.db", tmp_path / "data"
    ms.scan(put(root / "train", *BINARY), classes=classes, db=db).close()
    words = r"value 1 came \(in this split or another\).*ignore=\[255\].*values: \[1, 255\]"
    with pytest.raises(CatalogError, match=words):
        ms.scan(put(root / "val", [[0, 1, 255]]), classes=classes, db=db)
    with ms.open_scan(db, "train") as train, pytest.raises(CatalogError, match=words):
        train.weights("balanced")
    for split, pixels in (("train", [5, 0]), ("val", [1, 1])):
        with ms.scan(root / split, classes=2, ignore=255, db=db) as scan:
            assert scan.histogram.pixels.tolist() == pixels


def test_what_is_called_like_a_split_is_not_one_of_any_set(tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    ms.scan(put(tmp_path / "a" / "masks", *BINARY), classes=2, db=db, name="train").close()
    with ms.scan(put(tmp_path / "b", [[0, 1, 255]]), classes=2, db=db, name="val") as scan:
        assert scan.histogram.pixels.tolist() == [1, 1]
    with ms.open_scan(db, "train") as scan:
        assert scan.histogram.pixels.tolist() == [5, 1]


def test_inferred_splits_mean_the_same(tmp_path: Path) -> None:
    """Alone, the second would have a foreground, and the first none."""
    root = tmp_path / "data"
    put(root / "train", [[0, 1, 255]])
    put(root / "val", [[0, 255]])
    with ms.scan_splits(root) as splits:
        assert splits["train"].catalog.names == ("class_0", "class_1")
        assert splits["val"].catalog.names == ("class_0",)
        assert splits["val"].histogram.ignored_pixels == 1


def test_merged_inferred_shards_do_not_change_what_255_is(tmp_path: Path) -> None:
    stores = []
    for number, masks in enumerate((BINARY, [[[0, 0]]], [[[0, 1, 255]]])):
        stores.append(tmp_path / f"{number}.db")
        ms.scan(put(tmp_path / f"m{number}", *masks), db=stores[-1]).close()
    with ms.merge(stores[:2], tmp_path / "all.db") as merged:
        assert merged.catalog.names == ("background", "foreground")
        assert merged.histogram.pixels.tolist() == [7, 1]
    with pytest.raises(CatalogError, match=r"value 1 came.*ignore=\[255\].*values: \[1, 255\]"):
        ms.merge(stores, tmp_path / "bad.db")
    with pytest.raises(CatalogError, match="value 1 came"):
        ms.merge([tmp_path / "all.db", stores[2]], tmp_path / "bad.db")
    assert not (tmp_path / "bad.db").exists()
    void = ms.ClassCatalog(ClassCatalog.numbered(2).classes, ignored_values=frozenset({255}))
    with ms.merge(stores, tmp_path / "all.db", classes=void, force=True) as merged:
        assert merged.histogram.pixels.tolist() == [8, 1]


def test_masks_that_were_all_repaired_are_no_contradiction(tmp_path: Path) -> None:
    db, root = tmp_path / "s.db", tmp_path / "data"
    put(root / "train", *BINARY)
    put(root / "val", [[0, 255]])
    ms.scan_splits(root, classes=2, db=db).close()
    for split, mask in (("train", [[0, 1, 1]]), ("val", [[1, 1]])):
        for path in (root / split).iterdir():
            path.unlink()
        put(root / split, mask)
    with ms.scan_splits(root, classes=2, db=db) as splits:
        assert splits["train"].histogram.pixels.tolist() == [1, 2]
        assert splits["val"].histogram.pixels.tolist() == [0, 2]


def test_another_source_under_the_same_name_starts_anew(tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    ms.scan(put(tmp_path / "a", *BINARY), classes=2, db=db, name="x").close()
    with ms.scan(put(tmp_path / "b", [[0, 1, 255]]), classes=2, db=db, name="x") as scan:
        assert scan.histogram.pixels.tolist() == [1, 1]


def test_merged_shards_are_read_as_one(tmp_path: Path) -> None:
    stores = []
    for number, masks in enumerate((BINARY, [[[0, 0]]], [[[0, 1]]])):
        stores.append(tmp_path / f"{number}.db")
        folder = put(tmp_path / f"m{number}", *masks)
        ms.scan(folder, classes=2, db=stores[-1], profile=True, grid=4).close()
    with ms.merge(stores[:2], tmp_path / "all.db") as merged:
        assert merged.histogram.pixels.tolist() == [7, 1]
    with pytest.raises(CatalogError, match="value 1 came"):
        ms.merge(stores, tmp_path / "bad.db")
    assert not (tmp_path / "bad.db").exists()


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("ignore", [(), (255,)])
@pytest.mark.parametrize(
    "values", [v for n in (1, 2, 3, 4) for v in itertools.combinations((0, 1, 2, 255), n)]
)
def test_a_class_with_pixels_is_never_empty_in_silence(
    tmp_path: Path, values: tuple[int, ...], ignore: tuple[int, ...], named: bool, count: int
) -> None:
    """Every pixel of 255 is a class's, or said to be ignored, or `weights` says both.

    It stops but where several classes lack whatever 255 is, or one between two others.
    """
    masks = put(tmp_path, [list(values)])
    scan = ms.scan(masks, classes=[*NAMES, "tree"][:count] if named else count, ignore=ignore)
    histogram = scan.histogram
    total = histogram.pixels.sum() + histogram.ignored_pixels + histogram.unlisted_pixels
    assert total == len(values)
    binary = count == 2 and values == (0, 255) and not ignore
    assert scan.catalog.binary == binary
    assert histogram.present.tolist() == [k in values or (binary and k == 1) for k in range(count)]
    silent = 255 in values and not ignore and not binary and not histogram.unlisted
    if not silent or histogram.present.all():
        return
    if not named and (count, *values) in {(4, 0, 1, 255), (4, 0, 2, 255), (3, 0, 2, 255)}:
        said = " ".join(scan.weights("balanced").notes)
    else:
        with pytest.raises(WeightError) as caught:
            scan.weights("balanced")
        said = str(caught.value)
    assert "ignore=255 where 255 is void" in said
    assert "'values: [255]' where it is one" in said


@pytest.mark.parametrize("classes", [21, [f"c{k}" for k in range(21)]])
def test_a_few_masks_of_many_classes_may_have_void(
    tmp_path: Path, classes: int | list[str]
) -> None:
    """Pascal VOC: several classes lack whatever 255 is. That stops only who named them."""
    few = ms.scan(put(tmp_path / "few", [[0, 5, 7, 255, 255]]), classes=classes)
    assert few.histogram.doubtful_255 is not None and few.histogram.probable_255 is None
    assert [finding.kind for finding in few.check()].count("ignored-255") == 1
    if isinstance(classes, int):
        table = few.weights("balanced")
        assert any("2 pixels of 255 are ignored by default: ignore=255" in n for n in table.notes)
        assert not any("255" in n for n in few.under(ignore=255).weights("balanced").notes)
    else:
        with pytest.raises(AbsentClassError, match=r"'values: \[255\]' where it is one"):
            few.weights("balanced")
        with pytest.raises(AbsentClassError) as caught:
            few.under(ignore=255).weights("balanced")
        assert "255" not in str(caught.value)
    all_but_the_last = ms.scan(put(tmp_path / "most", [[*range(20), 255]]), classes=classes)
    with pytest.raises(AbsentClassError, match="ignore=255 where 255 is void"):
        all_but_the_last.weights("balanced")


def test_who_says_what_absent_classes_weigh_has_decided(tmp_path: Path) -> None:
    scan = ms.scan(put(tmp_path, [[0, 255]]), classes=3)
    assert [finding.kind for finding in scan.check()].count("ignored-255") == 1
    assert scan.weights("balanced", absent="zero").weights.tolist() == [1, 0, 0]
    assert scan.under(ignore=255).weights("balanced").weights.tolist() == [1, 1, 1]


# --- labels that begin at 1 ---------------------------------------------------------------------


@pytest.mark.skipif(not CASES.is_dir(), reason="real masks are absent: ../shared")
def test_the_case_of_labels_that_begin_at_1() -> None:
    case = CASES / "reduce-zero"
    scan = ms.scan(case / "ann", classes=case / "names.txt", reduce_zero_label=True)
    assert scan.catalog.names == ("polyp", "ulcer", "bleed")
    assert [info.values for info in scan.catalog.classes] == [(1,), (2,), (3,)]
    assert scan.histogram.unlisted == {} and list(scan.histogram.ignored) == [0]
    assert len(scan.weights("balanced")) == 3


@pytest.mark.parametrize("classes", [3, NAMES])
def test_the_shift_is_the_answer_where_0_is_ignored(
    tmp_path: Path, classes: int | list[str]
) -> None:
    db = tmp_path / "s.db"
    masks = put(tmp_path / "m", [[0, 1, 2, 3, 3]])
    scan = ms.scan(masks, classes=classes, ignore=0, db=db)
    with pytest.raises(UnlistedValuesError) as caught:
        scan.weights("balanced")
    assert "reduce_zero_label=True" in str(caught.value)
    assert "ignore" not in str(caught.value.remedy).replace("0 is ignored", "")
    for shifted in (
        scan.under(reduce_zero_label=True),
        scan.under(classes, reduce_zero_label=True),
        scan.under(reduce_zero_label=True).under(reduce_zero_label=True),
        ms.scan(masks, classes=classes, reduce_zero_label=True, db=db),
        ms.open_scan(db),
    ):
        assert shifted.histogram.pixels.tolist() == [1, 1, 2]
        assert shifted.histogram.unlisted == {} and list(shifted.histogram.ignored) == [0]
        assert len(shifted.weights("balanced")) == 3


def test_the_shift_is_named_where_the_largest_label_does_not_occur(tmp_path: Path) -> None:
    """Of a few masks of ADE20K: nothing is unlisted, and class k is not its value."""
    masks = put(tmp_path, [[0, 1, 2, 2]])
    said = " ".join(ms.scan(masks, classes=4, ignore=0).weights("balanced").notes)
    assert "reduce_zero_label=True where labels begin at 1" in said
    with pytest.raises(AbsentClassError, match="reduce_zero_label=True where labels begin at 1"):
        ms.scan(masks, classes=NAMES, ignore=0).weights("balanced")
    shifted = ms.scan(masks, classes=4, reduce_zero_label=True).weights("balanced")
    assert shifted.pixels.tolist() == [1, 2, 0, 0]
    assert not any("reduce_zero" in note for note in shifted.notes)


def test_both_readings_are_named_where_0_is_a_class(tmp_path: Path) -> None:
    """CamVid's void is 11 of 0..11, ADE20K's is 0 of 0..150."""
    masks = put(tmp_path, [list(range(12))])
    for classes in (11, [f"c{k}" for k in range(11)]):
        with pytest.raises(UnlistedValuesError) as caught:
            ms.scan(masks, classes=classes).weights("balanced")
        assert "ignore=[11] where 11 is void" in str(caught.value)
        assert "reduce_zero_label=True where 0 is void" in str(caught.value)
        assert ("classes=12 where there are 12" in str(caught.value)) == (classes == 11)


def test_a_value_that_may_be_a_class_is_never_only_to_be_ignored(tmp_path: Path) -> None:
    """BraTS has 0, 1, 2 and 4."""
    with pytest.raises(UnlistedValuesError, match=r"classes=5 where it is a class"):
        ms.scan(put(tmp_path, [[0, 1, 2, 4]]), classes=3).weights("balanced")


def test_255_stays_void_and_other_values_stay_unlisted(tmp_path: Path) -> None:
    scan = ms.scan(put(tmp_path, [[0, 1, 2, 255]]), classes=2, reduce_zero_label=True, ignore=7)
    assert scan.histogram.pixels.tolist() == [1, 1]
    assert set(scan.histogram.ignored) == {0, 255}
    scan = ms.scan(put(tmp_path / "more", [[0, 1, 2, 3]]), classes=2, reduce_zero_label=True)
    assert set(scan.histogram.unlisted) == {3}


def test_classes_that_the_shift_does_not_go_with(tmp_path: Path) -> None:
    masks = put(tmp_path, [[0, 1, 2]])
    with pytest.raises(ParameterError, match="not with those that are inferred"):
        ms.scan(masks, reduce_zero_label=True)
    other = ClassCatalog((ClassInfo(0, "sky", (1, 2)), ClassInfo(1, "road", (7,))))
    with pytest.raises(ParameterError, match="class 'sky' is 1 and 2"):
        ms.scan(masks, classes=other, reduce_zero_label=True)
    assert ms.scan(masks, classes="ade20k", reduce_zero_label=True).histogram.pixels[0] == 1


def test_the_call_for_a_profile_says_it(tmp_path: Path) -> None:
    scan = ms.scan(put(tmp_path, [[0, 1, 2]]), classes=2, reduce_zero_label=True)
    with pytest.raises(MaskstatError, match=r"classes=2, reduce_zero_label=True\)"):
        scan.need_profile()
