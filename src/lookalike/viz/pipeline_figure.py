"""Draws how an image becomes a vector, one row per extractor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lookalike.explain.pipeline_stages import Pipeline, Stage
from lookalike.extractors.color import HUES, SATURATIONS, VALUES
from lookalike.images.pixel_spec import Pixels
from lookalike.viz.style import ACCENT, FAINT, INK, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

# Inches: width and height of one stage, its text, left margin, gap, and space above.
WIDTH, HEIGHT = 3.1, 2.15
TEXT, LEFT, GAP, TOP = 0.78, 1.3, 0.25, 1.75

# Bars that can be distinguished; in longer vectors each is the mean of several components.
MAX_BARS = 256


def draw_pipelines(image: Pixels, pipelines: Sequence[Pipeline], out: Path, *, title: str) -> None:
    """Draw the image on top, and a row for each extractor, from pixels to the vector."""
    from matplotlib.figure import Figure

    across = max(len(each.stages) for each in pipelines)
    width = LEFT + across * (WIDTH + GAP)
    height = TOP + len(pipelines) * (HEIGHT + TEXT + GAP)
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    axes = figure.add_axes((0.2 / width, 1 - (TOP - 0.2) / height, 2.2 / width, 1.4 / height))
    axes.imshow(image)
    axes.set_anchor("W")
    axes.set_axis_off()
    figure.text(2.7 / width, 1 - 0.55 / height, title, size=15, color=INK, parse_math=False)
    text = (
        "A computer compares images by numbers. Each row is another way to turn the same image into a list "
        "of numbers; images are similar if their lists point in the same direction."
    )
    figure.text(2.7 / width, 1 - 0.75 / height, fill(text, 95), size=9.5, color=FAINT, va="top")
    for row, each in enumerate(pipelines):
        top = TOP + row * (HEIGHT + TEXT + GAP)
        name = each.extractor.rpartition("/")[2].replace("_", " ").replace("-", " ")
        where = (0.2 / width, 1 - (top + TEXT + HEIGHT / 2) / height)
        figure.text(*where, fill(name, 12), size=10.5, weight="bold", color=ACCENT, va="center")
        for column, stage in enumerate(each.stages):
            # The vector is drawn in the last column, however many stages there are.
            at = across - 1 if column == len(each.stages) - 1 and stage.kind == "vector" else column
            left = LEFT + at * (WIDTH + GAP)
            y = 1 - (top + 0.18) / height
            figure.text(left / width, y, stage.title, size=9.5, color=INK, weight="bold")
            figure.text(
                left / width,
                1 - (top + 0.26) / height,
                fill(stage.caption, 52),
                size=7.5,
                color=FAINT,
                va="top",
            )
            box = (left / width, 1 - (top + TEXT + HEIGHT) / height, WIDTH / width, HEIGHT / height)
            draw_stage(figure.add_axes(box), stage, each.stages[0].values)
    save_figure(figure, out)


def draw_stage(axes: Axes, stage: Stage, pixels: NDArray[np.generic]) -> None:
    """Draw one stage. `pixels` are the input of the extractor."""
    axes.set_axis_off()
    axes.set_anchor("W")
    functions: dict[str, Callable[[Axes, NDArray[np.generic], NDArray[np.generic]], None]] = {
        "image": _image,
        "levels": _levels,
        "colours": _colours,
        "edges": _edges,
        "keypoints": _keypoints,
        "bits": _bits,
        "channels": _channels,
        "vector": _vector,
    }
    functions[stage.kind](axes, stage.values, pixels)


def _image(axes: Axes, values: NDArray[np.generic], pixels: NDArray[np.generic]) -> None:
    axes.imshow(values, cmap="gray", vmin=0, vmax=255, interpolation="nearest")


def _levels(axes: Axes, values: NDArray[np.generic], pixels: NDArray[np.generic]) -> None:
    numbers = np.asarray(values, np.float64)
    bins = numbers.shape[1]
    level = (np.arange(bins) + 0.5) / bins
    for channel in range(3):
        colours = np.zeros((bins, 3))
        colours[:, channel] = (
            0.25 + 0.75 * level
        )  # the level itself, lightened so that the darkest is visible
        base = 2 - channel
        top = numbers[channel].max() or 1.0
        heights = 0.85 * numbers[channel] / top
        axes.bar(np.arange(bins), heights, bottom=base, width=0.9, color=colours)
        axes.plot([-0.5, bins - 0.5], [base, base], color="#d1d5db", linewidth=0.8)


def _colours(axes: Axes, values: NDArray[np.generic], pixels: NDArray[np.generic]) -> None:
    from matplotlib.colors import hsv_to_rgb

    shares = np.asarray(values, np.float64)
    largest = shares.max() or 1.0
    axes.set(xlim=(-0.6, 2 * HUES + 0.6), ylim=(SATURATIONS * VALUES, -1.2), aspect="auto")
    for half, name in enumerate(("whole", "centre")):
        start = half * (HUES + 0.6)
        axes.text(start, -0.7, name, size=7.5, color=FAINT, va="center")
        for hue in range(HUES):
            for saturation in range(SATURATIONS):
                for value in range(VALUES):
                    share = shares[half, hue, saturation, value]
                    size = (
                        share / largest
                    ) ** 0.35  # the exponent of the extractor, which emphasises small shares
                    colour = hsv_to_rgb(
                        (
                            hue / HUES,
                            (saturation + 0.5) / SATURATIONS,
                            (value + 0.7) / VALUES if value < 3 else 1.0,
                        )
                    )
                    row = saturation * VALUES + value
                    axes.add_patch(_square(start + hue, row, 0.94, "#eef0f2"))
                    if size > 0.05:
                        axes.add_patch(_square(start + hue, row, 0.94 * size, colour))


def _square(x: float, y: float, side: float, colour: object) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle(
        (x + 0.5 - side / 2, y + 0.5 - side / 2), side, side, facecolor=colour, linewidth=0
    )


def _edges(axes: Axes, values: NDArray[np.generic], pixels: NDArray[np.generic]) -> None:
    cells = np.asarray(values, np.float64)
    rows, columns, directions = cells.shape
    axes.set(xlim=(0, columns), ylim=(rows, 0), aspect=0.55)
    axes.add_patch(_backdrop(columns, rows))
    largest = cells.max() or 1.0
    for direction in range(directions):
        angle = np.radians((direction + 0.5) * 180 / directions + 90)  # edges run across gradients
        dx, dy = np.cos(angle) / 2.1, np.sin(angle) / 2.1
        for y in range(rows):
            for x in range(columns):
                strength = cells[y, x, direction] / largest
                if strength > 0.15:
                    axes.plot(
                        [x + 0.5 - dx * strength, x + 0.5 + dx * strength],
                        [y + 0.5 - dy * strength, y + 0.5 + dy * strength],
                        color=(1, 1, 1, min(1.0, strength * 1.1)),
                        linewidth=1.1,
                    )


def _backdrop(width: float, height: float) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((0, 0), width, height, facecolor="#111827", linewidth=0)


def _keypoints(axes: Axes, values: NDArray[np.generic], pixels: NDArray[np.generic]) -> None:
    from matplotlib.collections import EllipseCollection, LineCollection

    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, alpha=0.75)
    points = np.asarray(values, np.float64)
    if not len(points):
        return
    order = np.linspace(0, len(points) - 1, min(250, len(points))).astype(
        int
    )  # all of them would cover the image
    x, y, size, angle = points[order].T
    size = np.clip(size, 4, 0.08 * max(pixels.shape[:2]))
    colour = "#22c55e"
    axes.add_collection(
        EllipseCollection(
            size,
            size,
            np.zeros_like(size),
            offsets=np.column_stack([x, y]),
            units="xy",
            offset_transform=axes.transData,
            facecolor="none",
            edgecolor=colour,
            linewidth=0.8,
        )
    )
    turn = np.radians(angle)
    ends = np.column_stack([x + size / 2 * np.cos(turn), y + size / 2 * np.sin(turn)])
    lines = np.stack([np.column_stack([x, y]), ends], axis=1)
    axes.add_collection(LineCollection(list(lines), colors=colour, linewidths=0.8))


def _bits(axes: Axes, values: NDArray[np.generic], pixels: NDArray[np.generic]) -> None:
    axes.pcolormesh(values, cmap="gray", vmin=-0.1, vmax=1.1, edgecolors="#9ca3af", linewidth=0.6)
    axes.invert_yaxis()
    axes.set_aspect("equal")


def _channels(axes: Axes, values: NDArray[np.generic], pixels: NDArray[np.generic]) -> None:
    maps = np.asarray(values, np.float64)
    height, width = maps.shape[1:]
    tiled = np.full((2 * height + 1, 3 * width + 2), np.nan)
    scale = max(1, 40 // max(height, width))
    for number, each in enumerate(maps[:6]):
        low, high = each.min(), each.max()
        y, x = divmod(number, 3)
        top, left = y * (height + 1), x * (width + 1)
        tiled[top : top + height, left : left + width] = (each - low) / ((high - low) or 1.0)
    fine = tiled.repeat(scale, axis=0).repeat(scale, axis=1)
    axes.imshow(fine, cmap="magma", interpolation="nearest")


def _vector(axes: Axes, values: NDArray[np.generic], pixels: NDArray[np.generic]) -> None:
    numbers = np.asarray(values, np.float64)
    if len(numbers) > MAX_BARS:
        edges = np.linspace(0, len(numbers), MAX_BARS + 1).astype(int)
        numbers = np.add.reduceat(numbers, edges[:-1]) / np.diff(edges)
    colours = np.where(numbers >= 0, ACCENT, "#e8743b").tolist()
    axes.bar(np.arange(len(numbers)), numbers, width=1.0, color=colours)
    axes.axhline(0, color="#9ca3af", linewidth=0.6)
    axes.set_xlim(-1, len(numbers))
    axes.margins(y=0.05)
