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
from tools.distill.augment import damaged
from tools.distill.losses import Batch, Names, losses
from tools.distill.network import Shape, Student
from tools.distill.plan import Plan, learning_rate, side
from tools.distill.projection import Projection
from tools.distill.pytorch import nn, torch
from tools.distill.warm_start import begin_with

from lookalike.files import atomic_path
from lookalike.images.pixel_spec import Pixels


@dataclass(frozen=True)
class Material:
    """Pictures of one source with the teacher's vectors; `share` is their part of every batch.

    `labels` and `things` (which single thing a picture shows) are -1 where none is known.
    """

    pixels: Pixels
    targets: NDArray[np.float32]
    labels: NDArray[np.int64]
    things: NDArray[np.int64]
    share: float


def batch_of(materials: Sequence[Material], step: int, *, size: int, plan: Plan) -> Batch:
    """The step's pictures and what is known of them; they depend on the step alone, so that a
    resumed run sees new ones.
    """
    rng = np.random.default_rng((20240, abs(step), step < 0))
    pictures: list[Pixels] = []
    targets: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.int64]] = []
    things: list[NDArray[np.int64]] = []
    for material in materials:
        rows = rng.integers(0, len(material.labels), round(plan.batch * material.share))
        pictures.extend(damaged(material.pixels[row], rng, size=size) for row in rows)
        targets.append(material.targets[rows])
        labels.append(material.labels[rows])
        things.append(material.things[rows])
    return Batch(
        torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float(),
        torch.from_numpy(np.concatenate(targets)),
        torch.from_numpy(np.concatenate(labels)),
        torch.from_numpy(np.concatenate(things)),
    )


@dataclass
class Run:
    """What lives while a student learns: weights, their running average, the optimiser, time spent."""

    student: Student
    averaged: Student
    names: Names
    optimiser: Any
    step: int = 0
    seconds: float = 0.0


def start(shape: Shape, labels: int, things: int, plan: Plan, checkpoint: Path) -> Run:
    """A new run, or the one that the checkpoint holds."""
    torch.manual_seed(0)
    student = Student(shape).to(memory_format=torch.channels_last)
    averaged = Student(shape).to(memory_format=torch.channels_last)
    averaged.load_state_dict(student.state_dict())
    names = Names(shape.head, shape.dim, labels, things)
    matrices = [p for m in (student, names) for p in m.parameters() if p.ndim > 1]
    vectors = [p for m in (student, names) for p in m.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": plan.decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    run = Run(student, averaged, names, torch.optim.AdamW(groups, lr=plan.rate, fused=True))
    if checkpoint.exists():
        stored = torch.load(checkpoint, weights_only=True)
        for name in ("student", "averaged", "names", "optimiser"):
            getattr(run, name).load_state_dict(stored[name])
        run.step, run.seconds = stored["step"], stored["seconds"]
    return run


def point(names: Names, materials: Sequence[Material]) -> None:
    """Turn every label's and thing's direction to the mean of what the teacher says of its pictures:
    from random ones thousands of steps passed before they meant anything.
    """
    with torch.no_grad():
        for directions, numbers in (
            (names.labels, [m.labels for m in materials]),
            (names.things, [m.things for m in materials]),
        ):
            sums = torch.zeros_like(directions)
            for material, of in zip(materials, numbers, strict=True):
                known = np.flatnonzero(of >= 0)
                rows = torch.from_numpy(of[known])
                sums.index_add_(0, rows, torch.from_numpy(material.targets[known]))
            found = sums.abs().sum(1) > 0
            # As long as random ones would be: the optimiser's steps are made for that.
            mean = nn.functional.normalize(sums, dim=1) * directions.shape[1] ** 0.5
            directions.copy_(torch.where(found[:, None], mean, directions))


def save(run: Run, checkpoint: Path) -> None:
    """Write beside the checkpoint and swap, so that a cut leaves the old one whole."""
    parts = {
        name: getattr(run, name).state_dict()
        for name in ("student", "averaged", "names", "optimiser")
    }
    stored = parts | {
        "step": run.step,
        "seconds": run.seconds,
        "shape": run.student.shape.as_dict(),
    }
    with atomic_path(checkpoint) as part:
        torch.save(stored, part)


def learn(
    run: Run, batch: Batch, rate: float, plan: Plan, workers: ThreadPoolExecutor
) -> dict[str, float]:
    """One step of the optimiser, and of the running average that is what gets exported.

    Every thread works through its own part of the batch by itself. OpenMP would meet after every
    layer: on a busy machine two of its threads were ten times slower than one. (Both parts write
    the batch norms' running means; should their writes collide, one of many small updates is lost.)
    """
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    shares = [batch.share(number, plan.threads) for number in range(plan.threads)]
    answers = list(workers.map(lambda share: gradients(run, share, plan), shares))
    for weight, *slopes in zip(weights_of(run), *(g for g, _ in answers), strict=True):
        weight.grad = torch.stack(slopes).mean(0)
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
    told = [parts for _, parts in answers]
    return {name: sum(parts.get(name, 0.0) for parts in told) / len(told) for name in told[0]}


def weights_of(run: Run) -> list[nn.Parameter]:
    """All that is learnt, always in the same order."""
    return [*run.student.parameters(), *run.names.parameters()]


def gradients(run: Run, batch: Batch, plan: Plan) -> tuple[list[torch.Tensor], dict[str, float]]:
    """Slopes of the loss of a part of a batch, zeros where it does not reach."""
    total, parts = losses(run.student, run.names, batch, plan)
    slopes = torch.autograd.grad(total, weights_of(run), allow_unused=True, materialize_grads=True)
    return list(slopes), parts


def distil(
    materials: Sequence[Material],
    shape: Shape,
    plan: Plan,
    out: Path,
    *,
    save_every: float = 60.0,
    pause: Path | None = None,
    count_pauses: bool = False,
    first: Path | None = None,
) -> Iterator[Run]:
    """Train until the time is spent; yields the run after every checkpoint, for whoever wants to
    judge it.

    While the file `pause` exists nothing is done; with `count_pauses` that time is spent all the
    same, so that the run ends when it was meant to. A new run begins with the weights of the file
    `first` where one is given (a second stage).
    """
    torch.set_num_threads(1)
    checkpoint, curves = out / "checkpoint.pt", out / "curves.jsonl"
    labels, things = (
        int(max(numbers.max() for numbers in known)) + 1
        for known in ([m.labels for m in materials], [m.things for m in materials])
    )
    new = not checkpoint.exists()
    run = start(shape, labels, things, plan, checkpoint)
    if new:
        point(run.names, materials)
    if new and first is not None:
        seen = (batch_of(materials, -n, size=side(0, plan), plan=plan) for n in range(1, 61))
        begin_with(run.student, first, seen)
        run.averaged.load_state_dict(run.student.state_dict())
    run.student.train()
    alone = ThreadPoolExecutor(plan.threads, initializer=torch.set_num_threads, initargs=(1,))
    with ThreadPoolExecutor(1) as ahead, alone as workers:
        coming: Future[Any] | None = None
        sums: dict[str, float] = {}
        began, saved, count = time.monotonic(), run.seconds, 0
        while (spent := run.seconds / (plan.hours * 3600)) < 1:
            while pause is not None and pause.exists():
                time.sleep(1)
                began = began if count_pauses else time.monotonic()
            batch = (
                coming
                or ahead.submit(batch_of, materials, run.step, size=side(spent, plan), plan=plan)
            ).result()
            coming = ahead.submit(
                batch_of, materials, run.step + 1, size=side(spent, plan), plan=plan
            )
            parts = learn(run, batch, learning_rate(spent, plan), plan, workers)
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
                    "images_per_second": round(count * len(batch.labels) / (run.seconds - saved), 1)
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
    things: NDArray[np.int64],
    projection: Projection,
    *,
    share: float,
) -> Material:
    """Pictures with the teacher's features, projected to what the student learns."""
    targets = projection(np.asarray(features, dtype=np.float32))
    return Material(pixels, targets, labels, things, share)
