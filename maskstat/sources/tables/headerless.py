"""Pixels without a header in a table, whose height and width are columns beside them."""

from __future__ import annotations

import io
from collections.abc import Collection

from maskstat.files.image_headers import opened_image

# What formats begin with that Pillow is not asked about.
_ENCODED = (
    *(b"\x93NUMPY", b"PK\x03\x04", b"\x1f\x8b", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    *(b"\x89HDF", b"MATLAB ", b"\xff\x4f\xff\x51", b"NRRD", b"ObjectType"),
)
_NIFTI = frozenset((b"n+1\0", b"n+2\0"))
_KINDS = {1: "|u1", 2: "<u2"}  # by bytes a pixel


def shape_columns(column: str, columns: Collection[str]) -> list[str]:
    """The columns of the height and the width of what is in a column, where a table has both."""
    for pair in (
        [f"{column}_height", f"{column}_width"],
        ["height", "width"],
    ):
        if set(pair) <= set(columns):
            return pair
    return []


def as_image(content: bytes, height: object, width: object) -> bytes:
    """Pixels of 8 or 16 bits as an NPY; what is an image already, or is not so large, as it is."""
    if not isinstance(height, int) or not isinstance(width, int) or height <= 0 or width <= 0:
        return content
    kind = _KINDS.get(len(content) // (height * width))
    if kind is None or len(content) % (height * width) or _is_encoded(content):
        return content
    described = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({height}, {width}), }}"
    header = described.ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


def _is_encoded(content: bytes) -> bool:
    if content.startswith(_ENCODED) or {content[4:8], content[344:348]} & _NIFTI:
        return True
    try:
        return opened_image(io.BytesIO(content)) is not None
    except Exception:  # plugins raise anything on hostile bytes, and only on their format
        return True
