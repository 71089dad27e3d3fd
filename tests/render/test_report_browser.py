"""The HTML report in a real browser: what its script does, no console message, no request."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from maskstat.api.making import open_scan, scan
from maskstat.naming import percent, printable
from maskstat.render.documents.weighing import price_of
from maskstat.render.report.wording import number
from tests.support.loops import at_least_one
from tests.support.paths import CAMVID
from tests.support.report_cases import HOSTILE_NAMES, catalog_of, contrast, names_of, stored

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
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two splits of six classes, both measured; class 5 is in one mask only."""
    root = tmp_path_factory.mktemp("set")
    draw = np.random.default_rng(3)
    for split, count in (("train", 40), ("val", 12)):
        (root / split).mkdir()
        for number_ in range(count):
            labels = draw.integers(0, 2, (6, 8)) + 2 * (np.arange(6) > 2)[:, None]
            pixels = np.repeat(np.repeat(labels, 10, 0), 12, 1)
            pixels[5:15, 10:20] = 4 if number_ % 4 == 0 else pixels[5:15, 10:20]
            pixels[20:24, 30:33] = 5 if number_ == 7 else pixels[20:24, 30:33]
            pixels[:, :3] = 255
            np.save(root / split / f"{split}_{number_}.npy", pixels.astype(np.uint8))
        made = scan(
            root / split, classes=6, db=root / "s.db", name=split, profile=True, ignore=[255]
        )
        made.close()
    return root


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    """A report with all of its sections."""
    with open_scan(folder / "s.db", "train") as train:
        return train.report(against="val")


@pytest.fixture(scope="module")
def document(folder: Path) -> dict[str, Any]:
    with open_scan(folder / "s.db", "train") as train:
        found: dict[str, Any] = json.loads(train.report(format="json"))
    return found


# What a test does on the page, and what it wants to know, goes behind the page's own script: the
# policy allows exactly that text, so it stays in force and any other
# script is refused as before.
_TOOLS = """
const $1 = (selector) => document.querySelector(selector);
const $all = (selector) => [...document.querySelectorAll(selector)];
const later = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const visible = (e) => e !== null && e.offsetParent !== null;
const until = async (holds) => { for (let i = 0; i < 200 && !holds(); i++) await later(25); };
const type = async (e, text) => {
  e.value = text;
  e.dispatchEvent(new Event("input", { bubbles: true }));
  await later(50);
};
"""


def acting(page: str, script: str) -> str:
    """The page with a script of the test, whose result (as JSON) becomes the page's title."""
    text = (
        f"{_TOOLS}(async () => {{ {script} }})()"
        ".then((found) => { document.title = JSON.stringify(found ?? null); },"
        " (error) => { document.title = `failed: ${error.stack}`; });"
    )
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    page = page.replace("script-src '", f"script-src 'sha256-{digest}' '", 1)
    return page.replace("</body>", f"<script>{text}</script></body>", 1)


@pytest.fixture
def ask(visit: Callable[..., Visit]) -> Callable[..., Any]:
    """Runs a script on a page of some width, and gives what it returns."""

    def asked(page: str, script: str, *options: str, width: int = 1400, fragment: str = "") -> Any:
        seen = visit(
            acting(page, script),
            fragment,
            "--virtual-time-budget=20000",
            f"--window-size={width},900",
            *options,
        )
        assert seen.console == [] and seen.requests == []
        assert not seen.title.startswith("failed"), seen.title
        return json.loads(html.unescape(seen.title))

    return asked


Ask = Callable[..., Any]


def test_the_test_would_notice(visit: Callable[..., Visit]) -> None:
    """A page that does what a report must not do is caught."""
    bad = visit(
        "<!DOCTYPE html><title>bad</title><img src='http://example.invalid/a.png'>"
        "<script>console.error('boom')</script>"
    )
    assert bad.requests == ["http://example.invalid/a.png"]
    assert any("boom" in line for line in bad.console)


def test_the_policy_refuses_what_is_not_the_page_s(visit: Callable[..., Visit], page: str) -> None:
    """Styles and scripts that a name might bring are refused, and the browser says so."""
    for evil in at_least_one(
        [
            "<p style='color: red'>x</p>",
            "<script>document.title = 'taken'</script>",
            "<img src=x onerror='document.title = 1'>",
        ]
    ):
        seen = visit(page.replace("</main>", f"{evil}</main>", 1))
        assert any("Content Security Policy" in line for line in seen.console), evil
        assert seen.title.endswith("· maskstat")


def test_silent_and_self_contained(visit: Callable[..., Visit], page: str) -> None:
    seen = visit(page, "", "--virtual-time-budget=5000")
    assert seen.console == []
    assert seen.requests == []
    assert 'class="on"' in seen.dom


_COLUMN = """
const column = (key) => {
  const at = $1(`#table-classes [data-key="${key}"]`).cellIndex;
  const rows = $all("#table-classes tbody tr[data-class]").filter(visible);
  return rows.map((row) => row.cells[at].dataset.value);
};
const press = (key) => $1(`#table-classes [data-key="${key}"] .sort`).click();
"""


def test_the_table_sorts_by_a_click_and_by_a_link(ask: Ask, page: str) -> None:
    found = ask(
        page,
        _COLUMN
        + """const found = {};
        for (const key of ["class", "pixels", "masks", "weight", "parts"]) {
          press(key); const first = column(key);
          press(key); found[key] = [first, column(key)];
        }
        return [found, $all("#table-classes [aria-sort]").length];""",
    )
    assert found[1] == 1
    for key, (first, second) in at_least_one(found[0].items()):
        values = first if key == "class" else [float(value) for value in first]
        assert values == sorted(values, reverse=key != "class")
        assert second == sorted(
            second, key=lambda v: v if key == "class" else float(v), reverse=key == "class"
        )
    linked = ask(page, _COLUMN + 'return column("pixels");', fragment="#sort=pixels")
    assert [int(value) for value in linked] == sorted(int(value) for value in linked)


def test_the_table_filters_by_name_and_by_group(
    ask: Ask, page: str, document: dict[str, Any]
) -> None:
    found = ask(
        page,
        _COLUMN
        + """await type($1("#filter"), "S_3"); const named = column("class");
        const said = $1("#filtered").textContent;
        await type($1("#filter"), ""); const groups = {};
        for (const button of $all("#classes .seg button")) { button.click();
          groups[button.dataset.group] = column("class"); }
        return [named, said, groups];""",
    )
    assert found[0] == ["class_3"] and found[1] == "1 of 6"
    for group, names in at_least_one(found[2].items()):
        assert set(names) == set(
            document["groups"].get(group, [row["name"] for row in document["classes"]])
        )


def test_of_many_classes_thirty_are_shown_until_more_are_wanted(ask: Ask) -> None:
    with stored(catalog_of(names_of(150)), 30) as made_up:
        page = made_up.report()
    found = ask(
        page,
        _COLUMN
        + """const some = column("class").length; $1("#all").click();
        return [some, column("class").length];""",
    )
    assert found == [30, 150]


@pytest.mark.parametrize("width", [1400, 500])
def test_a_click_opens_all_about_a_class(ask: Ask, page: str, width: int) -> None:
    """Beside the table, or below its row where there is no room; a second click closes that."""
    found = ask(
        page,
        """const opened = () => $all(".card").filter((card) => card.open && visible(card))
          .map((card) => card.dataset.class);
        const before = opened();
        const row = $1('#table-classes tr[data-class="2"]'); row.querySelector("a").click();
        const after = opened(), card = $1("#class-2"), panel = $1("#panel").contains(card);
        const text = card.innerText, images = card.querySelectorAll("img").length;
        row.querySelector("a").click();
        return { before, after, panel, text, images, again: opened(),
          focusable: row.querySelectorAll("a").length };""",
        width=width,
    )
    assert found["after"] == ["2"]
    assert found["panel"] is (width == 1400)
    assert found["before"] == (["5"] if width == 1400 else [])
    assert found["again"] == (["2"] if width == 1400 else [])
    for words in (
        "share of pixels",
        "in masks",
        "components",
        "width",
        "outline runs along",
        "most",
    ):
        assert words in found["text"]
    assert found["images"] == 4  # where it lies; most, median, fewest
    assert found["focusable"] == 1


def test_arrow_keys_walk_the_classes(ask: Ask, page: str) -> None:
    found = ask(
        page,
        """const rows = $all("#table-classes tbody tr[data-class]"); rows[0].querySelector("a")
          .focus();
        const key = (name) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown",
          { key: name, bubbles: true, cancelable: true }));
        key("ArrowDown"); key("ArrowDown"); key("ArrowUp");
        return [document.activeElement.closest("tr").dataset.class === rows[1].dataset.class,
          $1("#panel .card").dataset.class === rows[1].dataset.class];""",
    )
    assert found == [True, True]


def test_the_slider_s_numbers_are_maskstat_s(ask: Ask, page: str, folder: Path) -> None:
    """At any power, and what is pasted from it are the weights of `power`."""
    found = ask(
        page,
        """const slider = $1("#power"), found = {};
        for (const power of ["0", "0.25", "0.5", "0.62", "1"]) {
          await type(slider, power);
          found[power] = ["loss", "effective", "spread", "weights"].map((key) =>
            $1(`#k-${key}`).textContent);
          found[power].push($all("#s-live .part").length, $all("#table-prices tr.near")
            .map((row) => row.dataset.power));
        }
        await type(slider, "0.62"); $1("#use").click();
        const shown = $all(".code").filter(visible);
        return [found, shown.map((code) => code.innerText), $1("#s9-label").textContent];""",
    )
    with open_scan(folder / "s.db", "train") as train:
        for power, numbers in at_least_one(found[0].items()):
            table = train.weights("power", parameters={"alpha": float(power)}, normalize="pixel")
            price = price_of(table)
            assert numbers[0] == f"{number(price.loss_ratio)} : 1"
            assert numbers[1] == percent(price.effective)
            assert numbers[2] == ("0%" if price.spread < 1e-9 else percent(price.spread))
            assert numbers[3] == number(price.weight_ratio)
            assert numbers[4] == 6
            assert numbers[5] == ([] if power == "0.62" else [str(float(power))])
        weights = train.weights("power", parameters={"alpha": 0.62}, normalize="pixel").weights
    (code,) = found[1]
    pasted = [float(value) for value in re.findall(r"([\d.e+-]+),\s+# \d", code)]
    assert pasted == pytest.approx(weights.tolist(), rel=1e-5)
    assert found[2] == "Power 0.62"


def test_weights_of_a_batch_size_are_those_of_the_command(
    ask: Ask, page: str, folder: Path
) -> None:
    found = ask(
        page,
        """$1('label[for="s1"]').click(); const select = $all(".batch").find(visible);
        select.value = "16"; select.dispatchEvent(new Event("change"));
        const code = () => $all(".code").filter(visible).map((one) => one.querySelector("code")
          .textContent)[0];
        const torch = code(); $1('label[for="f3"]').click();
        return [torch, code()];""",
    )
    with open_scan(folder / "s.db", "train") as train:
        table = train.weights(average="batch", batch_size=16, normalize="pixel")
    pasted = [float(value) for value in re.findall(r"([\d.e+-]+),\s+# \d", found[0])]
    assert pasted == pytest.approx(table.weights.tolist(), rel=1e-5)
    assert "batch_size=16" in found[1] and "scheme='equal-cost'" in found[1]


@pytest.mark.parametrize("script", [True, False])
def test_tabs_show_one_code_at_a_time(
    ask: Ask, visit: Callable[..., Visit], page: str, script: bool
) -> None:
    """They are radio buttons, so they work without the page's script, too."""
    text = page if script else re.sub(r"(?s)<script>.*?</script>", "", page)
    found = ask(
        text,
        """const shown = [];
        for (const scheme of ["s0", "s1"]) for (const tab of ["f0", "f1", "f2", "f3"]) {
          $1(`label[for="${scheme}"]`).click(); $1(`label[for="${tab}"]`).click();
          shown.push($all(".code").filter(visible).map((code) => code.className));
        }
        return shown;""",
    )
    assert found == [[f"code c{s}-{f}"] for s in range(2) for f in range(4)]


_EXPLORER = """
await type($1("#file"), ""); await until(() => $1("#found").textContent.includes("of"));
const shownNames = () => $all("#grid button").map((button) => button.title);
const said = () => $1("#found").textContent;
"""


def test_the_explorer_finds_masks(ask: Ask, page: str, folder: Path) -> None:
    found = ask(
        page,
        _EXPLORER
        + """const all = said(), first = shownNames().length; $1("#more").click();
          const more = shownNames().length;
        const chip = (k) => $1(`#wanted button[data-class="${k}"]`);
        chip(4).click(); await until(() => said() !== all);
        const four = shownNames(), pressed = chip(4).getAttribute("aria-pressed");
        await type($1("#order"), "least"); const least = shownNames();
        chip(5).click(); await until(() => said().startsWith("0 of"));
        const both = said(); chip(4).click(); await until(() => !said().startsWith("0 of"));
        const five = shownNames(); chip(5).click(); await later(50);
        await type($1("#file"), "_1"); const named = said(); await type($1("#file"), "");
        await type($1("#from"), "40"); const large = said();
        return { all, first, more, four, pressed, least, both, five, named, large };""",
    )
    with open_scan(folder / "s.db", "train") as train:
        ledger = train.ledger
    share = ledger.dense() / ledger.areas[:, None]
    assert found["all"] == "40 of 40 masks"
    assert (found["first"], found["more"]) == (32, 40)
    order = sorted(np.flatnonzero(share[:, 4]).tolist(), key=lambda row: (-share[row, 4], row))
    assert found["four"] == [ledger.names[row] for row in order]
    order.sort(key=lambda row: (share[row, 4], row))
    assert found["least"] == [ledger.names[row] for row in order]
    assert found["pressed"] == "true" and found["both"] == "0 of 40 masks"
    assert found["five"] == ["train_7.npy"]
    assert found["named"].startswith(f"{sum('_1' in name for name in ledger.names)} of")
    assert found["large"].startswith(f"{int((share.max(axis=1) >= 0.4).sum())} of")


def test_the_dialog_shows_a_mask_with_its_legend(ask: Ask, page: str, folder: Path) -> None:
    found = ask(
        page,
        _EXPLORER
        + """$all("#grid button")[1].click(); const dialog = $1("#mask"),
          canvas = $1("#mask-picture");
        const legend = () => $all("#legend li").map((li) => [li.querySelector("span")
          .textContent, li.querySelector("b").textContent]);
        const pixel = (x, y) => [...canvas.getContext("2d").getImageData(x, y, 1, 1)
          .data].slice(0, 3);
        const name = $1("#mask-name").textContent, rows = legend(), place = $1("#mask-place")
          .textContent;
        const picture = [canvas.width, canvas.height, pixel(50, 50)];
        dialog.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
          const left = $1("#mask-place").textContent;
        const open = dialog.open; $1("#close").click();
        return { open, name, rows, place, picture, left, closed: !dialog.open };""",
    )
    with open_scan(folder / "s.db", "train") as train:
        ledger = train.ledger
    row = ledger.names.index(found["name"])
    dense = ledger.dense()[row] / ledger.areas[row]
    expected = [
        (f"class_{k}", percent(dense[k])) for k in np.argsort(-dense, kind="stable") if dense[k]
    ]
    assert [tuple(one) for one in found["rows"]] == [
        *expected,
        ("no class (hatched)", percent(1 - dense.sum())),
    ]
    assert found["open"] and found["closed"]
    assert (found["place"], found["left"]) == ("2 of 40", "1 of 40")
    pixels = np.load(folder / "train" / found["name"])
    colours = json.loads(re.findall(r'id="data">(.*?)<', page)[0])["colours"]
    colour = colours[pixels[50, 50]]
    assert found["picture"] == [96, 60, [int(colour[at : at + 2], 16) for at in (1, 3, 5)]]


def test_a_class_s_card_leads_to_its_masks(ask: Ask, page: str) -> None:
    found = ask(
        page,
        """$1('#table-classes tr[data-class="5"] a').click(); $1('#class-5 [data-filter]')
          .click();
        await until(() => $1("#found").textContent.startsWith("1 of"));
        const listed = $all("#grid button").map((button) => button.title);
        $1("#class-5 a[data-mask]").click(); await until(() => $1("#mask").open);
        return [listed, $1("#mask-name").textContent];""",
    )
    assert found == [["train_7.npy"], "train_7.npy"]


def test_a_matrix_says_what_is_pointed_at(ask: Ask, page: str) -> None:
    found = ask(
        page,
        """const image = $1('.mx img'), box = image.getBoundingClientRect();
        image.dispatchEvent(new MouseEvent("mousemove", { clientX: box.right - 2,
          clientY: box.top + 2 }));
        const said = $1(".cell").textContent; image.dispatchEvent(new MouseEvent("mouseleave"));
        return [said, $1(".cell").textContent];""",
    )
    assert re.fullmatch(r"class_\d and class_\d: ([\d.]+×|never)", found[0])
    assert found[1] == ""


def test_hostile_names_do_nothing(ask: Ask, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    pixels = np.arange(60 * 60, dtype=np.uint8).reshape(60, 60) % len(HOSTILE_NAMES)
    for name in ('"><img onerror=alert(1)>.npy', "<!--.npy", "--><script>.npy"):
        np.save(masks / name, pixels)
    names = (*HOSTILE_NAMES[:-1], "</script><script>document.title=1</script>")
    with scan(masks, classes=catalog_of(names), name="</title><b>bold", profile=True) as result:
        text = result.report()
    found = ask(
        text,
        _EXPLORER
        + """$all("#grid button")[0].click(); $1("#use").click();
        return [$all("script").length, $all("b").filter((b) => b.textContent === "bold").length,
          $all("*").filter((e) => [...e.attributes].some((a) => a.name.startsWith("on"))).length,
          $all("#table-classes tbody th span").map((e) => e.textContent), $1("#mask-name")
            .textContent, document.title];""",
    )
    assert found[0] == 2 + 7 + 1 + 1 and found[1] == 0 and found[2] == 0
    assert set(found[3]) == {printable(name) for name in names}
    assert found[4] in {p.name for p in masks.iterdir()}


@pytest.mark.parametrize("count", [3, 31, 150])
def test_the_page_never_scrolls_sideways(visit: Callable[..., Visit], count: int) -> None:
    """From phone to desktop, wide tables scroll within themselves."""
    with stored(catalog_of(names_of(count)), 30) as made_up:
        page = made_up.report()
    assert wider_than_the_window(visit, page) == []


def test_all_sections_fit_a_phone(visit: Callable[..., Visit], page: str) -> None:
    assert wider_than_the_window(visit, page) == []


def wider_than_the_window(visit: Callable[..., Visit], page: str) -> list[str]:
    """At which widths the page is wider than its frame, before and behind a click on a class."""
    page = re.sub("<meta http-equiv=.*?>", "", page, count=1)
    frames = "".join(
        f'<iframe width="{width}" height="700" srcdoc="{html.escape(page)}"></iframe>'
        for width in (360, 390, 500, 760, 900, 1080, 1240, 1600)
    )
    script = """onload = () => {
      const found = [];
      for (const frame of document.querySelectorAll("iframe")) {
        const inner = frame.contentDocument, root = inner.documentElement;
        const look = (what) => {
          const wide = root.scrollWidth;
          if (wide > root.clientWidth) found.push(`${frame.width} ${what}: ${wide}`);
        };
        look("at first");
        inner.querySelector("#table-classes tbody a").click();
        look("with a card");
      }
      document.title = JSON.stringify(found);
    };"""
    seen = visit(f"<!DOCTYPE html><title></title>{frames}<script>{script}</script>")
    wider: list[str] = json.loads(html.unescape(seen.title))
    return wider


@pytest.mark.parametrize("dark", [False, True])
def test_colours_follow_the_reader(ask: Ask, page: str, dark: bool) -> None:
    """Page and drawings are dark on light, or light on dark, as the reader's system asks; then as
    the button says."""
    found = ask(
        page,
        """const hex = (c) => '#' + c.match(/[0-9]+/g).slice(0, 3).map((v) => (+v).toString(16)
          .padStart(2, '0')).join('');
        const look = () => [hex(getComputedStyle(document.body).backgroundColor),
          hex(getComputedStyle(document.body).color), hex(getComputedStyle($1(".axis text"))
            .fill)];
        const before = look(); $1("#theme").click(); return [before, look()];""",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
    )
    for (background, ink, label), is_dark in at_least_one(
        zip(found, (dark, not dark), strict=True)
    ):
        assert contrast(ink, background) >= 7 and contrast(label, background) >= 4.5
        assert (int(background[1:3], 16) < 64) == is_dark


def test_without_its_script_everything_is_readable(ask: Ask, page: str) -> None:
    text = re.sub(r"(?s)<script>.*?</script>", "", page)
    found = ask(
        text,
        """return [$all(".js").filter(visible).length, $all(".card").filter(visible).length,
          $all("#table-classes tbody tr").filter(visible).length,
        $all(".trade circle").length, $1(".live") === null || !visible($1(".live"))];""",
    )
    assert found[:3] == [0, 6, 6] and found[3] > 6 and found[4]


def test_print_is_some_pages_with_all_classes(
    visit: Callable[..., Visit], page: str, tmp_path: Path
) -> None:
    printed = tmp_path / "report.pdf"
    visit(page, "", f"--print-to-pdf={printed}", "--no-pdf-header-footer")
    pages = re.findall(rb"/Type\s*/Page\b", printed.read_bytes())
    assert 3 <= len(pages) <= 11


@pytest.mark.skipif(not CAMVID.exists(), reason="the real data is not there")
def test_a_real_data_set_is_a_small_page_that_loads_at_once(
    ask: Ask, visit: Callable[..., Visit], tmp_path: Path
) -> None:
    for split in ("train", "val"):
        scan(
            CAMVID / split / "masks",
            classes="camvid-11",
            profile=True,
            db=tmp_path / "s.db",
            name=split,
        ).close()
    with open_scan(tmp_path / "s.db", "train") as train:
        text = train.report(against="val")
    assert len(text.encode()) <= 1_200_000
    found = ask(
        text,
        """const entry = performance.getEntriesByType("navigation")[0];
        return [entry.domContentLoadedEventEnd, $all("#table-classes tbody tr[data-class]")
          .length];""",
    )
    assert found[1] == 11
    assert found[0] < 10_000
    printed = tmp_path / "report.pdf"
    visit(text, "", f"--print-to-pdf={printed}", "--no-pdf-header-footer")
    assert 8 <= len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes())) <= 11
