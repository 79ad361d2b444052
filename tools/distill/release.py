"""The last two steps of the recipe: export the checkpoint as the file that ships, and evaluate it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tools.distill.evaluate import (
    RankingMetrics,
    Vectors,
    evaluate,
    in_batches,
    read_images,
    read_labels,
)
from tools.distill.sources import stretch
from tools.distill.teacher import TaughtViews

from lookalike.images.pixel_spec import Pixels
from lookalike.vectors.similarity import normalise

# Side of the images that the file is made for. Training ends with this side; before, it is smaller, because
# there the network sees pieces of images, here whole ones, in which objects are smaller (Touvron et al.,
# "Fixing the train-test resolution discrepancy", NeurIPS 2019).
SIDE = 128
# Share of the trained weights in the exported ones; the rest are those before training. What was learned of
# the photos stays, and so does what was known of other kinds (Wortsman et al., "Robust fine-tuning of
# zero-shot models", CVPR 2022). Of 0, 0.25, 0.5, 0.75 and 1, this is best on kinds that were left out (see
# the model card).
LEARNED = 0.5
# Weights of the parts, as shares of the squared length. Chosen on corel1k, grocery and the simulated
# catalogue (see the model card): more colour helps kinds of food and hurts scenes and kinds of products.
WEIGHTS = {"network": 0.8, "color": 0.2}
# Weights of the colour part that `sweep_weights` tries.
COLOR_WEIGHTS = (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6)
# Views to which the projections of the parts and the class vectors are fitted.
SAMPLE = 3000
LICENCE = "Apache-2.0; starts from EfficientNet-Lite0 (Apache-2.0); see docs/model-card.md"


def sample_views(data: Path, *, side: int) -> Pixels:
    """Return views (n, side, side, 3) of what `prepare` wrote, to fit the projections of the parts to."""
    pixels = TaughtViews.open(data).pixels
    picked = np.sort(np.random.default_rng(0).permutation(len(pixels))[:SAMPLE])
    return np.stack([stretch(np.asarray(pixels[row]), side) for row in picked])


def vector_parts(student: Any, pixels: Pixels) -> dict[str, Any]:
    """Return the parts of the vector by name, in order, with projections fitted to `pixels`."""
    from tools.distill import color, network
    from tools.distill.parts import Gated, Part, Unit, fit_projection

    features = {
        "network": (Unit(student).eval(), student.architecture.dim, network.WHITENING),
        "color": (color.ColorHistograms(pixels.shape[1]), color.DIM, color.WHITENING),
    }
    parts: dict[str, Any] = {
        name: Part(module, fit_projection(module, pixels, dim=dim, whitening=whitening))
        for name, (module, dim, whitening) in features.items()
    }
    return parts | {"color": Gated(parts["color"], color.colorfulness)}


def load_student(run: Path) -> tuple[Any, dict[str, Any]]:
    """Return the network of a run, and its checkpoint. Its weights lie between those that training started
    with and those that it reached (see `LEARNED`)."""
    from tools.distill.network import Architecture, Student
    from tools.distill.pytorch import torch
    from tools.distill.trainer import START

    stored = torch.load(run / "checkpoint.pt", weights_only=True)
    kept = stored["architecture"]
    student = Student(Architecture(tuple(kept["blocks"]), kept["dim"], kept["classes"]))
    weights, start = stored["averaged"], run / START
    if start.exists():
        before = torch.load(start, weights_only=True)
        weights = {
            name: torch.lerp(before[name].float(), weight.float(), LEARNED).to(weight.dtype)
            for name, weight in weights.items()
        }
    student.load_state_dict(weights)
    return student.eval(), stored


def write_model(
    *,
    run: Path,
    pixels: Pixels,
    path: Path,
    weights: dict[str, float] | None = None,
    side: int = SIDE,
    quantise: bool = True,
) -> None:
    """Write the checkpoint's averaged network and the other parts, weighted, as one ONNX file.

    A network with a class head gets class vectors, with which the file answers words.

    pixels    images (n, side, side, 3) of the kinds that will be searched, some thousands: the projections of
              the parts and the class vectors are fitted to them
    quantise  store the weights in 8 bits
    """
    from tools.distill.class_vectors import fit_class_vectors
    from tools.distill.export import Extractor, export

    weights = weights or WEIGHTS
    student, stored = load_student(run)
    parts = vector_parts(student, pixels)
    dims = {name: int(part.axes.shape[1]) for name, part in parts.items()}
    metadata = {
        "name": "lookalike",
        "input": f"pixels: (n, {side}, {side}, 3) uint8, RGB, upright, the whole image stretched "
        "to the square: area averaging where a side shrinks, linear where it grows",
        "output": f"vectors: (n, {sum(dims.values())}) float32, length 1; similarity: cosine",
        "side": side,
        "dim": sum(dims.values()),
        "parts": {name: {"dim": dim, "weight": weights[name]} for name, dim in dims.items()},
        "steps": stored["step"],
        "hours": round(stored["seconds"] / 3600, 3),
        "shape": student.architecture.as_dict(),
        "licence": LICENCE,
    }
    extractor = Extractor([(part, weights[name]) for name, part in parts.items()])
    classes = None
    if student.architecture.classes:
        found = fit_class_vectors(*vectors_and_logits(extractor, student, pixels, dims["network"]))
        # Colours say nothing about classes.
        rest = np.zeros((sum(dims.values()) - dims["network"], len(found.bias)), np.float32)
        classes = replace(found, weights=np.concatenate([found.weights, rest]))
        metadata["classes"] = "imagenet-1k"
    export(extractor, path, side=side, metadata=metadata, classes=classes, quantise=quantise)


def vectors_and_logits(
    extractor: Any, student: Any, pixels: Pixels, dim: int
) -> tuple[Vectors, Vectors]:
    """Return the first `dim` numbers of the vectors of images, and the student's class logits."""
    from tools.distill.parts import channels_first
    from tools.distill.pytorch import torch

    vectors, logits = [], []
    with torch.no_grad():
        for start in range(0, len(pixels), 64):
            batch = pixels[start : start + 64]
            vectors.append(extractor(torch.from_numpy(batch))[:, :dim].numpy())
            logits.append(student.logits(channels_first(batch)).numpy())
    return np.concatenate(vectors), np.concatenate(logits)


def evaluate_model(
    model: Path, folders: Sequence[str], *, label: str = "label"
) -> dict[str, dict[str, dict[str, float]]]:
    """Return leave-one-out metrics of a file on labelled folders: of each part alone, and of the whole.

    folders  "FOLDER" or "FOLDER:COLUMN", the column of its table with the labels (by default `label`)
    """
    dims, _ = read_parts(model)
    results = {}
    for folder in folders:
        vectors, labels = extract_folder(model, folder, label=label)
        metrics = evaluate_parts(vectors, labels, dims)
        results[Path(folder).name] = {name: one.as_dict() for name, one in metrics.items()}
    return results


def sweep_weights(
    model: Path, folders: Sequence[str], *, colors: Sequence[float] = COLOR_WEIGHTS
) -> list[dict[str, float]]:
    """Return the mean average precision on every folder at other weights of the parts: to choose
    `WEIGHTS`."""
    dims, old = read_parts(model)
    known = {Path(folder).name: extract_folder(model, folder) for folder in folders}
    results = []
    for color in colors:
        new = {"network": round(1 - color, 6), "color": color}
        line = dict(new)
        for name, (vectors, labels) in known.items():
            metrics = evaluate(reweight(vectors, dims, old, new), labels)
            line[name] = round(metrics.mean_average_precision, 4)
        results.append(line)
    return results


def reweight(
    vectors: Vectors, dims: dict[str, int], old: dict[str, float], new: dict[str, float]
) -> Vectors:
    """Return what vectors would be with other weights of their parts.

    A gated part (colours, in a grey image) is shorter than its weight says. The network is never gated,
    so its length tells by how much the whole was stretched to length 1.
    """
    first = next(iter(dims))
    stretched = np.linalg.norm(vectors[:, : dims[first]], axis=1, keepdims=True) / old[first] ** 0.5
    scales = [np.full(dim, (new[name] / old[name]) ** 0.5) for name, dim in dims.items()]
    return normalise(vectors / stretched * np.concatenate(scales))


def read_parts(model: Path) -> tuple[dict[str, int], dict[str, float]]:
    """Return dimensions and weights of the parts of a file's vectors, by name and in order."""
    from tools.distill.export import open_session

    parts = json.loads(open_session(model).get_modelmeta().custom_metadata_map["parts"])
    dims = {name: int(part["dim"]) for name, part in parts.items()}
    return dims, {name: float(part["weight"]) for name, part in parts.items()}


def extract_folder(model: Path, folder: str, *, label: str = "label") -> tuple[Vectors, list[str]]:
    """Return vectors and labels of "FOLDER" or "FOLDER:COLUMN"."""
    from tools.distill.export import open_session

    named, colon, column = folder.rpartition(":")
    has_column = bool(colon) and Path(named).is_dir()
    root = Path(named if has_column else folder)
    paths, labels = read_labels(root, label=column if has_column else label)
    session = open_session(model)
    side = int(session.get_modelmeta().custom_metadata_map["side"])

    def extract(images: Pixels) -> Vectors:
        return np.asarray(session.run(None, {"pixels": images})[0], dtype=np.float32)

    return in_batches(extract, read_images(paths, size=side)), labels


def evaluate_parts(
    vectors: Vectors, labels: Sequence[str], dims: dict[str, int]
) -> dict[str, RankingMetrics]:
    """Return the metrics of each part of the vectors, and of the whole."""
    results, start = {}, 0
    for name, dim in dims.items():
        results[name] = evaluate(normalise(vectors[:, start : start + dim]), labels)
        start += dim
    return results | {"joined": evaluate(vectors, labels)}
