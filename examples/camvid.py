"""Class weights and losses compared on CamVid: a small U-Net, trained many times, one CSV.

    python examples/camvid.py ../data/camvid --csv results.csv
    python examples/camvid.py ../data/camvid --csv results.csv --schemes sqrt power:0.75
    python examples/camvid.py ../data/camvid --csv crops.csv --crop 40 --draws anywhere rare \
        --schemes uniform sqrt sqrt@crops
    python examples/camvid_report.py results.csv --plot results.png

DATA holds `train` and `val`, each with `masks/*.png` (values 0..10, 11 is void) and `images/*.jpg`
of the same stems. Without --schemes and --losses the runs of docs/evidence.md are made. Runs that
the CSV already has are skipped, so an interrupted comparison goes on where it stopped.

What is held equal, so that only the weights or the loss differ:

- A seed fixes the initial parameters, the order of the masks and the flips; all configurations of
  a seed see the same. On a CPU the same command gives the same numbers again.
- Schedule, optimiser, batch size and number of steps are the same, and the last epoch's model is
  the one evaluated: nothing is chosen by looking at the validation masks.
- Weights are normalised so that a pixel's expected weight is 1 (`pixel`), and the loss is averaged
  the way the weights are for: equal-cost weights of the Keras form over the labelled pixels
  ("mean"), all others over the sum of weights ("weighted-mean", PyTorch's own), where the scale
  cancels. So a model that knows nothing starts with about the same loss everywhere, and AdamW does
  not see the scale of what is left.

Masks are reduced to the training size by taking the pixel at the centre of each block. A vote
would thin out poles and signs; a nearest pixel keeps every class's frequency, so weights from the
masks as they are on disk are the weights of what the network sees. Void stays void and is ignored.
Images are averaged over blocks.

With --crop, training sees crops: one of every mask, anywhere in it, or drawn by `CropSampler` so
that rare classes are met; `SCHEME@crops` takes the weights from the exposure of these crops and not
from the masks. With --held-out, training takes all masks of both folders but those of some
sequences, and these are what is evaluated.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

import maskstat
import maskstat.torch as mst
from maskstat import CropSampler, Scan, WeightTable
from maskstat.advice.prices import prices_of
from maskstat.training.calibration import unweight_logits
from maskstat.training.metrics import ConfidenceHistogram, ConfusionMatrix
from maskstat.weights.schemes import SCHEMES

CATALOG = "camvid-11"
VOID = 11
ON_CROPS = "@crops"
ANYWHERE, RARE = "anywhere", "rare"
TORCH_FORM = "equal-cost-torch"
UNWEIGHTED = "uniform"
PLAIN = "cross-entropy"
COMPLEMENT_OBJECTIVE = "complement-objective"
LOSSES = (PLAIN, "focal", "complement-cross-entropy", COMPLEMENT_OBJECTIVE, "logit-adjusted")

PRICES = ("cost_spread", "effective_pixel_share", "loss_share_ratio")

# The runs of docs/evidence.md: every scheme with cross entropy, every other loss without weights.
EVIDENCE = (
    (UNWEIGHTED, PLAIN),
    ("max-count", PLAIN),
    ("median-frequency", PLAIN),
    ("sqrt", PLAIN),
    ("equal-cost", PLAIN),
    (TORCH_FORM, PLAIN),
    ("effective-number", PLAIN),
    *((UNWEIGHTED, loss) for loss in LOSSES[1:]),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What all runs of a comparison share.

    Attributes:
        width, height: training size, px.
        channels: of the U-Net's first level.
        epochs: passes over the training masks.
        batch_size: masks in a batch.
        learning_rate: the highest one of the one-cycle schedule.
        weight_decay: AdamW's.
        bfloat16: convolutions in bfloat16; losses and evaluation are in float32 either way.
        crop: side of the crops that training sees, at the training size, px; 0 for whole masks.
        held_out: sequences, joined by "+", that training does not see and evaluation is of;
            without, the folder `train` is trained on and `val` evaluated.
    """

    width: int = 120
    height: int = 90
    channels: int = 16
    epochs: int = 25
    batch_size: int = 8
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    bfloat16: bool = False
    crop: int = 0
    held_out: str = ""


@dataclass(frozen=True, slots=True)
class Split:
    """Images uint8[N, 3, height, width] and labels uint8[N, height, width], 11 where void.

    Attributes:
        names: of the masks, as a scan of their data folder has them.
        factor: side of a pixel, in pixels of the masks as they are on disk.
    """

    images: Tensor
    labels: Tensor
    names: tuple[str, ...] = ()
    factor: int = 1


def masks_of(data: Path, settings: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Globs in the data folder of the masks that are trained on, and of those evaluated.

    Raises:
        SystemExit: a sequence that is held out has no masks.
    """
    if not settings.held_out:
        return ("train/masks/*.png",), ("val/masks/*.png",)
    sequences = {path.name.split("_")[0] for path in data.glob("*/masks/*.png")}
    held_out = settings.held_out.split("+")
    if not sequences.issuperset(held_out) or len(sequences) == len(held_out):
        sys.exit(f"{settings.held_out}: hold out some of {', '.join(sorted(sequences))}")
    kept = sorted(sequences.difference(held_out))
    trained, evaluated = ([f"*/masks/{one}_*.png" for one in some] for some in (kept, held_out))
    return tuple(trained), tuple(evaluated)


def load_split(data: Path, globs: Sequence[str], settings: Settings) -> Split:
    """These masks of a data folder with their images, reduced to the training size, in memory.

    Raises:
        SystemExit: no masks, a mask without an image, or a mask that is not 8-bit grey.
    """
    size = (settings.width, settings.height)
    images, labels, names, factor = [], [], [], 1
    for path in sorted(path for pattern in globs for path in data.glob(pattern)):
        photograph = path.parents[1] / "images" / f"{path.stem}.jpg"
        if not photograph.is_file():
            sys.exit(f"{path} has no image {photograph}")
        with Image.open(path) as mask, Image.open(photograph) as image:
            if mask.mode not in {"L", "P"}:
                sys.exit(f"{path} is {mask.mode}, not an 8-bit index mask")
            factor = mask.width // settings.width
            names.append(path.relative_to(data).as_posix())
            labels.append(np.asarray(mask.resize(size, Image.Resampling.NEAREST)))
            reduced = image.convert("RGB").resize(size, Image.Resampling.BOX)
            images.append(np.asarray(reduced).transpose(2, 0, 1))
    if not labels:
        sys.exit(f"there are no masks {' '.join(globs)} in {data}")
    stacked = (torch.from_numpy(np.stack(some)) for some in (images, labels))
    return Split(*stacked, tuple(names), factor)


def _block(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [
            nn.Conv2d(channels, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """A U-Net (Ronneberger et al. 2015) of four levels for images of any size.

    Args:
        classes: K, the channels of the logits.
        channels: of the first level; they double from level to level.
    """

    def __init__(self, classes: int, channels: int = 16, levels: int = 4) -> None:
        super().__init__()
        widths = [channels << level for level in range(levels)]
        self.down = nn.ModuleList(map(_block, [3, *widths], widths))
        self.up = nn.ModuleList(
            _block(low + high, high)
            for low, high in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(channels, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits float[N, K, H, W] of images float[N, 3, H, W]."""
        skips: list[Tensor] = []
        features = images
        for level, block in enumerate(self.down):
            if level:
                features = functional.max_pool2d(features, 2, ceil_mode=True)
            features = block(features)
            skips.append(features)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            features = functional.interpolate(features, size=skip.shape[-2:], mode="nearest")
            features = block(torch.cat([skip, features], 1))
        return self.head(features)


def scheme_of(text: str) -> str:
    """A registered scheme, `power:ALPHA` or the PyTorch form of equal cost; of crops, `@crops`.

    Raises:
        argparse.ArgumentTypeError: another text.
    """
    name, colon, alpha = text.removesuffix(ON_CROPS).partition(":")
    if text.removesuffix(ON_CROPS) in (*SCHEMES, TORCH_FORM) or (
        name == "power" and colon and _is_power(alpha)
    ):
        return text
    known = ", ".join((*SCHEMES, TORCH_FORM))
    raise argparse.ArgumentTypeError(f"{text!r} is none of {known}, power:0.75")


def _is_power(text: str) -> bool:
    try:
        return 0 <= float(text) < float("inf")
    except ValueError:
        return False


def class_weights(scan: Scan, scheme: str, batch_size: int) -> WeightTable:
    """Weights of what `scheme_of` knows, of a mean pixel weight of 1.

    Args:
        scan: of the masks, or what training sees of them.
    """
    if scheme == TORCH_FORM:
        return scan.weights(
            "equal-cost",
            average="batch",
            batch_size=batch_size,
            drop_last=True,  # as `batches` does
            normalize="pixel",
        )
    name, _, alpha = scheme.partition(":")
    parameters = {"alpha": float(alpha)} if alpha else {}
    return scan.weights(name, parameters=parameters, normalize="pixel")


def prices(table: WeightTable) -> dict[str, float]:
    """What is known of weights before training (docs/recommending.md): how far apart the costs of
    constant predictors are, the effective share of the pixels, and how far apart the classes'
    shares of the loss are."""
    occurs = table.frequency > 0
    found = prices_of(table.frequency[occurs], table.weights[occurs])
    return dict(zip(PRICES, found, strict=True))


def build_loss(name: str, table: WeightTable) -> nn.Module:
    """A loss of LOSSES with these weights, averaged the way they are for.

    Complement objective training starts every batch with cross entropy.
    """
    reduction = "mean" if table.reduction == "linear" else "weighted-mean"
    weight = mst.load_weights(table, reduction=reduction)
    options = {"weight": weight, "ignore_index": VOID, "reduction": reduction}
    if name == "focal":
        return mst.Focal(gamma=2.0, **options)
    if name == "complement-cross-entropy":
        return mst.ComplementCrossEntropy(gamma=-1.0, **options)
    if name == "logit-adjusted":
        return mst.LogitAdjusted(prior=table.frequency, tau=1.0, **options)
    return mst.CrossEntropy(**options)


def prepare(images: Tensor) -> Tensor:
    """uint8 images as the network's input, about zero mean and unit variance."""
    scaled = images.float().div(255).sub(0.45).div(0.25)
    return scaled.contiguous(memory_format=torch.channels_last)


def batches(
    split: Split,
    batch_size: int,
    epochs: int,
    generator: torch.Generator,
    crop: int = 0,
    rare: CropSampler | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffled batches of every epoch, each image flipped left to right or not; the rest is left
    out, since equal-cost weights of the PyTorch form are for batches of one size.

    Args:
        split: of N masks.
        crop: side of a crop of every mask, 0 for the whole.
        rare: draws the crops, of masks at their size on disk; without, each mask is cropped
            anywhere.
    """
    count, height, width = split.labels.shape
    whole = count // batch_size * batch_size
    for epoch in range(epochs):
        if rare is None:
            order = torch.randperm(count, generator=generator)[:whole]
            sides = (height - crop + 1, width - crop + 1) if crop else (1, 1)
            places = [torch.randint(side, (whole,), generator=generator) for side in sides if crop]
        else:
            drawn = rare.draw(epoch, 0, whole)
            order = torch.from_numpy(drawn.items)
            ends = (drawn.tops, height), (drawn.lefts, width)
            # A pixel of a reduced mask is the centre of its block: floor keeps it in the crop.
            places = [
                torch.from_numpy(np.minimum(starts // split.factor, side - crop))
                for starts, side in ends
            ]
        for first in range(0, whole, batch_size):
            chosen = order[first : first + batch_size]
            flipped = torch.rand(len(chosen), generator=generator) < 0.5
            images, labels = split.images[chosen], split.labels[chosen]
            if crop:
                corners = [place[first : first + batch_size].tolist() for place in places]
                windows = [
                    (..., slice(top, top + crop), slice(left, left + crop))
                    for top, left in zip(*corners, strict=True)
                ]
                images, labels = (
                    torch.stack([one[window] for one, window in zip(some, windows, strict=True)])
                    for some in (images, labels)
                )
            images[flipped] = images[flipped].flip(-1)
            labels[flipped] = labels[flipped].flip(-1)
            yield prepare(images), labels.long()


def train(
    split: Split,
    scan: Scan,
    scheme: str,
    loss: str,
    seed: int,
    settings: Settings,
    device: str = "cpu",
    draws: str = ANYWHERE,
) -> tuple[UNet, WeightTable, float]:
    """The model after the last epoch, the weights it was trained with, and the last epoch's loss.

    Args:
        scan: of the split's masks.
        draws: where crops are, if training sees crops: "anywhere", or "rare" by DAFormer's law.

    Complement objective training takes both of its steps with one AdamW: two would each scale
    their own gradients to the same length, and the factor 1 / (K - 1) between the objectives,
    which plain SGD respects, would be lost.

    Raises:
        SystemExit: the loss stopped being finite.
    """
    seen, rare = scan, None
    if draws == RARE:
        index = scan.class_index()
        items = [index.names.index(name) for name in split.names]
        rare = CropSampler(index, settings.crop * split.factor, RARE, items=items, seed=seed)
    if scheme.endswith(ON_CROPS):
        seen = scan.exposure(
            crop=settings.crop * split.factor,
            draw=None if rare is None else rare.draws,
            batch_size=settings.batch_size,
            drop_last=True,
        )
    table = class_weights(seen, scheme.removesuffix(ON_CROPS), settings.batch_size)
    objective = build_loss(loss, table).to(device)
    torch.manual_seed(seed)
    model = UNet(len(table), settings.channels).to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    steps = len(split.images) // settings.batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=steps * settings.epochs
    )
    two_steps = mst.ComplementObjectiveTraining(
        optimiser,
        optimiser,
        primary=objective,
        weight=objective.weight,
        ignore_index=VOID,
        reduction=objective.reduction,
    )
    generator = torch.Generator().manual_seed(seed)
    total = 0.0
    stream = batches(split, settings.batch_size, settings.epochs, generator, settings.crop, rare)

    def forward(images: Tensor) -> Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=settings.bfloat16):
            return model(images)

    for number, batch in enumerate(stream):
        images, labels = (tensor.to(device) for tensor in batch)
        if loss == COMPLEMENT_OBJECTIVE:
            value = two_steps.step(partial(forward, images), labels).primary
        else:
            value = objective(forward(images), labels)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
        schedule.step()
        if not torch.isfinite(value):
            sys.exit(f"{scheme} + {loss}, seed {seed}: the loss is {value.item()} at step {number}")
        if number >= steps * (settings.epochs - 1):
            total += value.item()
    return model, table, total / steps


@torch.inference_mode()
def predict(model: UNet, images: Tensor, batch_size: int = 16) -> Tensor:
    """Logits float32[N, K, height, width] of all images of a split."""
    model.eval()
    device = next(model.parameters()).device
    parts = [model(prepare(some).to(device)) for some in images.split(batch_size)]
    return torch.cat([part.cpu().contiguous() for part in parts])


def versions(
    logits: Tensor, scheme: str, loss: str, table: WeightTable
) -> Iterator[tuple[str, Tensor]]:
    """The logits as they are, and corrected where the optimum of the loss is not the posterior.

    - "as trained": what the model says.
    - "weights undone": the posterior p(c|x). Weighted cross entropy is minimised by w_c p(c|x),
      a logit-adjusted model's logits by p(c|x) / prior_c; dividing by that leaves p(c|x).
    - "shifted": of the plain model, p(c|x) / prior_c: what weights 1/n_c would aim at, had without
      training again (Menon et al. 2021, section 4.1).
    """
    yield "as trained", logits
    distortion = table.weights / (table.frequency if loss == "logit-adjusted" else 1.0)
    if np.ptp(distortion) > 0:
        yield "weights undone", torch.from_numpy(unweight_logits(logits, distortion, axis=1))
    elif loss == PLAIN:
        yield "shifted", torch.from_numpy(unweight_logits(logits, table.frequency, axis=1))


def evaluate(logits: Tensor, labels: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Measures over all labelled pixels of a split, taken together, not image by image.

    Args:
        logits: float[N, K, height, width].
        labels: integers[N, height, width], 11 where void.
        names: K class names.

    Returns:
        mean_iou, balanced_accuracy, pixel_accuracy; calibration_error (of the predicted class, 15
        bins); log_loss, the mean of -ln p(true class) in nats; share_error, half the sum over
        classes of |mean probability - frequency|; and iou_, recall_, frequency_ and probability_
        of every class, the last one its mean probability.
    """
    logs = logits.log_softmax(1)
    labelled = labels != VOID
    truth = labels[labelled].long()
    at_labelled = logs.movedim(1, -1)[labelled]
    matrix = ConfusionMatrix.of(truth.numpy(), at_labelled.argmax(1).numpy(), len(names))
    probabilities = at_labelled.double().exp()
    confidences = ConfidenceHistogram.of(probabilities.numpy(), truth.numpy())
    mean = probabilities.mean(0).numpy()
    frequency = matrix.support / matrix.support.sum()
    per_class = {
        "iou": matrix.iou,
        "recall": matrix.recall,
        "frequency": frequency,
        "probability": mean,
    }
    return {
        "mean_iou": matrix.mean_iou,
        "balanced_accuracy": matrix.balanced_accuracy,
        "pixel_accuracy": matrix.accuracy,
        "calibration_error": confidences.expected_calibration_error(),
        "log_loss": functional.nll_loss(at_labelled.double(), truth).item(),
        "share_error": float(np.abs(mean - frequency).sum() / 2),
        **{
            f"{measure}_{name}": value
            for measure, values in per_class.items()
            for name, value in zip(names, values.tolist(), strict=True)
        },
    }


def finished(path: Path, columns: Sequence[str], settings: Settings) -> set[tuple[str, ...]]:
    """(scheme, loss, draws, seed) of the runs that the CSV has under these settings.

    Raises:
        SystemExit: the file has other columns, so it is no result of this program.
    """
    if not path.exists():
        return set()
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
        if reader.fieldnames != list(columns):
            sys.exit(f"{path} has other columns than these runs; name another --csv")
    same = {name: str(value) for name, value in asdict(settings).items()}
    return {
        (row["scheme"], row["loss"], row["draws"], row["seed"])
        for row in rows
        if all(row[name] == value for name, value in same.items())
    }


def append(path: Path, columns: Sequence[str], rows: Sequence[dict[str, object]]) -> None:
    """Add the rows of one run in one write, so that an interruption leaves no half run."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if not path.exists():
        writer.writeheader()
    writer.writerows(rows)
    with path.open("a", newline="", encoding="utf-8") as file:
        file.write(text.getvalue())


def compare(
    data: Path,
    path: Path,
    kinds: Sequence[tuple[str, str, str]],
    seeds: Sequence[int],
    settings: Settings,
    models: Path | None = None,
    device: str = "cpu",
) -> int:
    """Train and evaluate every (scheme, loss, draws) with every seed; the number of new runs.

    Runs go seed by seed, so whenever it stops, as many configurations as possible have the same
    seeds. The columns of the CSV are what a run is, its settings, and what `evaluate` measures.
    """
    globs = masks_of(data, settings)
    with maskstat.scan(data, classes=CATALOG, include=globs[0]) as scan:
        names = scan.catalog.names
        measures = evaluate(torch.zeros(1, len(names), 1, 1), torch.full((1, 1, 1), 0), names)
        columns = ["scheme", "loss", "draws", "seed", "logits"]
        columns += [*asdict(settings), "train_loss", *PRICES, *measures]
        done = finished(path, columns, settings)
        runs = [(*kind, seed) for seed in seeds for kind in kinds]
        todo = [run for run in runs if tuple(map(str, run)) not in done]
        if not todo:
            return 0
        trained, evaluated = (load_split(data, some, settings) for some in globs)
        for scheme, loss, draws, seed in todo:
            begun = time.monotonic()
            model, table, last = train(trained, scan, scheme, loss, seed, settings, device, draws)
            if models is not None:
                models.mkdir(parents=True, exist_ok=True)
                torch.save(model.state_dict(), models / f"{scheme}_{loss}_{seed}.pt")
            rows: list[dict[str, object]] = []
            predicted = predict(model, evaluated.images)
            for version, logits in versions(predicted, scheme, loss, table):
                found = evaluate(logits, evaluated.labels, names)
                rows.append(
                    {"scheme": scheme, "loss": loss, "draws": draws, "seed": seed}
                    | {"logits": version}
                    | asdict(settings)
                    | {
                        key: f"{value:.6f}"
                        for key, value in ({"train_loss": last} | prices(table) | found).items()
                    }
                )
            append(path, columns, rows)
            print(
                f"{' + '.join(filter(None, (scheme, loss, draws)))}, seed {seed}:"
                f" mean IoU {rows[0]['mean_iou']},"
                f" calibration error {rows[0]['calibration_error']},"
                f" {time.monotonic() - begun:.0f} s",
                flush=True,
            )
        return len(todo)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see the module's first lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder with train and val")
    parser.add_argument("--csv", type=Path, required=True, help="results; what it has is skipped")
    parser.add_argument("--schemes", nargs="+", type=scheme_of, metavar="SCHEME")
    parser.add_argument("--losses", nargs="+", choices=LOSSES, metavar="LOSS")
    parser.add_argument("--draws", nargs="+", choices=(ANYWHERE, RARE), help="where crops are")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--device", default="cpu", help="cpu or cuda; cpu repeats to the bit")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch; results depend on it")
    parser.add_argument("--models", type=Path, help="folder to keep the trained models in")
    for option in fields(Settings):
        flag = "--" + option.name.replace("_", "-")
        if option.type == "bool":
            parser.add_argument(flag, action="store_true", default=option.default)
        else:
            parser.add_argument(flag, type=type(option.default), default=option.default)
    given = parser.parse_args(arguments)
    settings = Settings(**{field.name: getattr(given, field.name) for field in fields(Settings)})
    if bool(given.draws) != bool(settings.crop):
        parser.error("--crop says how large crops are, and --draws where: give both or none")
    pairs: Sequence[tuple[str, str]] = EVIDENCE
    if given.schemes or given.losses:
        pairs = [(s, k) for s in given.schemes or [UNWEIGHTED] for k in given.losses or [PLAIN]]
    kinds = [(*pair, draws) for draws in given.draws or [""] for pair in pairs]
    torch.set_num_threads(given.threads)
    torch.use_deterministic_algorithms(True, warn_only=given.device != "cpu")
    try:
        count = compare(
            given.data, given.csv, kinds, given.seeds, settings, given.models, given.device
        )
    except maskstat.MaskstatError as error:
        sys.exit(f"camvid: {error}")
    print(f"{count} runs added to {given.csv}" if count else f"{given.csv} has all of them")


if __name__ == "__main__":
    main()
