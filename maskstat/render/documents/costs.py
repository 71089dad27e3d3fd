"""What constant predictions cost, as one JSON document."""

from __future__ import annotations

from typing import Any

from maskstat.values.catalog import ClassCatalog
from maskstat.weights.costs import PriceList


def cost_document(
    catalog: ClassCatalog,
    plain: PriceList,
    weighted: PriceList,
    label: str,
    scan: str | None = None,
) -> dict[str, Any]:
    """Everything `maskstat costs --json` prints; plain JSON types.

    Args:
        catalog: the classes.
        plain: prices under no weights.
        weighted: prices under the weights that `label` names.
        scan: what they are about, by name.
    """

    def summary(prices: PriceList) -> dict[str, object]:
        return {
            "spread": prices.spread,
            "relative_spread": prices.relative_spread,
            "best_constant_loss": prices.soft_loss,
            "average_pixel_weight": prices.scale,
        }

    return {
        "scan": scan,
        "average": weighted.average,
        "batch_size": weighted.batch_size if weighted.average == "batch" else None,
        "last_batch": weighted.last_batch or None,
        "crops": weighted.crops or None,
        "predictor_confidence": 1.0 - weighted.epsilon,
        "weights": label,
        "unit": "nats a labelled pixel",
        "unweighted": summary(plain),
        "weighted": summary(weighted),
        "classes": [
            {
                "index": info.index,
                "name": info.name,
                "occurs": bool(plain.occurs[info.index]),
                "cost_unweighted": float(plain.costs[info.index]),
                "cost": float(weighted.costs[info.index]),
                "standard_error": float(weighted.standard_errors[info.index]),
                "best_constant_probability": float(weighted.soft_predictor[info.index]),
                "pixel_accuracy": float(plain.pixel_accuracy[info.index]),
                "mean_iou": float(plain.mean_iou[info.index]),
                "balanced_accuracy": float(plain.balanced_accuracy[info.index]),
            }
            for info in catalog.classes
        ],
    }
