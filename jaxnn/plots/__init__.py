"""Figures: arrays in, a `matplotlib.figure.Figure` out. Nothing is shown, and no global state is kept or changed.

Colors are those of Okabe & Ito (2008), which stay apart for color-blind readers. Figures are laid out to be read at
1000 pixels across, the width at which `save` writes them.

Examples start from:
    >>> from jaxnn import plots
    >>> from jaxnn.data import load
"""

from jaxnn.plots.curves import learning_curves
from jaxnn.plots.grids import heat_map, spread_line
from jaxnn.plots.images import confusion, mistakes, templates
from jaxnn.plots.style import save

__all__ = ["confusion", "heat_map", "learning_curves", "mistakes", "save", "spread_line", "templates"]
