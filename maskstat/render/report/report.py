"""A report in any of its formats, and which one is meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from maskstat.errors import ParameterError, argument
from maskstat.naming import printable
from maskstat.parameters import check_word

if TYPE_CHECKING:
    from maskstat.advice.recommendation import Recommendation
    from maskstat.scanning.stored_scan import StoredScan

Format = Literal["html", "md", "json"]
FORMATS: tuple[Format, ...] = ("html", "md", "json")
MOST_EXAMPLES = 20  # masks a class
_SUFFIXES: dict[str, Format] = {
    ".html": "html",
    ".htm": "html",
    ".md": "md",
    ".markdown": "md",
    ".json": "json",
}


def format_of(path: Path | None, asked: Format | None) -> Format:
    """The format asked for, or that of the suffix; "html" where there is neither.

    Raises:
        ParameterError: no format is called so or has the suffix, or the two contradict.
    """
    if asked is not None:
        check_word(asked, FORMATS, parameter="format")
    usual = None if path is None else _SUFFIXES.get(path.suffix.lower())
    if asked is not None and usual not in {None, asked}:
        raise ParameterError(
            f"its suffix means {usual}, and {asked} is asked for",
            where=printable(str(path)),
            remedy="choose one of the two",
        )
    if asked is None and usual is None and path is not None:
        raise ParameterError(
            f"no report format has the suffix {printable(path.suffix)!r}",
            where=printable(str(path)),
            remedy=f"end it in .html, .md or .json, or give {argument('format')}",
        )
    return asked or usual or "html"


def report_text(
    scan: StoredScan,
    format: Format,
    *,
    examples: int | None = None,
    against: StoredScan | None = None,
    advised: Recommendation | str | None = None,
) -> str:
    """The report.

    Args:
        scan: the scan.
        format: which.
        examples: masks of each class to picture at least, in HTML; 0 opens no file of a mask, None
            pictures some where the files are on this machine.
        against: another split, to compare with.
        advised: what is recommended, or why nothing is; None says nothing about it.

    Raises:
        ParameterError: too many examples, or where there are no pictures.
        SourceError: examples are asked for and the source is gone.
    """
    if examples is not None and not 0 <= examples <= MOST_EXAMPLES:
        raise ParameterError(f"are 0 to {MOST_EXAMPLES}, not {examples}", parameter="examples")
    if examples and format != "html":
        raise ParameterError(f"a report in {format} has no pictures", parameter="examples")
    if format == "html":
        from maskstat.render.report.html import report_html

        return report_html(scan, against=against, examples=examples, advised=advised)
    if format == "md":
        from maskstat.render.report.markdown import report_markdown

        return report_markdown(scan, against=against, advised=advised)
    from maskstat.render.documents.report import report_document

    document = report_document(scan, against=against, advised=advised)
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
