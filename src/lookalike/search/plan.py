"""From a question to what the store is asked: probes of spaces, words for the captions, a filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.query import Query, Term
from lookalike.search.encode import Askers
from lookalike.search.stored_vectors import Stored
from lookalike.search.terms import ORIENTATIONS, term_vectors
from lookalike.stores.interface import Ids, Snapshot, Space
from lookalike.vectors.similarity import Similarity, normalise

CANDIDATES, FEWEST_CANDIDATES = 5, 200
"""Of each ranking, as a multiple of k and at least, where rankings are fused or hits left out."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to one space: (n, dim) vectors of which the nearest counts for each image (n is 1, or
    8 with any orientation); `weight` is its share when rankings are fused; `words`: it asks with words.
    """

    space: Space
    vectors: NDArray[np.float32]
    similarity: Similarity
    weight: float
    words: bool = False

    @property
    def name(self) -> str:
        """What its ranking is called in answers."""
        return f"{self.space.name} (words)" if self.words else self.space.name


@dataclass(frozen=True, slots=True)
class Draft:
    """A question made ready: probes, words for the captions with their weights, images to choose from.

    depth     how many candidates each ranking must give
    searched  how many images could be hits
    """

    query: Query
    probes: tuple[Probe, ...]
    words: tuple[tuple[str, float], ...]
    words_weight: float
    among: Ids | None
    depth: int
    searched: int


class Shared:
    """What the questions of a batch share, looked up once: the library's spaces, the images that each
    filter lets through, and the vectors of those that are asked with."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._view = snapshot
        self._found: dict[str, Ids] = {}
        self.stored = Stored(snapshot)

    @cached_property
    def spaces(self) -> Sequence[Space]:
        """Those that can be asked; `UsageError` where there is none."""
        spaces = [space for space in self._view.spaces() if space.current]
        if not spaces:
            raise UsageError(
                "the library is empty: index a folder first (`lookalike index FOLDER`)"
            )
        return spaces

    def among(self, where: str | None) -> Ids | None:
        if where is None:
            return None
        if where not in self._found:
            self._found[where] = self._view.select(where)
        return self._found[where]


def draft(snapshot: Snapshot, askers: Askers, shared: Shared, query: Query) -> Draft:
    """Make a question ready; `UsageError` where it cannot be answered."""
    spaces = shared.spaces
    asked = asked_spaces(spaces, query)
    pictures = tuple(term for term in query.terms if term.text is None)
    words = tuple(term for term in query.terms if term.text is not None)
    of_pictures, of_words = shares(query.alpha, pictures, words)
    probes = [
        Probe(
            space,
            picture_probe(
                snapshot, askers, shared.stored, space, pictures, turned=query.any_orientation
            ),
            query.similarity or space.similarity,
            of_pictures / len(asked),
        )
        for space in asked
        if pictures
    ]
    if query.feedback:
        from lookalike.feedback.relevance_feedback import learned

        probes = [
            replace(p, vectors=learned(snapshot, p.space, pictures, p.vectors)) for p in probes
        ]
    reader = reading_space(snapshot, askers, asked, spaces) if words else None
    if reader is not None:
        vectors = text_vector(askers, reader, words)
        similarity = query.similarity or reader.similarity
        probes.append(Probe(reader, vectors, similarity, of_words, words=True))
    captions = words if reader is None else ()
    chooses = query.diversity or query.collapse_duplicates or query.verify
    alone = len(probes) + bool(captions) == 1 and not chooses
    among = shared.among(query.where)
    largest = max(space.count for space in spaces)
    searched = largest if captions else max(probe.space.count for probe in probes)
    searched = searched if among is None else min(searched, len(among))
    depth = query.k if alone else max(CANDIDATES * query.k, FEWEST_CANDIDATES)
    return Draft(
        query=query,
        probes=tuple(probes),
        words=tuple((term.text or "", term.weight) for term in captions),
        words_weight=of_words,
        among=among,
        depth=min(depth, max(largest, 1)),
        searched=searched,
    )


def shares(alpha: float, pictures: Sequence[Term], words: Sequence[Term]) -> tuple[float, float]:
    """How much pictures and words count when their rankings are fused; together 1."""
    if not (pictures and words):
        return (1.0, 0.0) if pictures else (0.0, 1.0)
    one = alpha * sum(abs(term.weight) for term in pictures) / len(pictures)
    other = (1 - alpha) * sum(abs(term.weight) for term in words) / len(words)
    return one / (one + other), other / (one + other)


def reading_space(
    snapshot: Snapshot, askers: Askers, asked: Sequence[Space], spaces: Sequence[Space]
) -> Space | None:
    """The space that words are looked up in: one that was asked for if it understands them, else
    another; None: the captions."""
    others = [space for space in spaces if space not in asked]
    reader = next((space for space in (*asked, *others) if askers.reads(space)), None)
    if reader is None and not snapshot.has_text():
        raise UsageError(
            "this library has neither captions nor a space that understands words: give captions "
            "with `lookalike index --metadata FILE.csv`, or index with `--with clip`"
        )
    return reader


def asked_spaces(spaces: Sequence[Space], query: Query) -> list[Space]:
    """The spaces that `by` names, the first one where it names none."""
    if not query.extractors:
        return [spaces[0]]
    found = []
    for name in query.extractors:
        space = next((space for space in spaces if name in (space.name, space.key)), None)
        if space is None:
            names = ", ".join(space.name for space in spaces)
            raise UsageError(
                f"the library has no {name} vectors, only {names}; "
                f"add them with `lookalike index --with {name}`"
            )
        found.append(space)
    return list(dict.fromkeys(found))


def picture_probe(
    snapshot: Snapshot,
    askers: Askers,
    stored: Stored,
    space: Space,
    terms: Sequence[Term],
    *,
    turned: bool,
) -> NDArray[np.float32]:
    """(n, dim): Σ weight · vector / Σ |weight| of `addable` vectors. One row an orientation that is tried:
    eight if `turned`."""
    made = [
        term_vectors(snapshot, stored, askers, space, term, any_orientation=turned)
        for term in terms
    ]
    if len(made) == 1 and terms[0].weight == 1:
        return made[0]
    total = np.zeros((len(ORIENTATIONS) if turned else 1, space.width), np.float64)
    for term, vectors in zip(terms, made, strict=True):
        total += term.weight * vectors
    return np.asarray(total / sum(abs(term.weight) for term in terms), np.float32)


def text_vector(askers: Askers, space: Space, terms: Sequence[Term]) -> NDArray[np.float32]:
    """(1, dim): the same for words, in a space that understands them."""
    made = normalise(askers.text(space, [term.text or "" for term in terms]))
    weights = np.array([term.weight for term in terms])
    return np.asarray((weights @ made / np.abs(weights).sum())[None], np.float32)
