"""Shares of volume of stored scans: merged, resumed, on workers, in groups; who has no spacing."""

from __future__ import annotations

import csv
import io
import math
import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maskstat as ms
from maskstat.errors import ExposureError, MultilabelError, ParameterError, UnknownCountsError
from maskstat.readers.options import ReadOptions
from maskstat.render.documents.scan import scan_document
from maskstat.scanning.by_volume import ByVolume
from maskstat.scanning.counting import Counter, Outcomes
from maskstat.store.records import StoredMask
from maskstat.values.tally import Encoding
from tests.support.loops import at_least_one
from tests.support.merge_cases import Part, made
from tests.support.packages import package
from tests.support.source_cases import entries_of
from tests.support.spacing_cases import as_before, saved, voxels_of

nibabel = package("nibabel", reason="needs maskstat[medical]")

SPACINGS = [(0.7, 0.7, 5.0), (0.9, 0.9, 1.0), (1.0, 1.0, 1.0), (0.8, 0.8, 2.5), (0.7, 0.7, 5.0)]


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Volumes of three classes; the third is in some."""
    folder = tmp_path_factory.mktemp("data") / "labels"
    folder.mkdir()
    for at, spacing in enumerate(SPACINGS):
        rng = np.random.default_rng(at)
        voxels = (rng.random((9, 8, 4 + at)) < 0.2).astype(np.uint8)
        voxels[0, 0, 0] = 2 if at % 2 else 1
        path = folder / f"case_{at}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(voxels, np.diag([*spacing, 1.0])), path)
    return folder


def expected(folder: Path) -> list[Fraction]:
    """mm³ of each class by nibabel, in another way: zooms, and np.unique of all voxels."""
    sums = [Fraction(0)] * 3
    for path in sorted(folder.glob("*.nii.gz")):
        image = nibabel.load(path)
        size = math.prod(map(Fraction, map(float, image.header.get_zooms())))
        values, counts = np.unique(np.asarray(image.dataobj), return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            sums[value] += count * size
    return sums


def numbers(view: ByVolume) -> tuple[bytes, ...]:
    """All that follows of the masks, bit for bit."""
    volumes, bars = view.volumes, view.intervals
    found = (volumes.mm3, volumes.image_mm3, view.histogram.frequency, bars.lower, bars.upper)
    return tuple(array.tobytes() for array in found)


def test_they_are_nibabels(labels: Path, tmp_path: Path) -> None:
    volumes = expected(labels)
    with ms.scan(labels, classes=3, db=tmp_path / "s.db") as scan:
        view = scan.by_volume()
        assert view.volumes.mm3 == pytest.approx([float(volume) for volume in volumes], rel=1e-12)
        shares = [float(volume / sum(volumes)) for volume in volumes]
        assert view.histogram.frequency == pytest.approx(shares, rel=1e-12)
        assert abs(view.histogram.frequency / scan.histogram.frequency - 1).max() > 0.01
        assert view.histogram.masks.tolist() == scan.histogram.masks.tolist()
        balanced = scan.weights("balanced", measure="volume")
        assert balanced.weights == pytest.approx([1 / (3 * share) for share in shares])
        assert balanced.weights.tobytes() != scan.weights("balanced").weights.tobytes()
        assert scan.weights("sqrt", measure="pixels").weights.tobytes() == (
            scan.weights("sqrt").weights.tobytes()
        )
        every = scan.all_weights(measure="volume")
        assert np.asarray(every["balanced"]).tobytes() == balanced.weights.tobytes()


def test_intervals_are_those_of_resampled_masks(labels: Path, tmp_path: Path) -> None:
    """A mask of larger voxels is one with more of them: sizes 1, 2 and 3 are repeated slices."""
    for at, thick in enumerate((1, 2, 3, 1, 2)):
        voxels = np.random.default_rng(at).integers(0, 3, (6, 5, 4)).astype(np.uint8)
        thin = np.repeat(voxels, thick, axis=2)
        for name, array, height in (("thick", voxels, float(thick)), ("thin", thin, 1.0)):
            (tmp_path / name).mkdir(exist_ok=True)
            image = nibabel.Nifti1Image(array, np.diag([1.0, 1.0, height, 1.0]))
            nibabel.save(image, tmp_path / name / f"{at}.nii")
    thick_scan, thin_scan = (
        ms.scan(tmp_path / name, classes=3, db=tmp_path / f"{name}.db")
        for name in ("thick", "thin")
    )
    with thick_scan, thin_scan:
        view, pixels = thick_scan.by_volume(), thin_scan
        assert view.histogram.frequency.tobytes() == pixels.histogram.frequency.tobytes()
        for rule in ("mask", r"^([01]|.)"):
            bars, plain = view.grouped(rule).intervals, pixels.grouped(rule).intervals
            assert bars.lower == pytest.approx(plain.lower, nan_ok=True)
            assert bars.upper == pytest.approx(plain.upper, nan_ok=True)
        for scheme in at_least_one(["sqrt", "median-frequency", "equal-cost", "enet"]):
            one, other = thick_scan.weights(scheme, measure="volume"), thin_scan.weights(scheme)
            assert one.weights.tobytes() == other.weights.tobytes()
            assert one.intervals is not None
            assert other.intervals is not None
            assert one.intervals.lower == pytest.approx(other.intervals.lower)


def test_tiny_voxels_have_the_same_intervals(labels: Path, tmp_path: Path) -> None:
    """Of microscopes: all of a mask is less than a cubic millimetre."""
    for path in labels.glob("*.nii.gz"):
        image = nibabel.load(path)
        image.header.set_xyzt_units("micron")
        nibabel.save(image, tmp_path / path.name)
    with (
        ms.scan(labels, classes=3, db=tmp_path / "mm.db") as large,
        ms.scan(tmp_path, classes=3, db=tmp_path / "um.db", include=["*.nii.gz"]) as small,
    ):
        one, other = large.by_volume(), small.by_volume()
        assert other.volumes.mm3 == pytest.approx(one.volumes.mm3 * 1e-9, rel=1e-12)
        assert other.histogram.frequency == pytest.approx(one.histogram.frequency, rel=1e-12)
        assert other.intervals.lower == pytest.approx(one.intervals.lower, rel=1e-9)


def test_shards_resumed_scans_and_the_folder_are_the_same_bit_for_bit(
    labels: Path, tmp_path: Path
) -> None:
    with ms.scan(labels, classes=3, db=tmp_path / "all.db") as scan:
        whole = numbers(scan.by_volume())
    shards = []
    for at in range(5):
        shards.append(tmp_path / f"{at}.db")
        ms.scan(labels, classes=3, include=[f"case_{at}*"], db=shards[-1], name="labels").close()
    for at, order in enumerate((shards, shards[::-1], [*shards[2:], *shards[:4]])):
        with ms.merge(order, tmp_path / f"merged_{at}.db") as merged:
            opened = ms.open_scan(tmp_path / f"merged_{at}.db")
            assert numbers(opened.by_volume()) == whole
            assert opened.histogram.voxels.masks == 5
            assert merged.mask_count == 5
            opened.close()
    with ms.scan(labels, classes=3, include=["case_[013]*"], db=tmp_path / "r.db", name="labels"):
        pass
    for workers in (1, 2):
        options: dict[str, Any] = {"db": tmp_path / "r.db", "name": "labels"}
        with ms.scan(labels, classes=3, workers=workers, rescan=workers == 2, **options) as scan:
            assert numbers(scan.by_volume()) == whole
            view = scan.under(3).grouped("mask").by_volume()
            assert numbers(view) == whole


def test_workers_send_the_size_of_voxels(labels: Path) -> None:
    counter = Counter(ReadOptions())
    outcomes = counter(list(entries_of(labels).values()))
    sent = pickle.loads(pickle.dumps(Outcomes(list(outcomes))))
    found = [outcome.tally.encoding.voxel for outcome in sent if isinstance(outcome, StoredMask)]
    assert found == pytest.approx([math.prod(spacing) for spacing in SPACINGS])


def test_documents_say_what_is_of_volume(labels: Path, tmp_path: Path) -> None:
    with ms.scan(labels, classes=3, db=tmp_path / "s.db") as scan:
        pixels, volumes = scan_document(scan), scan_document(scan.by_volume())
        voxels = {"masks": 5, "smallest": pytest.approx(0.81), "largest": pytest.approx(2.45)}
        assert pixels["voxels"] == volumes["voxels"] == voxels
        assert (pixels["unit"], volumes["unit"]) == ("pixels", "volume")
        assert "volume" not in pixels
        view = scan.by_volume()
        assert [row["mm3"] for row in volumes["classes"]] == view.volumes.mm3.tolist()
        assert [row["pixels"] for row in volumes["classes"]] == [None] * 3
        same = volumes.keys() - {"unit", "classes", "intervals", "imbalance", "volume", "changes"}
        assert {key: volumes[key] for key in same} == {key: pixels[key] for key in same}
        # Whoever goes on with the numbers of the document goes on with shares of volume.
        given = ms.from_counts(volumes)
        assert given.histogram.unit == "shares"
        assert given.histogram.frequency == pytest.approx(view.histogram.frequency, rel=1e-9)
        saved_to = tmp_path / "weights.json"
        scan.weights("sqrt", measure="volume").save(saved_to)
        loaded = ms.load_weights(saved_to)
        assert loaded.frequency == pytest.approx(view.histogram.frequency, rel=1e-9)
        assert loaded.provenance["measure"] == "volume"


def test_tables_of_masks_have_the_size_of_voxels(labels: Path, tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    np.save(tmp_path / "flat" / "a.npy", np.eye(4, dtype=np.uint8))
    with ms.scan(labels, classes=["a", "voxel_mm3", "c"], db=tmp_path / "s.db") as scan:
        scan.export(tmp_path / "t.csv")
        scan.export(tmp_path / "long.csv", layout="long")
        volumes = scan.by_volume().volumes.mm3
    heading, *rows = csv.reader(io.StringIO((tmp_path / "t.csv").read_text("utf-8")))
    assert heading[3:7] == ["voxel_mm3", "pixels", "ignored", "unlisted"]
    assert heading[7:] == ["a", "voxel_mm3_1", "c"]
    assert [float(row[3]) for row in rows] == pytest.approx([math.prod(one) for one in SPACINGS])
    for at in range(3):
        summed = sum(float(row[3]) * int(row[7 + at]) for row in rows)
        assert summed == pytest.approx(volumes[at])
    assert "mm3" not in (tmp_path / "long.csv").read_text("utf-8").partition("\n")[0]
    with ms.scan(tmp_path / "flat", classes=2, db=tmp_path / "s.db") as scan:
        scan.export(tmp_path / "flat.csv")
    assert "voxel" not in (tmp_path / "flat.csv").read_text("utf-8")


def test_parquet_has_no_size_where_a_file_has_no_spacing(labels: Path, tmp_path: Path) -> None:
    parquet = package("pyarrow.parquet", reason="needs maskstat[parquet]")
    masks = tmp_path / "masks"
    masks.mkdir()
    np.save(masks / "b.npy", np.eye(4, dtype=np.uint8))
    (masks / "a.nii").write_bytes(saved(np.eye(4)).to_bytes())
    with ms.scan(masks, classes=2, db=tmp_path / "s.db") as scan:
        scan.export(tmp_path / "t.parquet")
        pixels = scan.histogram.pixels.tolist()
    table = parquet.read_table(tmp_path / "t.parquet")
    assert table["voxel_mm3"].to_pylist() == [1.0, None]
    assert [sum(table[name].to_pylist()) for name in table.column_names[7:]] == pixels


# --- who has no volume --------------------------------------------------------------------------


def refused(scan: ms.Scan, **options: Any) -> str:
    with pytest.raises(UnknownCountsError) as caught:
        scan.weights("sqrt", measure="volume", **options)
    with pytest.raises(UnknownCountsError):
        scan.by_volume()
    return str(caught.value)


def test_masks_without_a_spacing_are_named(tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    for number in (10, 9):
        np.save(masks / f"{number}.npy", np.eye(4, dtype=np.uint8))
    with ms.scan(masks, classes=2, db=tmp_path / "s.db") as scan:
        text = refused(scan)
        assert "masks: no mask has a spacing, first 9.npy (npy has none)" in text
        assert "measure pixels" in text
    (masks / "b.nii").write_bytes(saved(np.eye(4)).to_bytes())
    with ms.scan(masks, classes=2, db=tmp_path / "s.db") as scan:
        text = refused(scan)
        assert "2 of 3 masks have no spacing, first 9.npy (npy has none)" in text
        assert "exclude" in text
    hair = tmp_path / "by_class"
    for label in ("liver", "kidney"):
        (hair / label).mkdir(parents=True)
        for name in ("a", "b"):
            (hair / label / f"{name}.nii").write_bytes(saved(np.eye(4)).to_bytes())
    with ms.scan(hair, per_class=True, db=tmp_path / "s.db") as scan:
        assert "first a.nii (it is drawn from files of classes)" in refused(scan)
    (masks / "1.nii").write_bytes(saved(None, shape=(2, 2)).to_bytes())
    with ms.scan(masks, classes=2, db=tmp_path / "s.db", exclude=["*.npy"], name="n") as scan:
        assert "1 of 2 masks have no spacing, first 1.nii (its header says none" in refused(scan)


def test_a_store_of_before_says_to_scan_again(labels: Path, tmp_path: Path) -> None:
    """And a merge takes what another store says of the same mask; it contradicts nothing."""
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    for path in (old, new):
        ms.scan(labels, classes=3, db=path).close()
    as_before(old)
    with ms.open_scan(old) as scan:
        text = refused(scan)
        assert "no mask has a spacing, first case_0.nii.gz (counted by an earlier version)" in text
        assert "scan again: scan(" in text
        assert not scan.histogram.voxels.masks
    with ms.merge([old], tmp_path / "m.db"), ms.open_scan(tmp_path / "m.db") as scan:
        assert "scan those that were merged, and merge them again" in refused(scan)
    with ms.open_scan(new) as scan:
        expected = numbers(scan.by_volume())
    for at, parts in enumerate(([old, new], [new, old])):
        target = tmp_path / f"both_{at}.db"
        with ms.merge(parts, target), ms.open_scan(target) as scan:
            assert numbers(scan.by_volume()) == expected
    with ms.scan(labels, classes=3, db=old) as scan:
        assert numbers(scan.by_volume()) == expected
        assert None not in voxels_of(scan).values()


def test_a_mask_of_two_sizes_is_a_contradiction(tmp_path: Path) -> None:
    tally = ms.MaskTally.of_pixels(
        "a.nii", np.array([[0, 1]]), Encoding("nifti", "uint", 8, voxel=1.0)
    )
    stores = []
    for size in (1.0, 2.0):
        encoding = tally.encoding._replace(voxel=size)
        mask = StoredMask(
            ms.MaskTally("a.nii", tally.shape, encoding, tally.values, tally.counts), 9, 7
        )
        stores.append(made(tmp_path / f"{size}.db", Part("/data", [mask])))
    with pytest.raises(ms.MaskstatError, match="other counts"):
        ms.merge(stores, tmp_path / "m.db")


def test_what_has_no_volume_says_so(labels: Path, tmp_path: Path) -> None:
    given = ms.from_counts([5, 3])
    for call in at_least_one([given.by_volume, lambda: given.weights(measure="volume")]):
        with pytest.raises(UnknownCountsError, match="counts were given"):
            call()
    with ms.scan(labels, classes=3, db=tmp_path / "s.db") as scan:
        with pytest.raises(ParameterError, match=r"^measure: goes with average='pixel'"):
            scan.weights(measure="volume", average="batch", batch_size=2)
        crops = scan.exposure(crop=4)
        with pytest.raises(ParameterError, match=r"^measure: goes with masks as they are"):
            crops.weights("sqrt", measure="volume")
        with pytest.raises(ExposureError, match=r"folder\.by_volume"):
            crops.by_volume()
    stack = (np.arange(2) == np.zeros((3, 3, 2, 1))).astype(np.uint8)
    (tmp_path / "l").mkdir()
    nibabel.save(nibabel.Nifti1Image(stack, np.eye(4)), tmp_path / "l" / "a.nii")
    with ms.scan(tmp_path / "l", channels="multilabel", db=tmp_path / "l.db") as scan:
        with pytest.raises(MultilabelError, match="volumes are of classes"):
            scan.weights("sqrt", measure="volume")
        with pytest.raises(MultilabelError, match="volumes are of classes"):
            scan.by_volume()
