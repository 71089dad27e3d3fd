"""What a comparison of two splits comes to, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from maskstat.errors import argument
from maskstat.naming import counted, percent, printable
from maskstat.statistics.distances import FloatArray, jensen_shannon_distance
from maskstat.statistics.random_splits import (
    SIGNIFICANT,
    RandomSplits,
    Split,
    shared_groups,
)
from maskstat.values.groups import MaskGroups

_NAMED = 5
_FEW = 10  # masks that have a class, of which more is said than of its pixels


def words_of_p(p_value: float) -> str:
    """ "p 0.03", with so many digits as it can have."""
    return "p < 0.0001" if p_value < 1e-4 else f"p {p_value:.2g}"


def verdict(
    first: Split,
    second: Split,
    *,
    missing: Sequence[int],
    leakage: int,
    js_shares: FloatArray,
    chance: RandomSplits,
    suggested: tuple[MaskGroups, MaskGroups] | None,
) -> Iterator[str]:
    """A few sentences; texts for `errors.spelled`.

    Args:
        first, second: the splits, training first.
        missing: classes that occur in one of them only.
        leakage: masks of the second that are also in the first.
        js_shares: what each class adds to the divergence of their frequencies.
        chance: where they stand among random splits.
        suggested: groups that the names of the masks suggest, where nobody said any.
    """
    one, other = printable(first.name), printable(second.name)
    names = first.histogram.catalog.names
    if leakage:
        also = "is" if leakage == 1 else "are"
        yield f"{counted(leakage, 'mask')} of {other} {also} in {one} too, pixel for pixel."
    if chance.shared:
        groups = f"{counted(len(chance.shared), 'group')} ({_listed(chance.shared)})"
        yield (
            f"{groups} {'is' if len(chance.shared) == 1 else 'are'} in both, so {other} is no test"
            " of groups that training did not see."
        )
    significant = np.flatnonzero(chance.frequency.differs | chance.presence.differs).tolist()
    differs = sorted(significant, key=lambda k: -js_shares[k])
    found = list(_found(first, second, differs, chance))
    than = f"than random splits of these {chance.noun}s do"
    if found:
        yield (
            f"{other} differs from {one} in {' and '.join(found)}, more {than}"
            f" ({words_of_p(chance.p_value)})."
        )
    elif chance.least_adjusted > SIGNIFICANT:
        yield _too_few(first, second, chance)
    else:
        yield f"{other} differs from {one} no more {than} ({words_of_p(chance.p_value)})."
    left = [k for k in missing if k not in differs]
    for split, lacking in ((first, other), (second, one)):
        gone = [k for k in left if split.histogram.present[k]]
        if gone:
            most = max(int(split.histogram.masks[k]) for k in gone)
            held = f"in {counted(most, 'mask')} of {printable(split.name)}"
            many = len(gone) > 1
            usual = chance.metrics["missing"].p_value > SIGNIFICANT
            explained = usual and chance.least_adjusted <= SIGNIFICANT
            yield (
                f"{_listed([names[k] for k in gone])} ({held}{' at most' if many else ''})"
                f" {'are' if many else 'is'} missing in {lacking}"
                f"{', which chance alone would explain' if explained else ''}."
            )
    if chance.by_mask is not None and not found and chance.by_mask.p_value <= SIGNIFICANT:
        yield (
            f"By mask one would have thought otherwise: 95% of random splits of masks have a js of"
            f" {chance.by_mask.usual:.3f} at most, this one has"
            f" {jensen_shannon_distance(js_shares):.3f}; but masks of a group are alike."
        )
    if suggested is not None:
        yield _suggestion(*suggested)
    elif chance.by_mask is None and found:
        yield (
            "Frames of one video, or slices of one patient, are alike: where masks come in such"
            f" groups, only {argument('group_by')} makes this a fair comparison."
        )


def _suggestion(first: MaskGroups, second: MaskGroups) -> str:
    count = len({*first.names, *second.names})
    option = argument("group_by", first.rule)
    text = f"Names look like frames of {counted(count, 'sequence')}"
    if shared := shared_groups(first, second):
        verb = "is" if len(shared) == 1 else "are"
        text += f", of which {_listed(shared)} {verb} in both"
    return f"{text}: with {option} the comparison is a fair one."


def _found(
    first: Split, second: Split, differs: Sequence[int], chance: RandomSplits
) -> Iterator[str]:
    """What is significantly different."""
    names = first.histogram.catalog.names
    sizes = chance.resolution_adjusted <= SIGNIFICANT
    if len(differs) == 1 and len(names) > 1:
        k = differs[0]
        few = min(int(split.histogram.masks[k]) for split in (first, second)) < _FEW
        if few or chance.presence.differs[k]:
            held = " and ".join(
                f"{int(split.histogram.masks[k]):,} of {split.histogram.mask_count:,} masks of"
                f" {printable(split.name)}"
                for split in (first, second)
            )
            held = f"in {held}"
        else:
            held = " and ".join(
                f"{percent(float(split.histogram.frequency[k]))} of {printable(split.name)}"
                for split in (first, second)
            )
        yield f"{'' if sizes else 'nothing but '}{printable(names[k])} ({held})"
    elif differs:
        many = f"{len(differs):,} of {len(names):,} classes"
        yield f"{many} ({_listed([names[k] for k in differs])})"
    elif chance.js_adjusted <= SIGNIFICANT:
        yield "its mix of classes, though in no single one"
    if sizes:
        yield "the sizes of its masks"


def _too_few(first: Split, second: Split, chance: RandomSplits) -> str:
    if not chance.exact:
        return (
            f"{chance.count:,} random splits are too few to tell whether any of"
            f" {counted(chance.tests, 'test')} differs."
        )
    sides = " and ".join(
        f"{counted(count, chance.noun)} of {printable(split.name)}"
        for count, split in zip(chance.groups, (first, second), strict=True)
    )
    if chance.count == 1:
        return f"Too few groups to tell: {sides} can't be dealt out otherwise."
    return (
        f"Too few {chance.noun}s to tell: {sides} can be dealt out in {chance.count:,} ways, so p"
        f" is {chance.least_p:.2g} at least"
        + (
            f", and {chance.least_adjusted:.2g} for {counted(chance.tests, 'test')}."
            if chance.least_p <= SIGNIFICANT
            else "."
        )
    )


def _listed(names: Sequence[str]) -> str:
    shown = [printable(name) for name in names[:_NAMED]]
    if len(names) > _NAMED:
        return f"{', '.join(shown)} and {len(names) - _NAMED:,} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]
