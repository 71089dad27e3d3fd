"""The two files that rare class sampling reads: DAFormer's, and of those that took it from there.

`sample_class_stats.json` is a list of masks with their counts, `samples_with_class.json` has the
masks of each class, as tools/convert_datasets of https://github.com/lhoyer/DAFormer writes them.
Keys are class indices, and `file` is the mask's name.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from maskstat.errors import FileFormatError, MultilabelError
from maskstat.files.writing import replacing
from maskstat.naming import printable
from maskstat.values.catalog import ClassCatalog
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import TallyTable

STATS, SAMPLES = "sample_class_stats.json", "samples_with_class.json"


def write_folder(tables: Iterable[TallyTable], catalog: ClassCatalog, folder: Path) -> Path:
    """Write both files into a folder, which is made where it is missing.

    Raises:
        FileFormatError: they can't be written.
        MultilabelError: of labels, of which a pixel has any number.
    """
    if catalog.multilabel:
        raise MultilabelError(
            "rare class sampling is of classes, one a pixel, and masks are multi-label"
        )
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise FileFormatError(
            f"is no folder, and none can be made: {error.strerror or error}",
            where=printable(str(folder)),
        ) from error
    ledgers = []
    with replacing(folder / STATS) as file:
        for number, table in enumerate(tables):
            ledgers.append(MaskLedger.of(catalog, table))
            _write(file, _stats(ledgers[-1], first=number == 0))
        file.write(b"\n]" if any(map(len, ledgers)) else b"[]")
    with replacing(folder / SAMPLES) as file:
        _write(file, _samples(MaskLedger.concatenate(ledgers, len(catalog))))
    return folder


def _write(file: BinaryIO, pieces: Iterable[str]) -> None:
    text = io.TextIOWrapper(file, "ascii", newline="", write_through=True)
    try:
        text.writelines(pieces)
    finally:
        text.detach()


def _stats(ledger: MaskLedger, *, first: bool) -> Iterator[str]:
    """Elements of the list, laid out as by `json.dump` with an indent of 2."""
    ends = ledger.indptr.tolist()
    classes, pixels = ledger.classes.tolist(), ledger.pixels.tolist()
    for row, name in enumerate(ledger.names):
        yield "[\n" if first and row == 0 else ",\n"
        entries = range(ends[row], ends[row + 1])
        counts = "".join(f'    "{classes[at]}": {pixels[at]},\n' for at in entries)
        yield f'  {{\n{counts}    "file": {json.dumps(name)}\n  }}'


def _samples(ledger: MaskLedger) -> Iterator[str]:
    """The object, laid out alike: classes in the order in which masks have them."""
    rows = np.repeat(np.arange(len(ledger)), ledger.class_counts)
    classes, firsts = np.unique(ledger.classes, return_index=True)
    names = [json.dumps(name) for name in ledger.names]
    before = "{\n"
    for at in classes[np.argsort(firsts)].tolist():
        entries = np.flatnonzero(ledger.classes == at)
        pairs = zip(rows[entries].tolist(), ledger.pixels[entries].tolist(), strict=True)
        listed = ",\n".join(f"    [\n      {names[row]},\n      {n}\n    ]" for row, n in pairs)
        yield f'{before}  "{at}": [\n{listed}\n  ]'
        before = ",\n"
    yield "\n}" if classes.size else "{}"
