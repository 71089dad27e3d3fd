"""`repr` of every value is one short line, whatever the value holds."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import maskstat
from maskstat import errors
from maskstat.sampling.table import SamplingTable
from maskstat.scanning.stored_scan import StoredScan
from maskstat.showing import LINE, cut, one_line
from maskstat.values.catalog import ClassCatalog
from maskstat.values.histogram import ClassHistogram, ValueCount
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import Encoding, MaskTally, TallyTable
from maskstat.weights.table import WeightTable
from tests.support.loops import at_least_one

ROOMS = ("values", "weights", "sampling", "statistics", "regions", "training", "crops", "api")
# What a scan hands out of the rooms that make it.
HANDED_OUT = {
    "render.plots": {"Drawing"},
    "scanning": {"Changes", "Duplicates", "Member", "ProfileState", "Progress", "MergedShard"},
    "render": {"Drawing"},
    "store": {"Failure", "ScanInfo"},
}


def values() -> Iterator[type]:
    """Every public dataclass and named tuple whose values reach a user."""
    for room in (*ROOMS, *HANDED_OUT):
        package = importlib.import_module(f"maskstat.{room}")
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(found.name)
            for name, value in vars(module).items():
                if not isinstance(value, type) or value.__module__ != module.__name__:
                    continue
                tuples = issubclass(value, tuple) and hasattr(value, "_fields")
                if name.startswith("_") or not (dataclasses.is_dataclass(value) or tuples):
                    continue
                if name in HANDED_OUT.get(room, {name}):
                    yield value


OFFERED = {kind for name in maskstat.__all__ if isinstance(kind := getattr(maskstat, name), type)}
SCANS_AND_ERRORS = {kind for kind in OFFERED if issubclass(kind, (Exception, StoredScan))}
VALUES = sorted(
    {*values(), *OFFERED} - SCANS_AND_ERRORS, key=lambda value: (value.__module__, value.__name__)
)


def assert_one_line(text: str) -> None:
    assert len(text) <= LINE
    assert text.isprintable()
    assert text.startswith("<")
    assert text.endswith(">")


def test_there_are_values_to_look_at() -> None:
    assert len(VALUES) > 40
    assert set().union(*HANDED_OUT.values()) <= {kind.__name__ for kind in VALUES}
    assert {ClassHistogram, MaskLedger, WeightTable, SamplingTable, ValueCount} <= set(VALUES)
    assert len(OFFERED) > 10


def test_every_value_is_one_line() -> None:
    """A class that says something of its own needs a row in `LARGE`; others tell their fields.

    One test, and imported in it: values that large are made once, by one process.
    """
    from tests.support.large_values import EMPTY, LARGE, filled

    for kind in at_least_one(VALUES):
        generic = kind.__repr__ is one_line or issubclass(kind, tuple)
        assert generic or kind in LARGE, f"a value of {kind.__name__} as large as it gets"
        text = repr(LARGE[kind] if kind in LARGE else filled(kind))
        assert_one_line(text)
        assert text.startswith(f"<{kind.__name__} ")
    for value in at_least_one(EMPTY):
        assert_one_line(repr(value))


def test_a_scan_is_one_line_and_reads_nothing_for_it(tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    np.save(folder / "a.npy", np.zeros((2, 3), np.uint8))
    with maskstat.scan(folder, classes=3, name="a\nb\x1b[2J") as scan:
        assert_one_line(repr(scan))
        assert repr(scan).startswith(r"<Scan a\nb\x1b[2J, of ")
        assert repr(scan).endswith(", 3 classes>")
        assert scan.histogram.mask_count == 1
        assert repr(scan).endswith(", 3 classes, 1 mask>")
        assert_one_line(repr(scan.info))
        inferred = repr(maskstat.scan(folder))
    assert_one_line(repr(scan))  # closed
    assert inferred.endswith("classes inferred>")


@pytest.mark.parametrize("make", [errors.MaskstatError, errors.ParameterError, errors.SourceError])
def test_an_error_is_one_line(make: Callable[..., errors.MaskstatError]) -> None:
    hostile = "\x1b[2J\n\r\t\u2028\u202e\x85<b>[red]" * 5000
    text = repr(make(hostile, where=hostile, remedy=errors.argument("batch_size", 8)))
    assert len(text) <= LINE
    assert text.isprintable()
    assert repr(make("too few", where="x")) == f"{make.__name__}('x: too few')"  # type: ignore[attr-defined]


def test_what_the_lines_say() -> None:
    small = MaskTally.of_pixels("a.png", np.array([[0, 0], [1, 2]]), Encoding("png", "grey", 8))
    three = ClassCatalog.numbered(3)
    tallies = TallyTable.of([small])
    weights = WeightTable(("a", "b"), np.array([0.5, 2.0]), np.array([4, 1]), "inverse")
    assert repr(small) == "<MaskTally a.png, 2×2, png grey 8-bit, 3 values>"
    assert repr(three) == "<ClassCatalog 3 classes, 3 classes>"
    assert repr(ClassHistogram.of(three, tallies)) == "<ClassHistogram 3 classes, 1 mask, 4 pixels>"
    assert repr(MaskLedger.of(three, tallies)) == "<MaskLedger 1 mask, 3 classes>"
    assert repr(weights) == "<WeightTable inverse, 2 classes, 0.5 to 2>"
    assert repr(ValueCount(3, 1, "a.png")) == "<ValueCount pixels=3, masks=1, first='a.png'>"


def test_names_are_cut() -> None:
    assert cut("a" * 40) == "a" * 40
    assert cut("a" * 41) == "a" * 39 + "…"
    assert cut("\n" * 30, 7) == "\\n\\n\\n…"
    assert cut("") == ""
