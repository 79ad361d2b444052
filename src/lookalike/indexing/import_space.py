"""The space that imported vectors go to: its name, type and similarity, checked before anything is stored."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.registry import EXTRACTORS, parse, plugins
from lookalike.field_options import check_choice
from lookalike.indexing.vector_import import row_blocks
from lookalike.stores.interface import Snapshot, Space
from lookalike.stores.records import IMPORTED, DType
from lookalike.vectors.pca import check_kept, learn_projection, sample_size
from lookalike.vectors.similarity import Similarity

# Bytes of vectors, as float32, from which principal components are learned.
SAMPLE_BYTES = 64 << 20


MAX_NAME = 100
"""Longest name of imported vectors, in characters."""

RESERVED = ("captions",)
"""Names of rankings that are no vectors (`Hits.ranked_by`)."""


PLAIN_NAME = re.compile(r"\w[\w .+=-]*")
"""What vectors from a stranger may be called: never like a path, an option or a command."""


def check_plain_name(name: str) -> None:
    """Raise UsageError for a name of vectors that a stranger must not choose, because messages repeat it."""
    if not PLAIN_NAME.fullmatch(name):
        raise UsageError(
            f"invalid name for vectors: {name[:MAX_NAME]!r}; over HTTP it has letters, digits, blanks and "
            ". _ + = - only"
        )
    check_name(name)


def check_name(name: str) -> None:
    """Raise UsageError for a name of vectors by which --extractor could not address them."""
    if len(name) > MAX_NAME:
        raise UsageError(
            f"invalid name for vectors: it has {len(name)} characters, more than {MAX_NAME}: choose another "
            "with --extractor"
        )
    if (
        any(mark in name for mark in ",@")
        or not name.isprintable()
        or name != name.strip()
        or not name
    ):
        raise UsageError(
            f"invalid name for vectors: {name!r}; it must not be empty, begin or end with a "
            "blank, or contain @ or a comma: choose another with --extractor"
        )
    if name.casefold() in RESERVED:
        raise UsageError(
            f"{name} is what searches of texts are called: call imported vectors otherwise with --extractor"
        )
    family = re.split("[:+]", unicodedata.normalize("NFKC", name).casefold())[0].strip()
    if family in {*EXTRACTORS, *map(str.casefold, plugins())}:
        raise UsageError(
            f"{family} is the name of an extractor: call imported vectors otherwise with --extractor"
        )
    if name.startswith(("-", "~")) or parse(name) != [name]:
        raise UsageError(f"invalid name for vectors: {name!r} looks like the path of a model")


def space_for(
    snapshot: Snapshot,
    name: str,
    rows: NDArray[Any],
    similarity: Similarity | None,
    dtype: DType | None,
    file: Path,
    pca: int | None,
) -> Space:
    """Return the existing space of that name, if the rows and options fit, or a new one."""
    dim = rows.shape[1]
    for space in snapshot.spaces():
        if space.name == name and space.current:
            _check_pca(space, pca)
            _check_options(space, similarity, dtype)
            expected = space.projection.input_dim if space.projection else space.dim
            if expected != dim:
                raise UsageError(
                    f"{file} has vectors of {dim} numbers, the {name} vectors of this library have "
                    f"{expected}: give them another name with --extractor"
                )
            if space.boxes is not None:
                raise UsageError(f"{name} stores vectors of image regions: use another --extractor")
            return space
    similarity, dtype = similarity or "cosine", dtype or "f32"
    check_choice("similarity", similarity, get_args(Similarity))
    check_choice("dtype", dtype, get_args(DType))
    fitted = None
    if pca is not None:
        check_kept(pca, dim, f"the vectors of {file}")
        sample = _sample(rows, pca)
        fitted = learn_projection(sample, pca, similarity=similarity).arrays()
    return Space(
        f"{name}@{IMPORTED}",
        name,
        IMPORTED,
        pca or dim,
        similarity,
        dtype,
        normalised=similarity == "cosine",
        fitted=fitted,
    )


def _check_options(space: Space, similarity: Similarity | None, dtype: DType | None) -> None:
    names = {"f32": "float32", "f16": "float16"}
    for wanted, held, what in (
        (similarity, space.similarity, f"are compared by {space.similarity}"),
        (dtype, space.dtype, f"are stored as {names[space.dtype]}"),
    ):
        if wanted not in (None, held):
            raise UsageError(
                f"the {space.name} vectors of this library {what}, not {names.get(wanted, wanted)}: give "
                "these another name with --extractor"
            )


def _check_pca(space: Space, pca: int | None) -> None:
    if pca is not None and (space.projection is None or space.dim != pca):
        kept = f"{space.dim} principal components" if space.projection else "all their numbers"
        raise UsageError(
            f"the {space.name} vectors of this library keep {kept}: give these another name with --extractor"
        )


def _sample(rows: NDArray[Any], pca: int) -> NDArray[np.float32]:
    """Return a deterministic random sample of rows, larger than necessary where rows are small."""
    size = max(sample_size(pca), SAMPLE_BYTES // (4 * rows.shape[1]))
    if size >= len(rows):
        return np.asarray(rows, np.float32)
    chosen = np.random.default_rng(0).choice(len(rows), size, replace=False)
    return np.asarray(rows[np.sort(chosen)], np.float32)


def check_range(rows: NDArray[Any], space: Space, file: Path) -> None:
    """Raise UsageError naming the first row that is beyond the type in which the space stores vectors."""
    limit = np.finfo(np.float16 if space.dtype == "f16" else np.float32).max
    if space.dtype == "f32" or space.normalised:
        return
    for start, block in row_blocks(rows):
        if space.projection is not None:
            block = space.projection.apply(block, similarity=space.similarity)
        inside = (np.abs(block) <= limit).all(axis=1)
        if not inside.all():
            row = start + int(np.argmin(inside))
            raise UsageError(
                f"{file}, row {row}: holds a number above {limit:g}, which float16 cannot hold: import it as "
                "float32; nothing was imported"
            )
