"""What weights say of themselves: classes that few pixels carry, absent ones, and the scale."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

import maskstat
from maskstat.weights.choices import NORMALISATIONS, Normalisation
from maskstat.weights.schemes import SCHEMES
from maskstat.weights.table import load_weights

SCHEME_NAMES = sorted(SCHEMES.keys() - {"median-frequency"})  # it needs more than these counts


def counts(pixels: list[int], masks: list[int] | None = None) -> maskstat.Scan:
    return maskstat.from_counts(pixels, masks=masks, classes=len(pixels), unit="counts")


def notes_about(word: str, notes: tuple[str, ...]) -> list[str]:
    return [note for note in notes if word in note]


# --- a share of the loss that few pixels or masks carry -----------------------------------------


def test_labels_0_1_2_4_as_five_classes(tmp_path: Path) -> None:
    """Three masks of 0, 1, 2 and a little 4: class 3 never occurs, class 4 weighs 1,843."""
    pixels = np.zeros((3, 96, 128), np.uint8)
    pixels[:, :20], pixels[:, 20:40] = 1, 2
    pixels[0, 50, :5] = 4
    for number, mask in enumerate(pixels):
        Image.fromarray(mask).save(tmp_path / f"{number}.png")
    with maskstat.scan(tmp_path, classes=5) as scan:
        table = scan.weights()
    assert table["class_4"] == pytest.approx(36864 / (4 * 5)) == pytest.approx(1843.2)
    absent, few = table.notes
    assert absent.endswith("changes that): class_3")
    assert few.startswith(
        "class_4 takes 25.0% of the loss, 1,843 times its share of the pixels, from 5 pixels in 1"
        " mask: scheme='sqrt' is milder"
    )


def test_who_is_rare_and_who_has_few_masks() -> None:
    rare = counts([10**9, 10**9, 90_000], [500, 500, 500]).weights()
    assert rare.notes[0].startswith("class_2 takes 33.3% of the loss")
    assert counts([10**9, 10**9, 10**7], [500, 500, 500]).weights().notes == ()
    few = counts([10**9, 10**9, 10**7], [500, 500, 9]).weights()
    assert "from 10,000,000 pixels in 9 masks" in few.notes[0]
    assert counts([10**9, 10**9, 10**7]).weights().notes == ()  # masks are unknown
    shares = maskstat.from_counts([0.6, 0.39995, 0.00005], classes=3, unit="shares").weights()
    assert "from 0.005% of the pixels: " in shares.notes[0]


def test_several_are_one_line() -> None:
    table = counts([10**9, *range(10, 20)], [500, *[3] * 10]).weights()
    (note,) = table.notes
    assert note.startswith("class_1 takes 9.09% of the loss")
    assert "so do 9 more (class_2, class_3, class_4 and 6 more)" in note


@given(
    name=st.sampled_from(SCHEME_NAMES),
    rows=st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 40)), min_size=1, max_size=8),
)
def test_few_are_those_that_take_more_than_they_carry(
    name: str, rows: list[tuple[int, int]]
) -> None:
    pixels, masks = map(list, zip(*rows, strict=True))
    table = counts(pixels, masks).weights(name)
    said = notes_about("of the loss, ", table.notes)
    heavy = [
        k
        for k, count in enumerate(pixels)
        if (factor := table.mass[k] / table.frequency[k]) >= 10
        and table.mass[k] >= 0.5 / len(pixels)
        and (masks[k] < 10 or count / sum(pixels) < 1e-4 or factor >= 1000)
    ]
    assert len(said) == (1 if heavy else 0)
    for note in said:
        first = table[note.partition(" ")[0]]
        assert first == pytest.approx(max(table.weights[k] for k in heavy))
    assert name != "uniform" or not said


# --- absent classes -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", NORMALISATIONS)
def test_what_the_policy_gives_is_said_as_it_is_scaled(how: Normalisation) -> None:
    table = counts([600, 300, 0, 100]).weights("inverse", normalize=how)
    (note,) = notes_about("Absent", table.notes)
    scaled = table["class_2"]
    expected = "'one' (" if scaled == 1 else f"'one', {scaled:.6g} after scaling ("
    assert expected in note
    assert (how in {"none", "min"}) == (scaled == 1)


# --- the scale ----------------------------------------------------------------------------------


@given(
    name=st.sampled_from(SCHEME_NAMES),
    how=st.sampled_from(NORMALISATIONS),
    pixels=st.lists(st.integers(1, 10**6), min_size=1, max_size=6),
)
def test_the_scale_is_said_where_it_changes_a_plain_mean(
    name: str, how: Normalisation, pixels: list[int]
) -> None:
    table = counts(pixels, [20] * len(pixels)).weights(name, normalize=how)
    average = sum(p * w for p, w in zip(pixels, table.weights, strict=True)) / sum(pixels)
    assert table.average_weight == pytest.approx(average)
    assume(abs(average - 0.1) > 1e-9 and abs(average - 10) > 1e-9)
    said = notes_about("plain mean", table.notes)
    assert bool(said) == (not 0.1 <= average <= 10)
    assert how != "pixel" or not said
    for note in said:
        assert "normalize='pixel' makes it weigh 1" in note


def test_one_over_n_normalised_to_1() -> None:
    table = counts([10**7, 10**5, 500]).weights("inverse", normalize="sum")
    assert table.notes[-1] == (
        "The average labelled pixel weighs 0.000148, so a plain mean of the loss (Keras) and its"
        " gradient get 6,768 times smaller: normalize='pixel' makes it weigh 1"
    )
    assert counts([10**7, 10**5, 500]).weights(normalize="pixel").average_weight == (
        pytest.approx(1)
    )


def test_clipping_after_normalisation_is_named() -> None:
    table = counts([10**7, 10**5, 500]).weights("inverse", normalize="pixel", clip=(20, 30))
    assert "clip did that, after normalize='pixel'" in table.notes[-1]
    table = counts([10**7, 10**5, 500]).weights("inverse", clip=(20, 30))
    assert table.notes[-1].endswith("normalize='pixel' makes it weigh 1 before it is clipped")


def test_pytorchs_mean_has_no_scale() -> None:
    table = counts([10**7, 10**5, 500]).weights("inverse", normalize="sum")
    assert notes_about("plain mean", replace(table, reduction="weight-normalised").notes) == []


def test_a_file_of_numbers_knows_nothing(tmp_path: Path) -> None:
    table = counts([10**7, 10**5, 500]).weights("inverse", normalize="sum")
    bare = load_weights(table.save(tmp_path / "w.json", "list"))
    assert (bare.average_weight, bare.notes) == (0, ())
    full = load_weights(table.save(tmp_path / "w.yaml"))
    assert full.notes == table.notes
