"""What people decided, by the content it was decided on: it outlives rows, paths and ids."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from lookalike.stores.interface import Decision, DecisionKind, opposite


def read(
    connection: sqlite3.Connection, kinds: Iterable[DecisionKind] | None, about: bytes | None
) -> list[Decision]:
    """See `View.decisions`."""
    rows = connection.execute(
        "SELECT kind, first, second, who, at FROM decisions "
        "WHERE ?1 IS NULL OR first = ?1 OR second = ?1 "
        "ORDER BY kind, first, second",
        (about,),
    )
    wanted = None if kinds is None else set(kinds)
    return [
        Decision(kind, first, second or None, who, at)
        for kind, first, second, who, at in rows
        if wanted is None or kind in wanted
    ]


def times(connection: sqlite3.Connection) -> int:
    """How often decisions have changed: equal numbers, equal decisions."""
    row = connection.execute("SELECT value FROM settings WHERE key = 'decided'").fetchone()
    return int(row[0]) if row else 0


def write(connection: sqlite3.Connection, decisions: Iterable[Decision]) -> int:
    """See `Writer.decide`; inside the caller's transaction."""
    changed = 0
    for decision in decisions:
        named = (decision.first, decision.second or b"")
        connection.execute(
            "DELETE FROM decisions WHERE kind = ? AND first = ? AND second = ?",
            (opposite(decision.kind), *named),
        )
        changed += connection.execute(
            "INSERT INTO decisions (kind, first, second, who, at) VALUES (?1, ?2, ?3, ?4, ?5) "
            "ON CONFLICT (kind, first, second) DO UPDATE SET who = ?4, at = ?5 "
            "WHERE (who, at) <> (?4, ?5)",
            (decision.kind, *named, decision.who, decision.when),
        ).rowcount
    return _counted(connection, changed)


def forget(connection: sqlite3.Connection, decisions: Iterable[Decision]) -> int:
    """See `Writer.undecide`; inside the caller's transaction."""
    forgotten = sum(
        connection.execute(
            "DELETE FROM decisions WHERE kind = ? AND first = ? AND second = ?",
            (decision.kind, decision.first, decision.second or b""),
        ).rowcount
        for decision in decisions
    )
    return _counted(connection, forgotten)


def _counted(connection: sqlite3.Connection, changed: int) -> int:
    """Counts a change for `times`."""
    if changed:
        connection.execute(
            "INSERT INTO settings VALUES ('decided', 1) "
            "ON CONFLICT (key) DO UPDATE SET value = value + 1"
        )
    return changed
