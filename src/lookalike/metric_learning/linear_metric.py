"""Learning a linear map of an extractor's vectors from labels, evaluated on held-out images.

Takes seconds and needs no PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.evaluation.ground_truth import truth_by_labels
from lookalike.evaluation.metrics import LEVELS
from lookalike.evaluation.rankings import measure_rankings, rank_by_vectors
from lookalike.extractors.trained import project
from lookalike.vectors.lda import LinearMap, compose, scatter
from lookalike.vectors.pca import leading_axes
from lookalike.vectors.similarity import normalise

Vectors: TypeAlias = NDArray[np.float32]
Codes: TypeAlias = NDArray[np.int64]
Split: TypeAlias = Literal["labels", "images"]

# Vectors of more than MAX_DIM dimensions are first reduced to REDUCED_DIM principal components: the
# analysis takes time with the cube of the dimension.
MAX_DIM, REDUCED_DIM = 2048, 512

# Values that are tried for the shrinkage.
SHRINKAGES = (0.01, 0.03, 0.1, 0.3, 0.6, 0.9, 1.0)

# Output dimensions that are tried, besides the full one; those beyond the number of labels carry nothing.
DIMS = (256, 128, 64, 32)

# With fewer labels, none can be spared: images are held out instead.
FEW_LABELS = 20

# Largest number of queries while settings are chosen; the final metrics use all.
MAX_QUERIES = 500

# Metrics by the names that are shown, and their names in `evaluation`.
METRICS = {"P@1": "P@1", "P@5": "P@5", "P@10": "P@10", "mAP": "AP", "MRR": "RR"}


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Vectors of images with labels.

    vectors  (n, dim)
    labels   (n,) numbers from 0
    groups   (n,) numbers from 0: images of one group are never split between training and held-out
             (views of one product, for example); None: every image is its own group
    """

    vectors: Vectors
    labels: Codes
    groups: Codes | None = None

    def subset(self, rows: NDArray[np.int64]) -> TrainingSet:
        """Return these images, with labels renumbered without gaps."""
        labels = np.unique(self.labels[rows], return_inverse=True)[1].astype(np.int64)
        groups = None if self.groups is None else self.groups[rows]
        return TrainingSet(self.vectors[rows], labels, groups)

    @property
    def counts(self) -> tuple[int, int]:
        """The number of images and of labels."""
        return len(self.labels), int(self.labels.max()) + 1


@dataclass(frozen=True, slots=True)
class RankingQuality:
    """How well vectors rank held-out images.

    metrics  by the names of `METRICS`
    curve    precision at the recalls `evaluation.metrics.LEVELS`
    """

    metrics: dict[str, float]
    curve: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LearntMetric:
    """A learnt map, how it was chosen, and its quality on images that took no part in that.

    trained_on, held_out  numbers of images and labels
    before, after         quality of the extractor's own vectors and of the mapped ones
    best_possible         P@k of a perfect ranking, where labels have fewer than k other images
    """

    mapping: LinearMap
    shrinkage: float
    dim: int
    split: Split
    trained_on: tuple[int, int]
    held_out: tuple[int, int]
    before: RankingQuality
    after: RankingQuality
    best_possible: dict[str, float]

    @property
    def improved(self) -> bool:
        """Whether the held-out images are ranked better than before, by mAP."""
        return self.after.metrics["mAP"] > self.before.metrics["mAP"]


def learn(
    training_set: TrainingSet, *, held_out: float = 0.3, split: Split | None = None, seed: int = 0
) -> LearntMetric:
    """Learn a map from labelled vectors and evaluate it on a held-out part.

    held_out  share of the labels (or images) that are held out
    split     "labels": no label is on both sides, as for products; "images": the labels are the same,
              the images are new; None: labels, if there are at least twenty

    Shrinkage and output dimension are chosen on a second part, held out of the rest; the map with these
    settings is then learnt from the whole rest. Raises `UsageError` where there are too few labels or images.
    """
    usable = _without_single_images(training_set)
    chosen: Split = split or ("labels" if usable.counts[1] >= FEW_LABELS else "images")
    rng = np.random.default_rng(seed)
    training, test = split_set(usable, held_out, chosen, rng)
    reduction = _reduction(training.vectors)
    shrinkage, dim = _choose_settings(training, reduction, chosen, rng)
    mapping = _fit(training, reduction, shrinkage, dim)
    return LearntMetric(
        mapping=mapping,
        shrinkage=shrinkage,
        dim=mapping.axes.shape[1],
        split=chosen,
        trained_on=training.counts,
        held_out=test.counts,
        before=measure_quality(test.vectors, test.labels),
        after=measure_quality(project(test.vectors, mapping), test.labels),
        best_possible=_best_possible(test.labels),
    )


def split_set(
    training_set: TrainingSet, share: float, split: Split, rng: np.random.Generator
) -> tuple[TrainingSet, TrainingSet]:
    """Split into two parts, the second of about `share`.

    Both keep at least two labels with two images; otherwise `UsageError`.
    """
    together = training_set.labels if split == "labels" else training_set.groups
    if together is None:
        together = np.arange(len(training_set.labels))
    elif split == "labels" and training_set.groups is not None:
        together = _connected(training_set.labels, training_set.groups)
    groups = np.unique(together)
    count = int(np.clip(round(share * len(groups)), 1, len(groups) - 1))
    in_second = np.isin(together, rng.permutation(groups)[:count])
    parts = []
    for rows in (np.flatnonzero(~in_second), np.flatnonzero(in_second)):
        sizes = np.bincount(training_set.labels[rows])
        kept = rows[sizes[training_set.labels[rows]] > 1]
        if len(np.unique(training_set.labels[kept])) < 2:
            raise UsageError(
                "too few labels to hold some out: two labels with two images each are needed on "
                "either side (add images, or use another --held-out)"
            )
        parts.append(training_set.subset(kept))
    return parts[0], parts[1]


def measure_quality(
    vectors: Vectors, labels: Codes, *, max_queries: int | None = None
) -> RankingQuality:
    """Rank all images for each image; those of its label are relevant."""
    truth = truth_by_labels([str(label) for label in labels])
    truth = truth if max_queries is None else truth.subset(max_queries)
    measured = measure_rankings(rank_by_vectors(vectors, truth, similarity="cosine"), truth)
    means = measured.means()
    metrics = {shown: means[name] for shown, name in METRICS.items()}
    return RankingQuality(metrics, tuple(measured.curve.tolist()))


def precision_recall_curves(learnt: LearntMetric) -> dict[str, list[float]]:
    """Return the recall levels and the precision at each, before and after."""
    named = {
        "recall": LEVELS.tolist(),
        "before": learnt.before.curve,
        "after": learnt.after.curve,
    }
    return {name: [round(float(value), 4) for value in values] for name, values in named.items()}


def _without_single_images(training_set: TrainingSet) -> TrainingSet:
    """Remove images that are alone with their label."""
    sizes = np.bincount(training_set.labels)
    kept = np.flatnonzero(sizes[training_set.labels] > 1)
    if len(np.unique(training_set.labels[kept])) < 2:
        raise UsageError("training needs at least two labels with two images each")
    return training_set.subset(kept)


def _connected(labels: Codes, groups: Codes) -> Codes:
    """Return component numbers such that images that share a label or a group share a component."""
    component = labels.copy()
    while True:
        for codes in (groups, labels):
            least = np.full(codes.max() + 1, component.max() + 1)
            np.minimum.at(least, codes, component)
            merged = least[codes]
            if (merged == component).all() and codes is labels:
                return component
            component = merged


def _reduction(vectors: Vectors) -> LinearMap | None:
    """Return the PCA of vectors that are too wide; None for others."""
    if vectors.shape[1] <= MAX_DIM:
        return None
    found = leading_axes(normalise(vectors), REDUCED_DIM)
    return LinearMap(found.mean, found.axes.T)


def _choose_settings(
    training_set: TrainingSet, reduction: LinearMap | None, split: Split, rng: np.random.Generator
) -> tuple[float, int | None]:
    """Return the shrinkage and output dimension that, learnt on one part, rank the other part best."""
    try:
        training, validation = split_set(training_set, 0.3, split, rng)
    except UsageError:  # too few labels to choose by: a medium shrinkage, the full dimension
        return SHRINKAGES[len(SHRINKAGES) // 2], None
    scattered = scatter(_prepare(training.vectors, reduction), training.labels)
    dims = [dim for dim in DIMS if dim < min(training.counts[1], len(scattered.mean))]
    prepared = _prepare(validation.vectors, reduction)

    def quality(mapping: LinearMap) -> float:
        mapped = normalise(mapping(prepared))
        measured = measure_quality(mapped, validation.labels, max_queries=MAX_QUERIES)
        return measured.metrics["mAP"]

    tried: dict[tuple[float, int | None], float] = {}
    for shrinkage in SHRINKAGES:
        tried[shrinkage, None] = quality(scattered.discriminants(shrinkage=shrinkage, dim=None))
        if dims:
            # Directions come best first: those of a smaller dimension are the first of a larger one.
            widest = scattered.discriminants(shrinkage=shrinkage, dim=dims[0])
            for dim in dims:
                tried[shrinkage, dim] = quality(LinearMap(widest.mean, widest.axes[:, :dim]))
    return max(tried, key=lambda setting: tried[setting])


def _fit(
    training_set: TrainingSet, reduction: LinearMap | None, shrinkage: float, dim: int | None
) -> LinearMap:
    scattered = scatter(_prepare(training_set.vectors, reduction), training_set.labels)
    mapping = scattered.discriminants(shrinkage=shrinkage, dim=dim)
    return mapping if reduction is None else compose(reduction, mapping)


def _prepare(vectors: Vectors, reduction: LinearMap | None) -> Vectors:
    unit = normalise(vectors)
    return unit if reduction is None else reduction(unit)


def _best_possible(labels: Codes) -> dict[str, float]:
    """Return P@k of a perfect ranking: a label with m images gives each at most m - 1 relevant hits."""
    others = np.bincount(labels)[labels] - 1
    return {f"P@{k}": float(np.minimum(others, k).mean() / k) for k in (1, 5, 10)}
