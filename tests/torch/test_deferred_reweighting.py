"""Deferred re-weighting: weights that are off until an epoch, and on after it."""

from __future__ import annotations

import copy
import inspect
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.loops import at_least_one

torch = pytest.importorskip("torch")

import maskstat.torch as mt  # noqa: E402
from maskstat.errors import ParameterError  # noqa: E402
from maskstat.weights.table import WeightTable  # noqa: E402
from tests.support.loss_oracles import LOSSES  # noqa: E402
from tests.torch.test_losses_modules import (  # noqa: E402
    CLASSES,
    DYNAMO_WARNS,
    batch,
    gradient_of,
    module,
)

REDUCTIONS = ["none", "sum", "mean", "weighted-mean"]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_weights_are_off_before_and_on_after(loss: str, reduction: str) -> None:
    z, target = batch(loss)
    weighted, plain = module(loss, reduction=reduction), module(loss, reduction=reduction)
    plain.weight = torch.ones(CLASSES)
    made = module(loss, reduction=reduction)
    schedule = mt.DeferredReweighting(made, start=3)
    for epoch in (None, 0, 1, 2, 3, 4, 2, 0, 100):
        if epoch is not None:
            schedule.step(epoch)
        wanted = weighted if epoch in (3, 4, 100) else plain
        for found, other in zip(
            gradient_of(made, z, target), gradient_of(wanted, z, target), strict=True
        ):
            assert torch.equal(found, other)
        if "mean" in reduction:
            assert made.divisor(target) == wanted.divisor(target)
    assert not torch.equal(weighted(z, target), plain(z, target))


@pytest.mark.parametrize("pos_weight", [3.0, [0.25, 2.0, 7.0]])
def test_positives_are_deferred_as_well(pos_weight: Any) -> None:
    z, target = torch.randn(2, 3, 4, 5), torch.randint(0, 2, (2, 3, 4, 5)).float()
    for kind in (mt.BinaryCrossEntropy, mt.BinaryFocal):
        made = kind(pos_weight)
        schedule = mt.DeferredReweighting(made, start=1)
        torch.testing.assert_close(made(z, target), kind()(z, target))
        schedule.step(1)
        assert torch.equal(made(z, target), kind(pos_weight)(z, target))


def test_from_epoch_0_on_nothing_is_deferred() -> None:
    z, labels = batch("focal")
    made = module("focal")
    mt.DeferredReweighting(made, start=0)
    assert torch.equal(made(z, labels), module("focal")(z, labels))


def trained(model: Any, criterion: Any, schedule: Any, epochs: range) -> Any:
    """Epochs of one step each on the same batch."""
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    z, labels = batch("ldam")
    for epoch in epochs:
        schedule.step(epoch)
        optimiser.zero_grad()
        criterion(model(z), labels).backward()
        optimiser.step()
    return model


def parts() -> tuple[Any, Any, Any]:
    torch.manual_seed(0)
    model = torch.nn.Conv2d(CLASSES, CLASSES, 1)
    criterion = module("ldam")
    return model, criterion, mt.DeferredReweighting(criterion, start=4)


def test_the_phases_are_the_papers() -> None:
    """Without weights, then with them: by hand, with two criteria."""
    by_hand, _, nothing = parts()
    trained(by_hand, module("ldam", weight=None), nothing, range(4))
    trained(by_hand, module("ldam"), nothing, range(4, 7))
    model = trained(*parts(), range(7))
    for found, wanted in at_least_one(zip(model.parameters(), by_hand.parameters(), strict=True)):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("stop", [1, 3, 4, 5, 6])
def test_training_resumes_in_either_phase(stop: int) -> None:
    """Nothing is said of weights, which are the same in every checkpoint."""
    whole = trained(*parts(), range(7))
    model, criterion, schedule = parts()
    trained(model, criterion, schedule, range(stop))
    saved = copy.deepcopy(
        {"model": model.state_dict(), "loss": criterion.state_dict(), "at": schedule.state_dict()}
    )
    assert saved["at"] == {"epoch": stop - 1}
    assert torch.equal(saved["loss"]["weight"], module("ldam").weight)
    assert set(saved["loss"]) == {"weight", "counts"}
    model, other, schedule = parts()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.load_state_dict(saved["model"])
        other.load_state_dict(saved["loss"])
        schedule.load_state_dict(saved["at"])
    z, labels = batch("ldam")
    assert torch.equal(other(z, labels), criterion(z, labels))
    trained(model, other, schedule, range(stop, 7))
    for found, wanted in at_least_one(zip(model.parameters(), whole.parameters(), strict=True)):
        assert torch.equal(found, wanted)


@DYNAMO_WARNS
def test_a_compiled_criterion_is_not_compiled_again() -> None:
    torch._dynamo.reset()
    made, z, labels = module("focal"), *batch("focal")
    schedule = mt.DeferredReweighting(made, start=1)
    graphs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(made, fullgraph=True, backend=backend)
    for epoch in (0, 1, 0, 1):
        schedule.step(epoch)
        wanted = module("focal", weight=None if epoch == 0 else module("focal").weight)
        torch.testing.assert_close(compiled(z, labels), wanted(z, labels))
    assert len(graphs) == 1


def test_the_phase_moves_with_the_criterion() -> None:
    made, z, labels = module("focal"), *batch("focal")
    schedule = mt.DeferredReweighting(made, start=1)
    half = torch.nn.ModuleList([made]).half().double()
    schedule.step(1)
    torch.testing.assert_close(half[0](z.double(), labels), module("focal")(z.double(), labels))
    schedule.step(0)
    plain = module("focal", weight=None)
    torch.testing.assert_close(copy.deepcopy(made)(z, labels), plain(z, labels))
    away = copy.deepcopy(made).to("meta")
    mt.DeferredReweighting(away, start=1).step(1)
    assert {buffer.device.type for buffer in away.buffers()} == {"meta"}


@pytest.mark.parametrize("wrong", [-1, 1.5, True, "3", None])
def test_a_start_that_is_no_epoch_is_refused(wrong: Any) -> None:
    with pytest.raises(ParameterError, match="whole number"):
        mt.DeferredReweighting(module("focal"), start=wrong)


def test_what_has_no_weights_is_refused() -> None:
    with pytest.raises(
        ParameterError, match=r"Focal was made without weight.*make it with weight="
    ):
        mt.DeferredReweighting(mt.Focal(), start=3)
    with pytest.raises(ParameterError, match="without pos_weight"):
        mt.DeferredReweighting(mt.BinaryFocal(), start=3)
    other: Any = torch.nn.CrossEntropyLoss(torch.ones(3))
    with pytest.raises(ParameterError, match=r"CrossEntropyLoss is no loss of maskstat\.torch"):
        mt.DeferredReweighting(other, start=3)


@pytest.mark.parametrize("owner", [mt.LDAM, mt.DeferredReweighting])
def test_the_docstrings_example_runs(
    owner: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.array([4000, 200, 30, 9, 7], np.int64)
    WeightTable(tuple("abcde"), 1 / pixels, pixels, "inverse").save("weights.json")
    text = inspect.getdoc(owner) or ""
    example = max(re.findall(r"(?:^    .*\n)+", text, re.MULTILINE), key=len)
    lines = inspect.cleandoc(example).replace("...", "seen.append(criterion(z, labels))")
    z, labels = batch("ldam")
    scope: dict[str, Any] = {**vars(mt), "z": z, "labels": labels, "seen": []}
    exec(lines, scope)
    assert scope["schedule"].start == 160
    counts = mt.load_counts("weights.json")
    plain = mt.LDAM(counts=counts, scale=1.0)(z, labels)
    weighted = mt.LDAM("weights.json", counts=counts, scale=1.0)(z, labels)
    if owner is mt.LDAM:
        torch.testing.assert_close(scope["criterion"](z, labels), plain)
    else:
        torch.testing.assert_close(
            torch.stack(scope["seen"]), torch.stack([plain] * 160 + [weighted] * 40)
        )
