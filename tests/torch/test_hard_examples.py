"""Online hard example mining: what is kept, what a mean of it is, and how it is computed."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.loops import at_least_one

torch = pytest.importorskip("torch")

from torch.func import grad, vmap  # noqa: E402
from torch.nn import functional as own  # noqa: E402

import maskstat.torch as mt  # noqa: E402
from maskstat.errors import ParameterError  # noqa: E402
from tests.support.loss_cases import drawn, soft_labels, weights_of  # noqa: E402
from tests.support.torch_loss_runs import class_first  # noqa: E402
from tests.torch.test_losses_modules import DYNAMO_WARNS  # noqa: E402

CLASSES = 5
MINING: list[dict[str, float]] = [
    {"top_k": 0.25},
    {"threshold": 0.3},
    {"top_k": 0.25, "threshold": 0.05},
    {"top_k": 0.25, "threshold": 0.6},
]


def images(seed: int = 0, *, ignored: bool = True) -> tuple[Any, Any]:
    """Logits [2, 5, 6, 4] in float64 and labels, 8 of the 48 ignored."""
    logits, labels = drawn(seed, (2, 6, 4), CLASSES)
    if ignored:
        labels[:, 5] = 255
    return class_first(logits), torch.from_numpy(labels)


def losses_of(z: Any, labels: Any) -> Any:
    """Of labelled elements alone, the hardest first."""
    losses = own.cross_entropy(z, labels, reduction="none", ignore_index=255)
    return losses[labels != 255].sort(descending=True).values


def mined(z: Any, labels: Any, **given: Any) -> Any:
    return mt.cross_entropy(z, labels, **{"ignore_index": 255, **given})


# --- what is kept -------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [1 / 40, 0.25, 0.5, 0.975])
def test_top_k_is_the_mean_of_the_hardest(share: float) -> None:
    z, labels = images()
    hardest = losses_of(z, labels)[: round(40 * share)]
    torch.testing.assert_close(mined(z, labels, top_k=share), hardest.mean())
    kept = mined(z, labels, top_k=share, reduction="none")
    torch.testing.assert_close(kept[kept > 0].sort(descending=True).values, hardest)


@given(st.integers(0, 10**6), st.floats(0.001, 1))
def test_a_share_between_two_elements_takes_a_part_of_the_next(seed: int, share: float) -> None:
    z, labels = images(seed)
    ranked, wanted = losses_of(z, labels), 40 * share
    parts = (wanted - torch.arange(40, dtype=torch.float64)).clamp(0, 1)
    torch.testing.assert_close(mined(z, labels, top_k=share), (parts * ranked).sum() / wanted)


@pytest.mark.parametrize("threshold", [0.02, 0.3, 0.7])
def test_threshold_keeps_what_is_less_likely(threshold: float) -> None:
    z, labels = images()
    p = z.softmax(1).gather(1, labels.clamp(max=4).unsqueeze(1)).squeeze(1)
    hard = (p < threshold) & (labels != 255)
    assert 0 < int(hard.sum()) < 40
    found = mined(z, labels, threshold=threshold)
    torch.testing.assert_close(found, -p[hard].log().mean())
    assert torch.equal(mined(z, labels, threshold=threshold, reduction="none") > 0, hard)


@given(st.integers(0, 10**6), st.sampled_from([0.01, 0.1, 0.4, 0.9]), st.integers(1, 39))
def test_both_are_the_usual_threshold_with_a_least_number(seed: int, least: float, n: int) -> None:
    """Of HRNet, MMSegmentation and PIDNet: below the larger one of threshold and n-th probability.

    Their mean divides the weighted losses by the number of kept elements.
    """
    z, labels = images(seed)
    known = labels != 255
    p = z.softmax(1).movedim(1, -1)[known]
    p = p.gather(1, labels[known].unsqueeze(1)).squeeze(1)
    weight = torch.tensor([0.5, 1.0, 3.0, 0.25, 2.0], dtype=torch.float64)
    kept = p < max(float(p.sort().values[n]), least)
    wanted = (weight[labels[known]] * -p.log())[kept].mean()
    found = mined(z, labels, top_k=n / 40, threshold=least, weight=weight, reduction="mean")
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "weighted-mean"])
@pytest.mark.parametrize("mining", MINING, ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_what_is_not_hard_may_as_well_be_ignored(
    mining: dict[str, float], reduction: str, smoothing: float
) -> None:
    """Values and gradients, with weights, weights of elements and smoothing, which choose none."""
    z, labels = images()
    hard = mined(z, labels, reduction="none", **mining) > 0
    assert 0 < int(hard.sum()) < 40
    rest = torch.where(hard, labels, 255)
    settings: dict[str, Any] = {
        "weight": weights_of(CLASSES)[::-1].copy(),
        "sample_weight": torch.linspace(0, 3, 48, dtype=torch.float64).view(2, 6, 4),
        "label_smoothing": smoothing,
        "reduction": reduction,
    }
    a, b = z.clone().requires_grad_(), z.clone().requires_grad_()
    one, other = mined(a, labels, **mining, **settings), mined(b, rest, **settings)
    torch.testing.assert_close(one, other)
    one.sum().backward()
    other.sum().backward()
    torch.testing.assert_close(a.grad, b.grad)


@given(st.integers(0, 10**6), st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_smaller_share_is_harder(seed: int, one: float, other: float) -> None:
    z, labels = images(seed)
    small, large = sorted((one, other))
    tolerance = 1e-12
    assert mined(z, labels, top_k=small) >= mined(z, labels, top_k=large) - tolerance
    assert mined(z, labels, top_k=small) <= losses_of(z, labels)[0] + tolerance


@pytest.mark.parametrize("mining", [{"top_k": 1}, {"top_k": 1.0}, {"threshold": 1.0}], ids=str)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "weighted-mean"])
def test_all_are_hard_in_the_limit(mining: dict[str, float], reduction: str) -> None:
    z, labels = images()
    weight = weights_of(CLASSES)
    found = mined(z, labels, weight=weight, reduction=reduction, **mining)
    torch.testing.assert_close(found, mined(z, labels, weight=weight, reduction=reduction))


@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "weighted-mean"])
def test_nothing_may_be_hard(reduction: str) -> None:
    z, labels = images()
    easy = (20 * own.one_hot(labels.clamp(max=4), CLASSES)).movedim(-1, 1).double()
    for logits, target, mining in (
        (easy, labels, {"threshold": 0.5}),
        (z, torch.full_like(labels, 255), {"top_k": 0.5}),
        (z[:0], labels[:0], {"top_k": 0.5, "threshold": 0.5}),
    ):
        given_logits = logits.clone().requires_grad_()
        value = mined(given_logits, target, reduction=reduction, **mining)
        value.sum().backward()
        assert not value.any()
        assert given_logits.grad is not None
        assert not given_logits.grad.any()


# --- ties ---------------------------------------------------------------------------------------


def test_equally_hard_elements_share_what_is_left() -> None:
    """4 of 8: the two hardest, and a third of each of six that are the same."""
    z = torch.zeros(8, 3, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    z[[2, 5], 0] = 2.0
    found = mt.cross_entropy(z, labels, top_k=0.5, reduction="none")
    hard = math.log(2 + math.exp(2))
    wanted = torch.full((8,), math.log(3) / 3, dtype=torch.float64)
    wanted[[2, 5]] = hard
    torch.testing.assert_close(found, wanted)
    mean = mt.cross_entropy(z, labels, top_k=0.5)
    torch.testing.assert_close(float(mean), (2 * hard + 2 * math.log(3)) / 4)
    # Weights: the average over all choices of two of the six. Of class 1 are three of these.
    weight = torch.tensor([1.0, 4.0, 2.0], dtype=torch.float64)
    found = mt.cross_entropy(z, labels, weight=weight, top_k=0.5, reduction="sum")
    total = 4 * hard + math.log(3) * 2 * (3 * 1 + 3 * 4) / 6
    torch.testing.assert_close(float(found), total)


def test_elements_that_are_learnt_dilute_no_mean() -> None:
    """Losses of exactly 0 are ties: the mean is still that of the wanted share."""
    z = torch.zeros(100, 3)
    z[10:, 0] = 200.0
    found = mt.cross_entropy(z, torch.zeros(100, dtype=torch.int64), top_k=0.2)
    assert float(found) == pytest.approx(math.log(3) / 2)


@given(st.integers(0, 10**6), st.floats(0.01, 1), st.randoms(use_true_random=False))
def test_no_order_of_elements_matters(seed: int, share: float, random: Any) -> None:
    logits, labels = drawn(seed, (30,), 3, spread=1.0)
    logits = np.repeat(logits[:10], 3, 0)  # three of each
    labels = np.repeat(labels[:10], 3)
    order = list(range(30))
    random.shuffle(order)
    settings: dict[str, Any] = {"top_k": share, "weight": [1.0, 3.0, 0.5], "reduction": "none"}
    found = mt.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels), **settings)
    moved = mt.cross_entropy(
        torch.from_numpy(logits[order]), torch.from_numpy(labels[order]), **settings
    )
    torch.testing.assert_close(moved, found[order])


# --- how it is computed ---------------------------------------------------------------------------


@pytest.mark.parametrize("mining", MINING, ids=str)
@pytest.mark.parametrize("soft", [False, True])
def test_derivatives(mining: dict[str, float], soft: bool) -> None:
    logits, labels = drawn(3, (1, 2, 4), 4)
    target = class_first(soft_labels(3, (1, 2, 4), 4)) if soft else torch.from_numpy(labels)
    z = class_first(logits).requires_grad_()
    weight = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64)

    def function(z: Any) -> Any:
        return mt.cross_entropy(z, target, weight=weight, **mining)

    assert torch.autograd.gradcheck(function, z)
    assert torch.autograd.gradgradcheck(function, z)


@DYNAMO_WARNS
@pytest.mark.parametrize("mining", MINING, ids=str)
@pytest.mark.parametrize("soft", [False, True])
def test_compiles_into_one_graph(mining: dict[str, float], soft: bool) -> None:
    torch._dynamo.reset()
    made = mt.CrossEntropy(weights_of(CLASSES), ignore_index=255, label_smoothing=0.1, **mining)
    compiled = torch.compile(made, fullgraph=True, backend="aot_eager")
    for seed in range(3):  # as many as are hard, other ones
        z, labels = images(seed)
        target = z.flip(1).softmax(1).float() if soft else labels
        a, b = z.float().requires_grad_(), z.float().requires_grad_()
        one, other = compiled(a, target), made(b, target)
        torch.testing.assert_close(one, other)
        one.backward()
        other.backward()
        torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize("mining", MINING, ids=str)
def test_vmap_and_grad_give_what_loops_give(mining: dict[str, float]) -> None:
    z, labels = images()
    made = mt.CrossEntropy(weights_of(CLASSES), ignore_index=255, **mining).double()
    alone = torch.stack([made(z[k : k + 1], labels[k : k + 1]) for k in range(2)])
    torch.testing.assert_close(vmap(lambda a, b: made(a[None], b[None]))(z, labels), alone)
    given_logits = z.clone().requires_grad_()
    made(given_logits, labels).backward()
    torch.testing.assert_close(grad(made)(z, labels), given_logits.grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("size", [1e4, 6e4])
def test_large_logits_are_finite(dtype: Any, size: float) -> None:
    z, labels = images()
    for mining in at_least_one(MINING):
        large = (z.sign() * size).to(dtype).requires_grad_()
        value = mined(large, labels, **mining)
        value.backward()
        assert torch.isfinite(value)
        assert large.grad is not None
        assert torch.isfinite(large.grad).all()


def test_copies_mine_as_well() -> None:
    z, labels = images()
    made = mt.CrossEntropy(weights_of(CLASSES), top_k=0.2, threshold=0.1, ignore_index=255)
    assert "top_k=0.2, threshold=0.1" in repr(made)
    assert made(z, labels) != mt.CrossEntropy(weights_of(CLASSES), ignore_index=255)(z, labels)
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert torch.equal(other(z, labels), made(z, labels))


# --- what means nothing ---------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [0, -0.1, 1.5, 20, 100_000, math.nan, math.inf])
@pytest.mark.parametrize("name", ["top_k", "threshold"])
def test_numbers_that_are_no_shares_are_refused(name: str, wrong: float) -> None:
    z, labels = images()
    says = "20% is 0.2" if name == "top_k" else "probability of the true class"
    with pytest.raises(ParameterError, match=f"{name} is {wrong}.*at most 1.*{says}"):
        mt.CrossEntropy(**{name: wrong})
    with pytest.raises(ParameterError, match=name):
        mined(z, labels, **{name: wrong})


@pytest.mark.parametrize("mining", [{"top_k": 0.5}, {"threshold": 0.5}], ids=str)
def test_labels_alone_have_no_divisor(mining: dict[str, float]) -> None:
    z, labels = images()
    made = mt.CrossEntropy(ignore_index=255, **mining)
    for call in (lambda: made.divisor(labels), lambda: made(z, labels, divisor=3.0)):
        with pytest.raises(ParameterError, match="depends on logits"):
            call()
