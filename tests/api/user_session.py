"""Every public call as a user types it: checked by mypy --strict, and run by a test.

Lines that end in `type: ignore[...]` are wrong on purpose: mypy must refuse them, and so must the
call.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import maskstat as ms


def scanning(masks: Path, work: Path) -> ms.Scan:
    """Scans, where they are kept, and what they hold."""
    store = work / "maskstat.db"
    classes: ms.ClassCatalog = ms.load_catalog(masks / "classes.yaml")
    with ms.scan(masks / "street", classes=classes, db=store, name="train") as train:
        assert train.name == "train"
        assert train.source == str(masks / "street")
    ms.scan(masks / "park", classes=classes, db=str(store), name="val", profile=True).close()
    seen: list[int] = []

    def watch(progress: ms.Progress) -> None:
        seen.append(progress.done)

    chosen = ms.scan(
        str(masks),
        classes=31,
        include="street/*",
        exclude=["*/mask_1.png"],
        on_progress=watch,
    )
    assert seen[-1] == chosen.histogram.mask_count
    chosen.close()
    ms.scan(masks / "street" / "mask_1.png", classes=["road", "sky"]).close()
    records: tuple[ms.ScanRecord, ...] = ms.scans(store)
    assert [record.name for record in records] == ["train", "val"]
    with ms.open_scan(store, "train") as again:
        merged = ms.merge([store], work / "merged.db", scans=["train", "val"])
        counted: int = merged.histogram.mask_count
        assert counted > again.histogram.mask_count
        merged.close()
    ms.remove_scan(work / "merged.db", merged.name)
    splits: ms.Splits
    with ms.scan_splits(splits_of(masks, work), classes=classes) as splits:
        assert {name: split.histogram.mask_count for name, split in splits.items()} == {
            "train": 2,
            "val": 1,
        }
    return ms.open_scan(store, "train")


def splits_of(masks: Path, work: Path) -> Path:
    """A folder of masks in two splits."""
    for name, number in (("train", 1), ("train", 2), ("val", 3)):
        folder = work / "splits" / name
        folder.mkdir(parents=True, exist_ok=True)
        mask = masks / "street" / f"mask_{number}.png"
        (folder / mask.name).write_bytes(mask.read_bytes())
    return work / "splits"


def holding(scan: ms.Scan) -> None:
    """The values of a scan."""
    histogram: ms.ClassHistogram = scan.histogram
    ledger: ms.MaskLedger = scan.ledger
    catalog: ms.ClassCatalog = scan.catalog
    first: ms.ClassInfo = catalog.classes[0]
    assert first.name == "background"
    assert int(histogram.pixels.sum()) == histogram.labelled_pixels
    twice = sum([histogram, histogram], ms.ClassHistogram.empty(catalog))
    assert twice.mask_count == 2 * len(ledger)
    assert [name for name in ledger.names if name.endswith(".png")]
    assert histogram.to_pandas().index.name == "class"
    assert ledger.to_pandas(catalog.names).shape == (len(ledger), len(catalog))
    other: ms.Scan = scan.under(catalog, ignore=0, nearest_colour=1)
    assert other.histogram.ignored_pixels > 0
    grouped: ms.Scan = scan.grouped("folder")
    sizes: list[int] = grouped.groups.sizes.tolist()
    assert sum(sizes) == len(ledger)
    assert len(grouped.intervals) == len(catalog)
    assert scan.failures == ()
    assert scan.has_files
    assert len(list(scan.entries())) == len(ledger)
    assert sum(len(table) for table in scan.tables()) == len(ledger)


def weighing(scan: ms.Scan, work: Path) -> None:
    """Weights, costs, and their files."""
    weights: ms.WeightTable = scan.weights("sqrt", normalize="pixel", absent="one", clip=(0.1, 10))
    road: float = weights["road"]
    assert dict(weights)["road"] == road == np.asarray(weights)[1]
    assert weights.to_pandas().loc["road", "weights"] == road
    kept: Path = weights.save(work / "weights.yaml")
    assert dict(ms.load_weights(kept)) == dict(weights)
    scan.weights("effective-number", parameters={"beta": 0.999}, absent="zero")
    equal = scan.weights(
        "equal-cost",
        average="batch",
        batch_size=8,
        drop_last=True,
        best_effort=True,
        max_ratio=100.0,
        seed=1,
        absent="one",
    )
    assert equal.solution is not None
    scheme: ms.Scheme = ms.schemes()["sqrt"]
    assert scheme.name in scan.all_weights(absent="one")
    costs: ms.Costs = scan.costs(weights, predictor_confidence=0.999)
    assert costs.weighted.soft_loss > 0
    assert len(costs.to_pandas()) == len(scan.catalog)
    assert scan.costs(scheme="equal-cost").weighted.relative_spread < 1e-9
    costs.plot(work / "costs.png")


def sampling(scan: ms.Scan, work: Path) -> None:
    """How often to draw each mask."""
    table: ms.SamplingTable = scan.sampling("repeat-factor", parameters={"threshold": 0.5})
    assert len(table.to_pandas()) == len(scan.ledger)
    again = ms.load_sampling(table.save(work / "sampling.csv", layout="full"))
    assert again.names == table.names
    method: ms.Method = ms.sampling_methods()[table.method]
    assert method.unit == table.unit


def splitting(scan: ms.Scan, work: Path) -> None:
    """Parts in which every class has its share, and the certificate of some that there are."""
    plan: ms.SplitPlan = scan.split(ratios="0.5,0.5")
    assert sorted(plan.names) == sorted(scan.ledger.names)
    assert [path.suffix for path in plan.save(work / "splits.csv")] == [".csv"]
    again = scan.certify({part: plan.names_of(part) for part in plan.parts})
    assert again.certificate.worst_share == plan.certificate.worst_share
    shares: ms.Intervals = scan.intervals
    assert shares.group_count == len(scan.groups)


def indexing(scan: ms.Scan, work: Path) -> None:
    """Where classes are."""
    index: ms.ClassIndex = ms.ClassIndex.load(scan.class_index().save(work / "index.npz"))
    assert sorted(index.names) == sorted(scan.ledger.names)
    mask, row, column = index.pixel(0, 0.5)
    assert index.pixels(0, int(mask)) > 0
    assert row >= 0 <= column
    draws: ms.CropDraws = ms.CropDraws("uniform", chance=0.25)
    sampler: ms.CropSampler = ms.CropSampler(index, 16, draws, samples=3)
    crops = ms.CropDataset([(np.zeros((*size, 3)), np.zeros(size)) for size in index.sizes])
    images = [crops[draw][0] for draw in sampler]
    assert [image.shape for image in images] == [(16, 16, 3)] * 3


def deciding(scan: ms.Scan, masks: Path, work: Path) -> None:
    """Whether another decision than argmax helps a network."""
    folder = work / "predictions"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in scan.ledger.names:
        with Image.open(masks / name) as mask:
            shape = (len(scan.catalog), mask.height, mask.width)
        np.save((folder / name).with_suffix(".npy"), rng.normal(size=shape))
    report: ms.DecisionReport = scan.grouped("mask").decide(folder, measure="recall")
    assert len(report.to_pandas()) == len(report.families)
    shifts: ms.Shifts = report.shifts(report.families[0].family)
    assert ms.load_shifts(shifts.save(work / "shifts.json")).classes == scan.catalog.names
    decision = ms.Decision(2, measure="recall")
    for _ in decision.passes():
        decision.update(np.eye(2, 3), np.array([0, 1, 0]), group="a", name="x")
    assert decision.report().recommended is None


def recommending(scan: ms.Scan) -> None:
    """What to do about the imbalance."""
    found: ms.Recommendation = scan.recommend("recall", batch_size=2, against="val")
    assert found.verdict == found.of_part("verdict")[0].text
    assert found.weights is not None
    assert found.weights.scheme == "equal-cost"
    assert len(found.to_pandas()) == len(found.prices)
    assert scan.exposure(crop=16).recommend("accuracy").weights is None


def exposing(scan: ms.Scan) -> None:
    """What training sees of it."""
    seen: ms.Exposure = scan.exposure(crop=(48, 64), scale="0.5:2", crops=4, batch_size=2)
    assert seen.recipe == ms.Recipe((48, 64), ms.Rescaling("uniform", (0.5, 2.0)), batch_size=2)
    assert seen.weights("sqrt", absent="one")["road"] > 0
    assert float(seen.frequency.sum()) == pytest.approx(1)
    assert (seen.in_batches() >= seen.in_crops - 1e-9).all()
    assert "exposure" in seen.to_pandas()


def looking(scan: ms.Scan, work: Path) -> None:
    """What is wrong, what differs, plots and reports."""
    check: ms.Check = scan.check(against="val", min_masks=2)
    assert all(finding.severity for finding in check)
    assert len(check.to_pandas()) == len(check)
    assert check.failing("error") == ()
    comparison: ms.Comparison = scan.compare("val")
    assert comparison.to_pandas().index.names == ["first", "second"]
    assert comparison.above({"js": 0.0})
    drawing: ms.Drawing = scan.plot("classes", work / "classes.png", log=True)
    assert drawing.description
    text: str = scan.report(work / "report.html", examples=1)
    assert text == (work / "report.html").read_text("utf-8")
    assert scan.report(format="md").startswith("# ")
    scan.export(work / "masks.csv", layout="long")
    with ms.open_scan(work / "maskstat.db", "val") as measured:
        profile: ms.PixelProfile = measured.need_profile()
        assert profile.mask_count == len(measured.ledger)
    preset: ms.Preset = ms.preset("cityscapes")
    assert preset.catalog.names == ms.presets()["cityscapes"].catalog.names
    plugins: list[ms.PluginRecord] = ms.plugins()
    assert all(plugin.name for plugin in plugins)


def counting() -> None:
    """Masks in memory, and counts that people have."""
    assert ms.draw_mask([], (4, 5)).shape == (4, 5)
    masks = np.zeros((2, 4, 5), np.uint8)
    masks[:, 0], masks[1, 1] = 1, 255
    scan: ms.Scan = ms.count(masks, classes=3, ignore=255)
    counter = ms.MaskCounter(classes=3, ignore=255)
    counter.update(masks[:1])
    counter.update(masks[1], names="second")
    total = counter + ms.MaskCounter(classes=3, ignore=255)
    assert total.scan().histogram == scan.histogram
    given = ms.from_counts({"road": 5587, "car": 802, "sign": 11})
    assert given.weights("sqrt", normalize="pixel")["sign"] > 1
    with pytest.raises(ms.MaskstatError, match="masks"):
        given.weights("median-frequency")
    encoding = ms.Encoding("png", "grey", bits=8)
    assert ms.MaskTally.of_pixels("mask", masks[0], encoding).area == 20


def watching(scan: ms.Scan) -> None:
    """A loader, beside what a recipe says of it."""
    labels = np.zeros((2, 8, 8), np.int64)
    loader: ms.Watch[tuple[int, object]] = ms.watch([(1, labels)], classes=scan.catalog)
    assert [number for number, _ in loader] == [1]
    assert (len(loader), loader.mask_count, loader.catalog.names) == (1, 2, scan.catalog.names)
    assert loader.loader == [(1, labels)]
    assert loader.scan().histogram.labelled_pixels == 128
    exposure: ms.Exposure = scan.exposure({"crop": 8})
    with pytest.raises(ms.MaskstatError, match=r"profile|sizes"):
        scan.approximate_exposure(ms.Recipe((8, 8), ms.Rescaling(ratios=(0.5, 2))))
    found: ms.LoaderCheck = loader.compare(exposure, confidence=0.9)
    assert found.agrees == (not found.findings)
    assert len(found.to_pandas()) == len(scan.catalog)


def measuring() -> None:
    """Predictions against labels."""
    truth, answer = np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2])
    confusion = ms.ConfusionMatrix.of(truth, answer, 3)
    assert confusion.to_pandas().loc[1, 2] == 1
    assert confusion.mean_iou == pytest.approx((1 + 0.5 + 0.5) / 3)
    calibration = ms.ConfidenceHistogram.of(np.eye(3)[answer], truth)
    error: float = calibration.expected_calibration_error()
    assert error == pytest.approx(0.25, abs=1e-3)


def by_volume(work: Path) -> None:
    """Shares where voxels differ in size."""
    for name, thick in (("thin", 1.0), ("thick", 4.0)):
        header = (
            "NDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\n"
            f"ElementSpacing = 1 1 {thick}\nElementDataFile = LOCAL\n"
        )
        (work / f"{name}.mha").write_bytes(header.encode() + bytes([thick > 1] * 8))
    with ms.scan(work, classes=2, db=None, include="*.mha") as volumes:
        assert volumes.histogram.frequency.tolist() == [0.5, 0.5]
        assert volumes.by_volume().histogram.frequency.tolist() == [0.2, 0.8]
        table: ms.WeightTable = volumes.weights(scheme="inverse", measure="volume")
        assert table.weights[0] == 4 * table.weights[1]


def refused(scan: ms.Scan, masks: Path) -> None:
    """Words and types that are none, for mypy and at run time."""
    with pytest.raises(TypeError):
        scan.weights("sqrt", normalise="pixel")  # type: ignore[call-arg]
    with pytest.raises(ms.MaskstatError):
        scan.weights("sqrt", unlisted="iggnore")  # type: ignore[arg-type]
    with pytest.raises(ms.MaskstatError):
        scan.weights("sqrt", average="keras")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ms.scan(masks, class_count=31)  # type: ignore[call-arg]
    with pytest.raises(ms.MaskstatError):
        ms.scan(masks, executor="spark")  # type: ignore[arg-type]
    with pytest.raises(ms.MaskstatError):
        scan.report(format="pdf")  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        ms.scna  # type: ignore[attr-defined]  # noqa: B018


def main(masks: Path, work: Path) -> None:
    """Everything, on some masks, in an empty folder."""
    with scanning(masks, work) as scan:
        holding(scan)
        weighing(scan, work)
        sampling(scan, work)
        splitting(scan, work)
        indexing(scan, work)
        deciding(scan, masks / "street", work)
        recommending(scan)
        exposing(scan)
        looking(scan, work)
        watching(scan)
        refused(scan, masks)
    counting()
    measuring()
    by_volume(work)
    assert ms.__version__
