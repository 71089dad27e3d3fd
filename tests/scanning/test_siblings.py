"""Several files of one image: stopped where they differ in kind; sequences and splits are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import maskstat as ms
from maskstat.errors import SourceError
from maskstat.readers import formats
from maskstat.scanning.checking import counted_findings
from maskstat.scanning.sibling_names import Sample, parts_of
from maskstat.sources.base import Selection
from maskstat.sources.opening import open_source
from tests.support.loops import at_least_one
from tests.support.paths import CAMVID, SHARED
from tests.support.scan_cases import write
from tests.support.source_cases import zip_of

Pixels = NDArray[np.int64]
COLOURS = np.random.default_rng(7).integers(0, 256, (64, 3))


def patches(seed: int, values: int = 6) -> Pixels:
    """A mask of patches, in which many of the values occur."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, values, (6, 7)).repeat(5, axis=0).repeat(5, axis=1)


def save(path: Path, pixels: Pixels, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if pixels.ndim == 3 or pixels.max() < 256:
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    else:
        Image.fromarray(pixels.astype(np.uint16)).save(path)


def photo(pixels: Pixels) -> Pixels:
    noise = np.random.default_rng(int(pixels.sum())).integers(0, 200, (*pixels.shape, 3))
    return noise + pixels[..., None]


# What else there may be of an image, of a kind of its own.
OTHERS: dict[str, Callable[[Pixels], Pixels]] = {
    "colours": lambda pixels: COLOURS[pixels],
    "photographs": photo,
    "other codes": lambda pixels: (pixels * 7 + 3) % 31,
    "instances": lambda pixels: pixels * 1000 + np.arange(pixels.shape[1]) // 10,
    "coarser": lambda pixels: (pixels > 2) * 9 + 30,
}
SUFFIXES = ["_labelIds", "_color", "_gtFine_instanceIds", "-mask", ".seg", "_L", "_leftImg8bit", ""]
STEMS = ["{:06}", "aachen_{:06}_000019", "img{}", "IMG-2020.{:03}", "frame {}", "a_b_{}"]
SPLITS = ["train", "val", "test"]


def scanned(where: Path, **options: object) -> ms.Scan:
    return ms.scan(where, db=where.parent / "kept.db", **options)  # type: ignore[arg-type]


def stopped(where: Path, **options: object) -> str:
    """What the error says; no store is left."""
    with pytest.raises(SourceError, match="several files for each image") as caught:
        scanned(where, **options)
    assert not (where.parent / "kept.db").exists()
    assert str(caught.value).isprintable()
    return str(caught.value)


# --- what is stopped ---------------------------------------------------------------------------


@settings(max_examples=40)
@given(data=st.data())
def test_files_that_differ_by_a_suffix_and_in_kind_are_stopped(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("suffixes") / "masks"
    one, other = data.draw(st.lists(st.sampled_from(SUFFIXES), min_size=2, max_size=2, unique=True))
    stem = data.draw(st.sampled_from(STEMS))
    kind = data.draw(st.sampled_from(sorted(OTHERS)))
    folders = data.draw(st.sampled_from([["."], ["train", "val"], ["a/b", "c"]]))
    for n in range(data.draw(st.integers(2, 6))):
        pixels = patches(n)
        name = f"{folders[n % len(folders)]}/{stem.format(n)}"
        save(root / f"{name}{one}.png", pixels)
        save(root / f"{name}{other}.png", OTHERS[kind](pixels))
    said = stopped(root)
    for suffix in at_least_one([s for s in (one, other) if s]):
        assert f"*{suffix}.png" in said
    assert "include=" in said


@settings(max_examples=30)
@given(data=st.data())
def test_folders_of_equal_names_that_differ_in_kind_are_stopped(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("folders") / "set"
    kind = data.draw(st.sampled_from(sorted(OTHERS)))
    above = data.draw(st.sampled_from([["{}"], ["{}/train", "{}/val"], ["train/{}"], ["x/{}/y/z"]]))
    for n in range(data.draw(st.integers(2, 6))):
        pixels = patches(n)
        folder = above[n % len(above)]
        save(root / folder.format("SegClass") / f"{n:04}.png", pixels)
        save(root / folder.format("SegOther") / f"{n:04}.png", OTHERS[kind](pixels))
    said = stopped(root)
    assert "SegClass/*" in said and "SegOther/*" in said


def test_what_the_user_chose_is_not_asked_for_again(tmp_path: Path) -> None:
    root = tmp_path / "masks"
    for n in range(3):
        save(root / f"{n}_a.png", patches(n))
        save(root / f"{n}_b.png", OTHERS["other codes"](patches(n)))
    stopped(root)
    stopped(Path(f"{root}"), split=None)
    with scanned(root, include="*_a.png") as scan:
        assert scan.histogram.mask_count == 3
    for chosen in ({"include": "*.png"}, {"exclude": "*.json"}):
        with scanned(root, **chosen) as scan:
            assert scan.histogram.mask_count == 6
    with ms.scan(f"{root}/*.png") as scan:
        assert scan.histogram.mask_count == 6


@pytest.mark.parametrize("kept", [0, 1, 5])
def test_of_many_files_only_names_are_listed_and_the_same_is_said(
    kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "masks"
    for n in range(3):
        save(root / f"{n}_a.png", patches(n))
        save(root / f"deep/{n}_b.png", patches(n))
        save(root / f"deep/{n}_c.png", OTHERS["other codes"](patches(n)))
    said = stopped(root)
    monkeypatch.setattr("maskstat.scanning.siblings.KEPT_ENTRIES", kept)
    assert stopped(root) == said
    source = open_source(str(root), Selection(suffixes=formats.SUFFIXES))
    whole, sketched = list(source.entries()), list(source.sketched(kept))
    assert [entry.size > 0 for entry in sketched] == [at < kept for at in range(9)]
    assert list(map(source.seen, sketched)) == whole
    gone = next(entry for entry in sketched if entry.name == "2_a.png")
    (root / gone.name).unlink()
    assert source.seen(gone) == gone


def test_a_zip_is_stopped_like_its_folder(tmp_path: Path) -> None:
    root = tmp_path / "masks"
    for n in range(3):
        save(root / f"{n}_a.png", patches(n))
        save(root / f"{n}_b.png", OTHERS["other codes"](patches(n)))
    files = {path.name: path.read_bytes() for path in root.iterdir()}
    (tmp_path / "masks.zip").write_bytes(zip_of(files))
    folder, archive = stopped(root), stopped(tmp_path / "masks.zip")
    assert archive.replace("masks.zip", "masks") == folder


# --- what is not -------------------------------------------------------------------------------


@settings(max_examples=40)
@given(data=st.data())
def test_splits_and_sequences_of_equal_names_are_no_siblings(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("sequences") / "masks"
    folders = data.draw(
        st.sampled_from(
            [SPLITS, ["seq01", "seq02", "seq10"], ["bear", "dog", "kite"], ["train/a", "val/b"]]
        )
    )
    names = data.draw(st.sampled_from(["{:05}.png", "frame_{}.png", "x_{}_mask.png"]))
    values = data.draw(st.lists(st.integers(1, 9), min_size=3, max_size=3))
    for at, folder in enumerate(folders):
        for n in range(data.draw(st.integers(2, 4))):
            pixels = patches(100 * at + n, values[at])
            save(root / folder / names.format(n), pixels + at)
    with scanned(root) as scan:
        assert scan.failures == ()
        assert "siblings" not in {f.kind for f in counted_findings(scan)}


@given(st.permutations(range(4)))
def test_sequences_of_one_folder_are_no_siblings(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    root = tmp_path_factory.mktemp("frames") / "masks"
    for at, name in enumerate(("a_left", "a_right", "b_left", "b_right")):
        save(root / f"{name}.png", patches(order[at], 4 + at))
    with scanned(root) as scan:
        assert scan.histogram.mask_count == 4


def test_copies_are_no_siblings(tmp_path: Path) -> None:
    for n in range(3):
        for folder in ("masks", "copy"):
            save(tmp_path / "set" / folder / f"{n}.png", patches(n))
    with scanned(tmp_path / "set") as scan:
        assert scan.histogram.mask_count == 6


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "root", "end"),
    [
        (
            "a/aachen_000000_000019_gtFine_labelIds.png",
            "aachen_000000_000019",
            "_gtFine_labelIds.png",
        ),
        ("x_leftImg8bit.png", "x", "_leftImg8bit.png"),
        ("frame_0001.png", "frame_0001", ".png"),
        ("img_jpg.rf.00031_mask.png", "img_jpg.rf.00031", "_mask.png"),
        ("scan_01.nii.gz", "scan_01", ".nii.gz"),
        ("_mask.png", "_mask", ".png"),
        (".png", ".png", ""),
        ("a_t1.png", "a_t1", ".png"),
    ],
)
def test_names_in_parts(name: str, root: str, end: str) -> None:
    assert parts_of(name)[1:] == (root, end)


class Item(str):
    @property
    def name(self) -> str:
        return str(self)


@given(st.lists(st.text(max_size=12)), st.randoms())
def test_a_sample_depends_on_no_order(names: list[str], random: object) -> None:
    found = []
    for ordered in (names, names[::-1]):
        sample = Sample[Item]()
        for name in ordered:
            sample.add(Item(name))
        found.append([sorted(family.pairs) for family in sample.families()])
    assert found[0] == found[1]


PIECES = [
    "task-",
    "-tag-a-1",
    "1",
    "x",
    "_",
    "-",
    ".",
    "é",
    "²",
    "٣",
    ".gz",
    ".zip",
    ".png",
    "/",
    "_m",
]


@settings(max_examples=400)
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=6).map("".join), max_size=8))
def test_the_root_of_a_name_does_not_depend_on_the_names_before_it(names: list[str]) -> None:
    sample = Sample[Item]()
    for name in names:
        sample.add(Item(name))
    assert set(sample._found) == {parts_of(name).root for name in names}


def test_a_sample_stays_small_and_still_sees_siblings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskstat.scanning.sibling_names.MOST", 64)
    names = [Item(f"{n:06}_{end}.png") for n in range(20_000) for end in ("a", "b")]
    found = []
    for ordered in (names, names[::-1]):
        sample = Sample[Item]()
        for name in ordered:
            sample.add(name)
            assert sample._kept <= 64
        found.append([family.pairs for family in sample.families()])
    assert found[0] == found[1]
    assert [[a.text, b.text] for family in found[0] for a, b in family] == [["_a.png", "_b.png"]]


# --- presets -----------------------------------------------------------------------------------


def cityscapes(root: Path) -> None:
    for n in range(3):
        pixels = patches(n, 3)
        for end, codes in (
            ("labelIds", np.array([7, 8, 11])),
            ("labelTrainIds", np.array([0, 1, 2])),
            ("instanceIds", np.array([7, 8, 11001])),
            ("color", COLOURS[:3]),
        ):
            save(
                root / "train" / "aachen" / f"aachen_{n:06}_000019_gtFine_{end}.png", codes[pixels]
            )


def test_a_preset_takes_its_own_masks_and_says_so(tmp_path: Path) -> None:
    cityscapes(tmp_path / "gtFine")
    counts = []
    for preset, pattern in (
        ("cityscapes", "*_labelIds.png"),
        ("cityscapes-train-ids", "*_labelTrainIds.png"),
    ):
        with scanned(tmp_path / "gtFine", classes=preset) as scan:
            assert scan.changes is not None
            assert (scan.histogram.mask_count, scan.changes.skipped) == (3, 9)
            assert scan.changes.pattern == pattern
            assert all(name.endswith(pattern[1:]) for name in at_least_one(scan.ledger.names))
            assert len(list(scan.entries())) == 3
            counts.append(scan.histogram.pixels[:3].tolist())
    assert counts[0] == counts[1]
    (tmp_path / "kept.db").unlink()
    assert "*_gtFine_instanceIds.png (16-bit" in stopped(tmp_path / "gtFine", classes=19)


def test_a_preset_takes_what_there_is(tmp_path: Path) -> None:
    for n in range(3):
        save(tmp_path / "masks" / f"{n}.png", patches(n))
    with scanned(tmp_path / "masks", classes="cityscapes") as scan:
        assert scan.changes is not None
        assert (scan.histogram.mask_count, scan.changes.pattern) == (3, None)


def test_a_voc_root(tmp_path: Path) -> None:
    for n in range(3):
        for folder, pixels in (
            ("JPEGImages", photo(patches(n))),
            ("SegmentationClass", patches(n)),
            ("SegmentationObject", patches(n) % 4),
        ):
            save(tmp_path / "VOC2012" / folder / f"2007_{n:06}.png", pixels)
    with scanned(tmp_path / "VOC2012", classes="voc") as scan:
        assert scan.ledger.names == tuple(f"SegmentationClass/2007_{n:06}.png" for n in range(3))
    (tmp_path / "kept.db").unlink()
    assert "JPEGImages/* (photographs)" in stopped(tmp_path / "VOC2012")


# --- check -------------------------------------------------------------------------------------


def test_check_finds_what_was_counted_together(tmp_path: Path) -> None:
    cityscapes(tmp_path / "gtFine")
    with scanned(tmp_path / "gtFine", include="*Ids.png") as scan:
        (found,) = (f for f in counted_findings(scan) if f.kind == "siblings")
        assert found.count == 3
        assert [detail["masks"] for detail in found.details] == [
            "*_gtFine_instanceIds.png",
            "*_gtFine_labelIds.png",
            "*_gtFine_labelTrainIds.png",
        ]
    with scanned(tmp_path / "gtFine", classes="cityscapes") as scan:
        assert "siblings" not in {f.kind for f in counted_findings(scan)}


# --- what is no set of masks at all ------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "said"), [("jpg", "3 JPEGs"), ("png", "3 PNGs")])
def test_a_folder_of_photographs_is_called_that(suffix: str, said: str, tmp_path: Path) -> None:
    for n in range(3):
        save(tmp_path / "images" / f"{n}.{suffix}", photo(patches(n)))
    with pytest.raises(SourceError, match=f"{said} look like photographs, not masks; give the"):
        scanned(tmp_path / "images")
    (tmp_path / "masks").mkdir()
    with pytest.raises(SourceError) as caught:
        scanned(tmp_path / "images", classes=3)
    assert str(caught.value).endswith(f"did you mean {tmp_path / 'masks'}?")
    assert not (tmp_path / "kept.db").exists()
    with scanned(tmp_path / "images", include="*") as scan:
        assert len(scan.failures) == 3


@pytest.mark.parametrize(
    ("suffix", "said"),
    [("hdf", "HDF5"), ("HDF", "HDF5"), ("pkl", "pickle")],
)
def test_formats_that_are_not_read_are_named(suffix: str, said: str, tmp_path: Path) -> None:
    for n in range(3):
        write(tmp_path / "set" / f"a/{n}.{suffix}", b"?")
    write(tmp_path / "set" / "README", b"?")
    with pytest.raises(SourceError, match=f"no masks found.*{said}'s suffix"):
        scanned(tmp_path / "set")


def test_camvid_s_photographs() -> None:
    where = CAMVID / "val" / "images"
    if not where.exists():
        pytest.skip("real masks are absent: ../shared")
    count = sum(1 for _ in where.iterdir())
    with pytest.raises(SourceError) as caught:
        ms.scan(where)
    assert f"{count} " in str(caught.value)
    assert str(caught.value).endswith(f"did you mean {CAMVID.resolve() / 'val' / 'masks'}?")


# --- the cases ---------------------------------------------------------------------------------


def case(name: str) -> Path:
    where = SHARED / "cases" / name
    if not where.exists():
        pytest.skip("real masks are absent: ../shared")
    return where


def test_the_case_of_a_cityscapes_root() -> None:
    scan = ms.scan(case("cityscapes-root") / "gtFine", classes="cityscapes")
    assert scan.histogram.mask_count == 2
    assert int(scan.histogram.pixels[scan.catalog.names.index("building")]) == 1400


def test_the_case_of_roboflow_tells_photographs_from_masks() -> None:
    where = case("roboflow")
    with pytest.raises(SourceError) as caught:
        ms.scan(where)
    assert "*.jpg (photographs), *_mask.png (8-bit, 0, 1, 2)" in str(caught.value)
    assert str(caught.value).endswith("say which ones are the masks: include='*_mask.png'")
    scan = ms.scan(where, include="*_mask.png")
    assert scan.changes is not None and scan.changes.splits == ("train", "valid")
    assert scan.failures == ()


def test_images_that_take_much_memory_are_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan counts them in bands, and nobody asks of one whether it is a photograph."""
    for number in range(2):
        save(tmp_path / f"{number}.png", photo(patches(number)))
    with pytest.raises(SourceError, match="photographs"):
        ms.scan(tmp_path, classes=3)
    pixels = patches(0).size
    monkeypatch.setattr("maskstat.scanning.siblings._MOST_DECODED", pixels)
    with pytest.raises(SourceError, match="photographs"):
        ms.scan(tmp_path, classes=3)
    monkeypatch.setattr("maskstat.scanning.siblings._MOST_DECODED", pixels - 1)
    with ms.scan(tmp_path, classes=3) as scan:
        assert len(scan.failures) == 2  # photographs are still no masks
