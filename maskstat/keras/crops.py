"""Batches of crops for `model.fit`, on every backend of Keras."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from maskstat.arrays.crop_dataset import CropDataset
from maskstat.arrays.items import described
from maskstat.crops.sampler import CropSampler
from maskstat.errors import ParameterError, argument


class CropBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of the crops that a sampler draws of a data set; `model.fit` takes it as it is.

    A batch is a tuple of arrays, one for each part of an item: images and masks, of an item that
    has these two. Every epoch draws other crops; a look that Keras takes at a batch before them all
    may count as one. Workers may make batches in parallel: a batch depends on its number and the
    epoch alone.
    """

    def __init__(
        self, crops: CropDataset, sampler: CropSampler, batch_size: int, **workers: Any
    ) -> None:
        """Batches of crops.

        Args:
            crops: of images and masks, in tuples.
            sampler: which asks it for crops.
            batch_size: crops in a batch; the last one of an epoch may have fewer.
            workers: `workers`, `use_multiprocessing` and `max_queue_size` of keras.utils.PyDataset.

        Raises:
            ParameterError: a batch size below 1.
        """
        super().__init__(**workers)
        if batch_size < 1:
            raise ParameterError("is a whole number from 1 on", parameter="batch_size")
        self.crops, self.sampler, self.batch_size = crops, sampler, batch_size

    def __len__(self) -> int:
        return math.ceil(self.sampler.num_samples / self.batch_size)

    def __getitem__(self, batch: int) -> tuple[Any, ...]:
        """A batch of this epoch.

        Raises:
            ParameterError: items are no tuples, or as `CropDataset`.
        """
        start = batch * self.batch_size
        count = min(self.batch_size, self.sampler.num_samples - start)
        if batch < 0 or count < 1:
            raise IndexError(batch)
        draws = self.sampler.take(self.sampler.epoch, start, count)
        items = [self.crops[draw] for draw in draws]
        if not isinstance(items[0], (tuple, list)):
            raise ParameterError(
                f"items are {described(items[0])}, and models are fitted to tuples",
                remedy=f"make tuples of them with {argument('transform')}",
            )
        parts = zip(*items, strict=True)
        return tuple(np.stack([np.asarray(one) for one in part]) for part in parts)

    def on_epoch_end(self) -> None:
        """The next epoch draws other crops."""
        self.sampler.set_epoch(self.sampler.epoch + 1)
