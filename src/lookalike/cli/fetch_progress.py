"""The line that shows how far a download is."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

from lookalike.cli import format, output

if TYPE_CHECKING:
    from lookalike.models import Fetching

_REDRAW = 0.1  # seconds


class FetchLine:
    """Draws `Fetching` on stderr: one line redrawn in place on a terminal; elsewhere one line when a
    download begins, because a log should say what took so long."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._alive = output.is_terminal(self._stream)
        self._began: tuple[float, int] | None = None
        self._drawn = 0.0

    def __enter__(self) -> FetchLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._alive and self._began is not None:
            self._write("")

    def __call__(self, fetching: Fetching) -> None:
        now = time.monotonic()
        if self._began is None:
            self._began = (now, fetching.done)
            if not self._alive:
                total = f" ({format.size(fetching.total)})" if fetching.total else ""
                output.note(f"Downloading {fetching.source}{total}")
        if self._alive and (now - self._drawn > _REDRAW or fetching.done == fetching.total):
            self._drawn = now
            began, before = self._began
            self._write(line(fetching, fetching.done - before, now - began))

    def _write(self, text: str) -> None:
        self._stream.write(f"\r{text}\x1b[K")
        self._stream.flush()


def line(fetching: Fetching, came: int, seconds: float) -> str:
    """The state in words. `came`: bytes within these seconds; what an earlier run left is not speed."""
    pieces = [f"Downloading {fetching.source}"]
    if fetching.total:
        pieces.append(f"{100 * fetching.done // fetching.total}%")
        pieces.append(f"{format.size(fetching.done)} of {format.size(fetching.total)}")
    else:
        pieces.append(format.size(fetching.done))
    if came and seconds > 1:
        pieces.append(f"{format.size(came / seconds)}/s")
        if fetching.total:
            left = (fetching.total - fetching.done) * seconds / came
            pieces.append(f"{format.duration(left)} left")
    return "  ".join(pieces)
