"""maskstat.scan against plain loops, on masks that are no files: one process run, in turns.

    python -m benchmarks.source_forms [--masks 24] [--rounds 5] [--workers 1]

Kaggle's run lengths, beside the decoder that kernels copy; files of one class each, beside Pillow
and NumPy; WebDataset's tars, beside tarfile and Pillow; nested lists in Parquet files, beside
pyarrow and NumPy; TFRecords, beside TensorFlow, where it is installed. All counts are compared.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
from numpy.typing import NDArray
from PIL import Image

import maskstat as ms
from maskstat.kernels.engine import prepare
from tests.support.source_cases import tar_of, tfrecord_of

CLASSES = ("cloth", "ear", "hair", "lip", "neck", "nose", "skin")
Labels = NDArray[np.uint8]
Counts = NDArray[np.int64]
Contenders = dict[str, tuple[Callable[[], Counts], Callable[[], Counts]]]


def labels(seed: int, side: int) -> Labels:
    """A mask of boxes of every class."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((side, side), np.uint8)
    for value in range(1, len(CLASSES) + 1):
        for top, left, high, wide in rng.integers(1, side // 5 + 2, (6, 4)) * (5, 5, 1, 1):
            mask[top : top + high, left : left + wide] = value
    return mask


def runs(inside: NDArray[np.bool_]) -> str:
    """A mask as "start length start length", from 1, down the columns."""
    pixels = np.concatenate([[False], inside.ravel(order="F"), [False]])
    edges = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    edges[1::2] -= edges[::2]
    return " ".join(map(str, edges))


def write(folder: Path, count: int, side: int) -> None:
    """The same masks in both forms."""
    rows = ["ImageId,ClassId,EncodedPixels"]
    (folder / "files").mkdir(parents=True)
    whole: dict[str, bytes] = {}
    lists = []
    for number in range(count):
        mask = labels(number, side)
        stream = io.BytesIO()
        Image.fromarray(mask).save(stream, "PNG")
        whole[f"{number}.png"] = stream.getvalue()
        lists.append(mask.tolist())
        for value, label in enumerate(CLASSES, 1):
            rows.append(f"{number},{value},{runs(mask == value)}")
            pixels = (mask == value).astype(np.uint8) * 255
            Image.fromarray(pixels).save(folder / "files" / f"{number:05}_{label}.png")
    members = {f"{n}.{e}": d for n, data in enumerate(whole.values()) for e, d in pair(data)}
    (folder / "samples.tar").write_bytes(tar_of(members))
    column = pyarrow.array(lists, pyarrow.list_(pyarrow.list_(pyarrow.uint8())))
    table = pyarrow.table({"mask": column})
    pyarrow.parquet.write_table(table, folder / "lists.parquet", row_group_size=8)
    (folder / "train.tfrecord").write_bytes(tfrecord_of(whole))
    (folder / "train.csv").write_text("\n".join([*rows, ""]), encoding="utf-8")


def pair(mask: bytes) -> list[tuple[str, bytes]]:
    """A sample of WebDataset's: an image, which is not looked at, and its mask."""
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(stream, "JPEG")
    return [("jpg", stream.getvalue()), ("seg.png", mask)]


def decoded_rows(table: Path, side: int) -> Counts:
    """What people write for run lengths."""
    masks: dict[str, Labels] = {}
    for line in table.read_text("utf-8").splitlines()[1:]:
        image, value, text = line.split(",")
        mask = masks.setdefault(image, np.zeros(side * side, np.uint8))
        numbers = np.array(text.split(), int)
        for start, length in zip(numbers[::2] - 1, numbers[1::2], strict=True):
            mask[start : start + length] = int(value)
    bins = [np.bincount(mask, minlength=len(CLASSES) + 1) for mask in masks.values()]
    return np.sum(bins, axis=0, dtype=np.int64)


def painted_files(folder: Path, count: int, side: int) -> Counts:
    """What people write for files of a class each."""
    total = np.zeros(len(CLASSES) + 1, np.int64)
    for number in range(count):
        mask = np.zeros((side, side), np.uint8)
        for value, label in enumerate(CLASSES, 1):
            with Image.open(folder / f"{number:05}_{label}.png") as image:
                mask[np.asarray(image) > 0] = value
        total += np.bincount(mask.ravel(), minlength=total.size)
    return total


def parsed_records(file: Path) -> Counts:
    """What people write for TFRecords."""
    import tensorflow as tf

    feature = "image/segmentation/class/encoded"
    kinds = {feature: tf.io.FixedLenFeature([], tf.string)}
    total = np.zeros(len(CLASSES) + 1, np.int64)
    for record in tf.data.TFRecordDataset(str(file)):
        mask = tf.io.decode_png(tf.io.parse_single_example(record, kinds)[feature])
        total += np.bincount(mask.numpy().ravel(), minlength=total.size)
    return total


def read_members(file: Path) -> Counts:
    """What people write for tars of samples."""
    total = np.zeros(len(CLASSES) + 1, np.int64)
    with tarfile.open(file) as archive:
        for info in archive:
            if info.name.endswith(".seg.png") and (member := archive.extractfile(info)):
                mask = np.asarray(Image.open(member))
                total += np.bincount(mask.ravel(), minlength=total.size)
    return total


def read_lists(file: Path) -> Counts:
    """What people write for nested lists."""
    total = np.zeros(len(CLASSES) + 1, np.int64)
    for batch in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=1, columns=["mask"]):
        for mask in batch.column(0).to_pylist():
            total += np.bincount(np.array(mask, np.uint8).ravel(), minlength=total.size)
    return total


def contenders(folder: Path, count: int, side: int, workers: int) -> Contenders:
    """Form -> maskstat, and the loop."""

    def table() -> Counts:
        size = (side, side)
        with ms.scan(
            folder / "train.csv", size=size, classes=len(CLASSES) + 1, workers=workers
        ) as scan:
            return scan.histogram.pixels

    def files() -> Counts:
        with ms.scan(folder / "files", per_class=True, workers=workers) as scan:
            return scan.histogram.pixels

    def counted(name: str) -> Callable[[], Counts]:
        def count() -> Counts:
            with ms.scan(folder / name, classes=len(CLASSES) + 1, workers=workers) as scan:
                return scan.histogram.pixels

        return count

    forms: Contenders = {
        "run lengths": (table, lambda: decoded_rows(folder / "train.csv", side)),
        "files of a class": (files, lambda: painted_files(folder / "files", count, side)),
        "WebDataset": (counted("samples.tar"), lambda: read_members(folder / "samples.tar")),
        "lists in Parquet": (
            counted("lists.parquet"),
            lambda: read_lists(folder / "lists.parquet"),
        ),
    }
    if find_spec("tensorflow"):
        forms["TFRecord"] = (
            counted("train.tfrecord"),
            lambda: parsed_records(folder / "train.tfrecord"),
        )
    return forms


def measure(ours: Callable[[], Counts], loop: Callable[[], Counts], rounds: int) -> list[float]:
    """Median seconds of both, in turns; their counts compared."""
    times: tuple[list[float], list[float]] = [], []
    for turn in range(rounds + 1):
        found = []
        for side, one in enumerate((ours, loop)):
            start = time.perf_counter()
            found.append(one())
            if turn:  # the first round warms caches and kernels
                times[side].append(time.perf_counter() - start)
        if not np.array_equal(*found):
            raise AssertionError("the two count differently")
    return [statistics.median(values) for values in times]


def main() -> None:
    """Parse the options, measure, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--masks", type=int, default=24)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    prepare(1_000_000, 0)  # as in a long scan
    print("| masks | maskstat, MPix/s | loop, MPix/s | × |")
    print("| --- | --- | --- | --- |")
    pixels = options.masks * options.side**2 / 1e6
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write(folder, options.masks, options.side)
        forms = contenders(folder, options.masks, options.side, options.workers)
        for name, (ours, loop) in forms.items():
            own, other = measure(ours, loop, options.rounds)
            speeds = f"{pixels / own:.0f} | {pixels / other:.0f}"
            print(f"| {name} | {speeds} | **{other / own:.1f}×** |", flush=True)


if __name__ == "__main__":
    main()
