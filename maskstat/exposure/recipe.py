"""`Recipe`: what lies between the masks and the loss."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from maskstat.errors import ParameterError
from maskstat.exposure.rescaling import Rescaling, Shape
from maskstat.kernels.crop_views import Axis, CropView
from maskstat.parameters import check_word
from maskstat.showing import one_line
from maskstat.values.crop_draws import CropDraws

LastBatch = Literal["keep", "drop", "endless"]

TRIES = 10  # of mmsegmentation's RandomCrop; the crop after the last one is taken untested
MOST_SIDE = 1 << 16


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a loader does to masks: rescale, crop, refuse crops, pad, put into batches.

    Attributes:
        crop: (height, width); None takes whole masks.
        scale: what comes before it.
        padding: index of the class that fills a crop where the mask is smaller; None where the fill
            is ignored, as almost everywhere.
        cat_max_ratio: a crop is refused where one class has this share of its labelled pixels or
            more, or where it has one class only, as by mmsegmentation's RandomCrop; 1 refuses none.
        tries: crops that are tested; the one after the last is taken untested.
        draws: how crops are drawn so that rare classes are met; None where masks and places are
            drawn all alike. Of masks as they are: `scale` and `cat_max_ratio` do not go with it.
        batch_size: masks in a batch of one process.
        processes: that share an epoch.
        last_batch: what becomes of masks that fill no batch: "keep" (the default of PyTorch's and
            Keras' loaders), "drop", or "endless" where epochs run into each other
            (mmsegmentation's InfiniteSampler).
        name: of a named recipe.
    """

    crop: Shape | None = None
    scale: Rescaling | None = None
    padding: int | None = None
    cat_max_ratio: float = 1.0
    tries: int = TRIES
    draws: CropDraws | None = None
    batch_size: int = 1
    processes: int = 1
    last_batch: LastBatch = "keep"
    name: str | None = None

    __repr__ = one_line

    def __post_init__(self) -> None:
        if self.crop is not None:
            object.__setattr__(self, "crop", tuple(int(side) for side in self.crop))
            if len(self.crop) != 2 or not all(0 < side <= MOST_SIDE for side in self.crop):
                raise ParameterError(f"sides are from 1 to {MOST_SIDE} pixels", parameter="crop")
        if not 0 < self.cat_max_ratio <= 1:
            raise ParameterError("is above 0 and at most 1", parameter="cat_max_ratio")
        if self.refuses and self.crop is None:
            raise ParameterError("only crops are refused", parameter="cat_max_ratio")
        if self.padding is not None and (self.padding < 0 or self.crop is None):
            raise ParameterError("is the index of a class that fills crops", parameter="padding")
        if self.draws is not None and (self.crop is None or self.scale or self.refuses):
            raise ParameterError(
                "crops of masks as they are can be drawn by class: with a crop, without a scale,"
                " and none refused",
                parameter="draws",
            )
        for word in ("tries", "batch_size", "processes"):
            number = getattr(self, word)
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                raise ParameterError("is a whole number from 1 on", parameter=word)
        check_word(self.last_batch, get_args(LastBatch), parameter="last_batch")

    @property
    def refuses(self) -> bool:
        """Whether crops are tested."""
        return self.cat_max_ratio < 1

    @property
    def digest(self) -> str:
        """Of all that decides what is in the crops of a mask, and not how they meet in batches.

        Whether crops are drawn by class, and not by which law: that is of all masks together.
        """
        said = asdict(self)
        for word in ("batch_size", "processes", "last_batch", "name", "draws"):
            del said[word]
        if self.draws is not None:
            said["draws"] = "by class"
        text = json.dumps(said, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def check_padding(self, class_count: int) -> None:
        """Raise ParameterError where crops are filled with a class that there is not."""
        if self.padding is not None and self.padding >= class_count:
            raise ParameterError(f"{self.padding} is the index of no class", parameter="padding")

    def view(self, shape: Shape, size: Shape) -> CropView:
        """Crops of a mask of this shape at this size."""
        crop = self.crop or size
        nearest = "floor" if self.scale is None else self.scale.nearest
        vertical, horizontal = (
            Axis.of(side, cut, new, nearest)
            for side, cut, new in zip(shape, crop, size, strict=True)
        )
        return CropView(vertical, horizontal)

    def padded(self, view: CropView) -> int:
        """Pixels that fill a crop up."""
        return 0 if self.crop is None else self.crop[0] * self.crop[1] - view.crop_pixels

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Recipe:
        """From a mapping of its attributes, as a YAML file has them.

        Raises:
            ParameterError: an attribute that there is not, or a value out of range.
        """
        words = dict(said)
        unknown = words.keys() - cls.__dataclass_fields__.keys()
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise ParameterError(f"has {min(unknown)!r}, and knows {known}", parameter="recipe")
        scale = words.get("scale")
        if isinstance(scale, Mapping):
            given = dict(scale)
            for word in ("ratios", "base"):
                if word in given:
                    given[word] = tuple(given[word])
            words["scale"] = Rescaling(**given)
        if (draws := words.get("draws")) is not None and not isinstance(draws, CropDraws):
            words["draws"] = CropDraws.of(
                draws if isinstance(draws, Mapping) else {"classes": draws}
            )
        if (crop := words.get("crop")) is not None:
            words["crop"] = (crop, crop) if isinstance(crop, int) else tuple(crop)
        return cls(**words)

    def to_dict(self) -> dict[str, object]:
        """What `of` reads: all attributes that are not the default."""
        plain = type(self)()
        said = {key: value for key, value in asdict(self).items() if value != getattr(plain, key)}
        if self.scale is not None:
            said["scale"] = {**asdict(self.scale), "ratios": list(self.scale.ratios)}
            said["scale"]["base"] = list(self.scale.base)
        if self.draws is not None:
            said["draws"] = self.draws.to_dict()
        if self.crop is not None:
            said["crop"] = list(self.crop)
        return said

    def words(self) -> str:
        """What it does, in a few words."""
        parts = []
        if self.scale is not None:
            low, high = self.scale.ratios[0], self.scale.ratios[-1]
            parts.append(f"scaled {low:g} to {high:g} ({self.scale.law})")
        if self.crop is not None:
            parts.append("crops of {} × {}".format(*self.crop))
        if self.refuses:
            parts.append(f"refused from {self.cat_max_ratio:g} of one class on")
        if self.draws is not None:
            parts.append(self.draws.words())
        return ", ".join(parts) or "whole masks"
