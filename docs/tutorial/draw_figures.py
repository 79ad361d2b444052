"""Draws the tutorial's figures into docs/tutorial/images.

python docs/tutorial/draw_figures.py
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import lookalike
from lookalike.catalogue.generate import write_catalogue
from lookalike.evaluation.collection import open_or_build
from lookalike.evaluation.evaluate import EvalPlan, evaluate
from lookalike.query import Hit, Term
from lookalike.viz import evaluation_figures
from lookalike.viz.style import FAINT, INK, MISSING

IMAGES = Path(__file__).parent / "images"
NAMES = ("pixels", "histogram", "color", "lookalike")
ASKED = "p0020"
RIGHT, WRONG = "#15803d", MISSING


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    similarity()
    approximate()
    with tempfile.TemporaryDirectory() as folder:
        shop = Path(folder) / "shop"
        rows = write_catalogue(shop, products=40, views=5, size=128)
        vector(shop / rows[0].path)
        with (shop / "products.csv").open(newline="") as lines:
            facts = {row["path"]: row for row in csv.DictReader(lines)}
        with lookalike.Library.create(shop) as library:
            library.add([shop], extractors=list(NAMES))
            extractors(library, shop, facts)
            diversity(library, shop, facts)
        evaluation(shop)


def figure(width: float, height: float) -> Figure:
    made = Figure(figsize=(width, height), dpi=110, facecolor="white")
    made.set_layout_engine("constrained")
    return made


def save(made: Figure, name: str, kind: str = "png") -> None:
    options = {"pil_kwargs": {"quality": 87}} if kind == "jpg" else {}
    made.savefig(IMAGES / f"{name}.{kind}", **options)


def bare(axes: Any, title: str = "", colour: str = INK) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, size=9.5, color=colour, loc="left")
    for side in axes.spines.values():
        side.set_visible(False)


def vector(file: Path) -> None:
    """The picture, the picture in 8×8, and its 64 grey values as bars."""
    picture = Image.open(file).convert("RGB")
    coarse = np.asarray(picture.convert("L").resize((8, 8), Image.Resampling.BOX))
    made = figure(9.5, 3.0)
    left, middle, right = made.subplots(1, 3, width_ratios=[1, 1, 2.2])
    left.imshow(picture)
    bare(left, "128×128 pixels")
    middle.imshow(coarse, cmap="gray", vmin=0, vmax=255)
    for (y, x), value in np.ndenumerate(coarse):
        middle.text(
            x, y, value, ha="center", va="center", size=5.5, color="white" if value < 128 else INK
        )
    bare(middle, "8×8, grey")
    shades = [(value / 255 * 0.85,) * 3 for value in coarse.reshape(-1)]
    right.bar(range(64), coarse.reshape(-1), width=1.0, color=shades)
    bare(right, "row by row: a vector of 64 numbers")
    save(made, "vector")


def similarity() -> None:
    a, b, c = np.array([[3.0, 1.0], [6.0, 2.0], [1.0, 3.0]])
    made = figure(5.4, 3.2)
    axes = made.subplots()
    for name, v, colour in (("b", b, "#0072b2"), ("a", a, "#d55e00"), ("c", c, "#009e73")):
        axes.annotate("", v, (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2.2})
        axes.text(v[0] + 0.12, v[1] + 0.08, name, size=12, color=colour, weight="bold")
    for other in (b, c):
        axes.plot([a[0], other[0]], [a[1], other[1]], ":", color=FAINT, lw=1.4)
    angles = np.linspace(np.arctan2(a[1], a[0]), np.arctan2(c[1], c[0]), 40)
    axes.plot(1.2 * np.cos(angles), 1.2 * np.sin(angles), color=FAINT, lw=1.2)
    axes.text(1.15, 1.05, "cos = 0.6", size=9, color=FAINT)
    axes.text(2.1, 2.15, "2.83 apart", size=9, color=FAINT)
    axes.text(4.35, 1.15, "3.16 apart, same direction", size=9, color=FAINT)
    axes.set(xlim=(-0.2, 7.2), ylim=(-0.2, 3.5), aspect="equal")
    bare(axes)
    for edge in ("left", "bottom"):
        axes.spines[edge].set_visible(True)
        axes.spines[edge].set_color(MISSING)
    save(made, "similarity")


def hits_of(library: lookalike.Library, file: Path, name: str, k: int, diverse: float) -> list[Hit]:
    query = lookalike.Query((Term(image=file),), k=k, extractors=(name,), diversity=diverse)
    return list(library.search(query).hits)


def strip(axes: Any, file: Path, title: str, colour: str) -> None:
    axes.imshow(Image.open(file).convert("RGB"))
    bare(axes, title, colour if colour != WRONG else FAINT)
    for side in axes.spines.values():
        side.set(visible=True, color=colour, linewidth=3)


def extractors(library: lookalike.Library, shop: Path, facts: dict[str, Any]) -> None:
    asked = next(p for p, row in facts.items() if row["product"] == ASKED and row["view"] == "1")
    made = figure(8.0, 6.6)
    grid = made.subplots(len(NAMES), 5)
    for name, row in zip(NAMES, grid, strict=True):
        for at, hit in enumerate(hits_of(library, shop / asked, name, 5, 0.0)):
            right = facts[hit.path]["product"] == ASKED
            colour = "#2563eb" if at == 0 else RIGHT if right else WRONG
            title = name if at == 0 else f"{hit.similarity:.2f}"
            strip(row[at], hit.file, title, colour)
    save(made, "extractors", "jpg")


def diversity(library: lookalike.Library, shop: Path, facts: dict[str, Any]) -> None:
    asked = next(p for p, row in facts.items() if row["product"] == ASKED and row["view"] == "1")
    made = figure(9.6, 2.6)
    grid = made.subplots(2, 10)
    for diverse, row in zip((0.0, 0.5), grid, strict=True):
        for at, hit in enumerate(hits_of(library, shop / asked, "lookalike", 10, diverse)):
            same = facts[hit.path]["product"] == ASKED
            title = ("plain" if diverse == 0 else "diverse 0.5") if at == 0 else ""
            strip(row[at], hit.file, title, RIGHT if same else WRONG)
    save(made, "diversity", "jpg")


def approximate() -> None:
    """The curve of page 5: run its blocks, and draw what they found."""
    page = (Path(__file__).parent / "5-approximate.md").read_text("utf-8")
    names: dict[str, Any] = {}
    for block in page.split("```python\n")[1:]:
        exec(block.split("```")[0].replace("print(", "(lambda *_: None)("), names)  # noqa: S102
    points = []
    for probes in (1, 2, 3, 4, 6, 8, 12, 16, 32):
        found = [names["search"](query, 10, probes) for query in names["asked"]]
        shares = [
            len(names["truth"][at] & set(rows.tolist())) / 10 for at, (rows, _) in enumerate(found)
        ]
        points.append((np.mean([count for _, count in found]) / 20_000, np.mean(shares), probes))
    made = figure(5.6, 3.2)
    axes = made.subplots()
    axes.plot([x for x, *_ in points], [y for _, y, _ in points], "o-", color="#0072b2", lw=1.8)
    for x, y, probes in points:
        if probes in (1, 2, 4, 8, 16, 32):
            word = "1 probe" if probes == 1 else str(probes)
            axes.annotate(word, (x, y), (7, -11), textcoords="offset points", size=8, color=FAINT)
    axes.set(xlim=(0, 0.36), ylim=(0.89, 1.005))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel("share of the vectors that was looked at", size=8.5, color=FAINT)
    axes.set_ylabel("recall of the ten nearest", size=8.5, color=FAINT)
    axes.tick_params(colors=FAINT, labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    save(made, "approximate")


def evaluation(shop: Path) -> None:
    with open_or_build(shop) as library:
        found = evaluate(library, EvalPlan(labels="products.csv:product", timed=0), folder=shop)
    made = figure(9.0, 3.2)
    left, right = made.subplots(1, 2)
    evaluation_figures.metric_bars(left, found.systems, "AP", "mAP, with its 95 % interval")
    evaluation_figures.precision_recall(right, found.systems)
    save(made, "evaluation")


if __name__ == "__main__":
    main()
