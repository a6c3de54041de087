"""The model that the settings describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from jaxnn import initializers, layers, models

if TYPE_CHECKING:
    from experiments.classifier.config import Settings


def make_model(
    config: Settings,
    h: Mapping[str, Any],
    shape: Sequence[int],
    classes: int,
    dot: layers.Dot = layers.dot_general,
) -> models.Model | models.StatefulModel:
    """The model that the settings describe; missing hyper-parameters count as 0."""
    dropout, activation = h.get("dropout", 0.0), models.ACTIVATIONS[config.activation]
    if config.model in ("linear", "mlp"):
        hidden = config.hidden if config.model == "mlp" else ()
        model = models.mlp(
            shape,
            hidden,
            classes,
            activation=activation,
            init=initializers.INITIALIZERS[config.init],
            dropout=dropout,
            input_dropout=h.get("input_dropout", 0.0),
            normalize=config.normalize,
            normalize_inputs=config.normalize_inputs,
            width=[h["width"]] * len(hidden) if "width" in h else None,
            dot=dot,
        )
    else:
        from experiments.classifier.cnn import CNN  # Flax, which takes a while to load
        from jaxnn.interop.flax import linen_model

        large = config.model == "cnn-large"
        net = CNN(classes, config.hidden, 1 if large else 2, large, activation, dropout)
        model = linen_model(net, shape)
    return model if config.precision == "float32" else models.with_compute_dtype(model, jnp.bfloat16)
