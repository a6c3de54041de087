"""What flows through a fully connected network: hidden values layer by layer, and the neurons that are dead."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

from jaxnn import layers
from jaxnn.models import Activation


def hidden_layers(
    params: Sequence[layers.Weights], x: Array, activation: Activation
) -> tuple[list[Array], list[Array]]:
    """The hidden layers of a network of `models.mlp`, in evaluation mode.

    Formula: `z_i = W_i h_(i-1) + b_i`, `h_i = activation(z_i)`, `h_0 = x`.

    Args:
        params: one `{"w", "b"}` for each layer, the output layer last.
        x: f32[B, in], examples laid out flat.
        activation: the elementwise function of the hidden layers.

    Returns:
        Two lists with an entry f32[B, n_i] for each hidden layer: before and after the activation.

    Raises:
        ValueError: the shapes do not fit together.
    """
    before, after = [], []
    for layer in params[:-1]:
        before.append(layers.linear(layer, x))
        x = activation(before[-1])
        after.append(x)
    return before, after


def spread(values: Sequence[Array]) -> Array:
    """The standard deviation of all values of each layer, over examples and neurons.

    Args:
        values: f32[B, n_i] for each layer.

    Returns:
        f32[layers].
    """
    return jnp.stack([jnp.std(layer) for layer in values])


def dead_share(before: Sequence[Array], activation: Activation) -> Array:
    """The share of neurons of each layer that no example can change: the activation is flat at all of them.

    Formula: `activation'(z) = 0` for every example; for ReLU, `z <= 0` for every example.

    Args:
        before: f32[B, n_i] for each hidden layer, before the activation; see `hidden_layers`.
        activation: the elementwise function.

    Returns:
        f32[layers], each 0 to 1. It depends on the examples: take all of the training split.
    """
    slope = jax.vmap(jax.vmap(jax.grad(lambda z: activation(z))))
    return jnp.stack([(slope(z) == 0).all(0).astype(jnp.float32).mean() for z in before])


def distinct_neurons(weights: Array) -> Array:
    """How many neurons of a layer differ from all others before them in their incoming weights.

    Args:
        weights: f32[out, in], `W` of one layer.

    Returns:
        i32[]: 1 where all are equal, as they stay after an initialization that does not break symmetry.
    """
    equal = (weights[:, None] == weights[None]).all(-1)
    earlier = jnp.tril(jnp.ones(equal.shape, bool), -1)
    return (~(equal & earlier).any(1)).sum(dtype=jnp.int32)
