"""`DecisionReport`: what every family gains on groups it has not seen, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskstat.decision.choices import Measure
from maskstat.decision.families import NONE, DecisionFamily
from maskstat.decision.judging import LEAST_GROUPS, Choices, Gain, gain
from maskstat.decision.measures import DecisionCounts, FloatArray
from maskstat.frames import data_frame
from maskstat.naming import counted
from maskstat.showing import cut, one_line
from maskstat.training.shifts import Shifts
from maskstat.values.tally import IntArray

FORMAT = "maskstat decision"
SCHEMA = 1


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One family of decisions, judged.

    Attributes:
        family: its name.
        shifts: float64[K], nats, chosen on all groups: what would be used.
        gain: of the measure over argmax, each group judged by shifts chosen without it; NaN, as all
            that is held out, where there is one group only.
        in_sample: gain on the groups it was chosen on, which is optimistic.
        worst_group: the group that gains least, and what it gains.
        accuracy, balanced_accuracy: held-out changes of these.
        iou: float64[K], held-out change of the IoU of each class; NaN of absent ones.
    """

    family: str
    shifts: FloatArray
    gain: Gain
    in_sample: float
    worst_group: tuple[str, float]
    accuracy: float
    balanced_accuracy: float
    iou: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class DecisionReport:
    """Whether another decision than argmax helps, as the groups say.

    Attributes:
        classes: names of the K classes.
        measure: what counts.
        rule: what makes groups.
        groups: names of the G groups.
        images: how many images.
        argmax: the measure with argmax.
        accuracy, balanced_accuracy: with argmax.
        iou: float64[K] with argmax; NaN of classes that are absent.
        families: judged, simplest first.
        procedure: gain of choosing among the families, judged on groups without a part in that;
            None where there are too few groups to tell.
        recommended: name of a family, "none" for argmax, or None where there are too few groups.
        exact: whether a second pass counted every pixel; else it is a sample's.
        digest: of the predictions, 16 hexadecimal digits.
        left_out: masks without predictions.
    """

    classes: tuple[str, ...]
    measure: Measure
    rule: str
    groups: tuple[str, ...]
    images: int
    argmax: float
    accuracy: float
    balanced_accuracy: float
    iou: FloatArray
    families: tuple[Judged, ...]
    procedure: Gain | None
    recommended: str | None
    exact: bool
    digest: str
    left_out: int = 0

    def __repr__(self) -> str:
        return one_line(
            self,
            self.measure,
            counted(len(self.groups), "group"),
            f"argmax {self.argmax:.3f}",
            f"recommended: {cut(str(self.recommended), 20)}",
        )

    def shifts(self, family: str | None = None) -> Shifts:
        """Shifts to use: of the recommended family, or of one by name.

        Raises:
            KeyError: a family that was not judged.
            ValueError: none is recommended, and none is named.
        """
        name = self.recommended if family is None else family
        if name in (None, NONE):
            raise ValueError("nothing is recommended but argmax")
        found = {one.family: one for one in self.families}[str(name)]
        return Shifts(
            self.classes,
            found.shifts,
            {
                "family": found.family,
                "measure": self.measure,
                "groups": {"rule": self.rule, "count": len(self.groups)},
                "gain": _interval(found.gain),
                "recommended": name == self.recommended,
                "predictions": self.digest,
            },
        )

    def to_document(self) -> dict[str, Any]:
        """What `maskstat decide --json` prints; numbers that are not defined are null."""
        return {
            "format": FORMAT,
            "schema": SCHEMA,
            "measure": self.measure,
            "groups": {"rule": self.rule, "count": len(self.groups), "least": LEAST_GROUPS},
            "images": self.images,
            "without_predictions": self.left_out,
            "exact": self.exact,
            "predictions": self.digest,
            "argmax": {
                "score": _number(self.argmax),
                "accuracy": _number(self.accuracy),
                "balanced_accuracy": _number(self.balanced_accuracy),
                "iou": dict(zip(self.classes, map(_number, self.iou.tolist()), strict=True)),
            },
            "families": [
                {
                    "family": one.family,
                    "gain": _interval(one.gain),
                    "in_sample_gain": _number(one.in_sample),
                    "worst_group": {
                        "name": one.worst_group[0],
                        "gain": _number(one.worst_group[1]),
                    },
                    "accuracy": _number(one.accuracy),
                    "balanced_accuracy": _number(one.balanced_accuracy),
                    "iou": dict(zip(self.classes, map(_number, one.iou.tolist()), strict=True)),
                    "shifts": dict(zip(self.classes, one.shifts.tolist(), strict=True)),
                }
                for one in self.families
            ],
            "choosing_among_them": None if self.procedure is None else _interval(self.procedure),
            "recommended": self.recommended,
        }

    def to_pandas(self) -> Any:
        """A row a family. Raises MissingExtraError where pandas is not installed."""
        columns: Mapping[str, Sequence[object]] = {
            "gain": [one.gain.value for one in self.families],
            "lower": [one.gain.lower for one in self.families],
            "upper": [one.gain.upper for one in self.families],
            "in_sample_gain": [one.in_sample for one in self.families],
            "worst_group": [one.worst_group[1] for one in self.families],
            "accuracy": [one.accuracy for one in self.families],
            "balanced_accuracy": [one.balanced_accuracy for one in self.families],
        }
        return data_frame(columns, {"family": [one.family for one in self.families]})


def report_of(
    of: Sequence[DecisionCounts],
    groups: IntArray,
    names: Sequence[str],
    choices: Choices,
    *,
    classes: tuple[str, ...],
    measure: Measure,
    rule: str,
    exact: bool,
    digest: str,
) -> DecisionReport:
    """The report of what each decision made of each image.

    Args:
        of: what each decision made of B images, in the order of `Choices.shifts_for`.
        groups: int64[B] in 0..G-1.
        names: of the G groups.
    """
    count = len(choices.families)
    plain, held_out, nested, in_sample = of[0], of[1 : count + 1], of[count + 1], of[count + 2 :]
    families = tuple(
        _judged(
            family, choices.all_groups[j], plain, held_out[j], in_sample[j], groups, names, measure
        )
        for j, family in enumerate(choices.families)
    )
    procedure = None
    recommended = None
    if len(names) >= LEAST_GROUPS:
        if len(names) > LEAST_GROUPS:
            procedure = gain(plain, nested, groups, len(names), measure)
        sure = [one.family for one in families if one.gain.is_sure]
        helps = procedure is None or procedure.is_sure
        recommended = sure[0] if sure and helps else NONE
    return DecisionReport(
        classes,
        measure,
        rule,
        tuple(names),
        groups.size,
        plain.score(measure),
        plain.accuracy(),
        float(np.nanmean(plain.recall())) if plain.labelled.any() else float("nan"),
        plain.iou(),
        families,
        procedure,
        recommended,
        exact,
        digest,
    )


def _judged(
    family: DecisionFamily,
    shifts: FloatArray,
    plain: DecisionCounts,
    held_out: DecisionCounts,
    in_sample: DecisionCounts,
    groups: IntArray,
    names: Sequence[str],
    measure: Measure,
) -> Judged:
    if len(names) < 2:  # nothing was chosen on others
        nothing = np.full_like(held_out.labelled, np.nan, np.float64)
        held_out = DecisionCounts(held_out.labelled, nothing, nothing)
    by_group = [
        held_out.chosen(groups == g).score(measure) - plain.chosen(groups == g).score(measure)
        for g in range(len(names))
    ]
    worst = int(np.nanargmin(by_group)) if np.isfinite(by_group).any() else 0
    return Judged(
        family.name,
        shifts,
        gain(plain, held_out, groups, len(names), measure),
        in_sample.score(measure) - plain.score(measure),
        (names[worst], by_group[worst]),
        held_out.accuracy() - plain.accuracy(),
        held_out.score("recall") - plain.score("recall"),
        held_out.iou() - plain.iou(),
    )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _interval(found: Gain) -> dict[str, float | None]:
    return {
        "value": _number(found.value),
        "lower": _number(found.lower),
        "upper": _number(found.upper),
    }
