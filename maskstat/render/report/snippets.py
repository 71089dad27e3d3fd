"""Weights as code to paste, as docs/training.md has it: PyTorch, Keras, MMSegmentation."""

from __future__ import annotations

from collections.abc import Sequence

from maskstat.naming import printable

FRAMEWORKS = ("PyTorch", "Keras", "MMSegmentation")
BY_BATCH = frozenset({"PyTorch", "MMSegmentation"})
"""Those whose weighted mean divides by the batch's weights, so that equal cost depends on it."""


def snippets(
    names: Sequence[str],
    weights: Sequence[float],
    ignore_index: int | None,
    by_batch: Sequence[float] | None = None,
) -> dict[str, str]:
    """Framework -> Python source. Weights have six significant digits, names stand in comments.

    Labels are expected to be class indices 0..K-1, with `ignore_index` for pixels without a class.
    `by_batch` are the weights where the mean divides by a batch's weights (`BY_BATCH`), where they
    are others.
    """
    batched = weights if by_batch is None else by_batch
    return {
        "PyTorch": _pytorch(_listing(names, batched, indent=4), ignore_index),
        "Keras": _keras(_listing(names, weights, indent=4), ignore_index),
        "MMSegmentation": _mmsegmentation(_listing(names, batched, indent=16), ignore_index),
    }


def _listing(names: Sequence[str], weights: Sequence[float], *, indent: int) -> str:
    numbers = [f"{weight:.6g}," for weight in weights]
    width = max(map(len, numbers), default=0)
    return "\n".join(
        f"{'':{indent}}{number:{width}}  # {index} {printable(name)}"
        for index, (number, name) in enumerate(zip(numbers, names, strict=True))
    )


def _pytorch(listing: str, ignore_index: int | None) -> str:
    ignored = "" if ignore_index is None else f", ignore_index={ignore_index}"
    return (
        "import torch\n\n"
        f"class_weight = torch.tensor([\n{listing}\n])\n"
        f"criterion = torch.nn.CrossEntropyLoss(weight=class_weight{ignored})\n"
    )


def _keras(listing: str, ignore_index: int | None) -> str:
    ignored = "" if ignore_index is None else f", ignore_index={ignore_index}"
    return (
        "from maskstat.keras import CrossEntropy\n\n"
        f"class_weight = [\n{listing}\n]\n"
        "# the model gives logits, without a softmax at its end\n"
        f'model.compile(optimizer="adam", loss=CrossEntropy(weight=class_weight{ignored}))\n'
    )


def _mmsegmentation(listing: str, ignore_index: int | None) -> str:
    # Its own CrossEntropyLoss looks up the weight of an ignored label, which is an index error;
    # padding makes such labels, also where the masks have none.
    ignored = "" if ignore_index is None else f"\n        ignore_index={ignore_index},"
    return (
        "# weighted_losses.py, beside the configuration\n"
        "import torch\n"
        "from mmseg.registry import MODELS\n\n"
        "from maskstat.torch import CrossEntropy\n\n\n"
        "@MODELS.register_module()\n"
        "class WeightedCrossEntropy(torch.nn.Module):\n"
        '    def __init__(self, class_weight, loss_weight=1.0, loss_name="loss_ce"):\n'
        "        super().__init__()\n"
        "        self.criterion = CrossEntropy(class_weight)\n"
        "        self.loss_weight = loss_weight\n"
        "        self.loss_name = loss_name\n\n"
        "    def forward(self, cls_score, label, weight=None, ignore_index=255, **_):\n"
        "        self.criterion.ignore_index = ignore_index\n"
        "        return self.loss_weight * self.criterion(cls_score, label, sample_weight=weight)\n"
        "\n\n"
        "# config.py\n"
        'custom_imports = dict(imports=["weighted_losses"])\n'
        "model = dict(\n"
        f"    decode_head=dict({ignored}\n"
        "        loss_decode=dict(\n"
        '            type="WeightedCrossEntropy",\n'
        f"            class_weight=[\n{listing}\n            ],\n"
        "        ),\n"
        "    ),\n"
        ")\n"
    )
