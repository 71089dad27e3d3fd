"""The torch losses: the oracle's numbers, torch's own, and the laws they obey."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.loops import at_least_one

torch = pytest.importorskip("torch")

from torch.nn import functional as own  # noqa: E402

from maskstat.torch import functional  # noqa: E402
from tests.support.loss_cases import (  # noqa: E402
    CASES,
    SPARSE_CASES,
    LossCase,
    class_options,
    drawn,
    expected,
    one_hot,
    soft_labels,
    weights_of,
)
from tests.support.loss_oracles import LABEL_LOSSES, LOSSES, REDUCTIONS  # noqa: E402
from tests.support.torch_loss_runs import (  # noqa: E402
    apart,
    class_first,
    rounded,
    tensors,
    value_and_gradient,
)

TWO_CLASSES = pytest.mark.filterwarnings("ignore:the complement entropy of two classes")
HALF = [torch.float16, torch.bfloat16]
DOUBLE = torch.float64


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small are faster without threads, whatever else the machine does."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def cases_of(loss: str) -> list[LossCase]:
    return [case for case in CASES if case.loss == loss]


def failures(
    cases: list[LossCase], reductions: tuple[str, ...], dtype: Any, tolerance: float, far: float
) -> list[str]:
    """Cases whose value or gradient is further from the oracle than tolerance (far: extreme)."""
    found = []
    for case in cases:
        logits = rounded(case, dtype)
        for reduction in reductions:
            pairs = zip(
                value_and_gradient(case, reduction, dtype),
                expected(case, reduction, logits),
                strict=True,
            )
            distance = max(apart(ours, oracle) for ours, oracle in pairs)
            if not distance <= (far if case.extreme else tolerance):
                found.append(f"{case.name}, {reduction}: {distance:.3g}")
    return found


# --- the oracle ---------------------------------------------------------------------------------


@TWO_CLASSES
@pytest.mark.parametrize("loss", LOSSES)
def test_value_and_gradient_in_float64(loss: str) -> None:
    assert failures(cases_of(loss), REDUCTIONS, DOUBLE, 1e-12, 2e-11) == []


@TWO_CLASSES
@pytest.mark.parametrize("loss", LOSSES)
def test_value_and_gradient_in_float32(loss: str) -> None:
    wrong = failures(cases_of(loss), ("none", "weighted-mean"), torch.float32, 4e-6, 2e-4)
    assert wrong == []


@TWO_CLASSES
@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_is_computed_in_float32(loss: str, dtype: Any) -> None:
    """Values are float32's; gradients are rounded to the logits' type at the end."""
    grain = float(torch.finfo(dtype).eps)
    assert failures(cases_of(loss), ("mean",), dtype, grain, grain) == []


@TWO_CLASSES
@pytest.mark.parametrize("loss", LABEL_LOSSES)
def test_one_hot_labels_give_the_same_as_sparse_ones(loss: str) -> None:
    for case in at_least_one(SPARSE_CASES):
        if case.loss == loss:
            for reduction in REDUCTIONS:
                sparse = value_and_gradient(case, reduction)
                dense = value_and_gradient(one_hot(case), reduction)
                for one, other in zip(sparse, dense, strict=True):
                    assert apart(one, other) < 2e-11, (case.name, reduction)


@TWO_CLASSES
@pytest.mark.parametrize("loss", LOSSES)
def test_autocast_gives_what_float32_gives(loss: str) -> None:
    """The layer before makes bfloat16 logits; the loss of those is taken in float32."""
    for case in at_least_one(cases_of(loss)[::5]):
        logits, target = tensors(case, torch.float32)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            made = own.linear(logits, torch.eye(logits.shape[-1]))
            value = getattr(functional, loss)(made, target, reduction="mean", **case.arguments)
        assert made.dtype == torch.bfloat16
        assert value.dtype == torch.float32
        value.backward()
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all(), case.name
        wanted, _ = expected(case, "mean", rounded(case, torch.bfloat16))
        assert apart(value.detach().double().numpy(), wanted) < 2e-4, case.name


# --- torch's own --------------------------------------------------------------------------------

torch_reductions = {"none": "none", "sum": "sum", "weighted-mean": "mean"}


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [-100, 2, 255])
def test_sparse_cross_entropy_is_torchs(weighted: bool, ignored: int, smoothing: float) -> None:
    logits, labels = drawn(1, (3, 4, 5), 6)
    labels[:, 1] = ignored
    z, t = class_first(logits), torch.from_numpy(labels)
    weight = torch.from_numpy(weights_of(6)) if weighted else None
    for ours, theirs in torch_reductions.items():
        a, b = z.clone().requires_grad_(), z.clone().requires_grad_()
        common: Any = {"ignore_index": ignored, "label_smoothing": smoothing}
        mine = functional.cross_entropy(a, t, weight=weight, reduction=ours, **common)
        other = own.cross_entropy(b, t, weight, reduction=theirs, **common)
        torch.testing.assert_close(mine, other, rtol=1e-13, atol=1e-13)
        mine.sum().backward()
        other.sum().backward()
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_soft_cross_entropy_is_torchs(smoothing: float) -> None:
    logits, _ = drawn(2, (3, 4), 6)
    z, y = class_first(logits), class_first(soft_labels(3, (3, 4), 6))
    if smoothing:  # torch smoothes labels of any sum alike, also those without any
        y = z.flip(1).softmax(1)
    weight = torch.from_numpy(weights_of(6))
    for reduction in ("none", "sum"):
        common: Any = {"reduction": reduction, "label_smoothing": smoothing}
        mine = functional.cross_entropy(z, y, weight=weight, **common)
        other = own.cross_entropy(z, y, weight, **common)
        torch.testing.assert_close(mine, other, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.5])
def test_two_class_focal_is_the_sigmoids(gamma: float) -> None:
    """Softmax of (0, z) is the sigmoid of z, for which Lin et al. wrote the loss."""
    z = torch.linspace(-8, 8, 33, dtype=DOUBLE)
    p = torch.sigmoid(z)
    wanted = -((1 - p) ** gamma) * torch.log(p)
    both = torch.stack([torch.zeros_like(z), z], 1)
    found = functional.focal(both, torch.ones(33, dtype=torch.int64), gamma=gamma, reduction="none")
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=0)


# --- limits and laws ----------------------------------------------------------------------------

NEUTRAL: dict[str, dict[str, Any]] = {
    "focal": {"gamma": 0.0},
    "complement_cross_entropy": {"gamma": 0.0},
    "logit_adjusted": {"tau": 0.0, "prior": [5.0, 1.0, 0.0, 2.0, 3.0]},
    "ldam": {"max_margin": 0.0, "scale": 1.0, "counts": [5.0, 1.0, 0.0, 2.0, 3.0]},
}


@pytest.mark.parametrize("loss", NEUTRAL)
@pytest.mark.parametrize("labels", ["sparse", "soft"])
def test_neutral_parameters_are_cross_entropy(loss: str, labels: str) -> None:
    logits, sparse = drawn(4, (2, 3, 4), 5)
    target = sparse if labels == "sparse" else soft_labels(5, (2, 3, 4), 5)
    plain = LossCase("CE", "cross_entropy", logits, target, weights_of(5))
    neutral = replace(plain, loss=loss, options=NEUTRAL[loss])
    for one, other in zip(
        value_and_gradient(plain, "weighted-mean"),
        value_and_gradient(neutral, "weighted-mean"),
        strict=True,
    ):
        assert apart(one, other) < 1e-14


def drawn_case(loss: str, seed: int, sparse: bool, classes: int = 5, batch: int = 3) -> LossCase:
    shape = (batch, 2, 3)
    logits, labels = drawn(seed, shape, classes)
    generator = np.random.default_rng(seed)
    target: Any = labels if sparse else soft_labels(seed, shape, classes)
    if loss == "distance_aware":
        target = generator.integers(-1, 5, (*shape, classes)) / 4.0
    elif sparse:
        target[generator.random(shape) < 0.2] = 255
    weight = generator.integers(0, 9, classes) / 4.0
    return LossCase("drawn", loss, logits, target, weight, 255, class_options(loss, {}, classes))


drawn_cases = st.builds(
    drawn_case, st.sampled_from(LOSSES), st.integers(0, 10**6), st.booleans(), st.integers(3, 8)
)


@given(drawn_cases)
def test_reductions_belong_together(case: LossCase) -> None:
    values, gradients = value_and_gradient(case, "none")
    total, slope = value_and_gradient(case, "sum")
    assert apart(total, np.asarray(values.sum())) < 1e-13
    assert apart(slope, gradients) < 1e-13
    for reduction in ("mean", "weighted-mean"):
        mean, of_mean = value_and_gradient(case, reduction)
        assert apart(mean * slope, total * of_mean) < 1e-12


@given(drawn_cases, st.floats(0.01, 100))
def test_weighted_means_know_no_scale_of_weights(case: LossCase, scale: float) -> None:
    """As long as there is anything to divide by."""
    scaled = replace(case, weight=case.weight * scale)
    if case.loss == "distance_aware" and not (case.weight * (case.target == 1)).any():
        return
    for one, other in zip(
        value_and_gradient(case, "weighted-mean"),
        value_and_gradient(scaled, "weighted-mean"),
        strict=True,
    ):
        assert apart(one, other) < 1e-12


@given(drawn_cases, st.randoms(use_true_random=False))
def test_classes_have_no_order(case: LossCase, random: Any) -> None:
    order = list(range(case.classes))
    random.shuffle(order)
    places = np.argsort(order)
    if not case.sparse:
        target = case.target[..., order]
    else:
        known = case.target != 255
        target = np.where(known, places[np.where(known, case.target, 0)], 255)
    per_class = {
        key: value[order] for key, value in case.options.items() if key in ("prior", "counts")
    }
    moved = replace(
        case,
        logits=case.logits[..., order],
        target=target,
        weight=case.weight[order],
        options={**case.options, **per_class},
    )
    value, gradient = value_and_gradient(case, "weighted-mean")
    of_moved, moved_gradient = value_and_gradient(moved, "weighted-mean")
    assert apart(of_moved, value) < 1e-12
    assert apart(moved_gradient, gradient[..., order]) < 1e-12


@given(drawn_cases, st.integers(1, 2))
def test_sums_of_parts_add_up(case: LossCase, cut: int) -> None:
    whole = value_and_gradient(case, "sum")
    parts = [
        value_and_gradient(replace(case, logits=case.logits[s], target=case.target[s]), "sum")
        for s in (slice(None, cut), slice(cut, None))
    ]
    assert apart(parts[0][0] + parts[1][0], whole[0]) < 1e-13
    assert apart(np.concatenate([parts[0][1], parts[1][1]]), whole[1]) < 1e-13


@given(st.sampled_from(LABEL_LOSSES), st.integers(0, 10**6), st.booleans())
def test_a_common_shift_of_logits_changes_nothing(loss: str, seed: int, sparse: bool) -> None:
    case = drawn_case(loss, seed, sparse)
    for one, other in zip(
        value_and_gradient(case, "mean"),
        value_and_gradient(replace(case, logits=case.logits + 3.25), "mean"),
        strict=True,
    ):
        assert apart(one, other) < 1e-12
    assert abs(value_and_gradient(case, "mean")[1].sum(-1)).max() < 1e-13


@given(drawn_cases)
def test_unit_weights_are_no_weights(case: LossCase) -> None:
    ones = replace(case, weight=np.ones(case.classes))
    none = replace(case, weight=None)
    for reduction in REDUCTIONS:
        for one, other in zip(
            value_and_gradient(ones, reduction), value_and_gradient(none, reduction), strict=True
        ):
            assert apart(one, other) < 1e-13
    if case.loss != "distance_aware" and case.sparse:
        mean = value_and_gradient(none, "mean")[0]
        assert mean == pytest.approx(value_and_gradient(none, "weighted-mean")[0])


@given(st.integers(0, 10**6), st.integers(3, 30))
def test_complement_entropy_is_between_0_and_its_maximum(seed: int, classes: int) -> None:
    logits, labels = drawn(seed, (20,), classes, spread=10.0)
    z, t = class_first(logits), torch.from_numpy(labels)
    for given_logits in (z, torch.zeros_like(z)):
        value = functional.complement_entropy(given_logits, t, reduction="none")
        assert (value >= 0).all()
        assert (value <= np.log(classes - 1) + 1e-12).all()
    assert value[0] == pytest.approx(np.log(classes - 1))


# --- weights of elements -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sparse", "one-hot"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LABEL_LOSSES)
def test_sample_weights_join_the_weights(loss: str, weighted: bool, kind: str) -> None:
    logits, labels = drawn(7, (3, 2, 4), 5)
    labels[:, 1, 1] = 255
    weight = weights_of(5) if weighted else np.ones(5)
    factors = np.random.default_rng(1).uniform(0, 2, (3, 2, 4))
    factors[0, 0, 0] = 0
    options = class_options(loss, {}, 5)
    case = LossCase("plain", loss, logits, labels, weight, 255, options)
    plain, slopes = expected(case, "none")
    counted = labels != 255
    of_labels = weight[np.where(counted, labels, 0)] * counted
    divisors = {"sum": 1.0, "mean": counted.sum(), "weighted-mean": (of_labels * factors).sum()}
    target = torch.from_numpy(labels) if kind == "sparse" else class_first(one_hot(case).target)
    settings: dict[str, Any] = {"ignore_index": 255, **options}
    if weighted:
        settings["weight"] = weight
    function = getattr(functional, loss)
    for reduction in REDUCTIONS:
        divisor = divisors.get(reduction, 1.0)
        for form in (factors, factors[:, None]):
            z = class_first(logits).requires_grad_()
            found = function(
                z, target, reduction=reduction, sample_weight=torch.from_numpy(form), **settings
            )
            found.sum().backward()
            wanted = plain * factors / divisor
            total = wanted if reduction == "none" else np.asarray(wanted.sum())
            assert apart(found.detach().numpy(), total) < 1e-12
            assert z.grad is not None
            gradient = np.moveaxis(z.grad.numpy(), 1, -1)
            assert apart(gradient, slopes * factors[..., None] / divisor) < 1e-11


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_sample_weights_may_be_one_number_an_image(loss: str, reduction: str) -> None:
    logits, labels = drawn(8, (3, 2, 4), 5)
    z, factors = class_first(logits), torch.tensor([0.5, 0.0, 3.0])
    heat = (z.softmax(1) * 4).round() / 4
    heat[0, :, 0, 0] = 1
    target = heat if loss == "distance_aware" else torch.from_numpy(labels)
    options = {**class_options(loss, {}, 5), "weight": weights_of(5), "reduction": reduction}
    whole = factors.view(3, 1, 1).expand(3, 2, 4)
    function = getattr(functional, loss)
    wanted = function(z, target, sample_weight=whole, **options)
    torch.testing.assert_close(function(z, target, sample_weight=factors, **options), wanted)
    ones = torch.ones(3, 2, 4)
    plain = function(z, target, **options)
    torch.testing.assert_close(function(z, target, sample_weight=ones, **options), plain)
    if reduction == "none":
        along = whole.unsqueeze(1) if loss == "distance_aware" else whole
        torch.testing.assert_close(wanted, plain * along)
    if reduction == "weighted-mean" and loss == "distance_aware":
        keys = (heat == 1) * whole.unsqueeze(1) * torch.tensor(weights_of(5)).view(1, 5, 1, 1)
        total = function(z, target, sample_weight=whole, **{**options, "reduction": "sum"})
        torch.testing.assert_close(wanted, total / keys.sum())


# --- nothing to learn from ----------------------------------------------------------------------


@TWO_CLASSES
@pytest.mark.parametrize("loss", LABEL_LOSSES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("why", ["ignored", "all zeros", "weight 0", "empty"])
def test_nothing_left_is_exactly_0(loss: str, reduction: str, why: str) -> None:
    classes, shape = 4, (0, 3) if why == "empty" else (2, 3)
    logits, _ = drawn(6, shape, classes)
    target: Any = np.full(shape, 255)
    weight = weights_of(classes)
    if why == "all zeros":
        target = np.zeros((*shape, classes))
    elif why == "weight 0":
        target = np.full(shape, int(np.flatnonzero(weight == 0)[0]))
    options = class_options(loss, {}, classes)
    case = LossCase("nothing", loss, logits, target, weight, 255, options)
    value, gradient = value_and_gradient(case, reduction)
    assert (value == 0).all()
    assert (gradient == 0).all()


@pytest.mark.parametrize("ignored", [0, 2, -1, -100, 255, 10**9])
@pytest.mark.parametrize("loss", LABEL_LOSSES)
def test_ignored_elements_change_nothing(loss: str, ignored: int) -> None:
    """What is left out may as well not be there."""
    logits, labels = drawn(8, (30,), 5)
    left_out = np.arange(30) % 3 == 0
    labels[labels == ignored] = 1
    marked = np.where(left_out, ignored, labels)
    options = class_options(loss, {}, 5)
    whole = LossCase("whole", loss, logits, marked, weights_of(5), ignored, options)
    part = replace(whole, logits=logits[~left_out], target=labels[~left_out])
    for reduction in ("sum", "mean", "weighted-mean"):
        value, gradient = value_and_gradient(whole, reduction)
        wanted, slopes = value_and_gradient(part, reduction)
        assert apart(value, wanted) < 1e-13
        assert apart(gradient[~left_out], slopes) < 1e-13
        assert (gradient[left_out] == 0).all()


# --- derivatives --------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", ["sparse", "soft"])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradcheck(loss: str, labels: str) -> None:
    case = drawn_case(loss, 9, labels == "sparse", classes=4, batch=1)
    for reduction in ("none", "weighted-mean"):

        def function(logits: Any, reduction: str = reduction) -> Any:
            loss_of = getattr(functional, loss)
            return loss_of(logits, tensors(case)[1], reduction=reduction, **case.arguments)

        assert torch.autograd.gradcheck(function, tensors(case)[0])


@pytest.mark.parametrize("labels", ["sparse", "soft"])
@pytest.mark.parametrize("loss", LOSSES)
def test_second_derivatives(loss: str, labels: str) -> None:
    case = drawn_case(loss, 9, labels == "sparse", classes=4, batch=1)

    def function(logits: Any) -> Any:
        return getattr(functional, loss)(logits, tensors(case)[1], **case.arguments)

    assert torch.autograd.gradgradcheck(function, tensors(case)[0])


@pytest.mark.parametrize("lead", [0.0, 10.0, 17.0, 18.0, 60.0, 1e4, 6e4])
@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 0.999, 1.0, 2.0, 5.5, 80.0])
@pytest.mark.parametrize("dtype", [torch.float32, *HALF], ids=str)
def test_focal_is_finite_for_every_gamma(lead: float, gamma: float, dtype: Any) -> None:
    logits = torch.tensor([[lead, 0.0, -3.0], [-lead, 0.0, 1.0]], dtype=dtype)
    z = logits.clone().requires_grad_()
    for target in (torch.tensor([0, 0]), torch.eye(3)[[0, 0]], torch.full((2, 3), 1 / 3)):
        value = functional.focal(z, target, gamma=gamma, reduction="none")
        (gradient,) = torch.autograd.grad(value.sum(), z)
        assert torch.isfinite(value).all()
        assert (value >= 0).all()
        assert torch.isfinite(gradient).all()


# --- two classes; forms of arguments -------------------------------------------------------------


def test_two_classes_warn_that_the_complement_is_0() -> None:
    logits = torch.randn(3, 2, dtype=DOUBLE, requires_grad=True)
    labels = torch.tensor([0, 1, 1])
    for target in (labels, own.one_hot(labels, 2).double()):
        with pytest.warns(UserWarning, match="two classes is always 0") as caught:
            value = functional.complement_entropy(logits, target, reduction="sum")
        assert caught[0].filename == __file__
        (gradient,) = torch.autograd.grad(value, logits)
        assert abs(float(value.detach())) < 1e-15
        assert float(gradient.abs().max()) < 1e-15
        with pytest.warns(UserWarning, match="two classes"):
            functional.complement_cross_entropy(logits, target)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with warnings.catch_warnings(record=True) as every:
            for _ in range(3):
                functional.complement_entropy(logits, labels)
        assert len(every) == 1


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.bool])
def test_labels_of_every_integer_type(dtype: Any) -> None:
    logits = torch.randn(3, 4, 5, dtype=DOUBLE)
    labels = torch.randint(0, 2, (3, 5))
    wanted = functional.focal(logits, labels)
    assert functional.focal(logits, labels.to(dtype)) == wanted
    dense = own.one_hot(labels, 4).movedim(-1, 1).to(dtype)
    assert functional.focal(logits, dense) == pytest.approx(float(wanted))


def test_weights_in_every_form_and_layouts_of_logits() -> None:
    logits = torch.randn(2, 3, 4, 5)
    labels = torch.randint(0, 3, (2, 4, 5))
    frozen = np.array([0.5, 2.0, 1.0])
    frozen.flags.writeable = False
    wanted = functional.focal(logits, labels, weight=torch.tensor([0.5, 2.0, 1.0]))
    for weight in ([0.5, 2, 1], (0.5, 2.0, 1.0), frozen, torch.tensor(frozen).half()):
        assert functional.focal(logits, labels, weight=weight) == wanted
    strange = logits.to(memory_format=torch.channels_last)
    for loss in LABEL_LOSSES:
        function, options = getattr(functional, loss), class_options(loss, {}, 3)
        torch.testing.assert_close(
            function(strange, labels, **options), function(logits, labels, **options)
        )
