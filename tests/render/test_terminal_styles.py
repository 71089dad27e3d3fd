"""Words that are read on black and on white: no yellow, no cyan; and no blanks at a line's end."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from maskstat.render.terminal.check_tables import check_tables
from maskstat.render.terminal.compare_tables import compare_tables
from tests.support.loops import at_least_one

READABLE = {"", "31", "35", "39"}  # red and magenta; bars are cyan, with a number beside each
FINDINGS = [
    {
        "kind": kind,
        "severity": severity,
        "count": 1,
        "meaning": "it is so",
        "advice": "mend it where it is " + "long " * 30,
        "files": ["a.png"],
        "details": [],
    }
    for kind, severity in (("unlabelled", "error"), ("single-class", "warning"), ("x", "info"))
]


def pair(first: str, second: str) -> Mapping[str, Any]:
    """A comparison in which everything differs."""
    null = {"p_value": 0.0123, "percentile": 98.8, "usual": 0.1}
    names = ("js", "psi", "cramers-v", "missing", "resolution")
    return {
        "first": first,
        "second": second,
        **dict.fromkeys(names, 0.25),
        "missing": 1,
        "leakage": 0,
        "shared-groups": 0,
        "only_first": ["a"],
        "only_second": [],
        "leaked": [],
        "chance": {
            "group_by": "mask",
            "random_splits": 999,
            "shared_groups": [],
            "metrics": dict.fromkeys(names, null),
        },
    }


def comparison(*names: str) -> Mapping[str, Any]:
    pairs = [pair(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    tests = {"p_value": 0.01, "adjusted_p": 0.01}
    shares = [
        {
            "scan": name,
            "masks": 10,
            "pixels": 5,
            "share": 0.5,
            "presence": 0.5,
            "unlisted_pixels": 0,
        }
        for name in names
    ]
    one = {"js_share": 0.01, "cramers_v": 0.5, "frequency": tests, "presence": tests}
    return {
        "verdict": "they differ",
        "pairs": pairs,
        "splits": shares,
        "unconfirmed": [],
        "classes": [{"index": 0, "name": "a", "splits": shares, "pairs": [one] * len(pairs)}],
    }


def printed(table: Any, width: int) -> str:
    out = io.StringIO()
    Console(file=out, force_terminal=True, color_system="standard", width=width).print(table)
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_words_are_read_on_black_and_on_white(width: int) -> None:
    document = {
        "masks": 3,
        "failures": 0,
        "verdict": "not fit",
        "findings": FINDINGS,
        "notes": [],
    }
    shown = printed(check_tables(document), width) + printed(
        compare_tables(comparison("train", "val")), width
    )
    assert re.search(r"\x1b\[1;31merror", shown)
    for codes, words in at_least_one(re.findall(r"\x1b\[([\d;]*)m([^\x1b\n]*)", shown)):
        colours = {code for code in codes.split(";") if re.fullmatch(r"3\d|9\d", code)}
        if not re.fullmatch(r"[█▉▊▋▌▍▎▏ ]*", words):
            assert colours <= READABLE, (codes, words)
    assert " note " in re.sub(r"\x1b\[[\d;]*m", "", shown)  # as the verdict calls what is "info"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_rows_end_where_their_words_end(width: int) -> None:
    document = {"masks": 3, "failures": 0, "verdict": "x", "findings": FINDINGS, "notes": []}
    for line in at_least_one(printed(check_tables(document), width).splitlines()):
        plain = re.sub(r"\x1b\[[\d;]*m", "", line)
        assert plain == plain.rstrip()
        assert cell_len(plain) <= width


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_p_stays_behind_where_its_pair_has_no_room(width: int) -> None:
    names = ("training-of-spring", "validation", "test")
    text = re.sub(r"\x1b\[[\d;]*m", "", printed(compare_tables(comparison(*names)), width))
    table = text.split("metric")[0].splitlines()[-3:] + [
        line for line in text.splitlines() if re.match(r" (js|psi|cramers-v) ", line)
    ]
    pairs = sum(line.count(" :") for line in table if " :" in line)
    rows = [line.split() for line in table if re.match(r" (js|psi|cramers-v) ", line)]
    for row in at_least_one(rows):
        assert row[1 : 1 + 2 * pairs] == ["0.2500", "0.0123"] * pairs, row
    assert 1 <= pairs <= 3
    assert pairs == 3 or width < 80
