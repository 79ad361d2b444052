"""Full-text search in captions, keywords and other texts.

Tokens are those of `stores.text_analysis`, as in every store. The index of PostgreSQL finds the images that
have all tokens of a phrase; the phrases themselves are looked for, and counted, here.

Ranking: BM25 with k1 = 1.2, b = 0.75, in the variant of SQLite's FTS5; Robertson & Zaragoza, The
Probabilistic Relevance Framework, 2009.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from math import log

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.stores.metadata import WEIGHTS, merge, searchable_texts
from lookalike.stores.postgres.database import Connection, statement
from lookalike.stores.postgres.encoding import IdArray, decode
from lookalike.stores.records import Ids
from lookalike.stores.text_analysis import PREFIX, Phrase, TextMatch, matching_phrases, occurrences

MAX_TOKEN = 200
"""Characters of a token that are indexed; PostgreSQL takes 2,046 bytes."""

MAX_TOKENS = 4_000
"""Distinct tokens of an image that are indexed; PostgreSQL takes 1 MB. Few books have as many words."""

MAX_RANKED = 50_000
"""Matches that are ranked one by one. Of more, those with more of the query's words come first."""

K1, B = 1.2, 0.75

_CLASSES = "ABCD"
"""Weight classes of PostgreSQL for the four kinds of texts."""


def update_text(connection: Connection, ids: Iterable[int]) -> None:
    """Index the texts of these images again."""
    wanted = IdArray(ids)
    connection.execute("DELETE FROM texts WHERE image = ANY(%s)", (wanted,))
    rows = connection.execute(
        "SELECT id, path, facts, sidecar, metadata FROM images WHERE outcome = 'indexed' AND id = ANY(%s) "
        "AND (facts IS NOT NULL OR sidecar IS NOT NULL OR metadata IS NOT NULL)",
        (wanted,),
    ).fetchall()
    words: set[str] = set()
    stored = []
    for id, path, facts, *given in rows:
        texts = searchable_texts(decode(path), facts, merge(*given))
        if texts is not None:
            kinds = [own.split() for own in texts]
            words |= {token[:MAX_TOKEN] for own in kinds for token in own}
            stored.append((id, _document(kinds), sum(map(len, kinds)), *texts))
    if not stored:
        return
    with connection.cursor().copy(
        "COPY texts (image, tokens, count, caption, keywords, others, path) FROM STDIN"
    ) as copy:
        for row in stored:
            copy.write_row(row)
    connection.execute(
        "INSERT INTO words SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING", (sorted(words),)
    )


def _document(kinds: Sequence[Sequence[str]]) -> str:
    """Return the tokens as a tsvector is written, each with the kinds of texts in which it occurs."""
    found: dict[str, str] = {}
    for letter, own in zip(_CLASSES, kinds, strict=True):
        for token in dict.fromkeys(own):
            held = found.get(token[:MAX_TOKEN], "")
            if letter not in held and (held or len(found) < MAX_TOKENS):
                found[token[:MAX_TOKEN]] = held + letter
    return " ".join(
        f"{_quoted(token)}:{','.join(f'{_CLASSES.index(c) + 1}{c}' for c in letters)}"
        for token, letters in found.items()
    )


def _quoted(token: str) -> str:
    return "'" + token.replace("\\", "\\\\").replace("'", "''") + "'"


def _pattern(phrases: Iterable[Phrase]) -> str:
    """Return the tsquery that finds what has all tokens of any phrase."""
    return " | ".join(
        "("
        + " & ".join(
            _quoted(token[:MAX_TOKEN])
            + (":*" if at == len(phrase) - 2 and phrase[-1] == PREFIX else "")
            for at, token in enumerate(phrase if phrase[-1] != PREFIX else phrase[:-1])
        )
        + ")"
        for phrase in phrases
    )


def has_text(connection: Connection) -> bool:
    """See `Snapshot.has_text`."""
    return connection.execute("SELECT 1 FROM texts LIMIT 1").fetchone() is not None


def search_text(
    connection: Connection, text: str, k: int, among: Ids | None, match: TextMatch
) -> tuple[Ids, NDArray[np.float32]]:
    """See `Snapshot.search_text`."""
    if k < 1:
        raise UsageError(f"k is {k}; ask for at least 1 hit")
    found = matching_phrases(text, match, partial(_known_words, connection))
    phrases = [phrase for phrase in found if phrase]
    ids, scores = np.empty(0, np.int64), np.empty(0, np.float64)
    if phrases:
        rows = connection.execute(
            "SELECT image, count, caption, keywords, others, path FROM texts WHERE tokens @@ %s::tsquery "
            "ORDER BY ts_rank('{0.25, 0.5, 1, 1}', tokens, %s::tsquery) DESC, image LIMIT %s",
            (pattern := _pattern(phrases), pattern, MAX_RANKED),
            prepare=False,
        ).fetchall()
        ids, scores = _ranked(connection, rows, phrases)
    if among is not None:
        kept = np.isin(ids, np.asarray(among, np.int64))
        ids, scores = ids[kept], scores[kept]
    order = np.lexsort((ids, -scores.astype(np.float32)))[:k]
    return ids[order], scores[order].astype(np.float32)


def _ranked(
    connection: Connection,
    rows: Sequence[tuple[int, int, str, str, str, str]],
    phrases: Sequence[Phrase],
) -> tuple[Ids, NDArray[np.float64]]:
    """Return ids and scores of the rows that have a phrase."""
    total = connection.execute(
        "SELECT count(*), coalesce(avg(count), 0)::float8 FROM texts"
    ).fetchone()
    documents, average = total or (0, 0.0)
    ids = np.array([row[0] for row in rows], np.int64)
    lengths = np.array([row[1] for row in rows], np.float64)
    scores = np.zeros(len(rows), np.float64)
    texts = [[own.split() for own in row[2:]] for row in rows]
    matched = np.zeros(len(rows), np.bool_)
    for phrase in phrases:
        counts = np.array(
            [[occurrences(phrase, own) for own in kinds] for kinds in texts], np.float64
        ).reshape(len(rows), len(WEIGHTS))
        hits = counts.any(axis=1)
        matched |= hits
        number = int(hits.sum())
        rarity = max(log((documents - number + 0.5) / (number + 0.5)), 1e-6) if number else 0.0
        frequency = counts @ np.array(WEIGHTS)
        length = K1 * (1 - B + B * lengths / max(average, 1e-9))
        scores += rarity * frequency * (K1 + 1) / (frequency + length + (frequency == 0))
    return ids[matched], scores[matched]


def _known_words(
    connection: Connection, *, parts: Sequence[str] = (), lengths: Sequence[int] = ()
) -> Iterator[str]:
    """See `KnownWords`."""
    condition = "word LIKE ANY(%s)" if parts else "char_length(word) = ANY(%s)"
    patterns = [f"%{part}%" for part in parts]  # tokens have no wildcards but "_"
    for (word,) in connection.execute(
        statement(f"SELECT word FROM words WHERE {condition} ORDER BY word"),
        ([*patterns, *lengths],),
    ):
        yield word
