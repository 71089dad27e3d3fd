"""What to know of weights before training with them, in a line each: texts for `errors.spelled`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from maskstat.errors import argument
from maskstat.naming import counted, percent, printable
from maskstat.showing import cut
from maskstat.values.readings import reading_of_ignored_0, readings_of_255

if TYPE_CHECKING:
    from maskstat.weights.table import WeightTable

FEW_MASKS = 10
FEW_PIXELS = 1e-4  # of the labelled ones
HEAVY = 10.0  # times what the average pixel weighs
VERY_HEAVY = 1000.0
LIGHTEST_AVERAGE, HEAVIEST_AVERAGE = 0.1, 10.0
SAMPLED = "sampled_masks"  # the key of a table's provenance that says so
_MILD = frozenset({"sqrt", "power", "enet", "log", "effective-number"})
UNSURE = 1.25  # a weight that may as well be so many times larger or smaller
_SHOWN_UNSURE = 3
_SHOWN_NAMES = 12
_SHOWN_MORE = 3


def notes_of(table: WeightTable) -> Iterator[str]:
    """What became of absent classes, who weighs more than its pixels carry, and the scale."""
    if table.negatives is not None:
        yield from _of_labels(table)
        return
    if table.provenance.get("measure") == "volume":
        yield "Shares are of volume, as of masks that are resampled to one spacing"
    if table.absent:
        yield _absent(table)
    few = _overweight(table)
    if few:
        yield _carried_by_few(table, few)
    if isinstance(sampled := table.provenance.get(SAMPLED), Mapping):
        yield from _sampled(sampled)
    average = table.average_weight
    linear = table.reduction != "weight-normalised"  # the other mean does not see the scale
    if linear and average > 0 and not LIGHTEST_AVERAGE <= average <= HEAVIEST_AVERAGE:
        yield _off_scale(table, average)


def _of_labels(table: WeightTable) -> Iterator[str]:
    """What they are for, what became of labels of one side, and which few pixels carry."""
    yield (
        "They are pos_weight of binary cross entropy with a plain mean, label by label:"
        " BCEWithLogitsLoss(pos_weight=...)"
    )
    if table.absent:
        listed = list(map(str, table.absent.get("classes") or ()))  # type: ignore[call-overload]
        yield (
            f"Labels without a positive or without a negative pixel got the pos_weight of the"
            f" policy '{table.absent.get('policy')}' ({argument('absent')} changes that):"
            f" {_listed(listed, _SHOWN_NAMES)}"
        )
    few = table.frequency < FEW_PIXELS
    if table.masks is not None:
        few |= table.masks < FEW_MASKS
    chosen = few & (table.weights >= HEAVY) & (table.pixels > 0)
    order = [int(k) for k in np.argsort(-table.weights, kind="stable") if chosen[k]]
    if order:
        first = order[0]
        also = f"; so have {len(order) - 1} more" if len(order) > 1 else ""
        yield (
            f"{printable(table.names[first])} has pos_weight {_short(float(table.weights[first]))}"
            f" from {counted(int(table.pixels[first]), 'pixel')}{also}:"
            f" {argument('clip')} bounds it"
        )


def unsure_of(table: WeightTable) -> Iterator[str]:
    """What is not known: 95% intervals of the least sure weights; nothing where all are sure."""
    bars = table.intervals
    if table.negatives is not None:
        yield "How sure the weights are is not worked out for labels"
        return
    if bars is None or not bars.method.startswith("linear") or bars.group_count < 2:
        yield f"How sure the weights are is unknown: {_unknowable(table)}"
        return
    occurs = table.pixels > 0
    alone = [int(k) for k in np.flatnonzero(occurs & ~bars.known)]
    width = np.where(bars.known, bars.upper, 1.0) / np.where(bars.known, bars.lower, 1.0)
    order = np.argsort(-width, kind="stable")
    wide = [int(k) for k in order if width[k] >= UNSURE**2]
    if not alone and not wide:
        return
    shown = wide[: _SHOWN_UNSURE - bool(alone)]
    of = f" of {len(wide):,} unsure weights" if len(wide) > len(shown) else " weights"
    by = "" if bars.unit == "mask" else f" by {cut(repr(bars.rule))}"
    yield f"Least sure{of}, with 95% intervals from {counted(bars.group_count, bars.unit)}{by}:"
    if alone:
        names = _listed([table.names[k] for k in alone], _SHOWN_MORE)
        yield f"  {names}: in one {bars.unit} only, so nobody knows"
    for k in shown:
        interval = f"{_short(bars.lower[k])} to {_short(bars.upper[k])}"
        weight = _short(float(table.weights[k]))
        yield f"  {cut(table.names[k])} {weight} ({interval}): {bars.seen_in(k)}"


def _short(weight: float) -> str:
    """Three digits; large ones in full."""
    return f"{float(f'{weight:.3g}'):,.0f}" if 1000 <= weight < 1e9 else f"{weight:.3g}"


def _unknowable(table: WeightTable) -> str:
    bars, recipe = table.intervals, table.provenance.get("recipe")
    if bars is None and isinstance(recipe, Mapping) and "draws" in recipe:
        return "crops are drawn by class, and how shares then vary with the masks is not worked out"
    if bars is None:
        return "counts were given, no masks"
    if bars.group_count < 2:
        return f"there is one {bars.unit} only"
    return bars.method.removeprefix("unknown: ")


def _absent(table: WeightTable) -> str:
    policy, names = table.absent.get("policy"), table.absent.get("classes")
    listed = list(map(str, names)) if isinstance(names, (list, tuple)) else []
    known = [table[name] for name in listed if name in table]
    scaled = policy == "one" and bool(known) and known[0] != 1
    after = f", {known[0]:.6g} after scaling" if scaled else ""
    return (
        f"Absent classes got the weight of the policy '{policy}'{after}"
        f" ({argument('absent')} changes that): {_listed(listed, _SHOWN_NAMES)}{_void(table)}"
    )


def _void(table: WeightTable) -> str:
    """That labels may begin at 1, or 255 be one of the absent classes."""
    zero = f"; {reading_of_ignored_0()}" if table.absent.get("ignored_0") else ""
    pixels = table.absent.get("ignored_255")
    if not isinstance(pixels, int):
        return zero
    return f"{zero}; {counted(pixels, 'pixel')} of 255 are ignored by default: {readings_of_255()}"


def _overweight(table: WeightTable) -> list[int]:
    """Classes with a share of the loss like others', but few pixels or masks; heaviest first."""
    frequency, mass = table.frequency, table.mass
    occur = max(1, int(np.count_nonzero(table.pixels)))
    factor = np.divide(mass, frequency, out=np.zeros_like(mass), where=frequency > 0)
    few = (frequency < FEW_PIXELS) | (factor >= VERY_HEAVY)
    if table.masks is not None:
        few |= table.masks < FEW_MASKS
    said = few & (factor >= HEAVY) & (mass >= 0.5 / occur)
    return [int(k) for k in np.argsort(-factor, kind="stable") if said[k]]


def _carried_by_few(table: WeightTable, few: list[int]) -> str:
    first, others = few[0], [table.names[k] for k in few[1:]]
    share, frequency = float(table.mass[first]), float(table.frequency[first])
    whole = str(table.provenance.get("measure", "pixels"))
    pixels = (
        f"{percent(frequency)} of the {whole}"
        if table.unit == "shares"
        else counted(int(table.pixels[first]), "pixel")
    )
    unit = str(table.provenance.get("row", "mask"))
    masks = "" if table.masks is None else f" in {counted(int(table.masks[first]), unit)}"
    masks += " of an epoch" if unit == "crop" else ""
    also = f"; so do {len(others)} more ({_listed(others, _SHOWN_MORE)})" if others else ""
    milder = "" if table.scheme in _MILD else f"{argument('scheme', 'sqrt')} is milder, "
    return (
        f"{printable(table.names[first])} takes {percent(share)} of the loss,"
        f" {share / frequency:,.0f} times its share of the {whole}, from {pixels}{masks}{also}:"
        f" {milder}{argument('clip')} bounds weights"
    )


def _sampled(sampled: Mapping[str, object]) -> Iterator[str]:
    """That a sample of the masks stands for all, and how sure that is."""
    of, masks, error = (sampled.get(key) for key in ("of", "masks", "standard_error"))
    if not (isinstance(of, int) and isinstance(masks, int)):
        return
    known = f"at most {percent(error)}" if isinstance(error, float) else "unknown"
    yield (
        f"{of:,} masks are more than are held at once: {masks:,} stand for them, all of rare"
        f" classes among them; standard error of the weights from that: {known}"
    )


def _off_scale(table: WeightTable, average: float) -> str:
    factor, how = (average, "larger") if average > 1 else (1 / average, "smaller")
    times = f"{factor:,.0f} times {how}"
    if table.normalisation == "pixel":
        remedy = f"{argument('clip')} did that, after {argument('normalize', 'pixel')}"
    else:
        before = " before it is clipped" if table.clip else ""
        remedy = f"{argument('normalize', 'pixel')} makes it weigh 1{before}"
    return (
        f"The average labelled pixel weighs {average:.3g}, so a plain mean of the loss (Keras) and"
        f" its gradient get {times}: {remedy}"
    )


def _listed(names: list[str], most: int) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(printable, names[:most])) + more
