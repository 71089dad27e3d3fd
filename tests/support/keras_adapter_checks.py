"""Checks of Keras' metrics, sample weights, weights from files and calibration."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from maskstat.arrays.crop_dataset import CropDataset
from maskstat.crops.sampler import CropSampler
from maskstat.errors import ParameterError, WeightError
from maskstat.keras import (
    CropBatches,
    ShiftLogits,
    UnweightLogits,
    add_sample_weights,
    class_weight,
    load_weights,
    unweight_logits,
)
from maskstat.keras import metrics as measured
from maskstat.training.calibration import unweight_logits as exact_logits
from maskstat.training.metrics import ConfidenceHistogram, ConfusionMatrix
from maskstat.training.shifts import Shifts
from maskstat.weights.table import WeightTable
from tests.support.crop_cases import blob_index, blobs
from tests.support.keras_backends import check

K = 4
IGNORE = 255
MATRIX_METRICS = {
    "MeanIoU": lambda exact: exact.mean_iou,
    "BalancedAccuracy": lambda exact: exact.balanced_accuracy,
}


def batch(seed: int, shape: tuple[int, ...] = (3, 5, 4)) -> tuple[np.ndarray, np.ndarray]:
    """Labels, some ignored and class 2 absent, and scores with the class axis last."""
    generator = np.random.default_rng(seed)
    labels = generator.choice([0, 1, 3, IGNORE], shape).astype(np.int32)
    return labels, generator.normal(size=(*shape, K)).astype(np.float32)


def exact_matrix(*batches: tuple[np.ndarray, np.ndarray]) -> ConfusionMatrix:
    """The same counts by NumPy."""
    return sum(
        (
            ConfusionMatrix.of(labels, scores.argmax(-1), K, ignore_index=IGNORE)
            for labels, scores in batches
        ),
        ConfusionMatrix.empty(K),
    )


def refuses(function) -> bool:
    """Whether it raises ParameterError."""
    try:
        function()
    except ParameterError:
        return True
    return False


@check()
def metrics_count_what_numpy_counts() -> None:
    batches = [batch(seed) for seed in range(3)]
    exact = exact_matrix(*batches)
    counter = measured.ConfusionMatrix(K, ignore_index=IGNORE)
    for labels, scores in batches:
        counter.update_state(labels, scores)
    np.testing.assert_array_equal(counter.confusion().counts, exact.counts)
    assert counter.confusion().ignored == exact.ignored > 0
    for name, expected in MATRIX_METRICS.items():
        metric = getattr(measured, name)(K, ignore_index=IGNORE)
        for labels, scores in batches:
            metric.update_state(labels, scores)
        np.testing.assert_allclose(float(metric.result()), expected(exact), rtol=1e-6)
    per_class = measured.ClassIoU(K, ignore_index=IGNORE, class_names=["a", "b", "c", "d"])
    per_class.update_state(*batches[0])
    one = exact_matrix(batches[0]).iou
    found = [float(value) for value in per_class.result().values()]
    np.testing.assert_allclose(found, one, rtol=1e-6, equal_nan=True)
    assert list(per_class.result()) == ["iou_a", "iou_b", "iou_c", "iou_d"]


@check()
def metrics_start_again_after_reset() -> None:
    counter = measured.ConfusionMatrix(K, ignore_index=IGNORE)
    counter.update_state(*batch(1))
    counter.reset_state()
    assert counter.confusion().counts.sum() == 0
    counter.update_state(*batch(2))
    np.testing.assert_array_equal(counter.confusion().counts, exact_matrix(batch(2)).counts)


@check()
def labels_one_hot_and_scores_are_the_same_to_a_metric() -> None:
    labels, scores = batch(3)
    one_hot = (labels[..., None] == np.arange(K)).astype(np.float32)
    results = []
    for target, given in ((labels, scores), (one_hot, scores), (labels[..., None], scores)):
        counter = measured.ConfusionMatrix(K, ignore_index=IGNORE)
        counter.update_state(target, given)
        results.append(counter.confusion().counts)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@check()
def pixels_of_sample_weight_zero_do_not_count() -> None:
    labels, scores = batch(4)
    keep = np.random.default_rng(0).random(labels.shape) < 0.5
    counter = measured.ConfusionMatrix(K, ignore_index=IGNORE)
    counter.update_state(labels, scores, sample_weight=keep.astype(np.float32) * 7)
    exact = exact_matrix((np.where(keep, labels, IGNORE), scores))
    np.testing.assert_array_equal(counter.confusion().counts, exact.counts)


@check()
def counts_pass_the_precision_of_floats() -> None:
    """2^24 + 1 is no float32: counts beyond it stay exact."""
    counter = measured.ConfusionMatrix(2)
    labels = np.zeros((1 << 12, 1 << 10), np.int32)
    for _ in range(5):
        counter.update_state(labels, labels)
    counter.update_state(np.ones(1, np.int32), np.zeros(1, np.int32))
    assert counter.confusion().counts.tolist() == [[5 << 22, 0], [1, 0]]


@check()
def invalid_labels_are_told() -> None:
    counter = measured.MeanIoU(K)
    counter.update_state(np.array([0, K]), np.array([0, 1]))
    assert np.isnan(float(counter.result()))
    assert refuses(counter.confusion)


@check()
def calibration_error_is_that_of_the_histogram() -> None:
    labels, scores = batch(5, (400,))
    metric = measured.CalibrationError(bins=10, ignore_index=IGNORE)
    metric.update_state(labels, scores)
    shifted = np.exp(scores - scores.max(-1, keepdims=True), dtype=np.float64)
    probabilities = shifted / shifted.sum(-1, keepdims=True)
    exact = ConfidenceHistogram.of(probabilities, labels, ignore_index=IGNORE)
    expected = exact.expected_calibration_error(10)
    np.testing.assert_allclose(float(metric.result()), expected, atol=1e-4)
    assert metric.histogram().counts.sum() == exact.counts.sum() == (labels != IGNORE).sum()
    for bins in (10, 15, 20):  # confidences on the edges of bins are in the bin above
        edges = np.arange((bins + 1) // 2, bins + 1)
        confidence = (edges / bins).astype(np.float32)
        metric = measured.CalibrationError(bins=bins, from_logits=False)
        metric.update_state(np.zeros_like(edges), np.stack([confidence, 1 - confidence], 1))
        places = np.bincount(np.minimum(edges, bins - 1), minlength=bins)
        assert metric.histogram().reliability(bins).counts.tolist() == places.tolist()
        np.testing.assert_allclose(float(metric.result()), 1 - (edges / bins).mean(), atol=1e-6)


@check()
def metrics_come_back_from_their_configuration() -> None:
    for metric in (
        measured.ConfusionMatrix(K, ignore_index=2),
        measured.ClassRecall(2, class_names=["a", "b"]),
        measured.CalibrationError(bins=7, from_logits=False),
    ):
        config = metric.get_config()
        assert type(metric).from_config(config).get_config() == config


@check()
def metrics_are_the_same_within_fit() -> None:
    labels, scores = batch(6, (8, 6))
    model = keras.Sequential([keras.Input((6, K)), keras.layers.Activation("linear")])
    counter = measured.ConfusionMatrix(K, ignore_index=IGNORE)
    model.compile(loss=lambda _, given: 0 * ops.mean(given, axis=-1), metrics=[counter])
    model.evaluate(scores, labels, batch_size=3, verbose=0)
    exact = exact_matrix((labels, scores))
    np.testing.assert_array_equal(counter.confusion().counts, exact.counts)


@check()
def sample_weights_are_those_of_the_labels() -> None:
    labels, scores = batch(7)
    weights = np.array([0.5, 1.0, 2.0, 4.0], np.float32)
    image, label, weight = add_sample_weights(weights)(scores, labels)
    assert image is scores
    np.testing.assert_array_equal(weight, np.where(labels == IGNORE, 0, weights[labels % K]))
    np.testing.assert_array_equal(label, np.where(labels == IGNORE, 0, labels))
    assert label.dtype == labels.dtype and weight.dtype == np.float32
    _, _, doubled = add_sample_weights(weights)(scores, labels, np.full(labels.shape, 2.0))
    np.testing.assert_array_equal(doubled, weight * 2)
    kept = add_sample_weights(weights, ignored_label=None)(scores, labels)[1]
    np.testing.assert_array_equal(kept, labels)
    assert refuses(lambda: add_sample_weights(weights)(scores, labels + 5))
    assert refuses(lambda: add_sample_weights([1.0, -1.0]))


@check()
def sample_weights_of_one_hot_labels_and_of_whole_floats_are_those_of_classes() -> None:
    labels, scores = batch(7, (3, 5, 6))
    weigh = add_sample_weights([0.5, 1.0, 2.0, 4.0])
    _, changed, expected = weigh(scores, labels)
    for kind in ("uint8", "bool", "float32"):
        one_hot = (labels[..., None] == np.arange(K)).astype(kind)  # zeros where ignored
        _, label, weight = weigh(scores, one_hot)
        np.testing.assert_array_equal(weight, expected)
        np.testing.assert_array_equal(label, one_hot)
        assert label.dtype == kind and weight.dtype == np.float32
        without = add_sample_weights([0.5, 1.0, 2.0, 4.0], [1, IGNORE])(scores, one_hot)[2]
        np.testing.assert_array_equal(without, np.where(labels == 1, 0, expected))
    _, label, weight = weigh(scores, labels.astype(np.float32))
    np.testing.assert_array_equal(weight, expected)
    np.testing.assert_array_equal(label, changed)
    assert label.dtype == np.float32
    for wrong in (0.5, np.nan, np.inf):
        assert refuses(lambda wrong=wrong: weigh(scores, labels + np.float32(wrong)))


@check()
def labels_of_two_readings_are_refused() -> None:
    _, scores = batch(7, (3, 5, 6))
    weigh = add_sample_weights([0.5, 1.0, 2.0, 4.0])
    soft = np.full(scores.shape, 1 / K)
    for wrong in (soft, scores > -9, np.full(scores.shape, 3)):
        with pytest.raises(ParameterError, match=r"CrossEntropy\(weights\)"):
            weigh(scores, wrong)
    wide = np.ones((3, 5, K), int)
    np.testing.assert_array_equal(weigh(wide[..., None], wide)[2], np.ones((3, 5, K)))
    with pytest.raises(ParameterError, match="may be one-hot or not"):
        weigh({"an": "image"}, wide)
    with pytest.raises(ParameterError, match="are not one-hot"):
        weigh(wide, wide * 3)
    np.testing.assert_array_equal(weigh(wide, wide[..., None])[2], np.ones((3, 5, K, 1)))


@check("tensorflow")
def sample_weights_within_a_pipeline() -> None:
    import tensorflow as tf

    labels, scores = batch(8)
    weigh = add_sample_weights([0.5, 1.0, 2.0, 4.0])
    pipeline = tf.data.Dataset.from_tensor_slices((scores, labels)).map(weigh).batch(3)
    (found,) = pipeline.as_numpy_iterator()
    for one, expected in zip(found, weigh(scores, labels), strict=True):
        np.testing.assert_array_equal(one, expected)
    one_hot = labels[..., None] == np.arange(K)
    for given in (labels.astype(np.float32), one_hot.astype(np.uint8), one_hot):
        pipeline = tf.data.Dataset.from_tensor_slices((scores, given)).map(weigh).batch(3)
        (found,) = pipeline.as_numpy_iterator()
        for one, expected in zip(found, weigh(scores, given), strict=True):
            np.testing.assert_array_equal(one, expected)
            assert one.dtype == expected.dtype
    for given, said in (
        (labels * 0 + 9, "neither a class"),
        (labels + np.float32(0.5), "not whole"),
        (labels + np.float32(np.nan), "not whole"),
        (labels + np.float32(np.inf), "not whole"),
        (one_hot * 1.0 / 2, "not one-hot"),
        (one_hot * 0 + 1, "not one-hot"),
    ):
        wrong = tf.data.Dataset.from_tensor_slices((scores, given)).map(weigh)
        with pytest.raises(tf.errors.InvalidArgumentError, match=said):
            list(wrong)

    def pipeline_without_a_shape(given):
        data = tf.data.Dataset.from_tensor_slices((scores, given))
        return data.map(lambda x, y: weigh(x, tf.py_function(lambda a: a, [y], tf.int32)))

    # TensorFlow makes an error of its own of it.
    with pytest.raises(Exception, match="set_shape"):
        pipeline_without_a_shape(labels)


@check()
def undoing_weights_is_what_numpy_does() -> None:
    _, scores = batch(9)
    weights = [0.5, 1.0, 2.0, 4.0]
    expected = exact_logits(scores, weights)
    given = ops.convert_to_tensor(scores)
    np.testing.assert_allclose(
        ops.convert_to_numpy(unweight_logits(given, weights)), expected, rtol=1e-6
    )
    layer = UnweightLogits(weights)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(given)), expected, rtol=1e-6)
    again = UnweightLogits.from_config(layer.get_config())
    np.testing.assert_array_equal(
        ops.convert_to_numpy(again(given)), ops.convert_to_numpy(layer(given))
    )
    assert refuses(lambda: unweight_logits(given, [1.0, 2.0]))
    table = WeightTable(tuple("abcd"), np.array(weights), np.ones(K, int), "equal-cost")
    with tempfile.TemporaryDirectory() as folder:
        path = table.save(Path(folder) / "weights.json")
        for source in (table, path, str(path)):
            np.testing.assert_allclose(
                ops.convert_to_numpy(unweight_logits(given, source)), expected, rtol=1e-6
            )
            assert UnweightLogits(source).weight == layer.weight


@check()
def shifts_are_added_by_class_and_kept_with_the_model() -> None:
    _, scores = batch(9)
    shift = np.array([0.5, -1.0, 0.0, 2.0])
    shifts = Shifts(tuple("abcd"), shift)
    given = ops.convert_to_tensor(scores)
    with tempfile.TemporaryDirectory() as folder:
        for source in (shift, shifts, shifts.save(Path(folder) / "shifts.json")):
            found = ops.convert_to_numpy(ShiftLogits(source)(given))
            np.testing.assert_allclose(found, scores + shift, rtol=1e-5, atol=1e-6)
        inputs = keras.Input((None, None, K))
        model = keras.Model(inputs, ShiftLogits(shifts)(inputs))
        model.save(Path(folder) / "model.keras")
        again = keras.saving.load_model(Path(folder) / "model.keras")
    whole = np.zeros((1, 2, 3, K), np.float32)
    np.testing.assert_allclose(
        ops.convert_to_numpy(again(whole)), np.broadcast_to(shift, whole.shape), rtol=1e-6
    )
    assert refuses(lambda: ShiftLogits([1.0, float("inf")]))


@check()
def weights_from_files_name_the_average_they_are_for() -> None:
    def table(reduction: str | None) -> WeightTable:
        names = tuple("abcd")
        weights = np.array([0.5, 1.0, 2.0, 4.0])
        return WeightTable(names, weights, np.ones(K, int), "equal-cost", reduction=reduction)

    for reduction in ("linear", None):
        assert load_weights(table(reduction), class_count=K).tolist() == [0.5, 1.0, 2.0, 4.0]
        assert class_weight(table(reduction)) == {0: 0.5, 1: 1.0, 2: 2.0, 3: 4.0}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_weights(table("weight-normalised"))
    assert ["Scan.weights(average='pixel')" in str(warning.message) for warning in caught] == [True]
    assert load_weights(table("weight-normalised"), reduction="weighted-mean").dtype == np.float32
    with pytest.raises(WeightError, match="4 classes, the model has 5"):
        load_weights(table(None), class_count=5)


# --- crops --------------------------------------------------------------------------------------


def blob_pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    """Images that show their masks, and labels in which 255 is left as it is."""
    return [(np.stack([mask / 255] * 3, -1).astype(np.float32), mask) for mask in blobs()]


@check()
def batches_of_crops_are_those_that_the_sampler_draws():
    crops, sampler = CropDataset(blob_pairs()), CropSampler(blob_index(), 16, samples=10, seed=2)
    batches = CropBatches(crops, sampler, 4)
    for epoch in range(2):
        drawn = [crops[draw] for draw in CropSampler.take(sampler, epoch, 0, 10)]
        found = [batches[number] for number in range(len(batches))]
        assert [len(images) for images, _ in found] == [4, 4, 2]
        for part in range(2):
            together = np.concatenate([batch[part] for batch in found])
            np.testing.assert_array_equal(together, np.stack([item[part] for item in drawn]))
        batches.on_epoch_end()
    assert sampler.epoch == 2
    for outside in (-1, 3):
        with pytest.raises(IndexError):
            batches[outside]


@check()
def a_model_is_fitted_to_crops_and_every_epoch_has_others():
    seen: list[tuple[int, bytes]] = []

    class Watched(CropBatches):
        def __getitem__(self, batch):
            images, labels = super().__getitem__(batch)
            seen.append((self.sampler.epoch, labels.tobytes()))
            return images, labels

    sampler = CropSampler(blob_index(), 16, "uniform", samples=8, seed=2)
    batches = Watched(CropDataset(blob_pairs()), sampler, 4)
    model = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(K, 1)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=IGNORE)
    model.compile("sgd", loss)
    losses = model.fit(batches, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    # Where Keras looks at batches before the first epoch or ahead, these are epochs of their own.
    numbers = {epoch for epoch, _ in seen}
    epochs = [{labels for epoch, labels in seen if epoch == number} for number in numbers]
    whole = [epoch for epoch in epochs if len(epoch) == 2]
    assert len(whole) >= 2
    assert len(set().union(*whole)) == 2 * len(whole)


@check()
def crops_that_no_model_is_fitted_to_are_refused():
    items = [{"image": image, "mask": mask} for image, mask in blob_pairs()]
    sampler = CropSampler(blob_index(), 16)
    with pytest.raises(ParameterError, match="models are fitted to tuples"):
        CropBatches(CropDataset(items), sampler, 2)[0]
    assert refuses(lambda: CropBatches(CropDataset(items), sampler, 0))


@check("tensorflow")
def a_pipeline_of_tensorflow_draws_crops():
    import tensorflow as tf

    crops, sampler = CropDataset(blob_pairs()), CropSampler(blob_index(), (16, 48), samples=12)
    shape = tf.TensorSpec((16, 48, 3), tf.float32), tf.TensorSpec((16, 48), tf.uint8)
    pipeline = tf.data.Dataset.from_generator(
        lambda: map(crops.__getitem__, sampler), output_signature=shape
    )
    for epoch in range(2):
        found = list(pipeline.batch(5).as_numpy_iterator())
        assert [len(labels) for _, labels in found] == [5, 5, 2]
        drawn = [crops[draw][1] for draw in sampler.take(epoch, 0, 12)]
        together = np.concatenate([labels for _, labels in found])
        np.testing.assert_array_equal(together, np.stack(drawn))
