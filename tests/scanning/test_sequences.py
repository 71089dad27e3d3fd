"""Names that look like frames of few sequences, and a rule that works; no alarm for others."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import maskstat as ms
from maskstat.cli.spelling import AsCommands
from maskstat.errors import speaking
from maskstat.naming import natural_key
from maskstat.scanning.sequences import suggested_groups
from maskstat.values.groups import GroupRule, MaskGroups
from tests.support.loops import at_least_one
from tests.support.paths import CAMVID

CHANCE = random.Random(1)
CITIES = ("aachen", "bochum", "ulm")
DRIVES = ("0001", "0002", "0005", "0091")


def frames(form: str, labels: Sequence[object], count: int, *, step: int = 1) -> list[str]:
    """Names of `count` frames of each label; a longer one for each, as of real sequences."""
    return [
        form.format(label, step * n)
        for at, label in enumerate(labels)
        for n in range(count + 3 * at)
    ]


# Layout -> names, and the part of a name that tells its sequence, as a regular expression.
SEQUENCES: dict[str, tuple[list[str], str]] = {
    "CamVid": (
        [f"0001TP_{n:06d}.png" for n in range(6690, 8550, 30)]
        + [f"0006R0_f{n:05d}.png" for n in range(930, 3960, 30)]
        + [f"0016E5_{n:05d}_L.png" for n in range(390, 6510, 30)],
        "^[^_]+",
    ),
    "two sequences of CamVid, below folders": (
        [f"train/masks/0001TP_{n:06d}.png" for n in range(6690, 8550, 30)]
        + [f"train/masks/0006R0_f{n:05d}.png" for n in range(930, 3960, 30)],
        "000..",
    ),
    "Cityscapes": (
        frames("{0}/{0}_{1:06d}_000019_gtFine_labelIds.png", CITIES, 40)
        + [f"kiel/kiel_000000_{CHANCE.randrange(10**6):06d}_gtFine_labelIds.png" for _ in range(9)],
        "^[^/]+",
    ),
    "Cityscapes without folders": (
        frames("{}_{:06d}_000019_gtFine_labelIds.png", CITIES, 40),
        "^[a-z]+",
    ),
    "KITTI": (frames("2011_09_26_drive_{}_sync/image_02/{:010d}.png", DRIVES, 30), "drive_...."),
    "KITTI-STEP": (frames("{}/{:06d}.png", DRIVES, 30), "^...."),
    "DAVIS": (frames("{}/{:05d}.png", ("bear", "camel", "dog"), 40), "^[a-z]+"),
    "VIPER": (frames("{0}/{0}_{1:05d}.png", ("001", "002", "003"), 40), "^..."),
    "IDD": (
        [
            f"{at}/frame{n:04d}_gtFine_labelids.png"
            for at in range(30)
            for n in CHANCE.sample(range(1500), 30)
        ],
        "^[0-9]+",
    ),
    "CholecSeg8k": (
        [
            f"video{v:02d}/video{v:02d}_{clip:05d}/frame_{clip + n}_endo_mask.png"
            for v in (1, 9, 12)
            for clip in (80, 160, 2000)
            for n in range(80)
        ],
        "^video..",
    ),
    "slices of patients": (frames("patient{:03d}_slice_{:03d}.png", range(20), 12), "^patient..."),
    "LGG": (
        frames("TCGA_CS_{0}/TCGA_CS_{0}_19960909_{1}_mask.tif", ("4941", "4942", "5393"), 20),
        "^TCGA_CS_....",
    ),
    "cameras of sequences": (
        [f"seq{s:02d}_cam{c}_{n:06d}.png" for s in range(4) for c in (0, 1, 2) for n in range(20)],
        "^seq..",
    ),
    "Virtual KITTI": (
        [
            f"Scene{s:02d}/clone/frames/classSegmentation/Camera_{c}/classgt_{n:05d}.png"
            for s in (1, 2, 6)
            for c in (0, 1)
            for n in range(30)
        ],
        "^Scene..",
    ),
    "tiles of images": (
        [
            f"{city}{n}_{x}_{y}.png"
            for city in ("austin", "vienna")
            for n in range(1, 5)
            for x in range(5)
            for y in range(5)
        ],
        "^[a-z]+[0-9]",
    ),
    "times of frames": (
        frames("seq{}/140363{:013d}.png", (1, 2, 3), 30, step=50_000_000),
        "^seq.",
    ),
    "planes of files": (
        [f"volume {at}.tif#{n}" for at in (1, 2, 3) for n in range(1, 20 + at)],
        "^volume .[.]tif",
    ),
}


@pytest.mark.parametrize("layout", SEQUENCES)
def test_sequences_are_seen_and_the_rule_tells_them(layout: str) -> None:
    names, part = SEQUENCES[layout]
    names = sorted(names, key=natural_key)
    found = suggested_groups(names)
    assert found is not None
    wanted = GroupRule(part).groups(names)
    assert same_groups(found.groups, wanted)
    assert same_groups(GroupRule(found.rule.text).groups(names), wanted)
    kind = "planes of 3 files" if "planes" in layout else f"frames of {len(wanted)} sequences"
    with speaking(AsCommands()):
        said = found.sentence
    assert said.startswith(f"Intervals assume that masks are independent; names look like {kind}")


def same_groups(one: MaskGroups, other: MaskGroups) -> bool:
    pairs = set(zip(one.of.tolist(), other.of.tolist(), strict=True))
    return len(pairs) == len(one) == len(other)


NO_SEQUENCES: dict[str, list[str]] = {
    "nothing": [],
    "one": ["0001_0001.png"],
    "words": ["a.png", "b.png", "c.png", "d.png"],
    "a counter": [f"{n}.png" for n in range(1, 501)],
    "a padded counter": [f"{n:04d}.png" for n in range(500)],
    "a counter with words": [f"ADE_train_{n:08d}.png" for n in range(1, 500)],
    "KITTI semantics": [f"{n:06d}_10.png" for n in range(200)],
    "COCO": [f"{n:012d}.png" for n in sorted(CHANCE.sample(range(500_000), 500))],
    "COCO's splits": [f"COCO_{s}2014_{n:012d}.png" for s in ("train", "val") for n in range(99)],
    "splits": [f"{split}/{n:06d}.png" for split in ("train", "val", "test") for n in range(99)],
    "years of VOC": [
        f"{year}_{n:06d}.png" for year in range(2007, 2012) for n in CHANCE.sample(range(9999), 99)
    ],
    "hashes": [f"{CHANCE.randrange(16**8):08x}.png" for _ in range(500)],
    "BDD100K": [
        f"{CHANCE.randrange(16**8):08x}-{CHANCE.randrange(16**8):08x}.png" for _ in range(500)
    ],
    "breeds of pets": frames("{}_{}.png", ("Abyssinian", "american_bulldog", "pug"), 90),
    "folders of categories": frames("{}/{}.png", ("cat", "dog", "pug"), 90),
    "folders of a thousand": [f"part{n // 1000}/{n:06d}.png" for n in range(3500)],
    "a random half each": [f"{CHANCE.choice('ab')}/{n:06d}.png" for n in range(500)],
    "tiles of one image": [f"{x}_{y}.png" for x in range(20) for y in range(20)],
    "tiles with words": [f"tile_x{x}_y{y}.png" for x in range(20) for y in range(20)],
    "Potsdam": [f"top_potsdam_{x}_{y}_label.tif" for x in range(2, 8) for y in range(7, 14)],
    "photographs by date": [
        f"IMG_201801{day:02d}_{CHANCE.randrange(240_000):06d}.png"
        for day in range(1, 20)
        for _ in range(20)
    ],
    "planes of one file": [f"volume.tif#{n}" for n in range(1, 50)],
    "pages of many files": [f"f{n}.tif#{page}" for n in range(50) for page in (1, 2)],
}


@pytest.mark.parametrize("layout", NO_SEQUENCES)
def test_no_alarm_for_names_that_are_no_frames(layout: str) -> None:
    found = suggested_groups(sorted(set(NO_SEQUENCES[layout]), key=natural_key))
    assert found is None


@pytest.mark.parametrize("form", ["{}/masks/{}_{:06d}.png", "{}/{}/{:06d}.png", "{}/{}-{:06d}.png"])
def test_a_sequence_in_two_splits_is_one(form: str) -> None:
    names = {
        split: [form.format(split, label, n) for label in labels for n in range(start, start + 20)]
        for split, labels, start in (("train", ("s1", "s2", "s3"), 0), ("val", ("s3", "s4"), 50))
    }
    found = suggested_groups(names["train"])
    assert found is not None
    assert found.groups.names == ("s1", "s2", "s3")
    assert found.rule.groups(names["val"]).names == ("s3", "s4")


LABELS = st.from_regex(r"[a-z]{1,4}[0-9]{1,3}[A-Z]?", fullmatch=True)


@given(
    st.lists(LABELS, min_size=2, max_size=6, unique=True),
    st.sampled_from(["{}_{:05d}.png", "{}/{:05d}.png", "m/{}-{:04d}_gt.png", "{}.{:06d}.mask.png"]),
    st.integers(5, 9),
    st.randoms(),
)
def test_generated_sequences(
    labels: list[str], form: str, count: int, chance: random.Random
) -> None:
    assume(len({label.casefold() for label in labels}) == len(labels))
    names = frames(form, labels, count)
    wanted = [label for at, label in enumerate(labels) for _ in range(count + 3 * at)]
    order = chance.sample(range(len(names)), len(names))
    found = suggested_groups([names[at] for at in order])
    assert found is not None
    assert same_groups(found.groups, MaskGroups.of_labels("x", [wanted[at] for at in order]))


@given(st.sets(st.integers(0, 99_999), max_size=300), st.sampled_from(["{}.png", "f_{:05d}.png"]))
def test_any_counter_alone_is_no_sequence(numbers: set[int], form: str) -> None:
    assert suggested_groups([form.format(n) for n in sorted(numbers)]) is None


@given(st.lists(st.text(max_size=12), unique=True, max_size=30))
def test_any_names_get_an_answer_whose_rule_fits_them(names: list[str]) -> None:
    found = suggested_groups(names)
    if found is not None:
        groups = found.rule.groups(names)
        assert 2 <= len(groups) <= len(names) / 3
        assert same_groups(groups, found.groups)


def test_many_names_are_looked_at_in_parts() -> None:
    names = [f"seq{s:03d}/{n:06d}.png" for s in range(200) for n in range(400)]
    found = suggested_groups(names)
    assert found is not None and found.rule.text == "folder" and len(found.groups) == 200
    assert suggested_groups([f"{n:06d}.png" for n in range(80_000)]) is None
    found = suggested_groups([*names, "mean.png"])
    assert found is None or len(found.groups) == 201, "a rule fits every name"


@pytest.mark.skipif(not CAMVID.is_dir(), reason="real masks are absent: ../shared")
def test_a_scan_suggests_groups_where_nobody_named_any() -> None:
    scan = ms.scan(CAMVID / "train" / "masks", classes="camvid-11")
    found = scan.suggested_groups
    assert found is not None and found.rule.text == "^([^_]+)_"
    sizes = dict(zip(found.groups.names, found.groups.sizes.tolist(), strict=True))
    assert sizes == {"0001TP": 62, "0006R0": 101, "0016E5": 204}
    for rule in at_least_one(["mask", found.rule, "folder"]):
        assert scan.grouped(rule).suggested_groups is None
    with speaking(AsCommands()):
        assert found.sentence.endswith("frames of 3 sequences: --group-by '^([^_]+)_'")
    assert found.sentence.endswith("frames of 3 sequences: group_by='^([^_]+)_'")
