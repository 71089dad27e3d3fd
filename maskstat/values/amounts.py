"""Counts and shares as people write them: which of the two they are, and as whole numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext

import numpy as np

from maskstat.errors import ParameterError, argument
from maskstat.naming import printable
from maskstat.parameters import check_word
from maskstat.values.given import GIVEN, Given
from maskstat.values.tally import IntArray

_LARGEST = 2**63 - 1
_DIGITS = 18  # of shares: as many as whole numbers of 64 bits hold
_ROUNDING = Decimal("0.05")  # of a whole: what rounding of many shares may add up to
_FLOAT_ROUNDING = Decimal("1e-6")


def amounts(numbers: Mapping[str, object], unit: Given | None = None) -> tuple[IntArray, Given]:
    """Whole numbers in proportion to what was given, and what that is.

    Whole numbers are counts and stay as they are. Fractions that sum to 1 are shares, to 100
    percentages, within the rounding of the digits that they are given with; they become the
    smallest whole numbers by a power of ten, of 18 digits at most.

    Args:
        numbers: class -> a number, or the text of one.
        unit: what they are, where that is known. Shares may then sum to less than a whole: the
            rest belongs to no class.

    Returns:
        int64[K], and "counts", "shares" or "percent".

    Raises:
        ParameterError: what is no number, negative, or too large; all are 0; fractions sum to
            neither; or numbers could be two of these things and `unit` does not say which.
    """
    if unit is not None:
        check_word(unit, GIVEN, parameter="unit")
    values = [_number(name, number, "counts") for name, number in numbers.items()]
    names = list(numbers)
    with localcontext() as context:
        context.prec = 400  # exact: numbers have 308 digits before the point at most
        total = sum(values, Decimal(0))
        if not total:
            raise ParameterError("there is nothing to weigh: every class has 0", parameter="counts")
        found = _unit(values, total) if unit is None else unit
        if found == "counts":
            return _whole(names, values, "counts"), found
        whole = Decimal(100 if found == "percent" else 1)
        if total > whole + _slack(values, whole):
            raise ParameterError(f"they sum to {total:.10g}, more than {whole}", parameter="counts")
        return _scaled(names, [value / whole for value in values]), found


def in_proportion(shares: Sequence[float]) -> IntArray:
    """int64[K], shares as whole numbers, as `amounts` makes them; zeros where all are 0."""
    with localcontext() as context:
        context.prec = 400
        values = [Decimal(repr(share)) for share in shares]
        return _scaled([f"class_{k}" for k in range(len(values))], values)


def whole_numbers(numbers: Mapping[str, object], parameter: str) -> IntArray:
    """int64[K], what is given beside the counts, as `parameter` says. Raises ParameterError."""
    values = [_number(name, number, parameter) for name, number in numbers.items()]
    return _whole(list(numbers), values, parameter)


def _number(name: str, given: object, parameter: str) -> Decimal:
    def refused(problem: str, remedy: str | None = None) -> ParameterError:
        where = f"class {printable(name)[:60]}"
        return ParameterError(problem, where=where, remedy=remedy, parameter=parameter)

    if isinstance(given, (bool, np.bool_)) or given is None:
        raise refused(f"{given} is no count")
    text = given.strip() if isinstance(given, str) else str(given)
    shown = printable(text[:40])
    try:
        if not text.isascii() or "_" in text:
            raise InvalidOperation
        value = Decimal(text)
    except InvalidOperation:
        signed = "%" in text
        raise refused(
            f"{shown!r} is no number", "write percentages without the sign" if signed else None
        ) from None
    if not value.is_finite():
        raise refused(f"{shown} is no count")
    if value < 0:
        raise refused(f"{shown} is negative")
    if value > _LARGEST:
        raise refused(f"{value:.4g} is more than 64 bits hold")
    return value


def _unit(values: Sequence[Decimal], total: Decimal) -> Given:
    """What the numbers are. Raises ParameterError where they could be two things, or are none."""
    readings: list[Given] = []
    if all(value == value.to_integral_value() for value in values):
        readings.append("counts")
    if abs(total - 1) <= (0 if readings else _slack(values, Decimal(1))):
        readings.append("shares")
    if abs(total - 100) <= _slack(values, Decimal(100)):
        readings.append("percent")
    if len(readings) == 1:
        return readings[0]
    if readings:
        ways = " or ".join(str(argument("unit", reading)) for reading in readings)
        raise ParameterError(
            f"numbers that sum to {total.normalize():f} can be {' and '.join(readings)}",
            parameter="counts",
            remedy=f"say which: {ways}",
        )
    raise ParameterError(
        f"fractions that sum to {total:.10g} are neither shares, which sum to 1, nor"
        " percentages, which sum to 100",
        parameter="counts",
        remedy=f"say {argument('unit', 'shares')} or {argument('unit', 'percent')} where the rest"
        " belongs to no class, or divide them by their sum",
    )


def _slack(values: Sequence[Decimal], whole: Decimal) -> Decimal:
    """How far a sum may be off because every number is rounded to the digits given."""
    half = Decimal(1).scaleb(-_decimals(values)) / 2
    return max(min(len(values) * half, _ROUNDING * whole), _FLOAT_ROUNDING * whole)


def _decimals(values: Sequence[Decimal]) -> int:
    return max(max(0, -int(value.normalize().as_tuple().exponent)) for value in values)


def _whole(names: Sequence[str], values: Sequence[Decimal], parameter: str) -> IntArray:
    for name, value in zip(names, values, strict=True):
        if value != value.to_integral_value():
            raise ParameterError(
                f"{value:.10g} is no whole number",
                where=f"class {printable(name)[:60]}",
                parameter=parameter,
            )
    if sum(values) > _LARGEST:
        raise ParameterError("together they are more than 64 bits hold", parameter=parameter)
    return np.array([int(value) for value in values], np.int64)


def _scaled(names: Sequence[str], shares: Sequence[Decimal]) -> IntArray:
    digits = min(_decimals(shares), _DIGITS)
    scaled = [int(share.scaleb(digits).to_integral_value(ROUND_HALF_EVEN)) for share in shares]
    for name, share, number in zip(names, shares, scaled, strict=True):
        if share and not number:
            raise ParameterError(
                f"a share of {share:.4g} is too small to be told from 0",
                where=f"class {printable(name)[:60]}",
                parameter="counts",
            )
    return np.array(scaled, np.int64)
