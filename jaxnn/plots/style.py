"""What all figures share: size, colors, fonts, and how they are written to files."""

import io
import os
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

WIDTH, PIXELS = 10.0, 1000  # inches and pixels across: one point of type is 1.4 pixels
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GRAY = "#0072B2", "#D55E00", "#CC79A7", "#777777"
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


def new_figure(title: str, height: float) -> Figure:
    """Make a figure of the common width that lays itself out.

    Args:
        title: what is seen, set above all at the left.
        height: in inches.

    Returns:
        A figure without axes.
    """
    figure = Figure(figsize=(WIDTH, height), dpi=PIXELS / WIDTH, layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    return figure


def count_of(n: int, noun: str) -> str:
    """Count in words for titles.

    Args:
        n: how many.
        noun: of what, in the singular.

    Returns:
        "1 epoch", "2 epochs".
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def save(figure: Figure, path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write a figure as PNG, 1000 pixels across, and as SVG.

    Each file is written under another name first and then renamed: a reader never sees half of one. The same figure
    makes the same bytes.

    Args:
        figure: what to write.
        path: where, with or without ".png" or ".svg"; the folder is made if needed.

    Returns:
        The paths of the PNG and of the SVG.
    """
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".png", ".svg") else path
    contents = {}
    with matplotlib.rc_context(STYLE):
        if (layout := figure.get_layout_engine()) is not None:
            layout.execute(figure)  # once, not for each file
            figure.set_layout_engine("none")
        for kind, metadata in (("png", None), ("svg", {"Date": None})):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=PIXELS / figure.get_figwidth(), metadata=metadata)
            contents[stem.with_name(f"{stem.name}.{kind}")] = buffer.getvalue()
    stem.parent.mkdir(parents=True, exist_ok=True)
    for target, content in contents.items():
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            temporary.write_bytes(content)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    png, svg = contents
    return png, svg
