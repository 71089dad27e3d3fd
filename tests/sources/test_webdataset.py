"""Tars of samples: the masks are the members called so, and what is beside them is passed over."""

from __future__ import annotations

import gzip
import io
import json
import random
import tracemalloc
from glob import escape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import maskstat as ms
from maskstat.errors import SourceError
from maskstat.sources.base import Selection
from maskstat.sources.opening import open_source
from tests.support.scan_cases import grey_png, npy, pixels_of, write
from tests.support.source_cases import entries_of, tar_of

MASKS = {f"{n:06}": grey_png(pixels_of(n)) for n in range(12)}


def photograph(kind: str = "JPEG") -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (24, 24, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, kind)
    return stream.getvalue()


PHOTO, PNG_PHOTO = photograph(), photograph("PNG")


def sample(stem: str, mask: str, image: str = "jpg", **others: bytes) -> dict[str, bytes]:
    photo = PNG_PHOTO if image.endswith("png") else PHOTO
    members = {image: photo, mask: MASKS[stem], "json": json.dumps(stem).encode(), **others}
    return {f"train/{stem}.{ending}": data for ending, data in members.items()}


def tar_with(mask: str, image: str = "jpg", **others: bytes) -> bytes:
    return tar_of({k: v for stem in MASKS for k, v in sample(stem, mask, image, **others).items()})


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> ms.Scan:
    folder = tmp_path_factory.mktemp("masks")
    for stem, data in MASKS.items():
        write(folder / f"{stem}.png", data)
    return ms.scan(folder, classes=7)


@pytest.mark.parametrize(
    ("mask", "image"),
    [
        ("seg.png", "jpg"),
        ("seg.png", "png"),
        ("mask.png", "image.png"),
        ("label.tif", "jpg"),
        ("segmentation_map.png", "image.png"),
        ("png", "jpg"),
        ("png", "image.png"),
        ("a.png", "b.png"),
        ("[seg]*.png", "jpg"),
    ],
)
@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_the_masks_of_samples_are_found(
    mask: str, image: str, suffix: str, tmp_path: Path, expected: ms.Scan
) -> None:
    data = tar_with(mask, image)
    data = gzip.compress(data) if suffix == "tar.gz" else data
    for number in range(2):
        write(tmp_path / f"s-{number:02}.{suffix}", data)
    with ms.scan(f"{tmp_path}/s-{{00..01}}.{suffix}", classes=7) as scan:
        assert scan.failures == ()
        assert scan.histogram.mask_count == 2 * len(MASKS)
        assert (scan.histogram.pixels == 2 * expected.histogram.pixels).all()
        assert scan.changes is not None
        assert scan.changes.pattern == f"*.{escape(mask)}"
        assert scan.changes.skipped == 4 * len(MASKS)
        assert set(scan.ledger.names) == {
            f"s-0{n}.{suffix}/train/{stem}.{mask}" for n in range(2) for stem in MASKS
        }
        assert {entry.name for entry in scan.entries()} == set(scan.ledger.names)
    with ms.scan(f"{tmp_path}/s-*.{suffix}", classes=7, split="train") as scan:
        assert scan.histogram.mask_count == 2 * len(MASKS)
        assert scan.changes is not None and scan.changes.pattern == f"*.{escape(mask)}"


def test_what_the_user_says_holds(tmp_path: Path) -> None:
    where = write(tmp_path / "m.tar", tar_with("seg.png", **{"depth.png": MASKS["000000"]}))
    for options, count in (
        ({"include": ("*.depth.png",)}, 12),
        ({"include": ("*.png",)}, 24),
        ({"include": ("*",)}, 24),
        ({"exclude": ("*.jpg",)}, 24),
        ({}, 12),
    ):
        with ms.scan(where, classes=7, **options) as scan:
            assert scan.histogram.mask_count == count


def test_several_that_are_called_masks_are_a_question(tmp_path: Path) -> None:
    where = write(tmp_path / "m.tar", tar_with("seg.png", **{"label.png": MASKS["000000"]}))
    with pytest.raises(SourceError, match=r"several masks in each sample") as caught:
        ms.scan(where, classes=7)
    assert "include='*.seg.png', or include='*.label.png'" in str(caught.value)
    assert ms.scan(where, classes=7, include="*.label.png").histogram.mask_count == 12


def test_what_is_no_sample_is_counted_as_ever(tmp_path: Path) -> None:
    frames = {f"video.{n:03}.png": MASKS[stem] for n, stem in enumerate(MASKS)}
    alone = {f"{stem}.seg.png": data for stem, data in MASKS.items()}
    arrays = {f"{stem}.npy": npy(pixels_of(n)) for n, stem in enumerate(MASKS)}
    for files in (frames, alone, arrays, {f"a/{k}": v for k, v in frames.items()}):
        with ms.scan(write(tmp_path / "m.tar", tar_of(files)), classes=7) as scan:
            assert scan.histogram.mask_count == 12
            assert scan.changes is not None and scan.changes.pattern is None


def test_members_of_strange_names_and_damage(tmp_path: Path) -> None:
    names = ["a\x1b.seg.png", "[*].seg.png", "../x.seg.png", "..seg.png", "é.seg.png"]
    files = {**dict.fromkeys(names, MASKS["000000"]), "[*].jpg": PHOTO, "é.[x].png": PNG_PHOTO}
    found = entries_of(write(tmp_path / "m.tar", tar_of(files)), include=())
    assert set(found) <= {*files}
    chance = random.Random(0)
    whole = tar_with("seg.png")
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(30):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            ms.scan(write(tmp_path / "n.tar", bytes(data)), classes=7)
        except SourceError as error:
            assert error.problem.isprintable()  # noqa: PT017


def test_many_large_members_of_one_sample_are_not_all_held(tmp_path: Path) -> None:
    where = write(
        tmp_path / "m.tar.gz", tar_of({f"a.{n}.png": bytes(9 << 20) for n in range(30)}, "w:gz")
    )
    tracemalloc.start()
    found = entries_of(where, include=("*.no",))
    assert found == {}
    source = open_source(where, Selection(suffixes=frozenset({".png"})))
    next(iter(source.entries()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 400 << 20
    assert source.only is None
