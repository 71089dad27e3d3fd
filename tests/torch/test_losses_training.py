"""Complement objective training: what its two steps do."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.loops import at_least_one

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from maskstat.errors import ParameterError  # noqa: E402
from maskstat.torch import (  # noqa: E402
    ComplementObjectiveTraining,
    Focal,
    complement_entropy,
    cross_entropy,
)

CLASSES = 4


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small are faster without threads, whatever else the machine does."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def toy(seed: int = 0) -> tuple[Any, Any, Any]:
    """A linear model, images of 6 features in 4 noisy clusters, labels; some ignored."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(CLASSES, 6, generator=generator)
    labels = torch.randint(0, CLASSES, (60,), generator=generator)
    images = centres[labels] + 0.5 * torch.randn(60, 6, generator=generator)
    labels[::9] = 255
    model = nn.Linear(6, CLASSES)
    with torch.no_grad():
        model.weight.copy_(0.3 * torch.randn(CLASSES, 6, generator=generator))
        model.bias.zero_()
    return model, images, labels


def training_of(model: Any, rate: float = 0.1, **options: Any) -> ComplementObjectiveTraining:
    return ComplementObjectiveTraining(
        torch.optim.SGD(model.parameters(), lr=rate),
        torch.optim.SGD(model.parameters(), lr=rate),
        ignore_index=255,
        **options,
    )


def objectives(model: Any, images: Any, labels: Any) -> tuple[float, float]:
    with torch.no_grad():
        logits = model(images)
        return (
            float(cross_entropy(logits, labels, ignore_index=255)),
            float(complement_entropy(logits, labels, ignore_index=255)) / (CLASSES - 1),
        )


def test_two_steps_are_two_gradient_steps() -> None:
    """By hand: down the cross entropy, then up C / (K - 1) from where that led."""
    model, images, labels = toy()
    by_hand = copy.deepcopy(model)
    weight = torch.tensor([1.0, 2.0, 0.5, 3.0])
    primary, complement = training_of(model, weight=weight).step(lambda: model(images), labels)

    arguments: dict[str, Any] = {"weight": weight, "ignore_index": 255}
    for sign, loss in ((-1, cross_entropy), (1 / (CLASSES - 1), complement_entropy)):
        by_hand.zero_grad()
        value = loss(by_hand(images), labels, **arguments)
        value.backward()
        with torch.no_grad():
            for parameter in by_hand.parameters():
                parameter += sign * 0.1 * parameter.grad
        wanted = value.detach() * abs(sign)
        torch.testing.assert_close(primary if sign == -1 else complement, wanted)
    for ours, hand in at_least_one(zip(model.parameters(), by_hand.parameters(), strict=True)):
        torch.testing.assert_close(ours, hand)


def test_each_step_does_its_part() -> None:
    """With the other optimiser's rate at 0: the first lowers H, the second raises C."""
    for rates, index, sign in (((0.05, 0.0), 0, -1), ((0.0, 0.05), 1, 1)):
        model, images, labels = toy()
        training = ComplementObjectiveTraining(
            torch.optim.SGD(model.parameters(), lr=rates[0]),
            torch.optim.SGD(model.parameters(), lr=rates[1]),
            ignore_index=255,
        )
        for _ in range(10):
            before = objectives(model, images, labels)[index]
            said = training.step(lambda model=model, images=images: model(images), labels)
            assert float(said[index]) == pytest.approx(before, rel=1e-5)
            assert sign * (objectives(model, images, labels)[index] - before) > 0


def test_training_flattens_the_wrong_classes() -> None:
    """Against plain training as long: both fit, and here C ends nearer to its maximum."""
    model, images, labels = toy()
    plain = copy.deepcopy(model)
    training = training_of(model)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    for _ in range(200):
        training.step(lambda: model(images), labels)
        optimizer.zero_grad()
        cross_entropy(plain(images), labels, ignore_index=255).backward()
        optimizer.step()
    start = objectives(toy()[0], images, labels)
    ours, theirs = objectives(model, images, labels), objectives(plain, images, labels)
    most = math.log(CLASSES - 1) / (CLASSES - 1)
    assert ours[0] < start[0] / 2
    assert theirs[1] < ours[1] < most


def test_another_primary_loss_and_one_optimiser_twice() -> None:
    model, images, labels = toy()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    focal = Focal(gamma=1.0, ignore_index=255)
    training = ComplementObjectiveTraining(
        optimizer, optimizer, ignore_index=255, reduction="mean", primary=focal
    )
    wanted = focal(model(images), labels).detach()
    primary, _ = training.step(lambda: model(images), labels)
    assert torch.equal(primary, wanted)
    assert not primary.requires_grad


def test_work_before_steps_sees_gradients_of_each() -> None:
    model, images, labels = toy()
    seen: list[Any] = []

    def clip(optimizer: Any) -> None:
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
        seen.append((optimizer, float(norm)))

    training = training_of(model, before_step=clip)
    before = [p.detach().clone() for p in model.parameters()]
    training.step(lambda: model(images), labels)
    assert [optimizer for optimizer, _ in seen] == [
        training.optimizer,
        training.complement_optimizer,
    ]
    assert all(norm > 1e-3 for _, norm in seen)
    pairs = zip(before, model.parameters(), strict=True)
    moved = torch.cat([(old - new.detach()).flatten() for old, new in pairs])
    assert 0 < float(moved.norm()) < 2.1e-4


def test_scaled_gradients_are_unscaled_and_overflows_skip_one_step() -> None:
    model, images, labels = toy()
    plain = copy.deepcopy(model)
    seen: list[float] = []
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=1)
    training = training_of(
        model, scaler=scaler, before_step=lambda _: seen.append(float(model.bias.grad.norm()))
    )
    training.step(lambda: model(images), labels)
    norms: list[float] = []
    training_of(plain, before_step=lambda _: norms.append(float(plain.bias.grad.norm()))).step(
        lambda: plain(images), labels
    )
    assert seen == pytest.approx(norms, rel=1e-5)
    for ours, theirs in at_least_one(zip(model.parameters(), plain.parameters(), strict=True)):
        torch.testing.assert_close(ours, theirs)
    assert scaler.get_scale() == 4096  # grown after each of the two steps

    calls = [0]

    def overflowing_first() -> Any:
        calls[0] += 1
        logits = model(images)
        return logits * torch.inf if calls[0] == 1 else logits

    before = copy.deepcopy(model)
    training = training_of(model, scaler=scaler)
    training.step(overflowing_first, labels)
    assert scaler.get_scale() == 4096  # halved by the first step, doubled by the second
    after_complement = copy.deepcopy(before)
    value = complement_entropy(after_complement(images), labels, ignore_index=255)
    (value / (CLASSES - 1)).backward()
    with torch.no_grad():
        for parameter in after_complement.parameters():
            parameter += 0.1 * parameter.grad
    for ours, wanted in at_least_one(
        zip(model.parameters(), after_complement.parameters(), strict=True)
    ):
        torch.testing.assert_close(ours, wanted)


def test_autocast_belongs_to_the_forward_function() -> None:
    model, images, labels = toy()

    def forward() -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return model(images)

    primary, complement = training_of(model).step(forward, labels)
    assert primary.dtype == complement.dtype == torch.float32
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_terms_for_other_loops() -> None:
    model, images, labels = toy()
    training = training_of(model)
    logits = model(images)
    primary, complement = objectives(model, images, labels)
    assert float(training.primary_loss(logits, labels).detach()) == pytest.approx(primary)
    assert float(training.complement_loss(logits, labels).detach()) == pytest.approx(-complement)


def test_refused() -> None:
    model, _, _ = toy()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ParameterError, match="L-BFGS"):
        ComplementObjectiveTraining(sgd, torch.optim.LBFGS(model.parameters()))
    with pytest.raises(ParameterError, match="one number"):
        ComplementObjectiveTraining(sgd, sgd, reduction="none")
    with pytest.raises(ParameterError, match=r"reduction: .* is not one of"):
        ComplementObjectiveTraining(sgd, sgd, reduction="batch")
    with pytest.raises(ParameterError, match="weight must be"):
        ComplementObjectiveTraining(sgd, sgd, weight=[1.0, -1.0])
