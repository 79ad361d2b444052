"""The training loop.

The schedule is laid out in time, not in epochs: learning rate and image size follow the share of the
hours that is spent. A run that is interrupted and resumed continues where it was; on a slower machine it
only sees fewer images.
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
from tools.distill.augment import augment
from tools.distill.losses import Batch, LabelHeads, losses
from tools.distill.network import Architecture, Student
from tools.distill.pytorch import nn, torch
from tools.distill.schedule import Schedule, learning_rate, side
from tools.distill.warm_start import load_weights

from lookalike.files import atomic_path
from lookalike.images.pixel_spec import Pixels

# Batches that set the batch norms and the last layer of a student that starts from an exported file.
WARM_START_BATCHES = 60


@dataclass(frozen=True)
class Source:
    """Images of one source with the teacher's vectors.

    labels, instances  numbers of the label and of the single object shown, -1 where unknown
    share              of every batch
    """

    pixels: Pixels
    targets: NDArray[np.float32]
    labels: NDArray[np.int64]
    instances: NDArray[np.int64]
    share: float


def make_batch(sources: Sequence[Source], step: int, *, size: int, schedule: Schedule) -> Batch:
    """Return the augmented images of a step; they depend on the step alone, so that a resumed run sees
    new ones."""
    rng = np.random.default_rng((20240, abs(step), step < 0))
    images: list[Pixels] = []
    targets: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.int64]] = []
    instances: list[NDArray[np.int64]] = []
    for source in sources:
        rows = rng.integers(0, len(source.labels), round(schedule.batch * source.share))
        images.extend(augment(source.pixels[row], rng, size=size) for row in rows)
        targets.append(source.targets[rows])
        labels.append(source.labels[rows])
        instances.append(source.instances[rows])
    return Batch(
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float(),
        torch.from_numpy(np.concatenate(targets)),
        torch.from_numpy(np.concatenate(labels)),
        torch.from_numpy(np.concatenate(instances)),
    )


@dataclass
class Run:
    """The state of a training run: weights, their running average, the optimiser, time spent."""

    student: Student
    averaged: Student
    heads: LabelHeads
    optimiser: Any
    step: int = 0
    seconds: float = 0.0


_STATES = ("student", "averaged", "heads", "optimiser")


def start(
    architecture: Architecture, labels: int, instances: int, schedule: Schedule, checkpoint: Path
) -> Run:
    """Return a new run, or the one in the checkpoint."""
    torch.manual_seed(0)
    student = Student(architecture).to(memory_format=torch.channels_last)
    averaged = Student(architecture).to(memory_format=torch.channels_last)
    averaged.load_state_dict(student.state_dict())
    heads = LabelHeads(architecture.head, architecture.dim, labels, instances)
    matrices = [p for m in (student, heads) for p in m.parameters() if p.ndim > 1]
    vectors = [p for m in (student, heads) for p in m.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": schedule.decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    run = Run(student, averaged, heads, torch.optim.AdamW(groups, lr=schedule.rate, fused=True))
    if checkpoint.exists():
        stored = torch.load(checkpoint, weights_only=True)
        for name in _STATES:
            getattr(run, name).load_state_dict(stored[name])
        run.step, run.seconds = stored["step"], stored["seconds"]
    return run


def initialise_proxies(heads: LabelHeads, sources: Sequence[Source]) -> None:
    """Set every proxy to the mean of the teacher's vectors of its images: with random proxies, the proxy
    losses taught nothing for thousands of steps."""
    with torch.no_grad():
        for proxies, numbers in (
            (heads.labels, [source.labels for source in sources]),
            (heads.instances, [source.instances for source in sources]),
        ):
            sums = torch.zeros_like(proxies)
            for source, of in zip(sources, numbers, strict=True):
                known = np.flatnonzero(of >= 0)
                rows = torch.from_numpy(of[known])
                sums.index_add_(0, rows, torch.from_numpy(source.targets[known]))
            found = sums.abs().sum(1) > 0
            # As long as random ones would be: the optimiser's steps are made for that.
            mean = nn.functional.normalize(sums, dim=1) * proxies.shape[1] ** 0.5
            proxies.copy_(torch.where(found[:, None], mean, proxies))


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

    Every thread computes the gradients of its own shard of the batch. OpenMP would synchronise after
    every layer: on a busy machine two of its threads were ten times slower than one. (Both shards update
    the batch norms' running means; if their writes collide, one of many small updates is lost.)
    """
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    shards = [batch.shard(number, schedule.threads) for number in range(schedule.threads)]
    results = list(workers.map(lambda shard: gradients(run, shard, schedule), shards))
    for weight, *slopes in zip(trained_weights(run), *(g for g, _ in results), strict=True):
        weight.grad = torch.stack(slopes).mean(0)
    nn.utils.clip_grad_norm_(run.student.parameters(), 5.0)
    run.optimiser.step()
    # The average is short at first; otherwise the random initial weights would stay in it for long.
    keep = min(schedule.average, (1 + run.step) / (10 + run.step))
    with torch.no_grad():
        for averaged, current in zip(
            run.averaged.state_dict().values(), run.student.state_dict().values(), strict=True
        ):
            if averaged.is_floating_point():
                averaged.lerp_(current, 1 - keep)
    parts = [part for _, part in results]
    return {name: sum(part.get(name, 0.0) for part in parts) / len(parts) for name in parts[0]}


def trained_weights(run: Run) -> list[nn.Parameter]:
    """Return all trained weights, always in the same order."""
    return [*run.student.parameters(), *run.heads.parameters()]


def gradients(
    run: Run, batch: Batch, schedule: Schedule
) -> tuple[list[torch.Tensor], dict[str, float]]:
    """Return the gradients of the loss of a shard, zero for weights that it does not use."""
    total, parts = losses(run.student, run.heads, batch, schedule)
    slopes = torch.autograd.grad(
        total, trained_weights(run), allow_unused=True, materialize_grads=True
    )
    return list(slopes), parts


def distill(
    sources: Sequence[Source],
    architecture: Architecture,
    schedule: Schedule,
    out: Path,
    *,
    save_every: float = 60.0,
    pause: Path | None = None,
    count_pauses: bool = False,
    init_from: Path | None = None,
) -> Iterator[Run]:
    """Train until the time is spent; yield the run after every checkpoint.

    save_every    seconds between checkpoints
    pause         training sleeps while this file exists
    count_pauses  time asleep counts as time spent, so that the run ends when planned
    init_from     an exported file whose weights a new run starts with
    """
    torch.set_num_threads(1)
    checkpoint = out / "checkpoint.pt"
    is_new = not checkpoint.exists()
    run = start(architecture, *_counts(sources), schedule, checkpoint)
    if is_new:
        initialise_proxies(run.heads, sources)
        if init_from is not None:
            _warm_start(run, sources, schedule, init_from)
    run.student.train()
    log = _Log(out / "curves.jsonl", run)
    threads = ThreadPoolExecutor(schedule.threads, initializer=torch.set_num_threads, initargs=(1,))
    with ThreadPoolExecutor(1) as loader, threads as workers:
        upcoming: Future[Batch] | None = None
        began = time.monotonic()
        while (spent := run.seconds / (schedule.hours * 3600)) < 1:
            while pause is not None and pause.exists():
                time.sleep(1)
                began = began if count_pauses else time.monotonic()
            size = side(spent, schedule)
            if upcoming is None:
                upcoming = loader.submit(
                    make_batch, sources, run.step, size=size, schedule=schedule
                )
            batch = upcoming.result()
            upcoming = loader.submit(
                make_batch, sources, run.step + 1, size=size, schedule=schedule
            )
            log.add(
                train_step(run, batch, learning_rate(spent, schedule), schedule, workers),
                len(batch.labels),
            )
            run.step += 1
            now = time.monotonic()
            run.seconds, began = run.seconds + now - began, now
            if log.seconds(run) >= save_every or run.seconds >= schedule.hours * 3600:
                save(run, checkpoint)
                log.write(run, size, learning_rate(spent, schedule))
                yield run
                began = time.monotonic()


def _counts(sources: Sequence[Source]) -> tuple[int, int]:
    """Return how many labels and how many instances there are."""
    return (
        int(max(source.labels.max() for source in sources)) + 1,
        int(max(source.instances.max() for source in sources)) + 1,
    )


def _warm_start(run: Run, sources: Sequence[Source], schedule: Schedule, file: Path) -> None:
    batches = (
        make_batch(sources, -number, size=side(0, schedule), schedule=schedule)
        for number in range(1, WARM_START_BATCHES + 1)
    )
    load_weights(run.student, file, batches)
    run.averaged.load_state_dict(run.student.state_dict())


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

    def write(self, run: Run, size: int, rate: float) -> None:
        """Append a line."""
        line = {
            "step": run.step,
            "hours": round(run.seconds / 3600, 4),
            "side": size,
            "images_per_second": round(self._images / self.seconds(run), 1),
            "rate": rate,
            **{name: round(value / self._steps, 5) for name, value in self._sums.items()},
        }
        with self._path.open("a") as log:
            log.write(json.dumps(line) + "\n")
        self._reset(run.seconds)


def describe(architecture: Architecture, schedule: Schedule) -> dict[str, Any]:
    """Return the settings of a run, for its folder and the model card."""
    return {"architecture": architecture.as_dict(), "schedule": asdict(schedule)}
