"""Checks of what Keras does over several steps: deferred weights, accumulated gradients."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from maskstat import keras as adapter
from tests.support.keras_backends import check
from tests.support.keras_gradients import BACKEND, numpy
from tests.support.keras_loss_checks import agree, refused
from tests.support.keras_training_checks import (
    SHAPE,
    K,
    images,
    matrix_of,
    pixelwise,
    slope,
    trained,
)
from tests.support.loss_cases import weights_of

COUNTS = [9, 3, 5, 1]
WEIGHTS = weights_of(K)
QUIET: dict[str, Any] = {"verbose": 0, "shuffle": False}


def ldam(weight: Any = WEIGHTS, **given: Any) -> adapter.LDAM:
    return adapter.LDAM(weight, counts=COUNTS, scale=1.0, ignore_index=255, **given)


def deferred(model: Any, start: int, loss: Any = None, **given: Any) -> Any:
    """Epochs of one step of size 0.5; compiled unless it is."""
    features, labels = images()
    if not model.compiled:
        model.compile(keras.optimizers.SGD(0.5), ldam() if loss is None else loss)
    schedule = adapter.DeferredReweighting(start)
    settings = {"batch_size": len(features), "shuffle": False, "verbose": 0, **given}
    settings["callbacks"] = [schedule, *settings.get("callbacks", ())]
    return model.fit(features, labels, **settings)


# --- deferred re-weighting ------------------------------------------------------------------------


@check()
def weights_come_in_at_the_epoch() -> None:
    features, labels = images()
    common = {"counts": COUNTS, "scale": 1.0, "ignore_index": 255}
    wanted = matrix_of(pixelwise())
    steps = []
    for epoch in range(5):
        weight = WEIGHTS if epoch >= 3 else None
        wanted = wanted - 0.5 * slope(wanted, features, "ldam", labels, weight=weight, **common)
        steps.append(wanted)
    for epochs in (3, 5):
        model = pixelwise()
        deferred(model, 3, epochs=epochs)
        agree(matrix_of(model), steps[epochs - 1], 1e-5, f"{epochs} epochs")
        # Afterwards they are on, whatever the phase it ended in.
        alone = ldam()(labels, model(features))
        found = model.evaluate(features, labels, batch_size=len(features), verbose=0)
        agree(np.asarray(found), numpy(alone), 1e-5, "evaluate")


@check()
def validation_goes_without_them_as_well() -> None:
    features, labels = images()
    for start, loss in ((9, ldam(None)), (0, ldam())):
        model = pixelwise()
        history = deferred(
            model,
            start,
            epochs=1,
            validation_data=(features, labels),
            validation_batch_size=len(features),
        ).history
        wanted = numpy(loss(labels, model(features)))
        np.testing.assert_allclose(history["val_loss"][0], wanted, rtol=1e-5)


@check()
def training_resumes_in_either_phase() -> None:
    whole = pixelwise()
    deferred(whole, 3, epochs=5)
    for stop in (2, 4):
        model = pixelwise()
        deferred(model, 3, epochs=stop)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            model.save(path)
            copy = keras.saving.load_model(path)
        assert copy.loss.weight == WEIGHTS.tolist()
        deferred(copy, 3, initial_epoch=stop, epochs=5)
        agree(matrix_of(copy), matrix_of(whole), 1e-6, f"stopped after {stop}")


@check()
def an_interrupted_fit_resumes_by_itself() -> None:
    """Killed in an epoch without weights, and in one with them."""
    whole = pixelwise()
    deferred(whole, 3, epochs=5)

    class Interrupted(Exception):
        pass

    class Stop(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self, at: int):
            super().__init__()
            self.at = at

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == self.at:
                raise Interrupted

    for at in (2, 4):
        with tempfile.TemporaryDirectory() as folder:
            model = pixelwise()
            backup = keras.callbacks.BackupAndRestore(folder)
            try:
                deferred(model, 3, epochs=5, callbacks=[backup, Stop(at)])
            except Interrupted:
                pass
            else:
                raise AssertionError("nothing was interrupted")
            again = pixelwise()
            deferred(again, 3, epochs=5, callbacks=[keras.callbacks.BackupAndRestore(folder)])
            agree(matrix_of(again), matrix_of(whole), 1e-6, f"interrupted at {at}")


@check()
def positives_and_several_losses_are_deferred() -> None:
    features, _ = images()
    target = (features[..., :1] > 0).astype(np.float32)
    found = []
    for loss, start in (
        (adapter.BinaryCrossEntropy(7.0), 9),
        (adapter.BinaryCrossEntropy(), None),
        (adapter.BinaryCrossEntropy(7.0), None),
    ):
        inputs = keras.Input((*SHAPE[1:], 5))
        layer = keras.layers.Dense(1, kernel_initializer="ones")
        model = keras.Model(inputs, {"a": layer(inputs)})
        model.compile(keras.optimizers.SGD(0.5), {"a": loss})
        callbacks = [] if start is None else [adapter.DeferredReweighting(start)]
        model.fit(features, {"a": target}, batch_size=6, verbose=0, callbacks=callbacks)
        found.append(np.concatenate([np.ravel(w) for w in model.get_weights()]))
    agree(found[0], found[1], 1e-6, "deferred")
    assert np.abs(found[0] - found[2]).max() > 1e-3


@check()
def what_can_not_be_deferred_is_refused() -> None:
    for wrong in (-1, 1.5, True, "3"):
        refused(lambda wrong=wrong: adapter.DeferredReweighting(wrong), "whole number")
    own = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    for loss in (ldam(None), own):
        refused(lambda loss=loss: deferred(pixelwise(), 3, loss), "no loss of maskstat.keras with")


# --- accumulated gradients ------------------------------------------------------------------------


def uneven() -> list[tuple[np.ndarray, np.ndarray]]:
    """Four batches of 1 to 3 images, some of them hardly labelled."""
    features, labels = images()
    more = images(2)
    features, labels = np.concatenate([features, more[0]]), np.concatenate([labels, more[1]])
    labels[1:4, 1:] = 255
    labels[7:9] = np.where(labels[7:9] == 255, 255, 1)
    cuts = [1, 4, 6]
    return [
        *zip(np.split(features[:8], cuts), np.split(labels[:8], cuts), strict=True),
    ]


def model_of(loss: Any, steps: int | None = 4, **given: Any) -> Any:
    model = pixelwise(**given)
    model.compile(keras.optimizers.SGD(1.0, gradient_accumulation_steps=steps), loss)
    return model


@check()
def an_accumulated_step_is_that_of_one_large_batch() -> None:
    batches = uneven()
    features, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    before = matrix_of(pixelwise())
    soft = np.eye(K, dtype=np.float32)[np.where(labels == 255, 0, labels)]
    soft = (soft * 0.9 + 0.1 / K) * (labels != 255)[..., None]
    kinds = (
        ("mean", "integers"),
        ("weighted-mean", "integers"),
        ("mean", "soft"),
        ("weighted-mean", "soft"),
        ("weighted-mean", "one channel"),
        ("weighted-mean", "ignores a class"),
    )
    for reduction, kind in kinds[:: 3 if BACKEND == "jax" else 1]:
        ignored = [2, 255] if kind == "ignores a class" else 255
        target = {"one channel": labels[..., None], "soft": soft}.get(kind, labels)
        parts = np.split(target, np.cumsum([len(y) for _, y in batches])[:-1])
        mine = [(x, y) for (x, _), y in zip(batches, parts, strict=True)]
        common = {"weight": WEIGHTS, "gamma": 1.5, "ignore_index": ignored}
        known = soft if kind == "soft" else labels
        whole = slope(before, features, "focal", known, reduction=reduction, **common)
        model = model_of(adapter.Focal(reduction="sum", **common))
        data = adapter.accumulated(model, mine, reduction)
        model.fit(data, steps_per_epoch=4, **QUIET)
        agree(before - matrix_of(model), whole, 1e-5, f"{reduction}, {kind}")
        if kind == "integers":
            naive = model_of(adapter.Focal(reduction=reduction, **common))
            naive.fit((batch for batch in mine), steps_per_epoch=4, **QUIET)
            wrong = before - matrix_of(naive)
            assert np.abs(wrong - whole).max() > 0.1 * np.abs(whole).max(), reduction


@check()
def steps_run_on_over_passes_and_sample_weights_join() -> None:
    """Five batches a pass and two a step: the third step has a batch of either pass."""
    batches = uneven()
    batches.append((batches[0][0], np.roll(batches[0][1], 1, axis=1)))
    rng = np.random.default_rng(9)
    weighted = [(x, y, rng.uniform(0, 2, y.shape).astype(np.float32)) for x, y in batches]

    class Sequence(keras.utils.PyDataset):  # type: ignore[misc]
        passes = 0

        def __len__(self) -> int:
            return len(weighted)

        def __getitem__(self, index: int) -> Any:
            return weighted[index]

        def on_epoch_end(self) -> None:
            self.passes += 1

    sequence = Sequence()
    loss = adapter.CrossEntropy(WEIGHTS, ignore_index=255, reduction="sum")
    found = []
    for source in (weighted, sequence):
        model = model_of(loss, 2)
        data = adapter.accumulated(model, source, "weighted-mean")
        model.fit(data, steps_per_epoch=5, epochs=2, **QUIET)
        found.append(matrix_of(model))
    mean = adapter.CrossEntropy(WEIGHTS, ignore_index=255, reduction="weighted-mean")
    wanted = pixelwise()
    twice = weighted * 2
    for k in range(0, 10, 2):
        x, y, factor = (np.concatenate(part) for part in zip(*twice[k : k + 2], strict=True))
        trained(mean, x, y, model=wanted, sample_weight=factor)
    for one in found:
        agree(one, matrix_of(wanted), 1e-5, "five steps")
    assert sequence.passes >= 1


@check()
def an_iterator_is_one_pass_and_gives_whole_steps() -> None:
    model = model_of(adapter.CrossEntropy(ignore_index=255, reduction="sum"), 3)

    def once() -> Iterator[Any]:
        yield from uneven()

    assert len(list(adapter.accumulated(model, once()))) == 3
    assert list(adapter.accumulated(model, [])) == []
    nothing = [(x, np.full_like(y, 255)) for x, y in uneven()]
    assert all(not factor.any() for *_, factor in adapter.accumulated(model, iter(nothing)))


@check()
def binary_targets_accumulate() -> None:
    features, labels = images()
    target = np.where(labels == 255, 255, labels % 2).astype(np.float32)[..., None]
    target[2:, 1:] = 255
    found = []
    for accumulate in (True, False):
        model = keras.Sequential([keras.Input((*SHAPE[1:], 5)), keras.layers.Dense(1)])
        model.set_weights([np.full((5, 1), 0.1, np.float32), np.zeros(1, np.float32)])
        loss = adapter.BinaryCrossEntropy(
            3.0, ignore_index=255, reduction="sum" if accumulate else "mean"
        )
        steps = 2 if accumulate else None
        model.compile(keras.optimizers.SGD(1.0, gradient_accumulation_steps=steps), loss)
        if accumulate:
            halves = [(features[k : k + 3], target[k : k + 3]) for k in (0, 3)]
            model.fit(adapter.accumulated(model, halves), steps_per_epoch=2, **QUIET)
        else:
            model.fit(features, target, batch_size=6, verbose=0)
        found.append(np.concatenate([np.ravel(w) for w in model.get_weights()]))
    agree(found[0], found[1], 1e-6, "binary")


@check()
def what_can_not_be_accumulated_is_refused() -> None:
    batches = uneven()

    def accumulate(loss: Any, *reduction: str, steps: int | None = 2, source: Any = batches) -> Any:
        return next(adapter.accumulated(model_of(loss, steps), source, *reduction))

    summed = adapter.CrossEntropy(ignore_index=255, reduction="sum")
    refused(lambda: accumulate(summed, "sum"), "reduction", "weighted-mean")
    refused(lambda: accumulate(summed, steps=None), "gradient_accumulation_steps=")
    refused(lambda: accumulate(adapter.CrossEntropy()), 'reduction="sum"')
    refused(lambda: accumulate(adapter.DistanceAware(reduction="sum")), "of labels")
    own = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    refused(lambda: accumulate(own), "one of maskstat.keras")
    hard = adapter.CrossEntropy(top_k=0.2, reduction="sum")
    refused(lambda: accumulate(hard), "hard depends on logits")
    binary = adapter.BinaryCrossEntropy(reduction="sum")
    refused(lambda: accumulate(binary, "weighted-mean"), 'reduction="mean"')
    strange = [(x, np.where(y == 255, 77, y)) for x, y in batches]
    refused(lambda: accumulate(summed, source=strange), "label 77")
    summed.deferred = True
    refused(lambda: accumulate(summed, "weighted-mean"), "read ahead")
