"""`watch`: batches pass unchanged, and what they hold is told from what a recipe says."""

from __future__ import annotations

import doctest
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import maskstat as ms
from maskstat.api import watching
from maskstat.errors import MaskError, ParameterError, SourceError
from tests.support.loops import at_least_one

Labels = NDArray[Any]

LABELS = np.random.default_rng(0).integers(0, 3, (4, 6, 10))
IMAGES = np.zeros((4, 3, 6, 10), np.float32)
EXPECTED = ms.count(LABELS, classes=3).ledger.dense()


def gone_through(watched: ms.Watch[Any]) -> ms.Watch[Any]:
    for _ in watched:
        pass
    return watched


# --- passing on ---------------------------------------------------------------------------------


class Loader:
    """As loaders are: of a length, with attributes, and gone through more than once."""

    batch_size = 2

    def __init__(self, batches: list[Any]):
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)


def test_batches_pass_unchanged() -> None:
    loader = Loader([(IMAGES[:2], LABELS[:2]), (IMAGES[2:], LABELS[2:])])
    watched = ms.watch(loader, classes=3)
    for _ in at_least_one(range(2)):
        assert all(a is b for a, b in zip(watched, loader, strict=True))
    assert (len(watched), watched.batch_size, watched.loader) == (2, 2, loader)
    assert watched.mask_count == 8
    with pytest.raises(AttributeError, match="no_such"):
        _ = watched.no_such
    with pytest.raises(TypeError, match="len"):
        len(ms.watch(iter([]), classes=3))
    assert list(ms.watch(iter([LABELS]), classes=3)) == [LABELS]


def test_labels_that_training_changes_were_counted_before() -> None:
    watched = ms.watch([LABELS.copy()], classes=3)
    for labels in watched:
        labels[:] = 0
    assert np.array_equal(watched.scan().ledger.dense(), EXPECTED)


def test_a_scan_of_what_came_so_far() -> None:
    watched = ms.watch([LABELS[:2], LABELS[2:]], classes=["sky", "road", "car"])
    with pytest.raises(SourceError, match="no labels came yet"):
        watched.scan()
    batches = iter(watched)
    next(batches)
    first = watched.scan("first")
    assert np.array_equal(first.ledger.dense(), EXPECTED[:2])
    next(batches)
    assert np.array_equal(watched.scan().ledger.dense(), EXPECTED)
    assert (first.name, first.catalog.names) == ("first", ("sky", "road", "car"))
    assert len(first.ledger) == 2
    assert dict(watched.scan().weights("sqrt"))


def test_labels_are_indices_of_classes() -> None:
    """Whatever values and colours the masks of a catalogue have; and 255 is void of any type."""
    cityscapes = ms.load_catalog("cityscapes")
    assert cityscapes.classes[0].values != (0,)
    watched = gone_through(ms.watch([np.array([[0, 18, 255, -1]])], classes=cityscapes, ignore=-1))
    histogram = watched.scan().histogram
    assert (histogram.pixels[0], histogram.pixels[18]) == (1, 1)
    assert (histogram.ignored_pixels, histogram.unlisted_pixels) == (2, 0)
    assert watched.catalog.names == cityscapes.names
    many = gone_through(ms.watch([np.array([[255]])], classes=300))
    assert many.scan().histogram.pixels[255] == 1
    binary = gone_through(ms.watch([np.array([[0, 255]], np.uint8)], classes=2))
    assert binary.scan().histogram.pixels.tolist() == [1, 0]


# --- where labels are -----------------------------------------------------------------------------

MANY: dict[str, tuple[Any, Any]] = {
    "labels": (LABELS, None),
    "pair": ((IMAGES, LABELS), None),
    "list": ([IMAGES, LABELS], None),
    "pair of grey": ((IMAGES[:, :1], LABELS[:, None]), None),
    "mask first": ((LABELS, ["a.png"] * 4), None),
    "channels last": ((IMAGES, LABELS[..., None].astype(np.uint8)), None),
    "pixel weights": ((IMAGES, LABELS, np.ones(LABELS.shape)), None),
    "names": ((IMAGES, LABELS, ["a.png"] * 4), None),
    "numbers": ((IMAGES, LABELS, np.arange(4)), None),
    "mask": ({"image": IMAGES, "mask": LABELS}, None),
    "label": ({"label": LABELS[:, None], "image": IMAGES}, None),
    "labels of images too": ({"mask": LABELS, "label": np.arange(4)}, None),
    "semantic_seg": ({"semantic_seg": LABELS}, None),
    "nested": ((IMAGES, {"target": LABELS}), None),
    "whole floats": ((IMAGES, LABELS.astype(np.float32)), None),
    "position": ((LABELS, IMAGES[:, :1]), 0),
    "name": ({"y": LABELS, "mask": IMAGES[:, :1]}, "y"),
    "function": (
        {"data": [{"seg": one} for one in LABELS]},
        lambda b: [x["seg"] for x in b["data"]],
    ),
}


@pytest.mark.parametrize("where", MANY)
def test_labels_are_found(where: str) -> None:
    batch, key = MANY[where]
    watched = gone_through(ms.watch([batch], classes=3, key=key))
    assert np.array_equal(watched.scan().ledger.dense(), EXPECTED)


UNCLEAR: dict[str, tuple[Any, Any, str]] = {
    "nothing like labels": ((IMAGES, IMAGES), None, r"^key: batches are tuples of 2: .*key=1"),
    "two that may be": ((IMAGES, LABELS, LABELS), None, "several parts may be labels"),
    "two names": ({"mask": LABELS, "labels": LABELS}, None, "key='mask'"),
    "no name": ({"x": IMAGES, "y": LABELS}, None, "keys 'x', 'y'; say where .*key='mask'"),
    "an object": (object(), None, "batches are a object; say"),
    "no such name": ({"x": LABELS}, "y", "'y' is nowhere in them"),
}


@pytest.mark.parametrize("where", UNCLEAR)
def test_what_is_unclear_is_asked(where: str) -> None:
    batch, key, message = UNCLEAR[where]
    with pytest.raises(ParameterError, match=message):
        gone_through(ms.watch([batch], classes=3, key=key))


def test_logits_are_no_labels() -> None:
    with pytest.raises(MaskError, match=r"batch 1: .*shape \(4, 3, 6, 10\).*function from a batch"):
        gone_through(ms.watch([(IMAGES, LABELS), (LABELS, IMAGES)], classes=3, key=1))


# --- against a recipe -----------------------------------------------------------------------------

SIDE, CROP, CLASSES = 48, 16, 6


@pytest.fixture(scope="module")
def masks() -> list[Labels]:
    """Layers of classes 0, 2 and 4, with spots of 1, and 3 in every other mask; 5 is rare."""
    rng = np.random.default_rng(1)
    made = []
    for number in range(60):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[rng.integers(10, 20) :] = 2
        mask[rng.integers(28, 40) :] = 4
        for value in (1, 1, 3 if number % 2 else 1, *([5] if number == 7 else [])):
            y, x = rng.integers(0, SIDE - 8, 2)
            mask[y : y + 8, x : x + 8] = value
        mask[:, :12] = 255
        made.append(mask)
    return made


@pytest.fixture(scope="module")
def exposure(masks: list[Labels], tmp_path_factory: pytest.TempPathFactory) -> ms.Scan:
    folder = tmp_path_factory.mktemp("masks")
    for number, mask in enumerate(masks):
        np.save(folder / f"{number}.npy", mask)
    scan = ms.scan(folder, classes=CLASSES, db=folder / "m.db", workers=1)
    return scan.exposure({"crop": CROP}, workers=1)


def batches(masks: list[Labels], seed: int, change: Callable[[Labels], Labels], side: int) -> Any:
    """An epoch of random crops in batches of 6, as a loader has them."""
    rng = np.random.default_rng(seed)
    crops = []
    for number in rng.permutation(len(masks)):
        mask = change(masks[number])
        y, x = (rng.integers(0, length - side + 1) for length in mask.shape)
        crops.append(mask[y : y + side, x : x + side].astype(np.int64))
    return [np.stack(crops[at : at + 6]) for at in range(0, len(crops), 6)]


def checked(
    masks: list[Labels],
    exposure: Any,
    change: Callable[[Labels], Labels] = lambda mask: mask,
    side: int = CROP,
    epochs: int = 6,
    seed: int = 0,
) -> ms.LoaderCheck:
    watched = ms.watch(
        [batch for at in range(epochs) for batch in batches(masks, seed + at, change, side)],
        classes=CLASSES,
    )
    return gone_through(watched).compare(exposure)


def bilinear(mask: Labels) -> Labels:
    image = pytest.importorskip("PIL.Image")
    small = image.fromarray(mask).resize((SIDE + 5, SIDE + 5), image.Resampling.BILINEAR)
    return np.asarray(small)


def smooth(mask: Labels) -> Labels:
    """Without void: then nothing but classes comes of it."""
    return bilinear(np.where(mask == 255, 2, mask).astype(np.uint8))


def test_a_loader_that_does_what_the_recipe_says(masks: list[Labels], exposure: ms.Scan) -> None:
    loud = [seed for seed in range(0, 600, 6) if not checked(masks, exposure, seed=seed).agrees]
    assert len(loud) <= 5
    check = checked(masks, exposure)
    assert check.agrees
    assert "as the recipe says" in str(check)
    assert check.mask_count == 360


FAULTS: dict[str, tuple[Callable[[Labels], Labels], int, str]] = {
    "interpolated": (bilinear, CROP, "which no class has: labels that are interpolated"),
    "interpolated among classes": (smooth, CROP, "class_3: .* came, .* expected"),
    "a class lost": (lambda m: np.where(m == 1, 0, m), CROP, "class_1: never came"),
    "other crops": (lambda m: m, 2 * CROP, "of 32 × 32 came; the recipe's crops are 16 × 16"),
    "void filled": (lambda m: np.where(m == 255, 0, m), CROP, "class_0 has as much more: is padd"),
    "more void": (lambda m: np.where(m == 0, 255, m), CROP, "padding does not explain them"),
    "begins at 1": (lambda m: np.where(m < 255, m + 1, m), CROP, "do labels begin at 1"),
    "another index": (lambda m: np.where(m == 255, 200, m), CROP, "ignore=200"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(fault: str, masks: list[Labels], exposure: ms.Scan) -> None:
    change, side, message = FAULTS[fault]
    check = checked(masks, exposure, change, side)
    assert not check.agrees
    text = "\n".join(check.findings)
    with pytest.raises(ValueError, match=message):
        raise ValueError(text)
    assert text in str(check)
    assert max(map(len, str(check).splitlines())) < 200


def test_fractions_are_a_finding_and_no_scan(exposure: ms.Scan) -> None:
    halves = np.array([[[0, 0.5, 1, np.nan]]], np.float32)
    watched = gone_through(ms.watch([halves], classes=CLASSES))
    (first, *_) = watched.compare(exposure).findings
    assert first.startswith("50.0% of the pixels, in 1 mask, are no whole numbers")
    with pytest.raises(MaskError, match=r"1 mask are no whole numbers.*; resize labels"):
        watched.scan()


def test_nothing_but_void_came(exposure: ms.Scan) -> None:
    void = gone_through(ms.watch([np.full((40, CROP, CROP), 255)], classes=CLASSES))
    assert len(void.compare(exposure).findings) == 1


def test_other_classes_are_refused(exposure: ms.Scan) -> None:
    watched = gone_through(ms.watch([LABELS], classes=3))
    with pytest.raises(ParameterError, match=r"^exposure: is of 6 classes, and what came of 3"):
        watched.compare(exposure)
    with pytest.raises(ParameterError, match=r"^confidence: is above 0 and below 1$"):
        gone_through(ms.watch([LABELS], classes=6)).compare(exposure, confidence=1)
    with pytest.raises(SourceError, match="no labels came yet"):
        ms.watch([], classes=6).compare(exposure)


def test_a_row_a_class(masks: list[Labels], exposure: ms.Scan) -> None:
    pytest.importorskip("pandas")
    check = checked(masks, exposure)
    table = check.to_pandas()
    assert list(table.columns) == ["expected", "seen", "standard_error", "z", "p_value"]
    assert table["expected"].sum() == pytest.approx(1)
    assert table["seen"].sum() == pytest.approx(1)
    assert list(table.index) == list(exposure.catalog.names)


def test_the_example() -> None:
    assert doctest.testmod(watching).attempted >= 5
