"""TIFF's LZW: what comes out was packed, and of damaged data nothing but what it says."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.kernels import lzw
from maskstat.kernels.compiled_engine import CompiledEngine
from maskstat.kernels.numpy_engine import NumpyEngine
from maskstat.kernels.vector import WORD_BYTES

CLEAR, END = 256, 257
GUARD = 77

# Runs of any length, so that strings become long, and noise, so that codes become wide.
texts = st.lists(
    st.tuples(st.binary(min_size=1, max_size=9), st.integers(1, 900)), max_size=60
).map(lambda parts: b"".join(part * count for part, count in parts))


def packed(text: bytes) -> bytes:
    """As TIFF 6.0 has it, by a table of strings."""
    codes: list[tuple[int, int]] = [(CLEAR, 9)]
    table = {bytes([k]): k for k in range(256)}
    free, width, held = 258, 9, b""
    for k in text:
        longer = held + bytes([k])
        if longer in table:
            held = longer
            continue
        codes.append((table[held], width))
        table[longer] = free
        free += 1
        width += free in (512, 1024, 2048)
        held = bytes([k])
        if free == 4095:
            codes.append((table[held], width))
            codes.append((CLEAR, width))
            table = {bytes([k]): k for k in range(256)}
            free, width, held = 258, 9, b""
    if held:
        codes.append((table[held], width))
        free += 1
        width += free in (512, 1024, 2048)
    codes.append((END, width))
    bits = "".join(f"{code:0{width}b}" for code, width in codes)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[k : k + 8], 2) for k in range(0, len(bits), 8))


def strings(data: bytes) -> Iterator[bytes]:
    """What the codes of data stand for, by a table of strings, up to the first that is wrong."""
    bits = "".join(f"{byte:08b}" for byte in data)
    table: list[bytes] | None = None
    at, width, last = 0, 9, b""
    while at + width <= len(bits):
        code = int(bits[at : at + width], 2)
        at += width
        if code == CLEAR:
            table, width, last = [bytes([k]) for k in range(256)] + [b"", b""], 9, b""
            continue
        if table is None or code == END:
            return
        if code < len(table) and (last or code < 256):
            found = table[code]
        elif code == len(table) and last:
            found = last + last[:1]
        else:
            return
        yield found
        if last and len(table) < lzw.STRINGS:
            table.append(last + found[:1])
            width += len(table) in (511, 1023, 2047)
        last = found


def unpacked(data: bytes, size: int) -> tuple[int, bytes]:
    """How many bytes are said to be written, and all that may be."""
    out = np.full(size + 2 * WORD_BYTES, GUARD, np.uint8)
    places, lengths = np.full((2, lzw.STRINGS), 1 << 60)
    room = out[: size + WORD_BYTES]
    written = lzw.unpack_lzw(np.frombuffer(data, np.uint8), room, places, lengths)
    assert (out[size + WORD_BYTES :] == GUARD).all()
    return written, out[:size].tobytes()


@given(texts)
def test_what_was_packed_comes_out(text: bytes) -> None:
    data = packed(text)
    assert unpacked(data, len(text)) == (len(text), text)
    assert unpacked(data, len(text) + 5)[0] == len(text)
    made = CompiledEngine().unpack_lzw(memoryview(data), len(text))
    assert made is not None and bytes(made) == text
    assert CompiledEngine().unpack_lzw(memoryview(data), len(text) + 1) is None
    assert NumpyEngine().unpack_lzw(memoryview(data), len(text)) is None


@given(
    texts, st.lists(st.tuples(st.integers(0, 1 << 30), st.integers(0, 255)), max_size=9), st.data()
)
def test_damaged_data(text: bytes, damage: list[tuple[int, int]], draw: st.DataObject) -> None:
    """Codes are followed as long as they make sense and what they stand for fits."""
    data = bytearray(packed(text))
    for place, byte in damage:
        data[place % len(data)] = byte
    size = draw.draw(st.integers(0, 2 * len(text) + 300))
    expected = b""
    for string in strings(bytes(data)):
        if len(expected) + len(string) > size:
            break
        expected += string
    written, out = unpacked(bytes(data), size)
    assert written == len(expected)
    assert out[:written] == expected


@given(st.binary(max_size=400), st.integers(0, 3000))
def test_any_bytes(data: bytes, size: int) -> None:
    for begun in (data, b"\x80\x00" + data):
        written, _ = unpacked(begun, size)
        assert 0 <= written <= size


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x00\x01\x00", b"\x00" * 40])
def test_no_data_of_this_kind(data: bytes) -> None:
    assert unpacked(data, 40)[0] == 0
