"""Each data set as it is shipped: its folders, its files beside the masks, the values in them.

A preset takes the masks and leaves the other files, and gives every pixel the class that the data
set's own document says. What it says is read from the YAML here, without the package.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import maskstat as ms
from maskstat.values.catalog import IGNORED, UNLISTED
from maskstat.values.presets import preset_names
from tests.support.packages import package
from tests.support.preset_data import expanded, load, matching_colours, values_of

nibabel = package("nibabel", reason="needs maskstat[medical]")
Pixels = NDArray[np.int64]
Stored = tuple[dict[int, list[int]], list[int]]  # what stands for each class, or is ignored

COUNT = 2
SHAPE = (24, 30)  # of patches
SIDE = 8


@dataclass(frozen=True)
class Layout:
    """Where a data set has its masks (`{n}` is the image) and what they are.

    Attributes:
        masks: the path of a mask.
        form: how it is written.
        beside: other files of the image, each with what it is.
        options: of the scan.
    """

    masks: str
    form: str = "grey"
    beside: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


CITY = "gtFine/train/aachen/aachen_00000{n}_000019_gtFine_"
STUFF = "stuffthingmaps/train2017/00000000000{n}.png"
STUFF_IMAGE = {"images/train2017/00000000000{n}.jpg": "photo"}
STUFF_BOTH = "annotations/train2017/00000000000{n}"
CONTEXT = "VOC2010/SegmentationClassContext/2008_00000{n}.png"
CONTEXT_BESIDE = {
    "VOC2010/JPEGImages/2008_00000{n}.jpg": "photo",
    "VOC2010/SegmentationClass/2008_00000{n}.png": "palette",
}
FRAME = "scannet_frames_25k/scene0000_00/{}/00010{{n}}.png"
FRAME_BESIDE = {
    FRAME.format("color").replace("png", "jpg"): "photo",
    FRAME.format("depth"): "16-bit",
    FRAME.format("instance"): "16-bit",
}
RAW = "scans/scene0000_00/{}/{{n}}.png"
RAW_BESIDE = {RAW.format("instance-filt"): "grey", RAW.format("label"): "16-bit"}
VISTAS = "training/{}/{}/image{{n}}.png"


def vistas(version: str, other: str) -> Layout:
    beside = {"training/images/image{n}.jpg": "photo", VISTAS.format(other, "labels"): "palette"}
    beside[VISTAS.format(version, "instances")] = "16-bit"
    return Layout(VISTAS.format(version, "labels"), "palette", beside)


LAYOUTS: dict[str, list[Layout]] = {
    "ade20k": [
        Layout(
            "ADEChallengeData2016/annotations/training/ADE_train_0000000{n}.png",
            beside={"ADEChallengeData2016/images/training/ADE_train_0000000{n}.jpg": "photo"},
        )
    ],
    "bdd100k": [
        Layout(
            "labels/sem_seg/masks/train/0000f77c-{n}.png",
            beside={"labels/sem_seg/colormaps/train/0000f77c-{n}.png": "palette"},
        )
    ],
    "camvid-11": [Layout("trainannot/0001TP_00669{n}.png")],
    "camvid-32": [
        Layout(
            "LabeledApproved_full/0001TP_00669{n}_L.png",
            "colours",
            {"701_StillsRaw_full/0001TP_00669{n}.png": "photo"},
        ),
        Layout("labels/0001TP_00669{n}_P.png", beside={"images/0001TP_00669{n}.png": "photo"}),
    ],
    "cityscapes": [
        Layout(
            CITY + "labelIds.png",
            beside={CITY + "color.png": "colours", CITY + "instanceIds.png": "16-bit"},
        ),
        Layout(CITY + "color.png", "colours"),
    ],
    "cityscapes-all-ids": [Layout(CITY + "labelIds.png", beside={CITY + "color.png": "colours"})],
    "cityscapes-train-ids": [
        Layout(CITY + "labelTrainIds.png", beside={CITY + "labelIds.png": "grey"})
    ],
    "coco-stuff-164k": [
        Layout(STUFF, beside=STUFF_IMAGE),
        Layout(
            STUFF_BOTH + ".png", beside=STUFF_IMAGE | {STUFF_BOTH + "_labelTrainIds.png": "grey"}
        ),
    ],
    "coco-stuff-164k-train-ids": [
        Layout(STUFF_BOTH + "_labelTrainIds.png", beside={STUFF_BOTH + ".png": "grey"})
    ],
    "coco-stuff-27": [Layout(STUFF, beside=STUFF_IMAGE)],
    "deepglobe": [
        Layout("train/11934{n}_mask.png", "colours", {"train/11934{n}_sat.jpg": "photo"})
    ],
    "isaid": [
        Layout(
            "train/images/P000{n}_instance_color_RGB.png",
            "colours",
            {
                "train/images/P000{n}_instance_id_RGB.png": "colours",
                "train/images/P000{n}.png": "photo",
            },
        ),
        Layout(
            "ann_dir/train/P000{n}_0_896_0_896_instance_color_RGB.png",
            beside={"img_dir/train/P000{n}_0_896_0_896.png": "photo"},
        ),
    ],
    "kitti": [
        Layout(
            "training/semantic/00000{n}_10.png",
            beside={
                "training/semantic_rgb/00000{n}_10.png": "colours",
                "training/instance/00000{n}_10.png": "16-bit",
                "training/image_2/00000{n}_10.png": "photo",
            },
        ),
        Layout(
            "training/semantic_rgb/00000{n}_10.png",
            "colours",
            {"training/image_2/00000{n}_10.png": "photo"},
        ),
    ],
    "loveda": [
        Layout(
            "Train/Urban/masks_png/136{n}.png",
            beside={"Train/Urban/images_png/136{n}.png": "photo"},
        )
    ],
    "mapillary-vistas-1.2": [
        vistas("v1.2", "v2.0"),
        Layout("training/labels/{n}.png", "palette", {"training/instances/{n}.png": "16-bit"}),
    ],
    "mapillary-vistas-2.0": [vistas("v2.0", "v1.2")],
    "nyu-40": [
        Layout(
            "train/labels_40/000{n}.png",
            beside={"train/labels_13/000{n}.png": "grey", "train/rgb/000{n}.png": "photo"},
        )
    ],
    "oxford-pet": [
        Layout(
            "annotations/trimaps/Abyssinian_{n}.png", beside={"images/Abyssinian_{n}.jpg": "photo"}
        )
    ],
    "pascal-context-59": [Layout(CONTEXT, beside=CONTEXT_BESIDE)],
    "pascal-context-59-labels": [
        Layout("59_context_labels/2008_00000{n}.png", beside=CONTEXT_BESIDE)
    ],
    "pascal-context-60": [Layout(CONTEXT, beside=CONTEXT_BESIDE)],
    "potsdam": [
        Layout(
            "5_Labels_all/top_potsdam_2_1{n}_label.tif",
            "colours",
            {"2_Ortho_RGB/top_potsdam_2_1{n}_RGB.tif": "photo"},
        )
    ],
    "scannet-20": [Layout(FRAME.format("label"), beside=FRAME_BESIDE)],
    "scannet-20-raw": [Layout(RAW.format("label-filt"), "16-bit", RAW_BESIDE)],
    "scannet-40": [Layout(FRAME.format("label"), beside=FRAME_BESIDE)],
    "scannet-40-raw": [
        Layout(RAW.format("label-filt"), "16-bit", RAW_BESIDE),
        Layout(RAW.format("label"), "16-bit", {RAW.format("instance"): "grey"}),
    ],
    "sun-rgbd-37": [
        Layout(
            "SUNRGBD/kv1/NYUdata/NYU000{n}/label/label.npy",
            "npy",
            {"SUNRGBD/kv1/NYUdata/NYU000{n}/image/NYU000{n}.jpg": "photo"},
        )
    ],
    "synapse": [
        Layout("Synapse/train_npz/case0005_slice00{n}.npz", "npz", options={"array": "label"}),
        Layout(
            "ann_dir/train/case0005_slice00{n}.png",
            beside={"img_dir/train/case0005_slice00{n}.jpg": "photo"},
        ),
    ],
    "synapse-13": [
        Layout(
            "RawData/Training/label/label000{n}.nii.gz",
            "nifti",
            {"RawData/Training/img/img000{n}.nii.gz": "nifti"},
        )
    ],
    "uavid": [
        Layout(
            "uavid_train/seq1/Labels/00000{n}.png",
            "colours",
            {"uavid_train/seq1/Images/00000{n}.png": "photo"},
        ),
        Layout("uavid_train/seq1/TrainId/00000{n}.png"),
    ],
    "vaihingen": [Layout("gts/top_mosaic_09cm_area{n}.tif", "colours")],
    "voc": [
        Layout(
            "VOC2012/SegmentationClass/2007_00000{n}.png",
            "palette",
            {
                "VOC2012/SegmentationObject/2007_00000{n}.png": "palette",
                "VOC2012/JPEGImages/2007_00000{n}.jpg": "photo",
            },
        )
    ],
}
CASES = [(name, layout) for name in LAYOUTS for layout in LAYOUTS[name]]


def test_every_preset_is_here() -> None:
    assert sorted(LAYOUTS) == sorted(preset_names())


def stored(name: str, form: str) -> dict[int, list[int]]:
    """What a mask holds for each class, and what for IGNORED and UNLISTED pixels."""
    preset = load(name)
    found: dict[int, list[int]] = {}
    if form == "colours":
        for place, entry in enumerate(preset["classes"]):
            if colours := matching_colours(entry):
                found[place] = [int(colour[1:], 16) for colour in colours]
        found[IGNORED] = [int(colour[1:], 16) for colour in preset.get("ignore_colours", [])]
        found[UNLISTED] = [0xFF0000 if name == "deepglobe" else 0x010203]
        return found
    for place, entry in enumerate(preset["classes"]):
        found[place] = values_of(entry, place)
    found[IGNORED] = expanded(preset.get("ignore", []))
    listed = {value for values in found.values() for value in values}
    limit = 2**16 if form == "16-bit" else 255
    found[UNLISTED] = [next(v for v in range(limit - 1, 0, -1) if v not in listed)]
    return found


def rgb(codes: Pixels) -> NDArray[np.uint8]:
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1).astype(np.uint8)


def unclean(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Here and there a channel that is "not pure 0 and 255", on the same side of 128."""
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 128, pixels.shape) * (rng.random(pixels.shape) < 0.01)
    return np.where(pixels >= 128, 255 - noise, noise).astype(np.uint8)


def image(pixels: NDArray[Any]) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(pixels).save(path)


def writer(form: str, codes: Pixels, *, unclean_colours: bool) -> Callable[[Path], None]:
    if form == "colours":
        return image(unclean(rgb(codes)) if unclean_colours else rgb(codes))
    if form == "16-bit":
        return image(codes.astype(np.uint16))
    small = codes.astype(np.uint8)
    if form == "palette":
        indexed = Image.fromarray(small, "L")
        indexed.putpalette(np.random.default_rng(2).integers(0, 256, 768).astype(np.uint8))
        return lambda path: indexed.save(path)
    if form == "npy":
        return lambda path: np.save(path, small)
    if form == "npz":
        return lambda path: np.savez(path, image=codes / 7, label=small)
    if form == "nifti":
        volume = nibabel.Nifti1Image(small[..., None], np.eye(4))
        return lambda path: nibabel.save(volume, path)
    return image(small)


def written(root: Path, path: str, write: Callable[[Path], None]) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    write(root / path)


@pytest.mark.parametrize(
    ("name", "layout"), CASES, ids=[f"{name}-{layout.form}" for name, layout in CASES]
)
def test_a_data_set_as_it_is_shipped(name: str, layout: Layout, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    means = {target: codes for target, codes in stored(name, layout.form).items() if codes}
    choices = np.array([(target, code) for target, codes in means.items() for code in codes])
    expected: dict[int, int] = dict.fromkeys(range(len(load(name)["classes"])), 0)
    root = tmp_path / "data"
    for n in range(1, COUNT + 1):
        drawn = choices[rng.integers(0, len(choices), SHAPE)]
        drawn = drawn.repeat(SIDE, axis=0).repeat(SIDE, axis=1)
        targets, codes = drawn[..., 0], drawn[..., 1]
        for target, count in zip(*np.unique(targets, return_counts=True), strict=True):
            expected[int(target)] = expected.get(int(target), 0) + int(count)
        write = writer(layout.form, codes, unclean_colours=name == "deepglobe")
        written(root, layout.masks.format(n=n), write)
        for path, kind in layout.beside.items():
            other = rng.integers(0, 200, (*codes.shape, 3)).astype(np.uint8)
            if kind == "photo":
                written(root, path.format(n=n), image(other))
            else:
                codes = rng.integers(0, 9, codes.shape)
                written(root, path.format(n=n), writer(kind, codes, unclean_colours=False))
    with ms.scan(root, db=tmp_path / "kept.db", classes=name, **layout.options) as scan:
        found = scan.histogram
        assert not scan.failures
        assert scan.ledger.names == tuple(layout.masks.format(n=n) for n in range(1, COUNT + 1))
        assert scan.changes is not None
        assert scan.changes.skipped == COUNT * len(layout.beside)
        assert bool(layout.beside) <= (scan.changes.pattern in load(name).get("masks", []))
    assert found.pixels.tolist() == [expected[k] for k in range(len(found.catalog))]
    for values, target in ((found.ignored, IGNORED), (found.unlisted, UNLISTED)):
        assert sum(count.pixels for count in values.values()) == expected.get(target, 0)


@pytest.mark.parametrize(
    ("name", "folder", "reading", "divisor"),
    [
        ("mapillary-vistas-1.2", "training/v1.2/instances", "mapillary", 256),
        ("mapillary-vistas-2.0", "training/v2.0/instances", "mapillary", 256),
        ("kitti", "training/instance", "kitti", 256),
        ("scannet-20", "scene0000_00/instance", "scannet", 1000),
        ("scannet-40", "scene0000_00/instance", "scannet", 1000),
    ],
)
def test_instance_files_as_the_note_says(
    name: str, folder: str, reading: str, divisor: int, tmp_path: Path
) -> None:
    """Label * N + instance, of label 0, too: the same counts as of the labels alone."""
    masks = f"*{folder.rpartition('/')[2]}/*"
    assert f'--include "{masks}" --value-divisor {reading})' in load(name)["note"]
    rng = np.random.default_rng(4)
    values = [v for k, e in enumerate(load(name)["classes"]) for v in values_of(e, k)]
    labels = rng.choice([0, *values], SHAPE)
    instances = (labels * divisor + rng.integers(0, divisor, SHAPE)).astype(np.uint16)
    written(tmp_path, f"data/{folder}/1.png", image(instances))
    written(tmp_path, "plain/1.png", image(labels.astype(np.uint8)))
    counts = []
    for root, options in (
        ("plain", {}),
        ("data", {"include": masks, "value_divisor": reading}),
    ):
        with ms.scan(tmp_path / root, db=tmp_path / root / "s.db", classes=name, **options) as scan:
            counts.append((scan.histogram.pixels.tolist(), dict(scan.histogram.ignored)))
    assert counts[0] == counts[1]


def test_unclean_colours_of_deepglobe_are_cut_at_128() -> None:
    """What the data page says, for every kind of colour."""
    catalog = ms.preset("deepglobe").catalog
    pixels = np.random.default_rng(5).integers(0, 256, (4000, 3))
    pixels[:8] = [[v, 127, 128] for v in range(124, 132)]
    corners = (pixels >= 128) @ (0xFF0000, 0xFF00, 0xFF)
    known = {info.colours[0]: info.index for info in catalog.classes} | {0: IGNORED}
    expected = [known.get(int(corner), UNLISTED) for corner in corners]
    colours = pixels @ (1 << 16, 1 << 8, 1)
    nearest, difference = catalog.nearest(colours)
    kept = np.where(difference <= catalog.nearest_colour, nearest, UNLISTED)
    assert kept.tolist() == expected
