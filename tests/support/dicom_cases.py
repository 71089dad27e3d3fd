"""DICOM segmentations, written by pydicom with whatever is to be right or wrong in them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.packages import package

pydicom = package("pydicom", reason="needs maskstat[medical]")

CT = "1.2.840.10008.5.1.4.1.1.2"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
IMPLICIT, EXPLICIT, DEFLATED, RLE = (
    f"1.2.840.10008.1.2{rest}" for rest in ("", ".1", ".1.99", ".5")
)
FLAT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
Frame = tuple[int, Sequence[float] | None, NDArray[Any]]
"""The number of a segment (0 in a label map), a place, and pixels (H, W)."""


def segmentation(
    frames: Sequence[Frame],
    kind: str = "BINARY",
    *,
    bits: int | None = None,
    syntax: str = EXPLICIT,
    spacing: float | None = 2.5,
    axes: Sequence[float] = FLAT,
    **fields: Any,
) -> bytes:
    """A file; `fields` are set at the end, and None leaves one out."""
    made = pydicom.Dataset()
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = "1.2.3"
    made.SOPClassUID = LABEL_MAP if kind == "LABELMAP" else SEG
    made.SegmentationType = kind
    made.Rows, made.Columns = frames[0][2].shape
    made.NumberOfFrames, made.SamplesPerPixel = len(frames), 1
    made.BitsAllocated = bits or (1 if kind == "BINARY" else 8)
    made.BitsStored, made.HighBit = made.BitsAllocated, made.BitsAllocated - 1
    made.PixelRepresentation = 0
    made.PhotometricInterpretation = "MONOCHROME2"
    if kind == "FRACTIONAL":
        made.MaximumFractionalValue = 255
    shared = pydicom.Dataset()
    shared.PlaneOrientationSequence = [item(ImageOrientationPatient=list(axes))]
    measures = item(PixelSpacing=[0.5, 0.75])
    if spacing is not None:
        measures.SpacingBetweenSlices = spacing
    shared.PixelMeasuresSequence = [measures]
    made.SharedFunctionalGroupsSequence = [shared]
    made.PerFrameFunctionalGroupsSequence = [_groups(*frame[:2]) for frame in frames]
    pixels = np.concatenate([frame[2].ravel() for frame in frames])
    if made.BitsAllocated == 1:
        data = np.packbits(pixels.astype(bool), bitorder="little").tobytes()
    else:
        data = pixels.astype("<u2" if made.BitsAllocated == 16 else np.uint8).tobytes()
    made.PixelData = data + b"\0" * (len(data) % 2)
    made["PixelData"].VR = "OW" if made.BitsAllocated == 16 else "OB"
    for name, value in fields.items():
        if value is None:
            del made[name]
        else:
            setattr(made, name, value)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def item(**fields: Any) -> Any:
    """An item of a sequence."""
    made = pydicom.Dataset()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def _groups(segment: int, place: Sequence[float] | None) -> Any:
    groups = pydicom.Dataset()
    if segment:
        groups.SegmentIdentificationSequence = [item(ReferencedSegmentNumber=segment)]
    if place is not None:
        groups.PlanePositionSequence = [item(ImagePositionPatient=list(place))]
    return groups


def of_stack(stack: NDArray[Any], kind: str = "BINARY", **options: Any) -> bytes:
    """A file of a stack (slices, H, W) of labels: frames without a segment are left out."""
    frames: list[Frame] = []
    for number in [0] if kind == "LABELMAP" else np.unique(stack[stack > 0]).tolist():
        for place, labels in enumerate(stack):
            pixels = (
                labels
                if kind == "LABELMAP"
                else (labels == number) * (255 if kind == "FRACTIONAL" else 1)
            )
            if pixels.any():
                frames.append((number, (-3.0, 4.0, 2.5 * place), pixels))
    return segmentation(frames, kind, **options)
