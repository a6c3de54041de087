"""What all figures share: size, colors, fonts, and how they are written to files."""

import functools
import io
import os
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

__all__ = ["add_chinese", "chinese_font", "count_of", "label_decades", "new_figure", "save"]

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

    Example:
        >>> from jaxnn.plots import style
        >>> figure = style.new_figure("A title that says what is seen", 4.0)
        >>> figure.get_size_inches().tolist(), figure.axes
        ([10.0, 4.0], [])
    """
    figure = Figure(figsize=(WIDTH, height), dpi=PIXELS / WIDTH, layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    return figure


CHINESE_FONTS = ("Noto Sans CJK SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "Microsoft YaHei", "PingFang SC")
_FILES = ("notosanscjk-regular", "sourcehansanssc-regular", "wqy-microhei", "msyh", "pingfang")


@functools.cache
def chinese_font() -> str | None:
    """The first of `CHINESE_FONTS` that is installed, or None; also one that Matplotlib's stored list lacks.

    Example:
        >>> from jaxnn.plots import style
        >>> style.chinese_font() in (None, *style.CHINESE_FONTS)
        True
    """

    def known() -> str | None:
        return next((name for name in CHINESE_FONTS if name in font_manager.get_font_names()), None)

    if known() is None:
        for path in font_manager.findSystemFonts():
            if Path(path).stem.lower() in _FILES:
                font_manager.fontManager.addfont(path)
    return known()


def label_decades(axis: Axis) -> None:
    """Label a logarithmic axis: the powers of ten, and where these are fewer than three, 2 and 5 between them.

    Args:
        axis: x or y, its limits set.

    Example:
        >>> from jaxnn.plots import style
        >>> axes = style.new_figure("Two decades", 3.0).subplots()
        >>> _ = axes.set(xscale="log", xlim=(1, 30))
        >>> style.label_decades(axes.xaxis)
        >>> [label.get_text() for label in axes.get_xticklabels() if 1 <= label.get_position()[0] <= 30]
        ['1', '2', '5', '10', '20']
    """
    low, high = sorted(axis.get_view_interval())
    if low > 0 and high < 1000 * low:
        axis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
        axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def add_chinese(figure: Figure, text: str) -> bool:
    """Set a short Chinese text at the top right, where a Chinese font is installed and the title leaves room.

    Args:
        figure: with a title from `new_figure`.
        text: what the figure is about.

    Returns:
        Whether the text was set.

    Example:
        >>> from jaxnn.plots import style
        >>> figure = style.new_figure("Scores", 3.0)
        >>> style.add_chinese(figure, "得分函数") == (style.chinese_font() is not None)
        True
    """
    font = chinese_font()
    if font is None:
        return False
    with matplotlib.rc_context(STYLE):
        added = figure.text(0.99, 0.995, text, ha="right", va="top", fontsize=10, color=GRAY, fontfamily=font)
        others = [text for text in figure.findobj(Text) if text is not added and text.axes is None]
        renderer = FigureCanvasAgg(figure).get_renderer()
        box = added.get_window_extent(renderer)
        if any(other.get_text() and other.get_window_extent(renderer).overlaps(box) for other in others):
            added.remove()
            return False
    return True


def count_of(n: int, noun: str) -> str:
    """Count in words for titles.

    Args:
        n: how many.
        noun: of what, in the singular.

    Returns:
        "1 epoch", "2 epochs".

    Example:
        >>> from jaxnn.plots import style
        >>> style.count_of(1, "epoch"), style.count_of(3, "epoch")
        ('1 epoch', '3 epochs')
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

    Example:
        >>> png, svg = plots.save(plots.confusion(np.eye(2, dtype=int), ["cat", "dog"]), "figures/confusion")
        >>> png.as_posix(), svg.exists()
        ('figures/confusion.png', True)
    """
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".png", ".svg") else path
    contents = {}
    with matplotlib.rc_context(STYLE):
        figure.set_dpi(PIXELS / figure.get_figwidth())
        if (layout := figure.get_layout_engine()) is not None and figure.axes:
            layout.execute(figure)  # once, not for each file
            figure.set_layout_engine("none")
        png, svg = io.BytesIO(), io.BytesIO()
        # `savefig` would draw each twice
        FigureCanvasAgg(figure).print_png(png)
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None})
        figure.set_dpi(PIXELS / figure.get_figwidth())
        for kind, buffer in (("png", png), ("svg", svg)):
            contents[stem.with_name(f"{stem.name}.{kind}")] = buffer.getvalue()
    stem.parent.mkdir(parents=True, exist_ok=True)
    for target, content in contents.items():
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            temporary.write_bytes(content)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    first, second = contents
    return first, second
