"""PyTorch's .pt: a tensor, or the one of several that `--array` names; read by torch alone.

Nothing is unpickled but tensors and what holds them (`weights_only`). What is not a zip of plain
records, each with the checksum that zips have, does not reach torch.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.memory import ask_memory
from maskstat.naming import printable, storable
from maskstat.readers.base import LabelMap
from maskstat.readers.chunked import ChunkedPlanes, InMemory
from maskstat.readers.options import ReadOptions
from maskstat.readers.planes import Planes
from maskstat.readers.raw_masks import ArrayInMemory, check_decoded, choose_array, read_whole
from maskstat.values.tally import MaskTally

NEEDS_TORCH = 'a file of PyTorch needs torch: pip install "maskstat[torch]"'
_MOST_TENSORS, _MOST_RECORDS = 10_000, 100_000
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


def tally(data: bytes, name: str, options: ReadOptions) -> MaskTally:
    """Count a tensor."""
    return ArrayInMemory(_array(data, options), "pytorch", options).tally(name)


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """Raw values as stored. Raises MaskError."""
    return ArrayInMemory(_array(data, options), "pytorch", options).read()


def planes(file: BinaryIO, options: ReadOptions) -> Planes:
    """The planes of a tensor: its last two axes. Raises MaskError."""
    return ChunkedPlanes(InMemory(_array(read_whole(file), options), "pytorch"), options)


def _array(data: bytes, options: ReadOptions) -> NDArray[np.generic]:
    """The tensor asked for, or the only one. Raises MaskError."""
    _check_records(data)
    try:
        import torch
    except ImportError as error:
        raise MaskError(NEEDS_TORCH) from error
    ask_memory(2 * len(data))
    try:
        held = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch raises anything on hostile bytes
        text = " ".join(str(error).split())
        if (needed := _GLOBAL.search(text)) is not None:
            raise MaskError(
                f"holds {printable(needed[1])[:60]}, which only a pickle makes that may run any"
                " code: save the tensor alone"
            ) from error
        raise MaskError(f"not a readable file of PyTorch: {printable(text)[:120]}") from error
    found = dict(_tensors(torch, held, ()))
    if not found:
        raise MaskError("a file of PyTorch that holds no tensor")
    tensor = found[choose_array(list(found), options)]
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        raise MaskError("a sparse, quantised or empty tensor where whole numbers are expected")
    if tensor.is_complex() or tensor.dtype == torch.bfloat16:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise MaskError(f"tensor of type {kind} where whole numbers are expected")
    check_decoded(tensor.numel() * tensor.element_size())
    array: NDArray[np.generic] = tensor.detach().resolve_neg().numpy()
    return array


def _tensors(torch: Any, held: object, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Tensors by their places in dictionaries and lists."""
    if isinstance(held, torch.Tensor):
        yield "/".join(path) or "tensor", held
    elif isinstance(held, (dict, list, tuple)) and len(path) < 4:
        if len(held) > _MOST_TENSORS:
            raise MaskError(f"holds more than {_MOST_TENSORS:,} tensors: a model?")
        pairs = held.items() if isinstance(held, dict) else enumerate(held)
        for key, value in pairs:
            yield from _tensors(torch, value, (*path, str(key)))


def _check_records(data: bytes) -> None:
    """Raise MaskError where the zip is damaged, or holds more than it seems to."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        records = archive.infolist()
        if len(records) > _MOST_RECORDS or any(
            one.compress_type != zipfile.ZIP_STORED or one.flag_bits & 1 for one in records
        ):
            raise MaskError(
                "not a readable file of PyTorch: its records are not as torch stores them"
            )
        if sum(one.file_size for one in records) > len(data):
            raise MaskError("not a readable file of PyTorch: its records overlap")
        damaged = archive.testzip()
    except MaskError:
        raise
    except Exception as error:  # zipfile raises anything on hostile bytes
        raise MaskError("not a readable file of PyTorch: it is no whole zip file") from error
    if damaged is not None:
        raise MaskError(f"{printable(storable(damaged))!r} in it is damaged")
