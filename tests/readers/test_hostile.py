"""Truncated, damaged and random files: a tally that keeps its promises, or a MaskError."""

from __future__ import annotations

import random
import warnings

import pytest

from maskstat.errors import MaskError
from maskstat.readers.formats import Format, read_tally
from maskstat.readers.options import ReadOptions
from tests.support.mask_files import (
    ALL,
    FILES,
    MORE_FILES,
    SAMPLED,
    same_counts,
)


def survives(data: bytes, options: ReadOptions = ALL) -> bool:
    """A tally that keeps its promises, or a MaskError: whether it was a tally."""
    reason = ""
    try:
        read_tally(data, "m", options).check()
    except MaskError as error:
        reason = str(error)
    assert reason.isprintable()
    return not reason


@pytest.mark.parametrize("warned", ["error", "ignore"])
@pytest.mark.parametrize("name", [*FILES, *MORE_FILES])
def test_truncated_files(name: str, warned: str) -> None:
    """They fail, unless all that is missing is an end mark or padding behind the pixels."""
    data = {**FILES, **MORE_FILES}[name]
    step = max(1, len(data) // 150)
    with warnings.catch_warnings():
        warnings.simplefilter(warned)
        whole = read_tally(data, "m", ALL)
        for length in (*range(0, len(data), step), *range(len(data) - 16, len(data))):
            if survives(data[:length]):
                assert same_counts(read_tally(data[:length], "m", ALL), whole), length
                assert len(data) - length < 100, length


@pytest.mark.parametrize("name", [*FILES, *MORE_FILES])
def test_damaged_files(name: str) -> None:
    data = {**FILES, **MORE_FILES}[name]
    chance = random.Random(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as users run it
        for _ in range(150):
            damaged = bytearray(data)
            for _ in range(chance.choice([1, 1, 2, 5])):
                at = chance.randrange(min(len(data), chance.choice([64, 1 << 30])))
                damaged[at] = chance.choice([0, 1, 127, 128, 255, chance.randrange(256)])
            if chance.random() < 0.2:
                at = chance.randrange(len(damaged))
                del damaged[at : at + chance.randrange(1, 9)]
            survives(bytes(damaged))


@pytest.mark.parametrize("form", SAMPLED, ids=lambda form: form.name)
def test_random_bytes_behind_a_right_beginning(form: Format) -> None:
    chance = random.Random(form.name)
    head = FILES[form.name][:12]
    for _ in range(50):
        survives(head + chance.randbytes(chance.randrange(200)))
