"""A class index as a .npz file, and back.

The arrays are those of `MaskTables` and, as they are, the bytes of all blocks, which are mapped
into memory: so a file of gigabytes is loaded at once, and processes share it. Beside them `about`
is a JSON document, as bytes. Nothing is pickled.

The file comes back from wherever somebody had it. So sizes are checked before memory is taken; what
is compressed can't be more than what is not allows; and every block is read once.
"""

from __future__ import annotations

import io
import json
import mmap
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from maskstat.crops.class_runs import ClassRuns, MaskTables
from maskstat.errors import CatalogError, FileFormatError, call
from maskstat.files.writing import replacing
from maskstat.memory import ask_memory
from maskstat.naming import printable
from maskstat.regular_files import open_file
from maskstat.values.catalog import ClassCatalog
from maskstat.values.catalog_mapping import catalog_from_mapping

if TYPE_CHECKING:
    from maskstat.crops.class_index import ClassIndex

FORMAT = "maskstat class index"
SCHEMA = 1
SUFFIX = ".npz"
_LOCAL_HEADER = Struct("<4s22xHH")  # of a member of a zip: its magic, lengths of name and extra
_NPY_HEADER = 4096  # bytes, at most
_PIECE = 1 << 24
_TABLES = {"sizes": "<u4", "entries": "<u4", "classes": "<u4", "blocks": "<u4"}
_TABLES |= {"pixels": "<u4", "lengths": "<u4"}


def check_output(path: Path) -> None:
    """Raise FileFormatError where no index can be written, before there is one."""
    from maskstat.files.writing import check_place

    if path.suffix.lower() != SUFFIX:
        raise FileFormatError(
            f"a class index is a {SUFFIX}",
            where=printable(str(path)),
            remedy=f"call it {printable(path.with_suffix(SUFFIX).name)}",
        )
    check_place(path)


def save_index(path: Path, index: ClassIndex) -> None:
    """Write an index. Raises FileFormatError where it can't be."""
    check_output(path)
    catalog = index.catalog.to_dict()
    about = {"format": FORMAT, "schema": SCHEMA, "catalog": catalog, "names": index.names}
    text = json.dumps(about, ensure_ascii=True).encode()
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        _write(archive, "about", np.frombuffer(text, np.uint8))
        for name, array in zip(_TABLES, index.runs.tables, strict=True):
            _write(archive, name, array.astype(_TABLES[name]), zipfile.ZIP_DEFLATED)
        _write(archive, "data", index.runs.data)


def _write(
    archive: zipfile.ZipFile,
    name: str,
    array: NDArray[np.generic],
    compression: int = zipfile.ZIP_STORED,
) -> None:
    member = zipfile.ZipInfo(f"{name}.npy")  # of no time: equal indices are equal files
    member.compress_type = compression
    with archive.open(member, "w", force_zip64=True) as file:
        header = npy.header_data_from_array_1_0(array)
        npy.write_array_header_1_0(file, header)
        content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        for start in range(0, len(content), _PIECE):
            file.write(content[start : start + _PIECE].data)


def load_index(path: Path) -> tuple[tuple[str, ...], ClassCatalog, ClassRuns]:
    """What `save_index` wrote. Raises FileFormatError where it is something else, or damaged."""
    with _explained(path), open_file(path) as file:
        return _loaded(file)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    where = printable(str(path))
    try:
        yield
    except OSError as error:
        raise FileFormatError(f"can't be read: {error.strerror or error}", where=where) from error
    except MemoryError as error:
        raise FileFormatError("there is not enough memory for its tables", where=where) from error
    except CatalogError as error:
        raise FileFormatError(f"its classes: {error.text}", where=where) from error
    except _WrongIndex as error:
        raise FileFormatError(str(error), where=where, remedy=error.remedy) from error
    except Exception as error:  # zipfile raises anything on hostile bytes
        raise FileFormatError("is no class index", where=where, remedy=_REMEDY) from error


_REMEDY = f"make one: {call('Scan.class_index')}"


class _WrongIndex(ValueError):
    """What is wrong with a file, and what to do."""

    def __init__(self, problem: str, remedy: str | None = "make it anew"):
        super().__init__(problem)
        self.remedy = remedy


def _loaded(file: BinaryIO) -> tuple[tuple[str, ...], ClassCatalog, ClassRuns]:
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        wanted = [f"{name}.npy" for name in ("about", *_TABLES, "data")]
        if len(archive.infolist()) != len(wanted) or members.keys() != set(wanted):
            raise _WrongIndex("is no class index", _REMEDY)
        mapped = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
        data = _as_it_is(mapped, members["data.npy"])
        about = _about(_as_it_is(mapped, members["about.npy"]).tobytes())
        names = _names(about["names"])
        catalog = catalog_from_mapping(about["catalog"], name="classes")
        tables = _tables(archive, members, len(names), len(data))
    _demand(len(names) == len(tables.entries))
    _check_tables(tables, len(catalog), len(data))
    runs = ClassRuns.of(tables, data)
    if (mask := runs.first_damaged) >= 0:
        raise _WrongIndex(f"damaged: its bytes of the mask {printable(names[mask])} are no runs")
    return names, catalog, runs


def _as_it_is(mapped: NDArray[np.uint8], member: zipfile.ZipInfo) -> NDArray[np.uint8]:
    """The bytes of an array uint8[n] that is not compressed, where they are in the file."""
    start, size = member.header_offset, member.file_size
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != size:
        raise _WrongIndex("has compressed what is to be read where it is")
    header = mapped[start : start + _LOCAL_HEADER.size].tobytes()
    magic, name, extra = _LOCAL_HEADER.unpack(header)
    start += 30 + name + extra
    content = mapped[start : start + size]
    if magic != b"PK\3\4" or len(content) != size:
        raise _WrongIndex("is cut off")
    crc = 0
    for piece in range(0, size, _PIECE):
        crc = zlib.crc32(content[piece : piece + _PIECE].data, crc)
    if crc != member.CRC:
        raise _WrongIndex(f"damaged: {member.filename} has changed")
    head, kind, shape = _npy_header(content[:_NPY_HEADER].tobytes())
    if kind != np.uint8 or shape != (size - head,):
        raise _WrongIndex(f"{member.filename} is no array of bytes")
    return content[head:]


def _npy_header(start: bytes) -> tuple[int, np.dtype[Any], tuple[int, ...]]:
    """Bytes of the header, type and shape of an array, from the bytes that it begins with."""
    stream = io.BytesIO(start)
    if npy.read_magic(stream) != (1, 0):
        raise _WrongIndex("has an array of a version to come")
    shape, fortran, kind = npy.read_array_header_1_0(stream, max_header_size=_NPY_HEADER)
    if fortran and len(shape) > 1:
        raise _WrongIndex("has an array in another order")
    return stream.tell(), kind, shape


def _about(text: bytes) -> dict[str, Any]:
    about = json.loads(text)
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise _WrongIndex("is no class index", _REMEDY)
    if about.get("schema") != SCHEMA:
        raise _WrongIndex("is of a newer maskstat", "pip install -U maskstat")
    return about


def _names(given: object) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise _WrongIndex("has names of masks that are no texts")
    if len(set(given)) < len(given):
        raise _WrongIndex("has two masks of one name")
    return tuple(given)


def _tables(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], masks: int, size: int
) -> MaskTables:
    """The tables, none of which has more numbers than there are names or bytes."""
    found = []
    for name, kind in _TABLES.items():
        most = 2 * masks if name == "sizes" else masks if name == "entries" else size
        member = members[f"{name}.npy"]
        if member.file_size > 4 * most + _NPY_HEADER:
            raise _WrongIndex(f"has {name} of an impossible size")
        if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise _WrongIndex(f"has compressed its {name} as no index does")
        ask_memory(3 * member.file_size)
        with archive.open(member) as file:
            content = file.read(member.file_size + 1)
        head, of_kind, shape = _npy_header(content[:_NPY_HEADER])
        array = np.frombuffer(content[head:], kind)
        if of_kind != np.dtype(kind) or int(np.prod(shape, dtype=object)) != array.size:
            raise _WrongIndex(f"has {name} of another kind")
        found.append(array.astype(np.int64).reshape(shape))
    return MaskTables(*found)


def _check_tables(tables: MaskTables, classes: int, size: int) -> None:
    """Raise where the tables do not fit each other, the classes or the bytes."""
    from maskstat.kernels.coded_runs import MOST_PIXELS

    sizes, entries, of_entry, blocks, pixels, lengths = tables
    flat = all(array.ndim == 1 for array in tables[1:])
    _demand(flat and sizes.shape == (len(entries), 2))
    # No product or sum below leaves 64 bits: all numbers are below 2^32, and there are fewer.
    _demand((sizes > 0).all() and (sizes[:, 0] <= MOST_PIXELS // np.maximum(sizes[:, 1], 1)).all())
    _demand(entries.sum() == len(of_entry) == len(blocks))
    _demand(blocks.sum() == len(pixels) == len(lengths) and lengths.sum() == size)
    _demand(all((array > 0).all() for array in (blocks, pixels, lengths)))
    mask = np.repeat(np.arange(len(entries)), entries)
    _demand((of_entry < classes).all())
    _demand(((np.diff(of_entry) > 0) | (np.diff(mask) > 0)).all())
    of_block = np.repeat(mask, blocks)
    ends = np.concatenate([[0], np.cumsum(pixels)])
    of_mask = np.searchsorted(of_block, np.arange(len(entries) + 1))
    _demand((np.diff(ends[of_mask]) <= sizes.prod(axis=1)).all())


def _demand(holds: object) -> None:
    if not holds:
        raise _WrongIndex("damaged: its numbers contradict each other")
