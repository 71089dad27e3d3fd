"""TensorFlow's and JAX's own arrays and data sets, where they are installed: in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.support.paths import ROOT

_BEGIN = """
import numpy as np
import maskstat as ms

LABELS = np.random.default_rng(1).integers(0, 4, (5, 6, 70))
EXPECTED = ms.count(LABELS, classes=4).ledger.dense()
agreed = 0

def agree(masks, key=None):
    global agreed
    assert (ms.count(masks, classes=4, key=key).ledger.dense() == EXPECTED).all()
    agreed += 1

def refused(masks, *words):
    global agreed
    try:
        ms.count(masks, classes=4)
    except ms.MaskstatError as error:
        assert all(word in str(error) for word in words), str(error)
        agreed += 1
    else:
        raise AssertionError("not refused")
"""

_TENSORFLOW = """
import tensorflow as tf
for kind in ("int64", "int32", "uint8", "uint16", "float32", "float16", "bfloat16"):
    agree(tf.cast(tf.constant(LABELS), kind))
agree(list(tf.constant(LABELS)))
agree(tf.constant(LABELS)[..., None])
agree(tf.Variable(LABELS))
dicts = tf.data.Dataset.from_tensor_slices({"image": LABELS, "mask": LABELS})
agree(dicts, "mask")
agree(dicts.batch(2), "mask")
pairs = tf.data.Dataset.from_tensor_slices((LABELS, LABELS)).batch(2)
agree(pairs, 1)
refused(dicts, "key='mask'")
refused(pairs, "tuples of 2: (2, 6, 70), (2, 6, 70)", "key=1")
refused(tf.random.uniform((2, 4, 8, 8)), "(2, 4, 8, 8)", "argmax")
watched = ms.watch(pairs, classes=4)
assert len(watched) == 3 and all(isinstance(part, tf.Tensor) for batch in watched for part in batch)
assert (watched.scan().ledger.dense() == EXPECTED).all()
watched = ms.watch(dicts.batch(2).map(lambda x: (x["image"], x["mask"][..., None])), classes=4)
assert list(watched) and (watched.scan().ledger.dense() == EXPECTED).all()
tf.function(lambda masks: refused(masks, "outside of graphs"))(tf.constant(LABELS))
unknown = [tf.TensorSpec(None, tf.int64)]
tf.function(lambda masks: refused(masks, "without a shape"), unknown)(tf.constant(LABELS))
print(agreed)
"""

_JAX = """
import jax
import jax.numpy as jnp
for kind in ("int32", "uint8", "int16", "float32", "bfloat16"):
    agree(jnp.asarray(LABELS).astype(kind))
agree(list(jnp.asarray(LABELS)))
agree(jnp.asarray(LABELS)[:, None])
refused(jax.random.uniform(jax.random.key(0), (2, 4, 8, 8)), "(2, 4, 8, 8)", "argmax")
jax.jit(lambda masks: refused(masks, "compiled functions"))(jnp.asarray(LABELS))
print(agreed)
"""


def without(framework: str, reason: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(framework) is None, reason=reason)


@pytest.mark.slow
@pytest.mark.extra
@pytest.mark.parametrize(
    ("script", "statements"),
    [
        pytest.param(
            _TENSORFLOW,
            18,
            marks=without("tensorflow", "could not import 'tensorflow'"),
            id="tensorflow",
        ),
        pytest.param(_JAX, 9, marks=without("jax", "jax is not installed"), id="jax"),
    ],
)
def test_arrays_and_data_sets(script: str, statements: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN + script],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(statements)]
