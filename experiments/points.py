"""The points that lessons learn by heart: few, and noisy."""

from __future__ import annotations

from experiments.lesson import Options
from jaxnn.data import load
from jaxnn.data.split import Split, take


def few_points(count: int, size: int, options: Options) -> tuple[Split, Split]:
    """Two interleaving half circles with much noise: a few points to train on, the others to test.

    Args:
        count: how many to train on.
        size: of the set from which they are drawn.
        options: of the lesson; the seed draws the points.

    Returns:
        The training and the test points.
    """
    points = load("moons", validation_share=0, size=size, noise=0.25, seed=options.seed).train
    return take(points, slice(count)), take(points, slice(count, None))
