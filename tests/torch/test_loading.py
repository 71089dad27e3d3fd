"""Weights from files as tensors, and weights taken out of logits again."""

from __future__ import annotations

import warnings
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from maskstat.errors import ParameterError, WeightError
from maskstat.files.documents.formats import SUFFIXES
from maskstat.training.calibration import unweight_logits as exact_logits
from maskstat.training.shifts import Shifts
from maskstat.weights.fit import fitting_table
from maskstat.weights.table import WeightTable

torch = pytest.importorskip("torch")

from maskstat.torch import ShiftLogits, UnweightLogits, load_weights, unweight_logits  # noqa: E402

WEIGHTS = [0.5, 1.0, 2.0, 4.0]


def table(reduction: str | None = None, weights: list[float] = WEIGHTS) -> WeightTable:
    names = tuple(f"c{k}" for k in range(len(weights)))
    return WeightTable(
        names, np.array(weights), np.ones(len(weights), int), "equal-cost", reduction=reduction
    )


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_every_file_gives_the_weights(suffix: str, tmp_path: Path) -> None:
    path = table().save(tmp_path / f"w{suffix}")
    for source in (path, str(path), table()):
        loaded = load_weights(source, class_count=4)
        assert loaded.dtype == torch.float32 and loaded.tolist() == WEIGHTS
    assert load_weights(path, dtype=torch.float64).dtype == torch.float64


def test_another_number_of_classes_is_told_with_both_numbers(tmp_path: Path) -> None:
    path = table().save(tmp_path / "w.json")
    with pytest.raises(WeightError, match=r"4 classes, the model has 5"):
        load_weights(path, class_count=5)


@pytest.mark.parametrize("made_for", ["linear", "weight-normalised", None])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "weighted-mean"])
def test_the_wrong_average_is_named(made_for: str | None, reduction: str) -> None:
    fits = made_for is None or (made_for == "weight-normalised") == (reduction == "weighted-mean")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = load_weights(table(made_for), reduction=reduction)
        fitting_table(table(made_for), reduction=reduction)
    assert loaded.tolist() == WEIGHTS
    assert len(caught) == (0 if fits else 2)
    for warning in caught:
        average = "batch" if reduction == "weighted-mean" else "pixel"
        assert f"Scan.weights(average='{average}')" in str(warning.message)


def test_what_a_type_cannot_hold_is_refused() -> None:
    for value in (1e30, 1e-30):
        with pytest.raises(WeightError, match="does not fit"):
            load_weights(table(weights=[1.0, value]), dtype=torch.float16)
    with pytest.raises(ParameterError, match=r"reduction: .* is not one of"):
        load_weights(table(), reduction="average")


@pytest.mark.parametrize("shape", [(5, 4), (2, 4, 3, 2), (2, 4, 2, 3, 2)])
def test_undoing_weights_is_what_numpy_does(shape: tuple[int, ...]) -> None:
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = exact_logits(logits.numpy(), WEIGHTS, axis=1)
    np.testing.assert_allclose(unweight_logits(logits, WEIGHTS).numpy(), expected, rtol=1e-12)
    module = UnweightLogits(WEIGHTS)
    np.testing.assert_allclose(module(logits.float()).numpy(), expected, rtol=1e-5, atol=1e-6)
    again = UnweightLogits([1.0] * 4)
    again.load_state_dict(module.state_dict())
    assert torch.equal(again(logits), module(logits))
    assert module(logits.half()).dtype == torch.float32


def test_shifts_are_added_by_class_and_kept_as_a_module(tmp_path: Path) -> None:
    shift = np.array([0.5, -1.0, 0.0, 2.0])
    shifts = Shifts(tuple("abcd"), shift)
    logits = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    expected = logits.numpy() + shift[:, None].astype(np.float32)
    for source in (shift, torch.tensor(shift), shifts, shifts.save(tmp_path / "shifts.json")):
        np.testing.assert_allclose(ShiftLogits(source)(logits).numpy(), expected, rtol=1e-6)
    module = ShiftLogits(shifts)
    again = ShiftLogits(np.zeros(4))
    again.load_state_dict(module.state_dict())
    assert torch.equal(again(logits), module(logits))
    assert module.half()(logits.half()).dtype == torch.float32
    exported = torch.export.export(ShiftLogits(shifts), (logits,)).module()
    assert torch.equal(exported(logits), module(logits))
    for wrong in ([1.0, float("nan")], [[1.0]], []):
        with pytest.raises(ParameterError, match="one finite number a class"):
            ShiftLogits(wrong)
    with pytest.raises(ParameterError):
        ShiftLogits([1.0, 2.0])(logits)


def test_a_shifted_network_is_the_same_in_onnx(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), ShiftLogits([0.5, -1.0, 0.0, 2.0]))
    images = torch.randn(2, 3, 5, 6)
    with warnings.catch_warnings():  # torch's own, of its exporter
        warnings.simplefilter("ignore")
        torch.onnx.export(network.eval(), (images,), tmp_path / "n.onnx", verbose=False)
    session = runtime.InferenceSession(tmp_path / "n.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    np.testing.assert_allclose(found, network(images).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_weights_to_undo_may_be_a_table_or_its_file(tmp_path: Path) -> None:
    logits = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    expected = unweight_logits(logits, WEIGHTS)
    path = table().save(tmp_path / "weights.json")
    for source in (table(), path, str(path)):
        assert torch.equal(unweight_logits(logits, source), expected)
        assert torch.equal(UnweightLogits(source)(logits), UnweightLogits(WEIGHTS)(logits))


@pytest.mark.parametrize(("batch_size", "said"), [(1, 0.8), (6, 0.613)])
def test_what_undoing_gives_of_the_optimum_of_the_real_loss(batch_size: int, said: float) -> None:
    """The example of docs/equal-cost.md, trained: what looks the same has the same logits."""
    weight = torch.tensor([1.0, 0.5, 3.0], dtype=torch.float64)
    loss = torch.nn.CrossEntropyLoss(weight)
    masks = [[0, 0, 1, 1]] * 3 + [[0, 0, 2, 2]] * 2 + [[0, 0, 0, 0]] * 3
    batches = [torch.tensor(batch) for batch in combinations(masks, batch_size)]
    logits = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)  # of road, of the object
    optimiser = torch.optim.LBFGS([logits], max_iter=500, line_search_fn="strong_wolfe")

    def step() -> torch.Tensor:
        optimiser.zero_grad()
        total = torch.stack(
            [loss(logits[(some > 0).long()].permute(0, 2, 1), some) for some in batches]
        ).mean()
        total.backward()
        return total

    optimiser.step(step)
    found = unweight_logits(logits.detach()[1], weight, dim=0).softmax(0)
    assert found.tolist() == pytest.approx([0, said, 1 - said], abs=1e-3)


def test_a_class_axis_of_another_length_is_refused() -> None:
    for logits in (torch.zeros(2, 3), torch.zeros(4)):
        with pytest.raises(ParameterError):
            UnweightLogits(WEIGHTS)(logits)
