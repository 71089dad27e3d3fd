"""`Recommendation`: what to do with one data set, and which rule says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskstat.advice.choices import Framework
from maskstat.advice.prices import DAMPINGS, DampingPrice, prices
from maskstat.advice.rules import RULES, Part, Rule, Said
from maskstat.advice.situation import Situation
from maskstat.advice.snippets import snippet
from maskstat.errors import spelled
from maskstat.frames import data_frame
from maskstat.naming import counted
from maskstat.showing import cut, html, one_line
from maskstat.version import __version__
from maskstat.weights.table import WeightTable

if TYPE_CHECKING:
    from pandas import DataFrame

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Advice:
    """What one rule says of a data set.

    Attributes:
        rule: the rule.
        said: what it says, calls not yet spelled.
    """

    rule: Rule
    said: Said

    __repr__ = one_line

    @property
    def text(self) -> str:
        """What it says, in a sentence."""
        return spelled(self.said.text)

    @property
    def commands(self) -> tuple[str, ...]:
        """What can be typed for it: Python calls, or on the command line commands."""
        return tuple(map(spelled, self.said.commands))


@dataclass(frozen=True, slots=True, eq=False)
class Recommendation:
    """What to do about the imbalance of one data set, made by `Scan.recommend`.

    Attributes:
        situation: the facts that it follows from.
        weights: those that are recommended, the average labelled pixel weighing 1; None where
            none are.
        prices: what weights of every damping cost, from none to full ones.
        advice: what the rules say that apply, in the order of `rules.RULES`: one verdict first.
    """

    situation: Situation
    weights: WeightTable | None
    prices: tuple[DampingPrice, ...]
    advice: tuple[Advice, ...]

    @classmethod
    def of(cls, situation: Situation, weigh: Callable[[str], WeightTable]) -> Recommendation:
        """What follows from the facts; `weigh` makes the weights of a scheme."""
        alpha = situation.alpha
        return cls(
            situation,
            weigh(DAMPINGS[alpha]) if alpha else None,
            prices(situation.frequency),
            tuple(
                Advice(rule, said) for rule in RULES if (said := rule.says(situation)) is not None
            ),
        )

    def __repr__(self) -> str:
        scheme = "no weights" if self.weights is None else self.weights.scheme
        classes = counted(len(self.situation.names), "class")
        return one_line(self, classes, self.situation.measure, scheme, cut(self.verdict, 60))

    def _repr_html_(self) -> str | None:
        return html(self)

    @property
    def verdict(self) -> str:
        """What to do, in words."""
        return self.of_part("verdict")[0].text

    def of_part(self, part: Part) -> tuple[Advice, ...]:
        """What is said of one part: "verdict", "weights", "else", "training" or "after"."""
        return tuple(one for one in self.advice if one.rule.part == part)

    def snippet(self, framework: Framework, path: str | Path = "weights.json") -> str:
        """Python source of a loss with these weights from their file, or with none.

        Args:
            framework: "torch", "keras", "mmseg", "hf" (transformers) or "lightning".
            path: the file that `weights.save` writes.

        Raises:
            ParameterError: no framework is called that.
        """
        return snippet(framework, self.weights, path, ignore_index=self.situation.ignored_label)

    def to_document(self) -> dict[str, Any]:
        """What `maskstat recommend --json` prints: plain JSON types, no NaN.

        Keys: `schema`, `maskstat`, `verdict`, `situation` (the facts, `classes` among them),
        `prices` (alpha, scheme, weight_ratio, cost_spread, effective_pixels, loss_ratio), `advice`
        (rule, part, text, commands, reason, evidence) and `weights` (scheme, normalisation, and
        weights by name), or None.
        """
        table = self.weights
        return {
            "schema": SCHEMA,
            "maskstat": __version__,
            "verdict": self.verdict,
            "situation": self.situation.to_document(),
            "prices": [_record(one) for one in self.prices],
            "advice": [
                {
                    "rule": one.rule.name,
                    "part": one.rule.part,
                    "text": one.text,
                    "commands": list(one.commands),
                    "reason": one.rule.reason,
                    "evidence": list(one.rule.evidence),
                }
                for one in self.advice
            ],
            "weights": None
            if table is None
            else {
                "scheme": table.scheme,
                "normalisation": table.normalisation,
                "weights": dict(table),
            },
        }

    def to_pandas(self) -> DataFrame:
        """The prices, a row a damping. Raises MissingExtraError without pandas."""
        rows = [_record(one) for one in self.prices]
        columns = {key: [row[key] for row in rows] for key in rows[0] if key != "alpha"}
        return data_frame(columns, {"alpha": [row["alpha"] for row in rows]})


def _record(one: DampingPrice) -> dict[str, Any]:
    return {name: getattr(one, name) for name in DampingPrice.__slots__}
