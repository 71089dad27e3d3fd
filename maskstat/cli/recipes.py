"""Options that say what lies between masks and the loss, for all commands that take a recipe."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskstat.cli.options import beginning
from maskstat.cli.values import file, number

if TYPE_CHECKING:
    from maskstat.api.scan import Scan
    from maskstat.weights.choices import Unlisted


def _named() -> list[str]:
    from maskstat.exposure.recipes import recipe_names

    return recipe_names()


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


DropLast = Annotated[
    bool,
    typer.Option(
        "--drop-last",
        help="A last batch that is not full is dropped; PyTorch's and Keras' loaders keep it by "
        "default.",
    ),
]


@dataclass(frozen=True, slots=True)
class AskedRecipe:
    """What options say of a recipe, for commands of a scan or of what training sees of it."""

    recipe: str | None
    crop: str | None
    scale: str | None
    cat_max_ratio: float | None
    sampler: Path | None = None

    def __bool__(self) -> bool:
        named = (self.recipe, self.crop, self.scale, self.cat_max_ratio)
        return any(value is not None for value in named)

    def __str__(self) -> str:
        """The options that make another command speak of the same, a blank before each."""
        given = {
            "--recipe": self.recipe,
            "--crop": self.crop,
            "--scale": self.scale,
            "--cat-max-ratio": self.cat_max_ratio,
            "--sampler": self.sampler,
        }
        words = [str(word) for pair in given.items() if pair[1] is not None for word in pair]
        return "".join(f" {shlex.quote(word)}" for word in words)

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
            refuse_idle({"sampler": self.sampler}, goes_with=goes_with)
            return folder
        try:
            return folder.exposure(
                self.recipe,
                crop=self.crop,
                scale=self.scale,
                cat_max_ratio=self.cat_max_ratio,
                sampler=self.sampler,
                stored=True,
                unlisted=unlisted,
                allow_incomplete=allow_incomplete,
            )
        except ExposureError as error:
            part = " --allow-incomplete" if allow_incomplete and not folder.info.complete else ""
            error.remedy = f"{error.remedy}{part}{about}"
            raise
