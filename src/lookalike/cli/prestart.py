"""Starts workers before anything else, so that they import their libraries while this process imports its
own. That halves the wait for the first image."""

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
"""Modules that workers need for nearly every image."""


def start_workers(ctx: click.Context, count: int | None) -> None:
    """Start `count` workers (None: one for each core) for pools to use later.

    Unused ones are ended with the command.
    """
    cores = logical_cores()
    if cores > 1:  # on a single core nothing runs in parallel
        ctx.call_on_close(end_prestarted)
        prestart(count or cores, _MODULES)


def names_a_file(words: Iterable[str]) -> bool:
    """Return whether one of the terms of a query seems to name an image file.

    A guess: an unused worker costs little, one that starts late costs a quarter of a second.
    """
    for word in words:
        path = word.rpartition(":")[2].lstrip("+-")
        try:
            if word == "-" or Path(word).is_file() or (path and Path(path).is_file()):
                return True
        except (OSError, ValueError):  # too long for a name, or with a zero byte
            continue
    return False
