"""The recipes of docs/training.md for other trainers, run against these where they are installed.

Each runs in a process of its own, because of what these packages do to one, and asserts by itself.
What a recipe promises beside is looked at behind it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import maskstat
from maskstat.torch import CrossEntropy
from tests.support.packages import needs
from tests.support.torchvision_operators import declare
from tests.support.training_page import block, files_of_the_page, run

DECLARED = "from tests.support.torchvision_operators import declare\n\ndeclare()\n"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> maskstat.WeightTable:
    """The weights of the page, in the files it names, in the folder that is current."""
    monkeypatch.chdir(tmp_path)
    return files_of_the_page()


STEPS = """
seen = []


def recording(outputs, labels, num_items_in_batch=None):
    seen.append((outputs["logits"].detach(), labels))
    return compute_loss(outputs, labels, num_items_in_batch)


again = SegmentationTrainer(
    SegformerForSemanticSegmentation(config),
    arguments,
    train_dataset=Masks(),
    compute_loss_func=recording,
)
again.train()
said = [entry["loss"] for entry in again.state.log_history if "loss" in entry]
assert len(said) == 2 and len(seen) == 4
for step, loss in enumerate(said):
    logits, labels = (torch.cat(parts) for parts in zip(*seen[2 * step : 2 * step + 2]))
    whole = compute_loss({"logits": logits}, labels)
    assert abs(whole - loss) < 2e-4, (whole, loss)
"""


@needs("transformers", "needs transformers")
@needs("accelerate", "needs accelerate")
def test_transformers(table: maskstat.WeightTable) -> None:
    """What a step of two batches is said to lose is the mean over all of their pixels."""
    blocks = [block("transformers", number) for number in (0, 1)]
    run("\n".join([DECLARED, *blocks, STEPS]))


@needs("accelerate", "needs accelerate")
def test_accelerate(table: maskstat.WeightTable) -> None:
    """Steps of two batches take the model where steps of batches of two take it."""
    code = block("Accelerate").replace("torch.rand", "torch.manual_seed(0) and torch.rand", 1)
    assert code.count("batch_size=1") == code.count("islice(batches, 2)") == 1
    other = code.replace("batch_size=1", "batch_size=2").replace(
        "islice(batches, 2)", "islice(batches, 1)"
    )
    kept = "\nfound = [p.detach().clone() for p in model.parameters()]\n"
    run(
        code
        + kept
        + "first = found\n"
        + other
        + kept
        + "assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(first, found))\n"
    )


@needs("segmentation_models_pytorch", "needs segmentation_models_pytorch")
def test_segmentation_models_pytorch(table: maskstat.WeightTable) -> None:
    run(DECLARED + block("segmentation_models_pytorch"))


@needs("monai", "needs monai")
def test_monai(table: maskstat.WeightTable) -> None:
    run(block("MONAI"))


class LabelsWithAChannel(nn.CrossEntropyLoss):
    """What the page uses of nnunetv2's RobustCrossEntropyLoss."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Of labels that are floating, [N, 1, ...]."""
        return super().forward(logits, target[:, 0].long())


class UNetTrainer:
    """What the page uses of nnunetv2's nnUNetTrainer."""

    label_manager: Any
    enable_deep_supervision: bool

    def _build_loss(self) -> Any:
        pair = SimpleNamespace(ce=LabelsWithAChannel(ignore_index=self.label_manager.ignore_label))
        return SimpleNamespace(loss=pair) if self.enable_deep_supervision else pair


@pytest.mark.filterwarnings("ignore")  # nnU-Net's own, about its dependencies
@pytest.mark.parametrize("deep", [False, True], ids=["", "deep supervision"])
@pytest.mark.parametrize("installed", [False, True], ids=["interface", "installed"])
def test_nnunet(
    installed: bool, deep: bool, table: maskstat.WeightTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cross entropy of a trainer has the weights, with its own ignored label."""
    monkeypatch.setenv("nnUNet_compile", "f")
    if installed:
        declare()
        pytest.importorskip("nnunetv2")
    else:
        names = ("nnunetv2", "training", "nnUNetTrainer", "nnUNetTrainer")
        for depth in range(1, 5):
            name = ".".join(names[:depth])
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        sys.modules[name].__dict__["nnUNetTrainer"] = UNetTrainer
    ran: dict[str, Any] = {"__name__": "block"}
    exec(block("nnU-Net"), ran)
    kind = ran["nnUNetTrainerWeighted"]
    trainer = kind.__new__(kind)  # without plans and a folder of data
    vars(trainer).update(
        label_manager=SimpleNamespace(
            has_regions=False, ignore_label=31, num_segmentation_heads=31
        ),
        configuration_manager=SimpleNamespace(batch_dice=False, pool_op_kernel_sizes=[[1, 1]] * 3),
        device=torch.device("cpu"),
        enable_deep_supervision=deep,
        is_ddp=False,
    )
    loss = trainer._build_loss()
    pair = loss.loss if deep else loss
    logits = torch.randn(2, 31, 6, 8, generator=torch.manual_seed(0), requires_grad=True)
    labels = torch.randint(0, 32, (2, 1, 6, 8))
    expected = CrossEntropy(table, ignore_index=31)(logits, labels)
    torch.testing.assert_close(pair.ce(logits, labels.float()), expected)
    if installed:
        parts = ([logits] * 2, [labels.float()] * 2) if deep else (logits, labels.float())
        whole = loss(*parts)
        whole.backward()
        assert expected - 1 < whole < expected and torch.isfinite(logits.grad).all()
    trainer.label_manager.has_regions = True
    with pytest.raises(ValueError, match="pos_weight"):
        trainer._build_loss()
