"""Crops that are drawn by class, against all their draws; and what a sampler draws by that law."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import maskstat as ms
from maskstat.crops.class_index import ClassIndex
from maskstat.crops.sampler import CropSampler
from maskstat.errors import ExposureError, ParameterError, UnknownCountsError
from maskstat.exposure.aimed import expose_aimed
from maskstat.exposure.counts import ExposureCounts
from maskstat.exposure.exposure_bytes import aimed_from_bytes, aimed_to_bytes
from maskstat.exposure.mask_exposure import expose
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.units import CHANCE_BITS, UNIT_BITS, AimedExposure
from maskstat.kernels.aimed_crops import RunsByClass, aimed_meetings, aimed_pixels, ways
from maskstat.kernels.label_runs import runs_of
from maskstat.values.catalog import ClassCatalog
from maskstat.values.crop_draws import CropDraws
from maskstat.weights.notes import unsure_of

K = 4
CATALOG = ClassCatalog.numbered(K)
Pixels = NDArray[np.uint8]
LAWS = {
    "rare": CropDraws("rare", temperature=0.2),
    "uniform": CropDraws("uniform"),
    "given": CropDraws((1.0, 0.0, 5.0, 2.0)),
    "mask first": CropDraws("uniform", first="mask", chance=0.67),
    "some pixels": CropDraws("rare", temperature=1.0, least_pixels=2, chance=0.25),
    "chance": CropDraws("rare", chance=1.0),
}


@st.composite
def masks(draw: st.DrawFn, most: int = 10) -> Pixels:
    """Small blocky masks with K classes and 255."""
    height, width = draw(st.integers(1, most)), draw(st.integers(1, most))
    step = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    small = rng.integers(0, K + 1, (height // step + 1, width // step + 1)).astype(np.uint8)
    small[small == K] = 255
    return np.kron(small, np.ones((step, step), np.uint8))[:height, :width].copy()


crops = st.tuples(st.integers(1, 12), st.integers(1, 12))


def made(image: Pixels, recipe: Recipe, count: int = 0, name: str = "m") -> AimedExposure:
    values = np.unique(image).astype(np.int64)
    runs, classes = runs_of(image, values, np.where(values < K, values, -1))
    return expose_aimed(runs, classes, recipe, name=name, crops=count, presence=True)


def aimed_rows(image: Pixels, c: int, crop: tuple[int, int]) -> NDArray[np.int64]:
    """int64[n, K + 1], labels in all n crops that may be drawn for a class: every pixel of it at
    every place of the crop, and the crop then moved into the mask."""
    (height, width), (h, w) = image.shape, crop
    rows = []
    for y, x in zip(*np.nonzero(image == c), strict=True):
        for dy, dx in product(range(h), range(w)):
            top, left = max(min(y - dy, height - h), 0), max(min(x - dx, width - w), 0)
            rows.append(labels(image[top : top + h, left : left + w]))
    return np.array(rows)


def anywhere_rows(image: Pixels, crop: tuple[int, int]) -> NDArray[np.int64]:
    (height, width), (h, w) = image.shape, crop
    places = product(range(max(height - h, 0) + 1), range(max(width - w, 0) + 1))
    return np.array([labels(image[y : y + h, x : x + w]) for y, x in places])


def labels(part: Pixels) -> NDArray[np.int64]:
    return np.bincount(np.minimum(part, K).ravel(), minlength=K + 1)


# --- one mask --------------------------------------------------------------------------------


@given(masks(), crops)
def test_kernels_agree_with_all_crops_around_all_pixels(
    image: Pixels, crop: tuple[int, int]
) -> None:
    values = np.unique(image).astype(np.int64)
    runs, classes = runs_of(image, values, np.where(values < K, values, -1))
    found = RunsByClass.of(runs)
    cut = min(crop[0], image.shape[0]), min(crop[1], image.shape[1])
    sums, meetings = aimed_pixels(runs, found, cut), aimed_meetings(runs, found, cut)
    for at, c in enumerate(classes.tolist()):
        rows = aimed_rows(image, c, cut)
        times = len(rows) // ways(runs, found, cut)[at]  # a mask with one place has it all times
        shown = [*classes.tolist(), K]
        assert [times * number for number in sums[at]] == rows.sum(axis=0)[shown].tolist()
        some = (rows[:, classes] > 0).sum(axis=0)
        assert np.array_equal(times * meetings[at], some)
        rank = np.arange(found.pixels[at])
        assert np.array_equal(np.stack(found.pixel(at, rank)), np.nonzero(image == c))


@given(masks(), crops, st.none() | st.integers(0, K - 1))
def test_expected_pixels_and_chances_are_those_of_all_draws(
    image: Pixels, crop: tuple[int, int], padding: int | None
) -> None:
    """Within half a unit a mask."""
    found = made(image, Recipe(crop, padding=padding, draws=LAWS["uniform"]))
    classes = found.anywhere.classes
    has = classes[found.pixels > 0]
    assert found.pixels.tolist() == labels(image)[classes].tolist()
    for c, part in zip(has.tolist(), found.aimed, strict=True):
        rows = aimed_rows(image, c, crop)
        rows[:, K if padding is None else padding] += crop[0] * crop[1] - rows[0].sum()
        shown = [*part.expected.tolist(), part.rest]
        for mine, total in zip(shown, rows.sum(axis=0)[[*classes, K]].tolist(), strict=True):
            assert abs(mine - Fraction(total, len(rows)) * 2**UNIT_BITS) <= Fraction(1, 2)
        assert part.chance is not None
        for mine, some in zip(
            part.chance.tolist(), (rows[:, classes] > 0).sum(axis=0), strict=True
        ):
            assert abs(mine - Fraction(int(some), len(rows)) * 2**CHANCE_BITS) <= Fraction(1, 2)
    plain = expose(*as_runs(image), Recipe(crop, padding=padding), name="m", crops=0, presence=True)
    assert found.anywhere.expected[np.isin(classes, plain.classes)].tolist() == (
        plain.expected.tolist()
    )


def as_runs(image: Pixels):
    values = np.unique(image).astype(np.int64)
    return runs_of(image, values, np.where(values < K, values, -1))


@pytest.mark.parametrize("crop", [(9, 12), (40, 7), (50, 50)])
def test_sampled_crops_have_what_is_expected(crop: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    small = rng.integers(0, K + 1, (5, 7)).astype(np.uint8)
    small[small == K] = 255
    image = np.kron(small, np.ones((6, 6), np.uint8))
    found = made(image, Recipe(crop, draws=LAWS["uniform"]), 6000)
    for c, part in zip(found.anywhere.classes.tolist(), found.aimed, strict=True):
        mean, error = part.counts.mean(axis=0), part.counts.std(axis=0) / np.sqrt(6000)
        assert (np.abs(mean - part.expected / 2**UNIT_BITS) <= 4 * error + 1e-3).all()
        at = np.searchsorted(found.anywhere.classes, c)
        assert (part.counts[:, at] > 0).all(), "a crop without the class that it was drawn for"
        assert (part.area == crop[0] * crop[1]).all()
    fewer = made(image, Recipe(crop, draws=LAWS["rare"]), 50)
    assert same(found.first(50), fewer), "more crops go on with the same, whatever the law"


def same(one: AimedExposure, other: AimedExposure) -> bool:
    return aimed_to_bytes(one, "m") == aimed_to_bytes(other, "m")


@given(masks(), st.integers(0, 9), st.integers(0, 1 << 30))
def test_bytes_come_back_or_are_noticed(image: Pixels, count: int, seed: int) -> None:
    one = made(image, Recipe((5, 6), padding=2, draws=LAWS["rare"]), count)
    data = aimed_to_bytes(one, "m")
    back = aimed_from_bytes(data, "m")
    assert same(back, one)
    assert back.crops == count and back.exact and len(back.aimed) == (one.pixels > 0).sum()
    at, bit = seed % len(data), seed % 8
    broken = data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]
    for some, name in ((broken, "m"), (data[:at], "m"), (data, "n")):
        with pytest.raises(ValueError, match=r"no exposure|has changed"):
            aimed_from_bytes(some, name)


# --- all masks together ----------------------------------------------------------------------


def together(images: Sequence[Pixels], recipe: Recipe, count: int = 3) -> ExposureCounts:
    return ExposureCounts.of(
        recipe,
        CATALOG,
        [(f"m{n}", made(one, recipe, count, f"m{n}")) for n, one in enumerate(images)],
    )


def by_hand(
    images: Sequence[Pixels], law: CropDraws, crop: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64[K] pixels of a crop, and float64[K] its chance of each class, from all draws."""
    pixels, chance = np.zeros(K), np.zeros(K)
    counts = np.array([labels(one)[:K] for one in images])
    enough = counts >= law.least_pixels

    def add(share: float, rows: NDArray[np.int64]) -> None:
        nonlocal pixels, chance
        pixels = pixels + share * rows[:, :K].mean(axis=0)
        chance = chance + share * (rows[:, :K] > 0).mean(axis=0)

    for image in images if law.chance else []:
        add(law.chance / len(images), anywhere_rows(image, crop))
    if law.chance == 1:
        return pixels, chance
    if law.classes == "uniform":
        wanted = np.ones(K)
    elif law.classes == "rare":
        wanted = np.exp((1 - counts.sum(axis=0) / counts.sum()) / law.temperature)
    else:
        wanted = np.array(law.classes)
    wanted = np.where(counts.sum(axis=0) > 0, wanted, 0)
    able = [b for b in range(len(images)) if (wanted * enough[b]).any()]
    for b, c in product(range(len(images)), range(K)):
        if not enough[b, c] or not wanted[c]:
            continue
        if law.first == "class":
            share = wanted[c] / wanted.sum() / enough[:, c].sum()
        else:
            share = wanted[c] / (wanted * enough[b]).sum() / len(able)
        add((1 - law.chance) * share, aimed_rows(images[b], c, crop))
    return pixels, chance


@pytest.mark.parametrize("name", LAWS)
@given(st.lists(masks(7), min_size=1, max_size=4), crops)
def test_shares_and_presence_are_those_of_all_draws(
    name: str, images: list[Pixels], crop: tuple[int, int]
) -> None:
    law = LAWS[name]
    recipe = Recipe(crop, draws=law, last_batch="endless")
    counts = np.array([labels(one)[:K] for one in images])
    wanted = counts.sum(axis=0) * (np.array(law.classes) if name == "given" else 1) > 0
    able = wanted.any() and (counts.max(axis=0)[wanted] >= law.least_pixels).all()
    if law.chance < 1 and not able:
        with pytest.raises(ParameterError) as caught:
            together(images, recipe)
        assert caught.value.parameter == "draw"
        return
    found = together(images, recipe)
    pixels, chance = by_hand(images, law, crop)
    np.testing.assert_allclose(found.expected_pixels, pixels * len(images), atol=1e-5)
    np.testing.assert_allclose(found.in_crops, chance, atol=1e-8)
    np.testing.assert_allclose(found.in_batches(3), 1 - (1 - chance) ** 3, atol=1e-7)
    assert found.draws.sum() == pytest.approx(len(images))
    assert (found.draws > 0).all()
    assert len(found.crops) == 3 * len(found.draws)


@given(st.lists(masks(), min_size=1, max_size=4), crops)
def test_all_left_to_chance_is_the_recipe_without_draws(
    images: list[Pixels], crop: tuple[int, int]
) -> None:
    plain = Recipe(crop)
    named = [(f"m{n}", one) for n, one in enumerate(images)]
    right = ExposureCounts.of(
        plain,
        CATALOG,
        [(n, expose(*as_runs(i), plain, name=n, crops=3, presence=True)) for n, i in named],
    )
    found = together(images, Recipe(crop, draws=CropDraws("uniform", chance=1.0)))
    for word in ("expected_pixels", "in_crops", "expected", "rest", "draws", "parts"):
        assert np.array_equal(getattr(found, word), getattr(right, word)), word
    assert np.array_equal(found.crops.dense(), right.crops.dense())
    assert np.array_equal(found.histogram.masks, right.histogram.masks)


@given(st.lists(masks(), min_size=1, max_size=5))
def test_crops_of_whole_masks_are_masks_drawn_by_the_law(images: list[Pixels]) -> None:
    """What lies in a crop is then the mask, whatever pixel it was laid around."""
    counts = np.array([labels(one)[:K] for one in images])
    has = counts > 0
    if not has.any():
        return
    found = together(images, Recipe((16, 16), draws=CropDraws("uniform")))
    chances = (has / np.maximum(has.sum(axis=0), 1) / has.any(axis=0).sum()).sum(axis=1)
    np.testing.assert_allclose(found.expected_pixels, len(images) * (chances @ counts), atol=1e-5)


def test_what_draws_by_class_do_not_go_with() -> None:
    draws = CropDraws()
    for words in (
        {},
        {"scale": {"ratios": [0.5, 2.0]}, "crop": 8},
        {"cat_max_ratio": 0.5, "crop": 8},
    ):
        with pytest.raises(ParameterError, match="drawn by class") as caught:
            Recipe.of({**words, "draws": draws})
        assert caught.value.parameter == "draws"
    assert Recipe.of({"crop": 8, "draws": "uniform"}).draws == CropDraws("uniform")
    assert Recipe.of({"crop": 8, "draws": [1, 2]}).draws == CropDraws((1.0, 2.0))
    assert Recipe((8, 8)).digest != Recipe((8, 8), draws=draws).digest
    assert Recipe((8, 8), draws=LAWS["given"]).digest == Recipe((8, 8), draws=draws).digest


# --- predicted and watched -------------------------------------------------------------------


def street(number: int) -> Pixels:
    """A mask with large regions, a rare class at an edge or a corner of few masks, and void."""
    rng = np.random.default_rng(number)
    mask = np.zeros((int(rng.integers(12, 40)), int(rng.integers(12, 50))), np.uint8)
    mask[: rng.integers(4, 10)] = 1
    if number % 2:
        top, left = rng.integers(0, 8, 2)
        mask[top : top + 5, left : left + 6] = 2
    if number % 5 == 0:
        mask[-2:, -3:] = 3
    if number % 3 == 0:
        mask[4:7] = 255
    return mask


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streets")
    for number in range(20):
        Image.fromarray(street(number)).save(folder / f"{number:02}.png")
    return folder


def cut(mask: Pixels, box: tuple[int, ...]) -> Pixels:
    """A crop, filled with 255 where the mask is smaller."""
    top, left, height, width = box[:4]
    whole = np.full((height, width), 255, np.uint8)
    part = mask[top : top + height, left : left + width]
    whole[: part.shape[0], : part.shape[1]] = part
    return whole


@pytest.mark.parametrize("crop", [(8, 8), (16, 10), (30, 30)])
@pytest.mark.parametrize("name", LAWS)
def test_a_sampler_draws_what_is_predicted(streets: Path, name: str, crop: tuple[int, int]) -> None:
    """Pixels and presence of each class, within 4.5 standard errors of 20,000 draws."""
    images = [street(number) for number in range(20)]
    with ms.scan(streets, classes=5) as scan:
        seen = scan.exposure(crop=crop, draw=LAWS[name] if name != "given" else given_law())
        index = ClassIndex.of_labels([f"{n:02}" for n in range(20)], images, 5)
        law = LAWS[name] if name != "given" else given_law()
        sampler = CropSampler(index, crop, law, samples=20_000, seed=5)
        drawn = [cut(images[item], box) for item, box in sampler]
        counts = np.array([np.bincount(np.minimum(one, 5).ravel(), minlength=6) for one in drawn])
        exact = scan.exposure(crop=crop, draw=law, presence=True)
    shares = np.concatenate([seen.counts.expected_pixels, [seen.counts.histogram.ignored_pixels]])
    error = counts.std(axis=0, ddof=1) / np.sqrt(len(counts))
    slack = np.array([1e-6] * 5 + [1 / 20])  # the last one is a whole number of an epoch
    assert (np.abs(counts.mean(axis=0) - shares / 20) <= 4.5 * error + slack).all()
    some = (counts[:, :5] > 0).mean(axis=0)
    error = np.sqrt(exact.in_crops * (1 - exact.in_crops) / len(counts))
    assert (np.abs(some - exact.in_crops) <= 4.5 * error + 1e-9).all()
    assert exact.in_crops[4] == 0


def given_law() -> CropDraws:
    return CropDraws((1.0, 0.0, 5.0, 2.0, 3.0))


def test_a_watched_loader_agrees_with_its_law_and_with_no_other(streets: Path) -> None:
    images = [street(number) for number in range(20)]
    index = ClassIndex.of_labels([f"{n:02}" for n in range(20)], images, 4)
    sampler = CropSampler(index, (9, 9), CropDraws("uniform", chance=0.3), samples=4000)
    batches = (
        (None, np.stack([cut(images[item], box) for item, box in sampler.take(0, k, 8)]))
        for k in range(0, 4000, 8)
    )
    with ms.scan(streets, classes=4) as scan:
        loader = ms.watch(batches, classes=4)
        for _ in loader:
            pass
        assert loader.compare(scan.exposure(crop=9, draw="uniform", chance=0.3)).agrees
        assert not loader.compare(scan.exposure(crop=9)).agrees
        assert not loader.compare(scan.exposure(crop=9, draw="uniform")).agrees


# --- a scan under such a recipe --------------------------------------------------------------


def test_weights_are_of_crops_and_say_what_they_do_not_know(streets: Path, tmp_path: Path) -> None:
    with ms.scan(streets, classes=["road", "sky", "car", "bus"], db=tmp_path / "s.db") as scan:
        seen = scan.exposure(crop=9, draw="uniform", batch_size=4, crops=24)
        table = seen.weights("inverse")
        np.testing.assert_allclose(
            table.weights * seen.frequency, (table.weights * seen.frequency).mean(), rtol=1e-2
        )
        assert table.intervals is None
        assert "drawn by class" in " ".join(unsure_of(table))
        with pytest.raises(UnknownCountsError, match="drawn by class"):
            seen.intervals()
        with pytest.raises(ExposureError, match="sampling is of masks as they are"):
            seen.sampling()
        with pytest.raises(ParameterError, match="draws masks itself") as caught:
            scan.exposure(crop=9, draw="uniform", sampler=scan.sampling())
        assert caught.value.parameter == "sampler"
        # Weights of a file are the chances of classes.
        weights = scan.weights("sqrt")
        weights.save(tmp_path / "w.json")
        by_file = scan.exposure(crop=9, draw=tmp_path / "w.json").frequency
        assert np.array_equal(by_file, scan.exposure(crop=9, draw=weights).frequency)
        assert not np.array_equal(by_file, seen.frequency)
    with ms.scan(streets, classes=["road", "sky", "car", "van"]) as other:
        with pytest.raises(ParameterError, match="of other classes") as caught:
            other.exposure(crop=9, draw=tmp_path / "w.json")
        assert caught.value.parameter == "draw"


@pytest.mark.parametrize("size", [2, 6])
def test_equal_cost_is_solved_for_batches_of_the_sampler_s_crops(streets: Path, size: int) -> None:
    """Batches that the sampler draws: every constant answer costs as much as any other."""
    images = [street(number) for number in range(20)]
    law = CropDraws("uniform", chance=0.2)
    with ms.scan(streets, classes=4) as scan:
        seen = scan.exposure({"crop": 9, "draws": law, "batch_size": size}, crops=64)
        table = seen.weights(average="batch", batch_size=size)
        folder = scan.exposure({"crop": 9, "batch_size": size}).weights("inverse")
    solution = table.solution
    assert solution is not None and solution.crops == 64
    index = ClassIndex.of_labels([f"{n:02}" for n in range(20)], images, 4)
    sampler = CropSampler(index, (9, 9), law, samples=24_000, seed=2)
    rows = np.array([labels(cut(images[item], box))[:4] for item, box in sampler])
    batches = rows.reshape(-1, size, 4).sum(axis=1)
    batches = batches[batches.sum(axis=1) > 0]

    def shares(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        weighted = batches * weights
        return np.asarray(weighted / weighted.sum(axis=1, keepdims=True))

    mine = shares(table.weights)
    error = mine.std(axis=0, ddof=1) / np.sqrt(len(mine))
    allowed = 4.5 * error + 2 * solution.standard_errors.max() / 4
    assert (np.abs(mine.mean(axis=0) - 1 / 4) <= allowed).all()
    assert np.abs(shares(folder.weights).mean(axis=0) - 1 / 4).max() > 3 * allowed.max()
