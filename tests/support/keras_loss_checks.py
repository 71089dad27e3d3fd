"""Checks of the Keras losses as functions, run on a backend by `keras_backends`."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from maskstat.errors import ParameterError
from maskstat.keras import functional
from maskstat.keras.functional import complement
from tests.support.keras_backends import check
from tests.support.keras_gradients import (
    BACKEND,
    compiled,
    directional_gradient,
    numpy,
    tensor,
    value_and_gradient,
)
from tests.support.loss_cases import (
    CASES,
    SPARSE_CASES,
    LossCase,
    class_options,
    drawn,
    expected,
    one_hot,
    weights_of,
)
from tests.support.loss_oracles import LABEL_LOSSES, LOSSES, REDUCTIONS, evaluate

complement._warn_once()  # said now, and not again in the checks

if BACKEND == "jax":
    # JAX compiles each operation for each shape and type, which takes it longer than all the cases.
    CASES = [case for case in CASES if case.logits.shape[:3] == (2, 3, 4)][::5]
    SPARSE_CASES = [case for case in CASES if case.sparse]
EPSILON = {"float64": 2.3e-16, "float32": 1.2e-7}


def run(case: LossCase, reduction: str, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Value and gradient in float64, after a look at their types."""

    def loss(z: Any) -> Any:
        function = getattr(functional, case.loss)
        return function(z, case.target, reduction=reduction, **case.arguments)

    value, gradient = value_and_gradient(loss, tensor(case.logits, dtype))
    widened = "float32" if dtype in ("float16", "bfloat16") else dtype
    assert keras.backend.standardize_dtype(value.dtype) == widened
    assert keras.backend.standardize_dtype(gradient.dtype) == dtype
    return numpy(value), numpy(gradient)


def agree(found: np.ndarray, wanted: np.ndarray, allowed: float, what: str) -> None:
    assert found.shape == wanted.shape, (what, found.shape, wanted.shape)
    assert np.isfinite(found).all(), what
    difference = np.abs(found - wanted).max(initial=0.0) / (1 + np.abs(wanted).max(initial=0.0))
    assert difference <= allowed, f"{what}: {difference:.1e} apart, {allowed:.1e} allowed"


def allowed(case: LossCase, dtype: str) -> float:
    """Logits of size 1e4 have no digits below 1e-3 in float32, and LDAM scales them up."""
    size = np.abs(case.logits).max() * case.options.get("scale", 1.0)
    return float(EPSILON[dtype] * (20 + size))


def battery(loss: str) -> None:
    """Every case in float64 and float32: element by element, and one of the means in turn."""
    cases = [case for case in CASES if case.loss == loss]
    assert len(cases) >= 4
    for number, case in enumerate(cases):
        for dtype in ("float64",) if BACKEND == "jax" else ("float64", "float32"):
            for reduction in ("none", REDUCTIONS[1 + number % 3])[dtype == "float32" :]:
                what = f"{case.name}, {reduction}, {dtype}"
                found, wanted = run(case, reduction, dtype), expected(case, reduction)
                agree(found[0], wanted[0], allowed(case, dtype), what)
                agree(found[1], wanted[1], 30 * allowed(case, dtype), f"{what}, gradient")


@check()
def cross_entropy_is_the_oracles() -> None:
    battery("cross_entropy")


@check()
def focal_is_the_oracles() -> None:
    battery("focal")


@check()
def complement_entropy_is_the_oracles() -> None:
    battery("complement_entropy")


@check()
def complement_cross_entropy_is_the_oracles() -> None:
    battery("complement_cross_entropy")


@check()
def logit_adjusted_is_the_oracles() -> None:
    battery("logit_adjusted")


@check()
def ldam_is_the_oracles() -> None:
    battery("ldam")


@check()
def distance_aware_is_the_oracles() -> None:
    battery("distance_aware")


@check()
def half_precision_is_finite_and_computed_in_float32() -> None:
    for dtype, step in (("bfloat16", 11), ("float16", 30 if BACKEND == "jax" else 7)):
        for case in CASES[::step]:
            logits = numpy(tensor(case.logits, dtype))
            value, gradient = run(case, "weighted-mean", dtype)
            wanted = expected(case, "weighted-mean", logits)
            agree(value, wanted[0], allowed(case, "float32"), f"{case.name}, {dtype}")
            # Gradients are rounded to the type of the logits.
            agree(gradient, wanted[1], 1e-2, f"{case.name}, {dtype}, gradient")


@check()
def one_hot_labels_are_sparse_ones() -> None:
    cases = [case for case in SPARSE_CASES if not case.extreme][::5]
    assert {case.loss for case in cases} == set(LABEL_LOSSES)
    for case in cases:
        for found, wanted in zip(
            run(one_hot(case), "none", "float64"), run(case, "none", "float64"), strict=True
        ):
            agree(found, wanted, 1e-11, case.name)


@check()
def labels_of_every_type_mean_the_same() -> None:
    logits, labels = drawn(5, (2, 3, 4), 5)
    labels[0, 0] = 255
    z = tensor(logits, "float32")
    wanted = numpy(functional.cross_entropy(z, labels, ignore_index=255, reduction="none"))
    assert (wanted[0, 0] == 0).all() and (wanted[1] > 0).all()
    for dtype in ("uint8", "int16", "uint16", "int32", "float32"):
        for target in (labels.astype(dtype), tensor(labels, dtype), labels[..., None]):
            found = functional.cross_entropy(z, target, ignore_index=255, reduction="none")
            np.testing.assert_array_equal(numpy(found), wanted)
    both = tensor(labels < 2, "bool"), (labels < 2).astype(np.int32)
    np.testing.assert_array_equal(*(numpy(functional.focal(z, target)) for target in both))


@check()
def names_of_reductions_are_keras_and_ours() -> None:
    logits, labels = drawn(6, (8,), 4)
    pairs = {
        "sum_over_batch_size": "mean",
        "mean_with_sample_weight": "weighted-mean",
        None: "none",
    }
    for keras_name, ours in pairs.items():
        one, other = (
            functional.cross_entropy(logits, labels, weight=[1, 2, 3, 0], reduction=name)
            for name in (keras_name, ours)
        )
        np.testing.assert_array_equal(numpy(one), numpy(other))


@check()
def sample_weights_and_masks_join_the_weights() -> None:
    logits, labels = drawn(7, (3, 2, 4), 5)
    weight = weights_of(5)
    factors = np.random.default_rng(1).uniform(0, 2, (3, 2, 4))
    mask = np.random.default_rng(2).random((3, 2, 4)) < 0.6
    for loss in LABEL_LOSSES:
        options = class_options(loss, {}, 5)
        plain, _ = evaluate(loss, logits, labels, reduction="none", weight=weight, **options)
        total = (plain * factors * mask).sum()
        divisors = {
            "none": None,
            "sum": 1.0,
            "mean": mask.sum(),
            "weighted-mean": (weight[labels] * factors * mask).sum(),
        }
        for target in (labels, np.eye(5)[labels]):
            for reduction, divisor in divisors.items():
                found = getattr(functional, loss)(
                    logits,
                    target,
                    weight=weight,
                    sample_weight=factors,
                    mask=mask,
                    reduction=reduction,
                    **options,
                )
                wanted = plain * factors * mask if divisor is None else total / divisor
                agree(numpy(found), np.asarray(wanted), 1e-6, f"{loss}, {reduction}")


@check()
def sample_weights_may_be_one_number_an_image() -> None:
    logits, labels = drawn(8, (3, 2, 4), 5)
    heat = np.random.default_rng(4).random(logits.shape)
    factors = np.array([0.5, 0.0, 3.0])
    whole = np.broadcast_to(factors[:, None, None], labels.shape)
    for reduction in REDUCTIONS:
        for loss, target in ((functional.focal, labels), (functional.distance_aware, heat)):
            wanted = numpy(loss(logits, target, sample_weight=whole, reduction=reduction))
            for given in (
                factors,
                factors[:, None],
                factors[:, None, None, None],
                whole[..., None],
            ):
                found = loss(logits, target, sample_weight=given, reduction=reduction)
                np.testing.assert_allclose(numpy(found), wanted, rtol=1e-6)


@check()
def the_heat_map_loss_takes_sample_weights_and_masks() -> None:
    logits, _ = drawn(9, (2, 3, 4), 3)
    heat = np.random.default_rng(5).random(logits.shape)
    heat[heat > 0.7] = 1
    factors = np.random.default_rng(6).uniform(0, 2, (2, 3, 4))
    mask = np.random.default_rng(7).random((2, 3, 4)) < 0.6
    weight = np.array([0.5, 0.0, 3.0])
    plain, _ = evaluate("distance_aware", logits, heat, reduction="none", weight=weight)
    kept = plain * (factors * mask)[..., None]
    keys = (heat == 1) * mask[..., None]
    divisors = {
        "sum": 1.0,
        "mean": keys.sum(),
        "weighted-mean": (keys * weight * factors[..., None]).sum(),
    }
    for reduction, divisor in divisors.items():
        found = functional.distance_aware(
            logits, heat, weight=weight, sample_weight=factors, mask=mask, reduction=reduction
        )
        agree(numpy(found), np.asarray(kept.sum() / divisor), 1e-6, reduction)


@check()
def gradients_have_gradients() -> None:
    logits, labels = drawn(14, (3,), 4, spread=1.0)
    along = np.random.default_rng(8).normal(size=logits.shape)
    step = 1e-5
    targets: list[tuple[str, Any]] = [(loss, labels) for loss in LABEL_LOSSES]
    targets += [(loss, np.eye(4)[labels]) for loss in ("focal", "complement_entropy")]
    for loss, target in targets[:: 3 if BACKEND == "jax" else 1]:
        options = class_options(loss, {}, 4)

        def scalar(z: Any, loss: str = loss, target: Any = target, options: Any = options) -> Any:
            return getattr(functional, loss)(z, target, **options)

        ends = [
            evaluate(loss, logits + sign * step * along, target, **options)[1] for sign in (1, -1)
        ]
        wanted = (ends[0] - ends[1]) / (2 * step)
        scale = options.get("scale", 30.0 if loss == "ldam" else 1.0) ** 3
        agree(directional_gradient(scalar, logits, along), wanted, 1e-7 * scale, loss)


def training(loss: str, heat: Any = None) -> Any:
    """A function (logits, labels) -> (value, gradient) of a weighted loss that ignores 255."""
    options = class_options(loss, {}, 5)

    def both(z: Any, y: Any) -> tuple[Any, Any]:
        def function(z: Any) -> Any:
            return getattr(functional, loss)(
                z, y if heat is None else heat, weight=weights_of(5), ignore_index=255, **options
            )

        return value_and_gradient(function, z)

    return both


@check("tensorflow", "jax")
def compiled_losses_are_eager_ones() -> None:
    logits, labels = drawn(15, (2, 3, 4), 5)
    labels[0, 1] = 255
    for loss in LOSSES:
        heat = None if loss in LABEL_LOSSES else np.random.default_rng(9).random(logits.shape)
        wanted = evaluate(
            loss,
            logits,
            labels if heat is None else heat,
            weight=weights_of(5),
            ignore_index=255,
            reduction="mean",
            **class_options(loss, {}, 5),
        )
        # The others are made of the same parts.
        xla = loss in ("focal", "complement_cross_entropy", "ldam", "distance_aware")
        for name, function in compiled(training(loss, heat), xla=xla).items():
            found = function(tensor(logits, "float32"), tensor(labels, "int32"))
            for one, other in zip(found, wanted, strict=True):
                agree(numpy(one), other, 2e-5 if loss == "ldam" else 3e-6, f"{loss}, {name}")


@check()
def hard_examples_are_the_oracles_and_chosen_without_weights() -> None:
    logits, labels = drawn(23, (2, 3, 4), 5)
    labels[0, 1] = 255
    logits[1, 0], labels[1, 0] = logits[1, 0, 0], 2  # four that are equally hard
    factors = np.random.default_rng(11).uniform(0, 2, (2, 3, 4))
    mask = np.random.default_rng(12).random((2, 3, 4)) < 0.7
    hidden = np.where(mask, labels, 255)
    for mining in ({"top_k": 0.3}, {"threshold": 0.2}, {"top_k": 0.7, "threshold": 0.05}):
        common = {"weight": weights_of(5), "ignore_index": 255, **mining}
        plain = evaluate("cross_entropy", logits, hidden, reduction="none", **common)[0]
        each = evaluate("cross_entropy", logits, hidden, **mining, ignore_index=255)
        hard = evaluate(
            "cross_entropy", logits, hidden, **mining, ignore_index=255, reduction="none"
        )
        kept = hard[0].sum() / each[0]
        known = np.where(hidden == 255, 0, hidden)
        total = (plain * factors).sum()
        assert 0 < kept < mask.sum()
        for reduction, wanted in (("none", plain * factors), ("mean", total / kept)):
            found = functional.cross_entropy(
                tensor(logits, "float64"),
                labels,
                sample_weight=factors,
                mask=mask,
                reduction=reduction,
                **common,
            )
            agree(numpy(found), np.asarray(wanted), 1e-12, f"{mining}, {reduction}")

        def both(z: Any, y: Any, common: Any = common) -> Any:
            return value_and_gradient(lambda z: functional.cross_entropy(z, y, **common), z)

        wanted = evaluate("cross_entropy", logits, known, **common)
        for name, function in {"eager": both, **compiled(both)}.items():
            found = function(tensor(logits, "float32"), tensor(known, "int32"))
            for one, other in zip(found, wanted, strict=True):
                agree(numpy(one), other, 3e-6, f"{mining}, {name}")


@check("tensorflow")
def sparse_labels_become_no_one_hot_ones() -> None:
    import tensorflow as tf

    logits, labels = drawn(16, (2, 3, 4), 5)
    for loss in LABEL_LOSSES:
        traced = tf.function(training(loss))
        graph = traced.get_concrete_function(tensor(logits, "float32"), tensor(labels)).graph
        large = {
            operation.type
            for operation in graph.get_operations()
            if any(output.shape == logits.shape for output in operation.outputs)
        }
        assert len(large) > 1
        assert not {name for name in large if "OneHot" in name or "Scatter" in name}, (loss, large)


@check("tensorflow", "jax")
def what_is_traced_is_no_prior() -> None:
    logits, labels = drawn(17, (4,), 5)
    functions = compiled(lambda z, y: functional.ldam(logits, labels, counts=z[0, 0, 0]))
    for function in functions.values():
        ones = tensor(np.ones((1, 1, 1, 5)), "float32"), tensor(np.ones((1, 1, 1)), "int32")
        refused(lambda function=function, ones=ones: function(*ones), "counts has no values")


@check("tensorflow", "jax")
def strange_labels_are_left_out_of_compiled_losses() -> None:
    logits, labels = drawn(17, (2, 3, 4), 5)
    strange = labels.copy()
    strange[0], strange[1, 0] = 77, -3
    kept = np.where((strange >= 0) & (strange < 5), strange, 255)
    wanted = evaluate("focal", logits, kept, ignore_index=255)

    def both(z: Any, y: Any) -> Any:
        return value_and_gradient(lambda z: functional.focal(z, y), z)

    for name, function in compiled(both).items():
        found = function(tensor(logits, "float32"), tensor(strange, "int32"))
        for one, other in zip(found, wanted, strict=True):
            agree(numpy(one), other, 1e-6, name)


def refused(function: Any, *texts: str) -> None:
    said = None
    try:
        function()
    except ParameterError as error:
        said = str(error)
    except Exception as error:  # what is raised while tf.function traces comes wrapped
        said = str(error) if "ParameterError" in str(error) else repr(error)
    assert said is not None, f"nothing was raised that says {texts}"
    assert [text for text in texts if text not in said] == [], said


@check()
def strange_labels_are_errors_where_looking_is_free() -> None:
    logits, labels = drawn(18, (2, 3, 4), 5)
    labels[1, 2, 3] = 5
    for target in (labels, labels.astype(np.float32), tensor(labels, "int32")):
        refused(lambda y=target: functional.ldam(logits, y, counts=[1] * 5), "label 5", "0..4")
    refused(lambda: functional.focal(logits, labels, ignore_index=255), "ignore_index is 255")
    refused(lambda: functional.focal(logits, np.full((2, 3, 4), 1.5)), "label 1.5")
    refused(lambda: functional.focal(logits, np.full((2, 3, 4), -1)), "label -1")
    mask = np.ones((2, 3, 4), bool)
    refused(lambda: functional.focal(logits, labels, mask=mask), "label 5")
    mask[1, 2, 3] = False
    found = functional.focal(logits, labels, mask=mask)
    same = functional.focal(logits, labels, ignore_index=5)
    np.testing.assert_array_equal(numpy(found), numpy(same))


@check()
def arguments_that_mean_nothing_are_refused() -> None:
    logits, labels = drawn(19, (2, 3, 4), 5)
    ce = functional.cross_entropy
    refused(lambda: ce(logits, labels[:, :2]), "(2, 2, 4)", "the class axis is last")
    refused(lambda: ce(np.moveaxis(logits, -1, 1), labels), "(2, 5, 3, 4)")
    refused(lambda: ce(logits, np.ones(logits.shape)), "sum to 5", "BinaryCrossEntropy")
    refused(lambda: ce(logits, np.zeros((2, 12, 16))), "image.resize(logits, (12, 16))")
    refused(lambda: ce(logits, np.zeros((2, 12, 16, 1))), "image.resize(logits, (12, 16))")
    for wrong in ("255", True, [0, 1.5]):
        refused(lambda wrong=wrong: ce(logits, labels, ignore_index=wrong), "is no integer")
    refused(lambda: ce(logits[..., :1], labels * 0), "over 1 class")
    refused(lambda: ce(logits[0, 0, 0], labels[0, 0, 0]), "no last axis")
    refused(lambda: ce(logits.astype(np.int32), labels), "int32, not floating")
    refused(lambda: ce(logits, labels, weight=[1, 2]), "shape (2,)", "5 classes")
    for wrong in (-1, np.nan, np.inf, 1e39):
        refused(lambda wrong=wrong: ce(logits, labels, weight=[1, 1, 1, 1, wrong]), "finite")
    refused(lambda: ce(logits, labels, reduction="median"), "median", "weighted-mean")
    refused(lambda: ce(logits, labels, sample_weight=np.ones((2, 4))), "sample_weight", "(2, 4)")
    refused(lambda: ce(logits, labels, mask=np.ones((2, 3, 4, 5))), "mask")
    refused(lambda: ce(logits, labels, top_k=20), "top_k is 20", "20% is 0.2")
    refused(lambda: functional.focal(logits, labels, gamma=-0.5), "gamma")
    refused(lambda: functional.complement_cross_entropy(logits, labels, gamma=np.inf), "gamma")
    refused(lambda: functional.logit_adjusted(logits, labels, prior=[0] * 5), "prior is 0")
    refused(lambda: functional.ldam(logits, labels, counts=[1] * 4), "counts of shape (4,)")
    refused(lambda: functional.ldam(logits, labels, counts=[1] * 5, scale=-1), "scale")
    refused(lambda: functional.distance_aware(logits, logits[:1]), "heat map of shape")
    refused(lambda: functional.distance_aware(logits, labels), "floating")
    refused(lambda: functional.distance_aware(logits, logits, beta=-1), "beta")


@check("tensorflow")
def probabilities_are_refused_where_they_can_be_told() -> None:
    import tensorflow as tf

    logits, labels = drawn(20, (4,), 3)
    z = tensor(logits, "float32")
    for made in (ops.softmax(z), ops.sigmoid(z), keras.activations.softmax(z)):
        refused(lambda made=made: functional.cross_entropy(made, labels), "losses take logits")
    refused(lambda: functional.distance_aware(ops.sigmoid(z), logits), "losses take logits")
    inside = tf.function(lambda z: functional.focal(tf.nn.softmax(z), labels))
    refused(lambda: inside(z), "losses take logits")


@check()
def two_classes_are_warned_about_once() -> None:
    logits, labels = drawn(21, (6,), 2)
    complement._warn_once.cache_clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        values = [
            numpy(functional.complement_entropy(tensor(logits), labels, reduction="none"))
            for _ in range(3)
        ]
        functional.complement_cross_entropy(logits, labels)
    assert [str(warning.message)[:22] for warning in said] == ["the complement entropy"]
    assert not np.any(values)


@check()
def keras_own_losses_agree() -> None:
    logits, labels = drawn(22, (2, 3, 4), 5)
    z, hot = tensor(logits, "float32"), np.eye(5, dtype=np.float32)[labels]
    factors = np.random.default_rng(10).uniform(0, 2, (2, 3, 4)).astype(np.float32)
    weight = np.array([0.25, 3.0, 1.0, 0.5, 1.75])
    for reduction in ("sum_over_batch_size", "sum", "mean_with_sample_weight", None):
        own = keras.losses
        settings: dict[str, Any] = {"from_logits": True, "reduction": reduction}
        sparse = own.SparseCategoricalCrossentropy(**settings)
        pairs = [
            (sparse(labels, z), functional.cross_entropy(z, labels, reduction=reduction)),
            (
                sparse(labels, z, sample_weight=factors),
                functional.cross_entropy(z, labels, sample_weight=factors, reduction=reduction),
            ),
            # Class weights are sample weights looked up.
            (
                sparse(labels, z, sample_weight=weight[labels] * factors),
                functional.cross_entropy(
                    z, labels, weight=weight, sample_weight=factors, reduction=reduction
                ),
            ),
            (
                own.CategoricalCrossentropy(**settings)(hot, z),
                functional.cross_entropy(z, hot, reduction=reduction),
            ),
            (
                own.CategoricalCrossentropy(label_smoothing=0.2, **settings)(hot, z),
                functional.cross_entropy(z, labels, label_smoothing=0.2, reduction=reduction),
            ),
            (
                own.CategoricalFocalCrossentropy(alpha=1.0, gamma=1.5, **settings)(hot, z),
                functional.focal(z, hot, gamma=1.5, reduction=reduction),
            ),
        ]
        for number, (keras_own, ours) in enumerate(pairs):
            agree(numpy(ours), numpy(keras_own), 2e-6, f"{reduction}, {number}")


@check("jax")
def losses_run_without_float64() -> None:
    import jax

    scope = jax.enable_x64(False) if hasattr(jax, "enable_x64") else jax.experimental.disable_x64()
    with scope:
        for case in [case for case in SPARSE_CASES if case.loss in ("focal", "ldam")][::6]:
            found, wanted = run(case, "mean", "float32"), expected(case, "mean")
            agree(found[0], wanted[0], allowed(case, "float32"), case.name)
            agree(found[1], wanted[1], 30 * allowed(case, "float32"), case.name)


@check()
def the_benchmark_measures_equal_losses() -> None:
    from benchmarks import keras_losses

    losses = keras_losses.contenders(5)
    assert len(losses) == 7
    losses = {name: losses[name] for name in (keras_losses.REFERENCE, "focal")}
    logits, labels = keras_losses.batch((2, 8, 9, 5))
    keras_losses.check_equal(losses, logits, labels)
    results = {}
    for mode in keras_losses.modes():
        runs = keras_losses.steps(losses, logits, labels, mode)
        results[mode] = keras_losses.measure(runs, 1, lambda name: len(name))
    printed = keras_losses.table(results)
    assert printed.count("focal") == len(results)
    assert keras_losses.own_peak("focal", mode, (1, 64, 64, 5)) >= 0
