"""Decisions of people, stored by content: they outlive rows, paths and ids."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from lookalike.stores.records import Decision, DecisionKind, opposite


def read_decisions(
    connection: sqlite3.Connection,
    kinds: Iterable[DecisionKind] | None = None,
    *,
    about: bytes | None = None,
) -> list[Decision]:
    """See `Snapshot.decisions`."""
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


def decision_changes(connection: sqlite3.Connection) -> int:
    """Return a counter of changes to the decisions: equal numbers mean equal decisions."""
    row = connection.execute("SELECT value FROM settings WHERE key = 'decided'").fetchone()
    return int(row[0]) if row else 0


def add_decisions(connection: sqlite3.Connection, decisions: Iterable[Decision]) -> int:
    """See `Writer.add_decisions`; inside the caller's transaction."""
    changed = 0
    for decision in decisions:
        contents = (decision.first, decision.second or b"")
        connection.execute(
            "DELETE FROM decisions WHERE kind = ? AND first = ? AND second = ?",
            (opposite(decision.kind), *contents),
        )
        changed += connection.execute(
            "INSERT INTO decisions (kind, first, second, who, at) VALUES (?1, ?2, ?3, ?4, ?5) "
            "ON CONFLICT (kind, first, second) DO UPDATE SET who = ?4, at = ?5 "
            "WHERE (who, at) <> (?4, ?5)",
            (decision.kind, *contents, decision.who, decision.when),
        ).rowcount
    if changed:
        _count_change(connection)
    return changed


def remove_decisions(connection: sqlite3.Connection, decisions: Iterable[Decision]) -> int:
    """See `Writer.remove_decisions`; inside the caller's transaction."""
    removed = sum(
        connection.execute(
            "DELETE FROM decisions WHERE kind = ? AND first = ? AND second = ?",
            (decision.kind, decision.first, decision.second or b""),
        ).rowcount
        for decision in decisions
    )
    if removed:
        _count_change(connection)
    return removed


def _count_change(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO settings VALUES ('decided', 1) "
        "ON CONFLICT (key) DO UPDATE SET value = value + 1"
    )
