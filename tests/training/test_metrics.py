"""Confusion matrices and calibration: exact counts, sums, and scikit-learn as the oracle."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import maskstat
from maskstat.errors import CountOverflowError, ParameterError
from maskstat.training.metrics import RESOLUTION, ConfidenceHistogram, ConfusionMatrix
from tests.support.packages import package

oracle = package("sklearn.metrics")

IGNORED = 255


@st.composite
def batches(draw, most: int = 6):
    """(class count, target with ignored elements, prediction)."""
    classes = draw(st.integers(1, most))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6))
    kind = draw(st.sampled_from([np.uint8, np.int16, np.int64, np.uint64]))
    labels = st.integers(0, classes - 1) | st.just(IGNORED)
    target = draw(hnp.arrays(kind, shape, elements=labels))
    prediction = draw(hnp.arrays(np.int32, shape, elements=st.integers(0, classes - 1)))
    return classes, target, prediction


# scikit-learn warns of a single class, and of classes that are predicted only.
@pytest.mark.filterwarnings("ignore::UserWarning:sklearn")
@given(batches())
def test_counts_and_measures_are_those_of_scikit_learn(batch):
    classes, target, prediction = batch
    matrix = ConfusionMatrix.of(target, prediction, classes, ignore_index=IGNORED)
    kept = target != IGNORED
    true, predicted = target[kept].astype(int), prediction[kept]
    assert matrix.ignored == (~kept).sum()
    assert matrix.counts.dtype == np.int64
    if not true.size:
        assert matrix == ConfusionMatrix(np.zeros((classes, classes), int), matrix.ignored)
        return
    labels = list(range(classes))
    np.testing.assert_array_equal(
        matrix.counts, oracle.confusion_matrix(true, predicted, labels=labels)
    )
    for measure, function in (
        (matrix.recall, oracle.recall_score),
        (matrix.precision, oracle.precision_score),
        (matrix.iou, oracle.jaccard_score),
        (matrix.dice, oracle.f1_score),
    ):
        expected = function(true, predicted, labels=labels, average=None, zero_division=0)
        np.testing.assert_allclose(np.nan_to_num(measure), expected, rtol=1e-12)
    np.testing.assert_array_equal(np.isnan(matrix.recall), matrix.support == 0)
    np.testing.assert_array_equal(np.isnan(matrix.precision), matrix.predicted == 0)
    nowhere = matrix.support + matrix.predicted == 0
    np.testing.assert_array_equal(np.isnan(matrix.iou), nowhere)
    np.testing.assert_array_equal(np.isnan(matrix.dice), nowhere)
    assert matrix.accuracy == pytest.approx(oracle.accuracy_score(true, predicted))
    seen = sorted(set(true) | set(predicted))
    for scalar, function in (
        (matrix.mean_iou, oracle.jaccard_score),
        (matrix.mean_dice, oracle.f1_score),
    ):
        expected = function(true, predicted, labels=seen, average="macro", zero_division=0)
        assert scalar == pytest.approx(expected)
    assert matrix.frequency_weighted_iou == pytest.approx(
        oracle.jaccard_score(true, predicted, labels=labels, average="weighted", zero_division=0)
    )
    assert matrix.balanced_accuracy == pytest.approx(
        oracle.balanced_accuracy_score(true, predicted)
    )


@given(batches(), st.data())
def test_batches_in_any_order_and_grouping_are_the_whole(batch, data):
    classes, target, prediction = batch
    whole = ConfusionMatrix.of(target, prediction, classes, ignore_index=IGNORED)
    target, prediction = target.reshape(-1), prediction.reshape(-1)
    order = data.draw(st.permutations(range(target.size)))
    cuts = sorted(data.draw(st.lists(st.integers(0, target.size), max_size=3)))
    parts = [
        ConfusionMatrix.of(target[part], prediction[part], classes, ignore_index=IGNORED)
        for part in np.split(np.array(order, int), cuts)
    ]
    assert sum(parts) == whole
    left = ConfusionMatrix.empty(classes)
    for part in parts:
        left = left + part
    assert left == whole + ConfusionMatrix.empty(classes) == whole
    right = parts[-1]
    for part in parts[-2::-1]:
        right = part + right
    assert right == whole
    updated = ConfusionMatrix.empty(classes)
    for part in np.split(np.array(order, int), cuts):
        updated = updated.update(target[part], prediction[part], ignore_index=IGNORED)
    assert updated == whole


@given(batches(), st.data())
def test_renaming_classes_permutes_rows_and_columns(batch, data):
    classes, target, prediction = batch
    rename = np.array(data.draw(st.permutations(range(classes))))
    matrix = ConfusionMatrix.of(target, prediction, classes, ignore_index=IGNORED)
    true = np.where(target == IGNORED, 0, target).astype(int)
    renamed = ConfusionMatrix.of(
        np.where(target == IGNORED, IGNORED, rename[true]),
        rename[prediction],
        classes,
        ignore_index=IGNORED,
    )
    np.testing.assert_array_equal(renamed.counts[np.ix_(rename, rename)], matrix.counts)
    for name in ("mean_iou", "balanced_accuracy", "accuracy", "frequency_weighted_iou"):
        assert getattr(renamed, name) == pytest.approx(getattr(matrix, name), nan_ok=True)


def test_more_than_one_block_is_counted_exactly():
    generator = np.random.default_rng(0)
    target = generator.integers(0, 3, 2_500_001).astype(np.uint8)
    prediction = generator.integers(0, 3, target.size).astype(np.uint8)
    matrix = ConfusionMatrix.of(target, prediction, 3)
    expected = [[((target == t) & (prediction == p)).sum() for p in range(3)] for t in range(3)]
    np.testing.assert_array_equal(matrix.counts, expected)


def test_counts_beyond_what_a_float_holds_stay_exact():
    large = ConfusionMatrix(np.array([[2**53, 0], [0, 1]]))
    assert (large + ConfusionMatrix(np.array([[1, 0], [0, 0]]))).counts[0, 0] == 2**53 + 1


def test_the_ignored_label_may_be_a_class():
    matrix = ConfusionMatrix.of([0, 1, 1, 2], [0, 0, 1, 2], 3, ignore_index=1)
    np.testing.assert_array_equal(matrix.counts, [[1, 0, 0], [0, 0, 0], [0, 0, 1]])
    assert matrix.ignored == 2
    assert matrix.balanced_accuracy == 1.0


def test_what_is_predicted_where_the_target_is_ignored_does_not_matter():
    target = np.array([0, 255, 1])
    for anything in (0, 1, 77, -3):
        matrix = ConfusionMatrix.of(target, [0, anything, 1], 2, ignore_index=255)
        np.testing.assert_array_equal(matrix.counts, [[1, 0], [0, 1]])


def test_nothing_undefined_reaches_a_file():
    matrix = ConfusionMatrix.of([0, 0], [0, 1], 3)
    assert np.isnan(matrix.recall).tolist() == [False, True, True]
    document = matrix.to_dict(["road", "car", "tree"])
    assert document["recall"] == [0.5, None, None]
    assert document["iou"] == [0.5, 0.0, None]
    assert document["classes"] == ["road", "car", "tree"]
    read = json.loads(json.dumps(document, allow_nan=False))
    assert ConfusionMatrix(np.array(read["counts"]), read["ignored"]) == matrix
    nothing = ConfusionMatrix.empty(2).to_dict()
    assert nothing["mean_iou"] is nothing["accuracy"] is nothing["balanced_accuracy"] is None
    assert nothing["frequency_weighted_iou"] is None
    assert nothing["classes"] == ["class_0", "class_1"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([0, 255], [0, 0], 2), "target has the label 255, which is no class .0 to 1.*ignore_inde"),
        (([0, -1], [0, 0], 2), "target has the label -1"),
        (([0, 1], [0, 2], 2), "prediction has the label 2"),
        (([0.0, 1.0], [0, 1], 2), "target must be integer labels, not float64"),
        (([0, 1], [0.2, 0.8], 2), "prediction must be integer labels"),
        (([0, 1], [[0, 1]], 2), "target has shape .2,., prediction .1, 2."),
        (([0], [0], 0), "at least 1 class"),
    ],
)
def test_labels_that_make_no_sense_are_refused(arguments, said):
    with pytest.raises(ParameterError, match=said):
        ConfusionMatrix.of(*arguments)


def test_matrices_that_make_no_sense_are_refused():
    for counts in ([[1, 2]], [1], np.zeros((0, 0), int), [[-1]], [[0.5]]):
        with pytest.raises(ParameterError, match="confusion matrix"):
            ConfusionMatrix(np.array(counts))
    with pytest.raises(ParameterError, match="2 and 3 classes do not add"):
        ConfusionMatrix.empty(2) + ConfusionMatrix.empty(3)
    with pytest.raises(TypeError):
        ConfusionMatrix.empty(2) + 1
    with pytest.raises(ParameterError, match="1 names do not fit 2 classes"):
        ConfusionMatrix.empty(2).to_dict(["one"])
    assert ConfusionMatrix.empty(2) != "a matrix"


def test_values_are_read_only_and_their_source_is_not_touched():
    counts = np.array([[1, 2], [3, 4]])
    matrix = ConfusionMatrix(counts)
    counts[0, 0] = 99
    assert matrix.counts[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        matrix.counts[0, 0] = 5
    assert maskstat.ConfusionMatrix is ConfusionMatrix


# --- calibration ------------------------------------------------------------------------------


def some_predictions(seed: int, size: int = 400, classes: int = 4):
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(classes, 0.5), size)
    target = generator.integers(0, classes, size)
    target[generator.random(size) < 0.1] = IGNORED
    return probabilities, target


def plain_calibration_error(probabilities, target, bins):
    """Guo et al. 2017, eq. 3, straight from the samples."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == target
    places = np.minimum((confidence * bins).astype(int), bins - 1)
    return sum(
        abs(right[places == place].mean() - confidence[places == place].mean())
        * (places == place).mean()
        for place in range(bins)
        if (places == place).any()
    )


@given(st.integers(0, 10**6), st.integers(1, 30))
def test_the_calibration_error_is_the_plain_one_up_to_half_a_cell(seed, bins):
    probabilities, target = some_predictions(seed)
    # On cells and off the edges of bins nothing is rounded; elsewhere half a cell at most.
    probabilities[:, 0] = np.rint(probabilities[:, 0] * RESOLUTION) / RESOLUTION
    probabilities[:, 1:] = 0
    histogram = ConfidenceHistogram.of(probabilities, target, ignore_index=IGNORED)
    kept = target != IGNORED
    expected = plain_calibration_error(probabilities[kept], target[kept], bins)
    assert histogram.expected_calibration_error(bins) == pytest.approx(expected, abs=1e-12)
    assert histogram.ignored == (~kept).sum()
    probabilities, target = some_predictions(seed)
    histogram = ConfidenceHistogram.of(probabilities, target, ignore_index=IGNORED)
    one_bin = plain_calibration_error(probabilities[kept], target[kept], 1)
    assert abs(histogram.expected_calibration_error(1) - one_bin) <= 0.5 / RESOLUTION


@pytest.mark.parametrize("precision", [np.float64, np.float32])
@pytest.mark.parametrize("bins", [2, 5, 10, 12, 15, 20, 25, 50, 100])
@given(seed=st.integers(0, 10**6))
def test_confidences_on_the_edges_of_bins_are_in_the_bin_above(bins, precision, seed):
    """The plain error with bins found in whole numbers: no product is rounded."""
    generator = np.random.default_rng(seed)
    edges = generator.integers((bins + 1) // 2, bins + 1, 200)
    right = generator.random(200) < generator.random()
    confidence = (edges / bins).astype(precision)
    probabilities = np.stack([confidence, 1 - confidence], 1)
    histogram = ConfidenceHistogram.of(probabilities, np.where(right, 0, 1))
    places = np.minimum(edges, bins - 1)
    counts = np.bincount(places, minlength=bins)
    found = histogram.reliability(bins)
    assert found.counts.tolist() == counts.tolist()
    gaps = np.bincount(places, right - edges / bins, bins)
    expected = np.abs(gaps).sum() / 200
    assert histogram.expected_calibration_error(bins) == pytest.approx(expected, abs=1e-12)
    assert found.accuracy[counts > 0] == pytest.approx(
        np.bincount(places, right, bins)[counts > 0] / counts[counts > 0]
    )


def test_a_calibrated_model_has_no_error_and_a_sure_one_its_error_rate():
    probabilities = np.repeat([[0.75, 0.25]], 8, axis=0)
    target = np.array([0, 0, 0, 1, 0, 0, 0, 1])
    assert ConfidenceHistogram.of(probabilities, target).expected_calibration_error() == 0
    sure = ConfidenceHistogram.of(np.repeat([[1.0, 0.0]], 8, axis=0), target)
    assert sure.expected_calibration_error() == 0.25
    found = sure.reliability(10)
    assert found.counts.tolist() == [0] * 9 + [8]
    assert found.confidence[9] == 1.0 and found.accuracy[9] == 0.75
    assert np.isnan(found.confidence[:9]).all() and np.isnan(found.accuracy[:9]).all()


@given(st.integers(0, 10**6))
def test_confidence_histograms_add_up_to_the_whole(seed):
    probabilities, target = some_predictions(seed)
    cut = np.random.default_rng(seed).integers(0, target.size)
    parts = [
        ConfidenceHistogram.of(probabilities[part], target[part], ignore_index=IGNORED)
        for part in (slice(cut, None), slice(0, cut))
    ]
    whole = ConfidenceHistogram.of(probabilities, target, ignore_index=IGNORED)
    assert sum(parts) == whole == parts[1] + parts[0] + ConfidenceHistogram.empty()
    images = np.moveaxis(probabilities.reshape(4, 10, 10, 4), -1, 1)
    labels = target.reshape(4, 10, 10)
    assert whole == ConfidenceHistogram.of(images, labels, class_axis=1, ignore_index=IGNORED)


@pytest.mark.parametrize(
    ("probabilities", "target", "axis", "said"),
    [
        ([[0.5, 0.5]], [255], -1, "label 255"),
        ([[3.0, -3.0]], [0], -1, "apply softmax first"),
        ([[np.nan, 0.5]], [0], -1, "from 0 to 1"),
        ([[0.5, 0.5]], [0, 1], -1, "does not fit"),
        ([[0.5, 0.5]], [0], 2, "no axis 2"),
        ([[0.5, 0.5]], [0.0], -1, "integer labels"),
    ],
)
def test_predictions_that_make_no_sense_are_refused(probabilities, target, axis, said):
    with pytest.raises(ParameterError, match=said):
        ConfidenceHistogram.of(probabilities, target, class_axis=axis)


def test_sums_that_leave_64_bits_are_refused_and_none_wraps():
    """What one holds is below 2^63 in all, and measures are those of a thousandth of it."""
    counts = np.array([[5, 1], [2, 1]]) << 59
    matrix, small = ConfusionMatrix(counts), ConfusionMatrix(counts >> 10)
    for name in ("recall", "precision", "iou", "dice"):
        assert getattr(matrix, name) == pytest.approx(getattr(small, name), rel=1e-12)
        assert (getattr(matrix, name) > 0).all()
    assert matrix.frequency_weighted_iou == pytest.approx(small.frequency_weighted_iou)
    for too_many in (np.array([[2**62, 2**62], [0, 0]]), np.array([[2**63]], np.uint64)):
        with pytest.raises(CountOverflowError):
            ConfusionMatrix(too_many)
    with pytest.raises(CountOverflowError):
        matrix + matrix
    cells = np.zeros((2, RESOLUTION + 1), np.int64)
    cells[0, RESOLUTION // 2], cells[1, RESOLUTION] = 2**61, 2**61
    histogram = ConfidenceHistogram(cells)
    assert histogram.expected_calibration_error(1) == pytest.approx(0.25)
    cells[1, 0] = 2**62
    with pytest.raises(CountOverflowError):
        ConfidenceHistogram(cells)
    with pytest.raises(CountOverflowError):
        histogram + histogram


def test_histograms_that_make_no_sense_are_refused():
    with pytest.raises(ParameterError, match="shape"):
        ConfidenceHistogram(np.zeros((2, 5), int))
    with pytest.raises(ParameterError, match=r"shape \(2, 50401\), not \(2, 8193\)"):
        ConfidenceHistogram(np.zeros((2, 8193), int))  # of an earlier version
    with pytest.raises(ParameterError, match="at least 0"):
        ConfidenceHistogram(np.full((2, RESOLUTION + 1), -1))
    for bins in (0, RESOLUTION + 1):
        with pytest.raises(ParameterError, match="bins"):
            ConfidenceHistogram.empty().reliability(bins)
    assert np.isnan(ConfidenceHistogram.empty().expected_calibration_error())
    with pytest.raises(TypeError):
        ConfidenceHistogram.empty() + 1
