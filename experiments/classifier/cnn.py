"""A convolutional network for small images, written in Flax Linen; channels last.

Squares of `patch` x `patch` pixels become one place. Each stage is two convolutions of 3 x 3 places with batch
normalization, and begins with the largest of every 2 x 2 places of the stage before it; with `residual` it is three,
and what the last two make is added to what the first has made. At the end stand the mean over all places, dropout and
one score for each class.

Source: Simonyan & Zisserman 2015, "Very deep convolutional networks"; Ioffe & Szegedy 2015, "Batch normalization"; He
et al. 2016, "Deep residual learning".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flax import linen
from jax import Array
from jax.typing import ArrayLike

from jaxnn import layers


class Block(linen.Module):
    """A convolution of 3 x 3 places, batch normalization and the activation."""

    channels: int
    activation: Callable[[Array], Array] = linen.relu

    @linen.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """From f32[B, H, W, C] to f32[B, H, W, channels]; `train` takes the moments of the batch."""
        x = linen.Conv(self.channels, (3, 3), use_bias=False, kernel_init=linen.initializers.he_normal())(x)
        return self.activation(linen.BatchNorm(use_running_average=not train, momentum=0.9)(x))


class CNN(linen.Module):
    """The network; an image must have at least `patch * 2 ** (stages - 1)` pixels a side."""

    classes: int
    channels: Sequence[int]
    """Of each stage."""
    patch: int = 1
    residual: bool = False
    activation: Callable[[Array], Array] = linen.relu
    dropout: ArrayLike = 0.0

    @linen.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """From images f32[B, H, W, C] to scores f32[B, classes]."""
        x = _squares(x, self.patch)
        x = x.reshape(*x.shape[:3], -1)
        for stage, channels in enumerate(self.channels):
            if stage > 0:  # max_pool, but for its gradient, which takes XLA several times as long on a CPU
                x = _squares(x, 2).max(3)
            x = Block(channels, self.activation)(x, train)
            made = Block(channels, self.activation)(x, train)
            x = x + Block(channels, self.activation)(made, train) if self.residual else made
        x = x.mean((1, 2))
        if train:
            x = layers.dropout(self.make_rng("dropout"), x, self.dropout)
        return linen.Dense(self.classes)(x)


def _squares(x: Array, side: int) -> Array:
    """From [B, H, W, C] to [B, H // side, W // side, side * side, C]; pixels left over at the border are dropped."""
    count, height, width, channels = x.shape
    high, wide = height // side, width // side
    x = x[:, : high * side, : wide * side].reshape(count, high, side, wide, side, channels)
    return x.swapaxes(2, 3).reshape(count, high, wide, side * side, channels)
