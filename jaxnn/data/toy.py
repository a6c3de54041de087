"""Toy classification problems in the plane, drawn with NumPy.

Each function returns `size` points, `(inputs float32[size, 2], labels int32[size])`. The labels cycle (0, 1, ..., 0,
1, ...), so the class counts differ by at most one. Without noise every point lies in the square [-1, 1] x [-1, 1]. The
same arguments give the same points.

Source: circle, xor, gauss and their names follow the TensorFlow Playground, https://playground.tensorflow.org;
spiral the case study of CS231n, https://cs231n.github.io/neural-networks-case-study/; moons scikit-learn's make_moons.
"""

import math
import numbers

import numpy as np

__all__ = ["circle", "gauss", "moons", "spiral", "xor"]

Points = tuple[np.ndarray, np.ndarray]


def circle(size: int = 500, *, noise: float = 0.05, seed: int = 0) -> Points:
    """A disc of radius 0.5 (class 0) inside a ring of radii 0.7 to 1 (class 1), uniform over their areas.

    Args:
        size: Number of points over both classes, at least 2.
        noise: Standard deviation of the normal noise added to each coordinate.
        seed: Whole number, at least 0.

    Returns:
        inputs float32[size, 2] and labels int32[size].

    Raises:
        TypeError, ValueError: An argument has the wrong type or is out of range.

    Example:
        >>> inputs, labels = toy.circle(100, noise=0.0)
        >>> radius = np.linalg.norm(inputs, axis=1)
        >>> bool((radius[labels == 0] <= 0.5).all()), bool((radius[labels == 1] >= 0.7).all())
        (True, True)
    """
    labels, generator = _start(size, noise, seed, classes=2)
    inner, outer = np.array([0.0, 0.7])[labels], np.array([0.5, 1.0])[labels]
    radius = np.sqrt(generator.uniform(inner**2, outer**2))  # uniform over the area, not over the radius
    points = _polar(radius, generator.uniform(0, 2 * math.pi, size))
    return _finish(points + noise * generator.standard_normal((size, 2)), labels)


def spiral(size: int = 500, *, noise: float = 0.2, seed: int = 0, classes: int = 3) -> Points:
    """Interleaved spiral arms, one per class: point i of the n in arm c has radius r = i/n and angle 2 pi c/C + 4 r.

    Args:
        size: Number of points over all classes, at least one per class.
        noise: Standard deviation of the normal noise added to the angle, in radians (CS231n uses 0.2).
        seed: Whole number, at least 0.
        classes: Number of arms C, at least 2.

    Returns:
        inputs float32[size, 2] and labels int32[size].

    Raises:
        TypeError, ValueError: An argument has the wrong type or is out of range.

    Example:
        >>> inputs, labels = toy.spiral(300, classes=3)
        >>> inputs.shape, np.bincount(labels).tolist()
        ((300, 2), [100, 100, 100])
    """
    labels, generator = _start(size, noise, seed, classes)
    place = np.arange(size) // classes + 1  # 1 .. n within the arm: no arm starts at the common centre
    radius = place / np.bincount(labels)[labels]
    angle = 2 * math.pi * labels / classes + 4 * radius + noise * generator.standard_normal(size)
    return _finish(_polar(radius, angle), labels)


def moons(size: int = 500, *, noise: float = 0.1, seed: int = 0) -> Points:
    """Two interleaving half circles of radius 2/3, the upper one class 0.

    With t uniform in [0, pi]: (cos t, sin t) and (1 - cos t, 1/2 - sin t), shifted by (-1/2, -1/4) to the centre and
    scaled by 2/3 to fit the square.

    Args, Raises: as `circle`.

    Returns:
        inputs float32[size, 2] and labels int32[size].

    Example:
        >>> inputs, labels = toy.moons(200, noise=0.1, seed=3)
        >>> inputs.shape, np.bincount(labels).tolist()
        ((200, 2), [100, 100])
    """
    labels, generator = _start(size, noise, seed, classes=2)
    upper = _polar(np.ones(size), generator.uniform(0, math.pi, size))
    points = np.where(labels[:, None] == 0, upper, [1.0, 0.5] - upper)
    points = (points - [0.5, 0.25]) / 1.5
    return _finish(points + noise * generator.standard_normal((size, 2)), labels)


def xor(size: int = 500, *, noise: float = 0.0, seed: int = 0) -> Points:
    """Four quadrants: class 0 where the signs of the coordinates agree, class 1 where they differ.

    Without noise the absolute coordinates are uniform in [0.05, 1], so a gap of 0.1 separates the classes.

    Args, Raises: as `circle`.

    Returns:
        inputs float32[size, 2] and labels int32[size].

    Example:
        >>> inputs, labels = toy.xor(100)
        >>> bool(((inputs.prod(axis=1) < 0) == labels).all())
        True
    """
    labels, generator = _start(size, noise, seed, classes=2)
    first = generator.choice([-1.0, 1.0], size)
    signs = np.stack([first, np.where(labels == 0, first, -first)], axis=1)
    points = signs * generator.uniform(0.05, 1.0, (size, 2))
    return _finish(points + noise * generator.standard_normal((size, 2)), labels)


def gauss(size: int = 500, *, noise: float = 0.2, seed: int = 0, classes: int = 2) -> Points:
    """Round normal clouds, one per class, centred at equal angles on a circle of radius 0.6; class 0 at 45 degrees.

    Args, Raises: as `spiral`; here `noise` is the standard deviation of each cloud along each coordinate.

    Returns:
        inputs float32[size, 2] and labels int32[size].

    Example:
        >>> inputs, labels = toy.gauss(400, noise=0.1, classes=4)
        >>> print(inputs[labels == 0].mean(axis=0).round(1))  # 0.6 from the centre, at 45 degrees
        [0.4 0.4]
    """
    labels, generator = _start(size, noise, seed, classes)
    centres = _polar(np.full(size, 0.6), math.pi / 4 + 2 * math.pi * labels / classes)
    return _finish(centres + noise * generator.standard_normal((size, 2)), labels)


def _start(size: int, noise: float, seed: int, classes: int) -> tuple[np.ndarray, np.random.Generator]:
    """Checks the arguments that all sets have in common; the labels and the generator."""
    for name, value in (("size", size), ("seed", seed), ("classes", classes)):
        if not isinstance(value, numbers.Integral) or isinstance(value, bool):
            raise TypeError(f"{name} must be a whole number, got {value!r}")
    if not isinstance(noise, numbers.Real) or isinstance(noise, bool):
        raise TypeError(f"noise must be a number, got {noise!r}")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    if classes < 2:
        raise ValueError(f"classes must be at least 2, got {classes}")
    if size < classes:
        raise ValueError(f"size must be at least one point for each of the {classes} classes, got {size}")
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise is a standard deviation and must be finite and at least 0, got {noise}")
    return np.arange(size) % classes, np.random.default_rng(seed)


def _polar(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _finish(points: np.ndarray, labels: np.ndarray) -> Points:
    return points.astype(np.float32), labels.astype(np.int32)
