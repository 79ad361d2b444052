"""Figures of merit on labelled folders: leave-one-out ranking by cosine, as the shared baselines
are measured.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.images.decode import decode
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.resize import fit
from lookalike.workers.limits import Limits

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Figures:
    """How well vectors rank pictures of the query's own label, averaged over all queries that have
    a second one.
    """

    mean_average_precision: float
    precision_at_1: float
    precision_at_10: float
    queries: int

    def as_dict(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in asdict(self).items()}


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Rows scaled to length 1; a row of zeros stays what it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def average_precision(relevant: NDArray[np.bool_]) -> float:
    """The step sum: precision at each relevant rank, averaged over all relevant ones (no
    interpolation).
    """
    ranks = np.flatnonzero(relevant) + 1
    if len(ranks) == 0:
        return 0.0
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


def judge(vectors: Vectors, labels: Sequence[str]) -> Figures:
    """Every picture asks for the others, ranked by cosine; ties go to the earlier row."""
    known = unit(vectors)
    names = np.asarray(labels)
    similarity = known @ known.T
    precisions: list[tuple[float, float, float]] = []
    for row in range(len(names)):
        order = np.argsort(-similarity[row], kind="stable")
        relevant = names[order[order != row]] == names[row]
        if relevant.any():
            precisions.append(
                (average_precision(relevant), float(relevant[0]), float(relevant[:10].mean()))
            )
    means = np.mean(precisions, axis=0)
    return Figures(float(means[0]), float(means[1]), float(means[2]), len(precisions))


def labelled(
    folder: Path, *, label: str = "label", only: tuple[str, str] | None = None
) -> tuple[list[Path], list[str]]:
    """Paths and labels from a folder's `manifest.csv`, or `products.csv` of a simulated catalogue;
    `only=("split", "val")` keeps the rows with that value.
    """
    table = folder / "manifest.csv"
    table = table if table.is_file() else folder / "products.csv"
    with table.open(newline="", encoding="utf-8") as opened:
        rows = [row for row in csv.DictReader(opened) if only is None or row[only[0]] == only[1]]
    return [folder / row["path"] for row in rows], [row[label] for row in rows]


def pictures(paths: Sequence[Path], *, size: int) -> Pixels:
    """Whole photos squeezed to `size` squares, decoded as indexing does: `(n, size, size, 3)`."""
    needs = PixelSpec(fit="stretch", height=size, width=size)
    return np.stack([_read(path, needs) for path in paths])


def _read(path: Path, needs: PixelSpec) -> Pixels:
    decoded = decode(path.read_bytes(), specs=(needs,), limits=Limits(), name=path.name)
    return fit(decoded.pixels, needs)


def in_batches(extract: Callable[[Pixels], Vectors], images: Pixels, *, batch: int = 64) -> Vectors:
    """Vectors of many pictures, a batch at a time."""
    return np.concatenate([extract(images[i : i + batch]) for i in range(0, len(images), batch)])
