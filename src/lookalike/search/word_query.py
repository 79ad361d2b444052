"""Words without a text encoder: class words of a classifier, and colours, as vectors of spaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.class_words import USUAL_CONFIDENCE, ClassWords
from lookalike.extractors.color_words import COLORS
from lookalike.extractors.vocabulary import PEOPLE, Concept, Phrase
from lookalike.extractors.wordnet import fold
from lookalike.query import Term
from lookalike.stores.interface import Space
from lookalike.vectors.blocks import Floats
from lookalike.vectors.similarity import normalise

LEAST_PROBABILITY = 0.02
"""Probability of a word below which an image does not show it (docs/benchmarks.md), of a classifier of
`USUAL_CONFIDENCE`; less where it is less sure."""

_REMEDY = (
    "captions (`lookalike index --metadata FILE.csv`) and a CLIP model (`lookalike index --extractor clip`) "
    "answer any text"
)

_INSTEAD = "`lookalike index --extractor efficientnet-lite2` answers many words, " + _REMEDY

NO_WORDS = (
    "this library has neither captions nor a space that understands text: give captions with `lookalike "
    "index --metadata FILE.csv`, or index with `--extractor lookalike`, `efficientnet-lite2` or `clip`"
)
"""Error where nothing can answer text."""

CLASS_SHARE = 0.35
"""Weight of what an image shows against its colours, where a text names both. Small, because images that do
not show it are left out anyway."""


@dataclass(frozen=True, slots=True)
class SpaceWords:
    """The words that one space answers.

    classes  of the classifier that made its vectors; None where they are of something else
    colors   computes the vector (dim,) of each colour word; None where the space does not tell colours
    reason   why there are no classes, for a message; empty where nobody expects them
    """

    space: Space
    classes: ClassWords | None = None
    colors: Callable[[], Mapping[str, NDArray[np.float32]]] | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WordScores:
    """Scores images by the probability of the classes that texts name.

    concepts  of each text, with its weight; below 0: should not be in the image
    """

    classes: ClassWords
    concepts: Sequence[tuple[Sequence[Concept], float]]

    def of(self, vectors: Floats) -> NDArray[np.float32]:
        """Return a score from 0 to 1 for each unit vector (n, dim).

        That is the geometric mean of the probabilities of the concepts of positive texts, by weight, times
        1 - probability for those of negative texts. It is 0 where a positive concept is less probable than
        `LEAST_PROBABILITY`, or than chance, among the classes that the other concepts leave: probabilities
        add up to 1, so that an image of a dog on a beach would otherwise be hardly a beach.
        """
        score = np.ones(len(vectors))
        total = sum(weight for _, weight in self.concepts if weight > 0)
        wanted = [
            (one, w / total / len(each)) for each, w in self.concepts for one in each if w > 0
        ]
        found = self.classes.probabilities(vectors, [concept for concept, _ in wanted])
        lowest = LEAST_PROBABILITY * min(1.0, self.classes.confidence / USUAL_CONFIDENCE)
        for (concept, share), column in zip(wanted, found.T, strict=True):
            least = max(lowest, len(concept.classes) / len(self.classes.bias))
            left = np.maximum(1 - (found.sum(axis=1) - column), np.maximum(column, 1e-12))
            score *= np.where(column / left < least, 0, column) ** share
        for each, weight in self.concepts:
            if weight < 0:
                unwanted = self.classes.probabilities(vectors, each)
                score *= (1 - unwanted.max(axis=1).clip(0, 1)) ** -weight
        return score.astype(np.float32)


@dataclass(frozen=True, slots=True)
class WordSearch:
    """One ranking that words ask for.

    vector  (1, width), the nearest of which are candidates
    weight  share of this ranking; those of a query add up to 1
    scores  ranks the candidates; None: by their similarity to the vector
    """

    space: Space
    vector: NDArray[np.float32]
    weight: float
    scores: WordScores | None = None


def search_words(words: Iterable[SpaceWords], texts: Sequence[Term]) -> list[WordSearch]:
    """Return the searches for texts, at most one by classes and one by colours.

    words  of the spaces that may be searched, best first

    `UsageError` if a text has a word that none knows, or there are no words at all.
    """
    known = list(words)
    colors = next((one for one in known if one.colors is not None), None)
    classes = [one for one in known if one.classes is not None]
    failures: list[str] = []
    for one in classes:
        assert one.classes is not None
        phrases = [one.classes.vocabulary.parse(text.text or "", colors=COLORS) for text in texts]
        failure = _failure(one, phrases, colors)
        if not failure:
            return _searches(one, phrases, texts, colors)
        failures.append(failure)
    if colors is not None and all(_colors_only(text.text or "") for text in texts):
        phrases = [Phrase((), _colors_only(text.text or ""), ()) for text in texts]
        return _searches(None, phrases, texts, colors)
    failures += [f"{one.reason}; {_INSTEAD}" for one in known if one.reason]
    raise UsageError(failures[0] if failures else NO_WORDS)


def _searches(
    classes: SpaceWords | None,
    phrases: Sequence[Phrase],
    texts: Sequence[Term],
    colors: SpaceWords | None,
) -> list[WordSearch]:
    found: list[WordSearch] = []
    pairs = list(zip(phrases, texts, strict=True))
    named = [(phrase.concepts, text.weight) for phrase, text in pairs if phrase.concepts]
    shades = [(phrase.colors, text.weight) for phrase, text in pairs if phrase.colors]
    both = bool(named and shades)
    if named and classes is not None and classes.classes is not None:
        space, words = classes.space, classes.classes
        vector = _weighted([(words.direction(concepts), weight) for concepts, weight in named])
        whole = space.boxes is None and space.projection is None
        scores = WordScores(words, named) if whole else None
        weight = CLASS_SHARE if both else 1.0
        found.append(WordSearch(space, _fitted(space, vector), weight, scores))
    if shades and colors is not None and colors.colors is not None:
        vectors = colors.colors()
        made = [
            (normalise(np.sum([vectors[color] for color in each], axis=0)), weight)
            for each, weight in shades
        ]
        vector = _fitted(colors.space, _weighted(made))
        found.append(WordSearch(colors.space, vector, 1 - CLASS_SHARE if both else 1.0))
    return found


def _weighted(vectors: Sequence[tuple[NDArray[np.float32], float]]) -> NDArray[np.float32]:
    """Return Σ weight · vector / Σ |weight| (dim,)."""
    total = np.sum([weight * vector for vector, weight in vectors], axis=0)
    return np.asarray(total / sum(abs(weight) for _, weight in vectors), np.float32)


def _fitted(space: Space, direction: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a direction among the vectors of an extractor as one of a space, which may have fewer
    dimensions: (1, width)."""
    if space.projection is not None:
        direction = normalise(space.projection.axes @ direction)
    return direction[None]


def _colors_only(text: str) -> tuple[str, ...]:
    """Return the colours that a text consists of; none if it has any other word."""
    words = fold(text)
    if words in COLORS:
        return (words,)
    return tuple(words.split()) if all(word in COLORS for word in words.split()) else ()


def _failure(words: SpaceWords, phrases: Sequence[Phrase], colors: SpaceWords | None) -> str:
    """Return why phrases cannot be searched with these words; empty if they can."""
    assert words.classes is not None
    name, vocabulary = words.space.name, words.classes.vocabulary
    for phrase in phrases:
        for word in phrase.unknown:
            if word in PEOPLE and not vocabulary.knows_people:
                why = f"{name} cannot tell '{word}': its classes are things and animals, not people"
            else:
                near = ", ".join(vocabulary.nearest(word))
                why = f"{name} does not know '{word}'" + (
                    f"; the nearest it knows: {near}" if near else ""
                )
            return f"{why} (`lookalike models words {name}` lists its words); {_REMEDY}"
        if phrase.colors and colors is None:
            return (
                f"'{phrase.colors[0]}' is a colour, and no space of this library tells colours: "
                "`lookalike index --extractor color`"
            )
        if not (phrase.concepts or phrase.colors):
            return "the text names nothing to look for"
    return ""
