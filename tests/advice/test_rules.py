"""Rules one by one: where each applies and where it does not, what it cites, what it has typed."""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given

from maskstat import cli
from maskstat.advice.prices import DAMPINGS, damped, price, prices
from maskstat.advice.recommendation import Recommendation
from maskstat.advice.rules import MEASURED, PARTS, RULES, Rule
from maskstat.advice.situation import Situation
from maskstat.api.recommending import chance_to_meet
from maskstat.cli.spelling import AsCommands
from maskstat.errors import speaking
from maskstat.values.catalog import ClassCatalog
from maskstat.values.histogram import ClassHistogram
from maskstat.weights.compute import compute
from maskstat.weights.costs import linear_price_list
from maskstat.weights.table import WeightTable
from tests.support.loops import at_least_one
from tests.support.paths import ROOT
from tests.support.situations import ALWAYS, APPLIES, SILENT, situation, situations

PAGE = ROOT / "docs" / "recommending.md"


def recommended(facts: Situation) -> Recommendation:
    """With weights of counts in these shares."""
    counts = np.rint(facts.frequency * 10**9).astype(np.int64)
    histogram = ClassHistogram(ClassCatalog.numbered(len(counts)), counts)

    def weigh(scheme: str) -> WeightTable:
        return compute(histogram, scheme, normalize="pixel", absent="one")

    return Recommendation.of(facts, weigh)


def test_what_rules_quote_was_measured() -> None:
    """Every number with a spread is in a table of docs/evidence.md, which its CSV files make."""
    tables = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8").replace("−", "-")
    tables = "\n".join(line for line in tables.splitlines() if line.startswith("|"))
    quoted = [
        (rule.name, number)
        for rule in RULES
        for number in re.findall(r"-?\d+\.\d ± \d+\.\d", rule.reason)
    ]
    assert len(quoted) > 8
    assert [one for one in quoted if one[1] not in tables] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_applies_where_it_says_and_not_elsewhere(rule: Rule) -> None:
    said = rule.says(APPLIES[rule.name])
    assert said is not None
    assert said.text.endswith((".", "independent; names look like frames"))
    assert rule.name in ALWAYS or rule.says(SILENT[rule.name]) is None
    assert rule.part in PARTS
    assert rule.when
    assert rule.reason.endswith(".")
    assert rule.evidence


def test_every_rule_has_its_situations() -> None:
    assert [rule.name for rule in RULES] == list(APPLIES)
    assert APPLIES.keys() == SILENT.keys()


@given(situations())
def test_one_verdict_of_every_situation_and_weights_only_where_it_says_so(facts: Situation) -> None:
    verdicts = [rule for rule in RULES if rule.part == "verdict" and rule.says(facts) is not None]
    assert len(verdicts) == 1
    weighed = verdicts[0].name in {"iou", "recall"}
    assert (facts.alpha > 0) is weighed
    chosen = [rule.name for rule in RULES if rule.name in {"square-root", "full"}]
    assert sum(rule.says(facts) is not None for rule in RULES if rule.name in chosen) == weighed
    for rule in RULES:
        said = rule.says(facts)
        assert said is None or "nan" not in f"{said.text}".split()


@given(situations())
def test_a_recommendation_is_plain_json_whatever_is_known(facts: Situation) -> None:
    found = Recommendation.of(facts, lambda scheme: _table(facts, scheme))
    document = json.loads(json.dumps(found.to_document(), allow_nan=False))
    assert document["verdict"] == found.verdict
    assert [one["rule"] for one in document["advice"]] == [one.rule.name for one in found.advice]
    assert (document["weights"] is None) is (facts.alpha == 0)
    assert len(document["situation"]["classes"]) == len(facts.names)


def _table(facts: Situation, scheme: str) -> WeightTable:
    weights = facts.weights.copy()
    return WeightTable(facts.names, weights, np.ones(weights.size, np.int64), scheme)


def test_weights_are_of_the_scheme_that_the_situation_weighs_by() -> None:
    for measure, scheme in (("iou", "sqrt"), ("recall", "equal-cost")):
        facts = situation(measure=measure)
        found = recommended(facts)
        assert found.weights is not None
        assert found.weights.scheme == scheme
        np.testing.assert_allclose(found.weights.weights, facts.weights, rtol=1e-6)
    assert recommended(situation(measure="accuracy")).weights is None


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_what_is_cited_is_there() -> None:
    for rule in at_least_one(RULES):
        for source in at_least_one(rule.evidence):
            page, _, anchor = source.partition("#")
            if not page.startswith("docs/"):
                assert re.search(r"arXiv \d{4}\.\d{5}$", source), source
                continue
            headings = re.findall(r"(?m)^#+ (.+)$", (ROOT / page).read_text("utf-8"))
            assert not anchor or anchor in map(_slug, headings), source


def test_commands_are_those_that_there_are() -> None:
    known: dict[str, Any] = dict(typer.main.get_command(cli.app()).commands)  # type: ignore[attr-defined]
    seen = set()
    for facts in (*APPLIES.values(), situation(in_batches=np.array([0.1, 0.1, 0.1]), crop=128)):
        with speaking(AsCommands()):
            typed = [command for one in recommended(facts).advice for command in one.commands]
        for command in typed:
            words = shlex.split(command)
            options = {name for one in known[words[1]].params for name in one.opts}
            assert words[0] == "maskstat"
            assert {word for word in words if word.startswith("-")} <= options, command
            seen.add(words[1])
    assert seen == {"weights", "class-index", "exposure", "check", "decide"}


# --- prices ------------------------------------------------------------------------------------

CAMVID = (10682767, 14750079, 623349, 20076880, 2845085, 6166762)
CAMVID += (743859, 714595, 3719877, 405385, 184967)


def test_prices_of_camvid() -> None:
    """Reference values of an independent computation."""
    found = prices(np.array(CAMVID) / sum(CAMVID))
    assert [
        (f"{100 * one.cost_spread:.1f}", f"{one.effective_pixels:.3f}", f"{one.loss_ratio:.3g}")
        for one in found
    ] == [
        ("48.7", "1.000", "109"),
        ("36.4", "0.934", "33.6"),
        ("24.2", "0.674", "10.4"),
        ("12.0", "0.344", "3.23"),
        ("0.0", "0.150", "1"),
    ]


@given(situations())
def test_prices_are_those_of_constant_predictors(facts: Situation) -> None:
    p = facts.frequency
    for alpha in DAMPINGS:
        weights = damped(p, alpha)
        one = price(p, alpha)
        assert float(p @ weights) == pytest.approx(1)
        assert (weights[~facts.present] == 0).all()
        assert 0 < one.effective_pixels <= 1 + 1e-12
        assert one.weight_ratio == pytest.approx(facts.imbalance**alpha)
        assert one.loss_ratio == pytest.approx(facts.imbalance ** (1 - alpha))
        if facts.present.sum() > 1:
            counts = p[facts.present]
            costs = linear_price_list(counts, weights[facts.present], epsilon=1e-12)
            assert one.cost_spread == pytest.approx(costs.relative_spread, abs=1e-6, rel=1e-6)


def test_the_chance_to_meet_a_class_is_that_of_all_batches() -> None:
    from itertools import combinations

    for size in range(1, 8):
        for having in range(7):
            batches = [*combinations(range(6), min(size, 6))]
            met = sum(any(mask < having for mask in batch) for batch in batches) / len(batches)
            assert chance_to_meet(np.array([having]), 6, size)[0] == pytest.approx(met)


# --- the page ----------------------------------------------------------------------------------


def test_the_page_has_all_rules() -> None:
    rows = ["| rule | when | why | evidence |", "| --- | --- | --- | --- |"]
    rows += [
        f"| {rule.name} | {rule.when} | {rule.reason} | {', '.join(map(_link, rule.evidence))} |"
        for rule in RULES
    ]
    text = PAGE.read_text("utf-8")
    begin, end = "<!-- rules -->\n", "\n<!-- end -->"
    head, rest = text.split(begin)
    tail = rest.split(end)[1]
    fresh = head + begin + "\n" + "\n".join(rows) + "\n" + end + tail
    if os.environ.get("MASKSTAT_REWRITE_DOCS"):
        PAGE.write_text(fresh, "utf-8")
    assert PAGE.read_text("utf-8") == fresh
    assert set(MEASURED) == {"iou", "recall", "accuracy"}


def _link(source: str) -> str:
    if not source.startswith("docs/"):
        authors, number = source.rsplit(", arXiv ", 1)
        return f"[{authors}](https://arxiv.org/abs/{number})"
    target = source.removeprefix("docs/")
    page, _, anchor = target.partition("#")
    return f"[{page.removesuffix('.md')}{f': {anchor}' if anchor else ''}]({target})"
