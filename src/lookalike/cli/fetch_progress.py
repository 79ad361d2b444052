"""Progress line of a model download."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

from lookalike.cli import format, output

if TYPE_CHECKING:
    from lookalike.models import FetchProgress


class FetchLine:
    """Shows `FetchProgress` on stderr.

    On a terminal one line is redrawn in place. Elsewhere one line is printed when a download begins,
    so that a log explains the wait. `interval` is the number of seconds between two updates.
    """

    def __init__(self, stream: TextIO | None = None, *, interval: float = 0.1) -> None:
        self._stream = stream or sys.stderr
        self._redraws = output.is_terminal(self._stream)
        self._start: tuple[float, int] | None = None
        self._interval = interval
        self._drawn = 0.0

    def __enter__(self) -> FetchLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._redraws and self._start is not None:
            self._write("")

    def __call__(self, progress: FetchProgress) -> None:
        now = time.monotonic()
        if self._start is None:
            self._start = (now, progress.done)
            if not self._redraws:
                total = f" ({format.size(progress.total)})" if progress.total else ""
                output.note(f"Downloading {progress.source}{total}")
        if self._redraws and (
            now - self._drawn > self._interval or progress.done == progress.total
        ):
            self._drawn = now
            start, done = self._start
            self._write(progress_text(progress, progress.done - done, now - start))

    def _write(self, text: str) -> None:
        self._stream.write(f"\r{text}\x1b[K")
        self._stream.flush()


def progress_text(progress: FetchProgress, received: int, seconds: float) -> str:
    """Return progress as text.

    `received` are the bytes of this run, within `seconds`; what an earlier run has downloaded does
    not count as speed.
    """
    parts = [f"Downloading {progress.source}"]
    if progress.total:
        parts.append(f"{100 * progress.done // progress.total}%")
        parts.append(f"{format.size(progress.done)} of {format.size(progress.total)}")
    else:
        parts.append(format.size(progress.done))
    if received and seconds > 1:
        parts.append(f"{format.size(received / seconds)}/s")
        if progress.total:
            left = (progress.total - progress.done) * seconds / received
            parts.append(f"{format.duration(left)} left")
    return "  ".join(parts)
