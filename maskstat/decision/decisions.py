"""`Decision`: a stream of predictions and labels, and what another decision than argmax gains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from maskstat.decision.ascent import Logits
from maskstat.decision.choices import MEASURES, Measure
from maskstat.decision.decision_report import DecisionReport, report_of
from maskstat.decision.families import Training, families_for
from maskstat.decision.judging import Choices, all_outcomes, choose, sampled_outcomes
from maskstat.decision.layout import pixels_of_image
from maskstat.decision.measures import DecisionCounts, FloatArray
from maskstat.decision.reservoir import Reservoir
from maskstat.errors import ParameterError
from maskstat.naming import counted, natural_key, printable
from maskstat.parameters import check_word, several
from maskstat.showing import cut, one_line
from maskstat.training.loss_arguments import IgnoreIndex
from maskstat.values.tally import IntArray

Scores = Literal["logits", "probabilities"]


class Decision:
    """Whether another decision than argmax helps this network, and would it on other groups?

        decision = Decision(names, measure="iou")
        for _ in decision.passes():
            for logits, labels, video in validation:
                decision.update(logits, labels, group=video)
        print(decision.report())

    The first pass keeps a sample of pixels, from which shifts are chosen with and without each
    group; the second counts exactly what each of them decides. Memory does not grow with the
    pixels. Nothing depends on the order of the images.

    Args:
        classes: names of the K classes, or their number.
        measure: what counts: "iou", "image-iou" or "recall" (`DecisionCounts.score`).
        scores: "logits", in nats, or "probabilities", which become logits by ln.
        ignore_index: labels of pixels that do not count, one or several.
        prior: float64[K], class frequencies in training; without, those of the labels here.
        weights: float64[K], class weights the network was trained with, where it was.
        rule: what makes groups, in a word: it is kept in what is written.

    Raises:
        ParameterError: another number of priors or weights than of classes, or such as are none.
    """

    def __init__(
        self,
        classes: str | Iterable[str] | int,
        *,
        measure: Measure = "iou",
        scores: Scores = "logits",
        ignore_index: IgnoreIndex = None,
        prior: npt.ArrayLike | None = None,
        weights: npt.ArrayLike | None = None,
        rule: str = "given",
    ) -> None:
        names = [f"class_{k}" for k in range(classes)] if isinstance(classes, int) else classes
        self.classes: tuple[str, ...] = tuple(several(names))
        if len(self.classes) < 2:
            raise ParameterError("there must be at least 2 classes", parameter="classes")
        self.measure = check_word(measure, MEASURES, parameter="measure")
        self.scores = check_word(scores, get_args(Scores), parameter="scores")
        self.ignore_index = ignore_index
        self.rule = rule
        self._prior = None if prior is None else self._vector(prior, "prior")
        self._weights = None if weights is None else self._vector(weights, "weights")
        self._sample = Reservoir(len(self.classes))
        self._groups: dict[str, int] = {}
        self._images: dict[str, int] = {}  # the place of each
        self._choices: Choices | None = None
        self._judged: dict[int, list[DecisionCounts]] = {}
        self._unnamed = 0

    def __repr__(self) -> str:
        return one_line(
            self,
            self.measure,
            counted(len(self.classes), "class"),
            counted(len(self._images), "image"),
            counted(len(self._groups), "group"),
        )

    def passes(self, on_fit: Callable[[int, int], None] | None = None) -> Iterator[int]:
        """0 and 1: what the data are gone through for twice, with `choose` between."""
        yield 0
        self.choose(on_fit)
        yield 1

    def update(
        self,
        scores: Any,
        labels: Any,
        *,
        group: int | str | Iterable[str | int],
        name: str | Iterable[str] | None = None,
    ) -> None:
        """Take an image or a batch: in the first pass, or again in the second.

        Args:
            scores: float[K, H, W], [H, W, K] or [K, N] of an image, float[B, ...] of a batch; of
                NumPy, PyTorch, TensorFlow or Keras.
            labels: int[H, W] or [N] of an image, int[B, H, W] of a batch; classes 0 to K - 1.
            group: what each image belongs to: a video, a patient, a scene.
            name: of each image; without, they are numbered as they come.

        Raises:
            ParameterError: shapes that do not fit, numbers that are not finite, labels of no class,
                a name that was there before, or another image than the first pass had.
        """
        if isinstance(group, (str, int)):
            (only,) = (None,) if name is None else several(name)
            self._take(scores, labels, str(group), only)
            return
        groups = [str(one) for one in group]
        names = [None] * len(groups) if name is None else list(several(name))
        if not len(groups) == len(names) == len(scores) == len(labels):
            raise ParameterError(
                f"{len(groups)} groups and {len(names)} names do not fit {len(scores)} images",
                parameter="group",
            )
        for one in zip(scores, labels, groups, names, strict=True):
            self._take(*one)

    def choose(self, on_fit: Callable[[int, int], None] | None = None) -> None:
        """End the first pass: choose shifts of every family, with and without every group.

        Args:
            on_fit: is told before each of the n fits, which of them it is, from 1 on, and n.

        Raises:
            ParameterError: no labelled pixel was seen.
        """
        if not self._images or not self._sample.seen.any():
            raise ParameterError("no labelled pixel was seen")
        names = sorted(self._groups, key=natural_key)
        numbers = {name: number for number, name in enumerate(names)}
        self._sample.number_groups(np.array([numbers[name] for name in self._groups]))
        self._groups = numbers
        prior = self._sample.seen.sum(0) if self._prior is None else self._prior
        training = Training(prior / prior.sum(), self._weights)
        families = families_for(self.measure, training)
        self._choices = choose(self._sample, families, self.measure, training, on_fit)
        self._unnamed = 0

    def report(self) -> DecisionReport:
        """What each decision gains.

        Of the sample only (`DecisionReport.exact`), where there was no second pass.

        Raises:
            ParameterError: no labelled pixel was seen, or a second pass that ended too soon.
        """
        if self._choices is None:
            self.choose()
        assert self._choices is not None
        if self._judged and len(self._judged) < len(self._images):
            raise ParameterError(
                f"the second pass had {len(self._judged):,} of"
                f" {counted(len(self._images), 'image')}",
                remedy="go through all of them twice",
            )
        exact = bool(self._judged)
        if exact:
            places = [self._images[name] for name in sorted(self._images)]
            groups = self._sample.groups[places]
            of = [
                DecisionCounts.joined(list(d))
                for d in zip(*(self._judged[p] for p in places), strict=True)
            ]
        else:
            of, groups = sampled_outcomes(self._sample, self._choices)
        return report_of(
            of,
            groups,
            list(self._groups),
            self._choices,
            classes=self.classes,
            measure=self.measure,
            rule=self.rule,
            exact=exact,
            digest=self._sample.digest(self._images),
        )

    def _take(self, scores: Any, labels: Any, group: str, name: str | None) -> None:
        if name is None:
            name = f"image {self._unnamed}"
            self._unnamed += 1
        where = cut(printable(name))
        try:
            logits, truth = pixels_of_image(
                scores,
                labels,
                len(self.classes),
                probabilities=self.scores == "probabilities",
                ignore_index=self.ignore_index,
            )
        except ParameterError as error:
            raise ParameterError(error.problem, where=where, remedy=error.remedy) from error
        if self._choices is None:
            self._see(name, logits, truth, group, where)
        else:
            self._judge(name, logits, truth, group, where)

    def _see(self, name: str, logits: Logits, truth: IntArray, group: str, where: str) -> None:
        if name in self._images:
            raise ParameterError(
                "came twice in the first pass", where=where, remedy="call choose() between passes"
            )
        self._images[name] = len(self._images)
        number = self._groups.setdefault(group, len(self._groups))
        self._sample.add(name, logits, truth, number)

    def _judge(self, name: str, logits: Logits, truth: IntArray, group: str, where: str) -> None:
        assert self._choices is not None
        place = self._images.get(name)
        seen = np.bincount(truth, minlength=len(self.classes))
        if (
            place is None
            or place in self._judged
            or self._groups.get(group) != self._sample.group(place)
            or not np.array_equal(seen, self._sample.labelled(place))
        ):
            raise ParameterError(
                "the second pass is not the first one again: another image, group or labels",
                where=where,
            )
        shifts = self._choices.shifts_for(self._groups[group])
        self._judged[place] = all_outcomes(logits, truth, shifts)

    def _vector(self, given: npt.ArrayLike, parameter: str) -> FloatArray:
        values = np.array(given, np.float64)
        fits = values.shape == (len(self.classes),)
        if not fits or not np.isfinite(values).all() or (values < 0).any() or not values.any():
            raise ParameterError(
                f"is one number of at least 0 for each of {len(self.classes)} classes",
                parameter=parameter,
            )
        return values
