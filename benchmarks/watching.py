"""What `maskstat.watch` takes of a training step, of a small U-Net, both in one run.

    python -m benchmarks.watching [--shape 8 256 256] [--rounds 15] [--device cpu]

Batches of int64 labels are in memory already, so that a plain loop waits for none. In every round
a step of training is timed, then what the watched loop takes to give its next batch, and what the
plain one takes. The ratio is the median over rounds of the difference by the step of its round.
On a GPU the device is waited for after each step, and after the counts; the watch itself does not.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import maskstat
from benchmarks import mask_sets

CLASSES = 19


class Times(NamedTuple):
    """Milliseconds, medians, and the median of ratios."""

    step: float
    watching: float
    ratio: float


class UNet(nn.Module):
    """Three levels of two convolutions, of 16, 32 and 64 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([_block(3, 16), _block(16, 32), _block(32, 64)])
        self.up = nn.ModuleList([_block(96, 32), _block(48, 16)])
        self.head = nn.Conv2d(16, CLASSES, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, CLASSES, H, W); H and W are multiples of 4."""
        first = self.down[0](images)
        second = self.down[1](functional.max_pool2d(first, 2))
        found: Tensor = self.down[2](functional.max_pool2d(second, 2))
        for block, skip in zip(self.up, (second, first), strict=True):
            found = block(torch.cat([skip, functional.interpolate(found, scale_factor=2)], 1))
        logits: Tensor = self.head(found)
        return logits


def _block(inputs: int, outputs: int) -> nn.Module:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def batches(shape: tuple[int, int, int], device: str) -> list[tuple[Tensor, Tensor]]:
    """A few batches of images and labels."""
    count, height, width = shape
    made = []
    for seed in range(4):
        labels = np.stack(
            [mask_sets.labels((height, width), seed * count + at) % CLASSES for at in range(count)]
        )
        images = torch.rand((count, 3, height, width), device=device)
        made.append((images, torch.from_numpy(labels.astype(np.int64)).to(device)))
    return made


def measure(shape: tuple[int, int, int], rounds: int, device: str) -> Times:
    """Time both, a round after another; the first two are not counted."""
    model = UNet().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    wait: Callable[[], None] = torch.cuda.synchronize if device != "cpu" else lambda: None
    plain = cycle(batches(shape, device))
    watched = iter(maskstat.watch(plain, classes=CLASSES))

    def timed(call: Callable[[], Any]) -> tuple[float, Any]:
        start = time.perf_counter()
        result = call()
        wait()
        return time.perf_counter() - start, result

    def step(batch: tuple[Tensor, Tensor]) -> None:
        optimizer.zero_grad()
        functional.cross_entropy(model(batch[0]), batch[1], ignore_index=255).backward()
        optimizer.step()

    def turns() -> Iterator[tuple[float, float]]:
        for _ in range(rounds + 2):
            without, _ = timed(lambda: next(plain))
            counting, batch = timed(lambda: next(watched))
            yield timed(lambda batch=batch: step(batch))[0], counting - without

    found = list(turns())[2:]
    steps, extra = zip(*found, strict=True)
    return Times(
        1e3 * statistics.median(steps),
        1e3 * statistics.median(extra),
        statistics.median(more / one for one, more in found),
    )


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=[8, 256, 256])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    times = measure(tuple(given.shape), given.rounds, given.device)
    print(f"step {times.step:.1f} ms, watching {times.watching:.3f} ms: {100 * times.ratio:.3f}%")


if __name__ == "__main__":
    main()
