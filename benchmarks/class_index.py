"""How large a class index is and how long a draw from it takes; what it costs beside a scan.

    python -m benchmarks.class_index [--masks FOLDER_OF_REAL_MASKS] [--scale 0.1] [--rounds 3]
                                     [--large 50000]

Sizes are of files: all PNGs of a set, and its `index.npz`. Memory is what loading allocates, beside
the file, which is mapped. Draws are of uniform pixels of uniform classes, their time is of the
CPU. "x scan" is the CPU time of a scan with an index over that of one without. `--large` puts the
runs of some of the 2 MP masks together as often as that many masks need, and takes one.
"""

from __future__ import annotations

import io
import itertools
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import maskstat
from benchmarks.mask_sets import (
    arguments,
    asked_sets,
    labels,
    maker,
    real_masks,
    save_grey,
    write_set,
)
from maskstat.crops.class_index import ClassIndex
from maskstat.crops.class_runs import ClassRuns, MaskTables
from maskstat.kernels.coded_runs import CodedRuns
from maskstat.kernels.label_runs import runs_of

LARGE = (1024, 2048)
DRAWS = 20_000


class Row(NamedTuple):
    """What is measured of a set."""

    name: str
    masks: int
    pngs: int
    file: int
    memory: int
    loading: float
    alone: float
    in_mask: float
    together: float
    times_scan: float

    def line(self) -> str:
        """As a row of the document's table."""
        share = f"{self.file / self.pngs:.0%}" if self.pngs else ""
        beside = f"{self.times_scan:.2f}" if self.times_scan else ""
        return (
            f"| {self.name} | {self.masks:,} | {self.pngs / 1e6:,.2f} | {self.file / 1e6:,.2f}"
            f" | {share} | {self.memory / 1e6:,.2f} | {self.loading:.2f} | {self.alone:.1f}"
            f" | {self.in_mask:.1f} | {self.together:.1f} | {beside} |"
        )


HEAD = (
    "| masks | number | PNGs, MB | index, MB | share | memory, MB | load, s | one pixel, µs"
    " | in a mask, µs | of many, µs | x scan |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def cpu(work: Callable[[], object]) -> float:
    """Seconds of the CPU, of all threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def sets(folder: Path, masks: Path | None, scale: float) -> Sequence[tuple[str, Path]]:
    """Real masks as they are, and large ones, warped from them and made."""
    real = real_masks(masks)
    found = [("real", masks)] if real and masks is not None else []
    found.append(("sample_masks", Path(__file__).parents[1] / "sample_masks"))
    count = max(2, int(100 * scale))
    for name, make in (
        ("2 MP, real ones warped" if real else "2 MP, smooth", maker(LARGE, real)),
        ("2 MP, ragged", lambda number: labels(LARGE, number)),
    ):
        place = folder / name.replace(" ", "-").replace(",", "")
        found.append((name, write_set(place, count, count, make, save_grey)))
    return found


def draw_times(index: ClassIndex) -> tuple[float, float, float]:
    """Microseconds of a pixel of a class, of one in a mask that has it, and of one of many."""
    rng = np.random.default_rng(0)
    some = np.flatnonzero(index.class_pixels)
    classes, shares = rng.choice(some, DRAWS), rng.random(DRAWS)
    having = {int(k): index.masks_with(int(k)) for k in some}
    masks = [int(rng.choice(having[int(k)])) for k in classes]
    alone = list(zip(classes.tolist(), shares.tolist(), strict=True))
    inside = [(*one, mask) for one, mask in zip(alone, masks, strict=True)]
    index.pixel(*inside[0]), index.pixel(classes[:1], shares[:1])  # loads the kernels
    seconds = (
        cpu(lambda: [index.pixel(*one) for one in alone]),
        cpu(lambda: [index.pixel(*one) for one in inside]),
        cpu(lambda: index.pixel(classes, shares)),
    )
    return tuple(1e6 * one / DRAWS for one in seconds)  # type: ignore[return-value]


def measure(name: str, index: ClassIndex, pngs: int, times_scan: float) -> Row:
    """Save it, load it, draw from it."""
    with tempfile.TemporaryDirectory() as scratch:
        path = index.save(Path(scratch) / "index.npz")
        del index
        start = time.perf_counter()
        loaded = ClassIndex.load(path)
        seconds = time.perf_counter() - start
        times = draw_times(loaded)
        tracemalloc.start()
        again = ClassIndex.load(path)
        memory, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        size = path.stat().st_size
        return Row(name, len(again), pngs, size, memory, seconds, *times, times_scan)


def of_folder(name: str, folder: Path, rounds: int, workers: int) -> Row:
    """The index of a folder, and what it costs beside a scan."""
    options = {"workers": workers, "classes": None}
    best: dict[bool, float] = {}
    for index in (True, False) * (rounds + 1):  # the first round loads the kernels
        seconds = cpu(lambda index=index: maskstat.scan(folder, index=index, **options).close())
        best[index] = min(best.get(index, np.inf), seconds)
    with maskstat.scan(folder, index=True, **options) as scan:
        found = scan.class_index(stored=True)
    pngs = sum(path.stat().st_size for path in folder.rglob("*.png"))
    return measure(name, found, pngs, best[True] / best[False])


def of_many(masks: int, real: Sequence[Path], distinct: int = 20) -> Row:
    """So many masks of 2 MP, which are so many different ones over and over."""
    make = maker(LARGE, real)
    coded, sizes = [], []
    for number in range(distinct):
        pixels = make(number)
        values = np.unique(pixels).astype(np.int64)
        coded.append(CodedRuns.of(*runs_of(pixels, values, values)))
        with tempfile.TemporaryDirectory() as scratch:
            save_grey(Path(scratch) / "mask.png", pixels)
            sizes.append((Path(scratch) / "mask.png").stat().st_size)
    data = io.BytesIO()
    tables = MaskTables.of(itertools.islice(itertools.cycle(coded), masks), data)
    catalog = maskstat.ClassCatalog.numbered(256)
    names = [f"masks/train/mask_{number:06}.png" for number in range(masks)]
    runs = ClassRuns.of(tables, np.frombuffer(data.getbuffer(), np.uint8))
    pngs = sum(itertools.islice(itertools.cycle(sizes), masks))
    return measure(f"2 MP, {distinct} over and over", ClassIndex(names, catalog, runs), pngs, 0)


def main() -> None:
    """Measure what is asked for."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--large", type=int, help="masks of 2 MP in one index")
    options = parser.parse_args()
    rows = [
        of_folder(name, folder, options.rounds, options.workers)
        for _, (name, folder) in asked_sets(options, sets)
    ]
    if options.large:
        rows.append(of_many(options.large, real_masks(options.masks)))
    print("\n".join([HEAD, *(row.line() for row in rows)]))


if __name__ == "__main__":
    main()
