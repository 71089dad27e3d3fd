"""Sampling methods: one registered pure function each, from mask x class counts."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from maskstat.errors import ParameterError
from maskstat.parameters import defaults, find_named
from maskstat.sampling.mix import FloatArray, class_pixels, mask_rows
from maskstat.sampling.target_mix import Distance, TargetMix
from maskstat.showing import one_line
from maskstat.values.ledger import MaskLedger

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Unit = Literal["probability", "repeat factor"]
UNITS: tuple[Unit, ...] = ("probability", "repeat factor")
Target = Literal["uniform", "sqrt"]


@dataclass(frozen=True, slots=True)
class Method:
    """A registered sampling method.

    Attributes:
        name: what it is called by.
        formula: in the notation n_bc (pixels of class c in mask b), N_b = sum_c n_bc, p_c (pixel
            frequency), f_c (share of masks that contain c), K (classes that occur).
        source: who published it.
        unit: "probability" (weights sum to 1) or "repeat factor" (each at least 1).
        function: `function(ledger, **parameters) -> float64[B]`, >= 0; probabilities in any scale.
    """

    name: str
    formula: str
    source: str
    unit: Unit
    function: Callable[..., FloatArray]

    __repr__ = one_line

    @property
    def parameters(self) -> dict[str, object]:
        """Parameter names with their defaults."""
        return defaults(self.function)

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]


METHODS: dict[str, Method] = {}


def method(
    name: str, *, formula: str, source: str, unit: Unit = "probability"
) -> Callable[[Callable[..., FloatArray]], Callable[..., FloatArray]]:
    """Register a function as a sampling method; everything else follows by itself."""

    def register(function: Callable[..., FloatArray]) -> Callable[..., FloatArray]:
        METHODS[name] = Method(name, formula, source, unit, function)
        return function

    return register


def find_method(name: str) -> Method:
    """The method of this name. Raises ParameterError with the nearest name otherwise."""
    return find_named(name, METHODS, noun="sampling method", parameter="method")


@method(
    "repeat-factor",
    formula="max over classes c of b of max(1, sqrt(threshold / f_c))",
    source="Gupta et al. 2019 (LVIS), arXiv 1908.03195",
    unit="repeat factor",
)
def repeat_factor(ledger: MaskLedger, *, threshold: float = 0.001) -> FloatArray:
    """Repeats masks of classes that are in fewer than a share `threshold` of the masks."""
    if threshold < 0:
        raise ParameterError("must not be negative", parameter="parameters", where="threshold")
    masks = np.bincount(ledger.classes, minlength=ledger.class_count)
    share = np.maximum(masks, 1) / max(len(ledger), 1)
    of_class = np.maximum(1.0, np.sqrt(threshold / share))
    factors = np.ones(len(ledger))
    np.maximum.at(factors, mask_rows(ledger), of_class[ledger.classes])
    return factors


@method(
    "inverse-frequency",
    formula="(1/K) sum_c (n_bc / N_b) / p_c^power",
    source="the usual inverse class frequency, as a mean over pixels",
)
def inverse_frequency(ledger: MaskLedger, *, power: float = 1.0) -> FloatArray:
    """Draws a mask in proportion to the mean inverse frequency of its labelled pixels."""
    if power < 0:
        raise ParameterError("must not be negative", parameter="parameters", where="power")
    pixels = class_pixels(ledger)
    occurs = pixels > 0
    inverse = np.zeros(ledger.class_count)
    # Scaled by the rarest class, so that no power overflows.
    inverse[occurs] = (pixels[occurs].min() / pixels[occurs]) ** power if occurs.any() else 0.0
    rows = mask_rows(ledger)
    shares = ledger.pixels / ledger.labelled[rows]
    sums = np.bincount(rows, weights=shares * inverse[ledger.classes], minlength=len(ledger))
    return np.asarray(sums, np.float64)


@method(
    "target-mix",
    formula="argmin F(mix, target) + l KL(u || plain sampling)",
    source="maskstat: regularised least squares (NNLS) or divergence",
)
def target_mix(
    ledger: MaskLedger,
    *,
    target: Target = "uniform",
    effective: float = 0.25,
    distance: Distance = "kl",
) -> FloatArray:
    """Brings the class mix of an epoch close to a target, and still uses many masks.

    Drawing masks with probabilities q gives the expected mix sum_b q_b n_b / sum_b q_b N_b. In
    terms of u_b, mask b's share q_b N_b / sum q N of the pixels, that is linear, so to minimise a
    distance F from the target is a convex problem on the simplex. F is the Kullback-Leibler
    divergence sum_c t_c ln(t_c / mix_c), which lets no class vanish, or the sum of squares, which
    cares little for the rare ones.

    The closest mix alone uses a handful of masks and drops the rest. So the divergence from plain
    sampling is added, with the smallest factor l that leaves an effective number of masks of at
    least the share `effective` of the labelled ones; 0 asks for the closest mix whatever it
    costs, 1 for plain sampling. Masks without a labelled pixel can't change the mix and get 0.
    """
    if not 0 <= effective <= 1:
        raise ParameterError("must be from 0 to 1", parameter="parameters", where="effective")
    labelled = ledger.labelled
    chosen = np.flatnonzero(labelled > 0)
    weights = np.zeros(len(ledger))
    if chosen.size:
        aim = target_shares(ledger, target)
        mixes = _mixes(ledger)[chosen][:, np.flatnonzero(aim)]
        solver = TargetMix(mixes, labelled[chosen].astype(np.float64), aim[aim > 0], distance)
        weights[chosen] = solver.solve(effective * chosen.size)
    return weights


def target_shares(ledger: MaskLedger, target: Target) -> FloatArray:
    """float64[K], the mix asked for: equal shares of the classes that occur, or p_c^0.5 scaled."""
    pixels = class_pixels(ledger)
    wanted = np.sqrt(pixels) if target == "sqrt" else (pixels > 0).astype(np.float64)
    return np.asarray(wanted / max(float(wanted.sum()), 1.0))


def _mixes(ledger: MaskLedger) -> csr_array:
    """Sparse B x K: the class mix of each mask; rows sum to 1, or to 0 without labels."""
    from scipy.sparse import csr_array

    shares = ledger.pixels / ledger.labelled[mask_rows(ledger)]
    shape = (len(ledger), ledger.class_count)
    return csr_array((shares, ledger.classes, ledger.indptr), shape=shape)
