"""The training loop: the student learns the teacher's vectors, their likenesses to each other, and
labels.

The plan is laid out in time, not epochs: `hours` of training, the learning rate and the pictures'
size follow the share of it that is spent. A run that is cut and resumed goes on where it was, on a
slower machine it merely sees less.
"""

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.images.needs import Pixels
from lookalike.training.augment import damaged
from lookalike.training.network import Shape, Student
from lookalike.training.projection import Projection
from lookalike.training.pytorch import nn, torch


@dataclass(frozen=True)
class Material:
    """Pictures of one source with the teacher's vectors; `share` is their part of every batch."""

    pixels: Pixels
    targets: NDArray[np.float32]
    labels: NDArray[np.int64]
    share: float


@dataclass(frozen=True)
class Plan:
    """What a run is. Weights of the three losses were chosen so that each moves the vector about as
    much.
    """

    hours: float
    batch: int = 128
    rate: float = 2.5e-3
    decay: float = 0.03
    vector_weight: float = 4.0
    likeness_weight: float = 0.5
    label_weight: float = 0.5
    temperature: float = 0.1
    average: float = 0.998
    threads: int = 2
    # (until which share of the time, pixels a side). Small pictures teach two and a half times as many
    # a second as large ones; below 64 little is gained, since the last stages are a pixel or two wide.
    sizes: tuple[tuple[float, int], ...] = ((0.8, 64), (1.0, 96))


def learning_rate(spent: float, plan: Plan) -> float:
    """One cycle over the share `spent` of the time: a rise over the first 5 %, then a cosine to
    nothing.
    """
    if spent < 0.05:
        return plan.rate * (0.04 + 0.96 * spent / 0.05)
    return plan.rate * 0.5 * (1 + float(np.cos(np.pi * min(1.0, (spent - 0.05) / 0.95)))) + 1e-6


def side(spent: float, plan: Plan) -> int:
    """The pictures' side in pixels at this share of the time."""
    return next((pixels for until, pixels in plan.sizes if spent < until), plan.sizes[-1][1])


def batch_of(
    materials: Sequence[Material], step: int, *, size: int, plan: Plan
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The step's pictures, targets and labels; they depend on the step alone, so that a resumed run
    sees new ones.
    """
    rng = np.random.default_rng((20240, step))
    pictures: list[Pixels] = []
    targets: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.int64]] = []
    for material in materials:
        rows = rng.integers(0, len(material.labels), round(plan.batch * material.share))
        pictures.extend(damaged(material.pixels[row], rng, size=size) for row in rows)
        targets.append(material.targets[rows])
        labels.append(material.labels[rows])
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
    return (
        stacked,
        torch.from_numpy(np.concatenate(targets)),
        torch.from_numpy(np.concatenate(labels)),
    )


def losses(
    student: Student,
    classifier: nn.Linear,
    batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    plan: Plan,
) -> tuple[torch.Tensor, dict[str, float]]:
    """The weighted sum, and its parts for the curves.

    vector: 1 - cosine to the teacher's. likeness: each picture's distribution over the others of
    the batch (softmax of cosines) should be the teacher's, for the order of neighbours is what a
    search shows. label: cross-entropy, smoothed.
    """
    pixels, targets, labels = batch
    pooled = student.pooled(pixels)
    vectors = nn.functional.normalize(student.vector(pooled), dim=1)
    vector = 1 - (vectors * targets).sum(1).mean()
    likeness = likeness_loss(vectors, targets, plan.temperature)
    known = labels >= 0
    label = nn.functional.cross_entropy(
        classifier(pooled[known]), labels[known], label_smoothing=0.1
    )
    total = (
        plan.vector_weight * vector + plan.likeness_weight * likeness + plan.label_weight * label
    )
    parts = {"vector": vector, "likeness": likeness, "label": label}
    return total, {name: float(part.detach()) for name, part in parts.items()}


def likeness_loss(vectors: torch.Tensor, targets: torch.Tensor, temperature: float) -> torch.Tensor:
    """Kullback-Leibler divergence between the two softmaxed cosine matrices, their diagonals left
    out.
    """
    itself = torch.eye(len(vectors), dtype=torch.bool)
    mine = (vectors @ vectors.T / temperature).masked_fill(itself, -1e4)
    theirs = (targets @ targets.T / temperature).masked_fill(itself, -1e4)
    answer: torch.Tensor = nn.functional.kl_div(
        mine.log_softmax(1), theirs.log_softmax(1), log_target=True, reduction="batchmean"
    )
    return answer


@dataclass
class Run:
    """What lives while a student learns: weights, their running average, the optimiser, time spent."""

    student: Student
    averaged: Student
    classifier: nn.Linear
    optimiser: Any
    step: int = 0
    seconds: float = 0.0


def start(shape: Shape, classes: int, plan: Plan, checkpoint: Path) -> Run:
    """A new run, or the one that the checkpoint holds."""
    torch.manual_seed(0)
    student = Student(shape).to(memory_format=torch.channels_last)
    averaged = Student(shape).to(memory_format=torch.channels_last)
    averaged.load_state_dict(student.state_dict())
    classifier = nn.Linear(shape.head, classes)
    matrices = [p for m in (student, classifier) for p in m.parameters() if p.ndim > 1]
    vectors = [p for m in (student, classifier) for p in m.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": plan.decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    run = Run(student, averaged, classifier, torch.optim.AdamW(groups, lr=plan.rate, fused=True))
    if checkpoint.exists():
        stored = torch.load(checkpoint, weights_only=True)
        for name in ("student", "averaged", "classifier", "optimiser"):
            getattr(run, name).load_state_dict(stored[name])
        run.step, run.seconds = stored["step"], stored["seconds"]
    return run


def save(run: Run, checkpoint: Path) -> None:
    """Write beside the checkpoint and swap, so that a cut leaves the old one whole."""
    parts = {
        name: getattr(run, name).state_dict()
        for name in ("student", "averaged", "classifier", "optimiser")
    }
    fresh = checkpoint.with_suffix(".new")
    stored = parts | {
        "step": run.step,
        "seconds": run.seconds,
        "shape": run.student.shape.as_dict(),
    }
    torch.save(stored, fresh)
    fresh.replace(checkpoint)


def learn(
    run: Run, batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor], rate: float, plan: Plan
) -> dict[str, float]:
    """One step of the optimiser, and of the running average that is what gets exported."""
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    batch = (batch[0].contiguous(memory_format=torch.channels_last), batch[1], batch[2])
    total, parts = losses(run.student, run.classifier, batch, plan)
    run.optimiser.zero_grad(set_to_none=True)
    total.backward()
    nn.utils.clip_grad_norm_(run.student.parameters(), 5.0)
    run.optimiser.step()
    # The average starts short, or the random weights of the beginning would stay in it for long.
    keep = min(plan.average, (1 + run.step) / (10 + run.step))
    with torch.no_grad():
        for ours, theirs in zip(
            run.averaged.state_dict().values(), run.student.state_dict().values(), strict=True
        ):
            if ours.is_floating_point():
                ours.lerp_(theirs, 1 - keep)
    return parts


def distil(
    materials: Sequence[Material],
    shape: Shape,
    plan: Plan,
    out: Path,
    *,
    save_every: float = 60.0,
    pause: Path | None = None,
) -> Iterator[Run]:
    """Train until the time is spent; yields the run after every checkpoint, for whoever wants to
    judge it.
    """
    torch.set_num_threads(plan.threads)
    checkpoint, curves = out / "checkpoint.pt", out / "curves.jsonl"
    run = start(shape, int(max(m.labels.max() for m in materials)) + 1, plan, checkpoint)
    run.student.train()
    with ThreadPoolExecutor(1) as ahead:
        coming: Future[Any] | None = None
        sums: dict[str, float] = {}
        began, saved, count = time.monotonic(), run.seconds, 0
        while (spent := run.seconds / (plan.hours * 3600)) < 1:
            while pause is not None and pause.exists():
                time.sleep(1)
                began = time.monotonic()
            batch = (
                coming
                or ahead.submit(batch_of, materials, run.step, size=side(spent, plan), plan=plan)
            ).result()
            coming = ahead.submit(
                batch_of, materials, run.step + 1, size=side(spent, plan), plan=plan
            )
            parts = learn(run, batch, learning_rate(spent, plan), plan)
            run.step += 1
            sums = {name: sums.get(name, 0.0) + value for name, value in parts.items()}
            count += 1
            now = time.monotonic()
            run.seconds, began = run.seconds + now - began, now
            if run.seconds - saved >= save_every or run.seconds >= plan.hours * 3600:
                save(run, checkpoint)
                line = {
                    "step": run.step,
                    "hours": round(run.seconds / 3600, 4),
                    "side": side(spent, plan),
                }
                line |= {
                    "images_per_second": round(count * len(batch[0]) / (run.seconds - saved), 1)
                }
                line |= {"rate": learning_rate(spent, plan)} | {
                    k: round(v / count, 5) for k, v in sums.items()
                }
                with curves.open("a") as log:
                    log.write(json.dumps(line) + "\n")
                saved, sums, count = run.seconds, {}, 0
                yield run
                began = time.monotonic()


def describe(shape: Shape, plan: Plan) -> dict[str, Any]:
    """What a run was, for its folder and the model card."""
    return {"shape": shape.as_dict(), "plan": asdict(plan)}


def material(
    pixels: Pixels,
    features: NDArray[np.float16],
    labels: NDArray[np.int64],
    projection: Projection,
    *,
    share: float,
) -> Material:
    """Pictures with the teacher's features, projected to what the student learns."""
    return Material(pixels, projection(np.asarray(features, dtype=np.float32)), labels, share)
