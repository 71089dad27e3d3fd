"""Parquet: int64 columns, compressed; the catalogue is in the metadata of the schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from maskstat.errors import MissingExtraError
from maskstat.files.mask_tables.columns import (
    FIXED,
    LONG,
    VOXEL,
    Block,
    blocks,
    column_names,
    fixed,
)
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import TallyTable

KEY = b"maskstat"
_GROUP_NUMBERS = 4 << 20  # of a row group: 32 MiB before they are compressed
_GROUP_ROWS = 1 << 17


def write(
    tables: Iterable[TallyTable],
    catalog: ClassCatalog,
    file: BinaryIO,
    layout: str,
    metadata: Mapping[str, object],
    *,
    voxels: bool,
) -> None:
    """Write the table by row groups. Raises MissingExtraError."""
    arrow, parquet = _pyarrow()
    numbers = (len(FIXED) + len(catalog)) if layout == "wide" else len(LONG)
    most = max(1, min(_GROUP_ROWS, _GROUP_NUMBERS // numbers))
    about = {**metadata, "layout": layout, "catalog": catalog.to_dict()}
    if layout == "wide":
        columns = column_names(catalog)
        about["class_columns"] = list(columns)
        others = {FIXED[0]: arrow.string(), VOXEL: arrow.float64()}
        names = (*fixed(voxels=voxels), *columns)
        kinds = [(name, others.get(name, arrow.int64())) for name in names]
        texts = [FIXED[0]]
    else:
        kinds = list(
            zip(LONG, (arrow.string(), arrow.int64(), arrow.string(), arrow.int64()), strict=True)
        )
        texts = [LONG[0], LONG[2]]
    schema = arrow.schema(kinds, {KEY: json.dumps(about, allow_nan=False).encode()})
    fill = _wide if layout == "wide" else _long
    compression = "zstd" if arrow.Codec.is_available("zstd") else "snappy"
    # Only names that repeat gain by a dictionary; numbers are smaller and quicker without.
    dictionary = [name for name in texts if layout == "long"]
    with parquet.ParquetWriter(
        file, schema, compression=compression, use_dictionary=dictionary or False
    ) as writer:
        batches = (fill(arrow, schema, block, catalog) for block in blocks(tables, catalog, most))
        for group in _groups(batches, most):
            writer.write_table(arrow.Table.from_batches(group, schema), row_group_size=most)


def _groups(batches: Iterable[Any], most: int) -> Iterator[list[Any]]:
    """Batches that make a row group of about `most` rows together."""
    group: list[Any] = []
    rows = 0
    for batch in batches:
        if group and rows + batch.num_rows > most:
            yield group
            group, rows = [], 0
        group.append(batch)
        rows += batch.num_rows
    if group:
        yield group


def _wide(arrow: Any, schema: Any, block: Block, catalog: ClassCatalog) -> Any:
    columns = [arrow.array(block.names, arrow.string())]
    columns += [arrow.array(numbers) for numbers in (*block.sizes, *block.dense(len(catalog)))]
    if VOXEL in schema.names:
        columns.insert(3, arrow.array(block.voxels, arrow.float64()))
    return arrow.record_batch(columns, schema=schema)


def _long(arrow: Any, schema: Any, block: Block, catalog: ClassCatalog) -> Any:
    names = arrow.array(block.names, arrow.string())
    classes = arrow.array(catalog.names, arrow.string())
    return arrow.record_batch(
        [
            names.take(arrow.array(block.rows)),
            arrow.array(block.classes),
            classes.take(arrow.array(block.classes)),
            arrow.array(block.pixels),
        ],
        schema=schema,
    )


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            "writing Parquet files needs the package pyarrow",
            remedy='pip install "maskstat[parquet]"',
        ) from error
    return pyarrow, pyarrow.parquet
