"""Augmentation: pure functions of `(key, images)`, small enough to run inside a compiled training step.

Images are `[B, H, W, C]`, `uint8` or float, and keep their dtype (only `mixup` returns float32). Every example gets its
own draw from the key; the same key gives the same images. Give each function its own key (`jax.random.split`), or their
draws are correlated. For other leading axes, `vmap` over keys.
"""

import functools
import operator
from typing import NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.scipy.ndimage import map_coordinates
from jax.typing import ArrayLike

__all__ = ["affine", "crop", "cutout", "flip", "mixup"]


class Mixed(NamedTuple):
    """`images` f32[B, H, W, C], the `partner` i32[B] of each, and the `weight` f32[] of the image itself."""

    images: Array
    partner: Array
    weight: Array


def affine(
    key: Array,
    images: ArrayLike,
    degrees: float = 10.0,
    zoom: float = 0.1,
    shear: float = 0.1,
    shift: float = 0.1,
) -> Array:
    """Rotate, scale, shear and shift each image a little, as handwriting varies.

    The pixel at p, relative to the center, takes the bilinear value of the image at
    M p + t with M = 1/s [[cos a, -sin a], [sin a, cos a]] [[1, 0], [k, 1]] for p = (y, x);
    beyond the border the edge pixels repeat. Each image draws its own angle a, scale s, shear k and shift t.

    Args:
        key: a JAX random key.
        images: uint8 or float `[B, H, W, C]`.
        degrees: a is uniform in [-degrees, degrees].
        zoom: log s is uniform in [-log(1 + zoom), log(1 + zoom)].
        shear: k is uniform in [-shear, shear].
        shift: t is uniform in [-shift, shift] times (H, W). Like the others at least 0 and finite; 0 switches it off.

    Returns:
        Images of the same shape and dtype; uint8 values are rounded.

    Raises:
        TypeError: images are neither uint8 nor float.
        ValueError: images are not `[B, H, W, C]`, or an amount is negative or not finite.

    Source: Simard, Steinkraus, Platt, "Best Practices for Convolutional Neural Networks" (2003), section 2.

    Example:
        >>> images = jnp.zeros((5, 8, 8, 1), jnp.uint8)
        >>> moved = jax.jit(augment.affine)(jax.random.key(0), images)
        >>> moved.shape, moved.dtype.name
        ((5, 8, 8, 1), 'uint8')
    """
    images = _checked(images)
    for name, amount in {"degrees": degrees, "zoom": zoom, "shear": shear, "shift": shift}.items():
        if not isinstance(amount, Tracer) and not 0 <= amount < np.inf:
            raise ValueError(f"{name} is {amount!r}, expected a finite number of at least 0")
    count, height, width, _ = images.shape
    most = jnp.stack([jnp.float32(a) for a in (jnp.deg2rad(degrees), jnp.log1p(zoom), shear, shift, shift)])
    drawn = jax.random.uniform(key, (5, count), jnp.float32, -1.0, 1.0) * most[:, None]
    angle, stretch, sheared, down, right = drawn[:, :, None, None]
    cos, sin = jnp.cos(angle) * jnp.exp(-stretch), jnp.sin(angle) * jnp.exp(-stretch)
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    y = jnp.arange(height, dtype=jnp.float32)[None, :, None] - middle_y
    x = jnp.arange(width, dtype=jnp.float32)[None, None] - middle_x + sheared * y
    rows = cos * y - sin * x + down * height + middle_y
    columns = sin * y + cos * x + right * width + middle_x

    def sample(channel: Array, rows: Array, columns: Array) -> Array:
        return map_coordinates(channel, [rows, columns], order=1, mode="nearest")

    over_channels = jax.vmap(sample, (2, None, None), 2)
    moved = jax.vmap(over_channels)(images.astype(jnp.float32), rows, columns)
    return (jnp.round(moved) if images.dtype == jnp.uint8 else moved).astype(images.dtype)


def flip(key: Array, images: ArrayLike) -> Array:
    """Mirror each image left to right with probability 1/2.

    Unsuitable for digits or text, whose mirror images belong to another class or to none.

    Args:
        key: a JAX random key.
        images: uint8 or float `[B, H, W, C]`.

    Returns:
        Images of the same shape and dtype.

    Raises:
        TypeError: images are neither uint8 nor float.
        ValueError: images are not `[B, H, W, C]`.

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep CNNs" (2012), section 4.1.

    Example:
        >>> images = jnp.tile(jnp.arange(4, dtype=jnp.uint8)[None, None, :, None], (50, 1, 1, 1))
        >>> flipped = jax.jit(augment.flip)(jax.random.key(0), images)
        >>> print(np.unique(np.asarray(flipped)[:, 0, :, 0], axis=0))
        [[0 1 2 3]
         [3 2 1 0]]
    """
    images = _checked(images)
    mirrored = jax.random.bernoulli(key, 0.5, (len(images), 1, 1, 1))
    return jnp.where(jnp.broadcast_to(mirrored, images.shape), images[:, :, ::-1], images)


def crop(key: Array, images: ArrayLike, padding: int = 4) -> Array:
    """Shift each image at random: a window of the original size, cut from the image padded on every side.

    The offset is uniform over `(2 * padding + 1)^2` positions. The border is a reflection that does not repeat the edge
    (`a b c d` becomes `d c b a b c d`), so there is no artificial black frame for the classifier to see.

    Args:
        key: a JAX random key.
        images: uint8 or float `[B, H, W, C]`.
        padding: pixels added on every side, 0 (the images themselves) to min(H, W) - 1; static.

    Returns:
        Images of the same shape and dtype.

    Raises:
        TypeError: images are neither uint8 nor float, or padding is not an integer.
        ValueError: images are not `[B, H, W, C]`, or padding is out of range.

    Source: He et al., "Deep Residual Learning for Image Recognition" (2016), section 4.2 (they pad with zeros).

    Example:
        >>> images = jnp.zeros((5, 32, 32, 3), jnp.uint8)
        >>> moved = jax.jit(augment.crop)(jax.random.key(0), images)
        >>> moved.shape, moved.dtype.name
        ((5, 32, 32, 3), 'uint8')
    """
    images = _checked(images)
    count, height, width, channels = images.shape
    padding = _integer(padding, "padding")
    if not 0 <= padding < min(height, width):
        raise ValueError(
            f"padding is {padding}, expected 0 to {min(height, width) - 1}: "
            f"{height}x{width} pixels cannot be reflected further"
        )
    sides = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    padded = jnp.pad(images, sides, mode="reflect")
    offsets = jax.random.randint(key, (count, 2), 0, 2 * padding + 1)
    return _windows(padded, offsets, (height, width, channels))


def cutout(key: Array, images: ArrayLike, size: int = 8, fill: ArrayLike = 0) -> Array:
    """Hide a square of each image, around a center drawn uniformly from its pixels.

    As in the paper, the square may extend over the border, and it is filled with the mean of the training split. That
    is 0, the default, for standardized images as in the paper; otherwise pass the mean itself
    (`fit_moments(train).mean`), as 0 is black.

    Args:
        key: a JAX random key.
        images: uint8 or float `[B, H, W, C]`.
        size: side of the square in pixels, 1 to min(H, W); static. An even square extends one pixel further to the
            upper left of its center. The paper uses 16 for CIFAR-10 and 8 for CIFAR-100.
        fill: a number, `[C]` or `[H, W, C]`; for uint8 images it is rounded and clipped to 0..255.

    Returns:
        Images of the same shape and dtype.

    Raises:
        TypeError: images are neither uint8 nor float, or size is not an integer.
        ValueError: images are not `[B, H, W, C]`, size is out of range, or fill has another shape.

    Source: DeVries & Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout" (2017).

    Example:
        >>> images = jax.jit(augment.cutout)(jax.random.key(0), jnp.ones((4, 32, 32, 3)))
        >>> print((np.asarray(images) == 0).any((1, 2, 3)))
        [ True  True  True  True]
    """
    images = _checked(images)
    count, height, width, channels = images.shape
    size = _integer(size, "size")
    if not 1 <= size <= min(height, width):
        raise ValueError(f"size is {size}, expected 1 to {min(height, width)} for images of {height}x{width} pixels")
    fill = jnp.asarray(fill)
    if fill.shape not in ((), (channels,), (height, width, channels)):
        raise ValueError(
            f"fill has shape {fill.shape}, expected one number, ({channels},) or ({height}, {width}, {channels})"
        )
    if images.dtype == jnp.uint8:
        fill = jnp.clip(jnp.round(fill.astype(jnp.float32)), 0, 255)
    fill = jnp.broadcast_to(fill.astype(images.dtype), images.shape)
    row_key, column_key = jax.random.split(key)

    def covered(key: Array, length: int) -> Array:
        first = jax.random.randint(key, (count, 1), 0, length) - size // 2
        distance = jnp.broadcast_to(jnp.arange(length)[None], (count, length)) - first
        return (distance >= 0) & (distance < size)

    hidden = covered(row_key, height)[:, :, None, None] & covered(column_key, width)[:, None, :, None]
    return jnp.where(jnp.broadcast_to(hidden, images.shape), fill, images)


def mixup(key: Array, images: ArrayLike, alpha: ArrayLike = 0.2) -> Mixed:
    """Blend each image with another of its batch: weight * image + (1 - weight) * images[partner].

    weight ~ Beta(alpha, alpha), one per batch as in the authors' code; partner is a random permutation of the batch
    (an image may be its own partner). The loss is blended in the same way:
    weight * loss(scores, labels) + (1 - weight) * loss(scores, labels[partner]).

    Args:
        key: a JAX random key.
        images: uint8 or float `[B, H, W, C]`.
        alpha: above 0; small values keep mostly one image, 1 makes the weight uniform. May be traced.

    Returns:
        Mixed(images `f32[B, H, W, C]`, partner `i32[B]`, weight `f32[]`).

    Raises:
        TypeError: images are neither uint8 nor float.
        ValueError: images are not `[B, H, W, C]`; alpha is not one finite number above 0 (if it is not traced).

    Source: Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization" (2018).

    Example:
        >>> mixed = jax.eval_shape(augment.mixup, jax.random.key(0), jnp.zeros((5, 32, 32, 3), jnp.uint8))
        >>> mixed.images.shape, mixed.images.dtype.name, mixed.partner.shape, mixed.weight.shape
        ((5, 32, 32, 3), 'float32', (5,), ())
    """
    images = _checked(images).astype(jnp.float32)
    if not isinstance(alpha, Tracer) and not (np.ndim(alpha) == 0 and 0 < np.asarray(alpha).item() < np.inf):
        raise ValueError(f"alpha is {alpha!r}, expected one finite number above 0; omit mixup for no mixing")
    alpha = jnp.asarray(alpha, jnp.float32)
    weight_key, partner_key = jax.random.split(key)
    weight = jax.random.beta(weight_key, alpha, alpha)
    partner = jax.random.permutation(partner_key, len(images)).astype(jnp.int32)
    return Mixed(weight * images + (1 - weight) * images[partner], partner, weight)


@functools.partial(jax.jit, static_argnums=2)
def _windows(padded: Array, offsets: Array, shape: tuple[int, int, int]) -> Array:
    def window(image_and_offset: tuple[Array, Array]) -> Array:
        image, (top, left) = image_and_offset
        return jax.lax.dynamic_slice(image, (top, left, jnp.zeros_like(top)), shape)

    # A loop of copies on a CPU, one gather elsewhere. [256, 32, 32, 3] uint8 on two cores: 0.6 ms, most of it padding;
    # the gather takes 0.8 ms alone, but 5.6 ms with flip after it, as XLA fuses the two into one loop over pixels.
    # A take of every pixel is 2.1 ms, one-hot matrix products 2.0 ms, a select among all shifts 1.0 ms.
    def loop(pair: tuple[Array, Array]) -> Array:
        return jax.lax.map(window, pair)

    return jax.lax.platform_dependent((padded, offsets), cpu=loop, default=jax.vmap(window))


def _checked(images: ArrayLike) -> Array:
    images = jnp.asarray(images)
    if images.dtype != jnp.uint8 and not jnp.issubdtype(images.dtype, jnp.floating):
        raise TypeError(f"images are {images.dtype}, expected uint8 or float; cast them with .astype first")
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(
            f"images have shape {images.shape}, expected [B, H, W, C] with no empty axis; "
            "add the missing axes with reshape, or vmap over keys and further leading axes"
        )
    return images


def _integer(value: SupportsIndex, name: str) -> int:
    if isinstance(value, bool):
        raise TypeError(f"{name} is {value}, expected an integer")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}, expected an integer that is known before tracing") from None
