"""Which value means which class in masks that are drawn, and what the classes are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from maskstat.errors import CatalogError, SourceError
from maskstat.sources.annotations.rasterising import type_of
from maskstat.values.catalog import ClassCatalog
from maskstat.values.catalog_mapping import catalog_from_categories
from maskstat.values.own_names import BACKGROUND, CALLED_BACKGROUND

_MAX_ID = (1 << 62) - 1


@dataclass(frozen=True)
class Legend:
    """The values of drawn masks.

    Attributes:
        values: those of classes.
        background: that of pixels in no region; 0, or -1 where 0 is a class.
        kind: the type of pixels.
        catalog: the classes: the background, then the others by value.
    """

    values: frozenset[int]
    background: int
    kind: str
    catalog: ClassCatalog

    @classmethod
    def of(cls, categories: Sequence[Mapping[str, object]], *, name: str) -> Legend:
        """From COCO's list of categories: the value of each is its `id`.

        Raises:
            SourceError: ids are missing, impossible or there twice, or names are no text.
        """
        ids: list[int] = []
        for at, category in enumerate(categories):
            number = category.get("id") if isinstance(category, Mapping) else None
            if type(number) is not int or not 0 <= number <= _MAX_ID:
                raise SourceError(f"category {at} has no 'id' that is a whole number from 0 on")
            ids.append(number)
        if len(ids) > len(set(ids)):
            twice = next(number for number, times in Counter(ids).items() if times > 1)
            raise SourceError(f"two categories have the id {twice}")
        background = -1 if 0 in ids else 0
        try:
            catalog = _catalog(categories, background, name)
        except CatalogError as error:
            raise SourceError(f"its categories are no classes: {error}") from error
        return cls(frozenset(ids), background, type_of([background, *ids]), catalog)


def _catalog(
    categories: Sequence[Mapping[str, object]], background: int, name: str
) -> ClassCatalog:
    """The background and the categories by id. Raises CatalogError.

    A category that is itself called background holds what is in no region, too. Names that occur
    twice have the id behind them.
    """
    ordered = sorted(map(dict, categories), key=itemgetter("id"))
    names = [_text(category.get("name")) for category in ordered]
    times = Counter(names)
    for category, called in zip(ordered, names, strict=True):
        if called and times[called] > 1:
            category["name"] = f"{called} ({category['id']})"
    backgrounds = [at for at, own in enumerate(names) if own and own.lower() in CALLED_BACKGROUND]
    if len(backgrounds) != 1:
        label = BACKGROUND if not backgrounds else f"{BACKGROUND} ({background})"
        ordered.insert(0, {"id": background, "name": label})
        return catalog_from_categories(ordered, name=name)
    catalog = catalog_from_categories(ordered, name=name)
    classes = list(catalog.classes)
    both = classes[backgrounds[0]]
    classes[both.index] = replace(both, values=(*both.values, background))
    return replace(catalog, classes=tuple(classes))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
