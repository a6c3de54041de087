"""What dropout does to the values of a layer."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from jaxnn.plots.style import STYLE, new_figure

__all__ = ["dropout_masks"]


@matplotlib.rc_context(STYLE)
def dropout_masks(before: ArrayLike, after: ArrayLike, rate: float) -> Figure:
    """The values of a layer for some examples, which of them were kept, and what is passed on.

    Args:
        before: f[N, H], rows examples, columns neurons.
        after: f[N, H], the same after dropout.
        rate: the share that was to be dropped, for the title.

    Returns:
        A figure.

    Raises:
        ValueError: the shapes are not one [N, H].

    Example:
        >>> from jaxnn.plots.masks import dropout_masks
        >>> before = jnp.ones((4, 16))
        >>> figure = dropout_masks(before, layers.dropout(jax.random.key(0), before, 0.5), rate=0.5)
        >>> len(figure.axes) > 2
        True
    """
    values, passed = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if values.ndim != 2 or values.shape != passed.shape:
        raise ValueError(f"dropout_masks: expected two of one shape [N, H], got {values.shape} and {passed.shape}")
    high = float(max(np.abs(values).max(), np.abs(passed).max())) or 1.0
    dropped = (passed == 0) & (values != 0)
    silent = values == 0
    share = 100 * dropped.sum() / max(1, (~silent).sum())
    low, colors = (0.0, "Oranges") if min(values.min(), passed.min()) >= 0 else (-high, "PuOr_r")
    figure = new_figure(f"Dropout at rate {rate:g}: every example gets another sub-network", 6.4)
    places = figure.subplots(3, 1, sharex=True)
    captions = (
        "before: the hidden layer's values (the palest is 0)",
        f"the mask: gray is dropped, {share:.0f} % of the values that are not 0; white is kept; beige is 0 in any case",
        f"after: what is kept is {1 / (1 - rate):.3g} times as large",
    )
    pictures = (values, np.where(silent, np.nan, dropped * 0.5), passed)
    for axes, picture, caption in zip(places, pictures, captions, strict=True):
        axes.grid(False)
        if axes is places[1]:
            axes.imshow(picture, cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
            axes.set_facecolor("#F4EBD9")
        else:
            image = axes.imshow(picture, cmap=colors, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
            figure.colorbar(image, ax=axes, label="value", pad=0.01)
        axes.set_title(caption)
        axes.set_ylabel("example")
    places[-1].set_xlabel("neuron")
    return figure
