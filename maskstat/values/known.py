"""Fields of a value that may be unknown. Reading one that is raises; it is never taken for 0."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, overload

from maskstat.errors import UnknownCountsError

T = TypeVar("T")


_WHAT = {
    "masks": "in how many masks each class is",
    "image_pixels": "how many pixels the masks with each class have",
    "labelled_image_pixels": "how many labelled pixels the masks with each class have",
    "ignored": "what is ignored",
    "mask_count": "how many masks there are",
    "single_class_masks": "how many masks have a single class",
    "unlabelled_masks": "how many masks have no labelled pixel",
    "total_pixels": "how many pixels there are with those of no class",
}
_GIVABLE = {"masks", "image_pixels", "mask_count"}


class Known(Generic[T]):
    """A field of a dataclass without slots that holds None where nobody knows its value."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> None: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> T | None:
        if instance is None:
            return None  # the default of the field
        value: T | None = instance.__dict__[self._name]
        if value is None:
            also = f", or give it with the counts: {self._name}" if self._name in _GIVABLE else ""
            raise UnknownCountsError(
                f"these are counts that were given, and {_WHAT[self._name]} is unknown",
                remedy=f"scan the masks{also}",
            )
        return value

    def __set__(self, instance: object, value: T | None) -> None:
        instance.__dict__[self._name] = value


def of_shares() -> UnknownCountsError:
    """What to raise where numbers of pixels are needed and only their shares are known."""
    return UnknownCountsError(
        "these are shares that were given, and of how many pixels is unknown",
        remedy="give counts instead, or scan the masks",
    )


def known(value: object, field: str) -> Any:
    """A field of a value, or None where it is unknown."""
    return vars(value)[field]
