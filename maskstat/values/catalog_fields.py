"""What stands in a catalogue file, checked one thing at a time: names, values, ranges, colours."""

from __future__ import annotations

import re
from collections.abc import Iterable

from maskstat.errors import CatalogError
from maskstat.naming import printable

MOST_IN_RANGES = 1 << 17
_RANGE = re.compile(r"\s*(-?[0-9]{1,19})\s*-\s*(-?[0-9]{1,19})\s*")


def name_of(value: object, what: str) -> str:
    """A name; a number is one too. Raises CatalogError where it is neither."""
    if isinstance(value, str) and value:
        return value
    if _is_short_number(value):
        return str(value)
    raise CatalogError(f"{what} must be text, not {shown(value)}", remedy="put it in quotes")


def whole_number(value: object, what: str) -> int:
    """A raw value. Raises CatalogError where it is none of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise CatalogError(
            f"{printable(what)}: a value must be a whole number of 64 bits, not {shown(value)}"
        )
    return value


class RawValues:
    """Reads the raw values of a catalogue; its ranges are few enough to be kept, all together."""

    def __init__(self) -> None:
        self._left = MOST_IN_RANGES

    def of(self, given: object, what: str) -> list[int]:
        """The values that a value, a range "0-127" or a list of these is. Raises CatalogError."""
        values: list[int] = []
        for one in listed(given):
            found = _RANGE.fullmatch(one) if isinstance(one, str) else None
            if found is None:
                values.append(whole_number(one, what))
                continue
            first, last = (whole_number(int(end), what) for end in found.groups())
            if first > last:
                raise CatalogError(
                    f"{printable(what)}: the range {shown(one)} ends before it begins"
                )
            self._left -= last - first + 1
            if self._left < 0:
                raise CatalogError(
                    f"{printable(what)}: with the range {shown(one)}, ranges hold more than "
                    f"{MOST_IN_RANGES:,} values"
                )
            values.extend(range(first, last + 1))
        return values


def place_of(value: int) -> tuple[bool, int]:
    """Sort key of classes by their values: negative ones move no class away from its index."""
    return value < 0, value


def written_values(values: Iterable[int]) -> str:
    """Raw values as people write them, neighbours as a range: "3, 100-127"."""
    ranges: list[list[int]] = []
    for value in sorted(values):
        if ranges and value == ranges[-1][1] + 1:
            ranges[-1][1] = value
        else:
            ranges.append([value, value])
    texts = [
        str(first)
        if first == last
        else f"{first}, {last}"
        if last == first + 1
        else f"{first}-{last}"
        for first, last in ranges
    ]
    return ", ".join(texts)


def parse_colour(value: object) -> int:
    """0xRRGGBB from "#rrggbb", "r,g,b" or [r, g, b]; "#rrggbbaa" as in `MaskTally.values`.

    Raises CatalogError otherwise.
    """
    if isinstance(value, str):
        if re.fullmatch(r"#[0-9a-fA-F]{6}([0-9a-fA-F]{2})?", value):
            return int(value[1:7], 16) | (255 - int(value[7:] or "ff", 16)) << 24
        if re.fullmatch(r"\s*[0-9]{1,3}\s*(,\s*[0-9]{1,3}\s*){2}", value):
            value = [int(part) for part in value.split(",")]
    if isinstance(value, (list, tuple)) and len(value) == 3 and all(_is_byte(v) for v in value):
        red, green, blue = value
        return int(red) << 16 | int(green) << 8 | int(blue)
    raise CatalogError(f"a colour is written #rrggbb or [r, g, b], not {shown(value)}")


def colour_list(value: object) -> Iterable[object]:
    """A list of colours; a single colour, also one written [r, g, b], is a list of one."""
    if isinstance(value, list) and len(value) == 3 and all(_is_byte(v) for v in value):
        return [value]
    return listed(value)


def listed(value: object) -> Iterable[object]:
    """A list as it is, nothing as no list, and anything else as a list of one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def is_index(key: object) -> bool:
    """Whether a key of a mapping is a raw value, written in digits or not."""
    if isinstance(key, str):
        return re.fullmatch(r"[0-9]{1,9}", key) is not None
    return isinstance(key, int) and not isinstance(key, bool)


def shown(value: object) -> str:
    """What a message says of a value: short, whatever an untrusted file holds."""
    if value is None or isinstance(value, (str, bool)) or _is_short_number(value):
        return printable(repr(value))[:60]
    return f"a {type(value).__name__}"


def _is_byte(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255


def _is_short_number(value: object) -> bool:
    """Whether a number's digits are few; Python refuses to write thousands of them."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, float) or abs(value) < 10**30
