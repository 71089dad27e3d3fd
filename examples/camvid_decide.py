"""Another decision than argmax for networks that examples/camvid.py trained: does it carry over?

    python examples/camvid.py DATA --csv held_out.csv --held-out 0001TP+0006R0 --models MODELS
    python -m examples.camvid_decide DATA held_out.csv MODELS --csv decide.csv

Of every network the shifts of each family of `maskstat decide` are chosen on one video that it was
not trained on, and judged on another ("across"), both ways; and on blocks of consecutive frames of
one video, each block judged by shifts chosen on the others ("within"). Beside them stands RankSEG
without pruning (Wang and Dai 2025), which needs no labels, where `rankseg` is installed. All
measure the mean IoU of the data set, in fractions.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import maskstat
from examples import camvid
from maskstat import ConfusionMatrix, Decision, DecisionReport, WeightTable
from maskstat.training.calibration import unweight_logits

COLUMNS = ("scheme", "seed", "kind", "family", "chosen_on", "judged_on")
MEASURED = ("argmax", "gain", "in_sample")
BLOCK = 20
ARGMAX, RANKSEG = "argmax", "RankSEG"


def reported(
    logits: Tensor, labels: Tensor, groups: Sequence[int], table: WeightTable
) -> DecisionReport:
    """What `maskstat decide` says of N images.

    Args:
        logits: float[N, K, H, W].
        labels: int[N, H, W], 11 where void.
        groups: N of them.
        table: what the network was trained with, and the frequencies of its training masks.
    """
    decision = Decision(
        len(table),
        ignore_index=camvid.VOID,
        prior=table.frequency,
        weights=table.weights if np.ptp(table.weights) > 0 else None,
    )
    for _ in decision.passes():
        names = [f"{number}" for number in range(len(labels))]
        decision.update(logits, labels, group=groups, name=names)
    return decision.report()


def mean_iou(decided: Tensor, labels: Tensor, classes: int) -> float:
    """Of the data set, over all labelled pixels."""
    seen = labels != camvid.VOID
    return ConfusionMatrix.of(labels[seen].numpy(), decided[seen].numpy(), classes).mean_iou


def ranked(logits: Tensor) -> Tensor:
    """What RankSEG for IoU decides, image by image."""
    from rankseg import RankSEG

    decide = RankSEG(metric="IoU", output_mode="multiclass", pruning_prob=0.0)
    return torch.cat([decide.predict(one.softmax(1)) for one in logits.split(1)])


def rows_of(
    videos: dict[str, tuple[Tensor, Tensor]], table: WeightTable
) -> Iterator[dict[str, object]]:
    """Everything that is judged of one network: its logits and the labels of some videos."""
    for chosen_on, (logits, labels) in videos.items():
        blocks = [number // BLOCK for number in range(len(labels))]
        within = reported(logits, labels, blocks, table)
        for one in within.families if len(set(blocks)) > 1 else ():
            yield {
                "kind": "within",
                "family": one.family,
                "chosen_on": chosen_on,
                "judged_on": chosen_on,
                "argmax": within.argmax,
                "gain": one.gain.value,
                "in_sample": one.in_sample,
            }
        for judged_on, (others, truth) in videos.items():
            if judged_on == chosen_on:
                continue
            plain = mean_iou(others.argmax(1), truth, len(table))
            for one in within.families:
                shifts = torch.from_numpy(one.shifts).float()[:, None, None]
                shifted = mean_iou((others + shifts).argmax(1), truth, len(table))
                yield {
                    "kind": "across",
                    "family": one.family,
                    "chosen_on": chosen_on,
                    "judged_on": judged_on,
                    "argmax": plain,
                    "gain": shifted - plain,
                    "in_sample": one.in_sample,
                }
        if importlib.util.find_spec("rankseg"):
            posterior = torch.from_numpy(unweight_logits(logits, table.weights, axis=1))
            plain = mean_iou(logits.argmax(1), labels, len(table))
            for family, some in ((RANKSEG, logits), (f"{RANKSEG}, weights undone", posterior)):
                if some is posterior and np.ptp(table.weights) == 0:
                    continue
                yield {
                    "kind": "no labels",
                    "family": family,
                    "chosen_on": "",
                    "judged_on": chosen_on,
                    "argmax": plain,
                    "gain": mean_iou(ranked(some), labels, len(table)) - plain,
                    "in_sample": 0.0,
                }


def judge(data: Path, results: Path, models: Path, path: Path) -> int:
    """Judge every network of a CSV that held videos out; the number of networks.

    Raises:
        SystemExit: runs that held no video out, or of crops.
    """
    with results.open(newline="", encoding="utf-8") as file:
        runs = [row for row in csv.DictReader(file) if row["logits"] == "as trained"]
    if not runs or not all(row["held_out"] and not row["draws"] for row in runs):
        sys.exit(f"{results} has no runs of whole masks that held videos out")
    settings = camvid.Settings(
        width=int(runs[0]["width"]),
        height=int(runs[0]["height"]),
        channels=int(runs[0]["channels"]),
        batch_size=int(runs[0]["batch_size"]),
        held_out=runs[0]["held_out"],
    )
    trained, _ = camvid.masks_of(data, settings)
    splits = {
        video: camvid.load_split(data, [f"*/masks/{video}_*.png"], settings)
        for video in settings.held_out.split("+")
    }
    written: list[dict[str, object]] = []
    with maskstat.scan(data, classes=camvid.CATALOG, include=trained) as scan:
        for run in runs:
            model = camvid.UNet(len(scan.catalog), settings.channels)
            saved = models / f"{run['scheme']}_{run['loss']}_{run['seed']}.pt"
            model.load_state_dict(torch.load(saved, weights_only=True))
            videos = {
                video: (camvid.predict(model, split.images), split.labels.long())
                for video, split in splits.items()
            }
            table = camvid.class_weights(scan, run["scheme"], settings.batch_size)
            for row in rows_of(videos, table):
                rounded: dict[str, Any] = {name: f"{row[name]:.6f}" for name in MEASURED}
                written.append({"scheme": run["scheme"], "seed": run["seed"], **row, **rounded})
            print(f"{run['scheme']}, seed {run['seed']}", flush=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*COLUMNS, *MEASURED], lineterminator="\n")
        writer.writeheader()
        writer.writerows(written)
    return len(runs)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see the module's first lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder with train and val")
    parser.add_argument("results", type=Path, help="CSV of examples/camvid.py --held-out")
    parser.add_argument("models", type=Path, help="its --models")
    parser.add_argument("--csv", type=Path, required=True, help="what is written")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    count = judge(given.data, given.results, given.models, given.csv)
    print(f"{count} networks judged in {given.csv}")


if __name__ == "__main__":
    main()
