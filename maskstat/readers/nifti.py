"""NIfTI volumes, plain (.nii) or gzipped (.nii.gz); nibabel reads the header.

Its scaling (scl_slope, scl_inter) is applied.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from maskstat.errors import MaskError
from maskstat.naming import printable
from maskstat.readers.spacing import voxel_volume
from maskstat.readers.volumes import GZIP, Volume, VolumeFormat, VoxelStream
from maskstat.values.tally import NO_SPACING

NEEDS_NIBABEL = 'a NIfTI volume needs nibabel: pip install "maskstat[medical]"'
_HEADER_BYTES = 540  # of the longer of the two
_UNITS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # of lengths in mm: not said, m, mm, µm


def opened(file: BinaryIO) -> tuple[VoxelStream, Volume]:
    """The stream at its voxels, and what the header says. Raises MaskError."""
    try:
        from nibabel.nifti1 import Nifti1Header
        from nibabel.nifti2 import Nifti2Header
    except ImportError as error:
        raise MaskError(NEEDS_NIBABEL) from error
    stream = VoxelStream(file)
    magic = stream.read(2)
    stream.push_back(magic)
    if magic == GZIP:
        stream.unpack("gzip")
    start = stream.read(_HEADER_BYTES)
    kind: type[Any] = Nifti2Header if start[4:8] in {b"n+2\0", b"ni2\0"} else Nifti1Header
    size = kind.sizeof_hdr
    magic = start[4:8] if size == _HEADER_BYTES else start[344:348]
    if len(start) < size or int.from_bytes(start[:4], "little") not in {size, _swapped(size)}:
        raise MaskError("not a NIfTI volume: its header is another one")
    if magic in {b"ni1\0", b"ni2\0"}:
        raise MaskError("a NIfTI header whose voxels are in another file (.img): save it as .nii")
    if magic not in {b"n+1\0", b"n+2\0"}:
        raise MaskError("an Analyze header, or none: not a NIfTI volume")
    try:
        header = kind(start[:size], check=False)
        dtype, axes = header.get_data_dtype(), header.get_data_shape()
        offset = float(header["vox_offset"])
        slope, inter = header.get_slope_inter()
    except Exception as error:  # nibabel raises anything on hostile bytes
        text = printable(" ".join(str(error).split()))[:120]
        raise MaskError(f"not a readable NIfTI volume: {text}") from error
    scale = {} if slope is None else {"slope": float(slope), "inter": float(inter)}
    volume = Volume.of(axes, dtype, "nifti", voxel=_voxel(header), **scale)
    if not size <= offset < 1 << 40 or offset != int(offset):
        raise MaskError(f"a NIfTI volume whose voxels begin at byte {offset:g}")
    stream.push_back(start[size:])
    stream.skip(int(offset) - size)
    return stream, volume


def _voxel(header: Any) -> float:
    """Cubic millimetres of a voxel, `NO_SPACING` where the header has none.

    As nibabel and MONAI have it, an affine (sform) goes before pixdim. The unit is the header's;
    where that says none, lengths are in mm, as all software takes them. A mask of two axes has no
    thickness.
    """
    unit = _UNITS.get(int(header["xyzt_units"]) & 7)
    if unit is None or int(header["dim"][0]) < 3:
        return NO_SPACING
    if header["sform_code"]:
        affine = [header[row][:3] for row in ("srow_x", "srow_y", "srow_z")]
        return voxel_volume(affine, unit=unit)
    return voxel_volume(header["pixdim"][1:4], unit=unit)


def _swapped(size: int) -> int:
    return int.from_bytes(size.to_bytes(4, "little"), "big")


_format = VolumeFormat(opened)
tally, tally_stream = _format.tally, _format.tally_stream
read, planes = _format.read, _format.planes
