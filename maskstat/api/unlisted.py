"""What values that nobody listed mean: several channels made them, or a mask is soft."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from maskstat.errors import Blank, UnlistedValuesError, argument
from maskstat.readers.choices import NONE
from maskstat.scanning.stored_scan import StoredScan
from maskstat.values.readings import readings_of_no_channel


@contextmanager
def values_explained(scan: StoredScan) -> Iterator[None]:
    """Within, an UnlistedValuesError says what values are that came from channels, or from borders.

    Ignoring is never all that it offers: pixels of no channel may be background, those of
    several channels belong to a class, and what lies between two classes to one of them.
    """
    try:
        yield
    except UnlistedValuesError as error:
        if scan.no_channel is not None:
            readings = readings_of_no_channel(scan.no_channel.pixels, scan.histogram.total_pixels)
            if set(scan.histogram.unlisted) == {NONE}:
                raise UnlistedValuesError(error.problem, remedy=readings) from error
            problem = f"{error.problem}; {readings}"
            raise UnlistedValuesError(problem, remedy=error.remedy) from error
        if scan._channels == "bitmask":
            problem = (
                f"{error.problem}; a value is the sum of 2^k over a pixel's channels: list in a"
                " catalogue which class those in several are ('values: [2, 3]')"
            )
            remedy = argument("classes", Blank("FILE"))
            raise UnlistedValuesError(problem, remedy=remedy) from error
        if (soft := scan._find_soft_masks()) is not None:
            problem = f"{error.problem}; {soft.problem}"
            raise UnlistedValuesError(problem, remedy=soft.remedy) from error
        raise
