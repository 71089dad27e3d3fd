"""What the torch losses refuse, in one clear line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from maskstat.errors import ParameterError  # noqa: E402
from maskstat.torch import functional  # noqa: E402
from tests.support.loss_cases import class_options  # noqa: E402
from tests.support.loss_oracles import LABEL_LOSSES  # noqa: E402

logits34 = torch.zeros(2, 3, 4)
labels4 = torch.zeros(2, 4, dtype=torch.int64)

REFUSED: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "a label too large": (logits34, labels4 + 3, {}, "label 3 is none of the 3 classes"),
    "a negative label": (logits34, labels4 - 1, {}, "label -1 is none"),
    "255 not ignored": (logits34, labels4 + 255, {}, "ignore_index is -100"),
    "255 as uint8": (logits34, (labels4 + 255).byte(), {}, "label 255"),
    "floating labels": (logits34, labels4.float(), {}, "not integers"),
    "a channel axis of several": (logits34, labels4[:, None].expand(2, 2, 4), {}, "do not fit"),
    "several classes at once": (logits34, logits34 + 1, {}, "sum to 3.*BinaryCrossEntropy"),
    "several classes, integers": (logits34, logits34.long() + 1, {}, "sum to 3"),
    "labels of larger images": (
        torch.zeros(2, 3, 4, 5),
        torch.zeros(2, 16, 20).long(),
        {},
        r"interpolate\(logits, size=\(16, 20\), mode='bilinear', align_corners=False\)",
    ),
    "other sample weights": (
        logits34,
        labels4,
        {"sample_weight": torch.ones(4)},
        r"sample_weight of shape \(4,\)",
    ),
    "negative sample weights": (
        logits34,
        labels4,
        {"sample_weight": -torch.ones(2, 4)},
        "sample_weight must be finite",
    ),
    "text to ignore": (logits34, labels4, {"ignore_index": "255"}, "'255' is no integer"),
    "truth to ignore": (logits34, labels4, {"ignore_index": True}, "True is no integer"),
    "halves to ignore": (logits34, labels4, {"ignore_index": [0, 1.5]}, "1.5 is no integer"),
    "a file of weights": (logits34, labels4, {"weight": "w.json"}, "weight=load_weights"),
    "other size": (logits34, labels4[:, :2], {}, "do not fit"),
    "no class axis": (torch.zeros(3), torch.tensor(1), {}, "no class axis"),
    "one class": (torch.zeros(2, 1), torch.zeros(2).long(), {}, "softmax over 1 class"),
    "integer logits": (logits34.long(), labels4, {}, "not floating"),
    "negative soft labels": (logits34, logits34 - 1, {}, "soft labels must be"),
    "NaN in soft labels": (logits34, logits34 * torch.nan, {}, "soft labels must be"),
    "labels to be learnt": (logits34, (logits34 + 1).requires_grad_(), {}, "constants"),
    "no such reduction": (
        logits34,
        labels4,
        {"reduction": "average"},
        "reduction: 'average' is not",
    ),
    "negative weight": (logits34, labels4, {"weight": [1, -1, 1]}, "weight must be finite"),
    "NaN weight": (logits34, labels4, {"weight": [1, np.nan, 1]}, "weight must be finite"),
    "too many weights": (logits34, labels4, {"weight": [1, 1, 1, 1]}, "does not fit logits of 3"),
}


@pytest.mark.parametrize("why", REFUSED)
@pytest.mark.parametrize("loss", LABEL_LOSSES)
def test_refused(loss: str, why: str) -> None:
    logits, target, arguments, message = REFUSED[why]
    options = class_options(loss, {}, logits.shape[1] if logits.ndim > 1 else 3)
    with pytest.raises(ParameterError, match=message):
        getattr(functional, loss)(logits, target, **options, **arguments)


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        ("focal", {"gamma": -0.5}, "gamma is -0.5"),
        ("focal", {"gamma": np.nan}, "gamma is nan"),
        ("cross_entropy", {"label_smoothing": 1.1}, "from 0 to 1"),
        ("cross_entropy", {"label_smoothing": np.nan}, "from 0 to 1"),
        ("complement_cross_entropy", {"gamma": np.inf}, "gamma is inf"),
        ("logit_adjusted", {"prior": [0, 0, 0]}, "prior is 0 for every class"),
        ("logit_adjusted", {"prior": [1, 1]}, "does not fit"),
        ("logit_adjusted", {"prior": [1, 1, 1], "tau": np.nan}, "tau is nan"),
        ("ldam", {"counts": [0, 0, 0]}, "counts is 0 for every class"),
        ("ldam", {"counts": [1, -2, 0]}, "counts must be finite"),
        ("ldam", {"counts": [1, 2, 0], "max_margin": -1}, "max_margin is -1"),
        ("ldam", {"counts": [1, 2, 0], "scale": -1}, "scale is -1"),
    ],
)
def test_options_refused(loss: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        getattr(functional, loss)(logits34, labels4, **options)


@pytest.mark.parametrize(
    ("heat", "options", "message"),
    [
        (logits34[:1], {}, "does not fit logits"),
        (logits34.long(), {}, "must be floating"),
        (logits34 + 1.5, {}, r"must be in 0\.\.1"),
        (logits34 * torch.nan, {}, r"must be in 0\.\.1"),
        (logits34, {"alpha": -1.0}, "alpha is -1"),
        (logits34, {"beta": np.inf}, "beta is inf"),
        (logits34, {"weight": [1.0]}, "does not fit logits of 3 classes"),
        (logits34, {"reduction": "batch"}, "reduction: 'batch' is not one of"),
    ],
)
def test_heat_maps_refused(heat: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        functional.distance_aware(logits34, heat, **options)
