"""Figures: arrays in, a `matplotlib.figure.Figure` out. Nothing is shown, and no global state is kept or changed.

The names listed here are the general ones; the modules hold more. Arguments are array-like, their shapes written as
f[N, C] (numbers) or int[N]; wrong shapes raise a `ValueError` that names the expected ones. Colors are those of Okabe
& Ito (2008), which color-blind readers can distinguish. Figures are laid out for a width of 1000 pixels, at which
`save` writes them.

Examples start from:
    >>> from jaxnn import plots
    >>> from jaxnn.data import load
"""

from jaxnn.plots.graphs import graph
from jaxnn.plots.grids import confusion, heat_map
from jaxnn.plots.images import attribution, image_table, mistakes, overlay, templates
from jaxnn.plots.lines import curves, learning_curves, spread_line
from jaxnn.plots.networks import network
from jaxnn.plots.studies import Panel, bands, study
from jaxnn.plots.style import save
from jaxnn.plots.surfaces import loss_surface

__all__ = [
    "Panel",
    "attribution",
    "bands",
    "confusion",
    "curves",
    "graph",
    "heat_map",
    "image_table",
    "learning_curves",
    "loss_surface",
    "mistakes",
    "network",
    "overlay",
    "save",
    "spread_line",
    "study",
    "templates",
]
