"""Code to paste, run: its loss is that of the adapter's class with the same weights.

That no warning is raised says that the mean is the one that the weights were made for.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import maskstat
from maskstat.advice.snippets import snippet, weights_in_code
from maskstat.torch import BinaryCrossEntropy, CrossEntropy
from tests.support.packages import needs
from tests.support.paths import ROOT
from tests.support.trainers import LightningModule, Registry, StepTrainer
from tests.support.training_page import run

MEANS = {"linear": "mean", "weight-normalised": "weighted-mean", None: "weighted-mean"}
TABLES = ("none", "sqrt", "plain", "batch", "labels")


@pytest.fixture(params=TABLES)
def table(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> maskstat.WeightTable | None:
    """Weights of each kind, in weights.json of the folder that is current; or none."""
    monkeypatch.chdir(tmp_path)
    table = weights(request.param)
    if table is not None:
        table.save("weights.json")
    return table


def weights(kind: str) -> maskstat.WeightTable | None:
    """Weights for any mean, for the plain one, for PyTorch's, of labels; none."""
    if kind == "none":
        return None
    if kind == "labels":
        stacks = np.arange(60, dtype=np.uint8).reshape(1, 5, 4, 3) % 7 == 0
        return maskstat.count(stacks, channels="multilabel", classes=["a", "b", "c"]).weights()
    with maskstat.scan(ROOT / "sample_masks", classes=31) as scan:
        if kind == "batch":
            return scan.weights("equal-cost", average="batch", batch_size=4)
        return scan.weights({"sqrt": "sqrt", "plain": "equal-cost"}[kind])


def criterion(table: maskstat.WeightTable | None) -> Any:
    """The loss of the adapter, with the mean of the weights."""
    if table is None:
        return CrossEntropy(ignore_index=255)
    if table.negatives is not None:
        return BinaryCrossEntropy(table, ignore_index=255)
    mean: Any = MEANS[table.reduction]
    return CrossEntropy(table, ignore_index=255, reduction=mean)


def batch(table: maskstat.WeightTable | None) -> tuple[Tensor, Tensor]:
    """Logits [2, K, 4, 6], and labels of which a row is ignored."""
    torch.manual_seed(0)
    binary = table is not None and table.negatives is not None
    classes = 31 if table is None else len(table)
    shape = (2, classes, 4, 6) if binary else (2, 4, 6)
    labels = torch.randint(0, 2 if binary else classes, shape)
    labels[..., 1, :] = 255
    return torch.randn(2, classes, 4, 6), labels


def code(framework: str, table: maskstat.WeightTable | None) -> str:
    """The snippet of a file that was written."""
    return snippet(framework, table, "weights.json", ignore_index=255)


def stand_in(monkeypatch: pytest.MonkeyPatch, module: str, **named: object) -> None:
    """A module that has these names alone."""
    made = ModuleType(module)
    made.__dict__.update(named)
    monkeypatch.setitem(sys.modules, module, made)


def test_torch(table: maskstat.WeightTable | None) -> None:
    ran: dict[str, Any] = {"device": "cpu"}
    exec(code("torch", table), ran)
    logits, labels = batch(table)
    torch.testing.assert_close(ran["criterion"](logits, labels), criterion(table)(logits, labels))


@pytest.mark.filterwarnings("ignore")  # Lightning's own, about its dependencies and this machine
@pytest.mark.parametrize("installed", [False, True], ids=["interface", "installed"])
def test_lightning(
    installed: bool, table: maskstat.WeightTable | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if installed:
        pytest.importorskip("lightning")
    else:
        stand_in(monkeypatch, "lightning", LightningModule=LightningModule)
    ran: dict[str, Any] = {"__name__": "block"}
    exec(code("lightning", table), ran)
    module = ran["Segmentation"](torch.nn.Identity())
    module.log = lambda name, value: None  # without a trainer
    logits, labels = batch(table)
    found = module.training_step((logits, labels), 0)
    torch.testing.assert_close(found, criterion(table)(logits, labels))


def test_steps_of_transformers(
    table: maskstat.WeightTable | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The losses of a step's batches, on two processes, add up to the mean of all of them."""

    class Trainer(StepTrainer):
        def __init__(self, *_: object, train_dataset: Any, compute_loss_func: object) -> None:
            super().__init__(train_dataset)

    stand_in(monkeypatch, "transformers", Trainer=Trainer)
    ran: dict[str, Any] = {
        "model": None,
        "arguments": SimpleNamespace(device="cpu"),
        "data": None,
    }
    exec(code("hf", table), ran)
    logits, labels = batch(table)
    labels[0, ..., 2:, :] = 255
    step = iter([{"labels": part} for part in labels.split(1)])
    batches, divisor = ran["trainer"].get_batch_samples(step, 2, "cpu")
    parts = [
        ran["compute_loss"]({"logits": logits[k : k + 1]}, one["labels"], divisor)
        for k, one in enumerate(batches)
    ]
    torch.testing.assert_close(2 * sum(parts), criterion(table)(logits, labels))


STEP = """
import torch
from transformers import TrainingArguments


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, pixel_values, labels=None):
        return {"logits": self.scale * pixel_values}


torch.manual_seed(0)
images, labels = torch.randn(4, 31, 4, 6), torch.randint(0, 31, (4, 4, 6))
labels[0] = 255
labels[1, 1:] = 255
data = [{"pixel_values": image, "labels": label} for image, label in zip(images, labels)]
model = Model()
arguments = TrainingArguments(
    "out",
    max_steps=1,
    per_device_train_batch_size=2,
    gradient_accumulation_steps=2,
    logging_steps=1,
    save_strategy="no",
    report_to="none",
    use_cpu=True,
)
"""
STEPPED = """
from maskstat.torch import CrossEntropy

trainer.train()
(said,) = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
whole = float(CrossEntropy("weights.json", ignore_index=255, reduction={mean!r})(images, labels))
assert abs(said - whole) < 2e-4, (said, whole)
"""


@needs("transformers", "needs transformers")
@needs("accelerate", "needs accelerate")
@pytest.mark.parametrize("table", ["plain"], indirect=True)
def test_transformers(table: maskstat.WeightTable) -> None:
    """What a step of two batches is said to lose is the mean over all of their pixels."""
    declared = "from tests.support.torchvision_operators import declare\n\ndeclare()\n"
    ending = STEPPED.format(mean=MEANS[table.reduction])
    run("\n".join([declared, STEP, code("hf", table), ending]))


KERAS = """
import keras
import numpy as np

import maskstat
import maskstat.keras as adapter

random = np.random.default_rng(0)
means = {{"linear": "mean", "weight-normalised": "weighted-mean", None: "mean"}}
for file, code in {cases!r}:
    table = None if file is None else maskstat.load_weights(file)
    binary = table is not None and table.negatives is not None
    classes = 31 if table is None else len(table)
    shape = (2, 4, 6, classes) if binary else (2, 4, 6)
    labels = random.integers(0, 2 if binary else classes, shape)
    labels[:, 1] = 255
    logits = random.normal(size=(2, 4, 6, classes)).astype("float32")
    model = keras.Sequential([keras.Input((4, 6, classes)), keras.layers.Identity()])
    exec(code, {{"model": model}})
    if table is None:
        loss = adapter.CrossEntropy(ignore_index=255)
    elif binary:
        loss = adapter.BinaryCrossEntropy(table, ignore_index=255)
    else:
        loss = adapter.CrossEntropy(table, ignore_index=255, reduction=means[table.reduction])
    expected, found = float(loss(labels, logits)), float(model.loss(labels, logits))
    assert abs(expected - found) < 1e-6 * expected, (file, expected, found)
    trained = model.evaluate(logits, labels, batch_size=2, verbose=0)
    assert abs(expected - trained) < 1e-5 * expected, (file, expected, trained)
"""


@needs("keras", "keras is not installed")
def test_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one process for all kinds of weights, with its backend."""
    monkeypatch.chdir(tmp_path)
    cases = []
    for kind in TABLES:
        table, file = weights(kind), f"{kind}.json"
        if table is not None:
            table.save(file)
        written = snippet("keras", table, file, ignore_index=255)
        cases.append((None if table is None else file, written))
    run(KERAS.format(cases=cases), KERAS_BACKEND="torch", PYTHONWARNINGS="error::UserWarning")


@pytest.mark.parametrize("table", ["sqrt", "plain", "batch"], indirect=True)
def test_mmsegmentation(table: maskstat.WeightTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with ignored labels, at which MMSegmentation's own loss ends in an index error."""
    found, expected = of_mmsegmentation(code("mmseg", table), table, monkeypatch)
    torch.testing.assert_close(found, expected)
    # With the weights in the configuration the mean is the usual one.
    listed = weights_in_code("mmseg", table.names, table.weights.tolist(), 255)
    found, _ = of_mmsegmentation(listed, table, monkeypatch)
    logits, labels = batch(table)
    as_is = CrossEntropy(table.weights.tolist(), ignore_index=255)(logits, labels)
    torch.testing.assert_close(found, as_is, rtol=1e-4, atol=1e-5)


def of_mmsegmentation(
    code: str, table: maskstat.WeightTable, monkeypatch: pytest.MonkeyPatch
) -> tuple[Tensor, Tensor]:
    """The loss of a configuration, as BaseDecodeHead.loss_by_feat calls it, and the adapter's."""
    models = Registry()
    stand_in(monkeypatch, "mmseg")
    stand_in(monkeypatch, "mmseg.registry", MODELS=models)
    ran: dict[str, Any] = {}
    exec(code, ran)
    head = ran["model"]["decode_head"]
    loss = models.build(head["loss_decode"])
    logits, labels = batch(table)
    found = loss(logits, labels, weight=None, ignore_index=head["ignore_index"])
    return found, criterion(table)(logits, labels)


@pytest.mark.parametrize("framework", ["torch", "hf", "lightning"])
def test_weights_in_code(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are the adapter's, to six digits."""
    stand_in(monkeypatch, "lightning", LightningModule=LightningModule)
    stand_in(monkeypatch, "transformers", Trainer=lambda *_, **__: None)
    table = weights("sqrt")
    assert table is not None
    text = weights_in_code(framework, table.names, table.weights.tolist(), 255)
    ran: dict[str, Any] = {"__name__": "block"}
    exec(text.split("trainer =")[0].replace("(Trainer)", ""), ran)
    own = ran.get("criterion") or ran["Segmentation"](torch.nn.Identity()).criterion
    logits, labels = batch(table)
    found = own(logits, labels)
    torch.testing.assert_close(found, criterion(table)(logits, labels), rtol=1e-5, atol=1e-5)
