"""Values that can be read in two ways: what to say so that the user can tell which is meant."""

from __future__ import annotations

from collections.abc import Sequence

from maskstat.errors import Blank, argument
from maskstat.naming import percent
from maskstat.values.catalog import DEFAULT_IGNORE

_IN_FILE = f"{argument('classes')} with a file that"


def readings_of_255() -> str:
    """What 255 can be where it is ignored by default and a declared class has no pixel."""
    return (
        f"{argument('ignore', DEFAULT_IGNORE)} where 255 is void; {_IN_FILE} gives its class"
        f" 'values: [{DEFAULT_IGNORE}]' where it is one"
    )


def reading_of_ignored_0() -> str:
    """What it can mean that 0 is ignored, which is class 0 of classes that are in order."""
    return (
        f"{argument('reduce_zero_label', True)} where labels begin at 1: as it is, class k is the"
        " value k, and class 0 has none"
    )


def readings_of_no_channel(pixels: int, total: int) -> str:
    """What a pixel in no channel of a one-hot stack can be: nobody named it.

    Args:
        pixels: how many there are.
        total: how many pixels there are at all.
    """
    return (
        f"-1 is a pixel that is in no channel: where it is background, {argument('classes')} with a"
        " file that lists it ('name: background, value: -1');"
        f" {argument('ignore', [-1])} drops {percent(pixels / total)} of the pixels"
    )


CHANNELS_UNLISTED = (
    f"channels are numbered from 0: {argument('ignore', Blank('K'))} leaves out the pixels of"
    f" channel K, {_IN_FILE} lists it counts it"
)
"""What channels can be that are neither labels nor ignored."""


def channels_lack(class_values: Sequence[Sequence[int]], fewest: int, most: int) -> str | None:
    """What is wrong where masks lack the channel of a label; None where none does.

    Args:
        class_values: numbers of the channels of each label.
        fewest, most: how many channels masks have.
    """
    highest = max((value for values in class_values for value in values), default=-1)
    if highest < fewest:
        return None
    have = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    return (
        f"Masks have {have} channels, and a label is in channel {highest}, counted from 0: where"
        " its channel lacks, nobody knows of a label"
    )


def begin_at_one(class_values: Sequence[Sequence[int]], unlisted: Sequence[int | str]) -> bool:
    """Whether labels may begin at 1, 0 being void: of K classes 0..K-1 just the value K is left."""
    count = len(class_values)
    return (
        list(unlisted) == [count]
        and list(class_values[0]) in ([], [0])
        and all(list(values) == [k] for k, values in enumerate(class_values[1:], 1))
    )


def readings_of_unlisted(
    class_values: Sequence[Sequence[int]], unlisted: Sequence[int | str], *, numbered: bool
) -> str:
    """What values can be that are neither classes nor ignored, and how to say it.

    Args:
        class_values: raw values of each of the K classes; of one that is ignored none.
        unlisted: the values; colours as "#rrggbb".
        numbered: whether just the number of classes was declared.
    """
    count = len(class_values)
    shift = argument("reduce_zero_label", True)
    if begin_at_one(class_values, unlisted):
        if not class_values[0]:
            return f"{shift}, since 0 is ignored and labels begin at 1"
        more = f"; {argument('classes', count + 1)} where there are {count + 1} classes"
        return (
            f"{argument('ignore', [count])} where {count} is void; {shift} where 0 is void and"
            f" labels begin at 1{more if numbered else ''}"
        )
    void = argument("ignore", list(unlisted))
    largest = max((v for v in unlisted if isinstance(v, int)), default=-1)
    plain = all(isinstance(v, int) and v >= 0 for v in unlisted) and largest < DEFAULT_IGNORE
    number = argument("classes", largest + 1) if numbered and plain else None
    if len(unlisted) == 1:
        return f"{void} where it is void; {number or f'{_IN_FILE} lists it'} where it is a class"
    declared = number or f"{_IN_FILE} lists them"
    return f"{void} where they are void; {declared} where they are classes"
