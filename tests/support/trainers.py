"""What docs/training.md and the code to paste use of other packages, to stand in for these."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn


class LightningModule(nn.Module):
    """What the page uses of lightning.LightningModule."""

    def log(self, name: str, value: object) -> None:
        """Keep it for the trainer."""
        self.logged: dict[str, object] = {**getattr(self, "logged", {}), name: value}


class Trainer:
    """What the page uses of lightning.Trainer."""

    def __init__(self, *, max_epochs: int, logger: bool, enable_checkpointing: bool) -> None:
        self.max_epochs = max_epochs
        self.callback_metrics: dict[str, object] = {}

    def fit(self, module: Any, train: Any, validation: Any) -> None:
        """The loop, as Lightning's documentation spells it out."""
        optimiser = module.configure_optimizers()
        for _ in range(self.max_epochs):
            for index, batch in enumerate(train):
                loss = module.training_step(batch, index)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            with torch.no_grad():
                for index, batch in enumerate(validation):
                    module.validation_step(batch, index)
        for name, value in module.logged.items():
            self.callback_metrics[name] = (
                value.compute() if hasattr(value, "compute") else value.detach()
            )


class StepTrainer:
    """What the page uses of transformers.Trainer; the other process has the same labels."""

    accelerator = SimpleNamespace(reduce=lambda tensor, reduction: 2 * tensor)

    def __init__(self, train_dataset: Any) -> None:
        self.train_dataset = train_dataset

    def get_batch_samples(self, batches: Any, number: int, device: str) -> tuple[Any, int]:
        """Its own number counts labels."""
        taken = [next(batches) for _ in range(number)]
        return taken, sum(int((batch["labels"] != -100).sum()) for batch in taken)


class Registry:
    """What the page uses of mmseg.registry.MODELS."""

    def __init__(self) -> None:
        self.classes: dict[str, type] = {}

    def register_module(self) -> Callable[[type], type]:
        """A decorator that keeps a class by its name."""

        def register(kind: type) -> type:
            self.classes[kind.__name__] = kind
            return kind

        return register

    def build(self, config: dict[str, Any]) -> Any:
        """An instance from its configuration."""
        return self.classes[config["type"]](**{k: v for k, v in config.items() if k != "type"})
