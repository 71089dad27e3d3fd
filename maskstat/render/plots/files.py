"""Plots as files: PNG, PDF and SVG, the same bytes every time.

SVG keeps text as text: it can be searched, read aloud and edited, and its size stays small.
"""

from __future__ import annotations

import re
from io import BytesIO
from xml.etree import ElementTree

from maskstat.render.plots.drawing import Drawing
from maskstat.render.plots.style import drawing_style

_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
}
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_FAMILY = re.compile(r"font-family: ([^;]*);? ?")
_SHORTHAND = re.compile(r"font: ([0-9.]+px) ([^;]*)")  # how older versions of matplotlib say it
_OUR_FONT = "'DejaVu Sans'"
_SIMILAR_FONTS = "Verdana, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_ROOT_STYLE = (
    f"stroke-linejoin: round; stroke-linecap: butt; font-family: {_OUR_FONT}, {_SIMILAR_FONTS}"
)
_DECIMALS = re.compile(r"-?[0-9]+\.[0-9]+")
_SPACE = re.compile(r"\s+")
_UNROTATED = "rotate(-0 "


def encoded(drawing: Drawing, form: str, *, dpi: int = 200) -> bytes:
    """The file's bytes; `form` is "png", "svg" or "pdf"."""
    data = _saved(drawing, form, dpi)
    if form != "svg":
        return data
    root = _parsed(data)
    _describe(root, drawing, identity="plot")
    root.set("xmlns", _SVG)
    root.set("xmlns:xlink", _XLINK)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _saved(drawing: Drawing, form: str, dpi: int) -> bytes:
    buffer = BytesIO()
    with drawing_style():
        drawing.figure.savefig(buffer, format=form, dpi=dpi, metadata=_METADATA[form])
    return buffer.getvalue()


def _parsed(data: bytes) -> ElementTree.Element:
    """matplotlib's SVG without what nobody needs: metadata, unused names, spare digits."""
    root = ElementTree.fromstring(data)
    used = set()
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        if (target := element.attrib.pop(f"{{{_XLINK}}}href", None)) is not None:
            element.set("xlink:href", target)
            used.add(target.removeprefix("#"))
        used.add(element.get("clip-path", "").removeprefix("url(#").removesuffix(")"))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        _tidy(element, used)
    _unwrap(root)
    root.set("style", _ROOT_STYLE)
    return root


def _tidy(element: ElementTree.Element, used: set[str]) -> None:
    if element.get("id") not in used:
        element.attrib.pop("id", None)
    for name in ("d", "x", "y"):
        if value := element.get(name):
            element.set(name, _SPACE.sub(" ", _DECIMALS.sub(_rounded, value)).strip())
    if element.get("transform", "").startswith(_UNROTATED):
        del element.attrib["transform"]
    if style := element.get("style"):
        style = _SHORTHAND.sub(r"font-size: \1; font-family: \2", style)
        element.set("style", _FAMILY.sub(_with_fallback, style))
    if element.tag not in ("text", "tspan"):
        element.text = None
    element.tail = None


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _with_fallback(family: re.Match[str]) -> str:
    """Other scripts' fonts before the similar ones; plain texts inherit the drawing's fonts."""
    others = [name for name in family[1].split(", ") if name != _OUR_FONT]
    return f"font-family: {', '.join([_OUR_FONT, *others, _SIMILAR_FONTS])}; " if others else ""


def _unwrap(parent: ElementTree.Element) -> None:
    """Replace groups that say nothing by what is in them."""
    children: list[ElementTree.Element] = []
    for child in parent:
        _unwrap(child)
        if child.tag in ("g", "defs") and not len(child):
            continue
        children.extend(child if child.tag == "g" and not child.attrib else [child])
    parent[:] = children


def _describe(root: ElementTree.Element, drawing: Drawing, *, identity: str) -> None:
    description = ElementTree.Element("desc", {"id": f"{identity}-description"})
    description.text = drawing.description
    root.insert(0, description)
    root.set("role", "img")
    root.set("aria-labelledby", f"{identity}-description")
