"""Words in captions, found by SQLite's FTS5 and ranked by BM25.

An indexed image is here if somebody said something about it: a caption, keywords, or any other text
in its metadata. Then the words of its path count too, least of all.

BM25: Robertson & Zaragoza, The Probabilistic Relevance Framework, 2009; k1 = 1.2, b = 0.75.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.stores.filters import Value
from lookalike.stores.interface import Ids
from lookalike.stores.local.database import chunks, marks
from lookalike.stores.local.metadata_merge import fields, merged
from lookalike.stores.local.path_encoding import decode_path, plain_text

Scores: TypeAlias = NDArray[np.float32]

WEIGHTS = (4.0, 4.0, 2.0, 1.0)
"""Of caption, keywords, other texts and the path."""

MAX_WORDS = 64
"""Of a question; the rest is left out."""

_WORD = re.compile(r"\w+")


def update_captions(connection: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Bring the words of these images up to date."""
    for chunk in chunks(ids):
        connection.execute(f"DELETE FROM words WHERE rowid IN ({marks(len(chunk))})", chunk)  # noqa: S608
        rows = connection.execute(
            f"""SELECT images.id, path, facts.json, sidecars.json, metadata.json FROM images
                LEFT JOIN facts ON facts.image = images.id
                LEFT JOIN sidecars ON sidecars.image = images.id
                LEFT JOIN metadata ON metadata.image = images.id
                WHERE outcome = 'indexed' AND images.id IN ({marks(len(chunk))})
                  AND coalesce(facts.json, sidecars.json, metadata.json) IS NOT NULL""",  # noqa: S608
            chunk,
        ).fetchall()
        connection.executemany(
            "INSERT INTO words (rowid, caption, keywords, fields, path) VALUES (?, ?, ?, ?, ?)",
            ((row[0], *texts) for row in rows if (texts := _texts(*row[1:]))),
        )


def forget_captions_of_gone(connection: sqlite3.Connection) -> None:
    """Delete the words of the images in temp.gone."""
    connection.execute("DELETE FROM words WHERE rowid IN (SELECT id FROM temp.gone)")


def has_text(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM words LIMIT 1").fetchone() is not None


def search_text(
    connection: sqlite3.Connection, words: str, k: int, among: Ids | None
) -> tuple[Ids, Scores]:
    """See `View.captions`."""
    if k < 1:
        raise UsageError(f"k is {k}; ask for at least 1 hit")
    pattern = _pattern(words)
    rows: list[tuple[int, float]] = []
    if pattern:
        # A filter is applied to all that match: SQLite cannot join it without reading them anyway.
        limit = "" if among is not None else "ORDER BY score, rowid LIMIT ?"
        rows = connection.execute(
            f"SELECT rowid, bm25(words, ?, ?, ?, ?) AS score FROM words WHERE words MATCH ? {limit}",  # noqa: S608
            [*WEIGHTS, pattern, *([] if among is not None else [k])],
        ).fetchall()
    ids = np.array([id for id, _ in rows], np.int64)
    scores = -np.array([score for _, score in rows], np.float64)
    if among is not None:
        kept = np.isin(ids, np.asarray(among, np.int64))
        ids, scores = ids[kept], scores[kept]
        order = np.lexsort((ids, -scores))[:k]
        ids, scores = ids[order], scores[order]
    return ids, scores.astype(np.float32)


def _pattern(words: str) -> str:
    """What to match: any of the words, in singular and plural. Every one is quoted and made of
    letters, digits and underscores alone, so nothing of it is syntax."""
    tokens = dict.fromkeys(token.lower() for token in _WORD.findall(plain_text(words)))
    forms = [form for token in list(tokens)[:MAX_WORDS] for form in _forms(token)]
    return " OR ".join(f'"{form}"' for form in dict.fromkeys(forms))


def _forms(word: str) -> list[str]:
    """A word with and without a plural s, so that "shoes" finds a shoe."""
    if len(word) < 3 or not word.isalpha():
        return [word]
    return [word, word[:-1]] if word.endswith("s") else [word, f"{word}s"]


def _texts(
    path: str | bytes, facts: str | None, sidecar: str | None, metadata: str | None
) -> tuple[str, str, str, str] | None:
    """Caption, keywords, other texts and path of an image; None if nobody said anything."""
    given = fields(facts, merged(sidecar, metadata))
    caption = _joined(given.get("caption", ()))
    keywords = _joined(given.get("keywords", ()))
    others = _joined(
        value
        for name, values in given.items()
        for value in values
        if name not in _NOT_WORDS and value != caption
    )
    if not (caption or keywords or others):
        return None
    return caption, keywords, others, plain_text(decode_path(path))


def _joined(values: Iterable[Value]) -> str:
    return plain_text(" ".join([v for v in values if isinstance(v, str)])).strip()


_NOT_WORDS = frozenset({"caption", "keywords", "taken", "camera", "lens"})
"""Elsewhere, or what a camera says: "Canon" is a question for a filter."""
