"""Stacks of channels that are labels: generated, as files of every format that holds them."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.support.mask_files import hdf5, metaimage, nrrd
from tests.support.packages import package
from tests.support.zarr_cases import zipped

Stack = NDArray[np.uint8]  # [height, width, labels], 0 and 1


def stack_of(
    seed: int, labels: int = 3, shape: tuple[int, int] = (13, 17), density: float | None = None
) -> Stack:
    """Labels that overlap; the first in about half of the pixels, every other one in fewer."""
    random = np.random.default_rng(seed)
    chances = 0.5 ** np.arange(1, labels + 1) if density is None else np.full(labels, density)
    return (random.random((*shape, labels)) < chances).astype(np.uint8)


def npy(stack: Stack, folder: Path) -> bytes:
    stream = io.BytesIO()
    np.save(stream, stack)
    return stream.getvalue()


def npz(stack: Stack, folder: Path) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, stack)
    return stream.getvalue()


def tiff(stack: Stack, folder: Path) -> bytes:
    tifffile = package("tifffile", reason="needs maskstat[tiff]")
    stream = io.BytesIO()
    tifffile.imwrite(stream, stack, photometric="minisblack", planarconfig="contig")
    return stream.getvalue()


def tiff_pages(stack: Stack, folder: Path) -> bytes:
    tifffile = package("tifffile", reason="needs maskstat[tiff]")
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as file:
        for plane in np.moveaxis(stack, -1, 0):
            file.write(np.ascontiguousarray(plane), photometric="minisblack", metadata=None)
    return stream.getvalue()


def nifti(stack: Stack, folder: Path) -> bytes:
    nibabel = package("nibabel", reason="needs maskstat[medical]")
    data: bytes = nibabel.Nifti1Image(stack.transpose(1, 0, 2)[:, :, None], np.eye(4)).to_bytes()
    return gzip.compress(data, 1)


def zarr(stack: Stack, folder: Path) -> bytes:
    library = package("zarr", minversion="3", reason="zarr 3 needs Python 3.11")
    path = folder.parent / f"made-{folder.name}-{len(list(folder.parent.iterdir()))}.zarr"
    made = library.create_array(path, shape=stack.shape, dtype=stack.dtype, chunks=(5, 7, 2))
    made[...] = stack
    return zipped(path)


def png(stack: Stack, folder: Path) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(stack * 255).save(stream, "png")
    return stream.getvalue()


FILES: dict[str, Callable[[Stack, Path], bytes]] = {
    ".npy": npy,
    ".npz": npz,
    ".tif": tiff,
    ".tiff": tiff_pages,
    ".nii.gz": nifti,
    ".nrrd": lambda stack, folder: nrrd(stack[None], channels=stack.shape[-1]),
    ".mha": lambda stack, folder: metaimage(stack[None], packed=True, channels=stack.shape[-1]),
    ".zarr.zip": zarr,
    ".h5": lambda stack, folder: hdf5(mask={"data": stack, "chunks": (4, 5, 1)}),
    ".png": png,
}
"""By suffix what makes a file of a stack; .png of three labels."""


def write(folder: Path, stacks: list[Stack], suffix: str = ".npy", *, first: int = 0) -> Path:
    """Files of stacks, numbered from `first`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, stack in enumerate(stacks, first):
        (folder / f"mask_{number}{suffix}").write_bytes(FILES[suffix](stack, folder))
    return folder
