"""The rules of `Scan.recommend`, as data: when each applies, what it says, why, and who measured.

This is the one place of them: the command, its `--why`, docs/recommending.md and the tests read
`RULES`. What a rule says holds numbers of the data set at hand; what was measured elsewhere is in
its reason. Of the rules of the part "verdict" exactly one applies to every situation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from maskstat.advice.prices import DAMPINGS
from maskstat.advice.situation import FEWEST, Situation
from maskstat.errors import Blank, argument, call
from maskstat.naming import counted, factor, percent
from maskstat.showing import cut, one_line

Part = Literal["verdict", "weights", "else", "training", "after"]
PARTS: tuple[Part, ...] = get_args(Part)

MEASURED = {"iou": "mean IoU", "recall": "balanced accuracy", "accuracy": "pixel accuracy"}
HUGE = 1000.0  # times the least weight
_MOSTLY = 0.5  # of the pixels
_NAMED = 3
_FILE = "weights.json"


class Said(NamedTuple):
    """What a rule says: a sentence, and what can be typed; calls as `errors.call` writes them."""

    text: str
    commands: tuple[str, ...] = ()


Says = Callable[[Situation], "Said | None"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One piece of advice.

    Attributes:
        name: what it is called.
        part: what it is about: the verdict, weights, something else, training, or after it.
        when: in words, when it applies.
        reason: why, with what was measured.
        evidence: sections of the documentation, or papers.
        says: what it says of a situation; None where it does not apply.
    """

    name: str
    part: Part
    when: str
    reason: str
    evidence: tuple[str, ...]
    says: Says

    __repr__ = one_line


_rules: list[Rule] = []


def _rule(
    name: str, part: Part, *, when: str, reason: str, evidence: tuple[str, ...]
) -> Callable[[Says], Says]:
    """Register what a function says."""

    def register(says: Says) -> Says:
        _rules.append(Rule(name, part, when, reason, evidence, says))
        return says

    return register


_SCORES = "docs/evidence.md#scores"
_LONGER = "docs/evidence.md#longer-training"
_DAMPING = "docs/evidence.md#the-damping-curve"
_VIDEOS = "docs/evidence.md#another-video"
_UNDOING = "docs/evidence.md#undoing-it"
_MENON = "Menon et al. 2021, arXiv 2007.07314"
_HOYER = "Hoyer et al. 2022, arXiv 2111.14887"
_WHEN_NOT = "docs/equal-cost.md#when-not-to-weight-at-all"


# --- the verdict: one of five ------------------------------------------------------------------


@_rule(
    "one-class",
    "verdict",
    when="one class occurs",
    reason="The weight of the only class cancels, or scales the whole loss.",
    evidence=("docs/equal-cost.md",),
)
def _one_class(s: Situation) -> Said | None:
    if len(s.rare_first) > 1:
        return None
    return Said(f"Nothing to weigh: {cut(s.names[s.rare_first[0]])} is the only class that occurs.")


@_rule(
    "accuracy",
    "verdict",
    when="pixel accuracy or probabilities count",
    reason=(
        "Cross entropy without weights is minimised by the true probabilities, and their argmax has"
        " the most pixels right. Full weights lost 7.0 ± 0.3 points of pixel accuracy, sqrt"
        " 0.7 ± 0.7."
    ),
    evidence=(_SCORES, _WHEN_NOT),
)
def _accuracy(s: Situation) -> Said | None:
    if len(s.rare_first) == 1 or s.strength:
        return None
    return Said(
        "Train without weights: pixel accuracy and probabilities are best as the pixels come."
    )


@_rule(
    "even-classes",
    "verdict",
    when="the weights that the measure calls for differ by less than a factor of 2",
    reason=(
        "Weights that differ by a factor of 1.9 at most (effective-number) gained 1.5 ± 2.0 points"
        " of mean IoU: not told from chance."
    ),
    evidence=("docs/evidence.md#what-did-not-help",),
)
def _even(s: Situation) -> Said | None:
    if len(s.rare_first) == 1 or not s.strength or not s.are_even:
        return None
    return Said(
        f"Train without weights: those that {MEASURED[s.measure]} calls for differ by a factor of"
        f" {factor(s.apart)} only."
    )


@_rule(
    "iou",
    "verdict",
    when="mean IoU counts, and the classes are 4 times or more apart",
    reason=(
        "On CamVid sqrt gained 7 to 9 points of mean IoU on new frames of a known video, and"
        " nothing on videos it had never seen (-0.3 ± 0.2, and -3.8 of pixel accuracy)."
    ),
    evidence=(_SCORES, _VIDEOS),
)
def _iou(s: Situation) -> Said | None:
    if len(s.rare_first) == 1 or s.measure != "iou" or s.are_even:
        return None
    return Said(
        "Train without weights first, and with square-root weights beside it, as long as you will"
        " train in the end; keep what is better on groups (videos, cities) that neither has seen."
    )


@_rule(
    "recall",
    "verdict",
    when="balanced accuracy counts, and the classes are twice or more apart",
    reason=(
        "Balanced accuracy counts every class alike. Full weights gained 19.7 ± 3.5 points of it,"
        " sqrt 16.0 ± 2.1; a network without weights whose logits were shifted by -ln of the"
        " frequencies gained about as much as weights, without another training."
    ),
    evidence=(_SCORES, _UNDOING, _MENON),
)
def _recall(s: Situation) -> Said | None:
    if len(s.rare_first) == 1 or s.measure != "recall" or s.are_even:
        return None
    return Said(
        "Full weights, 1/n, make all classes count alike; or none, and the logits shifted after"
        " training."
    )


# --- weights -----------------------------------------------------------------------------------


@_rule(
    "square-root",
    "weights",
    when="mean IoU counts, and the classes are 4 times or more apart",
    reason=(
        "In a short training sqrt gained 9.2 ± 1.6 points of mean IoU and cost 0.7 ± 0.7 of pixel"
        " accuracy; full weights gained half of that and cost 7: rare classes are then found where"
        " they are not, and IoU counts that. The best damping lay between sqrt and power 0.75, and"
        " a longer training did not end the gain of the smaller of two networks."
    ),
    evidence=(_SCORES, _DAMPING, _LONGER),
)
def _square_root(s: Situation) -> Said | None:
    return _range(s, "Square-root") if s.alpha and s.measure == "iou" else None


@_rule(
    "full",
    "weights",
    when="balanced accuracy counts, and the classes are twice or more apart",
    reason=(
        "Under these the answer of one class everywhere costs the same whichever it is. In mean IoU"
        " they gain half of what sqrt gains."
    ),
    evidence=(_SCORES, _WHEN_NOT),
)
def _full(s: Situation) -> Said | None:
    return _range(s, "Full") if s.alpha and s.measure == "recall" else None


def _range(s: Situation, what: str) -> Said:
    rare, common = s.rare_first[0], s.rare_first[-1]
    weights, scheme = s.weights, DAMPINGS[s.alpha]
    typed = call("Scan.weights", **s.calls, scheme=scheme, normalize="pixel", out=_FILE)
    return Said(
        f"{what} weights: {weights[common]:.3g} for {cut(s.names[common], 24)} to"
        f" {weights[rare]:.3g} for {cut(s.names[rare], 24)}, which has"
        f" {factor(s.imbalance)} times fewer pixels.",
        (typed,),
    )


@_rule(
    "binary",
    "weights",
    when="there are two classes, and weights",
    reason="Binary cross entropy with pos_weight w1/w0 is cross entropy with these two weights.",
    evidence=("docs/training.md#two-classes",),
)
def _binary(s: Situation) -> Said | None:
    if len(s.names) != 2 or not s.alpha or s.absent:
        return None
    zero, one = s.weights
    return Said(
        f"Two classes: a network with one output takes one number, pos_weight {one / zero:.3g}"
        f" ({argument('layout', 'pos-weight')} writes it)."
    )


@_rule(
    "batch-mean",
    "weights",
    when="full weights, and batches too small for equal cost under PyTorch's own mean",
    reason=(
        "That mean divides by each batch's sum of weights, so a class in too few batches can't be"
        " made as costly to miss as others by any weight."
    ),
    evidence=("docs/equal-cost.md#when-there-is-no-answer",),
)
def _batch_mean(s: Situation) -> Said | None:
    if s.lacking is None or s.alpha < 1:
        return None
    size = s.lacking.smallest_batch_size
    some = "at no batch size" if size is None else f"from batches of {size:,} on"
    return Said(
        "1/n is for a plain mean (Keras, maskstat.torch). PyTorch's own weighted mean can't be made"
        f" equal in batches of {s.batch_size:,} for {_listed(s, s.lacking.classes)}: {some}."
    )


@_rule(
    "huge",
    "weights",
    when="recommended weights differ by more than a factor of 1,000",
    reason=(
        "The gradient then hangs on a few pixels, and on those that are labelled wrong as much."
        " More pixels of a class are better than louder ones."
    ),
    evidence=(_WHEN_NOT,),
)
def _huge(s: Situation) -> Said | None:
    if not s.alpha or s.apart <= HUGE:
        return None
    worth = percent(1 / float(s.frequency @ s.weights**2))
    return Said(
        f"These weights are {factor(s.apart)} times apart, so the pixels are worth {worth} of"
        " as many even ones. See to more pixels of rare classes first;"
        f" {argument('clip', '0.1:100')} bounds weights."
    )


@_rule(
    "unsure",
    "weights",
    when="the 95% interval of a class's share spans a factor of 4",
    reason="Masks are the sample, and pixels of one mask are nearly copies of each other.",
    evidence=("docs/weights.md#how-sure-weights-are",),
)
def _unsure(s: Situation) -> Said | None:
    if not s.unsure:
        return None
    return Said(
        f"Shares of {_listed(s, s.unsure)} are known to a factor of 2 at best, and so are weights."
    )


@_rule(
    "groups",
    "weights",
    when="nobody said which masks belong together",
    reason=(
        "Frames of a video, slices of a patient and tiles of a scene are nearly copies: counted as"
        " independent, intervals are far too short."
    ),
    evidence=("docs/statistics.md#intervals", "docs/sources.md#groups"),
)
def _groups(s: Situation) -> Said | None:
    if s.groups_are_named or s.groups is None:
        return None
    if s.suggestion:
        return Said(f"{s.suggestion}.")
    option = argument("group_by", Blank("RULE"))
    return Said(
        f"Masks are taken to be independent; if videos or patients are among them: {option}."
    )


# --- what else ---------------------------------------------------------------------------------


@_rule(
    "few",
    "else",
    when=f"a class is in fewer than {FEWEST} masks or groups",
    reason=(
        "What is learned of it is one scene, its weight has no interval, and its IoU says nothing"
        " of other scenes. Weights can't add what was never seen."
    ),
    evidence=("docs/weights.md#how-sure-weights-are",),
)
def _few(s: Situation) -> Said | None:
    if not s.few:
        return None
    what = "masks" if s.groups is None or not s.groups_are_named else "masks or groups"
    return Said(
        f"In fewer than {FEWEST} {what}: {_listed(s, s.few)}. Merge with a class that is like it,"
        f" annotate more, or ignore it ({argument('ignore', Blank('VALUE'))})."
    )


@_rule(
    "absent",
    "else",
    when="a class never occurs",
    reason="No formula gives a class without pixels a weight: a policy does, 1 here.",
    evidence=("docs/weights.md",),
)
def _absent(s: Situation) -> Said | None:
    if not s.absent:
        return None
    return Said(
        f"Without a pixel: {_listed(s, s.absent)}. Annotate it, or take it out of the classes."
    )


@_rule(
    "crops",
    "else",
    when="a class is in fewer than half of the batches",
    reason=(
        "A weight counts only in batches that have the class. On CamVid crops drawn around rare"
        " classes, with sqrt weights of the masks, gained 9.0 ± 2.6 points of mean IoU, where one"
        " alone gained 1 or 2; sqrt weights of what is drawn were 4.7 ± 2.8 points behind those of"
        " the masks, equal-cost ones 3.5 ± 2.0 ahead."
    ),
    evidence=("docs/evidence.md#crops", "docs/crops.md#what-it-does-to-all-other-classes", _HOYER),
)
def _crops(s: Situation) -> Said | None:
    if not s.missing or s.in_batches is None or s.draws_classes:
        return None
    assumed = "" if s.batch_is_known else f" ({argument('batch_size')} says yours)"
    some = [
        f"{cut(s.names[k], 24)} ({percent(float(s.in_batches[k]))})" for k in s.missing[:_NAMED]
    ]
    if len(s.missing) > _NAMED:
        some.append(f"{counted(len(s.missing) - _NAMED, 'class')} more")
    has = " and ".join(filter(None, (", ".join(some[:-1]), some[-1])))
    crop = s.crop or Blank("SIZE")
    index = call("Scan.class_index", **s.of_files, out="index.npz")
    drawn = call("Scan.exposure", **s.of_files, crop=crop, draw="rare", chance=0.25)
    return Said(
        f"Fewer than half of the batches of {s.batch_size:,}{assumed} have {has}. Draw crops around"
        " rare classes (CropSampler), and see first what that does to all others.",
        (index, drawn),
    )


@_rule(
    "validation",
    "else",
    when="a class is 3 times as frequent in the masks to validate on, or as rare",
    reason=(
        "Gains in the mean then are of that class: bicyclists, 0.3% of CamVid's training and 2.3%"
        " of its validation pixels, were half of the gain of sqrt weights."
    ),
    evidence=("docs/evidence.md#what-helped",),
)
def _validation(s: Situation) -> Said | None:
    if s.validation is None or not (s.shifted or s.unseen):
        return None
    name, parts = cut(s.validation_name), []
    if s.shifted:
        k = s.shifted[0]
        here, there = percent(float(s.frequency[k])), percent(float(s.validation[k]))
        others = len(s.shifted) - 1
        more = f" (and {counted(others, 'class')} more so)" if others else ""
        parts.append(f"{cut(s.names[k], 24)} is {there} of {name} and {here} here{more}")
    if s.unseen:
        parts.append(f"{name} lacks {_listed(s, s.unseen)}")
    return Said(f"{'; '.join(parts)}: compare runs by each class's IoU, not by the mean alone.")


@_rule(
    "ignored",
    "else",
    when="most pixels are ignored",
    reason="Void that is a class, or a class that is taken for void, changes every share.",
    evidence=("docs/classes.md",),
)
def _ignored(s: Situation) -> Said | None:
    if s.ignored is None or s.ignored <= _MOSTLY:
        return None
    typed = call("Scan.check", **s.of_files)
    return Said(
        f"{percent(s.ignored)} of the pixels have no class: see whether that is meant.", (typed,)
    )


# --- in training, and after it -----------------------------------------------------------------


@_rule(
    "watch",
    "training",
    when="always",
    reason="Resized labels, a wrong void or crops of another size change what weights are made of.",
    evidence=("docs/exposure.md#is-the-loader-doing-it",),
)
def _watch(s: Situation) -> Said | None:
    return Said(
        "Hold the loader against these counts once: maskstat.watch(loader, classes=...), an epoch,"
        " then its compare(scan.exposure(...))."
    )


@_rule(
    "seeds",
    "training",
    when="weights are recommended",
    reason=(
        "Between seeds mean IoU varied by 0.2 to 4.0 points, and that of pedestrians by 12.7: a"
        " single run with weights and one without tell little."
    ),
    evidence=("docs/evidence.md#what-helped",),
)
def _seeds(s: Situation) -> Said | None:
    if not s.alpha:
        return None
    return Said("Compare with no weights at the same length, over several seeds.")


@_rule(
    "undo",
    "after",
    when="weights are recommended",
    reason=(
        "A network with weights says w·p. With sqrt undone log loss, pixel accuracy and mean IoU"
        " were better than without weights, with every seed; as a decision it cost 1.6 ± 0.8 points"
        " of mean IoU."
    ),
    evidence=(_UNDOING, "docs/equal-cost.md#what-weights-do-to-probabilities"),
)
def _undo(s: Situation) -> Said | None:
    if not s.alpha:
        return None
    return Said("Where probabilities matter, undo the weights in the logits: unweight_logits.")


@_rule(
    "decide",
    "after",
    when="argmax may not be the best decision for the measure",
    reason=(
        "Free shifts of the logits gained 2 to 3 points on other frames of the video they were"
        " chosen on, and lost 1 on another video: only groups without a part in the choice tell."
        " The usual answer is to keep argmax."
    ),
    evidence=("docs/evidence.md#another-decision", "docs/deciding.md", _MENON),
)
def _decide(s: Situation) -> Said | None:
    if len(s.rare_first) == 1 or not s.strength:
        return None
    options: dict[str, object] = {**s.of_files}
    if s.validation_name:
        options = {**options, "scan": s.validation_name, "train": s.of_files.get("scan")}
    options["group_by"] = s.group_by or Blank("RULE")
    if s.measure != "iou":
        options["measure"] = s.measure
    if s.alpha:
        options["weights"] = _FILE
    typed = call("Scan.decide", Blank("PREDICTIONS"), **options)
    return Said("See on validation masks whether another decision than argmax gains.", (typed,))


def _listed(s: Situation, classes: Sequence[int]) -> str:
    named = ", ".join(cut(s.names[k], 24) for k in classes[:_NAMED])
    more = len(classes) - _NAMED
    return f"{named} and {more:,} more" if more > 0 else named


RULES: tuple[Rule, ...] = tuple(_rules)
