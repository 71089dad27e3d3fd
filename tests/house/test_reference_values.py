"""Published and independently computed numbers, to the digits they are printed with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import maskstat as ms
from maskstat.api.scan import Scan
from maskstat.statistics.imbalance import imbalance
from maskstat.values.catalog import ClassCatalog
from maskstat.values.histogram import ClassHistogram
from maskstat.weights.compute import compute
from maskstat.weights.schemes import ClassCounts, find_scheme
from tests.support.packages import package

oracle = package("sklearn.utils.class_weight")

# CamVid, training set, 367 masks of 480 x 360, 11 classes, void left out: pixels, masks, all pixels
# of those masks, then weights: max-count, balanced, sqrt, enet with c = 1.02, median-frequency over
# all pixels and over labelled pixels.
TABLE = """
Sky        10682767 366 63244800 1.87937 0.518368 1.3709  5.60348 0.279298 0.279438
Building   14750079 365 63072000 1.36114 0.375429 1.16668 4.29526 0.201729 0.201832
Pole         623349 366 63244800 32.2081 8.88363  5.67522 33.5736 4.78652  4.78893
Road       20076880 367 63417600 1       0.27582  1       3.3355  0.149018 0.149106
Pavement    2845085 349 60307200 7.05669 1.94637  2.65644 15.4856 1        1
Tree        6166762 319 55123200 3.25566 0.897975 1.80434 8.73872 0.4217   0.423534
SignSymbol   743859 351 60652800 26.9902 7.44442  5.19521 31.542  3.84668  3.8464
Fence        714595 173 29894400 28.0955 7.74929  5.30052 32.012  1.97359  1.97984
Car         3719877 360 62208000 5.39719 1.48865  2.32319 12.8288 0.78894  0.789022
Pedestrian   405385 317 54777600 49.5255 13.6601  7.03743 38.0141 6.37472  6.38472
Bicyclist    184967 201 34732800 108.543 29.9383  10.4184 43.9074 8.85873  8.81928
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]
COLUMNS = list(zip(*ROWS, strict=True))
WEIGHT_COLUMNS = [
    ("max-count", {}, 4),
    ("balanced", {}, 5),
    ("equal-cost", {}, 5),
    ("sqrt", {}, 6),
    ("enet", {"c": 1.02}, 7),
    ("median-frequency", {}, 8),
    ("median-frequency", {"image_pixels": "labelled"}, 9),
]


@pytest.fixture(scope="module")
def train(camvid: Path) -> Scan:
    return ms.scan(camvid / "train" / "masks", classes="camvid-11")


def printed(numbers: np.ndarray) -> list[str]:
    """Six significant digits, as the table has them."""
    return [f"{float(number):.6g}" for number in numbers]


def test_camvid_counts(train: Scan) -> None:
    h = train.histogram
    assert train.catalog.names == COLUMNS[0]
    assert h.pixels.tolist() == [int(n) for n in COLUMNS[1]]
    assert h.masks.tolist() == [int(n) for n in COLUMNS[2]]
    assert h.image_pixels.tolist() == [int(n) for n in COLUMNS[3]]
    assert (h.mask_count, h.total_pixels, h.labelled_pixels) == (367, 63_417_600, 60_913_605)
    assert h.ignored_pixels == 63_417_600 - 60_913_605
    assert list(h.ignored) == [11]
    assert h.unlisted == {}
    assert train.failures == ()


@pytest.mark.parametrize(("scheme", "parameters", "column"), WEIGHT_COLUMNS)
def test_camvid_weights(
    train: Scan, scheme: str, parameters: dict[str, float] | dict[str, str], column: int
) -> None:
    table = train.weights(scheme, parameters=parameters)
    assert printed(table.weights) == list(COLUMNS[column])


def test_camvid_imbalance(train: Scan) -> None:
    measures = imbalance(train.histogram.pixels)
    assert printed(
        np.array(
            [
                measures.ratio,
                measures.normalised_entropy,
                measures.effective_classes,
                measures.gini,
            ]
        )
    ) == ["108.543", "0.735656", "5.83589", "0.599648"]


def test_camvid_counts_of_a_plain_loop(train: Scan, camvid: Path) -> None:
    """The obvious way: every file with Pillow, every class with a comparison."""
    pixels = np.zeros(11, np.int64)
    masks = np.zeros(11, np.int64)
    files = sorted((camvid / "val" / "masks").glob("*.png"))
    for path in files:
        with Image.open(path) as image:
            array = np.asarray(image)
        counts = np.array([(array == k).sum() for k in range(11)])
        pixels += counts
        masks += counts > 0
    val = ms.scan(camvid / "val" / "masks", classes="camvid-11").histogram
    assert val.mask_count == len(files) == 101
    assert val.pixels.tolist() == pixels.tolist()
    assert val.masks.tolist() == masks.tolist()


@pytest.mark.parametrize("block", [1, 7, 50, 367])
def test_median_frequency_does_not_depend_on_any_batching(train: Scan, block: int) -> None:
    """Averaging the frequencies of batches would; counts that add up do not."""
    whole = train.weights("median-frequency").weights
    tables = train._store.tables(train.info, rows=block)
    total = sum(
        (ClassHistogram.of(train.catalog, table) for table in tables),
        ClassHistogram.empty(train.catalog),
    )
    assert np.array_equal(compute(total, "median-frequency").weights, whole)


def test_scikit_learn_agrees_on_balanced(train: Scan, camvid: Path) -> None:
    """On every 40th training mask, pixel by pixel."""
    pixels = []
    listed = []
    for path in sorted((camvid / "train" / "masks").glob("*.png"))[::40]:
        listed.append(path)
        with Image.open(path) as image:
            pixels.append(np.asarray(image).reshape(-1))
    labels = np.concatenate(pixels)
    labels = labels[labels < 11]
    expected = oracle.compute_class_weight("balanced", classes=np.arange(11), y=labels)
    counts = sum(
        (ms.scan(path, classes="camvid-11").histogram for path in listed),
        ClassHistogram.empty(train.catalog),
    )
    assert compute(counts, "balanced").weights == pytest.approx(expected, rel=1e-15)


def test_scikit_learn_agrees_on_all_counts_of_camvid(train: Scan) -> None:
    """Labels in the proportion of the counts, one in 1000 and at least one of each."""
    thousandth = np.maximum(train.histogram.pixels // 1000, 1)
    expected = oracle.compute_class_weight(
        "balanced", classes=np.arange(11), y=np.repeat(np.arange(11), thousandth)
    )
    ones = np.ones(11, np.int64)
    counts = ClassCounts(thousandth, ones, thousandth, thousandth)
    assert find_scheme("balanced")(counts) == pytest.approx(expected, rel=1e-15)


# MATLAB's documentation of countEachLabel: the counts it prints, to five digits, and the weights it
# computes from the exact ones with median(imageFreq) ./ imageFreq and 1 ./ frequency.
MATLAB_PIXELS = np.array([314850, 159790, 1031200, 25313])
MATLAB_IMAGE_PIXELS = np.array([1536000, 1536000, 1536000, 921600])
MATLAB = ClassCounts(
    MATLAB_PIXELS, np.array([5, 5, 5, 3]), MATLAB_IMAGE_PIXELS, MATLAB_IMAGE_PIXELS
)


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("median-frequency", [0.7538, 1.4852, 0.2301, 5.6252]),
        ("inverse", [4.8632, 9.5827, 1.4848, 60.4900]),
    ],
)
def test_figures_of_the_matlab_documentation(scheme: str, expected: list[float]) -> None:
    weights = find_scheme(scheme)(MATLAB)
    assert weights == pytest.approx(expected, rel=5e-5, abs=6e-5)


def test_the_question_that_started_it() -> None:
    """max_k n_k / n_c is a solution of equal cost for plain averages: n_c w_c is constant."""
    histogram = ClassHistogram.empty(ClassCatalog.numbered(4))
    pixels = np.array([600, 300, 90, 10])
    counts = ClassCounts(pixels, np.ones(4, np.int64), pixels, pixels)
    products = pixels * find_scheme("max-count")(counts)
    assert products == pytest.approx(np.full(4, 600.0))
    assert histogram.labelled_pixels == 0
