"""Arrays of frameworks that are not there: by the protocols that NumPy knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import maskstat as ms
from maskstat.arrays import frameworks
from maskstat.errors import MaskError

LABELS = np.random.default_rng(1).integers(0, 4, (5, 6, 70))


class Foreign:
    """An array as JAX and HDF5 have them: a shape, a type, parts, and what NumPy asks for."""

    def __init__(self, array: NDArray[Any]):
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.fetched: list[tuple[int, ...]] = []

    def __array__(self, dtype: object = None, copy: object = None) -> NDArray[Any]:
        self.fetched.append(self.shape)
        return self._array

    def __getitem__(self, part: slice) -> Foreign:
        found = Foreign(self._array[part])
        found.fetched = self.fetched
        return found


class Lent:
    """An array that lends its memory and does nothing else."""

    def __init__(self, array: NDArray[Any]):
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


class Symbolic:
    """A tensor within a graph."""

    shape = None
    dtype = np.dtype(np.int64)

    def __array__(self, dtype: object = None, copy: object = None) -> NDArray[Any]:
        raise NotImplementedError("a symbolic tensor has no values")


class Unknown(Symbolic):
    """The same with a shape that is not known in part."""

    shape = (None, 4, 5)  # type: ignore[assignment]


class Guarded(Symbolic):
    """An array on a device that NumPy must not reach into."""

    shape = (4, 5)  # type: ignore[assignment]


@pytest.mark.parametrize("kind", [Foreign, Lent])
@pytest.mark.parametrize("masks", [LABELS, LABELS[0], LABELS.astype(np.uint8), LABELS > 2])
def test_protocols(kind: type[Any], masks: NDArray[Any]) -> None:
    assert frameworks.is_array(kind(masks))
    found, expected = ms.count(kind(masks), classes=4), ms.count(masks, classes=4)
    assert np.array_equal(found.ledger.dense(), expected.ledger.dense())


def test_what_is_not_in_memory_comes_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frameworks, "_PIECE_BYTES", 2 * LABELS[0].nbytes)
    foreign = Foreign(LABELS)
    found, expected = ms.count(foreign, classes=4), ms.count(LABELS, classes=4)
    assert np.array_equal(found.ledger.dense(), expected.ledger.dense())
    assert foreign.fetched == [(2, 6, 70), (2, 6, 70), (1, 6, 70)]


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        (Symbolic(), "Symbolic without a shape.*outside of graphs"),
        (Unknown(), "Unknown without a shape"),
        (Guarded(), "Guarded that NumPy can't take .a symbolic tensor has no values"),
    ],
)
def test_what_numpy_can_not_take(masks: Any, said: str) -> None:
    with pytest.raises(MaskError, match=said):
        ms.count(masks, classes=4)


@pytest.mark.parametrize("value", [3, "text", None, [LABELS], {"a": LABELS}, np.ndarray, object()])
def test_what_is_no_array(value: object) -> None:
    assert not frameworks.is_array(value)


class Slices:
    """A `tf.data.Dataset`: it gives NumPy's arrays when asked for them, and tensors otherwise."""

    def as_numpy_iterator(self) -> Any:
        return iter([(LABELS[:3], 0), (LABELS[3:], 1)])

    def __iter__(self) -> Any:
        raise AssertionError("tensors are slower")


def test_a_data_set_of_tensorflow() -> None:
    found, expected = ms.count(Slices(), classes=4, key=0), ms.count(LABELS, classes=4)
    assert np.array_equal(found.ledger.dense(), expected.ledger.dense())
