"""Computational graphs with the value and the gradient of every node."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from jaxnn.plots._axes import bare_figure
from jaxnn.plots._style import BLUE, GRAY, STYLE, VERMILION, WIDTH

if TYPE_CHECKING:
    from jaxnn.inspect import Node

_BOX = (1.22, 0.66)  # inches


_GAP = (0.42, 0.24)  # along the computation, across it


_PLAIN = ("broadcast_in_dim", "convert_element_type", "stop_gradient", "copy", "reshape", "squeeze", "expand_dims")


class _Layout(NamedTuple):
    """The places of boxes and edges, in inches from the lower left."""

    size: tuple[float, float]
    centers: Mapping[int, tuple[float, float]]
    edges: Sequence[np.ndarray]
    """f[1 + 3k, 2] each: the start, then three points for each piece of a Bezier curve."""


@matplotlib.rc_context(STYLE)
def graph(nodes: Sequence[Node], title: str, *, skip: Sequence[str] = _PLAIN, downward: bool | None = None) -> Figure:
    """A computational graph with the value (blue) and the gradient (orange) of every node.

    Arrays are given by shape and l2 norm, constants inside the operation that takes them. The boxes are placed by
    Graphviz if its program `dot` is installed, else by depth.

    Args:
        nodes: of `jaxnn.inspect.computation_graph`.
        title: of the figure.
        skip: operations of one operand to leave out; by default those that change only the shape or type.
        downward: from top to bottom instead of left to right; by default if the graph is more than 9 nodes deep.

    Returns: a figure.

    Example:
        >>> from jaxnn.inspect import computation_graph
        >>> figure = plots.graph(computation_graph(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0), "f = (x + y) z")
        >>> figure.get_suptitle()
        'f = (x + y) z'
    """
    if not nodes:
        raise ValueError("graph: there are no nodes to draw")
    operands = _visible(nodes, skip)
    layers = _layers(operands)
    downward = max(layers.values()) > 8 if downward is None else downward
    layout = _graphviz(operands, downward) or _layered(operands, layers, downward)
    scale = min(1.15, (WIDTH - 0.2) / layout.size[0])
    height = 0.75 + layout.size[1] * scale
    figure = bare_figure(title, height)
    axes = figure.add_axes((0, 0.05 / height, 1, layout.size[1] * scale / height))
    spare = WIDTH / scale - layout.size[0]
    axes.set(xlim=(-spare / 2, layout.size[0] + spare / 2), ylim=(0, layout.size[1]))
    axes.set_axis_off()
    for points in layout.edges:
        path = Path(points, [Path.MOVETO] + [Path.CURVE4] * (len(points) - 1))
        axes.add_patch(FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=9, color=GRAY, linewidth=1))
    for i, center in layout.centers.items():
        _box(axes, nodes, i, center, scale, i == len(nodes) - 1)
    figure.text(0.01, 1 - 0.52 / height, "blue: value, forward", color=BLUE, fontsize=9)
    figure.text(0.16, 1 - 0.52 / height, "orange: gradient of the result, backward", color=VERMILION, fontsize=9)
    return figure


def _layered(operands: Mapping[int, Sequence[int]], layers: Mapping[int, int], downward: bool) -> _Layout:
    """Boxes in layers by depth, near their neighbors in the graph; long edges are led around boxes."""
    columns: list[list[Any]] = [[] for _ in range(max(layers.values()) + 1)]
    for i in operands:
        columns[layers[i]].append(i)
    near: dict[Any, list[Any]] = {i: [] for i in operands}
    chains: list[list[Any]] = []
    for head, tails in operands.items():
        for tail in dict.fromkeys(tails):
            chain = [tail, *((tail, head, c) for c in range(layers[tail] + 1, layers[head])), head]
            chains.append(chain)
            for a, b in itertools.pairwise(chain):
                near.setdefault(a, []).append(b)
                near.setdefault(b, []).append(a)
            for bend in chain[1:-1]:
                columns[bend[2]].append(bend)
    across = {i: float(k) for column in columns for k, i in enumerate(column)}
    for sweep in range(24):
        for column in columns if sweep % 2 == 0 else columns[::-1]:
            wanted = {i: float(np.mean([across[j] for j in near[i]])) if near[i] else across[i] for i in column}
            column.sort(key=lambda i, wanted=wanted: wanted[i])
            place = -np.inf
            for i in column:
                place = across[i] = max(wanted[i], place + (0.55 if isinstance(i, tuple) else 1.0))
            shift = float(np.mean([across[i] - wanted[i] for i in column]))
            across |= {i: across[i] - shift for i in column}
    low, high = min(across.values()), max(across.values())
    turned = _BOX if downward else _BOX[::-1]
    step, pitch = turned[1] + _GAP[0], turned[0] + _GAP[1]
    length, breadth = len(columns) * step - _GAP[0], (high - low) * pitch + turned[0]
    depth = {i: k for k, column in enumerate(columns) for i in column}

    def place_of(i: Any, towards: float = 0.0) -> tuple[float, float]:
        """The center of a node, or the middle of its side before (-1) or behind it (1)."""
        along = turned[1] / 2 + depth[i] * step + towards * turned[1] / 2
        side = turned[0] / 2 + (across[i] - low) * pitch
        return (side, length - along) if downward else (along, breadth - side)

    edges = []
    for chain in chains:
        points = [place_of(chain[0], 1)]
        for a, b in itertools.pairwise(chain):
            start, end = place_of(a, 1), place_of(b, -1)
            if isinstance(a, tuple):
                points += [points[-1], start, start]
            middle = (np.array(start) + np.array(end)) / 2
            if downward:
                points += [(start[0], middle[1]), (end[0], middle[1]), end]
            else:
                points += [(middle[0], start[1]), (middle[0], end[1]), end]
        edges.append(np.array(points))
    size = (breadth, length) if downward else (length, breadth)
    margin = 0.08
    return _Layout(
        (size[0] + 2 * margin, size[1] + 2 * margin),
        {i: (x + margin, y + margin) for i in operands for x, y in [place_of(i)]},
        [points + margin for points in edges],
    )


def _visible(nodes: Sequence[Node], skip: Sequence[str]) -> dict[int, list[int]]:
    """The nodes to draw with their operands among them: without constants and skipped operations."""
    source: dict[int, int | None] = {}
    for i, node in enumerate(nodes):
        last = i == len(nodes) - 1
        if not last and node.kind == "constant":
            source[i] = None
        elif not last and node.name in skip and len(node.operands) == 1:
            source[i] = source[node.operands[0]]
        elif not last and node.kind == "operation" and all(source[o] is None for o in node.operands):
            source[i] = None  # depends on constants alone
        else:
            source[i] = i
    return {
        i: [seen for o in nodes[i].operands if (seen := source[o]) is not None] for i, own in source.items() if own == i
    }


def _layers(operands: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """The depth of each node; inputs are placed right before the first node that takes them."""
    depth: dict[int, int] = {}
    for i, tails in operands.items():
        depth[i] = 1 + max((depth[t] for t in tails), default=-1)
    for i, tails in operands.items():
        if not tails:
            depth[i] = min((depth[j] for j, of in operands.items() if i in of), default=1) - 1
    return depth


def _graphviz(operands: Mapping[int, Sequence[int]], downward: bool) -> _Layout | None:
    """The layout by the program `dot`; None if it is not installed."""
    program = shutil.which("dot")
    if program is None:
        return None
    width, height = _BOX
    lines = [f"digraph {{ rankdir={'TB' if downward else 'LR'}; nodesep={_GAP[1]}; ranksep={_GAP[0]};"]
    lines += [f"n{i} [shape=box, fixedsize=true, width={width}, height={height}, label={i}];" for i in operands]
    lines += [f"n{tail} -> n{head};" for head, tails in operands.items() for tail in dict.fromkeys(tails)]
    text = "\n".join([*lines, "}"])
    done = subprocess.run([program, "-Tplain"], input=text, capture_output=True, text=True, check=True)
    size, centers, edges = (1.0, 1.0), {}, []
    for line in done.stdout.splitlines():
        kind, *rest = line.split()
        if kind == "graph":
            size = (float(rest[1]), float(rest[2]))
        elif kind == "node":
            centers[int(rest[0][1:])] = (float(rest[1]), float(rest[2]))
        elif kind == "edge":
            count = int(rest[2])
            edges.append(np.array(rest[3 : 3 + 2 * count], float).reshape(count, 2))
    return _Layout(size, centers, edges)


def _box(axes: Axes, nodes: Sequence[Node], i: int, center: tuple[float, float], scale: float, last: bool) -> None:
    node = nodes[i]
    width, height = _BOX
    color = "#FFF3D6" if node.kind == "input" else "#DDF3EA" if last else "white"
    corner = (center[0] - width / 2 + 0.04, center[1] - height / 2 + 0.04)
    style = "round,pad=0.04,rounding_size=0.08"
    look = {"boxstyle": style, "facecolor": color, "edgecolor": GRAY, "zorder": 3}
    axes.add_patch(FancyBboxPatch(corner, width - 0.08, height - 0.08, **look))
    name = _title(nodes, node)
    name = name if len(name) <= 19 else name[:18] + "…"
    texts = [(0.2, name, "black", "bold"), (0.0, _number(node.value), BLUE, "normal")]
    if node.gradient is not None:
        texts.append((-0.2, _number(node.gradient), VERMILION, "normal"))
    for up, text, ink, weight in texts:
        look = {"color": ink, "fontweight": weight, "fontsize": scale * min(10.5, 130 / len(text)), "zorder": 4}
        axes.text(center[0], center[1] + up, text, ha="center", va="center", **look)


def _title(nodes: Sequence[Node], node: Node) -> str:
    """The operation, with its constant operands where they are numbers: "1 / ·"."""
    signs = {"add": "+", "sub": "-", "mul": "×", "div": "/", "max": "max", "pow": "^", "square": "·²"}
    sign = signs.get(node.name, node.name)
    numbers = [
        f"{float(nodes[o].value):.4g}" if nodes[o].kind == "constant" and nodes[o].value.ndim == 0 else None
        for o in node.operands
    ]
    if len(numbers) == 2 and (numbers[0] is None) != (numbers[1] is None):
        return f"{numbers[0]} {sign} ·" if numbers[0] is not None else f"· {sign} {numbers[1]}"
    return sign


def _number(value: np.ndarray) -> str:
    if value.ndim == 0:
        return f"{value.item():.4g}"
    shape = "×".join(map(str, value.shape))
    if not np.issubdtype(value.dtype, np.floating):
        return f"{value.dtype} {shape}"
    return f"{shape}, ‖·‖ {np.linalg.norm(value.astype(np.float64)):.3g}"
