"""Class weights and losses for PyTorch (`pip install "maskstat[torch]"`).

Losses take raw logits with the class axis at 1, (N, K), (N, K, H, W) or (N, K, D, H, W), and
integer, one-hot or soft labels; the binary ones one logit an element, (N, H, W), or a channel a
label, (N, L, H, W), and targets of that shape. `functional` has them as functions; the classes hold
weights as registered buffers. Metrics are in `maskstat.torch.metrics`, which loads torchmetrics if
installed.
"""

from __future__ import annotations

from importlib.util import find_spec

from maskstat.errors import MissingExtraError

if find_spec("torch") is None:
    raise MissingExtraError(
        "maskstat.torch needs PyTorch, which is not installed",
        remedy='run: pip install "maskstat[torch]"',
    )

from maskstat.torch import functional
from maskstat.torch.binary_losses import BinaryCrossEntropy, BinaryFocal
from maskstat.torch.calibration import ShiftLogits, UnweightLogits, unweight_logits
from maskstat.torch.complement_objective import ComplementObjectiveTraining
from maskstat.torch.crops import LoaderCropSampler, crop_sampler
from maskstat.torch.data import MaskSampler, sampler
from maskstat.torch.deferred_reweighting import DeferredReweighting
from maskstat.torch.functional import (
    binary_cross_entropy,
    binary_focal,
    complement_cross_entropy,
    complement_entropy,
    cross_entropy,
    distance_aware,
    focal,
    ldam,
    logit_adjusted,
)
from maskstat.torch.loading import load_counts, load_pos_weight, load_weights
from maskstat.torch.losses import (
    LDAM,
    ComplementCrossEntropy,
    ComplementEntropy,
    CrossEntropy,
    DistanceAware,
    Focal,
    LogitAdjusted,
)
from maskstat.training.keypoint_heatmaps import gaussian_heatmap, mask_distance_heatmap

__all__ = [
    "LDAM",
    "BinaryCrossEntropy",
    "BinaryFocal",
    "ComplementCrossEntropy",
    "ComplementEntropy",
    "ComplementObjectiveTraining",
    "CrossEntropy",
    "DeferredReweighting",
    "DistanceAware",
    "Focal",
    "LoaderCropSampler",
    "LogitAdjusted",
    "MaskSampler",
    "ShiftLogits",
    "UnweightLogits",
    "binary_cross_entropy",
    "binary_focal",
    "complement_cross_entropy",
    "complement_entropy",
    "crop_sampler",
    "cross_entropy",
    "distance_aware",
    "focal",
    "functional",
    "gaussian_heatmap",
    "ldam",
    "load_counts",
    "load_pos_weight",
    "load_weights",
    "logit_adjusted",
    "mask_distance_heatmap",
    "sampler",
    "unweight_logits",
]
