"""Mutations of a file's bytes: what damage, accidents and malice do, whatever the format."""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Callable

import numpy as np

Mutation = Callable[[np.random.Generator, bytes], bytes]

_EXTREMES = (0, 1, -1, 2, 7, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
_WIDER = (*_EXTREMES, 2**62, 2**63 - 1, 2**63, 2**64 - 1)


def flip_bits(rng: np.random.Generator, data: bytes) -> bytes:
    """One bit to three bits changed."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def set_bytes(rng: np.random.Generator, data: bytes) -> bytes:
    """Some bytes set, more often among the first: headers are there."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        end = min(len(changed), int(rng.choice([32, 512, len(changed)])))
        changed[int(rng.integers(end))] = int(rng.choice([0, 1, 127, 128, 255, rng.integers(256)]))
    return bytes(changed)


def set_number(rng: np.random.Generator, data: bytes) -> bytes:
    """A binary number of 2, 4 or 8 bytes set to an extreme, in either byte order."""
    width = int(rng.choice([2, 4, 4, 8]))
    if len(data) < width:
        return data
    at = int(rng.integers(min(len(data), int(rng.choice([128, 2048, 1 << 30]))) - width + 1))
    value = int(rng.integers(len(_WIDER)))
    number = (_WIDER[value] % (1 << 8 * width)).to_bytes(width, rng.choice(["little", "big"]))
    return data[:at] + number + data[at + width :]


def truncate(rng: np.random.Generator, data: bytes) -> bytes:
    """The beginning alone, perhaps with something else behind."""
    return data[: int(rng.integers(len(data)))] + rng.bytes(int(rng.choice([0, 0, 1, 30])))


def move_pieces(rng: np.random.Generator, data: bytes) -> bytes:
    """A piece removed, repeated, zeroed or inserted."""
    first, last = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    if rng.random() < 0.7:
        last = min(last, first + int(rng.integers(1, 40)))
    piece = data[first:last]
    middle = (b"", piece + piece, bytes(len(piece)), rng.bytes(int(rng.integers(20))) + piece)
    return data[:first] + middle[int(rng.integers(4))] + data[last:]


def exchange(rng: np.random.Generator, data: bytes) -> bytes:
    """Two pieces of a file change places."""
    cuts = sorted(rng.integers(0, len(data) + 1, 4).tolist())
    a, b, c, d = cuts
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


BINARY: tuple[Mutation, ...] = (
    flip_bits,
    set_bytes,
    set_number,
    truncate,
    move_pieces,
    exchange,
)

_TOKEN = re.compile(rb"-?\d+(?:\.\d+)?|\"[^\"]*\"|\w+|[^\w\s]")
_WORDS = (
    b"-1", b"0", b"1", b"255", b"256", b"65536", b"4294967296", b"9223372036854775808", b"1e999",
    b"NaN", b"Infinity", b"-0.5", b"null", b"true", b"[]", b"{}", b'""', b'"\\ud800"', b"\xff\xfe",
    b"'", b'"', b",", b"\n", b"\t", b"\x00", b"\x1b[2J", b"../../etc/passwd", b"[" * 3000,
    "\u202e\u0000é".encode(),
)  # fmt: skip


def replace_token(rng: np.random.Generator, data: bytes) -> bytes:
    """A word or number of a text becomes another one of it, or something unheard of."""
    found = list(_TOKEN.finditer(data))
    if not found:
        return data + b"?"
    for _ in range(int(rng.integers(1, 3))):
        token = found[int(rng.integers(len(found)))]
        other = (
            found[int(rng.integers(len(found)))].group()
            if rng.random() < 0.5
            else _WORDS[int(rng.integers(len(_WORDS)))]
        )
        data = data[: token.start()] + other + data[token.end() :]
        found = list(_TOKEN.finditer(data)) or found
    return data


def move_lines(rng: np.random.Generator, data: bytes) -> bytes:
    """A line dropped, doubled or moved."""
    lines = data.splitlines(keepends=True)
    where, other = (int(rng.integers(len(lines))) for _ in range(2))
    match int(rng.integers(3)):
        case 0:
            del lines[where]
        case 1:
            lines.insert(other, lines[where])
        case _:
            lines[where], lines[other] = lines[other], lines[where]
    return b"".join(lines)


TEXT: tuple[Mutation, ...] = (*BINARY, replace_token, replace_token, replace_token, move_lines)


def mutated(
    seed: int, subject: str, turn: int, seeds: list[bytes], ways: tuple[Mutation, ...]
) -> bytes:
    """The file of a turn: it depends on these alone, so that every turn can be made again."""
    rng = np.random.default_rng([seed, turn, *struct.pack(">16s", subject.encode())])
    data = seeds[int(rng.integers(len(seeds)))]
    for _ in range(1 + int(rng.random() < 0.2)):
        with contextlib.suppress(Exception):
            data = ways[int(rng.integers(len(ways)))](
                rng, data
            )  # or it is too damaged for this one
    return data
