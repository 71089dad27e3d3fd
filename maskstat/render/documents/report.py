"""The report as one document: the single source of its HTML, Markdown and JSON forms."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from maskstat.advice.recommendation import Recommendation
from maskstat.advice.snippets import ignored_label
from maskstat.errors import spelled
from maskstat.render.documents.exposure import exposure_document
from maskstat.render.documents.profile import imbalance_document, place_document
from maskstat.render.documents.scan import scan_document
from maskstat.render.documents.weighing import (
    ABSENT,
    NORMALISATION,
    distinct,
    price_of,
    scheme_prices,
    scheme_weights,
)
from maskstat.render.report.calls import can_be_typed, scan_call
from maskstat.render.terminal.compare_tables import compare_document
from maskstat.scanning.checking import counted_findings
from maskstat.scanning.comparing import compare_scans
from maskstat.scanning.exposing import left_out
from maskstat.statistics.cooccurrence import mask_variety
from maskstat.statistics.imbalance import ClassGroups, groups_by_share, imbalance
from maskstat.statistics.mask_shapes import mask_forms
from maskstat.values.known import known
from maskstat.weights.schemes import SCHEMES
from maskstat.weights.table import WeightTable

if TYPE_CHECKING:
    from maskstat.scanning.stored_scan import StoredScan
    from maskstat.weights.costs import PriceList

MIN_MASKS = 10  # the defaults of `maskstat check`


def report_document(
    scan: StoredScan,
    *,
    against: StoredScan | None = None,
    advised: Recommendation | str | None = None,
) -> dict[str, Any]:
    """Everything a report says; plain JSON types, no NaN. No file of a mask is opened.

    Keys: all of `scan_document`, and `sizes` (width, height, masks, most frequent first), `aspect`
    (width over height), `value_types` (how masks store values), `variety` (classes, pixels,
    labelled pixels and entropy a mask), `mask_imbalance`, `groups` (head, medium, tail, absent),
    `places` (see `place_document`; null without a profile), `profile_command` (what adds a profile;
    null where there is one, or no file), `findings` (as `maskstat check` lists them, without
    opening files), `ignore_index`, `weights` (by scheme, scaled so that the average pixel weighs
    1), `recommendation` (what `maskstat recommend --json` says for the mean IoU, and `command`,
    that command, or `error`, why it can't; null where `advised` is None), `exposure` (what
    `maskstat exposure` says; null where counts are of the files themselves),
    `costs` (of constant predictions by scheme), `constant_predictors` (their metrics by class),
    `provenance` and `against` (what `maskstat compare` says of it and another split; null where
    none was given). Of given counts, keys that say what masks are like are null, findings too.
    """
    document = scan_document(scan)
    histogram = scan.histogram
    tables = scheme_weights(histogram, source=scan.source)
    document |= _unknown_masks() if histogram.unknown else _of_masks(scan._files)
    seen = scan._crops
    document["exposure"] = (
        None
        if seen is None
        else exposure_document(scan._files, seen, left_out(scan._files, seen.recipe))
    )
    masks = known(histogram, "masks")
    document["mask_imbalance"] = None if masks is None else imbalance_document(imbalance(masks))
    document["groups"] = _groups(scan, groups_by_share(histogram.pixels))
    profile = scan.profile
    document["recommendation"] = _recommended(scan, advised)
    document["places"] = None if profile is None else place_document(profile)
    document["ignore_index"] = ignored_label(histogram)
    document["weights"] = _weights(tables)
    prices = scheme_prices(histogram, tables)
    document["costs"] = _costs(scan, prices, tables)
    document["constant_predictors"] = _constant_predictors(scan, next(iter(prices.values()), None))
    document["provenance"] = {
        "source": scan.source,
        "scan": scan.name,
        "created": scan.info.created,
        "updated": scan.info.updated,
        "catalog": scan.catalog.name,
        "catalog_digest": scan.catalog.digest,
        "counts_digest": histogram.counts_digest(),
        "maskstat": document["maskstat"],
    }
    document["against"] = (
        None if against is None else compare_document(compare_scans([scan, against]))
    )
    return document


def _recommended(scan: StoredScan, advised: Recommendation | str | None) -> dict[str, Any] | None:
    if not isinstance(advised, Recommendation):
        return None if advised is None else {"error": advised}
    typed = spelled(scan_call(scan, "recommend")) if can_be_typed(scan) else None
    return {**advised.to_document(), "command": typed}


def _of_masks(scan: StoredScan) -> dict[str, Any]:
    """What masks are like, each by itself."""
    forms = mask_forms(scan.tables())
    variety = asdict(mask_variety(scan.ledger))
    variety["masks_by_classes"] = list(variety["masks_by_classes"])
    return {
        "sizes": [
            {"width": width, "height": height, "masks": count}
            for height, width, count in forms.sizes
        ],
        "aspect": None if forms.aspect is None else asdict(forms.aspect),
        "value_types": [{"value_type": name, "masks": count} for name, count in forms.value_types],
        "variety": variety,
        "profile_command": (
            None if scan.profile is not None or not scan.has_files else spelled(scan.profile_call)
        ),
        "findings": [finding.to_dict() for finding in counted_findings(scan, min_masks=MIN_MASKS)],
    }


def _unknown_masks() -> dict[str, Any]:
    """The same where counts were given."""
    keys = ("sizes", "aspect", "value_types", "variety", "profile_command", "findings")
    return dict.fromkeys(keys)


def _groups(scan: StoredScan, groups: ClassGroups) -> dict[str, Any]:
    names = scan.catalog.names
    listed: dict[str, Any] = {
        group: [names[k] for k in getattr(groups, group)]
        for group in ("head", "medium", "tail", "absent")
    }
    return {**listed, "rule": groups.rule}


def _weights(tables: dict[str, WeightTable | str]) -> dict[str, Any]:
    schemes: dict[str, Any] = {}
    for name, table in tables.items():
        entry: dict[str, Any] = {
            "formula": SCHEMES[name].formula,
            "source": SCHEMES[name].source,
            "parameters": SCHEMES[name].bind({}),
        }
        if isinstance(table, str):
            entry["error"] = table
        else:
            entry["weights"] = table.weights.tolist()
        schemes[name] = entry
    return {
        "normalisation": NORMALISATION,
        "absent": ABSENT,
        "schemes": schemes,
        "distinct": [list(group.names) for group in distinct(tables)],
    }


def _costs(
    scan: StoredScan, prices: dict[str, PriceList], tables: dict[str, WeightTable | str]
) -> dict[str, Any]:
    names, schemes = scan.catalog.names, {}
    for name, price in prices.items():
        table = tables[name]
        assert isinstance(table, WeightTable)
        paid = price_of(table)
        cheapest = int(np.argmin(np.where(price.occurs, price.costs, np.inf)))
        dearest = int(np.argmax(np.where(price.occurs, price.costs, -np.inf)))
        schemes[name] = {
            "costs": price.costs.tolist(),
            "cheapest": names[cheapest],
            "dearest": names[dearest],
            "spread": price.spread,
            "relative_spread": price.relative_spread,
            "effective_pixels": paid.effective,
            "loss_ratio": paid.loss_ratio if math.isfinite(paid.loss_ratio) else None,
            "weight_ratio": paid.weight_ratio if math.isfinite(paid.weight_ratio) else None,
            "soft_loss": price.soft_loss,
        }
    first = next(iter(prices.values()), None)
    return {
        "reduction": "linear",
        "epsilon": None if first is None else first.epsilon,
        "schemes": schemes,
    }


def _constant_predictors(scan: StoredScan, price: PriceList | None) -> list[dict[str, Any]]:
    """Metrics of always answering one class; they do not depend on weights."""
    if price is None:
        return []
    columns = (price.pixel_accuracy, price.mean_iou, price.balanced_accuracy)
    return [
        {"class": name, "pixel_accuracy": accuracy, "mean_iou": iou, "balanced_accuracy": recall}
        for name, accuracy, iou, recall in zip(
            scan.catalog.names, *(column.tolist() for column in columns), strict=True
        )
    ]
