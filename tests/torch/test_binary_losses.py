"""The binary torch losses: the oracle's numbers, torch's own, torchvision's formula, and laws."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import strategies as st

from tests.support.loops import at_least_one

torch = pytest.importorskip("torch")

from torch.nn import functional as own  # noqa: E402

import maskstat.torch as mt  # noqa: E402
from maskstat.errors import FileFormatError, ParameterError, WeightError  # noqa: E402
from maskstat.torch import functional  # noqa: E402
from maskstat.weights.table import WeightTable  # noqa: E402
from tests.support.loss_cases import BINARY_CASES, LossCase, drawn, expected  # noqa: E402
from tests.support.loss_oracles import BINARY_LOSSES, BINARY_REDUCTIONS  # noqa: E402
from tests.support.torch_loss_runs import (  # noqa: E402
    apart,
    class_first,
    rounded,
    value_and_gradient,
)
from tests.torch.test_losses_modules import DYNAMO_WARNS, gradient_of  # noqa: E402

HALF = [torch.float16, torch.bfloat16]
CLASS_OF = {"binary_cross_entropy": mt.BinaryCrossEntropy, "binary_focal": mt.BinaryFocal}
SHAPE = (2, 3, 4, 5)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small are faster without threads, whatever else the machine does."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def batch(shape: tuple[int, ...] = SHAPE, dtype: Any = torch.float32) -> tuple[Any, Any]:
    """Logits and 0/1 targets."""
    logits, _ = drawn(3, shape[:1] + shape[2:], shape[1])
    generator = np.random.default_rng(4)
    target = generator.integers(0, 2, logits.shape)
    return class_first(logits).to(dtype), class_first(target)


def table(*weights: float, pixels: Any = (96, 4), **given: Any) -> WeightTable:
    names = ("background", "crack", "stain")[: len(weights)]
    counts = np.resize(np.array(pixels, np.int64), len(weights))
    return WeightTable(names, np.array(weights), counts, "equal-cost", **given)


def cases_of(loss: str) -> list[LossCase]:
    return [case for case in BINARY_CASES if case.loss == loss]


# --- the oracle ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "tolerance", "far"),
    [(torch.float64, 1e-12, 2e-11), (torch.float32, 4e-6, 2e-5)],
    ids=str,
)
@pytest.mark.parametrize("loss", BINARY_LOSSES)
def test_value_and_gradient(loss: str, dtype: Any, tolerance: float, far: float) -> None:
    for case in at_least_one(cases_of(loss)):
        logits = rounded(case, dtype)
        for reduction in BINARY_REDUCTIONS:
            found = value_and_gradient(case, reduction, dtype)
            wanted = expected(case, reduction, logits)
            for ours, oracle in zip(found, wanted, strict=True):
                assert apart(ours, oracle) < (far if case.extreme else tolerance), case.name


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("loss", BINARY_LOSSES)
def test_half_precision_is_computed_in_float32(loss: str, dtype: Any) -> None:
    grain = float(torch.finfo(dtype).eps)
    for case in at_least_one(cases_of(loss)):
        wanted = expected(case, "mean", rounded(case, dtype))
        for ours, oracle in zip(value_and_gradient(case, "mean", dtype), wanted, strict=True):
            assert apart(ours, oracle) < grain, case.name


@pytest.mark.parametrize("loss", BINARY_LOSSES)
def test_gradients_have_gradients(loss: str) -> None:
    for options in ({}, {"gamma": 0.3}) if loss == "binary_focal" else ({"label_smoothing": 0.2},):
        z, target = batch((2, 2, 3), torch.float64)
        for y in (target, target * 0.75):

            def function(z: Any, y: Any = y, options: Any = options) -> Any:
                each = torch.tensor([3.0, 0.5])
                return getattr(functional, loss)(z, y, pos_weight=each[0], **options)

            assert torch.autograd.gradcheck(function, z.requires_grad_())
            assert torch.autograd.gradgradcheck(function, z.requires_grad_())


# --- what others compute ------------------------------------------------------------------------


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("shape", [(7,), (7, 3), (2, 3, 4), (2, 1, 3, 4), SHAPE])
def test_binary_cross_entropy_is_torchs(shape: tuple[int, ...], soft: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(shape, generator=generator, dtype=torch.float64) * 4
    y = torch.rand(shape, generator=generator, dtype=torch.float64)
    y = y if soft else y.round()
    labels = shape[1] if len(shape) in (2, 4) else 1
    for given in (None, 2.5, torch.linspace(0.5, 30, labels, dtype=torch.float64)):
        theirs = torch.as_tensor(1.0 if given is None else given, dtype=torch.float64)
        along = theirs.view(-1, *[1] * (len(shape) - 2)) if theirs.ndim else theirs
        for reduction in BINARY_REDUCTIONS:
            a, b = z.clone().requires_grad_(), z.clone().requires_grad_()
            mine = functional.binary_cross_entropy(a, y, pos_weight=given, reduction=reduction)
            other = torch.nn.BCEWithLogitsLoss(pos_weight=along, reduction=reduction)(b, y)
            torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-14)
            mine.sum().backward()
            other.sum().backward()
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-12, atol=1e-14)


def torchvision_focal(
    z: npt.NDArray[Any], y: npt.NDArray[Any], alpha: float, gamma: float
) -> npt.NDArray[Any]:
    """`torchvision.ops.sigmoid_focal_loss`, written from its documentation, in float64."""
    p = 1 / (1 + np.exp(-z))
    cross_entropy = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    p_t = p * y + (1 - p) * (1 - y)
    loss = cross_entropy * (1 - p_t) ** gamma
    return np.asarray((alpha * y + (1 - alpha) * (1 - y)) * loss if alpha >= 0 else loss)


@pytest.mark.parametrize("gamma", [0.0, 0.7, 2.0, 5.0])
@pytest.mark.parametrize("alpha", [-1.0, 0.0, 0.25, 1.0])
def test_focal_is_torchvisions(alpha: float, gamma: float) -> None:
    z, target = batch(dtype=torch.float64)
    wanted = torchvision_focal(z.numpy(), target.numpy(), alpha, gamma)
    given = None if alpha < 0 else alpha
    for reduction, value in (("none", wanted), ("sum", wanted.sum()), ("mean", wanted.mean())):
        found = functional.binary_focal(z, target, alpha=given, gamma=gamma, reduction=reduction)
        np.testing.assert_allclose(found.numpy(), value, rtol=1e-10)


@hypothesis.given(
    st.sampled_from(BINARY_LOSSES),
    st.integers(0, 10**6),
    st.floats(0, 100),
    st.booleans(),
    st.sampled_from([None, 255, [0, 255]]),
)
def test_two_logits_give_the_same(
    loss: str, seed: int, weight: float, soft: bool, ignored: Any
) -> None:
    """Softmax of (0, z) with weights (1, pos_weight), and the plain mean."""
    logits, _ = drawn(seed, (3, 4, 5), 1)
    z = torch.from_numpy(logits[..., 0]).requires_grad_()
    generator = np.random.default_rng(seed)
    y = generator.random(z.shape) if soft else generator.integers(0, 2, z.shape)
    marked = torch.from_numpy(np.where(generator.random(z.shape) < 0.2, 255 * bool(ignored), y))
    both = torch.stack([torch.zeros_like(z), z], 1)
    labels_of_two = (
        torch.where(marked.unsqueeze(1) <= 1, torch.stack([1 - marked, marked], 1), 0.0)
        if soft
        else marked
    )
    left_out = 255 if soft and ignored else ignored
    factors = torch.from_numpy(generator.uniform(0, 2, z.shape))
    softmax = functional.focal if loss == "binary_focal" else functional.cross_entropy
    for reduction in BINARY_REDUCTIONS:
        common: Any = {"reduction": reduction, "sample_weight": factors}
        one = getattr(functional, loss)(
            z, marked, pos_weight=weight, ignore_index=left_out, **common
        )
        other = softmax(both, labels_of_two, weight=[1.0, weight], ignore_index=left_out, **common)
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
        slopes = [
            torch.autograd.grad(value.sum(), z, retain_graph=True)[0] for value in (one, other)
        ]
        torch.testing.assert_close(*slopes, rtol=1e-9, atol=1e-12)


def test_label_smoothing_is_that_of_two_logits() -> None:
    z, target = batch((6, 1, 2, 3), torch.float64)
    both = torch.cat([torch.zeros_like(z), z], 1)
    for smoothing in (0.0, 0.3, 1.0):
        common: Any = {"label_smoothing": smoothing, "reduction": "mean"}
        one = functional.binary_cross_entropy(z, target, pos_weight=7.0, **common)
        other = functional.cross_entropy(both, target, weight=[1.0, 7.0], **common)
        torch.testing.assert_close(one, other)


def test_the_heat_map_loss_of_masks_is_the_focal_loss() -> None:
    """CornerNet's form on 0 and 1, summed."""
    z, target = batch(dtype=torch.float64)
    one = functional.binary_focal(z, target, reduction="sum", ignore_index=None)
    other = functional.distance_aware(z, target.double(), reduction="sum", ignore_index=None)
    torch.testing.assert_close(one, other, rtol=1e-13, atol=0)


@hypothesis.given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(0.01, 30))
def test_negatives_over_positives_cost_constant_answers_alike(
    negatives: int, positives: int, sure: float
) -> None:
    """What equal-cost weights are for, under the plain mean that they are for."""
    weight = mt.load_pos_weight(
        table(1 / negatives, 1 / positives, pixels=(negatives, positives), reduction="linear")
    )
    z, y = torch.tensor([sure, -sure]).double(), torch.tensor([[1.0, 1.0], [0.0, 0.0]]).double()
    each = functional.binary_cross_entropy(
        z.expand(2, 2), y, pos_weight=weight.double(), reduction="none"
    )
    yes, no = (torch.tensor([positives, negatives]).double() @ each).tolist()
    assert yes == pytest.approx(no, rel=1e-5)


# --- forms of arguments -------------------------------------------------------------------------


@pytest.mark.parametrize("loss", BINARY_LOSSES)
def test_targets_of_every_type_and_an_axis_of_one(loss: str) -> None:
    function = getattr(functional, loss)
    z, target = batch((2, 1, 4, 5))
    wanted = function(z, target)
    for kind in (torch.bool, torch.uint8, torch.int8, torch.int32, torch.float16, torch.float64):
        assert function(z, target.to(kind)) == wanted
    assert function(z[:, 0], target[:, 0]) == wanted
    assert function(z, target[:, 0]) == wanted
    assert function(z[:, 0], target) == wanted
    assert function(z[:, :, 0, 0], target[:, 0, 0, 0]) == function(
        z[:, 0, 0, 0], target[:, 0, 0, 0]
    )
    void = torch.where(target == 1, 1, 255)
    for kind in (torch.uint8, torch.int32, torch.float16, torch.bfloat16):
        left = function(z, void.to(kind), ignore_index=255, reduction="none")
        assert torch.equal(left != 0, target == 1)


@pytest.mark.parametrize("loss", BINARY_LOSSES)
def test_sample_weights(loss: str) -> None:
    function = getattr(functional, loss)
    z, target = batch(dtype=torch.float64)
    target[0, 0] = 255
    common: Any = {"pos_weight": [2.0, 5.0, 0.5], "ignore_index": 255}
    plain = function(z, target, reduction="none", **common)
    whole, pixels, images = torch.rand(SHAPE), torch.rand(2, 4, 5), torch.tensor([0.5, 3.0])
    for given, along in (
        (whole, whole),
        (pixels, pixels.unsqueeze(1)),
        (pixels.unsqueeze(1), pixels.unsqueeze(1)),
        (images, images.view(2, 1, 1, 1)),
    ):
        found = function(z, target, sample_weight=given, reduction="none", **common)
        torch.testing.assert_close(found, plain * along)
        total = function(z, target, sample_weight=given, **common)
        torch.testing.assert_close(total, (plain * along).sum() / (target != 255).sum())
    one = function(z[:, 1], target[:, 1], sample_weight=pixels, reduction="none")
    torch.testing.assert_close(one, function(z[:, 1], target[:, 1], reduction="none") * pixels)


@pytest.mark.parametrize("loss", BINARY_LOSSES)
@pytest.mark.parametrize("reduction", BINARY_REDUCTIONS)
def test_nothing_left_is_exactly_0(loss: str, reduction: str) -> None:
    for shape in ((2, 3), (0, 3), (0, 4, 5)):
        z = torch.randn(shape, requires_grad=True)
        value = getattr(functional, loss)(
            z, torch.full(shape, 255), ignore_index=255, reduction=reduction
        )
        (slope,) = torch.autograd.grad(value.sum(), z)
        assert (value == 0).all() and (slope == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, *HALF], ids=str)
@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 1.0, 2.0, 80.0])
def test_focal_is_finite_for_every_gamma(gamma: float, dtype: Any) -> None:
    z = torch.tensor([-6e4, -1e4, -90.0, -17.0, 0.0, 17.0, 90.0, 1e4, 6e4], dtype=dtype)
    for y in (0, 1, 0.5):
        given = z.clone().requires_grad_()
        value = functional.binary_focal(given, torch.full_like(z, y), gamma=gamma, reduction="none")
        (slope,) = torch.autograd.grad(value.sum(), given)
        assert torch.isfinite(value).all() and (value >= 0).all()
        assert torch.isfinite(slope).all()


def test_without_a_look_stray_targets_make_the_loss_nan() -> None:
    """A mask of 0 and 255 must not train in silence where looking would cost a wait."""
    z, target = batch()
    for stray in (255, -1, float("nan")):
        marked = target.double().clone()
        marked[0, 0, 0, 0] = stray
        value = torch.func.vmap(lambda a, b: functional.binary_cross_entropy(a[None], b[None]))(
            z, marked
        )
        assert torch.isnan(value).tolist() == [True, False]
    left = torch.where(target == 1, 255, target)
    value = torch.func.vmap(mt.BinaryFocal(ignore_index=255))(z[:, None], left[:, None])
    assert torch.isfinite(value).all()


Z = torch.zeros(SHAPE)
REFUSED: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "255 of images": (Z, Z + 255, {}, r"target 255 is outside.*target / 255.*ignore_index=255"),
    "255 as uint8": (Z, Z.byte() - 1, {}, "target 255"),
    "a class label": (Z, Z + 2, {"ignore_index": 255}, "target 2 is outside.*CrossEntropy"),
    "a negative one": (Z, Z - 1, {}, "target -1 is outside of 0..1, and ignore_index is -100"),
    "NaN": (Z, Z * torch.nan, {}, "target nan"),
    "not ignored": (Z, Z + 255, {"ignore_index": [7, 254]}, "target 255"),
    "to be learnt": (Z, Z.clone().requires_grad_(), {}, "targets are constants"),
    "complex ones": (Z, Z + 0j, {}, "complex"),
    "class labels": (Z, Z[:, 0].long(), {}, r"CrossEntropy.*one_hot\(target, 3\)"),
    "of larger images": (Z, torch.zeros(2, 3, 8, 10), {}, r"interpolate\(logits, size=\(8, 10\)"),
    "of larger masks": (Z[:, 0], torch.zeros(2, 8, 10), {}, r"interpolate\(logits, size=\(8, 10\)"),
    "of other labels": (Z, Z[:, :2], {}, r"targets of shape \(2, 2, 4, 5\) do not fit"),
    "integer logits": (Z.long(), Z, {}, "not floating"),
    "one number": (Z[0, 0, 0, 0], Z[0, 0, 0, 0], {}, "0-D"),
    "weights of the batch": (Z, Z, {"reduction": "weighted-mean"}, "plain mean.*CrossEntropy"),
    "another reduction": (
        Z,
        Z,
        {"reduction": "average"},
        "'average' is not one of none, sum, mean",
    ),
    "negative pos_weight": (Z, Z, {"pos_weight": -1.0}, "pos_weight must be finite"),
    "NaN in pos_weight": (Z, Z, {"pos_weight": [1, np.nan, 1]}, "pos_weight must be finite"),
    "other labels": (Z, Z, {"pos_weight": [1, 2]}, "pos_weight of 2 labels does not fit"),
    "labels of one logit": (Z[:, 0], Z[:, 0], {"pos_weight": [1] * 4}, r"labels are axis 1"),
    "torch's form": (Z, Z, {"pos_weight": torch.ones(3, 1, 1)}, r"pos_weight.flatten\(\)"),
    "a file": (Z, Z, {"pos_weight": "w.json"}, "pos_weight=load_pos_weight"),
    "text": (Z, Z, {"ignore_index": "255"}, "'255' is no integer"),
    "sample weights": (Z, Z, {"sample_weight": torch.ones(4, 5)}, r"shape \(4, 5\) does not fit"),
    "negative ones": (Z, Z, {"sample_weight": -torch.ones(SHAPE)}, "sample_weight must be finite"),
}


@pytest.mark.parametrize("why", REFUSED)
@pytest.mark.parametrize("loss", BINARY_LOSSES)
def test_refused(loss: str, why: str) -> None:
    logits, target, arguments, message = REFUSED[why]
    with pytest.raises(ParameterError, match=message):
        getattr(functional, loss)(logits, target, **arguments)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gamma": -1}, "gamma is -1"),
        ({"alpha": 1.5}, "from 0 to 1"),
        ({"alpha": 0.25, "pos_weight": 3}, "alpha and pos_weight both"),
        ({"pos_weight": float("inf")}, "pos_weight must be finite"),
        ({"pos_weight": []}, "no label"),
        ({"reduction": "weighted-mean"}, "plain mean"),
        ({"ignore_index": True}, "True is no integer"),
    ],
)
def test_what_means_nothing_is_refused_at_construction(given: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        mt.BinaryFocal(**given)


# --- files --------------------------------------------------------------------------------------


def test_pos_weight_comes_from_files_of_two_classes(tmp_path: Path) -> None:
    two = table(0.25, 6.0)
    files = [two.save(tmp_path / f"w{suffix}") for suffix in (".json", ".yaml", ".csv", ".txt")]
    files += [two.save(tmp_path / f"p{end}", "pos-weight") for end in (".json", ".yml", ".txt")]
    for source in (two, *files, *map(str, files)):
        for kind in CLASS_OF.values():
            assert kind(source).pos_weight.tolist() == 24
        assert mt.load_pos_weight(source).tolist() == 24
    z, target = batch()
    found = functional.binary_focal(z, target, pos_weight=two)
    assert found == mt.BinaryFocal(two)(z, target) == mt.BinaryFocal(24.0)(z, target)
    assert mt.load_pos_weight(two).dtype == torch.float32


def test_files_that_are_of_no_use(tmp_path: Path) -> None:
    three = table(1.0, 2.0, 3.0).save(tmp_path / "three.json")
    for wrong, message in (
        (
            three,
            r"three\.json: pos_weight is w1 / w0 of two classes, and these are 3; count two, ",
        ),
        (table(1.0, 2.0, pixels=(9, 0)), "crack never occurs"),
        (table(0.0, 2.0, pixels=(0, 0)), "background weighs 0"),
        (table(1.0, 0.0), "crack weighs 0"),
        (table(1e-300, 1e300), "beyond"),
    ):
        with pytest.raises(WeightError, match=message):
            mt.BinaryCrossEntropy(wrong)
    for name, text in (("nan.json", "NaN"), ("minus.txt", "-1"), ("many.yaml", "1e999")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(FileFormatError, match=rf"{name}: holds no finite number"):
            mt.load_pos_weight(tmp_path / name)
    with pytest.raises(FileFormatError, match=r"no\.json"):
        mt.BinaryFocal(str(tmp_path / "no.json"))


def test_weights_of_another_mean_are_told(tmp_path: Path) -> None:
    path = table(1.0, 9.0, reduction="weight-normalised").save(tmp_path / "w.json")
    with pytest.warns(UserWarning, match=r"w\.json: made for a mean that.*average='pixel'") as said:
        assert mt.load_pos_weight(path) == 9
    assert said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mt.load_pos_weight(table(1.0, 9.0, reduction="linear"))


# --- modules ------------------------------------------------------------------------------------


def made(loss: str, **given: Any) -> Any:
    return CLASS_OF[loss](**{"pos_weight": [0.5, 2.0, 7.0], "ignore_index": 255, **given})


@pytest.mark.parametrize("loss", BINARY_LOSSES)
def test_modules_are_their_functions(loss: str) -> None:
    z, target = batch()
    function = getattr(functional, loss)
    assert CLASS_OF[loss]()(z, target) == function(z, target)
    options = {"label_smoothing": 0.2} if loss == "binary_cross_entropy" else {"gamma": 0.5}
    for reduction in BINARY_REDUCTIONS:
        common: Any = {"pos_weight": [0.5, 2.0, 7.0], "ignore_index": 1, "reduction": reduction}
        wanted = function(z, target, **common, **options)
        assert torch.equal(CLASS_OF[loss](**common, **options)(z, target), wanted)
    if loss == "binary_focal":
        assert mt.BinaryFocal(alpha=0.1)(z, target) == function(z, target, alpha=0.1)


@pytest.mark.parametrize("dtype", [*HALF, torch.float64], ids=str)
@pytest.mark.parametrize("loss", BINARY_LOSSES)
def test_casting_a_model_leaves_pos_weight_precise(loss: str, dtype: Any) -> None:
    for given in (1e6, [1e-9, 3.0, 1e6], torch.tensor(70_000.0)):
        module = made(loss, pos_weight=given)
        cast = torch.nn.ModuleList([copy.deepcopy(module)]).to(dtype)[0]
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        assert cast.pos_weight.dtype == wide
        assert torch.equal(cast.pos_weight.float(), module.pos_weight)
        z, target = batch(dtype=dtype)
        assert torch.isfinite(cast(z, target))
        assert copy.deepcopy(module).to("meta").pos_weight.device.type == "meta"


@pytest.mark.parametrize("loss", BINARY_LOSSES)
def test_copies_and_checkpoints(loss: str) -> None:
    z, target = batch()
    for given in (3.5, [0.5, 2.0, 7.0]):
        module = made(loss, pos_weight=given)
        saved = io.BytesIO()
        torch.save(module, saved)
        saved.seek(0)
        for other in (
            copy.deepcopy(module),
            pickle.loads(pickle.dumps(module)),
            torch.load(saved, weights_only=False),
        ):
            assert torch.equal(other(z, target), module(z, target))
            assert repr(other) == repr(module)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            made(loss, pos_weight=given).load_state_dict(module.state_dict())
            module.load_state_dict(made(loss, pos_weight=None).state_dict())
        assert module.pos_weight.tolist() == given
        late, another = made(loss, pos_weight=None), made(loss, pos_weight=torch.tensor(given) + 1)
        with pytest.warns(UserWarning, match="pos_weight comes from the checkpoint"):
            late.load_state_dict(module.state_dict())
        with pytest.warns(UserWarning, match="pos_weight of the checkpoint takes the place"):
            another.load_state_dict(module.state_dict())
        for other in (late, another):
            assert torch.equal(other(z, target), module(z, target))
    with pytest.raises(RuntimeError, match="size mismatch"):
        made(loss, pos_weight=[1.0, 2.0]).load_state_dict(module.state_dict())


def test_a_module_says_what_it_is() -> None:
    assert repr(mt.BinaryCrossEntropy(49.0, ignore_index=255)) == (
        "BinaryCrossEntropy(pos_weight=49, ignore_index=255, reduction='mean', label_smoothing=0.0)"
    )
    assert repr(mt.BinaryFocal([1.0, 2.0])).startswith("BinaryFocal(2 pos_weights, ")


@DYNAMO_WARNS
@pytest.mark.parametrize("loss", BINARY_LOSSES)
def test_compiles_into_one_graph(loss: str) -> None:
    torch._dynamo.reset()
    module = made(loss, ignore_index=[255, 7])
    z, target = batch()
    target[0, 0] = 255
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    for found, wanted in zip(
        gradient_of(compiled, z, target), gradient_of(module, z, target), strict=True
    ):
        torch.testing.assert_close(found, wanted)
    factors = torch.linspace(0, 2, len(z))
    torch.testing.assert_close(
        compiled(z, target, sample_weight=factors), module(z, target, sample_weight=factors)
    )
    assert torch.isnan(compiled(z, target + 3))


@pytest.mark.parametrize("loss", BINARY_LOSSES)
def test_vmap_and_grad_give_what_loops_give(loss: str) -> None:
    from torch.func import grad, jacrev, vmap

    z, target = batch(dtype=torch.float64)
    target[0, 0] = 255
    module = made(loss).double()
    alone = [module(z[k : k + 1], target[k : k + 1]) for k in range(len(z))]
    torch.testing.assert_close(
        vmap(lambda a, b: module(a[None], b[None]))(z, target), torch.stack(alone)
    )
    given = z.clone().requires_grad_()
    module(given, target).backward()
    torch.testing.assert_close(grad(module)(z, target), given.grad)
    torch.testing.assert_close(jacrev(module)(z, target), given.grad)


@pytest.mark.parametrize("loss", BINARY_LOSSES)
def test_autocast_gives_what_float32_gives(loss: str) -> None:
    z, target = batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = own.linear(z, torch.eye(SHAPE[-1]))
        value = made(loss)(logits, target)
    assert logits.dtype == torch.bfloat16 and value.dtype == torch.float32
    assert value == made(loss)(logits.float(), target)


@pytest.mark.parametrize("ignored", [255, [0, 255], None])
@pytest.mark.parametrize("loss", BINARY_LOSSES)
def test_parts_of_a_step_add_up_to_the_whole(loss: str, ignored: Any) -> None:
    z, target = batch((7, 3, 2, 4), torch.float64)
    if ignored is not None:
        target[:4, 0], target[5] = 255, 255
    criterion = made(loss, ignore_index=ignored).double()
    parts = [slice(0, 1), slice(1, 4), slice(4, 7)]
    factors = torch.rand(7, 2, 4)
    for given in (None, factors):
        whole, pieces = z.clone().requires_grad_(), z.clone().requires_grad_()
        criterion(whole, target, sample_weight=given).backward()
        divisor = sum(criterion.divisor(target[part], given) for part in parts)
        for part in parts:
            cut = None if given is None else given[part]
            criterion(pieces[part], target[part], sample_weight=cut, divisor=divisor).backward()
        torch.testing.assert_close(pieces.grad, whole.grad)
    for reduction in ("sum", "none"):
        with pytest.raises(ParameterError, match="mean"):
            made(loss, reduction=reduction).divisor(target)
        with pytest.raises(ParameterError, match="mean"):
            made(loss, reduction=reduction)(z, target, divisor=3)
