"""Complement objective training (Chen et al. 2019, arXiv 1903.01182): two steps a batch."""

from __future__ import annotations

from typing import Any

import keras

from maskstat.errors import ParameterError
from maskstat.keras.functional.elements import Tensor
from maskstat.keras.losses import ComplementEntropy, WeightedLoss


@keras.saving.register_keras_serializable(package="maskstat")
class ComplementObjectiveTraining(keras.Model):  # type: ignore[misc, unused-ignore]
    """A model whose training takes two optimiser steps a batch: loss down, then C / (K - 1) up.

        model = ComplementObjectiveTraining(network)
        model.compile("sgd", CrossEntropy(weights, ignore_index=255), complement_optimizer="sgd")
        model.fit(dataset)
        network.save("network.keras")

    Each step has its own forward pass: the second gradient belongs to the parameters that the first
    step made. So a batch costs about twice as much, dropout is drawn twice, and batch normalisation
    sees the batch twice (its running averages move twice as fast). `losses` that layers add
    (regularisation) belong to the first step.

    The two optimisers are separate, as in the paper's own code, so that momentum and second moments
    of the two objectives do not mix. Callbacks that change the learning rate see `optimizer` only;
    give `complement_optimizer` a `keras.optimizers.schedules` schedule. Under mixed_float16 each
    scales its own loss.

    `complement` in the logs is C / (K - 1) of a batch before its steps, and of validation data.

    TensorFlow and PyTorch only: Keras' JAX trainer carries the variables of one optimiser.
    `ComplementCrossEntropy`, the form with one step, runs on all backends.

    Args:
        network: a model of one output, logits [N, ..., K]; it is trained in place.
    """

    def __init__(self, network: Any, **options: Any):
        super().__init__(**options)
        self.network = network
        self.complement: ComplementEntropy | None = None
        self.complement_optimizer: Any = None
        self.complement_tracker = keras.metrics.Mean(name="complement")

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        *,
        complement_optimizer: Any = "rmsprop",
        complement: ComplementEntropy | None = None,
        **options: Any,
    ) -> None:
        """As `keras.Model.compile`, with what the second step needs.

        Args:
            optimizer: of the loss.
            loss: of the first step; mostly `CrossEntropy`.
            complement_optimizer: of the complement entropy; often with the same settings.
            complement: its weights, ignored label and reduction. Default: those of `loss`, where
                that is one of this package, and else none and "mean".

        Raises:
            ParameterError: the backend is JAX, the two optimisers are one object, or a reduction
                leaves more than one number.
        """
        if keras.config.backend() not in ("tensorflow", "torch"):
            raise ParameterError(
                "Keras' JAX trainer carries one optimiser, and this training takes two",
                remedy="use ComplementCrossEntropy, its form with one step",
            )
        if complement is None and isinstance(loss, WeightedLoss):
            config = loss.get_config()
            shared = {key: config[key] for key in ("weight", "ignore_index", "reduction")}
            complement = ComplementEntropy(**shared)
        self.complement = ComplementEntropy() if complement is None else complement
        if self.complement.reduction == "none":
            raise ParameterError('a step needs one number: reduction="none" gives many')
        super().compile(optimizer=optimizer, loss=loss, **options)
        second = keras.optimizers.get(complement_optimizer)
        if second is self.optimizer or second is optimizer:
            raise ParameterError(
                "both steps have the same optimiser, whose momentum would mix two objectives",
                remedy="pass complement_optimizer= another one",
            )
        scaling = keras.optimizers.LossScaleOptimizer
        if isinstance(self.optimizer, scaling) and not isinstance(second, scaling):
            second = scaling(second)
        self.complement_optimizer = second

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """The logits of the network."""
        return self.network(inputs, training=training)

    def train_step(self, data: Any) -> dict[str, Any]:
        """One batch: both steps."""
        logs = super().train_step(data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        step = self._ascend_torch if keras.config.backend() == "torch" else self._ascend_tensorflow
        step(x, y, sample_weight)
        return dict(logs)

    def compute_metrics(
        self, x: Tensor, y: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> dict[str, Any]:
        """All metrics, `complement` among them."""
        count = keras.ops.shape(y_pred)[0]
        complement = -self.falling(y, y_pred, sample_weight)
        self.complement_tracker.update_state(complement, sample_weight=count)
        return dict(super().compute_metrics(x, y, y_pred, sample_weight))

    def falling(self, y: Tensor, y_pred: Tensor, sample_weight: Tensor | None) -> Tensor:
        """What the second step minimises: -C / (K - 1)."""
        assert self.complement is not None
        return self.complement(y, y_pred, sample_weight) / (1 - y_pred.shape[-1])

    def _ascend_tensorflow(self, x: Tensor, y: Tensor, sample_weight: Tensor | None) -> None:
        import tensorflow

        with tensorflow.GradientTape() as tape:
            loss = self.falling(y, self(x, training=True), sample_weight)
            loss = self.complement_optimizer.scale_loss(loss)
        variables = self.trainable_variables
        gradients = tape.gradient(loss, variables)
        self.complement_optimizer.apply_gradients(zip(gradients, variables, strict=True))

    def _ascend_torch(self, x: Tensor, y: Tensor, sample_weight: Tensor | None) -> None:
        self.zero_grad()
        loss = self.falling(y, self(x, training=True), sample_weight)
        self.complement_optimizer.scale_loss(loss).backward()
        variables = self.trainable_variables
        self.complement_optimizer.apply([v.value.grad for v in variables], variables)

    # --- saving -------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Build the network."""
        if not self.network.built:
            self.network.build(input_shape)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """The network and Keras' own."""
        network = keras.saving.serialize_keras_object(self.network)
        return {"name": self.name, "dtype": self.dtype_policy.name, "network": network}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """What `get_config` described."""
        network = keras.saving.deserialize_keras_object(
            config["network"], custom_objects=custom_objects
        )
        return cls(**{**config, "network": network})

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile`."""
        config = super().get_compile_config()
        if not config:
            return None
        second = self.complement_optimizer
        if isinstance(second, keras.optimizers.LossScaleOptimizer):
            second = second.inner_optimizer
        return {
            **config,
            "complement": keras.saving.serialize_keras_object(self.complement),
            "complement_optimizer": keras.saving.serialize_keras_object(second),
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as `get_compile_config` described, with optimisers ready for their states."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            for optimizer in (self.optimizer, self.complement_optimizer):
                optimizer.build(self.trainable_variables)
