"""A loss with its weights as code to paste, in docs/training.md's words: a framework a function.

Weights are in a file (`snippet`), in the code itself (`weights_in_code`), or there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from maskstat.errors import MultilabelError
from maskstat.naming import printable
from maskstat.parameters import find_named
from maskstat.values.catalog import DEFAULT_IGNORE
from maskstat.values.histogram import ClassHistogram
from maskstat.values.known import known
from maskstat.weights.pos_weight import plain_ratio_or_none
from maskstat.weights.table import WeightTable

_MEANS = {"linear": "mean", "weight-normalised": "weighted-mean"}
"""`WeightTable.reduction` -> what a loss calls it."""


@dataclass(frozen=True, slots=True)
class GivenLoss:
    """What code is written for.

    Attributes:
        weights: Python source of them, or what defines `class_weight` in `listing`; None for none.
        listing: the weights themselves, a line a class, where they are in the code.
        ignore_index: the label of pixels without a class; None for none.
        reduction: a loss's word for the mean that the weights were made for; None for any.
        binary: whether they are pos_weight, one a label.
        one_logit: whether they also fit a model with one logit a pixel.
    """

    weights: str | None
    listing: Sequence[str] = ()
    ignore_index: int | None = None
    reduction: str | None = None
    binary: bool = False
    one_logit: bool = False

    @property
    def kind(self) -> str:
        """The class of the loss, in both `maskstat.torch` and `maskstat.keras`."""
        return "BinaryCrossEntropy" if self.binary else "CrossEntropy"

    def called(self, usual: str) -> str:
        """The loss as code; `usual` is the mean that need not be named."""
        named = [] if self.weights is None else [self.weights]
        if self.ignore_index is not None:
            named.append(f"ignore_index={self.ignore_index}")
        if self.reduction not in (None, usual) and not self.binary:
            named.append(f'reduction="{self.reduction}"')
        return f"{self.kind}({', '.join(named)})"

    def of_one_logit(self, indent: str = "") -> str:
        """A comment with the loss of a model that has one logit for two classes, or nothing."""
        if not self.one_logit:
            return ""
        said = replace(self, binary=True).called("mean")
        return f"{indent}# of a model with one logit a pixel: {said}\n"

    def listed(self, indent: int) -> str:
        """The weights in the code, indented."""
        return "".join(f"{'':{indent}}{line}\n" for line in self.listing)


@dataclass(frozen=True, slots=True)
class Snippet:
    """Code for one framework.

    Attributes:
        label: what people call the framework.
        by_batch: whether its weighted mean divides by the batch's weights unless told otherwise, so
            that equal cost depends on the batch.
        code: writes it.
    """

    label: str
    by_batch: bool
    code: Callable[[GivenLoss], str]


def snippet(
    framework: str, table: WeightTable | None, path: str | Path, *, ignore_index: int | None = None
) -> str:
    """Python source that gives a loss the weights of a file.

    Labels are class indices 0..K-1, or 0 and 1 of each label, and `ignore_index`. `model`,
    `device`, `arguments` and `data` in the code are the reader's own.

    Args:
        framework: one of `SNIPPETS`.
        table: what is in the file, which decides the mean; None for a loss without weights.
        path: the file that `WeightTable.save` writes, in any layout that holds all of `table`.
        ignore_index: the label of pixels without a class (`ignored_label`); None for none.

    Raises:
        ParameterError: no framework is called that.
        MultilabelError: pos_weight of labels for a framework whose masks have one class a pixel.
    """
    code = _named(framework).code
    if table is None:
        return code(GivenLoss(None, ignore_index=ignore_index))
    given = GivenLoss(
        _literal(str(path)),
        ignore_index=ignore_index,
        reduction=_MEANS.get(table.reduction or ""),
        binary=table.negatives is not None,
        one_logit=plain_ratio_or_none(table) is not None,
    )
    return code(given)


def weights_in_code(
    framework: str, names: Sequence[str], weights: Sequence[float], ignore_index: int | None
) -> str:
    """The same with the weights in it, which are for the framework's usual mean.

    Weights have six significant digits, and names stand in comments.

    Args:
        framework: one of `SNIPPETS`.
        names: K class names.
        weights: K weights.
        ignore_index: the label of pixels without a class; None for none.

    Raises:
        ParameterError: no framework is called that.
    """
    code = _named(framework).code
    numbers = [f"{weight:.6g}," for weight in weights]
    width = max(map(len, numbers), default=0)
    listing = [
        f"{number:{width}}  # {index} {printable(name)}"
        for index, (number, name) in enumerate(zip(numbers, names, strict=True))
    ]
    return code(GivenLoss("class_weight", listing, ignore_index))


def ignored_label(histogram: ClassHistogram) -> int | None:
    """The one label that a loss has to leave out: 255 where it is ignored, or the only other."""
    catalog = histogram.catalog
    ignored = set(catalog.ignored_values)
    found = known(histogram, "ignored") or {}
    if DEFAULT_IGNORE in ignored or DEFAULT_IGNORE in found:
        return DEFAULT_IGNORE
    outside = sorted(value for value in ignored if not 0 <= value < len(catalog))
    return outside[0] if len(outside) == 1 else None


def _named(framework: str) -> Snippet:
    return find_named(framework, SNIPPETS, noun="framework", parameter="framework")


def _literal(text: str) -> str:
    """A text as Python source, in double quotes where it has none."""
    written = repr(text)
    return written if '"' in written else f'"{written[1:-1]}"'


def _keras(given: GivenLoss) -> str:
    logits = "# the model gives logits, without a softmax at its end\n"
    if given.weights is None:
        imported, before = "import keras", ""
        usual = "keras.losses.SparseCategoricalCrossentropy"
        ignored = "" if given.ignore_index is None else f", ignore_class={given.ignore_index}"
        loss = f"{usual}(from_logits=True{ignored})"
    else:
        imported, loss = f"from maskstat.keras import {given.kind}", given.called("mean")
        before = f"class_weight = [\n{given.listed(4)}]\n" if given.listing else ""
    return (
        f"{imported}\n\n"
        f"{before}{logits}{given.of_one_logit()}"
        "model.compile(\n"
        '    optimizer="adam",\n'
        f"    loss={loss},\n"
        ")\n"
    )


def _torch(given: GivenLoss) -> str:
    if given.weights is None or given.listing:
        own, before = _own_torch_loss(given)
        return f"import torch\n\n{before}criterion = {own}\n"
    return (
        f"from maskstat.torch import {given.kind}\n\n{given.of_one_logit()}"
        f"criterion = {given.called('weighted-mean')}.to(device)\n"
    )


def _own_torch_loss(given: GivenLoss) -> tuple[str, str]:
    """PyTorch's own loss, whose mean divides by the batch's weights, and what stands before it."""
    weight = "" if given.weights is None else f"weight={given.weights}"
    ignored = "" if given.ignore_index is None else f"ignore_index={given.ignore_index}"
    loss = f"torch.nn.CrossEntropyLoss({', '.join(filter(None, (weight, ignored)))})"
    return loss, f"class_weight = torch.tensor([\n{given.listed(4)}])\n" if given.listing else ""


def _lightning(given: GivenLoss) -> str:
    before = ""
    if given.weights is None or given.listing:
        imported = "import torch\n"
        loss, listed = _own_torch_loss(given)
        before = f"{listed}\n\n" if listed else ""
    else:
        imported = f"\nfrom maskstat.torch import {given.kind}\n"
        loss = given.called("weighted-mean")
    return (
        f"import lightning as L\n{imported}\n\n"
        f"{before}"
        "class Segmentation(L.LightningModule):\n"
        "    def __init__(self, model):\n"
        "        super().__init__()\n"
        "        self.model = model\n"
        f"{given.of_one_logit(' ' * 8)}"
        f"        self.criterion = {loss}\n\n"
        "    def training_step(self, batch, index):\n"
        "        images, labels = batch\n"
        "        loss = self.criterion(self.model(images), labels)\n"
        '        self.log("train_loss", loss)\n'
        "        return loss\n"
    )


def _hf(given: GivenLoss) -> str:
    listed = f"class_weight = [\n{given.listed(4)}]\n" if given.listing else ""
    return (
        "import torch\n"
        "from transformers import Trainer\n\n"
        f"from maskstat.torch import {given.kind}\n\n"
        f"{listed}"
        f"criterion = {given.called('weighted-mean')}\n\n\n"
        "def compute_loss(outputs, labels, num_items_in_batch=None):\n"
        "    logits = torch.nn.functional.interpolate(\n"
        '        outputs["logits"], size=labels.shape[-2:], mode="bilinear", align_corners=False\n'
        "    )\n"
        "    return criterion(logits, labels, divisor=num_items_in_batch)\n\n\n"
        "class SegmentationTrainer(Trainer):\n"
        "    def get_batch_samples(self, epoch_iterator, num_batches, device):\n"
        "        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)\n"
        '        divisor = sum(criterion.divisor(batch["labels"]) for batch in batches)\n'
        '        return batches, self.accelerator.reduce(divisor.to(device), "sum")\n\n\n'
        "trainer = SegmentationTrainer(\n"
        "    model,\n"
        "    arguments,\n"
        "    train_dataset=data,\n"
        "    compute_loss_func=compute_loss,\n"
        ")\n"
        "criterion.to(arguments.device)\n"
    )


def _mmseg(given: GivenLoss) -> str:
    if given.binary:
        raise MultilabelError(
            "MMSegmentation's masks have one class a pixel, and these have labels"
        )
    ignored = "" if given.ignore_index is None else f"\n        ignore_index={given.ignore_index},"
    if given.weights is None:
        return (
            "model = dict(\n"
            f"    decode_head=dict({ignored}\n"
            '        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),\n'
            "    ),\n"
            ")\n"
        )
    weights = f"[\n{given.listed(16)}            ]" if given.listing else given.weights
    mean = "" if given.reduction in (None, "weighted-mean") else f', reduction="{given.reduction}"'
    # Its own CrossEntropyLoss looks up the weight of an ignored label, which is an index error;
    # padding makes such labels, also where the masks have none.
    return (
        "# weighted_losses.py, beside the configuration\n"
        "import torch\n"
        "from mmseg.registry import MODELS\n\n"
        "from maskstat.torch import CrossEntropy\n\n\n"
        "@MODELS.register_module()\n"
        "class WeightedCrossEntropy(torch.nn.Module):\n"
        '    def __init__(self, weights, loss_weight=1.0, loss_name="loss_ce"):\n'
        "        super().__init__()\n"
        f"        self.criterion = CrossEntropy(weights{mean})\n"
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
        f"            weights={weights},\n"
        "        ),\n"
        "    ),\n"
        ")\n"
    )


SNIPPETS = {
    "torch": Snippet("PyTorch", True, _torch),
    "keras": Snippet("Keras", False, _keras),
    "mmseg": Snippet("MMSegmentation", True, _mmseg),
    "hf": Snippet("transformers", True, _hf),
    "lightning": Snippet("PyTorch Lightning", True, _lightning),
}
