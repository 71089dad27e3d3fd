"""Checks of the Keras losses as classes, in training, and of complement objective training."""

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
from tests.support.keras_gradients import numpy, tensor
from tests.support.keras_loss_checks import agree, refused
from tests.support.loss_cases import class_options, drawn, weights_of
from tests.support.loss_oracles import LABEL_LOSSES, evaluate

K = 4
SHAPE = (6, 3, 2)
CLASSES = {
    "cross_entropy": adapter.CrossEntropy,
    "focal": adapter.Focal,
    "complement_entropy": adapter.ComplementEntropy,
    "complement_cross_entropy": adapter.ComplementCrossEntropy,
    "logit_adjusted": adapter.LogitAdjusted,
    "ldam": adapter.LDAM,
    "distance_aware": adapter.DistanceAware,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "cross_entropy": {"label_smoothing": 0.2, "top_k": 0.25, "threshold": 0.1},
    "focal": {"gamma": 0.5},
    "complement_cross_entropy": {"gamma": 0.75},
    "logit_adjusted": {"tau": 0.5},
    "ldam": {"max_margin": 0.3, "scale": 2.0},
    "distance_aware": {"alpha": 1.5, "beta": 2.5},
}


def images(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Features [6, 3, 2, 5] and labels, some of them 255."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(*SHAPE, 5)).astype(np.float32)
    labels = generator.integers(0, K, SHAPE).astype(np.int32)
    labels[generator.random(SHAPE) < 0.2] = 255
    return features, labels


def pixelwise(dtype: str = "float32", activation: str | None = None) -> keras.Model:
    """A linear classifier of pixels with known weights: logits are features times a matrix."""
    matrix = np.random.default_rng(0).normal(size=(5, K)).astype(np.float32)
    layer = keras.layers.Dense(
        K,
        use_bias=False,
        activation=activation,
        dtype=dtype,
        kernel_initializer=keras.initializers.Zeros(),
    )
    model = keras.Sequential([keras.Input((*SHAPE[1:], 5)), layer])
    layer.set_weights([matrix])
    return model


def matrix_of(model: Any) -> np.ndarray:
    (matrix,) = model.get_weights()
    return np.asarray(matrix, np.float64)


def slope(
    matrix: np.ndarray, features: np.ndarray, loss: str, labels: Any, **options: Any
) -> np.ndarray:
    """The gradient of a loss with respect to the matrix, from the oracle."""
    wide = features.astype(np.float64)
    gradient = evaluate(loss, wide @ matrix, labels, **options)[1]
    return np.asarray(wide.reshape(-1, 5).T @ gradient.reshape(-1, K))


def trained(loss: Any, features: Any, labels: Any, *, model: Any = None, **options: Any) -> Any:
    """A model after one step of gradient descent of size 1 over the whole batch."""
    model = pixelwise() if model is None else model
    model.compile(keras.optimizers.SGD(1.0), loss)
    model.fit(features, labels, batch_size=len(features), verbose=0, shuffle=False, **options)
    return model


@check()
def classes_are_the_functions() -> None:
    logits, labels = drawn(1, (2, 3, 4), 5)
    labels[0, 0] = 255
    heat = np.random.default_rng(0).random(logits.shape)
    for name, kind in CLASSES.items():
        target = labels if name in LABEL_LOSSES else heat
        options = {**class_options(name, {}, 5), **SETTINGS.get(name, {})}
        for reduction in ("none", "weighted-mean"):
            common = {"weight": weights_of(5), "ignore_index": 255, "reduction": reduction}
            loss = kind(**common, **options)
            wanted = getattr(functional, name)(
                tensor(logits, "float32"), target, **common, **options
            )
            np.testing.assert_array_equal(numpy(loss(target, logits)), numpy(wanted))
            if reduction == "none":
                found = numpy(loss.call(target, logits))
                np.testing.assert_array_equal(found, numpy(wanted))


@check()
def configurations_are_plain_and_complete() -> None:
    logits, labels = drawn(2, (2, 3, 4), 5)
    heat = np.random.default_rng(1).random(logits.shape)
    for name, kind in CLASSES.items():
        options = {**class_options(name, {}, 5), **SETTINGS.get(name, {})}
        loss = kind(
            weight=tensor(weights_of(5), "float32"),
            ignore_index=2,
            reduction="weighted-mean",
            name="mine",
            dtype="float64",
            **options,
        )
        config = json.loads(json.dumps(loss.get_config()))
        assert config["weight"] == weights_of(5).tolist() and config["ignore_index"] == 2
        assert config["reduction"] == "weighted-mean" and config["name"] == "mine"
        assert {key: config[key] for key in SETTINGS.get(name, {})} == SETTINGS.get(name, {})
        target = labels if name in LABEL_LOSSES else heat
        wanted = numpy(loss(target, logits))
        plain = json.loads(json.dumps(keras.losses.serialize(loss)))
        assert plain["registered_name"] == f"maskstat>{kind.__name__}"
        for copy in (kind.from_config(config), keras.losses.deserialize(plain)):
            assert type(copy) is kind and copy.get_config() == config
            np.testing.assert_array_equal(numpy(copy(target, logits)), wanted)
        assert keras.backend.standardize_dtype(loss(target, logits).dtype) == "float64"
        assert kind.from_config({**config, "dtype": None}).dtype == "float32"


@check()
def bad_settings_are_refused_at_construction() -> None:
    for weight in ([1, -1], [1, np.nan], [[1, 2]]):
        refused(lambda weight=weight: adapter.CrossEntropy(weight), "weight")
    refused(lambda: adapter.Focal(gamma=-1), "gamma")
    refused(lambda: adapter.CrossEntropy(label_smoothing=1.5), "from 0 to 1")
    refused(lambda: adapter.CrossEntropy(top_k=20), "top_k is 20", "20% is 0.2")
    refused(lambda: adapter.CrossEntropy(threshold=0), "threshold is 0", "probability")
    refused(lambda: adapter.ComplementCrossEntropy(gamma=np.nan), "gamma")
    refused(lambda: adapter.LogitAdjusted(prior=[0, 0]), "prior is 0")
    refused(lambda: adapter.LDAM(counts=[1, 2], scale=-1), "scale")
    refused(lambda: adapter.DistanceAware(alpha=-1), "alpha")
    for wrong in (1.5, "255", True, [0, None]):
        refused(lambda wrong=wrong: adapter.CrossEntropy(ignore_index=wrong), "ignore_index")
        refused(lambda wrong=wrong: adapter.metrics.MeanIoU(4, ignore_index=wrong), "ignore_index")
        refused(lambda wrong=wrong: adapter.add_sample_weights([1, 2], wrong), "ignore_index")
    refused(lambda: adapter.CrossEntropy(reduction="median"), "median")


@check()
def words_that_no_loss_knows_are_refused() -> None:
    for kind in CLASSES.values():
        needed = class_options({v: k for k, v in CLASSES.items()}[kind], {}, 5)
        for wrong in ("smoothing", "from_logits", "axis"):
            refused(lambda kind=kind, given={**needed, wrong: 0}: kind(**given), wrong)


@check()
def weights_never_pass_for_counts() -> None:
    counts = [4_000_000_000, 250_000, 30, 0, 7]
    table = WeightTable(tuple("abcde"), weights_of(5).copy(), np.array(counts), "inverse")
    logits, labels = drawn(4, (2, 3, 4), 5)
    with tempfile.TemporaryDirectory() as folder:
        path = table.save(Path(folder) / "weights.json")
        for name, kind in (("prior", adapter.LogitAdjusted), ("counts", adapter.LDAM)):
            function = functional.logit_adjusted if name == "prior" else functional.ldam
            refused(lambda kind=kind: kind(weights_of(5)), "TypeError", name)
            for wrong in (table, path, str(path), weights_of(5), [0.5, 1, 2, 4, 9]):
                given = {name: wrong}
                refused(lambda kind=kind, given=given: kind(**given), f"{name}=load_counts")
                refused(
                    lambda function=function, given=given: function(logits, labels, **given),
                    f"{name}=load_counts",
                )
            found = numpy(kind(**{name: adapter.load_counts(path)})(labels, logits))
            shares = np.array(counts) / np.sum(counts)
            agree(found, numpy(kind(**{name: shares})(labels, logits)), 1e-6, name)
            assert kind(path, **{name: counts}).weight == weights_of(5).tolist()
        for source in (path, str(path), table):
            assert adapter.CrossEntropy(source).weight == weights_of(5).tolist()
        refused(lambda: functional.focal(logits, labels, weight=str(path)), "weight=load_weights")
        found = numpy(functional.focal(logits, labels, weight=table))
        agree(found, numpy(adapter.Focal(path)(labels, logits)), 1e-6, "a table")


@check()
def statistics_stay_as_they_are_in_half_precision() -> None:
    weight = [1e-9, 3.0, 1e6, 2e-9, 1.0]
    logits, labels = drawn(6, (2, 3, 4), 5)
    large = np.where(np.arange(5) == 0, 1e5, logits)
    for loss, target, z in (
        (adapter.CrossEntropy(weight, reduction="sum"), np.zeros_like(labels), logits),
        (adapter.LDAM(counts=[4_000_000, 70_000, 3, 2, 1]), labels, logits),
        (adapter.CrossEntropy(), labels, large),
    ):
        wanted = numpy(loss(target, tensor(z, "float32")))
        assert 0 < wanted < np.inf
        for make in (
            lambda: keras.config.set_dtype_policy("mixed_float16"),
            lambda: keras.config.set_floatx("float16"),
        ):
            try:
                make()
                copy = type(loss).from_config(loss.get_config())
                found = numpy(copy(target, tensor(z, "float32")))
            finally:
                keras.config.set_floatx("float32")
                keras.config.set_dtype_policy("float32")
            np.testing.assert_array_equal(found, wanted)


@check()
def a_step_of_training_is_the_oracles() -> None:
    features, labels = images()
    weight = weights_of(K)
    factors = np.random.default_rng(3).uniform(0, 2, SHAPE)
    before = matrix_of(pixelwise())
    for reduction in ("mean", "weighted-mean"):
        loss = adapter.Focal(weight, gamma=1.5, ignore_index=255, reduction=reduction)
        found = before - matrix_of(trained(loss, features, labels))
        wanted = slope(
            before,
            features,
            "focal",
            labels,
            weight=weight,
            gamma=1.5,
            ignore_index=255,
            reduction=reduction,
        )
        agree(found, wanted, 1e-5, reduction)
    # With sample weights: the sum of w · loss over the number of pixels, or over the sum of w.
    counted = labels != 255
    known = np.where(counted, labels, 0)
    divisors = {"sum": 1, "weighted-mean": (weight[known] * factors * counted).sum()}
    logits = features.astype(np.float64) @ before
    each = evaluate("focal", logits, labels, weight=weight, ignore_index=255, reduction="none")[1]
    for reduction, divisor in divisors.items():
        loss = adapter.Focal(weight, ignore_index=255, reduction=reduction)
        model = trained(loss, features, labels, sample_weight=factors.astype(np.float32))
        wanted = np.einsum("nhwf,nhwk,nhw->fk", features, each, factors) / divisor
        agree(before - matrix_of(model), wanted, 1e-5, f"{reduction}, sample_weight")


@check()
def training_with_keras_own_loss_is_the_same() -> None:
    features, labels = images()
    counted = labels != 255
    known = np.where(counted, labels, 0)
    factors = np.random.default_rng(4).uniform(0, 2, SHAPE).astype(np.float32)
    own = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for given in (None, factors):
        weighted = {} if given is None else {"sample_weight": given}
        one = trained(own, features, known, **weighted)
        other = trained(adapter.CrossEntropy(), features, known, **weighted)
        agree(matrix_of(other), matrix_of(one), 1e-6, "Keras' mean")
    # Ignored pixels leave our mean; with Keras' own they stay in it as pixels of weight 0.
    one = trained(own, features, known, sample_weight=factors * counted)
    other = trained(adapter.CrossEntropy(ignore_index=255), features, labels, sample_weight=factors)
    before = matrix_of(pixelwise())
    share = counted.mean()
    agree((matrix_of(other) - before) * share, matrix_of(one) - before, 1e-6, "ignored")
    # One number an image, and class weights of one label an image.
    images_weight = np.array([1, 0, 2, 0.5, 3, 1], np.float32)
    whole = np.broadcast_to(images_weight[:, None, None], SHAPE)
    one = trained(adapter.CrossEntropy(), features, known, sample_weight=images_weight)
    other = trained(adapter.CrossEntropy(), features, known, sample_weight=whole)
    agree(matrix_of(one), matrix_of(other), 1e-6, "one number an image")


@check()
def one_label_an_image_takes_class_weight() -> None:
    features, labels = images()[0][:, 0, 0], np.array([0, 3, 1, 1, 2, 0], np.int32)
    weight = {0: 0.5, 1: 2.0, 2: 1.0, 3: 4.0}

    def classifier() -> Any:
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(K, use_bias=False)])
        model.set_weights(pixelwise().get_weights())
        return model

    one = trained(adapter.CrossEntropy(), features, labels, model=classifier(), class_weight=weight)
    other = trained(
        adapter.CrossEntropy(list(weight.values())), features, labels[:, None], model=classifier()
    )
    agree(matrix_of(one), matrix_of(other), 1e-6, "class_weight")


@check("tensorflow", "torch")
def masks_of_keras_are_obeyed() -> None:
    logits, labels = drawn(3, (4, 6), 5)
    mask = np.random.default_rng(5).random((4, 6)) < 0.5
    labels[0, 0], mask[0, 0] = 77, False
    known = np.where(mask, labels, 0)
    for reduction in ("sum_over_batch_size", "sum", "mean_with_sample_weight"):
        for sample_weight in (None, np.linspace(0, 2, 24, dtype=np.float32).reshape(4, 6)):
            z = tensor(logits, "float32")
            z._keras_mask = tensor(mask)
            own = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
            wanted = own(known, z, sample_weight=sample_weight)
            ours = adapter.CrossEntropy(reduction=reduction)
            found = ours(labels, z, sample_weight=sample_weight)
            agree(numpy(found), numpy(wanted), 1e-6, f"{reduction}")


@check()
def mixed_precision_trains_and_loses_nothing() -> None:
    features, labels = images()
    for policy in ("mixed_float16", "mixed_bfloat16"):
        model = pixelwise(policy)
        model.compile(keras.optimizers.SGD(0.5), adapter.ComplementCrossEntropy(ignore_index=255))
        assert keras.backend.standardize_dtype(model(features).dtype) == policy[6:]
        losses = model.fit(features, labels, epochs=3, batch_size=6, verbose=0).history["loss"]
        assert np.isfinite(losses).all() and losses[-1] < losses[0]
        loss = adapter.ComplementCrossEntropy(ignore_index=255)(labels, model(features))
        assert keras.backend.standardize_dtype(loss.dtype) == "float32"


@check()
def an_ignored_batch_trains_nothing() -> None:
    features, labels = images()
    for loss, reduction in (
        (adapter.Focal, "mean"),
        (adapter.ComplementCrossEntropy, "weighted-mean"),
    ):
        model = trained(
            loss(ignore_index=255, reduction=reduction), features, np.full_like(labels, 255)
        )
        np.testing.assert_array_equal(matrix_of(model), matrix_of(pixelwise()))


@check()
def models_are_saved_with_their_loss() -> None:
    features, labels = images()
    loss = adapter.LDAM(
        weights_of(K), counts=[9, 3, 0, 1], ignore_index=255, reduction="weighted-mean"
    )
    model = trained(loss, features, labels)
    wanted = model.evaluate(features, labels, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        copy = keras.saving.load_model(path)
    assert copy.loss.get_config() == loss.get_config()
    np.testing.assert_allclose(copy.evaluate(features, labels, verbose=0), wanted, rtol=1e-6)


@check("tensorflow")
def a_softmax_at_the_end_is_refused() -> None:
    features, labels = images()
    refused(
        lambda: trained(
            adapter.Focal(ignore_index=255), features, labels, model=pixelwise(activation="softmax")
        ),
        "losses take logits",
    )


@check("tensorflow")
def replicas_take_the_step_of_one() -> None:
    import tensorflow as tf

    features, labels = images()
    labels[labels == 255] = 0
    wanted = matrix_of(trained(adapter.Focal(), features, labels))
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = pixelwise()
        model.compile(keras.optimizers.SGD(1.0), adapter.Focal(), jit_compile=False)
        data = tf.data.Dataset.from_tensor_slices((features, labels)).batch(len(features))
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        model.fit(data.with_options(options), verbose=0, shuffle=False)
    agree(matrix_of(model), wanted, 1e-6, "two replicas")


# --- complement objective training --------------------------------------------------------------


def objective(network: Any, **options: Any) -> Any:
    settings = {
        "optimizer": keras.optimizers.SGD(0.5),
        "loss": adapter.CrossEntropy(weights_of(K), ignore_index=255),
        "complement_optimizer": keras.optimizers.SGD(0.8),
        **options,
    }
    model = adapter.ComplementObjectiveTraining(network)
    model.compile(**settings)
    return model


@check("tensorflow", "torch")
def both_steps_are_the_oracles() -> None:
    features, labels = images()
    network = pixelwise()
    common = {"weight": weights_of(K), "ignore_index": 255}
    first = matrix_of(network)
    middle = first - 0.5 * slope(first, features, "cross_entropy", labels, **common)
    wanted = middle + 0.8 / (K - 1) * slope(
        middle, features, "complement_entropy", labels, **common
    )
    logs = objective(network).fit(features, labels, batch_size=6, verbose=0).history
    agree(matrix_of(network), wanted, 1e-5, "two steps")
    logits = features.astype(np.float64) @ first
    for name, loss, factor in (
        ("loss", "cross_entropy", 1),
        ("complement", "complement_entropy", 1 / (K - 1)),
    ):
        value = evaluate(loss, logits, labels, **common)[0] * factor
        np.testing.assert_allclose(logs[name][0], value, rtol=1e-5)


@check("tensorflow", "torch")
def training_lowers_the_loss_and_reports_validation() -> None:
    features, labels = images()
    model = objective(pixelwise())
    history = model.fit(
        features,
        labels,
        epochs=8,
        batch_size=3,
        verbose=0,
        validation_data=(features, labels),
        validation_batch_size=6,
    ).history
    assert set(history) == {"loss", "complement", "val_loss", "val_complement"}
    assert history["val_loss"][-1] < history["val_loss"][0]
    assert history["val_complement"][-1] > history["val_complement"][0]
    own = adapter.ComplementEntropy(weights_of(K), ignore_index=255)(labels, model(features))
    np.testing.assert_allclose(history["val_complement"][-1] * (K - 1), numpy(own), rtol=1e-4)


@check("tensorflow", "torch")
def both_optimisers_are_saved() -> None:
    features, labels = images()
    settings = {"epochs": 2, "batch_size": 6, "verbose": 0, "shuffle": False}
    model = objective(
        pixelwise(),
        optimizer=keras.optimizers.Adam(0.1),
        complement_optimizer=keras.optimizers.Adam(0.2),
    )
    model.fit(features, labels, **settings)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "training.keras"
        model.save(path)
        copy = keras.saving.load_model(path)
    assert copy.complement.get_config() == model.complement.get_config()
    for each in (model, copy):
        each.fit(features, labels, **settings)
    agree(matrix_of(copy), matrix_of(model), 1e-6, "resumed")


@check("tensorflow", "torch")
def mixed_precision_scales_both_steps() -> None:
    features, labels = images()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = objective(pixelwise("mixed_float16"))
        scaling = keras.optimizers.LossScaleOptimizer
        assert isinstance(model.optimizer, scaling)
        assert isinstance(model.complement_optimizer, scaling)
        history = model.fit(features, labels, epochs=5, batch_size=6, verbose=0).history
        assert np.isfinite(history["loss"]).all() and history["loss"][-1] < history["loss"][0]
    finally:
        keras.config.set_dtype_policy("float32")


@check("tensorflow", "torch")
def bad_objectives_are_refused() -> None:
    one = keras.optimizers.SGD()
    refused(lambda: objective(pixelwise(), optimizer=one, complement_optimizer=one), "same")
    silent = adapter.ComplementEntropy(reduction="none")
    refused(lambda: objective(pixelwise(), complement=silent), "one number")


@check("jax")
def two_optimisers_are_refused_by_name() -> None:
    refused(lambda: objective(pixelwise()), "JAX", "ComplementCrossEntropy")
