"""Named recipes, which ship as data with their sources, and recipes of YAML files."""

from __future__ import annotations

from pathlib import Path

from maskstat.entry_points import Plugin, PluginGroup, text_of_file
from maskstat.errors import FileFormatError, ParameterError, unreadable
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.recipes import recipe_names, recipe_text
from maskstat.naming import did_you_mean, printable
from maskstat.regular_files import read_file

MOST_BYTES = 1 << 20  # of a file

# Loaders whose crops no recipe describes, by how their names begin, in small letters, digits, no
# signs: (what they do, what comes closest).
_NOT_DESCRIBED = {
    "nnunet": (
        "centres a third of each batch on a voxel of a random class of a random case",
        "draws of {first: mask, classes: uniform, chance: 0.67} in a file are near it: the voxel is"
        " then anywhere in the crop",
    ),
    "monai": (
        "has crops of several kinds: RandSpatialCrop lies anywhere, RandCropByPosNegLabel and"
        " RandCropByLabelClasses are centred on a class",
        "for RandSpatialCrop say its size as the crop",
    ),
    "randcropby": (
        "centres crops on pixels of chosen classes",
        "draws of {first: mask, classes: [its ratios]} in a file are near it: the pixel is then"
        " anywhere in the crop",
    ),
    "cropnonemptymask": (
        "lays crops around a random pixel that is not 0, whatever its class",
        "the crop alone is RandomCrop's",
    ),
    "randomresizedcrop": (
        "draws area and proportions of the window, and resizes it to one size",
        "the crop after a scale from crop / mask to that over the root of the smallest area is near"
        " it",
    ),
    "randomsizedcrop": (
        "draws the height of the window, and resizes it to one size",
        "a crop after a scale of crop height / window height is near it",
    ),
    "daformer": (
        "draws a class and a mask that has it, then rescales it and takes a crop anywhere, up to"
        " ten times, until it has enough of the class",
        "draws of {classes: rare, least_pixels: 3001} in a file draw the same"
        " classes and masks: the crop is then laid around a pixel of the class",
    ),
}


def load_recipe(said: str | Path) -> Recipe:
    """A named recipe, that of a YAML file, or a plugin's.

    Raises:
        FileFormatError: the file is no mapping of a recipe's attributes.
        ParameterError: there is neither a recipe nor a file of this name, or it is that of a loader
            whose crops no recipe describes.
        PluginError: it is a plugin's that can't be used.
    """
    known = recipe_names()
    if str(said) in known:
        return _of(recipe_text(str(said)), str(said))
    path = Path(said)
    where = printable(str(path))
    try:
        data = read_file(path, MOST_BYTES) if str(said) else None
    except FileNotFoundError:
        data = None
    except OSError as error:
        raise FileFormatError(unreadable(error), where=where) from error
    if data is None and path.is_file():
        raise FileFormatError("is too large to be a recipe", where=where)
    if data is None:
        found = PLUGINS.find(str(said))
        if found is not None:
            return found
        _refuse_other_laws(str(said))
        known = [*known, *PLUGINS.usable()]
        raise ParameterError(
            f"{printable(str(said))!r} is neither a file nor one of {', '.join(known)}",
            parameter="recipe",
            remedy=did_you_mean(str(said), known).rstrip() or None,
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileFormatError("not UTF-8 text", where=where) from error
    return _of(text, None, where)


def _refuse_other_laws(said: str) -> None:
    plain = "".join(letter for letter in said.lower() if letter.isalnum())
    for beginning, (does, closest) in _NOT_DESCRIBED.items():
        if plain.startswith(beginning):
            raise ParameterError(
                f"{printable(said)} {does}; no recipe says that",
                parameter="recipe",
                remedy=closest,
            )


def _of(text: str, name: str | None, where: str | None = None) -> Recipe:
    import yaml

    from maskstat.files.documents.yaml import Loader

    try:
        said = yaml.load(text, Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        shown = printable(" ".join(str(error).split()))[:200]
        raise FileFormatError(f"not valid YAML: {shown}", where=where) from error
    if not isinstance(said, dict):
        raise FileFormatError("holds no recipe: a mapping such as 'crop: 512'", where=where)
    words = {key: value for key, value in said.items() if key not in {"source", "words"}}
    try:
        return Recipe.of({**words, "name": name})
    except ParameterError as error:  # of the file, and no parameter of who reads it
        raise FileFormatError(
            f"{error.parameter}: {error.problem}", where=where, remedy=error.remedy
        ) from error
    except (TypeError, ValueError, OverflowError) as error:
        raise FileFormatError(f"holds no recipe: {printable(str(error))}", where=where) from error


def _of_plugin(plugin: Plugin, given: object) -> Recipe:
    return _of(text_of_file(given, MOST_BYTES), plugin.name)


PLUGINS = PluginGroup("recipes", _of_plugin, recipe_names)
