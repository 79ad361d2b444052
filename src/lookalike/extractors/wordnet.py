"""The part of WordNet 3.0 that names what image classifiers know: words, meanings, and what lies above them.

Its file is made by `tools/build_wordnet.py` from Princeton University's WordNet (licence: NOTICE). It has the
21,841 synsets of ImageNet and everything above them; the ids are those of ImageNet without the "n".
"""

from __future__ import annotations

import gzip
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).parent / "models" / "wordnet.txt.gz"

_ID = re.compile(r"n(\d{8})")

# Endings of plurals and what they replace, as in WordNet's own morphology (morphy) for nouns.
_PLURALS = (
    ("'s", ""),
    ("ches", "ch"),
    ("shes", "sh"),
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ies", "y"),
    ("men", "man"),
    ("s", ""),
)


@dataclass(frozen=True, slots=True)
class Synset:
    """One meaning: its words, the ids of the meanings directly above, and whether ILSVRC-2012 has it."""

    lemmas: tuple[str, ...]
    parents: tuple[str, ...]
    in_imagenet: bool


@dataclass(frozen=True, slots=True)
class WordNet:
    """Synsets by id; the senses of a word, in `fold`ed form, as (count in tagged texts, id), most frequent
    first; and irregular plurals."""

    synsets: Mapping[str, Synset]
    senses: Mapping[str, Sequence[tuple[int, str]]]
    plurals: Mapping[str, str]

    def above(self, synset: str) -> set[str]:
        """Return the ids of a synset and of everything above it."""
        found: set[str] = set()
        pending = [synset]
        while pending:
            one = pending.pop()
            if one not in found:
                found.add(one)
                pending += self.synsets[one].parents
        return found

    def imagenet(self) -> list[str]:
        """Return the ids of the 1,000 classes of ILSVRC-2012, in their order."""
        return [id for id, synset in self.synsets.items() if synset.in_imagenet]

    def match(self, labels: Sequence[str]) -> list[str | None]:
        """Return the synset that each label of a classifier means, None where there is none.

        A label is an id ("n01440764") or words of a synset, joined by commas ("tench, Tinca tinca"). Where
        several synsets have these words, 1,000 labels (or 1,001, with the background first) are taken in
        the order of ILSVRC-2012; otherwise its synsets come first, then those with the fewest other words.
        """
        known = self.imagenet()
        shift = len(labels) - len(known)
        expected = [""] * shift + known if shift in (0, 1) else [""] * len(labels)
        found: list[str | None] = []
        for label, usual in zip(labels, expected, strict=True):
            fitting = self._fitting(label)
            found.append(usual if usual in fitting else next(iter(fitting), None))
        return [None, *found[1:]] if shift == 1 else found

    def _fitting(self, label: str) -> list[str]:
        """Return the synsets with all words of a label, best first."""
        identifier = _ID.fullmatch(label.strip())
        if identifier:
            return [identifier[1]] if identifier[1] in self.synsets else []
        words = set(split_label(label))
        meanings = self.senses.get(min(words), ()) if words else ()
        fitting = [id for _, id in meanings if words <= set(map(fold, self.synsets[id].lemmas))]

        def rank(id: str) -> tuple[bool, int, str]:
            return not self.synsets[id].in_imagenet, len(self.synsets[id].lemmas), id

        return sorted(fitting, key=rank)


def fold(word: str) -> str:
    """Return a word in the form in which words are compared: "T-Shirt " → "t shirt"."""
    if not word.isascii():
        word = unicodedata.normalize("NFKC", word).replace("’", "'")
    return " ".join(word.casefold().replace("-", " ").replace("_", " ").split())


def singulars(word: str, plurals: Mapping[str, str]) -> list[str]:
    """Return what a folded word may be the plural or the genitive of: "wolves" → ["wolf", "wolve"]."""
    found = [plurals[word]] if word in plurals else []
    head, blank, last = word.rpartition(" ")
    if last in plurals and blank:
        found.append(f"{head} {plurals[last]}")
    found += [word.removesuffix(end) + new for end, new in _PLURALS if word.endswith(end)]
    return [one for one in dict.fromkeys(found) if len(one) > 1]


@cache
def load_wordnet() -> WordNet:
    """Return the file's contents; the first call takes a tenth of a second."""
    synsets: dict[str, Synset] = {}
    senses: dict[str, list[tuple[int, str]]] = {}
    plurals: dict[str, str] = {}
    for line in gzip.decompress(FILE.read_bytes()).decode().splitlines():
        mark, middle, words = line.split("\t")
        if mark == "-":
            plurals[fold(middle)] = fold(words)
            continue
        id, lemmas = mark.rstrip("*"), []
        for word in words.split("|"):
            lemma, _, count = word.partition(":")
            lemmas.append(lemma)
            senses.setdefault(fold(lemma), []).append((int(count or 0), id))
        parents = tuple(middle.split("|")) if middle else ()
        synsets[id] = Synset(tuple(lemmas), parents, mark.endswith("*"))
    for meanings in senses.values():
        meanings.sort(key=lambda meaning: (-meaning[0], meaning[1]))
    return WordNet(synsets, senses, plurals)


def split_label(label: str) -> list[str]:
    """Return the folded words of a label: "tench, Tinca tinca" → ["tench", "tinca tinca"]."""
    return [word for part in label.split(",") if (word := fold(part))]
