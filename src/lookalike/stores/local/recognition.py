"""What the catalogue knows of paths: enough to tell whether a file has changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from lookalike.errors import Outcome
from lookalike.stores.contract import Known
from lookalike.stores.local.catalogue import chunks, marks
from lookalike.stores.local.names import decode_path, encode_path


def known(connection: sqlite3.Connection, root: int, paths: Sequence[str]) -> dict[str, Known]:
    """Those of the paths that are known; two statements for every 900 of them."""
    keys: dict[int, str] = dict(connection.execute("SELECT id, key FROM spaces"))
    sets: dict[frozenset[int], frozenset[str]] = {}  # one object for all files of the same spaces
    found: dict[str, Known] = {}
    for chunk in chunks(paths):
        images = connection.execute(
            "SELECT id, path, size, mtime_ns, hash, outcome, reason FROM images "  # noqa: S608
            f"WHERE root = ? AND path IN ({marks(len(chunk))})",
            [root, *map(encode_path, chunk)],
        ).fetchall()
        held: dict[int, list[int]] = {row[0]: [] for row in images}
        for image, space in connection.execute(
            f"SELECT image, space FROM placements WHERE image IN ({marks(len(held))})",  # noqa: S608
            list(held),
        ):
            held[image].append(space)
        for id, path, size, mtime_ns, hash, outcome, reason in images:
            ids = frozenset(held[id])
            spaces = sets.setdefault(ids, frozenset(keys[space] for space in ids))
            found[decode_path(path)] = Known(
                id, size, mtime_ns, hash, Outcome(outcome), spaces, reason
            )
    return found
