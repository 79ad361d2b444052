"""The groups by which the images of a map are coloured, and their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.embedding_map.clusters import MAX_GROUPS
from lookalike.embedding_map.stored_layout import Layout
from lookalike.errors import UsageError
from lookalike.stores.filter_semantics import is_date
from lookalike.stores.interface import Image, Snapshot
from lookalike.stores.text_analysis import tokens

CLUSTER, FOLDER = "cluster", "folder"

OTHERS = "others"

# Name of the group of images directly in a root.
TOP_FOLDER = "(top folder)"

# A word names a cluster if so many of its images have it, and the share in the whole map is so much smaller.
MIN_SHARE, MIN_LIFT = 0.25, 2.0

# Words in the name of a cluster.
MAX_WORDS = 3

# Fields of the file itself whose values make groups.
FILE_VALUES = ("format", "width", "height", "size")

# Fields whose words may name a cluster, beside the folder.
WORD_FIELDS = ("label", "caption", "keywords", "tags", "title")

# The most frequent words of English and German captions, and of folders of images, which name nothing.
# fmt: off
STOP_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "by", "for", "from", "has", "in", "is", "it", "its", "of",
    "on", "or", "that", "the", "their", "there", "this", "to", "two", "up", "with", "while", "der",
    "die", "das", "ein", "eine", "einem", "einen", "einer", "und", "im", "am", "auf", "mit", "von",
    "zu", "vor", "aus", "image", "images", "img", "photo", "photos", "picture", "pictures", "dcim",
    "camera", "data", "dataset", "train", "test", "val",
})
# fmt: on


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Groups of the images of a layout.

    color    what the groups are: "cluster", "folder" or a field
    names    of the groups
    groups   (n,) indices into `names`; -1: unknown
    typical  ids of images that stand for each group: of a cluster the nearest to its centre, of others the
             first ones
    """

    color: str
    names: tuple[str, ...]
    groups: NDArray[np.int64]
    typical: tuple[tuple[int, ...], ...]


def groups_of(snapshot: Snapshot, layout: Layout, color: str) -> Groups:
    """Return the groups of a layout's images; `UsageError` for a field that no image has."""
    found = snapshot.images(layout.ids.tolist())
    images = [found.get(id) for id in layout.ids.tolist()]
    if color == CLUSTER:
        names = cluster_names(images, layout.clusters)
        typical = tuple(tuple(id for id in row if id) for row in layout.typical.tolist())
        return Groups(color, names, layout.clusters, typical)
    groups, names = group_values(_values(snapshot, images, color))
    firsts = (layout.ids[groups == number][:3].tolist() for number in range(len(names)))
    return Groups(color, names, groups, tuple(map(tuple, firsts)))


def cluster_names(images: Sequence[Image | None], clusters: NDArray[np.int64]) -> tuple[str, ...]:
    """Return a name for each cluster: the words that are frequent in it and rarer in the others, or its
    number."""
    words = [_words(image) if image else frozenset() for image in images]
    everywhere = Counter(word for one in words for word in one)
    names: list[str] = []
    for number in range(int(clusters.max()) + 1):
        members = np.flatnonzero(clusters == number).tolist()
        here = Counter(word for member in members for word in words[member])
        lift = {
            word: (count / len(members)) / (everywhere[word] / len(words))
            for word, count in here.items()
            if count >= max(2, MIN_SHARE * len(members))
        }
        good = [word for word in lift if lift[word] >= MIN_LIFT]
        good.sort(key=lambda word: (-here[word] * np.log(lift[word]), word))
        name = ", ".join(_without_parts(good)[:MAX_WORDS]) or f"cluster {number + 1}"
        names.append(name if name not in names else f"{name} ({number + 1})")
    return tuple(names)


def _without_parts(words: Sequence[str]) -> list[str]:
    """Return words without those that only end differently from an earlier one."""
    kept: list[str] = []
    for word in words:
        if not any(word.startswith(other) or other.startswith(word) for other in kept):
            kept.append(word)
    return kept


def _words(image: Image) -> frozenset[str]:
    """Return the words of an image's folder and texts."""
    texts = [image.path.rpartition("/")[0]]
    for name in WORD_FIELDS:
        value = image.metadata.get(name, image.facts.get(name))
        texts += value if isinstance(value, list) else [value]
    found = (word for text in texts if isinstance(text, str) for word in tokens(text))
    return frozenset(
        word for word in found if len(word) > 1 and not word.isdigit() and word not in STOP_WORDS
    )


def group_values(values: Sequence[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return (n,) indices of groups, -1 for no value, and the names of the groups.

    The most frequent values are groups of their own, and the rest is "others". If there are more than
    twelve different numbers, they are divided into six ranges with about equally many images. Dates are
    grouped by year, or by month if they are of one year. Of several values the first counts.
    """
    values = [
        (value[0] if value else None) if isinstance(value, list) else value for value in values
    ]
    present = [value for value in values if value is not None and value != ""]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in present)
    if present and numbers and len(set(present)) > MAX_GROUPS:
        return _ranges(values)
    if present and all(isinstance(value, str) and is_date(value) for value in present):
        return _dates(values)
    texts = [None if value is None or value == "" else str(value) for value in values]
    counts = Counter(text for text in texts if text is not None)
    ordered = sorted(counts, key=lambda text: (-counts[text], text))
    named = ordered if len(ordered) <= MAX_GROUPS else ordered[: MAX_GROUPS - 1]
    names = (*named, OTHERS) if len(ordered) > len(named) else tuple(named)
    number = {text: min(position, len(named)) for position, text in enumerate(ordered)}
    groups = [-1 if text is None else number[text] for text in texts]
    return np.array(groups, np.int64), names


def _ranges(values: Sequence[Any], count: int = 6) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    known = np.array([np.nan if v is None or v == "" else float(v) for v in values])
    edges = np.unique(np.nanquantile(known, np.linspace(0, 1, count + 1)))
    groups = np.searchsorted(edges[1:-1], known, side="right")
    groups = np.where(np.isnan(known), -1, groups)
    names = tuple(f"{a:g} – {b:g}" for a, b in pairwise(edges))
    return groups.astype(np.int64), names


def _dates(values: Sequence[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Group dates by year or month; of more than twelve years, ranges of years."""
    years = {value[:4] for value in values if value}
    length = len("2024-01") if len(years) == 1 else len("2024")
    periods = [value[:length] if value else None for value in values]
    ordered = sorted({period for period in periods if period})
    step = -(-len(ordered) // MAX_GROUPS)
    starts = ordered[::step]
    last = [ordered[min(at + step, len(ordered)) - 1] for at in range(0, len(ordered), step)]
    names = tuple(a if a == b else f"{a} – {b}" for a, b in zip(starts, last, strict=True))
    number = {period: at // step for at, period in enumerate(ordered)}
    groups = [-1 if period is None else number[period] for period in periods]
    return np.array(groups, np.int64), names


def _value(image: Image, field: str) -> Any:
    """Return the value of a field: of the metadata, of what the file says, or of the file itself."""
    value = image.metadata.get(field, image.facts.get(field))
    return getattr(image, field) if value is None and field in FILE_VALUES else value


def _values(snapshot: Snapshot, images: Sequence[Image | None], color: str) -> list[Any]:
    """Return the value of each image. Raises UsageError for a field that no image has."""
    if color == FOLDER:
        return [image and (image.path.rpartition("/")[0] or TOP_FOLDER) for image in images]
    values = [image and _value(image, color) for image in images]
    if all(value is None for value in values):
        known = ", ".join(sorted(name for name in snapshot.fields() if name != FOLDER))
        raise UsageError(
            f"no image has a field {color!r} to be coloured by; there are: cluster, folder"
            + (f", {known}" if known else "")
        )
    return values
