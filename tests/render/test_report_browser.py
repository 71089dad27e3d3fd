"""The HTML report in a real browser: sorting, no console message, no request, no overflow."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from maskstat.api.making import scan
from maskstat.naming import printable
from maskstat.render.report.html import report_html
from tests.support.report_cases import HOSTILE_NAMES, Page, catalog_of, contrast, names_of, stored

BROWSER = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (path := shutil.which(name))
    ),
    None,
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on the PATH")


class Visit(NamedTuple):
    """A page after its scripts ran: its DOM, console lines, and what it asked the network for."""

    dom: str
    console: list[str]
    requests: list[str]

    @property
    def title(self) -> str:
        match = re.search(r"<title>(.*?)</title>", self.dom, re.DOTALL)
        return match[1] if match else ""


@pytest.fixture
def visit(tmp_path: Path) -> Callable[..., Visit]:
    """Opens a page in a fresh browser, with no name of the network resolved."""

    def open_page(page: str, fragment: str = "", *options: str) -> Visit:
        folder = Path(str(len(list(tmp_path.iterdir()))))
        (tmp_path / folder).mkdir()
        path, log = tmp_path / folder / "page.html", tmp_path / folder / "net.json"
        path.write_text(page, "utf-8")
        done = subprocess.run(
            [
                str(BROWSER),
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                f"--user-data-dir={tmp_path / folder / 'profile'}",
                "--enable-logging=stderr",
                f"--log-net-log={log}",
                "--dump-dom",
                *options,
                f"{path.as_uri()}{fragment}",
            ],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=True,
        )
        console = [line for line in done.stderr.splitlines() if ":CONSOLE:" in line]
        return Visit(done.stdout, console, _requests(log))

    return open_page


def _requests(log: Path) -> list[str]:
    """URLs that the page asked for. What the browser asks for itself has no initiator."""
    document: dict[str, Any] = json.loads(log.read_text("utf-8"))
    started = document["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    return [
        event["params"]["url"]
        for event in document["events"]
        if event["type"] == started
        and event.get("params", {}).get("initiator", "not an origin") != "not an origin"
    ]


@pytest.fixture(scope="module")
def page() -> str:
    """A report about 31 classes, two of which never occur."""
    with stored(catalog_of(names_of(31)), 40, absent=(4, 30)) as made_up:
        return report_html(made_up)


def column(dom: str, table: str, key: str) -> list[str]:
    """A table's column as it stands: what sorting goes by."""
    head = re.search(rf'<table id="{table}".*?</thead>', dom, re.DOTALL)
    assert head is not None
    at = re.findall(r'data-key="([^"]+)"', head[0]).index(key)
    return [row[at][0] or row[at][1] for row in Page(dom).tables[table][1:]]


def measuring(page: str, script: str) -> str:
    """The page with its policy and script replaced by a script that writes into the title."""
    page = re.sub(r"<meta http-equiv=.*?>", "", page, count=1)
    return re.sub(
        r"<script>.*?</script>", lambda _: f"<script>{script}</script>", page, flags=re.DOTALL
    )


def test_the_test_would_notice(visit: Callable[..., Visit]) -> None:
    """A page that does what a report must not do is caught."""
    bad = visit(
        "<!DOCTYPE html><title>bad</title><img src='http://example.invalid/a.png'>"
        "<script>console.error('boom')</script>"
    )
    assert bad.requests == ["http://example.invalid/a.png"]
    assert any("boom" in line for line in bad.console)


def test_silent_and_self_contained(visit: Callable[..., Visit], page: str) -> None:
    seen = visit(page)
    assert seen.console == []
    assert seen.requests == []
    headings = re.findall(r"<th [^>]*data-key=[^>]*><button", seen.dom)
    assert len(headings) == page.count("data-key=") > 10
    assert column(seen.dom, "table-classes", "index") == [str(k) for k in range(31)]


@pytest.mark.parametrize("way", ["", ".descending"])
@pytest.mark.parametrize(
    ("table", "key", "number"),
    [
        ("table-classes", "pixels", True),
        ("table-classes", "there", True),
        ("table-classes", "class", False),
        ("table-weights", "sqrt", True),
    ],
)
def test_tables_sort(
    visit: Callable[..., Visit], page: str, table: str, key: str, number: bool, way: str
) -> None:
    dom = visit(page, f"#sort={table}.{key}{way}").dom
    values = column(dom, table, key)
    assert sorted(values) == sorted(column(page, table, key))
    shown = [value for value in values if value]
    assert values == shown + [""] * (len(values) - len(shown))  # what has no value comes last
    ordered = [float(value) if number else _natural(value) for value in shown]
    assert ordered == sorted(ordered, reverse=bool(way))  # type: ignore[type-var]
    assert dom.count("aria-sort=") == page.count("aria-sort=") + 1
    assert f'aria-sort="{"descending" if way else "ascending"}"' in dom


def _natural(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"(.*?)(\d*)", text)
    assert match is not None
    return match[1], int(match[2] or 0)


def test_a_click_sorts_and_another_reverses(visit: Callable[..., Visit], page: str) -> None:
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    assert script is not None
    clicks = 'document.querySelector("#table-classes [data-key=pixels] button").click();'
    for count, falling in ((1, True), (2, False)):
        dom = visit(measuring(page, script[1] + clicks * count)).dom
        pixels = [int(value) for value in column(dom, "table-classes", "pixels")]
        assert pixels == sorted(pixels, reverse=falling)


def test_hostile_names_do_nothing(visit: Callable[..., Visit], tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    pixels = np.arange(60 * 60, dtype=np.uint8).reshape(60, 60) % len(HOSTILE_NAMES)
    np.save(masks / '"><img onerror=alert(1)>.npy', pixels)
    with scan(masks, classes=catalog_of(HOSTILE_NAMES), name="</title><b>bold") as result:
        text = report_html(result, examples=1)
    seen = visit(text)
    assert seen.console == [] and seen.requests == []
    page = Page(seen.dom)
    assert len(page.all("script")) == 1 and not page.all("b")
    assert len(page.all("img")) == len(HOSTILE_NAMES)
    assert not any(name.startswith("on") for _, a in page.elements for name in a)
    names = [cell[1] for cell in (row[1] for row in page.tables["table-classes"][1:])]
    assert names == [printable(name) for name in HOSTILE_NAMES]


@pytest.mark.parametrize("count", [3, 31, 150])
def test_the_page_never_scrolls_sideways(visit: Callable[..., Visit], count: int) -> None:
    """From phone to desktop, wide tables and plots scroll within themselves."""
    with stored(catalog_of(names_of(count)), 30) as made_up:
        page = re.sub("<meta http-equiv=.*?>", "", report_html(made_up), count=1)
    frames = "".join(
        f'<iframe width="{width}" height="600" srcdoc="{escape(page)}"></iframe>'
        for width in (320, 390, 768, 1280)
    )
    script = (
        "onload = () => { document.title = [...document.querySelectorAll('iframe')]"
        ".map((frame) => frame.contentDocument.documentElement)"
        ".map((root) => root.scrollWidth - root.clientWidth).join(' ') }"
    )
    seen = visit(f"<!DOCTYPE html><title></title>{frames}<script>{script}</script>")
    assert seen.title.split() == ["0"] * 4


@pytest.mark.parametrize("dark", [False, True])
def test_colours_follow_the_reader(visit: Callable[..., Visit], page: str, dark: bool) -> None:
    """Page and plots are dark on light, or light on dark, as the reader's system asks."""
    script = (
        "const hex = (c) => '#' + c.match(/[0-9]+/g).slice(0, 3)"
        ".map((v) => (+v).toString(16).padStart(2, '0')).join('');"
        "const style = (e) => getComputedStyle(e);"
        "document.title = [hex(style(document.body).backgroundColor),"
        " hex(style(document.body).color),"
        " hex(style(document.querySelector('svg text')).fill)].join(' ')"
    )
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    background, ink, label = visit(measuring(page, script), "", scheme).title.split()
    assert ink == label
    assert contrast(ink, background) >= 7
    assert (int(background[1:3], 16) < 64) == dark
