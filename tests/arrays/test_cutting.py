"""Crops of arrays, tensors and images: what a slice of a padded array has, whatever they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from maskstat.arrays.crop_dataset import CropDataset
from maskstat.arrays.cutting import cut
from maskstat.crops.sampler import CropSampler
from maskstat.errors import ParameterError
from maskstat.values.crop_draws import CropBox
from tests.support.crop_cases import blob_index, blobs


@st.composite
def boxes(draw: st.DrawFn) -> CropBox:
    """Crops as samplers place them, of small masks whose sides differ."""
    height, width = draw(st.tuples(st.integers(4, 9), st.integers(10, 15)))
    sides = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    places = (
        draw(st.integers(0, max(size - side, 0)))
        for size, side in zip((height, width), sides, strict=True)
    )
    return CropBox(*places, *sides, (height, width))


def expected(channels_last: NDArray[Any], box: CropBox, fill: Any) -> NDArray[Any]:
    """A slice of the array in a sea of its fill."""
    height, width = box.mask
    sea = np.empty((height + 30, width + 30, *channels_last.shape[2:]), channels_last.dtype)
    sea[:] = fill
    sea[:height, :width] = channels_last
    return sea[box.top : box.top + box.height, box.left : box.left + box.width]


def pixels_of(box: CropBox, channels: int | None = 3) -> NDArray[np.uint8]:
    shape = box.mask if channels is None else (*box.mask, channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@given(boxes(), st.sampled_from([7, (1, 2, 3)]))
def test_arrays_with_channels_last_and_first(box: CropBox, fill: Any) -> None:
    pixels = pixels_of(box)
    found = cut(pixels, box, fill)
    np.testing.assert_array_equal(found, expected(pixels, box, fill))
    assert not np.shares_memory(found, pixels)
    first = cut(np.moveaxis(pixels, 2, 0), box, fill)
    np.testing.assert_array_equal(np.moveaxis(first, 0, 2), found)


@given(boxes(), st.sampled_from(["uint8", "int64", "float32", "bool"]))
def test_masks_of_every_type(box: CropBox, dtype: str) -> None:
    mask = pixels_of(box, None).astype(dtype)
    fill = 1 if dtype == "bool" else 255
    found = cut(mask, box, fill)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected(mask, box, fill))
    one = cut(mask[None], box, fill)
    np.testing.assert_array_equal(one[0], found)


@given(boxes(), st.sampled_from([7, (1, 2, 3)]))
def test_images_of_pillow(box: CropBox, fill: Any) -> None:
    pixels = pixels_of(box)
    found = cut(Image.fromarray(pixels), box, fill)
    assert isinstance(found, Image.Image) and found.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(found), expected(pixels, box, fill))
    grey = cut(Image.fromarray(pixels[..., 0]), box, 255)
    np.testing.assert_array_equal(np.asarray(grey), expected(pixels[..., 0], box, 255))


@given(boxes())
def test_palettes_stay(box: CropBox) -> None:
    pixels = pixels_of(box, None)
    image = Image.fromarray(pixels)
    image.putpalette(bytes(range(256)) * 3)
    found = cut(image, box, 255)
    assert (found.mode, found.getpalette()) == ("P", image.getpalette())
    np.testing.assert_array_equal(np.asarray(found), expected(pixels, box, 255))


@pytest.mark.torch
@given(boxes(), st.sampled_from([7, (1, 2, 3)]))
def test_tensors(box: CropBox, fill: Any) -> None:
    torch = pytest.importorskip("torch")
    pixels = pixels_of(box)
    found = cut(torch.from_numpy(pixels).permute(2, 0, 1), box, fill)
    assert found.dtype == torch.uint8 and found.is_contiguous()
    np.testing.assert_array_equal(found.permute(1, 2, 0).numpy(), expected(pixels, box, fill))
    mask = cut(torch.from_numpy(pixels[..., 0]).long(), box, 255)
    np.testing.assert_array_equal(mask.numpy(), expected(pixels[..., 0], box, 255))


BOX = CropBox(0, 0, 8, 8, (3, 3))


def test_where_a_shape_can_be_read_both_ways() -> None:
    pixels = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    np.testing.assert_array_equal(cut(pixels, BOX, 0)[:3, :3], pixels)


@pytest.mark.parametrize(
    ("pixels", "fill", "said"),
    [
        (np.zeros((4, 3), int), 0, "of the shape 4 × 3, and its mask was 3 × 3"),
        (np.zeros((1, 3, 3, 3), int), 0, "of the shape 1 × 3 × 3 × 3"),
        (Image.new("L", (3, 4)), 0, "an image of 4 × 3, and its mask was 3 × 3"),
        ("a.png", 0, "is a str, and its mask"),
        (np.zeros((3, 3), np.int8), 255, "type int8, which does not hold the fill 255"),
        (np.zeros((3, 3), bool), 255, "type bool, which does not hold the fill 255"),
        (np.zeros((3, 3), int), 0.5, "does not hold the fill 0.5"),
        (Image.new("1", (3, 3)), 255, "does not hold the fill 255"),
        (np.zeros((3, 3, 3)), (1, 2), "2 numbers for 3 channels"),
    ],
)
def test_what_cannot_be_cut_is_refused(pixels: Any, fill: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        cut(pixels, BOX, fill)


# --- the data set -------------------------------------------------------------------------------


class Pair(NamedTuple):
    image: Any
    mask: Any
    name: str


def as_pair(mask: Any, name: str) -> Any:
    return Pair(np.stack([mask] * 3, -1), mask, name)


def as_tuple(mask: Any, name: str) -> Any:
    return np.stack([mask] * 3, -1), mask, name


def as_list(mask: Any, name: str) -> Any:
    return [np.stack([mask] * 3), mask[None], name]


def as_dict(mask: Any, name: str) -> Any:
    return {"name": name, "mask": Image.fromarray(mask), "image": np.stack([mask] * 3, -1)}


@pytest.mark.parametrize("form", [as_pair, as_tuple, as_list, as_dict])
def test_image_and_mask_are_cut_alike(form: Callable[[Any, str], Any]) -> None:
    items = [form(mask, f"b{k}") for k, mask in enumerate(blobs())]
    crops, sampler = CropDataset(items, fill=9), CropSampler(blob_index(), (12, 45), samples=40)
    assert len(crops) == len(items)
    for draw in sampler:
        crop = crops[draw]
        assert type(crop) is type(items[0])
        named = isinstance(crop, dict)
        image, mask, name = (crop[k] for k in (("image", "mask", "name") if named else range(3)))
        mask = np.asarray(mask).reshape(12, 45)
        np.testing.assert_array_equal(mask, expected(blobs()[draw.item], draw.box, 255))
        channel = image[0] if form is as_list else image[..., 0]
        np.testing.assert_array_equal(channel, expected(blobs()[draw.item], draw.box, 9))
        assert name == f"b{draw.item}"


def test_other_places_and_a_transform() -> None:
    items = [{"label": mask, "pixels": mask} for mask in blobs()]
    crops = CropDataset(items, image="pixels", mask="label", transform=lambda item: item["label"])
    draw = CropSampler(blob_index(), 9).take(0, 0, 1)[0]
    assert crops[draw].shape == (9, 9)


def test_a_mask_of_another_size_than_the_index_has_is_refused() -> None:
    items = [(mask[::2, ::2], mask[::2, ::2]) for mask in blobs()]
    draw = CropSampler(blob_index(), 9).take(0, 0, 1)[0]
    with pytest.raises(ParameterError, match=r"image of item \d: is of the shape .* when it was"):
        CropDataset(items)[draw]


@pytest.mark.parametrize(
    ("items", "draw", "said"),
    [
        ([(1, 2)], 0, "asked for by an item and a box"),
        ([(1, 2)], (0, (0, 0, 1, 1)), "asked for by an item and a box"),
        ([{"image": 1, "label": 2}], (0, BOX), "image of item 0: is a int"),
        ([{"img": 1, "label": 2}], (0, BOX), "image: 'image' is nowhere in them: items are dicts"),
        ([(np.zeros((3, 3)),)], (0, BOX), "mask: 1 is nowhere in them"),
        ([np.zeros((3, 3))], (0, BOX), "image: 0 is nowhere in them"),
    ],
)
def test_what_is_no_pair_is_refused(items: Any, draw: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        CropDataset(items)[draw]
