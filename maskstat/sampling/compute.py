"""How often to draw each mask, so that rare classes are seen more often.

Class weights change what a pixel counts; sampling changes which pixels there are. A method is one
registered function of the mask x class counts; `sample` adds what the weights do: the class mix of
an epoch before and after, and the effective number of masks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from maskstat.errors import WeightError
from maskstat.parameters import bind, several
from maskstat.sampling.methods import find_method, target_shares
from maskstat.sampling.mix import expected_mix, expected_presence
from maskstat.sampling.table import ClassMix, SamplingTable
from maskstat.values.ledger import MaskLedger
from maskstat.version import __version__


def sample(
    ledger: MaskLedger,
    classes: str | Iterable[str],
    method: str = "repeat-factor",
    *,
    parameters: Mapping[str, object] | None = None,
    provenance: Mapping[str, object] | None = None,
) -> SamplingTable:
    """Sampling weights of every mask.

    Args:
        ledger: mask x class counts.
        classes: K class names.
        method: one of `methods.METHODS`.
        parameters: the method's parameters.
        provenance: what is known about the origin of the counts.

    Raises:
        ParameterError: unknown method or parameter.
        WeightError: nothing is labelled, or no solution was found.
    """
    classes = several(classes)
    chosen = find_method(method)
    bound = bind(chosen.function, parameters or {}, owner=f"method {chosen.name}")
    before = expected_mix(ledger, np.ones(len(ledger)))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        weights = chosen.function(ledger, **bound)
        if chosen.unit == "probability":
            weights = weights / weights.sum()
    if not np.isfinite(weights).all():
        spelled = ", ".join(f"{name}={value}" for name, value in bound.items())
        raise WeightError(
            f"method {chosen.name} overflows under {spelled}", remedy="choose milder parameters"
        )
    target = None
    if "target" in bound:
        target = target_shares(ledger, bound["target"]).tolist()  # type: ignore[arg-type]
    mix = tuple(
        ClassMix(name, *numbers)
        for name, *numbers in zip(
            classes,
            before.tolist(),
            expected_mix(ledger, weights).tolist(),
            target or [None] * len(classes),
            expected_presence(ledger, np.ones(len(ledger))).tolist(),
            expected_presence(ledger, weights).tolist(),
            strict=True,
        )
    )
    return SamplingTable(
        ledger.names,
        weights,
        chosen.name,
        chosen.unit,
        bound,
        mix,
        {**(provenance or {}), "maskstat": __version__},
    )
