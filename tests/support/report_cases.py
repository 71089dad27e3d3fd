"""Scans to draw and report on: counts made up for any number of classes, no files needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maskstat.api.making import scan
from maskstat.api.scan import Scan
from maskstat.errors import ProfileError
from maskstat.naming import printable
from maskstat.regions.profile import PixelProfile
from maskstat.render.plots.style import DIVERGING, NEVER
from maskstat.statistics.intervals import frequency_intervals
from maskstat.store.records import StoredMask
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.contributions import Contributions
from maskstat.values.error_bars import Intervals
from maskstat.values.groups import MaskGroups
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import Encoding, MaskTally, TallyTable
from tests.support.profile_cases import made_up_profile

GREY16 = Encoding("png", "grey", 16)
HOSTILE_NAMES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "$x_1^2$ and \\frac{",
    "&lt;amp&gt; &",
    "construction--barrier--concrete-block--a-name-that-is-much-too-long-for-any-axis",
    "\x1b[31mred\nline",
    "日本語のクラス名",
    "{{ 7 * 7 }}{% raw %}",
    "|pipe| `tick` *star* _under_ ~~no~~",
    "]]></style></svg>",
)
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
INK_COLOUR = 0x1B1F24  # the very ink of the plots, as a class colour


@dataclass(frozen=True, slots=True)
class View:
    """A scan's counts without a store behind them."""

    name: str
    histogram: ClassHistogram
    ledger: MaskLedger
    profile: PixelProfile | None = None

    @property
    def catalog(self) -> ClassCatalog:
        """The classes."""
        return self.histogram.catalog

    @property
    def intervals(self) -> Intervals:
        """Of the frequencies."""
        return frequency_intervals(*self._contributing)

    @property
    def _contributing(self) -> tuple[Contributions, MaskGroups]:
        """Each mask is a group of its own."""
        masks = MaskGroups.of_labels("mask", [str(n) for n in range(len(self.ledger))])
        return Contributions.of(self.ledger), masks

    def need_profile(self) -> PixelProfile:
        """The profile. Raises ProfileError where none was given."""
        if self.profile is None:
            raise ProfileError("there is no pixel profile", where=printable(self.name))
        return self.profile


def names_of(count: int) -> list[str]:
    """`count` different names, some of them long."""
    return [
        f"class {k}" if k % 7 else f"a rather long class name, number {k}" for k in range(count)
    ]


def catalog_of(names: Sequence[str]) -> ClassCatalog:
    """Classes of these names, most with a colour: white, black and a plot's ink among them."""
    colours = (0xFFFFFF, 0x000000, INK_COLOUR, 0x804080, None, 0xF0E442, 0x6B8E23)
    return ClassCatalog(
        tuple(
            ClassInfo(k, name, (k,), (), colours[k % len(colours)]) for k, name in enumerate(names)
        ),
        ignored_values=frozenset({60000}),
    )


def view_of(
    count: int,
    *,
    masks: int = 40,
    absent: Sequence[int] = (),
    names: Sequence[str] | None = None,
    seed: int = 0,
    name: str = "made up",
) -> View:
    """A scan of `count` classes whose frequencies fall like Zipf's, the same on every machine."""
    catalog = catalog_of(names_of(count) if names is None else names)
    return view_of_tallies(catalog, tallies_of(count, masks, absent, seed), name)


def tallies_of(count: int, masks: int, absent: Sequence[int], seed: int) -> list[MaskTally]:
    """Masks of 256 x 256 with a few ignored pixels each; absent classes are in none."""
    draw = np.random.default_rng(seed)
    shares = 1.0 / (1.0 + draw.permutation(count)) ** 1.5
    shares[list(absent)] = 0.0
    tallies = []
    for number in range(masks):
        here = shares * (draw.random(count) < np.sqrt(shares / shares.max()))
        if not here.any():
            here = shares
        pixels = draw.multinomial(256 * 256 - 100, here / here.sum())
        values = np.append(np.flatnonzero(pixels), 60000)
        counts = np.append(pixels[pixels > 0], 100)
        tallies.append(
            MaskTally(
                f"mask_{number}.png",
                (256, 256),
                GREY16,
                values.astype(np.int64),
                counts.astype(np.int64),
            )
        )
    return tallies


def view_of_tallies(catalog: ClassCatalog, tallies: list[MaskTally], name: str = "some") -> View:
    """The counts of these tallies."""
    table = TallyTable.of(tallies)
    histogram = ClassHistogram.of(catalog, table)
    profile = made_up_profile(histogram) if len(catalog) else None
    return View(name, histogram, MaskLedger.of(catalog, table), profile)


def unlabelled_view(count: int) -> View:
    """Three masks whose pixels are all ignored."""
    tally = MaskTally("void.png", (8, 8), GREY16, np.array([60000]), np.array([64]))
    return view_of_tallies(catalog_of(names_of(count)), [tally] * 3)


def stored(catalog: ClassCatalog, masks: int, absent: Sequence[int] = ()) -> Scan:
    """A scan of made-up counts, in a store that no file holds."""
    store = Store.in_memory()
    info = store.begin("made up", "/somewhere/<masks>", catalog)
    tallies = tallies_of(len(catalog), masks, absent, seed=0)
    store.write(info, [StoredMask(tally, 1, 1) for tally in tallies])
    store.finish(info)
    return Scan(store, store.find("made up"), catalog)


def hostile_scan(folder: Path) -> Scan:
    """PNG masks in this folder: hostile names everywhere, a broken file, ignored, unlisted values.

    Class `HOSTILE_NAMES[2]` has the colour white; the last one has no pixel.
    """
    draw = np.random.default_rng(5)
    count = len(HOSTILE_NAMES)
    for number in range(12):
        pixels = draw.integers(0, max(1, number % count), (40, 60)).astype(np.uint8)
        pixels[:2] = 255
        if number == 0:
            pixels[-1, :3] = 200
        name = '"><img onerror=alert(1)>' if number % 2 else "plain"
        Image.fromarray(pixels).save(folder / f"{name}_{number}.png")
    (folder / "broken <b>.png").write_bytes(b"not a PNG")
    catalog = folder.parent / f"{folder.name}.json"
    classes: list[dict[str, object]] = [
        {"name": n, "value": k} for k, n in enumerate(HOSTILE_NAMES)
    ]
    classes[2]["colour"] = "#ffffff"
    catalog.write_text(json.dumps({"classes": classes}))
    return scan(folder, classes=catalog, name="<script>alert(1)</script>")


class Page(HTMLParser):
    """Elements with attributes and text, and whether every tag that opens is closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.tables: dict[str, list[list[tuple[str | None, str]]]] = {}
        self._open: list[str] = []
        self._rows: list[list[tuple[str | None, str]]] = []
        self._cell: list[Any] | None = None
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self._rows = self.tables.setdefault(attributes.get("id") or f"#{len(self.tables)}", [])
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._cell = [attributes.get("data-value"), ""]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag in ("td", "th") and self._cell is not None:
            self._rows[-1].append((self._cell[0], self._cell[1].strip()))
            self._cell = None

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._cell is not None:
            self._cell[1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2)."""
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(first: str, second: str) -> float:
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def assert_cells_are(image: np.ndarray, ratio: np.ndarray, octaves: int) -> None:
    """Each colour as often as ratios call for it: a step of the scale, never, or blank."""
    steps = np.round((np.log2(np.where(ratio > 0, ratio, 1)) / octaves).clip(-1, 1) * 4 + 4)
    expected = np.array(DIVERGING)[steps.astype(int)]
    expected[ratio == 0] = NEVER
    expected[np.eye(len(ratio), dtype=bool)] = 255
    found = np.asarray(image).reshape(-1, 3).tolist()
    assert sorted(found) == sorted(expected.reshape(-1, 3).tolist())
