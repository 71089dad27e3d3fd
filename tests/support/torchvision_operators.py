"""torchvision beside a torch for CPUs, for those who import it and need none of its operators.

The wheels of torchvision on PyPI are made for CUDA. Beside a torch for CPUs their operators can't
be loaded, and `import torchvision` ends at the first that it describes; with it timm,
segmentation_models_pytorch and whatever looks for torchvision. Their names are enough.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch

_DECLARED = torch.library.Library("torchvision", "FRAGMENT")
_OVERLAPS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@cache
def declare() -> None:
    """Declare the operators that torchvision describes, where it can't load them."""
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        return
    try:
        for extension in Path(spec.origin).parent.glob("_C.*"):
            torch.ops.load_library(str(extension))
    except OSError:
        for name in ("nms", "qnms"):
            _DECLARED.define(name + _OVERLAPS)
