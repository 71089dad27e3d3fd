"""What is mutated, how maskstat counts it, and how another program does.

A subject has sound files to start from and two ways to count one: maskstat's, and a plain one by
Pillow, tifffile, NumPy, SciPy, nibabel, SimpleITK, pydicom, zarr, h5py, PyTorch, pyarrow,
pycocotools or the standard library. Both give the counts of every mask that they could read, and
say how many they could not.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import maskstat as ms
from benchmarks.hostile.mutating import BINARY, TEXT, Mutation
from maskstat.errors import MaskError, MaskstatError
from maskstat.readers.formats import (
    SUFFIXES,
    read_tally,
    read_tally_and_pixels,
    read_tally_stream,
)
from maskstat.readers.options import ReadOptions
from maskstat.scanning.counting import Counter
from maskstat.sources.base import Selection
from maskstat.sources.opening import open_source
from maskstat.store.records import Failure
from maskstat.values.tally import MaskTally, TallyTable
from tests.support import png_mutations

MOST_PIXELS = 4_000_000  # of files that the plain decoders are asked to read
OPTIONS = ReadOptions(allow_lossy=True, colours=True, knows_zero=True)

Counts = tuple[tuple[int, int], ...]  # raw value and its pixels, in order of the values


class Disagreement(Exception):
    """Two ways of maskstat's own to read one file say different things."""


class Unclear(Exception):
    """The plain decoder knows a rule for this file that is not ours to compare with."""


@dataclass
class Found:
    """The masks that a program could read of a file, and how often it could not."""

    masks: list[Counts] = field(default_factory=list)
    refused: int = 0


@dataclass(frozen=True)
class Subject:
    """A kind of file.

    Attributes:
        seeds: sound files to start from.
        ours: maskstat's counts of a file's bytes; a folder to work in comes with them.
        plain: those of another program.
        ways: the mutations.
        suffix: of a source's file; none where the file is one mask.
    """

    name: str
    seeds: Callable[[], list[bytes]]
    ours: Callable[[bytes, Path], Found]
    plain: Callable[[bytes], Found]
    ways: tuple[Mutation, ...] = BINARY
    suffix: str = ""


def counts_of(tally: MaskTally) -> Counts:
    """The counts of a tally, which must add up."""
    tally.check()
    return tuple(zip(tally.values.tolist(), tally.counts.tolist(), strict=True))


def rows_of(table: TallyTable) -> list[Counts]:
    """The counts of every mask of a table."""
    pairs = list(zip(table.values.tolist(), table.counts.tolist(), strict=True))
    ends = table.indptr.tolist()
    return [tuple(pairs[start:end]) for start, end in itertools.pairwise(ends)]


def counted(pixels: NDArray[Any]) -> Counts:
    """The plain way to count: np.unique."""
    if pixels.size == 0:
        raise ValueError("no pixels")
    if pixels.dtype.kind == "f":
        if not (np.isfinite(pixels).all() and (pixels == np.floor(pixels)).all()):
            raise ValueError("no whole numbers")
        if np.abs(pixels.astype(np.float64)).max() >= 2.0**63:
            raise ValueError("no int64")
    if pixels.dtype.kind not in "buif":
        raise ValueError("no numbers")
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize == 8 and int(pixels.max()) >= 2**63:
        raise ValueError("no int64")
    if pixels.dtype.kind == "b":  # a byte that is neither 0 nor 1 is true
        pixels = pixels.view(np.uint8) != 0
    values, counts = np.unique(pixels.astype(np.int64), return_counts=True)
    return tuple(zip(values.tolist(), counts.tolist(), strict=True))


def colours(samples: NDArray[Any]) -> NDArray[np.int64]:
    """Colours as maskstat packs them: 0xRRGGBB, and the missing opacity above."""
    wide = samples.astype(np.int64)
    if wide.shape[-1] == 2:
        wide = wide[..., [0, 0, 0, 1]]
    packed: NDArray[np.int64] = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    return packed | (255 - wide[..., 3]) << 24 if wide.shape[-1] == 4 else packed


# --- files that are one mask ---------------------------------------------------------------------


def reads_alike(data: bytes, _: Path) -> Found:
    """A mask file, by every way that a scan has to read one; they must agree."""
    ways: list[Callable[[], MaskTally]] = [
        lambda: read_tally(data, "m", OPTIONS),
        lambda: read_tally_stream(io.BytesIO(data), "m", OPTIONS),
        lambda: read_tally_and_pixels(data, "m", OPTIONS)[0],
    ]
    found: list[Counts | None] = []
    for way in ways:
        try:
            found.append(counts_of(way()))
        except MaskError as error:
            if not str(error).isprintable():
                raise Disagreement(f"no printable line: {error!r}") from None
            found.append(None)
    # What is held in memory may be refused where counting in pieces is not.
    if found[0] != found[1] or found[2] not in (None, found[0]):
        raise Disagreement(f"{found[0]} / {found[1]} / {found[2]}")
    return Found([found[0]]) if found[0] is not None else Found([], 1)


def plain_pixels(read: Callable[[bytes], NDArray[Any]]) -> Callable[[bytes], Found]:
    """The plain way for one mask: all pixels, then np.unique."""

    def plain(data: bytes) -> Found:
        return Found([counted(read(data))])

    return plain


def by_pillow(data: bytes, form: str | None = None) -> NDArray[Any]:
    """Stored values as Pillow decodes them, its scaling undone."""
    with Image.open(io.BytesIO(data), formats=None if form is None else [form]) as image:
        if image.width * image.height > MOST_PIXELS:
            raise ValueError("many pixels")
        image.load()
        pixels = np.asarray(image)
        mode = image.mode
    if form == "PNG" and data[25] in (2, 4, 6) and data[24] == 16:
        raise Unclear("Pillow reads eight of sixteen bits")
    if form == "PNG" and data[25] == 0 and data[24] in (2, 4):
        pixels = pixels.astype(np.int64) // (255 // ((1 << data[24]) - 1))
    return colours(pixels) if mode in ("RGB", "RGBA", "LA") else pixels


def by_two(data: bytes) -> NDArray[Any]:
    """A TIFF as tifffile and Pillow decode it; where only they differ, that is unclear."""
    first = by_tifffile(data)
    try:
        second = by_pillow(data, "TIFF")
    except Exception:
        return first
    if counted(first) != counted(second):
        raise Unclear("two programs, two answers")
    return first


def by_tifffile(data: bytes) -> NDArray[Any]:
    """Stored values as tifffile decodes them; its rules for several pages are not compared."""
    import logging

    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        if len(file.pages) != 1:
            raise Unclear("several pages")
        page = file.pages[0]
        if page.imagewidth * page.imagelength > MOST_PIXELS:
            raise ValueError("many pixels")
        pixels = page.asarray()
        photometric = int(page.photometric)
        if page.samplesperpixel > 1:
            if page.planarconfig == 2:
                pixels = np.moveaxis(pixels, 0, -1)
            if photometric != 2 or pixels.ndim != 3 or pixels.dtype != np.uint8:
                raise Unclear("samples of another meaning")
            return colours(pixels)
        if photometric not in (0, 1, 3):
            raise Unclear("samples of another meaning")
    return np.asarray(pixels)


def by_nibabel(data: bytes) -> NDArray[Any]:
    """Stored values as nibabel maps them, unscaled."""
    import gzip

    import nibabel

    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    kind = nibabel.Nifti2Image if struct.unpack("<i", data[:4])[0] == 540 else nibabel.Nifti1Image
    image = kind.from_bytes(data)
    if np.prod([float(size) for size in image.shape]) > MOST_PIXELS:
        raise ValueError("many pixels")
    if image.dataobj.slope not in (1.0, None) or image.dataobj.inter not in (0.0, None):
        raise Unclear("scaled values")
    return np.asarray(image.dataobj.get_unscaled())


def by_itk(suffix: str) -> Callable[[bytes], NDArray[Any]]:
    """What SimpleITK reads of a file of this suffix."""

    def read(data: bytes) -> NDArray[Any]:
        import tempfile

        import SimpleITK

        header, _, voxels = data.partition(b"LOCAL\n")
        if voxels[:1] == b"x" and b"\nCompressedDataSize = %d\n" % len(voxels) not in header:
            raise Unclear("what ITK does not inflate, it leaves as memory was")
        with tempfile.NamedTemporaryFile(suffix=suffix) as file:
            file.write(data)
            file.flush()
            image = SimpleITK.ReadImage(file.name)
        if image.GetNumberOfComponentsPerPixel() > 1 or image.GetDimension() > 3:
            raise Unclear("channels or several volumes")
        return np.asarray(SimpleITK.GetArrayFromImage(image))

    return read


def by_pydicom(data: bytes) -> NDArray[Any]:
    """Frames as pydicom unpacks them, of stacks that lie flat, 2.5 mm apart."""
    import pydicom

    header = pydicom.dcmread(io.BytesIO(data))
    frames = header.pixel_array.reshape(-1, header.Rows, header.Columns)
    shared = header.SharedFunctionalGroupsSequence[0]
    if shared.PlaneOrientationSequence[0].ImageOrientationPatient != [1, 0, 0, 0, 1, 0]:
        raise Unclear("a stack that lies askew")
    groups = header.PerFrameFunctionalGroupsSequence
    where = [one.PlanePositionSequence[0].ImagePositionPatient for one in groups]
    steps = sorted({place[2] for place in where})
    if any(b - a not in {2.5, 5.0} for a, b in itertools.pairwise(steps)):
        raise Unclear("places at other distances")
    stack = np.zeros((round((steps[-1] - steps[0]) / 2.5) + 1, *frames.shape[1:]), np.int64)
    numbers = [one.get("SegmentIdentificationSequence") for one in groups]
    drawn = [
        (0 if number is None else number[0].ReferencedSegmentNumber, frame, place)
        for number, frame, place in zip(numbers, frames, where, strict=True)
    ]
    areas = {number: sum((f > 0).sum() for n, f, _ in drawn if n == number) for number, *_ in drawn}
    for number, frame, place in sorted(drawn, key=lambda one: (-areas[one[0]], one[0])):
        part = stack[round((place[2] - steps[0]) / 2.5)]
        part[frame > 0] = frame[frame > 0] if number == 0 else number
    return stack


def by_numpy(data: bytes) -> NDArray[Any]:
    """np.load of one array."""
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if isinstance(array, np.lib.npyio.NpzFile):
        if len(array.files) != 1:
            raise Unclear("several arrays")
        array = array[array.files[0]]
    if array.ndim != 2:
        raise Unclear("not a mask of one plane")
    return np.asarray(array)


def by_zarr(data: bytes) -> NDArray[Any]:
    """What zarr itself reads of a zipped store."""
    import tempfile

    import zarr

    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        file.write(data)
        file.flush()
        with zarr.storage.ZipStore(file.name, mode="r") as store:
            array = zarr.open(store, mode="r")
            if not isinstance(array, zarr.Array):
                raise Unclear("a group")
            if array.ndim != 2 or array.size > MOST_PIXELS:
                raise Unclear("not a mask of one plane")
            return np.asarray(array[...])


def by_h5py(data: bytes) -> NDArray[Any]:
    """What h5py reads of a file of one array."""
    import h5py

    with h5py.File(io.BytesIO(data)) as file:
        arrays: list[Any] = []
        file.visititems(
            lambda _, node: arrays.append(node) if isinstance(node, h5py.Dataset) else None
        )
        if len(arrays) != 1:
            raise Unclear("several arrays")
        if arrays[0].ndim != 2 or arrays[0].size > MOST_PIXELS:
            raise Unclear("not a mask of one plane")
        return np.asarray(arrays[0][()])


def by_scipy(data: bytes) -> NDArray[Any]:
    """What SciPy reads of a file of one array."""
    from scipy.io import loadmat

    found = loadmat(io.BytesIO(data))
    arrays = [found[name] for name in found if not name.startswith("__")]
    while len(arrays) == 1 and arrays[0].dtype.names:
        arrays = [arrays[0][name].flat[0] for name in arrays[0].dtype.names]
    if len(arrays) != 1 or arrays[0].ndim != 2:
        raise Unclear("not a mask of one plane")
    return np.asarray(arrays[0])


def by_torch(data: bytes) -> NDArray[Any]:
    """What torch reads of a file of one tensor."""
    import torch

    found = torch.load(io.BytesIO(data), weights_only=True)
    if not isinstance(found, torch.Tensor) or found.ndim != 2 or found.numel() > MOST_PIXELS:
        raise Unclear("not a mask of one plane")
    return np.asarray(found.numpy())


# --- files that hold many masks ------------------------------------------------------------------


def counts_all(
    suffix: str, *, scan: bool = False, **options: Any
) -> Callable[[bytes, Path], Found]:
    """The masks of a source, as the threads of a scan count them, or by a whole scan."""

    def ours(data: bytes, folder: Path) -> Found:
        path = folder / f"masks{suffix}"
        path.write_bytes(data)
        found = Found()
        try:
            if scan:
                with ms.scan(path, db=None, workers=1, **options) as scanned:
                    found.masks = [one for table in scanned.tables() for one in rows_of(table)]
                    found.refused = len(scanned.failures)
                    scanned.histogram  # noqa: B018 - what it adds up must be there
                return found
            count = Counter(OPTIONS)
            for entry in open_source(path, Selection(suffixes=SUFFIXES)).entries():
                outcome = count.count(entry)
                if isinstance(outcome, Failure):
                    found.refused += 1
                else:
                    found.masks.append(counts_of(outcome.tally))
        except MaskstatError:
            found.refused += 1
        return found

    return ours


def plain_masks(members: Callable[[bytes], Iterable[bytes | None]]) -> Callable[[bytes], Found]:
    """The plain way for a container: its members, each read by Pillow."""

    def plain(data: bytes) -> Found:
        found = Found()
        try:
            for member in members(data):
                try:
                    if member is None:
                        raise ValueError("no mask")
                    found.masks.append(counted(by_pillow(member)))
                except Exception:
                    found.refused += 1
        except Exception:
            found.refused += 1
        return found

    return plain


def _is_mask(name: str) -> bool:
    """A mask's suffix, and no hidden file or folder."""
    parts = name.replace("\\", "/").split("/")
    return Path(name.lower()).suffix in SUFFIXES and not any(one.startswith(".") for one in parts)


def zip_members(data: bytes) -> Iterable[bytes | None]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            if _is_mask(info.filename):
                try:
                    yield archive.read(info)
                except Exception:
                    yield None


def tar_members(data: bytes) -> Iterable[bytes | None]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for info in archive:
            if info.isfile() and _is_mask(info.name):
                file = archive.extractfile(info)
                yield None if file is None else file.read()


def parquet_members(data: bytes) -> Iterable[bytes | None]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(data))
    for group in range(file.num_row_groups):
        try:
            cells = file.read_row_group(group).column("mask").to_pylist()
        except Exception:
            yield None
        else:
            yield from map(_content, cells)


def _content(cell: Any) -> bytes | None:
    """The image of a cell of a table: bytes beside a path, or lists of numbers."""
    if not isinstance(cell, list):
        return None if cell is None else cell.get("bytes")
    try:
        pixels = np.array(cell, np.uint8)
    except (OverflowError, TypeError, ValueError):
        return None
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def arrow_members(data: bytes) -> Iterable[bytes | None]:
    import pyarrow as pa

    with pa.ipc.open_stream(io.BytesIO(data)) as reader:
        for batch in reader:
            batch.validate(full=True)
            yield from batch.column("mask").to_pylist()


def record_members(data: bytes) -> Iterable[bytes | None]:
    """The PNGs in records whose checksums are right."""
    from tests.support.source_cases import masked_crc

    unpacked = io.BytesIO(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    while head := unpacked.read(12):
        if len(head) < 12 or masked_crc(head[:8]) != head[8:]:
            raise ValueError("no length of a record")
        size = int.from_bytes(head[:8], "little")
        record, checksum = unpacked.read(size), unpacked.read(4)
        if masked_crc(record) == checksum:
            yield record[record.index(b"\x89PNG") : record.index(b"IEND") + 8]
        else:
            yield None


def coco_masks(data: bytes) -> Found:
    """pycocotools' own masks, painted by the rule of docs/sources.md."""
    from tests.support.annotation_cases import expected

    document = json.loads(data)
    if len({one["id"] for one in document["images"]}) < len(document["images"]):
        raise Unclear("an image twice")
    return Found([counted(pixels) for pixels in expected(document).values()])


def no_other_program(data: bytes) -> Found:
    """Nothing else draws these by the same rule: only crashes, hangs and bugs are looked for."""
    raise Unclear


# --- seeds ---------------------------------------------------------------------------------------


def _labels(seed: int, shape: tuple[int, int] = (37, 53), high: int = 6) -> NDArray[np.uint8]:
    """A mask of runs."""
    rng = np.random.default_rng(seed)
    pixels = np.repeat(rng.integers(0, high, (shape[0], shape[1] // 6 + 1)), 6, axis=1)
    return pixels[:, : shape[1]].astype(np.uint8)


def _named(names: Sequence[str]) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        from tests.support.mask_files import FILES, MORE_FILES

        return [{**FILES, **MORE_FILES}[name] for name in names]

    return seeds


def tiff_seeds() -> list[bytes]:
    import tifffile

    seeds = _named(["TIFF", "TIFF deflate", "TIFF big", "TIFF big-endian big", "TIFF LZW"])()
    for options in (
        {"compression": "zlib", "predictor": True},
        {"compression": "zstd", "tile": (16, 16)},
        {"compression": "packbits", "rowsperstrip": 5},
        {"byteorder": ">"},
    ):
        for kind in (np.uint8, np.uint16):
            stream = io.BytesIO()
            tifffile.imwrite(stream, _labels(3).astype(kind), metadata=None, **options)
            seeds.append(stream.getvalue())
    return seeds


def pytorch_seeds() -> list[bytes]:
    import torch

    seeds = []
    for kind in (np.uint8, np.int64, np.float32):
        stream = io.BytesIO()
        torch.save(torch.from_numpy(_labels(7).astype(kind)), stream)
        seeds.append(stream.getvalue())
    return seeds


def png_seeds() -> list[bytes]:
    return _named(["PNG", "PNG 4-bit", "PNG palette", "PNG RGBA", "PNG RGB"])()


def npy_seeds() -> list[bytes]:
    seeds = []
    for kind in ("u1", "<i2", ">i4", "<f4", "?", "<u8"):
        for order in "CF":
            stream = io.BytesIO()
            np.save(stream, np.asarray(_labels(4).astype(kind), order=order))  # type: ignore[call-overload]
            seeds.append(stream.getvalue())
    return seeds


def zarr_seeds() -> list[bytes]:
    import tempfile

    from tests.support.zarr_cases import CODECS, store, zipped

    seeds = []
    for make in CODECS.values():
        with tempfile.TemporaryDirectory() as folder:
            seeds.append(zipped(store(Path(folder), **make())))
    return seeds


def _pngs(count: int = 4) -> dict[str, bytes]:
    files = {}
    for number in range(count):
        stream = io.BytesIO()
        Image.fromarray(_labels(number, (20, 31))).save(stream, "PNG")
        files[f"street/{number}.png"] = stream.getvalue()
    return files


def nested_seed() -> bytes:
    """A Parquet file of lists of numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    masks = [_labels(number, (9, 14)).tolist() for number in range(4)]
    column = pa.array(masks, pa.list_(pa.list_(pa.uint8())))
    stream = io.BytesIO()
    pq.write_table(pa.table({"mask": column}), stream, row_group_size=2)
    return stream.getvalue()


def _packed(name: str) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        from tests.support import source_cases

        files = _pngs()
        made: dict[str, Callable[[], list[bytes]]] = {
            "zip": lambda: [
                source_cases.zip_of(files),
                source_cases.zip_of(files, zipfile.ZIP_STORED),
                source_cases.zip_of(files, zipfile.ZIP_BZIP2),
            ],
            "tar": lambda: [source_cases.tar_of(files)],
            "tar.gz": lambda: [source_cases.tar_of(files, "w:gz")],
            "parquet": lambda: [
                source_cases.parquet_of(files, 2),
                source_cases.parquet_of(files, compression="none"),
                nested_seed(),
            ],
            "arrow": lambda: [source_cases.arrow_of(files, 2), source_cases.arrow_of(files)],
            "tfrecord": lambda: [
                source_cases.tfrecord_of(files),
                gzip.compress(source_cases.tfrecord_of(files)),
            ],
        }
        return made[name]()

    return seeds


def dicom_seeds() -> list[bytes]:
    from tests.support.dicom_cases import DEFLATED, of_stack

    labels = np.random.default_rng(2).integers(0, 4, (5, 7, 9)).astype(np.uint8)
    labels[2] = 0
    kinds = ("BINARY", "FRACTIONAL", "LABELMAP")
    return [*(of_stack(labels, kind) for kind in kinds), of_stack(labels, syntax=DEFLATED)]


def coco_seeds() -> list[bytes]:
    from tests.support.annotation_cases import SQUARE, annotation, coco, image

    runs = {"size": [8, 10], "counts": [10, 5, 3, 12, 50]}
    many = [
        annotation(1, 1, [SQUARE], id=1),
        annotation(1, 2, runs, id=2, iscrowd=1),
        annotation(2, 300, [[0, 0, 9, 0, 9, 7], [1, 1, 3, 1, 3, 3]], id=3),
    ]
    return [
        json.dumps(coco([image(1), image(2), image(3)], many), indent=2).encode(),
        json.dumps(coco([image(1)], many[:2])).encode(),
    ]


def labelme_seeds() -> list[bytes]:
    from tests.support.annotation_cases import labelme, shape

    shapes = [
        shape("road", [[0, 0], [9, 0], [9, 7], [0, 7]]),
        shape("car", [[2, 1], [6, 5]], "rectangle"),
        shape("sky", [[3, 3], [5, 3]], "circle"),
    ]
    return [json.dumps(labelme(shapes), indent=1).encode(), json.dumps(labelme([])).encode()]


def list_seeds() -> list[bytes]:
    rows = [f"image_{n}.jpg,{n}.png,train" for n in range(6)]
    return ["\n".join(["image,mask,split", *rows]).encode()]


def counts_list(data: bytes, folder: Path) -> Found:
    """A manifest beside its masks."""
    for number, png in enumerate(_pngs(6).values()):
        (folder / f"{number}.png").write_bytes(png)
    return counts_all(".csv")(data, folder)


def listed_masks(data: bytes) -> Found:
    """csv.DictReader, and the masks that stand in the column `mask`, each once."""
    masks = list(_pngs(6).values())
    text = data.decode("utf-8-sig")
    found = Found()
    names = [row.get("mask") or "" for row in csv.DictReader(io.StringIO(text, newline=""))]
    for name in dict.fromkeys(names):
        if name in {f"{number}.png" for number in range(6)}:
            found.masks.append(counted(by_pillow(masks[int(name[0])])))
        else:
            found.refused += 1
    return found


def _alone(
    name: str,
    seeds: Callable[[], list[bytes]],
    read: Callable[[bytes], NDArray[Any]],
    ways: tuple[Mutation, ...] = BINARY,
) -> Subject:
    return Subject(name, seeds, reads_alike, plain_pixels(read), ways)


def _many(name: str, members: Callable[[bytes], Iterable[bytes | None]]) -> Subject:
    suffix = f".{name}"
    return Subject(name, _packed(name), counts_all(suffix), plain_masks(members), suffix=suffix)


_PNG_WAYS = (*BINARY, *png_mutations.MUTATIONS)

SUBJECTS: dict[str, Subject] = {
    one.name: one
    for one in (
        _alone("png", png_seeds, lambda data: by_pillow(data, "PNG"), _PNG_WAYS),
        _alone("tiff", tiff_seeds, by_two),
        _alone("bmp", _named(["BMP", "BMP 1-bit"]), lambda data: by_pillow(data, "BMP")),
        _alone("gif", _named(["GIF", "GIF grey"]), lambda data: by_pillow(data, "GIF")),
        _alone("webp", _named(["WebP", "WebP lossy"]), lambda data: by_pillow(data, "WEBP")),
        _alone(
            "jpeg2000",
            _named(["JPEG 2000", "JPEG 2000 codestream", "JPEG 2000 lossy"]),
            lambda data: by_pillow(data, "JPEG2000"),
        ),
        _alone("jpeg", _named(["JPEG"]), lambda data: by_pillow(data, "JPEG")),
        _alone("npy", npy_seeds, by_numpy),
        _alone("npz", _named(["NPZ", "NPZ stored"]), by_numpy),
        _alone("nifti", _named(["NIfTI", "NIfTI gzipped"]), by_nibabel),
        _alone("nrrd", _named(["NRRD", "NRRD gzipped"]), by_itk(".nrrd")),
        _alone("metaimage", _named(["MetaImage", "MetaImage compressed"]), by_itk(".mha")),
        _alone("dicom", dicom_seeds, by_pydicom),
        _alone("zarr", zarr_seeds, by_zarr),
        _alone("hdf5", _named(["HDF5", "HDF5 deflated", "HDF5 checked", "HDF5 LZF"]), by_h5py),
        _alone("matlab", _named(["MATLAB", "MATLAB uncompressed", "MATLAB doubles"]), by_scipy),
        _alone("pytorch", pytorch_seeds, by_torch),
        _many("zip", zip_members),
        _many("tar", tar_members),
        _many("tar.gz", tar_members),
        _many("parquet", parquet_members),
        _many("arrow", arrow_members),
        _many("tfrecord", record_members),
        Subject("csv", list_seeds, counts_list, listed_masks, TEXT, ".csv"),
        Subject("coco", coco_seeds, counts_all(".json"), coco_masks, TEXT, ".json"),
        Subject("labelme", labelme_seeds, counts_all(".json"), no_other_program, TEXT, ".json"),
    )
}


def quietly(call: Callable[[], Found]) -> Found:
    """Run a decoder as users run it: with no word on standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()
