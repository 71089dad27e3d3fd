"""pos_weight of multi-label masks in the binary losses of torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import maskstat as ms
from maskstat.errors import MultilabelError
from maskstat.torch import BinaryCrossEntropy, CrossEntropy, load_pos_weight, load_weights
from maskstat.weights.pos_weight import ratio
from tests.support.label_cases import stack_of


@pytest.mark.parametrize("labels", [2, 3])
def test_a_file_of_labels_is_one_pos_weight_a_label(labels: int, tmp_path: Path) -> None:
    """Two labels are no two classes: w1 / w0 of them would be a number of nothing."""
    stacks = np.stack([stack_of(k, labels) for k in range(3)])
    table = ms.count(stacks, channels="multilabel").weights()
    path = table.save(tmp_path / "weights.json")
    target = torch.from_numpy(np.moveaxis(stacks, -1, 1).astype(np.float32))
    logits = torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    negatives, positives = (1 - target).sum((0, 2, 3)), target.sum((0, 2, 3))
    given = (negatives / positives)[:, None, None]
    expected = torch.nn.BCEWithLogitsLoss(pos_weight=given)(logits, target)
    for source in (path, table, load_pos_weight(path)):
        loss = BinaryCrossEntropy(source)(logits, target)
        torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)
    assert load_pos_weight(table).shape == (labels,)
    for refused in (lambda: CrossEntropy(path), lambda: load_weights(path)):
        with pytest.raises(MultilabelError, match="BinaryCrossEntropy"):
            refused()
    with pytest.raises(MultilabelError, match="pos_weight already"):
        ratio(table)
