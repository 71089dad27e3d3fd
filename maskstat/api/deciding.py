"""Deciding: predictions in a folder beside the masks of a scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from maskstat.decision.choices import MEASURES, Measure
from maskstat.decision.decision_report import DecisionReport
from maskstat.decision.decisions import Decision, Scores
from maskstat.decision.layout import look_like_probabilities
from maskstat.decision.measures import FloatArray
from maskstat.decision.prediction_files import paired, read_scores
from maskstat.errors import FileFormatError, ParameterError, argument
from maskstat.naming import natural_key, printable
from maskstat.parameters import check_word
from maskstat.scanning.labelling import IGNORED, label_maps
from maskstat.scanning.recording import Progress
from maskstat.scanning.stored_scan import StoredScan
from maskstat.weights.table import WeightTable, load_weights


def decide(
    scan: StoredScan,
    predictions: str | Path,
    *,
    measure: Measure,
    train: StoredScan | None,
    weights: WeightTable | str | Path | None,
    on_progress: Callable[[Progress], None] | None,
) -> DecisionReport:
    """As `Scan.decide`."""
    check_word(measure, MEASURES, parameter="measure")
    if not scan.has_group_rule:
        suggested = scan.suggested_groups
        each = f"{argument('group_by', 'mask')} where every mask is independent of all others"
        looks = (
            ""
            if suggested is None
            else f"names suggest {argument('group_by', suggested.rule.text)}; "
        )
        raise ParameterError(
            "is needed: what was chosen on some groups is judged on others",
            parameter="group_by",
            remedy=f"{looks}{each}",
        )
    names = scan.ledger.names
    files = paired(Path(predictions), names)
    table = load_weights(weights) if isinstance(weights, (str, Path)) else weights
    groups = scan.groups
    group_of = {name: groups.names[at] for name, at in zip(names, groups.of.tolist(), strict=True)}
    scores = _kind(scan, files)
    decision = Decision(
        scan.catalog.names,
        measure=measure,
        scores=scores,
        ignore_index=IGNORED,
        prior=_prior(scan, train, table),
        weights=None if table is None else table.weights,
        rule=scan.group_rule.text,
    )
    done, pixels = 0, 0

    def choosing(fit: int, of: int) -> None:
        if on_progress is not None:
            doing = f"choosing shifts, {fit} of {of}"
            on_progress(Progress(done, 2 * len(files), 0, pixels, doing))

    for _ in decision.passes(choosing):
        for name, labels in label_maps(scan, set(files)):
            found = read_scores(files[name], labels.shape, len(scan.catalog))
            if look_like_probabilities(found) != (scores == "probabilities"):
                raise FileFormatError(
                    "holds probabilities, and the first file logits"
                    if scores == "logits"
                    else "holds no probabilities, and the first file does",
                    where=printable(str(files[name])),
                )
            decision.update(found, labels, group=group_of[name], name=name)
            done, pixels = done + 1, pixels + labels.size
            if on_progress is not None:
                on_progress(Progress(done, 2 * len(files), 0, pixels))
    return replace(decision.report(), left_out=len(names) - len(files))


def _kind(scan: StoredScan, files: Mapping[str, Path]) -> Scores:
    """What the first file holds."""
    name, labels = next(label_maps(scan, {min(files, key=natural_key)}))
    found = read_scores(files[name], labels.shape, len(scan.catalog))
    return "probabilities" if look_like_probabilities(found) else "logits"


def _prior(
    scan: StoredScan, train: StoredScan | None, table: WeightTable | None
) -> FloatArray | None:
    """Class frequencies in training, where something says them."""
    names = scan.catalog.names
    given: dict[str, tuple[str, ...]] = {}
    if train is not None:
        given["train"] = train.catalog.names
    if table is not None:
        given["weights"] = table.names
    for what, known in given.items():
        if known != names:
            raise ParameterError(
                f"is of other classes than {printable(scan.name)}: {len(known)}, not {len(names)},"
                " or in another order",
                parameter=what,
            )
    if train is not None:
        return np.asarray(train.histogram.frequency)
    return None if table is None else np.asarray(table.frequency)
