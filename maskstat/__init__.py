"""maskstat: exact class statistics of segmentation masks, and the class weights they call for.

import maskstat as ms

scan = ms.scan("masks", classes=31)
scan.histogram, scan.ledger
weights = scan.weights("sqrt", normalize="pixel")
weights["class_3"], dict(weights), weights.save("weights.yaml")
scan.weights("equal-cost", average="batch", batch_size=8)
scan.costs(), scan.check(), scan.sampling("repeat-factor")
scan.exposure(crop=512).weights("sqrt")  # of what training sees
scan.plot("classes", "classes.png"), scan.report("report.html")

ms.scan("masks", classes=31, db="maskstat.db")  # counts once, however often it is asked
ms.scans("maskstat.db"), ms.open_scan("maskstat.db", "masks")

Whatever the command line does is a function here or a method of `Scan`, by the same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskstat.version import __version__

if TYPE_CHECKING:
    from maskstat.advice.recommendation import Recommendation
    from maskstat.api.check import Check
    from maskstat.api.costs import Costs
    from maskstat.api.counting import MaskCounter, count
    from maskstat.api.given_counts import from_counts
    from maskstat.api.loader_check import LoaderCheck
    from maskstat.api.making import Splits, open_scan, scan, scan_splits
    from maskstat.api.merging import merge
    from maskstat.api.registries import (
        PluginRecord,
        Preset,
        plugins,
        preset,
        presets,
        sampling_methods,
        schemes,
    )
    from maskstat.api.scan import Exposure, Scan
    from maskstat.api.stores import ScanRecord, remove_scan, scans
    from maskstat.api.watching import Watch, watch
    from maskstat.arrays.crop_dataset import CropDataset
    from maskstat.crops.class_index import ClassIndex
    from maskstat.crops.sampler import CropSampler
    from maskstat.decision.decision_report import DecisionReport
    from maskstat.decision.decisions import Decision
    from maskstat.errors import MaskstatError
    from maskstat.exposure.recipe import Recipe
    from maskstat.exposure.rescaling import Rescaling
    from maskstat.regions.profile import PixelProfile
    from maskstat.render.plots.drawing import Drawing
    from maskstat.sampling.methods import Method
    from maskstat.sampling.table import SamplingTable, load_sampling
    from maskstat.scanning.recording import Progress
    from maskstat.sources.annotations.drawn_masks import draw_mask
    from maskstat.splits.plan import SplitPlan
    from maskstat.statistics.comparison import Comparison
    from maskstat.training.metrics import ConfidenceHistogram, ConfusionMatrix
    from maskstat.training.shifts import Shifts, load_shifts
    from maskstat.values.catalog import ClassCatalog, ClassInfo
    from maskstat.values.catalog_files import load_catalog
    from maskstat.values.crop_draws import CropDraws
    from maskstat.values.error_bars import Intervals
    from maskstat.values.histogram import ClassHistogram
    from maskstat.values.ledger import MaskLedger
    from maskstat.values.tally import Encoding, MaskTally
    from maskstat.weights.schemes import Scheme
    from maskstat.weights.table import WeightTable, load_weights

__all__ = [
    "Check",
    "ClassCatalog",
    "ClassHistogram",
    "ClassIndex",
    "ClassInfo",
    "Comparison",
    "ConfidenceHistogram",
    "ConfusionMatrix",
    "Costs",
    "CropDataset",
    "CropDraws",
    "CropSampler",
    "Decision",
    "DecisionReport",
    "Drawing",
    "Encoding",
    "Exposure",
    "Intervals",
    "LoaderCheck",
    "MaskCounter",
    "MaskLedger",
    "MaskTally",
    "MaskstatError",
    "Method",
    "PixelProfile",
    "PluginRecord",
    "Preset",
    "Progress",
    "Recipe",
    "Recommendation",
    "Rescaling",
    "SamplingTable",
    "Scan",
    "ScanRecord",
    "Scheme",
    "Shifts",
    "SplitPlan",
    "Splits",
    "Watch",
    "WeightTable",
    "__version__",
    "count",
    "draw_mask",
    "from_counts",
    "load_catalog",
    "load_sampling",
    "load_shifts",
    "load_weights",
    "merge",
    "open_scan",
    "plugins",
    "preset",
    "presets",
    "remove_scan",
    "sampling_methods",
    "scan",
    "scan_splits",
    "scans",
    "schemes",
    "watch",
]

# Where each public name lives; imported on first use, so that `import maskstat` costs nothing.
_HOMES = {
    "Check": "api.check",
    "ClassCatalog": "values.catalog",
    "ClassHistogram": "values.histogram",
    "ClassIndex": "crops.class_index",
    "ClassInfo": "values.catalog",
    "Comparison": "statistics.comparison",
    "ConfidenceHistogram": "training.metrics",
    "ConfusionMatrix": "training.metrics",
    "Costs": "api.costs",
    "CropDataset": "arrays.crop_dataset",
    "CropDraws": "values.crop_draws",
    "CropSampler": "crops.sampler",
    "Decision": "decision.decisions",
    "DecisionReport": "decision.decision_report",
    "Drawing": "render.plots.drawing",
    "Encoding": "values.tally",
    "Exposure": "api.scan",
    "Intervals": "values.error_bars",
    "LoaderCheck": "api.loader_check",
    "MaskCounter": "api.counting",
    "MaskLedger": "values.ledger",
    "MaskTally": "values.tally",
    "MaskstatError": "errors",
    "Method": "sampling.methods",
    "PixelProfile": "regions.profile",
    "PluginRecord": "api.registries",
    "Preset": "api.registries",
    "Progress": "scanning.recording",
    "Recipe": "exposure.recipe",
    "Recommendation": "advice.recommendation",
    "Rescaling": "exposure.rescaling",
    "SamplingTable": "sampling.table",
    "Scan": "api.scan",
    "ScanRecord": "api.stores",
    "Scheme": "weights.schemes",
    "Shifts": "training.shifts",
    "SplitPlan": "splits.plan",
    "Splits": "api.making",
    "Watch": "api.watching",
    "WeightTable": "weights.table",
    "count": "api.counting",
    "draw_mask": "sources.annotations.drawn_masks",
    "from_counts": "api.given_counts",
    "load_catalog": "values.catalog_files",
    "load_sampling": "sampling.table",
    "load_shifts": "training.shifts",
    "load_weights": "weights.table",
    "merge": "api.merging",
    "open_scan": "api.making",
    "plugins": "api.registries",
    "preset": "api.registries",
    "presets": "api.registries",
    "remove_scan": "api.stores",
    "sampling_methods": "api.registries",
    "scan": "api.making",
    "scan_splits": "api.making",
    "scans": "api.stores",
    "schemes": "api.registries",
    "watch": "api.watching",
}


if not TYPE_CHECKING:  # who checks types would take any name for one of this package

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
