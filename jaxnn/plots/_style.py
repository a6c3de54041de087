"""The common style of all figures: size, colors, fonts, and how they are written to files."""

import io
import os
import re
import warnings
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation

from jaxnn import _files as files

__all__ = ["literal", "new_figure", "save"]

WIDTH, PIXELS = 10.0, 1000  # inches and pixels across: one point of type is 1.4 pixels
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GRAY = "#0072B2", "#D55E00", "#CC79A7", "#777777"
COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GRAY, BLACK)  # of curves, series and classes, in this order
MARKERS = "osD^vP*X"
DASHES = ("-", "--", "-.", ":")
PAIRS = (BLUE, SKY, VERMILION, ORANGE, GREEN, PURPLE, BLACK, GRAY)  # neighbors are related, the second one is dashed
PAIR_DASHES = ("-", "--", "-", "--", "-.", ":", "-", "--")
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "figure.facecolor": "white",
    "svg.hashsalt": "jaxnn",
}


def new_figure(title: str, height: float, *, layout: bool = True) -> Figure:
    """An empty figure of the common width."""
    figure = Figure(figsize=(WIDTH, height), dpi=PIXELS / WIDTH, layout="constrained" if layout else None)
    figure.suptitle(literal(title), x=0.01, ha="left", fontsize=13, fontweight="bold")
    return figure


def literal(text: str, length: int | None = None) -> str:
    """Text that Matplotlib draws as it is: no dollar sign starts a formula, and nothing invisible is left.

    Args:
        text: such as the name of a class or a file.
        length: of names: as one line of at most so many characters; by default lines stay as they are.

    Returns: the text to hand to Matplotlib, dollar signs escaped.
    """
    text = text.encode("utf-8", "replace").decode()  # a file name may hold bytes that are no text
    text = "".join(c if c.isprintable() or c in "\n\u00a0" else " " for c in text)
    if length is not None:
        text = " ".join(text.split())
        text = text if len(text) <= length else f"{text[: length - 1].rstrip()}…"
    return text.replace("$", r"\$")


class _PlainPowers(LogFormatterSciNotation):
    """Powers of ten as plain text: Matplotlib takes longer to parse a formula than to draw a panel."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        found = re.fullmatch(r"\$\\mathdefault\{(?:(.+)\\times)?10\^\{(-?\d+)\}\}\$", text := super().__call__(x, pos))
        if found is None:
            return text
        return (f"{found[1]}×" if found[1] else "") + "10" + found[2].translate(_SUPERSCRIPTS)


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _label_powers_plainly(figure: Figure) -> None:
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        for formatter, replace in (
            (axis.get_major_formatter(), axis.set_major_formatter),
            (axis.get_minor_formatter(), axis.set_minor_formatter),
        ):
            if type(formatter) is LogFormatterSciNotation:
                replace(_PlainPowers())


def save(figure: Figure, path: str | os.PathLike[str], *, svg: bool = True) -> tuple[Path, ...]:
    """Write a figure as PNG, 1000 pixels wide, and as SVG; each file is written atomically and reproducibly.

    Args:
        figure: the figure.
        path: with or without ".png" or ".svg"; its folder is created if needed.
        svg: whether to write the SVG, which takes as long as the PNG.

    Returns: the paths of the PNG and of the SVG.

    Example:
        >>> png, svg = plots.save(plots.confusion(np.eye(2, dtype=int), ["cat", "dog"]), "figures/confusion")
        >>> png.as_posix(), svg.exists()
        ('figures/confusion.png', True)
    """
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".png", ".svg") else path
    contents = {}
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a missing one is drawn as a box
        figure.set_dpi(PIXELS / figure.get_figwidth())
        _label_powers_plainly(figure)
        if (layout := figure.get_layout_engine()) is not None and figure.axes:
            layout.execute(figure)  # once, not for each file
            figure.set_layout_engine("none")
        buffers = {"png": io.BytesIO()} | ({"svg": io.BytesIO()} if svg else {})
        # `savefig` would draw each twice
        FigureCanvasAgg(figure).print_png(buffers["png"])
        if svg:
            FigureCanvasSVG(figure).print_svg(buffers["svg"], metadata={"Date": None})
        figure.set_dpi(PIXELS / figure.get_figwidth())
        for kind, buffer in buffers.items():
            contents[stem.with_name(f"{stem.name}.{kind}")] = buffer.getvalue()
    stem.parent.mkdir(parents=True, exist_ok=True)
    for target, content in contents.items():
        files.write(target, content)
    return tuple(contents)
