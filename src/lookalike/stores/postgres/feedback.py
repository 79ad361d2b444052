"""Write decisions of people and comparisons of duplicates, inside the caller's transaction.

Both are stored by content: they outlive rows, paths and ids, and decisions outlive the images.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from lookalike.stores.postgres.database import Connection
from lookalike.stores.postgres.encoding import encode
from lookalike.stores.records import Decision, opposite


def add_decisions(connection: Connection, decisions: Iterable[Decision]) -> int:
    """See `Writer.add_decisions`."""
    changed = 0
    for decision in decisions:
        contents = (decision.first, decision.second or b"")
        connection.execute(
            "DELETE FROM decisions WHERE kind = %s AND first = %s AND second = %s",
            (opposite(decision.kind), *contents),
        )
        changed += connection.execute(
            "INSERT INTO decisions (kind, first, second, who, at) VALUES (%s, %s, %s, %s, %s) "
            "ON CONFLICT (kind, first, second) DO UPDATE SET who = excluded.who, at = excluded.at "
            "WHERE (decisions.who, decisions.at) <> (excluded.who, excluded.at)",
            (decision.kind, *contents, encode(decision.who), encode(decision.when)),
        ).rowcount
    return changed


def remove_decisions(connection: Connection, decisions: Iterable[Decision]) -> int:
    """See `Writer.remove_decisions`."""
    return sum(
        connection.execute(
            "DELETE FROM decisions WHERE kind = %s AND first = %s AND second = %s",
            (decision.kind, decision.first, decision.second or b""),
        ).rowcount
        for decision in decisions
    )


def put_comparisons(
    connection: Connection, found: Mapping[tuple[bytes, bytes], str], revision: str
) -> None:
    """See `Writer.put_comparisons`."""
    connection.cursor().executemany(
        "INSERT INTO comparisons (first, second, revision, result) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (first, second) DO UPDATE SET revision = excluded.revision, result = excluded.result",
        [(*pair, encode(revision), encode(result)) for pair, result in found.items()],
    )


def forget_contents(connection: Connection, hashes: Collection[bytes]) -> None:
    """Delete comparisons and thumbnails of these contents, unless an image still has them."""
    if hashes:
        connection.execute(
            "WITH gone AS (SELECT hash FROM unnest(%s::bytea[]) AS gone (hash) "
            "  WHERE NOT EXISTS (SELECT FROM images WHERE images.hash = gone.hash)), "
            "small AS (DELETE FROM thumbnails WHERE hash IN (SELECT hash FROM gone)) "
            "DELETE FROM comparisons WHERE first IN (SELECT hash FROM gone) "
            "OR second IN (SELECT hash FROM gone)",
            (list(hashes),),
        )
