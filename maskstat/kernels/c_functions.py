"""libdeflate's C functions in a library that is loaded already, for kernels to call.

Its Python package lets go of the interpreter's lock for every stream and takes it again, which
for small masks costs more than inflating them does. The C functions are libdeflate's public
interface (`libdeflate.h`); a package that does not export them just has none.
"""

from __future__ import annotations

import ctypes
import zlib
from collections import deque

_SAMPLE = b"maskstat" * 99


class Libdeflate:
    """Its functions, found and tried.

    Attributes:
        crc32, inflate: addresses of `libdeflate_crc32` and `libdeflate_zlib_decompress`.

    Raises:
        OSError: what is at `path` is no library.
        AttributeError: it has no such functions.
        ValueError: they do not do what they should.
    """

    def __init__(self, path: str):
        library = ctypes.CDLL(path)
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        crc32, inflate = library.libdeflate_crc32, library.libdeflate_zlib_decompress
        crc32.restype, crc32.argtypes = ctypes.c_uint32, (ctypes.c_uint32, pointer, size)
        inflate.argtypes = (pointer, pointer, size, pointer, size, pointer)
        self._allocate = library.libdeflate_alloc_decompressor
        self._allocate.restype, self._allocate.argtypes = pointer, ()
        self._idle: deque[int] = deque()
        self.crc32 = ctypes.cast(crc32, pointer).value or 0
        self.inflate = ctypes.cast(inflate, pointer).value or 0
        self._try(crc32, inflate)

    def _try(self, crc32: ctypes._NamedFuncPointer, inflate: ctypes._NamedFuncPointer) -> None:
        packed, wanted = zlib.compress(_SAMPLE), len(_SAMPLE)
        target = ctypes.create_string_buffer(wanted)
        decompressor = self.borrow()
        failed = inflate(decompressor, packed, len(packed), target, wanted, None)
        self.give_back(decompressor)
        sound = target.raw == _SAMPLE and crc32(0, _SAMPLE, wanted) == zlib.crc32(_SAMPLE)
        if failed or not sound or ctypes.sizeof(ctypes.c_size_t) != 8:
            raise ValueError("another libdeflate")

    def borrow(self) -> int:
        """The address of a decompressor that nobody else uses until it is given back.

        Raises MemoryError.
        """
        try:
            return self._idle.pop()
        except IndexError:
            decompressor = self._allocate()
        if not decompressor:
            raise MemoryError
        return int(decompressor)

    def give_back(self, decompressor: int) -> None:
        """Let others have it."""
        self._idle.append(decompressor)
