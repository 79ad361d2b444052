"""The training loop.

The schedule is laid out in time, not in epochs: learning rate and image size follow the share of the hours
that is spent. A run that is interrupted and resumed continues where it was; on a slower machine it only
sees fewer images.
"""

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tools.distill.augment import augment
from tools.distill.network import Architecture, Student, load_pretrained
from tools.distill.projection import Projection, fit_teacher, student_targets
from tools.distill.pytorch import fast_bfloat16, nn, torch
from tools.distill.teacher import TaughtViews

from lookalike.files import atomic_path

# The weights that training starts with, beside the checkpoint; see `release.load_student`.
START = "start.pt"
# Views to which the teacher's projection, and the first map to the vector, are fitted.
PROJECTION_VIEWS, FIRST_VIEWS = 20_000, 4_000
# Ridge of that map, as a share of the mean variance of a feature.
RIDGE = 0.1


@dataclass(frozen=True)
class Schedule:
    """The hyperparameters of a run.

    hours        length of the run
    batch        images per step
    rate         highest learning rate
    warm         steps in which it is reached
    fall         the share of the hours after which it falls, linearly, to zero
    decay        weight decay of matrices
    temperature  of the softmaxes over cosines
    average      decay of the running average of the weights, which is exported
    frozen       first blocks that are not trained (see `Student.freeze`)
    threads      worker threads
    sides        (until which share of the hours, pixels per side)
    """

    hours: float
    batch: int = 128
    rate: float = 5e-4
    warm: int = 300
    fall: float = 0.6
    decay: float = 0.02
    temperature: float = 0.1
    average: float = 0.9985
    frozen: int = 2
    threads: int = 2
    sides: tuple[tuple[float, int], ...] = ((0.85, 112), (1.0, 128))

    def side(self, spent: float) -> int:
        """Return the side of the images at a share of the hours."""
        return next((side for until, side in self.sides if spent < until), self.sides[-1][1])

    def rate_at(self, spent: float, step: int) -> float:
        """Return the learning rate."""
        rising = min(1.0, (step + 1) / self.warm)
        falling = min(1.0, max(0.0, (1 - spent) / (1 - self.fall)))
        return self.rate * rising * falling + 1e-6


@dataclass(frozen=True)
class Batch:
    """Augmented views (n, 3, side, side), the teacher's vectors (n, dim) and logits (n, classes)."""

    pixels: torch.Tensor
    targets: torch.Tensor
    logits: torch.Tensor

    def shard(self, number: int, of: int) -> "Batch":
        """Return every `of`-th row, from `number` on."""
        rows = slice(number, None, of)
        # A copy: the layers are fastest on images that are contiguous in memory.
        pixels = self.pixels[rows].contiguous(memory_format=torch.channels_last)
        return Batch(pixels, self.targets[rows], self.logits[rows])


@dataclass(frozen=True)
class Lessons:
    """The views, and what to learn from them."""

    views: TaughtViews
    projection: Projection

    def batch(self, step: int, *, size: int, side: int) -> Batch:
        """Return the batch of a step. It depends on the step alone, so a resumed run sees new views."""
        rng = np.random.default_rng((20240, step))
        rows = np.sort(rng.integers(0, len(self.views.pixels), size))
        images = [augment(self.views.pixels[row], rng, size=side) for row in rows]
        targets = student_targets(self.views.features[rows].astype(np.float32), self.projection)
        return Batch(
            torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float(),
            torch.from_numpy(targets),
            torch.from_numpy(self.views.logits[rows].astype(np.float32)),
        )


def open_lessons(data: Path, out: Path, *, dim: int) -> Lessons:
    """Open what `prepare` wrote. The projection of the teacher's features is fitted once, kept in `out`."""
    views, path = TaughtViews.open(data), out / "projection.npz"
    if not path.exists():
        picked = np.random.default_rng(0).permutation(len(views.pixels))[:PROJECTION_VIEWS]
        features = views.features[np.sort(picked)].astype(np.float32)
        fit_teacher(features, dim=dim).save(path)
    return Lessons(views, Projection.open(path))


def losses(student: Student, batch: Batch, temperature: float) -> dict[str, torch.Tensor]:
    """Return the losses by name.

    vector      1 - cosine to the teacher's vector
    similarity  each image's distribution over the others of the batch (softmax of cosines) should be the
                teacher's, because a search shows the order of neighbours
    classes     the class probabilities should be the teacher's, at temperature 2 (Hinton et al.,
                "Distilling the Knowledge in a Neural Network", 2015)
    """
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast_bfloat16()):
        pooled = student.pooled(batch.pixels)
    pooled = pooled.float()
    vectors = nn.functional.normalize(student.vector(pooled), dim=1)
    classes = nn.functional.kl_div(
        (student.classes(pooled) / 2).log_softmax(1),
        (batch.logits / 2).log_softmax(1),
        log_target=True,
        reduction="batchmean",
    )
    return {
        "vector": 1 - (vectors * batch.targets).sum(1).mean(),
        "similarity": similarity_loss(vectors, batch.targets, temperature),
        "classes": 4 * classes,
    }


# Chosen so that each moves a vector about equally.
WEIGHTS = {"vector": 4.0, "similarity": 0.5, "classes": 0.5}


def similarity_loss(
    vectors: torch.Tensor, targets: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return the Kullback-Leibler divergence between the softmaxed cosine matrices of the student and the
    teacher, without their diagonals."""
    diagonal = torch.eye(len(vectors), dtype=torch.bool)
    student = (vectors @ vectors.T / temperature).masked_fill(diagonal, -1e4)
    teacher = (targets @ targets.T / temperature).masked_fill(diagonal, -1e4)
    divergence: torch.Tensor = nn.functional.kl_div(
        student.log_softmax(1), teacher.log_softmax(1), log_target=True, reduction="batchmean"
    )
    return divergence


@dataclass
class Run:
    """The state of a training run: weights, their running average, the optimiser, time spent."""

    student: Student
    averaged: Student
    optimiser: Any
    step: int = 0
    seconds: float = 0.0


_STATES = ("student", "averaged", "optimiser")


def start(
    architecture: Architecture,
    lessons: Lessons,
    schedule: Schedule,
    checkpoint: Path,
    *,
    pretrained: bool,
) -> Run:
    """Return a new run, or the one in the checkpoint."""
    torch.manual_seed(0)
    student = Student(architecture).to(memory_format=torch.channels_last)
    if pretrained and not checkpoint.exists():
        load_pretrained(student)
        fit_vector(student, lessons)
        with atomic_path(checkpoint.with_name(START)) as part:
            torch.save(student.state_dict(), part)
    student.freeze(schedule.frozen)
    averaged = Student(architecture).to(memory_format=torch.channels_last)
    averaged.load_state_dict(student.state_dict())
    weights = trained_weights(student)
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": schedule.decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]
    run = Run(student, averaged, torch.optim.AdamW(groups, lr=schedule.rate, fused=True))
    if checkpoint.exists():
        stored = torch.load(checkpoint, weights_only=True)
        for name in _STATES:
            getattr(run, name).load_state_dict(stored[name])
        run.step, run.seconds = stored["step"], stored["seconds"]
    return run


def fit_vector(student: Student, lessons: Lessons) -> None:
    """Set the map from the pooled features to the vector by ridge regression onto the teacher's vectors."""
    views = lessons.views
    rows = np.sort(np.random.default_rng(1).permutation(len(views.pixels))[:FIRST_VIEWS])
    student.eval()
    found = []
    with torch.no_grad():
        for at in range(0, len(rows), 64):
            pixels = torch.from_numpy(views.pixels[rows[at : at + 64]])
            found.append(student.pooled(pixels.permute(0, 3, 1, 2).float()).numpy())
    x = np.concatenate(found).astype(np.float64)
    y = student_targets(views.features[rows].astype(np.float32), lessons.projection)
    x_mean, y_mean = x.mean(0), y.mean(0)
    x -= x_mean
    covariance = x.T @ x / len(x)
    ridge = RIDGE * np.trace(covariance) / len(covariance)
    regularised = covariance + ridge * np.eye(len(covariance))
    weights = np.linalg.solve(regularised, x.T @ (y - y_mean) / len(x))
    student.vector.weight.data.copy_(torch.from_numpy(weights.T))
    student.vector.bias.data.copy_(torch.from_numpy(y_mean - x_mean @ weights))


def trained_weights(student: Student) -> list[nn.Parameter]:
    """Return all trained weights, always in the same order."""
    return [weight for weight in student.parameters() if weight.requires_grad]


def save(run: Run, checkpoint: Path) -> None:
    """Replace the checkpoint atomically."""
    stored = {name: getattr(run, name).state_dict() for name in _STATES} | {
        "step": run.step,
        "seconds": run.seconds,
        "architecture": run.student.architecture.as_dict(),
    }
    with atomic_path(checkpoint) as part:
        torch.save(stored, part)


def train_step(
    run: Run, batch: Batch, rate: float, schedule: Schedule, workers: ThreadPoolExecutor
) -> dict[str, float]:
    """Take one step of the optimiser, and of the running average that gets exported. Return the losses.

    Every thread computes the gradients of its own shard of the batch. OpenMP would synchronise after every
    layer: on a busy machine two of its threads were ten times slower than one. (Both shards update the batch
    norms' running means; if their writes collide, one of many small updates is lost.)
    """
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    weights = trained_weights(run.student)

    def gradients(shard: Batch) -> tuple[list[torch.Tensor], dict[str, float]]:
        parts = losses(run.student, shard, schedule.temperature)
        total = sum(WEIGHTS[name] * part for name, part in parts.items())
        slopes = torch.autograd.grad(total, weights)
        return list(slopes), {name: float(part.detach()) for name, part in parts.items()}

    shards = [batch.shard(number, schedule.threads) for number in range(schedule.threads)]
    results = list(workers.map(gradients, shards))
    for weight, *slopes in zip(weights, *(g for g, _ in results), strict=True):
        weight.grad = torch.stack(slopes).mean(0)
    nn.utils.clip_grad_norm_(weights, 5.0)
    run.optimiser.step()
    # The average is short at first; otherwise the first weights would stay in it for long.
    keep = min(schedule.average, (1 + run.step) / (10 + run.step))
    states = zip(run.averaged.state_dict().values(), run.student.state_dict().values(), strict=True)
    with torch.no_grad():
        for averaged, current in states:
            if averaged.is_floating_point():
                averaged.lerp_(current, 1 - keep)
    parts = [part for _, part in results]
    return {name: sum(part[name] for part in parts) / len(parts) for name in parts[0]}


def distill(
    lessons: Lessons,
    architecture: Architecture,
    schedule: Schedule,
    out: Path,
    *,
    save_every: float = 60.0,
    pretrained: bool = True,
) -> Iterator[Run]:
    """Train until the time is spent or SIGTERM comes; yield the run after every checkpoint.

    save_every  seconds between checkpoints
    pretrained  start with the weights of the package
    """
    torch.set_num_threads(1)
    checkpoint = out / "checkpoint.pt"
    run = start(architecture, lessons, schedule, checkpoint, pretrained=pretrained)
    run.student.train()
    log = _Log(out / "curves.jsonl", run)
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    threads = ThreadPoolExecutor(schedule.threads, initializer=torch.set_num_threads, initargs=(1,))
    with ThreadPoolExecutor(1) as loader, threads as workers:
        upcoming: Future[Batch] | None = None
        began = time.monotonic()
        while (spent := run.seconds / (schedule.hours * 3600)) < 1 and not stop:
            side, rate = schedule.side(spent), schedule.rate_at(spent, run.step)

            def load(step: int, side: int = side) -> Batch:
                return lessons.batch(step, size=schedule.batch, side=side)

            batch = (upcoming or loader.submit(load, run.step)).result()
            upcoming = loader.submit(load, run.step + 1)
            log.add(train_step(run, batch, rate, schedule, workers), len(batch.targets))
            run.step += 1
            now = time.monotonic()
            run.seconds, began = run.seconds + now - began, now
            ends = stop or run.seconds >= schedule.hours * 3600
            if log.seconds(run) >= save_every or ends:
                save(run, checkpoint)
                log.write(run, side, rate)
                yield run
                began = time.monotonic()


class _Log:
    """Means of the losses since the last checkpoint, appended to a JSON lines file."""

    def __init__(self, path: Path, run: Run) -> None:
        self._path = path
        self._reset(run.seconds)

    def _reset(self, seconds: float) -> None:
        self._since, self._steps, self._images = seconds, 0, 0
        self._sums: dict[str, float] = {}

    def add(self, parts: dict[str, float], images: int) -> None:
        """Add the losses of a step."""
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in parts.items()}
        self._steps += 1
        self._images += images

    def seconds(self, run: Run) -> float:
        """Return the seconds of training since the last line."""
        return run.seconds - self._since

    def write(self, run: Run, side: int, rate: float) -> None:
        """Append a line."""
        line = {
            "step": run.step,
            "hours": round(run.seconds / 3600, 4),
            "side": side,
            "images_per_second": round(self._images / max(self.seconds(run), 1e-9), 1),
            "rate": rate,
            **{name: round(value / self._steps, 5) for name, value in self._sums.items()},
        }
        with self._path.open("a") as log:
            log.write(json.dumps(line) + "\n")
        self._reset(run.seconds)


def train(*, data: Path, out: Path, hours: float, threads: int = 2) -> None:
    """Train for so many hours in total, continuing from `out/checkpoint.pt` if there is one."""
    out.mkdir(parents=True, exist_ok=True)
    architecture, schedule = Architecture(), Schedule(hours=hours, threads=threads)
    lessons = open_lessons(data, out, dim=architecture.dim)
    settings = {
        "architecture": architecture.as_dict(),
        "schedule": asdict(schedule),
        "views": len(lessons.views.pixels),
    }
    (out / "settings.json").write_text(json.dumps(settings, indent=1))
    for _ in distill(lessons, architecture, schedule, out):
        pass
