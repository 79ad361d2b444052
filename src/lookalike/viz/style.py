"""Colours, text and output of all figures."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.errors import UsageError
from lookalike.files import output_file
from lookalike.images.drawing_mark import matplotlib_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

DPI = 110
INK, FAINT, PAPER, MISSING, ACCENT = "#1b1f24", "#6b7280", "#f3f4f6", "#e5e7eb", "#2563eb"

# Endpoints of the colour scale of shares, as RGB.
PALE_GREEN, DARK_GREEN = (0.96, 0.97, 0.96), (0.08, 0.50, 0.24)

# Characters of a line of a caption.
CAPTION_WIDTH = 32

_MORE_SCRIPTS = (
    "Noto Sans CJK JP",
    "Hiragino Sans",
    "Yu Gothic",
    "Microsoft YaHei",
    "PingFang HK",
    "Arial Unicode MS",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
)


def short_name(name: str) -> str:
    """Return an extractor's name without the folders of a model: "onnx:/a/b/resnet" → "onnx:resnet"."""
    family, colon, text = name.partition(":")
    return f"{family}{colon}{text.rpartition('/')[2]}"


def caption(path: str, width: int = CAPTION_WIDTH) -> str:
    """Return a path in at most two lines of `width` (at least 20) characters.

    The first line holds the folders and the second the file name, each shortened if needed.
    """
    clean = "".join(c if c.isprintable() else "\ufffd" for c in path)
    if len(clean) <= width:
        return clean
    folders, slash, name = clean.rpartition("/")
    if len(name) > width:
        name = name[: width - 17] + "…" + name[-16:]
    if len(folders) >= width:
        folders = "…" + folders[-(width - 2) :]
    return f"{folders}{slash}\n{name}" if slash else name


def font_families() -> list[str]:
    """Return Matplotlib's own font, then installed fonts that cover more scripts than Latin."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _MORE_SCRIPTS if name in installed)]


def blend(start: Sequence[float], end: Sequence[float], share: float) -> tuple[float, float, float]:
    """Return the RGB colour between two others; a share of 0 is `start`."""
    red, green, blue = (a + (b - a) * share for a, b in zip(start, end, strict=True))
    return red, green, blue


def hide_spines(axes: Axes, sides: Sequence[str] = ("left", "right", "top", "bottom")) -> None:
    """Remove lines of the frame around the axes."""
    for side in sides:
        axes.spines[side].set_visible(False)


def plain_log_ticks(axis: Axis) -> None:
    """Put the ticks of a logarithmic axis at 1, 2 and 5 times the powers of ten, as plain numbers.

    Powers of ten alone would leave a range such as 3 to 8 ms without a tick.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def save_figure(figure: Figure, out: Path) -> None:
    """Write a figure in the format of the file's suffix. Raises UsageError if that fails."""
    known = sorted(figure.canvas.get_supported_filetypes())
    kind = out.suffix.lstrip(".").lower()
    if kind not in known:
        raise UsageError(f"cannot draw into '{out}': name a .png, .jpg, .pdf or .svg file")
    with output_file(out) as file, warnings.catch_warnings():
        # Characters of a file name that the font lacks are drawn as boxes, which needs no warning.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(file, format=kind, **matplotlib_options(kind))
