"""`CropDataset`: a data set of images and masks of which a `CropSampler` asks for crops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from maskstat.arrays.cutting import Fill, cut
from maskstat.arrays.items import described
from maskstat.errors import ParameterError, argument
from maskstat.naming import counted
from maskstat.showing import one_line
from maskstat.values.catalog import DEFAULT_IGNORE
from maskstat.values.crop_draws import CropBox


class Items(Protocol):
    """What has items by number: a Dataset of PyTorch, a list."""

    def __getitem__(self, item: int, /) -> Any: ...

    def __len__(self) -> int: ...


class CropDataset:
    """Crops of a data set's images and masks: `crops[item, box]`, as a `CropSampler` asks.

    Image and mask are cut at the same place and padded below and on the right where the mask is
    smaller than the crop. They may be NumPy arrays, tensors of PyTorch (channels first) or images
    of Pillow, and stay what they are; what else an item has is passed on.

    It needs no framework: torch.utils.data.DataLoader takes it with the sampler, and a list of
    pairs will do for a data set.
    """

    def __init__(
        self,
        dataset: Items,
        *,
        image: str | int | None = None,
        mask: str | int | None = None,
        fill: Fill = 0,
        mask_fill: int = DEFAULT_IGNORE,
        transform: Callable[[Any], Any] | None = None,
    ):
        """Wrap a data set whose items are not yet cropped, resized or flipped.

        Args:
            dataset: its items are tuples or mappings with an image and its mask.
            image, mask: where they are; in tuples 0 and 1, in mappings "image" and "mask" where
                None.
            fill: what pads an image, a number or one a channel.
            mask_fill: what pads a mask: a label that is ignored.
            transform: what is made of an item after it was cropped.
        """
        self.dataset, self._image, self._mask = dataset, image, mask
        self._fill, self._mask_fill, self._transform = fill, mask_fill, transform

    def __len__(self) -> int:
        return len(self.dataset)

    def __repr__(self) -> str:
        return one_line(self, counted(len(self), "item"))

    def __getitem__(self, draw: tuple[int, CropBox]) -> Any:
        """The crop of an item.

        Raises:
            ParameterError: it is asked for something else than an item and a box, the item has no
                image or mask, or one of another height or width than the mask that was indexed.
        """
        if not (isinstance(draw, tuple) and len(draw) == 2 and isinstance(draw[1], CropBox)):
            raise ParameterError(
                "crops are asked for by an item and a box",
                remedy=f"draw them with {argument('sampler')}, a CropSampler",
            )
        number, box = draw
        item = self.dataset[number]
        named = isinstance(item, Mapping)
        image = ("image" if named else 0) if self._image is None else self._image
        mask = ("mask" if named else 1) if self._mask is None else self._mask
        parts: Any = dict(item) if named else list(item) if isinstance(item, Sequence) else None
        for word, key, fill in (("image", image, self._fill), ("mask", mask, self._mask_fill)):
            try:
                part = parts[key]
            except (KeyError, IndexError, TypeError):
                raise ParameterError(
                    f"{key!r} is nowhere in them: items are {described(item)}", parameter=word
                ) from None
            try:
                parts[key] = cut(part, box, fill)
            except ParameterError as error:
                raise ParameterError(
                    error.problem, where=f"{word} of item {number}", remedy=error.remedy
                ) from error
        cropped = parts if named else _like(item, parts)
        return cropped if self._transform is None else self._transform(cropped)


def _like(item: Any, parts: list[Any]) -> Any:
    """A list or tuple of these parts, of the type of the item where it can be made of them."""
    if hasattr(item, "_fields"):  # a named tuple
        return type(item)(*parts)
    return parts if isinstance(item, list) else tuple(parts)
