"""From a question to what the store is asked: probes of spaces, words for the captions, a filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.query import Query, Term
from lookalike.searching.asking import Askers, image_vector, picture_vectors
from lookalike.stores.contract import Ids, Space, View
from lookalike.vectors.similarity import Similarity, normalise


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to one space: (n, dim) vectors of which the nearest counts for each image (n is 1, or
    8 with any orientation); `weight` is its share when rankings are fused."""

    space: Space
    vectors: NDArray[np.float32]
    similarity: Similarity
    weight: float


@dataclass(frozen=True, slots=True)
class Draft:
    """A question made ready: probes, words for the captions with their weights, images to choose from.

    depth  how many candidates each ranking must give
    """

    query: Query
    probes: tuple[Probe, ...]
    words: tuple[tuple[str, float], ...]
    words_weight: float
    among: Ids | None
    depth: int


def draft(view: View, askers: Askers, query: Query) -> Draft:
    """Make a question ready; `UsageError` where it cannot be answered."""
    spaces = current_spaces(view)
    asked = asked_spaces(spaces, query)
    pictures = tuple(term for term in query.terms if term.words is None)
    words = tuple(term for term in query.terms if term.words is not None)
    alpha = query.alpha if pictures and words else 1.0 if pictures else 0.0
    probes = [
        Probe(
            space,
            probe_vectors(view, askers, space, pictures, any_orientation=query.any_orientation),
            query.similarity or space.similarity,
            alpha / len(asked),
        )
        for space in asked
        if pictures
    ]
    reader = next((space for space in preferred(asked, spaces) if askers.reads(space)), None)
    if words and reader is not None:
        vectors = text_vector(askers, reader, words)
        probes.append(Probe(reader, vectors, query.similarity or reader.similarity, 1 - alpha))
    elif words and not view.has_captions():
        raise UsageError(
            "this library has neither captions nor a space that understands words: give captions "
            "with `lookalike index --metadata FILE.csv`, or index with `--with clip`"
        )
    single = len(probes) == 1 and (reader is not None or not words)
    spread = query.diverse > 0 or query.collapse
    return Draft(
        query=query,
        probes=tuple(probes),
        words=() if reader else tuple((term.words or "", term.weight) for term in words),
        words_weight=1 - alpha,
        among=view.select(query.where) if query.where else None,
        depth=query.k if single and not spread else max(5 * query.k, 200),
    )


def current_spaces(view: View) -> list[Space]:
    spaces = [space for space in view.spaces() if space.current]
    if not spaces:
        raise UsageError("the library is empty: index a folder first (`lookalike index FOLDER`)")
    return spaces


def asked_spaces(spaces: Sequence[Space], query: Query) -> list[Space]:
    """The spaces that `by` names, the first one where it names none."""
    if not query.by:
        return [spaces[0]]
    found = []
    for name in query.by:
        space = next((space for space in spaces if name in (space.name, space.key)), None)
        if space is None:
            names = ", ".join(space.name for space in spaces)
            raise UsageError(
                f"the library has no {name} vectors, only {names}; "
                f"add them with `lookalike index --with {name}`"
            )
        found.append(space)
    return list(dict.fromkeys(found))


def preferred(asked: Sequence[Space], spaces: Sequence[Space]) -> list[Space]:
    return [*asked, *(space for space in spaces if space not in asked)]


def probe_vectors(
    view: View, askers: Askers, space: Space, terms: Sequence[Term], *, any_orientation: bool
) -> NDArray[np.float32]:
    """(n, dim): Σ weight · vector, each vector at unit length first where the space is, so that no
    picture weighs more than its weight. One row an orientation that is tried."""
    total = np.zeros((8 if any_orientation else 1, space.dim), np.float64)
    for term in terms:
        if term.image is not None:
            made = image_vector(view, askers, space, term, any_orientation=any_orientation)
        else:
            made = picture_vectors(view, askers, space, term, any_orientation=any_orientation)
        total += term.weight * (normalise(made) if space.normalised else made)
    positive = sum(abs(term.weight) for term in terms)
    return np.asarray(total / positive, np.float32)


def text_vector(askers: Askers, space: Space, terms: Sequence[Term]) -> NDArray[np.float32]:
    """(1, dim): the same for words, in a space that understands them."""
    made = normalise(askers.text(space, [term.words or "" for term in terms]))
    weights = np.array([term.weight for term in terms])
    return np.asarray((weights @ made / np.abs(weights).sum())[None], np.float32)
