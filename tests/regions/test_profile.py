"""The pixel profile: a monoid of exact sums, and everything read from it equals a plain oracle."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import FrozenInstanceError, fields, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from maskstat.errors import ParameterError
from maskstat.naming import natural_key
from maskstat.regions import profile_sums
from maskstat.regions.components import Components, CountTable
from maskstat.regions.profile import (
    MAX_CELLS,
    MAX_CLASSES,
    MAX_PIXELS,
    MOMENT_BITS,
    SIDE_BINS,
    SMALLEST,
    PixelProfile,
    check_size,
    side_bins,
)
from maskstat.regions.profile_bytes import check
from maskstat.regions.profile_sums import ProfileSum
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.tally import Encoding, MaskTally, TallyTable
from tests.support.region_oracle import (
    CROSS,
    SQUARE,
    cell_overlap,
    components,
    edges_between,
    frame_edges,
    label_map,
)
from tests.support.regions import add_mask

GREY = Encoding("png", "grey", 8)
Masks = Sequence[tuple[str, NDArray[np.int64]]]
# Two values mean one class, 7 is no class, 255 is ignored, "never" has no pixels.
FOUR = ClassCatalog(
    (
        ClassInfo(0, "a", (0, 3)),
        ClassInfo(1, "b", (1,)),
        ClassInfo(2, "never", (9,)),
        ClassInfo(3, "c", (2,)),
    )
)


@st.composite
def label_maps(draw: st.DrawFn) -> NDArray[np.int64]:
    """Masks of a few blocks and specks."""
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    pool = draw(st.lists(st.sampled_from([0, 1, 2, 3, 7, 255]), min_size=1, max_size=4))
    coarse = draw(st.integers(1, 3))
    cells = draw(st.lists(st.sampled_from(pool), min_size=81, max_size=81))
    table = np.array(cells, np.int64).reshape(9, 9)
    return np.repeat(np.repeat(table, coarse, axis=0), coarse, axis=1)[:height, :width]


names = st.text("ab019/_", min_size=1, max_size=4)
mask_lists = st.lists(st.tuples(names, label_maps()), max_size=5, unique_by=lambda mask: mask[0])
grids = st.integers(1, 7)


def summed(masks: Masks, grid: int, catalog: ClassCatalog = FOUR) -> ProfileSum:
    total = ProfileSum(catalog, grid)
    for name, pixels in masks:
        tally = MaskTally.of_pixels(name, pixels, GREY)
        labels = catalog.targets(TallyTable.of([tally]))
        labels[labels < 0] = len(catalog)
        add_mask(total, name, pixels, (tally.values, labels))
    return total


def profiled(masks: Masks, grid: int = 5) -> PixelProfile:
    return summed(masks, grid).profile()


# --- a monoid ---------------------------------------------------------------------------------


@given(mask_lists, grids, st.randoms(use_true_random=False))
def test_any_way_to_add_up_gives_the_same(masks: Masks, grid: int, chance: random.Random) -> None:
    whole = profiled(masks, grid)
    check(whole)
    shuffled = list(masks)
    chance.shuffle(shuffled)
    cuts = sorted(chance.randrange(len(masks) + 1) for _ in range(2))
    parts = [shuffled[: cuts[0]], shuffled[cuts[0] : cuts[1]], shuffled[cuts[1] :]]
    first, second, third = (profiled(part, grid) for part in parts)
    assert first + (second + third) == (first + second) + third == third + first + second == whole
    assert sum([first, second, third]) == whole
    empty = PixelProfile.empty(FOUR, grid)
    assert whole + empty == empty + whole == whole
    assert profiled([], grid) == empty
    total = summed(parts[2], grid)
    total.absorb(summed(parts[0], grid))
    total.absorb(summed(parts[1], grid))
    assert total.profile() == whole
    assert total.profile() == whole  # asking changes nothing


@given(mask_lists)
def test_when_rows_are_counted_together_does_not_matter(masks: Masks) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profile_sums, "MOST_ROWS", 3)
        early = profiled(masks)
    assert early == profiled(masks)


def test_profiles_of_other_classes_or_grids_do_not_add() -> None:
    one = profiled([("m", np.zeros((2, 2), np.int64))])
    with pytest.raises(ValueError, match="catalogues"):
        one + PixelProfile.empty(FOUR.ignoring([1]), 5)
    with pytest.raises(ValueError, match="grids 5 and 6"):
        one + PixelProfile.empty(FOUR, 6)
    with pytest.raises(TypeError):
        one + 1  # type: ignore[operator]
    assert one != "a profile"
    assert Components.none(3).__add__(Components.none(4)) is NotImplemented


def test_a_profile_is_a_value() -> None:
    one = profiled([("m", np.array([[0, 1], [2, 255]]))])
    with pytest.raises(FrozenInstanceError):
        one.grid = 7  # type: ignore[misc]
    for field in fields(one):
        if isinstance(value := getattr(one, field.name), np.ndarray):
            assert value.dtype == np.int64
            assert not value.flags.writeable
    before = one.heat.copy()
    total = summed([("m", np.array([[0, 1], [2, 255]]))], 5)
    early = total.profile()
    add_mask(total, "n", np.array([[0]]), (np.array([0]), np.array([0])))
    assert early == one  # what was handed out is not added to
    assert np.array_equal(one.heat, before)


def test_sums_that_could_leave_64_bits_are_refused() -> None:
    one = replace(PixelProfile.empty(FOUR, 1), pixels=np.array([MAX_PIXELS, 0, 0, 0, 0]))
    with pytest.raises(OverflowError):
        one + profiled([("m", np.array([[0]]))], 1)
    with pytest.raises(OverflowError):
        replace(one, pixels=np.full(5, 2**62))


# --- against plain oracles --------------------------------------------------------------------


@given(mask_lists, grids)
def test_sums_are_those_of_the_label_maps(masks: Masks, grid: int) -> None:
    profile, count = profiled(masks, grid), len(FOUR)
    labels = {name: label_map(FOUR, pixels, GREY) for name, pixels in masks}
    assert profile.mask_count == len(masks)
    shapes = [pixels.shape for _, pixels in masks]
    assert profile.extent == (sum(h for h, _ in shapes), sum(w for _, w in shapes))
    for k in range(count + 1):
        here = [found == k for found in labels.values()]
        assert profile.pixels[k] == sum(int(some.sum()) for some in here)
        heat = sum(
            cell_overlap(some.shape[0], grid) @ some @ cell_overlap(some.shape[1], grid).T
            for some in here
        )
        assert np.array_equal(profile.heat[k], heat + np.zeros((grid, grid), np.int64))
        if k == count:
            continue
        assert profile.frame[k] == sum(frame_edges(found, k) for found in labels.values())
        for axis in range(2):
            # Middles of the pixels, each mask's sum rounded to the unit, halves up.
            exact = [
                Fraction(int((2 * np.nonzero(some)[axis] + 1).sum()), 2 * some.shape[axis])
                for some in here
            ]
            units = [int(part * 2**MOMENT_BITS + Fraction(1, 2)) for part in exact]
            assert profile.moments[k, axis] == sum(units)
            if profile.pixels[k]:
                centre = sum(exact) / int(profile.pixels[k])
                slack = len(masks) * 2.0 ** -(MOMENT_BITS + 1) / int(profile.pixels[k])
                assert profile.centres[k, axis] == pytest.approx(float(centre), abs=slack + 1e-12)
            else:
                assert profile.centres[k, axis] == 0.5
    edges: Counter[tuple[int, int]] = Counter()
    for found in labels.values():
        edges.update(edges_between(found))
    expected = np.zeros((count + 1, count + 1), np.int64)
    for (a, b), number in edges.items():
        expected[a, b] = expected[b, a] = number
    assert np.array_equal(profile.adjacency, expected)


@given(mask_lists)
def test_components_are_those_of_scipy(masks: Masks) -> None:
    profile, count = profiled(masks), len(FOUR)
    labels = {name: label_map(FOUR, pixels, GREY) for name, pixels in masks}
    for found, structure in ((profile.four, CROSS), (profile.eight, SQUARE)):
        boxes = {name: components(m, count, structure) for name, m in labels.items()}
        for k in range(count):
            sizes = sorted(box.size for of in boxes.values() for box in of if box.label == k)
            numbers, counts = found.sizes.of_class(k)
            assert np.repeat(numbers, counts).tolist() == sizes
            in_mask = [sum(box.label == k for box in of) for of in boxes.values()]
            in_mask = sorted(number for number in in_mask if number)
            assert np.repeat(*found.in_mask.of_class(k)).tolist() == in_mask
            assert found.counts[k] == len(sizes)
            assert found.masks[k] == len(in_mask)
            assert found.mean_in_mask[k] == pytest.approx(np.mean(in_mask) if in_mask else 0.0)
            for share in (0.0, 0.1, 0.25, 0.5, 0.9, 1.0):
                for values, quantiles in (
                    (sizes, found.size_quantiles([share])),
                    (in_mask, found.in_mask_quantiles([share])),
                ):
                    method = {"method": "inverted_cdf"}
                    wanted = np.quantile(values, share, **method) if values else 0
                    assert quantiles[k, 0] == wanted
            histogram = found.size_histogram[k]
            assert histogram.tolist() == [
                sum(2**j <= size < 2 ** (j + 1) for size in sizes) for j in range(histogram.size)
            ]
            for limit in (1, 2, 5, 100):
                small = sum(size for size in sizes if size < limit)
                assert found.share_under(limit)[k] == pytest.approx(small / max(sum(sizes), 1))
            if structure is SQUARE:
                ranked = sorted(
                    (box.size, natural_key(name), box.y0, box.x0, name)
                    for name, of in boxes.items()
                    for box in of
                    if box.label == k
                )
                assert [(c.pixels, c.y, c.x, c.mask) for c in profile.smallest[k]] == [
                    (size, y, x, name) for size, _, y, x, name in ranked[:SMALLEST]
                ]


@given(mask_lists)
def test_box_sides_are_counted_in_quarter_octaves(masks: Masks) -> None:
    profile, count = profiled(masks), len(FOUR)
    expected = np.zeros((count, 2, SIDE_BINS), np.int64)
    ratios: dict[tuple[int, int], list[float]] = {}
    for _, pixels in masks:
        labels = label_map(FOUR, pixels, GREY)
        for box in components(labels, count, SQUARE):
            for axis, side in enumerate((box.bottom - box.top, box.right - box.left)):
                whole = labels.shape[axis]
                expected[box.label, axis, plain_bin(side, whole)] += 1
                ratios.setdefault((box.label, axis), []).append(side / whole)
    assert np.array_equal(profile.sides, expected)
    for (k, axis), values in ratios.items():
        for share in (0.0, 0.5, 1.0):
            exact = float(np.quantile(values, share, method="inverted_cdf"))
            assert exact <= profile.side_quantiles(share)[k, axis] * (1 + 1e-12)
            assert profile.side_quantiles(share)[k, axis] < exact * 2**0.25 * (1 + 1e-12)
    absent = [k for k in range(count) if not profile.pixels[k]]
    assert not profile.side_quantiles(0.5)[absent].any()


def plain_bin(side: int, whole: int) -> int:
    """j with ratio in (2^(-(j + 1) / 4), 2^(-j / 4)], by fourth powers: no rounding."""
    ratio = Fraction(side, whole) ** 4
    return next(j for j in range(SIDE_BINS) if ratio > Fraction(1, 2 ** (j + 1)))


@given(st.integers(1, 2**31 - 1), st.data())
def test_bins_of_sides_are_exact(whole: int, data: st.DataObject) -> None:
    side = data.draw(st.integers(1, whole))
    # The longest side of a bin, and one more: where rounding would go wrong.
    edges = [int(whole * 2 ** (-j / 4)) + d for j in range(40) for d in (-1, 0, 1)]
    sides = np.array([s for s in (side, 1, whole, *edges) if 1 <= s <= whole], np.int64)
    assert side_bins(sides, whole).tolist() == [plain_bin(s, whole) for s in sides.tolist()]


@given(mask_lists, grids)
def test_shares_are_shares(masks: Masks, grid: int) -> None:
    profile = profiled(masks, grid)
    occurs = profile.class_pixels > 0
    for shares in (profile.vertical, profile.horizontal):
        assert shares.sum(axis=1) == pytest.approx(occurs.astype(float))
        assert (shares >= 0).all()
    touches = profile.adjacency.any(axis=1)
    assert profile.neighbours.sum(axis=1) == pytest.approx(touches.astype(float))
    assert np.array_equal(profile.width >= 0.5, occurs)  # that of a single pixel
    assert (profile.width[~occurs] == 0).all()
    assert profile.aspect > 0
    assert np.array_equal(profile.components, profile.eight.counts)
    assert (profile.eight.counts <= profile.four.counts).all()


@given(mask_lists)
def test_an_outline_is_every_side_that_does_not_lie_within_a_class(masks: Masks) -> None:
    profile, count = profiled(masks), len(FOUR)
    expected = np.zeros(count, np.int64)
    for _, pixels in masks:
        around = np.pad(label_map(FOUR, pixels, GREY), 1, constant_values=-1)
        for axis in (0, 1):
            one, other = np.moveaxis(around, axis, 0)[1:], np.moveaxis(around, axis, 0)[:-1]
            for k in range(count):
                expected[k] += ((one == k) != (other == k)).sum()
    assert profile.outline.tolist() == expected.tolist()
    assert profile.width == pytest.approx(2 * profile.class_pixels / np.maximum(expected, 1))


def width_of(pixels: NDArray[np.int64]) -> float:
    """Typical width of class 1 in a mask of raw values."""
    return float(profiled([("m", pixels)]).width[1])


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("top", [0, 7, None])
@pytest.mark.parametrize("wide", [1, 2, 3, 5, 8, 20])
def test_a_level_band_is_as_wide_as_it_is_wherever_it_lies(
    wide: int, top: int | None, turned: bool
) -> None:
    """a b / (a + b) of any rectangle, and so the width of a long one; None: at the lower edge."""
    for long in (1, 30, 100_000):
        pixels = np.zeros((40, long), np.int64)
        first = 40 - wide if top is None else top
        pixels[first : first + wide] = 1
        found = width_of(pixels.T if turned else pixels)
        assert found == pytest.approx(wide * long / (wide + long), rel=1e-12)
    assert found == pytest.approx(wide, rel=3e-4)


@pytest.mark.parametrize("wide", [2, 3, 5, 8, 20])
def test_a_band_at_45_degrees_seems_29_percent_narrower(wide: int) -> None:
    """Its steps are sqrt 2 times as long as its sides; at any other angle less is lost."""
    ys, xs = np.mgrid[:600, :600]
    for slope in (0, 0.2, 0.5, 1):
        upright = round(wide * np.hypot(1, slope))  # pixels of a column
        middle = 100 + slope * (xs - 50)
        pixels = ((ys >= middle) & (ys < middle + upright)).astype(np.int64)
        pixels[:, :50] = pixels[:, 450:] = 0
        exact = upright / np.hypot(1, slope)
        factor = np.hypot(1, slope) / (1 + slope)
        assert width_of(pixels) == pytest.approx(exact * factor, rel=0.06)
        assert width_of(pixels) >= exact * np.sqrt(0.5) * 0.94
    assert factor == pytest.approx(1 - 0.2929, abs=1e-4)


def test_a_square_is_half_as_wide_as_its_side_and_a_line_of_one_pixel_is_one() -> None:
    pixels = np.zeros((40, 4000), np.int64)
    pixels[3:23, 100:120] = 1
    assert width_of(pixels) == 10
    assert width_of(np.ones((1, 1), np.int64)) == 0.5
    line = np.zeros((40, 4000), np.int64)
    line[9] = 1
    assert width_of(line) == pytest.approx(1, abs=3e-4)


def test_places_are_relative_to_each_mask() -> None:
    """The lower right quarter, in masks of any size."""
    for height, width in ((2, 2), (8, 4), (100, 60)):
        pixels = np.zeros((height, width), np.int64)
        pixels[height // 2 :, width // 2 :] = 1
        profile = profiled([("m", pixels)], 2)
        assert profile.heat[1].tolist() == [[0, 0], [0, height * width]]
        assert profile.centres[1] == pytest.approx([0.75, 0.75], abs=2.0**-16)
        assert profile.side_quantiles(0.5)[1].tolist() == [0.5, 0.5]
        assert profile.aspect == width / height


# --- tables of counts -------------------------------------------------------------------------

pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6), st.integers(1, 9)), max_size=12)


def table_of(rows: Sequence[tuple[int, int, int]]) -> CountTable:
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    return CountTable.of(*columns)


@given(pairs, pairs)
def test_tables_add_as_counters_do(one: list[tuple[int, int, int]], other: list) -> None:
    plain: Counter[tuple[int, int]] = Counter()
    for owner, number, count in one + other:
        plain[owner, number] += count
    total = table_of(one) + table_of(other)
    assert total == table_of(one + other) == table_of(other) + table_of(one)
    found = zip(total.classes.tolist(), total.numbers.tolist(), total.counts.tolist(), strict=True)
    assert list(found) == [(k, n, plain[k, n]) for k, n in sorted(plain)]
    assert total + CountTable.empty() == CountTable.empty() + total == total
    repeated = [(k, n, 1) for k, n, count in one for _ in range(count)]
    columns = np.array(repeated, np.int64).reshape(-1, 3).T
    assert CountTable.of(columns[0], columns[1]) == table_of(one)
    with pytest.raises(TypeError):
        total + 1  # type: ignore[operator]
    assert total != "a table"


# --- limits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classes", "grid", "said"),
    [
        (5, 0, "1 to 256 cells"),
        (5, 257, "1 to 256 cells"),
        (0, 64, "needs classes"),
        (MAX_CLASSES + 1, 1, "4,096 classes are the most"),
        (4096, 256, "at most grid=90"),
    ],
)
def test_what_could_not_be_kept_is_refused_before_memory_is_taken(
    classes: int, grid: int, said: str
) -> None:
    with pytest.raises(ParameterError, match=said) as caught:
        check_size(classes, grid)
    assert caught.value.exit_code == 2
    if classes:
        with pytest.raises(ParameterError):
            PixelProfile.empty(ClassCatalog.numbered(classes), grid)


def test_the_grid_that_an_error_suggests_is_accepted() -> None:
    check_size(4096, 90)
    assert 4097 * 91**2 > MAX_CELLS >= 4097 * 90**2


def of_edges(edges: NDArray[np.int64]) -> PixelProfile:
    """A profile that knows nothing but pixel edges between labels."""
    classes = tuple(ClassInfo(k, f"c{k}", (k,)) for k in range(len(edges) - 1))
    return replace(PixelProfile.empty(ClassCatalog(classes), 2), adjacency=edges)


@given(st.lists(st.integers(1, 60), min_size=5, max_size=9), st.randoms())
def test_labels_that_touch_at_random_touch_as_by_chance(
    parts: list[int], chance: random.Random
) -> None:
    """Edges in proportion to products have the ratio 1, whatever the order of the labels."""
    edges = 1000 * np.outer(parts, parts).astype(np.int64)
    np.fill_diagonal(edges, 0)
    if 2 * edges.sum(axis=1).max() >= 0.98 * edges.sum():
        return  # at the border of what random pairs can be, where the fit is slow
    off = ~np.eye(len(parts), dtype=bool)
    found = of_edges(edges).touch_ratio
    assert found[off] == pytest.approx(1.0, rel=1e-3)
    assert (np.diag(found) == 0).all()
    edges = edges.copy()
    edges[0, 1] = edges[1, 0] = edges[0, 1] * chance.randint(2, 9)
    order = chance.sample(range(len(parts)), len(parts))
    ratio, moved = of_edges(edges).touch_ratio, of_edges(edges[np.ix_(order, order)]).touch_ratio
    np.testing.assert_allclose(moved, ratio[np.ix_(order, order)], rtol=1e-6, atol=1e-12)
    assert ratio[0, 1] > 1
    np.testing.assert_allclose(of_edges(7 * edges).touch_ratio, ratio, rtol=1e-9)


def test_two_labels_alone_touch_as_by_chance() -> None:
    """There is nothing else that either could touch."""
    found = of_edges(np.array([[0, 12, 0], [12, 0, 0], [0, 0, 0]])).touch_ratio
    np.testing.assert_allclose(found, [[0, 1, 0], [1, 0, 0], [0, 0, 0]], rtol=1e-12)
    assert not of_edges(np.zeros((3, 3), np.int64)).touch_ratio.any()
