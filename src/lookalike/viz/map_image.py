"""A map as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lookalike.embedding_map.build import Atlas
from lookalike.embedding_map.sprites import ACROSS, SIDE, Sprites
from lookalike.images.pixel_spec import Pixels
from lookalike.viz.map_html import facts
from lookalike.viz.style import FAINT, INK, save_figure

PIXELS = 2048
THUMBNAIL = 60
NAME = 22  # characters of a name in the legend
COLOURS = (
    *("#2f6fde", "#e8743b", "#2a9d58", "#c83e73", "#8a5bd1", "#c79a00"),
    *("#16a3b8", "#8c5a3c", "#e05252", "#6b8e23", "#d46fc1", "#5b6ee1"),
)
"""Those of the page (page/data.js)."""

GREY = "#8b919a"
GROUND = (247, 247, 245)


def draw_map(atlas: Atlas, sprites: Sprites, out: Path, *, title: str) -> None:
    """Points, and thumbnails where there is room; the suffix of `out` decides the format."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    width, height, side, edge = 12.2, 10.8, 10.0, 0.1  # inches
    figure = Figure(figsize=(width, height), dpi=180, facecolor="white")
    axes = figure.add_axes((edge / width, edge / height, side / width, side / height))
    axes.imshow(canvas(atlas, sprites), interpolation="antialiased")
    axes.set_axis_off()
    figure.text(0.009, 0.978, title, size=14, color=INK, va="center", parse_math=False)
    figure.text(0.009, 0.95, facts(atlas), size=8.5, color=FAINT, va="center", parse_math=False)
    counts = np.bincount(atlas.groups[atlas.groups >= 0], minlength=len(atlas.names))
    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour_of(atlas, number), markersize=6)
        for number in range(len(atlas.names))
    ]
    labels = [f"{brief(name)}  {n:,}" for name, n in zip(atlas.names, counts.tolist(), strict=True)]
    legend = figure.legend(
        handles, labels, loc="upper left", bbox_to_anchor=(0.83, 0.935), frameon=False, fontsize=8.5
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
        text.set_color(INK)
    save_figure(figure, out)


def brief(name: str) -> str:
    """A name that fits the legend: both ends of a path say more than its middle."""
    return name if len(name) <= NAME else f"{name[: NAME // 3]}…{name[NAME // 3 + 1 - NAME :]}"


def colour_of(atlas: Atlas, group: int) -> str:
    """The colour of a group; grey for what is in none, or in "others"."""
    if group < 0 or atlas.names[group] == "others":
        return GREY
    return COLOURS[group % len(COLOURS)]


def canvas(atlas: Atlas, sprites: Sprites) -> Pixels:
    """(2048, 2048, 3): the map itself."""
    import cv2
    from matplotlib.colors import to_rgb

    made = np.full((PIXELS, PIXELS, 3), GROUND, np.uint8)
    colours = [
        tuple(int(255 * c) for c in to_rgb(colour_of(atlas, int(group)))) for group in atlas.groups
    ]
    radius = 3 if len(atlas) > 20_000 else 5
    spots = np.rint(atlas.places * (PIXELS - 1)).astype(int)
    for (x, y), colour in zip(spots.tolist(), colours, strict=True):
        cv2.circle(made, (x, y), radius, colour, -1, cv2.LINE_AA)
    deepest = int(np.log2(PIXELS / THUMBNAIL))
    shown = [
        place
        for place in np.flatnonzero(atlas.level <= deepest).tolist()
        if sprites.slots[place] >= 0
    ]
    sheets: dict[int, Pixels] = {}
    for place in shown:
        picture = sprite(sprites, int(sprites.slots[place]), sheets)
        paste(made, picture, spots[place].tolist(), colours[place])
    return made


def sprite(sprites: Sprites, slot: int, sheets: dict[int, Pixels]) -> Pixels:
    """One thumbnail; `sheets` remembers those that were decoded."""
    import io

    from PIL import Image

    number, within = divmod(slot, ACROSS**2)
    if number not in sheets:
        sheets[number] = np.asarray(Image.open(io.BytesIO(sprites.sheets[number])).convert("RGB"))
    y, x = divmod(within, ACROSS)
    width, height = sprites.sizes[slot].tolist()
    return sheets[number][y * SIDE :, x * SIDE :][:height, :width]


def paste(onto: Pixels, picture: Pixels, middle: list[int], frame: tuple[int, ...]) -> None:
    """A picture with a thin frame, its middle there; what would lie outside is cut off."""
    height, width = (side + 4 for side in picture.shape[:2])
    framed = np.full((height, width, 3), frame, np.uint8)
    framed[2:-2, 2:-2] = picture
    left, top = middle[0] - width // 2, middle[1] - height // 2
    x, y = max(0, left), max(0, top)
    cut = framed[y - top :, x - left :][: onto.shape[0] - y, : onto.shape[1] - x]
    onto[y : y + cut.shape[0], x : x + cut.shape[1]] = cut
