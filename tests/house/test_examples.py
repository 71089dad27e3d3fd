"""The example runs, says the same twice, goes on where it stopped, and corrects what it should."""

from __future__ import annotations

import csv
import dataclasses
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import maskstat
from examples import camvid, camvid_decide, camvid_report
from examples.camvid import Settings
from tests.support.loops import at_least_one
from tests.support.paths import ROOT

TINY = Settings(width=24, height=18, channels=4, epochs=1, batch_size=4)
TINY_OPTIONS = [
    "--width",
    "24",
    "--height",
    "18",
    "--channels",
    "4",
    "--epochs",
    "1",
    "--batch-size",
    "4",
]
TRAIN, VAL = ["train/masks/*.png"], ["val/masks/*.png"]
NAMES = tuple(f"c{k}" for k in range(11))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of CamVid's form: 10 and 5 masks of 48x36, images of 36x27; two videos."""
    folder = tmp_path_factory.mktemp("camvid")
    rng = np.random.default_rng(7)
    for split, count in (("train", 10), ("val", 5)):
        for kind in ("masks", "images"):
            (folder / split / kind).mkdir(parents=True)
        for number in range(count):
            blocks = rng.integers(0, 12, (6, 8)).astype(np.uint8)
            blocks.flat[:12] = np.arange(12)
            mask = np.kron(blocks, np.ones((6, 6), np.uint8))
            stem = f"{'ab'[number % 2]}_{number}"
            Image.fromarray(mask).save(folder / split / "masks" / f"{stem}.png")
            grey = Image.fromarray(mask * 20).convert("RGB").resize((36, 27))
            grey.save(folder / split / "images" / f"{stem}.jpg")
    return folder


@pytest.fixture(autouse=True)
def _settings_of_torch() -> Iterator[None]:
    """One thread, which is faster for so little work; what the example sets is set back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def run(data: Path, path: Path, *more: str) -> None:
    camvid.main([str(data), "--csv", str(path), *TINY_OPTIONS, *more])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_same_command_same_file_and_goes_on(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = ("--schemes", "uniform", "sqrt", "--seeds", "0", "1")
    whole, halves = tmp_path / "whole.csv", tmp_path / "halves.csv"
    run(data, whole, *pairs)
    assert "4 runs added" in capsys.readouterr().out
    written = whole.read_bytes()
    run(data, whole, *pairs)
    assert "has all of them" in capsys.readouterr().out
    assert whole.read_bytes() == written
    run(data, halves, *pairs[:3], "--seeds", "0", "1", "--models", str(tmp_path / "models"))
    run(data, halves, *pairs)
    assert "4 runs added" in capsys.readouterr().out
    assert sorted(halves.read_text().splitlines()) == sorted(written.decode().splitlines())
    rows = rows_of(whole)
    assert [(r["scheme"], r["seed"], r["logits"]) for r in rows] == [
        (scheme, seed, logits)
        for seed in ("0", "1")
        for scheme, other in (("uniform", "shifted"), ("sqrt", "weights undone"))
        for logits in ("as trained", other)
    ]
    assert rows[0]["mean_iou"] != rows[4]["mean_iou"], "seeds must differ"


def test_kept_models_give_the_same_measures(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path / "r.csv", "--schemes", "sqrt", "--seeds", "3", "--models", str(tmp_path))
    model = camvid.UNet(11, 4)
    model.load_state_dict(torch.load(tmp_path / "sqrt_cross-entropy_3.pt"))
    split = camvid.load_split(data, VAL, TINY)
    names = [key[4:] for key in rows_of(tmp_path / "r.csv")[0] if key.startswith("iou_")]
    found = camvid.evaluate(camvid.predict(model, split.images), split.labels, names)
    written = rows_of(tmp_path / "r.csv")[0]
    for key, value in at_least_one(found.items()):
        assert float(written[key]) == pytest.approx(value, abs=1e-4), key


def test_crops_run_with_weights_of_the_masks_and_of_the_crops(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    schemes = ("--schemes", "uniform", "sqrt", "sqrt@crops", "--seeds", "0")
    run(data, path, "--crop", "8", "--draws", "anywhere", "rare", *schemes)
    rows = [row for row in rows_of(path) if row["logits"] == "as trained"]
    assert [(row["draws"], row["scheme"]) for row in rows] == [
        (draws, scheme)
        for draws in ("anywhere", "rare")
        for scheme in ("uniform", "sqrt", "sqrt@crops")
    ]
    ratios = {(row["draws"], row["scheme"]): row["loss_share_ratio"] for row in rows}
    assert ratios["anywhere", "sqrt"] == ratios["rare", "sqrt"] != ratios["rare", "sqrt@crops"]
    text = camvid_report.crops(camvid_report.Results.read(path)).splitlines()
    assert [line.split(" | ")[0] for line in text[2:]] == [
        f"| {draws}: {name}"
        for draws in ("anywhere", "rare")
        for name in ("no weights", "sqrt", "sqrt of the crops")
    ]
    for wrong in (("--crop", "8"), ("--draws", "rare")):
        with pytest.raises(SystemExit):
            run(data, tmp_path / "none.csv", *wrong)


@pytest.mark.parametrize("rare", [False, True])
def test_crops_are_windows_of_their_masks(data: Path, rare: bool) -> None:
    split = camvid.load_split(data, TRAIN, TINY)
    own = dataclasses.replace(split, images=split.labels.unsqueeze(1).expand(-1, 3, -1, -1) * 20)
    sampler = None
    if rare:
        with maskstat.scan(data, classes=camvid.CATALOG, include=TRAIN) as scan:
            index = scan.class_index()
        items = [index.names.index(name) for name in split.names]
        sampler = maskstat.CropSampler(index, 8 * split.factor, "rare", items=items)
    windows = {
        window.tobytes()
        for mask in (*split.labels.numpy(), *split.labels.numpy()[:, :, ::-1])
        for window in np.lib.stride_tricks.sliding_window_view(mask, (8, 8)).reshape(-1, 8, 8)
    }
    found = list(camvid.batches(own, 4, 2, torch.Generator().manual_seed(0), 8, sampler))
    assert [len(batch) for _, batch in found] == [4] * 4
    for images, labels in at_least_one(found):
        assert torch.equal(images[:, 0], camvid.prepare((labels * 20).unsqueeze(1))[:, 0])
        assert {crop.astype(np.uint8).tobytes() for crop in labels.numpy()} <= windows


def test_videos_that_are_held_out_and_what_is_decided_on_them(data: Path, tmp_path: Path) -> None:
    three = tmp_path / "data"
    shutil.copytree(data, three)
    for kind, suffix in (("masks", "png"), ("images", "jpg")):
        for path in sorted((three / "train" / kind).glob(f"a_*.{suffix}"))[:3]:
            path.rename(path.with_name(path.name.replace("a_", "c_")))
    held_out = dataclasses.replace(TINY, held_out="a+b")
    trained, evaluated = camvid.masks_of(three, held_out)
    splits = [camvid.load_split(three, globs, held_out) for globs in (trained, evaluated)]
    assert [{Path(name).name[0] for name in split.names} for split in splits] == [{"c"}, {"a", "b"}]
    assert sum(len(split.names) for split in splits) == 15
    results, models = tmp_path / "r.csv", tmp_path / "models"
    options = ("--schemes", "uniform", "sqrt", "--seeds", "0", "--models", str(models))
    run(three, results, "--held-out", "a+b", "--batch-size", "2", *options)
    decided = tmp_path / "decided.csv"
    camvid_decide.main([str(three), str(results), str(models), "--csv", str(decided)])
    rows = rows_of(decided)
    across = [row for row in rows if row["kind"] == "across" and row["scheme"] == "sqrt"]
    assert {(row["chosen_on"], row["judged_on"]) for row in across} == {("a", "b"), ("b", "a")}
    assert {row["family"] for row in across} > {"weights undone", "tau", "free shifts"}
    for row in at_least_one([row for row in rows if row["kind"] != "no labels"]):
        # Measured again, of the model that was kept, with the shifts of the public report.
        assert float(row["in_sample"]) >= (0 if row["family"] != "weights undone" else -1)
    assert not any(row["kind"] == "within" for row in rows), "one block has no other blocks"
    text = camvid_report.decided(decided).splitlines()
    assert any(line.startswith("| sqrt | free shifts | the other video |") for line in text)
    for wrong in ("z", "a+b+c"):
        with pytest.raises(SystemExit, match="hold out some of a, b, c"):
            run(three, tmp_path / "none.csv", "--held-out", wrong)
    plain = tmp_path / "plain.csv"
    run(three, plain, *options)
    with pytest.raises(SystemExit, match="held videos out"):
        camvid_decide.main([str(three), str(plain), str(models), "--csv", str(decided)])


@pytest.mark.parametrize(
    ("scheme", "loss"),
    [
        ("uniform", camvid.PLAIN),
        ("equal-cost", "focal"),
        (camvid.TORCH_FORM, "logit-adjusted"),
        ("sqrt", "complement-cross-entropy"),
        ("equal-cost", "complement-objective"),
    ],
)
def test_every_loss_learns(data: Path, scheme: str, loss: str) -> None:
    """The last epoch's loss is below the first's, and what came out is finite."""
    split = camvid.load_split(data, TRAIN, TINY)
    many = Settings(width=24, height=18, channels=4, epochs=5, batch_size=4)
    with maskstat.scan(data / "train" / "masks", classes=camvid.CATALOG) as scan:
        _, _, first = camvid.train(split, scan, scheme, loss, 0, TINY)
        model, table, last = camvid.train(split, scan, scheme, loss, 0, many)
    assert last < first
    assert table.frequency @ table.weights == pytest.approx(1)
    assert torch.isfinite(camvid.predict(model, split.images)).all()


def test_reduction_is_the_one_that_the_weights_are_for(data: Path) -> None:
    with maskstat.scan(data / "train" / "masks", classes=camvid.CATALOG) as scan:
        reductions = {
            scheme: camvid.build_loss("focal", camvid.class_weights(scan, scheme, 4)).reduction
            for scheme in ("uniform", "sqrt", "equal-cost", camvid.TORCH_FORM)
        }
    assert reductions == {
        "uniform": "weighted-mean",
        "sqrt": "weighted-mean",
        "equal-cost": "mean",
        camvid.TORCH_FORM: "weighted-mean",
    }


def test_power_of_every_alpha(data: Path, tmp_path: Path) -> None:
    with maskstat.scan(data / "train" / "masks", classes=camvid.CATALOG) as scan:
        for power, scheme in (
            ("power:0", "uniform"),
            ("power:0.5", "sqrt"),
            ("power:1", "max-count"),
        ):
            found = camvid.class_weights(scan, power, 4).weights
            np.testing.assert_allclose(found, camvid.class_weights(scan, scheme, 4).weights)
    for wrong in ("power:", "power:-1", "power:x", "power:nan", "sqrt:1", "nothing"):
        with pytest.raises(SystemExit):
            run(data, tmp_path / "none.csv", "--schemes", wrong)


def test_masks_are_the_centres_of_their_blocks(data: Path) -> None:
    split = camvid.load_split(data, VAL, Settings(width=12, height=9))
    with Image.open(data / "val" / "masks" / "b_1.png") as mask:
        full = np.asarray(mask)
    place = split.names.index("val/masks/b_1.png")
    assert split.factor == 4
    assert np.array_equal(split.labels[place].numpy(), full[2::4, 2::4])
    assert split.images.shape == (5, 3, 9, 12)
    assert split.images.dtype == torch.uint8


def test_batches_are_whole_seeded_and_flipped_with_their_labels(data: Path) -> None:
    split = camvid.load_split(data, TRAIN, TINY)
    # The image carries its own label, so that a flip of one without the other shows.
    own = camvid.Split(split.labels.unsqueeze(1).expand(-1, 3, -1, -1) * 20, split.labels)
    stream = [
        list(camvid.batches(own, 4, 2, torch.Generator().manual_seed(seed))) for seed in (0, 0, 1)
    ]
    assert [len(batch) for _, batch in stream[0]] == [4] * 4
    for images, labels in at_least_one(stream[0]):
        assert torch.equal(images[:, 0], camvid.prepare((labels * 20).unsqueeze(1))[:, 0])
    assert all(torch.equal(a[1], b[1]) for a, b in zip(stream[0], stream[1], strict=True))
    assert not all(torch.equal(a[1], b[1]) for a, b in zip(stream[0], stream[2], strict=True))
    everything = {mask.numpy().tobytes() for mask in split.labels.long()}
    seen = {mask.numpy().tobytes() for _, batch in stream[0] for mask in batch}
    assert seen - everything, "no mask was flipped"


@pytest.fixture
def table(data: Path) -> maskstat.WeightTable:
    with maskstat.scan(data / "train" / "masks", classes=camvid.CATALOG) as scan:
        return camvid.class_weights(scan, "max-count", 4)


def test_corrections_give_back_the_posterior(table: maskstat.WeightTable) -> None:
    """Logits at each loss's optimum, corrected, are the posterior they were made from."""
    posterior = torch.softmax(2 * torch.randn(2, 11, 3, 4, generator=torch.manual_seed(0)), 1)
    w, prior = (
        torch.tensor(values).float().view(1, -1, 1, 1)
        for values in (table.weights, table.frequency)
    )
    optima = {
        (camvid.PLAIN, True): posterior * w,
        ("logit-adjusted", False): posterior / prior,
        ("logit-adjusted", True): posterior * w / prior,
    }
    uniform = maskstat.WeightTable(
        table.names, np.ones(11), table.pixels, "uniform", {}, "none", None
    )
    for (loss, weighted), optimum in optima.items():
        logits = optimum.log() + 1.5
        found = dict(camvid.versions(logits, "any", loss, table if weighted else uniform))
        assert torch.equal(found["as trained"], logits)
        corrected = found["weights undone"].softmax(1)
        torch.testing.assert_close(corrected, posterior)
    shifted = dict(camvid.versions(posterior.log(), "uniform", camvid.PLAIN, uniform))["shifted"]
    expected = posterior / prior
    torch.testing.assert_close(shifted.softmax(1), expected / expected.sum(1, keepdim=True))
    assert [name for name, _ in camvid.versions(posterior, "uniform", "focal", uniform)] == [
        "as trained"
    ]


def test_measures_against_plain_loops() -> None:
    rng = np.random.default_rng(3)
    logits = torch.from_numpy(rng.normal(size=(3, 11, 5, 4)) * 2).float()
    labels = torch.from_numpy(rng.integers(0, 12, (3, 5, 4)).astype(np.uint8))
    found = camvid.evaluate(logits, labels, NAMES)
    true, said, losses, sums = [], [], [], np.zeros(11)
    for n, y, x in np.ndindex(3, 5, 4):
        label = int(labels[n, y, x])
        if label == camvid.VOID:
            continue
        p = np.exp(logits[n, :, y, x].double().numpy())
        p /= p.sum()
        true.append(label)
        said.append(int(p.argmax()))
        losses.append(-np.log(p[label]))
        sums += p
    true_array, said_array = np.array(true), np.array(said)
    for k, name in enumerate(NAMES):
        both = ((true_array == k) & (said_array == k)).sum()
        either = ((true_array == k) | (said_array == k)).sum()
        assert found[f"iou_{name}"] == pytest.approx(both / either)
        assert found[f"recall_{name}"] == pytest.approx(both / (true_array == k).sum())
        assert found[f"frequency_{name}"] == pytest.approx((true_array == k).mean())
        assert found[f"probability_{name}"] == pytest.approx(sums[k] / len(true))
    assert found["log_loss"] == pytest.approx(np.mean(losses))
    assert found["pixel_accuracy"] == pytest.approx((true_array == said_array).mean())
    share = [abs(found[f"probability_{n}"] - found[f"frequency_{n}"]) for n in NAMES]
    assert found["share_error"] == pytest.approx(sum(share) / 2)
    recalls = [found[f"recall_{name}"] for name in NAMES]
    assert found["balanced_accuracy"] == pytest.approx(np.mean(recalls))


def test_what_it_refuses(data: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.csv"
    foreign.write_text("a,b\n1,2\n")
    with pytest.raises(SystemExit, match="other columns"):
        run(data, foreign)
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    (copy / "val" / "images" / "a_2.jpg").unlink()
    with pytest.raises(SystemExit, match=r"a_2\.png has no image"):
        run(copy, tmp_path / "r.csv")
    with pytest.raises(SystemExit, match="no such file or folder"):
        run(tmp_path / "nowhere", tmp_path / "r.csv")
    with pytest.raises(SystemExit, match="no masks"):
        camvid.load_split(tmp_path / "nowhere", VAL, TINY)
    Image.new("RGB", (8, 8)).save(copy / "val" / "masks" / "a_0.png")
    with pytest.raises(SystemExit, match="RGB, not an 8-bit"):
        camvid.load_split(copy, VAL, TINY)


# --- the report ---------------------------------------------------------------------------------

HEAD = ["scheme", "loss", "draws", "seed", "logits", "epochs", "train_loss"]
PRICES = ["cost_spread", "effective_pixel_share", "loss_share_ratio"]


def fake_results(path: Path, seeds: int = 3, epochs: int = 1) -> Path:
    """Two configurations; seed s of no weights has every measure 0.1 s, of sqrt 0.1 s + 0.02 s."""
    measures = [*PRICES, *camvid_report.MEASURES]
    for name in ("rare", "common"):
        measures += [f"{kind}_{name}" for kind in ("iou", "recall", "frequency", "probability")]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*HEAD, *measures])
        for seed in range(seeds):
            for scheme, gain in (("uniform", 0.0), ("sqrt", 0.02 * seed)):
                for logits in ("as trained", "other"):
                    values = [0.1 * seed + gain + (0.01 if logits == "other" else 0)] * len(
                        measures
                    )
                    values = [
                        (0.9 if name.endswith("common") else 0.1)
                        if name.startswith("frequency")
                        else value
                        for name, value in zip(measures, values, strict=True)
                    ]
                    writer.writerow(
                        [scheme, "cross-entropy", "", seed, logits, epochs, 1.0, *values]
                    )
    return path


def test_tables_say_mean_deviation_and_paired_difference(tmp_path: Path) -> None:
    results = camvid_report.Results.read(fake_results(tmp_path / "r.csv"))
    assert results.seeds == (0, 1, 2)
    scores = camvid_report.scores(results).splitlines()
    assert scores[2].startswith("| no weights | 10.0 ± 10.0 |")
    assert scores[3].startswith("| sqrt | 12.0 ± 12.0 |")
    difference = camvid_report.differences(results).splitlines()
    assert difference[2].startswith("| sqrt | +2.0 ± 2.0 |")
    assert difference[2].endswith("| 2 of 3 |")
    assert "| no weights, other | 11.0 ± 10.0 |" in camvid_report.corrections(results)
    rows = camvid_report.classes(results).splitlines()
    assert rows[2].startswith("| common | 90.0 | 10.0 ± 10.0 | +2.0 ± 2.0 |")
    assert rows[3].startswith("| rare | 10.0 |")
    assert "| rare | 10.0 | 1.00 | 1.20 |" in camvid_report.shares(results)


def test_only_seeds_that_all_have_and_only_one_kind_of_run(tmp_path: Path) -> None:
    path = fake_results(tmp_path / "r.csv")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))  # the last version of the last seed
    assert camvid_report.Results.read(path).seeds == (0, 1)
    other = fake_results(tmp_path / "s.csv", epochs=2).read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, *other[1:]]))
    with pytest.raises(SystemExit, match="different settings"):
        camvid_report.Results.read(path)
    path.write_text(lines[0])
    with pytest.raises(SystemExit, match="no runs"):
        camvid_report.Results.read(path)


def test_page_and_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = fake_results(tmp_path / "r.csv")
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n<!-- scores r.csv -->\nold\n<!-- end -->\nafter\n", "utf-8")
    camvid_report.main([str(page)])
    scores = camvid_report.scores(camvid_report.Results.read(path))
    text = page.read_text(encoding="utf-8")
    assert text == f"# Title\n\n<!-- scores r.csv -->\n\n{scores}\n<!-- end -->\nafter\n"
    assert camvid_report.updated(page) == text
    page.write_text("<!-- prices r.csv -->\n<!-- end -->\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="'prices'; there are scores"):
        camvid_report.updated(page)
    plot = tmp_path / "plot.png"
    camvid_report.main([str(path), "--plot", str(plot)])
    printed = capsys.readouterr().out
    results = camvid_report.Results.read(path)
    assert all(
        make(results) in printed
        for name, make in camvid_report.TABLES.items()
        if name not in camvid_report.FOR_ONE_KIND
    )
    with Image.open(plot) as drawn:
        assert drawn.width > 500


def test_evidence_page_is_its_results() -> None:
    """Every table of docs/evidence.md is what its CSV files give, and they have what it says."""
    page = ROOT / "docs" / "evidence.md"
    text = page.read_text(encoding="utf-8")
    assert camvid_report.updated(page) == text
    assert text.count("<!-- end -->") == len(camvid_report.MARKED.findall(text))
    results = camvid_report.Results.read(ROOT / "docs" / "evidence.csv")
    tables = {mark[1] for mark in camvid_report.MARKED.findall(text)}
    assert tables == {*camvid_report.TABLES, *camvid_report.DECIDED}
    assert results.seeds == (0, 1, 2, 3)
    assert [version[:2] for version in results.trained()] == list(camvid.EVIDENCE)
    # What the text quotes is in the tables.
    tables_only = "".join(mark.group(0) for mark in camvid_report.MARKED.finditer(text))
    quoted = re.findall(r"\d+\.\d+ ± \d+\.\d+", camvid_report.MARKED.sub("", text))
    assert len(quoted) > 10
    assert [number for number in quoted if number not in tables_only] == []
