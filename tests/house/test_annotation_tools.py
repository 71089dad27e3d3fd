"""The example that reads exports of annotation tools: each form on a sample made by hand.

What is expected is made of rectangles whose pixels are known, or of another library's decoder.
"""

from __future__ import annotations

import base64
import io
import json
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.loops import at_least_one
from tests.support.packages import needs
from tests.support.paths import ROOT
from tests.support.plugin_packages import counts, install, maskstat, package, python

PROJECT = ROOT / "examples" / "maskstat-annotation-tools"
HEIGHT, WIDTH = 30, 40
needs_datumaro = needs("datumaro", "needs datumaro")
Pixels = NDArray[np.int64]

pytestmark = needs("pycocotools", "needs pycocotools")


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(PROJECT, tmp_path_factory.mktemp("site"))


def scanned(
    where: Path, source: str, form: str, *packages: Path, warnings: str = "error"
) -> dict[str, Any]:
    """What maskstat counts: by name the size and pixels of classes; failures, and the classes."""
    code = f"""
import json, maskstat
scan = maskstat.scan({source!r}, source_format={form!r})
found = {{}}
for table in scan.tables():
    for at, name in enumerate(table.names):
        mine = slice(table.indptr[at], table.indptr[at + 1])
        found[name] = {{
            "size": table.shapes[at].tolist(),
            **dict(zip(map(str, table.values[mine].tolist()), table.counts[mine].tolist())),
        }}
classes = {{str(info.values[0]): info.name for info in scan.catalog.classes}}
failed = {{one.mask: one.reason for one in scan.failures}}
print(json.dumps([classes, found, failed]))
"""
    classes, found, failed = json.loads(python(code, where, *packages, warnings=warnings))
    result: dict[str, Any] = {"failed": failed, "classes": classes}
    for name, counted in found.items():
        size = counted.pop("size")
        result[name] = {"size": size, **{classes[v]: n for v, n in counted.items()}}
    return result


def expected(mask: Pixels, names: dict[int, str]) -> dict[str, Any]:
    values, number = np.unique(mask, return_counts=True)
    return {
        "size": list(mask.shape),
        **{names[int(v)]: int(n) for v, n in zip(values, number, strict=True)},
    }


def square() -> list[tuple[int, int]]:
    return [(2, 4), (22, 4), (22, 24), (2, 24)]


# --- CVAT ------------------------------------------------------------------------------------

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><size>3</size><labels>
<label><name>car</name></label><label><name>road</name></label><label><name>sky</name></label>
</labels></task></meta>
<image id="0" name="a.jpg" width="40" height="30" subset="train">
 <polygon label="road" points="2.0,4.0;22.0,4.0;22.0,24.0;2.0,24.0" z_order="0"></polygon>
 <polygon label="car" points="5,6;10,6;10,9;5,9" z_order="0"></polygon>
 <mask label="sky" rle="0, 4, 2, 6" left="30" top="10" width="4" height="3" z_order="0"></mask>
 <box label="car" xtl="25.0" ytl="20.0" xbr="35.0" ybr="28.0" z_order="0"></box>
 <polyline label="road" points="1,1;5,5"></polyline><points label="car" points="1,1"></points>
 <tag label="sky"></tag>
</image>
<image id="1" name="b.jpg" width="10" height="8"></image>
<image id="2" name="c.png" width="6" height="4">
 <polygon label="car" points="0,0;3,0;3,4;0,4" z_order="0"></polygon>
 <polygon label="sky" points="0,0;6,0;6,4;0,4" z_order="5"></polygon>
</image>
<image id="3" name="odd.png" width="6" height="4"><blob label="car"/></image>
<image id="4" name="far.png" width="6" height="4">
 <mask label="sky" rle="1,1" left="5" top="3" width="2" height="1" z_order="0"/></image>
<image id="5" name="what.png" width="6" height="4">
 <box label="cat" xtl="0" ytl="0" xbr="2" ybr="2"/></image>
</annotations>
"""
NAMES = {0: "background", 1: "car", 2: "road", 3: "sky"}


def test_cvat_for_images(tmp_path: Path, tools: Path) -> None:
    (tmp_path / "annotations.xml").write_text(CVAT)
    first = np.zeros((HEIGHT, WIDTH), int)
    first[4:24, 2:22] = 2
    first[6:9, 5:10] = 1
    first[10:13, 30:34].flat[[0, 1, 2, 3, 6, 7, 8, 9, 10, 11]] = 3  # 4 inside, 2 out, 6 inside
    first[20:28, 25:35] = 1
    for source in ("annotations.xml", "."):
        found = scanned(tmp_path, source, "cvat", tools)
        assert found["train/a.jpg"] == expected(first, NAMES)
        assert found["b.jpg"] == {"size": [8, 10], "background": 80}
        assert found["c.png"] == {"size": [4, 6], "sky": 24}  # the higher layer, though larger
        why = found["failed"]
        assert set(why) == {"odd.png", "far.png", "what.png"}
        assert "unknown shape <blob>" in why["odd.png"]
        assert "does not lie on the image" in why["far.png"]
        assert "'cat'" in why["what.png"]
        assert list(found["classes"].values()) == ["background", "car", "road", "sky"]


def test_cvat_for_video(tmp_path: Path, tools: Path) -> None:
    boxes = "".join(
        f'<box frame="{k}" outside="{int(k == 2)}" xtl="{k}" ytl="1" xbr="{k + 4}" ybr="3"/>'
        for k in range(3)
    )
    text = (
        "<annotations><meta><task><size>4</size><mode>interpolation</mode><original_size>"
        "<width>10</width><height>6</height></original_size><labels><label><name>car</name>"
        f'</label></labels></task></meta><track id="0" label="car">{boxes}</track></annotations>'
    )
    (tmp_path / "video.xml").write_text(text)
    found = scanned(tmp_path, "video.xml", "cvat", tools)
    for frame in range(4):
        inside = {"car": 8} if frame < 2 else {}
        one = {"size": [6, 10], "background": 60 - sum(inside.values()), **inside}
        assert found[f"frame_{frame:06}"] == one
    (tmp_path / "video.xml").write_text(text.replace("<size>4", "<size>1"))
    code, _, said = maskstat("scan video.xml --source-format cvat", tmp_path, tools)
    assert code == 1 and "a track has a frame 1, and the task has 1" in said


def test_who_scans_an_export_without_the_option_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(CVAT)
    (tmp_path / "a.json").write_text('{"_via_img_metadata": {}}')
    for name, code in (("a.xml", 3), ("a.json", 1)):
        found, printed, said = maskstat(f"scan {name}", tmp_path)
        assert found == code and "docs/plugins.md" in printed + said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<annotations><meta>", "no valid XML"),
        ("{}", "no valid XML"),
        ("<annotation><meta/></annotation>", "its root is <annotation>"),
        ("<annotations></annotations>", "it has no <meta>"),
        ("<annotations><meta><label/></meta></annotations>", "a label has no name"),
    ],
)
def test_what_is_no_cvat_is_one_line(tmp_path: Path, tools: Path, text: str, expected: str) -> None:
    (tmp_path / "a.xml").write_text(text)
    code, _, said = maskstat("scan a.xml --source-format cvat", tmp_path, tools)
    assert code == 1 and expected in said and len(said.splitlines()) == 1


def test_an_export_that_is_cut_off_counts_what_is_there(tmp_path: Path, tools: Path) -> None:
    (tmp_path / "a.xml").write_text(CVAT[: CVAT.index('<image id="2"')])
    code, printed, _ = maskstat("scan a.xml --source-format cvat --json", tmp_path, tools)
    (failure,) = json.loads(printed)["failures"]
    assert code == 3 and failure["mask"] == "a.xml" and json.loads(printed)["masks"] == 2


# --- Supervisely -----------------------------------------------------------------------------


def packed(mask: NDArray[np.bool_], palette: bool) -> str:
    """A bitmap as Supervisely's own code writes it: a palette with a transparent first colour."""
    file = io.BytesIO()
    if palette:
        image = Image.fromarray(mask.astype(np.uint8))
        image.putpalette([0, 0, 0, 255, 255, 255])
        image.save(file, format="PNG", transparency=0, optimize=0)
    else:
        alpha = np.dstack([*[np.full(mask.shape, 255, np.uint8)] * 3, mask.astype(np.uint8) * 255])
        Image.fromarray(alpha).save(file, format="PNG")
    return base64.b64encode(zlib.compress(file.getvalue())).decode()


def test_supervisely(tmp_path: Path, tools: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(2)
    shape = rng.integers(0, 2, (3, 5)) > 0
    outline = [[3, 2], [30, 8], [12, 25]]
    objects: list[dict[str, Any]] = [
        {
            "classTitle": "road",
            "geometryType": "polygon",
            "points": {"exterior": outline, "interior": [[[10, 8], [14, 9], [11, 12]]]},
        },
        {
            "classTitle": "car",
            "geometryType": "rectangle",
            "points": {"exterior": [[35, 20], [31, 15]], "interior": []},
        },
        {"classTitle": "car", "geometryType": "line", "points": {"exterior": [[0, 0], [9, 9]]}},
    ]
    for at, (top, palette) in enumerate(((0, True), (27, False))):
        data = {"data": packed(shape, palette), "origin": [35 * at, top]}
        objects.append({"classTitle": "sky", "geometryType": "bitmap", "bitmap": data})
    folder = tmp_path / "project" / "ds" / "ann"
    folder.mkdir(parents=True)
    meta = {"classes": [{"title": t, "shape": "any"} for t in ("car", "road", "sky")]}
    (tmp_path / "project" / "meta.json").write_text(json.dumps(meta))
    said = {"size": {"height": HEIGHT, "width": WIDTH}, "objects": objects}
    (folder / "a.jpg.json").write_text(json.dumps(said))
    (folder / "empty.jpg.json").write_text(json.dumps({**said, "objects": []}))
    (folder / "odd.jpg.json").write_text(json.dumps({"objects": 7}))
    strange = {**objects[0], "geometryType": "spline"}
    (folder / "strange.jpg.json").write_text(json.dumps({**said, "objects": [strange]}))
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(mask, [np.array(outline)], 2)
    cv2.fillPoly(mask, [np.array([[10, 8], [14, 9], [11, 12]])], 0)
    mask[15:21, 31:36] = 1  # its corners are pixels of it
    mask[0:3, 0:5][shape] = 3
    mask[27:30, 35:40][shape] = 3
    found = scanned(tmp_path, "project", "supervisely", tools)
    assert found["ds/a.jpg"] == expected(mask.astype(int), NAMES)
    assert found["ds/empty.jpg"] == {"size": [HEIGHT, WIDTH], "background": HEIGHT * WIDTH}
    assert set(found["failed"]) == {"ds/odd.jpg", "ds/strange.jpg"}
    assert "unknown shape 'spline'" in found["failed"]["ds/strange.jpg"]


# --- VIA ----------------------------------------------------------------------------------------


def via_entry(name: str, *regions: tuple[dict[str, Any], dict[str, str]]) -> dict[str, Any]:
    listed = [{"shape_attributes": shape, "region_attributes": said} for shape, said in regions]
    return {"filename": name, "size": 1, "regions": listed, "file_attributes": {}}


def test_via(tmp_path: Path, tools: Path) -> None:
    xs, ys = zip(*square(), strict=True)
    outline = {"name": "polygon", "all_points_x": list(xs), "all_points_y": list(ys)}
    box = {"name": "rect", "x": 25, "y": 20, "width": 10, "height": 8}
    entries = [
        via_entry("a.jpg", (outline, {"label": "road"}), (box, {"label": "car"})),
        via_entry("b.jpg", ({"name": "point", "cx": 1, "cy": 1}, {"label": "dot"})),
        via_entry("gone.jpg", (box, {"label": "car"})),
        via_entry("bare.jpg", (box, {})),
    ]
    for name in ("a.jpg", "b.jpg", "bare.jpg"):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / name)
    mask = np.zeros((HEIGHT, WIDTH), int)
    mask[4:24, 2:22] = 2
    mask[20:28, 25:35] = 1
    by_name = {one["filename"]: one for one in entries}
    for document in (by_name, {"_via_settings": {}, "_via_img_metadata": by_name}):
        (tmp_path / "via.json").write_text(json.dumps(document))
        found = scanned(tmp_path, "via.json", "via", tools)
        assert found["a.jpg"] == expected(mask, {0: "background", 1: "car", 2: "road"})
        assert found["b.jpg"] == {"size": [HEIGHT, WIDTH], "background": HEIGHT * WIDTH}
        assert set(found["failed"]) == {"gone.jpg", "bare.jpg"}
    two = via_entry("a.jpg", (box, {"colour": "red", "size": "big"}))
    (tmp_path / "via.json").write_text(json.dumps({"a": two}))
    code, _, said = maskstat("scan via.json --source-format via", tmp_path, tools)
    assert code == 1 and "not clear which attribute of regions is the label: colour, size" in said


# --- Label Studio -------------------------------------------------------------------------------


def brush_of(mask: NDArray[np.bool_], width: int = 8) -> list[int]:
    """Label Studio's RLE of a mask's RGBA, in runs of equal bytes and of others in turns."""
    rgba = np.repeat(mask.ravel().astype(np.uint8) * 255, 4)
    bits = f"{rgba.size:032b}{width - 1:05b}" + "".join(f"{n - 1:04b}" for n in (3, 4, 8, 16))
    at = 0
    while at < rgba.size:
        end = at + 1
        while end < rgba.size and rgba[end] == rgba[at] and end - at < 1 << 16:
            end += 1
        if (at // 4) % 3:  # as one value
            bits += f"1{3:02b}{end - at - 1:016b}{rgba[at]:0{width}b}"
        else:  # each by itself
            end = min(end, at + 8)
            bits += f"0{0:02b}{end - at - 1:03b}" + "".join(f"{v:08b}" for v in rgba[at:end])
        at = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[k : k + 8], 2) for k in range(0, len(bits), 8)]


def studio(kind: str, label: str, **value: Any) -> dict[str, Any]:
    said = {**value, kind: [label]}
    size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    return {"type": kind, "value": said, **size}


def test_label_studio(tmp_path: Path, tools: Path) -> None:
    brush = np.random.default_rng(1).integers(0, 2, (HEIGHT, WIDTH)) > 0
    brush[:, 12:] = False
    brush[12:] = False
    points = [(100 * x / WIDTH, 100 * y / HEIGHT) for x, y in square()]
    box = {"x": 62.5, "y": 200 / 3, "width": 25, "height": 80 / 3, "rotation": 0}
    results = [
        studio("polygonlabels", "road", points=points),
        studio("rectanglelabels", "car", **box),
        studio("brushlabels", "sky", format="rle", rle=brush_of(brush)),
        {"type": "choices", "value": {"choices": ["good"]}},
    ]
    one = {"id": 1, "data": {"image": "/data/upload/1/a.png?d=1"}}
    tasks = [
        {**one, "annotations": [{"result": results}]},
        {"id": 2, "data": {}, "annotations": [{"result": []}]},
        {"id": 3, "data": {}, "annotations": [{"result": results}, {"result": results}]},
        {
            "id": 4,
            "data": {},
            "annotations": [
                {"result": [studio("brushlabels", "sky", format="rle", rle=brush_of(brush)[:60])]}
            ],
        },
    ]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    mask = np.zeros((HEIGHT, WIDTH), int)
    mask[4:24, 2:22] = 2
    mask[20:28, 25:35] = 1
    mask[brush] = 3
    found = scanned(tmp_path, "tasks.json", "label-studio", tools)
    assert found["1/a.png"] == expected(mask, NAMES)
    assert set(found["failed"]) == {"2", "3", "4"}
    assert "2 annotations" in found["failed"]["3"] and "cut off" in found["failed"]["4"]


# --- shapes that all of them have -----------------------------------------------------------------


def test_ellipses_and_turned_rectangles_have_the_pixels_of_their_formulas(
    tmp_path: Path, tools: Path
) -> None:
    """Pixel by pixel, but for those that the outline itself goes through."""
    code = """
import numpy as np
from maskstat_annotation_tools.drawing import Image, Region, ellipse, rectangle
size = 60, 80
y, x = np.mgrid[:60, :80] + 0.5
for a, b, degrees in ((25, 12, 0), (25, 12, 30), (7, 20, 110), (9, 9, 45)):
    turn = np.radians(degrees)
    u = (x - 40) * np.cos(turn) + (y - 30) * np.sin(turn)
    v = -(x - 40) * np.sin(turn) + (y - 30) * np.cos(turn)
    round_ = Image("a", *size, [Region(1, ellipse, (40, 30, a, b, degrees))]).read()
    inside = (u / a) ** 2 + (v / b) ** 2
    assert (round_[inside < (1 - 1 / min(a, b)) ** 2] == 1).all()
    assert (round_[inside > (1 + 1 / min(a, b)) ** 2] == 0).all()
    said = (40 - a, 30 - b, 40 + a, 30 + b, degrees)
    box = Image("a", *size, [Region(1, rectangle, said)]).read()
    edge = np.maximum(abs(u) - a, abs(v) - b)
    assert (box[edge < -1] == 1).all() and (box[edge > 1] == 0).all()
print("fine")
"""
    assert python(code, tmp_path, tools).strip() == "fine"


# --- Datumaro -------------------------------------------------------------------------------------

FORMS: dict[str, str] = {
    "datumaro": "",
    "datumaro-binary": "datumaro_binary",
    "datumaro-arrow": "arrow",
}


@needs_datumaro
@pytest.mark.parametrize("form", FORMS)
def test_datumaros_own_forms(tmp_path: Path, tools: Path, form: str) -> None:
    from pycocotools import mask as coco

    apart = Path(str(find_spec("datumaro").origin)).parent.parent  # type: ignore[union-attr]
    small = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    small[0:5, 30:32] = 1
    rle = coco.encode(small)

    def item(name: str, size: tuple[int, int], *annotations: dict[str, Any]) -> dict[str, Any]:
        image = {"path": f"{name}.jpg", "size": list(size)}
        return {"id": name, "annotations": list(annotations), "attr": {}, "image": image}

    base = {"id": 0, "attributes": {}, "group": 0}
    flat = [n for point in square() for n in point]
    inner = [5, 6, 10, 6, 10, 9, 5, 9]
    document = {
        "dm_format_version": "1.0",
        "media_type": 2,
        "infos": {},
        "categories": {
            "label": {
                "labels": [
                    {"name": name, "parent": "", "attributes": []}
                    for name in ("car", "road", "sky")
                ],
                "attributes": [],
                "label_groups": [],
            }
        },
        "items": [
            item(
                "a",
                (HEIGHT, WIDTH),
                # The first label's, too, and a higher layer over a smaller region.
                {**base, "type": "polygon", "label_id": 0, "points": flat, "z_order": 1},
                {**base, "type": "polygon", "label_id": 1, "points": inner, "z_order": 0},
                {
                    **base,
                    "type": "mask",
                    "label_id": 2,
                    "rle": {"counts": rle["counts"].decode(), "size": [HEIGHT, WIDTH]},
                    "z_order": 0,
                },
                {**base, "type": "bbox", "label_id": 1, "bbox": [25, 20, 10, 8], "z_order": 0},
            ),
            item("b", (8, 10)),
            item("c", (8, 10), {**base, "type": "polygon", "points": flat, "z_order": 0}),
        ],
    }
    folder = tmp_path / "made" / "annotations"
    folder.mkdir(parents=True)
    (folder / "train.json").write_text(json.dumps(document))
    source = "made"
    if FORMS[form]:
        source = "exported"
        code = (
            "import datumaro\n"
            f"datumaro.Dataset.import_from('made', 'datumaro').export('exported', '{FORMS[form]}')"
        )
        python(code, tmp_path, apart, warnings="ignore")
    mask = np.zeros((HEIGHT, WIDTH), int)
    mask[0:5, 30:32] = 3
    mask[4:24, 2:22] = 1
    found = scanned(tmp_path, source, form, tools, apart, warnings="ignore")
    assert found["train/a"] == expected(mask, NAMES)
    assert found["train/b"] == {"size": [8, 10], "background": 80}
    assert found["failed"] == {
        "train/c": f"a region without a label (says the source {form} of"
        " maskstat-annotation-tools 0.1)"
    }
    (tmp_path / "nothing").mkdir()
    line = f"scan nothing --source-format {form}"
    code, _, said = maskstat(line, tmp_path, tools, apart)
    assert code == 1 and "Datumaro can't read it" in said and len(said.splitlines()) == 1


def test_without_datumaro_its_forms_say_so_and_the_others_work(tmp_path: Path, tools: Path) -> None:
    site = package(tmp_path / "site", "datumaro", {}, "raise ImportError('is not here')")
    (tmp_path / "a.xml").write_text(CVAT)
    code, printed, _ = maskstat("scan a.xml --source-format cvat --json", tmp_path, site, tools)
    assert code == 3 and sum(counts(printed)) == 30 * 40 + 80 + 24
    code, _, said = maskstat("scan a.xml --source-format datumaro", tmp_path, site, tools)
    assert code == 1 and "ImportError: is not here (says the source datumaro of" in said


def test_every_form_is_on_the_page_of_the_package(tmp_path: Path, tools: Path) -> None:
    rows = json.loads(maskstat("plugins --json", tmp_path, tools)[1])
    readme = (PROJECT / "README.md").read_text("utf-8")
    for row in at_least_one(rows):
        assert row["problem"] is None
        assert f"| `{row['name']}` |" in readme
