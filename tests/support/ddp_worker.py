"""One of several processes that count and sample together: python ddp_worker.py RANK SIZE FOLDER.

Prints what the metrics and the sampler say as JSON.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from torch import distributed

from maskstat.torch.data import sampler
from tests.support.torch_metric_modules import metric_module


def main() -> None:
    rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=size
    )
    said: dict[str, object] = {}
    inputs = np.load(folder / "inputs.npz")
    # Shards of different lengths, one batch more on the first process.
    scores = torch.from_numpy(inputs["scores"])[rank::size]
    target = torch.from_numpy(inputs["target"])[rank::size]
    for flavour in ("plain", "torchmetrics"):
        if flavour == "torchmetrics" and find_spec("torchmetrics") is None:
            continue
        module = metric_module(flavour)
        matrix = module.ConfusionMatrix(scores.shape[1], ignore_index=255)
        error = module.CalibrationError(ignore_index=255)
        for batch in range(len(scores)):
            matrix.update(scores[batch : batch + 1], target[batch : batch + 1])
            error.update(scores[batch : batch + 1], target[batch : batch + 1])
        said[flavour] = {
            "counts": matrix.compute().tolist(),
            "local": matrix.confusion().counts.tolist(),
            "error": error.compute().item(),
            "again": matrix.compute().tolist(),
        }
    draws = sampler(folder / "sampling.csv", json.loads((folder / "names.json").read_text()))
    said["epochs"] = [list(draws) for _ in range(2)]
    draws.set_epoch(0)
    said["first again"] = list(draws)
    distributed.destroy_process_group()
    print(json.dumps(said))


if __name__ == "__main__":
    main()
