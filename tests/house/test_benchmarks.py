"""The benchmarks still run, and everything they compare counts the same."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import wasserstein_distance

import maskstat
from benchmarks import (
    array_counting,
    class_index,
    draw_exposure,
    draw_first_picture,
    exposure_cost,
    formats_speed,
    large_store,
    mask_sets,
    memory_budget,
    per_mask_costs,
    profile_cost,
    rescan_and_memory,
    scan_speed,
    source_forms,
    split_contenders,
    splits,
    start_up,
    user_loops,
)
from maskstat.kernels.compiled_engine import CompiledEngine
from maskstat.readers import tallying
from tests.support.loops import at_least_one


def test_every_contender_counts_the_same(tmp_path: Path) -> None:
    sets = scan_speed.make_sets(tmp_path / "sets", None, scale=0.001)
    assert len(sets) >= 6
    for masks in sets:
        loops, pools = user_loops.contenders(2, palette=masks.palette)
        for pool in pools:
            pool.shutdown()
        reference = user_loops.pillow_unique(masks.paths)
        scan = scan_speed.scanner(masks.folder, tmp_path / "scan.db", 2)
        assert np.array_equal(scan(masks.paths), reference), masks.name
        for name, loop in at_least_one(loops.items()):
            if "2 " not in name and name != scan_speed.FLOOR:
                assert np.array_equal(loop(masks.paths), reference), (masks.name, name)


def test_every_form_that_is_drawn_is_counted_right(tmp_path: Path) -> None:
    source_forms.write(tmp_path / "forms", 3, 60)
    forms = source_forms.contenders(tmp_path / "forms", 3, 60, 1)
    for ours, loop in at_least_one(forms.values()):
        assert len(source_forms.measure(ours, loop, 1)) == 2


def test_every_format_is_counted_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cv2")
    pytest.importorskip("tifffile")
    pytest.importorskip("h5py")
    monkeypatch.setattr(formats_speed, "SHAPE", (48, 64))
    for number, one in enumerate(at_least_one(formats_speed.all_sets())):
        folder = tmp_path / str(number)
        formats_speed.write(one, folder, 3, 2, [])
        paths = sorted(map(str, folder.iterdir()))
        found = scan_speed.scanner(folder, tmp_path / f"{number}.db", 1)(paths)
        assert found.sum() == 3 * 48 * 64, one.name
        for decode in at_least_one(one.loops):
            assert np.array_equal(formats_speed.bincount(decode, paths), found), one.name


def test_a_format_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats_speed, "SHAPE", (48, 64))
    one = next(one for one in formats_speed.all_sets() if one.suffix == ".npy")
    formats_speed.write(one, tmp_path / "masks", 3, 2, [])
    with ThreadPoolExecutor(2) as pool:
        result = formats_speed.measure(one, tmp_path / "masks", pool, 1, 2, tmp_path / "scan.db")
    assert formats_speed.row(one, result).count("|") == 6


def test_class_indices_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_index, "LARGE", (48, 96))
    monkeypatch.setattr(class_index, "DRAWS", 50)
    *_, (name, folder) = class_index.sets(tmp_path, None, 0.001)
    for row in (class_index.of_folder(name, folder, 1, 1), class_index.of_many(5, [], 2)):
        assert row.masks in {2, 5}
        assert row.pngs < row.file < row.pngs + 40_000  # names of classes and the like
        assert min(row.memory, row.alone, row.in_mask, row.together) > 0
        assert row.line().count("|") == class_index.HEAD.splitlines()[0].count("|")


def test_contenders_for_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gives parts; those that hold sizes do; ours is the most even."""
    masks = splits.long_tailed(60, 4)
    quick = dict(splits.CONTENDERS, WDES=partial(split_contenders.evolved, generations=5))
    monkeypatch.setattr(splits, "CONTENDERS", quick)
    found = {}
    for name, contender in at_least_one(quick.items()):
        try:
            part = contender(masks, 0)
        except ImportError:
            assert name == "iterative stratification"
            continue
        sizes = np.bincount(part, minlength=5).tolist()
        assert len(sizes) == 5
        assert sizes == [12] * 5 or name not in splits.EQUAL_SIZES, name
        found[name] = splits.errors(masks, part)[0]
    assert min(found, key=found.__getitem__) == "maskstat"
    lines = splits.compare(masks, 1, quick)
    assert len(lines) == len(quick)
    assert "(  1.0x)" in lines[0]


def test_distances_of_splits_are_scipys() -> None:
    """And evolving lowers them, from the best of the random splits that it begins with."""
    masks = splits.long_tailed(50, 4)
    table = masks.dense()
    table[:20, 1] = 0
    part = np.random.default_rng(0).permutation(np.arange(50) % 5)
    expected = np.mean(
        [
            wasserstein_distance(table[part == fold, k], table[:, k])
            for fold in range(5)
            for k in range(table.shape[1])
        ]
    )
    assert split_contenders.Distances(table).of(part) == pytest.approx(expected)
    distances = split_contenders.Distances(masks.dense())
    first, later = (
        distances.of(split_contenders.evolved(masks, 0, generations=count)) for count in (0, 20)
    )
    assert later < first


def test_measure_and_table(tmp_path: Path) -> None:
    masks = scan_speed.MaskSet(
        "tiny",
        mask_sets.write_set(
            tmp_path / "tiny", 3, 2, mask_sets.maker((48, 64), []), mask_sets.save_grey
        ),
    )
    results = {"tiny": scan_speed.measure(masks, 1, 2, tmp_path / "scan.db")}
    printed = scan_speed.table(results, [masks], 2)
    assert scan_speed.OURS in printed
    assert "time ÷ floor" in printed


def test_opencv_would_read_palettes_as_colours(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    mask_sets.save_palette(tmp_path / "p.png", mask_sets.labels((48, 64), 0))
    with pytest.raises(ValueError, match="colours"):
        user_loops.opencv_bincount([str(tmp_path / "p.png")])


def test_rescan_and_memory(tmp_path: Path) -> None:
    folder = rescan_and_memory.fill(tmp_path / "small", 30, (24, 32), distinct=5)
    walking, scanning, trusting = rescan_and_memory.rescan_ratio(folder, tmp_path / "r.db", 1)
    assert walking > 0
    assert scanning > 0
    assert trusting > 0
    huge = rescan_and_memory.huge_mask(tmp_path / "huge" / "mask.png", 400)
    assert maskstat.scan(huge, classes=31).histogram.total_pixels == 160_000


def test_memory_budget(tmp_path: Path) -> None:
    assert memory_budget.ratio(memory_budget.fill(tmp_path / "masks", 20, 16), 1) > 0


def test_profile_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small sets; what a profile implies is compared with the counts on the way."""
    maker = mask_sets.maker
    monkeypatch.setattr(mask_sets, "maker", lambda shape, real: maker((24, 40), real))
    results = []
    for name, folder in at_least_one(profile_cost.make_sets(tmp_path, None, 0.01)):
        plain, profiled = profile_cost.measure(folder, 1, 2, grid=4)
        assert plain > 0
        assert profiled > 0
        results.append((name, 4, plain, profiled))
    printed = profile_cost.table(results)
    assert printed.count("| 4 of ") == len(results)
    assert f"{results[0][3] / results[0][2]:.2f} |" in printed


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
def test_torch_losses_are_measured_on_equal_values() -> None:
    torch = pytest.importorskip("torch")
    from benchmarks import torch_losses

    torch._dynamo.reset()
    losses = torch_losses.contenders(5)
    assert len(losses) == 7
    few = {name: losses[name] for name in (torch_losses.REFERENCE, "cross_entropy", "focal")}
    losses = torch_losses.with_compiled(few, backend="aot_eager")
    logits, labels = torch_losses.batch((2, 5, 8, 9))
    torch_losses.check_equal(losses, logits, labels)
    printed = torch_losses.table(torch_losses.measure(losses, logits, labels, 1))
    assert printed.count("\n") == len(losses) + 1
    assert torch_losses.label_memory((1, 5, 8, 8)).count("one-hot") == 4


def test_torch_losses_keep_within_their_memory() -> None:
    """What the documents promise, which is no matter of time: peaks by the allocator's count."""
    pytest.importorskip("torch")
    from benchmarks import torch_losses

    logits, labels = torch_losses.batch((2, 31, 64, 64))
    losses = torch_losses.contenders(31)
    peaks = {
        name: torch_losses.peak_memory(loss, logits, labels) / (4 * logits.numel())
        for name, loss in losses.items()
    }
    reference = peaks[torch_losses.REFERENCE]
    assert all(peak >= 1 for peak in peaks.values()), "a gradient of the logits' size at least"
    assert peaks["cross_entropy"] <= 1.1 * reference
    assert peaks["focal"] <= 1.5 * reference
    assert peaks["complement_cross_entropy"] <= reference


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_large_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_store, "FOLDER_FILES", 1000)
    folder, db = tmp_path / "masks", tmp_path / "large.db"
    large_store.make_entries(folder, 5000)
    assert large_store.walk(str(folder)) == 5000
    done, seconds, _ = large_store.fill(folder, db, 31)
    assert done == 5000
    assert seconds > 0
    assert large_store.run("show", folder, db, 31)["found"] == [5000]
    found = large_store.run("scan", folder, db, 31)
    assert found["found"] == [5000, 0, 0, 5000, 0]
    assert isinstance(found["peak_mb"], float)
    assert found["peak_mb"] > 1


def test_what_a_mask_costs(tmp_path: Path) -> None:
    folder = mask_sets.write_set(
        tmp_path / "tiny", 30, 5, mask_sets.maker((48, 64), []), mask_sets.save_grey
    )
    cost = per_mask_costs.cost(folder, tmp_path, 2, 1)
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert cost.file_bytes == size / 30
    assert min(cost) > 0
    assert per_mask_costs.amdahl(3.0, 11.0, 1) == 11
    assert per_mask_costs.amdahl(3.0, 11.0, 4) == 5


def test_counting_arrays_is_faster_than_bincount(tmp_path: Path) -> None:
    """Three times on bytes, which is little: other programs disturb, so it may try again."""
    engine = CompiledEngine()
    mask_sets.save_grey(tmp_path / "real.png", mask_sets.labels((360, 480), 5))
    kinds = list(array_counting.kinds((1024, 2048), [tmp_path / "real.png"], 1))
    assert len(kinds) == 6
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tallying, "current_engine", lambda: engine)
        for name, masks in kinds:
            for dtype, wanted in ((np.uint8, 3), (np.int64, 1)):
                arrays = [mask.astype(dtype) for mask in masks]
                tries = [array_counting.measure(name, arrays, 5)]
                while "noise" not in name and tries[-1].ratio < wanted and len(tries) < 5:
                    tries.append(array_counting.measure(name, arrays, 5))
                assert "noise" in name or tries[-1].ratio >= wanted, array_counting.table(tries)


@pytest.mark.skipif(sys.platform == "win32", reason="asks a POSIX system what children took")
def test_short_commands_are_measured_beside_imports(tmp_path: Path) -> None:
    """Both sides of the loop count the same, or it raises."""
    folder = mask_sets.write_set(
        tmp_path / "tiny", 3, 2, mask_sets.maker((48, 64), []), mask_sets.save_grey
    )
    for printed, rows in (
        (start_up.few(folder, 31, 1), 4),
        (start_up.many(folder, 31, 1), 2),
        (start_up.rows(60, 31, 1).partition("\n\n")[0], 3),
    ):
        assert printed.count("\n") == rows + 1
        assert "| 1.00 (1.00) |" in printed


def test_exposures_are_measured_beside_profiles(tmp_path: Path) -> None:
    results = [
        (name, 3, side, exposure_cost.measure(folder, side, rounds=1, workers=1))
        for name, folder, side in exposure_cost.make_sets(tmp_path, None, scale=0.001)
    ]
    lines = exposure_cost.table(results).splitlines()
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1


def test_the_pictures_of_exposures_are_drawn(tmp_path: Path) -> None:
    largest = draw_exposure.draw_factor(tmp_path / "factor.png")
    assert [round(times, 2) for times in largest] == [2.10, 2.64, 1.68]
    times = draw_exposure.draw_shares(tmp_path / "shares.png", draw_exposure.SAMPLES)
    assert round(times["sky"], 2) == 0.20
    assert all((tmp_path / name).stat().st_size > 10_000 for name in ("factor.png", "shares.png"))


def test_the_first_picture(tmp_path: Path) -> None:
    """It is a picture, and small: README.md begins with it."""
    draw_first_picture.draw(tmp_path / "first.png")
    for path in (
        tmp_path / "first.png",
        draw_first_picture.SAMPLES.parent / "docs/images/first.png",
    ):
        with Image.open(path) as picture:
            assert picture.size == (1200, 300)
        assert path.stat().st_size < 100_000
