"""How large a voxel is: nibabel's zooms and affines say the same, hostile headers say nothing."""

from __future__ import annotations

import io
import math
import sqlite3
import struct
from dataclasses import replace
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat.readers.formats import open_planes, read_label_map, read_tally
from maskstat.readers.options import ReadOptions
from maskstat.readers.spacing import voxel_volume
from maskstat.values.class_volumes import VoxelSizes
from maskstat.values.tally import NO_SPACING, Encoding
from tests.support.loops import at_least_one
from tests.support.mask_files import STRICT
from tests.support.packages import package
from tests.support.spacing_cases import as_before, saved, voxels_of

nibabel = package("nibabel", reason="needs maskstat[medical]")

lengths = st.floats(1e-7, 1e7).map(np.float32).map(float)
anything = st.floats(width=32)


def volume_of(data: bytes, options: ReadOptions = STRICT) -> float:
    found = read_tally(data, "v", options).encoding.voxel
    assert found is not None
    assert read_label_map(data, options).encoding.voxel == found
    return found


# --- one voxel ----------------------------------------------------------------------------------


@given(st.lists(st.floats(1e-4, 1e4), min_size=3, max_size=3), st.sampled_from([1.0, 1e-3, 1e3]))
def test_a_box_has_the_product_of_its_edges(edges: list[float], unit: float) -> None:
    exact = math.prod(map(Fraction, edges)) * Fraction(str(unit)) ** 3
    for order in at_least_one(list(permutations(edges))):
        assert voxel_volume(order, unit=unit) == float(exact)
        assert voxel_volume(np.diag(order), unit=unit) == float(exact)
        assert voxel_volume([-edge for edge in order], unit=unit) == float(exact)


@given(st.lists(st.floats(-1e3, 1e3), min_size=9, max_size=9))
def test_three_vectors_span_what_numpy_says(parts: list[float]) -> None:
    vectors = np.array(parts).reshape(3, 3)
    found = voxel_volume(vectors)
    assert found == pytest.approx(abs(np.linalg.det(vectors)), rel=1e-6, abs=1e-6)
    assert voxel_volume(vectors.T) == found
    for order in permutations(range(3)):
        assert voxel_volume(vectors[list(order)]) == found


@pytest.mark.parametrize(
    "edges",
    [
        (),
        (1, 1),
        (1, 1, 1, 1),
        (0, 1, 1),
        (math.nan, 1, 1),
        (math.inf, 1, 1),
        (1e-320, 1, 1),
        (1e300, 1e300, 1e300),
        (1e-300, 1e300, 1e-30),
        np.ones((3, 3)),
        np.eye(2),
        np.full((3, 3), -math.inf),
    ],
)
def test_what_is_no_spacing(edges: Any) -> None:
    assert voxel_volume(edges) == NO_SPACING


@given(st.lists(anything, min_size=9, max_size=9))
def test_a_volume_is_positive_and_finite_or_none(parts: list[float]) -> None:
    for edges in (parts[:3], np.array(parts).reshape(3, 3)):
        found = voxel_volume(edges)
        assert found == NO_SPACING or 1e-24 <= found <= 1e24
        encoding = Encoding("of@some/where", "uint", 8, "page@1", 3, found)
        assert Encoding.from_text(encoding.to_text()) == encoding


# --- NIfTI --------------------------------------------------------------------------------------


@given(st.lists(lengths, min_size=3, max_size=3), st.sampled_from(["Nifti1Image", "Nifti2Image"]))
def test_zooms_without_an_affine_are_nibabels(edges: list[float], kind: str) -> None:
    image = saved(None, kind=kind)
    image.header.set_zooms(edges)
    zooms = [float(zoom) for zoom in image.header.get_zooms()]
    assert volume_of(image.to_bytes()) == float(math.prod(map(Fraction, zooms)))


@given(st.lists(st.floats(-1e3, 1e3), min_size=9, max_size=9))
def test_an_affine_goes_before_zooms(parts: list[float]) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.array(parts).reshape(3, 3)
    header = saved(np.eye(4)).header
    header.set_sform(affine, code=1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    found = volume_of(header.binaryblock + bytes(4 + 8))
    determinant = np.linalg.det(header.get_best_affine()[:3, :3])
    assert found == pytest.approx(abs(determinant), rel=1e-5, abs=1e-5)


def test_a_rotated_grid_has_the_volume_of_its_zooms() -> None:
    """Where only a quaternion says how it lies, and in either byte order."""
    turned = np.eye(4)
    turned[:3, :3] = [[0.0, -0.7, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 3.0]]
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), None)
    image.header.set_qform(turned, code=1)
    expected = math.prod(map(float, image.header.get_zooms()))
    assert volume_of(image.to_bytes()) == pytest.approx(expected, rel=1e-12)
    swapped = image.header.as_byteswapped(">")
    again = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), None, swapped).to_bytes()
    assert volume_of(again) == pytest.approx(expected, rel=1e-12)


def test_the_unit_is_the_headers_and_mm_where_it_says_none() -> None:
    affine = np.diag([2.0, 2.0, 5.0, 1.0])
    found = {unit: volume_of(saved(affine, unit).to_bytes()) for unit in ("mm", "unknown")}
    assert found == {"mm": 20.0, "unknown": 20.0}
    assert volume_of(saved(affine, "micron").to_bytes()) == 20e-9
    assert volume_of(saved(affine, "meter").to_bytes()) == 20e9


def test_headers_without_a_spacing() -> None:
    """Counts are counts all the same."""
    sound = bytearray(saved(None).to_bytes())
    at = {"pixdim": 76, "xyzt_units": 123, "sform_code": 254, "srow_x": 280}

    def changed(name: str, code: str, *values: float) -> bytes:
        data = bytearray(sound)
        struct.pack_into(code, data, at[name], *values)
        return bytes(data)

    assert volume_of(bytes(sound)) == 1.0
    assert volume_of(changed("pixdim", "<4f", 1, -2.0, 1, 1)) == 2.0  # as nibabel mends it
    for data in at_least_one(
        [
            changed("pixdim", "<4f", 1, 0, 1, 1),
            changed("pixdim", "<4f", 1, math.nan, 1, 1),
            changed("pixdim", "<4f", 1, math.inf, 1, 1),
            changed("pixdim", "<4f", 1, 1e-40, 1e-40, 1e-40),
            changed("pixdim", "<4f", 1, 3e38, 3e38, 3e38),
            changed("xyzt_units", "<B", 4),
            changed("sform_code", "<h", 1),  # an affine of zeros
            saved(None, shape=(2, 2)).to_bytes(),  # a plane has no thickness
        ]
    ):
        assert volume_of(data) == NO_SPACING
        assert set(read_tally(data, "v", STRICT).counts.tolist()) <= {4, 8}


def test_slices_series_and_channels_have_the_voxels_of_their_file() -> None:
    data = saved(np.diag([1.0, 2.0, 3.0, 1.0]), shape=(4, 3, 2, 2)).to_bytes()
    for options in at_least_one(
        [
            ReadOptions(pages="all"),
            ReadOptions(pages=2),
            ReadOptions(channels="one-hot"),
            ReadOptions(channels="multilabel"),
            ReadOptions(pages="all", value_divisor=2),
        ]
    ):
        assert volume_of(data, options) == 6.0
    planes = open_planes(io.BytesIO(data), ReadOptions(pages="each"))
    assert planes is not None
    assert [planes.tally(at, "v").encoding.voxel for at in range(planes.count)] == [6.0] * 4


# --- in a store ---------------------------------------------------------------------------------


def test_masks_of_an_older_store_are_read_again_where_they_can_have_a_spacing(
    tmp_path: Path,
) -> None:
    masks, db = tmp_path / "masks", tmp_path / "s.db"
    masks.mkdir()
    (masks / "a.nii").write_bytes(saved(np.diag([1.0, 1.0, 4.0, 1.0])).to_bytes())
    (masks / "b.nii").write_bytes(saved(None, shape=(2, 2)).to_bytes())
    np.save(masks / "c.npy", np.zeros((2, 2), np.uint8))
    expected = {"a.nii": 4.0, "b.nii": NO_SPACING, "c.npy": None}
    with ms.scan(masks, classes=1, db=db) as scan:
        assert voxels_of(scan) == expected
        counts = scan.histogram
        assert counts.voxels.masks == 1
    as_before(db)
    with ms.open_scan(db) as scan:
        assert set(voxels_of(scan).values()) == {None}
        assert scan.histogram == replace(counts, voxels=VoxelSizes())
    for again in (2, 0):
        with ms.scan(masks, classes=1, db=db, trust_folders=True) as scan:
            assert scan.changes is not None
            assert scan.changes.changed == again
            assert scan.changes.unchanged == 3 - again
            assert voxels_of(scan) == expected
            assert scan.histogram == counts
            assert scan.histogram.voxels == counts.voxels
            assert not scan._store.masks_read(scan.info, "x")


def test_a_damaged_spacing_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(saved(np.eye(4)).to_bytes())
    db = tmp_path / "s.db"
    ms.scan(tmp_path / "a.nii", classes=1, db=db).close()
    connection = sqlite3.connect(db)
    connection.execute("UPDATE mask SET encoding = replace(encoding, '@1.0', '@2.0')")
    connection.commit()
    connection.close()
    with ms.open_scan(db) as scan, pytest.raises(ms.MaskstatError):
        list(scan.tables())


def test_masks_without_spacing_have_the_rows_they_had() -> None:
    assert Encoding("png", "grey", 8).to_text() == "png/grey/8"
    assert Encoding("nifti", "uint", 8, voxel=0.5).to_text() == "nifti/uint/8@0.5"
