"""libdeflate where it is installed: some ten times faster than zlib; it reads and says the same."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maskstat.kernels.c_functions import Libdeflate

Buffer = bytes | bytearray | memoryview

crc32: Callable[..., int] = zlib.crc32
inflate: Callable[[Buffer, int], bytearray] | None = None
"""A zlib stream of at most so many bytes, unpacked; None where zlib has to do it."""
gunzip: Callable[[Buffer, int], bytearray] | None = None
"""The same of the first member of gzip data."""
InflateError: type[Exception] = zlib.error
try:
    import deflate
except ImportError:
    pass
else:
    crc32, inflate, InflateError = deflate.crc32, deflate.zlib_decompress, deflate.DeflateError
    gunzip = deflate.gzip_decompress


@cache
def c_library() -> Libdeflate | None:
    """The C functions of the package, for kernels; None where it has none that they can call."""
    if inflate is None:
        return None
    try:
        from deflate import _deflate

        from maskstat.kernels.c_functions import Libdeflate

        return Libdeflate(_deflate.__file__)
    except (ImportError, OSError, AttributeError, ValueError):
        return None
