"""Options that say what lies between masks and the loss, for all commands that take a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskstat.cli.options import beginning
from maskstat.cli.values import file, number


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
        "deeplab, or a YAML file. The other options here change it.",
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
