"""What uses the pixel profile: weights, findings, documents, tables and the report."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import typer
from PIL import Image

import maskstat as ms
from maskstat import cli
from maskstat.api.scan import Scan
from maskstat.cli import check, report, scan, show
from maskstat.cli.commands import add
from maskstat.errors import ParameterError, ProfileError, spelled
from maskstat.render.documents.profile import SMALL_SIZES
from maskstat.render.documents.report import report_document
from maskstat.render.documents.scan import scan_document
from maskstat.render.report import html, markdown, wording
from maskstat.scanning.checking import check_scan
from maskstat.statistics.cooccurrence import spread
from maskstat.statistics.imbalance import imbalance
from maskstat.statistics.mask_shapes import mask_forms
from maskstat.values.catalog import ClassCatalog, ClassInfo
from tests.support.loops import at_least_one
from tests.support.paths import SAMPLES
from tests.support.report_cases import HOSTILE_NAMES, Page
from tests.support.scan_cases import write
from tests.support.typed import typed

CATALOG = SAMPLES / "classes.yaml"


@pytest.fixture(scope="module")
def sample() -> Scan:
    return ms.scan(SAMPLES, classes=CATALOG, profile=True)


@pytest.fixture(scope="module")
def plain() -> Scan:
    return ms.scan(SAMPLES, classes=CATALOG)


# --- weights ----------------------------------------------------------------------------------


def test_weights_by_components(sample: Scan, plain: Scan) -> None:
    options: dict[str, Any] = {"parameters": {"count": "components", "beta": 0.9}}
    table = sample.weights("effective-number", **options)
    components = sample.need_profile().components
    assert table.weights == pytest.approx(0.1 / (1 - 0.9**components))
    assert table.parameters["count"] == "components"
    with pytest.raises(ProfileError, match=r"type: scan\(.*, profile=True, classes=FILE\)"):
        plain.weights("effective-number", **options)
    assert plain.weights("effective-number").scheme == "effective-number"


def test_absent_classes_need_no_components(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.array([[0, 1, 0]]))
    with ms.scan(tmp_path, classes=3, profile=True) as some:
        table = some.weights("effective-number", parameters={"count": "components"}, absent="zero")
    assert table.weights.tolist() == pytest.approx([0.001 / (1 - 0.999**2), 1.0, 0.0])


def test_the_command_that_adds_a_profile(forty_masks: Path, tmp_path: Path) -> None:
    where = str(forty_masks)
    for options, words in (
        ({"classes": 7}, f"maskstat scan {where} --profile --classes 7"),
        ({"classes": 7, "ignore": [3]}, f"maskstat scan {where} --profile --classes 7 --ignore 3"),
        ({"ignore": ["#102030"]}, f"maskstat scan {where} --profile --ignore '#102030'"),
        ({"classes": "voc"}, f"maskstat scan {where} --profile --classes voc"),
        (
            {"classes": 7, "name": "a b"},
            f"maskstat scan {where} --profile --classes 7 --name 'a b'",
        ),
    ):
        assert typed(ms.scan(forty_masks, **options).profile_call) == words  # type: ignore[arg-type]
    catalog = write(tmp_path / "classes.json", b'{"classes": [{"name": "a", "value": 0}]}')
    scan = ms.scan(forty_masks, classes=catalog)
    assert typed(scan.profile_call).endswith("--classes FILE")


COLOURS = ClassCatalog(
    (ClassInfo(0, "a", (), (0x000000,)), ClassInfo(1, "b", (), (0x8040C0, 0x102030)))
)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((8, 9), {"classes": 3, "value_divisor": 20}),
        ((8, 9), {"classes": 3, "value_divisor": 20, "divide_all": True}),
        ((4, 8, 9), {"classes": 90, "pages": "all"}),
        ((4, 8, 9), {"classes": 90, "pages": 3}),
        ((8, 9, 3), {"classes": 3, "channels": "one-hot"}),
        ((3, 8, 9), {"classes": 8, "channels": "bitmask-first"}),
        ((8, 9, 3), {"classes": COLOURS}),
        ((8, 9, 3), {"classes": COLOURS, "nearest_colour": 40}),
    ],
)
def test_pixels_are_read_as_they_are_counted(
    tmp_path: Path, shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    draw = np.random.default_rng(len(shape))
    (tmp_path / "masks").mkdir()
    for number in range(3):
        pixels = draw.integers(0, 70, shape).astype(np.uint8)
        if "channels" in options:
            axis = -1 if options["channels"] == "one-hot" else 0
            pixels = (pixels == pixels.max(axis=axis, keepdims=True)).astype(np.uint8)
            pixels[..., :] = np.where(np.cumsum(pixels, axis=axis) > 1, 0, pixels)
        if options["classes"] is COLOURS:  # a few colours in blocks: noise is a photograph
            pixels = pixels[::4, ::3].repeat(4, axis=0).repeat(3, axis=1)
            Image.fromarray(pixels * 3).save(tmp_path / "masks" / f"m{number}.png")
        else:
            np.save(tmp_path / "masks" / f"m{number}.npy", pixels)
    with ms.scan(tmp_path / "masks", profile=True, **options) as some:
        profile = some.need_profile(of_all=True)
        assert not some.failures
        assert np.array_equal(profile.class_pixels, some.histogram.pixels)
        assert profile.pixels.sum() == some.histogram.total_pixels
        assert some.histogram.labelled_pixels or "nearest_colour" not in options
        command = typed(some.profile_call)
    for option in set(options) - {"classes"}:
        assert f"--{option.replace('_', '-')}" in command


# --- findings ---------------------------------------------------------------------------------


def details_of(found: Any, kind: str) -> dict[str, Any]:
    (finding,) = [finding for finding in found if finding.kind == kind]
    return {detail["class"]: detail for detail in finding.details}


@pytest.mark.parametrize("least", [None, 0, 1, 6, 10_000])
def test_classes_in_few_components(sample: Scan, least: int | None) -> None:
    found = check_scan(sample, min_components=least)
    components = dict(zip(sample.catalog.names, sample.need_profile().components, strict=True))
    few = {name: n for name, n in components.items() if 0 < n < (10 if least is None else least)}
    if not few:
        assert "few-components" not in {finding.kind for finding in found}
        return
    details = details_of(found, "few-components")
    assert {name: detail["components"] for name, detail in details.items()} == few
    (finding,) = [finding for finding in found if finding.kind == "few-components"]
    ledger = sample.ledger.dense()
    chosen = [sample.catalog.names.index(name) for name in few]
    holders = np.flatnonzero(ledger[:, chosen].any(axis=1))
    assert sorted(finding.files) == sorted(sample.ledger.names[row] for row in holders)
    assert finding.count == len(few)


def test_thin_classes_come_thinnest_first(sample: Scan) -> None:
    details = details_of(check_scan(sample), "thin-class")
    widths = dict(zip(sample.catalog.names, sample.need_profile().width, strict=True))
    assert {name: detail["width"] for name, detail in details.items()} == {
        name: width for name, width in widths.items() if width <= 4
    }
    assert len(details) > 1
    found = [detail["width"] for detail in details.values()]
    assert found == sorted(found)


def test_without_a_profile_components_are_found_only_where_nobody_asks(plain: Scan) -> None:
    kinds = {finding.kind for finding in check_scan(plain)}
    assert not kinds & {"few-components", "thin-class", "unmeasured"}
    with pytest.raises(ProfileError, match="profile=True"):
        check_scan(plain, min_components=5)
    with pytest.raises(ParameterError, match=r"^min_components: "):
        check_scan(plain, min_components=-1)


def test_masks_left_out_are_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from maskstat.scanning import counting

    np.save(tmp_path / "m.npy", np.eye(9, dtype=np.uint8))
    monkeypatch.setattr(counting, "STREAM_ABOVE", 0)
    with ms.scan(tmp_path, classes=2, profile=True) as some:
        (found,) = [finding for finding in check_scan(some) if finding.kind == "unmeasured"]
        document = report_document(some)
        lines = markdown.render(document)
    assert found.files == ("m.npy",)
    assert "read whole" in found.details[0]["reason"]
    assert "1 mask counted, but not profiled: m.npy (larger than" in lines
    assert document["profile"]["masks"] == 0
    assert document["profile"]["imbalance"]["ratio"] is None


# --- documents --------------------------------------------------------------------------------


def test_the_document_has_the_numbers_of_the_profile(sample: Scan, plain: Scan) -> None:
    assert scan_document(plain)["profile"] is None
    profile, document = sample.need_profile(), scan_document(sample)["profile"]
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["masks"] == 24
    assert document["components"] == profile.eight.counts.sum()
    assert document["components_by_edges"] == profile.four.counts.sum()
    measures = imbalance(profile.components)
    assert document["imbalance"]["gini"] == measures.gini
    assert document["imbalance"]["ratio"] == measures.ratio
    assert document["imbalance"]["kl_uniform"] == measures.kl_uniform
    assert document["imbalance"]["majority_accuracy"] == measures.majority_accuracy
    rows = document["classes"]
    assert [row["name"] for row in rows] == list(sample.catalog.names)
    for k, row in at_least_one(enumerate(rows)):
        sizes = np.repeat(*profile.eight.sizes.of_class(k))
        assert row["components"] == sizes.size
        assert row["sizes"]["median"] == np.quantile(sizes, 0.5, method="inverted_cdf")
        assert (row["sizes"]["least"], row["sizes"]["most"]) == (sizes.min(), sizes.max())
        assert sum(row["size_histogram"]) == sizes.size
        assert row["size_histogram"][-1] > 0
        assert set(row["share_under"]) == {str(size) for size in SMALL_SIZES}
        assert row["outline"] == profile.outline[k]
        assert row["width"] == 2 * profile.class_pixels[k] / profile.outline[k]
        assert row["centre"] == {"x": profile.centres[k, 1], "y": profile.centres[k, 0]}
        for found in row["neighbours"]:
            other = (
                len(rows) if found["class"] is None else sample.catalog.names.index(found["class"])
            )
            assert found["edges"] == profile.adjacency[k, other]
            assert found["share"] == profile.neighbours[k, other]
        edges = [found["edges"] for found in row["neighbours"]]
        assert edges == sorted(profile.adjacency[k], reverse=True)[: len(edges)]
        assert [found["pixels"] for found in row["smallest"]] == sorted(sizes)[:5]


def test_the_report_has_maps_and_adjacency_in_full(sample: Scan, plain: Scan) -> None:
    profile, document = sample.need_profile(), report_document(sample)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["profile_command"] is None
    places = document["places"]
    assert np.allclose(places["vertical"], profile.vertical, atol=1e-6)
    assert np.allclose(places["horizontal"], profile.horizontal, atol=1e-6)
    names = (*sample.catalog.names, None)
    table = np.zeros_like(profile.adjacency)
    for a, b, edges in places["adjacency"]:
        table[names.index(a), names.index(b)] = table[names.index(b), names.index(a)] = edges
    assert np.array_equal(table, profile.adjacency)
    without = report_document(plain)
    assert without["places"] is None
    assert without["profile_command"] == spelled(plain.profile_call)


def test_forms_of_masks_need_no_pixels(plain: Scan) -> None:
    forms = mask_forms(plain.tables())
    shapes = np.concatenate([table.shapes for table in plain.tables()])
    assert sum(masks for _, _, masks in forms.sizes) == len(shapes)
    assert {(h, w) for h, w, _ in forms.sizes} == set(map(tuple, shapes.tolist()))
    plain_spread = spread(shapes[:, 1] / shapes[:, 0])
    assert forms.aspect is not None and plain_spread is not None
    assert asdict(forms.aspect) == pytest.approx(asdict(plain_spread))
    assert sum(masks for _, masks in forms.value_types) == len(shapes)
    assert mask_forms([]).aspect is None
    document = report_document(plain)
    assert document["value_types"][0] == {"value_type": "png grey 8-bit", "masks": 16}
    assert document["aspect"]["median"] == pytest.approx(4 / 3)


def test_page_and_markdown_say_the_same(sample: Scan) -> None:
    text, lines = html.report_html(sample), markdown.report_markdown(sample)
    page, document = Page(text), report_document(sample)
    rows = {row.name: row for row in wording.profile_rows(document)}
    measured = {row["name"]: row for row in document["profile"]["classes"]}
    head, *cells = page.tables["table-classes"]
    parts = [words for _, words in head].index("Parts")
    for found in at_least_one(cells):
        name, row = found[0][1], rows[found[0][1]]
        written = [str(row.number), row.name, *(text for _, text in row.cells)]
        assert f"| {' | '.join(written)} |" in lines
        assert found[parts][1] == f"{measured[name]['components']:,}"
    words = " ".join(page.texts)
    for place in at_least_one(("Where it lies", "Connected components", "Its outline runs along")):
        assert place in words
    for note in at_least_one(wording.profile_notes(document)):
        assert note in " ".join(page.texts)
        assert markdown.escaped(note) in lines
    assert "| measure | by pixels | by masks | by components |" in lines


def test_without_a_profile_the_report_names_the_command(plain: Scan) -> None:
    text, lines = html.report_html(plain), markdown.report_markdown(plain)
    assert spelled(plain.profile_call) in " ".join(Page(text).texts)
    assert markdown.escaped(spelled(plain.profile_call)) in lines
    assert "Where it lies" not in text
    assert "by components" not in lines


def test_no_name_becomes_markup_by_way_of_the_profile(tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    names = ['"><img onerror=alert(1)>.png', "a\x1b[2J.png", "`|<b>.png"]
    for seed, name in enumerate(names):
        pixels = np.random.default_rng(seed).integers(0, len(HOSTILE_NAMES), (9, 9))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name)
    classes = [{"name": name, "value": k} for k, name in enumerate(HOSTILE_NAMES)]
    catalog = write(tmp_path / "c.json", json.dumps({"classes": classes}).encode())
    with ms.scan(folder, classes=catalog, profile=True) as some:
        text, lines = html.report_html(some), markdown.report_markdown(some)
        notes = wording.profile_notes(report_document(some))
    assert "|<b>.png" not in text
    assert all((image["src"] or "").startswith("data:") for image in Page(text).all("img"))
    assert "<b>" not in lines
    assert all(note.isprintable() for note in notes)


# --- commands ---------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """Exit code and what was printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command line in a folder with three masks."""
    app = typer.Typer(pretty_exceptions_enable=False)
    for command in (scan, show, check, report):
        add(app, command)
    monkeypatch.setattr(cli, "app", lambda commands: app)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MASKSTAT_DB", raising=False)
    Path("masks").mkdir()
    for number in range(3):
        pixels = np.zeros((20, 30), np.uint8)
        pixels[:, 3 + number] = 1
        pixels[number, 20] = 2
        np.save(f"masks/m{number}.npy", pixels)

    def of(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["maskstat", *arguments])
        code = cli.run(list(arguments))
        return Outcome(code, *capfd.readouterr())

    return of


def test_scan_and_show_say_what_the_profile_shows(run: Run) -> None:
    first = run("scan", "masks", "--classes", "3", "--profile", "--grid", "8")
    assert first.code == 0
    for words in (
        "Pixel profile of 3 masks: 12 components, up to 2 times as many of one class as of another",
        "Thin (typical width up to 4 px): class_2 (0.5 px), class_1 (1.0 px)",
        "In fewer than 10 components: class_1 (3), class_2 (3), class_0 (6)",
        "Smallest by their median component: class_2 (1 px), class_1 (20 px)",
        "3 components of a single pixel in 1 class, most of class_2: first m0.npy at x 20, y 0",
        "3 new, 0 changed, 0 unchanged",
    ):
        assert words in first.out
    again = run("show").out
    assert "Pixel profile of 3 masks: 12 components" in again
    document = json.loads(run("show", "--json").out)
    assert document["profile"]["grid"] == 8
    assert document["profile"]["unmeasured"] == 0


def test_an_outdated_profile_is_said_to_be(run: Run) -> None:
    run("scan", "masks", "--classes", "3", "--profile")
    np.save("masks/new.npy", np.zeros((4, 4), np.uint8))
    plain = run("scan", "masks", "--classes", "3")
    assert plain.code == 0
    assert "Pixel profile of" not in plain.out
    assert "1 mask not measured yet: the same scan with --profile goes on with them" in plain.out
    whole = run("scan", "masks", "--classes", "3", "--profile")
    assert "Pixel profile of 4 masks" in whole.out
    assert "0 new, 0 changed, 4 unchanged" in whole.out


def test_grid_without_profile_is_no_option(run: Run) -> None:
    refused = run("scan", "masks", "--classes", "3", "--grid", "8")
    assert refused.code == 2
    assert refused.err == "maskstat: --grid: goes with --profile\n"
    assert run("scan", "masks", "--classes", "3", "--profile", "--grid", "0").code == 2


def test_check_by_components(run: Run) -> None:
    run("scan", "masks", "--classes", "3")
    refused = run("check", "--min-components", "4")
    assert refused.code == 1
    assert "type: maskstat scan" in refused.err and "--profile --classes 3" in refused.err
    assert len(refused.err.splitlines()) == 1
    assert run("check", "--fail-on", "few-components").code == 0
    run("scan", "masks", "--classes", "3", "--profile")
    found = run("check", "--min-components", "4", "--fail-on", "few-components")
    assert found.code == 1
    assert "class_1 (3), class_2 (3)" in found.out
    assert "class_2 (0.5 px), class_1 (1.0 px)" in found.out
    assert run("check", "--min-components", "3", "--fail-on", "few-components").code == 0


def test_report_formats_with_a_profile(run: Run) -> None:
    run("scan", "masks", "--classes", "3", "--profile")
    document = json.loads(run("report", "--json").out)
    assert document["places"]["adjacency"][0][:2] == ["class_0", "class_1"]
    assert "Where and how large" in run("report", "--format", "md").out
    assert run("report", "-o", "r.html").code == 0
    assert "Where it lies" in Path("r.html").read_text()
