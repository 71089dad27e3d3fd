"""Names: natural order is a total order, and nothing unprintable reaches a terminal or a store."""

from __future__ import annotations

import os
import sys
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from maskstat.naming import natural_key, percent, printable, storable

# File names as Linux hands them over: any bytes, undecodable ones as surrogate escapes.
NAMES = st.one_of(
    st.text(),
    st.text(st.characters(), max_size=8),
    st.text(st.characters(categories=["Cs", "L"]), max_size=8),
    st.text("a0129_./é", max_size=12),
    st.binary(max_size=12).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
)


@pytest.mark.parametrize(
    "ordered",
    [
        ["mask_1", "mask_2", "mask_10", "mask_11", "mask_100"],
        ["a2/b10", "a10/b2"],
        ["1", "2", "10"],
        ["a", "a0", "a1", "b"],
        ["x09.png", "x9.png", "x10.png"],
        ["0001TP_006690", "0001TP_006720", "0006R0_f00930"],
        ["n18446744073709551615", "n18446744073709551616", "n100000000000000000000000"],
    ],
)
def test_numbers_sort_by_value(ordered: list[str]) -> None:
    backwards = ordered[::-1]
    assert sorted(backwards, key=natural_key) == ordered


@given(NAMES, NAMES, NAMES)
def test_natural_order_is_total(a: str, b: str, c: str) -> None:
    first, second, third = natural_key(a), natural_key(b), natural_key(c)
    assert (first == second) == (a == b)
    assert (first < second) + (second < first) + (first == second) == 1
    if first <= second and second <= third:
        assert first <= third


@given(st.lists(st.integers(0, 10**25), min_size=1), st.sampled_from(["", "m", "mask_", "é"]))
def test_equal_prefixes_sort_by_their_number(numbers: list[int], prefix: str) -> None:
    names = [f"{prefix}{number}" for number in numbers]
    assert sorted(names, key=natural_key) == [f"{prefix}{n}" for n in sorted(numbers)]


@given(NAMES)
@example("\x1b[2J.png")
@example("a\nb\r.png")
@example("\u202egnp.exe")
@example("\udcff")
def test_printable_text_is_printable_and_encodable(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable()
    assert shown.encode("utf-8").decode("utf-8") == shown
    if name.isprintable():
        assert shown == name


def test_escapes_are_readable() -> None:
    assert printable("\x1b[31mred\n") == "\\x1b[31mred\\n"
    assert printable("caf\udce9.png") == "caf\\udce9.png"


@given(NAMES)
@example("\ud83d.png")
def test_storable_names_are_valid_unicode(name: str) -> None:
    stored = storable(name)
    assert stored.encode("utf-8").decode("utf-8") == stored
    assert storable(stored) == stored


@given(st.text())
def test_valid_names_are_stored_as_they_are(name: str) -> None:
    assert storable(name) == name


@pytest.mark.skipif(sys.platform == "win32", reason="names are UTF-16 there")
def test_undecodable_bytes_are_shown_in_hexadecimal() -> None:
    assert storable(os.fsdecode(b"caf\xe9.png")) == "caf\\xe9.png"


@given(st.integers(0, 10**12), st.integers(1, 10**12))
def test_shares_are_never_rounded_to_nothing_or_all(part: int, whole: int) -> None:
    part = min(part, whole)
    exact, text = Fraction(part, whole), percent(part / whole)
    assert (text == "0%") == (part == 0)
    assert (text == "100%") == (part == whole)
    digits = text.strip("<>%")
    assert sum(map(str.isdigit, digits.lstrip("0."))) <= 3
    printed = Fraction(digits) / 100
    if text[0] == "<":
        assert 0 < exact < printed
    elif text[0] == ">":
        assert printed < exact < 1
    else:
        decimals = len(digits.partition(".")[2])
        assert abs(printed - exact) <= Fraction(5001, 10000) / 10 ** (decimals + 2)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.3296, "33.0%"),
        (0.06107, "6.11%"),
        (0.009996, "1.00%"),
        (0.09996, "10.0%"),
        (0.00666, "0.67%"),
        (0.0001, "0.01%"),
        (0.0000183, "0.002%"),
        (4.9e-6, "0.0005%"),
        (1.5168, "152%"),
        (327.21, "32,721%"),
    ],
)
def test_shares_have_three_digits_and_rare_ones_at_least_one(share: float, text: str) -> None:
    assert percent(share) == text
