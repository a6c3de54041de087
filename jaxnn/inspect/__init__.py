"""Inspect models, gradients and loss surfaces; every result is an array or a tuple of arrays.

Examples start from:
    >>> from jaxnn import inspect
"""

from jaxnn.inspect._attribution import Attribution, attribution
from jaxnn.inspect._compiled import Compiled, describe
from jaxnn.inspect._curvature import filter_direction, largest_rate, loss_plane, top_eigenvalues
from jaxnn.inspect._descent import Descent, Function, basins, descend, descend_many, local_minima, steps_to_reach
from jaxnn.inspect._devices import topology
from jaxnn.inspect._dropout_masks import sample_dropout_masks
from jaxnn.inspect._gradients import check_gradient, distinct_neurons, layer_outputs, layer_statistics
from jaxnn.inspect._graph import Node, computation_graph
from jaxnn.inspect._trajectory import trajectory

__all__ = [
    "Attribution",
    "Node",
    "attribution",
    "check_gradient",
    "computation_graph",
    "descend",
    "descend_many",
    "describe",
    "filter_direction",
    "largest_rate",
    "layer_outputs",
    "layer_statistics",
    "loss_plane",
    "sample_dropout_masks",
    "top_eigenvalues",
    "trajectory",
]
