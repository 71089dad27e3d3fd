"""Readings by a data set's name: what its own loaders make of the same files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

import maskstat as ms
from maskstat.errors import ParameterError
from maskstat.readers.choices import DIVISORS
from maskstat.readers.formats import read_label_map, read_tally, read_tally_and_pixels
from maskstat.readers.options import ReadOptions
from maskstat.values.tally import Encoding, MaskTally
from tests.support.mask_files import from_tifffile, npy, refusal, saved

ADE = ReadOptions(channel="ade20k")
OF_ADE = arrays(np.int64, (7, 9), elements=st.integers(0, 3688))


def ade20k(classes: NDArray[np.int64], instances: NDArray[np.int64]) -> NDArray[np.uint8]:
    """A `_seg.png`'s pixels."""
    return np.stack([classes // 256 * 10, classes % 256, instances], -1).astype(np.uint8)


def load_ade20k(seg: NDArray[np.uint8]) -> NDArray[np.int64]:
    """As the release's own loader has it."""
    red, green = seg[:, :, 0], seg[:, :, 1]
    return (red / 10).astype(np.int32) * 256 + green.astype(np.int32).astype(np.int64)


@given(OF_ADE, arrays(np.int64, (7, 9), elements=st.integers(0, 255)))
def test_ade20k_is_what_its_loader_reads(
    classes: NDArray[np.int64], instances: NDArray[np.int64]
) -> None:
    seg = ade20k(classes, instances)
    assert np.array_equal(load_ade20k(seg), classes)
    for data, container in {
        saved(Image.fromarray(seg), "PNG"): "png",
        saved(Image.fromarray(seg), "TIFF"): "tiff",
        saved(Image.fromarray(seg), "BMP"): "bmp",
        npy(seg): "npy",
    }.items():
        encoding = Encoding(container, "grey", 16, "channel ade20k")
        wanted = MaskTally.of_pixels("m", classes, encoding)
        for tally in (read_tally(data, "m", ADE), read_tally_and_pixels(data, "m", ADE)[0]):
            assert tally.encoding == encoding
            assert tally.values.tolist() == wanted.values.tolist()
            assert tally.counts.tolist() == wanted.counts.tolist()
        assert np.array_equal(read_label_map(data, ADE).pixels, classes)
        assert np.array_equal(read_tally_and_pixels(data, "m", ADE)[1], classes)


def test_255_is_a_class_of_ade20k(tmp_path: Path) -> None:
    classes = np.array([[0, 255, 255, 3688]])
    Image.fromarray(ade20k(classes, classes * 0)).save(tmp_path / "a_seg.png")
    with ms.scan(tmp_path / "a_seg.png", classes=3689, channel="ade20k") as scan:
        assert scan.histogram.pixels[[0, 255, 3688]].tolist() == [1, 2, 1]


def test_what_is_none_of_ade20k_s_is_refused() -> None:
    strange = np.full((3, 4, 3), 120, np.uint8)
    strange[1, 1] = 77, 1, 1
    said = refusal(saved(Image.fromarray(strange), "PNG"), ADE)
    assert "#4d0101" in said
    assert "red is a tenfold" in said
    see_through = np.zeros((3, 4, 4), np.uint8)
    see_through[0, 0, 3] = 9
    assert "transparency differs" in refusal(saved(Image.fromarray(see_through), "PNG"), ADE)
    grey = Image.merge("LA", [Image.new("L", (3, 4), 20), Image.new("L", (3, 4), 255)])
    assert "no mask of ADE20K's" in refusal(saved(grey, "PNG"), ADE)
    wide = from_tifffile(np.zeros((3, 4, 3), np.uint16), photometric="rgb")
    assert "no mask of ADE20K's" in refusal(wide, ADE)


CLASSES = np.array([[0, 1, 7, 33], [33, 12, 7, 0]])
INSTANCES = np.array([[0, 5, 250, 1], [2, 0, 251, 9]])


def ids(name: str) -> NDArray[np.int64]:
    """16-bit ids of classes and instances, as the data set writes them."""
    if name == "cityscapes":  # things alone have instances
        return np.where(CLASSES >= 12, CLASSES * 1000 + INSTANCES, CLASSES)
    return CLASSES * (1000 if name == "scannet" else 256) + INSTANCES


@pytest.mark.parametrize("name", DIVISORS)
def test_ids_divided_by_name(name: str, tmp_path: Path) -> None:
    Image.fromarray(ids(name).astype(np.uint16)).save(tmp_path / "a.png")
    divisor, every = DIVISORS[name]
    with ms.scan(tmp_path / "a.png", classes=34, value_divisor=name) as scan:
        found = scan.histogram.pixels
        assert found.tolist() == np.bincount(CLASSES.ravel(), minlength=34).tolist()
        said = {"value_divisor": divisor, **({"divide_all": True} if every else {})}
        assert scan.info.reading == said
        pixels = np.load(io.BytesIO(npy(ids(name))))
        number = ReadOptions(value_divisor=divisor, divide_all=every)
        assert np.array_equal(read_label_map(npy(pixels), number).pixels, CLASSES)


def test_no_other_name() -> None:
    with pytest.raises(ParameterError, match="or one of cityscapes, kitti, mapillary, scannet"):
        ReadOptions.of({"value_divisor": "coco"})
