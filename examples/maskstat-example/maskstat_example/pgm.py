"""A reader: Netpbm's binary PGM, grey levels of 8 or 16 bits."""

import re

import numpy as np

_BLANK = rb"(?:\s+|#[^\n]*\n)+"
_HEADER = re.compile(rb"P5" + (_BLANK + rb"([0-9]{1,9})") * 3 + rb"\s")

suffixes = (".pgm",)


def recognises(head):
    """Whether a file that begins with these (up to 512) bytes is one."""
    return head[:2] == b"P5" and head[2:3].isspace()


def read(data, ask):
    """The array (H, W) of a file's bytes; `ask` comes before its memory."""
    found = _HEADER.match(data)
    if found is None:
        raise ValueError("a PGM without a header")
    width, height, most = map(int, found.groups())
    kind = np.dtype("u1" if most < 256 else ">u2")
    ask(height * width * kind.itemsize)
    if len(data) - found.end() != height * width * kind.itemsize:
        raise ValueError(f"not the {width}x{height} pixels that its header says")
    return np.frombuffer(data, kind, offset=found.end()).reshape(height, width)
