"""From counts to a weight table: absent classes, normalisation, clipping, refusals, files."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from maskstat.errors import AbsentClassError, ParameterError, UnlistedValuesError, WeightError
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.histogram import ClassHistogram
from maskstat.values.tally import Encoding, MaskTally, TallyTable
from maskstat.weights.choices import ABSENT, NORMALISATIONS
from maskstat.weights.compute import compute
from maskstat.weights.normalise import normalise
from maskstat.weights.schemes import SCHEMES
from maskstat.weights.table import WeightTable
from tests.support.loops import at_least_one
from tests.support.strategies import tally_lists
from tests.support.typed import typed

GREY = Encoding("png", "grey", 8)
NAMES = sorted(SCHEMES)
positive = st.floats(1e-9, 1e9)


def catalog_of(count: int, origin: str = "file") -> ClassCatalog:
    classes = tuple(ClassInfo(k, f"c{k}", (k,)) for k in range(count))
    return ClassCatalog(classes, origin=origin)


def histogram_of(*masks: list[int], count: int, origin: str = "file") -> ClassHistogram:
    """Masks of one row each."""
    tallies = [
        MaskTally.of_pixels(f"m{n}", np.array([values]), GREY) for n, values in enumerate(masks)
    ]
    return ClassHistogram.of(catalog_of(count, origin), TallyTable.of(tallies))


THREE = histogram_of([0] * 60 + [1] * 30 + [2] * 10, [0] * 100, count=3)
GAP = histogram_of([0] * 60 + [2] * 30, [0] * 10, count=3)


# --- normalisations ---------------------------------------------------------------------------

vectors = st.lists(st.tuples(positive, st.integers(1, 10**12)), min_size=1, max_size=9)


@pytest.mark.parametrize("how", NORMALISATIONS)
@given(rows=vectors)
def test_normalisations_keep_ratios_and_their_promise(
    how: str, rows: list[tuple[float, ...]]
) -> None:
    weights = np.array([weight for weight, _ in rows])
    pixels = np.array([count for _, count in rows])
    frequency = pixels / pixels.sum()
    scaled = normalise(weights, frequency, how)
    assert scaled / scaled[0] == pytest.approx(weights / weights[0], rel=1e-9)
    promised = {
        "none": scaled[0] / weights[0],
        "mean": scaled.mean(),
        "sum": scaled.sum(),
        "max": scaled.max(),
        "min": scaled.min(),
        "pixel": frequency @ scaled,
    }
    assert promised[how] == pytest.approx(1)
    again = normalise(scaled, frequency, how)
    assert again == pytest.approx(scaled, rel=1e-12)


@given(rows=vectors)
def test_min_looks_at_positive_weights_only(rows: list[tuple[float, ...]]) -> None:
    weights = np.array([0.0, *(weight for weight, _ in rows)])
    scaled = normalise(weights, np.full(weights.size, 1 / weights.size), "min")
    assert scaled[0] == 0
    assert scaled[1:].min() == pytest.approx(1)


@pytest.mark.parametrize("how", NORMALISATIONS)
def test_normalising_huge_weights_stays_finite(how: str) -> None:
    weights = np.array([1.5e308, 1.2e308, 1.7e308])
    assert np.isfinite(normalise(weights, np.array([0.5, 0.3, 0.2]), how)).all()


def test_an_unknown_normalisation() -> None:
    with pytest.raises(ParameterError, match="is not one of none, mean"):
        compute(THREE, "balanced", normalize="total")


# --- the whole way ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@given(
    tallies=tally_lists([GREY]),
    how=st.sampled_from(sorted(NORMALISATIONS)),
    absent=st.sampled_from(["zero", "one", "max"]),
    clip=st.none() | st.just((0.5, 2.0)),
)
def test_weights_of_any_scan_are_finite(
    name: str, tallies: list[MaskTally], how: str, absent: str, clip: tuple[float, ...] | None
) -> None:
    histogram = ClassHistogram.of(catalog_of(12), TallyTable.of(tallies))
    options = {"normalize": how, "absent": absent, "clip": clip, "unlisted": "ignore"}
    if not histogram.labelled_pixels:
        with pytest.raises(WeightError, match="nothing to weigh"):
            compute(histogram, name, **options)
        return
    table = compute(histogram, name, **options)
    present = histogram.present
    assert table.weights.shape == (12,)
    assert np.isfinite(table.weights).all()
    assert (table.weights >= 0).all()
    assert (table.weights[present] > 0).all()
    assert table.names == histogram.catalog.names
    assert np.array_equal(table.pixels, histogram.pixels)
    assert table.mass.sum() == pytest.approx(1)
    if clip:
        assert (table.weights[present] >= 0.5).all()
        assert (table.weights <= 2).all()
    else:
        promised = {
            "none": 1,
            "mean": table.weights.mean(),
            "sum": table.weights.sum(),
            "max": table.weights.max(),
            "min": table.weights[table.weights > 0].min(),
            "pixel": histogram.frequency @ table.weights,
        }
        assert promised[how] == pytest.approx(1)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_table_says_of_itself(name: str) -> None:
    parameters = SCHEMES[name].parameters
    table = compute(THREE, name, normalize="pixel", source="/data/masks", clip=(0.1, 10))
    assert table.scheme == name
    assert table.parameters == parameters
    assert table.normalisation == "pixel"
    assert table.clip == (0.1, 10)
    assert table.absent == {}
    assert table.reduction == ("linear" if name == "equal-cost" else None)
    assert table.provenance["source"] == "/data/masks"
    assert table.provenance["masks"] == 2
    assert table.provenance["labelled_pixels"] == 200
    assert table.provenance["counts_digest"] == THREE.counts_digest()
    assert len(table) == 3


def test_parameters_reach_the_formula() -> None:
    table = compute(THREE, "power", parameters={"alpha": "1"})
    assert table.parameters == {"alpha": 1.0}
    assert np.array_equal(table.weights, compute(THREE, "max-count").weights)


def test_order_of_the_steps() -> None:
    """Absent classes get their weight before normalisation, clipping comes last."""
    table = compute(GAP, "max-count", absent="one", normalize="sum", clip=(0.3, 1.0))
    raw = np.array([1, 1, 70 / 30])
    assert table.weights == pytest.approx(np.clip(raw / raw.sum(), 0.3, 1))


# --- absent classes ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_an_absent_class_never_meets_a_formula(name: str) -> None:
    """The others weigh what they would without it, up to K in the formula itself."""
    two = histogram_of([0] * 60 + [1] * 30, [0] * 10, count=2)
    expected = compute(two, name).weights
    for policy, value in (("zero", 0.0), ("one", 1.0), ("max", expected.max())):
        table = compute(GAP, name, absent=policy)
        assert table.weights[[0, 2]] == pytest.approx(expected)
        assert table.weights[1] == value
        assert table.absent == {"policy": policy, "classes": ["c1"]}


def test_named_classes_that_never_occur_need_a_decision() -> None:
    with pytest.raises(AbsentClassError) as caught:
        compute(GAP, "balanced")
    message = str(caught.value)
    assert "1 of 3 classes never occur: c1" in message
    assert all(f"{policy}" in message for policy in ("zero", "one", "max"))


@pytest.mark.parametrize("origin", ["number", "inferred"])
def test_classes_that_were_only_numbered_weigh_one(origin: str) -> None:
    histogram = histogram_of([0] * 60 + [2] * 30, count=3, origin=origin)
    table = compute(histogram, "balanced")
    assert table.weights[1] == 1
    assert table.absent == {"policy": "one", "classes": ["c1"]}
    with pytest.raises(AbsentClassError):
        compute(histogram, "balanced", absent="error")


def test_many_absent_classes_are_listed_briefly() -> None:
    histogram = histogram_of([0, 1], count=300)
    with pytest.raises(AbsentClassError) as caught:
        compute(histogram, "balanced")
    assert "298 of 300 classes" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_an_unknown_policy() -> None:
    with pytest.raises(ParameterError) as caught:
        compute(GAP, "balanced", absent="drop")  # type: ignore[arg-type]
    assert all(policy in str(caught.value) for policy in ABSENT)


def test_nothing_labelled() -> None:
    for histogram in (histogram_of(count=3), histogram_of([255, 255], count=3)):
        for policy in (None, *ABSENT):
            with pytest.raises(WeightError, match="not one pixel belongs to a class"):
                compute(histogram, "balanced", absent=policy)


def test_a_single_class() -> None:
    for name in at_least_one(NAMES):
        table = compute(histogram_of([0] * 7, count=1), name, normalize="pixel")
        assert table.weights == pytest.approx([1])


# --- clipping ---------------------------------------------------------------------------------


@given(low=st.floats(0, 5), width=st.floats(0, 5), policy=st.sampled_from(["zero", "one", "max"]))
@example(low=0.0, width=0.0, policy="max")
def test_no_weight_lies_outside_the_clip_but_zeros_stay_zero(
    low: float, width: float, policy: str
) -> None:
    assume(low + width > 0)
    table = compute(GAP, "max-count", absent=policy, clip=(low, low + width))
    assert (table.weights[[0, 2]] >= low).all()
    assert (table.weights <= low + width).all()
    if policy == "zero":
        assert table.weights[1] == 0
    elif policy == "max":
        assert table.weights[1] == table.weights.max()


@pytest.mark.parametrize(
    "clip", [(2, 1), (-1, 1), (0, 0), (math.nan, 1), (0, math.inf), (math.nan, math.nan)]
)
def test_ranges_that_are_none(clip: tuple[float, ...] | tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match="no range of weights"):
        compute(THREE, "balanced", clip=clip)


# --- refusals ---------------------------------------------------------------------------------


def test_unlisted_values_are_refused_until_the_user_decides() -> None:
    histogram = histogram_of([0, 1, 200, 200], [0, 1, 201], count=2)
    with pytest.raises(UnlistedValuesError) as caught:
        compute(histogram, "balanced")
    assert "200 (2 pixels in 1 mask, first m0)" in str(caught.value)
    assert "; ignore=[200, 201]" in str(caught.value)
    assert typed(str(caught.value.remedy)) == (
        "--ignore 200 --ignore 201 where they are void; --classes with a file that"
        " lists them where they are classes"
    )
    assert np.isfinite(compute(histogram, "balanced", unlisted="ignore").weights).all()


def test_many_unlisted_values_are_listed_briefly() -> None:
    histogram = histogram_of([0, 1, *range(100, 140)], count=2)
    with pytest.raises(UnlistedValuesError) as caught:
        compute(histogram, "balanced")
    assert "37 more" in str(caught.value)
    assert typed(str(caught.value.remedy)) == (
        "--unlisted ignore where they are void; --classes with a file that lists them where they"
        " are classes"
    )


def test_the_name_of_a_mask_in_a_message_is_printable() -> None:
    tally = MaskTally.of_pixels("\x1b[2J\n.png", np.array([[0, 9]]), GREY)
    histogram = ClassHistogram.of(catalog_of(1), TallyTable.of([tally]))
    with pytest.raises(UnlistedValuesError) as caught:
        compute(histogram, "balanced")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("how", NORMALISATIONS)
@pytest.mark.parametrize(
    ("scheme", "parameters"),
    [("power", {"alpha": 1e3}), ("power", {"alpha": 1e308}), ("log", {"mu": 1e308})],
)
def test_an_overflow_is_an_error_and_never_infinity(
    how: str, scheme: str, parameters: dict[str, float]
) -> None:
    """Also under warnings as errors: the formula's own warnings are no way out."""
    with pytest.raises(WeightError, match=r"choose milder parameters|overflows"):
        compute(THREE, scheme, parameters=parameters, normalize=how)


@given(alpha=st.floats(0, 1e4), how=st.sampled_from(sorted(NORMALISATIONS)))
@example(alpha=395.0, how="min")
@example(alpha=395.0, how="pixel")
def test_any_strength_gives_finite_weights_or_an_error(alpha: float, how: str) -> None:
    try:
        table = compute(THREE, "power", parameters={"alpha": alpha}, normalize=how)
    except WeightError:
        assert alpha * math.log10(16) > 308  # the largest ratio of counts is 16
    else:
        assert np.isfinite(table.weights).all()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"scheme": "nope"}, ParameterError),
        ({"scheme": "power", "parameters": {"beta": 1}}, ParameterError),
        ({"scheme": "power", "parameters": {"alpha": "x"}}, ParameterError),
        ({"scheme": "power", "parameters": {"alpha": -1}}, ParameterError),
    ],
)
def test_bad_options(options: Any, error: type[Any]) -> None:
    with pytest.raises(error):
        compute(THREE, **options)


# --- the table itself -------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_a_table_never_holds_what_no_weight_is(bad: float) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        WeightTable(("a", "b"), np.array([1.0, bad]), np.array([1, 1]), "x")


def test_a_table_needs_as_many_names_as_weights() -> None:
    with pytest.raises(ValueError, match="equally long"):
        WeightTable(("a",), np.array([1.0, 2.0]), np.array([1, 1]), "x")


def test_a_table_is_read_only() -> None:
    table = compute(THREE, "balanced")
    with pytest.raises(ValueError, match="read-only"):
        table.weights[0] = 3


def test_shares_of_the_weighted_pixels() -> None:
    assert compute(THREE, "balanced").mass == pytest.approx([1 / 3] * 3)
    assert compute(THREE, "uniform").mass == pytest.approx(THREE.frequency)
    zeros = WeightTable(("a",), np.array([0.0]), np.array([5]), "x")
    assert zeros.mass.tolist() == [0]
