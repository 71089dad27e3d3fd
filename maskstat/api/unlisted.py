"""What values that nobody listed mean where several channels made them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from maskstat.errors import Blank, UnlistedValuesError, argument
from maskstat.readers.channels import NONE
from maskstat.scanning.stored_scan import StoredScan


@contextmanager
def channels_explained(scan: StoredScan) -> Iterator[None]:
    """Within, an UnlistedValuesError says what values are that came from the scan's channels.

    Ignoring is never all that it offers: pixels of no channel may be background, and those of
    several channels belong to a class.
    """
    channels = str(scan.info.reading.get("channels", ""))
    try:
        yield
    except UnlistedValuesError as error:
        if channels.startswith("one-hot") and NONE in scan.histogram.unlisted:
            problem = (
                f"{error.problem}; {NONE} is a pixel that is in no channel: where it is background,"
                f" list it in a catalogue ('name: background, value: {NONE}')"
            )
            raise UnlistedValuesError(problem, remedy=error.remedy) from error
        if channels.startswith("bitmask"):
            problem = (
                f"{error.problem}; a value is the sum of 2^k over a pixel's channels: list in a"
                " catalogue which class those in several are ('values: [2, 3]')"
            )
            remedy = argument("classes", Blank("FILE"))
            raise UnlistedValuesError(problem, remedy=remedy) from error
        raise
