"""The torch metrics count what the NumPy values count, with torchmetrics and without."""

from __future__ import annotations

import copy
import io
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.errors import ParameterError
from maskstat.training.metrics import ConfidenceHistogram, ConfusionMatrix
from tests.support.torch_metric_modules import FLAVOURS, metric_module

torch = pytest.importorskip("torch")

MODULES = {}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small tensors on a busy machine wait longer for threads than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def module_of(flavour: str):
    """Imported once a flavour."""
    if flavour == "torchmetrics" and find_spec("torchmetrics") is None:
        pytest.skip("torchmetrics is not installed")
    if flavour not in MODULES:
        MODULES[flavour] = metric_module(flavour)
    return MODULES[flavour]


@pytest.fixture(params=FLAVOURS)
def metrics(request):
    return module_of(request.param)


@st.composite
def scored(draw):
    """(K, scores with the class axis at 1, target, ignore_index)."""
    classes = draw(st.integers(1, 5))
    shape = draw(st.sampled_from([(7,), (3, 4, 5), (2, 2, 3, 4), (0,), (2, 0, 3)]))
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    ignore_index = draw(st.sampled_from([255, -100, 0, classes - 1, None]))
    scores = generator.normal(size=(shape[0], classes, *shape[1:])).astype(np.float32)
    target = generator.integers(0, classes, shape)
    if ignore_index is not None:
        target[generator.random(shape) < 0.3] = ignore_index
    return classes, scores, target, ignore_index


@pytest.mark.parametrize("flavour", FLAVOURS)
@given(case=scored(), kind=st.sampled_from(["float32", "float64", "bfloat16", "float16"]))
def test_every_metric_is_that_of_the_exact_matrix(flavour, case, kind):
    module = module_of(flavour)
    classes, scores, target, ignore_index = case
    given_scores = torch.from_numpy(scores).to(getattr(torch, kind))
    predicted = given_scores.argmax(1)
    exact = ConfusionMatrix.of(target, predicted.numpy(), classes, ignore_index=ignore_index)
    expected = {
        "ConfusionMatrix": exact.counts,
        "MeanIoU": exact.mean_iou,
        "BalancedAccuracy": exact.balanced_accuracy,
        "ClassIoU": exact.iou,
        "ClassRecall": exact.recall,
    }
    for name, value in expected.items():
        metric = getattr(module, name)(classes, ignore_index=ignore_index)
        metric.update(given_scores, torch.from_numpy(target))
        result = metric.compute()
        np.testing.assert_array_equal(
            result.numpy(), np.asarray(value).astype(result.numpy().dtype)
        )
        assert metric.confusion() == exact
        metric.update(predicted, torch.from_numpy(target))  # labels instead of scores
        assert metric.confusion() == exact + exact
    assert result.dtype == torch.float32


@given(case=scored())
def test_one_hot_labels_count_like_integer_ones(case):
    module = module_of("plain")
    classes, scores, target, ignore_index = case
    left_out = np.zeros(target.shape, bool) if ignore_index is None else target == ignore_index
    one_hot = np.moveaxis(np.eye(classes)[np.where(left_out, 0, target)], -1, 1)
    # An ignored element is one without any mass, or wholly on the ignored class.
    kept = one_hot * ~left_out[:, None]
    for soft in (kept, kept.astype(np.int64)):
        metric = module.ConfusionMatrix(classes, ignore_index=ignore_index)
        metric.update(torch.from_numpy(scores), torch.from_numpy(soft))
        exact = ConfusionMatrix.of(target, scores.argmax(1), classes, ignore_index=ignore_index)
        assert metric.confusion() == exact
    if ignore_index in (0, classes - 1):
        on_it = np.moveaxis(np.eye(classes)[target], -1, 1)
        before = torch.from_numpy(on_it)
        metric.reset()
        metric.update(torch.from_numpy(scores), before)
        assert metric.confusion() == exact
        np.testing.assert_array_equal(before.numpy(), on_it)  # untouched


@pytest.mark.parametrize("flavour", FLAVOURS)
@given(seed=st.integers(0, 10**6), bins=st.integers(1, 20))
def test_the_calibration_error_is_that_of_the_exact_histogram(flavour, seed, bins):
    module = module_of(flavour)
    generator = np.random.default_rng(seed)
    scores = torch.from_numpy(generator.normal(size=(5, 4, 6), scale=3)).double()
    target = generator.integers(0, 4, (5, 6))
    target[generator.random((5, 6)) < 0.2] = 255
    probabilities = scores.softmax(1)
    exact = ConfidenceHistogram.of(probabilities.numpy(), target, class_axis=1, ignore_index=255)
    for preds, from_logits in ((scores, True), (probabilities, False)):
        metric = module.CalibrationError(bins=bins, ignore_index=255, from_logits=from_logits)
        metric.update(preds[:2], torch.from_numpy(target[:2]))
        metric.update(preds[2:], torch.from_numpy(target[2:]))
        assert metric.histogram() == exact
        assert metric.compute().item() == pytest.approx(exact.expected_calibration_error(bins))


@pytest.mark.parametrize("bins", [10, 15, 20])
def test_probabilities_on_the_edges_of_bins_are_in_the_bin_above(metrics, bins):
    edges = torch.arange((bins + 1) // 2, bins + 1)
    for precision in (torch.float32, torch.float64):
        confidence = (edges / torch.tensor(bins, dtype=precision)).to(precision)
        metric = metrics.CalibrationError(bins=bins, from_logits=False)
        metric.update(torch.stack([confidence, 1 - confidence], 1), torch.zeros_like(edges))
        expected = np.bincount(np.minimum(edges.numpy(), bins - 1), minlength=bins)
        assert metric.histogram().reliability(bins).counts.tolist() == expected.tolist()
        error = (1 - edges / bins).sum().item() / len(edges)
        assert metric.compute().item() == pytest.approx(error, abs=1e-6)


def test_half_precision_logits_are_widened_before_the_softmax(metrics):
    scores = torch.tensor([[4e4, -4e4], [0.25, 0.0]], dtype=torch.float16)
    metric = metrics.CalibrationError()
    metric.update(scores, torch.tensor([0, 0]))
    exact = ConfidenceHistogram.of(scores.double().softmax(1).numpy(), [0, 0])
    assert metric.histogram() == exact


def test_forward_gives_the_batch_and_keeps_the_sum(metrics):
    metric = metrics.BalancedAccuracy(2)
    assert metric(torch.tensor([0, 1]), torch.tensor([0, 1])).item() == 1.0
    assert metric(torch.tensor([1, 0]), torch.tensor([0, 1])).item() == 0.0
    assert metric.compute().item() == 0.5
    metric.reset()
    assert metric.confusion() == ConfusionMatrix.empty(2)
    assert metric(torch.tensor([1, 1]), torch.tensor([0, 0])).item() == 0.0


def test_nothing_counted_is_nan(metrics):
    ignored = torch.full((3,), -100)
    for metric in (metrics.MeanIoU(3), metrics.BalancedAccuracy(3), metrics.ClassIoU(3)):
        metric.update(torch.zeros(3, 3), ignored)
        assert metric.compute().isnan().all()
        assert metric.confusion().ignored == 3
    error = metrics.CalibrationError()
    error.update(torch.zeros(3, 3), ignored)
    assert error.compute().isnan()


def test_counts_survive_casts_and_are_no_part_of_a_checkpoint(metrics):
    metric = metrics.ConfusionMatrix(2)
    metric.update(torch.tensor([0, 1]), torch.tensor([0, 0]))
    assert metric.half().double().cells.dtype == torch.int64
    assert metric.to("cpu").compute().tolist() == [[1, 1], [0, 0]]
    assert dict(metric.state_dict()) == {}
    assert copy.deepcopy(metric).confusion() == metric.confusion()


def test_counting_needs_no_gradient(metrics):
    scores = torch.randn(4, 3, requires_grad=True)
    for metric in (metrics.MeanIoU(3), metrics.CalibrationError()):
        with torch.inference_mode():
            metric.update(scores, torch.tensor([0, 1, 2, 0]))
        metric.update(scores, torch.tensor([0, 1, 2, 0]))
        assert not metric.compute().requires_grad
    assert scores.grad is None


def test_labels_that_are_no_class_are_refused_and_change_nothing(metrics):
    metric = metrics.MeanIoU(3)
    metric.update(torch.tensor([0]), torch.tensor([0]))
    before = metric.confusion()
    for preds, target in (([0], [3]), ([0], [255]), ([3], [0]), ([-1], [0])):
        with pytest.raises(ParameterError, match="1 labels or predictions are neither a class"):
            metric.update(torch.tensor(preds), torch.tensor(target))
    error = metrics.CalibrationError(from_logits=False)
    for scores in ([[2.0, 0.5]], [[-1.0, -2.0]], [[float("nan"), 0.5]]):
        with pytest.raises(ParameterError, match="no probabilities"):
            error.update(torch.tensor(scores), torch.tensor([0]))
    with pytest.raises(ParameterError, match="no finite logits"):
        metrics.CalibrationError().update(torch.tensor([[float("inf"), 0.0]]), torch.tensor([0]))
    with pytest.raises(ParameterError, match="neither a class nor"):
        error.update(torch.tensor([[0.5, 0.5]]), torch.tensor([2]))
    assert metric.confusion() == before


def test_what_a_device_could_not_say_at_once_is_said_by_compute(metrics):
    """On an accelerator the cell of invalid labels is only looked at here."""
    for metric in (metrics.MeanIoU(3), metrics.ConfusionMatrix(3), metrics.CalibrationError()):
        metric.update(torch.zeros(1, 3), torch.tensor([0]))
        metric.cells = metric.cells + (torch.arange(metric.cells.numel()) == len(metric.cells) - 1)
        for call in (metric.compute, getattr(metric, "confusion", metric.compute)):
            with pytest.raises(ParameterError, match="neither a class"):
                call()


@pytest.mark.parametrize(
    ("preds", "target", "said"),
    [
        (torch.zeros(2, 4), torch.zeros(2, dtype=int), "do not have 3 classes on axis 1"),
        (torch.zeros(2), torch.zeros(2, dtype=int), "do not have 3 classes"),
        (torch.zeros(2, 3), torch.zeros(3, dtype=int), "do not fit a target"),
        (torch.zeros(2, 3, 4), torch.zeros(2, 4), "do not fit a target"),
        (torch.zeros(2, dtype=int), torch.zeros(2), "labels are integers"),
        (torch.zeros(2, dtype=int), torch.zeros(2, 2, dtype=int), "do not fit a target"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(preds, target, said):
    with pytest.raises(ParameterError, match=said):
        module_of("plain").ConfusionMatrix(3).update(preds, target)


def test_options_that_make_no_sense_are_refused(metrics):
    with pytest.raises(ParameterError, match="at least 1 class"):
        metrics.MeanIoU(0)
    with pytest.raises(ParameterError, match="bins"):
        metrics.CalibrationError(bins=0)
    with pytest.raises(ParameterError, match="needs scores"):
        metrics.CalibrationError().update(torch.tensor([0]), torch.tensor([0]))


def test_they_are_torchmetrics_where_that_is_installed():
    torchmetrics = pytest.importorskip("torchmetrics")
    from maskstat.torch import metrics as installed

    collection = torchmetrics.MetricCollection(
        {
            "iou": installed.MeanIoU(3, ignore_index=255),
            "recall": installed.BalancedAccuracy(3, ignore_index=255),
            "error": installed.CalibrationError(ignore_index=255),
        }
    )
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(6, 3, 5, generator=generator)
    target = torch.randint(0, 3, (6, 5), generator=generator)
    target[0] = 255
    oracle = torchmetrics.classification.MulticlassConfusionMatrix(3, ignore_index=255)
    for batch in (slice(0, 2), slice(2, 6)):
        collection.update(preds=scores[batch], target=target[batch])
        oracle.update(scores[batch], target[batch])
    # Metrics of the same counts share them.
    assert sorted(map(len, collection.compute_groups.values())) == [1, 2]
    exact = ConfusionMatrix(oracle.compute().numpy())
    result = collection.compute()
    assert result["iou"].item() == pytest.approx(exact.mean_iou)
    assert result["recall"].item() == pytest.approx(exact.balanced_accuracy)
    stream = io.BytesIO()
    torch.save(collection["iou"], stream)
    stream.seek(0)
    restored = torch.load(stream, weights_only=False)
    np.testing.assert_array_equal(restored.confusion().counts, exact.counts)
    assert installed.MeanIoU.higher_is_better and not installed.CalibrationError.higher_is_better


def test_the_calibration_error_of_torchmetrics_is_close():
    torchmetrics = pytest.importorskip("torchmetrics")
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(2000, 4, generator=generator) * 2
    target = torch.randint(0, 4, (2000,), generator=generator)
    oracle = torchmetrics.classification.MulticlassCalibrationError(4, n_bins=15, norm="l1")
    expected = oracle(scores.softmax(1), target).item()
    metric = module_of("plain").CalibrationError(bins=15)
    assert metric(scores, target).item() == pytest.approx(expected, abs=1e-3)


def test_a_collection_keeps_metrics_apart_that_ignore_differently():
    """Their states are equal after a first batch that has no ignored label, but not after more."""
    module = module_of("torchmetrics")
    from torchmetrics import MetricCollection

    made = {
        "void": module.MeanIoU(3, ignore_index=255),
        "void again": module.ClassIoU(3, ignore_index=255),
        "first": module.MeanIoU(3, ignore_index=0),
        "both": module.MeanIoU(3, ignore_index=[0, 255]),
        "none": module.MeanIoU(3, ignore_index=None),
    }
    collection = MetricCollection(copy.deepcopy(made))
    generator = torch.Generator().manual_seed(0)
    for labels in ([1, 2], [0, 1, 2]):
        scores = torch.randn(60, 3, generator=generator)
        target = torch.tensor(labels)[torch.randint(0, len(labels), (60,), generator=generator)]
        collection.update(scores, target)
        for metric in made.values():
            metric.update(scores, target)
    assert sorted(map(len, collection.compute_groups.values())) == [1, 1, 1, 2]
    for name, value in collection.compute().items():
        assert torch.equal(value, made[name].compute()), name


def test_several_labels_may_be_ignored(metrics):
    generator = np.random.default_rng(3)
    scores = generator.normal(size=(4, 5, 6)).astype(np.float32)
    target = generator.choice([0, 1, 2, 3, 4, 255], (4, 6))
    metric = metrics.ConfusionMatrix(5, ignore_index=[1, 255])
    metric.update(torch.from_numpy(scores), torch.from_numpy(target))
    kept = ~np.isin(target, [1, 255])
    exact = ConfusionMatrix.of(target[kept], scores.argmax(1)[kept], 5)
    np.testing.assert_array_equal(metric.compute().numpy(), exact.counts)
    assert metric.confusion() == ConfusionMatrix.of(
        target, scores.argmax(1), 5, ignore_index=[1, 255]
    )
