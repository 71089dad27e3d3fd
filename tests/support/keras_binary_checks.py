"""Checks of the binary Keras losses, run on a backend by `keras_backends`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from maskstat import keras as adapter
from maskstat.keras import functional
from maskstat.weights.table import WeightTable
from tests.support.keras_backends import check
from tests.support.keras_gradients import (
    BACKEND,
    directional_gradient,
    numpy,
    tensor,
    value_and_gradient,
)
from tests.support.keras_loss_checks import agree, allowed, refused, run
from tests.support.loss_cases import BINARY_CASES, drawn, expected
from tests.support.loss_oracles import BINARY_LOSSES, BINARY_REDUCTIONS, evaluate

CLASSES = {
    "binary_cross_entropy": adapter.BinaryCrossEntropy,
    "binary_focal": adapter.BinaryFocal,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "binary_cross_entropy": {"label_smoothing": 0.2},
    "binary_focal": {"gamma": 0.5},
}
SHAPE = (2, 3, 4, 3)
CASES = BINARY_CASES[:: {"jax": 6, "tensorflow": 2}.get(BACKEND, 1)]


def batch(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    logits, _ = drawn(seed, SHAPE[:-1], SHAPE[-1])
    return logits, np.random.default_rng(seed).integers(0, 2, SHAPE)


def two(*weights: float, **given: Any) -> WeightTable:
    names = ("background", "crack", "stain")[: len(weights)]
    pixels = np.array([96, 4, 7][: len(weights)], np.int64)
    return WeightTable(names, np.array(weights), pixels, "equal-cost", **given)


@check()
def binary_losses_are_the_oracles() -> None:
    assert {case.loss for case in CASES} == set(BINARY_LOSSES)
    for number, case in enumerate(CASES):
        for dtype in ("float64",) if BACKEND == "jax" else ("float64", "float32"):
            for reduction in ("none", ("sum", "mean")[number % 2])[dtype == "float32" :]:
                what = f"{case.name}, {reduction}, {dtype}"
                found, wanted = run(case, reduction, dtype), expected(case, reduction)
                agree(found[0], wanted[0], allowed(case, dtype), what)
                agree(found[1], wanted[1], 30 * allowed(case, dtype), f"{what}, gradient")


@check()
def binary_losses_of_half_precision_are_computed_in_float32() -> None:
    for dtype, step in (("bfloat16", 7), ("float16", 30 if BACKEND == "jax" else 5)):
        for case in CASES[::step]:
            value, gradient = run(case, "mean", dtype)
            wanted = expected(case, "mean", numpy(tensor(case.logits, dtype)))
            agree(value, wanted[0], allowed(case, "float32"), f"{case.name}, {dtype}")
            agree(gradient, wanted[1], 1e-2, f"{case.name}, {dtype}, gradient")


@check()
def keras_own_binary_losses_agree() -> None:
    logits, target = batch()
    z, y = tensor(logits, "float32"), target.astype(np.float32)
    factors = np.random.default_rng(10).uniform(0, 2, SHAPE[:-1]).astype(np.float32)
    own = keras.losses
    for reduction in ("sum_over_batch_size", "sum"):
        # Keras takes the mean over labels before anything else.
        labels = SHAPE[-1] if reduction == "sum" else 1
        settings: dict[str, Any] = {"from_logits": True, "reduction": reduction}
        given = {"reduction": reduction, "sample_weight": factors}
        focal = {"gamma": 1.5, **settings}
        pairs = [
            (
                own.BinaryCrossentropy(**settings)(y, z, sample_weight=factors),
                functional.binary_cross_entropy(z, target, **given),
            ),
            (
                own.BinaryCrossentropy(label_smoothing=0.2, **settings)(y, z, factors),
                functional.binary_cross_entropy(z, target, label_smoothing=0.2, **given),
            ),
            (
                own.BinaryFocalCrossentropy(**focal)(y, z, sample_weight=factors),
                functional.binary_focal(z, target, gamma=1.5, **given),
            ),
            (
                own.BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.3, **focal)(
                    y, z, sample_weight=factors
                ),
                functional.binary_focal(z, target, gamma=1.5, alpha=0.3, **given),
            ),
        ]
        for number, (keras_own, ours) in enumerate(pairs):
            agree(numpy(ours), labels * numpy(keras_own), 2e-6, f"{reduction}, {number}")


@check()
def two_logits_give_the_same() -> None:
    """Softmax of (0, z) with weights (1, pos_weight), and the plain mean."""
    logits, target = batch()
    z, marked = logits[..., 0], target[..., 0]
    marked[0, 0] = 255
    both = np.stack([np.zeros_like(z), z], -1)
    for weight in (0.0, 1.0, 49.0):
        for binary, softmax in (
            (functional.binary_cross_entropy, functional.cross_entropy),
            (functional.binary_focal, functional.focal),
        ):
            pair = []
            for function, given, weighed in (
                (binary, z, {"pos_weight": weight}),
                (softmax, both, {"weight": [1.0, weight]}),
            ):

                def loss(z: Any, function: Any = function, weighed: Any = weighed) -> Any:
                    return function(z, marked, ignore_index=255, **weighed)

                value, slope = value_and_gradient(loss, tensor(given, "float64"))
                pair.append((numpy(value), numpy(slope)))
            agree(pair[0][0], pair[1][0], 1e-12, softmax.__name__)
            agree(pair[0][1], pair[1][1][..., 1], 1e-12, softmax.__name__)


@check()
def targets_of_every_type_and_an_axis_of_one() -> None:
    logits, target = batch()
    z, y = tensor(logits[..., :1], "float32"), target[..., :1]
    for function in (functional.binary_cross_entropy, functional.binary_focal):
        wanted = numpy(function(z, y))
        for kind in ("bool", "uint8", "int32", "float16", "float32", "float64"):
            for given in (y.astype(kind), tensor(y.astype(kind)), y[..., 0].astype(kind)):
                np.testing.assert_array_equal(numpy(function(z, given)), wanted)
        np.testing.assert_array_equal(numpy(function(z[..., 0], y[..., 0])), wanted)
        np.testing.assert_array_equal(numpy(function(z[..., 0], y)), wanted)
        void = np.where(y == 1, 1, 255)
        for kind in ("uint8", "int32", "float32"):
            left = function(z, void.astype(kind), ignore_index=255, reduction="none")
            np.testing.assert_array_equal(numpy(left) != 0, y == 1)


@check()
def sample_weights_and_masks_of_elements_and_labels() -> None:
    logits, target = batch()
    random = np.random.default_rng(1)
    whole, pixels, images = random.random(SHAPE), random.random(SHAPE[:-1]), np.array([0.5, 3.0])
    mask = random.random(SHAPE[:-1]) < 0.6
    strange = np.where(mask[..., None], target, 255)  # what is masked may hold anything
    for loss in BINARY_LOSSES:
        options = {"pos_weight": np.array([2.0, 5.0, 0.5])}
        plain, _ = evaluate(loss, logits, target, reduction="none", **options)
        for given, along in (
            (whole, whole),
            (pixels, pixels[..., None]),
            (pixels[..., None], pixels[..., None]),
            (images, images[:, None, None, None]),
        ):
            kept = plain * along * mask[..., None]
            for reduction, wanted in (
                ("none", kept),
                ("mean", kept.sum() / (3 * mask.sum())),
            ):
                found = getattr(functional, loss)(
                    tensor(logits, "float64"),
                    strange,
                    sample_weight=given,
                    mask=mask,
                    reduction=reduction,
                    **options,
                )
                agree(numpy(found), np.asarray(wanted), 1e-6, f"{loss}, {reduction}")


@check()
def second_gradients_of_binary_losses() -> None:
    logits, target = batch()
    along = np.random.default_rng(8).normal(size=SHAPE)
    for loss, options in (("binary_cross_entropy", {}), ("binary_focal", {"gamma": 0.5})):

        def scalar(z: Any, loss: str = loss, options: Any = options) -> Any:
            return getattr(functional, loss)(z, target, pos_weight=3.0, **options)

        ends = [
            evaluate(loss, logits + sign * 1e-5 * along, target, pos_weight=3.0, **options)[1]
            for sign in (1, -1)
        ]
        agree(directional_gradient(scalar, logits, along), (ends[0] - ends[1]) / 2e-5, 1e-7, loss)


@check("tensorflow", "jax")
def compiled_binary_losses_are_eager_ones() -> None:
    from tests.support.keras_gradients import compiled

    logits, _ = drawn(15, (2, 3, 4), 5)
    labels = np.random.default_rng(16).integers(0, 2, (2, 3, 4))
    labels[0, 1] = 255
    for loss in BINARY_LOSSES:
        options = {"pos_weight": 7.0, "ignore_index": 255}
        wanted = evaluate(loss, logits[..., :1], labels[..., None], reduction="mean", **options)

        def both(z: Any, y: Any, loss: str = loss, options: Any = options) -> Any:
            return value_and_gradient(
                lambda z: getattr(functional, loss)(z, y, **options), z[..., :1]
            )

        for name, function in compiled(both).items():
            found = function(tensor(logits, "float32"), tensor(labels, "int32"))
            for one, other in zip(found, wanted, strict=True):
                agree(numpy(one), other, 3e-6, f"{loss}, {name}")
            # A mask of 0 and 255 must not train in silence.
            strange = function(tensor(logits, "float32"), tensor(labels + 3, "int32"))
            assert np.isnan(numpy(strange[0])), f"{loss}, {name}"


@check()
def binary_arguments_that_mean_nothing_are_refused() -> None:
    logits, target = batch()
    bce, focal = functional.binary_cross_entropy, functional.binary_focal
    refused(lambda: bce(logits, target * 255), "target 255", "target / 255", "ignore_index=255")
    refused(lambda: bce(logits, target + 1, ignore_index=255), "target 2 is outside", "255")
    refused(lambda: bce(logits, target * np.nan), "target nan")
    refused(lambda: bce(logits, target - 1.0), "target -1")
    refused(lambda: bce(logits, target[..., 0]), "CrossEntropy", "one_hot(target, 3)")
    refused(lambda: bce(logits, np.zeros((2, 6, 8, 3))), "image.resize(logits, (6, 8))")
    refused(lambda: bce(logits, target[..., :2]), "(2, 3, 4, 2) do not fit")
    refused(lambda: bce(logits.astype(int), target), "not floating")
    for reduction in ("weighted-mean", "mean_with_sample_weight"):
        refused(lambda r=reduction: bce(logits, target, reduction=r), "plain mean", "CrossEntropy")
        refused(lambda r=reduction: adapter.BinaryFocal(reduction=r), "plain mean")
    refused(lambda: bce(logits, target, reduction="median"), "'median' is not one of")
    for wrong in (-1.0, np.nan, [1, np.inf, 1]):
        refused(lambda wrong=wrong: bce(logits, target, pos_weight=wrong), "pos_weight must be")
        refused(lambda wrong=wrong: adapter.BinaryCrossEntropy(wrong), "pos_weight must be")
    refused(lambda: bce(logits, target, pos_weight=[1, 2]), "pos_weight of 2 labels")
    refused(lambda: bce(logits[..., 0], target[..., 0], pos_weight=[1] * 4), "the last axis")
    refused(lambda: adapter.BinaryFocal(np.ones((3, 1, 1))), "one number a label")
    refused(lambda: adapter.BinaryFocal([]), "no label")
    refused(lambda: bce(logits, target, pos_weight="w.json"), "pos_weight=load_pos_weight")
    refused(lambda: bce(logits, target, ignore_index="255"), "is no integer")
    refused(lambda: bce(logits, target, sample_weight=np.ones((3, 4))), "sample_weight", "(3, 4)")
    refused(lambda: focal(logits, target, gamma=-1), "gamma")
    refused(lambda: focal(logits, target, alpha=2), "from 0 to 1")
    refused(lambda: focal(logits, target, alpha=0.2, pos_weight=2.0), "alpha and pos_weight")
    refused(lambda: adapter.BinaryFocal(3.0, alpha=0.2), "alpha and pos_weight")
    refused(lambda: adapter.BinaryCrossEntropy(from_logits=True), "from_logits")


@check()
def pos_weight_comes_from_files_of_two_classes() -> None:
    logits, target = batch()
    with tempfile.TemporaryDirectory() as folder:
        files = [two(0.25, 6.0).save(Path(folder) / f"w{end}") for end in (".json", ".csv", ".txt")]
        files.append(two(0.25, 6.0).save(Path(folder) / "p.json", "pos-weight"))
        for source in (two(0.25, 6.0), *files, *map(str, files)):
            assert adapter.load_pos_weight(source) == 24
            assert adapter.BinaryCrossEntropy(source).pos_weight == 24
        found = numpy(adapter.BinaryFocal(files[0])(target, logits))
        agree(found, numpy(functional.binary_focal(logits, target, pos_weight=24)), 1e-6, "a file")
        three = two(1.0, 2.0, 3.0).save(Path(folder) / "three.json")
        refused(lambda: adapter.BinaryFocal(three), "WeightError", "three.json")


@check()
def binary_classes_are_the_functions_and_come_back() -> None:
    logits, target = batch()
    target[0, 0] = 255
    for name, kind in CLASSES.items():
        for pos_weight in (None, 3.5, tensor(np.array([1.0, 2.0, 5.0])), np.float32(2.0)):
            for reduction in BINARY_REDUCTIONS:
                loss = kind(
                    pos_weight, ignore_index=255, reduction=reduction, name="mine", **SETTINGS[name]
                )
                wanted = getattr(functional, name)(
                    tensor(logits, "float32"),
                    target,
                    pos_weight=pos_weight,
                    ignore_index=255,
                    reduction=reduction,
                    **SETTINGS[name],
                )
                np.testing.assert_array_equal(numpy(loss(target, logits)), numpy(wanted))
            config = json.loads(json.dumps(loss.get_config()))
            plain = json.loads(json.dumps(keras.losses.serialize(loss)))
            assert plain["registered_name"] == f"maskstat>{kind.__name__}"
            assert config["name"] == "mine" and config["ignore_index"] == 255
            for copy in (kind.from_config(config), keras.losses.deserialize(plain)):
                assert type(copy) is kind and copy.get_config() == config
                np.testing.assert_array_equal(numpy(copy(target, logits)), numpy(wanted))
        assert numpy(kind()(target % 2, logits)) == numpy(
            getattr(functional, name)(tensor(logits, "float32"), target % 2)
        )
    assert adapter.BinaryFocal(alpha=0.25).get_config()["alpha"] == 0.25


@check()
def models_with_binary_losses_train_and_are_saved() -> None:
    features = np.random.default_rng(1).normal(size=(6, 5, 4, 3)).astype(np.float32)
    target = (features.sum(-1) > 1).astype(np.uint8)
    target[0, 0] = 255
    for policy, kinds in (
        ("float32", ["binary_focal"]),
        ("mixed_bfloat16", ["binary_focal"]),
        ("mixed_float16", ["binary_focal", "binary_cross_entropy"]),
    ):
        for given in (CLASSES[name] for name in kinds):
            loss = given(70_000.0, ignore_index=255)
            layer = keras.layers.Conv2D(1, 1, dtype=policy)
            model = keras.Sequential([keras.Input((None, None, 3)), layer])
            model.compile(keras.optimizers.SGD(1e-6), loss)
            # One step of bfloat16 may be lost where processors multiply in it.
            fitted = model.fit(features, target, epochs=20, batch_size=6, verbose=0)
            losses = fitted.history["loss"]
            assert np.isfinite(losses).all() and losses[-1] < losses[0], (policy, losses)
            found = loss(target, model(features))
            assert keras.backend.standardize_dtype(found.dtype) == "float32"
            weighed = model.fit(features, target, sample_weight=np.zeros(6), verbose=0)
            assert weighed.history["loss"] == [0]
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        copy = keras.saving.load_model(Path(folder) / "model.keras")
    assert copy.loss.get_config() == loss.get_config()
    wanted = model.evaluate(features, target, verbose=0)
    np.testing.assert_allclose(copy.evaluate(features, target, verbose=0), wanted, rtol=1e-6)


@check("tensorflow")
def a_sigmoid_at_the_end_is_refused() -> None:
    logits, target = batch()
    for function in (functional.binary_cross_entropy, functional.binary_focal):
        z = keras.ops.sigmoid(tensor(logits, "float32"))
        refused(lambda function=function, z=z: function(z, target), "losses take logits")
