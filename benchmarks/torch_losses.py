"""Time and peak memory of the torch losses, forward and backward, beside torch's own cross entropy.

    python -m benchmarks.torch_losses [--shape 8 31 512 512] [--rounds 9] [--threads 2]
    python -m benchmarks.torch_losses --labels 150 [--shape 2 150 256 256]

Contenders take turns in one process, so that what else the machine does meets all alike; the
ratio is the median over rounds of a contender's time by the reference's in the same round. Memory
is what torch's allocator holds at the most from the start of forward to the end of backward, beyond
logits and labels, in units of the logits; the gradient itself is 1 of these.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as own
from torch.profiler import ProfilerActivity, profile

from maskstat import torch as mt

Loss = Callable[[Tensor, Tensor], Tensor]
REFERENCE = "torch.nn.functional.cross_entropy"
IGNORED = 255


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one contender: seconds (median), ratio of times to the reference's, peak in logits."""

    seconds: float
    ratio: float
    peak: float


def contenders(classes: int) -> dict[str, Loss]:
    """The reference and every loss of labels, weighted, with an index to ignore."""
    weight = torch.linspace(0.5, 3, classes)
    counts = torch.logspace(6, 2, classes).round()
    ours = {
        "cross_entropy": mt.CrossEntropy(weight, ignore_index=IGNORED),
        "focal": mt.Focal(weight, ignore_index=IGNORED),
        "complement_entropy": mt.ComplementEntropy(weight, ignore_index=IGNORED),
        "complement_cross_entropy": mt.ComplementCrossEntropy(weight, ignore_index=IGNORED),
        "logit_adjusted": mt.LogitAdjusted(weight, prior=counts, ignore_index=IGNORED),
        "ldam": mt.LDAM(weight, counts=counts, ignore_index=IGNORED),
    }

    def reference(logits: Tensor, target: Tensor) -> Tensor:
        if target.is_floating_point():  # it takes no index to ignore then
            return own.cross_entropy(logits, target, weight)
        return own.cross_entropy(logits, target, weight, ignore_index=IGNORED)

    return {REFERENCE: reference, **ours}


def batch(shape: Sequence[int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random logits [N, K, ...], and labels of which a tenth are ignored."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(*shape, generator=generator)
    labels = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.1] = IGNORED
    return logits.requires_grad_(), labels


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """float32 [N, K, ...], all zeros where ignored."""
    dense = torch.zeros(labels.shape[0], classes, *labels.shape[1:])
    known = (labels != IGNORED).unsqueeze(1)
    return dense.scatter_(1, labels.unsqueeze(1) * known, known.float())


def train_step(loss: Loss, logits: Tensor, target: Tensor) -> float:
    """Seconds of forward and backward."""
    logits.grad = None
    start = time.perf_counter()
    loss(logits, target).backward()
    return time.perf_counter() - start


def peak_memory(loss: Loss, logits: Tensor, target: Tensor) -> int:
    """Bytes that the allocator holds at the most, beyond what it held before."""
    logits.grad = None
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        loss(logits, target).backward()
    events = [e for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def measure(
    losses: dict[str, Loss], logits: Tensor, target: Tensor, rounds: int
) -> dict[str, Measured]:
    """Every contender's time and memory; the first one is the reference."""
    times: dict[str, list[float]] = {name: [] for name in losses}
    for turn in range(rounds + 1):
        for name, loss in losses.items():
            seconds = train_step(loss, logits, target)
            if turn > 0:  # the first turn warms up and compiles
                times[name].append(seconds)
    reference = times[next(iter(losses))]
    size = logits.numel() * logits.element_size()
    return {
        name: Measured(
            statistics.median(own_times),
            statistics.median(a / b for a, b in zip(own_times, reference, strict=True)),
            peak_memory(losses[name], logits, target) / size,
        )
        for name, own_times in times.items()
    }


def check_equal(losses: dict[str, Loss], logits: Tensor, target: Tensor) -> None:
    """Compiled losses have the values and gradients of eager ones, and cross entropy torch's."""

    def outcome(name: str) -> tuple[Tensor, Tensor]:
        logits.grad = None
        value = losses[name](logits, target)
        value.backward()
        assert logits.grad is not None
        return value.detach(), logits.grad

    for name in losses:
        plain = REFERENCE if name == "cross_entropy" else name.removesuffix(COMPILED)
        for found, wanted in zip(outcome(name), outcome(plain), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-7)


COMPILED = ", compiled"


def with_compiled(losses: dict[str, Loss], backend: str = "inductor") -> dict[str, Loss]:
    """Every loss, and beside it the same through torch.compile as one graph."""
    both: dict[str, Loss] = {}
    for name, loss in losses.items():
        both[name] = loss
        both[name + COMPILED] = torch.compile(loss, fullgraph=True, backend=backend)
    return both


def table(results: dict[str, Measured]) -> str:
    """As Markdown."""
    reference = next(iter(results.values()))
    rows = []
    for name, r in results.items():
        numbers = (r.seconds, r.ratio, r.peak, r.peak / reference.peak)
        rows.append(
            f"| {name} | {numbers[0]:.3f} | " + " | ".join(f"{n:.2f}" for n in numbers[1:]) + " |"
        )
    head = "| loss | seconds | × time | peak, logits | × peak |\n| --- | --- | --- | --- | --- |"
    return "\n".join([head, *rows])


def label_memory(shape: Sequence[int]) -> str:
    """Bytes of labels and of a step at the most, from integer and from one-hot labels."""
    logits, labels = batch(shape)
    dense = one_hot(labels, shape[1])
    rows = ["| loss | labels | labels, MB | step's peak, MB | together, MB |"]
    rows.append("| --- | --- | --- | --- | --- |")
    losses = contenders(shape[1])
    for name in (REFERENCE, "cross_entropy", "focal", "complement_cross_entropy"):
        for kind, target in (("integer", labels), ("one-hot", dense)):
            of_labels = target.numel() * target.element_size() / 1e6
            peak = peak_memory(losses[name], logits, target) / 1e6
            rows.append(
                f"| {name} | {kind} | {of_labels:,.0f} | {peak:,.0f} | {of_labels + peak:,.0f} |"
            )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs="+", default=None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--eager", action="store_true", help="leave torch.compile out")
    parser.add_argument("--labels", type=int, metavar="K", help="compare kinds of labels instead")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.labels:
        print(label_memory(given.shape or (2, given.labels, 256, 256)))
        return
    shape = given.shape or (8, 31, 512, 512)
    losses = contenders(shape[1])
    if not given.eager:
        losses = with_compiled(losses)
    logits, labels = batch(shape)
    check_equal(losses, logits, labels)
    print(f"torch {torch.__version__}, CPU, {given.threads} threads, logits {tuple(shape)}\n")
    print(table(measure(losses, logits, labels, given.rounds)))


if __name__ == "__main__":
    main()
