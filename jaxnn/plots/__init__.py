"""Figures: arrays in, a `matplotlib.figure.Figure` out. Nothing is shown, and no global state is kept or changed.

Arguments are array-like, their shapes written as f[N, C] (numbers) or int[N]; wrong shapes raise a `ValueError` that
names the expected ones. Colors are those of Okabe & Ito (2008), which color-blind readers can distinguish. Figures are
laid out for a width of 1000 pixels, at which `save` writes them.

Examples start from:
    >>> from jaxnn import plots
    >>> from jaxnn.data import load
"""

from jaxnn.plots._dataset import class_counts, clouds, image_rows, pixel_values
from jaxnn.plots._descent import basin_map, descent_path, step_sizes
from jaxnn.plots._graphs import graph
from jaxnn.plots._grids import Matrix, confusion, equation, heat_map
from jaxnn.plots._images import attribution, image_table, mistakes, overlay, templates
from jaxnn.plots._lines import curves, learning_curves, spread_line
from jaxnn.plots._networks import Stage, network, pipeline
from jaxnn.plots._regions import Bent, Regions, bent_plane, decision_regions, plane
from jaxnn.plots._signals import activation_functions, dropout_masks, layer_histograms, margins, softmax_steps
from jaxnn.plots._studies import Panel, against_rate, bands, bars, progress, study
from jaxnn.plots._style import new_figure, save
from jaxnn.plots._surfaces import descent_surface, loss_surface, score_planes, valley

__all__ = [
    "Regions",
    "attribution",
    "confusion",
    "curves",
    "decision_regions",
    "graph",
    "heat_map",
    "learning_curves",
    "loss_surface",
    "mistakes",
    "network",
    "overlay",
    "plane",
    "save",
    "spread_line",
    "templates",
]
