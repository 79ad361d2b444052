"""Full-text search in captions, keywords and other texts, by SQLite's FTS5.

The table holds tokens divided by blanks (`stores.text_analysis`), so that what a word is depends on no
version of SQLite.

An indexed image is in the table `words` if something is said about it: a caption, keywords, or any other text
in its metadata. Then the words of its path count, too (`stores.metadata`).

Ranking: BM25 with k1 = 1.2, b = 0.75; Robertson & Zaragoza, The Probabilistic Relevance Framework, 2009.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.stores.local.database import chunks, placeholders
from lookalike.stores.local.path_encoding import decode_path
from lookalike.stores.metadata import WEIGHTS, merge, searchable_texts
from lookalike.stores.records import Ids
from lookalike.stores.text_analysis import PREFIX, Phrase, TextMatch, matching_phrases


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
            (
                (id, *texts)
                for id, path, facts, *given in rows
                if (texts := searchable_texts(decode_path(path), facts, merge(*given)))
            ),
        )


def delete_text_of_deleted(connection: sqlite3.Connection) -> None:
    """Delete the texts of the images in temp.deleted."""
    connection.execute("DELETE FROM words WHERE rowid IN (SELECT id FROM temp.deleted)")


def has_text(connection: sqlite3.Connection) -> bool:
    """See `Snapshot.has_text`."""
    return connection.execute("SELECT 1 FROM words LIMIT 1").fetchone() is not None


def search_text(
    connection: sqlite3.Connection, text: str, k: int, among: Ids | None, match: TextMatch
) -> tuple[Ids, NDArray[np.float32]]:
    """See `Snapshot.search_text`."""
    if k < 1:
        raise UsageError(f"k is {k}; ask for at least 1 hit")
    phrases = matching_phrases(text, match, partial(_known_words, connection))
    rows: list[tuple[int, float]] = []
    if phrases:
        # `among` is applied to all matches: SQLite cannot join it without reading them anyway.
        limit = "" if among is not None else "ORDER BY score, rowid LIMIT ?"
        rows = connection.execute(
            f"SELECT rowid, bm25(words, ?, ?, ?, ?) AS score FROM words WHERE words MATCH ? {limit}",  # noqa: S608
            [*WEIGHTS, match_pattern(phrases), *([] if among is not None else [k])],
        ).fetchall()
    ids = np.array([id for id, _ in rows], np.int64)
    scores = -np.array([score for _, score in rows], np.float64)
    if among is not None:
        kept = np.isin(ids, np.asarray(among, np.int64))
        ids, scores = ids[kept], scores[kept]
        order = np.lexsort((ids, -scores))[:k]
        ids, scores = ids[order], scores[order]
    return ids, scores.astype(np.float32)


def _known_words(
    connection: sqlite3.Connection, *, parts: Sequence[str] = (), lengths: Sequence[int] = ()
) -> Iterator[str]:
    """See `KnownWords`."""
    # A table of this connection alone, which reads the words of the index; it holds nothing.
    (read_only,) = connection.execute("PRAGMA query_only").fetchone()
    connection.execute("PRAGMA query_only = OFF")
    try:
        connection.execute(
            "CREATE VIRTUAL TABLE IF NOT EXISTS temp.known_words USING fts5vocab (main, words, row)"
        )
    finally:
        connection.execute(f"PRAGMA query_only = {read_only}")
    inside = " OR ".join(["instr(term, ?)"] * len(parts))
    condition = inside or f"length(term) IN ({placeholders(lengths)})"
    for (term,) in connection.execute(
        f"SELECT term FROM temp.known_words WHERE {condition}",  # noqa: S608
        [*parts, *lengths],
    ):
        yield term


def match_pattern(phrases: Iterable[Phrase]) -> str:
    """Return the FTS5 pattern that matches any of these phrases. No token is FTS5 syntax."""
    return " OR ".join(
        f'"{" ".join(phrase[:-1])}" *' if phrase[-1] == PREFIX else f'"{" ".join(phrase)}"'
        for phrase in phrases
    )
