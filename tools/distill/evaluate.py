"""Leave-one-out evaluation by cosine on labelled folders."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.evaluation.labels import read_manifest
from lookalike.evaluation.rankings import leave_one_out
from lookalike.images.decode import decode
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.resize import fit
from lookalike.workers.limits import Limits

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class RankingMetrics:
    """How well vectors rank images of the query's own label, averaged over all queries that share
    their label with another image."""

    mean_average_precision: float
    precision_at_1: float
    precision_at_10: float
    queries: int

    def as_dict(self) -> dict[str, float]:
        """Return the metrics rounded to four decimals."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def evaluate(vectors: Vectors, labels: Sequence[str]) -> RankingMetrics:
    """Rank all other images for each image; equal similarities rank by row."""
    found = leave_one_out(vectors, labels, cutoffs=(1, 10))
    means = found.means()
    return RankingMetrics(means["AP"], means["P@1"], means["P@10"], len(found.best))


def read_labels(folder: Path, *, label: str = "label") -> tuple[list[Path], list[str]]:
    """Return paths and labels from a folder's `manifest.csv`, or the `products.csv` of a simulated
    catalogue."""
    table = folder / "manifest.csv"
    rows = list(read_manifest(table if table.is_file() else folder / "products.csv", label=label))
    return [row.path for row in rows], [row.label for row in rows]


def read_images(paths: Sequence[Path], *, size: int) -> Pixels:
    """Return whole photos stretched to squares, decoded as indexing does: (n, size, size, 3)."""
    spec = PixelSpec(fit="stretch", height=size, width=size)
    return np.stack([_read(path, spec) for path in paths])


def _read(path: Path, spec: PixelSpec) -> Pixels:
    decoded = decode(path.read_bytes(), specs=(spec,), limits=Limits(), name=path.name)
    return fit(decoded.pixels, spec)


def in_batches(extract: Callable[[Pixels], Vectors], images: Pixels, *, batch: int = 64) -> Vectors:
    """Extract the vectors of many images, a batch at a time."""
    return np.concatenate([extract(images[i : i + batch]) for i in range(0, len(images), batch)])
