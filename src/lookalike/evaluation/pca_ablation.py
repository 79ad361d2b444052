"""What vectors lose, and gain, with fewer numbers: principal components beside the whole vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.evaluation.collection import collect
from lookalike.evaluation.ground_truth import Truth
from lookalike.evaluation.labels import truth
from lookalike.evaluation.rankings import by_vectors, judge
from lookalike.stores.interface import Snapshot, Space
from lookalike.vectors.pca import check_kept, learn_projection, sample_size
from lookalike.vectors.similarity import Similarity, top_k

K = 10
QUERIES = 1000
MOST_BYTES = 600 << 20
"""Of whole vectors; of a larger space so many are drawn."""


@dataclass(frozen=True, slots=True)
class Shortened:
    """Vectors with so many numbers left; the first of a list are the whole ones.

    retained  the share of the variance, 0..1
    recall    the share of the ten nearest by the whole vectors that are among the ten nearest now
    AP, P1    mean average precision and precision of the first hit, by labels; None without labels
    """

    kept: int
    retained: float
    recall: float
    AP: float | None = None
    P1: float | None = None


def shorten(
    snapshot: Snapshot,
    space: Space,
    kept: Sequence[int],
    *,
    labels: str | None = None,
    folder: Path,
) -> tuple[int, list[Shortened]]:
    """How many vectors of a space were looked at, and what becomes of them.

    labels  what belongs together, as `labels.truth` takes it; `folder` is where files are looked for

    `UsageError` where as many components are not there, or the vectors are short already.
    """
    if space.boxes is not None or space.projection is not None:
        raise UsageError(
            f"{space.name} is no space of whole vectors: name the one it was made from"
        )
    for number in kept:
        check_kept(number, space.dim, f"{space.name} vectors")
    if labels is None:
        ids = snapshot.sample(space.key, min(space.count, MOST_BYTES // (4 * space.dim)))
        return len(ids), shortened(
            snapshot.vectors(space.key, ids), kept, similarity=space.similarity
        )
    pictures, _ = collect(snapshot, [space])
    if 4 * space.dim * len(pictures) > MOST_BYTES:
        raise UsageError("with labels, the vectors must fit into 600 MB: leave --labels out")
    asked = truth(labels, pictures, folder=folder, snapshot=snapshot)
    if asked.files:
        raise UsageError("judgements whose questions lie outside the library cannot be used here")
    vectors = snapshot.vectors(space.key, pictures.ids)
    return len(vectors), shortened(vectors, kept, similarity=space.similarity, asked=asked)


def shortened(
    vectors: NDArray[np.float32],
    kept: Sequence[int],
    *,
    similarity: Similarity,
    asked: Truth | None = None,
) -> list[Shortened]:
    """Vectors (n, dim) whole and with each number of components, which are learnt from as large a
    sample of them as indexing takes. Rows ask for their neighbours without themselves."""
    draw = np.random.default_rng(0)
    queries = np.sort(draw.permutation(len(vectors))[:QUERIES])
    near = neighbours(vectors, queries, similarity=similarity)
    made = [Shortened(vectors.shape[1], 1.0, 1.0, *_judged(vectors, similarity, asked))]
    for number in kept:
        sample = np.sort(draw.permutation(len(vectors))[: sample_size(number)])
        projection = learn_projection(vectors[sample], number, similarity=similarity)
        short = projection.apply(vectors, similarity=similarity)
        found = neighbours(short, queries, similarity=similarity)
        same = [np.isin(a, b).mean() for a, b in zip(near, found, strict=True)]
        judged = _judged(short, similarity, asked)
        made.append(Shortened(number, projection.retained, float(np.mean(same)), *judged))
    return made


def neighbours(
    vectors: NDArray[np.float32], queries: NDArray[np.int64], *, similarity: Similarity
) -> NDArray[np.int64]:
    """(queries, 10) rows nearest to these rows, which are not among them; fewer columns where there are
    fewer rows."""
    k = min(K, len(vectors) - 1)
    found, _ = top_k(vectors, vectors[queries], k + 1, similarity=similarity, normalised=False)
    # A row that is pushed out by copies of itself leaves one too many.
    return np.array(
        [row[row != own][:k] for row, own in zip(found, queries, strict=True)], np.int64
    )


def _judged(
    vectors: NDArray[np.float32], similarity: Similarity, asked: Truth | None
) -> tuple[float | None, float | None]:
    if asked is None:
        return None, None
    values = judge(by_vectors(vectors, asked, similarity=similarity), asked, cutoffs=(1,)).values
    return float(values["AP"].mean()), float(values["P@1"].mean())
