"""The torch losses beside models: files, half precision, checkpoints, long steps, torch.func."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.loops import at_least_one

torch = pytest.importorskip("torch")

from torch.nn import functional as own  # noqa: E402

import maskstat.torch as mt  # noqa: E402
from maskstat.errors import ParameterError, WeightError  # noqa: E402
from maskstat.weights.table import WeightTable  # noqa: E402
from tests.support.loss_cases import class_options, drawn, soft_labels, weights_of  # noqa: E402
from tests.support.loss_oracles import LABEL_LOSSES, LOSSES  # noqa: E402
from tests.support.torch_loss_runs import class_first  # noqa: E402
from tests.torch.test_losses_modules import CLASS_OF, CLASSES, batch, module  # noqa: E402

HALF = [torch.float16, torch.bfloat16]
COUNTS = [4_000_000_000, 250_000, 30, 0, 7]


def table(unit: Any = "pixels", reduction: str | None = None) -> WeightTable:
    names = tuple("abcde")
    pixels = np.array(COUNTS, np.int64)
    return WeightTable(
        names, weights_of(CLASSES).copy(), pixels, "equal-cost", reduction=reduction, unit=unit
    )


# --- weights are no counts ----------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "name"), [("logit_adjusted", "prior"), ("ldam", "counts")])
def test_weights_never_pass_for_counts(loss: str, name: str, tmp_path: Path) -> None:
    kind, function = CLASS_OF[loss], getattr(mt.functional, loss)
    z, labels = batch(loss)
    path = table().save(tmp_path / "weights.json")
    with pytest.raises(TypeError, match=name):
        kind([0.5, 1.0, 2.0, 4.0, 9.0])
    with pytest.raises(TypeError):
        kind(COUNTS, weights_of(CLASSES))
    for wrong in (table(), path, str(path), [0.5, 1.0, 2.0, 4.0, 9.0], weights_of(CLASSES)):
        with pytest.raises(ParameterError, match=rf"{name}=load_counts"):
            kind(**{name: wrong})
        with pytest.raises(ParameterError, match=rf"{name}=load_counts"):
            function(z, labels, **{name: wrong})
    counts = mt.load_counts(path, class_count=CLASSES)
    assert counts.tolist() == COUNTS == mt.load_counts(table()).tolist()
    shares = counts / counts.sum()
    for tau in ({}, {"tau": 0.5}) if name == "prior" else ({},):
        found = kind(**{name: counts}, **tau)(z, labels)
        torch.testing.assert_close(found, kind(**{name: shares}, **tau)(z, labels))
        assert torch.equal(found, function(z, labels, **{name: COUNTS}, **tau))


def test_counts_come_from_files_that_know_them(tmp_path: Path) -> None:
    shares = mt.load_counts(table("shares").save(tmp_path / "shares.csv"))
    torch.testing.assert_close(shares, torch.tensor(COUNTS) / sum(COUNTS))
    alone = table().save(tmp_path / "alone.json", "list")
    with pytest.raises(WeightError, match=r"alone\.json: holds weights alone"):
        mt.load_counts(alone)
    with pytest.raises(WeightError, match="5 classes, the model has 4"):
        mt.load_counts(table(), class_count=4)


@pytest.mark.parametrize("loss", LOSSES)
def test_files_and_tables_are_weights(loss: str, tmp_path: Path) -> None:
    path = table(reduction="linear").save(tmp_path / "weights.json")
    for source in (path, str(path), table(reduction="linear")):
        made = CLASS_OF[loss](source, reduction="mean", **class_options(loss, {}, CLASSES))
        assert made.weight.tolist() == weights_of(CLASSES).tolist()
    with pytest.warns(UserWarning, match="made for a plain mean"):
        CLASS_OF[loss](path, **class_options(loss, {}, CLASSES))


@pytest.mark.parametrize("wrong", ["255", True, 1.5, [0, "255"], torch.tensor(255), {"a": 1}])
def test_what_is_no_label_is_refused_at_construction(wrong: Any) -> None:
    from maskstat.torch.metrics import CalibrationError, MeanIoU

    for loss in at_least_one(LOSSES):
        with pytest.raises(ParameterError, match="is no integer"):
            module(loss, ignore_index=wrong)
    for make in (
        lambda: MeanIoU(3, ignore_index=wrong),
        lambda: CalibrationError(ignore_index=wrong),
    ):
        with pytest.raises(ParameterError, match="is no integer"):
            make()


# --- half precision -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_casting_a_model_leaves_statistics_as_they_are(loss: str, dtype: Any) -> None:
    options = class_options(loss, {}, CLASSES)
    if "counts" in options:
        options["counts"] = torch.tensor(COUNTS)
    weight = torch.tensor([1e-9, 2e-9, 1e5, 3e-9, 1e-12])
    made = CLASS_OF[loss](weight, ignore_index=255, **options)
    model = torch.nn.ModuleList([torch.nn.Linear(2, 2), made, mt.UnweightLogits(weight)])
    wanted = copy.deepcopy(made)
    for cast in (model.half(), model.to(dtype), model.bfloat16()):
        assert cast[0].weight.dtype in HALF
        for name, buffer in at_least_one(cast[1].named_buffers()):
            assert torch.equal(buffer, dict(wanted.named_buffers())[name]), name
        assert cast[2].shift.dtype == torch.float32
    z, target = batch(loss, dtype=dtype)
    assert torch.equal(made(z, target), wanted(z, target))
    assert torch.isfinite(made(z, target))
    assert model.double()[1].weight.dtype == torch.float64
    assert model.to("meta")[1].weight.device.type == "meta"


def test_made_where_half_is_the_default(tmp_path: Path) -> None:
    """As Lightning's precision="16-true" makes modules."""
    weight = np.array([1e-9, 3.0, 1e5, 0.0, 1.0])
    torch.set_default_dtype(torch.float16)
    try:
        made = mt.LDAM(weight, counts=COUNTS)
        given = mt.CrossEntropy(torch.tensor([1.0, 0.5], dtype=torch.float16))
        loaded = mt.load_weights(table()), mt.load_counts(table())
    finally:
        torch.set_default_dtype(torch.float32)
    kinds = {table.dtype for table in (made.weight, made.counts, given.weight, *loaded)}
    assert kinds == {torch.float32}
    assert made.counts.tolist() == COUNTS


# --- checkpoints --------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_checkpoints_with_and_without_weights(loss: str) -> None:
    z, target = batch(loss)

    def model(**given: Any) -> Any:
        return torch.nn.ModuleDict({"head": torch.nn.Linear(2, 2), "loss": module(loss, **given)})

    weighted, plain = model(), model(weight=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = model()
        again.load_state_dict(weighted.state_dict())  # the same: nothing to say
        kept = model(weight=torch.ones(CLASSES))
        kept.load_state_dict(plain.state_dict())
        assert kept["loss"].weight.tolist() == [1] * CLASSES
        model(weight=None).load_state_dict(plain.state_dict())
    late = model(weight=None)
    with pytest.warns(UserWarning, match="loss.weight comes from the checkpoint"):
        late.load_state_dict(weighted.state_dict())
    other = model(weight=torch.ones(CLASSES))
    with pytest.warns(UserWarning, match="loss.weight of the checkpoint takes the place"):
        other.load_state_dict(weighted.state_dict())
    for made in (again, late, other):
        assert torch.equal(made["loss"](z, target), weighted["loss"](z, target))
    state = weighted.state_dict()
    with pytest.warns(UserWarning, match="comes from the checkpoint"):
        model(weight=None).load_state_dict(
            {key: value.half() for key, value in state.items()}, assign=True
        )
    del state["head.weight"]
    with pytest.raises(RuntimeError, match=r"Missing key.*head.weight"):
        again.load_state_dict(state)
    with pytest.raises(RuntimeError, match="size mismatch"):
        model(weight=torch.ones(3)).load_state_dict(weighted.state_dict())


def test_other_counts_are_told() -> None:
    saved = mt.LDAM(counts=[3, 2, 1]).state_dict()
    with pytest.warns(UserWarning, match="counts of the checkpoint takes the place"):
        mt.LDAM(counts=[1, 2, 3]).load_state_dict(saved)


# --- steps of several batches ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sparse", "soft"])
@pytest.mark.parametrize("ignored", [255, [0, 255], None])
@pytest.mark.parametrize("reduction", ["mean", "weighted-mean"])
@pytest.mark.parametrize("loss", LOSSES)
def test_parts_of_a_step_add_up_to_the_whole(
    loss: str, reduction: str, ignored: Any, kind: str
) -> None:
    """Values and gradients; batches hold different classes and numbers of labels."""
    logits, labels = drawn(3, (7, 2, 3), CLASSES)
    z = class_first(logits)
    if loss == "distance_aware":
        target = (z.softmax(1) * 4).round() / 4
        target[1:4, :, 0] = 1
    elif kind == "soft":
        target = class_first(soft_labels(2, (7, 2, 3), CLASSES))
    else:
        target = torch.from_numpy(labels)
        if ignored is not None:
            target[:4, 0], target[5] = 255, 255
    for weight in (weights_of(CLASSES), None):
        criterion = module(loss, weight=weight, ignore_index=ignored, reduction=reduction).double()
        parts = [slice(0, 1), slice(1, 4), slice(4, 5), slice(5, 7)]
        divisor = sum(criterion.divisor(target[part]) for part in parts)
        whole, pieces = z.clone().requires_grad_(), z.clone().requires_grad_()
        value = criterion(whole, target)
        value.backward()
        total = torch.zeros((), dtype=torch.float64)
        for part in parts:
            said = criterion(pieces[part], target[part], divisor=divisor)
            said.backward()
            total += said.detach()
        torch.testing.assert_close(total, value.detach(), rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(pieces.grad, whole.grad, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(criterion(z, target, divisor=float(divisor)), value.detach())
        factors = torch.rand(7, 2, 3, dtype=torch.float64)
        divisor = sum(criterion.divisor(target[part], factors[part]) for part in parts)
        total = sum(
            criterion(z[part], target[part], sample_weight=factors[part], divisor=divisor)
            for part in parts
        )
        wanted = criterion(z, target, sample_weight=factors)
        torch.testing.assert_close(total, wanted, rtol=1e-6, atol=1e-9)


def test_a_heat_map_without_key_points_is_divided_by_1() -> None:
    z, heat = batch("distance_aware")
    heat = heat.clamp(max=0.5)
    criterion = module("distance_aware")
    assert criterion.divisor(heat) == 0
    assert criterion(z, heat, divisor=0) == criterion(z, heat) > 0


def test_means_of_parts_are_not_the_mean() -> None:
    """What `divisor` is for: the usual average of batches has another gradient."""
    z, labels = batch("cross_entropy")
    criterion = mt.CrossEntropy(weights_of(CLASSES))
    halves = [criterion(z[k : k + 1], labels[k : k + 1]) for k in range(2)]
    assert abs(float(sum(halves)) / 2 - float(criterion(z, labels))) > 0.01


def test_divisors_of_nothing_and_of_no_mean() -> None:
    z, labels = batch("cross_entropy")
    nothing = torch.full_like(labels, 2)
    criterion = module("cross_entropy", label_smoothing=0.1)
    assert criterion.divisor(nothing) == 0
    assert criterion(z, nothing, divisor=criterion.divisor(nothing)) == 0
    for reduction in ("sum", "none"):
        with pytest.raises(ParameterError, match="mean"):
            module("focal", reduction=reduction)(z, labels, divisor=3)
        with pytest.raises(ParameterError, match="mean"):
            module("focal", reduction=reduction).divisor(labels)
    dense = own.one_hot(labels, CLASSES).movedim(-1, 1)
    with pytest.raises(ParameterError, match="floating"):
        criterion(z, dense, divisor=3)
    with pytest.raises(ParameterError, match="label 7"):
        criterion.divisor(labels + 7 - labels)


# --- labels with an axis of one -----------------------------------------------------------------


@pytest.mark.parametrize("loss", LABEL_LOSSES)
def test_an_axis_of_one_channel_is_none(loss: str) -> None:
    from maskstat.torch.metrics import ConfusionMatrix

    for shape in ((6,), (2, 3, 4), (1, 2, 3, 4)):
        logits, labels = drawn(len(shape), shape, CLASSES)
        z, target = class_first(logits), torch.from_numpy(labels)
        made = module(loss)
        assert torch.equal(made(z, target.unsqueeze(1)), made(z, target))
        counts = ConfusionMatrix(CLASSES, ignore_index=[2, 0])
        assert torch.equal(counts(z, target.unsqueeze(1)), counts(z, target))


# --- torch.func ---------------------------------------------------------------------------------


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_vmap_and_grad_give_what_loops_give(loss: str, soft: bool) -> None:
    from torch.func import grad, jacrev, vmap

    z, target = batch(loss, soft=soft, dtype=torch.float64)
    made = module(loss).double()
    alone = [made(z[k : k + 1], target[k : k + 1]) for k in range(len(z))]
    torch.testing.assert_close(
        vmap(lambda a, b: made(a[None], b[None]))(z, target), torch.stack(alone)
    )
    given = z.clone().requires_grad_()
    made(given, target).backward()
    torch.testing.assert_close(grad(made)(z, target), given.grad)
    each = vmap(grad(lambda a, b: made(a[None], b[None])))(z, target)
    for k in range(len(z)):
        torch.testing.assert_close(each[k : k + 1], grad(made)(z[k : k + 1], target[k : k + 1]))
    wanted = jacrev(made)(z[:1], target[:1])
    torch.testing.assert_close(wanted, grad(made)(z[:1], target[:1]))
    many = torch.stack([z, z.flip(1)])  # logits of several models, the same labels
    torch.testing.assert_close(
        vmap(made, in_dims=(0, None))(many, target), torch.stack([made(m, target) for m in many])
    )
