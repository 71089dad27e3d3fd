"""What comes out of lists, generators, data sets and loaders, and where a mask is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from os import PathLike
from typing import Any

from maskstat.arrays.frameworks import is_array, is_loader, shape_of, type_of
from maskstat.arrays.layouts import Reading
from maskstat.arrays.tallies import axes_of, is_countable, is_encoded, tallies_of
from maskstat.errors import MaskError, ParameterError, argument
from maskstat.naming import printable
from maskstat.values.tally import MaskTally

_SHOWN = 9  # of the parts of an item, in an error

Key = str | int | Callable[[Any], Any]


def all_tallies(
    masks: Any, reading: Reading, *, key: Key | None = None, named: int | None = None
) -> Iterator[MaskTally]:
    """The tallies of everything that `masks` holds or gives, in order and without names.

    Args:
        masks: an array, an image, an encoded mask, or anything that gives these or tuples and
            dicts with them, one after the other.
        reading: how arrays and images are read.
        key: where the mask of a tuple or a dict is.
        named: how many names were given, where that is known.

    Raises:
        MaskError: something is no mask; it says which.
        ParameterError: it can't be told where the masks are.
    """
    number, before = 0, ""
    alone = is_countable(masks)
    for thing in things(masks, key):
        axes = axes_of(thing)
        if {axes, before} == {"one", "several"} and not _is_coloured(thing, reading):
            raise MaskError(
                "single masks and batches come in turn",
                where=f"mask {number}",
                remedy=f"are these images and masks? {argument('key')} says where the mask is",
            )
        before = before or axes
        try:
            for tally in tallies_of(thing, reading, named=named if alone else None):
                yield tally
                number += 1
        except MaskError as error:
            raise MaskError(
                error.problem, where=f"mask {number}", remedy=error.remedy or _remedy(error)
            ) from error


def _is_coloured(thing: Any, reading: Reading) -> bool:
    """Whether three axes may be those of one mask."""
    return reading.channels is not None or (len(thing.shape) == 3 and thing.shape[2] in {1, 3, 4})


def _remedy(error: MaskError) -> str | None:
    if error.problem.startswith("float mask"):
        return "pass the argmax of logits or probabilities over their axis of classes"
    return None


def things(masks: Any, key: Key | None) -> Iterator[Any]:
    """Everything countable that `masks` is or gives, as it comes. Raises ParameterError."""
    if isinstance(masks, (str, PathLike)):
        raise ParameterError(
            f"{printable(str(masks))!r} is a path",
            parameter="masks",
            remedy="maskstat.scan counts files",
        )
    if is_countable(masks) and (key is None or not is_encoded(masks)):
        if key is not None:
            raise _no_key_here(masks, key)
        yield masks
    elif isinstance(masks, Mapping):
        yield from taken(masks, key, "masks are")
    else:
        for item in _items(masks):
            yield from taken(item, key, "items are")


def _items(masks: Any) -> Iterator[Any]:
    """What comes one after the other. Raises ParameterError where nothing does."""
    if callable(getattr(masks, "as_numpy_iterator", None)):  # tf.data.Dataset
        return iter(masks.as_numpy_iterator())
    if is_loader(masks) or hasattr(type(masks), "__iter__"):
        return iter(masks)
    if hasattr(type(masks), "__getitem__") and hasattr(type(masks), "__len__"):
        # Python's own way through them would go on until an IndexError, which may never come.
        return (masks[index] for index in range(len(masks)))
    raise ParameterError(
        f"a {_kind(masks)} neither is a mask nor gives any",
        parameter="masks",
        remedy="pass arrays, images, or something that gives them one after the other",
    )


def taken(item: Any, key: Key | None, what: str) -> Iterator[Any]:
    """The mask of an item, or its masks where the key leads to several."""
    if key is None:
        if not is_countable(item):
            raise _unclear(item, what)
        yield item
        return
    chosen = _at(item, key, what)
    for thing in chosen if isinstance(chosen, (list, tuple)) else [chosen]:
        if not is_countable(thing):
            raise ParameterError(f"leads to {described(thing)}, which is no mask", parameter="key")
        yield thing


def _at(item: Any, key: Key, what: str) -> Any:
    """What the key says of an item. Raises ParameterError."""
    if callable(key):
        return key(item)
    if is_array(item) or (is_countable(item) and not is_encoded(item)):
        raise _no_key_here(item, key)
    try:
        if isinstance(key, str) and not isinstance(item, Mapping):
            return getattr(item, key)
        return item[key]
    except (AttributeError, KeyError, IndexError, TypeError):
        raise ParameterError(
            f"{key!r} is nowhere in them: {what} {described(item)}", parameter="key"
        ) from None


def _no_key_here(thing: Any, key: Key) -> ParameterError:
    return ParameterError(
        f"{key!r} is for tuples and dicts: here is {described(thing)}",
        parameter="key",
        remedy="leave it out, or pass what holds the masks alone",
    )


def _unclear(item: Any, what: str) -> ParameterError:
    """What to say where an item is no mask by itself."""
    problem = f"{what} {described(item)}"
    if isinstance(item, Mapping):
        example = next((name for name in item if "mask" in str(name)), next(iter(item), "mask"))
        value = printable(example) if isinstance(example, str) else str(example)
        remedy = f"say where the mask is: {argument('key', value)}, or a function"
    elif isinstance(item, (int, float)) or (
        isinstance(item, (tuple, list)) and item and isinstance(item[0], (int, float))
    ):
        remedy = "pass numpy.asarray(masks)"
    elif isinstance(item, (tuple, list)):
        remedy = f"say where the mask is: {argument('key', max(len(item) - 1, 0))}, or a function"
    elif isinstance(item, (str, PathLike)):
        remedy = "maskstat.scan counts files"
    else:
        remedy = f"{argument('key')} may be a function from an item to its mask"
    return ParameterError(problem, parameter="masks", remedy=remedy)


def described(item: Any) -> str:
    """What an item is, in a few words."""
    if is_array(item):
        try:
            return f"an array {shape_of(item)} of {type_of(item)}"
        except MaskError:
            return f"a {_kind(item)}"
    if isinstance(item, Mapping):
        keys = ", ".join(printable(repr(key))[:40] for key in islice(item, _SHOWN))
        return f"dicts with the keys {keys}"
    if isinstance(item, (tuple, list)):
        shapes = ", ".join(
            str(shape_of(part)) if is_array(part) else _kind(part) for part in islice(item, _SHOWN)
        )
        return f"{type(item).__name__}s of {len(item)}: {shapes}"
    return f"a {_kind(item)}"


def _kind(value: object) -> str:
    return printable(type(value).__name__)[:60]
