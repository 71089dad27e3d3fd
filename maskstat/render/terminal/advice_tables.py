"""A recommendation on a screen: the verdict, what damping costs, and what the rules say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.segment import Segment
from rich.text import Text

from maskstat.advice.prices import DampingPrice
from maskstat.advice.recommendation import Advice, Recommendation
from maskstat.advice.rules import MEASURED, Part
from maskstat.naming import counted, factor, percent
from maskstat.render.terminal.fitting import Fitted, TableColumn, folded

HEADINGS: dict[Part, str] = {
    "weights": "Weights",
    "else": "What else",
    "training": "In training",
    "after": "After it",
}
_COLUMNS = "Costs are of answering one class everywhere; effective is the pixels' worth."


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences in a list, and below each what can be typed, whose lines are not broken."""

    items: tuple[tuple[str, tuple[str, ...]], ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for text, commands in self.items:
            for number, line in enumerate(folded(text, options.max_width - 2)):
                yield Segment(f"{'- ' if number == 0 else '  '}{line}\n")
            for command in commands:
                yield Segment(f"    {command}\n")


def advice_tables(found: Recommendation, *, why: bool = False) -> RenderableType:
    """The verdict first; with `why` the reason of every rule and its evidence."""
    verdict = found.of_part("verdict")[0]
    parts: list[RenderableType] = [
        Text(_setting(found)),
        Text(f"\n{verdict.text}", style="bold"),
        Text(f"{_because(verdict)}\n"),
    ]
    if len(found.situation.rare_first) > 1:
        parts += [_price_table(found), Text(f"{_COLUMNS}\n")]
    for part, heading in HEADINGS.items():
        if advice := found.of_part(part):
            parts += [Text(heading, style="bold"), Sentences(tuple(_items(advice, why)))]
    return Group(*parts)


def _setting(found: Recommendation) -> str:
    s = found.situation
    size = f"batches of {s.batch_size:,} {s.row}s{'' if s.batch_is_known else ' (assumed)'}"
    return f"{counted(len(s.names), 'class')}; {MEASURED[s.measure]} counts; {size}"


def _because(advice: Advice) -> str:
    return f"{advice.rule.reason} ({'; '.join(advice.rule.evidence)})"


def _items(advice: tuple[Advice, ...], why: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    for one in advice:
        text = f"{one.text} Why: {_because(one)}" if why else one.text
        yield text, one.commands


def _price_table(found: Recommendation) -> Fitted:
    prices, alpha = found.prices, found.situation.alpha
    first = 0.0 if found.situation.measure == "iou" else alpha
    marks = {alpha: "then", first: "first"} if alpha != first else {alpha: "this"}
    return Fitted(
        [
            TableColumn("weights", [_called(one) for one in prices], "text"),
            TableColumn("alpha", [f"{one.alpha:g}" for one in prices], goes=2),
            TableColumn("weights\napart", [factor(one.weight_ratio) for one in prices]),
            TableColumn("costs\napart", [percent(one.cost_spread) for one in prices], goes=1),
            TableColumn("effective\npixels", [percent(one.effective_pixels) for one in prices]),
            TableColumn("loss shares\napart", [factor(one.loss_ratio) for one in prices]),
            TableColumn("", [marks.get(one.alpha, "") for one in prices], "text", called="advised"),
        ]
    )


def _called(one: DampingPrice) -> str:
    return "1/n, equal cost" if one.scheme == "equal-cost" else one.scheme
