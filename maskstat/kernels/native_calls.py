"""C functions of libdeflate, called by kernels at their address: without Python in between.

An address is a plain number to compiled code, so a kernel that calls one is cached like any other.
Who gives the address vouches for what is there (`maskstat.readers.libdeflate`).
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_INT = ir.IntType(32)
_SIZE = ir.IntType(64)
_VOID_POINTER = ir.IntType(8).as_pointer()


def _function(builder, address, result, *arguments):
    """A C function at an address."""
    return builder.inttoptr(address, ir.FunctionType(result, arguments).as_pointer())


@intrinsic
def crc32_of(typingctx, function, data, size):
    """`libdeflate_crc32(0, data, size)`: the CRC-32 of so many bytes."""

    def build(context, builder, signature, args):
        crc32 = _function(builder, args[0], _INT, _INT, _VOID_POINTER, _SIZE)
        found = builder.call(
            crc32, [ir.Constant(_INT, 0), builder.bitcast(args[1], _VOID_POINTER), args[2]]
        )
        return builder.zext(found, _SIZE)

    return types.int64(types.int64, data, types.int64), build


@intrinsic
def inflate_to(typingctx, function, decompressor, data, size, target, wanted):
    """`libdeflate_zlib_decompress`: 0 where a zlib stream inflates to exactly `wanted` bytes.

    They are at `target`, where nothing is written behind them.
    """

    def build(context, builder, signature, args):
        kinds = (_VOID_POINTER, _VOID_POINTER, _SIZE, _VOID_POINTER, _SIZE, _VOID_POINTER)
        decompress = _function(builder, args[0], _INT, *kinds)
        nowhere = ir.Constant(_VOID_POINTER, None)  # to which it would say how many there are
        found = builder.call(
            decompress,
            [
                builder.inttoptr(args[1], _VOID_POINTER),
                builder.bitcast(args[2], _VOID_POINTER),
                args[3],
                builder.bitcast(args[4], _VOID_POINTER),
                args[5],
                nowhere,
            ],
        )
        return builder.sext(found, _SIZE)

    return types.int64(types.int64, types.int64, data, types.int64, target, types.int64), build
