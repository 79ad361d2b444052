"""Training from a folder of labelled images to the folder of a trained model."""

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
from lookalike.extractors.trained import check_trainable, write_trained
from lookalike.indexing.report import ProgressCallback
from lookalike.library import Library
from lookalike.metric_learning.linear_metric import (
    Codes,
    LearntMetric,
    Split,
    TrainingSet,
    learn,
    precision_recall_curves,
)
from lookalike.stores.interface import Snapshot, Space
from lookalike.stores.open_store import FOLDER, Location, find_library


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Selection of training data.

    labels    "folders", "FILE.csv", "FILE.csv:COLUMN" or "field:NAME" of the library's metadata
    group_by  the same, for images that must stay on one side (products, when labels are kinds)
    base      name of the extractor whose vectors are mapped
    held_out, split, seed  as in `linear_metric.learn`
    """

    labels: str
    group_by: str | None = None
    base: str = "lookalike"
    held_out: float = 0.3
    split: Split | None = None
    seed: int = 0


def train(
    folder: Path | None,
    options: TrainingOptions,
    *,
    library: Location | None = None,
    progress: ProgressCallback | None = None,
) -> LearntMetric:
    """Learn from the labelled images of a folder.

    folder   the images to learn from; None: all images of `library`
    library  the library with their vectors; None: the one that `folder` is in

    If there is no library, or it has no vectors of the base extractor, they are computed for this only;
    nothing is written beside the images. Raises `UsageError` where labels are missing, or the extractor
    cannot be trained on.
    """
    base = load(options.base)
    check_trainable(base)
    if folder is not None and not folder.is_dir():
        raise UsageError(f"there is no folder {folder}: name a folder of images or a library")
    root = _images_folder(folder, library)
    for labels in (options.labels, options.group_by or options.labels):
        check_labels(labels, root)
    with ExitStack() as stack:
        opened = _open_vectors(stack, folder, library, base, progress)
        snapshot = stack.enter_context(opened.library.snapshot())
        space = _find_space(snapshot, base)
        assert space is not None
        images, _ = collect(snapshot, [space], folder=opened.folder)
        labels_ = _label_codes(snapshot, images, options.labels, root)
        groups = None
        if options.group_by is not None:
            groups = _label_codes(snapshot, images, options.group_by, root)
        vectors = snapshot.vectors(space.key, images.ids)
    labelled = labels_ >= 0
    if groups is not None:
        # Images without a group are a group each.
        own = groups.max() + 1 + np.arange(len(groups))
        groups = np.where(groups >= 0, groups, own)[labelled]
    training_set = TrainingSet(np.asarray(vectors[labelled], np.float32), labels_[labelled], groups)
    return learn(training_set, held_out=options.held_out, split=options.split, seed=options.seed)


def save(learnt: LearntMetric, folder: Path, options: TrainingOptions) -> None:
    """Write the model's folder: the map, what it was learnt from, and its quality."""
    base = load(options.base)
    write_trained(
        folder,
        mean=learnt.mapping.mean,
        axes=learnt.mapping.axes,
        base=base.name,
        base_revision=base.revision,
        learnt={
            **asdict(options),
            "split": learnt.split,
            "images": learnt.trained_on[0],
            "from_labels": learnt.trained_on[1],
            "held_out_images": learnt.held_out[0],
            "held_out_labels": learnt.held_out[1],
            "shrinkage": learnt.shrinkage,
            "lookalike": lookalike.__version__,
        },
        figures=quality_document(learnt),
    )


def quality_document(
    learnt: LearntMetric,
) -> dict[str, dict[str, float] | dict[str, list[float]]]:
    """Return the quality on held-out images before and after, rounded to four decimals."""
    named = {
        "before": learnt.before.metrics,
        "after": learnt.after.metrics,
        "best_possible": learnt.best_possible,
    }
    rounded = {
        name: {metric: round(value, 4) for metric, value in values.items()}
        for name, values in named.items()
    }
    return {**rounded, "curve": precision_recall_curves(learnt)}


def _images_folder(folder: Path | None, library: Location | None) -> Path:
    """Return the folder of the images, where files with labels are looked up, too."""
    if folder is not None:
        return folder
    if library is None:
        raise UsageError("name a folder of images or a library")
    if isinstance(library, str):
        with Library.open(library, read_only=True) as opened:
            return opened.home
    return library.parent if library.name == FOLDER else library


def _open_vectors(
    stack: ExitStack,
    folder: Path | None,
    library: Location | None,
    base: Extractor,
    progress: ProgressCallback | None,
) -> EvalLibrary:
    """Open the library if it has these vectors; otherwise build a temporary one."""
    if library is None and folder is not None:
        library = find_library(folder)
    if library is not None:
        opened = stack.enter_context(open_or_build(folder, library=library))
        with opened.library.snapshot() as snapshot:
            if _find_space(snapshot, base) is not None:
                return opened
        folder = _images_folder(folder, library)
    return stack.enter_context(
        open_or_build(folder, reindex=True, extractors=[base.name], progress=progress)
    )


def _find_space(snapshot: Snapshot, base: Extractor) -> Space | None:
    """Return the space with the vectors of this extractor, if there is one."""
    wanted = (base.name, base.revision)
    spaces = (s for s in snapshot.spaces() if s.current and s.count and s.boxes is None)
    return next((space for space in spaces if (space.name, space.revision) == wanted), None)


def _label_codes(snapshot: Snapshot, images: Collection, labels: str, folder: Path) -> Codes:
    """Return a number for the label of every image, -1 for none."""
    found = load_ground_truth(labels, images, folder=folder, snapshot=snapshot)
    if found.judged is not None:
        raise UsageError(f"{labels} holds judgements: training needs labels (folders, FILE.csv)")
    codes = np.full(len(images), -1, np.int64)
    for number, group in enumerate(found.groups):
        codes[group.rows] = number
    return codes
