"""The torch losses as modules: buffers, copies, compilation, several processes."""

from __future__ import annotations

import copy
import io
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.loops import at_least_one
from tests.support.paths import ROOT

torch = pytest.importorskip("torch")

import maskstat.torch as mt  # noqa: E402
from maskstat.errors import ParameterError  # noqa: E402
from tests.support.loss_cases import class_options, drawn, weights_of  # noqa: E402
from tests.support.loss_oracles import LOSSES  # noqa: E402
from tests.support.torch_loss_runs import class_first  # noqa: E402

CLASSES = 5
CLASS_OF = {
    "cross_entropy": mt.CrossEntropy,
    "focal": mt.Focal,
    "complement_entropy": mt.ComplementEntropy,
    "complement_cross_entropy": mt.ComplementCrossEntropy,
    "logit_adjusted": mt.LogitAdjusted,
    "ldam": mt.LDAM,
    "distance_aware": mt.DistanceAware,
}
# torch.compile uses what torch itself has deprecated.
DYNAMO_WARNS = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
BUFFERS = {"logit_adjusted": {"prior"}, "ldam": {"counts"}}


def module(loss: str, **given: Any) -> Any:
    options = class_options(loss, {}, CLASSES)
    return CLASS_OF[loss](**options, **{"weight": weights_of(CLASSES), "ignore_index": 2, **given})


def batch(loss: str, *, soft: bool = False, dtype: Any = torch.float32) -> tuple[Any, Any]:
    logits, labels = drawn(5, (2, 3, 4), CLASSES)
    z = class_first(logits).to(dtype)
    if loss == "distance_aware":
        return z, torch.softmax(4 * z, 1).round(decimals=1)
    return (z, torch.softmax(z.flip(1), 1)) if soft else (z, torch.from_numpy(labels))


def gradient_of(function: Any, z: Any, target: Any) -> Any:
    z = z.clone().requires_grad_()
    value = function(z, target)
    value.sum().backward()
    return value.detach(), z.grad


def test_every_loss_has_a_class() -> None:
    assert set(CLASS_OF) == set(LOSSES)
    for name in at_least_one(mt.__all__):
        assert getattr(mt, name) is not None


@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "weighted-mean"])
@pytest.mark.parametrize("loss", LOSSES)
def test_modules_are_their_functions(loss: str, reduction: str) -> None:
    z, target = batch(loss)
    function = getattr(mt.functional, loss)
    wanted = function(
        z,
        target,
        weight=weights_of(CLASSES),
        ignore_index=2,
        reduction=reduction,
        **class_options(loss, {}, CLASSES),
    )
    assert torch.equal(module(loss, reduction=reduction)(z, target), wanted)


@pytest.mark.parametrize("loss", LOSSES)
def test_defaults_are_the_functions_defaults(loss: str) -> None:
    z, target = batch(loss)
    options = class_options(loss, {}, CLASSES)
    wanted = getattr(mt.functional, loss)(z, target, **options)
    assert torch.equal(CLASS_OF[loss](**options)(z, target), wanted)


@pytest.mark.parametrize("loss", LOSSES)
def test_what_belongs_to_classes_is_a_buffer(loss: str) -> None:
    made = module(loss)
    assert set(made.state_dict()) == {"weight"} | BUFFERS.get(loss, set())
    assert list(made.parameters()) == []
    assert {buffer.dtype for buffer in made.buffers()} == {torch.float32}
    assert {buffer.dtype for buffer in copy.deepcopy(made).double().buffers()} == {torch.float64}
    assert {buffer.device.type for buffer in copy.deepcopy(made).to("meta").buffers()} == {"meta"}
    options = {key: np.ones(CLASSES) for key in class_options(loss, {}, CLASSES)}
    other = CLASS_OF[loss](**options, weight=torch.ones(CLASSES), ignore_index=2)
    with pytest.warns(UserWarning, match="of the checkpoint takes the place"):
        other.load_state_dict(made.state_dict())
    z, target = batch(loss)
    assert torch.equal(other(z, target), made(z, target))


@pytest.mark.parametrize("loss", LOSSES)
def test_copies_are_equal(loss: str) -> None:
    made = module(loss, reduction="sum")
    z, target = batch(loss)
    saved = io.BytesIO()
    torch.save(made, saved)
    saved.seek(0)
    copies = [
        copy.deepcopy(made),
        pickle.loads(pickle.dumps(made)),
        torch.load(saved, weights_only=False),
    ]
    for other in copies:
        assert torch.equal(other(z, target), made(z, target))
        assert repr(other) == repr(made)


def test_a_module_says_what_it_is() -> None:
    assert repr(mt.Focal(torch.ones(4), gamma=0.5, ignore_index=255)) == (
        "Focal(4 weights, ignore_index=255, reduction='weighted-mean', gamma=0.5)"
    )
    assert repr(mt.CrossEntropy()) == (
        "CrossEntropy(ignore_index=-100, reduction='weighted-mean', label_smoothing=0.0, "
        "top_k=None, threshold=None)"
    )


def test_weights_are_copied_and_may_be_set_later() -> None:
    given = torch.tensor([1.0, 2.0, 4.0])
    criterion = mt.LDAM(counts=[10, 5, 1], weight=given)
    given.zero_()
    assert criterion.weight.tolist() == [1, 2, 4]
    late = mt.LDAM(counts=[10, 5, 1])
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 1])
    before = late(logits, labels)
    late.weight = torch.tensor([1.0, 2.0, 4.0])
    assert torch.equal(late(logits, labels), criterion(logits, labels))
    assert late(logits, labels) != before
    assert "weight" in late.state_dict()


@pytest.mark.parametrize(
    "make",
    [
        lambda: mt.CrossEntropy([1.0, -1.0]),
        lambda: mt.Focal([1.0, float("nan")]),
        lambda: mt.Focal(gamma=-1),
        lambda: mt.ComplementEntropy([[1.0, 2.0]]),
        lambda: mt.ComplementCrossEntropy(gamma=float("inf")),
        lambda: mt.LogitAdjusted(prior=[0.0, 0.0]),
        lambda: mt.LogitAdjusted(prior=[0.5, 0.5], tau=float("nan")),
        lambda: mt.LDAM(counts=[-1, 3]),
        lambda: mt.LDAM(counts=[1, 3], max_margin=-0.5),
        lambda: mt.DistanceAware(alpha=-1),
        lambda: mt.DistanceAware(reduction="batchmean"),
    ],
)
def test_what_means_nothing_is_refused_at_construction(make: Any) -> None:
    with pytest.raises(ParameterError):
        make()


# --- compilation --------------------------------------------------------------------------------


@DYNAMO_WARNS
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("loss", [*LOSSES, "smoothed"])
def test_compiles_into_one_graph(loss: str, soft: bool) -> None:
    """aot_eager traces forward and backward as every compiler's front end does."""
    torch._dynamo.reset()
    smoothed = {"label_smoothing": 0.1, "ignore_index": [2, 255]} if loss == "smoothed" else {}
    loss = "cross_entropy" if smoothed else loss
    made = module(loss, **smoothed)
    z, target = batch(loss, soft=soft)
    compiled = torch.compile(made, fullgraph=True, backend="aot_eager")
    for found, wanted in zip(
        gradient_of(compiled, z, target), gradient_of(made, z, target), strict=True
    ):
        torch.testing.assert_close(found, wanted)
    factors = torch.linspace(0, 2, len(z))
    torch.testing.assert_close(
        compiled(z, target, sample_weight=factors), made(z, target, sample_weight=factors)
    )
    if loss != "distance_aware" and not soft:
        with pytest.raises((RuntimeError, IndexError), match="out of"):
            compiled(z, target + CLASSES)


@pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "c++", "clang++"))),
    reason="torch.compile's inductor needs a C++ compiler",
)
@DYNAMO_WARNS
def test_inductor_gives_the_same_numbers() -> None:
    torch._dynamo.reset()
    made = module("complement_cross_entropy")
    z, target = batch("complement_cross_entropy")
    compiled = torch.compile(made, fullgraph=True)
    for found, wanted in zip(
        gradient_of(compiled, z, target), gradient_of(made, z, target), strict=True
    ):
        torch.testing.assert_close(found, wanted)
    entropy = torch.compile(module("complement_entropy"), fullgraph=True)
    assert torch.equal(entropy(z, target) > 0, torch.tensor(True))
    for wrong in (target + CLASSES, target - CLASSES):
        with pytest.raises(RuntimeError, match=r"out of|index"):
            entropy(z, wrong)


# --- several processes --------------------------------------------------------------------------

PARTS = """
import os
import sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from maskstat.torch import ComplementCrossEntropy, complement_cross_entropy

rank, rendezvous, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.set_num_threads(1)
torch.manual_seed(0)
model, images = torch.nn.Linear(6, 4).double(), torch.randn(8, 6, dtype=torch.double)
labels = torch.tensor([0, 1, 2, 3, 255, 1, 255, 255])
weight = torch.tensor([0.5, 1.0, 4.0, 2.0])
mine = slice(4 * rank, 4 * rank + 4)
dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
ddp = DistributedDataParallel(model)
found = {}
for reduction in ("sum", "mean", "weighted-mean"):
    criterion = ComplementCrossEntropy(weight, ignore_index=255, reduction=reduction)
    ddp.zero_grad()
    criterion(ddp(images[mine]), labels[mine]).backward()
    found[reduction] = [p.grad.clone() for p in model.parameters()]

# One mean over all processes: the sum, divided by what all have.
of_batch = weight[labels[mine][labels[mine] != 255]].sum()
dist.all_reduce(of_batch)
ddp.zero_grad()
total = complement_cross_entropy(
    ddp(images[mine]), labels[mine], weight=weight, ignore_index=255, reduction="sum"
)
(total * dist.get_world_size() / of_batch).backward()
found["exact"] = [p.grad.clone() for p in model.parameters()]
dist.destroy_process_group()

if rank == 0:
    for reduction in ("sum", "mean", "weighted-mean"):
        criterion = ComplementCrossEntropy(weight, ignore_index=255, reduction=reduction)
        model.zero_grad()
        criterion(model(images), labels).backward()
        found["single " + reduction] = [p.grad.clone() for p in model.parameters()]
    torch.save(found, out)
# Some versions of torch abort now and then when gloo's threads outlive the interpreter.
os._exit(0)
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
def test_two_processes_give_the_gradients_of_one(tmp_path: Path) -> None:
    """Sums do (DDP averages: times 2), and a mean that divides by what all processes have."""
    script = tmp_path / "parts.py"
    script.write_text(PARTS, encoding="utf-8")
    out = tmp_path / "gradients.pt"
    running = [
        subprocess.Popen(
            [sys.executable, script, str(rank), tmp_path / "rendezvous", out],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for process in running:
            said, _ = process.communicate(timeout=120)
            if process.returncode != 0 and "interface" in said.lower():
                pytest.skip(f"gloo finds no network interface here: {said.splitlines()[-1]}")
            assert process.returncode == 0, said
    finally:
        for process in running:
            process.kill()
            process.wait()
    found = torch.load(out)
    for both, one in at_least_one(zip(found["sum"], found["single sum"], strict=True)):
        torch.testing.assert_close(2 * both, one)
    for both, one in at_least_one(zip(found["exact"], found["single weighted-mean"], strict=True)):
        torch.testing.assert_close(both, one)
    for reduction in ("mean", "weighted-mean"):
        pairs = zip(found[reduction], found[f"single {reduction}"], strict=True)
        assert not all(torch.allclose(both, one) for both, one in pairs)


# --- absence ------------------------------------------------------------------------------------


def test_without_torch_the_import_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from maskstat.errors import MissingExtraError\n"
        "try:\n    import maskstat.torch\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert 'pip install "maskstat[torch]"' in done.stdout
