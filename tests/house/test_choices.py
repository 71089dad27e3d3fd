"""Where a parameter takes one of a few words, its type says which, and any other word is refused.

The parameters are found in the signatures, so that a new one needs its case here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest

import maskstat as ms
from maskstat.advice.choices import FRAMEWORKS, GOALS, Framework, Goal
from maskstat.api.given_counts import from_counts
from maskstat.api.making import scan_splits
from maskstat.arrays.layouts import Reading
from maskstat.errors import ParameterError
from maskstat.executors.choices import EXECUTORS, ExecutorName
from maskstat.files.documents.base import LAYOUTS, Layout
from maskstat.parameters import bind, check_word
from maskstat.readers.choices import CHANNELS, Channels
from maskstat.render.plots.choices import ORDERS, Order
from maskstat.render.plots.style import order_of
from maskstat.sampling.methods import METHODS, UNITS, Unit
from maskstat.scanning.choices import PREFER, Prefer
from maskstat.values.amounts import amounts
from maskstat.values.given import AMOUNTS, GIVEN, Amount, Given
from maskstat.weights import choices
from maskstat.weights.compute import compute
from maskstat.weights.costs import price_list
from maskstat.weights.fit import fitting_table
from maskstat.weights.normalise import normalise
from maskstat.weights.schemes import SCHEMES
from tests.support.paths import ROOT

PACKAGE = ROOT / "maskstat"
WRONG = "iggnore"
# What users call: the face, and the rooms whose functions it offers as they are.
ROOMS = {"api", "weights", "values", "torch", "keras", "sampling"}
# Losses of each framework check it in one place, which tests/torch and tests/keras call by all.
ELSEWHERE = {"reduction"}
# Functions that users reach through others that have their cases, or with words that were checked.
BEHIND = {
    "api.costs.price": "`Scan.costs`",
    "api.deciding.decide": "`Scan.decide`",
    "api.exposing.approximated": "`Scan.approximate_exposure`",
    "api.exposing.exposed": "`Scan.exposure`",
    "api.recommending.recommend": "`Scan.recommend`",
    "api.recommending.situation_of": "`Scan.recommend`",
    "api.indexing.indexed": "`Scan.class_index`",
    "sampling.methods.method": "registers a method",
    "sampling.methods.target_mix": "a method's own: see `test_words_of_schemes_and_methods`",
    "sampling.methods.target_shares": "a method's own",
    "values.contributions.Contributions.of_groups": "a name of an array",
    "torch.crops.crop_sampler": "`CropDraws` checks it: see tests/values/test_crop_draws.py",
    "weights.any_scheme.check_average": "checks it",
    "weights.any_scheme.weigh": "`Scan.weights`",
    "weights.any_scheme.weigh_all": "`Scan.all_weights`",
    "weights.compute.finish": "`compute`",
    "weights.label_weights.weigh_labels": "`Scan.weights` of labels: tests/api/test_label_scans.py",
    "weights.compute.heed_unlisted": "checks it",
    "weights.batch_intervals.with_batch_intervals": "what `resolve_absent` gave",
    "weights.compute.resolve_absent": "checks it",
    "weights.compute.scaled": "what `resolve_absent` gave; `normalise` checks the other",
    "weights.weight_intervals.log_weights": "what `resolve_absent` gave",
    "weights.weight_intervals.with_intervals": "what `resolve_absent` gave",
    "weights.schemes.effective_number": "a scheme's own",
    "weights.schemes.median_frequency": "a scheme's own",
}


def aliases() -> set[str]:
    """Names of types that are a few words."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            value = getattr(node, "value", None)
            if isinstance(value, ast.Subscript) and ast.unparse(value.value) == "Literal":
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target  # type: ignore[attr-defined]
                found.add(ast.unparse(target))
    return found


def chosen_words() -> Iterator[tuple[str, str]]:
    """(function, parameter) of all that take one of a few words."""
    words = re.compile(rf"\b({'|'.join(sorted(aliases()))})\b|\bLiteral\[")
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        if relative.parts[0] not in ROOMS:
            continue
        module = ".".join(relative.with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, ast.FunctionDef):
                        inner.name = f"{node.name}.{inner.name}"
            if not isinstance(node, ast.FunctionDef) or "._" in f".{node.name}":
                continue
            arguments = node.args
            for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                if one.annotation is not None and words.search(ast.unparse(one.annotation)):
                    yield f"{module}.{node.name}", one.arg


@pytest.fixture
def world(tmp_path: Path) -> SimpleNamespace:
    (tmp_path / "train").mkdir()
    np.save(tmp_path / "train" / "m.npy", np.array([[0, 1, 1]], np.uint8))
    return SimpleNamespace(scan=ms.scan(tmp_path, classes=2), path=tmp_path)


CASES: dict[tuple[str, str], Callable[[Any, Any], object]] = {
    ("api.scan.Scan.decide", "measure"): lambda w, x: w.scan.grouped("mask").decide(
        w.path, measure=x
    ),
    ("api.scan.Scan.recommend", "measure"): lambda w, x: w.scan.recommend(x),
    ("api.counting.MaskCounter.update", "channels"): lambda w, x: ms.MaskCounter(2).update(
        [np.zeros((2, 2), np.uint8)], channels=x
    ),
    ("api.counting.count", "channels"): lambda w, x: ms.count(
        [np.zeros((2, 2), np.uint8)], classes=2, channels=x
    ),
    ("api.given_counts.from_counts", "unit"): lambda w, x: from_counts([1, 2], unit=x),
    ("values.amounts.amounts", "unit"): lambda w, x: amounts({"a": 1}, x),
    ("api.making.scan_splits", "channels"): lambda w, x: list(scan_splits(w.path, channels=x)),
    ("api.making.scan_splits", "channel"): lambda w, x: list(scan_splits(w.path, channel=x)),
    ("api.making.scan_splits", "executor"): lambda w, x: list(scan_splits(w.path, executor=x)),
    ("api.making.scan", "channels"): lambda w, x: ms.scan(w.path, channels=x),
    ("api.making.scan", "channel"): lambda w, x: ms.scan(w.path, channel=x),
    ("api.making.scan", "executor"): lambda w, x: ms.scan(w.path, executor=x),
    ("api.merging.merge", "prefer"): lambda w, x: ms.merge("a.db", "b.db", prefer=x),
    **{
        (f"api.scan.Scan.{method}", parameter): (
            lambda w, x, method=method, parameter=parameter: getattr(w.scan, method)(
                **{parameter: x}, **({"crop": 2} if "exposure" in method else {})
            )
        )
        for method, parameters in {
            "weights": ("measure", "normalize", "absent", "unlisted", "average"),
            "all_weights": ("measure", "normalize", "absent", "unlisted"),
            "costs": ("average",),
            "recommend": ("unlisted",),
            "exposure": ("unlisted", "executor", "draw"),
            "approximate_exposure": ("unlisted",),
            "class_index": ("unlisted", "executor"),
        }.items()
        for parameter in parameters
    },
    ("api.scan.Scan.plot", "order"): lambda w, x: w.scan.plot("classes", order=x),
    ("api.scan.Scan.report", "format"): lambda w, x: w.scan.report(w.path / "x", format=x),
    ("api.scan.Scan.export", "layout"): lambda w, x: w.scan.export(w.path / "x.csv", layout=x),
    ("api.scan.Scan.export", "format"): lambda w, x: w.scan.export(w.path / "x.csv", format=x),
    ("weights.compute.compute", "normalize"): lambda w, x: compute(w.scan.histogram, normalize=x),
    ("weights.compute.compute", "absent"): lambda w, x: compute(w.scan.histogram, absent=x),
    ("weights.compute.compute", "unlisted"): lambda w, x: compute(w.scan.histogram, unlisted=x),
    ("weights.costs.price_list", "average"): lambda w, x: price_list(w.scan.ledger, None, x),
    ("weights.fit.fitting_table", "reduction"): lambda w, x: fitting_table(
        w.scan.weights(), reduction=x
    ),
    ("weights.normalise.normalise", "how"): lambda w, x: normalise(np.ones(2), np.ones(2) / 2, x),
    ("weights.table.WeightTable.save", "layout"): lambda w, x: w.scan.weights().save(
        w.path / "w.json", layout=x
    ),
    ("sampling.table.SamplingTable.save", "layout"): lambda w, x: w.scan.sampling().save(
        w.path / "s.json", layout=x
    ),
    ("render.plots.style.order_of", "order"): lambda w, x: order_of([1, 2], x),
    ("arrays.layouts.Reading.of", "channels"): lambda w, x: Reading.of(
        x, colours=False, indices=True, allow_lossy=False
    ),
}


@pytest.mark.parametrize(("key", "wrong"), CASES.items(), ids=[".".join(key) for key in CASES])
@pytest.mark.parametrize("word", [WRONG, "", "\x1b[2J", 7, ["mean"]])
def test_any_other_word_is_refused(
    key: tuple[str, str], wrong: Callable[[Any, Any], object], word: object, world: SimpleNamespace
) -> None:
    with pytest.raises(ParameterError) as caught:
        wrong(world, word)
    assert caught.value.parameter == {"how": "normalize"}.get(key[1], key[1])
    assert " is not one of " in str(caught.value)
    assert str(caught.value).isprintable()


def test_every_such_parameter_of_what_users_call_has_its_case() -> None:
    every = set(chosen_words())
    found = {key for key in every if key[0] not in BEHIND and key[1] not in ELSEWHERE}
    assert len(found) > 15
    assert found - CASES.keys() == set(), "a new parameter: give it a case"
    assert BEHIND.keys() - {name for name, _ in every} == set()


def test_the_nearest_word_is_offered() -> None:
    with pytest.raises(ParameterError, match=r"^unlisted: 'iggnore' is not one of refuse, ignore"):
        check_word(WRONG, choices.UNLISTED, parameter="unlisted")
    with pytest.raises(ParameterError, match=r"; did you mean ignore\?$"):
        check_word(WRONG, choices.UNLISTED, parameter="unlisted")
    assert check_word("ignore", choices.UNLISTED, parameter="unlisted") == "ignore"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (choices.Average, choices.AVERAGES),
        (choices.Absent, choices.ABSENT),
        (choices.Unlisted, choices.UNLISTED),
        (choices.Normalisation, choices.NORMALISATIONS),
        (Channels, CHANNELS),
        (ExecutorName, EXECUTORS),
        (Layout, LAYOUTS),
        (choices.WeightLayout, choices.WEIGHT_LAYOUTS),
        (Goal, GOALS),
        (Framework, FRAMEWORKS),
        (Order, ORDERS),
        (Prefer, PREFER),
        (Given, GIVEN),
        (Amount, AMOUNTS),
        (Unit, UNITS),
    ],
)
def test_what_is_checked_is_what_the_type_says(kind: Any, words: tuple[str, ...]) -> None:
    assert get_args(kind) == words


@pytest.mark.parametrize("entry", [*SCHEMES.values(), *METHODS.values()], ids=lambda e: e.name)
def test_words_of_schemes_and_methods(entry: Any) -> None:
    for name, default in entry.parameters.items():
        if isinstance(default, str):
            with pytest.raises(ParameterError, match=f"^parameters {name}: '{WRONG}' is not one"):
                bind(entry.function, {name: WRONG}, owner=entry.name)
