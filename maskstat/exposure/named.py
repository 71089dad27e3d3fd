"""Named recipes, which ship as data with their sources, and recipes of YAML files."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import yaml

from maskstat.errors import FileFormatError, ParameterError
from maskstat.exposure.recipe import Recipe
from maskstat.naming import did_you_mean, printable


def names() -> list[str]:
    """Of the recipes that ship."""
    folder = resources.files("maskstat.exposure") / "recipes"
    return sorted(
        item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml")
    )


def load_recipe(said: str | Path) -> Recipe:
    """A named recipe, or that of a YAML file.

    Raises:
        FileFormatError: the file is no mapping of a recipe's attributes.
        ParameterError: there is neither a recipe nor a file of this name.
    """
    known = names()
    if str(said) in known:
        folder = resources.files("maskstat.exposure") / "recipes"
        text = (folder / f"{said}.yaml").read_text(encoding="utf-8")
        return _of(text, str(said))
    path = Path(said)
    if not path.is_file():
        raise ParameterError(
            f"{printable(str(said))!r} is neither a file nor one of {', '.join(known)}",
            parameter="recipe",
            remedy=did_you_mean(str(said), known) or None,
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError("can't be read as text", where=printable(str(path))) from error
    return _of(text, None, printable(str(path)))


def _of(text: str, name: str | None, where: str | None = None) -> Recipe:
    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise FileFormatError("is no YAML", where=where) from error
    if not isinstance(said, dict):
        raise FileFormatError("holds no recipe: a mapping such as 'crop: 512'", where=where)
    words = {key: value for key, value in said.items() if key not in {"source", "words"}}
    try:
        return Recipe.of({**words, "name": name})
    except (TypeError, ValueError) as error:
        if isinstance(error, ParameterError):
            raise
        raise FileFormatError(f"holds no recipe: {printable(str(error))}", where=where) from error
