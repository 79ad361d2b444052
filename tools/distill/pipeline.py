"""The first two steps of the recipe: ask the teacher about every picture, then train."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tools.distill.projection import Projection
from tools.distill.teacher import (
    Lesson,
    write_cutouts,
    write_photos,
    write_products,
    write_tiny,
)

# Each source's part of a batch. Tiny ImageNet has the many kinds of things, but blurred; the others
# are sharp. Products and cut-outs weigh more than their number because single things on plain
# ground are what was learnt last: with 9 % of products instead of 22 % their kinds stayed apart
# less well than by a histogram of edges.
SHARES = {"tiny": 0.42, "photos": 0.25, "products": 0.18, "cutouts": 0.10, "large": 0.05}
# Rows of each source from which the teacher's principal axes are found: about as many sharp ones as
# blurred ones.
AXES_FROM = {"tiny": 12000, "photos": 20000, "products": 5000, "cutouts": 3000}


def prepare(
    *,
    teacher: Path,
    tiny: Path,
    photos: Sequence[Path],
    large: Sequence[Path],
    out: Path,
    tiny_count: int | None = None,
    views: int = 24,
    large_views: int = 600,
    cutouts: int = 8000,
    products: int = 2400,
    workers: int = 2,
) -> None:
    """Ask the teacher about every picture; what is already on disk is left alone, so that a cut run
    goes on.
    """
    out.mkdir(parents=True, exist_ok=True)
    if photos and not (out / "photos-labels.npy").exists():
        write_photos(list(photos), teacher, out, name="photos", views=views, workers=workers)
    if photos and not (out / "cutouts-labels.npy").exists():
        write_cutouts(list(photos), teacher, out, name="cutouts", count=cutouts, workers=workers)
    if products and not (out / "products-labels.npy").exists():
        write_products(teacher, out, name="products", products=products, views=4, workers=workers)
    if large and not (out / "large-labels.npy").exists():
        write_photos(list(large), teacher, out, name="large", views=large_views, workers=workers)
    write_tiny(tiny, teacher, out, count=tiny_count, workers=workers)
    if not (out / "projection.npz").exists():
        rng = np.random.default_rng(0)
        parts = []
        for name, rows in AXES_FROM.items():
            if (out / f"{name}-labels.npy").exists():
                features = Lesson.open(out, name).features
                picked = np.sort(rng.choice(len(features), min(rows, len(features)), replace=False))
                parts.append(np.asarray(features[picked], dtype=np.float32))
        Projection.fit(np.concatenate(parts)).save(out / "projection.npz")


def train(
    *,
    data: Path,
    out: Path,
    hours: float,
    threads: int = 2,
    pause: Path | None = None,
    count_pauses: bool = False,
    first: Path | None = None,
    rate: float = 2.5e-3,
    after: Callable[[Any], None] | None = None,
) -> None:
    """Train for so many hours in all, going on from `out/checkpoint.pt` where there is one.

    `first` is an exported file whose weights a new run begins with; `rate` is the highest learning
    rate, which should then be lower.
    """
    from tools.distill.distil import describe, distil, material
    from tools.distill.network import Shape
    from tools.distill.plan import Plan
    from tools.distill.pytorch import fast_bfloat16

    out.mkdir(parents=True, exist_ok=True)
    projection = Projection.open(data / "projection.npz")
    lessons = {
        name: Lesson.open(data, name) for name in SHARES if (data / f"{name}-labels.npy").exists()
    }
    whole = sum(SHARES[name] for name in lessons)
    materials, labels = [], 0
    for name, lesson in lessons.items():
        # Every source counts its labels from 0; in the student's list they follow each other.
        numbers = np.where(lesson.labels >= 0, lesson.labels + labels, -1)
        labels = max(labels, int(numbers.max()) + 1)
        materials.append(
            material(
                np.asarray(lesson.pixels),
                lesson.features,
                numbers,
                lesson.things,
                projection,
                share=SHARES[name] / whole,
            )
        )
    shape, plan = Shape(), Plan(hours=hours, rate=rate, threads=threads, bfloat16=fast_bfloat16())
    seen = {name: len(lesson.labels) for name, lesson in lessons.items()}
    (out / "plan.json").write_text(json.dumps(describe(shape, plan) | {"pictures": seen}, indent=1))
    for run in distil(
        materials, shape, plan, out, pause=pause, count_pauses=count_pauses, first=first
    ):
        if after is not None:
            after(run)


def read_curves(run: Path) -> list[dict[str, float]]:
    """What a run logged, a line a minute: step, hours, side, rate, and the mean of each loss."""
    lines = (run / "curves.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
