"""Laws that every registered weight scheme keeps, and what each formula says in its limits."""

from __future__ import annotations

import inspect
import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from maskstat.errors import ParameterError, WeightError
from maskstat.weights.schemes import SCHEMES, ClassCounts, find_scheme, scheme
from tests.support.loops import at_least_one

NAMES = sorted(SCHEMES)
every_scheme = pytest.mark.parametrize("name", NAMES)

# The names that the documents promise; a scheme may be added, none may go.
PROMISED = {
    "balanced",
    "effective-number",
    "enet",
    "equal-cost",
    "inverse",
    "log",
    "max-count",
    "median-frequency",
    "power",
    "sqrt",
    "uniform",
}


def counts_of(rows: list[tuple[int, int, int, int]]) -> ClassCounts:
    return with_components(*(np.array(column, np.int64) for column in zip(*rows, strict=True)))


def with_components(pixels: np.ndarray, masks: np.ndarray, *others: np.ndarray) -> ClassCounts:
    """Counts of classes that have some components more than masks."""
    return ClassCounts(pixels, masks, *others, lambda: masks + (pixels - masks) // 9)


@st.composite
def class_rows(draw: st.DrawFn, most: int = 10**15) -> tuple[int, int, int, int]:
    """pixels <= labelled pixels <= all pixels of the masks that have the class."""
    pixels = draw(st.integers(1, most) | st.integers(1, 50))
    masks = draw(st.integers(1, min(pixels, 10**8)))
    labelled = draw(st.integers(pixels, 4 * most))
    return pixels, masks, draw(st.integers(labelled, 5 * most)), labelled


counts = st.lists(class_rows(), min_size=1, max_size=12).map(counts_of)
small_counts = st.lists(class_rows(most=10**9), min_size=1, max_size=8).map(counts_of)


def literal_choices(name: str) -> dict[str, tuple[object, ...]]:
    hints = get_type_hints(SCHEMES[name].function)
    return {
        p: get_args(hints[p]) for p in SCHEMES[name].parameters if get_origin(hints[p]) is Literal
    }


def settings_of(name: str) -> list[dict[str, object]]:
    """The defaults, and every choice of every parameter that has choices."""
    return [{}, *({p: c} for p, choices in literal_choices(name).items() for c in choices)]


def test_the_promised_schemes_are_there() -> None:
    assert set(SCHEMES) >= PROMISED


@every_scheme
def test_registration(name: str) -> None:
    entry = SCHEMES[name]
    assert entry.name == name
    assert find_scheme(name) is entry
    assert entry.formula
    assert entry.source
    assert entry.summary
    for parameter in at_least_one(inspect.signature(entry.function).parameters.values()):
        if parameter.name != "counts":
            assert parameter.kind is parameter.KEYWORD_ONLY
            assert parameter.default is not parameter.empty
    assert entry.bind({}) == entry.parameters


# --- laws -------------------------------------------------------------------------------------


@every_scheme
@given(given_counts=counts)
@example(given_counts=counts_of([(1, 1, 1, 1)]))
@example(given_counts=counts_of([(10**15, 10**8, 10**15, 10**15), (1, 1, 1, 1)]))
@example(given_counts=counts_of([(10**15, 1, 10**15, 10**15)] + [(1, 1, 9, 9)] * 20_000))
def test_weights_are_finite_and_not_negative_for_any_counts(
    name: str, given_counts: ClassCounts
) -> None:
    for parameters in at_least_one(settings_of(name)):
        weights = SCHEMES[name](given_counts, **parameters)
        assert weights.shape == given_counts.pixels.shape
        assert weights.dtype == np.float64
        assert np.isfinite(weights).all()
        assert (weights > 0).all()


def multiplied(counts: ClassCounts, k: int) -> ClassCounts:
    return ClassCounts(
        counts.pixels * k,
        counts.masks * k,
        counts.image_pixels * k,
        counts.labelled_image_pixels * k,
    )


@pytest.mark.parametrize("name", [name for name in NAMES if SCHEMES[name].scale_free])
@given(given_counts=small_counts, k=st.integers(1, 10**6))
def test_a_dataset_k_times_over_has_the_same_weights(
    name: str, given_counts: ClassCounts, k: int
) -> None:
    for parameters in at_least_one(settings_of(name)):
        once = SCHEMES[name](given_counts, **parameters)
        again = SCHEMES[name](multiplied(given_counts, k), **parameters)
        assert again == pytest.approx(once, rel=1e-9)


def test_a_scheme_that_says_it_depends_on_size_does() -> None:
    for name in at_least_one(NAMES):
        if not SCHEMES[name].scale_free:
            few = counts_of([(5, 2, 9, 9), (50, 9, 90, 90)])
            assert SCHEMES[name](few) != pytest.approx(SCHEMES[name](multiplied(few, 100)))


@every_scheme
@given(given_counts=counts, chance=st.randoms(use_true_random=False))
def test_the_order_of_classes_does_not_matter(
    name: str, given_counts: ClassCounts, chance: random.Random
) -> None:
    order = list(range(given_counts.pixels.size))
    chance.shuffle(order)
    shuffled = with_components(
        given_counts.pixels[order],
        given_counts.masks[order],
        given_counts.image_pixels[order],
        given_counts.labelled_image_pixels[order],
    )
    for parameters in at_least_one(settings_of(name)):
        weights = SCHEMES[name](given_counts, **parameters)
        assert SCHEMES[name](shuffled, **parameters) == pytest.approx(weights[order], rel=1e-12)


@pytest.mark.parametrize("name", [name for name in NAMES if SCHEMES[name].falls_with_frequency])
@given(given_counts=counts)
def test_a_class_with_more_pixels_never_weighs_more(name: str, given_counts: ClassCounts) -> None:
    weights = SCHEMES[name](given_counts)
    by_pixels = weights[np.argsort(given_counts.pixels, kind="stable")]
    assert (np.diff(by_pixels) <= 1e-12 * by_pixels[:-1]).all()


def test_schemes_that_say_they_look_at_more_than_pixels_do() -> None:
    more_pixels_in_more_masks = counts_of([(100, 10, 100_000, 100_000), (90, 1, 100, 100)])
    for name in at_least_one(NAMES):
        if not SCHEMES[name].falls_with_frequency:
            weights = SCHEMES[name](more_pixels_in_more_masks)
            assert weights[0] != pytest.approx(weights[1])


@every_scheme
@given(given_counts=counts)
def test_equal_classes_weigh_the_same(name: str, given_counts: ClassCounts) -> None:
    double = with_components(
        *(
            np.repeat(column, 2)
            for column in (
                given_counts.pixels,
                given_counts.masks,
                given_counts.image_pixels,
                given_counts.labelled_image_pixels,
            )
        )
    )
    for parameters in at_least_one(settings_of(name)):
        weights = SCHEMES[name](double, **parameters)
        assert np.array_equal(weights[0::2], weights[1::2])


@every_scheme
def test_functions_are_pure(name: str) -> None:
    given_counts = counts_of([(5, 2, 90, 80), (50, 9, 900, 850), (7, 7, 700, 700)])
    columns = ("pixels", "masks", "image_pixels", "labelled_image_pixels")
    before = [getattr(given_counts, column).copy() for column in columns]
    first = SCHEMES[name](given_counts)
    second = SCHEMES[name](given_counts)
    assert np.array_equal(first, second)
    for column, copy in zip(columns, before, strict=True):
        assert np.array_equal(getattr(given_counts, column), copy)
        assert not np.shares_memory(first, getattr(given_counts, column))


# --- formulas, written a second time ----------------------------------------------------------

PLAIN: dict[str, Callable[[list[int], list[int], list[int]], list[float]]] = {
    "equal-cost": lambda n, m, h: [sum(n) / (len(n) * c) for c in n],
    "balanced": lambda n, m, h: [sum(n) / (len(n) * c) for c in n],
    "max-count": lambda n, m, h: [max(n) / c for c in n],
    "inverse": lambda n, m, h: [sum(n) / c for c in n],
    "sqrt": lambda n, m, h: [math.sqrt(max(n) / c) for c in n],
    "power": lambda n, m, h: [(max(n) / c) ** 0.25 for c in n],
    "median-frequency": lambda n, m, h: _median_frequency(n, h),
    "enet": lambda n, m, h: [1 / math.log(1.02 + c / sum(n)) for c in n],
    "log": lambda n, m, h: [max(1.0, math.log(0.15 * sum(n) / c)) for c in n],
    "effective-number": lambda n, m, h: [0.001 / (1 - 0.999**c) for c in m],
    "uniform": lambda n, m, h: [1.0 for _ in n],
}


def _median_frequency(n: list[int], h: list[int]) -> list[float]:
    f = sorted(c / i for c, i in zip(n, h, strict=True))
    middle = (f[(len(f) - 1) // 2] + f[len(f) // 2]) / 2
    return [middle / (c / i) for c, i in zip(n, h, strict=True)]


@pytest.mark.parametrize("name", sorted(PLAIN))
@given(given_counts=small_counts)
def test_formulas(name: str, given_counts: ClassCounts) -> None:
    columns = (given_counts.pixels, given_counts.masks, given_counts.image_pixels)
    expected = PLAIN[name](*(column.tolist() for column in columns))
    assert SCHEMES[name](given_counts) == pytest.approx(expected, rel=1e-9)


def test_k_times_n_need_not_fit_64_bits() -> None:
    rows = [(10**15, 1, 10**15, 10**15)] + [(1, 1, 9, 9)] * 20_000
    total = 10**15 + 20_000
    for name in ("balanced", "equal-cost"):
        weights = SCHEMES[name](counts_of(rows))
        assert weights[0] == pytest.approx(total / (20_001 * 10**15))
        assert weights[1] == pytest.approx(total / 20_001)


@given(given_counts=counts)
def test_relations_between_schemes(given_counts: ClassCounts) -> None:
    run = {name: SCHEMES[name](given_counts) for name in PROMISED}
    power = SCHEMES["power"]
    assert power(given_counts, alpha=1) == pytest.approx(run["max-count"])
    assert power(given_counts, alpha=0.5) == pytest.approx(run["sqrt"])
    assert np.array_equal(power(given_counts, alpha=0), run["uniform"])
    for a, b in (("inverse", "max-count"), ("balanced", "max-count"), ("balanced", "equal-cost")):
        ratios = run[a] / run[b]
        assert ratios == pytest.approx(np.full(ratios.size, ratios[0]))
    size = given_counts.pixels.size
    assert run["inverse"] == pytest.approx(run["balanced"] * size)
    assert given_counts.pixels @ run["balanced"] == pytest.approx(given_counts.pixels.sum())
    assert (given_counts.pixels * run["equal-cost"]).std() <= 1e-9 * given_counts.pixels.max()
    assert (run["enet"] <= 1 / math.log(1.02) + 1e-9).all()
    assert (run["log"] >= 1).all()
    assert run["max-count"].min() == 1


@given(given_counts=small_counts, beta=st.floats(0, 0.999_999))
def test_effective_number_lies_between_uniform_and_inverse_count(
    given_counts: ClassCounts, beta: float
) -> None:
    effective = SCHEMES["effective-number"]
    weights = effective(given_counts, beta=beta)
    assert (weights >= 1 / given_counts.masks * (1 - 1e-9)).all()
    assert (weights <= 1 + 1e-12).all()
    assert np.array_equal(effective(given_counts, beta=0), np.ones(weights.size))
    near_one = effective(given_counts, beta=1 - 1e-13)
    small = given_counts.masks < 1000
    assert near_one[small] == pytest.approx(1 / given_counts.masks[small], rel=1e-6)


def test_effective_number_of_pixels_saturates() -> None:
    million = counts_of([(10**6, 5, 10**7, 10**7), (10**9, 500, 10**10, 10**10)])
    weights = SCHEMES["effective-number"](million, beta=0.9999, count="pixels")
    assert weights[0] == pytest.approx(weights[1], rel=1e-12)


@given(given_counts=counts)
def test_enet_with_c_1_has_no_bound_and_stays_finite(given_counts: ClassCounts) -> None:
    weights = SCHEMES["enet"](given_counts, c=1)
    assert np.isfinite(weights).all()
    assert (weights > 0).all()


def test_the_median_runs_over_the_classes_that_occur() -> None:
    three = counts_of([(10, 1, 100, 100), (20, 1, 100, 100), (40, 1, 100, 100)])
    assert SCHEMES["median-frequency"](three).tolist() == [2.0, 1.0, 0.5]


def test_labelled_image_pixels_are_an_option_of_median_frequency() -> None:
    two = counts_of([(10, 1, 100, 50), (20, 1, 100, 100)])
    median = SCHEMES["median-frequency"]
    assert median(two).tolist() == pytest.approx([1.5, 0.75])
    assert median(two, image_pixels="labelled").tolist() == pytest.approx([1, 1])


# --- parameters -------------------------------------------------------------------------------


@every_scheme
def test_unknown_parameters_are_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ParameterError) as caught:
        SCHEMES[name].bind({"betta": 1})
    message = str(caught.value)
    assert f"scheme {name} has no parameter 'betta'" in message
    assert all(parameter in message for parameter in SCHEMES[name].parameters)
    assert caught.value.exit_code == 2


@every_scheme
@pytest.mark.parametrize("value", ["x", "", "nan", "inf", "1e999", None, [], {}, "0x10", 10**400])
def test_values_of_the_wrong_type(name: str, value: int | str | None) -> None:
    for parameter in SCHEMES[name].parameters:
        with pytest.raises(ParameterError, match=parameter):
            SCHEMES[name].bind({parameter: value})


@every_scheme
def test_texts_become_what_the_signature_says(name: str) -> None:
    for parameter, default in SCHEMES[name].parameters.items():
        (bound,) = (SCHEMES[name].bind({parameter: str(default)})[parameter],)
        assert bound == default
        assert type(bound) is type(default)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("power", {"alpha": -0.1}),
        ("enet", {"c": 0.99}),
        ("enet", {"c": -1}),
        ("log", {"mu": 0}),
        ("log", {"mu": -1}),
        ("effective-number", {"beta": 1}),
        ("effective-number", {"beta": -0.1}),
        ("effective-number", {"beta": 2}),
        ("effective-number", {"count": "objects"}),
        ("median-frequency", {"image_pixels": "some"}),
    ],
)
def test_values_out_of_range(
    name: str, parameters: dict[str, float] | dict[str, int] | dict[str, str]
) -> None:
    two = counts_of([(10, 1, 100, 50), (20, 1, 100, 100)])
    with pytest.raises(ParameterError, match=next(iter(parameters))):
        SCHEMES[name](two, **parameters)


def test_components_are_counted_only_where_a_scheme_asks() -> None:
    two = counts_of([(10, 1, 100, 50), (20, 2, 100, 100)])
    scheme_ = SCHEMES["effective-number"]
    by_components = scheme_(two, count="components", beta=0.5)
    assert by_components == pytest.approx([0.5 / (1 - 0.5**c) for c in (2, 4)])
    nobody = ClassCounts(two.pixels, two.masks, two.image_pixels, two.labelled_image_pixels)
    assert np.array_equal(scheme_(nobody), scheme_(two))
    with pytest.raises(WeightError, match="profiled scan"):
        scheme_(nobody, count="components")
    none = replace(nobody, count_components=lambda: np.array([3, 0]))
    with pytest.raises(WeightError, match="no component"):
        scheme_(none, count="components")


def test_an_unknown_scheme_names_the_nearest() -> None:
    with pytest.raises(ParameterError, match="did you mean median-frequency"):
        find_scheme("median_frequency")
    with pytest.raises(ParameterError, match="known are"):
        find_scheme("\x1b[2J")


def test_a_scheme_is_one_registered_function() -> None:
    """Name, parameters, conversion and summary follow from the function."""
    try:

        @scheme("test-only", formula="n_c", source="nobody", falls_with_frequency=False)
        def test_only(counts: ClassCounts, *, factor: float = 2.0) -> np.ndarray:
            """Twice the pixels."""
            return factor * counts.pixels

        entry = find_scheme("test-only")
        assert entry.summary == "Twice the pixels."
        assert entry.parameters == {"factor": 2.0}
        assert entry(counts_of([(3, 1, 3, 3)]), factor="3").tolist() == [9]
    finally:
        SCHEMES.pop("test-only")


def test_the_generator_makes_unequal_classes() -> None:
    """Laws over equal classes alone would prove little."""
    found = []

    @given(given_counts=counts)
    def look(given_counts: ClassCounts) -> None:
        assume(given_counts.pixels.size > 2)
        found.append(given_counts.pixels.max() / given_counts.pixels.min())

    look()
    assert max(found) > 1e9
