"""What somebody asks of a split: its parts and their ratios, and names that lists hold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from maskstat.errors import ParameterError, argument
from maskstat.naming import counted, printable
from maskstat.parameters import parse_number, parse_whole
from maskstat.showing import cut

MOST_PARTS = 1_000
USUAL = ("train", "val", "test")
Ratios = Mapping[str, float] | Sequence[float] | str


def parts_of(ratios: Ratios | None, folds: int | str | None) -> tuple[dict[str, float], str]:
    """Names and ratios of the parts that are asked for, and what a table calls them.

    Args:
        ratios: by name, or of train and val, or of train, val and test; also as text: "0.8,0.2",
            "train=0.8,dev=0.2".
        folds: so many parts, all alike, named "0", "1", ...

    Returns:
        Ratio by name, and "split" or "fold".

    Raises:
        ParameterError: none of the two is given or both are, or they make no parts.
    """
    if (ratios is None) == (folds is None):
        raise ParameterError(
            "is it ratios or folds? one of them says what the parts are",
            parameter="ratios",
            remedy=f"{argument('ratios', '0.8,0.1,0.1')} or {argument('folds', 5)}",
        )
    if ratios is None:
        count = parse_whole(str(folds))
        if count is None or not 2 <= count <= MOST_PARTS:
            raise ParameterError(
                f"{printable(repr(folds))[:60]} is no whole number from 2 to {MOST_PARTS}",
                parameter="folds",
            )
        return {str(fold): 1.0 / count for fold in range(count)}, "fold"
    named = _named(ratios)
    for name, ratio in named.items():
        if not (isinstance(ratio, (int, float)) and math.isfinite(ratio) and 0.0 < ratio < 1.0):
            raise ParameterError(
                f"{printable(repr(ratio))[:60]} is no share between 0 and 1",
                parameter="ratios",
                where=printable(name),
            )
    total = math.fsum(named.values())
    if abs(total - 1.0) > 1e-6:
        fitting = ",".join(f"{ratio / total:.4g}" for ratio in named.values())
        raise ParameterError(
            f"add up to {total:.6g}, not to 1", parameter="ratios", remedy=f"{fitting} do"
        )
    return {name: float(ratio) / total for name, ratio in named.items()}, "split"


def _named(ratios: Ratios) -> dict[str, float]:
    if isinstance(ratios, str):
        cells = [cell.strip() for cell in ratios.split(",")]
        if all("=" in cell for cell in cells):
            pairs = [cell.rpartition("=")[::2] for cell in cells]
            if len({name.strip() for name, _ in pairs}) < len(pairs):
                raise ParameterError("two parts have one name", parameter="ratios")
            return _checked({name.strip(): _number(text) for name, text in pairs})
        ratios = [_number(cell) for cell in cells]
    if isinstance(ratios, Mapping):
        return _checked(dict(ratios))
    values = list(ratios)
    if not 2 <= len(values) <= len(USUAL):
        raise ParameterError(
            f"{counted(len(values), 'number')} without names: two are train and val, three train,"
            " val and test",
            parameter="ratios",
            remedy=f"{argument('ratios', 'a=0.5,b=0.5')} names the parts, and "
            f"{argument('folds', max(len(values), 2))} makes equal ones",
        )
    return dict(zip(USUAL, values, strict=False))


def _checked(named: dict[str, float]) -> dict[str, float]:
    """With names that files can have."""
    for name in named:
        if not isinstance(name, str) or not name or set(name) & set('/\\:*?"<>|\n\r\t\0'):
            raise ParameterError(
                f"{printable(repr(name))[:60]} is no name of a part: a file is called like it",
                parameter="ratios",
            )
    if not 2 <= len(named) <= MOST_PARTS:
        raise ParameterError(
            f"{counted(len(named), 'part')}: a split has from 2 to {MOST_PARTS}",
            parameter="ratios",
        )
    return named


def _number(text: str) -> float:
    value = parse_number(text.strip())
    if value is None:
        raise ParameterError(
            f"{printable(repr(text))[:60]} is no number",
            parameter="ratios",
            remedy=argument("ratios", "0.8,0.1,0.1"),
        )
    return value


def without_suffix(name: str) -> str:
    """A name without what is behind the last dot of its last part."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.rpartition('.')[0] or last}"


class NamesOfMasks:
    """Which mask a line of a list means: by its name, also without suffix or folders."""

    def __init__(self, names: Sequence[str]):
        self.names = names
        self._at: list[dict[str, int | None]] = [{}, {}, {}, {}]
        for at, name in enumerate(names):
            for index, key in zip(self._at, self._keys(name), strict=True):
                index[key] = None if key in index else at

    @staticmethod
    def _keys(name: str) -> tuple[str, str, str, str]:
        last = name.rpartition("/")[2]
        return name, without_suffix(name), last, without_suffix(last)

    def find(self, line: str) -> int | None:
        """The mask; None where there is none, or where it may be several."""
        tidy = line.strip().replace("\\", "/").removeprefix("./")
        stem, last = without_suffix(tidy), tidy.rpartition("/")[2]
        whole = self._at[0].get(tidy)
        if whole is not None:
            return whole
        for index, key in (
            (self._at[1], tidy),
            (self._at[1], stem),
            (self._at[2], last),
            (self._at[3], last),
            (self._at[3], without_suffix(last)),
        ):
            if key in index:
                return index[key]
        return None

    def positions(self, lines: Iterable[str], *, where: str, parameter: str) -> list[int]:
        """The masks that lines name, blank ones and comments left out.

        Raises:
            ParameterError: a line names no mask of the scan, or may mean several.
        """
        texts = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
        found = [self.find(text) for text in texts]
        lost = [text for text, at in zip(texts, found, strict=True) if at is None]
        if lost or not texts:
            problem = (
                f"{len(lost):,} of {counted(len(texts), 'line')} name no mask of the scan, or may"
                f" mean several: {cut(lost[0])} for one"
                if texts
                else "names no mask"
            )
            first = f", such as {cut(self.names[0])}" if self.names else ""
            raise ParameterError(
                problem,
                parameter=parameter,
                where=printable(where),
                remedy=f"a line is a mask's name{first}, with or without suffix and folders",
            )
        return [at for at in found if at is not None]
