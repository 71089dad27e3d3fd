"""The blocks of docs/training.md that need a framework which the tests do without.

Its ```python blocks are run by test_docs.py. The ```py blocks are run here: those of Keras in a
process with its backend, those of Lightning, transformers and MMSegmentation against the part of
the interface that they use, and the Lightning one also against Lightning itself where it is
installed; test_training_recipes.py runs others against what they are for.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import maskstat
from tests.support.paths import ROOT
from tests.support.trainers import LightningModule, Registry, StepTrainer, Trainer
from tests.support.training_page import block, files_of_the_page, run


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> maskstat.WeightTable:
    """The weights of the page, in the files it names, in the folder that is current."""
    monkeypatch.chdir(tmp_path)
    return files_of_the_page()


@pytest.mark.filterwarnings("ignore")  # Lightning's own, about its dependencies and this machine
@pytest.mark.parametrize("installed", [False, True], ids=["interface", "installed"])
def test_lightning(
    installed: bool, table: maskstat.WeightTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    if installed:
        pytest.importorskip("lightning")
    else:
        interface = ModuleType("lightning")
        interface.__dict__.update(LightningModule=LightningModule, Trainer=Trainer)
        monkeypatch.setitem(sys.modules, "lightning", interface)
    ran: dict[str, Any] = {"__name__": "block"}
    exec(block("PyTorch Lightning"), ran)  # asserts by itself
    module = ran["module"]
    assert torch.equal(module.criterion.weight.cpu(), torch.tensor(table.weights).float())
    assert "criterion.weight" in module.state_dict()


@pytest.mark.parametrize(
    ("section", "number", "backend"),
    [
        ("Keras", 0, "torch"),
        ("Keras", 1, "torch"),
        ("class_weight and masks", 0, "torch"),
        ("class_weight and masks", 1, "tensorflow"),
    ],
)
def test_keras(section: str, number: int, backend: str, table: maskstat.WeightTable) -> None:
    """Each block asserts by itself; Keras chooses its backend once a process, so here is one."""
    for name in ("keras", backend):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    run(block(section, number), KERAS_BACKEND=backend)


def test_transformers(
    table: maskstat.WeightTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The losses of a step's batches, on two processes, add up to the mean of all of them."""
    interface = ModuleType("transformers")
    interface.__dict__.update(Trainer=StepTrainer, TrainingArguments=dict)
    monkeypatch.setitem(sys.modules, "transformers", interface)
    ran: dict[str, Any] = {"__name__": "block"}
    exec(block("transformers"), ran)
    masks = sorted((ROOT / "sample_masks").rglob("mask_*"))
    trainer = ran["SegmentationTrainer"](masks)
    assert len(set(trainer._get_train_sampler())) == len(masks)
    labels = torch.randint(0, 31, (3, 8, 12))
    labels[0], labels[1, :5] = 255, 255
    logits = torch.randn(3, 31, 2, 3)
    step = iter([{"labels": part} for part in labels.split(1)])
    batches, divisor = trainer.get_batch_samples(step, 3, "cpu")
    parts = [
        ran["compute_loss"]({"logits": logits[k : k + 1]}, batch["labels"], divisor)
        for k, batch in enumerate(batches)
    ]
    whole = ran["compute_loss"]({"logits": logits}, labels)
    torch.testing.assert_close(2 * sum(parts), whole)


def test_mmsegmentation(
    table: maskstat.WeightTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = Registry()
    package, registry = ModuleType("mmseg"), ModuleType("mmseg.registry")
    registry.__dict__["MODELS"] = models
    monkeypatch.setitem(sys.modules, "mmseg", package)
    monkeypatch.setitem(sys.modules, "mmseg.registry", registry)
    (tmp_path / "weighted_losses.py").write_text(block("MMSegmentation", 1), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    config: dict[str, Any] = {}
    exec(block("MMSegmentation", 2), config)
    for name in config["custom_imports"]["imports"]:
        importlib.import_module(name)
        monkeypatch.delitem(sys.modules, name)
    head = config["model"]["decode_head"]
    assert head["num_classes"] == len(table)
    loss = models.build(head["loss_decode"])
    assert loss.loss_name.startswith("loss_")
    logits = torch.randn(2, 31, 5, 7, generator=torch.manual_seed(0))
    labels = torch.randint(0, 31, (2, 5, 7))
    labels[:, 2] = 255
    # As BaseDecodeHead.loss_by_feat calls it.
    found = loss(logits, labels, weight=None, ignore_index=255)
    weights = torch.tensor(table.weights).float()
    expected = nn.functional.cross_entropy(logits, labels, weight=weights, ignore_index=255)
    torch.testing.assert_close(found, expected)
    # Online hard example mining: pixels of factor 0 are as good as ignored.
    hard = torch.rand(2, 5, 7, generator=torch.manual_seed(0)) > 0.5
    found = loss(logits, labels, weight=hard.float(), ignore_index=255)
    expected = nn.functional.cross_entropy(
        logits, torch.where(hard, labels, 255), weight=weights, ignore_index=255
    )
    torch.testing.assert_close(found, expected)


def test_mmsegmentation_reads_a_plain_list(table: maskstat.WeightTable) -> None:
    config: dict[str, Any] = {}
    exec(block("MMSegmentation"), config)
    decode = config["model"]["decode_head"]["loss_decode"]
    weights = json.loads(Path(decode["class_weight"]).read_text())
    assert np.array_equal(weights, table.weights)
