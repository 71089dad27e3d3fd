"""What a GeoTIFF calls nodata is ignored, unless it is declared a class; 0 is asked about."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import maskstat as ms
from maskstat.cli import app
from maskstat.readers import tiff as tiff_reader
from maskstat.readers.formats import read_label_map, read_tally
from maskstat.readers.options import ReadOptions
from maskstat.values.catalog_mapping import catalog_from_mapping
from maskstat.values.tally import KEPT_IDS, NO_NUMBER, Encoding
from tests.support.mask_files import ALL, GDAL_NODATA, from_tifffile, refusal, sparse
from tests.support.paths import SHARED

LOWEST = float(np.finfo(np.float32).min)


@pytest.fixture(params=["as it comes", "by windows", "without the extra"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "by windows":
        monkeypatch.setattr(tiff_reader, "_beyond_pillow", lambda *_: "this test")
    if request.param == "without the extra":
        monkeypatch.setitem(sys.modules, "imagecodecs", None)
    return str(request.param)


def with_tag(pixels: NDArray[np.generic], nodata: str, **options: Any) -> bytes:
    return from_tifffile(pixels, extratags=[(GDAL_NODATA, 2, 0, nodata, True)], **options)


def mask(dtype: str, nodata: float) -> NDArray[np.generic]:
    """Six rows of 0, 1, 2 and nodata: 24 pixels of class 0, 12 of 1, 18 of 2 and 6 of nodata."""
    pixels = np.repeat(np.array([0, 1, 2, 0]), [18, 12, 18, 12]).astype(dtype)
    pixels[-6:] = np.array(nodata).astype(dtype)
    return pixels.reshape(6, 10)


def scanned(tmp_path: Path, data: bytes, **options: Any) -> ms.Scan:
    (tmp_path / "m.tif").write_bytes(data)
    return ms.scan(tmp_path / "m.tif", db=tmp_path / "m.db", **options)


def pixels_of(scan: ms.Scan) -> dict[str, int]:
    histogram = scan.histogram
    return dict(zip(scan.catalog.names, histogram.pixels.tolist(), strict=True))


@pytest.mark.parametrize(
    ("dtype", "value", "text"),
    [
        ("u1", 7, "7"),
        ("u1", 255, "255"),
        ("u2", 65535, "65535"),
        ("i2", -9999, "-9999"),
        ("i2", -9999, "-9999.0 "),
        ("i4", -(2**31), "-2147483648"),
        ("f4", -9999, "-9999"),
        ("f4", np.nan, "nan"),
        ("f4", LOWEST, "-3.4028234663852886e+38"),
        ("f4", -3.4e38, "-3.4e38"),
        ("f4", 0.1, "0.1"),
        ("f4", -np.inf, "-inf"),
    ],
)
def test_nodata_is_ignored(way: str, tmp_path: Path, dtype: str, value: float, text: str) -> None:
    pixels = mask(dtype, value)
    data = with_tag(pixels, text)
    raw = int(value) if np.isfinite(value) and abs(value) < 2**62 and value != 0.1 else NO_NUMBER
    tally = read_tally(data, "m", ALL)
    tally.check()
    assert tally.encoding.nodata == raw
    assert Encoding.from_text(tally.encoding.to_text()) == tally.encoding
    assert dict(zip(tally.values.tolist(), tally.counts.tolist(), strict=True)) == {
        0: 24,
        1: 12,
        2: 18,
        raw: 6,
    }
    labels, encoding = read_label_map(data, ALL)
    assert encoding == tally.encoding
    assert int((labels == raw).sum()) == 6
    for classes in (None, 3):
        scan = scanned(tmp_path, data, classes=classes)
        assert list(pixels_of(scan).values()) == [24, 12, 18]
        assert scan.histogram.ignored_pixels == 6
        assert not scan.histogram.unlisted


def test_a_value_of_other_samples_is_no_nodata(way: str) -> None:
    for dtype, text in (("u1", "-9999"), ("u1", "nan"), ("u1", "0.5"), ("i2", "1e9"), ("f4", "x")):
        tally = read_tally(with_tag(mask(dtype, 3), text), "m", ALL)
        assert tally.encoding.nodata is None
        assert tally.counts.sum() == 60
    assert "value nan" in refusal(with_tag(mask("f4", np.nan), "-9999"))


def test_a_declared_class_of_that_value_wins(tmp_path: Path) -> None:
    data = with_tag(mask("u1", 3), "3")
    assert list(pixels_of(scanned(tmp_path, data, classes=4)).values()) == [24, 12, 18, 6]
    scan = scanned(tmp_path, data, classes=3)
    assert list(pixels_of(scan).values()) == [24, 12, 18]
    assert list(pixels_of(scan.under(classes=4)).values()) == [24, 12, 18, 6]


def test_what_one_file_calls_nodata_may_be_a_class_of_another(tmp_path: Path) -> None:
    """Inferred classes are of values that are no nodata; declared ones of all masks."""
    folder = tmp_path / "masks"
    folder.mkdir()
    (folder / "a.tif").write_bytes(with_tag(mask("u1", 3), "3"))
    (folder / "b.tif").write_bytes(from_tifffile(mask("u1", 3)))
    scan = ms.scan(folder, db=tmp_path / "m.db")
    assert list(pixels_of(scan).values()) == [48, 24, 36, 6]
    assert scan.histogram.ignored_pixels == 6
    assert list(pixels_of(scan.under(classes=4)).values()) == [48, 24, 36, 12]


def test_nodata_between_inferred_classes_is_none_of_them(tmp_path: Path) -> None:
    pixels = mask("u1", 1)  # the 12 pixels of class 1 as well
    pixels[0, :4] = 5
    scan = scanned(tmp_path, with_tag(pixels, "1"))
    assert list(pixels_of(scan).values()) == [20, 0, 18, 0, 0, 4]
    assert scan.histogram.ignored_pixels == 18
    assert scan.catalog.nodata_first
    again = catalog_from_mapping(scan.catalog.to_dict(), name="again")
    assert again.digest == scan.catalog.digest != scan.under(classes=6).catalog.digest
    assert list(pixels_of(scan.under(classes=6)).values()) == [20, 18, 18, 0, 0, 4]
    profiled = ms.scan(tmp_path / "m.tif", db=tmp_path / "p.db", profile=True)
    assert profiled.profile is not None


def test_0_as_nodata_is_asked_about(way: str, tmp_path: Path) -> None:
    data = with_tag(mask("u1", 3), "0")
    said = refusal(data)
    assert "calls 0 nodata" in said
    scan = scanned(tmp_path, data)
    assert [failure.mask for failure in scan.failures] == ["m.tif"]
    left_out = scanned(tmp_path, data, ignore=0)
    assert (left_out.histogram.ignored_pixels, left_out.histogram.pixels.sum()) == (24, 36)
    assert list(pixels_of(scanned(tmp_path, data, classes=4)).values()) == [24, 12, 18, 6]
    assert scanned(tmp_path, data).failures  # asked again, since nothing was said


@pytest.mark.parametrize("divide_all", [False, True])
def test_nodata_is_no_instance_id(divide_all: bool) -> None:
    """65535 // 1000 would be class 65."""
    pixels = np.array([[1001, 65001, 65535, 65535]], np.uint16)
    options = ReadOptions(value_divisor=1000, divide_all=divide_all)
    tally = read_tally(with_tag(pixels, "65535"), "m", options)
    assert tally.values.tolist() == [NO_NUMBER, 1, 65]
    assert tally.counts.tolist() == [2, 1, 1]
    assert tally.encoding.nodata == NO_NUMBER
    assert not tally.encoding.reading.endswith(KEPT_IDS)
    assert read_label_map(with_tag(pixels, "65535"), options).pixels.tolist() == [
        [1, 65, NO_NUMBER, NO_NUMBER]
    ]


def test_tiles_that_are_left_out_have_it_whatever_it_is() -> None:
    tally = read_tally(sparse("255"), "m", ALL)
    assert tally.encoding.nodata == 255
    assert tally.counts.tolist() == [768, 256]


def test_scan_and_show_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.tif").write_bytes(with_tag(mask("i2", -9999), "-9999"))
    for command in (["scan", "m.tif"], ["show"]):
        said = CliRunner().invoke(app(), command).stdout
        assert "Nodata is ignored, as the files say (-9999): 6 pixels" in " ".join(said.split())
    Path("n.tif").write_bytes(with_tag(mask("u1", 3), "0"))
    asked = CliRunner().invoke(app(), ["scan", "n.tif"]).stdout
    assert "calls 0 nodata" in asked
    assert "ignore" in asked
    assert "classes" in asked


def test_the_nan_of_a_real_file(tmp_path: Path) -> None:
    file = SHARED / "cases" / "tiff" / "float_nan_nodata.tif"
    if not file.is_file():
        pytest.skip("real masks are absent: ../shared/cases")
    scan = ms.scan(file, db=tmp_path / "m.db")
    assert not scan.failures
    ignored: Mapping[int | str, Any] = scan.histogram.ignored
    assert set(ignored) == {"nodata"}
    assert scan.histogram.ignored_pixels > 0
    assert scan.histogram.pixels.sum() + scan.histogram.ignored_pixels == 64 * 64
