"""Fields of a value that may be unknown. Reading one that is raises; it is never taken for 0."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, overload

from maskstat.errors import UnknownCountsError

T = TypeVar("T")


_WHAT = {
    "masks": "the number of masks with each class",
    "image_pixels": "the number of pixels in the masks with each class",
    "labelled_image_pixels": "the number of labelled pixels in the masks with each class",
    "ignored": "the number of ignored pixels",
    "mask_count": "the number of masks",
    "single_class_masks": "the number of masks with a single class",
    "unlabelled_masks": "the number of masks without a labelled pixel",
    "total_pixels": "the number of all pixels",
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
            shares = instance.__dict__.get("unit") == "shares"
            givable = _GIVABLE - ({"image_pixels"} if shares else set())
            also = f", or give it with the counts: {self._name}" if self._name in givable else ""
            raise UnknownCountsError(
                f"{_WHAT[self._name]} is unknown: counts were given, no masks",
                remedy=f"scan the masks{also}",
            )
        return value

    def __set__(self, instance: object, value: T | None) -> None:
        instance.__dict__[self._name] = value


def of_shares() -> UnknownCountsError:
    """What to raise where numbers of pixels are needed and only their shares are known."""
    return UnknownCountsError(
        "the number of pixels is unknown: shares were given",
        remedy="give counts, or scan the masks",
    )


def known(value: object, field: str) -> Any:
    """A field of a value, or None where it is unknown."""
    return vars(value)[field]
