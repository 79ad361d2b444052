"""What the writer makes of its tables for quick answers: packed columns, and words once at first."""

from __future__ import annotations

import sqlite3
import time

from lookalike.stores.local.columns import pack_stale
from lookalike.stores.local.database import transaction
from lookalike.stores.local.full_text import update_captions

SHARE = 20
"""Packing takes at most a 20th of a long run: readers unpack stale blocks by themselves, at some
15 ms each, so they must not become many; but a block that changes again is packed again."""

AT_LEAST_SECONDS = 10.0


class Derived:
    """Remembers when it packed last, and how long it took."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._due = time.monotonic() + AT_LEAST_SECONDS

    def pack(self) -> None:
        """Bring everything up to date."""
        self._words()
        pack_stale(self._connection)

    def pack_when_worth_it(self) -> None:
        """The same, now and then."""
        started = time.monotonic()
        if started >= self._due:
            self.pack()
            now = time.monotonic()
            self._due = now + max(AT_LEAST_SECONDS, SHARE * (now - started))

    def _words(self) -> None:
        """Words of images that were there before the table of words was (migration 2)."""
        stale = "SELECT 1 FROM settings WHERE key = 'words' AND value = 'stale'"
        if self._connection.execute(stale).fetchone() is None:
            return
        with transaction(self._connection):
            said = self._connection.execute(
                "SELECT image FROM metadata UNION SELECT image FROM facts"
            ).fetchall()
            update_captions(self._connection, (image for (image,) in said))
            self._connection.execute("DELETE FROM settings WHERE key = 'words'")
