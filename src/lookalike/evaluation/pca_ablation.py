"""Effect of PCA on retrieval: fewer components compared with whole vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.evaluation.collection import collect
from lookalike.evaluation.ground_truth import GroundTruth
from lookalike.evaluation.labels import load_ground_truth
from lookalike.evaluation.rankings import measure_rankings, rank_by_vectors
from lookalike.stores.interface import Snapshot, Space
from lookalike.vectors.pca import check_kept, learn_projection, sample_size
from lookalike.vectors.similarity import Similarity, top_k

K = 10
QUERIES = 1000
# Bytes of whole vectors; a larger space is sampled.
MAX_BYTES = 600 << 20


@dataclass(frozen=True, slots=True)
class PcaResult:
    """Retrieval with a number of components; the first result of a list is that of the whole vectors.

    retained_variance  share of the variance, 0..1
    recall             share of the ten nearest by the whole vectors that are among the ten nearest now
    AP, P1             mean average precision and precision of the first hit; None without labels
    """

    components: int
    retained_variance: float
    recall: float
    AP: float | None = None
    P1: float | None = None


def ablate_space(
    snapshot: Snapshot,
    space: Space,
    components: Sequence[int],
    *,
    labels: str | None = None,
    folder: Path,
) -> tuple[int, list[PcaResult]]:
    """Return the number of vectors used, and the result for each number of components.

    labels  ground truth, see `labels.load_ground_truth`; `folder` is where its files are looked up

    Raises UsageError if a number is not below the dimension, or the vectors are reduced already.
    """
    if space.boxes is not None or space.projection is not None:
        raise UsageError(
            f"{space.name} is not a space of whole vectors: name the one it was made from"
        )
    for number in components:
        check_kept(number, space.dim, f"{space.name} vectors")
    similarity = space.similarity
    if labels is None:
        ids = snapshot.sample(space.key, min(space.count, MAX_BYTES // (4 * space.dim)))
        vectors = snapshot.vectors(space.key, ids)
        return len(ids), ablate(vectors, components, similarity=similarity)
    collection, _ = collect(snapshot, [space])
    if 4 * space.dim * len(collection) > MAX_BYTES:
        raise UsageError("with labels, the vectors must fit into 600 MB: leave --labels out")
    truth = load_ground_truth(labels, collection, folder=folder, snapshot=snapshot)
    if truth.files:
        raise UsageError("judgements with queries outside the library cannot be used here")
    vectors = snapshot.vectors(space.key, collection.ids)
    return len(vectors), ablate(vectors, components, similarity=similarity, truth=truth)


def ablate(
    vectors: NDArray[np.float32],
    components: Sequence[int],
    *,
    similarity: Similarity,
    truth: GroundTruth | None = None,
) -> list[PcaResult]:
    """Return the results for whole vectors (n, dim) and for each number of components.

    The components are learned from as large a sample as indexing uses. Queries are rows of `vectors`, and
    are not among their own neighbours.
    """
    rng = np.random.default_rng(0)
    queries = np.sort(rng.permutation(len(vectors))[:QUERIES])
    exact = nearest_rows(vectors, queries, similarity=similarity)
    made = [PcaResult(vectors.shape[1], 1.0, 1.0, *_quality(vectors, similarity, truth))]
    for number in components:
        sample = np.sort(rng.permutation(len(vectors))[: sample_size(number)])
        projection = learn_projection(vectors[sample], number, similarity=similarity)
        short = projection.apply(vectors, similarity=similarity)
        found = nearest_rows(short, queries, similarity=similarity)
        recall = np.mean([np.isin(a, b).mean() for a, b in zip(exact, found, strict=True)])
        quality = _quality(short, similarity, truth)
        made.append(PcaResult(number, projection.retained, float(recall), *quality))
    return made


def nearest_rows(
    vectors: NDArray[np.float32], queries: NDArray[np.int64], *, similarity: Similarity
) -> NDArray[np.int64]:
    """Return (queries, 10) the rows nearest to each query row, without itself.

    There are fewer columns where there are fewer rows.
    """
    k = min(K, len(vectors) - 1)
    found, _ = top_k(vectors, vectors[queries], k + 1, similarity=similarity, normalised=False)
    # A row with many exact copies may be missing among its own hits; then there is one hit more than K.
    return np.array(
        [row[row != own][:k] for row, own in zip(found, queries, strict=True)], np.int64
    )


def _quality(
    vectors: NDArray[np.float32], similarity: Similarity, truth: GroundTruth | None
) -> tuple[float | None, float | None]:
    if truth is None:
        return None, None
    rankings = rank_by_vectors(vectors, truth, similarity=similarity)
    values = measure_rankings(rankings, truth, cutoffs=(1,)).values
    return float(values["AP"].mean()), float(values["P@1"].mean())
