"""A convolutional network for small images, written in Flax Linen; channels last.

Each stage is a convolution of 3 x 3 pixels with batch normalization, and takes the largest of every 2 x 2 places; then
the mean over all places, dropout, and one score for each class. With `residual` the first stage keeps all places, and
every other one from there on is followed by two convolutions whose result is added to what they were given.

Source: Simonyan & Zisserman 2015, "Very deep convolutional networks"; Ioffe & Szegedy 2015, "Batch normalization"; He
et al. 2016, "Deep residual learning"; with `residual`, the ResNet-9 of David Page's "How to train your ResNet" (2018).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flax import linen
from jax import Array
from jax.typing import ArrayLike

from jaxnn import layers


class Block(linen.Module):
    """A convolution of 3 x 3 pixels, batch normalization and the activation."""

    channels: int
    activation: Callable[[Array], Array]

    @linen.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """From f32[B, H, W, C] to f32[B, H, W, channels]; `train` takes the moments of the batch."""
        kernel_init = linen.initializers.he_normal()
        x = linen.Conv(self.channels, (3, 3), use_bias=False, kernel_init=kernel_init)(x)
        return self.activation(linen.BatchNorm(use_running_average=not train, momentum=0.9)(x))


class CNN(linen.Module):
    """The network; images must have at least 2 ** stages pixels a side."""

    classes: int
    channels: Sequence[int]
    activation: Callable[[Array], Array] = linen.relu
    residual: bool = False
    dropout: ArrayLike = 0.0

    @linen.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """From images f32[B, H, W, C] to scores f32[B, classes]."""
        for stage, channels in enumerate(self.channels):
            x = Block(channels, self.activation)(x, train)
            if stage > 0 or not self.residual:
                x = linen.max_pool(x, (2, 2), (2, 2))
            if stage % 2 == 1 and self.residual:
                x += Block(channels, self.activation)(Block(channels, self.activation)(x, train), train)
        x = x.max((1, 2)) if self.residual else x.mean((1, 2))
        if train:
            x = layers.dropout(self.make_rng("dropout"), x, self.dropout)
        return linen.Dense(self.classes)(x)
