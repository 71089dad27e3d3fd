"""One scan under many catalogues, without decoding; and classes inferred from what was found."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import maskstat as ms
from maskstat.api.scan import Scan
from maskstat.errors import ParameterError, StoreError, UnlistedValuesError
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.histogram import ValueCount
from tests.support.scan_cases import grey_png, write
from tests.support.typed import typed

# --- reading under other catalogues ------------------------------------------------------------


def test_classes_change_without_decoding(
    forty_masks: Path, tmp_path: Path, decoded: list[str]
) -> None:
    db = tmp_path / "s.db"
    seven = ms.scan(forty_masks, classes=7, db=db)
    decoded.clear()
    merged = ClassCatalog((ClassInfo(0, "low", (0, 1, 2)), ClassInfo(1, "high", (3, 4, 5))))
    scan = ms.open_scan(db).under(merged, ignore=6)
    pixels = seven.histogram.pixels
    assert scan.histogram.pixels.tolist() == [pixels[:3].sum(), pixels[3:6].sum()]
    assert scan.histogram.ignored_pixels == pixels[6]
    dense = seven.ledger.dense()
    assert scan.histogram.masks.tolist() == [
        int((dense[:, :3].sum(axis=1) > 0).sum()),
        int((dense[:, 3:6].sum(axis=1) > 0).sum()),
    ]
    assert ms.open_scan(db).histogram == seven.histogram
    assert decoded == []


def test_ignoring_takes_numbers_texts_and_colours(forty_masks: Path) -> None:
    scan = ms.scan(forty_masks, classes=7)
    for ignore in (3, "3", [3], ["3"], (" 3 ",)):
        assert scan.under(ignore=ignore).catalog.ignored_values == {3}
    assert scan.under(ignore="255").catalog.ignored_values == {255}  # not 2 and 5
    assert scan.under(ignore="#0000ff").catalog.ignored_colours == {255}
    assert scan.under(ignore="#0000ff80").catalog.ignored_colours == {0x7F0000FF}
    with pytest.raises(ParameterError, match="neither a whole number nor a colour"):
        scan.under(ignore="#blue")


def test_a_derived_scan_outlives_the_one_it_came_from(forty_masks: Path) -> None:
    histogram = ms.scan(forty_masks, classes=7).under(classes=9).histogram
    assert histogram.pixels.size == 9


def test_a_closed_scan_says_so(forty_masks: Path) -> None:
    with ms.scan(forty_masks, classes=7) as scan:
        pass
    with pytest.raises(StoreError):
        _ = scan.histogram


def test_the_remedy_for_unlisted_values_works(tmp_path: Path) -> None:
    """Also for colours with transparency, and for grey levels kept as colours."""
    pixels = np.zeros((1, 4, 4), np.uint8)
    pixels[0] = [[0, 0, 0, 255], [9, 9, 9, 255], [9, 9, 9, 128], [1, 2, 3, 0]]
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    write(tmp_path / "png" / "m.png", stream.getvalue())
    stream = io.BytesIO()
    Image.fromarray(pixels[..., [0, 0, 0]]).save(stream, "WEBP", lossless=True)
    write(tmp_path / "webp" / "m.webp", stream.getvalue())
    black = ClassCatalog((ClassInfo(0, "black", (), (0,)),))
    for place, classes in (("png", black), ("webp", 1)):
        scan = ms.scan(tmp_path / place, classes=classes)
        with pytest.raises(UnlistedValuesError) as caught:
            scan.weights("balanced")
        assert caught.value.remedy is not None
        void, _, _ = typed(caught.value.remedy).partition(" where they are void; --classes ")
        words = [word.strip("'") for word in void.split()]
        values = words[1::2]
        assert words[0::2] == ["--ignore"] * len(values)
        assert scan.under(ignore=values).weights("balanced").weights.tolist() == [1]


# --- inferred classes --------------------------------------------------------------------------


def inferred(tmp_path: Path, *masks: bytes) -> Scan:
    for number, data in enumerate(masks):
        write(tmp_path / "m" / f"{number}.png", data)
    return ms.scan(tmp_path / "m")


def test_classes_are_inferred_from_the_values_found(tmp_path: Path) -> None:
    scan = inferred(tmp_path, grey_png([[0, 2, 255]]), grey_png([[0, 0]]))
    assert scan.catalog.names == ("class_0", "class_1", "class_2")
    assert scan.histogram.pixels.tolist() == [3, 0, 1]
    assert scan.histogram.ignored == {255: ValueCount(1, 1)}


def test_255_is_void_in_8_bit_masks_also_beside_masks_of_other_depths(tmp_path: Path) -> None:
    scan = inferred(
        tmp_path, grey_png([[0, 2, 255]]), grey_png([[0, 300]], bits=16), grey_png([[1]], bits=4)
    )
    assert [info.values for info in scan.catalog.classes] == [(0,), (1,), (2,), (300,)]
    assert scan.histogram.ignored == {255: ValueCount(1, 1)}


def test_255_is_a_class_where_wider_masks_use_it(tmp_path: Path) -> None:
    scan = inferred(tmp_path, grey_png([[0, 255, 256]], bits=16))
    assert [info.values for info in scan.catalog.classes] == [(0,), (255,), (256,)]


def test_a_binary_mask(tmp_path: Path) -> None:
    scan = inferred(tmp_path, grey_png([[0, 255, 255]]))
    assert scan.catalog.names == ("background", "foreground")
    assert scan.histogram.pixels.tolist() == [1, 2]


def test_grey_webp_is_inferred_too(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.array([[[2] * 3, [0] * 3, [255] * 3]], np.uint8)).save(
        stream, "WEBP", lossless=True
    )
    write(tmp_path / "m" / "a.webp", stream.getvalue())
    scan = ms.scan(tmp_path / "m")
    assert scan.histogram.pixels.tolist() == [1, 0, 1]
    assert scan.histogram.ignored_pixels == 1


def test_what_is_ignored_is_no_class(tmp_path: Path) -> None:
    scan = inferred(tmp_path, grey_png([[0, 1, 7, 7]])).under(ignore=7)
    assert scan.catalog.names == ("class_0", "class_1")
    assert scan.histogram.ignored == {7: ValueCount(2, 1)}


def test_every_mask_failed(tmp_path: Path) -> None:
    scan = inferred(tmp_path, b"broken")
    assert len(scan.catalog) == 0
    assert scan.histogram.total_pixels == 0
    assert len(scan.failures) == 1
    assert len(scan.ledger) == 0


def test_values_are_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db, masks = tmp_path / "s.db", tmp_path / "m"
    write(masks / "0.png", grey_png([[0, 2, 255]]))
    for value in (2, 3):  # the second time, what was kept is out of date
        write(masks / "1.png", grey_png([[value]]))
        with ms.scan(masks, db=db) as scan:
            expected = scan.catalog.names
            assert len(expected) == value + 1
            assert scan.histogram.mask_count == 2
        with monkeypatch.context() as patch, ms.open_scan(db) as scan:
            patch.setattr(Scan, "tables", None)
            assert scan.catalog.names == expected
            assert scan.histogram.mask_count == 2


def test_values_that_nobody_wrote_are_no_values(tmp_path: Path) -> None:
    db, masks = tmp_path / "s.db", tmp_path / "m"
    write(masks / "0.png", grey_png([[0, 2]]))
    with ms.scan(masks, db=db) as scan:
        assert len(scan.catalog) == 3
    for damage in ("[[0]]", "{}", "[[0], ['x']]", "no JSON", "[[0], null]"):
        with sqlite3.connect(db) as connection:
            changed = connection.execute(
                "UPDATE summary SET totals = ? WHERE digest LIKE 'values%'", (damage,)
            )
            assert changed.rowcount == 1
        connection.close()
        with ms.open_scan(db) as scan, pytest.raises(StoreError, match="no scan wrote"):
            _ = scan.catalog
