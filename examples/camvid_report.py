"""Tables and a plot of the runs that examples/camvid.py made.

    python examples/camvid_report.py results.csv --plot results.png
    python examples/camvid_report.py docs/evidence.md

The first prints Markdown and draws. The second puts tables between the marks of a page: after
`<!-- scores results.csv -->` and up to `<!-- end -->` stands that table of that file, which lies
beside the page. It needs no PyTorch.

A difference is taken seed by seed, between two models that started alike and saw the same batches,
so what a lucky seed gives both of them cancels. What follows ± is the standard deviation over the
seeds (n - 1), of the value or of the difference: how much one more run may differ, not the
uncertainty of the mean.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Version(NamedTuple):
    """What was trained, and what was made of its logits; `draws` is where crops were, if any."""

    scheme: str
    loss: str
    logits: str
    draws: str = ""


PLAIN = Version("uniform", "cross-entropy", "as trained")
RECOMMENDED = ("uniform", "sqrt")
"""What `maskstat recommend` says of CamVid's training masks, where mean IoU is what counts: first
without weights, then with these."""
ALPHAS = {"uniform": 0.0, "sqrt": 0.5, "max-count": 1.0}
MEASURES = {
    "mean_iou": "mean IoU %",
    "balanced_accuracy": "balanced accuracy %",
    "pixel_accuracy": "pixel accuracy %",
    "calibration_error": "calibration error %",
    "log_loss": "log loss",
    "share_error": "share error %",
}
SHOWN = tuple(
    Version(*names)
    for names in (
        ("sqrt", "cross-entropy", "as trained"),
        ("median-frequency", "cross-entropy", "as trained"),
        ("max-count", "cross-entropy", "as trained"),
        ("equal-cost-torch", "cross-entropy", "as trained"),
        ("uniform", "logit-adjusted", "as trained"),
        ("uniform", "cross-entropy", "shifted"),
    )
)
"""The configurations whose classes are shown one by one."""
MARKED = re.compile(r"(<!-- (\w+) (\S+\.csv) -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Results:
    """Measures of every version of every configuration, and seed.

    Attributes:
        seeds: those that all configurations have, S of them.
        versions: in the order of the file.
        values: version -> measure -> float64[S], fractions.
        classes: names, in the order of the labels.
    """

    seeds: tuple[int, ...]
    versions: tuple[Version, ...]
    values: dict[Version, dict[str, FloatArray]]
    classes: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Results:
        """Results of a CSV, restricted to the seeds that every configuration has.

        Raises:
            SystemExit: no seed that all have, runs of different settings, no run without weights.
        """
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if not rows:
            sys.exit(f"{path} has no runs")
        names = list(rows[0])
        settings = names[names.index("logits") + 1 : names.index("train_loss")]
        if len({tuple(row[name] for name in settings) for row in rows}) > 1:
            sys.exit(f"{path} has runs of different settings, which are not to be compared")
        found: dict[Version, dict[int, dict[str, str]]] = {}
        for row in rows:
            version = Version(row["scheme"], row["loss"], row["logits"], row["draws"])
            found.setdefault(version, {})[int(row["seed"])] = row
        seeds = tuple(sorted(set.intersection(*map(set, found.values()))))
        if not seeds or not any(version[:3] == PLAIN[:3] for version in found):
            sys.exit(f"{path} has no seed with all configurations, no weights among them")
        measured = names[names.index("train_loss") :]
        values = {
            version: {
                name: np.array([float(by_seed[seed][name]) for seed in seeds]) for name in measured
            }
            for version, by_seed in found.items()
        }
        classes = tuple(name[4:] for name in names if name.startswith("iou_"))
        return cls(seeds, tuple(found), values, classes)

    @property
    def plain(self) -> Version:
        """No weights, on whole masks or on crops anywhere."""
        return next(version for version in self.versions if version[:3] == PLAIN[:3])

    def trained(self) -> list[Version]:
        """Every configuration as it was trained, no weights first."""
        trained = (v for v in self.versions if v.logits == PLAIN.logits)
        return sorted(trained, key=lambda v: v != self.plain)

    def corrected(self) -> list[Version]:
        """Every configuration whose logits were corrected."""
        return [version for version in self.versions if version.logits != PLAIN.logits]

    def difference(self, version: Version, other: Version, measure: str) -> FloatArray:
        """float64[S], seed by seed."""
        return self.values[version][measure] - self.values[other][measure]


def title(version: Version) -> str:
    """What tables and plots call it."""
    scheme, loss, logits, draws = version
    names = {
        "uniform": "no weights",
        "equal-cost": "equal-cost, Keras form",
        "equal-cost-torch": "equal-cost, PyTorch form",
    }
    scheme, at, _ = scheme.partition("@")
    name = names.get(scheme, scheme).replace("power:", "α = ") + (" of the crops" if at else "")
    if loss != PLAIN.loss:
        name = loss if scheme == PLAIN.scheme else f"{name} + {loss}"
    if draws:
        name = f"{draws}: {name}"
    return name if logits == PLAIN.logits else f"{name}, {logits}"


def scores(results: Results) -> str:
    """Mean ± standard deviation of every measure of every configuration as trained."""
    return _table(
        ["", *MEASURES.values()],
        (
            [title(v), *(_spread(results.values[v][m], m) for m in MEASURES)]
            for v in results.trained()
        ),
    )


def differences(results: Results) -> str:
    """Paired differences from no weights, and in how many seeds the mean IoU rose."""
    return _table(
        ["minus no weights, same seed", *MEASURES.values(), "mean IoU rose in"],
        (
            [
                title(v),
                *(
                    _spread(results.difference(v, results.plain, m), m, signed=True)
                    for m in MEASURES
                ),
                _rises(results.difference(v, results.plain, "mean_iou")),
            ]
            for v in results.trained()[1:]
        ),
    )


def corrections(results: Results) -> str:
    """Corrected logits: measures, and paired differences from the same model as it was trained and
    from no weights."""
    compared = {
        "mean IoU − as trained": ("mean_iou", None),
        "mean IoU − no weights": ("mean_iou", results.plain),
        "pixel accuracy − no weights": ("pixel_accuracy", results.plain),
        "log loss − no weights": ("log_loss", results.plain),
    }
    return _table(
        ["", *MEASURES.values(), *compared],
        (
            [
                title(v),
                *(_spread(results.values[v][m], m) for m in MEASURES),
                *(
                    _spread(
                        results.difference(v, other or v._replace(logits=PLAIN.logits), m),
                        m,
                        signed=True,
                    )
                    for m, other in compared.values()
                ),
            ]
            for v in results.corrected()
        ),
    )


def classes(results: Results) -> str:
    """IoU of every class without weights, and paired differences from it, frequent ones first."""
    plain = results.values[results.plain]
    share = {name: plain[f"frequency_{name}"][0] for name in results.classes}
    shown = [version for version in SHOWN if version in results.values]
    return _table(
        ["class", "share %", "no weights: IoU %", *(title(version) for version in shown)],
        (
            [
                name,
                f"{100 * share[name]:.1f}",
                _spread(plain[f"iou_{name}"], "iou"),
                *(
                    _spread(results.difference(v, results.plain, f"iou_{name}"), "iou", signed=True)
                    for v in shown
                ),
            ]
            for name in sorted(share, key=share.__getitem__, reverse=True)
        ),
    )


def shares(results: Results) -> str:
    """How much probability a class is given in all, over how often it occurs."""
    shown = [results.plain, *(version for version in SHOWN if version in results.values)]
    plain = results.values[results.plain]
    occurs = {name: plain[f"frequency_{name}"][0] for name in results.classes}
    return _table(
        ["class", "share %", *(title(version) for version in shown)],
        (
            [
                name,
                f"{100 * occurs[name]:.1f}",
                *(
                    f"{results.values[v][f'probability_{name}'].mean() / occurs[name]:.2f}"
                    for v in shown
                ),
            ]
            for name in sorted(occurs, key=occurs.__getitem__, reverse=True)
        ),
    )


def damping(results: Results) -> str:
    """Powers of the pixel frequency: what each costs before training, and what it brought."""
    known = ("cost_spread", "effective_pixel_share", "loss_share_ratio")
    measures = ("mean_iou", "balanced_accuracy", "pixel_accuracy", "log_loss")
    undone = ("mean_iou", "pixel_accuracy", "log_loss")
    rows = []
    for version in sorted(results.trained(), key=_alpha):
        of = results.values[version]
        spread, effective, ratio = (of[price][0] for price in known)
        corrected = version._replace(logits="weights undone")
        after = results.values.get(corrected, of)
        rows.append(
            [
                f"{_alpha(version):g}",
                f"{100 * spread:.1f}",
                f"{effective:.3f}",
                f"{ratio:.3g}",
                *(_spread(of[measure], measure) for measure in measures),
                *(_spread(after[measure], measure) for measure in undone),
            ]
        )
    names = [MEASURES[name] for name in measures]
    header = ["α", "cost spread %", "effective pixels", "largest share of the loss ÷ smallest"]
    return _table([*header, *names, *(f"undone: {MEASURES[name]}" for name in undone)], rows)


def _alpha(version: Version) -> float:
    return ALPHAS.get(version.scheme, float(version.scheme.partition(":")[2] or "nan"))


def crops(results: Results) -> str:
    """Crops drawn anywhere and for rare classes: measures, and paired differences of mean IoU from
    no weights, from the same weights anywhere, and from weights of the masks."""
    rows = []
    for version in results.trained():
        others = (
            results.plain,
            version._replace(draws=results.plain.draws),
            version._replace(scheme=version.scheme.partition("@")[0]),
        )
        rows.append(
            [
                title(version),
                *(_spread(results.values[version][m], m) for m in MEASURES),
                *("" if other == version else _points(results, version, other) for other in others),
            ]
        )
    differences = ("no weights anywhere", "the same anywhere", "weights of the masks")
    header = ["", *MEASURES.values(), *(f"mean IoU − {other}" for other in differences)]
    return _table(header, rows)


def regret(results: Results) -> str:
    """How far what is recommended stays behind the best configuration, chosen afterwards."""
    best = max(results.versions, key=lambda v: results.values[v]["mean_iou"].mean())
    return _table(
        ["recommended", "mean IoU %", "among", "best afterwards", "mean IoU %", "regret"],
        (
            [
                title(version),
                _spread(results.values[version]["mean_iou"], "mean_iou"),
                str(len(results.versions)),
                title(best),
                _spread(results.values[best]["mean_iou"], "mean_iou"),
                "" if version == best else _points(results, best, version),
            ]
            for version in results.trained()
            if version.scheme in RECOMMENDED and version.loss == PLAIN.loss
        ),
    )


def _points(results: Results, version: Version, other: Version) -> str:
    return _spread(results.difference(version, other, "mean_iou"), "mean_iou", signed=True)


def decided(path: Path) -> str:
    """What shifts of the logits gained, in points of mean IoU: mean over networks and videos, the
    smallest and the largest gain, and how many rose."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kinds = {
        "within": "chosen on other blocks of the same video",
        "across": "chosen on the other video",
        "no labels": "chosen without labels",
    }
    found: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in rows:
        found.setdefault((row["scheme"], row["family"], row["kind"]), []).append(row)
    keys = sorted(
        found, key=lambda key: (_alpha(PLAIN._replace(scheme=key[0])), [*kinds].index(key[2]))
    )
    return _table(
        ["trained with", "decision", "chosen on", "gain", "smallest", "largest", "rose in"],
        (
            [
                title(PLAIN._replace(scheme=scheme)),
                family,
                kinds[kind].removeprefix("chosen on ").removeprefix("chosen "),
                _spread(gains, "mean_iou", signed=True),
                f"{100 * gains.min():+.1f}".replace("-", "−"),
                f"{100 * gains.max():+.1f}".replace("-", "−"),
                _rises(gains),
            ]
            for scheme, family, kind in keys
            for gains in [np.array([float(row["gain"]) for row in found[scheme, family, kind]])]
        ),
    )


TABLES = {
    "scores": scores,
    "differences": differences,
    "corrections": corrections,
    "classes": classes,
    "shares": shares,
    "damping": damping,
    "crops": crops,
    "regret": regret,
}
FOR_ONE_KIND = {"damping", "crops"}
"""Tables of CSV files of one kind of runs."""
DECIDED = {"decided": decided}
"""Tables of a CSV of examples/camvid_decide.py."""


def updated(page: Path) -> str:
    """The text of a page with the tables between its marks as its CSV files give them now.

    Raises:
        SystemExit: a mark of a table that there is not, or as `Results.read`.
    """

    def made(mark: re.Match[str]) -> str:
        name, path = mark[2], page.parent / mark[3]
        if name in DECIDED:
            table = DECIDED[name](path)
        elif name in TABLES:
            table = TABLES[name](Results.read(path))
        else:
            sys.exit(
                f"{page} asks for a table {name!r}; there are {', '.join((*TABLES, *DECIDED))}"
            )
        return f"{mark[1]}\n{table}\n{mark[4]}"

    return MARKED.sub(made, page.read_text(encoding="utf-8"))


def draw(results: Results, path: Path) -> None:
    """What each configuration changes, seed by seed, one panel a measure; of powers, curves."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if all(np.isfinite(_alpha(version)) for version in results.versions):
        _draw_curve(results, path)
        return

    panels = {
        "mean_iou": "mean IoU, points",
        "balanced_accuracy": "balanced accuracy, points",
        "calibration_error": "calibration error, points",
        "share_error": "share error, points",
    }
    shown = [*results.trained()[1:], *results.corrected()]
    figure = Figure(figsize=(12, 0.6 + 0.27 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    rows = np.arange(len(shown))
    split = len(results.trained()) - 1.5
    for axes, (measure, label) in zip(
        figure.subplots(1, len(panels), sharey=True), panels.items(), strict=True
    ):
        for row, version in enumerate(shown):
            points = 100 * results.difference(version, results.plain, measure)
            colour = "#0072b2" if row < split else "#d55e00"
            axes.plot(points, np.full(points.size, row), "o", color=colour, alpha=0.45, ms=4)
            axes.plot(points.mean(), row, "|", color=colour, ms=13, mew=2)
        axes.axvline(0, color="#545d68", linewidth=0.8)
        axes.axhline(split, color="#d3d9df", linewidth=0.8)
        axes.set_xlabel(label)
        axes.grid(axis="x", color="#d3d9df", linewidth=0.5)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    figure.axes[0].set_yticks(rows, [title(version) for version in shown])
    figure.axes[0].invert_yaxis()
    figure.suptitle("Difference from no weights, same seed: every seed (dots) and their mean (bar)")
    figure.savefig(path, dpi=130)


def _draw_curve(results: Results, path: Path) -> None:
    """Measures against the damping, as trained and with weights undone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    kinds = {PLAIN.logits: "#0072b2", "weights undone": "#d55e00"}
    shown = ("mean_iou", "balanced_accuracy", "pixel_accuracy", "log_loss")
    for axes, measure in zip(figure.subplots(1, len(shown)), shown, strict=True):
        scale = 1.0 if measure == "log_loss" else 100.0
        for logits, colour in kinds.items():
            # Without weights there is nothing to undo.
            at = {
                _alpha(v): scale * results.values[v][measure]
                for v in sorted(results.versions, key=_alpha)
                if v.logits == logits or v == results.plain
            }
            means = [values.mean() for values in at.values()]
            axes.plot(list(at), means, color=colour, label=logits)
            for alpha, values in at.items():
                axes.plot(np.full(values.size, alpha), values, "o", color=colour, alpha=0.4, ms=4)
        axes.set_title(MEASURES[measure], fontsize=10)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
        axes.grid(color="#d3d9df", linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[-1].legend(frameon=False, fontsize=8)
    figure.supxlabel("α of weights in proportion to 1 / frequency$^α$", fontsize=10)
    figure.savefig(path, dpi=130)


def _spread(values: FloatArray, measure: str, *, signed: bool = False) -> str:
    scale, digits = (1.0, 3) if measure == "log_loss" else (100.0, 1)
    sign = "+" if signed else ""
    deviation = values.std(ddof=1) if values.size > 1 else 0.0
    text = f"{scale * values.mean():{sign}.{digits}f} ± {scale * deviation:.{digits}f}"
    return text.replace("-", "−")


def _rises(values: FloatArray) -> str:
    return f"{int((values > 0).sum())} of {values.size}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see the module's first lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("source", type=Path, help="a CSV of examples/camvid.py, or a .md page")
    parser.add_argument("--plot", type=Path, help="image to draw; the suffix decides the format")
    given = parser.parse_args(arguments)
    if given.source.suffix == ".md":
        given.source.write_text(updated(given.source), encoding="utf-8")
        return
    results = Results.read(given.source)
    if given.plot is not None:
        draw(results, given.plot)
    print("\n".join(make(results) for n, make in TABLES.items() if n not in FOR_ONE_KIND))


if __name__ == "__main__":
    main()
