"""The mask x class table as a file, for DuckDB, pandas, Polars and spreadsheets.

The wide layout has one row a mask and one column a class, the long one a row for every class that a
mask holds. One module a format; a format writes blocks of masks as they come, so that memory does
not grow with the masks.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol, cast

from maskstat.errors import ParameterError, argument
from maskstat.files.writing import replacing
from maskstat.naming import printable
from maskstat.parameters import check_word

if TYPE_CHECKING:
    from maskstat.values.catalog import ClassCatalog
    from maskstat.values.tally import TallyTable

TableFormat = Literal["parquet", "csv", "daformer"]
TableLayout = Literal["wide", "long"]
FORMATS: tuple[TableFormat, ...] = ("parquet", "csv", "daformer")
_SUFFIXES = ("parquet", "csv")
LAYOUTS: tuple[TableLayout, ...] = ("wide", "long")
MAX_WIDE = 4096  # classes of a wide table; formats and programs are slow with more columns


class _Writer(Protocol):
    def write(
        self,
        tables: Iterable[TallyTable],
        catalog: ClassCatalog,
        file: BinaryIO,
        layout: TableLayout,
        metadata: Mapping[str, object],
        *,
        voxels: bool,
    ) -> None: ...


def write_table(
    tables: Iterable[TallyTable],
    catalog: ClassCatalog,
    path: Path,
    *,
    layout: TableLayout = "wide",
    format: TableFormat | None = None,
    metadata: Mapping[str, object] | None = None,
    voxels: bool = False,
) -> Path:
    """Write the table of these masks; the file appears whole or not at all.

    Args:
        tables: tallies of masks; rows come in their order.
        catalog: the classes to read them under.
        path: the file, of "daformer" the folder.
        layout: "wide": columns mask, height, width, pixels, ignored, unlisted and one a class.
            "long": mask, class_index, class, pixels, where a mask has pixels of a class.
        format: "parquet" or "csv", by default what the suffix says; or "daformer", the two
            files of rare class sampling.
        metadata: what else to say in the schema of a Parquet file, besides the catalogue.
        voxels: whether a wide table has the column `voxel_mm3`.

    Raises:
        ParameterError: unknown format or layout, or too many classes for a wide table.
        MissingExtraError: Parquet needs pyarrow.
        FileFormatError: the file can't be written.
    """
    known = _format_of(path, format)
    if known == "daformer":
        if layout != "wide":
            raise ParameterError(
                f"goes with {argument('format', 'parquet')} or csv", parameter="layout"
            )
        from maskstat.files.mask_tables.daformer import write_folder

        return write_folder(tables, catalog, path)
    writer = _writer(known, layout, catalog)
    with replacing(path) as file:
        writer.write(tables, catalog, file, layout, metadata or {}, voxels=voxels)
    return path


def stream_table(
    tables: Iterable[TallyTable],
    catalog: ClassCatalog,
    file: BinaryIO,
    *,
    layout: TableLayout = "wide",
    format: TableFormat | None = None,
    voxels: bool = False,
) -> None:
    """Write the same as CSV to an open file. Raises ParameterError as `write_table`."""
    if format is not None:
        check_word(format, FORMATS, parameter="format")
    if format == "parquet":
        raise ParameterError(
            "Parquet needs a file", parameter="format", remedy=f"name one with {argument('path')}"
        )
    if format == "daformer":
        raise ParameterError(
            "daformer is two files in a folder",
            parameter="format",
            remedy=f"name it with {argument('path')}",
        )
    writer = _writer("csv", layout, catalog)
    writer.write(tables, catalog, file, layout, {}, voxels=voxels)


def _format_of(path: Path, given: TableFormat | None) -> str:
    """The format asked for, or that of the suffix. Raises ParameterError."""
    known = " or ".join(FORMATS)
    suffix = path.suffix.lower().removeprefix(".")
    if given is not None:
        check_word(given, FORMATS, parameter="format")
        if suffix in _SUFFIXES and suffix != given:
            raise ParameterError(
                f"its suffix means {suffix}, and {given} is asked for",
                where=printable(str(path)),
                remedy="choose one of the two",
            )
        return given
    if suffix not in _SUFFIXES:
        raise ParameterError(
            f"the suffix of {printable(path.name)!r} is no format",
            parameter="path",
            remedy=f"name a .parquet or .csv file, or say {argument('format', known)}",
        )
    return suffix


def _writer(format: str, layout: TableLayout, catalog: ClassCatalog) -> _Writer:
    check_word(layout, LAYOUTS, parameter="layout")
    if layout == "wide" and len(catalog) > MAX_WIDE:
        raise ParameterError(
            f"{len(catalog):,} classes are more than the {MAX_WIDE:,} columns of a wide table",
            parameter="layout",
            remedy=f"{argument('layout', 'long')} has a row instead of a column a class",
        )
    return cast(_Writer, importlib.import_module(f"maskstat.files.mask_tables.{format}"))
