"""Decisions: exact counts, no order, honest gains, and argmax where nothing else helps."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from maskstat.decision.choices import MEASURES, Measure
from maskstat.decision.decision_words import notes, verdict
from maskstat.decision.decisions import Decision
from maskstat.decision.judging import LEAST_GROUPS, all_outcomes, folds_of, gain
from maskstat.decision.measures import DecisionCounts, without_each_group
from maskstat.errors import ParameterError
from maskstat.training.metrics import ConfusionMatrix
from maskstat.values.tally import IntArray
from tests.support.decision_cases import PRIOR, decide, predicted
from tests.support.loops import at_least_one


def outcomes_of(seed: int, images: int, classes: int) -> DecisionCounts:
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(images):
        labels = rng.integers(0, classes, 40)
        guess = np.where(rng.random(40) < 0.6, labels, rng.integers(0, classes, 40))
        parts.append(DecisionCounts.of(labels, guess, classes))
    return DecisionCounts.joined(parts)


def test_measures_are_those_of_the_confusion_matrix() -> None:
    rng = np.random.default_rng(3)
    labels, guess = rng.integers(0, 5, 300), rng.integers(0, 5, 300)
    matrix, found = ConfusionMatrix.of(labels, guess, 5), DecisionCounts.of(labels, guess, 5)
    assert found.score("iou") == pytest.approx(matrix.mean_iou)
    assert found.score("recall") == pytest.approx(matrix.balanced_accuracy)
    assert found.accuracy() == pytest.approx(matrix.accuracy)
    np.testing.assert_allclose(found.iou(), matrix.iou)
    assert found.score("image-iou") == pytest.approx(matrix.mean_iou), "one image is the data set"


@pytest.mark.parametrize("measure", MEASURES)
def test_without_each_group_is_without_its_images(measure: Measure) -> None:
    outcomes, groups = outcomes_of(1, 12, 4), np.arange(12) % 5
    found = without_each_group(outcomes, groups, 5, measure)
    expected = [outcomes.chosen(groups != g).score(measure) for g in range(5)]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_decision_gains_nothing_over_itself(measure: Measure) -> None:
    outcomes = outcomes_of(2, 9, 3)
    found = gain(outcomes, outcomes, np.arange(9) % 3, 3, measure)
    assert (found.value, found.lower, found.upper) == (0, 0, 0)
    assert not found.is_sure
    assert math.isnan(gain(outcomes, outcomes, np.zeros(9, np.int64), 1, measure).lower)


@pytest.mark.parametrize("measure", MEASURES)
def test_second_pass_counts_every_pixel(measure: Measure) -> None:
    """What the report says of argmax and of the shifts that it gives is what NumPy counts."""
    images = predicted(0, overstated=0.8, groups=5)
    found = decide(images, measure=measure)
    assert found.exact

    def score(shifts: np.ndarray) -> float:
        return DecisionCounts.joined(
            [
                DecisionCounts.of(
                    one.labels, (one.logits + shifts[:, None].astype(np.float32)).argmax(0), 4
                )
                for one in images
            ]
        ).score(measure)

    assert found.argmax == pytest.approx(score(np.zeros(4)))
    for one in at_least_one(found.families):
        assert one.in_sample == pytest.approx(score(one.shifts) - found.argmax)


def test_order_of_images_and_batches_does_not_matter() -> None:
    images = predicted(5, overstated=0.5, groups=6)
    first = decide(images).to_document()
    assert decide(images[::-1]).to_document() == first
    decision = Decision(4, prior=PRIOR)
    fits: list[tuple[int, int]] = []
    for _ in decision.passes(lambda fit, of: fits.append((fit, of))):
        for start in range(0, len(images), 4):
            some = images[start : start + 4]
            decision.update(
                np.stack([one.logits for one in some]),
                np.stack([one.labels for one in some]),
                group=[one.group for one in some],
                name=[one.name for one in some],
            )
    assert decision.report().to_document() == first
    json.dumps(first, allow_nan=False)
    assert fits == [(fit, len(fits)) for fit in range(1, len(fits) + 1)]
    assert len(fits) == 6 + 6 * 5 / 2 + 1, "without each group, without each two, with all"


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e4, 1e7])
@pytest.mark.parametrize("classes", [2, 7])
def test_pixels_that_no_shift_can_move_are_decided_once_and_alike(
    scale: float, classes: int
) -> None:
    """Outcomes are those of deciding every pixel by every shift, ties and rounding included."""
    rng = np.random.default_rng(classes)
    logits = (rng.standard_normal((classes, 70_000)) * scale).astype(np.float32)
    logits[:, ::7] = np.round(logits[:, ::7])
    logits[1, ::11] = logits[0, ::11]
    labels = rng.integers(0, classes, 70_000)
    shifts = np.vstack(
        [
            np.zeros(classes),
            rng.uniform(-0.7, 0.7, (3, classes)),
            rng.normal(size=(2, classes)) * scale,
        ]
    )
    for each, found in zip(shifts, all_outcomes(logits, labels, shifts), strict=True):
        chosen = (logits + np.float32(each)[:, None]).argmax(0)
        expected = DecisionCounts.of(labels, chosen, classes)
        for name in ("labelled", "predicted", "hits"):
            assert np.array_equal(getattr(found, name), getattr(expected, name))


def test_channels_last_probabilities_and_ignored_pixels_say_the_same() -> None:
    images = predicted(7, overstated=0.5, groups=5)
    first = decide(images).to_document()
    decision = Decision(4, prior=PRIOR, scores="probabilities", ignore_index=[9, -1])
    for _ in decision.passes():
        for one in images:
            shares = np.exp(one.logits.T.astype(np.float64))
            shares /= shares.sum(1, keepdims=True)
            shares = np.concatenate([shares, np.full((2, 4), 0.25)]).reshape(2, -1, 4)
            labels = np.append(one.labels, [9, -1]).reshape(2, -1)
            decision.update(shares, labels, group=one.group, name=one.name)
    found = decision.report().to_document()
    assert found["argmax"] == first["argmax"]
    for one, other in zip(found["families"], first["families"], strict=True):
        assert one["gain"]["value"] == pytest.approx(other["gain"]["value"], abs=2e-3)


def test_overstated_frequent_classes_are_found_out() -> None:
    found = decide(predicted(1, overstated=1.0, groups=10, pixels=600), measure="recall")
    assert [one.family for one in found.families] == ["tau"], "recall asks for no free shifts"
    assert found.recommended == "tau"
    # ln p + 1 ln prior; balanced accuracy is best at ln p - ln prior: 2 ln prior are too many
    tau = -found.families[0].shifts / (np.log(PRIOR) - np.log(PRIOR).max() + 1e-300)
    assert tau[1:] == pytest.approx(2.0, abs=0.35)
    assert found.shifts().values == pytest.approx(found.families[0].shifts)


def test_training_weights_undone_come_first() -> None:
    """Logits that carry ln w are right without it: the simplest of several that help is taken."""
    weights = 1 / PRIOR
    images = [
        one._replace(logits=one.logits + 2 * np.log(weights)[:, None].astype(np.float32))
        for one in predicted(2, groups=5, pixels=500)
    ]
    found = decide(images, measure="iou", weights=weights**2)
    assert found.families[0].family == "weights undone"
    assert found.recommended == "weights undone"
    assert found.families[0].shifts - found.families[0].shifts.max() == pytest.approx(
        -2 * np.log(weights) + 2 * np.log(weights).min()
    )


def test_few_groups_recommend_nothing() -> None:
    found = decide(predicted(1, overstated=1.0, groups=LEAST_GROUPS - 1))
    assert found.recommended is None and found.procedure is None
    assert found.families[0].gain.value > 0, "gains are there to be read"
    with pytest.raises(ValueError, match="nothing is recommended"):
        found.shifts()
    alone = decide(predicted(1, groups=1))
    assert alone.recommended is None
    assert all(math.isnan(one.gain.value) for one in at_least_one(alone.families))
    assert alone.to_document()["families"][0]["gain"]["value"] is None
    text = " ".join([verdict(alone), *notes(alone)])
    assert "1 group is too few" in text and "nan" not in text


def test_argmax_is_kept_where_nothing_can_help() -> None:
    """Calibrated logits of equally frequent classes: no decision has a higher recall than argmax.

    The interval may be above zero by chance in one of forty; of eight sets two would be odd.
    """
    equal = np.full(4, 0.25)
    recommended = [
        decide(predicted(seed, prior=equal, groups=5, group_deviation=0.3), measure="recall")
        for seed in range(8)
    ]
    assert sum(one.recommended != "none" for one in recommended) <= 1


def test_a_choice_is_never_judged_on_its_own_group() -> None:
    """One group is told apart by its logits alone; what is chosen on it helps nobody else."""
    images = predicted(4, groups=6)
    odd = [
        one._replace(logits=one.logits + np.array([[0], [0], [0], [9]], np.float32))
        if one.group == "0"
        else one
        for one in images
    ]
    found = {one.family: one for one in decide(odd).families}["free shifts"]
    assert found.in_sample > 0
    assert found.gain.value < found.in_sample


def test_folds_hold_every_group_once_and_are_about_equal() -> None:
    sizes: IntArray = np.array([50, 1, 1, 30, 20, 20, 10, 5, 5, 5, 5, 4, 4, 4])
    folds = folds_of(sizes, 11)
    assert sorted(set(folds.tolist())) == list(range(10))
    assert np.bincount(folds, sizes).max() == 50
    assert folds_of(sizes, 150).max() == 4
    assert folds_of(sizes[:3], 11).tolist() == [0, 2, 1] or folds_of(sizes[:3], 11).max() == 2


def test_a_sample_serves_where_there_is_no_second_pass() -> None:
    images = predicted(1, overstated=1.0, groups=6)
    decision = Decision(4, prior=PRIOR)
    for one in images:
        decision.update(one.logits, one.labels, group=one.group, name=one.name)
    found = decision.report()
    assert not found.exact
    assert found.argmax == pytest.approx(decide(images).argmax, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": np.zeros((3, 200), np.float32)}, "do not fit 4 classes"),
        ({"logits": np.zeros((4, 200), np.int8)}, "floating-point"),
        ({"logits": np.full((4, 200), np.nan, np.float32)}, "finite"),
        ({"labels": np.full(200, 4)}, "the label 4 is none of 4 classes"),
        ({"labels": np.zeros(200)}, "not integers"),
        ({"name": "0/1.png"}, "came twice"),
    ],
)
def test_what_does_not_fit_is_refused_and_named(change: dict[str, object], message: str) -> None:
    images = predicted(0)
    decision = Decision(4)
    decision.update(images[1].logits, images[1].labels, group="0", name="0/1.png")
    one = images[0]._replace(**change)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=message):
        decision.update(one.logits, one.labels, group=one.group, name=one.name)


def test_second_pass_must_be_the_first_again() -> None:
    images = predicted(0)
    decision = Decision(4)
    passes = decision.passes()
    next(passes)
    for one in images[:4]:
        decision.update(one.logits, one.labels, group=one.group, name=one.name)
    next(passes)
    with pytest.raises(ParameterError, match="not the first one again"):
        decision.update(images[5].logits, images[5].labels, group="1", name=images[5].name)
    with pytest.raises(ParameterError, match="not the first one again"):
        decision.update(images[0].logits, images[1].labels, group="0", name=images[0].name)
    decision.update(images[0].logits, images[0].labels, group="0", name=images[0].name)
    with pytest.raises(ParameterError, match="had 1 of 4 images"):
        decision.report()
    with pytest.raises(ParameterError, match="no labelled pixel"):
        Decision(4).report()
