"""Data sets of nnU-Net and the Medical Segmentation Decathlon: a folder of labels a split.

`dataset.json` names the classes. Images, and whatever else is beside the labels, are not looked at.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from maskstat.errors import CatalogError
from maskstat.sources.base import SourceKind
from maskstat.sources.dataset_folders import DATASET, labels_in
from maskstat.sources.local.folders import Folder, FolderSource
from maskstat.values.catalog import ClassCatalog
from maskstat.values.catalog_files import load_catalog


@dataclass
class NnunetSource(FolderSource):
    """The masks in `labelsTr` and `labelsTs` of a folder."""

    def _first(self, root: Folder) -> list[Folder]:
        """The folders of labels."""
        names = [name for name in labels_in(self.path) if self.selection.enters(name)]
        paths = [os.path.join(root.path, name) for name in names]
        return [
            Folder(path, f"{name}/", os.path.realpath(path))
            for name, path in zip(names, paths, strict=True)
        ]

    def catalog(self) -> ClassCatalog | None:
        """The classes that `dataset.json` names; None where its labels are regions, or no classes.

        Regions are several values each and overlap: which class a value is they do not say.
        """
        try:
            return load_catalog(os.path.join(self.path, DATASET))
        except CatalogError:
            return None


KIND = SourceKind(
    takes=lambda given: given.is_folder and bool(labels_in(given.text)),
    open=lambda given, selection: NnunetSource(given.text, selection),
)
