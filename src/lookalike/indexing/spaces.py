"""The spaces that an extractor's vectors go to, and when a new one takes over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lookalike.errors import Outcome, UsageError
from lookalike.extractors.interface import BOXES, Extractor, FittedExtractor, space_key
from lookalike.stores.interface import Space, Store, Writer


def space_to_add(extractor: Extractor, spaces: Sequence[Space], *, normalise: bool) -> Space:
    """The space that the vectors go to; `UsageError` where it is there with another kind of them."""
    space = space_of(extractor)
    there = next((other for other in spaces if other.key == space.key), None)
    if not normalise and there is not None and there.normalised:
        raise UsageError(
            f"the {space.name} vectors of this library have length 1 already: index with "
            "--no-normalise into another library (--library DIR)"
        )
    return replace(space, normalised=space.normalised and normalise)


def space_of(extractor: Extractor) -> Space:
    """The space that this extractor's vectors go to."""
    fitted = extractor.fitted if isinstance(extractor, FittedExtractor) else None
    # A row of parts is not one vector: each of them has length 1 by itself.
    whole = fitted is None or BOXES not in fitted
    return Space(
        key=space_key(extractor),
        name=extractor.name,
        revision=extractor.revision,
        dim=extractor.dim,
        similarity=extractor.similarity,
        normalised=extractor.similarity == "cosine" and whole,
        fitted=fitted,
    )


def promote(store: Store, writer: Writer, extractors: Sequence[Extractor]) -> None:
    """A new revision takes over once every indexed picture has a vector of it."""
    with store.snapshot() as snapshot:
        images = snapshot.counts().get(Outcome.INDEXED, 0)
        spaces = {space.key: space for space in snapshot.spaces()}
    for key in map(space_key, extractors):
        if not spaces[key].current and spaces[key].count >= images:
            writer.promote(key)
