"""Values as pandas tables, where pandas is installed: nothing else here needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from maskstat.errors import MissingExtraError

if TYPE_CHECKING:
    from pandas import DataFrame


def data_frame(
    columns: object,
    rows: Mapping[str, Sequence[object]],
    headings: Sequence[object] | None = None,
) -> DataFrame:
    """A table with named rows.

    Args:
        columns: arrays or lists by their headings, or a matrix.
        rows: what names a row ("class", "mask"), with the names; one entry, or one a level.
        headings: of a matrix.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("needs the package pandas", remedy="pip install pandas") from error
    levels = [
        pandas.Index(names, name=what, dtype=None if isinstance(names, range) else object)
        for what, names in rows.items()
    ]
    index = levels[0] if len(levels) == 1 else pandas.MultiIndex.from_arrays(levels)
    return pandas.DataFrame(columns, index=index, columns=headings)
