"""One battery of cases for the losses of every framework, as data: arrays with the class axis last.

An adapter's test moves the class axis where its framework wants it, runs `case.loss` with
`case.arguments` under every reduction, and compares value and gradient with `expected(case, ...)`.
An `ignore_index` of None means: nothing is ignored (torch: any index that is no label).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.support.loss_oracles import (
    BINARY_LOSSES,
    LABEL_LOSSES,
    Array,
    Ignored,
    evaluate,
)

# Options under which every loss is tried; the first ones are the defaults of the adapters.
OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "cross_entropy": (
        {},
        {"label_smoothing": 0.1},
        {"label_smoothing": 1.0},
        {"top_k": 0.3},
        {"threshold": 0.5},
        {"top_k": 0.45, "threshold": 0.02, "label_smoothing": 0.1},
    ),
    "focal": ({}, {"gamma": 0.0}, {"gamma": 0.5}, {"gamma": 1.0}, {"gamma": 3.7}),
    "complement_entropy": ({},),
    "complement_cross_entropy": ({}, {"gamma": 0.0}, {"gamma": 0.75}),
    "logit_adjusted": ({}, {"tau": 0.5}),
    "ldam": ({}, {"max_margin": 0.3, "scale": 1.0}),
    "distance_aware": ({}, {"alpha": 0.0, "beta": 0.0}, {"alpha": 1.5, "beta": 2.5}),
    "binary_cross_entropy": ({}, {"label_smoothing": 0.1}, {"label_smoothing": 1.0}),
    "binary_focal": ({}, {"gamma": 0.0}, {"gamma": 0.5, "alpha": 0.25}, {"gamma": 3.7}),
}


@dataclass(frozen=True, slots=True, eq=False)
class LossCase:
    """One loss on one batch.

    Attributes:
        name: unique; the id of the test.
        loss: the function's name in every framework.
        logits: float64[..., K]; every value fits float16.
        target: int64[...], or float64[..., K] for one-hot labels, soft labels and heat maps;
            [..., K] of either type for binary losses.
        weight: float64[K] or None.
        ignore_index: one or several, inside or outside 0..K-1, or None.
        options: what only this loss takes; prior and counts are given as float64[K].
        extreme: whether logits are so large that less than float64 rounds their differences.
    """

    name: str
    loss: str
    logits: Array
    target: npt.NDArray[Any]
    weight: Array | None = None
    ignore_index: Ignored = None
    options: dict[str, Any] = field(default_factory=dict)
    extreme: bool = False

    @property
    def classes(self) -> int:
        return int(self.logits.shape[-1])

    @property
    def sparse(self) -> bool:
        return bool(np.issubdtype(self.target.dtype, np.integer))

    @property
    def arguments(self) -> dict[str, Any]:
        """Keyword arguments besides the reduction; ignore_index is left out where it is None."""
        given = {**self.options}
        if self.loss not in BINARY_LOSSES:
            given["weight"] = self.weight
        if self.ignore_index is not None:
            given["ignore_index"] = self.ignore_index
        return given


def expected(case: LossCase, reduction: str, logits: Array | None = None) -> tuple[Array, Array]:
    """The oracle's value and gradient; `logits` where they were rounded to another type."""
    return evaluate(
        case.loss,
        case.logits if logits is None else logits,
        case.target,
        weight=case.weight,
        ignore_index=case.ignore_index,
        reduction=reduction,
        **case.options,
    )


def one_hot(case: LossCase) -> LossCase:
    """A case with integer labels, as one-hot labels: all zeros where outside 0..K-1."""
    assert case.sparse
    inside = (case.target >= 0) & (case.target < case.classes)
    target = np.eye(case.classes)[np.where(inside, case.target, 0)] * inside[..., None]
    return replace(case, name=f"{case.name}, one-hot", target=target)


def class_options(loss: str, options: dict[str, Any], classes: int) -> dict[str, Any]:
    """Options with the per-class ones a loss can't do without; one class never occurs."""
    sizes = np.array([5000.0, 40.0, 700.0, 0.0, 90.0, 3.0, 1200.0])[:classes]
    sizes = np.resize(sizes, classes)
    if loss == "logit_adjusted":
        return {"prior": sizes / sizes.sum(), **options}
    if loss == "ldam":
        return {"counts": sizes, **options}
    return dict(options)


def weights_of(classes: int) -> Array:
    """Uneven weights, one of them 0."""
    return np.resize(np.array([0.25, 3.0, 1.0, 0.0, 1.75, 10.0]), classes)


# --- batches ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    name: str
    logits: Array
    target: npt.NDArray[Any]
    weight: Array | None = None
    ignore_index: Ignored = None
    extreme: bool = False


def drawn(
    seed: int, shape: tuple[int, ...], classes: int, spread: float = 3.0
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Logits [*shape, K] that float16 holds exactly, and labels."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=spread, size=(*shape, classes))
    logits = logits.astype(np.float16).astype(np.float64)
    return logits, generator.integers(0, classes, shape)


def with_lead(target: npt.NDArray[np.int64], classes: int, lead: float, noise: float) -> Array:
    """Logits in which the label's is `lead` above noise: confident, rightly or wrongly."""
    generator = np.random.default_rng(7)
    logits = generator.normal(scale=noise, size=(*target.shape, classes))
    np.put_along_axis(logits, target[..., None], lead, -1)
    return np.asarray(logits.astype(np.float16), np.float64)


def soft_labels(seed: int, shape: tuple[int, ...], classes: int) -> Array:
    """Mixed labels: sparse ones, an all-zero one, and sums other than 1."""
    generator = np.random.default_rng(seed)
    labels = generator.dirichlet(np.full(classes, 0.5), shape)
    labels[labels < 0.05] = 0
    flat = labels.reshape(-1, classes)
    flat[0] = 0
    flat[1] = np.eye(classes)[1]
    flat[2] = np.eye(classes)[2]
    flat[3] *= 0.5
    return labels


def sparse_batches() -> Iterator[Batch]:
    """What labels can look like, and what logits can."""
    for shape, classes in (((7,), 5), ((2, 3, 4), 5), ((1, 2, 2, 3), 4)):
        logits, labels = drawn(len(shape), shape, classes)
        name = f"{len(shape) - 1}-D, {classes} classes"
        yield Batch(name, logits, labels)
        yield Batch(f"{name}, weights", logits, labels, weights_of(classes))
    shape, classes = (2, 3, 4), 5
    logits, labels = drawn(11, shape, classes)
    weight = weights_of(classes)
    for index in (0, 2, 4, -1, -100, 255):
        ignored = labels.copy()
        ignored[:, 1] = index
        yield Batch(f"ignores {index}", logits, ignored, None, index)
        yield Batch(f"ignores {index}, weights", logits, ignored, weight, index)
    two = labels.copy()
    two[:, 1], two[:, 2, 0] = 255, 0
    yield Batch("ignores 0 and 255", logits, two, None, [0, 255])
    yield Batch("ignores 0 and 255, weights", logits, two, weight, [0, 255])
    for index in (3, 255):
        yield Batch(f"all ignored ({index})", logits, np.full(shape, index), weight, index)
    yield Batch("only a class of weight 0", logits, np.full(shape, 3), weight)
    yield Batch("one class only", logits, np.full(shape, 1), weight)
    yield Batch("equal logits", np.full_like(logits, 1.5), labels, weight)
    offset = logits + 2048 - logits % 2
    yield Batch("a large common offset", offset, labels, weight, extreme=True)
    two, few = drawn(12, (3, 4), 2)
    yield Batch("two classes", two, few, np.array([0.5, 4.0]))
    many, wide = drawn(13, (4, 2), 40, spread=6.0)
    yield Batch("40 classes", many, wide, weights_of(40), 17)
    for lead in (18.0, 40.0, 1000.0, 6e4):
        right = with_lead(labels, classes, lead, 2.0)
        yield Batch(f"right by {lead:g}", right, labels, weight, extreme=lead > 15)
        wrong = with_lead((labels + 1) % classes, classes, lead, 2.0)
        yield Batch(f"wrong by {lead:g}", wrong, labels, weight, extreme=lead > 15)
    signs = np.random.default_rng(3).choice([-1e4, -1e4, 0.0, 1e4], (*shape, classes))
    yield Batch("±1e4", signs, labels, weight, 4, extreme=True)


def soft_batches() -> Iterator[Batch]:
    for shape, classes in (((7,), 5), ((2, 3, 4), 5), ((1, 2, 2, 3), 4)):
        logits, _ = drawn(20 + len(shape), shape, classes)
        labels = soft_labels(30 + len(shape), shape, classes)
        name = f"soft, {len(shape) - 1}-D"
        yield Batch(name, logits, labels)
        yield Batch(f"{name}, weights", logits, labels, weights_of(classes))
        yield Batch(f"{name}, ignores 1", logits, labels, weights_of(classes), 1)
        yield Batch(f"{name}, ignores 255", logits, labels, None, 255)
        yield Batch(
            f"{name}, ignores 1, 3 and 255", logits, labels, weights_of(classes), [1, 3, 255]
        )
    shape, classes = (2, 3, 4), 5
    labels = soft_labels(40, shape, classes)
    for lead in (18.0, 1000.0, 6e4):
        logits = with_lead(labels.argmax(-1), classes, lead, 2.0)
        yield Batch(f"soft, led by {lead:g}", logits, labels, weights_of(classes), extreme=True)
    two = np.stack([np.linspace(0, 1, 6), np.linspace(1, 0, 6)], -1)
    yield Batch("soft, two classes", drawn(41, (6,), 2)[0], two, np.array([2.0, 0.5]))
    yield Batch("soft, all ignored", drawn(42, (4,), 3)[0], np.zeros((4, 3)))


def heat_batches() -> Iterator[Batch]:
    for shape, classes in (((6,), 4), ((2, 3, 4), 3)):
        logits, _ = drawn(50 + len(shape), shape, classes)
        heat = np.random.default_rng(60 + len(shape)).random((*shape, classes))
        heat[heat > 0.8] = 1
        heat[heat < 0.2] = 0
        weight = weights_of(classes)
        name = f"heat, {len(shape) - 1}-D"
        yield Batch(name, logits, heat)
        yield Batch(f"{name}, weights", logits, heat, weight)
        yield Batch(f"{name}, ignores channel 1", logits, heat, weight, 1)
        yield Batch(f"{name}, ignores none", logits, heat, weight, 255)
        yield Batch(f"{name}, ignores channels 0 and 2", logits, heat, weight, [2, 0])
        holes = np.where(np.random.default_rng(70).random(heat.shape) < 0.3, -1.0, heat)
        yield Batch(f"{name}, left out", logits, holes, weight)
        yield Batch(f"{name}, all left out", logits, np.full_like(heat, -1.0), weight)
        yield Batch(f"{name}, no positives", logits, np.minimum(heat, 0.75), weight)
        for size in (30.0, 1e4, 6e4):
            signs = np.where(logits > 0, size, -size)
            yield Batch(f"{name}, ±{size:g}", signs, heat, weight, extreme=True)


def binary_batches() -> Iterator[Batch]:
    """Channels of labels; what would be weights is pos_weight."""
    for shape, labels in (((7,), 3), ((2, 3, 4), 1), ((2, 3, 4), 3), ((1, 2, 2, 3), 2)):
        logits, _ = drawn(80 + len(shape) + labels, shape, labels)
        hard = np.random.default_rng(90 + labels).integers(0, 2, logits.shape)
        each = np.array([3.5, 0.25, 40.0])[:labels]
        name = f"binary, {len(shape) - 1}-D, {labels} labels"
        yield Batch(name, logits, hard)
        yield Batch(f"{name}, pos_weight", logits, hard, each)
        yield Batch(f"{name}, a pos_weight of 0", logits, hard, each * 0)
        soft = np.random.default_rng(91).random(logits.shape).round(2)
        soft[soft > 0.8] = 1
        yield Batch(f"{name}, soft", logits, soft, each)
        void = np.where(soft < 0.3, 255.0, soft)
        yield Batch(f"{name}, soft, ignores 255", logits, void, each, 255)
    logits, _ = drawn(95, (2, 3, 4), 3)
    hard = np.random.default_rng(96).integers(0, 2, logits.shape)
    each = np.array([0.5, 2.0, 7.0])
    for index in (255, -1, -100, 0, 1):
        marked = np.where(np.random.default_rng(97).random(hard.shape) < 0.3, index, hard)
        yield Batch(f"binary, ignores {index}", logits, marked, each, index)
    two = hard.copy()
    two[0, 0], two[1, 1, :, 1] = 255, 7
    yield Batch("binary, ignores 255 and 7", logits, two, each, [255, 7])
    yield Batch("binary, all ignored", logits, np.full_like(hard, 255), each, 255)
    yield Batch("binary, all positive", logits, np.ones_like(hard), each)
    yield Batch("binary, logits of 0", np.zeros_like(logits), hard, each)
    for size in (30.0, 1e4, 6e4):
        signs = np.where(logits > 0, size, -size)
        yield Batch(f"binary, ±{size:g}", signs, hard, each, extreme=True)
        yield Batch(f"binary, soft, ±{size:g}", signs, hard * 0.75, each, extreme=True)


def _binary_cases() -> Iterator[LossCase]:
    for loss in BINARY_LOSSES:
        for options in OPTIONS[loss]:
            for batch in binary_batches():
                weighed = batch.weight is not None and "alpha" not in options
                given = {"pos_weight": batch.weight} if weighed else {}
                yield replace(
                    _case(loss, options, replace(batch, weight=None)),
                    options={**options, **given},
                )


def _cases() -> Iterator[LossCase]:
    batches = [*sparse_batches(), *soft_batches()]
    for loss in LABEL_LOSSES:
        for number, options in enumerate(OPTIONS[loss]):
            # Options other than the defaults meet every third batch: each is met by some loss.
            for batch in batches if number == 0 else batches[number % 3 :: 3]:
                yield _case(loss, options, batch)
    for number, options in enumerate(OPTIONS["distance_aware"]):
        heats = list(heat_batches())
        for batch in heats if number == 0 else heats[number % 2 :: 2]:
            yield _case("distance_aware", options, batch)


def _case(loss: str, options: dict[str, Any], batch: Batch) -> LossCase:
    settings = ", ".join(f"{key}={value:g}" for key, value in options.items())
    return LossCase(
        f"{loss}({settings}): {batch.name}",
        loss,
        batch.logits,
        batch.target,
        batch.weight,
        batch.ignore_index,
        class_options(loss, options, batch.logits.shape[-1]),
        batch.extreme,
    )


CASES: tuple[LossCase, ...] = tuple(_cases())
BINARY_CASES: tuple[LossCase, ...] = tuple(_binary_cases())
SPARSE_CASES: tuple[LossCase, ...] = tuple(case for case in CASES if case.sparse)
