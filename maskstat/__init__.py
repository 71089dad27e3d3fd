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
    from maskstat.catalog import ClassCatalog, ClassInfo
    from maskstat.catalog_files import load_catalog
    from maskstat.errors import MaskstatError
    from maskstat.histogram import ClassHistogram
    from maskstat.ledger import MaskLedger
    from maskstat.merging import merge
    from maskstat.metrics import ConfidenceHistogram, ConfusionMatrix
    from maskstat.profile.pixels import PixelProfile
    from maskstat.sampling import SamplingTable, load_sampling
    from maskstat.scanning import Scan, open_scan, scan
    from maskstat.tally import MaskTally
    from maskstat.weights import WeightTable, load_weights

__all__ = [
    "ClassCatalog",
    "ClassHistogram",
    "ClassInfo",
    "ConfidenceHistogram",
    "ConfusionMatrix",
    "MaskLedger",
    "MaskTally",
    "MaskstatError",
    "PixelProfile",
    "SamplingTable",
    "Scan",
    "WeightTable",
    "__version__",
    "load_catalog",
    "load_sampling",
    "load_weights",
    "merge",
    "open_scan",
    "scan",
]

# Where each public name lives; imported on first use, so that `import maskstat` costs nothing.
_HOMES = {
    "ClassCatalog": "catalog",
    "ClassHistogram": "histogram",
    "ClassInfo": "catalog",
    "ConfidenceHistogram": "metrics",
    "ConfusionMatrix": "metrics",
    "MaskLedger": "ledger",
    "MaskTally": "tally",
    "MaskstatError": "errors",
    "PixelProfile": "profile.pixels",
    "SamplingTable": "sampling",
    "Scan": "scanning",
    "WeightTable": "weights",
    "load_catalog": "catalog_files",
    "load_sampling": "sampling",
    "load_weights": "weights",
    "merge": "merging",
    "open_scan": "scanning",
    "scan": "scanning",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'maskstat' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"maskstat.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
