"""Full-text search in captions, keywords and other texts, by SQLite's FTS5.

An indexed image is in the table `words` if something is said about it: a caption, keywords, or any other text
in its metadata. Then the words of its path count too, with the lowest weight.

Ranking: BM25 with k1 = 1.2, b = 0.75; Robertson & Zaragoza, The Probabilistic Relevance Framework, 2009.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.stores.filters import Value
from lookalike.stores.local.database import chunks, placeholders
from lookalike.stores.local.path_encoding import decode_path
from lookalike.stores.metadata import field_values, merge, plain_text
from lookalike.stores.records import Ids

WEIGHTS = (4.0, 4.0, 2.0, 1.0)
"""Weights of caption, keywords, other texts, and the path."""

MAX_WORDS = 64
"""Words of a query; further ones are ignored."""

_WORD = re.compile(r"\w+")

_NOT_OTHER_TEXT = frozenset({"caption", "keywords", "taken", "camera", "lens"})
"""Fields that are not "other texts": in columns of their own, or written by cameras and meant for filters."""


def update_text(connection: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Index the texts of these images again."""
    for chunk in chunks(ids):
        connection.execute(f"DELETE FROM words WHERE rowid IN ({placeholders(chunk)})", chunk)  # noqa: S608
        rows = connection.execute(
            f"""SELECT images.id, path, facts.json, sidecars.json, metadata.json FROM images
                LEFT JOIN facts ON facts.image = images.id
                LEFT JOIN sidecars ON sidecars.image = images.id
                LEFT JOIN metadata ON metadata.image = images.id
                WHERE outcome = 'indexed' AND images.id IN ({placeholders(chunk)})
                  AND coalesce(facts.json, sidecars.json, metadata.json) IS NOT NULL""",  # noqa: S608
            chunk,
        ).fetchall()
        connection.executemany(
            "INSERT INTO words (rowid, caption, keywords, fields, path) VALUES (?, ?, ?, ?, ?)",
            ((row[0], *texts) for row in rows if (texts := _texts(*row[1:]))),
        )


def delete_text_of_deleted(connection: sqlite3.Connection) -> None:
    """Delete the texts of the images in temp.deleted."""
    connection.execute("DELETE FROM words WHERE rowid IN (SELECT id FROM temp.deleted)")


def has_text(connection: sqlite3.Connection) -> bool:
    """See `Snapshot.has_text`."""
    return connection.execute("SELECT 1 FROM words LIMIT 1").fetchone() is not None


def search_text(
    connection: sqlite3.Connection, text: str, k: int, among: Ids | None
) -> tuple[Ids, NDArray[np.float32]]:
    """See `Snapshot.search_text`."""
    if k < 1:
        raise UsageError(f"k is {k}; ask for at least 1 hit")
    pattern = match_pattern(text)
    rows: list[tuple[int, float]] = []
    if pattern:
        # `among` is applied to all matches: SQLite cannot join it without reading them anyway.
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


def match_pattern(text: str) -> str:
    """Return the FTS5 pattern that matches any word of a text, in singular and plural; "" without words.

    Each word is quoted and consists of letters, digits and underscores, so no text is ever FTS5 syntax.
    """
    words = dict.fromkeys(word.lower() for word in _WORD.findall(plain_text(text)))
    forms = [form for word in list(words)[:MAX_WORDS] for form in _singular_and_plural(word)]
    return " OR ".join(f'"{form}"' for form in dict.fromkeys(forms))


def _singular_and_plural(word: str) -> list[str]:
    """Return a word with and without a plural s, so that "shoes" finds "shoe"."""
    if len(word) < 3 or not word.isalpha():
        return [word]
    return [word, word[:-1]] if word.endswith("s") else [word, f"{word}s"]


def _texts(
    path: str | bytes, facts: str | None, sidecar: str | None, metadata: str | None
) -> tuple[str, str, str, str] | None:
    """Return caption, keywords, other texts and path of an image; None if only the path has words."""
    values = field_values(facts, merge(sidecar, metadata))
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
    return caption, keywords, others, plain_text(decode_path(path))


def _join(values: Iterable[Value]) -> str:
    return plain_text(" ".join([v for v in values if isinstance(v, str)])).strip()
