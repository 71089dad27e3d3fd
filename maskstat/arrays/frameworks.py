"""What an array is, whoever made it. A framework is looked at only where it is imported already."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.naming import printable

_BFLOAT16 = "bfloat16"  # a type that NumPy has from others only
_PIECE_BYTES = 64 << 20  # of an array that is fetched piece by piece


def _is(value: object, module: str, kind: str) -> bool:
    """Whether this is of a framework's class; False where the framework is not imported."""
    found = getattr(sys.modules.get(module), kind, None)
    return isinstance(found, type) and isinstance(value, found)


def is_tensor(value: object) -> bool:
    """Whether this is a torch tensor."""
    return _is(value, "torch", "Tensor")


def is_image(value: object) -> bool:
    """Whether this is a PIL image."""
    return _is(value, "PIL.Image", "Image")


def is_loader(value: object) -> bool:
    """Whether this is a torch DataLoader."""
    return _is(value, "torch.utils.data", "DataLoader")


def is_array(value: object) -> bool:
    """Whether this is an array of NumPy, torch, TensorFlow, JAX or any that NumPy can take.

    An array of objects (a column of a table, say) is none: its items are.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        return not value.dtype.hasobject
    if is_tensor(value):
        return True
    if isinstance(value, type) or not (hasattr(value, "shape") and hasattr(value, "dtype")):
        return False
    if not (hasattr(value, "__array__") or hasattr(value, "__dlpack__")):
        return False
    return getattr(value, "dtype", None) != np.dtype(object)


def shape_of(array: Any) -> tuple[int, ...]:
    """The shape of an array. Raises MaskError where it has none yet (a symbolic tensor)."""
    try:
        return tuple(int(length) for length in array.shape)
    except (TypeError, ValueError):
        raise MaskError(
            f"a {_kind(array)} without a shape",
            remedy="count outside of graphs and compiled functions",
        ) from None


def type_of(array: Any) -> np.dtype[Any]:
    """NumPy's name for the type of an array's items. Raises MaskError where there is none."""
    found = array.dtype
    if not isinstance(found, np.dtype):
        name = str(found).removeprefix("torch.")
        try:
            found = np.dtype({"bfloat16": "float16"}.get(name, name))
        except TypeError:
            kind = getattr(found, "as_numpy_dtype", None)  # TensorFlow's
            if not isinstance(kind, type):
                raise MaskError(
                    f"array of type {printable(name)[:60]} where whole numbers are expected"
                ) from None
            found = np.dtype(kind)
    return np.dtype(np.float16) if found.name == _BFLOAT16 else found


def is_elsewhere(array: object) -> bool:
    """Whether this is a torch tensor on a device that is not the processor."""
    return is_tensor(array) and array.device.type != "cpu"  # type: ignore[attr-defined]


def to_numpy(array: Any) -> NDArray[np.generic]:
    """The items in NumPy, without a copy where that is possible. Raises MaskError."""
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise MaskError("a masked array", remedy="say what its gaps are: pass array.filled(255)")
    try:
        if is_tensor(array):
            array = array.detach().cpu()
            array = (array.float() if str(array.dtype) == "torch.bfloat16" else array).numpy()
        found = np.asarray(array) if hasattr(array, "__array__") else np.from_dlpack(array)
        return found.astype(np.float32) if found.dtype.name == _BFLOAT16 else found
    except MemoryError:
        raise
    except Exception as error:  # frameworks raise anything
        fact = " ".join(str(error).split())[:120]
        raise MaskError(
            f"a {_kind(array)} that NumPy can't take ({fact})",
            remedy="count outside of graphs and compiled functions, and what is in reach of NumPy",
        ) from error


def pieces(array: Any) -> Iterator[Any]:
    """A batch (N, ...) of any framework, in parts of the first axis where it must be fetched.

    What is in memory already comes as it is.
    """
    shape = shape_of(array)
    if isinstance(array, np.ndarray) or is_tensor(array) or len(shape) < 3 or 0 in shape:
        yield array
        return
    each = int(np.prod(shape[1:])) * type_of(array).itemsize
    step = max(1, _PIECE_BYTES // each)
    if step >= shape[0]:
        yield array
        return
    for first in range(0, shape[0], step):
        yield array[first : first + step]


def _kind(value: object) -> str:
    return printable(f"{type(value).__module__.partition('.')[0]} {type(value).__name__}")[:60]
