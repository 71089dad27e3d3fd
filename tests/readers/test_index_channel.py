"""Masks of indices that are stored as colours: what they mean is what the index mask means."""

from __future__ import annotations

import io
import json
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
from maskstat.errors import ParameterError
from maskstat.readers import png
from maskstat.readers.formats import (
    read_label_map,
    read_tally,
    read_tally_and_pixels,
    read_tally_stream,
)
from maskstat.readers.options import ReadOptions
from maskstat.values.tally import MaskTally
from tests.support.loops import at_least_one
from tests.support.mask_files import from_tifffile, labels, npy, npz, refusal, saved
from tests.support.packages import needs
from tests.support.paths import SHARED
from tests.support.png_factory import SIGNATURE, chunk, filtered, header, idat
from tests.support.scan_cases import digests, grey_png, write

GREY, RED = ReadOptions(channel="grey"), ReadOptions(channel="r")
CASE = SHARED / "cases" / "index-in-rgb"
PNG_TYPES = {"LA": 4, "RGB": 2, "RGBA": 6}


def spread(
    pixels: NDArray[np.integer], mode: str, *, others: NDArray[np.integer] | None = None
) -> NDArray[np.integer]:
    """(H, W, channels) with the index in every channel, or `others` in green and blue; alpha 7."""
    beside = pixels if others is None else others
    channels = [pixels] if mode == "LA" else [pixels, beside, beside]
    if mode.endswith("A"):
        channels.append(np.full_like(pixels, 7))
    return np.stack(channels, axis=-1)


def image(pixels: NDArray[np.integer], mode: str) -> Image.Image:
    bands = [Image.fromarray(band.astype(np.uint8)) for band in np.moveaxis(pixels, -1, 0)]
    return Image.merge(mode, bands)


def wide_png(pixels: NDArray[np.integer], mode: str, filters: NDArray[np.integer]) -> bytes:
    """A PNG of 16-bit colours from (H, W, channels)."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    stream = filtered(rows, filters.tolist(), 2 * channels)
    head = SIGNATURE + header(width, height, 16, PNG_TYPES[mode])
    return head + idat(stream) + chunk(b"IEND")


def check_read(data: bytes, options: ReadOptions, expected: NDArray[np.integer]) -> MaskTally:
    """Every way to read gives the indices."""
    plain = MaskTally.of_pixels("m", expected, read_tally(data, "m", options).encoding)
    assert not plain.encoding.is_colour
    assert plain.encoding.reading == f"channel {options.channel}"
    tally, decoded = read_tally_and_pixels(data, "m", options)
    for found in (
        tally,
        read_tally(data, "m", options),
        read_tally_stream(io.BytesIO(data), "m", options),
        MaskTally.of_pixels("m", np.asarray(decoded), plain.encoding),
        MaskTally.of_pixels("m", np.asarray(read_label_map(data, options).pixels), plain.encoding),
    ):
        found.check()
        assert found.encoding == plain.encoding
        assert found.shape == plain.shape
        assert found.values.tolist() == plain.values.tolist()
        assert found.counts.tolist() == plain.counts.tolist()
    return tally


@pytest.mark.parametrize(
    ("form", "mode"),
    [(form, "RGB") for form in ("PNG", "TIFF", "BMP", "WEBP", "npy", "npz")]
    + [(form, "RGBA") for form in ("PNG", "TIFF", "WEBP", "npy", "npz")]
    + [(form, "LA") for form in ("PNG", "TIFF")],
)
def test_bytes_in_any_format(form: str, mode: str) -> None:
    pixels, others = labels(256), labels(256, seed=1)

    def file(stored: NDArray[np.integer]) -> bytes:
        if form == "npy":
            return npy(stored.astype(np.uint8))
        if form == "npz":
            return npz(mask=stored.astype(np.uint8))
        options = {"lossless": True, "exact": True} if form == "WEBP" else {}
        return saved(image(stored, mode), form, **options)

    for options in (GREY, RED):
        tally = check_read(file(spread(pixels, mode)), options, pixels)
        assert tally.encoding.is_eight_bit
    if mode != "LA":
        check_read(file(spread(pixels, mode, others=others)), RED, pixels)
        check_read(file(spread(pixels, mode, others=0 * pixels)), RED, pixels)


@given(
    st.integers(0, 2**32),
    st.sampled_from(sorted(PNG_TYPES)),
    st.sampled_from([*range(5), None]),
    st.booleans(),
)
def test_png_of_16_bits_a_channel(seed: int, mode: str, kind: int | None, same: bool) -> None:
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(1, 12, 2))
    pixels, others = rng.integers(0, 65536, (2, *size))
    filters = rng.integers(0, 5, size[0]) if kind is None else np.full(size[0], kind)
    stored = spread(pixels, mode, others=None if same else others)
    data = wide_png(stored, mode, filters)
    check_read(data, RED, pixels)
    if same or mode == "LA":
        check_read(data, GREY, pixels)


@needs("tifffile", reason="needs maskstat[tiff]")
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_tiff_of_16_bits_a_channel(mode: str, planar: str, tile: Any) -> None:
    pixels = labels(65536)
    extra = {"extrasamples": ["unassalpha"]} if mode == "RGBA" else {}
    for others, options in ((None, GREY), (None, RED), (labels(65536, seed=2), RED)):
        stored = spread(pixels, mode, others=others).astype(np.uint16)
        if planar == "separate":
            stored = np.moveaxis(stored, -1, 0).copy()
        data = from_tifffile(stored, photometric="rgb", planarconfig=planar, tile=tile, **extra)
        check_read(data, options, pixels)


@pytest.mark.parametrize("dtype", [np.uint16, np.int64])
def test_arrays_wider_than_colours(dtype: type) -> None:
    pixels, others = labels(30_000), labels(30_000, seed=1)
    for order in ("C", "F"):
        for stored, options in (
            (spread(pixels, "RGB"), GREY),
            (spread(pixels, "RGBA", others=others), RED),
        ):
            array = np.asarray(stored.astype(dtype), order=order)  # type: ignore[call-overload]
            check_read(npy(array), options, pixels)
            check_read(npz(mask=array), options, pixels)
    assert "channel indices in colours" in refusal(npy(spread(pixels, "RGB").astype(dtype)))


def test_masks_of_indices_are_read_as_they_are() -> None:
    pixels = labels(256)
    for options in (GREY, RED):
        check_read(grey_png(pixels), options, pixels)
        check_read(grey_png(labels(60_000), 16), options, labels(60_000))


def test_ids_in_colours_are_divided() -> None:
    data = wide_png(spread(np.array([[7, 26001, 26002]]), "RGB"), "RGB", np.array([1]))
    tally = read_tally(data, "m", ReadOptions(channel="grey", value_divisor=1000))
    assert tally.values.tolist() == [7, 26]
    assert tally.counts.tolist() == [1, 2]


@pytest.mark.parametrize("bits", [8, 16])
def test_what_is_no_index_is_refused(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def file(pixels: NDArray[np.integer], mode: str) -> bytes:
        if bits == 16:
            return wide_png(pixels, mode, np.zeros(len(pixels), int))
        return saved(image(pixels, mode), "PNG")

    pixels = labels(9)
    uneven = spread(pixels, "RGB")
    uneven[5, 5] = 1, 2, 3
    faint = spread(pixels, "RGBA")
    faint[3, 3, 3] = 8
    for whole in (1 << 26, 0):
        monkeypatch.setattr(png, "WHOLE_BYTES", whole)
        said = refusal(file(uneven, "RGB"), GREY)
        assert ("#010203" if bits == 8 else "1, 2, 3") in said
        assert "channel='r' reads the red one alone" in said
        for options in (GREY, RED):
            assert "transparency differs from pixel to pixel" in refusal(
                file(faint, "RGBA"), options
            )


@pytest.mark.parametrize("bits", [8, 16])
def test_what_looks_like_indices_is_offered(bits: int) -> None:
    def said(pixels: NDArray[np.integer], mode: str) -> str:
        if bits == 16:
            return refusal(wide_png(pixels, mode, np.zeros(len(pixels), int)))
        return refusal(saved(image(pixels, mode), "PNG"))

    pixels = labels(9)
    for mode in PNG_TYPES:
        assert "its channels are equal: channel='grey' reads them as indices" in said(
            spread(pixels, mode), mode
        )
    for mode in ("RGB", "RGBA"):
        assert "channel='r' reads it as indices" in said(
            spread(pixels, mode, others=0 * pixels), mode
        )
        assert "channel" not in said(spread(pixels, mode, others=labels(9, seed=1)), mode)
    faint = spread(pixels, "RGBA")
    faint[3, 3, 3] = 8
    assert "channel" not in said(faint, "RGBA")


@needs("tifffile", reason="needs maskstat[tiff]")
def test_tiff_of_16_bits_is_looked_at() -> None:
    stored = spread(labels(9), "RGB").astype(np.uint16)
    assert "channel='grey'" in refusal(from_tifffile(stored, photometric="rgb"))
    stored[..., 1:] = 0
    assert "channel='r'" in refusal(from_tifffile(stored, photometric="rgb"))
    stored[0, 0, 1] = 300
    assert "channel" not in refusal(from_tifffile(stored, photometric="rgb"))


def test_interlaced_png_of_16_bits_is_refused() -> None:
    methods = b"\0\0\1"
    head = SIGNATURE + header(1, 1, 16, 2, methods)
    data = head + idat(b"\0" + bytes(6)) + chunk(b"IEND")
    assert "interlaced PNG of 16-bit colour" in refusal(data, GREY)


def test_a_folder_means_what_its_index_masks_mean(tmp_path: Path, decoded: list[str]) -> None:
    """Histogram and ledger of a folder of RGB masks are those of grey ones, and are kept."""
    for number in range(4):
        pixels = labels(11, seed=number)
        write(tmp_path / "grey" / f"{number}.png", grey_png(pixels))
        for kind, others in (("equal", None), ("red", 0 * pixels)):
            stored = image(spread(pixels, "RGB", others=others), "RGB")
            write(tmp_path / kind / f"{number}.png", saved(stored, "PNG"))
    db = tmp_path / "scans.db"
    for classes in (None, 11, ["a", "b", "c"]):
        with ms.scan(tmp_path / "grey", classes=classes) as plain:
            for kind, channel in (("equal", "grey"), ("equal", "r"), ("red", "r")):
                with ms.scan(tmp_path / kind, classes=classes, channel=channel, db=db) as scan:
                    assert not scan.failures
                    assert digests(scan) == digests(plain)
                    decoded.clear()
                    with ms.scan(tmp_path / kind, classes=classes, channel=channel, db=db) as again:
                        assert digests(again) == digests(plain)
                        assert again.changes is not None and again.changes.unchanged == 4
                    assert not decoded
    with ms.scan(tmp_path / "equal", db=db) as without:
        assert len(without.failures) == 4


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        ({"channel": "b"}, "'b' is not one of r, grey"),
        ({"channel": "r", "channels": "one-hot"}, "channels says what channels are"),
        ({"channel": "r", "panoptic": "x.json"}, "panoptic says what channels are"),
    ],
)
def test_what_means_nothing(reading: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        ReadOptions.of(reading)


@pytest.mark.skipif(not CASE.exists(), reason="real masks are absent: ../shared/cases")
@pytest.mark.parametrize(("kind", "channel"), [("equal", "grey"), ("carla", "r")])
def test_the_case(
    kind: str,
    channel: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["scan", str(CASE / kind)]) == 3
    assert f"--channel {channel}" in " ".join(capfd.readouterr().out.split())
    assert run(["scan", str(CASE / kind), "--channel", channel, "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    found = {row["index"]: (row["pixels"], row["masks"]) for row in said["classes"]}
    counted = {index: counts for index, counts in found.items() if counts[0]}
    assert counted == {0: (1000, 2), 3: (1500, 2), 7: (900, 2), 10: (1400, 2)}
    assert said["reading"] == {"channel": channel}
    for row in at_least_one(said["classes"]):
        assert (row["pixels"] == 0) == (row["index"] not in counted)
