"""Checks that open files: duplicates, leakage between splits, images beside their masks."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from maskstat.api.making import open_scan, scan
from maskstat.api.scan import Scan
from maskstat.errors import CatalogError, MaskError, ParameterError, SourceError
from maskstat.files.image_headers import read_image_header
from maskstat.scanning.checking import IMAGE_SUFFIXES, check_images, check_scan
from maskstat.scanning.comparing import compare_scans
from maskstat.scanning.duplicates import Duplicates, Member, find_duplicates
from maskstat.statistics.findings import Finding

SIDE = 8


def picture(seed: int) -> np.ndarray:
    """A mask of three classes with the same counts whatever the seed."""
    flat = np.repeat(np.arange(3, dtype=np.uint8), [20, 20, SIDE * SIDE - 40])
    return np.random.default_rng(seed).permutation(flat).reshape(SIDE, SIDE)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Scan]]:
    """Scan masks, given by name, under a name, into one store."""
    opened: list[Scan] = []

    def made(name: str, masks: dict[str, np.ndarray], classes: Any = 3) -> Scan:
        for file, pixels in masks.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".npy":
                np.save(path, pixels)
            else:
                Image.fromarray(pixels).save(path)
        opened.append(scan(tmp_path / name, classes=classes, name=name, db=tmp_path / "scans.db"))
        return opened[-1]

    yield made
    for one in opened:
        one.close()


def kinds(findings: Any) -> dict[str, Finding]:
    return {finding.kind: finding for finding in findings}


def anything(names: Any) -> bool:
    return True


def test_duplicates_are_pixels_not_counts_and_not_encodings(make: Callable[..., Scan]) -> None:
    a, b = picture(1), picture(2)
    found = find_duplicates(
        [make("set", {"1.npy": a, "2.png": a, "3.npy": a.astype(np.int64), "4.npy": b})], anything
    )
    group = tuple(Member("set", name) for name in ("1.npy", "2.png", "3.npy"))
    assert found == Duplicates((group,), ())


def test_shape_matters(make: Callable[..., Scan]) -> None:
    a = picture(1)
    wide = a.reshape(SIDE // 2, SIDE * 2)
    assert find_duplicates([make("set", {"1.npy": a, "2.npy": wide})], anything).groups == ()


def test_large_values_are_compared_in_full(make: Callable[..., Scan]) -> None:
    a, b = (picture(seed).astype(np.int64) * 2**40 for seed in (1, 2))
    found = find_duplicates([make("set", {"1.npy": a, "2.npy": a, "3.npy": b})], anything)
    assert [len(group) for group in found.groups] == [2]


def test_masks_of_one_value_are_equal_without_telling_anything(make: Callable[..., Scan]) -> None:
    empty = np.zeros((SIDE, SIDE), np.uint8)
    findings = check_scan(make("set", {"1.npy": empty, "2.npy": empty, "3.npy": picture(0)}))
    assert "duplicate" not in kinds(findings)
    assert kinds(findings)["single-class"].count == 2


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.integers(0, 8))
def test_duplicates_against_brute_force(
    tmp_path_factory: pytest.TempPathFactory, seeds: list[int], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("masks")
    sets = {"one": seeds[:cut], "two": seeds[cut:]}
    scans = []
    for name, chosen in sets.items():
        (folder / name).mkdir()
        for number, seed in enumerate(chosen):
            np.save(folder / name / f"{number}.npy", picture(seed))
        if chosen:
            scans.append(scan(folder / name, name=name, db=folder / "s.db", workers=1))
    of_seed: dict[int, set[tuple[str, str]]] = {}
    for name, chosen in sets.items():
        for number, seed in enumerate(chosen):
            of_seed.setdefault(seed, set()).add((name, f"{number}.npy"))
    found = find_duplicates(scans, anything)
    expected = {frozenset(members) for members in of_seed.values() if len(members) > 1}
    assert {frozenset(map(tuple, group)) for group in found.groups} == expected
    across = find_duplicates(scans, lambda names: len(set(names)) > 1)
    assert {frozenset(map(tuple, group)) for group in across.groups} == {
        group for group in expected if len({name for name, _ in group}) > 1
    }
    for one in scans:
        one.close()


def test_leakage_and_duplicates_of_a_scan(make: Callable[..., Scan]) -> None:
    train = make("train", {"a.npy": picture(1), "b.npy": picture(1), "c.npy": picture(2)})
    val = make("val", {"x.npy": picture(2), "y.npy": picture(3), "z.npy": picture(3)})
    found = kinds(check_scan(val, against=[train]))
    assert found["leakage"].files == ("x.npy",)
    assert found["leakage"].details == (
        {"mask": "x.npy", "same_as": [{"scan": "train", "mask": "c.npy"}]},
    )
    assert found["duplicate"].details == ({"masks": ["y.npy", "z.npy"]},)
    assert "leakage" not in kinds(check_scan(val))
    assert "stale" not in found


def test_files_that_changed_or_went_are_not_judged(
    make: Callable[..., Scan], tmp_path: Path
) -> None:
    masks = {name: picture(1) for name in ("a.npy", "b.npy", "c.npy", "d.npy")}
    done = make("set", masks)
    (tmp_path / "set" / "c.npy").unlink()
    np.save(tmp_path / "set" / "d.npy", np.ones((SIDE, SIDE), np.uint8))
    found = kinds(check_scan(done))
    assert found["duplicate"].details == ({"masks": ["a.npy", "b.npy"]},)
    assert found["stale"].files == ("c.npy", "d.npy")
    shutil.rmtree(tmp_path / "set")
    found = kinds(check_scan(done))
    assert found["stale"].count == 4
    assert "duplicate" not in found


def test_unreadable_masks_and_their_reasons(make: Callable[..., Scan], tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "bad.png").write_bytes(b"no image")
    found = kinds(check_scan(make("set", {"good.npy": picture(0)})))
    assert found["unreadable"].files == ("bad.png",)
    assert "not an image" in found["unreadable"].details[0]["reason"]


def test_interrupted_scans_are_told(make: Callable[..., Scan], tmp_path: Path) -> None:
    done = make("set", {"a.npy": picture(0)})
    done._store.begin("set", done.source, done.catalog)
    with open_scan(tmp_path / "scans.db") as stored:
        assert "incomplete" in kinds(check_scan(stored))
    assert "incomplete" not in kinds(check_scan(done))


def test_a_scan_without_a_single_mask(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    with scan(tmp_path / "bad.png") as empty:
        assert list(kinds(check_scan(empty))) == ["unreadable"]


def test_options_are_checked(make: Callable[..., Scan]) -> None:
    done = make("set", {"a.npy": picture(0)})
    with pytest.raises(ParameterError, match=r"^min_masks: "):
        check_scan(done, min_masks=-1)
    with pytest.raises(ParameterError, match="is the scan to check itself"):
        check_scan(done, against=[done])


def save_image(path: Path, width: int, height: int, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path, **options)


def test_images_of_other_sizes_missing_ones_and_more(
    make: Callable[..., Scan], tmp_path: Path
) -> None:
    names = ("same", "larger", "turned", "lonely", "broken", "twice")
    tall = np.tile(np.arange(3, dtype=np.uint8), (9, 2))  # 6 wide, 9 high
    done = make("set", {f"{name}.npy": tall for name in names})
    images = tmp_path / "images"
    save_image(images / "same.jpg", 6, 9)
    save_image(images / "larger.png", 7, 9)
    exif = Image.Exif()
    exif[274] = 6
    save_image(images / "turned.jpg", 9, 6, exif=exif)
    (images / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    save_image(images / "one" / "twice.png", 6, 9)
    save_image(images / "two" / "twice.png", 6, 9)
    save_image(images / "unmasked.png", 6, 9)
    (images / "notes.txt").write_text("no image")
    found = kinds(check_images(done, images))
    assert found["size-mismatch"].details == (
        {"mask": "larger.npy", "mask_size": [6, 9], "image": "larger.png", "image_size": [7, 9]},
    )
    assert found["exif-rotated"].details == ({"image": "turned.jpg", "orientation": 6},)
    assert found["mask-without-image"].files == ("lonely.npy",)
    assert found["image-without-mask"].files == ("unmasked.png",)
    assert found["unreadable-image"].files == ("broken.png",)
    assert found["ambiguous-pair"].details == (
        {"mask": "twice.npy", "images": ["one/twice.png", "two/twice.png"]},
    )
    assert set(kinds(check_scan(done, images=images))) >= set(found)
    # Packed, they are the same images; what is read of each is no more than its header.
    for kind in ("zip", "tar", "gztar"):
        packed = shutil.make_archive(str(tmp_path / "packed"), kind, images)
        assert kinds(check_images(done, packed)) == found


def test_masks_in_the_folder_of_their_images_are_not_taken_for_images(
    make: Callable[..., Scan], tmp_path: Path
) -> None:
    done = make("both", {"a_mask.png": picture(0), "b_mask.png": picture(1)})
    save_image(tmp_path / "both" / "a.jpg", SIDE, SIDE)
    found = kinds(check_images(done, tmp_path / "both", mask_suffix="_mask"))
    assert list(found) == ["mask-without-image"]
    assert found["mask-without-image"].files == ("b_mask.png",)


def test_masks_that_failed_have_images_too(make: Callable[..., Scan], tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "bad.png").write_bytes(b"")
    done = make("set", {"good.npy": picture(0)})
    for name in ("good", "bad"):
        save_image(tmp_path / "images" / f"{name}.jpg", SIDE, SIDE)
    assert check_images(done, tmp_path / "images") == []


def test_a_folder_without_images(make: Callable[..., Scan], tmp_path: Path) -> None:
    done = make("set", {"good.npy": picture(0)})
    (tmp_path / "images").mkdir()
    with pytest.raises(SourceError, match="no images found"):
        check_images(done, tmp_path / "images")


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        (".jpg", "JPEG"),
        (".png", "PNG"),
        (".tif", "TIFF"),
        (".bmp", "BMP"),
        (".webp", "WEBP"),
        (".gif", "GIF"),
        (".jp2", "JPEG2000"),
        (".ppm", "PPM"),
    ],
)
def test_headers_of_every_format(tmp_path: Path, suffix: str, kind: str) -> None:
    assert suffix in IMAGE_SUFFIXES
    path = tmp_path / f"image{suffix}"
    Image.new("RGB", (37, 23)).save(path, kind)
    assert read_image_header(str(path)) == (23, 37, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_orientations(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"image{suffix}"
    Image.new("RGB", (37, 23)).save(path, exif=exif)
    assert read_image_header(str(path)) == (23, 37, orientation)


def test_pixels_that_pillow_does_not_know_do_not_matter(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    for big in (False, True):
        path = tmp_path / f"bands_{big}.tif"
        bands = np.zeros((23, 37, 7), np.float32)
        tifffile.imwrite(path, bands, bigtiff=big, photometric="minisblack", planarconfig="contig")
        assert read_image_header(str(path)) == (23, 37, 1)


def test_no_size_is_too_large_to_be_told(tmp_path: Path) -> None:
    path = tmp_path / "huge.bmp"
    Image.new("L", (5, 5)).save(path)
    data = bytearray(path.read_bytes())
    data[18:26] = (10**6).to_bytes(4, "little") * 2
    path.write_bytes(data)
    assert read_image_header(str(path)) == (10**6, 10**6, 1)


@given(st.binary(max_size=64), st.sampled_from([b"", b"\xff\xd8\xff", b"II*\0", b"MM\0+", b"BM"]))
def test_garbage_is_an_error_that_says_so(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, magic: bytes
) -> None:
    path = tmp_path_factory.mktemp("garbage") / "image.jpg"
    path.write_bytes(magic + data)
    with contextlib.suppress(MaskError):
        header = read_image_header(str(path))
        assert header.height > 0 and header.width > 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(MaskError, match="not a regular file"):
        read_image_header(str(tmp_path / "pipe.jpg"))


def test_compare_counts_leaked_masks_of_every_pair(make: Callable[..., Scan]) -> None:
    train = make("train", {"a.npy": picture(1), "b.npy": picture(2), "c.npy": picture(2)})
    val = make("val", {"x.npy": picture(2), "y.npy": picture(2), "z.npy": picture(5)})
    test = make("test", {"q.npy": picture(5), "r.npy": picture(9)})
    found = {(p.first, p.second): p for p in compare_scans([train, val, test]).pairs}
    assert found["train", "val"].leaked == ((("b.npy", "c.npy"), ("x.npy", "y.npy")),)
    assert found["train", "val"].leakage == 2
    assert found["val", "test"].leakage == 1
    assert found["train", "test"].leakage == 0


def test_groups_that_are_in_two_splits(make: Callable[..., Scan]) -> None:
    train = make(
        "train", {f"{clip}_{at}.npy": picture(at + ord(clip)) for clip in "ab" for at in (1, 2)}
    )
    val = make(
        "val", {f"{clip}_{at}.npy": picture(40 + at + ord(clip)) for clip in "bc" for at in (3, 4)}
    )
    rule = "^([^_]+)_"
    found = kinds(check_scan(val.grouped(rule), against=[train], min_masks=0))["shared-group"]
    assert (found.count, found.severity, found.files) == (1, "error", ("b_3.npy", "b_4.npy"))
    assert found.details == ({"group": "b", "masks": 2, "in": ["train"], "group_by": rule},)
    told = kinds(check_scan(val, against=[train.grouped(rule)], min_masks=0))["shared-group"]
    assert told == found  # what is known of the other split is enough
    (pair,) = compare_scans([train.grouped(rule), val.grouped(rule)]).pairs
    assert pair.chance.shared == ("b",)
    for do in (
        lambda: check_scan(train.grouped("^(a)"), against=[val]),
        lambda: compare_scans([train.grouped("^(a)"), val.grouped("^(a)")]),
    ):
        with pytest.raises(
            ParameterError, match=r"^group_by train: '\^\(a\)' says no group of 2 of 4"
        ):
            do()
    for masks in (val.grouped("mask"), val.grouped("file")):
        assert (
            not {"shared-group", "shared-sequence"}
            & kinds(check_scan(masks, against=[train])).keys()
        )
    with pytest.raises(ParameterError, match=r"by different rules: train \(by 'mask'\), val"):
        compare_scans([train, val.grouped(rule)])


def test_sequences_that_are_in_two_splits(make: Callable[..., Scan]) -> None:
    """Where nobody said what belongs together, names do."""
    names = {
        "train": [f"clip{clip}_{at:03}.npy" for clip in (1, 2) for at in range(30)],
        "val": [f"clip{clip}_{at:03}.npy" for clip in (2, 3) for at in range(30, 60)],
    }
    train, val = (
        make(name, {file: picture(at + start) for at, file in enumerate(names[name])})
        for name, start in (("train", 0), ("val", 100))
    )
    found = kinds(check_scan(val, against=[train]))["shared-sequence"]
    assert (found.count, found.severity, len(found.files)) == (1, "warning", 30)
    (pair,) = compare_scans([train, val]).pairs
    assert "Names look like frames of 3 sequences, of which" in pair.verdict
    assert pair.chance.shared == ()
    assert "shared-sequence" not in kinds(check_scan(val.grouped("mask"), against=[train]))


def test_compare_says_what_could_not_be_looked_at(
    make: Callable[..., Scan], tmp_path: Path
) -> None:
    train, val = make("train", {"a.npy": picture(1)}), make("val", {"b.npy": picture(1)})
    (tmp_path / "val" / "b.npy").unlink()
    found = compare_scans([train, val])
    assert found.pairs[0].leakage == 0
    assert found.unconfirmed == (("val", "b.npy"),)


def test_different_classes_can_not_be_compared(make: Callable[..., Scan]) -> None:
    train = make("train", {"a.npy": picture(1)}, 3)
    val = make("val", {"b.npy": picture(1)}, 5)
    with pytest.raises(CatalogError, match=r"train \(3 classes.*classes=5"):
        compare_scans([train, val])
    other = make("test", {"b.npy": picture(1)}, "camvid-11")
    with pytest.raises(CatalogError, match="classes='camvid-11'"):
        compare_scans([train, other])
    assert compare_scans([train, val.under(3)]).pairs[0].js_distance == 0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_one_scan_is_no_comparison(make: Callable[..., Scan], count: int) -> None:
    done = make("set", {"a.npy": picture(1)})
    with pytest.raises(ParameterError, match="two or more different splits"):
        compare_scans([done] * count)
