"""Weight schemes: one registered pure function each, from the counts of the classes that occur.

Absent classes never meet a formula (`weights.compute.compute` gives them their weight), and
scale is a separate step (`maskstat.weights.normalise`), so a scheme is just its formula.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from maskstat.entry_points import Plugin, PluginGroup, reason
from maskstat.errors import MaskstatError, ParameterError, UnknownCountsError, WeightError
from maskstat.naming import counted, printable
from maskstat.parameters import bind, defaults, find_named
from maskstat.showing import one_line
from maskstat.values.histogram import Unit
from maskstat.values.known import Known, of_shares
from maskstat.values.tally import IntArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """Counts of the P classes that occur; every pixel count is >= 1.

    A scheme that asks for what is unknown here raises UnknownCountsError.

    Attributes:
        pixels: int64[P], n_c, or numbers in proportion to them where only shares are known.
        masks: int64[P], image count m_c.
        image_pixels: int64[P], H_c: all pixels of the masks that contain the class.
        labelled_image_pixels: int64[P], the labelled pixels of those masks.
        count_components: gives int64[P], connected components, when a scheme asks for them; None
            where nobody measured them.
        unit: "shares" or "volume" where `pixels` are in proportion to something else, as in
            `ClassHistogram`.
    """

    pixels: IntArray
    masks: Known[IntArray] = Known()
    image_pixels: Known[IntArray] = Known()
    labelled_image_pixels: Known[IntArray] = Known()
    count_components: Callable[[], IntArray] | None = None
    unit: Unit = "pixels"

    def __repr__(self) -> str:
        return one_line(self, counted(self.pixels.size, "class"))

    @property
    def exact_pixels(self) -> IntArray:
        """int64[P], n_c. Raises UnknownCountsError where only their shares are known, or meant."""
        if self.unit == "shares":
            raise of_shares()
        if self.unit == "volume":
            raise UnknownCountsError(
                "volumes are no number of pixels", remedy="let it count masks or components"
            )
        return self.pixels

    @property
    def components(self) -> IntArray:
        """int64[P], connected components of each class.

        Raises:
            WeightError: there is no profile to take them from, or a class has none in it.
        """
        if self.count_components is None:
            raise WeightError(
                "components are not counted here", remedy="take the weights of a profiled scan"
            )
        found = self.count_components()
        if not found.all():
            raise WeightError("a class that occurs has no component in the profile")
        return found


@dataclass(frozen=True, slots=True)
class Scheme:
    """A registered scheme.

    Attributes:
        name: what it is called by.
        formula: in the notation n_c, p_c = n_c / N, m_c, H_c.
        source: who published it.
        function: `function(counts, **parameters) -> float64[P]`.
        falls_with_frequency: whether a class with more pixels never weighs more.
        scale_free: whether all counts x k leave the weights as they are.
        reduction: the average of the loss that the formula is for, as in `WeightTable`; None
            where it is for any.
        package: which package brings it, and its version; None where it is built in.
    """

    name: str
    formula: str
    source: str
    function: Callable[..., FloatArray]
    falls_with_frequency: bool
    scale_free: bool
    reduction: str | None = None
    package: str | None = None

    __repr__ = one_line

    @property
    def parameters(self) -> dict[str, object]:
        """Parameter names with their defaults."""
        return defaults(self.function)

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def bind(self, given: Mapping[str, object]) -> dict[str, object]:
        """All parameters: defaults, overridden by `given`, whose texts become the right types.

        Raises:
            ParameterError: an unknown name or a value of the wrong type.
        """
        return bind(self.function, given, owner=f"scheme {self.name}")

    def __call__(self, counts: ClassCounts, **parameters: object) -> FloatArray:
        return self.function(counts, **self.bind(parameters))


SCHEMES: dict[str, Scheme] = {}


def scheme(
    name: str,
    *,
    formula: str,
    source: str,
    falls_with_frequency: bool = True,
    scale_free: bool = True,
    reduction: str | None = None,
) -> Callable[[Callable[..., FloatArray]], Callable[..., FloatArray]]:
    """Register a function as a weight scheme; everything else follows by itself."""

    def register(function: Callable[..., FloatArray]) -> Callable[..., FloatArray]:
        SCHEMES[name] = Scheme(
            name, formula, source, function, falls_with_frequency, scale_free, reduction
        )
        return function

    return register


def find_scheme(name: str) -> Scheme:
    """The scheme of this name, built in or a plugin's.

    Raises:
        ParameterError: there is none, with the nearest name.
        PluginError: it is a plugin's that can't be used.
    """
    found = SCHEMES.get(name) or PLUGINS.find(name)
    if found is not None:
        return found
    return find_named(name, all_schemes(), noun="scheme", parameter="scheme")


def all_schemes() -> dict[str, Scheme]:
    """Those that are built in, then those of plugins that can be used."""
    return {**SCHEMES, **PLUGINS.usable()}


def _of_plugin(plugin: Plugin, given: object) -> Scheme:
    """A plugin's scheme, whose function gives numbers or says why not."""
    if not isinstance(given, Scheme):
        raise ValueError(f"it is {type(given).__name__}, and no maskstat.Scheme")
    if given.name != plugin.name:
        raise ValueError(f"its scheme is called {printable(repr(given.name))[:60]}")
    if not isinstance(given.formula, str) or not isinstance(given.source, str):
        raise ValueError("its scheme has no formula or no source")
    if given.reduction not in {None, "linear", "weight-normalised"}:
        raise ValueError("its scheme's reduction is neither 'linear' nor 'weight-normalised'")
    defaults(given.function)
    function = given.function

    @functools.wraps(function)
    def checked(counts: ClassCounts, **parameters: object) -> FloatArray:
        try:
            weights = np.array(function(counts, **parameters), np.float64)
        except MaskstatError:
            raise
        except Exception as error:
            raise WeightError(reason(error), where=str(plugin)) from error
        if weights.shape != counts.pixels.shape:
            shape = " x ".join(map(str, weights.shape)) or "no"
            problem = f"gives {shape} weights for {counted(counts.pixels.size, 'class')}"
            raise WeightError(problem, where=str(plugin))
        if (weights < 0).any():
            raise WeightError("gives negative weights", where=str(plugin))
        return weights

    return replace(given, function=checked, package=plugin.origin)


PLUGINS = PluginGroup("schemes", _of_plugin, lambda: SCHEMES)


def _total(counts: ClassCounts) -> FloatArray:
    return np.asarray(counts.pixels.sum(dtype=np.float64))


@scheme(
    "equal-cost",
    formula="N / (K n_c)",
    source="maskstat: every constant prediction costs the same under a linear average",
    reduction="linear",
)
def equal_cost(counts: ClassCounts) -> FloatArray:
    """Makes all constant predictions equally costly where the loss is a plain mean or sum."""
    return balanced(counts)


@scheme(
    "balanced",
    formula="N / (K n_c)",
    source='King & Zeng 2001; scikit-learn "balanced"',
)
def balanced(counts: ClassCounts) -> FloatArray:
    """Every class contributes the same total weight, the average pixel weighs 1."""
    # In floats, since K n_c need not fit 64 bits.
    return _total(counts) / (counts.pixels.size * counts.pixels.astype(np.float64))


@scheme("max-count", formula="max_k n_k / n_c", source="the common heuristic: 1 / n_c, largest 1")
def max_count(counts: ClassCounts) -> FloatArray:
    """The most frequent class weighs 1, one half as frequent weighs 2."""
    return np.asarray(counts.pixels.max() / counts.pixels)


@scheme("inverse", formula="1 / p_c", source='MATLAB "inverse frequency"')
def inverse(counts: ClassCounts) -> FloatArray:
    """The reciprocal pixel frequency."""
    return _total(counts) / counts.pixels


@scheme("sqrt", formula="sqrt(max_k n_k / n_c)", source="square-root damping of max-count")
def sqrt(counts: ClassCounts) -> FloatArray:
    """Half of the way, on a log scale, from no weights to max-count."""
    return np.asarray(np.sqrt(max_count(counts)))


@scheme("power", formula="(max_k n_k / n_c)^alpha", source="power-law damping of max-count")
def power(counts: ClassCounts, *, alpha: float = 0.25) -> FloatArray:
    """max-count to a power: alpha 1 is max-count, 0.5 is sqrt, 0 is uniform."""
    if alpha < 0:
        raise ParameterError("must not be negative", parameter="parameters", where="alpha")
    with np.errstate(over="ignore"):  # compute() refuses what is not finite
        return np.asarray(max_count(counts) ** alpha)


@scheme(
    "median-frequency",
    formula="median_k(f_k) / f_c with f_c = n_c / H_c",
    source="Eigen & Fergus 2015, arXiv 1411.4734, section 6.3.2",
    falls_with_frequency=False,
)
def median_frequency(
    counts: ClassCounts, *, image_pixels: Literal["all", "labelled"] = "all"
) -> FloatArray:
    """Frequency within the images that contain the class; the median class weighs 1."""
    images = counts.image_pixels if image_pixels == "all" else counts.labelled_image_pixels
    frequency = counts.pixels / images
    return np.asarray(np.median(frequency) / frequency)


@scheme("enet", formula="1 / ln(c + p_c)", source="Paszke et al. 2016, arXiv 1606.02147")
def enet(counts: ClassCounts, *, c: float = 1.02) -> FloatArray:
    """Bounded: however rare a class, its weight stays below 1 / ln(c)."""
    if c < 1:
        raise ParameterError("must be at least 1", parameter="parameters", where="c")
    # ln(c + p) as log1p keeps what a tiny p adds to c = 1.
    return np.asarray(1.0 / np.log1p(c - 1.0 + counts.pixels / _total(counts)))


@scheme(
    "log",
    formula="max(1, ln(mu N / n_c))",
    source='the widespread "smoothed log" class weights',
)
def log(counts: ClassCounts, *, mu: float = 0.15) -> FloatArray:
    """Logarithmic in rarity, with a floor of 1 for frequent classes."""
    if mu <= 0:
        raise ParameterError("must be positive", parameter="parameters", where="mu")
    return np.asarray(np.maximum(1.0, np.log(mu * inverse(counts))))


@scheme(
    "effective-number",
    formula="(1 - beta) / (1 - beta^x_c), x_c = masks, pixels or components",
    source="Cui et al. 2019, arXiv 1901.05555",
    falls_with_frequency=False,
    scale_free=False,
)
def effective_number(
    counts: ClassCounts,
    *,
    beta: float = 0.999,
    count: Literal["masks", "pixels", "components"] = "masks",
) -> FloatArray:
    """Diminishing returns of more samples; on raw pixel counts all weights come out the same."""
    if not 0 <= beta < 1:
        raise ParameterError("must be at least 0 and below 1", parameter="parameters", where="beta")
    samples: IntArray = counts.exact_pixels if count == "pixels" else getattr(counts, count)
    if beta == 0:
        return np.ones(samples.size)
    return np.asarray((1.0 - beta) / -np.expm1(samples * np.log(beta)))


@scheme("uniform", formula="1", source="no weighting")
def uniform(counts: ClassCounts) -> FloatArray:
    """Every class weighs 1: what a loss does without weights."""
    return np.ones(counts.pixels.size)
