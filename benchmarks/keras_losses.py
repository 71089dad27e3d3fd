"""Time and peak memory of the Keras losses, forward and backward, beside Keras' own cross entropy.

    KERAS_BACKEND=tensorflow python -m benchmarks.keras_losses [--shape 8 512 512 31] [--rounds 7]

Contenders take turns in one process, so that what else the machine does meets all alike; the ratio
is the median over rounds of a contender's time by the reference's in the same round. Memory is
what a fresh process holds at the most during its first step beyond what it held before, sampled
every millisecond, in units of the logits; the gradient itself is 1 of these. (Later steps take what
the allocator kept of earlier ones.)

On TensorFlow each loss runs eagerly, as a `tf.function` and compiled by XLA (what `model.fit` does
unless told otherwise); on JAX through `jax.jit`; on PyTorch eagerly.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from maskstat import keras as mk

Loss = Callable[[Any, Any], Any]
Step = Callable[[], tuple[Any, Any]]
REFERENCE = "keras.losses.SparseCategoricalCrossentropy"
IGNORED = 255


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one contender: seconds (median), ratio of times to the reference's, peak in logits."""

    seconds: float
    ratio: float
    peak: float


def contenders(classes: int) -> dict[str, Loss]:
    """The reference, plain, and every loss of labels, weighted, with a label to ignore."""
    weight = np.linspace(0.5, 3, classes)
    counts = np.logspace(6, 2, classes).round()
    own = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return {
        REFERENCE: own,
        "cross_entropy": mk.CrossEntropy(weight, ignore_index=IGNORED),
        "focal": mk.Focal(weight, ignore_index=IGNORED),
        "complement_entropy": mk.ComplementEntropy(weight, ignore_index=IGNORED),
        "complement_cross_entropy": mk.ComplementCrossEntropy(weight, ignore_index=IGNORED),
        "logit_adjusted": mk.LogitAdjusted(weight, prior=counts, ignore_index=IGNORED),
        "ldam": mk.LDAM(weight, counts=counts, ignore_index=IGNORED),
    }


def batch(shape: Sequence[int], seed: int = 0) -> tuple[Any, Any]:
    """Random logits [N, ..., K] and labels; none is ignored, which the reference could not do."""
    generator = np.random.default_rng(seed)
    logits = generator.standard_normal(shape, dtype=np.float32)
    labels = generator.integers(0, shape[-1], shape[:-1], dtype=np.int32)
    return keras.ops.convert_to_tensor(logits), keras.ops.convert_to_tensor(labels)


def modes() -> dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]]:
    """The ways in which this backend runs a function."""
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return {
            "eager": lambda function: function,
            "tf.function": lambda function: tf.function(function, autograph=False),
            "XLA": lambda function: tf.function(function, autograph=False, jit_compile=True),
        }
    if keras.config.backend() == "jax":
        import jax

        return {"jax.jit": jax.jit}
    return {"eager": lambda function: function}


def value_and_gradient(loss: Loss) -> Callable[[Any, Any], tuple[Any, Any]]:
    """A function (logits, labels) -> (loss, its gradient), by the backend's own means."""
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        def both(logits: Any, labels: Any) -> tuple[Any, Any]:
            with tf.GradientTape() as tape:
                tape.watch(logits)
                value = loss(labels, logits)
            return value, tape.gradient(value, logits)

        return both
    if keras.config.backend() == "jax":
        import jax

        return jax.value_and_grad(lambda logits, labels: loss(labels, logits))  # type: ignore[no-any-return]

    def of_torch(logits: Any, labels: Any) -> tuple[Any, Any]:
        logits = logits.detach().requires_grad_()
        value = loss(labels, logits)
        value.backward()
        return value.detach(), logits.grad

    return of_torch


def steps(losses: dict[str, Loss], logits: Any, labels: Any, mode: str) -> dict[str, Step]:
    """Forward and backward of every loss, finished when they return."""

    def step(loss: Loss) -> Step:
        function = modes()[mode](value_and_gradient(loss))

        def run() -> tuple[Any, Any]:
            value, gradient = function(logits, labels)
            float(value), float(gradient[(0,) * len(gradient.shape)])
            return value, gradient

        return run

    return {name: step(loss) for name, loss in losses.items()}


def resident() -> int:
    """Bytes of memory that this process holds; 0 where /proc does not tell."""
    status = Path("/proc/self/statm")
    if not status.exists():
        return 0
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_memory(step: Step) -> int:
    """Bytes that the process holds at the most during a step, beyond what it held before."""
    done = threading.Event()
    before = peak = resident()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.001):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    step()
    done.set()
    watcher.join()
    return peak - before


def first_peak(name: str, mode: str, shape: Sequence[int]) -> float:
    """Peak memory of a contender's first step in a fresh process, in units of the logits."""
    command = [sys.executable, "-m", "benchmarks.keras_losses", "--peak", name, mode, "--shape"]
    done = subprocess.run(
        [*command, *map(str, shape)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[1],
    )
    return float(done.stdout.splitlines()[-1])


def own_peak(name: str, mode: str, shape: Sequence[int]) -> float:
    """What `first_peak` asks a fresh process for; a step of a small batch imports everything."""
    loss = {name: contenders(shape[-1])[name]}
    steps(loss, *batch((1, 8, 8, shape[-1])), mode)[name]()
    logits, labels = batch(shape)
    gc.collect()
    return peak_memory(steps(loss, logits, labels, mode)[name]) / (4 * int(np.prod(shape)))


def measure(
    runs: dict[str, Step], rounds: int, peak_of: Callable[[str], float]
) -> dict[str, Measured]:
    """Every contender's time and memory; the first one is the reference."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn > 0:  # the first turn warms up and compiles
                times[name].append(time.perf_counter() - start)
    reference = times[next(iter(runs))]
    return {
        name: Measured(
            statistics.median(own),
            statistics.median(a / b for a, b in zip(own, reference, strict=True)),
            peak_of(name),
        )
        for name, own in times.items()
    }


def check_equal(losses: dict[str, Loss], logits: Any, labels: Any) -> None:
    """In every mode a loss has the value and gradient that it has in the first."""

    def outcomes(mode: str) -> dict[str, list[np.ndarray]]:
        return {
            name: [np.asarray(keras.ops.convert_to_numpy(part)) for part in run()]
            for name, run in steps(losses, logits, labels, mode).items()
        }

    first, *others = (outcomes(mode) for mode in modes())
    for other in others:
        for name, parts in first.items():
            for one, two in zip(parts, other[name], strict=True):
                np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6, err_msg=name)


def table(results: dict[str, dict[str, Measured]]) -> str:
    """As Markdown: by mode, by loss."""
    rows = ["| | loss | seconds | × time | peak, logits | × peak |", "| --- " * 6 + "|"]
    for mode, measured in results.items():
        reference = next(iter(measured.values()))
        for name, r in measured.items():
            share = r.peak / reference.peak if reference.peak > 0 else float("nan")
            numbers = f"{r.seconds:.3f} | {r.ratio:.2f} | {r.peak:.2f} | {share:.2f}"
            rows.append(f"| {mode} | {name} | {numbers} |")
    return "\n".join(rows)


def main() -> None:
    """Parse the options, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shape", type=int, nargs="+", default=[8, 512, 512, 31])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="+", help="losses to measure, besides the reference")
    parser.add_argument("--peak", nargs=2, metavar=("LOSS", "MODE"), help="print one peak only")
    given = parser.parse_args()
    if given.peak:
        print(own_peak(*given.peak, given.shape))
        return
    losses = contenders(given.shape[-1])
    if given.only:
        losses = {name: losses[name] for name in (REFERENCE, *given.only)}
    small = (1, *[min(size, 16) for size in given.shape[1:-1]], given.shape[-1])
    check_equal(losses, *batch(small))
    logits, labels = batch(given.shape)
    results = {}
    for mode in modes():
        runs = steps(losses, logits, labels, mode)
        results[mode] = measure(
            runs, given.rounds, lambda name, mode=mode: first_peak(name, mode, given.shape)
        )
    backend = keras.config.backend()
    print(f"Keras {keras.__version__} on {backend}, CPU, logits {tuple(given.shape)}\n")
    print(table(results))


if __name__ == "__main__":
    main()
