"""pos_weight of multi-label masks in the binary losses of Keras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import maskstat as ms
from maskstat.errors import MultilabelError
from tests.support.label_cases import stack_of


@pytest.mark.parametrize("labels", [2, 3])
def test_a_file_of_labels_is_one_pos_weight_a_label(labels: int, tmp_path: Path) -> None:
    from maskstat.keras import BinaryCrossEntropy, CrossEntropy, class_weight, load_pos_weight

    stacks = np.stack([stack_of(k, labels) for k in range(3)])
    table = ms.count(stacks, channels="multilabel").weights()
    path = table.save(tmp_path / "weights.json")
    target = stacks.astype(np.float32)
    logits = np.random.default_rng(0).normal(size=target.shape).astype(np.float32)
    pos = table.negatives / table.pixels
    sure = np.log1p(np.exp(-logits.astype(np.float64)))
    expected = (pos * target * sure + (1 - target) * (logits + sure)).mean()
    for source in (path, table):
        loss = BinaryCrossEntropy(source)
        assert float(loss(target, logits)) == pytest.approx(expected, rel=1e-5)
        again = BinaryCrossEntropy.from_config(loss.get_config())
        assert float(again(target, logits)) == pytest.approx(expected, rel=1e-5)
    assert np.asarray(load_pos_weight(path)).tolist() == table.weights.tolist()
    for refused in (lambda: CrossEntropy(path), lambda: class_weight(path)):
        with pytest.raises(MultilabelError, match="BinaryCrossEntropy"):
            refused()
