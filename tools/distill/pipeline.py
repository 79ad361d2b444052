"""The first two steps of the recipe: compute the teacher's features of all images, then train."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tools.distill.projection import Projection, fit_teacher, student_targets
from tools.distill.teacher import (
    TaughtImages,
    write_cutouts,
    write_photos,
    write_products,
    write_tiny,
)

# Share of each source in a batch. Tiny ImageNet has the most kinds of objects, but is blurred; the others
# are sharp. Products and cut-outs weigh more than their number because single objects on a plain background
# were learnt last: with 9 % of products instead of 22 % their kinds were separated less well than by a
# histogram of edges.
SHARES = {"tiny": 0.42, "photos": 0.25, "products": 0.18, "cutouts": 0.10, "large": 0.05}
# Rows of each source to which the teacher's projection is fitted: about as many sharp ones as blurred ones.
PROJECTION_ROWS = {"tiny": 12000, "photos": 20000, "products": 5000, "cutouts": 3000}


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
    """Compute the teacher's features of all images. What is on disk already is kept, so that an
    interrupted run continues."""
    out.mkdir(parents=True, exist_ok=True)
    if photos and not _is_done(out, "photos"):
        write_photos(list(photos), teacher, out, name="photos", views=views, workers=workers)
    if photos and not _is_done(out, "cutouts"):
        write_cutouts(list(photos), teacher, out, name="cutouts", count=cutouts, workers=workers)
    if products and not _is_done(out, "products"):
        write_products(teacher, out, name="products", products=products, views=4, workers=workers)
    if large and not _is_done(out, "large"):
        write_photos(list(large), teacher, out, name="large", views=large_views, workers=workers)
    write_tiny(tiny, teacher, out, count=tiny_count, workers=workers)
    if not (out / "projection.npz").exists():
        rng = np.random.default_rng(0)
        parts = []
        for name, rows in PROJECTION_ROWS.items():
            if _is_done(out, name):
                features = TaughtImages.open(out, name).features
                picked = np.sort(rng.choice(len(features), min(rows, len(features)), replace=False))
                parts.append(np.asarray(features[picked], dtype=np.float32))
        fit_teacher(np.concatenate(parts)).save(out / "projection.npz")


def _is_done(data: Path, name: str) -> bool:
    """Return whether a source is complete: its labels are written last."""
    return (data / f"{name}-labels.npy").exists()


def train(
    *,
    data: Path,
    out: Path,
    hours: float,
    threads: int = 2,
    pause: Path | None = None,
    count_pauses: bool = False,
    init_from: Path | None = None,
    rate: float = 2.5e-3,
    after: Callable[[Any], None] | None = None,
) -> None:
    """Train for so many hours in total, continuing from `out/checkpoint.pt` if there is one.

    init_from  an exported file whose weights a new run starts with
    rate       highest learning rate; lower with `init_from`
    after      called with the run after every checkpoint
    """
    from tools.distill.network import Architecture
    from tools.distill.pytorch import fast_bfloat16
    from tools.distill.schedule import Schedule
    from tools.distill.trainer import Source, describe, distill

    out.mkdir(parents=True, exist_ok=True)
    projection = Projection.open(data / "projection.npz")
    taught = {name: TaughtImages.open(data, name) for name in SHARES if _is_done(data, name)}
    total = sum(SHARES[name] for name in taught)
    sources, labels = [], 0
    for name, images in taught.items():
        # Every source numbers its labels from 0; here they follow each other.
        numbers = np.where(images.labels >= 0, images.labels + labels, -1)
        labels = max(labels, int(numbers.max()) + 1)
        targets = student_targets(np.asarray(images.features, np.float32), projection)
        share = SHARES[name] / total
        pixels = np.asarray(images.pixels)
        sources.append(Source(pixels, targets, numbers, images.instances, share))
    architecture = Architecture()
    schedule = Schedule(hours=hours, rate=rate, threads=threads, bfloat16=fast_bfloat16())
    counts = {name: len(images.labels) for name, images in taught.items()}
    settings = describe(architecture, schedule) | {"images": counts}
    (out / "settings.json").write_text(json.dumps(settings, indent=1))
    for run in distill(
        sources,
        architecture,
        schedule,
        out,
        pause=pause,
        count_pauses=count_pauses,
        init_from=init_from,
    ):
        if after is not None:
            after(run)


def read_curves(run: Path) -> list[dict[str, float]]:
    """Return what a run logged about once a minute: step, hours, side, rate, and the mean of each loss."""
    lines = (run / "curves.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
