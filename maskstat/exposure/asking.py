"""Recipes as people ask for them: a name, a file, or what loaders do in a word each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskstat.errors import Blank, ParameterError, argument
from maskstat.exposure.named import PLUGINS, load_recipe
from maskstat.exposure.recipe import MOST_SIDE, Recipe
from maskstat.exposure.recipes import recipe_names
from maskstat.exposure.rescaling import Law, Rescaling, Shape
from maskstat.naming import printable
from maskstat.parameters import parse_number, parse_whole, refuse_idle
from maskstat.values.crop_draws import ClassLaw, CropDraws

Asked = Recipe | Mapping[str, Any] | str | Path
Crop = int | tuple[int, int] | str
Scale = Rescaling | Sequence[float] | float | str
Draw = CropDraws | ClassLaw | Sequence[float]


def recipe_of(
    recipe: Asked | None = None,
    *,
    crop: Crop | None = None,
    scale: Scale | None = None,
    cat_max_ratio: float | None = None,
    draw: Draw | None = None,
    chance: float | None = None,
    batch_size: int | None = None,
    drop_last: bool = False,
) -> Recipe:
    """The recipe that is asked for, changed by the other parameters: those of `Scan.exposure`.

    Raises:
        ParameterError: none is asked for, or one that means nothing.
        FileFormatError: a file that holds no recipe.
    """
    if recipe is None and crop is None and scale is None and cat_max_ratio is None:
        raise ParameterError(
            "none is given",
            parameter="recipe",
            remedy=f"{argument('crop', 512)}, say, or {argument('recipe', Blank('FILE'))}",
        )
    start = _begun(recipe)
    changes: dict[str, Any] = {}
    if crop is not None:
        changes["crop"] = _size(crop)
    if scale is not None:
        changes["scale"] = _rescaling(scale, start.scale)
    if cat_max_ratio is not None:
        changes["cat_max_ratio"] = cat_max_ratio
    if (draws := _draws(draw, chance, start.draws)) is not None:
        changes["draws"] = draws
    if changes:
        changes["name"] = None
    if batch_size is not None:
        changes["batch_size"] = batch_size
    if drop_last:
        changes["last_batch"] = "drop"
    try:
        return replace(start, **changes)
    except ParameterError as error:
        if error.parameter == "draws":
            error.parameter = "draw"
        raise


def asked_again(recipe: Recipe) -> dict[str, object]:
    """What `recipe_of` is asked for crops like those of a recipe: a name, a few words, or both.

    {"recipe": a blank} where only a file says all of it.
    """
    words: dict[str, Any] = {}
    if recipe.crop is not None:
        height, width = recipe.crop
        words["crop"] = height if height == width else f"{height}x{width}"
    if recipe.scale is not None:
        between = "," if recipe.scale.law == "steps" else ":"
        log = ":log" if recipe.scale.law == "log-uniform" else ""
        words["scale"] = between.join(map(_number, recipe.scale.ratios)) + log
    if recipe.refuses:
        words["cat_max_ratio"] = recipe.cat_max_ratio
    if (draws := recipe.draws) is not None and isinstance(draws.classes, str):
        words["draw"] = draws.classes
        if draws.chance:
            words["chance"] = draws.chance
    names = recipe_names()
    if recipe.name is not None and recipe.name not in names and recipe.name in PLUGINS.usable():
        names.append(recipe.name)
    named = {name: load_recipe(name) for name in names}
    ways: list[dict[str, Any]] = [{"recipe": name} for name in named] + ([words] if words else [])
    for name, start in named.items():
        own = [w for w in words if w not in {"draw", "chance"}]
        new = {w: words[w] for w in own if getattr(recipe, w) != getattr(start, w)}
        ways.append({"recipe": name, **new})
    for asked in ways:
        again = recipe_of(**asked)
        if (again.digest, again.draws) == (recipe.digest, recipe.draws):
            return asked
    return {"recipe": Blank("FILE")}


def _draws(draw: Draw | None, chance: float | None, before: CropDraws | None) -> CropDraws | None:
    """How crops are drawn by class; None where nothing new is said of it."""
    if draw is None and chance is None:
        return None
    if draw is None and before is None:
        refuse_idle({"chance": chance}, goes_with=argument("draw", "rare"))
    try:
        draws = draw if isinstance(draw, CropDraws) else before or CropDraws()
        if draw is not None and not isinstance(draw, CropDraws):
            classes = draw if isinstance(draw, str) else tuple(draw)
            draws = replace(draws, classes=classes)
        return draws if chance is None else replace(draws, chance=chance)
    except ParameterError as error:
        if error.parameter == "classes":
            error.parameter = "draw"
        raise


def _number(value: float) -> str:
    """As short as it can be, and the same number."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _begun(recipe: Asked | None) -> Recipe:
    if recipe is None:
        return Recipe()
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, Mapping):
        return Recipe.of(recipe)
    return load_recipe(recipe)


def _size(crop: object) -> Shape:
    """(H, W) of 512, (512, 1024) or "512x1024"."""
    sides: list[object] = list(crop) if isinstance(crop, (tuple, list)) else [crop]
    if isinstance(crop, str):
        sides = [parse_whole(part) for part in crop.lower().split("x")]
    good = [
        int(side)
        for side in sides
        if isinstance(side, int) and not isinstance(side, bool) and 0 < side <= MOST_SIDE
    ]
    if len(good) != len(sides) or len(good) not in {1, 2}:
        raise ParameterError(
            f"{_shown(crop)} is no size from 1 to {MOST_SIDE} pixels, such as 512 or 512x1024"
            " (height x width)",
            parameter="crop",
        )
    return good[0], good[-1]


def _rescaling(scale: object, before: Rescaling | None) -> Rescaling:
    """The scale; other ratios of what the recipe scales by, where only ratios are given."""
    if isinstance(scale, Rescaling):
        return scale
    law, ratios = _ratios(scale)
    if ratios is None or not all(0.01 <= ratio <= 100 for ratio in ratios):
        raise ParameterError(
            f"{_shown(scale)} is none of ratios from 0.01 to 100, such as 0.5:2, 0.5:2:log or"
            " 0.5,1,2",
            parameter="scale",
        )
    return replace(before or Rescaling(), law=law, ratios=tuple(ratios))


def _ratios(scale: object) -> tuple[Law, list[float] | None]:
    """The law, and the ratios; None where something is no number."""
    law: Law = "steps"
    numbers: list[float | None]
    if isinstance(scale, str):
        if ":" in scale:
            law = "log-uniform" if scale.endswith(":log") else "uniform"
        parts = scale.split(",") if law == "steps" else scale.removesuffix(":log").split(":")
        numbers = [parse_number(part) for part in parts]
    else:
        given = list(scale) if isinstance(scale, Sequence) else [scale]
        law = "uniform" if len(given) == 2 else "steps"
        numbers = [
            float(one) if isinstance(one, (int, float)) and not isinstance(one, bool) else None
            for one in given
        ]
    found = [number for number in numbers if number is not None]
    fits = len(found) == len(numbers) and found and (law == "steps" or len(found) == 2)
    return law, found if fits else None


def _shown(value: object) -> str:
    text = printable(repr(value))
    return text if len(text) <= 60 else f"{text[:56]}..."
