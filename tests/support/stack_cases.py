"""Arrays of several planes as files of every format that has them."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.mask_files import hdf5, metaimage, nrrd
from tests.support.packages import package
from tests.support.zarr_cases import zipped

nibabel = package("nibabel", reason="needs maskstat[medical]")
tifffile = package("tifffile", reason="needs maskstat[tiff]")
zarr = package("zarr", minversion="3", reason="zarr 3 needs Python 3.11")

Stack = NDArray[Any]  # [planes, height, width]


def npy(stack: Stack, folder: Path) -> bytes:
    stream = io.BytesIO()
    np.save(stream, stack)
    return stream.getvalue()


def npy_by_columns(stack: Stack, folder: Path) -> bytes:
    return npy(np.asfortranarray(stack), folder)


def npz(stack: Stack, folder: Path) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, stack)
    return stream.getvalue()


def npz_deflated(stack: Stack, folder: Path) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, stack)
    return stream.getvalue()


def tiff(stack: Stack, folder: Path) -> bytes:
    """Pages of several strips, each compressed."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as file:
        for plane in stack:
            file.write(
                plane, photometric="minisblack", compression="zlib", rowsperstrip=3, metadata=None
            )
    return stream.getvalue()


def nifti(stack: Stack, folder: Path) -> bytes:
    """Slices of a volume (X, Y, Z)."""
    data: bytes = nibabel.Nifti1Image(stack.transpose(2, 1, 0), np.eye(4)).to_bytes()
    return data


def nifti_gz(stack: Stack, folder: Path) -> bytes:
    return gzip.compress(nifti(stack, folder), 1)


def nrrd_of(packed: bool) -> Callable[[Stack, Path], bytes]:
    return lambda stack, folder: nrrd(stack, packed=packed)


def metaimage_of(packed: bool) -> Callable[[Stack, Path], bytes]:
    return lambda stack, folder: metaimage(stack, packed=packed)


def hdf5_of(**options: Any) -> Callable[[Stack, Path], bytes]:
    return lambda stack, folder: hdf5(label={"data": stack, **options})


def zarr_of(chunks: tuple[int, int, int]) -> Callable[[Stack, Path], bytes]:
    def made(stack: Stack, folder: Path) -> bytes:
        path = folder / f"made-{len(list(folder.iterdir()))}.zarr"
        made = zarr.create_array(path, shape=stack.shape, dtype=stack.dtype, chunks=chunks)
        made[...] = stack
        return zipped(path)

    return made


# Name of the file -> what makes it.
STACKS: dict[str, Callable[[Stack, Path], bytes]] = {
    "a.npy": npy,
    "columns.npy": npy_by_columns,
    "a.npz": npz,
    "deflated.npz": npz_deflated,
    "a.tif": tiff,
    "a.nii": nifti,
    "a.nii.gz": nifti_gz,
    "a.nrrd": nrrd_of(False),
    "packed.nrrd": nrrd_of(True),
    "a.mha": metaimage_of(False),
    "packed.mha": metaimage_of(True),
    "a.h5": hdf5_of(),
    "flat.h5": hdf5_of(chunks=(1, 4, 4), compression="gzip", shuffle=True),
    "deep.h5": hdf5_of(chunks=(1, 11, 13), compression="lzf"),
    "flat.zarr.zip": zarr_of((1, 4, 4)),
    "deep.zarr.zip": zarr_of((3, 4, 4)),
}


def stack_of(seed: int, planes: int = 7, dtype: str = "u1") -> Stack:
    """Planes of 11 x 13 pixels, of which some lack classes, and the second has one value alone."""
    rng = np.random.default_rng(seed)
    stack = rng.integers(0, 5, (planes, 11, 1)).repeat(13, axis=2)
    for plane in stack:
        plane[plane == rng.integers(0, 5)] = rng.integers(0, 2)
    if planes > 1:
        stack[1] = 3
    return stack.astype(dtype)
