"""Findings from counts alone: each rule at its bounds, on made masks and on real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.distance import jensenshannon
from scipy.stats import median_abs_deviation

from maskstat.statistics.findings import KINDS, SEVERITIES, Finding, ordered
from maskstat.statistics.quality import (
    check_ledger,
    check_tallies,
    mix_distances,
    outliers,
    pair_by_stem,
    robust_z,
)
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import Encoding, MaskTally, TallyTable
from tests.support.equal_cost_cases import ledger_of
from tests.support.loops import at_least_one
from tests.support.paths import ROOT

GREY = Encoding("png", "grey", 8)
Pixels = NDArray[Any]


def tally(pixels: Pixels, name: str = "mask.png", encoding: Encoding = GREY) -> MaskTally:
    return MaskTally.of_pixels(name, np.asarray(pixels), encoding)


def check(
    *tallies: MaskTally, classes: ClassCatalog | int = 2, blocks: int = 1
) -> dict[str, Finding]:
    catalog = ClassCatalog.numbered(classes) if isinstance(classes, int) else classes
    tables = [TallyTable.of(tallies[at::blocks]) for at in range(blocks)]
    found = check_tallies(catalog, tables)
    assert len({finding.kind for finding in found}) == len(found)
    return {finding.kind: finding for finding in found}


def smoothed(side: int, low: int = 0, high: int = 255) -> Pixels:
    """A disc drawn at four times the size and shrunk with averaging: anti-aliased."""
    y, x = np.mgrid[: side * 8, : side * 8]
    disc = (y - side * 4) ** 2 + (x - side * 4) ** 2 < (side * 3) ** 2
    image = Image.fromarray(np.where(disc, high, low).astype(np.uint8))
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))


def crisp(side: int, low: int = 0, high: int = 255) -> Pixels:
    return np.where(smoothed(side, low, high) >= (low + high) / 2, high, low).astype(np.uint8)


@pytest.mark.parametrize("side", [48, 128, 512])
def test_anti_aliased_binary_masks_are_found_and_crisp_ones_are_not(side: int) -> None:
    binary = ClassCatalog((ClassInfo(0, "no", (0,)), ClassInfo(1, "yes", (255,))))
    found = check(tally(smoothed(side), "soft.png"), tally(crisp(side), "hard.png"), classes=binary)
    assert found["anti-aliased"].files == ("soft.png",)
    assert found["unlisted"].files == ("soft.png",)
    assert found["unlisted"].count > 3


def test_anti_aliasing_is_found_where_every_value_is_a_class() -> None:
    soft, hard = smoothed(256, 3, 250), crisp(256, 3, 250)
    found = check(tally(soft, "soft.png"), tally(hard, "hard.png"), classes=256)
    assert found["anti-aliased"].files == ("soft.png",)
    assert "unlisted" not in found


def test_interpolated_colours_are_found() -> None:
    colour = Encoding("png", "rgb", 8)
    catalog = ClassCatalog(
        (ClassInfo(0, "road", (), (0x804080,)), ClassInfo(1, "sky", (), (0x4682B4,)))
    )
    weight = smoothed(128).astype(np.int64)
    ends = [(0x80, 0x46), (0x40, 0x82), (0x80, 0xB4)]
    red, green, blue = (a + (b - a) * weight // 255 for a, b in ends)
    soft = red << 16 | green << 8 | blue
    hard = np.where(weight > 127, 0x4682B4, 0x804080)
    found = check(tally(soft, "soft.png", colour), tally(hard, "hard.png", colour), classes=catalog)
    assert found["anti-aliased"].files == ("soft.png",)
    assert all(str(d["value"]).startswith("#") for d in found["unlisted"].details)


def test_many_small_instances_are_not_anti_aliasing() -> None:
    ids = np.zeros((300, 300), np.uint16)
    for number in range(60):
        row, column = divmod(number, 10)
        ids[row * 20 : row * 20 + 5, column * 20 : column * 20 + 5] = 1000 + number
    assert "anti-aliased" not in check(
        tally(ids, encoding=Encoding("png", "grey", 16)), classes=2000
    )


def with_specks(pixels: int, count: int, common: int) -> MaskTally:
    """100 x 100, `count` unlisted values of `pixels` each beside `common` large classes."""
    flat = np.repeat(np.arange(common), 10_000 // common + 1)[:10_000]
    for number in range(count):
        flat[number * pixels : (number + 1) * pixels] = 100 + number
    return tally(flat.reshape(100, 100).astype(np.uint8))


def test_bounds_of_the_rule_for_unlisted_values() -> None:
    # The side is 100, so thin is below 25 pixels; 3 such values must be half of all.
    assert "anti-aliased" in check(with_specks(24, 3, 3), classes=3)
    assert "anti-aliased" not in check(with_specks(25, 3, 3), classes=3)
    assert "anti-aliased" not in check(with_specks(24, 2, 2), classes=2)
    assert "anti-aliased" not in check(with_specks(24, 3, 4), classes=4)


def test_bounds_of_the_rule_for_any_values() -> None:
    assert "anti-aliased" in check(with_specks(24, 16, 8), classes=200)
    assert "anti-aliased" not in check(with_specks(24, 15, 7), classes=200)
    assert "anti-aliased" not in check(with_specks(24, 16, 9), classes=200)


def test_lossy_masks() -> None:
    lossy = tally(np.zeros((4, 4), np.uint8), "b.jpg", Encoding("jpeg", "grey", 8).lossy())
    assert check(lossy, tally(np.zeros((4, 4), np.uint8), "a.png"))["lossy"].files == ("b.jpg",)


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_unlisted_values_with_their_masks(blocks: int) -> None:
    found = check(
        tally(np.full((2, 2), 7), "m10.png"),
        tally(np.array([[0, 7], [9, 1]]), "m9.png"),
        tally(np.array([[0, 255]]), "fine.png"),
        blocks=blocks,
    )
    unlisted = found["unlisted"]
    assert unlisted.files == ("m9.png", "m10.png")
    assert unlisted.count == 2
    assert unlisted.details == (
        {"value": 7, "pixels": 5, "masks": 2, "first": "m9.png"},
        {"value": 9, "pixels": 1, "masks": 1, "first": "m9.png"},
    )


def test_sizes_and_encodings_are_counted() -> None:
    found = check(
        tally(np.zeros((2, 3), np.uint8), "a"),
        tally(np.zeros((2, 3), np.uint8), "b"),
        tally(np.zeros((3, 2), np.uint8), "c", Encoding("tiff", "grey", 8)),
    )
    assert found["mixed-sizes"].details == (
        {"width": 3, "height": 2, "masks": 2},
        {"width": 2, "height": 3, "masks": 1},
    )
    assert found["mixed-encodings"].count == 2
    assert check(tally(np.zeros((2, 2)).astype(np.uint8))) == {}


def ledger_findings(table: list[list[int]], *, min_masks: int = 0) -> dict[str, Finding]:
    ledger = ledger_of(np.array(table))
    found = check_ledger(ClassCatalog.numbered(ledger.class_count), ledger, min_masks=min_masks)
    return {finding.kind: finding for finding in found}


def test_empty_and_single_class_masks_and_absent_classes() -> None:
    found = ledger_findings([[1, 1, 0], [0, 0, 0], [0, 5, 0]])
    assert found["unlabelled"].files == ("mask_000001",)
    assert found["single-class"].files == ("mask_000002",)
    assert found["absent-class"].details == ({"class": "class_2"},)
    assert "few-masks" not in found


def test_gaps_between_inferred_values_are_no_absent_classes() -> None:
    catalog = ClassCatalog.inferred([0, 2], eight_bit=True)
    assert check_ledger(catalog, ledger_of(np.array([[1, 0, 1]])), min_masks=0) == []


def test_classes_below_a_number_of_masks() -> None:
    table = [[1, 1, 0], [1, 0, 0], [1, 1, 1]]
    assert "few-masks" not in ledger_findings(table, min_masks=1)
    found = ledger_findings(table, min_masks=3)["few-masks"]
    assert found.details == ({"class": "class_1", "masks": 2}, {"class": "class_2", "masks": 1})
    assert found.files == ("mask_000000", "mask_000002")


masks = st.tuples(st.integers(1, 12), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.int64, shape, elements=st.sampled_from([0, 0, 1, 7, 10**9]))
)


@given(masks)
def test_mix_distances_agree_with_scipy(table: Pixels) -> None:
    found = mix_distances(ledger_of(table))
    pooled = table.sum(axis=0)
    for row, distance in at_least_one(zip(table, found.tolist(), strict=True)):
        expected = jensenshannon(row, pooled, base=2) if row.any() else 0.0
        assert distance == pytest.approx(np.nan_to_num(expected), abs=1e-6)


def test_a_mask_like_the_whole_set_has_distance_zero() -> None:
    assert mix_distances(ledger_of(np.array([[2, 4], [1, 2], [3, 6]]))).max() < 1e-7


@given(arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1, width=32)))
def test_robust_z_agrees_with_scipy(values: Pixels) -> None:
    found = robust_z(values)
    assert np.isfinite(found).all()
    spread = median_abs_deviation(values, scale=0.6745)
    if spread > 1e-12:
        assert found == pytest.approx((values - np.median(values)) / spread)


def test_robust_z_where_most_values_are_equal() -> None:
    values = np.array([0.5] * 9 + [0.9])
    assert robust_z(values)[:9].tolist() == [0.0] * 9
    assert robust_z(values)[9] > 3.5
    assert not robust_z(np.ones(5)).any()


def street_scenes(strange: int) -> MaskLedger:
    generator = np.random.default_rng(3)
    table = (generator.dirichlet([40, 30, 20, 10, 1], 60) * 10_000).astype(np.int64)
    table[strange] = [0, 0, 0, 100, 9900]
    return ledger_of(table)


@pytest.mark.parametrize("strange", [0, 31, 59])
def test_an_outlier_is_found_wherever_it_stands(strange: int) -> None:
    found = outliers(street_scenes(strange))
    assert found[0].mask == f"mask_{strange:06}"
    assert found[0].distance > 0.7
    assert found[0].robust_z > 3.5


def test_few_masks_have_no_outliers() -> None:
    assert outliers(ledger_of(np.array([[10, 1]] * 8 + [[0, 5]]))) == []
    assert outliers(ledger_of(np.array([[10, 1]] * 9 + [[0, 5]])))


def test_real_masks_look_clean(camvid: Path) -> None:
    files = sorted((camvid / "val" / "masks").glob("*.png"))
    tallies = [tally(np.asarray(Image.open(path)), path.name) for path in files]
    assert check(*tallies, classes=12) == {}


def test_sample_masks_are_not_anti_aliased() -> None:
    files = sorted((ROOT / "sample_masks").glob("*/*.png"))
    tallies = [tally(np.asarray(Image.open(path)), path.name) for path in files]
    assert len(tallies) > 15
    assert "anti-aliased" not in check(*tallies, classes=256)


def test_pairs_by_folder_first_and_then_by_stem() -> None:
    found = pair_by_stem(
        ["train/1.png", "val/1.png", "flat/2.png", "3.png", "5.png"],
        ["train/1.jpg", "val/1.jpg", "elsewhere/2.jpg", "a/3.jpg", "b/3.jpg", "4.jpg"],
    )
    assert set(found.pairs) == {
        ("train/1.png", "train/1.jpg"),
        ("val/1.png", "val/1.jpg"),
        ("flat/2.png", "elsewhere/2.jpg"),
    }
    assert found.ambiguous == {"3.png": ("a/3.jpg", "b/3.jpg")}
    assert found.masks == ("5.png",)
    assert found.images == ("4.jpg",)


def test_an_image_of_another_folder_is_not_taken_twice() -> None:
    found = pair_by_stem(["train/1.png", "val/1.png"], ["val/1.jpg"])
    assert found.pairs == (("val/1.png", "val/1.jpg"),)
    assert found.masks == ("train/1.png",)


def test_suffixes_of_stems_are_stripped() -> None:
    found = pair_by_stem(
        ["x/a_0_gtFine_labelIds.png", "x/_gtFine_labelIds.png"],
        ["x/a_0_leftImg8bit.png"],
        mask_suffix="_gtFine_labelIds",
        image_suffix="_leftImg8bit",
    )
    assert found.pairs == (("x/a_0_gtFine_labelIds.png", "x/a_0_leftImg8bit.png"),)
    assert found.masks == ("x/_gtFine_labelIds.png",)


names = st.lists(st.text("ab/.1", min_size=1, max_size=5), unique=True, max_size=8)


@given(names, names)
def test_pairing_loses_nothing(some: list[str], others: list[str]) -> None:
    found = pair_by_stem(some, others)
    accounted = [mask for mask, _ in found.pairs] + [*found.ambiguous, *found.masks]
    assert sorted(accounted) == sorted(some)
    used = {image for _, image in found.pairs} | {i for i in found.ambiguous.values() for i in i}
    assert used | set(found.images) == set(others)
    assert not used & set(found.images)


def test_kinds_are_complete() -> None:
    for name, kind in at_least_one(KINDS.items()):
        assert kind.name == name
        assert kind.severity in SEVERITIES
        assert kind.noun and kind.meaning and kind.advice
    page = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")
    for kind in at_least_one(KINDS.values()):
        assert f"| `{kind.name}` | {kind.severity} |" in page


def test_findings_are_ordered_and_plain() -> None:
    found = ordered([Finding("outlier", 1, ("a",)), Finding("few-masks", 1), Finding("lossy", 2)])
    assert [finding.kind for finding in found] == ["lossy", "few-masks", "outlier"]
    text = json.dumps([finding.to_dict() for finding in found], allow_nan=False)
    assert [entry["severity"] for entry in json.loads(text)] == ["error", "warning", "info"]
