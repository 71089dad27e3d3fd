"""What a file is that is no mask, from its first bytes: a kind, never what it says."""

from __future__ import annotations

LOOKED_AT = 512  # bytes

_PICKLE = "a Python pickle, which may run any code when it is loaded: numpy.save writes the array"
_MAGIC = (
    (b"\x7fELF", "an ELF program"),
    (b"MZ", "a Windows program"),
    (b"\xcf\xfa\xed\xfe", "a macOS program"),
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"PAR1", "a Parquet table"),
    (b"ARROW1", "an Arrow table"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"8BPS", "a Photoshop image"),
    (b"RIFF", "a RIFF file (audio or video)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ\0", "xz data"),
    (b"\x28\xb5\x2f\xfd", "Zstandard data"),
    (
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19",
        "a file of PyTorch before 1.6, a pickle: torch.save writes it anew",
    ),
    (b"\x80\x02", _PICKLE),
    (b"\x80\x03", _PICKLE),
    (b"\x80\x04", _PICKLE),
    (b"\x80\x05", _PICKLE),
)
_TEXTS = (
    ("version https://git-lfs", "a Git LFS pointer, whose file is not here: git lfs pull"),
    ("<!doctype html", "HTML"),
    ("<html", "HTML"),
    ("<svg", "SVG"),
    ("<?xml", "XML"),
    ("<", "XML"),
    ("{", "JSON"),
    ("[", "JSON"),
    ("#!", "a script"),
)
_PNM = frozenset({b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7"})


def kind_of(data: bytes) -> str | None:
    """What a file is that begins like this, in a few words; None where nothing says so."""
    head = data[:LOOKED_AT]
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[4:8] == b"ftyp":
        return "a video, HEIF or AVIF"
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head[:2] in _PNM and head[2:3].isspace():
        return "a PNM image"
    if not head.strip(b"\0"):
        return "zeros, as a lost write leaves them"
    text = _text(head)
    if text is None:
        return None
    start = text.lstrip("\ufeff \t\r\n").lower()
    if start.startswith("<") and "<annotations>" in start:
        return "annotations of CVAT, which a plugin reads (docs/plugins.md)"
    return next((kind for mark, kind in _TEXTS if start.startswith(mark)), "text")


def _text(head: bytes) -> str | None:
    """Bytes as UTF-8 that people can read; None where they are none."""
    for cut in range(4):  # a character may be cut off at the end
        try:
            text = head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        if all(character.isprintable() or character in "\t\r\n\f\ufeff" for character in text):
            return text or None
        return None
    return None
