"""`maskstat.torch.metrics` as it is with torchmetrics and without, side by side."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

FLAVOURS = ("plain", "torchmetrics")


def metric_module(flavour: str) -> ModuleType:
    """The module, imported anew with torchmetrics hidden or not; what is loaded stays as it is."""
    import maskstat.torch

    ours = ("maskstat.torch.counters", "maskstat.torch.metrics")
    attributes = dict(vars(maskstat.torch))
    kept = {name: sys.modules.pop(name) for name in ours if name in sys.modules}
    hidden = {name: module for name, module in sys.modules.items() if _is_torchmetrics(name)}
    if flavour == "plain":
        for name in hidden:
            del sys.modules[name]
        sys.modules["torchmetrics"] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("maskstat.torch.metrics")
    finally:
        for name in [*ours, *(["torchmetrics"] if flavour == "plain" else [])]:
            sys.modules.pop(name, None)
        sys.modules.update({**kept, **hidden})
        for name in ("counters", "metrics"):
            vars(maskstat.torch).pop(name, None)
        vars(maskstat.torch).update(attributes)


def _is_torchmetrics(name: str) -> bool:
    return name == "torchmetrics" or name.startswith("torchmetrics.")
