"""Text search: the texts of an image, and the words of a query. The same for every store."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from lookalike.stores.filters import Value
from lookalike.stores.metadata import field_values, plain_text

WEIGHTS = (4.0, 4.0, 2.0, 1.0)
"""Weights of what `searchable_texts` returns: caption, keywords, other texts, and the path."""

MAX_WORDS = 64
"""Words of a query; further ones are ignored."""

_WORD = re.compile(r"\w+")

_NOT_OTHER_TEXT = frozenset({"caption", "keywords", "taken", "camera", "lens"})
"""Fields that are not "other texts": they have weights of their own, or cameras write them, for filters."""


def searchable_texts(
    path: str, facts: str | None, metadata: Mapping[str, Any]
) -> tuple[str, str, str, str] | None:
    """Return caption, keywords, other texts and path of an image; None if only the path has words.

    facts     JSON
    metadata  merged (`stores.metadata.merge`)
    """
    values = field_values(facts, metadata)
    caption = _join(values.get("caption", ()))
    keywords = _join(values.get("keywords", ()))
    others = _join(
        value
        for name, several in values.items()
        for value in several
        if name not in _NOT_OTHER_TEXT and value != caption
    )
    if not (caption or keywords or others):
        return None
    return caption, keywords, others, plain_text(path)


def query_words(text: str) -> list[str]:
    """Return the distinct words of a query in lower case, each in singular and plural.

    They consist of letters, digits and underscores, so that none can be syntax of a search engine.
    """
    words = dict.fromkeys(word.lower() for word in _WORD.findall(plain_text(text)))
    forms = [form for word in list(words)[:MAX_WORDS] for form in _singular_and_plural(word)]
    return list(dict.fromkeys(forms))


def _singular_and_plural(word: str) -> list[str]:
    """Return a word with and without a plural s, so that "shoes" finds "shoe"."""
    if len(word) < 3 or not word.isalpha():
        return [word]
    return [word, word[:-1]] if word.endswith("s") else [word, f"{word}s"]


def _join(values: Iterable[Value]) -> str:
    return plain_text(" ".join([v for v in values if isinstance(v, str)])).strip()
