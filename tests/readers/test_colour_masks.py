"""Colour-coded masks: the kernels against a plain decode, and colours that are slightly off."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import maskstat as ms
from maskstat.cli import run
from maskstat.errors import CatalogError, MaskError, ParameterError
from maskstat.kernels.compiled_engine import CompiledEngine
from maskstat.kernels.engine import Engine
from maskstat.kernels.numpy_engine import NumpyEngine
from maskstat.readers import png, tallying
from maskstat.readers.formats import read_label_map, read_tally
from maskstat.readers.options import ReadOptions
from maskstat.values.catalog import IGNORED, UNLISTED, ClassCatalog, ClassInfo
from maskstat.values.catalog_mapping import catalog_from_mapping
from maskstat.values.tally import Encoding, MaskTally, TallyTable
from tests.support import png_factory
from tests.support.mask_files import colours_of, npy, saved
from tests.support.png_factory import SIGNATURE, chunk, filtered, header, idat
from tests.support.scan_cases import write

COLOURS = ReadOptions(colours=True)
COLOUR_TYPES = {2: 4, 3: 2, 4: 6}
ENGINES: dict[str, Engine] = {"numpy": NumpyEngine(), "compiled": CompiledEngine()}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Each engine in turn, used by the readers."""
    chosen = ENGINES[request.param]
    monkeypatch.setattr(png, "current_engine", lambda: chosen)
    monkeypatch.setattr(tallying, "current_engine", lambda: chosen)
    return chosen


def plain_values(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Raw values of (H, W, C) as `MaskTally` defines them."""
    if pixels.shape[2] == 2:
        grey, alpha = pixels[..., 0].astype(np.int64), pixels[..., 1].astype(np.int64)
        return grey * 0x010101 | (255 - alpha) << 24
    return colours_of(pixels)


def counts_of(pixels: NDArray[np.uint8]) -> dict[int, int]:
    return png_factory.counts_of(plain_values(pixels))


def counted(tally: MaskTally | None) -> dict[int, int]:
    assert tally is not None
    tally.check()
    return dict(zip(tally.values.tolist(), tally.counts.tolist(), strict=True))


def rows_of(pixels: NDArray[np.uint8], filters: NDArray[np.integer]) -> bytes:
    return filtered(pixels.reshape(len(pixels), -1), filters.tolist(), pixels.shape[2])


def colour_png(pixels: NDArray[np.uint8], filters: NDArray[np.integer]) -> bytes:
    height, width, channels = pixels.shape
    head = SIGNATURE + header(width, height, 8, COLOUR_TYPES[channels])
    return head + idat(rows_of(pixels, filters)) + chunk(b"IEND")


def picture(rng: np.random.Generator, channels: int) -> NDArray[np.uint8]:
    """Regions, thin stripes or noise of a few colours, some of them neighbours; any small size."""
    height, width = int(rng.integers(1, 14)), int(rng.integers(1, 100))
    colours = rng.integers(0, 256, (int(rng.integers(1, 6)), channels), dtype=np.uint8)
    if rng.random() < 0.3:
        colours = (colours[0] + np.arange(len(colours))[:, None]).astype(np.uint8)
    kind = rng.integers(4)
    if kind == 0:
        return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
    if kind == 1:
        return colours[rng.integers(0, len(colours), (height, width))]
    if kind == 2:
        return colours[png_factory.labels(rng, height, width, 2) % len(colours)]
    blocks = rng.integers(0, len(colours), (-(-height // 3), -(-width // 7)))
    return colours[np.repeat(np.repeat(blocks, 3, 0), 7, 1)[:height, :width]]


# --- the kernels ---------------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.sampled_from([2, 3, 4]), st.sampled_from([*range(5), None]))
def test_every_filter_equals_a_plain_decode(seed: int, channels: int, kind: int | None) -> None:
    """Whole, and cut into bands anywhere; and the same as plain pixels."""
    rng = np.random.default_rng(seed)
    pixels = picture(rng, channels)
    height, width = pixels.shape[:2]
    filters = np.full(height, kind) if kind is not None else rng.integers(0, 5, height)
    stream = bytearray(rows_of(pixels, filters))
    expected = counts_of(pixels)
    for chosen in ENGINES.values():
        values, counts = chosen.tally_colours(stream, height, width, channels)
        assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == expected
        counter = chosen.colours(width, channels)
        cuts = sorted({0, height, *rng.integers(0, height + 1, 2).tolist()})
        for first, last in pairwise(cuts):
            stride = 1 + width * channels
            counter.add(stream[first * stride : last * stride], last - first)
        values, counts = counter.finish()
        assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == expected
        counter = chosen.colours(width, channels)
        counter.add_pixels(pixels)
        counter.add_pixels(pixels[::-1, ::-1])
        values, counts = counter.finish()
        assert values.tolist() == list(expected)
        assert (counts // 2).tolist() == list(expected.values())


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("width", [1, 2, 15, 16, 17, 20, 21, 22, 31, 32, 33, 63, 64, 65, 130])
def test_widths_around_a_word(channels: int, width: int) -> None:
    """64 bytes hold 32, 21 or 16 pixels."""
    rng = np.random.default_rng(width)
    colours = rng.integers(0, 256, (3, channels), dtype=np.uint8)
    for kind in range(5):
        pixels = colours[np.repeat(rng.integers(0, 3, (6, width)), 1, axis=0)]
        pixels[2:] = pixels[2]
        stream = bytearray(rows_of(pixels, np.full(6, kind)))
        for chosen in ENGINES.values():
            values, counts = chosen.tally_colours(stream, 6, width, channels)
            assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == counts_of(pixels)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_files_equal_pillow(engine: Engine, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    channels = len(mode)
    for number in range(12):
        pixels = picture(rng, channels)
        image = Image.fromarray(pixels[..., 0] if channels == 2 else pixels)
        if channels == 2:
            image = Image.merge("LA", [image, Image.fromarray(pixels[..., 1].copy())])
        data = saved(image, "PNG")
        with Image.open(io.BytesIO(data)) as decoded:
            assert decoded.mode == mode
            plain = counts_of(np.asarray(decoded))
        samples = {"LA": "greyalpha"}.get(mode, mode.lower())
        for whole in (1 << 26, 0):
            monkeypatch.setattr(png, "WHOLE_BYTES", whole)
            monkeypatch.setattr(png, "BAND_BYTES", 7 * number)
            tally = read_tally(data, "m", COLOURS)
            assert counted(tally) == plain
            assert tally.encoding == Encoding("png", samples, 8)
        assert counted(png.tally_png_stream(io.BytesIO(data))) == plain
        label_map = read_label_map(data, COLOURS)
        assert png_factory.counts_of(label_map.pixels) == plain


def test_a_mask_after_one_that_failed(engine: Engine) -> None:
    """What a broken image left behind is in no other count."""
    pixels = picture(np.random.default_rng(8), 3)
    good = colour_png(pixels, np.full(len(pixels), 4))
    noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    bad_rows = b"\0" + bytes(30) + b"\x09" + bytes(30)
    bad = SIGNATURE + header(10, 2, 8, 2) + idat(bad_rows) + chunk(b"IEND")
    for _ in range(2):
        with pytest.raises(MaskError, match="unknown PNG filter type 9 in row 1"):
            read_tally(bad, "m", COLOURS)
        with pytest.raises(MaskError, match="photograph"):
            read_tally(saved(Image.fromarray(noise), "PNG"), "m", COLOURS)
        assert counted(read_tally(good, "m", COLOURS)) == counts_of(pixels)


def test_as_many_colours_as_a_mask_may_have(engine: Engine) -> None:
    """65,536 colours are a mask, one more is none; black counts only where it is."""
    square = np.arange(1, 65537, dtype=np.uint32).reshape(256, 256)
    for filters in (np.full(256, 0), np.full(256, 2)):
        pixels = square.view(np.uint8).reshape(256, 256, 4)[..., :3].copy()
        assert len(counted(read_tally(colour_png(pixels, filters), "m", COLOURS))) == 65536
        taller = np.concatenate([pixels, np.full((1, 256, 3), 255, np.uint8)])
        filters = np.append(filters, 2)
        with pytest.raises(MaskError, match="photograph"):
            read_tally(colour_png(taller, filters), "m", COLOURS)


def test_colour_bombs(engine: Engine) -> None:
    """Sizes are checked as for masks of indices."""
    bomb = zlib.compress(bytes(3_000_000), 9)
    for size, said in (
        ((10, 10), "more than the 310 bytes"),
        ((2**31 - 1, 9), "is wider than"),
        ((10_000, 10_000), "300010000"),
    ):
        data = SIGNATURE + header(*size, 8, 2) + chunk(b"IDAT", bomb) + chunk(b"IEND")
        with pytest.raises(MaskError, match=said):
            read_tally(data, "m", COLOURS)


@pytest.mark.parametrize("form", ["TIFF", "BMP", "WEBP", "npy"])
def test_other_formats_count_colours_too(engine: Engine, form: str) -> None:
    pixels = picture(np.random.default_rng(5), 3)
    data = (
        npy(pixels)
        if form == "npy"
        else saved(Image.fromarray(pixels), form, **({"lossless": True} if form == "WEBP" else {}))
    )
    assert counted(read_tally(data, "m", COLOURS)) == counts_of(pixels)


# --- colours that are slightly off ---------------------------------------------------------------

ROAD, SKY, TREE = 0x804080, 0x4682B4, 0x6B8E23


def streets(**options: Any) -> ClassCatalog:
    return ClassCatalog(
        (
            ClassInfo(0, "road", (0,), (ROAD, ROAD + 0x050000), ROAD),
            ClassInfo(1, "sky", (1,), (SKY,), SKY),
            ClassInfo(2, "tree", (2,), (TREE,), TREE),
        ),
        ignored_colours=frozenset({0}),
        **options,
    )


def meaning(catalog: ClassCatalog, *colours: int) -> list[int]:
    tally = MaskTally(
        "m",
        (1, len(colours)),
        Encoding("png", "rgb", 8),
        np.array(sorted(colours)),
        np.ones(len(colours), np.int64),
    )
    targets: list[int] = catalog.targets(TallyTable.of([tally])).tolist()
    return [targets[sorted(colours).index(colour)] for colour in colours]


def plain_nearest(catalog: ClassCatalog, colour: int) -> tuple[int, int]:
    """One colour at a time, from the definition."""
    listed = {0: IGNORED} | {c: info.index for info in catalog.classes for c in info.colours}

    def off(other: int) -> int:
        return max(abs((colour >> s & 255) - (other >> s & 255)) for s in (0, 8, 16, 24))

    nearest = min(map(off, listed))
    found = {target for other, target in listed.items() if off(other) == nearest}
    return (found.pop() if len(found) == 1 else UNLISTED), nearest


@given(
    st.lists(
        st.integers(0, 2**32 - 1)
        | st.builds(
            lambda base, shift, by: max(0, base + (by << shift)),
            st.sampled_from([ROAD, SKY, TREE, 0]),
            st.sampled_from([0, 8, 16]),
            st.integers(-9, 9),
        ),
        min_size=1,
        max_size=30,
    ),
    st.integers(0, 40),
)
def test_nearest_by_definition(colours: list[int], tolerance: int) -> None:
    catalog = streets(nearest_colour=tolerance)
    targets, differences = catalog.nearest(np.array(colours, np.int64))
    plain = [plain_nearest(catalog, colour) for colour in colours]
    assert list(zip(targets.tolist(), differences.tolist(), strict=True)) == plain
    unique = sorted(set(colours))
    for colour, target in zip(unique, meaning(catalog, *unique), strict=True):
        nearest, off = plain_nearest(catalog, colour)
        assert target == (nearest if off <= tolerance else UNLISTED)


def test_a_tie_is_nobodys() -> None:
    two = ClassCatalog(
        (ClassInfo(0, "a", (), (0x100000,)), ClassInfo(1, "b", (), (0x140000,))), nearest_colour=9
    )
    assert meaning(two, 0x110000, 0x120000, 0x130000) == [0, UNLISTED, 1]
    same = ClassCatalog((ClassInfo(0, "a", (), (0x100000, 0x140000)),), nearest_colour=9)
    assert meaning(same, 0x120000) == [0]
    ignored = replace(two, classes=two.classes[:1], ignored_colours=frozenset({0x140000}))
    assert meaning(ignored, 0x120000, 0x130000) == [UNLISTED, IGNORED]


def test_index_masks_are_never_nearly_right() -> None:
    catalog = streets(nearest_colour=200)
    tally = MaskTally("m", (1, 1), Encoding("png", "grey", 8), np.array([3]), np.array([1]))
    assert catalog.targets(TallyTable.of([tally])).tolist() == [UNLISTED]
    assert ClassCatalog.numbered(3).nearest(np.array([5]))[1].tolist() == [256]


@pytest.mark.parametrize("wrong", [-1, 256])
def test_tolerances_that_mean_nothing(wrong: int, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="off by 0 to 255"):
        streets(nearest_colour=wrong)
    write(tmp_path / "a.npy", npy(np.zeros((2, 2), np.uint8)))
    with pytest.raises(ParameterError, match=r"^nearest_colour: "):
        ms.scan(tmp_path, nearest_colour=wrong)


def test_catalogues_keep_their_tolerance() -> None:
    catalog = streets(nearest_colour=2)
    document = json.loads(json.dumps(catalog.to_dict()))
    assert catalog_from_mapping(document, name="x") == replace(catalog, name=document["name"])
    assert catalog.digest != streets().digest
    assert streets().digest == streets(nearest_colour=0).digest
    assert catalog.ignoring([7]).nearest_colour == 2


@pytest.fixture
def slightly_off(tmp_path: Path) -> Path:
    """A mask of 10 x 10: three classes as listed, 3 pixels off by 2, one far off, one a tie."""
    pixels = np.full((10, 10), ROAD)
    pixels[:3], pixels[3:5] = SKY, TREE
    pixels[9, :3] = SKY - 2, SKY + 0x0200, TREE + 0x010101
    pixels[9, 3:5] = 0xFF00FF, 0xFF00FF
    channels = np.stack([pixels >> 16, pixels >> 8 & 255, pixels & 255], axis=-1).astype(np.uint8)
    write(tmp_path / "masks" / "a.png", saved(Image.fromarray(channels), "PNG"))
    classes = {
        "classes": [
            {"name": name, "colour": f"#{colour:06x}"}
            for name, colour in (("road", ROAD), ("sky", SKY), ("tree", TREE))
        ]
    }
    write(tmp_path / "classes.json", json.dumps(classes).encode())
    return tmp_path


def rows(document: Mapping[str, Any]) -> dict[str, Any]:
    return {row["value"]: row["nearest"] for row in document["unlisted_values"]}


def test_off_colours_are_reported_and_mapped_only_when_asked(
    slightly_off: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any, decoded: list[str]
) -> None:
    monkeypatch.chdir(slightly_off)

    def said(*arguments: str) -> Any:
        assert run([*arguments, "--json"]) == 0
        return json.loads(capfd.readouterr().out)

    document = said("scan", "masks", "--classes", "classes.json")
    assert rows(document) == {
        "#4682b2": {"class": "sky", "difference": 2},
        "#4684b4": {"class": "sky", "difference": 2},
        "#6c8f24": {"class": "tree", "difference": 1},
        "#ff00ff": {"class": "road", "difference": 127},
    }
    assert [row["pixels"] for row in document["classes"]] == [45, 30, 20]
    assert run(["show"]) == 0
    text = capfd.readouterr().out
    assert "sky, off by 2" in text
    assert "3 colours of these, 3 pixels, off by at most 2: --nearest-colour 2" in text
    # Had the class near #6c8f24 no pixel to give, --nearest-colour would ignore what may be one.
    assert run(["show", "--ignore", "#6b8e23"]) == 0
    text = capfd.readouterr().out
    assert "ignored, off by 1" in text
    assert "--nearest-colour" not in text
    decoded.clear()
    for command in (["show"], ["scan", "masks", "--classes", "classes.json"]):
        document = said(*command, "--nearest-colour", "2")
        assert [row["pixels"] for row in document["classes"]] == [45, 32, 21]
        assert list(rows(document)) == ["#ff00ff"]
        assert document["catalog"]["nearest_colour"] == 2
    assert decoded == []
    assert said("show")["catalog"]["nearest_colour"] == 2
    assert run(["show"]) == 0
    assert "A colour that is off by up to 2 counts as the nearest" in capfd.readouterr().out
    assert rows(said("show", "--nearest-colour", "1")).keys() == {"#4682b2", "#4684b4", "#ff00ff"}
    assert run(["show", "--nearest-colour", "999"]) == 2
    assert "--nearest-colour" in capfd.readouterr().err


@pytest.mark.parametrize(("off", "hint"), [(5, "--nearest-colour 5"), (6, None)])
def test_a_colour_that_is_off_by_5_gets_the_option(
    tmp_path: Path, capfd: Any, monkeypatch: pytest.MonkeyPatch, off: int, hint: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.full((2, 2, 3), (70, 130, 180), np.uint8)
    pixels[0, 0, 1] += off
    Image.fromarray(pixels).save("a.png")
    Path("c.yaml").write_text('classes: [{name: sky, colour: "#4682b4"}]')
    assert run(["scan", "a.png", "--classes", "c.yaml"]) == 0
    text = capfd.readouterr().out
    assert ("--nearest-colour" in text) == (hint is not None)
    if hint is not None:
        assert f"off by at most 5: {hint}" in text
        assert run(["show", *hint.split()]) == 0
        assert "unlisted" not in capfd.readouterr().out
