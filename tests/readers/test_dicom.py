"""DICOM segmentations: the labels that highdicom was given; overlaps, places, hostile files."""

from __future__ import annotations

import io
import sys
import tarfile
import tracemalloc
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import maskstat as ms
from maskstat.errors import MaskError
from maskstat.readers.formats import open_planes, read_label_map, read_tally
from maskstat.readers.options import ReadOptions
from maskstat.values.tally import NO_SPACING, Encoding
from tests.support.dicom_cases import (
    CT,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    RLE,
    Frame,
    item,
    of_stack,
    segmentation,
)
from tests.support.loops import at_least_one
from tests.support.mask_files import ALL, STRICT, refusal
from tests.support.packages import package

pydicom = package("pydicom", reason="needs maskstat[medical]")
highdicom = package("highdicom", reason="highdicom is not installed")

KINDS = ("BINARY", "FRACTIONAL", "LABELMAP")
SHAPE = (5, 7, 9)  # slices, height, width: frames that end within a byte


def labels(seed: int = 0, high: int = 4) -> NDArray[np.uint8]:
    stack = np.random.default_rng(seed).integers(0, high, SHAPE).astype(np.uint8)
    stack[2] = 0  # which no frame is of
    return stack


def stack_of(data: bytes, options: ReadOptions = STRICT) -> NDArray[np.integer]:
    """The slices (slices, H, W), counted and read alike."""
    tally = read_tally(data, "m", options)
    tally.check()
    pixels, encoding = read_label_map(data, options)
    assert encoding == tally.encoding
    values, counts = np.unique(pixels, return_counts=True)
    assert (tally.values.tolist(), tally.counts.tolist()) == (values.tolist(), counts.tolist())
    return pixels.reshape(-1, *SHAPE[1:])


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_and_syntax_has_the_same_mask(kind: str, syntax: str) -> None:
    data = of_stack(labels(), kind, syntax=syntax)
    assert np.array_equal(stack_of(data), labels())
    encoding = read_tally(data, "m", STRICT).encoding
    assert encoding == Encoding("dicom", "uint", 8, voxel=0.9375)


@pytest.mark.parametrize("kind", KINDS)
def test_highdicom_writes_what_is_read(tmp_path: Path, kind: str) -> None:
    """Its own reader says the same of the slices that have a frame."""
    path = tmp_path / "a.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        by_highdicom(labels(), kind).save_as(path)
        read = highdicom.seg.segread(path).get_volume(
            combine_segments=True, allow_missing_positions=True
        )
    ours = stack_of(path.read_bytes())
    assert np.array_equal(ours, labels())
    # The sense in which slices are numbered is not ours.
    its = read.array
    assert np.array_equal(ours, its) or np.array_equal(ours, its[::-1])
    assert read_tally(path.read_bytes(), "m", STRICT).encoding.voxel == 0.9375


def by_highdicom(stack: NDArray[np.uint8], kind: str) -> Any:
    from pydicom.sr.codedict import codes

    code = codes.SCT.Organ
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"segment {number}",
            segmented_property_category=code,
            segmented_property_type=code,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number in (1, 2, 3)
    ]
    return highdicom.seg.Segmentation(
        source_images=[ct_slice(number) for number in range(len(stack))],
        pixel_array=stack,
        segmentation_type=kind,
        segment_descriptions=segments,
        series_instance_uid="1.2.7",
        series_number=2,
        sop_instance_uid="1.2.8",
        instance_number=1,
        manufacturer="of ours",
        manufacturer_model_name="of ours",
        software_versions="1",
        device_serial_number="1",
    )


def ct_slice(number: int) -> Any:
    made = item(
        SOPClassUID=CT,
        SOPInstanceUID=f"1.2.3.{number + 1}",
        StudyInstanceUID="1.2.4",
        SeriesInstanceUID="1.2.5",
        FrameOfReferenceUID="1.2.6",
        Modality="CT",
        Rows=SHAPE[1],
        Columns=SHAPE[2],
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        SamplesPerPixel=1,
        PixelRepresentation=0,
        PhotometricInterpretation="MONOCHROME2",
        PixelData=bytes(SHAPE[1] * SHAPE[2] + 1),
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        ImagePositionPatient=[0, 0, 2.5 * number],
        PixelSpacing=[0.5, 0.75],
        SliceThickness=2.5,
        SeriesNumber=1,
        InstanceNumber=number + 1,
    )
    for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"):
        setattr(made, name, "")
    for name in ("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"):
        setattr(made, name, "")
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = EXPLICIT
    return made


# --- what overlaps, and where frames lie ---------------------------------------------------------


def squares(*sides: int) -> list[NDArray[np.bool_]]:
    found = []
    for side in sides:
        inside = np.zeros(SHAPE[1:], bool)
        inside[:side, :side] = True
        found.append(inside)
    return found


def test_of_overlapping_segments_the_smaller_lies_on_top(tmp_path: Path) -> None:
    large, small, other = squares(5, 3, 4)
    frames: list[Frame] = [
        (1, (0, 0, 0), small),
        (2, (0, 0, 0), large),
        (2, (0, 0, 5), other),
        (1, (0, 0, 2.5), large),
    ]
    # Segment 1 has 34 pixels, segment 2 41.
    expected = np.zeros((3, *SHAPE[1:]), np.uint8)
    expected[0][large], expected[1][large], expected[2][other] = 2, 1, 2
    expected[0][small] = 1
    for order in (frames, frames[::-1]):
        assert np.array_equal(stack_of(segmentation(order)), expected)
    path = tmp_path / "a.dcm"
    path.write_bytes(segmentation(frames))
    whole = ms.scan(path, classes=3)
    each = ms.scan(tmp_path, classes=3, pages="each", name="each")
    assert each.ledger.names == ("a.dcm#1", "a.dcm#2", "a.dcm#3")
    assert each.histogram.pixels.tolist() == whole.histogram.pixels.tolist()
    assert not whole.failures


@pytest.mark.parametrize(
    ("heights", "spacing", "slices"),
    [
        ([0, 2.5, 5], 2.5, [0, 1, 2]),
        ([5, 0, 2.5], None, [2, 0, 1]),
        ([0, 7.5], 2.5, [0, 3]),  # said by the file alone
        ([0, 7.5], None, [0, 1]),
        ([0, 2.5, 10], None, [0, 1, 4]),
        ([0, 0.7031, 1.4063, 210.9], 0.7, [0, 1, 2, 300]),  # as rounded as files are
        ([0, 1, 2.5, 7.2], 1.0, [0, 1, 2, 3]),  # at no regular distances
        ([0, 0.001, 50], None, [0, 1, 50000]),
        ([3], 2.5, [0]),
    ],
)
def test_places(heights: list[float], spacing: float | None, slices: list[int]) -> None:
    frames: list[Frame] = []
    for number, height in enumerate(heights, 1):
        inside = np.zeros((2, 2), bool)
        inside[0, 0] = True
        frames.append((number, (1, 2, height), inside))
    data = segmentation(frames, spacing=spacing)
    pixels = read_label_map(data, STRICT).pixels.reshape(-1, 4)
    assert len(pixels) == max(slices) + 1
    found = {int(pixels[place, 0]): place for place in np.flatnonzero(pixels[:, 0]).tolist()}
    assert [found[number] for number in range(1, len(heights) + 1)] == slices


def test_oblique_stacks() -> None:
    axes = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)
    up = np.cross(axes[:3], axes[3:])
    inside = np.ones((2, 2), bool)
    frames: list[Frame] = [
        (number, tuple(np.round(7 + 1.25 * number * up, 6)), inside) for number in (1, 2, 4)
    ]
    data = segmentation(frames, axes=axes, spacing=1.25)
    assert read_label_map(data, STRICT).pixels[::2, 0].tolist() == [1, 2, 0, 4]
    assert read_tally(data, "m", STRICT).encoding.voxel == 0.46875


def test_frames_that_lie_nowhere_are_told_by_their_images() -> None:
    inside = np.ones((2, 2), bool)
    alone = segmentation([(3, None, inside)])
    assert read_label_map(alone, STRICT).pixels.tolist() == [[3, 3], [3, 3]]
    assert read_tally(alone, "m", STRICT).encoding.voxel == NO_SPACING
    data = segmentation([(1, None, inside), (2, None, inside), (1, None, ~inside)])
    assert "several frames of one segment at one place" in refusal(data)
    header = pydicom.dcmread(io.BytesIO(data))
    for number, groups in enumerate(header.PerFrameFunctionalGroupsSequence):
        source = item(ReferencedSOPInstanceUID="1.2", ReferencedFrameNumber=1 + number // 2)
        groups.DerivationImageSequence = [item(SourceImageSequence=[source])]
    stream = io.BytesIO()
    header.save_as(stream)
    pixels = read_label_map(stream.getvalue(), STRICT).pixels
    assert pixels.tolist() == [[2, 2], [2, 2], [0, 0], [0, 0]]


def test_wide_numbers_and_label_maps_of_16_bits() -> None:
    inside = np.ones((2, 2), bool)
    found = read_tally(segmentation([(300, (0, 0, 0), inside)]), "m", STRICT)
    assert (found.values.tolist(), found.encoding.bits) == ([300], 16)
    # 255 is a segment like others: in 8 bits it would be ignored.
    found = read_tally(segmentation([(255, (0, 0, 0), inside)]), "m", STRICT)
    assert (found.values.tolist(), found.encoding.bits) == ([255], 16)
    stack = labels().astype(np.uint16) * 1000
    data = of_stack(stack, "LABELMAP", bits=16)
    assert np.array_equal(stack_of(data), stack)
    padded = of_stack(labels() + 1, "LABELMAP", PixelPaddingValue=1)
    assert np.array_equal(stack_of(padded), labels() + 1)


def test_planes() -> None:
    planes = open_planes(io.BytesIO(of_stack(labels())), ReadOptions(pages="each"))
    assert planes is not None
    assert planes.count == 5
    for plane, expected in enumerate(labels()):
        pixels, encoding = planes.label_map(plane, "m")
        assert np.array_equal(pixels, expected)
        assert encoding == Encoding("dicom", "uint", 8, "each page", voxel=0.9375)


def test_real_files_are_refused_by_name() -> None:
    """Those that pydicom ships: images, contours and plans, and a segmentation cut to a frame."""
    from pydicom import __file__ as where

    folder = Path(where).parent / "data" / "test_files"
    said = []
    for path in at_least_one(sorted(folder.glob("*.dcm"))):
        data = path.read_bytes()
        if data[128:132] == b"DICM" and data[:2] != b"II":  # some are TIFFs as well
            said.append(refusal(data))
    assert sum("another kind, 'CT Image Storage'" in one for one in said) >= 3
    assert sum("1 frames, of which 3 are described" in one for one in said) == 1


def test_every_source_has_them(tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    (masks / "a.dcm").write_bytes(of_stack(labels()))
    (masks / "no suffix").write_bytes(of_stack(labels(1), "LABELMAP"))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(masks / "a.dcm", "a.dcm")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(masks / "a.dcm", "a.dcm")
    (tmp_path / "list.txt").write_text("masks/a.dcm\n")
    expected = np.bincount(labels().ravel()).tolist()
    for source in at_least_one(["masks", "a.zip", "a.tar.gz", "list.txt"]):
        scan = ms.scan(tmp_path / source, classes=4)
        assert scan.histogram.pixels.tolist() == expected
    named = ms.scan(masks, classes=4, include="no*")
    assert named.histogram.pixels.tolist() == np.bincount(labels(1).ravel()).tolist()


# --- what is refused -----------------------------------------------------------------------------

ONE = np.ones((4, 4), np.uint8)
PLACE = (0.0, 0.0, 0.0)


def refused(frames: list[Frame], kind: str = "BINARY", **options: Any) -> str:
    return refusal(segmentation(frames, kind, **options), ALL)


def test_other_dicom_is_refused_by_name() -> None:
    said = refused([(1, PLACE, ONE)], SOPClassUID=CT)
    assert said.startswith("DICOM of another kind, 'CT Image Storage': only segmentations")
    assert "exclude" in said
    contours = refused([(1, PLACE, ONE)], SOPClassUID="1.2.840.10008.5.1.4.1.1.481.3")
    assert "RT Structure Set" in contours
    data = segmentation([(1, PLACE, ONE)])
    meta = data[: 144 + int.from_bytes(data[140:144], "little")]
    assert "another kind, 'none is said'" in refusal(meta.replace(b"\2\0\2\0UI", b"\2\0\1\1UI"))
    assert "'1.2.3.4.5'" in refused([(1, PLACE, ONE)], SOPClassUID="1.2.3.4.5")


def test_partly_covered_pixels_are_asked_about() -> None:
    said = refused([(1, PLACE, 128 * ONE)], "FRACTIONAL")
    assert "partly of a segment: take a threshold and save it as BINARY or LABELMAP" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"Rows": 60000, "Columns": 60000}, "ends within its pixels"),
        ({"Rows": 0}, "ends within its pixels"),
        ({"Rows": None}, "not a readable DICOM segmentation"),
        ({"NumberOfFrames": 10**9}, "ends within its pixels"),
        ({"NumberOfFrames": -1}, "other samples"),
        ({"PixelData": bytes(4)}, "holds 4 bytes of pixels where its header says 2"),
        ({"SamplesPerPixel": 3}, "other samples"),
        ({"BitsAllocated": 32}, "other samples"),
        ({"SegmentationType": "OTHER"}, "of the type 'OTHER'"),
        ({"PerFrameFunctionalGroupsSequence": []}, "1 frames, of which 0 are described"),
        ({"PerFrameFunctionalGroupsSequence": [item]}, ""),
        ({"TotalPixelMatrixColumns": 4}, "tiles of a slide"),
        ({"PixelData": None}, "has no pixels"),
        ({"syntax": RLE}, "its frames are packed (RLE Lossless): save it with"),
        ({"axes": (0, 0, 0, 0, 0, 0)}, ""),
    ],
)
def test_headers_that_lie(options: dict[str, Any], said: str) -> None:
    if "syntax" in options:
        data = segmentation([(1, PLACE, ONE)]).replace(
            EXPLICIT.encode() + b"\0", RLE.encode() + b"\0"
        )
    else:
        if options.get("PerFrameFunctionalGroupsSequence") == [item]:
            options = {"PerFrameFunctionalGroupsSequence": [item()]}
            said = "not a readable DICOM segmentation"
        data = segmentation([(1, PLACE, ONE)], **options)
    if not said:
        assert read_tally(data, "m", STRICT).counts.tolist() == [16]
        return
    tracemalloc.start()
    try:
        assert said in refusal(data, ALL)
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([(1, PLACE, ONE), (1, PLACE, ONE)], "several frames of one segment at one place"),
        ([(1, PLACE, ONE), (1, (9, 0, 0), ONE)], "beside each other"),
        ([(1, PLACE, ONE), (1, (0, 0, 1e12), ONE)], "not above each other"),
        ([(1, PLACE, ONE), (2, None, ONE)], "not a readable DICOM segmentation"),
        ([(0, PLACE, ONE)], "not a readable DICOM segmentation"),
        ([(1, (0, 0), ONE)], "not above each other"),
    ],
)
def test_places_that_can_not_be(frames: list[Frame], said: str) -> None:
    assert said in refused(frames)


def test_a_stack_is_not_made_of_far_places() -> None:
    """Slices of a thousandth of a millimetre, a kilometre apart, are no grid."""
    heights = [0.0, 0.001, 999_999.0]
    frames: list[Frame] = [(1, (0, 0, height), ONE) for height in heights]
    assert read_tally(segmentation(frames, spacing=None), "m", STRICT).shape == (12, 4)
    many = [(1, (0, 0, height), np.ones((1 << 13, 1 << 12), np.uint8)) for height in (0.0, 60.0)]
    assert "MiB decoded, more than" in refusal(segmentation(many, spacing=1.0))


def test_bombs_take_no_memory() -> None:
    data = segmentation([(1, PLACE, ONE)], syntax=DEFLATED)
    end = 144 + int.from_bytes(data[140:144], "little")
    packer = zlib.compressobj(9, wbits=-15)
    bomb = packer.compress(b"\0" * (1 << 30)) + packer.compress(b"\0" * 100) + packer.flush()
    with pytest.raises(MaskError, match="deflated data ends early, or is too much"):
        read_tally(data[:end] + bomb, "m", STRICT)
    assert "deflated data ends early" in refusal(data[:-4])


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    data = of_stack(labels())
    monkeypatch.setitem(sys.modules, "pydicom", None)
    assert refusal(data) == 'a DICOM segmentation needs pydicom: pip install "maskstat[medical]"'
