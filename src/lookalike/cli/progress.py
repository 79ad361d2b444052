"""Progress on stderr, only on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TextIO

from lookalike.cli import format, output

if TYPE_CHECKING:
    from lookalike.indexing.report import Progress
    from lookalike.models import FetchProgress

# Seconds that a rate is taken over. Unchanged files pass by the thousand and new ones slowly, so a rate
# since the start would announce the end far too soon.
_RATE_SECONDS = 15.0
# Seconds between two drawings: no eye reads more of them.
_REDRAW_SECONDS = 0.1
_BAR_COLUMNS = 20

_STAGES = {
    "ask": "Exact search",
    "train": "Training",
    "add": "Adding vectors",
    "tune": "Tuning",
    "check": "Checking",
    "import": "Importing",
    "export": "Exporting",
}


class ProgressBar:
    """Draws one bar on a terminal and removes it at the end; does nothing elsewhere. Context manager.

    description  what is being done: "Indexing"
    unit         what is counted, in the plural; "bytes" are shown as sizes
    clock        seconds, rising; for tests
    """

    def __init__(
        self,
        description: str,
        stream: TextIO | None = None,
        *,
        unit: str = "images",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream or sys.stderr
        self._unit = unit
        self._clock = clock
        self.visible = output.is_terminal(self._stream)
        self._begin(description)

    def _begin(self, description: str) -> None:
        self._description = description
        self._counts: deque[tuple[float, int]] = deque()  # seconds, number done; oldest first

    def __enter__(self) -> ProgressBar:
        self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        if self.visible:
            output.redraw(self._stream, "")

    def __call__(self, progress: Progress) -> None:
        """Show the state of an indexing run."""
        self._update(progress.done, progress.total, failed=progress.failed)

    def count(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` are finished."""
        self._update(done, total)

    def stage(self, name: str, done: int, total: int) -> None:
        """Show the state of one stage of a longer job; each stage starts a bar of its own."""
        if self._description != _STAGES[name]:
            self._begin(_STAGES[name])
            self._draw()
        if total > 1:
            self._update(done, total)

    def _update(self, done: int, total: int | None, failed: int = 0) -> None:
        now, counts = self._clock(), self._counts
        if not self.visible or (counts and now - counts[-1][0] < _REDRAW_SECONDS and done != total):
            return
        counts.append((now, done))
        while len(counts) > 2 and counts[0][0] < now - _RATE_SECONDS:
            counts.popleft()
        seconds, before = counts[0]
        speed = (done - before) / (now - seconds) if now > seconds else 0.0
        left = (total - done) / speed if total and speed > 0 else 0.0
        self._draw(
            self._share(done, total),
            f"{self._amount(speed, format.rate)}/s" if speed > 0 else "",
            f"{format.duration(left)} left" if left else "",
            f"{failed:,} failed" if failed else "",
        )

    def _share(self, done: int, total: int | None) -> str:
        if total is None:
            return self._amount(done, "{:,.0f}".format) if done else ""
        share = min(1.0, done / total) if total else 1.0
        filled = "=" * int(_BAR_COLUMNS * share)
        of = f"{format.size(done)} of {format.size(total)}"
        return f"[{filled:<{_BAR_COLUMNS}}]  {share:.0%}  " + (
            of if self._unit == "bytes" else f"{done:,}/{total:,}"
        )

    def _amount(self, number: float, write: Callable[[float], str]) -> str:
        return format.size(number) if self._unit == "bytes" else f"{write(number)} {self._unit}"

    def _draw(self, *parts: str) -> None:
        if not self.visible:
            return
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except OSError:
            columns = 80
        columns = shutil.get_terminal_size((columns, 24)).columns  # COLUMNS comes first
        text = "  ".join(part for part in (self._description, *parts) if part)
        output.redraw(self._stream, output.shorten(text, columns - 1, end=True))


@contextmanager
def download_progress(stream: TextIO | None = None) -> Iterator[Callable[[FetchProgress], None]]:
    """Return a callback that shows the download of models; nothing is shown before its first call.

    Where there is no terminal, one line announces each source, so that a log explains the wait.
    """
    bars: dict[str, ProgressBar] = {}
    with ExitStack() as stack:

        def show(progress: FetchProgress) -> None:
            if progress.source not in bars:
                stack.close()
                bar = ProgressBar(f"Downloading {progress.source}", stream, unit="bytes")
                bars[progress.source] = stack.enter_context(bar)
                if not bar.visible:
                    total = f" ({format.size(progress.total)})" if progress.total else ""
                    output.note(f"Downloading {progress.source}{total}")
            bars[progress.source].count(progress.done, progress.total)

        yield show
