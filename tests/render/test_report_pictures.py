"""Pictures of the report: which masks are shown, thumbnails, previews, PNG files of its own."""

from __future__ import annotations

import base64
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from maskstat.api.making import scan
from maskstat.api.scan import Scan
from maskstat.errors import SourceError
from maskstat.render.report import explorer, previews
from maskstat.render.report.class_colours import page_colours
from maskstat.render.report.palette_png import data_uri, palette_png, rgb
from maskstat.render.report.previews import SIDE, Picks, Previews, draw, fitted, sample, shrunk
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import TallyTable
from tests.support.loops import at_least_one
from tests.support.report_cases import catalog_of, names_of, tallies_of


@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 3, 4, 5, 16, 17, 256]), st.data()
)
def test_png_reads_back(height: int, width: int, colours: int, data: st.DataObject) -> None:
    draw_ = np.random.default_rng(data.draw(st.integers(0, 100)))
    indices = draw_.integers(0, colours, (height, width))
    palette = [(k, 255 - k, k * 7 % 256) for k in range(colours)]
    with Image.open(BytesIO(palette_png(indices, palette))) as picture:
        assert picture.size == (width, height)
        pixels = np.asarray(picture.convert("RGB"))
    assert (pixels == np.array(palette)[indices]).all()


@given(st.integers(0, 50))
def test_cards_show_the_extremes(seed: int) -> None:
    catalog = catalog_of(names_of(4))
    ledger = MaskLedger.of(catalog, TallyTable.of(tallies_of(4, 8, (seed % 4,), seed)))
    picks = Picks(ledger)
    share = ledger.dense() / ledger.areas[:, None]
    for k in at_least_one(range(4)):
        present = int((share[:, k] > 0).sum())
        shown = picks.shown(k)
        assert len(shown) == min(3, present) == len({row for _, row, _ in shown})
        for title, row, part in shown:
            assert part == share[row, k] > 0
            if title == "most":
                assert part == share[:, k].max()
            if title == "fewest":
                assert part == share[share[:, k] > 0, k].min()
        largest = [part for _, part in picks.largest(k)]
        assert largest == sorted(largest, reverse=True) and len(largest) == min(5, present)


@given(st.integers(0, 20), st.integers(1, 9))
def test_a_sample_has_some_masks_of_every_class(seed: int, least: int) -> None:
    count = 30
    catalog = catalog_of(names_of(count))
    ledger = MaskLedger.of(catalog, TallyTable.of(tallies_of(count, 120, (), seed)))
    picks = Picks(ledger)
    limit, previews._SAMPLED = previews._SAMPLED, 40
    try:
        rows = sample(ledger, picks, range(count), least)
        assert rows.tolist() == sorted(set(rows.tolist()))
        assert len(rows) >= 40
        for k in at_least_one(range(count)):
            with_it = picks.rows(k)
            assert len(np.intersect1d(rows, with_it)) >= min(least, len(with_it))
            assert {row for _, row, _ in picks.shown(k)} <= set(rows.tolist())
    finally:
        previews._SAMPLED = limit
    assert sample(ledger, picks, range(count), least).tolist() == list(range(120))


def test_a_sample_is_no_more_pixels_than_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = catalog_of(names_of(3))
    ledger = MaskLedger.of(catalog, TallyTable.of(tallies_of(3, 50, (), 0)))
    monkeypatch.setattr(previews, "_PIXELS", 10 * 256 * 256)
    assert len(sample(ledger, Picks(ledger), range(3), 8)) == 10


def drawn(scan: Scan) -> Previews:
    picks = Picks(scan.ledger)
    classes = range(len(scan.catalog))
    return draw(scan, picks, np.arange(len(scan.ledger)), classes, page_colours(scan.catalog), SIDE)


def test_thumbnails_show_the_class(hostile: Scan) -> None:
    """The class's own colour is in every picture of it, at each of its pixels."""
    colours = page_colours(hostile.catalog)
    assert len(set(colours)) == len(colours)
    made, picks = drawn(hostile), Picks(hostile.ledger)
    for k, thumbs in at_least_one(made.thumbs.items()):
        shown = {title: row for title, row, _ in picks.shown(k)}
        assert [thumb.title for thumb in thumbs] == list(shown)
        for thumb in thumbs:
            data = base64.b64decode(thumb.image.removeprefix("data:image/png;base64,"))
            with Image.open(BytesIO(data)) as picture:
                assert picture.size == (60, 40)
                pixels = np.asarray(picture.convert("RGB"))
            own = (pixels == np.array(rgb(colours[k]))).all(axis=2)
            assert own.sum() == hostile.ledger.take([shown[thumb.title]]).dense()[0, k]
            assert data_uri(data) == thumb.image


def test_pictures_of_changed_or_missing_files_are_left_out(tmp_path: Path) -> None:
    for number in range(4):
        np.save(tmp_path / f"mask_{number}.npy", np.full((5, 5), number % 3, np.uint8))
    with scan(tmp_path, classes=3) as result:
        (tmp_path / "mask_0.npy").unlink()
        np.save(tmp_path / "mask_1.npy", np.zeros((5, 5), np.uint8))
        (tmp_path / "mask_3.npy").write_bytes(b"not an array")
        made = drawn(result)
        text = result.report()
    assert made.rows.tolist() == [2]
    assert (made.maps[0] == 2).all()
    assert "3 of 4 masks have no picture" in text


def test_a_source_that_is_gone_is_an_error_only_where_pictures_are_asked_for(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    np.save(folder / "mask.npy", np.eye(5, dtype=np.uint8))
    with scan(folder, classes=2) as result:
        (folder / "mask.npy").unlink()
        folder.rmdir()
        assert "There are no pictures" in result.report()
        with pytest.raises(SourceError):
            result.report(examples=2)


@given(st.integers(1, 700), st.integers(1, 700), st.integers(0, 10**6))
def test_a_single_pixel_survives_shrinking(height: int, width: int, place: int) -> None:
    classes = np.zeros((height, width), np.int64)
    classes.flat[place % classes.size] = 1
    small = shrunk(classes, 1, SIDE)
    assert max(small.shape) <= SIDE
    assert (small == 1).sum() == 1 or classes.size == 1
    row, column = divmod(place % classes.size, width)
    step = -(-max(height, width) // SIDE)
    assert small[row // step, column // step] == 1


@given(st.integers(1, 30), st.integers(300, 40_000))
def test_previews_fit_their_budget(count: int, budget: int) -> None:
    draw_ = np.random.default_rng(count)
    maps = [draw_.integers(0, 9, (60, 80 + k)).astype(np.uint8) for k in range(count)]
    found, packed = fitted(Previews(np.arange(count), maps, {}), budget)
    assert len(packed) <= budget
    assert zlib.decompress(packed) == b"".join(small.tobytes() for small in found.maps)
    assert len(found.rows) == len(found.maps)
    if len(zlib.compress(b"".join(m.tobytes() for m in maps), 6)) <= budget:
        assert found.rows.tolist() == list(range(count))


def test_the_explorer_of_a_hundred_thousand_masks_stays_small() -> None:
    """Exact counts of 100,000 masks of nine classes each, with as many previews as still fit."""
    draw_ = np.random.default_rng(0)
    count, each = 100_000, 9
    names = tuple(f"city_{k // 1000:06d}_{k % 1000:06d}_labels.png" for k in range(count))
    classes = np.sort(draw_.permuted(np.tile(np.arange(19), (count, 1)), axis=1)[:, :each], axis=1)
    pixels = np.maximum(1, draw_.dirichlet(np.full(each, 0.5), count) * 2_000_000).astype(np.int64)
    ledger = MaskLedger(
        19,
        names,
        np.full(count, 2_097_152),
        np.arange(count + 1) * each,
        classes.ravel().astype(np.int64),
        pixels.ravel(),
    )
    assert explorer.too_large(ledger) == ""
    columns = explorer.columns_of(ledger)
    assert sum(map(len, columns.values())) < 4_800_000
    assert explorer.too_large(ledger.take(range(count))) == ""
    more = MaskLedger(
        19,
        (*names, "one more"),
        np.append(ledger.areas, 1),
        np.append(ledger.indptr, 900_000),
        ledger.classes,
        ledger.pixels,
    )
    assert "100,000 masks" in explorer.too_large(more)


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 300))
def test_previews_are_small_and_upright(height: int, width: int, side: int) -> None:
    """No pixel is made up, and a map from left to right and from top to bottom stays one."""
    places = np.arange(height)[:, None] * 1000 + np.arange(width)
    small = previews._resized(places, side)
    assert max(small.shape) <= max(side, 1) and min(small.shape) >= 1
    if max(height, width) <= side:
        assert np.array_equal(small, places)
    rows, columns = small[:, 0] // 1000, small[0] % 1000
    assert np.array_equal(small, rows[:, None] * 1000 + columns)
    for chosen, size in at_least_one(((rows, height), (columns, width))):
        assert (np.diff(chosen) > 0).all() and chosen[0] >= 0 and chosen[-1] < size
        assert abs(chosen[0] - (size - 1 - chosen[-1])) <= 1  # as far from both edges
