"""Draws a map as an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lookalike.embedding_map.build import EmbeddingMap
from lookalike.embedding_map.sprites import ACROSS, SIDE, Sprites
from lookalike.images.pixel_spec import Pixels
from lookalike.viz.map_html import summary
from lookalike.viz.style import FAINT, INK, save_figure

# Side of the map and of the largest thumbnails, in pixels.
PIXELS = 2048
THUMBNAIL = 60

# Characters of a name in the legend.
LEGEND_WIDTH = 22

# The colours of the HTML map (map_page/renderer.js).
COLOURS = (
    *("#2f6fde", "#e8743b", "#2a9d58", "#c83e73", "#8a5bd1", "#c79a00"),
    *("#16a3b8", "#8c5a3c", "#e05252", "#6b8e23", "#d46fc1", "#5b6ee1"),
)
GREY = "#8b919a"
BACKGROUND = (247, 247, 245)


def draw_map(map_: EmbeddingMap, sprites: Sprites, out: Path, *, title: str) -> None:
    """Draw points, and thumbnails where there is room; the suffix of `out` selects the format."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    width, height, side, edge = 12.2, 10.8, 10.0, 0.1  # inches
    figure = Figure(figsize=(width, height), dpi=180, facecolor="white")
    axes = figure.add_axes((edge / width, edge / height, side / width, side / height))
    axes.imshow(render(map_, sprites), interpolation="antialiased")
    axes.set_axis_off()
    figure.text(0.009, 0.978, title, size=14, color=INK, va="center", parse_math=False)
    figure.text(0.009, 0.95, summary(map_), size=8.5, color=FAINT, va="center", parse_math=False)
    counts = np.bincount(map_.groups[map_.groups >= 0], minlength=len(map_.names))
    handles = [
        Line2D([], [], marker="o", linestyle="", color=group_colour(map_, number), markersize=6)
        for number in range(len(map_.names))
    ]
    labels = [
        f"{legend_name(name)}  {n:,}" for name, n in zip(map_.names, counts.tolist(), strict=True)
    ]
    legend = figure.legend(
        handles, labels, loc="upper left", bbox_to_anchor=(0.83, 0.935), frameon=False, fontsize=8.5
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
        text.set_color(INK)
    save_figure(figure, out)


def legend_name(name: str) -> str:
    """Shorten a name for the legend; both ends of a path say more than its middle."""
    if len(name) <= LEGEND_WIDTH:
        return name
    start = LEGEND_WIDTH // 3
    return f"{name[:start]}…{name[start + 1 - LEGEND_WIDTH :]}"


def group_colour(map_: EmbeddingMap, group: int) -> str:
    """Return the colour of a group; grey for no group and for "others"."""
    if group < 0 or map_.names[group] == "others":
        return GREY
    return COLOURS[group % len(COLOURS)]


def render(map_: EmbeddingMap, sprites: Sprites) -> Pixels:
    """Return the map as (2048, 2048, 3) pixels."""
    import cv2
    from matplotlib.colors import to_rgb

    canvas = np.full((PIXELS, PIXELS, 3), BACKGROUND, np.uint8)
    colours = [
        tuple(int(255 * c) for c in to_rgb(group_colour(map_, int(group)))) for group in map_.groups
    ]
    radius = 3 if len(map_) > 20_000 else 5
    centres = np.rint(map_.positions * (PIXELS - 1)).astype(int)
    for (x, y), colour in zip(centres.tolist(), colours, strict=True):
        cv2.circle(canvas, (x, y), radius, colour, -1, cv2.LINE_AA)
    level = int(np.log2(PIXELS / THUMBNAIL))
    sheets: dict[int, Pixels] = {}
    for row in np.flatnonzero(map_.levels <= level).tolist():
        if sprites.slots[row] >= 0:
            image = thumbnail(sprites, int(sprites.slots[row]), sheets)
            _paste(canvas, image, centres[row].tolist(), colours[row])
    return canvas


def thumbnail(sprites: Sprites, slot: int, sheets: dict[int, Pixels]) -> Pixels:
    """Return one thumbnail; `sheets` caches the decoded sheets."""
    import io

    from PIL import Image

    number, within = divmod(slot, ACROSS**2)
    if number not in sheets:
        sheets[number] = np.asarray(Image.open(io.BytesIO(sprites.sheets[number])).convert("RGB"))
    y, x = divmod(within, ACROSS)
    width, height = sprites.sizes[slot].tolist()
    return sheets[number][y * SIDE :, x * SIDE :][:height, :width]


def _paste(canvas: Pixels, image: Pixels, centre: list[int], frame: tuple[int, ...]) -> None:
    """Draw an image with a thin frame, clipped to the canvas."""
    height, width = (side + 4 for side in image.shape[:2])
    framed = np.full((height, width, 3), frame, np.uint8)
    framed[2:-2, 2:-2] = image
    left, top = centre[0] - width // 2, centre[1] - height // 2
    x, y = max(0, left), max(0, top)
    clipped = framed[y - top :, x - left :][: canvas.shape[0] - y, : canvas.shape[1] - x]
    canvas[y : y + clipped.shape[0], x : x + clipped.shape[1]] = clipped
