"""The last two steps of the recipe: the checkpoint as the file that ships, and the file's figures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tools.distill.evaluate import Figures, Vectors, in_batches, judge, labelled, pictures, unit
from tools.distill.sources import fitted
from tools.distill.teacher import Lesson

from lookalike.images.pixel_spec import Pixels

# The picture's side that the file is made for. Larger than the 96 pixels it learns at in the end:
# there it sees pieces of pictures, here whole ones, in which things are smaller (Touvron et al.,
# "Fixing the train-test resolution discrepancy", NeurIPS 2019).
SIDE = 112
# Shares of the squared length. Found on corel1k, grocery and the simulated catalogue (see the model
# card): more colour helps kinds of food and hurts scenes and kinds of products.
WEIGHTS = {"network": 0.68, "color": 0.32}
LICENCE = "learnt from Tiny ImageNet (ImageNet terms: research) and others; see docs/model-card.md"


def sample(data: Path, *, side: int) -> Pixels:
    """Views to find axes from: every eighth photo, cut-out and product, every eightieth of Tiny
    ImageNet.
    """
    return np.stack(
        [
            fitted(view, side)
            for source, every in {"photos": 8, "cutouts": 8, "products": 8, "tiny": 80}.items()
            if (data / f"{source}-labels.npy").exists()
            for view in Lesson.open(data, source).pixels[::every]
        ]
    )


def vector_parts(student: Any, pixels: Pixels) -> dict[str, Any]:
    """The parts of the vector by name, in their order, with axes found from `pixels`."""
    from tools.distill import color, network
    from tools.distill.parts import Axes, Gated, Part, Unit

    side, dim = pixels.shape[1], student.shape.dim
    made = {
        "network": (Unit(student).eval(), dim, network.EVENNESS),
        "color": (color.ColorNumbers(side), color.DIM, color.EVENNESS),
    }
    parts: dict[str, Any] = {
        name: Part(numbers, Axes.fit(numbers, pixels, dim=dim, evenness=evenness))
        for name, (numbers, dim, evenness) in made.items()
    }
    return parts | {"color": Gated(parts["color"], color.colorfulness)}


def load_student(run: Path) -> tuple[Any, dict[str, Any]]:
    """The averaged network of a run's checkpoint, and the checkpoint."""
    from tools.distill.network import Shape, Student
    from tools.distill.pytorch import torch

    stored = torch.load(run / "checkpoint.pt", weights_only=True)
    kept = stored["shape"]
    shape = Shape(tuple(kept["widths"]), tuple(kept["depths"]), kept["head"], kept["dim"])
    student = Student(shape)
    student.load_state_dict(stored["averaged"])
    return student.eval(), stored


def write_model(
    *,
    run: Path,
    data: Path,
    path: Path,
    weights: dict[str, float] | None = None,
    side: int = SIDE,
    small: bool = True,
) -> None:
    """The checkpoint's averaged network and the other parts at their weights, as one ONNX file;
    `small`: stored in 8 bits.
    """
    from tools.distill.export import Extractor, export

    weights = weights or WEIGHTS
    student, stored = load_student(run)
    parts = vector_parts(student, sample(data, side=side))
    dims = {name: int(part.axes.shape[1]) for name, part in parts.items()}
    facts = {
        "name": "lookalike",
        "input": f"pixels: (n, {side}, {side}, 3) uint8, RGB, upright, the whole picture squeezed "
        "into the square: area averaging where a side shrinks, linear where it grows",
        "output": f"vectors: (n, {sum(dims.values())}) float32, length 1; similarity: cosine",
        "side": side,
        "dim": sum(dims.values()),
        "parts": {name: {"dim": dim, "weight": weights[name]} for name, dim in dims.items()},
        "steps": stored["step"],
        "hours": round(stored["seconds"] / 3600, 3),
        "shape": student.shape.as_dict(),
        "licence": LICENCE,
    }
    joined = [(part, weights[name]) for name, part in parts.items()]
    export(Extractor(joined), path, side=side, facts=facts, small=small)


def figures(model: Path, folders: Sequence[str], *, label: str = "label") -> dict[str, Any]:
    """Leave-one-out figures of a file on labelled folders: each part alone, and joined as shipped.

    folders  "FOLDER" or "FOLDER:COLUMN", the column of its table to judge by (`label` otherwise)
    """
    dims, _ = parts_of(model)
    answer: dict[str, Any] = {}
    for named in folders:
        vectors, labels = vectors_of(model, named, label=label)
        answer[Path(named).name] = {
            n: f.as_dict() for n, f in by_part(vectors, labels, dims).items()
        }
    return answer


def weigh(
    model: Path,
    folders: Sequence[str],
    *,
    colors: Sequence[float] = (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6),
) -> list[dict[str, float]]:
    """Mean average precision on every folder (as for `figures`) at other weights of the parts: to
    choose what `write_model` gets.
    """
    dims, old = parts_of(model)
    known = {Path(named).name: vectors_of(model, named) for named in folders}
    answer = []
    for color in colors:
        new = {"network": round(1 - color, 6), "color": color}
        line = dict(new)
        for name, (vectors, labels) in known.items():
            judged = judge(reweighed(vectors, dims, old, new), labels)
            line[name] = round(judged.mean_average_precision, 4)
        answer.append(line)
    return answer


def reweighed(
    vectors: Vectors, dims: dict[str, int], old: dict[str, float], new: dict[str, float]
) -> Vectors:
    """What joined vectors would be, had their parts had other weights.

    A part that faded (colours, in a grey picture) is shorter than its weight says. The network never
    fades, so its length tells how far the whole was stretched to length 1.
    """
    first = next(iter(dims))
    stretch = np.linalg.norm(vectors[:, : dims[first]], axis=1, keepdims=True) / old[first] ** 0.5
    scales = [np.full(dim, (new[name] / old[name]) ** 0.5) for name, dim in dims.items()]
    return unit(vectors / stretch * np.concatenate(scales))


def parts_of(model: Path) -> tuple[dict[str, int], dict[str, float]]:
    """Lengths and weights of the parts of a file's vectors, by name and in order."""
    from tools.distill.export import session

    parts = json.loads(session(model).get_modelmeta().custom_metadata_map["parts"])
    dims = {name: int(part["dim"]) for name, part in parts.items()}
    return dims, {name: float(part["weight"]) for name, part in parts.items()}


def vectors_of(model: Path, named: str, *, label: str = "label") -> tuple[Vectors, list[str]]:
    """Vectors and labels of "FOLDER" or "FOLDER:COLUMN"."""
    from tools.distill.export import session

    place, colon, column = named.rpartition(":")
    folder = Path(place if colon and Path(place).is_dir() else named)
    paths, labels = labelled(folder, label=column if folder == Path(place) else label)
    opened = session(model)
    side = int(opened.get_modelmeta().custom_metadata_map["side"])

    def extract(images: Pixels) -> Vectors:
        return np.asarray(opened.run(None, {"pixels": images})[0], dtype=np.float32)

    return in_batches(extract, pictures(paths, size=side)), labels


def by_part(vectors: Vectors, labels: Sequence[str], dims: dict[str, int]) -> dict[str, Figures]:
    """Figures of each part of joined vectors, and of the whole."""
    answer, at = {}, 0
    for name, dim in dims.items():
        answer[name] = judge(unit(vectors[:, at : at + dim]), labels)
        at += dim
    return answer | {"joined": judge(vectors, labels)}
