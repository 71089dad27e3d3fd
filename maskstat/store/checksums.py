"""CRC-32 of what a store keeps: SQLite has none, and one bit may make a count another one."""

from __future__ import annotations

from zlib import crc32

_DIGITS = 8


def of_texts(*texts: object) -> int:
    """Of some texts together."""
    return crc32("\0".join(map(str, texts)).encode("utf-8", "surrogatepass"))


def sealed(text: str, *about: object) -> str:
    """A text behind its checksum, which covers what it is about as well."""
    return f"{of_texts(*about, text):0{_DIGITS}x} {text}"


def opened(kept: str, *about: object) -> str:
    """What was sealed. Raises ValueError where it has changed since.

    JSON that is not sealed is of a store from before schema 5: no digit is one bit from these.
    """
    if kept.startswith(("{", "[", "null")):
        return kept
    text = kept[_DIGITS + 1 :]
    if kept != sealed(text, *about):
        raise ValueError("not what was kept")
    return text
