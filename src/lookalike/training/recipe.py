"""The steps of the recipe, each of which can be run again alone: prepare, train, export, judge."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.training.judge import Vectors, in_batches, judge, labelled, pictures, unit
from lookalike.training.projection import Projection
from lookalike.training.sources import Pixels, fitted
from lookalike.training.teacher import Lesson, write_cutouts, write_photos, write_tiny

# Each source's part of a batch. Tiny ImageNet has the many kinds of things, but blurred; photos and
# cut-outs are sharp.
SHARES = {"tiny": 0.66, "photos": 0.20, "cutouts": 0.09, "large": 0.05}
# Rows of each source from which the teacher's principal axes are found: about as many sharp ones as
# blurred ones.
AXES_FROM = {"tiny": 12000, "photos": 20000, "cutouts": 3000}
# The picture's side that the network is judged with and shipped for.
SIDE = 96
# The share of the squared length that is colour.
COLOR_WEIGHT = 0.3


def prepare(
    *,
    teacher: Path,
    tiny: Path,
    photos: Sequence[Path],
    large: Sequence[Path],
    out: Path,
    tiny_count: int | None = None,
    views: int = 6,
    large_views: int = 240,
    cutouts: int = 6000,
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
    after: Callable[[Any], None] | None = None,
) -> None:
    """Train for so many hours in all, going on from `out/checkpoint.pt` where there is one."""
    from lookalike.training.distil import Plan, describe, distil, material
    from lookalike.training.network import Shape

    out.mkdir(parents=True, exist_ok=True)
    projection = Projection.open(data / "projection.npz")
    lessons = {
        name: Lesson.open(data, name) for name in SHARES if (data / f"{name}-labels.npy").exists()
    }
    whole = sum(SHARES[name] for name in lessons)
    materials = [
        material(
            np.asarray(lesson.pixels),
            lesson.features,
            lesson.labels,
            projection,
            share=SHARES[name] / whole,
        )
        for name, lesson in lessons.items()
    ]
    shape, plan = Shape(), Plan(hours=hours, threads=threads)
    seen = {name: len(lesson.labels) for name, lesson in lessons.items()}
    (out / "plan.json").write_text(json.dumps(describe(shape, plan) | {"pictures": seen}, indent=1))
    for run in distil(materials, shape, plan, out, pause=pause):
        if after is not None:
            after(run)


def color_axes(data: Path, *, side: int) -> Any:
    """The colours' axes, from every fourth photo and cut-out view and every fortieth of Tiny
    ImageNet; kept in `data`.
    """
    from lookalike.training.color import ColorAxes

    path = data / f"color-{side}.npz"
    if not path.exists():
        steps = {"photos": 4, "cutouts": 4, "tiny": 40}
        seen = [
            p
            for n, every in steps.items()
            if (data / f"{n}-labels.npy").exists()
            for p in Lesson.open(data, n).pixels[::every]
        ]
        ColorAxes.fit(np.stack([fitted(p, side) for p in seen])).save(path)
    return ColorAxes.open(path)


def write_model(*, run: Path, data: Path, path: Path, weight: float, side: int = SIDE) -> None:
    """The checkpoint's averaged weights, with the colours at their weight, as one ONNX file."""
    from lookalike.training.color import DIM, Color
    from lookalike.training.export import Extractor, export
    from lookalike.training.network import Shape, Student
    from lookalike.training.pytorch import torch

    stored = torch.load(run / "checkpoint.pt", weights_only=True)
    kept = stored["shape"]
    shape = Shape(tuple(kept["widths"]), tuple(kept["depths"]), kept["head"], kept["dim"])
    student = Student(shape)
    student.load_state_dict(stored["averaged"])
    color = Color(color_axes(data, side=side), side)
    facts = {
        "name": "lookalike",
        "input": f"pixels: (n, {side}, {side}, 3) uint8, RGB, upright, the whole picture "
        "squeezed into the square: area averaging when both sides shrink, else bilinear",
        "output": f"vectors: (n, {shape.dim + DIM}) float32, length 1; similarity: cosine",
        "side": str(side),
        "network_dim": str(shape.dim),
        "color_dim": str(DIM),
        "color_weight": str(weight),
        "trained_hours": f"{stored['seconds'] / 3600:.3f}",
        "steps": str(stored["step"]),
        "shape": shape.as_dict(),
        "licence": "weights learnt from Tiny ImageNet (ImageNet terms: research) and other pictures; "
        "see the model card",
    }
    export(Extractor(student, color, weight=weight), path, side=side, facts=facts)


def figures(model: Path, folders: Sequence[Path], *, label: str = "label") -> dict[str, Any]:
    """Leave-one-out figures of a model on labelled folders: network alone, colours alone, joined as
    shipped.
    """
    from lookalike.training.export import session

    opened = session(model)
    facts = opened.get_modelmeta().custom_metadata_map
    side, network = int(facts["side"]), int(facts["network_dim"])

    def extract(images: Pixels) -> Vectors:
        return np.asarray(opened.run(None, {"pixels": images})[0], dtype=np.float32)

    answer: dict[str, Any] = {}
    for folder in folders:
        paths, labels = labelled(folder, label=label)
        vectors = in_batches(extract, pictures(paths, size=side))
        parts = {
            "network": unit(vectors[:, :network]),
            "color": unit(vectors[:, network:]),
            "joined": vectors,
        }
        answer[folder.name] = {name: judge(part, labels).as_dict() for name, part in parts.items()}
    return answer
