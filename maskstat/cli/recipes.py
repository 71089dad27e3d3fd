"""Options that say what lies between masks and the loss, for all commands that take a recipe."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskstat.cli.options import beginning
from maskstat.cli.values import file, number

if TYPE_CHECKING:
    from maskstat.api.scan import Scan
    from maskstat.weights.choices import Unlisted


def _named() -> list[str]:
    from maskstat.exposure.named import PLUGINS
    from maskstat.exposure.recipes import recipe_names

    return [*recipe_names(), *PLUGINS.names]


RecipeOption = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE",
        autocompletion=beginning(_named),
        help="What training does to masks: mmseg-cityscapes, mmseg-ade20k, torchvision-reference, "
        "deeplab, or a YAML file. --crop, --scale and --cat-max-ratio change it.",
    ),
]
CropOption = Annotated[
    str | None,
    typer.Option("--crop", metavar="N|HxW", help="Random crops of this size."),
]
ScaleOption = Annotated[
    str | None,
    typer.Option(
        "--scale",
        metavar="LOW:HIGH|A,B,...",
        help="What masks are rescaled by before: uniform between two ratios (with :log, "
        "log-uniform), or one of some.",
    ),
]
CatMaxRatio = Annotated[
    float | None,
    typer.Option(
        "--cat-max-ratio",
        metavar="R",
        parser=number,
        help="Crops in which one class has this share are drawn anew, as mmsegmentation does.",
    ),
]
DrawOption = Annotated[
    str | None,
    typer.Option(
        "--draw",
        metavar="LAW|FILE",
        autocompletion=beginning(lambda: ["rare", "uniform"]),
        help="Crops are drawn by class, to meet rare ones: rare (as DAFormer draws), uniform, or "
        "by a file of weights.",
    ),
]
ChanceOption = Annotated[
    float | None,
    typer.Option(
        "--chance",
        metavar="SHARE",
        parser=number,
        help="With --draw: the share of crops that are left to chance. Default: 0.",
    ),
]
PresenceOption = Annotated[
    bool, typer.Option("--presence", help="The exact chance of each class to be in a crop.")
]
SamplerOption = Annotated[
    Path | None,
    typer.Option(
        "--sampler",
        metavar="FILE",
        parser=file,
        help="How often masks are drawn: a file that 'maskstat sampling' wrote.",
    ),
]


@dataclass(eq=False, repr=False)
class AskedRecipe:
    """Options of a recipe, for commands of a scan or of what training sees of it."""

    recipe: RecipeOption = None
    crop: CropOption = None
    scale: ScaleOption = None
    cat_max_ratio: CatMaxRatio = None

    def __bool__(self) -> bool:
        return any(getattr(self, one.name) is not None for one in fields(AskedRecipe))

    def __str__(self) -> str:
        """The options that make another command speak of the same, a blank before each."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return "".join(
            f" --{name.replace('_', '-')} {shlex.quote(str(value))}"
            for name, value in given.items()
        )

    def seen(
        self,
        folder: Scan,
        about: str,
        *,
        unlisted: Unlisted = "ignore",
        allow_incomplete: bool = False,
    ) -> Scan:
        """The scan as training sees it, where a recipe is asked for. Nothing is decoded.

        Args:
            about: the options that name the scan, for the command that works it out.

        Raises:
            ExposureError: it was not worked out; the remedy is that command.
            ParameterError: a recipe that means nothing, or a sampler without one.
        """
        from maskstat.errors import ExposureError, argument
        from maskstat.parameters import refuse_idle

        if not self:
            goes_with = f"{argument('recipe')} or {argument('crop')}"
            beside = {name: vars(self).get(name) for name in ("draw", "chance", "sampler")}
            refuse_idle(beside, goes_with=goes_with)
            return folder
        try:
            return folder.exposure(
                **vars(self), stored=True, unlisted=unlisted, allow_incomplete=allow_incomplete
            )
        except ExposureError as error:
            part = " --allow-incomplete" if allow_incomplete and not folder.info.complete else ""
            words = shlex.split(about)
            rest = words[2:] if words[:1] == ["--db"] else words  # the call names its store
            more = "".join(f" {shlex.quote(word)}" for word in rest)
            error.remedy = f"{error.remedy}{part}{more}"
            raise


@dataclass(eq=False, repr=False)
class AskedLoader(AskedRecipe):
    """The same, and how crops or masks are drawn."""

    draw: DrawOption = None
    chance: ChanceOption = None
    sampler: SamplerOption = None
