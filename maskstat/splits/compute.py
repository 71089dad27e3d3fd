"""From counts of masks to a split of them, or to the certificate of a split that there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from maskstat.errors import ParameterError, WeightError, argument
from maskstat.kernels.split_search import Task
from maskstat.naming import counted, printable
from maskstat.showing import cut
from maskstat.splits.certificate import certified
from maskstat.splits.features import UnitCounts, in_fixed_order, units_of
from maskstat.splits.plan import SplitPlan
from maskstat.splits.search import best_split, beyond, random_draws, targets_of
from maskstat.values.groups import MaskGroups
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray

GROUP_TOLERANCE = 0.1


def split_masks(
    ledger: MaskLedger,
    classes: Sequence[str],
    groups: MaskGroups,
    parts: Mapping[str, float],
    *,
    fixed: IntArray | None = None,
    tolerance: float | None = None,
    seed: int = 0,
    column: str = "split",
    paths: tuple[str, ...] = (),
    provenance: Mapping[str, object] | None = None,
    on_search: Callable[[int, int], None] = lambda done, of: None,
) -> SplitPlan:
    """Masks dealt to parts so that every class has its share of pixels and masks in each.

    Args:
        ledger: B masks of K classes.
        classes: names of the classes.
        groups: which masks stay together.
        parts: name and ratio of the F parts; ratios sum to 1.
        fixed: int64[B], the part of a mask that is decided, -1: it is not. A group is where its
            decided masks are.
        tolerance: the share of its target by which a part's size may miss it; None is 0 for masks
            and 0.1 for groups.
        seed: another one gives another split, about as good.
        column, paths: of the plan.
        provenance: what the plan says of where the masks are from.
        on_search: hears how many searches are done, and of how many.

    Raises:
        ParameterError: there are fewer groups than parts, or a part that no mask fits in, or a
            group has masks that are decided for two parts.
        WeightError: nothing is labelled.
    """
    ratio = np.array(list(parts.values()), np.float64)
    if not ledger.pixels.size:
        raise WeightError("no mask has a labelled pixel: there are no classes to share out")
    masks, of, rows = in_fixed_order(ledger, groups)
    unit = np.empty_like(of)
    unit[rows] = of
    counts = UnitCounts.of_ledger(ledger, unit)
    target = targets_of(len(ledger), ratio)
    _check_parts(len(counts.size), groups, parts, target)
    names = tuple(parts)
    held = np.full(len(counts.size), -1, np.int64)
    if fixed is not None:
        decided = np.flatnonzero(fixed >= 0)
        held[unit[decided]] = fixed[decided]
        torn = decided[held[unit[decided]] != fixed[decided]]
        if torn.size:
            one, other = int(held[unit[torn[0]]]), int(fixed[torn[0]])
            raise ParameterError(
                f"group {cut(groups.names[groups.of[torn[0]]])} has masks in"
                f" {printable(names[one])} and in {printable(names[other])}",
                parameter="fixed",
                remedy="a group goes into one part: decide on whole groups",
            )
    if tolerance is None:
        tolerance = 0.0 if groups.are_masks else GROUP_TOLERANCE
    slack = np.floor(tolerance * target + 1e-9).astype(np.int64)
    task = Task(ratio, target, slack, held)
    part, search, draws = best_split(units_of(masks, of, ratio), counts, task, seed, on_search)
    certificate = certified(
        *(counts, part, ratio, names, tuple(classes), held),
        draws.alike(beyond(counts, task, part)),
        search,
    )
    return SplitPlan(
        ledger.names,
        part[unit],
        certificate,
        target,
        np.maximum(np.abs(certificate.sizes - target) - slack, 0),
        float(tolerance),
        groups.rule,
        len(groups),
        column,
        paths,
        (),
        dict(provenance or {}),
    )


def certify_split(
    ledger: MaskLedger,
    classes: Sequence[str],
    groups: MaskGroups,
    parts: Sequence[str],
    part: IntArray,
    *,
    column: str = "split",
    provenance: Mapping[str, object] | None = None,
) -> SplitPlan:
    """The certificate of a split that there is; its ratios are the sizes that it has.

    Args:
        ledger, classes, groups, column, provenance: as of `split_masks`.
        parts: names of the F parts.
        part: int64[B], the part of each mask. Random splits are of the same groups; a group in
            several parts is one of each there.

    Raises:
        ParameterError: a part has no mask.
        WeightError: nothing is labelled.
    """
    if not ledger.pixels.size:
        raise WeightError("no mask has a labelled pixel: there is nothing to compare")
    sizes = np.bincount(part, minlength=len(parts))
    if not sizes.all():
        raise ParameterError(
            f"no mask is in {printable(parts[int(np.argmin(sizes))])}", parameter="parts"
        )
    pairs, unit = np.unique(groups.of * len(parts) + part, return_inverse=True)
    unit = unit.reshape(-1)
    counts = UnitCounts.of_ledger(ledger, unit)
    ratio = sizes / sizes.sum()
    free = np.full(len(counts.size), -1, np.int64)
    task = Task(ratio, sizes, np.zeros_like(sizes), free)
    draws = random_draws(counts, task, 0)
    own = (pairs % len(parts)).astype(np.int64)
    names = tuple(parts)
    certificate = certified(
        counts, own, ratio, names, tuple(classes), free, (draws.js, draws.share), "given"
    )
    of_group = pairs // len(parts)
    torn = np.unique(of_group[1:][np.diff(of_group) == 0])
    return SplitPlan(
        ledger.names,
        part,
        certificate,
        sizes,
        np.zeros_like(sizes),
        0.0,
        groups.rule,
        len(groups),
        column,
        (),
        tuple(groups.names[group] for group in torn.tolist()),
        dict(provenance or {}),
    )


def _check_parts(
    units: int, groups: MaskGroups, parts: Mapping[str, float], target: IntArray
) -> None:
    """Raise ParameterError where parts can't all have something, with the nearest that can."""
    noun = "mask" if groups.are_masks else "group"
    folds = len(set(parts.values())) == 1
    parameter = "folds" if folds else "ratios"
    if units < len(parts):
        fewer = argument("folds", units) if units > 1 else None
        by_mask = None if groups.are_masks else argument("group_by", "mask")
        finer = by_mask and f"a finer rule of groups ({by_mask} keeps nothing together)"
        raise ParameterError(
            f"{counted(units, noun)} can't fill {len(parts)} parts, since a {noun} goes into one",
            parameter=parameter,
            remedy="; or ".join(filter(None, (fewer, finer))) or "add masks",
        )
    if not target.all():
        empty = list(parts)[int(np.argmin(target))]
        least = 1 / int(target.sum())
        raise ParameterError(
            f"{printable(empty)} would have none of {counted(int(target.sum()), 'mask')}",
            parameter=parameter,
            remedy=f"give it {least:.3g} or more" if not folds else "make fewer parts",
        )
