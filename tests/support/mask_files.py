"""Mask files of every kind, and what a reader must make of them."""

from __future__ import annotations

import gzip
import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from maskstat.errors import MaskError
from maskstat.readers.formats import FORMATS, read_label_map, read_tally
from maskstat.readers.options import ReadOptions
from maskstat.values.tally import Encoding, MaskTally
from tests.support.bmp_factory import bmp
from tests.support.packages import package
from tests.support.png_factory import png
from tests.support.tiff_factory import (
    tiff,
)

h5py = package("h5py", reason="needs maskstat[hdf5]")
tifffile = package("tifffile", reason="needs maskstat[tiff]")

STRICT = ReadOptions()
ALL = ReadOptions(allow_lossy=True, colours=True)
GDAL_NODATA = 42113  # tag
SHAPE = (11, 13)  # no multiple of 8: the last byte of a row is half full
PALETTE_COLOURS = [(37 * k % 256, 91 * k % 256, 50 + 3 * k % 200) for k in range(256)]
GREY_COLOURS = [(k, k, k) for k in range(256)]


def labels(high: int, *, low: int = 0, seed: int = 0) -> NDArray[np.int64]:
    """A mask of runs with both extremes in it."""
    rng = np.random.default_rng(seed)
    few = rng.integers(low, high, 6)
    pixels = few[rng.integers(0, 6, SHAPE)]
    pixels[0, :2] = low, high - 1
    return pixels.astype(np.int64)


def check(data: bytes, expected: NDArray[np.integer], encoding: Encoding) -> None:
    """Both ways to read give the values as stored, and say how they were."""
    pixels, found = read_label_map(data, ALL)
    assert found == encoding
    assert pixels.shape == expected.shape
    assert np.array_equal(np.asarray(pixels, np.int64), expected.astype(np.int64))
    tally = read_tally(data, "m", ALL)
    tally.check()
    assert tally.encoding == encoding
    assert same_counts(tally, MaskTally.of_pixels("m", expected.astype(np.int64), encoding))


def same_counts(left: MaskTally, right: MaskTally) -> bool:
    return (
        left.shape == right.shape
        and np.array_equal(left.values, right.values)
        and np.array_equal(left.counts, right.counts)
    )


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def from_tifffile(pixels: NDArray[np.generic], **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, metadata=None, **options)
    return stream.getvalue()


def sparse(nodata: str | None) -> bytes:
    """A TIFF of four tiles of 16 x 16 threes, of which the second is left out."""
    extratags = [] if nodata is None else [(GDAL_NODATA, 2, 0, nodata, True)]
    stream = io.BytesIO()
    tifffile.imwrite(
        stream, np.full((32, 32), 3, np.uint8), tile=(16, 16), metadata=None, extratags=extratags
    )
    data = bytearray(stream.getvalue())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        for tag in ("TileOffsets", "TileByteCounts"):
            entry = file.pages[0].tags[tag]
            size = entry.valuebytecount // entry.count
            data[entry.valueoffset + size : entry.valueoffset + 2 * size] = bytes(size)
    return bytes(data)


def npy(array: NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=array.dtype.hasobject)
    return stream.getvalue()


def npz(*, compressed: bool = True, **arrays: NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **arrays)
    return stream.getvalue()


def hdf5(libver: str = "earliest", **arrays: NDArray[np.generic] | dict[str, object]) -> bytes:
    """An HDF5 file: arrays, or what h5py makes them of."""
    stream = io.BytesIO()
    with h5py.File(stream, "w", libver=libver) as file:
        for name, array in arrays.items():
            file.create_dataset(name, **(array if isinstance(array, dict) else {"data": array}))
    return stream.getvalue()


def mat(*, compressed: bool = True, **variables: object) -> bytes:
    """A MATLAB file of version 5, by SciPy."""
    from scipy.io import savemat

    stream = io.BytesIO()
    savemat(stream, variables, do_compression=compressed)
    return stream.getvalue()


def mat_7_3(*, compressed: bool = True, **variables: object) -> bytes:
    """One of version 7.3: HDF5 with the axes the other way round, behind 512 bytes."""
    stream = io.BytesIO()
    with h5py.File(stream, "w", userblock_size=512) as file:
        for name, value in variables.items():
            fields = value if isinstance(value, dict) else {"": value}
            for field, array in fields.items():
                stored = np.asarray(array).T
                how = {"compression": "gzip", "chunks": stored.shape} if compressed else {}
                made = file.create_dataset(f"{name}/{field}".rstrip("/"), data=stored, **how)
                kind = {"float64": "double", "float32": "single"}.get(stored.dtype.name)
                made.attrs["MATLAB_class"] = np.bytes_(kind or stored.dtype.name)
    return b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + stream.getvalue()[128:]


def nifti(pixels: NDArray[np.uint8]) -> bytes:
    """A plain NIfTI-1 file of one slice (H, W), from our own writer."""
    height, width = pixels.shape
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<4h", header, 40, 2, width, height, 1)
    struct.pack_into("<2h", header, 70, 2, 8)  # unsigned bytes
    struct.pack_into("<f", header, 108, 352.0)
    header[344:348] = b"n+1\0"
    return bytes(header) + pixels.tobytes()


_NRRD_TYPES = {"u1": "uint8", "i1": "int8", "u2": "uint16", "i2": "int16", "u4": "uint32"}
_NRRD_TYPES |= {"i4": "int32", "u8": "uint64", "i8": "int64", "f4": "float", "f8": "double"}
_MET_TYPES = {"u1": "UCHAR", "i1": "CHAR", "u2": "USHORT", "i2": "SHORT", "u4": "UINT"}
_MET_TYPES |= {"i4": "INT", "u8": "ULONG_LONG", "i8": "LONG_LONG", "f4": "FLOAT", "f8": "DOUBLE"}


def nrrd(
    voxels: NDArray[np.generic], *lines: str, packed: bool = False, channels: int = 0
) -> bytes:
    """An NRRD file of an array (..., Z, Y, X), or (Z, Y, X, channels), from our own writer."""
    kinds = ["list"] * bool(channels) + ["domain"] * (voxels.ndim - bool(channels))
    header = [
        "NRRD0004",
        "# a comment: of ours",
        f"type: {_NRRD_TYPES[voxels.dtype.str[1:]]}",
        f"dimension: {voxels.ndim}",
        f"sizes: {' '.join(map(str, voxels.shape[::-1]))}",
        f"kinds: {' '.join(kinds)}",
        f"endian: {'big' if voxels.dtype.str[0] == '>' else 'little'}",
        f"encoding: {'gzip' if packed else 'raw'}",
        *lines,
    ]
    data = voxels.tobytes()
    return "\n".join(header).encode() + b"\n\n" + (gzip.compress(data, mtime=0) if packed else data)


def metaimage(
    voxels: NDArray[np.generic], *lines: str, packed: bool = False, channels: int = 1
) -> bytes:
    """A MetaImage file of an array (..., Z, Y, X), or (Z, Y, X, channels), from our own writer."""
    shape = voxels.shape[:-1] if channels > 1 else voxels.shape
    data = zlib.compress(voxels.tobytes()) if packed else voxels.tobytes()
    header = [
        "ObjectType = Image",
        f"NDims = {len(shape)}",
        "BinaryData = True",
        f"BinaryDataByteOrderMSB = {voxels.dtype.str[0] == '>'}",
        f"CompressedData = {packed}",
        *([f"CompressedDataSize = {len(data)}"] if packed else []),
        f"DimSize = {' '.join(map(str, shape[::-1]))}",
        f"ElementNumberOfChannels = {channels}",
        f"ElementType = MET_{_MET_TYPES[voxels.dtype.str[1:]]}",
        *lines,
        "ElementDataFile = LOCAL",
    ]
    return "\n".join(header).encode() + b"\n" + data


def palette_image(pixels: NDArray[np.integer], colours: list[tuple[int, int, int]]) -> Image.Image:
    image = Image.fromarray(pixels.astype(np.uint8)).convert("P")
    image.putdata(pixels.reshape(-1).tolist())
    image.putpalette([sample for colour in colours for sample in colour])
    return image


def refusal(data: bytes, options: ReadOptions = STRICT) -> str:
    """The reason of a refusal, the same from both ways to read where both apply."""
    with pytest.raises(MaskError) as caught:
        read_tally(data, "m", options)
    reason = str(caught.value)
    assert reason.isprintable()
    assert len(reason) < 300
    return reason


def colours_of(channels: NDArray[np.uint8]) -> NDArray[np.int64]:
    wide = channels.astype(np.int64)
    packed = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    return packed | (255 - wide[..., 3]) << 24 if channels.shape[2] == 4 else packed


def coloured(channels: int, seed: int = 1) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    few = rng.integers(0, 256, (5, channels), dtype=np.uint8)
    few[0, :3] = 0x80, 0x40, 0xC0
    if channels == 4:
        few[:3, 3] = 255
    return few[rng.integers(0, 5, SHAPE)]


# One file of each format, by its name, and some more; those that only a library writes are in
# readers/test_pytorch.py and readers/test_dicom.py.
SAMPLED = [form for form in FORMATS if form.name not in {"PyTorch", "DICOM"}]
_INDICES = labels(200).astype(np.uint8)
FILES: dict[str, bytes] = {
    "PNG": png(_INDICES, 8, [0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 4]),
    "TIFF": tiff(_INDICES, 8),
    "BMP": bmp(_INDICES, 8, PALETTE_COLOURS),
    "GIF": saved(palette_image(_INDICES, PALETTE_COLOURS), "GIF"),
    "WebP": saved(Image.fromarray(coloured(4)), "WEBP", lossless=True),
    "NPY": npy(_INDICES),
    "NPZ": npz(mask=_INDICES),
    "NIfTI": nifti(_INDICES),
    "NRRD": nrrd(_INDICES),
    "MetaImage": metaimage(_INDICES),
    "HDF5": hdf5(mask=_INDICES),
    "MATLAB": mat(mask=_INDICES),
    "JPEG": saved(Image.fromarray(_INDICES), "JPEG"),
    "JPEG 2000": saved(Image.fromarray(_INDICES), "JPEG2000"),
}
MORE_FILES: dict[str, bytes] = {
    "PNG 4-bit": png(labels(16), 4, [0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 4]),
    "PNG palette": saved(palette_image(_INDICES, PALETTE_COLOURS), "PNG"),
    "PNG RGBA": saved(Image.fromarray(coloured(4)), "PNG"),
    "TIFF LZW": saved(Image.fromarray(_INDICES), "TIFF", compression="tiff_lzw"),
    "TIFF deflate": saved(Image.fromarray(coloured(3)), "TIFF", compression="tiff_adobe_deflate"),
    "TIFF big": from_tifffile(_INDICES, bigtiff=True, tile=(16, 16)),
    "TIFF big-endian big": from_tifffile(
        _INDICES, bigtiff=True, byteorder=">", tile=(16, 16), compression="zlib"
    ),
    "TIFF wide": from_tifffile(_INDICES.astype(np.int64), compression="lzw"),
    "PNG RGB": saved(Image.fromarray(coloured(3)), "PNG"),
    "NPZ stored": npz(compressed=False, mask=_INDICES),
    "NIfTI gzipped": gzip.compress(nifti(_INDICES), mtime=0),
    "NRRD gzipped": nrrd(_INDICES[None].astype(">u2"), packed=True),
    "MetaImage compressed": metaimage(_INDICES[None].astype("<i4"), packed=True),
    "BMP 1-bit": saved(Image.fromarray(labels(2).astype(bool)), "BMP"),
    "GIF grey": saved(Image.fromarray(_INDICES), "GIF"),
    "WebP lossy": saved(Image.fromarray(coloured(3)), "WEBP"),
    "JPEG 2000 codestream": saved(Image.fromarray(coloured(3)), "JPEG2000", no_jp2=True),
    "JPEG 2000 lossy": saved(Image.fromarray(coloured(3)), "JPEG2000", irreversible=True),
    "HDF5 deflated": hdf5(
        "latest",
        mask={"data": _INDICES, "chunks": (4, 5), "compression": "gzip", "shuffle": True},
    ),
    "HDF5 checked": hdf5(
        mask={"data": _INDICES.astype(">i4"), "chunks": (4, 5), "fletcher32": True}
    ),
    "HDF5 LZF": hdf5(mask={"data": _INDICES, "chunks": (11, 13), "compression": "lzf"}),
    "MATLAB uncompressed": mat(compressed=False, GTcls={"Segmentation": _INDICES}),
    "MATLAB doubles": mat(LabelMap=_INDICES.astype(np.float64)),
    "HDF5 by MATLAB": mat_7_3(mask=_INDICES),
    "NPY float": npy(_INDICES.astype(np.float32)),
}
