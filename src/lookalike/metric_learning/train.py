"""From a folder of labelled pictures to the folder of a trained model."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import lookalike
from lookalike.errors import UsageError
from lookalike.evaluation.collection import Collection, EvalLibrary, collect, open_or_build
from lookalike.evaluation.labels import check_labels, load_ground_truth
from lookalike.extractors import load
from lookalike.extractors.interface import Extractor
from lookalike.extractors.trained import check_trainable
from lookalike.indexing.report import ProgressCallback
from lookalike.metric_learning.linear_metric import Codes, Learnt, Material, Split, curves, learn
from lookalike.models.trained import write_trained
from lookalike.stores.interface import Snapshot, Space
from lookalike.stores.open_store import find_library


@dataclass(frozen=True, slots=True)
class Wish:
    """What to train on.

    labels    "folders", "FILE.csv", "FILE.csv:COLUMN" or "field:NAME" of the library's metadata
    apart     the same, for what must not be on both sides (products, when labels are kinds)
    base      name of the extractor whose vectors are turned
    held_out, split, seed  as in `own.learn`
    """

    labels: str
    apart: str | None = None
    base: str = "lookalike"
    held_out: float = 0.3
    split: Split | None = None
    seed: int = 0


def train(folder: Path, wish: Wish, *, progress: ProgressCallback | None = None) -> Learnt:
    """Learn from the labelled pictures of a folder, with the vectors of its library if that has them,
    else with vectors made for this only (nothing is written beside the pictures).

    Raises UsageError where labels are missing, or the extractor cannot be trained on.
    """
    base = load(wish.base)
    check_trainable(base)
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}: name a folder of pictures or a library")
    for named in (wish.labels, wish.apart or wish.labels):
        check_labels(named, folder)
    with ExitStack() as stack:
        there = _with_vectors(stack, folder, base, progress)
        snapshot = stack.enter_context(there.library.snapshot())
        space = _space(snapshot, base)
        assert space is not None
        pictures, _ = collect(snapshot, [space], folder=there.folder)
        labels = _codes(snapshot, pictures, wish.labels, folder)
        apart = None if wish.apart is None else _codes(snapshot, pictures, wish.apart, folder)
        vectors = snapshot.vectors(space.key, pictures.ids)
    known = labels >= 0
    if apart is not None:
        # What belongs to nothing stands by itself.
        alone = apart.max() + 1 + np.arange(len(apart))
        apart = np.where(apart >= 0, apart, alone)[known]
    material = Material(np.asarray(vectors[known], np.float32), labels[known], apart)
    return learn(material, held_out=wish.held_out, split=wish.split, seed=wish.seed)


def save(learnt: Learnt, folder: Path, wish: Wish) -> None:
    """Write the model's folder: the map, what it was learnt from, and its figures."""
    base = load(wish.base)
    write_trained(
        folder,
        mean=learnt.turn.mean,
        axes=learnt.turn.axes,
        base=base.name,
        base_revision=base.revision,
        learnt={
            **asdict(wish),
            "split": learnt.split,
            "pictures": learnt.learnt[0],
            "from_labels": learnt.learnt[1],
            "held_out_pictures": learnt.held_out[0],
            "held_out_labels": learnt.held_out[1],
            "shrinkage": learnt.shrinkage,
            "lookalike": lookalike.__version__,
        },
        figures=figures(learnt),
    )


def figures(learnt: Learnt) -> dict[str, dict[str, float] | dict[str, list[float]]]:
    """Before and after on held-out pictures, rounded to four decimals."""
    named = {"before": learnt.before.figures, "after": learnt.after.figures, "best": learnt.best}
    rounded = {
        name: {metric: round(value, 4) for metric, value in values.items()}
        for name, values in named.items()
    }
    return {**rounded, "curve": curves(learnt)}


def _with_vectors(
    stack: ExitStack, folder: Path, base: Extractor, progress: ProgressCallback | None
) -> EvalLibrary:
    """The folder's library where it has these vectors, else a temporary one."""
    if find_library(folder) is not None:
        there = stack.enter_context(open_or_build(folder))
        with there.library.snapshot() as snapshot:
            if _space(snapshot, base) is not None:
                return there
    return stack.enter_context(
        open_or_build(folder, reindex=True, extractors=[base.name], progress=progress)
    )


def _space(snapshot: Snapshot, base: Extractor) -> Space | None:
    wanted = (base.name, base.revision)
    spaces = (s for s in snapshot.spaces() if s.current and s.count and s.boxes is None)
    return next((space for space in spaces if (space.name, space.revision) == wanted), None)


def _codes(snapshot: Snapshot, pictures: Collection, labels: str, folder: Path) -> Codes:
    """A number for the label of every picture, -1 where it has none."""
    found = load_ground_truth(labels, pictures, folder=folder, snapshot=snapshot)
    if found.judged is not None:
        raise UsageError(f"{labels} holds judgements: training needs labels (folders, FILE.csv)")
    made = np.full(len(pictures), -1, np.int64)
    for number, group in enumerate(found.groups):
        made[group.rows] = number
    return made
