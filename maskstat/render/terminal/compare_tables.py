"""A comparison of splits as one JSON document and as tables, what differs most first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from maskstat.errors import call, spelled
from maskstat.naming import counted, percent, printable
from maskstat.render.terminal.fitting import LAST, Fitted, TableColumn
from maskstat.render.terminal.rows import ALL, RowChoice
from maskstat.render.terminal.tables import bar_of
from maskstat.showing import cut
from maskstat.statistics.comparison import METRICS, Comparison, PairComparison
from maskstat.statistics.distances import FloatArray
from maskstat.statistics.random_splits import (
    SIGNIFICANT,
    ClassTest,
    MetricNull,
    RandomSplits,
    Split,
)
from maskstat.version import __version__

SCHEMA = 1
_SHOWN = 12
_SHOWN_LEAKS = 3


def compare_document(comparison: Comparison) -> dict[str, Any]:
    """Everything about the comparison; plain JSON types, no NaN.

    Keys: `schema`, `maskstat`, `catalog`, `verdict` (in words), `splits` (scan, masks, groups,
    labelled_pixels, unlisted_pixels, sizes, median_size), `pairs` (first, second, verdict, every
    metric of `METRICS`, only_first, only_second, leaked, and `chance`: group_by, shared_groups,
    random_splits, all_of_them, tests, p, least_p, least_adjusted_p, by_mask, metrics, each with
    p_value, percentile and usual, which 95% of random splits have at most), `unconfirmed` (scan,
    mask: equal counts, but the file is gone or has changed) and `classes`, what differs most first
    (index, name, by split: pixels, share, masks, presence; by pair: js_share, cramers_v, and
    p_value and adjusted_p of `frequency` and `presence`).
    """
    catalog = comparison.splits[0].histogram.catalog
    names = catalog.names
    shares = [split.histogram.frequency for split in comparison.splits]
    return {
        "schema": SCHEMA,
        "maskstat": __version__,
        "catalog": {"name": catalog.name, "origin": catalog.origin, "digest": catalog.digest},
        "verdict": comparison.verdict,
        "splits": [_split(split) for split in comparison.splits],
        "pairs": [_pair(pair, names) for pair in comparison.pairs],
        "unconfirmed": [{"scan": scan, "mask": mask} for scan, mask in comparison.unconfirmed],
        "classes": [_class(comparison, shares, k) for k in comparison.order],
    }


def _split(split: Split) -> dict[str, Any]:
    areas = split.shapes[:, 0] * split.shapes[:, 1]
    middle = split.shapes[np.argsort(areas, kind="stable")[areas.size // 2]]
    return {
        "scan": split.name,
        "masks": split.histogram.mask_count,
        "groups": len(split.groups),
        "labelled_pixels": split.histogram.labelled_pixels,
        "unlisted_pixels": split.histogram.unlisted_pixels,
        "sizes": len(np.unique(split.shapes, axis=0)),
        "median_size": [int(middle[1]), int(middle[0])],
    }


def _pair(pair: PairComparison, names: tuple[str, ...]) -> dict[str, Any]:
    leaked = None
    if pair.leaked is not None:
        leaked = [{"first": list(first), "second": list(second)} for first, second in pair.leaked]
    return {
        "first": pair.first,
        "second": pair.second,
        "verdict": pair.verdict,
        **{metric.name: metric.value(pair) for metric in METRICS.values()},
        "only_first": [names[k] for k in pair.only_first],
        "only_second": [names[k] for k in pair.only_second],
        "leaked": leaked,
        "chance": _chance(pair.chance),
    }


def _chance(chance: RandomSplits) -> dict[str, Any]:
    return {
        "group_by": chance.rule,
        "shared_groups": list(chance.shared),
        "random_splits": chance.count,
        "all_of_them": chance.exact,
        "tests": chance.tests,
        "p": chance.p_value,
        "least_p": chance.least_p,
        "least_adjusted_p": chance.least_adjusted,
        "metrics": {name: _null(null) for name, null in chance.metrics.items()},
        "by_mask": None if chance.by_mask is None else {"js": _null(chance.by_mask)},
    }


def _null(null: MetricNull) -> dict[str, float]:
    percentile = 100 * (1 - null.p_value)
    return {"p_value": null.p_value, "percentile": percentile, "usual": null.usual}


def _class(comparison: Comparison, shares: list[FloatArray], k: int) -> dict[str, Any]:
    info = comparison.splits[0].histogram.catalog.classes[k]
    return {
        "index": k,
        "name": info.name,
        "splits": [
            {
                "scan": split.name,
                "pixels": int(split.histogram.pixels[k]),
                "share": float(share[k]),
                "masks": int(split.histogram.masks[k]),
                "presence": int(split.histogram.masks[k]) / split.histogram.mask_count,
            }
            for split, share in zip(comparison.splits, shares, strict=True)
        ],
        "pairs": [
            {
                "first": pair.first,
                "second": pair.second,
                "js_share": float(pair.js_shares[k]),
                "cramers_v": float(pair.cramers_v[k]),
                "frequency": _test(pair.chance.frequency, k),
                "presence": _test(pair.chance.presence, k),
            }
            for pair in comparison.pairs
        ],
    }


def _test(test: ClassTest, k: int) -> dict[str, float]:
    return {"p_value": float(test.p_value[k]), "adjusted_p": float(test.adjusted_p[k])}


def compare_tables(document: Mapping[str, Any], rows: RowChoice = ALL) -> RenderableType:
    """The verdict, metrics, then classes, what differs most first, and what needs attention."""
    rule = document["pairs"][0]["chance"]["group_by"]
    dealt = "masks" if rule == "mask" else f"groups ({cut(rule)})"
    one_pair = len(document["pairs"]) == 1
    usual = f"usual: 95% of random splits of the {dealt} have at most this; p: the share of them"
    alone = f"p: the share of random splits of the {dealt}"
    note = (
        f"{usual if one_pair else alone} that"
        f" differ as much. V: effect size of being in masks, Cramér's V. *: more than chance, by"
        f" pixels or in masks (Holm: {SIGNIFICANT:.0%} at most of pairs that differ in nothing have"
        " any)"
    )
    parts: list[RenderableType] = [
        Text(f"{document['verdict']}\n"),
        _pair_table(document),
        _class_table(document, rows),
        Text(note),
    ]
    if attention := list(_attention(document)):
        parts.append(Text("\nNeeds attention", style="bold"))
        parts.append(Text("\n".join(attention)))
    return Group(*parts)


def _pair_table(document: Mapping[str, Any]) -> Fitted:
    masks = {split["scan"]: split["masks"] for split in document["splits"]}
    metrics = list(METRICS.values())
    if document["pairs"][0]["chance"]["group_by"] == "mask":
        metrics.remove(METRICS["shared-groups"])
    columns = [TableColumn("metric", ["masks", *(metric.name for metric in metrics)], "text")]
    for place, pair in enumerate(document["pairs"]):
        sizes = f"{masks[pair['first']]:,} : {masks[pair['second']]:,}"
        values = (_number(pair[metric.name]) for metric in metrics)
        first, second = printable(pair["first"]), printable(pair["second"])
        nulls = [pair["chance"]["metrics"].get(metric.name) for metric in metrics]
        if pair["chance"]["random_splits"] == 1:  # there is no other way to deal out the groups
            nulls = [None] * len(nulls)
        ps = ["" if null is None else _p(null["p_value"]) for null in nulls]
        if len(document["pairs"]) > 1:
            # In one cell, so that no p stays behind where its pair has no room.
            cells = [f"{one}  {p:>7}" for one, p in zip([sizes, *values], ["", *ps], strict=True)]
            columns.append(TableColumn(f"{first} :\n{second}\np", cells, goes=place))
            continue
        columns.append(TableColumn(f"{first} : {second}", [sizes, *values]))
        usual = [
            "" if null is None else _number(type(pair[metric.name])(null["usual"]))
            for metric, null in zip(metrics, nulls, strict=True)
        ]
        columns.append(TableColumn("usual", ["", *usual], goes=LAST))
        columns.append(TableColumn("p", ["", *ps]))
    meanings = ["", *(metric.meaning for metric in metrics)]
    columns.append(TableColumn("what it says", meanings, "words", len(columns) + LAST))
    return Fitted(columns)


def _p(value: float) -> str:
    return "<0.0001" if value < 1e-4 else "1" if value == 1 else f"{value:.4f}"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if value else "0"


def _class_table(document: Mapping[str, Any], rows: RowChoice) -> Fitted:
    classes = document["classes"]  # what differs most first
    total = {id(pair): pair["js"] ** 2 or 1.0 for pair in document["pairs"]}
    parts = [
        max(
            one["js_share"] / total[id(pair)]
            for one, pair in zip(row["pairs"], document["pairs"], strict=True)
        )
        for row in classes
    ]
    shown = RowChoice("catalog", rows.most).of(parts)
    chosen = [classes[k] for k in shown.indices]
    columns = [
        TableColumn("#", [str(row["index"]) for row in chosen]),
        TableColumn("class", [printable(row["name"]) for row in chosen], "name"),
    ]
    for place, split in enumerate(document["splits"]):
        cells = [_of_split(row, place, "share", "pixels") for row in chosen]
        columns.append(TableColumn(f"share\n{printable(split['scan'])}", cells, goes=1 + place))
    for place, split in enumerate(document["splits"]):
        cells = [_of_split(row, place, "presence", "masks") for row in chosen]
        columns.append(
            TableColumn(f"in masks\n{printable(split['scan'])}", cells, goes=LAST + 1 + place)
        )
    columns += [
        TableColumn("V", [_effect(row) for row in chosen], goes=LAST),
        TableColumn(
            "of js²",
            [f"{percent(parts[k])}{_star(classes[k], 'frequency')}" for k in shown.indices],
        ),
        TableColumn("", [bar_of(parts[k]) for k in shown.indices], "bar", len(columns) + 1, "cyan"),
    ]

    def say(left: Sequence[int]) -> str:
        return f", together {percent(math.fsum(parts[k] for k in left))} of js²"

    return Fitted(columns, shown.gaps(parts, say))


def _of_split(row: Mapping[str, Any], place: int, key: str, count: str) -> str:
    one = row["splits"][place]
    return percent(one[key]) if one[count] else "never"


def _effect(row: Mapping[str, Any]) -> str:
    strongest = max(row["pairs"], key=lambda one: one["cramers_v"])
    return f"{strongest['cramers_v']:.2f}{_star(row, 'presence')}"


def _star(row: Mapping[str, Any], test: str) -> str:
    return "*" if any(one[test]["adjusted_p"] <= SIGNIFICANT for one in row["pairs"]) else " "


def _attention(document: Mapping[str, Any]) -> Iterable[str]:
    for pair in document["pairs"]:
        for own, other, key in (
            (pair["first"], pair["second"], "only_first"),
            (pair["second"], pair["first"], "only_second"),
        ):
            if names := pair[key]:
                shown = ", ".join(map(printable, names[:_SHOWN]))
                more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
                yield (
                    f"{counted(len(names), 'class')} of {printable(own)} missing in"
                    f" {printable(other)}: {shown}{more}"
                )
        if shared := pair["chance"]["shared_groups"]:
            shown = ", ".join(map(printable, shared[:_SHOWN]))
            more = f" and {len(shared) - _SHOWN:,} more" if len(shared) > _SHOWN else ""
            yield (
                f"{counted(len(shared), 'group')} of {printable(pair['second'])} also in"
                f" {printable(pair['first'])}: {shown}{more}"
            )
        if pair["leakage"]:
            cases = [f"{leak['second'][0]} = {leak['first'][0]}" for leak in pair["leaked"]]
            shown = ", ".join(map(printable, cases[:_SHOWN_LEAKS]))
            more = "" if len(cases) <= _SHOWN_LEAKS else " ..."
            yield (
                f"{counted(pair['leakage'], 'mask')} of {printable(pair['second'])} also in"
                f" {printable(pair['first'])}, pixel for pixel: {shown}{more}"
            )
    if unconfirmed := document["unconfirmed"]:
        yield (
            f"{counted(len(unconfirmed), 'mask')} may be in two splits, but files are gone or have"
            f" changed: scan again; the first is {printable(unconfirmed[0]['mask'])} of"
            f" {printable(unconfirmed[0]['scan'])}"
        )
    for split in document["splits"]:
        if split["unlisted_pixels"]:
            yield (
                f"{counted(split['unlisted_pixels'], 'unlisted pixel')} of"
                f" {printable(split['scan'])} left out: '{spelled(call('Scan.check'))}' says which"
            )
