"""Workers that start before anything else: they import their libraries while this process imports its
own, which halves the wait for the first picture."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from lookalike.cpu import logical_cores
from lookalike.workers.worker_process import end_prestarted, prestart

_MODULES = (
    "lookalike.extractors.extraction",
    "lookalike.images.decode",
    "lookalike.images.resize",
    "lookalike.images.reading",
    "simplejpeg",
    "cv2",
)
"""What every worker needs for nearly every picture."""


def start_workers(ctx: click.Context, count: int | None) -> None:
    """Start so many workers (None: one for each core) that pools will find when they need them. Those
    that none has needed are ended with the command."""
    cores = logical_cores()
    if cores > 1:  # on a single core nothing can be done meanwhile
        ctx.call_on_close(end_prestarted)
        prestart(count or cores, _MODULES)


def names_a_file(words: Iterable[str]) -> bool:
    """Whether one of the words of a question seems to be a picture file that must be read. A guess: a
    worker that nobody needs costs a little, one that starts late costs the user a quarter of a second.
    """
    for word in words:
        path = word.rpartition(":")[2].lstrip("+-")
        try:
            if word == "-" or Path(word).is_file() or (path and Path(path).is_file()):
                return True
        except (OSError, ValueError):  # too long for a name, or with a zero byte
            continue
    return False
