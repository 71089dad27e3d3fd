"""Words: 64 bytes of pixels examined in one step.

The event kernels ask one question all the time: which of the next pixels are *events*? A vector
comparison of 64 bytes answers it for 64 one-byte or 32 two-byte pixels at once, as an integer
whose bit k speaks of pixel k (a *word*). Walking the set bits of a word then costs one step an
event, however many pixels lie between.

The primitives are Numba intrinsics (LLVM IR), since neither NumPy nor plain Numba code turns a
comparison into a bit mask. They work on bare pointers, which cost no reference counting in
inner functions, load and store unaligned, and do NOT check bounds: their callers do. A row is
given as the pointer to the data and the row's offset in bytes; `like` is a pointer whose item type
(uint8 or uint16) says what a pixel is. Two-byte pixels keep the byte order of the file, which is
why nothing here interprets them as numbers.
"""

from __future__ import annotations

import sys

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from maskstat.kernels.image_buffers import WORD_BYTES as WORD_BYTES

ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
ONE = np.uint64(1)

_BYTE = ir.IntType(8)
_INT32 = ir.IntType(32)
_INT64 = ir.IntType(64)


def _item(pointer):
    """LLVM type, bytes, and items a word, of what a pointer points at."""
    bits = pointer.dtype.bitwidth
    return ir.IntType(bits), bits // 8, WORD_BYTES * 8 // bits


def _address(builder, pointer, offset, index, size):
    """Pointer to item `index` of the row that begins `offset` bytes behind the pointer."""
    step = builder.mul(index, ir.Constant(_INT64, size))
    start = builder.bitcast(pointer, _BYTE.as_pointer())
    return builder.gep(start, [builder.add(offset, step)])


def _load(builder, address, kind):
    """Load a scalar or vector of LLVM type `kind`, unaligned."""
    value = builder.load(builder.bitcast(address, kind.as_pointer()))
    value.align = 1
    return value


def _word(builder, relation, count):
    """A vector of `count` booleans as the low bits of a 64-bit integer."""
    bits = builder.bitcast(relation, ir.IntType(count))
    return bits if count == 64 else builder.zext(bits, _INT64)


@intrinsic
def pointer_to(typingctx, array):
    """The bare pointer to a C-contiguous array's data; it does not keep the array alive."""

    def build(context, builder, signature, args):
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), build


@intrinsic
def as_bytes(typingctx, pointer):
    """The same pointer, to bytes: so that a function is compiled once, not for each item type."""

    def build(context, builder, signature, args):
        return builder.bitcast(args[0], _BYTE.as_pointer())

    return types.CPointer(types.uint8)(pointer), build


@intrinsic
def item_pointer(typingctx, pointer, index):
    """The pointer to item `index`."""

    def build(context, builder, signature, args):
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.int64), build


@intrinsic
def pixel_bytes(typingctx, like):
    """Bytes of a pixel, a constant of the compiled code."""

    def build(context, builder, signature, args):
        return ir.Constant(_INT64, _item(signature.args[0])[1])

    return types.int64(like), build


@intrinsic
def word_pixels(typingctx, like):
    """Pixels of a word, a constant of the compiled code."""

    def build(context, builder, signature, args):
        return ir.Constant(_INT64, _item(signature.args[0])[2])

    return types.int64(like), build


@intrinsic
def zero_pixel(typingctx, like):
    """The pixel 0."""

    def build(context, builder, signature, args):
        return ir.Constant(_item(signature.args[0])[0], 0)

    return like.dtype(like), build


@intrinsic
def pixel_at(typingctx, data, offset, index, like):
    """Pixel `index` of the row at `offset`."""

    def build(context, builder, signature, args):
        element, size, _ = _item(signature.args[3])
        return _load(builder, _address(builder, *args[:3], size), element)

    return like.dtype(data, types.int64, types.int64, like), build


@intrinsic
def nonzero_pixels(typingctx, data, offset, index, like):
    """Word: bit k is set where pixel index + k of the row at `offset` is not zero."""

    def build(context, builder, signature, args):
        element, size, count = _item(signature.args[3])
        address = _address(builder, *args[:3], size)
        pixels = _load(builder, address, ir.VectorType(element, count))
        zero = ir.Constant(pixels.type, None)
        return _word(builder, builder.icmp_unsigned("!=", pixels, zero), count)

    return types.uint64(data, types.int64, types.int64, like), build


@intrinsic
def changed_pixels(typingctx, data, offset, index, like):
    """Word: bit k is set where pixel index + k differs from the one before it; index >= 1."""

    def build(context, builder, signature, args):
        element, size, count = _item(signature.args[3])
        vector = ir.VectorType(element, count)
        address = _address(builder, *args[:3], size)
        pixels = _load(builder, address, vector)
        before = _load(builder, builder.gep(address, [ir.Constant(_INT64, -size)]), vector)
        return _word(builder, builder.icmp_unsigned("!=", pixels, before), count)

    return types.uint64(data, types.int64, types.int64, like), build


@intrinsic
def fill_word(typingctx, row, index, value):
    """Store `value` into all pixels of the word that begins at row[index]."""

    def build(context, builder, signature, args):
        element, size, count = _item(signature.args[0])
        vector = ir.VectorType(element, count)
        blank = ir.Constant(vector, ir.Undefined)
        single = builder.insert_element(blank, args[2], ir.Constant(_INT32, 0))
        everywhere = ir.Constant(ir.VectorType(_INT32, count), [0] * count)
        spread = builder.shuffle_vector(single, blank, everywhere)
        address = _address(builder, args[0], ir.Constant(_INT64, 0), args[1], size)
        builder.store(spread, builder.bitcast(address, vector.as_pointer())).align = 1
        return context.get_dummy_value()

    return types.void(row, types.int64, row.dtype), build


@intrinsic
def copy_word(typingctx, row, source, index):
    """Copy the 64 bytes that begin at row[source] to row[index], as if all were read at first."""

    def build(context, builder, signature, args):
        vector = ir.VectorType(_BYTE, WORD_BYTES)
        word = _load(builder, builder.gep(args[0], [args[1]]), vector)
        address = builder.gep(args[0], [args[2]])
        builder.store(word, builder.bitcast(address, vector.as_pointer())).align = 1
        return context.get_dummy_value()

    return types.void(row, types.int64, types.int64), build


@intrinsic
def trailing_zeros(typingctx, word):
    """Index of the lowest set bit; the word must not be 0."""

    def build(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), build


@intrinsic
def leading_zeros(typingctx, word):
    """How many bits above the highest set one are not set; the word must not be 0."""

    def build(context, builder, signature, args):
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), build


@intrinsic
def set_bits(typingctx, word):
    """How many bits of the word are set."""

    def build(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.int64(types.uint64), build


@intrinsic
def unlike_bytes(typingctx, data, index, distance):
    """Word: bit k is set where byte index + k differs from the one `distance` bytes before it."""

    def build(context, builder, signature, args):
        vector = ir.VectorType(_BYTE, WORD_BYTES)
        here = builder.gep(args[0], [args[1]])
        there = builder.gep(here, [builder.neg(args[2])])
        unlike = builder.icmp_unsigned(
            "!=", _load(builder, here, vector), _load(builder, there, vector)
        )
        return _word(builder, unlike, WORD_BYTES)

    return types.uint64(data, types.int64, types.int64), build


def _filler(size):
    """An intrinsic that stores a pixel of `size` bytes over and over."""

    @intrinsic
    def fill(typingctx, row, index, pixel):
        def build(context, builder, signature, args):
            four = builder.bitcast(args[2], ir.VectorType(_BYTE, 4))  # the lowest byte first
            if sys.byteorder == "big":
                order = ir.Constant(ir.VectorType(_INT32, 4), [3, 2, 1, 0])
                four = builder.shuffle_vector(four, four, order)
            around = ir.Constant(
                ir.VectorType(_INT32, WORD_BYTES), [k % size for k in range(WORD_BYTES)]
            )
            spread = builder.shuffle_vector(four, four, around)
            address = builder.gep(args[0], [args[1]])
            builder.store(spread, builder.bitcast(address, spread.type.as_pointer())).align = 1
            return context.get_dummy_value()

        return types.void(row, types.int64, types.uint32), build

    return fill


# Store into 64 bytes of a row, from byte `index` on, pixels of 2, 3 or 4 bytes of one value.
fill_pairs, fill_triples, fill_quads = _filler(2), _filler(3), _filler(4)
