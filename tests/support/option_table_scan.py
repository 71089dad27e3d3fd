"""The rows of `option_cases` for `maskstat scan`: sources, reading, executors."""

from __future__ import annotations

from tests.support.option_cases import BAD_STORES, Case, failure, missing, usage, wholes

_STRICT = "--strict --db kept.db"


def _stopped(line: str, *words: str) -> Case:
    """A scan that stops at the first mask; the store is there by then."""
    return Case(f"{line} {_STRICT}", 1, words, made="kept.db")


def _nothing(line: str, *words: str) -> Case:
    """A source without masks; the store is there by then."""
    return Case(f"{line} --db kept.db", 1, words, made="kept.db")


SCAN: dict[str, tuple[Case, ...]] = {
    "SOURCE": (
        usage("scan", "SOURCE"),
        usage("extra", "extra"),
        failure("scan nowhere", "nowhere", "no such file or folder", "give a folder, a glob"),
        failure("scan ''", "'': there is no such file"),
        failure("scan 'a\\eb'", "a\\x1bb", "no such file"),
        failure("scan list.txt/below", "list.txt/below", "no such file or folder"),
        _nothing("scan empty", "empty", "no masks found", "masks end in .bmp", "--include"),
        _nothing("scan 'no*thing'", "no*thing", "no masks found"),
        _nothing("scan truncated.zip", "truncated.zip", "not a zip archive, or a damaged one"),
        _nothing("scan truncated.tar", "truncated.tar"),
        _nothing("scan strange.csv", "strange.csv", "first, second", "--column NAME"),
        _nothing("scan table.parquet", "table.parquet", "damaged"),
        _stopped("scan text.db", "text.db", "not an image", "known are PNG"),
        _stopped("scan damaged", "broken.npy"),
        _stopped(
            "scan volume",
            "stack.npy",
            "(2, 3, 5)",
            "--pages each counts each plane as a mask, --pages all",
        ),
        _stopped("scan arrays", "two.npz", "has 2 arrays", "--array NAME", "a, b"),
        _stopped("scan colours", "mask_1.png", "RGB", "--classes a catalogue with colours"),
        failure("scan instances.json", "instances.json", "without 'categories'"),
        failure("scan brackets.json", "brackets.json", "no annotation file", "COCO", "LabelMe"),
        failure("scan panoptic.json", "panoptic.json", "type: maskstat scan", "--panoptic"),
        failure("scan named.yaml", "named.yaml", "YOLO"),
        failure("scan s3://", "s3://", "names no bucket", "s3://bucket/masks"),
        failure("scan https:///", "https:///", "names no bucket, server or file"),
        failure("scan file://", "'': there is no such file or folder"),
        failure("scan nnn://x/y", "nnn://", "unknown scheme", "known are s3, gs"),
        failure("scan ftp://x/y", "ftp://", "host", "download it first"),
        failure("scan zip://x/y", "zip://", "unknown scheme"),
        missing("scan table.parquet --db kept.db", "pyarrow", "parquet"),
        missing("scan a.tfrecord --db kept.db", "google_crc32c", "tfrecord"),
        missing("scan packed.tar.zst --db kept.db", "zstandard", "zstd"),
        missing("scan s3://bucket/masks --db kept.db", "fsspec", "remote"),
        missing(f"scan polygons.json {_STRICT}", "pycocotools", "annotations"),
        missing(f"scan scanner.tif --pages all {_STRICT}", "tifffile", "tiff"),
        missing(f"scan brain.nii {_STRICT}", "nibabel", "medical"),
        missing(f"scan liver.dcm {_STRICT}", "pydicom", "medical"),
        missing(f"scan label.zarr {_STRICT}", "zarr", "zarr"),
        missing(f"scan volume.h5 {_STRICT}", "h5py", "hdf5"),
    ),
    "--db": (
        *BAD_STORES,
        failure("--db list.txt/x.db", "list.txt/x.db", "unable to open", "check that its folder"),
        failure("--db absent/x.db", "absent/x.db", "unable to open", "check that its folder"),
    ),
    "--name": (
        usage("--name ''", "--name", "'' is no name"),
        usage("--name ' '", "--name", "' ' is no name"),
    ),
    "--include": (
        _nothing("--include '*.png'", "no masks found (3 files", "--include, --exclude"),
        _nothing("--include '['", "no masks found", "--include, --exclude"),
        usage("--include ''", "--include", "an empty pattern matches nothing"),
    ),
    "--exclude": (
        _nothing("--exclude '*'", "no masks found (3 files", "--include, --exclude"),
        usage("--exclude ''", "--exclude", "an empty pattern matches nothing"),
    ),
    "--group-by": (
        usage("--group-by column:patient", "--group-by", "not listed in a table", "folder"),
        usage("scan table.csv --group-by column:x", "--group-by", "table.csv: ", "no column 'x'"),
    ),
    "--allow-lossy": (_stopped("scan lossy", "mask_1.jpg", "--allow-lossy counts it as it is"),),
    "--pages": (
        *(
            usage(f"--pages '{text}'", "--pages", f"from 1, not '{text}'")
            for text in ("0", "-1", "last", "", "1.5", "nan", "1_0", "٣", "9" * 20)
        ),
        usage("--pages 'a\\eb'", "--pages", "not 'a\\x1bb'"),
        missing(f"scan scanner.tif --pages each {_STRICT}", "tifffile", "tiff"),
        _stopped("scan volume --pages 7", "stack.npy", "has 2 planes: there is no --pages 7"),
    ),
    "--channels": (
        usage("--channels rgb", "--channels", "'rgb' is not one of one-hot, bitmask"),
        usage("--channels ''", "--channels", "'' is not one of"),
        usage("--channels 'a\\eb'", "--channels", "'a\\x1bb' is not one of"),
    ),
    "--channel": (
        usage("--channel red", "--channel", "'red' is not one of r, grey"),
        usage("--channel ''", "--channel", "'' is not one of"),
        usage("--channel 'a\\eb'", "--channel", "'a\\x1bb' is not one of"),
        usage("--channel r --channels one-hot", "--channel", "--channels says what channels are"),
        usage("--channel r --panoptic panoptic.json", "--channel", "leave out one of them"),
    ),
    "--array": (
        _stopped("scan arrays --array c", "two.npz", "has no array 'c'", "a, b"),
        _stopped("scan arrays --array ''", "two.npz", "has no array ''", "a, b"),
    ),
    "--value-divisor": wholes("--value-divisor", f"from 2 to {2**62 - 1}", 0, 1, -5, 2**62),
    "--divide-all": (usage("--divide-all", "--divide-all", "needs --value-divisor N"),),
    "--panoptic": (
        failure("--panoptic panoptic.json --classes 5", "--classes: 5 classes", "has 1: road"),
        failure("--panoptic nowhere.json", "nowhere.json", "can't be read"),
        failure("--panoptic folder.json", "folder.json", "can't be read"),
        *(
            failure(f"--panoptic {file}", file, "not a COCO panoptic file", "segments_info")
            for file in ("brackets.json", "instances.json", "uncategorised.json", "latin.yaml")
        ),
        usage("--panoptic ''", "--panoptic", "an empty text is no file's name"),
        usage("--panoptic panoptic.json --value-divisor 5", "--panoptic", "--value-divisor"),
        _stopped("--panoptic panoptic.json", "mask_1.npy", "--panoptic expects segment ids"),
    ),
    "--per-class": (
        failure("--per-class", "no image has several files that differ by a class", "hair"),
        usage("--per-class --pages each", "--per-class", "a file is of one class", "--pages"),
        usage("--per-class --channels one-hot", "--per-class", "leave out one of them"),
        usage("--per-class --value-divisor 5", "--per-class", "--value-divisor"),
        usage("--per-class --panoptic panoptic.json", "--per-class", "--panoptic"),
    ),
    "--draft": (
        usage("--draft classes.json", "--draft", "is a .yaml file, not 'classes.json'"),
        usage("--draft ''", "--draft", "an empty text is no file's name"),
        usage("--draft x.yaml --classes 2", "--draft", "the classes are known"),
        failure("--draft absent/x.yaml", "absent/x.yaml", "there is no folder"),
        failure("--draft folder.yaml", "folder.yaml", "it is a folder"),
    ),
    "--column": (
        usage(
            "--column mask",
            "--column",
            "Arrow and TFRecord files, and lists of several",
        ),
        _nothing("scan table.csv --column nothing", "no column 'nothing'", "mask, split: --column"),
        _nothing("scan table.csv --column maks", "no column 'maks'", "did you mean mask?"),
        _nothing("scan table.csv --column ''", "table.csv", "no column ''"),
        _nothing("scan table.csv --column 'a\\eb'", "no column 'a\\", "x1bb"),
        failure("scan table.csv --column nothing --split", "no column 'nothing'"),
    ),
    "--source-format": (
        usage("--source-format nope", "--source-format", "no plugin reads 'nope'"),
        usage("--source-format ''", "--source-format", "no plugin reads ''"),
        usage("--source-format 'a\\eb'", "--source-format", "a\\x1bb"),
    ),
    "--size": (
        usage("--size 5", "--size", "is a height and a width in pixels, as 256x1600, not '5'"),
        usage("--size 0x5", "--size", "is a height and a width"),
        usage("--size -1x5", "--size", "is a height and a width"),
        usage("--size ''", "--size", "not ''"),
        usage("--size 'a\\eb'", "--size", "a\\x1bb"),
        usage("--size 5x5", "--size", "is for run lengths in a CSV: masks have sizes"),
        usage("scan table.csv --size 5x5", "--size", "is for run lengths in a CSV"),
    ),
    "--split": (
        failure("--split", "masks", "has no splits", "folders called train, val or test"),
        failure("scan empty --split", "empty", "has no splits"),
        failure("scan nowhere --split", "nowhere", "no such file or folder"),
    ),
    "--trust-folders": (
        usage("--trust-folders --rescan", "--trust-folders", "looked at again", "leave it out"),
        usage("scan list.txt --trust-folders", "--trust-folders", "a folder of masks on this"),
    ),
    "--strict": (_stopped("scan damaged", "broken.npy"),),
    "--profile": (
        usage("--profile --classes 5000", "--profile", "4,096 classes are the most", "--classes"),
    ),
    "--grid": (
        *wholes("--profile --grid", "from 1 on", 0, -1),
        usage("--profile --grid 257", "--grid", "is 1 to 256 cells a side, not 257"),
        usage("--grid 5", "--grid", "goes with --profile"),
    ),
    "--presence": (usage("--presence", "--presence", "goes with --recipe or --crop"),),
    "--executor": (
        usage("--executor x", "--executor", "'x' is not one of threads, dask"),
        usage("--executor ''", "--executor", "'' is not one of threads, dask"),
        missing(f"scan masks --executor dask {_STRICT}", "distributed", "dask"),
    ),
    "--scheduler": (
        usage("--scheduler tcp://127.0.0.1:1", "--scheduler", "goes with --executor dask"),
        usage("--executor dask --scheduler x", "--scheduler", "like tcp://HOST:8786, not 'x'"),
        usage("--executor dask --scheduler ''", "--scheduler", "'' is no name"),
    ),
    "--timeout": wholes("--timeout", "from 1 on", 0, -1),
    "--workers": (
        *wholes("--workers", "from 1 on", 0, -1),
        usage("--workers 1025", "--workers", "at most 1,024, not 1,025"),
    ),
    "--memory": (
        usage("--memory x", "--memory", "is a size like 4G or 512M, or bytes, not 'x'"),
        usage("--memory ''", "--memory", "'' is no name"),
        usage("--memory -4G", "--memory", "is a size like 4G or 512M, or bytes, not '-4G'"),
        usage("--memory 4", "--memory", "4 is less than 1M: a size is like 4G or 512M"),
    ),
}
