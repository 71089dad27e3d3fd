"""Weights as code to paste: PyTorch, Keras, MMSegmentation."""

from __future__ import annotations

from collections.abc import Sequence

from maskstat.naming import printable


def snippets(
    names: Sequence[str], weights: Sequence[float], ignore_index: int | None
) -> dict[str, str]:
    """Framework -> Python source. Weights have six significant digits, names stand in comments.

    Labels are expected to be class indices 0..K-1, with `ignore_index` for pixels without a class.
    """
    listing = _listing(names, weights, indent=4)
    return {
        "PyTorch": _pytorch(listing, ignore_index),
        "Keras": _keras(listing, ignore_index),
        "MMSegmentation": _mmsegmentation(_listing(names, weights, indent=16), ignore_index),
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
    head = f'import numpy as np\n\nclass_weight = np.array([\n{listing}\n], dtype="float32")\n'
    if ignore_index is None:
        return (
            f"{head}# labels: int array (N, H, W)\n"
            "sample_weight = class_weight[labels]\n"
            "model.fit(images, labels, sample_weight=sample_weight)\n"
        )
    return (
        f"{head}# labels: int array (N, H, W), {ignore_index} where a pixel has no class\n"
        f"labelled = labels != {ignore_index}\n"
        "labels = np.where(labelled, labels, 0)\n"
        "sample_weight = np.where(labelled, class_weight[labels], 0)\n"
        "model.fit(images, labels, sample_weight=sample_weight)\n"
    )


def _mmsegmentation(listing: str, ignore_index: int | None) -> str:
    ignored = "" if ignore_index is None else f"\n        ignore_index={ignore_index},"
    return (
        "model = dict(\n"
        f"    decode_head=dict({ignored}\n"
        "        loss_decode=dict(\n"
        '            type="CrossEntropyLoss",\n'
        "            use_sigmoid=False,\n"
        "            avg_non_ignore=True,\n"
        f"            class_weight=[\n{listing}\n            ],\n"
        "        ),\n"
        "    ),\n"
        ")\n"
    )
