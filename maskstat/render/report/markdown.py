"""The report as Markdown: the same numbers as the page, for a README, an issue or a pull request.

Every text that a template fills in is escaped, so a class called "a|b" or "<b>" stays a name in
a table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment
from markupsafe import Markup

from maskstat.naming import printable
from maskstat.render.documents.report import report_document
from maskstat.render.report.templating import environment, said_of

if TYPE_CHECKING:
    from maskstat.advice.recommendation import Recommendation
    from maskstat.scanning.stored_scan import StoredScan

_SPECIAL = re.compile(r"[\\`*_\[\]<>&|#~$@]|:(?=//)|(?<=www)\.")
_AS_ENTITY = frozenset("<>&|@:.")  # where a backslash would not do: HTML, cells, links, mentions


def report_markdown(
    scan: StoredScan,
    *,
    against: StoredScan | None = None,
    advised: Recommendation | str | None = None,
) -> str:
    """The report about a scan, and how another split differs; `advised` as in `report_text`."""
    return render(report_document(scan, against=against, advised=advised))


def render(document: Mapping[str, Any]) -> str:
    """A report document as Markdown."""
    text = _environment().get_template("report.md").render(said_of(document))
    return re.sub(r"\n{3,}", "\n\n", text)


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: control characters as escapes, markup escaped."""
    return _SPECIAL.sub(_shielded, printable(text))


def _shielded(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};" if match[0] in _AS_ENTITY else f"\\{match[0]}"


@cache
def _environment() -> Environment:
    made = environment(finalize=lambda value: value if isinstance(value, Markup) else _safe(value))
    made.filters["fenced"] = _fenced
    return made


def _safe(value: object) -> Markup:
    return Markup(escaped(str(value)))


def _fenced(code: str, language: str = "python") -> Markup:
    """A code block with a fence that no name in it can close."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}{language}\n{code}{fence}")
