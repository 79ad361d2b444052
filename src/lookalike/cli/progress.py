"""The one line that shows how far indexing is, redrawn in place, and only on a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, TextIO

from lookalike.cli import format, output

if TYPE_CHECKING:
    from lookalike.indexing.report import Progress

_REDRAW = 0.1  # seconds; a faster line cannot be read, and costs time over slow connections
_WINDOW = (
    15.0  # seconds that the rate is taken over: unchanged files pass by the thousand, then new
)
# pictures come slowly; a rate since the start would promise the end far too soon
_BAR = 20


class ProgressLine:
    """Draws `Progress` on stderr; nothing at all where stderr is no terminal.

    Every state is one write that begins at the line's start and clears only what is left of the
    older, longer text, so that nothing flickers.
    """

    def __init__(self, verb: str, stream: TextIO | None = None, *, unit: str = "images") -> None:
        self._verb = verb
        self._unit = unit
        self._stream = stream or sys.stderr
        self._alive = output.is_terminal(self._stream)
        self._drawn = 0.0
        self._started = time.monotonic()
        self._marks: deque[tuple[float, int]] = deque()

    @property
    def alive(self) -> bool:
        """Whether anything is drawn: if not, nobody need count the files ahead."""
        return self._alive

    def __enter__(self) -> ProgressLine:
        self._write(f"{self._verb} …")
        return self

    def __exit__(self, *_: object) -> None:
        self._write("")

    def __call__(self, progress: Progress) -> None:
        """Show this state, unless the last one has just been drawn."""
        if not self._alive:
            return
        self._mark(progress)
        now = time.monotonic()
        if now - self._drawn < _REDRAW and progress.done != progress.total:
            return
        self._drawn = now
        since, before = self._marks[0]
        text = line(
            self._verb,
            progress,
            recent=(progress.done - before, progress.seconds - since),
            width=_columns(self._stream) - 1,  # the last column makes some terminals wrap
            unit=self._unit,
        )
        self._write(text)

    def count(self, done: int, total: int) -> None:
        """Show a state of work that has no more to tell than this."""
        from lookalike.indexing.report import Progress

        seconds = time.monotonic() - self._started
        self(Progress(done, total, indexed=done, failed=0, path="", seconds=seconds))

    def _mark(self, progress: Progress) -> None:
        marks = self._marks
        marks.append((progress.seconds, progress.done))
        while len(marks) > 2 and marks[1][0] < progress.seconds - _WINDOW:
            marks.popleft()

    def _write(self, text: str) -> None:
        if self._alive:
            self._stream.write(f"\r{text}\x1b[K")
            self._stream.flush()


def line(
    verb: str,
    progress: Progress,
    *,
    recent: tuple[int, float],
    width: int,
    unit: str = "images",
) -> str:
    """The state in at most `width` columns; what matters least goes first when it is narrow.

    recent  files settled within the last seconds, and those seconds: the rate
    unit    what is counted, where the number of all is known
    """
    files, seconds = recent
    done, total = progress.done, progress.total
    speed = f"{format.rate(files / seconds)} {unit}/s" if files and seconds > 0 else ""
    failed = f"{format.number(progress.failed)} failed" if progress.failed else ""
    if total is None:
        pieces = [verb, format.counted(done, "file"), speed, failed]
        return output.shorten("  ".join(p for p in pieces if p), width)
    counts = f"{format.number(done)}/{format.number(total)}"
    percent = f"{100 * done // total if total else 100}%"
    left = ""
    if speed and done < total:
        left = f"{format.duration((total - done) * seconds / files)} left"
    bar = _bar(done, total)
    for pieces in (
        [verb, bar, percent, counts, speed, left, failed],
        [verb, percent, counts, speed, left, failed],
        [percent, counts, left, failed],
        [counts],
    ):
        text = "  ".join(p for p in pieces if p)
        if output.width_of(text) <= width:
            return text
    return text[: max(0, width)]


def _bar(done: int, total: int) -> str:
    full = _BAR * done // total if total else _BAR
    return "━" * full + "─" * (_BAR - full)


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
