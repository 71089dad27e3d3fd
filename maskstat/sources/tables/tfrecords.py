"""Masks in TFRecord files: encoded, in a feature of one tf.train.Example a record.

A record is its length, a CRC of that, its bytes, and a CRC of these. Where the first is wrong, no
later record can be found; where the second is, that record fails and the next one is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count, islice

from maskstat.errors import Blank, MaskError, MissingExtraError, SourceError, argument
from maskstat.naming import did_you_mean, printable, storable
from maskstat.sources.base import BrokenEntry, Entry, SourceKind
from maskstat.sources.blobs import Blob, LocalBlob, Shard
from maskstat.sources.dataset_folders import is_records, records_in
from maskstat.sources.locations import is_url, last_part, location_of, with_options
from maskstat.sources.packed_files import PackedFile, Packing, packing_of
from maskstat.sources.reading_ahead import CARRIED_MAX, READ_AHEAD, StreamedEntry
from maskstat.sources.shards import ShardedSource
from maskstat.sources.tables.mask_columns import LOOKED_AT, choose, look_at_images
from maskstat.sources.tables.tf_examples import Feature, features_of

_THREADS, _REMOTE_THREADS = 2, 8  # files that are read at once
_LARGEST = 256 << 20  # bytes of a record
_HEADER, _CHECKSUM = 12, 4
_DEEPLAB = "image/segmentation/class/encoded"
_FILE_NAMES = ("image/filename", "filename", "file_name")
_LONGEST_NAME = 1024


@dataclass
class TFRecordSource(ShardedSource):
    """Masks in TFRecords. A mask is called by its record, and by its file name where it has one."""

    column: str | None = None

    suffixes = (".tfrecord", ".tfrecords", ".tfrec", ".record")

    @property
    def location(self) -> str:
        """The absolute path or pattern, or the URL without passwords."""
        return with_options(location_of(self.where), column=self.column)

    def entries(self) -> Iterator[Entry]:
        """One entry a record. Raises SourceError where it is not clear which feature has masks."""
        _crc32c()
        yield from super().entries()

    def _shards(self) -> list[Shard]:
        if not os.path.isdir(self.where):
            return super()._shards()
        paths = [os.path.join(self.where, name) for name in records_in(self.where)]
        return [
            Shard(f"{storable(last_part(path))}/", path, partial(LocalBlob.at, path))
            for path in paths
        ]

    def _threads(self) -> int:
        return _REMOTE_THREADS if is_url(self.where) else _THREADS

    def _masks(self, shard: Shard) -> Iterator[Entry | None]:
        blob = shard.open()
        file = PackedFile(blob, _packing(blob))
        column = self._feature(file)
        for number, place, data in _records(file):
            where = f"{blob.path}::{number}"
            name = f"{shard.prefix}{number}"
            try:
                if isinstance(data, MaskError):
                    raise data
                features = features_of(data)
                name += storable(_file_name(data, features))
                if not self.selection.takes_named(name):
                    yield None
                    continue
                start, end = _only(features, column)
            except MaskError as error:
                yield BrokenEntry(name, where, reason=error.text)
                continue
            size, place = end - start, place + start
            entry = StreamedEntry(name, where, size, f"{blob.stamp}@{place}", place, file)
            entry.data = data[start:end] if size <= CARRIED_MAX else None
            yield entry

    def _feature(self, file: PackedFile) -> str:
        """The feature that holds the masks, by the first records. Raises SourceError."""
        wanted = self.column or _DEEPLAB
        seen: dict[str, Feature] = {}
        values: dict[str, list[bytes]] = {}
        for data, features in _first_examples(file):
            if wanted in features and len(features[wanted].spans) == 1:
                return wanted
            seen = {**features, **seen}
            for name, feature in features.items():
                if len(feature.spans) == 1:
                    values.setdefault(name, []).append(data[slice(*feature.spans[0])])
        if not seen:
            return wanted
        problem = f"has no feature {printable(wanted)!r}"
        if self.column is None:
            able = [name for name in values if not all(map(_is_text, values[name]))]
            choice = choose(able, lambda name: look_at_images(values[name]))
            if choice.column is not None:
                return choice.column
            problem = "it is not clear which feature holds the masks" + choice.in_words()
        elif wanted in seen:
            problem = f"feature {printable(wanted)!r} holds {seen[wanted].in_words}, not one mask"
        hint = did_you_mean(wanted, seen) if self.column else ""
        listed = ", ".join(f"{printable(k)} ({v.in_words})" for k, v in list(seen.items())[:30])
        remedy = f"{hint}the features are {listed}: {argument('column', Blank('NAME'))}"
        where = printable(location_of(file.blob.path))
        raise SourceError(problem, where=where, remedy=remedy)


def _records(file: PackedFile) -> Iterator[tuple[int, int, bytes | MaskError]]:
    """Number, place and bytes of each record, or what is wrong with it.

    Raises MaskError where no record can be found any more.
    """
    unpacked = file.reader()
    try:
        for number in count():
            head = unpacked.take(_HEADER)
            if not head:
                return
            if len(head) == _HEADER and not _is_sound(head[:8], head[8:]):
                if number == 0:
                    raise MaskError("no TFRecord, or its first bytes are damaged")
                raise MaskError(
                    f"the checksum of the length of record {number} is wrong: what is behind it"
                    " can't be read"
                )
            place, length = unpacked.at, int.from_bytes(head[:8], "little")
            end = place + length + _CHECKSUM
            if file.is_plain and end > file.blob.size:
                raise _cut_off(number)
            if length > _LARGEST:
                unpacked.skip_to(end)
                data: bytes | MaskError = MaskError(f"a record of more than {_LARGEST >> 20} MiB")
            else:
                data = unpacked.take(length)
                if not _is_sound(data, unpacked.take(_CHECKSUM)):
                    data = MaskError("damaged: the checksum of the record is wrong")
            if unpacked.at < end or len(head) < _HEADER:
                raise _cut_off(number)
            yield number, place, data
    finally:
        unpacked.close()


def _cut_off(number: int) -> MaskError:
    return MaskError(f"ends in the middle of record {number}: it may be cut off")


def _is_sound(data: bytes, checksum: bytes) -> bool:
    """Whether a masked CRC-32C is that of the data."""
    crc = _crc32c()(data)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return checksum == masked.to_bytes(4, "little")


def _crc32c() -> Callable[[bytes], int]:
    try:
        import google_crc32c
    except ImportError as error:
        raise MissingExtraError(
            "reading TFRecords needs the package google-crc32c",
            remedy='pip install "maskstat[tfrecord]"',
        ) from error
    value: Callable[[bytes], int] = google_crc32c.value
    return value


def _packing(blob: Blob) -> Packing:
    """How a file is compressed. A length may begin like gzip's files: its checksum decides."""
    start = blob.read_at(0, _HEADER)
    if len(start) == _HEADER and _is_sound(start[:8], start[8:]):
        return None
    is_zlib = start[:1] == b"\x78" and int.from_bytes(start[:2], "big") % 31 == 0
    return "zlib" if is_zlib else packing_of(start)


def _first_examples(file: PackedFile) -> Iterator[tuple[bytes, dict[str, Feature]]]:
    """A few of the examples before no record can be found any more."""
    held = 0
    with suppress(MaskError):
        for _, _, data in islice(_records(file), LOOKED_AT):
            if isinstance(data, bytes) and held < READ_AHEAD:
                held += len(data)
                with suppress(MaskError):
                    yield data, features_of(data)


def _only(features: dict[str, Feature], column: str) -> tuple[int, int]:
    """Where the only mask of an example is. Raises MaskError where there is none."""
    if column not in features:
        raise MaskError(f"the record has no feature {printable(column)!r}")
    return features[column].only()


def _file_name(record: bytes, features: dict[str, Feature]) -> str:
    """What to add to the name of a record: its file's, where it says one."""
    for feature in (features[name] for name in _FILE_NAMES if name in features):
        if len(feature.spans) == 1:
            start, end = feature.spans[0]
            text = record[start : min(end, start + _LONGEST_NAME)]
            return f"/{text.decode('utf-8', 'backslashreplace')}" if text else ""
    return ""


def _is_text(value: bytes) -> bool:
    return value.isascii() and value.decode("ascii").isprintable()


KIND = SourceKind(
    takes=lambda given: (
        is_records(last_part(given.text)) and given.is_one_or_many
        if not given.is_folder
        else bool(records_in(given.text))
    ),
    open=lambda given, selection: TFRecordSource(
        given.text, selection, given.timeout, given.column
    ),
    has_columns=True,
)
