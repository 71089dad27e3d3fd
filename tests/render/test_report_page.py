"""The HTML report as text: its numbers, its words, its sizes, and what no name can do in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from maskstat.advice.snippets import SNIPPETS
from maskstat.api.counting import MaskCounter
from maskstat.api.given_counts import from_counts
from maskstat.api.making import open_scan, scan
from maskstat.api.scan import Scan
from maskstat.errors import UnlistedValuesError, WeightError
from maskstat.naming import percent, printable
from maskstat.render.documents.report import report_document
from maskstat.render.documents.weighing import Price, price_of, scheme_weights
from maskstat.render.plots.style import DIVERGING
from maskstat.render.report import markdown
from maskstat.render.report.heat import SEQUENTIAL
from maskstat.render.report.pasting import FRAMEWORKS, pasted
from maskstat.render.report.subject import Subject
from maskstat.render.report.svg import ShareAxis
from maskstat.values.catalog import ClassCatalog
from maskstat.weights.table import WeightTable
from tests.support.loops import at_least_one
from tests.support.report_cases import (
    HOSTILE_NAMES,
    Page,
    catalog_of,
    contrast,
    luminance,
    names_of,
    stored,
)


@pytest.fixture(scope="module")
def hostile_page(hostile: Scan) -> str:
    return hostile.report()


@pytest.fixture(scope="module")
def many_page(many: Scan) -> str:
    return many.report()


def blob(page: str, name: str) -> bytes:
    """A column of the explorer, inflated."""
    found = re.search(rf'id="blob-{name}">([^<]*)<', page)
    assert found is not None
    return zlib.decompress(base64.b64decode(found[1]))


def test_page_is_well_formed_and_accessible(hostile_page: str, many_page: str) -> None:
    for text in (hostile_page, many_page):
        assert text.startswith("<!DOCTYPE html>")
        page = Page(text)
        assert page.all("html") == [{"lang": "en"}]
        levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
        assert levels.count(1) == 1 and levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        identities = [a["id"] for _, a in page.elements if "id" in a]
        assert len(identities) == len(set(identities))
        for attributes in at_least_one(page.all("a")):
            assert (attributes["href"] or "")[1:] in identities
        assert len(page.all("table")) == len(page.all("caption"))
        assert all(heading.get("scope") in ("col", "row") for heading in page.all("th"))
        assert all(image.get("alt") for image in page.all("img"))
        for drawing in at_least_one(page.all("svg")):
            assert drawing.get("aria-hidden") == "true" or (
                drawing["role"] == "img" and drawing["aria-label"]
            )
        for region in at_least_one(page.all("section")):
            assert region["aria-labelledby"] in identities
        labelled = {a["for"] for a in page.all("label") if "for" in a}
        for control in at_least_one([*page.all("input"), *page.all("select")]):
            named = control.get("aria-label") or control.get("id") in labelled
            assert named, control


def test_page_needs_and_allows_nothing_from_outside(hostile_page: str, many_page: str) -> None:
    for text in (hostile_page, many_page):
        page = Page(text)
        for _, attributes in at_least_one(page.elements):
            for name, value in attributes.items():
                assert not name.startswith("on") and name != "style"
                if name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
                    assert (value or "").startswith(("#", "data:"))
        (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
        assert "url(" not in style and "@import" not in style
        (policy,) = [
            a["content"] or ""
            for a in page.all("meta")
            if a.get("http-equiv") == "Content-Security-Policy"
        ]
        (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
        for rule, source in at_least_one({"script-src": script, "style-src": style}.items()):
            digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
            assert f"{rule} 'sha256-{digest}';" in policy
        assert policy.startswith("default-src 'none'; img-src data:")
        assert "unsafe" not in policy
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\b|Function\(", script)


def test_names_are_text_on_the_page(hostile: Scan, hostile_page: str) -> None:
    page = Page(hostile_page)
    assert {a.get("type") for a in page.all("script")} == {
        None,
        "application/json",
        "text/plain",
    }
    assert len(page.all("style")) == 1
    names = {text for _, text in (row[0] for row in page.tables["table-classes"][1:])}
    assert names == {" ".join(printable(name).split()) for name in HOSTILE_NAMES}
    words = "".join(page.texts)
    for name in HOSTILE_NAMES:
        assert words.count(printable(name)) > 3  # in the table, on a card, in every snippet
    assert '"><img onerror=alert(1)>_1.png' in words
    assert "broken <b>.png" in words
    assert "\x1b" not in hostile_page
    found = re.findall(
        r'<script type="application/json"[^>]*>(.*?)</script>', hostile_page, re.DOTALL
    )
    for text in at_least_one(found):
        assert not re.search("[<>&]", text)
    assert json.loads(found[0])["names"] == [printable(name) for name in HOSTILE_NAMES]
    masks = json.loads(blob(hostile_page, "names"))
    assert masks == [printable(name) for name in hostile.ledger.names]


def test_rows_are_the_document_s_numbers(many: Scan, many_page: str) -> None:
    """What sorting goes by is the document's, bit for bit."""
    document = report_document(many)
    head, *rows = Page(many_page).tables["table-classes"]
    keys = re.findall(r'<th scope="col" data-key="([^"]+)"', many_page)
    assert len(head) == len(keys) == len(set(keys))
    shares = []
    for row in at_least_one(rows):
        cells = dict(zip(keys, row, strict=True))
        entry = document["classes"][int(cells["index"][0] or "")]
        assert cells["class"][1] == printable(entry["name"])
        assert int(cells["pixels"][0] or "") == entry["pixels"]
        assert cells["pixels"][1] == f"{entry['pixels']:,}"
        assert float(cells["share"][0] or "") == entry["frequency"]
        assert cells["share"][1] == (percent(entry["frequency"]) if entry["pixels"] else "never")
        assert int(cells["masks"][0] or "") == entry["masks"]
        weights = document["weights"]["schemes"]["sqrt"]["weights"]
        assert float(cells["weight"][0] or "") == weights[entry["index"]]
        shares.append(entry["frequency"])
    assert len(shares) == 150 and shares == sorted(shares, reverse=True)


def test_explorer_holds_the_ledger(hostile: Scan, hostile_page: str) -> None:
    ledger = hostile.ledger
    counts = np.frombuffer(blob(hostile_page, "counts"), "<u2")
    assert counts.tolist() == ledger.class_counts.tolist()
    assert list(blob(hostile_page, "classes")) == ledger.classes.tolist()
    for name, expected in at_least_one({"pixels": ledger.pixels, "areas": ledger.areas}.items()):
        planes = np.frombuffer(blob(hostile_page, name), np.uint8).reshape(6, -1).astype(np.int64)
        assert (planes << (8 * np.arange(6))[:, None]).sum(axis=0).tolist() == expected.tolist()
    rows = np.frombuffer(blob(hostile_page, "rows"), "<u4")
    about = json.loads(re.findall(r'id="explorer-data">(.*?)<', hostile_page)[0])
    assert about["pictured"] == len(rows) == len(ledger)
    maps = np.frombuffer(blob(hostile_page, "maps"), np.uint8).reshape(
        len(rows), *about["shapes"][0]
    )
    for row, small in at_least_one(zip(rows.tolist(), maps, strict=True)):
        found = np.bincount(small.ravel(), minlength=ledger.class_count + 1)[:-1]
        assert found.tolist() == ledger.take([row]).dense()[0].tolist()


def test_prices_are_those_of_the_schemes(many: Scan) -> None:
    document = report_document(many)
    for name, table in at_least_one(scheme_weights(many.histogram).items()):
        assert isinstance(table, WeightTable)
        entry, price = document["costs"]["schemes"][name], price_of(table)
        said = Price(
            entry["relative_spread"],
            entry["effective_pixels"],
            entry["loss_ratio"],
            entry["weight_ratio"],
        )
        assert said == price
        assert 0 < price.effective <= 1 and price.loss_ratio >= 1 - 1e-12


def test_the_page_begins_with_the_recommendation(many: Scan, many_page: str) -> None:
    """What `Scan.recommend` says, whole, before everything that it follows from."""
    found = many.recommend()
    (section,) = re.findall(r'<section id="recommendation".*?</section>', many_page, re.DOTALL)
    shown = "\n".join(Page(section).texts)
    for later in ('class="chips"', 'class="steps"', 'class="paste"', 'id="classes"'):
        assert many_page.index(section) < many_page.index(later)
    for one in at_least_one(found.advice):
        assert one.text in shown
        assert all(command in shown for command in one.commands)
    assert found.verdict in shown
    assert many.recommend("iou").weights is not None and "None are recommended" not in many_page
    document = json.loads(many.report(format="json"))["recommendation"]
    alike = json.loads(json.dumps(found.to_document()))
    assert {key: document[key] for key in alike if key != "weights"} == {
        key: value for key, value in alike.items() if key != "weights"
    }
    assert document["weights"]["weights"] == pytest.approx(alike["weights"]["weights"])


def test_the_recommendation_in_markdown(many: Scan) -> None:
    text = many.report(format="md")
    found = many.recommend()
    first = text.index("## Recommendation")
    assert first < text.index("## Numbers") < text.index("## Needs attention")
    assert text.index(markdown.escaped(found.verdict)) > first
    for one in at_least_one(found.advice):
        assert markdown.escaped(one.text) in text
        assert all(f"{command}\n" in text for command in one.commands)


def test_no_weights_are_recommended_and_there_are_some_to_compare_with() -> None:
    even = from_counts({"a": 1000, "b": 1100, "c": 900})
    assert even.recommend().weights is None
    text = even.report()
    assert "None are recommended" in text and "Train without weights" in text
    Page(text)


def test_where_nothing_can_be_recommended_the_page_says_why(
    hostile: Scan, hostile_page: str
) -> None:
    """Values that nobody explained: as `recommend` says it, and no error."""
    with pytest.raises(UnlistedValuesError) as refused:
        hostile.recommend()
    why = str(refused.value)
    assert f"There is none: {why}." in Page(hostile_page).texts
    assert f"There is none: {markdown.escaped(why)}." in hostile.report(format="md")
    assert json.loads(hostile.report(format="json"))["recommendation"] == {"error": why}


@pytest.mark.parametrize("batch", [2, 8])
def test_equal_cost_is_pasted_by_batch_size(batch: int) -> None:
    with stored(catalog_of(names_of(20)), 40, absent=(3,)) as some:
        data = json.loads(re.findall(r'id="data">(.*?)<', some.report())[0])
        choice = pasted(Subject(some, report_document(some)))[1]
        try:
            table = some.weights(
                average="batch", batch_size=batch, normalize="pixel", absent="one"
            ).weights.tolist()
        except WeightError:
            table = None
    assert data["byBatch"][str(batch)] == table
    # What is there without a script: Keras divides by pixels, the others by a batch's weights.
    assert choice.key == "equal-cost" and choice.batch is not None and choice.by_batch is not None
    for tab, framework in at_least_one(zip(choice.tabs, FRAMEWORKS, strict=False)):
        by_batch = SNIPPETS[framework].by_batch
        expected = choice.by_batch[choice.batch] if by_batch else choice.weights
        numbers = [float(number) for number in re.findall(r"([\d.e+-]+),\s+# \d", tab.code)]
        assert tab.by_batch is by_batch and numbers == pytest.approx(expected, rel=1e-5)


def test_page_stays_small_and_is_reproducible(many: Scan, many_page: str) -> None:
    assert len(many_page.encode()) < 2_000_000
    assert many.report() == many_page


@pytest.mark.parametrize("catalog", [catalog_of(["a", "b"]), ClassCatalog.to_infer()])
def test_nothing_to_weigh_is_said_not_raised(catalog: ClassCatalog, tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", np.full((4, 4), 255, np.uint8))
    with scan(tmp_path, classes=catalog, ignore=[255]) as empty:
        document = report_document(empty)
        text = empty.report(examples=1)
        lines = markdown.report_markdown(empty)
    Page(text)
    assert document["costs"]["schemes"] == {} and document["weights"]["distinct"] == []
    assert "Not one pixel belongs to a class" in text
    assert "not one pixel belongs to a class" in lines
    json.dumps(document, allow_nan=False)


def test_one_class_has_no_imbalance(tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", np.zeros((4, 4), np.uint8))
    with scan(tmp_path, classes=1) as single:
        text = single.report()
    assert "All labelled pixels are of class class_0" in text
    assert 'id="together"' not in text


def themes_of(page: str) -> list[dict[str, str]]:
    """The custom properties of the light, dark, chosen dark and print themes."""
    blocks = re.findall(r":root[^{},]*(?:,[^{}]*)?\{(.*?)\}", page, re.DOTALL)
    return [dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", block)) for block in blocks]


def test_contrast_in_every_theme(many_page: str) -> None:
    themes = themes_of(many_page)
    assert len(themes) == 4
    assert themes[1] == themes[2] and themes[0] != themes[1]
    for theme in at_least_one(themes):
        assert set(theme) == set(themes[0])
        for background in ("page", "card", "soft"):
            for text in ("ink", "muted", "link"):
                assert contrast(theme[text], theme[background]) >= 4.5, (text, background)
        for kind in ("warning", "error", "info"):
            assert contrast(theme[kind], theme[f"{kind}-soft"]) >= 4.5, kind
        for mark in ("fill", "up", "down", "ok"):
            assert contrast(theme[mark], theme["page"]) >= 3, mark
    used = set(re.findall(r"var\(--([a-z0-9-]+)\)", many_page))
    assert used == set(themes[0])


# Machado, Oliveira & Fernandes 2009, severity 1: linear RGB as protan, deutan, tritan eyes see it.
MACHADO = {
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def seen_by(eye: str, colours: tuple[tuple[int, int, int], ...]) -> np.ndarray:
    """[n, 3] CIE Lab of sRGB colours as this eye sees them."""
    part = np.array(colours, np.float64) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.array(MACHADO[eye]).T, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = linear @ np.array(to_xyz).T / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack(
        [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1
    )


@pytest.mark.parametrize("eye", sorted(MACHADO))
def test_scales_are_read_with_any_colour_vision(eye: str) -> None:
    """Lightness alone tells the steps apart, and hue both ends (2 is a difference just seen)."""
    heat = seen_by(eye, SEQUENTIAL)
    assert (np.diff(heat[:, 0]) > 0).all()  # lighter step by step
    diverging = seen_by(eye, DIVERGING)
    assert (np.diff(diverging[:5, 0]) > 0).all() and (np.diff(diverging[4:, 0]) < 0).all()
    for less, more in at_least_one(zip(range(3), range(8, 5, -1), strict=True)):
        assert np.linalg.norm(diverging[less] - diverging[more]) > 15, (less, more)


def test_words_for_findings_do_not_depend_on_colour(hostile_page: str) -> None:
    for severity in ("error", "warning"):
        assert re.search(rf'<span class="tag {severity}">{severity}</span>', hostile_page)


@pytest.mark.parametrize(
    ("classes", "declared"), [(40, False), (41, False), (1000, True), (9000, False)]
)
def test_of_very_many_classes_the_rest_are_said_together(classes: int, declared: bool) -> None:
    pixels = np.repeat(np.arange(classes), np.arange(classes) % 7 + 1).astype(np.uint16)
    counter = MaskCounter(classes=classes if declared else None)
    counter.update(pixels[None])
    text = counter.scan().report()
    rows = Page(text).tables["table-classes"][1:]
    assert len(rows) == (classes if classes <= 1000 else 300)
    assert (f"Not in the table: {classes - 300:,} classes from" in text) is (classes > 1000)
    if classes > 1000:
        assert "too many to paste" in text and "left out above 1,000 classes" in text
    assert len(text) < 3_000_000


def test_a_log_axis_holds_its_shares() -> None:
    axis = ShareAxis.over([0.5, 3e-6])
    assert axis.lowest == pytest.approx(1e-6)
    assert axis.place(1.0) == 100 and axis.place(1e-6) == 0 and axis.place(0.0) == 0
    assert axis.place(1e-3) == pytest.approx(50)
    assert [f"{share:.0e}" for share in axis.decades] == [
        "1e-05",
        "1e-04",
        "1e-03",
        "1e-02",
        "1e-01",
    ]


def test_nothing_is_called_sound_that_nobody_looked_at(tmp_path: Path) -> None:
    """Duplicates are spoken of where files were compared, and found where they are."""
    draw = np.random.default_rng(0)
    for number in range(12):
        np.save(tmp_path / f"{number}.npy", draw.integers(0, 2, (8, 8)).astype(np.uint8))
    with scan(tmp_path, classes=2) as masks:
        looked, not_looked = masks.report(), masks.report(examples=0)
        (tmp_path / "11.npy").write_bytes((tmp_path / "3.npy").read_bytes())
    assert "No duplicates" in looked and "Sound masks" in looked
    assert "No duplicates" not in not_looked and "Sound masks" not in not_looked
    assert "no file was compared" in not_looked
    with scan(tmp_path, classes=2) as masks:
        doubled = masks.report()
    assert "No duplicates" not in doubled and "pixel for pixel the same as another mask" in doubled


def test_given_counts_make_a_page_of_what_is_known() -> None:
    text = from_counts({"road": 900, "car": 90, "pole": 10}).report()
    page = Page(text)
    assert [row[0][1] for row in page.tables["table-classes"][1:]] == ["road", "car", "pole"]
    assert 'id="masks"' not in text and 'id="together"' not in text
    assert "could be read" not in text and "No duplicates" not in text
    assert not re.search(r">[^<]*\bNone\b[^<]*<", re.sub(r"(?s)<(code|script)>.*?</\1>", "", text))


def test_colours_of_invented_classes_differ() -> None:
    assert luminance("#ffffff") == pytest.approx(1)
    text = from_counts({f"c{k}": 10 + k for k in range(12)}).report()
    colours = json.loads(re.findall(r'id="data">(.*?)<', text)[0])["colours"]
    assert len(set(colours)) == 12


def test_splits_are_compared_where_another_is_named(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    for split, odds in (("train", 0.5), ("val", 0.1)):
        (tmp_path / split).mkdir()
        for number in range(5):
            pixels = (draw.random((9, 9)) < odds).astype(np.uint8)
            np.save(tmp_path / split / f"{number}.npy", pixels)
        scan(tmp_path / split, classes=2, db=tmp_path / "s.db", name=split).close()

    with open_scan(tmp_path / "s.db", "train") as train:
        text = train.report(against="val")
        document = json.loads(train.report(format="json", against="val"))
        lines = train.report(format="md", against="val")
        assert json.loads(train.report(format="json"))["against"] is None
    page = Page(text)
    assert 'id="splits"' in text
    rows = page.tables["table-splits"][1:]
    by_name = {row["name"]: row for row in document["against"]["classes"]}
    for row in at_least_one(rows):
        shares = [percent(split["share"]) for split in by_name[row[0][1]]["splits"]]
        assert [row[1][1], row[2][1]] == shares
    assert "No mask in both splits" in text
    assert "## Splits" in lines


def test_under_a_recipe_the_page_speaks_of_crops(tmp_path: Path) -> None:
    draw = np.random.default_rng(2)
    (tmp_path / "masks").mkdir()
    for number in range(6):
        np.save(tmp_path / "masks" / f"{number}.npy", draw.integers(0, 3, (16, 16)).astype("u1"))
    with scan(tmp_path / "masks", classes=3, db=tmp_path / "s.db") as folder:
        seen = folder.exposure(crop=8)
        text, whole = seen.report(), folder.report()
        document = seen.to_document()
    page = Page(text)
    head, *rows = page.tables["table-classes"]
    assert "Crops" in [words for _, words in head] and "Masks" not in [words for _, words in head]
    for row, entry in at_least_one(
        zip(page.tables["table-exposure"][1:], document["classes"], strict=True)
    ):
        found = next(one for one in page.tables["table-exposure"][1:] if one[0][1] == entry["name"])
        keys = ("frequency", "exposure", "in_masks", "in_crops", "in_batches")
        assert [words for _, words in found[1:]] == [percent(entry[key]) for key in keys]
        assert len(row) == 6
    assert len(rows) == 3
    assert "exposure(crop=8).weights(scheme=&#39;sqrt&#39;" in text
    assert "table-exposure" not in whole and ".exposure(crop=8)" not in whole
    assert "could be read" not in text  # which is of files
