"""Mistakes that other tools make without a word: each would give plausible, wrong weights."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import maskstat as ms
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.histogram import ValueCount
from tests.support.png_factory import PALETTE, png


def put(folder: Path, **masks: bytes | NDArray[np.integer] | list[list[int]]) -> Path:
    """A folder of masks: bytes as they are, arrays as 8-bit grey PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, mask in masks.items():
        if not isinstance(mask, bytes):
            mask = png(np.array(mask), 8, [0] * len(mask))
        (folder / f"{name}.png").write_bytes(mask)
    return folder


def rgb_png(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_class_0_is_a_class_like_any_other(tmp_path: Path) -> None:
    """Some importers take 0 for "nothing" and drop it."""
    scan = ms.scan(put(tmp_path, a=[[0, 0, 0, 1]]), classes=2)
    assert scan.histogram.pixels.tolist() == [3, 1]
    assert scan.weights("balanced").weights == pytest.approx([4 / 6, 2])
    cityscapes = ms.scan(put(tmp_path / "c", a=[[0, 7, 11]]), classes="cityscapes-train-ids")
    assert cityscapes.histogram.pixels[0] == 1
    assert cityscapes.catalog.names[0] == "road"


def test_label_ids_of_cityscapes_are_not_its_train_ids(tmp_path: Path) -> None:
    """Label id 7 is road, 0 is unlabelled; as train ids they would be sign and road."""
    masks = put(tmp_path, a=[[0, 7, 7, 7]])
    ids = ms.scan(masks, classes="cityscapes").histogram
    assert ids.pixels[ids.catalog.names.index("road")] == 3
    assert ids.ignored == {0: ValueCount(1, 1)}


def test_values_0_and_2_are_class_0_and_class_2_although_1_never_occurs(tmp_path: Path) -> None:
    """Numbering the values found would shift class 2 to 1."""
    masks = put(tmp_path, a=[[0, 2, 2, 0]], b=[[2]])
    for scan in (ms.scan(masks, classes=3), ms.scan(masks)):
        assert scan.histogram.pixels.tolist() == [2, 0, 3]
        assert scan.histogram.masks.tolist() == [1, 0, 2]
        table = scan.weights("balanced")
        assert np.isfinite(table.weights).all()
        assert table.weights[[0, 2]] == pytest.approx([5 / 4, 5 / 6])


def test_255_in_one_file_only_changes_no_class_count(tmp_path: Path) -> None:
    clean = ms.scan(put(tmp_path / "clean", a=[[0, 1]], b=[[1, 1]]), classes=2).histogram
    scan = ms.scan(put(tmp_path / "void", a=[[0, 1]], b=[[1, 1]], c=[[255, 255]]), classes=2)
    assert scan.histogram.pixels.tolist() == clean.pixels.tolist()
    assert scan.histogram.masks.tolist() == clean.masks.tolist()
    assert scan.histogram.ignored == {255: ValueCount(2, 1)}
    assert scan.histogram.unlabelled_masks == 1


def test_void_is_in_no_denominator_but_that_of_the_image_size(tmp_path: Path) -> None:
    scan = ms.scan(put(tmp_path, a=[[0, 1, 255, 255]], b=[[0, 0, 0, 255]]), classes=2)
    h = scan.histogram
    assert h.frequency == pytest.approx([4 / 5, 1 / 5])
    assert scan.weights("balanced").weights == pytest.approx([5 / 8, 5 / 2])
    assert scan.weights("inverse").weights == pytest.approx([5 / 4, 5])
    # Eigen & Fergus divide by the size of the images, void included.
    assert h.image_pixels.tolist() == [8, 4]
    assert scan.weights("median-frequency").weights == pytest.approx(
        np.median([4 / 8, 1 / 4]) / np.array([4 / 8, 1 / 4])
    )


def test_labels_above_255_keep_their_value(tmp_path: Path) -> None:
    """Read into 8 bits, 256 would be 0 and 257 would be 1."""
    masks = put(tmp_path, a=png(np.array([[0, 1, 256, 257, 65535]]), 16, [0]))
    scan = ms.scan(masks, classes=258)
    assert scan.histogram.pixels[[0, 1, 256, 257]].tolist() == [1, 1, 1, 1]
    assert scan.histogram.unlisted == {65535: ValueCount(1, 1, "a.png")}
    sparse = ms.scan(masks)
    assert [info.values for info in sparse.catalog.classes] == [
        (v,) for v in (0, 1, 256, 257, 65535)
    ]


def test_255_in_16_bit_masks_is_an_id(tmp_path: Path) -> None:
    scan = ms.scan(put(tmp_path, a=png(np.array([[0, 255]]), 16, [0])), classes=300)
    assert scan.histogram.pixels[255] == 1
    assert scan.histogram.ignored == {}


def test_red_and_blue_are_not_swapped(tmp_path: Path) -> None:
    """OpenCV would hand these pixels over blue first."""
    pixels = np.array([[[255, 0, 0], [255, 0, 0], [0, 0, 255]]], np.uint8)
    catalog = ClassCatalog(
        (ClassInfo(0, "red", (0,), (0xFF0000,)), ClassInfo(1, "blue", (1,), (0x0000FF,)))
    )
    scan = ms.scan(put(tmp_path, a=rgb_png(pixels)), classes=catalog)
    assert scan.histogram.pixels.tolist() == [2, 1]


def test_names_do_not_shift_because_black_moves_to_the_front(tmp_path: Path) -> None:
    """In an index mask the line of a label map is the value, wherever black stands."""
    (tmp_path / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\ncar:128,0,0::\nbackground:0,0,0::\nroad:0,128,0::\n"
    )
    classes = tmp_path / "labelmap.txt"
    scan = ms.scan(put(tmp_path / "index", a=[[0, 1, 1, 2, 2, 2]]), classes=classes)
    assert dict(zip(scan.catalog.names, scan.histogram.pixels.tolist(), strict=True)) == {
        "car": 1,
        "background": 2,
        "road": 3,
    }
    colours = np.array([[[128, 0, 0], [0, 0, 0], [0, 0, 0], [0, 128, 0]]], np.uint8)
    scan = ms.scan(put(tmp_path / "colour", a=rgb_png(colours)), classes=classes)
    assert scan.histogram.pixels.tolist() == [1, 2, 1]


def test_a_table_of_classes_is_no_list_of_names(tmp_path: Path) -> None:
    """A name a line would make the header class 0 and `background` class 1."""
    masks = put(tmp_path / "masks", a=[[0, 1, 1, 2]])
    for text in (
        "Pixel Value, Class\n0, background\n1, crack\n2, spall\n",
        "2 spall\n1 crack\n0 background\n",
    ):
        (tmp_path / "_classes.csv").write_text(text)
        scan = ms.scan(masks, classes=tmp_path / "_classes.csv")
        assert scan.catalog.names == ("background", "crack", "spall")
        assert scan.histogram.pixels.tolist() == [1, 2, 1]


def test_palette_masks_hold_indices_not_colours(tmp_path: Path) -> None:
    """Pascal VOC draws class 1 in #800000; converted to grey it would be 38, to RGB a colour."""
    indices = np.array([[0, 1, 1, 2]])
    image = Image.fromarray(indices.astype(np.uint8)).convert("P")
    image.putdata(indices.reshape(-1).tolist())
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    stream = io.BytesIO()
    image.save(stream, "PNG")
    masks = put(tmp_path, a=stream.getvalue(), b=png(indices, 4, [0], colour_type=PALETTE))
    for classes in (3, "voc"):
        scan = ms.scan(masks, classes=classes)
        assert scan.failures == ()
        assert scan.histogram.pixels[:3].tolist() == [2, 4, 2]


def test_small_depths_are_not_spread_over_0_to_255(tmp_path: Path) -> None:
    masks = put(
        tmp_path,
        one=png(np.array([[0, 1]]), 1, [0]),
        two=png(np.array([[0, 1, 2, 3]]), 2, [0]),
        four=png(np.array([[0, 3]]), 4, [0]),
    )
    assert ms.scan(masks, classes=4).histogram.pixels.tolist() == [3, 2, 1, 2]


def test_one_truncated_file_is_named_and_does_not_stop_the_rest(tmp_path: Path) -> None:
    whole = png(np.arange(64).reshape(8, 8) % 2, 8, [0] * 8)
    masks = put(tmp_path, a=whole, b=whole[:-20], c=whole)
    scan = ms.scan(masks, classes=2)
    assert [failure.mask for failure in scan.failures] == ["b.png"]
    assert scan.failures[0].reason
    assert scan.histogram.pixels.tolist() == [64, 64]
    assert scan.histogram.mask_count == 2


def test_a_value_nobody_declared_is_neither_dropped_nor_counted_as_a_class(tmp_path: Path) -> None:
    scan = ms.scan(put(tmp_path, a=[[0, 1, 9]]), classes=2)
    assert scan.histogram.unlisted == {9: ValueCount(1, 1, "a.png")}
    assert scan.histogram.total_pixels == 3
    with pytest.raises(ms.MaskstatError, match=r"ignore=\[9\]"):
        scan.weights("balanced")


def test_an_absent_class_makes_no_nan_and_does_not_move_the_median(tmp_path: Path) -> None:
    masks = put(tmp_path, a=[[0, 0, 0, 1]], b=[[2, 2, 0, 0]])
    three = ms.scan(masks, classes=3).weights("median-frequency").weights
    five = ms.scan(masks, classes=5).weights("median-frequency").weights
    assert np.array_equal(five[:3], three)
    assert five[3:].tolist() == [1, 1]


def test_lossy_masks_do_not_invent_classes(tmp_path: Path) -> None:
    stream = io.BytesIO()
    blocks = np.kron(np.array([[0, 1], [1, 0]], np.uint8) * 20, np.ones((9, 9), np.uint8))
    Image.fromarray(blocks).save(stream, "JPEG", quality=90)
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a.jpg").write_bytes(stream.getvalue())
    refused = ms.scan(tmp_path / "m", classes=21)
    assert refused.histogram.mask_count == 0
    assert "lossy" in refused.failures[0].reason
    allowed = ms.scan(tmp_path / "m", classes=21, allow_lossy=True)
    assert len(set(allowed.histogram.unlisted) | set(np.flatnonzero(allowed.histogram.pixels))) > 2


def test_mask_2_comes_before_mask_10(tmp_path: Path) -> None:
    masks = put(tmp_path, **{f"mask_{n}": [[0]] for n in (10, 9, 1, 2)})
    names = ms.scan(masks, classes=1).ledger.names
    assert names == ("mask_1.png", "mask_2.png", "mask_9.png", "mask_10.png")


def test_what_smoothing_puts_between_two_classes_is_no_class(tmp_path: Path) -> None:
    """Every grey level would be a class, and 255, the foreground, be ignored."""
    y, x = np.mgrid[:64, :64]
    mask = np.where((y - 30) ** 2 + (x - 30) ** 2 < 300, 255, 0).astype(np.uint8)
    soft = np.asarray(Image.fromarray(mask).resize((100, 100), Image.Resampling.BILINEAR))
    scan = ms.scan(put(tmp_path, a=soft), draft=tmp_path / "classes.yaml")
    assert len(scan.catalog) == 0 and scan.histogram.unlisted_pixels == soft.size
    with pytest.raises(ms.MaskstatError, match="look soft"):
        scan.weights("balanced")
    two = ms.scan(tmp_path, classes=tmp_path / "classes.yaml").histogram
    assert two.pixels.tolist() == [(soft < 128).sum(), (soft >= 128).sum()]


def test_a_pixel_of_no_channel_is_neither_class_0_nor_dropped(tmp_path: Path) -> None:
    """`argmax` over one-hot channels would make it class 0."""
    channels = np.zeros((4, 5, 2), np.uint8)
    channels[0, :, 0] = channels[1, :, 1] = 1
    np.save(tmp_path / "a.npy", channels)
    for scan in (
        ms.scan(tmp_path, channels="one-hot"),
        ms.scan(tmp_path, channels="one-hot", classes=2),
    ):
        assert scan.histogram.pixels.tolist() == [5, 5]
        assert scan.histogram.unlisted == {-1: ValueCount(10, 1, "a.npy")}
        with pytest.raises(ms.MaskstatError, match="in no channel: where it is background"):
            scan.weights("balanced")


def test_foreground_of_255_is_a_class_in_every_split(tmp_path: Path) -> None:
    """Ignored, as 255 is in other masks, it would leave weights of 1 and a class without a pixel.

    A split of empty masks means what the others mean, whichever is scanned first.
    """
    db, train, val = tmp_path / "s.db", tmp_path / "train", tmp_path / "val"
    put(train, a=[[0, 0, 255]])
    put(val, a=[[0, 0]])
    for folder in (val, train):
        ms.scan(folder, classes=2, db=db).close()
    with ms.open_scan(db, "train") as scan:
        assert scan.histogram.pixels.tolist() == [2, 1]
        assert scan.weights("balanced").weights == pytest.approx([3 / 4, 3 / 2])
    with ms.open_scan(db, "val") as scan:
        assert [info.values for info in scan.catalog.classes] == [(0,), (255,)]


def test_255_that_may_be_the_class_without_a_pixel_is_asked_about(tmp_path: Path) -> None:
    scan = ms.scan(put(tmp_path, a=[[0, 1, 255]]), classes=3)
    with pytest.raises(ms.MaskstatError, match="ignore=255 where 255 is void"):
        scan.weights("balanced")
    assert scan.under(ignore=255).weights("balanced").weights.tolist() == [1, 1, 1]


def test_a_stack_of_masks_is_not_taken_for_one_mask(tmp_path: Path) -> None:
    """As one, a class is in one mask or none: median frequency is off by the number of planes."""
    stack = np.zeros((9, 4, 5), np.uint8)
    stack[0, 0, :2] = 1
    np.save(tmp_path / "stack.npy", stack)
    (failure,) = ms.scan(tmp_path, classes=2).failures
    assert "pages='each'" in failure.reason and "pages='all'" in failure.reason
    each = ms.scan(tmp_path, classes=2, pages="each")
    assert each.histogram.masks.tolist() == [9, 1]
    median = np.median([178 / 180, 2 / 20])
    assert each.weights("median-frequency").weights == pytest.approx(
        [median / (178 / 180), median / (2 / 20)]
    )
