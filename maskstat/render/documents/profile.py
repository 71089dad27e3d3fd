"""A pixel profile in numbers, for JSON, tables and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from maskstat.statistics.imbalance import Imbalance, imbalance

if TYPE_CHECKING:
    from maskstat.regions.profile import PixelProfile
    from maskstat.scanning.stored_scan import StoredScan

SMALL_SIZES = (16, 64, 256, 1024)
_SIZE_SHARES = {
    "least": 0.0,
    "lower_quartile": 0.25,
    "median": 0.5,
    "upper_quartile": 0.75,
    "most": 1.0,
}
_NEAREST = 3


def profile_document(scan: StoredScan) -> dict[str, Any] | None:
    """What a scan's document says of the profile; None where nothing was measured.

    Keys: `grid`, `unmeasured` (masks that were not measured yet), `left_out` (mask, reason) and,
    where all others were measured, `masks`, `components` (joined by edges and corners, and by
    edges only), `imbalance` (of components) and `classes` (see `class_documents`).
    """
    state = scan.profile_state
    if state is None:
        return None
    document: dict[str, Any] = {
        "grid": state.grid,
        "unmeasured": state.unmeasured,
        "left_out": [{"mask": f.mask, "reason": f.reason} for f in state.left_out],
    }
    if (profile := scan.profile) is not None:
        document |= {
            "masks": profile.mask_count,
            "components": int(profile.eight.counts.sum()),
            "components_by_edges": int(profile.four.counts.sum()),
            "imbalance": imbalance_document(imbalance(profile.components)),
            "classes": class_documents(profile),
        }
    return document


def imbalance_document(measures: Imbalance) -> dict[str, float | None]:
    """The measures that scans and reports print; plain JSON types."""
    return {
        "ratio": measures.ratio,
        "entropy": measures.entropy,
        "normalised_entropy": measures.normalised_entropy,
        "effective_classes": measures.effective_classes,
        "gini": measures.gini,
        "kl_uniform": measures.kl_uniform,
        "majority_accuracy": measures.majority_accuracy,
    }


def class_documents(profile: PixelProfile) -> list[dict[str, Any]]:
    """What the profile says of each class.

    Keys: `index`, `name`, `components`, `components_by_edges`, `in_mask` (components in a mask
    that has the class: mean, median, most), `sizes` (pixels of a component: quantiles),
    `size_histogram` (components of 2^j up to 2^(j + 1) - 1 pixels), `share_under` (share of the
    class's pixels in components of fewer pixels), `outline` (pixel edges, the mask's own included),
    `width` (twice the pixels over the outline; null where absent), `centre` (x and y, 0 to 1 from
    the top left; null where absent), `box` (median width and height of a component's box, relative
    to the mask's, to the next quarter octave), `neighbours` (class, share of the outline, pixel
    edges; the longest first) and `smallest` (pixels, mask, x, y).
    """
    eight, by_edges = profile.eight, profile.four.counts
    counts, means = eight.counts, eight.mean_in_mask
    sizes = eight.size_quantiles(list(_SIZE_SHARES.values()))
    histogram = eight.size_histogram
    in_mask = eight.in_mask_quantiles((0.5, 1.0))
    under = {size: eight.share_under(size) for size in SMALL_SIZES}
    outlines, widths = profile.outline.tolist(), profile.width.tolist()
    centres, boxes = profile.centres, profile.side_quantiles(0.5)
    shares = profile.neighbours
    return [
        {
            "index": k,
            "name": name,
            "components": int(counts[k]),
            "components_by_edges": int(by_edges[k]),
            "in_mask": {
                "mean": float(means[k]),
                "median": int(in_mask[k, 0]),
                "most": int(in_mask[k, 1]),
            },
            "sizes": dict(zip(_SIZE_SHARES, sizes[k].tolist(), strict=True)),
            "size_histogram": np.trim_zeros(histogram[k], "b").tolist(),
            "share_under": {str(size): float(share[k]) for size, share in under.items()},
            "outline": outlines[k],
            "width": widths[k] if counts[k] else None,
            "centre": (
                {"x": float(centres[k, 1]), "y": float(centres[k, 0])} if counts[k] else None
            ),
            "box": {"width": float(boxes[k, 1]), "height": float(boxes[k, 0])},
            "neighbours": _neighbours(profile, k, shares[k].tolist()),
            "smallest": [
                {"pixels": found.pixels, "mask": found.mask, "x": found.x, "y": found.y}
                for found in profile.smallest[k]
            ],
        }
        for k, name in enumerate(profile.catalog.names)
    ]


def _neighbours(profile: PixelProfile, k: int, shares: list[float]) -> list[dict[str, Any]]:
    """The classes that a class shares most of its outline with; None is "no class"."""
    edges = profile.adjacency[k]
    longest = np.argsort(-edges, kind="stable")[:_NEAREST]
    names = (*profile.catalog.names, None)
    return [
        {"class": names[other], "share": shares[other], "edges": int(edges[other])}
        for other in longest.tolist()
        if edges[other]
    ]


def place_document(profile: PixelProfile) -> dict[str, Any]:
    """Where classes lie and what they touch, in full.

    Keys: `vertical` and `horizontal` (share of a class's pixels in each row of cells from the
    top, in each column from the left; a list a class) and `adjacency` (class, class, pixel edges;
    null is "no class").
    """
    names = (*profile.catalog.names, None)
    first, second = np.nonzero(np.triu(profile.adjacency))
    return {
        "vertical": profile.vertical.round(6).tolist(),
        "horizontal": profile.horizontal.round(6).tolist(),
        "adjacency": [
            [names[a], names[b], int(profile.adjacency[a, b])]
            for a, b in zip(first.tolist(), second.tolist(), strict=True)
        ],
    }
