"""`from_counts`: what follows from pixels alone works as on a scan, the rest says what it lacks."""

from __future__ import annotations

import doctest
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import maskstat as ms
from maskstat.api import given_counts
from maskstat.errors import (
    AbsentClassError,
    CatalogError,
    FileFormatError,
    MaskstatError,
    ParameterError,
    StoreError,
    UnknownCountsError,
)
from maskstat.render.documents.report import report_document
from maskstat.render.documents.scan import scan_document
from maskstat.render.plots.plot import KINDS, draw
from maskstat.render.report.html import report_html
from maskstat.render.report.markdown import report_markdown
from maskstat.render.terminal.tables import scan_tables
from maskstat.weights.costs import price_list
from maskstat.weights.schemes import SCHEMES
from maskstat.weights.table import WeightTable, load_weights
from tests.support.report_cases import Page, catalog_of, names_of, stored

COUNTS = {"road": 5587, "car": 802, "sign": 11}
NEED_MASKS = {"median-frequency", "effective-number"}
FROM_PIXELS = [
    "equal-cost",
    "balanced",
    "max-count",
    "inverse",
    "sqrt",
    "power",
    "enet",
    "log",
    "uniform",
]


@pytest.fixture(scope="module")
def counted() -> Iterator[ms.Scan]:
    """A scan of masks, its classes occurring all."""
    with stored(catalog_of(names_of(6)), masks=12) as scan:
        yield scan


def pixels_of(scan: ms.Scan) -> dict[str, int]:
    return dict(zip(scan.catalog.names, scan.histogram.pixels.tolist(), strict=True))


def test_every_scheme_works_from_pixels_or_says_what_it_lacks() -> None:
    scan = ms.from_counts(COUNTS)
    lacking = {}
    works = []
    for name in SCHEMES:
        try:
            weights = scan.weights(name)
        except UnknownCountsError as error:
            lacking[name] = str(error)
        else:
            works.append(name)
            assert np.isfinite(weights.weights).all()
    assert works == FROM_PIXELS
    assert lacking == {
        "median-frequency": "scheme median-frequency: the number of pixels in the masks with each"
        " class is unknown: counts were given, no masks; scan the masks, or give it with the"
        " counts: image_pixels",
        "effective-number": "scheme effective-number: the number of masks with each class is"
        " unknown: counts were given, no masks; scan the masks, or give it with the counts: masks",
    }


@pytest.mark.parametrize("scheme", FROM_PIXELS)
def test_weights_are_those_of_the_scan_whose_pixels_they_are(counted: ms.Scan, scheme: str) -> None:
    expected = counted.weights(scheme)
    weights = ms.from_counts(pixels_of(counted)).weights(scheme)
    assert weights.weights.tolist() == expected.weights.tolist()
    assert weights.names == expected.names
    assert weights.provenance["masks"] is None
    assert weights.provenance["labelled_pixels"] == expected.provenance["labelled_pixels"]
    shares = counted.histogram.frequency.tolist()
    for unit, factor in (("shares", 1), ("percent", 100)):
        of_shares = ms.from_counts([factor * share for share in shares], unit=unit)  # type: ignore[arg-type]
        np.testing.assert_allclose(of_shares.weights(scheme).weights, expected.weights, rtol=1e-9)
        assert of_shares.weights(scheme).provenance["labelled_pixels"] is None


def test_what_is_given_beside_the_counts_lets_more_schemes_work(counted: ms.Scan) -> None:
    histogram = counted.histogram
    more = ms.from_counts(
        pixels_of(counted),
        masks=histogram.masks.tolist(),
        image_pixels=dict(zip(counted.catalog.names, histogram.image_pixels.tolist(), strict=True)),
        mask_count=histogram.mask_count,
    )
    for scheme in SCHEMES:
        expected = counted.weights(scheme)
        assert more.weights(scheme).weights.tolist() == expected.weights.tolist()
        assert more.weights(scheme).provenance["masks"] == histogram.mask_count
    with pytest.raises(UnknownCountsError, match="labelled pixels in the masks with each class"):
        more.weights("median-frequency", parameters={"image_pixels": "labelled"})
    with pytest.raises(UnknownCountsError, match="place and form of classes"):
        more.weights("effective-number", parameters={"count": "components"})


def test_of_shares_no_scheme_takes_numbers_of_pixels() -> None:
    shares = ms.from_counts([52.1, 30.2, 17.7])
    with pytest.raises(UnknownCountsError, match="the number of pixels is unknown: shares"):
        shares.weights("effective-number", parameters={"count": "pixels"})
    counts = ms.from_counts([521, 302, 177])
    assert counts.weights("effective-number", parameters={"count": "pixels"}).weights.size == 3
    with pytest.raises(UnknownCountsError, match=r"scan the masks$"):
        shares.weights("median-frequency")


lists = st.lists(st.integers(1, 10**9), min_size=2, max_size=8).filter(lambda n: sum(n) > 10**3)


@given(lists, st.integers(2, 1000), st.sampled_from(FROM_PIXELS))
def test_schemes_that_have_no_scale_see_shares_only(
    numbers: list[int], factor: int, scheme: str
) -> None:
    one = ms.from_counts(numbers).weights(scheme).weights
    more = ms.from_counts([factor * number for number in numbers]).weights(scheme).weights
    np.testing.assert_allclose(more, one, rtol=1e-12)


@given(lists, st.randoms(use_true_random=False), st.sampled_from(FROM_PIXELS))
def test_the_order_of_classes_is_no_matter(numbers: list[int], random: Any, scheme: str) -> None:
    named = {f"c{k}": number for k, number in enumerate(numbers)}
    shuffled = list(named.items())
    random.shuffle(shuffled)
    one = ms.from_counts(named).weights(scheme)
    other = ms.from_counts(dict(shuffled)).weights(scheme)
    by_name = dict(zip(other.names, other.weights, strict=True))
    np.testing.assert_allclose([by_name[name] for name in one.names], one.weights, rtol=1e-12)
    back = ms.from_counts(dict(shuffled), classes=list(named)).weights(scheme)
    assert back.weights.tolist() == one.weights.tolist()


def test_costs_under_a_plain_mean_are_the_scans(counted: ms.Scan) -> None:
    from maskstat.render.documents.weighing import scheme_prices, scheme_weights

    scan = ms.from_counts(pixels_of(counted))
    tables = scheme_weights(scan.histogram)
    assert {name for name, table in tables.items() if isinstance(table, str)} == NEED_MASKS
    prices = scheme_prices(scan.histogram, tables)
    assert list(prices) == FROM_PIXELS
    for scheme, price in prices.items():
        table = tables[scheme]
        assert isinstance(table, WeightTable)
        expected = price_list(counted.ledger, table.weights)
        assert price.costs.tolist() == expected.costs.tolist()
        assert price.soft_loss == expected.soft_loss
    with pytest.raises(UnknownCountsError, match="the content of each mask is unknown"):
        scan.costs(average="batch", batch_size=2)
    costs = scan.costs(scheme="sqrt")
    assert costs.plain.costs.tolist() == counted.costs(scheme="sqrt").plain.costs.tolist()
    assert costs.weighted.costs.tolist() == counted.costs(scheme="sqrt").weighted.costs.tolist()


def given_scans() -> list[ms.Scan]:
    return [
        ms.from_counts(COUNTS),
        ms.from_counts({**COUNTS, "pole": 0}, name="four"),
        ms.from_counts(COUNTS, masks=[9, 5, 2]),
        ms.from_counts(COUNTS, masks=[9, 5, 2], mask_count=9),
        ms.from_counts([52.1, 30.2, 17.7]),
        ms.from_counts([0.5, 0.5, 0.0], masks=[3, 3, 0], mask_count=4),
    ]


@pytest.mark.parametrize("scan", given_scans(), ids=str)
def test_documents_have_null_for_what_is_unknown(scan: ms.Scan) -> None:
    histogram = scan.histogram
    for document in (scan_document(scan), report_document(scan)):
        text = json.dumps(document, allow_nan=False)
        assert document["unknown"] == list(histogram.unknown)
        assert document["total_pixels"] is document["ignored"] is None
        assert document["single_class_masks"] is document["unlabelled_masks"] is None
        shares = histogram.unit == "shares"
        assert document["unit"] == histogram.unit
        assert (document["labelled_pixels"] is None) is shares
        for row, frequency in zip(document["classes"], histogram.frequency, strict=True):
            assert (row["pixels"] is None) is shares
            assert row["frequency"] == frequency
            assert (row["masks"] is None) is ("masks" in histogram.unknown)
            assert row["image_pixels"] is None
        if shares:  # nowhere stand the whole numbers that shares are kept as
            kept = {str(number) for number in histogram.pixels.tolist() if number > 9}
            assert not kept & set(re.findall(r"(?<![0-9.])[0-9]+(?![0-9.])", text))


@pytest.mark.parametrize("scan", given_scans(), ids=str)
def test_tables_and_reports_leave_out_what_is_unknown(scan: ms.Scan) -> None:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(scan_tables(scan_document(scan)))
    console.file.close()
    shown = console.export_text()
    what = "Shares" if scan.histogram.unit == "shares" else "Counts"
    assert f"{what} that were given: unknown are" in shown
    heading = next(line.split() for line in shown.splitlines() if line.split()[:1] == ["#"])
    assert ("masks" in heading) is ("masks" not in scan.histogram.unknown)
    assert ("pixels" in heading) is (what == "Counts")
    assert "share there" not in shown
    markdown = report_markdown(scan)
    assert f"{what} that were given: unknown are" in markdown
    headings = next(line for line in markdown.splitlines() if line.startswith("| # | class |"))
    assert ("| masks |" in headings) is ("masks" not in scan.histogram.unknown)
    assert ("| in masks |" in headings) is (
        not {"masks", "mask_count"} & set(scan.histogram.unknown)
    )
    page = Page(report_html(scan))
    assert page.all("table")
    assert "None" not in re.sub(r"(?ms)^```python$.*?^```$", "", markdown)


@pytest.mark.parametrize("scan", given_scans(), ids=str)
def test_plots_that_need_pixels_only_are_drawn(scan: ms.Scan) -> None:
    drawn, lacking = set(), set()
    for kind in KINDS:
        views = [scan, ms.from_counts(COUNTS)] if KINDS[kind].several else [scan]
        try:
            drawing = draw(kind, views)
        except UnknownCountsError:
            lacking.add(kind)
        else:
            drawn.add(kind)
            unknown = {"masks", "mask_count"} & set(scan.histogram.unknown)
            told = "The share of masks is unknown" in drawing.description
            assert told is (kind == "compare" or (kind in {"classes", "rank"} and bool(unknown)))
    assert drawn == {"classes", "rank", "lorenz", "weights", "costs", "compare"}
    assert lacking == set(KINDS) - drawn


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".csv"])
def test_weight_files_say_what_they_were_made_from(tmp_path: Path, suffix: str) -> None:
    shares = ms.from_counts([52.1, 30.2, 17.7]).weights("sqrt")
    path = shares.save(tmp_path / f"shares{suffix}")
    text = path.read_text()
    assert "share" in text
    assert "pixels" not in text.replace("labelled_pixels", "")
    assert "521" in text
    assert "0.521" in text
    again = load_weights(path)
    assert again.unit == "shares"
    assert again.weights.tolist() == shares.weights.tolist()
    assert again.frequency.tolist() == shares.frequency.tolist()
    back = ms.from_counts(path)
    assert back.histogram.unit == "shares"
    assert back.histogram.frequency.tolist() == shares.frequency.tolist()

    counts = ms.from_counts(COUNTS).weights("sqrt")
    path = counts.save(tmp_path / f"counts{suffix}")
    assert load_weights(path).unit == "pixels"
    assert pixels_of(ms.from_counts(path)) == COUNTS


@pytest.mark.parametrize("layout", ["list", "dict"])
def test_weights_alone_are_not_taken_for_counts(tmp_path: Path, layout: Any) -> None:
    path = ms.from_counts(COUNTS).weights("equal-cost").save(tmp_path / "weights.json", layout)
    with pytest.raises(ParameterError, match="neither shares") as raised:
        ms.from_counts(path)
    assert str(path) in str(raised.value)


def test_the_document_of_a_scan_gives_back_what_it_says(tmp_path: Path, counted: ms.Scan) -> None:
    path = tmp_path / "show.json"
    path.write_text(json.dumps(scan_document(counted)))
    scan = ms.from_counts(path)
    one, other = counted.histogram, scan.histogram
    for name in ("pixels", "masks", "image_pixels"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist()
    for name in ("mask_count", "total_pixels", "single_class_masks", "unlabelled_masks"):
        assert getattr(one, name) == getattr(other, name)
    assert other.unknown == ("labelled_image_pixels", "ignored")
    assert scan.catalog.names == counted.catalog.names
    for scheme in SCHEMES:
        assert scan.weights(scheme).weights.tolist() == counted.weights(scheme).weights.tolist()


def test_the_documents_of_given_counts_can_be_read_again(tmp_path: Path) -> None:
    for number, scan in enumerate(given_scans()):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(scan_document(scan)))
        again = ms.from_counts(path)
        assert again.histogram.unit == scan.histogram.unit
        assert again.histogram.unknown == scan.histogram.unknown
        assert again.histogram.frequency.tolist() == scan.histogram.frequency.tolist()
        assert again.catalog.names == scan.catalog.names


def test_everything_public_of_a_scan_works_or_says_what_is_unknown() -> None:
    scan = ms.from_counts(COUNTS)
    known = {
        "catalog",
        "histogram",
        "name",
        "source",
        "failures",
        "profile_state",
        "profile",
        "has_files",
        "has_planes",
        "kept_ids",
        "soft_masks",
        "no_channel",
    }
    known |= {"group_rule", "has_group_rule", "sample_notes", "is_multilabel", "channel_counts"}
    unknown = {"ledger", "read_options", "profile_call", "groups", "intervals"}
    unknown |= {"suggested_groups"}
    properties = {
        name
        for name in dir(scan)
        for member in [inspect.getattr_static(type(scan), name, None)]
        if not name.startswith("_") and member is not None
        if not callable(member) and not hasattr(member, "__func__")
    }
    assert properties == known | unknown
    for name in known:
        getattr(scan, name)
    for name in unknown:
        with pytest.raises(UnknownCountsError, match="is unknown: counts were given"):
            getattr(scan, name)
    calls = {
        "weights": lambda: scan.weights(average="batch", batch_size=2),
        "costs": lambda: scan.costs(average="batch", batch_size=2),
        "sampling": scan.sampling,
        "approximate_exposure": scan.approximate_exposure,
        "exposure": lambda: scan.exposure(crop=2),
        "class_index": scan.class_index,
        "check": scan.check,
        "compare": lambda: scan.compare(ms.from_counts(COUNTS, name="other")),
        "plot": lambda: scan.plot("cooccurrence"),
        "report": lambda: scan.report(examples=2),
        "export": lambda: scan.export("x.csv"),
        "split": lambda: scan.split(folds=2),
        "certify": lambda: scan.certify({"train": ["a"], "val": ["b"]}),
        "decide": lambda: scan.grouped("mask").decide("predictions"),
        "under": lambda: scan.under(nearest_colour=2),
        "tables": scan.tables,
        "by_volume": scan.by_volume,
        "entries": scan.entries,
        "need_profile": scan.need_profile,
    }
    works = {
        "all_weights": scan.all_weights,
        "close": scan.close,
        "grouped": lambda: scan.grouped("folder"),
        "recommend": scan.recommend,
    }
    methods = {
        name
        for name, _ in inspect.getmembers(type(scan), inspect.isfunction)
        if not name.startswith("_")
    }
    assert methods == calls.keys() | works.keys()
    for call in calls.values():
        with pytest.raises(UnknownCountsError, match="is unknown: counts were given"):
            call()
    for call in works.values():
        call()
    with pytest.raises(StoreError, match="there is no store to find 'val' in"):
        scan.compare("val")
    with scan as same:
        assert same is scan
    assert isinstance(scan, ms.Scan)
    assert (scan.profile, scan.failures) == (None, ())


def test_names_classes_and_raw_values() -> None:
    assert ms.from_counts([5587, 802]).catalog.names == ("class_0", "class_1")
    assert ms.from_counts([5587, 802], classes=["a", "b"]).catalog.names == ("a", "b")
    assert ms.from_counts([5587, 802], classes=2).catalog.origin == "number"
    assert pixels_of(ms.from_counts({0: 500, 2: 70})) == {
        "class_0": 500,
        "class_1": 0,
        "class_2": 70,
    }
    city = ms.from_counts({7: 1000, 8: 200, 255: 9, 0: 3}, classes="cityscapes").histogram
    assert city.pixels.tolist()[:3] == [1000, 200, 0]
    assert city.labelled_pixels == 1200
    assert ms.from_counts("5587,802,11").histogram.pixels.tolist() == [5587, 802, 11]


@pytest.mark.parametrize(
    ("counts", "options", "kind", "why"),
    [
        ([], {}, ParameterError, "there are no counts"),
        ({}, {}, ParameterError, "there are no counts"),
        ([5, 6000], {"classes": 3}, ParameterError, "there are 2 numbers and 3 classes"),
        ({"a": 500}, {"classes": ["a", "b"]}, CatalogError, "no count of the class 'b'; give 0"),
        ({"raod": 500}, {"classes": ["road"]}, CatalogError, "did you mean road?"),
        ({"a": 500, 5: 6}, {}, ParameterError, "are both names and values of masks"),
        ([("a", 500), ("a", 7)], {}, ParameterError, "class 'a' is in it 2 times"),
        ({0: 5, 255: 700}, {}, ParameterError, "the values 0 to 255 have no names; say"),
        ({-1: 5, 2: 700}, {}, ParameterError, "the values -1 to 2 have no names; say"),
        ({99: 5, 7: 700}, {"classes": "cityscapes"}, ParameterError, "the value 99 is neither"),
        (
            {k: 200 + k for k in range(19)},
            {"classes": "cityscapes"},
            ParameterError,
            "0 to 18 can be the classes in order, or raw values of masks; give",
        ),
        (COUNTS, {"masks": [1, 2]}, ParameterError, "masks: has 2 numbers, and there are 3 counts"),
        (COUNTS, {"masks": {"road": 1}}, ParameterError, "does not have the classes"),
        (COUNTS, {"masks": [1, 2, 0]}, ParameterError, "class sign has 11 pixels and 0 here"),
        (COUNTS, {"masks": [1, -2, 3]}, ParameterError, "masks class car: -2 is negative"),
        (COUNTS, {"masks": [7, 2, 3], "mask_count": 6}, ParameterError, "in 7 of 6 masks"),
        (COUNTS, {"mask_count": -1}, ParameterError, "mask_count class all: -1 is negative"),
        (COUNTS, {"image_pixels": [9000, 9, 9]}, ParameterError, "class car has more pixels than"),
        ([0.5, 0.5], {"image_pixels": [9, 9]}, ParameterError, "shares and pixels do not compare"),
        ({"a\nb": -1}, {}, ParameterError, "counts class a\\nb: -1 is negative"),
        ([50, 30, 20], {}, ParameterError, "say which: unit='counts' or unit='percent'"),
        ("none.csv", {}, FileFormatError, "none.csv: can't be read"),
        (COUNTS, {"classes": "nothing"}, CatalogError, "neither a number, a file nor a preset"),
    ],
)
def test_what_does_not_fit_says_so_in_one_line(
    counts: Any, options: dict[str, Any], kind: type[MaskstatError], why: str
) -> None:
    with pytest.raises(kind) as raised:
        ms.from_counts(counts, **options)
    assert why in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_class_that_never_occurs_asks_for_its_weight() -> None:
    with pytest.raises(AbsentClassError):
        ms.from_counts({"road": 500, "sign": 0}).weights("sqrt")
    assert ms.from_counts([500, 0]).weights("sqrt").weights.tolist() == [1.0, 1.0]


def test_other_classes_are_told_by_their_names() -> None:
    scan = ms.from_counts({**COUNTS, "pole": 0}, masks=[9, 5, 2, 0], mask_count=9)
    turned = scan.under(_catalog("sign", "road", "car"))
    assert pixels_of(turned) == {"sign": 11, "road": 5587, "car": 802}
    assert turned.histogram.masks.tolist() == [2, 9, 5]
    assert (turned.histogram.mask_count, turned.name) == (9, scan.name)
    assert isinstance(turned, ms.Scan)
    less = scan.under(ignore=1)
    assert pixels_of(less) == {"road": 5587, "car": 0, "sign": 11, "pole": 0}
    assert less.histogram.masks.tolist() == [9, 0, 2, 0]
    with pytest.raises(CatalogError, match="the class 'sign' has pixels, and is not among"):
        scan.under(_catalog("road", "car"))
    with pytest.raises(CatalogError, match="no count of the class 'sky'"):
        scan.under(_catalog("road", "car", "sign", "sky"))
    with pytest.raises(UnknownCountsError, match="the colours in the masks"):
        scan.under(nearest_colour=2)
    two = ms.ClassCatalog(
        (ms.ClassInfo(0, "road", (0, 9)), ms.ClassInfo(1, "car", (1,)), ms.ClassInfo(2, "sign", ()))
    )
    with pytest.raises(UnknownCountsError, match="pixels of each value of class 'road'"):
        ms.from_counts(COUNTS, classes=two).under(ignore=9)


def _catalog(*names: str) -> ms.ClassCatalog:
    return ms.ClassCatalog(tuple(ms.ClassInfo(k, name, (k,)) for k, name in enumerate(names)))


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.float64, np.int8, object])
def test_counts_in_an_array(dtype: type) -> None:
    given_array = np.array([57, 8, 11], dtype)
    assert ms.from_counts(given_array).histogram.pixels.tolist() == [57, 8, 11]
    with pytest.raises(ParameterError, match="no counts"):
        ms.from_counts(given_array[:0])


def test_counts_in_a_series() -> None:
    pandas = pytest.importorskip("pandas")
    found = ms.from_counts(pandas.Series(COUNTS))
    assert dict(zip(found.catalog.names, found.histogram.pixels.tolist(), strict=True)) == COUNTS


def test_pandas_tables_have_shares_where_pixels_are_unknown() -> None:
    pytest.importorskip("pandas")
    shares = ms.from_counts([0.75, 0.25])
    assert list(shares.histogram.to_pandas()) == ["index", "frequency"]
    assert list(shares.weights("sqrt").to_pandas()) == ["shares", "weights"]
    assert shares.weights("sqrt").to_pandas()["shares"].tolist() == [0.75, 0.25]
    assert list(ms.from_counts(COUNTS).weights("sqrt").to_pandas()) == ["pixels", "weights"]


def test_everything_of_the_face_is_where_it_says() -> None:
    assert "from_counts" in ms.__all__
    assert repr(ms.from_counts([0.5, 0.5]).histogram) == (
        "<ClassHistogram 2 classes, unknown masks, shares>"
    )


def test_the_examples_do_what_they_say() -> None:
    found = doctest.DocTestFinder(recurse=False).find(given_counts.from_counts, globs={})
    assert found[0].examples
    runner = doctest.DocTestRunner()
    runner.run(found[0])
    assert runner.failures == 0
