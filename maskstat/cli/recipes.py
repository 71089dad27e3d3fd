"""Options that say what lies between masks and the loss, for all commands that take a recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskstat.cli.options import beginning
from maskstat.cli.values import file, number
from maskstat.errors import ParameterError
from maskstat.parameters import parse_number, parse_whole

if TYPE_CHECKING:
    from maskstat.api.scan import Scan
    from maskstat.exposure.recipe import Recipe
    from maskstat.exposure.rescaling import Rescaling


def _named() -> list[str]:
    from maskstat.exposure.named import names

    return names()


def _crop(text: str) -> str:
    """A parser of sizes: 512, or 512x1024 as height x width."""
    if size_of(str(text)) is None:
        raise typer.BadParameter(f"{str(text)[:40]!r} is no size such as 512 or 512x1024 (H x W)")
    return text


def size_of(text: str) -> tuple[int, int] | None:
    """(H, W) of "512" or "512x1024"."""
    sides = [parse_whole(part) for part in text.lower().split("x")]
    if len(sides) > 2 or any(side is None or not 0 < side <= 1 << 16 for side in sides):
        return None
    return int(sides[0] or 0), int(sides[-1] or 0)


def _scale(text: str) -> str:
    """A parser of scales: 0.5:2, 0.5:2:log, or steps 0.5,1,2."""
    if _ratios(str(text)) is None:
        raise typer.BadParameter(
            f"{str(text)[:40]!r} is no scale such as 0.5:2, 0.5:2:log or 0.5,1,2"
        )
    return text


def _ratios(text: str) -> tuple[str, list[float]] | None:
    law = "steps" if ":" not in text else "log-uniform" if text.endswith(":log") else "uniform"
    parts = text.split(",") if law == "steps" else text.removesuffix(":log").split(":")
    ratios = [parse_number(part) for part in parts]
    found = [ratio for ratio in ratios if ratio is not None and 0.01 <= ratio <= 100]
    return (
        (law, found) if len(found) == len(parts) and (law == "steps" or len(parts) == 2) else None
    )


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
    typer.Option("--crop", metavar="N|HxW", parser=_crop, help="Random crops of this size."),
]
ScaleOption = Annotated[
    str | None,
    typer.Option(
        "--scale",
        metavar="LOW:HIGH|A,B,...",
        parser=_scale,
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


def recipe_of(
    recipe: str | None,
    crop: str | None,
    scale: str | None,
    cat_max_ratio: float | None,
    **more: object,
) -> Recipe | None:
    """The recipe that the options name; None where none of them is given. Raises ParameterError."""
    from maskstat.exposure.named import load_recipe
    from maskstat.exposure.recipe import Recipe

    changes: dict[str, object] = {key: value for key, value in more.items() if value is not None}
    if recipe is None and crop is None and scale is None and cat_max_ratio is None:
        return None
    start = Recipe() if recipe is None else load_recipe(recipe)
    if crop is not None:
        changes["crop"] = size_of(crop)
    if scale is not None:
        changes["scale"] = _scaled(scale, start.scale)
    if cat_max_ratio is not None:
        changes["cat_max_ratio"] = cat_max_ratio
    if changes.keys() & {"crop", "scale", "cat_max_ratio"}:
        changes["name"] = None
    return replace(start, **changes)  # type: ignore[arg-type]


def _scaled(text: str, before: Rescaling | None) -> Rescaling:
    """Other ratios of what the recipe scales by."""
    from maskstat.exposure.rescaling import Rescaling

    found = _ratios(text)
    if found is None:
        raise ParameterError("is like 0.5:2, 0.5:2:log or 0.5,1,2", parameter="scale")
    law, ratios = found
    return replace(before or Rescaling(), law=law, ratios=tuple(ratios))  # type: ignore[arg-type]


def exposed(scan: Scan, recipe: Recipe | None, sampler: Path | None = None) -> Scan:
    """The scan as training sees it, where a recipe is given; nothing is decoded.

    Raises:
        ExposureError: it was not worked out.
    """
    if recipe is None:
        if sampler is not None:
            raise ParameterError("goes with a recipe", parameter="sampling")
        return scan
    return scan.exposure(recipe, stored=True, sampling=sampler)
