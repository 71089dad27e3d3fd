"""Class weights and losses for Keras 3, on TensorFlow, JAX and PyTorch.

`pip install "maskstat[keras]"` brings Keras; the backend (tensorflow, jax or torch) is yours to
choose and install. Losses take raw logits with the class axis last, (N, K), (N, H, W, K) or
(N, D, H, W, K), and integer, one-hot or soft labels; the binary ones one logit an element,
(N, H, W), or a channel a label, (N, H, W, L), and targets of that shape. `functional` has them as
functions; the classes are `keras.losses.Loss` for `model.compile`, and are saved with the model.
"""

from __future__ import annotations

from importlib.util import find_spec

from maskstat.errors import MissingExtraError

if find_spec("keras") is None:
    raise MissingExtraError(
        "maskstat.keras needs Keras, which is not installed",
        remedy='run: pip install "maskstat[keras]"',
    )
try:
    import keras as _keras  # noqa: F401
except ImportError as error:
    raise MissingExtraError(
        f"Keras is installed, but not its backend ({error})",
        remedy='run: pip install "maskstat[torch]" and set KERAS_BACKEND=torch, or install '
        "tensorflow or jax",
    ) from None

from maskstat.keras import functional, metrics
from maskstat.keras.accumulation import accumulated
from maskstat.keras.binary_losses import BinaryCrossEntropy, BinaryFocal
from maskstat.keras.calibration import ShiftLogits, UnweightLogits, unweight_logits
from maskstat.keras.complement_objective import ComplementObjectiveTraining
from maskstat.keras.crops import CropBatches
from maskstat.keras.data import add_sample_weights
from maskstat.keras.deferred_reweighting import DeferredReweighting
from maskstat.keras.functional import (
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
from maskstat.keras.loading import class_weight, load_counts, load_pos_weight, load_weights
from maskstat.keras.losses import (
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
    "CropBatches",
    "CrossEntropy",
    "DeferredReweighting",
    "DistanceAware",
    "Focal",
    "LogitAdjusted",
    "ShiftLogits",
    "UnweightLogits",
    "accumulated",
    "add_sample_weights",
    "binary_cross_entropy",
    "binary_focal",
    "class_weight",
    "complement_cross_entropy",
    "complement_entropy",
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
    "metrics",
    "unweight_logits",
]
