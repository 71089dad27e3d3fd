"""JSON files that list masks: `dataset.json` of MSD and nnU-Net, MONAI's datalists, plain lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from maskstat.errors import CatalogError, MaskError
from maskstat.sources.base import Selection
from maskstat.sources.locations import Given
from maskstat.sources.tables.list_rows import ListRows, json_rows
from maskstat.sources.tables.manifests import ManifestSource
from maskstat.values.catalog import ClassCatalog
from maskstat.values.catalog_files import load_catalog

MOST_BYTES = 256 << 20  # as Python objects they take several times as much


@dataclass
class JsonListSource(ManifestSource):
    """A JSON file of objects with paths, each a mask: one list, or one for each split."""

    document: object = field(default=None, repr=False)

    @contextmanager
    def _table(self) -> Iterator[ListRows]:
        rows = json_rows(self.document)
        if rows is None:
            raise MaskError("no list of masks")
        yield rows

    def catalog(self) -> ClassCatalog | None:
        """The classes that its `labels` name, where they are classes of values."""
        if not isinstance(self.document, dict) or "labels" not in self.document:
            return None
        try:
            return load_catalog(self.where)
        except CatalogError:  # regions of nnU-Net, say: then the user names them
            return None


def open_json_list(given: Given, text: str, selection: Selection) -> JsonListSource | None:
    """The source that a JSON text is; None where it lists no paths.

    Raises:
        SourceError: it is not clear which of the values are paths of masks.
    """
    document = json.loads(text)
    if json_rows(document) is None:
        return None
    plain = JsonListSource(given.text, selection, given.column, given.timeout, document=document)
    with plain._table() as table:
        column = given.column or table.columns[plain._path_at(table)]
    # Said in its location: names of masks are paths there, which those of annotations are not.
    return JsonListSource(given.text, selection, column, given.timeout, document=document)
