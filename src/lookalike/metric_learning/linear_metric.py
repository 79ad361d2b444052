"""Metric learning for users: a linear map on top of any extractor's vectors, in seconds and without
PyTorch, judged on labels that it never saw.
"""

from __future__ import annotations

from collections.abc import Sequence
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
Split: TypeAlias = Literal["labels", "pictures"]

# Dimensions above which vectors are first reduced to `REDUCED` principal components: the analysis
# takes time with the cube of the dimension.
WIDEST, REDUCED = 2048, 512

SHRINKAGES = (0.01, 0.03, 0.1, 0.3, 0.6, 0.9, 1.0)
DIMS = (256, 128, 64, 32)
"""Directions that are tried, besides all; more than labels less one say nothing."""
FEW_LABELS = 20
"""Below this, whole labels cannot be spared: pictures are held out instead."""
QUESTIONS = 500
"""Pictures of one judgement at most while settings are chosen; the last figures take all."""
METRICS = {"P@1": "P@1", "P@5": "P@5", "P@10": "P@10", "mAP": "AP", "MRR": "RR"}
"""As they are shown, and as `evaluation` calls them."""


@dataclass(frozen=True, slots=True)
class Material:
    """Vectors (n, dim) of pictures, a label of each, and what must not be on both sides.

    labels  (n,) numbers from 0
    apart   (n,) numbers from 0: pictures of one number stay together (views of one product, say);
            None: every picture is its own
    """

    vectors: Vectors
    labels: Codes
    apart: Codes | None = None

    def some(self, rows: NDArray[np.int64]) -> Material:
        """These pictures; labels are numbered anew, without gaps."""
        labels = np.unique(self.labels[rows], return_inverse=True)[1].astype(np.int64)
        apart = None if self.apart is None else self.apart[rows]
        return Material(self.vectors[rows], labels, apart)


@dataclass(frozen=True, slots=True)
class Judgement:
    """How well vectors rank held-out pictures: `figures` by the names of `METRICS`, and precision at
    the recalls `evaluation.metrics.LEVELS`."""

    figures: dict[str, float]
    curve: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Learnt:
    """A map, how it was chosen, and what it is worth on pictures that took no part in that.

    best   P@k that a perfect ranking would have, where labels have fewer than k other pictures
    """

    turn: LinearMap
    shrinkage: float
    dim: int
    split: Split
    learnt: tuple[int, int]
    held_out: tuple[int, int]
    before: Judgement
    after: Judgement
    best: dict[str, float]

    @property
    def better(self) -> bool:
        """Whether the held-out pictures are ranked better than before (mAP)."""
        return self.after.figures["mAP"] > self.before.figures["mAP"]


def learn(
    material: Material, *, held_out: float = 0.3, split: Split | None = None, seed: int = 0
) -> Learnt:
    """Learn a map from labelled vectors and judge it on a part that is held out.

    held_out  share of labels (or pictures) that nothing is learnt from
    split     "labels": no label is on both sides, as with products; "pictures": labels are known, the
              pictures are new; None: labels, if there are at least twenty

    Shrinkage and number of directions are chosen on a second part held out of the rest, and the map
    with these settings is learnt from the whole rest. Raises UsageError where there are too few
    labels or pictures.
    """
    whole = _usable(material)
    chosen: Split = split or ("labels" if whole.labels.max() + 1 >= FEW_LABELS else "pictures")
    rng = np.random.default_rng(seed)
    ours, theirs = divided(whole, held_out, chosen, rng)
    before = judged(theirs.vectors, theirs.labels)
    first = _reduced(ours.vectors)
    shrinkage, dim = _settings(ours, first, chosen, rng)
    turn = _map(ours, first, shrinkage, dim)
    return Learnt(
        turn=turn,
        shrinkage=shrinkage,
        dim=turn.axes.shape[1],
        split=chosen,
        learnt=_counts(ours),
        held_out=_counts(theirs),
        before=before,
        after=judged(project(theirs.vectors, turn), theirs.labels),
        best=_best(theirs.labels),
    )


def divided(
    material: Material, share: float, split: Split, rng: np.random.Generator
) -> tuple[Material, Material]:
    """Two parts, the second of about `share`. Both keep at least two labels with two pictures, or
    UsageError says what is missing."""
    together = material.labels if split == "labels" else material.apart
    if together is None:
        together = np.arange(len(material.labels))
    elif split == "labels" and material.apart is not None:
        together = _joined(material.labels, material.apart)
    groups = np.unique(together)
    count = int(np.clip(round(share * len(groups)), 1, len(groups) - 1))
    there = np.isin(together, rng.permutation(groups)[:count])
    parts = []
    for rows in (np.flatnonzero(~there), np.flatnonzero(there)):
        sizes = np.bincount(material.labels[rows])
        kept = rows[sizes[material.labels[rows]] > 1]
        if len(np.unique(material.labels[kept])) < 2:
            raise UsageError(
                "too few labels to hold some out: two labels with two pictures each are needed on "
                "either side (give more pictures, or another --held-out)"
            )
        parts.append(material.some(kept))
    return parts[0], parts[1]


def judged(vectors: Vectors, labels: Codes, *, most: int | None = None) -> Judgement:
    """Every picture asks for the others of its label; `most`: so many of them ask at most."""
    truth = truth_by_labels([str(label) for label in labels])
    truth = truth if most is None else truth.subset(most)
    found = measure_rankings(rank_by_vectors(vectors, truth, similarity="cosine"), truth)
    means = found.means()
    figures = {shown: means[name] for shown, name in METRICS.items()}
    return Judgement(figures, tuple(found.curve.tolist()))


def curves(learnt: Learnt) -> dict[str, list[float]]:
    """Recall levels and the precision at each, before and after."""
    named = {
        "recall": LEVELS.tolist(),
        "before": learnt.before.curve,
        "after": learnt.after.curve,
    }
    return {name: [round(float(value), 4) for value in values] for name, values in named.items()}


def _usable(material: Material) -> Material:
    """Without pictures that are alone with their label."""
    sizes = np.bincount(material.labels)
    kept = np.flatnonzero(sizes[material.labels] > 1)
    if len(np.unique(material.labels[kept])) < 2:
        raise UsageError("training needs at least two labels with two pictures each")
    return material.some(kept)


def _joined(labels: Codes, apart: Codes) -> Codes:
    """Numbers of groups such that pictures that share a label or an `apart` share a group."""
    group = labels.copy()
    while True:
        for by in (apart, labels):
            least = np.full(by.max() + 1, group.max() + 1)
            np.minimum.at(least, by, group)
            fresh = least[by]
            if (fresh == group).all() and by is labels:
                return group
            group = fresh


def _reduced(vectors: Vectors) -> LinearMap | None:
    if vectors.shape[1] <= WIDEST:
        return None
    found = leading_axes(normalise(vectors), REDUCED)
    return LinearMap(found.mean, found.axes.T)


def _settings(
    material: Material, first: LinearMap | None, split: Split, rng: np.random.Generator
) -> tuple[float, int | None]:
    """The shrinkage and the number of directions that rank a part of the material best, learnt from
    the rest of it."""
    try:
        ours, theirs = divided(material, 0.3, split, rng)
    except UsageError:  # too little to choose by: the middle of the list, all directions
        return SHRINKAGES[len(SHRINKAGES) // 2], None
    labels = int(ours.labels.max()) + 1
    dims = [dim for dim in DIMS if dim < min(labels, _width(ours, first))]
    spread = scatter(_seen(ours.vectors, first), ours.labels)
    seen = _seen(theirs.vectors, first)

    def value(turn: LinearMap) -> float:
        return judged(normalise(turn(seen)), theirs.labels, most=QUESTIONS).figures["mAP"]

    tried: dict[tuple[float, int | None], float] = {}
    for shrinkage in SHRINKAGES:
        tried[shrinkage, None] = value(spread.discriminants(shrinkage=shrinkage, dim=None))
        if dims:
            # Directions come in their order: fewer of them are the first of more.
            most = spread.discriminants(shrinkage=shrinkage, dim=dims[0])
            for dim in dims:
                tried[shrinkage, dim] = value(LinearMap(most.mean, most.axes[:, :dim]))
    return max(tried, key=lambda setting: tried[setting])


def _map(
    material: Material, first: LinearMap | None, shrinkage: float, dim: int | None
) -> LinearMap:
    spread = scatter(_seen(material.vectors, first), material.labels)
    turn = spread.discriminants(shrinkage=shrinkage, dim=dim)
    return turn if first is None else compose(first, turn)


def _seen(vectors: Vectors, first: LinearMap | None) -> Vectors:
    unit = normalise(vectors)
    return unit if first is None else first(unit)


def _width(material: Material, first: LinearMap | None) -> int:
    return int(material.vectors.shape[1] if first is None else first.axes.shape[1])


def _counts(material: Material) -> tuple[int, int]:
    """Pictures and labels."""
    return len(material.labels), int(material.labels.max()) + 1


def _best(labels: Codes, cutoffs: Sequence[int] = (1, 5, 10)) -> dict[str, float]:
    """P@k of a perfect ranking: a label with m pictures gives each at most m - 1 right hits."""
    others = np.bincount(labels)[labels] - 1
    return {f"P@{k}": float(np.minimum(others, k).mean() / k) for k in cutoffs}
