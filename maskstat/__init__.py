"""maskstat: exact class statistics of segmentation masks, and the class weights they call for.

import maskstat as ms

scan = ms.scan("masks", classes=31)
scan.histogram, scan.ledger
scan.weights("median-frequency").save("weights.yaml")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskstat.version import __version__

if TYPE_CHECKING:
    from maskstat.api.counting import MaskCounter, count
    from maskstat.api.given_counts import from_counts
    from maskstat.api.making import open_scan, scan
    from maskstat.api.merging import merge
    from maskstat.api.scan import Scan
    from maskstat.errors import MaskstatError
    from maskstat.regions.profile import PixelProfile
    from maskstat.sampling.table import SamplingTable, load_sampling
    from maskstat.training.metrics import ConfidenceHistogram, ConfusionMatrix
    from maskstat.values.catalog import ClassCatalog, ClassInfo
    from maskstat.values.catalog_files import load_catalog
    from maskstat.values.histogram import ClassHistogram
    from maskstat.values.ledger import MaskLedger
    from maskstat.values.tally import MaskTally
    from maskstat.weights.table import WeightTable, load_weights

__all__ = [
    "ClassCatalog",
    "ClassHistogram",
    "ClassInfo",
    "ConfidenceHistogram",
    "ConfusionMatrix",
    "MaskCounter",
    "MaskLedger",
    "MaskTally",
    "MaskstatError",
    "PixelProfile",
    "SamplingTable",
    "Scan",
    "WeightTable",
    "__version__",
    "count",
    "from_counts",
    "load_catalog",
    "load_sampling",
    "load_weights",
    "merge",
    "open_scan",
    "scan",
]

# Where each public name lives; imported on first use, so that `import maskstat` costs nothing.
_HOMES = {
    "ClassCatalog": "values.catalog",
    "ClassHistogram": "values.histogram",
    "ClassInfo": "values.catalog",
    "ConfidenceHistogram": "training.metrics",
    "ConfusionMatrix": "training.metrics",
    "MaskCounter": "api.counting",
    "MaskLedger": "values.ledger",
    "MaskTally": "values.tally",
    "MaskstatError": "errors",
    "PixelProfile": "regions.profile",
    "SamplingTable": "sampling.table",
    "Scan": "api.scan",
    "WeightTable": "weights.table",
    "count": "api.counting",
    "from_counts": "api.given_counts",
    "load_catalog": "values.catalog_files",
    "load_sampling": "sampling.table",
    "load_weights": "weights.table",
    "merge": "api.merging",
    "open_scan": "api.making",
    "scan": "api.making",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'maskstat' has no attribute {name!r}")
    from importlib import import_module

    from maskstat.showing import html_by

    # Values of every room show themselves in notebooks by tables of a room above them.
    html_by(lambda: import_module("maskstat.render.notebook").html)
    value = getattr(import_module(f"maskstat.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
