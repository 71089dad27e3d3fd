"""Mutated PNG files: each is counted exactly as Pillow and a plain reader count it, or refused.

2,000 mutations in the normal run; MASKSTAT_FUZZ=50000 for more, MASKSTAT_FUZZ_SEED for others.
Mutations reach every layer: bytes anywhere, chunks (with CRCs put right), header fields, the
compressed stream (with its Adler-32 left wrong or put right), filter types and residuals. Where we
and Pillow disagree on whether a file may be read, the case must be one of those listed
here: `STRICTER` and `MORE_LENIENT` say why.
"""

from __future__ import annotations

import io
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskstat.errors import MaskError
from maskstat.kernels.compiled_engine import CompiledEngine
from maskstat.kernels.numpy_engine import NumpyEngine
from maskstat.readers import png
from maskstat.readers.png import tally_png, tally_png_stream
from tests.support import png_factory
from tests.support.loops import at_least_one
from tests.support.paths import CAMVID
from tests.support.png_factory import GREY, PALETTE, SIGNATURE
from tests.support.png_mutations import MUTATIONS

RUNS = int(os.environ.get("MASKSTAT_FUZZ", "2000"))
SEED = int(os.environ.get("MASKSTAT_FUZZ_SEED", "20"))
MOST_PIXELS = 4_000_000  # of files that the slower readers are asked to read

# What we refuse though Pillow reads it: our message, and why it is right to refuse.
STRICTER = {
    r"wrong CRC in chunk": "Pillow skips the CRC of IDAT and of chunks behind it: damage unseen",
    r"file ends early": "Pillow needs no IEND: a transfer cut short may go unseen",
    r"damaged pixel data": "Pillow stops at the last row and never compares the Adler-32",
    r"ends before its checksum": "the same, with the Adler-32 missing",
    r"inflates to \d+ bytes": "Pillow leaves missing rows 0, without a word",
    r"cannot hold an image": "the same, noticed before anything is inflated",
    r"more than the \d+ bytes": "Pillow stops at the last row: pixels and header contradict",
    r"first chunk is not IHDR": "Pillow reads an IHDR that is too long, or not the first chunk",
    r"do not follow each other": "the standard wants IDAT chunks together",
    r"out of place": "the standard knows one PLTE, before IDAT",
    r"chunk PLTE has an impossible length": "no whole number of colours",
    r"without PLTE": "the standard wants a palette before the indices",
    r"unknown critical chunk": "it may change what pixels mean; a second IHDR certainly does",
    r"no chunk at byte": "chunk names are letters",
    r"is not empty": "IEND with data is no IEND",
    r"undefined combination": "Pillow reads some depths that the standard does not define",
    r"unknown compression, filter or interlace": "Pillow ignores the three method bytes",
}

# What we count though Pillow refuses it: Pillow's message, and why counting is right. All of it is
# about ancillary chunks, whose content cannot change stored values.
MORE_LENIENT = {
    r"Truncated \w+ chunk|compression method \d+ in": "their content is not as it should be",
    r"cannot identify image file": "the same, where Pillow takes it for no PNG at all",
    r"IndexError|^error": "the same, where Pillow stumbles over it",
    r"APNG": "frames of an animation contradict; the still image is what is counted",
}


def _seeds() -> list[bytes]:
    """Sound files to start from: generated ones of every kind, and real masks where at hand."""
    rng = np.random.default_rng(11)
    seeds = []
    for colour_type, depths in ((GREY, (1, 2, 4, 8, 16)), (PALETTE, (1, 2, 4, 8))):
        for bits in depths:
            for make in (png_factory.labels, png_factory.noise):
                height, width = rng.integers(1, 90, 2).tolist()
                seeds.append(
                    png_factory.png(
                        make(rng, height, width, bits),
                        bits,
                        rng.integers(0, 5, height).tolist(),
                        colour_type=colour_type,
                        cuts=rng.integers(0, 200, 3).tolist(),
                        padding=rng.integers(0, 256, height),
                    )
                )
    real = sorted((CAMVID / "val" / "masks").glob("*.png"))[::20]
    return seeds + [path.read_bytes() for path in real]


def _pillow(data: bytes) -> dict[int, int] | str:
    """Raw values as Pillow decodes them, its scaling undone; or why it does not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)
            with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                image.load()
                pixels = np.asarray(image).astype(np.int64)
    except Exception as error:  # Pillow's ways to refuse a file are many
        return f"{type(error).__name__}: {error}"
    bits, colour_type = data[24], data[25]
    if colour_type == GREY and bits in (2, 4):
        pixels //= 255 // ((1 << bits) - 1)
    if colour_type not in (GREY, PALETTE):
        return "colour"
    return png_factory.counts_of(pixels)


def _ours(data: bytes, read: Callable[[bytes], object]) -> dict[int, int] | str | None:
    """Our counts, None where the file is left to another reader, or why it is refused."""
    try:
        tally = read(data)
    except MaskError as error:
        return str(error)
    if tally is None:
        return None
    tally.check()  # type: ignore[attr-defined]
    return dict(zip(tally.values.tolist(), tally.counts.tolist(), strict=True))  # type: ignore[attr-defined]


def _listed(message: str, reasons: dict[str, str]) -> str | None:
    return next((pattern for pattern in reasons if re.search(pattern, message)), None)


@pytest.fixture
def both_engines(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Choose the reader's engine: even turns compiled, odd turns NumPy."""
    compiled = CompiledEngine()
    compiled.load_two_byte_kernels()
    engines = (compiled, NumpyEngine())

    def choose(turn: int) -> None:
        monkeypatch.setattr(png, "current_engine", lambda: engines[turn % 2])

    return choose


def test_mutations(
    both_engines: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """Every mutation, from the top; prints how often we and Pillow disagreed, and on what."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", MOST_PIXELS)
    rng = np.random.default_rng(SEED)
    seeds = _seeds()
    met: Counter[str] = Counter()
    stricter: Counter[str] = Counter()
    lenient: Counter[str] = Counter()
    for turn in range(RUNS):
        both_engines(turn)
        mutation = MUTATIONS[turn % len(MUTATIONS)]
        seed = int(rng.integers(len(seeds)))
        data = mutation(rng, seeds[seed])
        where = f"seed {SEED}, turn {turn}: {mutation.__name__} of file {seed}"
        ours = _ours(data, tally_png)
        streamed = _ours(data, lambda part: tally_png_stream(io.BytesIO(part)))
        assert isinstance(streamed, str) == isinstance(ours, str), (where, ours, streamed)
        if ours is None:
            met["left to another reader"] += 1
            continue
        pillow = _pillow(data)
        if isinstance(ours, str):
            if isinstance(pillow, str):
                met["refused by both"] += 1
                continue
            met["refused by us alone"] += 1
            reason = _listed(ours, STRICTER)
            assert reason is not None, (where, ours)
            stricter[reason] += 1
            continue
        assert streamed == ours, where
        if isinstance(pillow, str):
            met["read by us alone"] += 1
            reason = _listed(pillow, MORE_LENIENT)
            assert reason is not None, (where, pillow)
            lenient[reason] += 1
            plain = png_factory.plain_read(data)
            assert plain is not None, where
            assert ours == png_factory.counts_of(plain), where
        else:
            met["read by both"] += 1
            assert ours == pillow, where
    assert sum(met.values()) == RUNS
    assert min(met["read by both"], met["refused by both"]) > RUNS // 20
    for title, counter in (("", met), ("stricter: ", stricter), ("more lenient: ", lenient)):
        for reason, count in counter.most_common():
            print(f"{title}{reason}: {count}")
            record_property(title + reason, count)


def test_seeds_are_sound() -> None:
    """What is mutated is read by all to begin with."""
    for data in at_least_one(_seeds()):
        assert _ours(data, tally_png) == _pillow(data)


def test_garbage(both_engines: Callable[[int], None]) -> None:
    """Random bytes, bare and behind a signature and a header."""
    rng = np.random.default_rng(SEED)
    start = SIGNATURE + png_factory.header(20, 20, 8)
    for turn in range(300):
        both_engines(turn)
        garbage = rng.bytes(int(rng.integers(0, 200)))
        for data in (garbage, SIGNATURE + garbage, start + garbage):
            assert isinstance(_ours(data, tally_png), str)
            assert isinstance(_ours(data, lambda part: tally_png_stream(io.BytesIO(part))), str)


def test_real_masks_are_among_the_seeds(camvid: Path) -> None:
    """Where they are at hand."""
    assert len(_seeds()) > 18
