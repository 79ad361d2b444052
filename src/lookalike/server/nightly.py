"""The indexes of a large library, checked once a day at an hour when few search: in a process of its own,
which has a low priority. Those that have become worse than was asked for are built anew meanwhile; whoever
searches goes on with the older one, and uses the new one from its first question on, without a restart.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from pathlib import Path

from lookalike.errors import LookalikeError
from lookalike.server.jobs.computations import Apart

log = logging.getLogger("lookalike.server")

Wait = Callable[[float], bool]
"""Waits for so many seconds; true, and at once, where it is to end."""

SLICE_SECONDS = 600.0
"""Waited for at a time: the hour may change meanwhile, and a machine that sleeps counts no seconds."""


@contextmanager
def checked_daily(library: Path, at: time | None) -> Iterator[None]:
    """Meanwhile the indexes of a library are checked every day at this local time; None: never."""
    if at is None:
        yield
        return
    ended, apart = threading.Event(), Apart(library)
    thread = threading.Thread(target=keep_checking, args=(apart, at, ended.wait), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        apart.close()
        thread.join(10.0)


def keep_checking(
    apart: Apart, at: time, wait: Wait, *, now: Callable[[], datetime] = datetime.now
) -> None:
    """Check every day at this time until `wait` says that it is to end."""
    while waited(following(now(), at), wait, now):
        try:
            for sentence in apart.run("check of indexes", {}):
                log.info("indexes: %s", sentence)
        except LookalikeError as error:  # tomorrow is another day
            log.warning("indexes could not be checked: %s", error)


def waited(due: datetime, wait: Wait, now: Callable[[], datetime]) -> bool:
    """True once it is `due`; False where it ended before."""
    while (left := (due.astimezone() - now().astimezone()).total_seconds()) > 0:
        if wait(min(left, SLICE_SECONDS)):
            return False
    return True


def following(now: datetime, at: time) -> datetime:
    """The next moment after `now` at which clocks show this time."""
    today = datetime.combine(now.date(), at)
    return today if today > now else today + timedelta(days=1)
