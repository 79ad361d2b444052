"""Progress on stderr, drawn with Rich, and only on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from lookalike.cli import format, output

if TYPE_CHECKING:
    import rich.progress

    from lookalike.indexing.report import Progress
    from lookalike.models import FetchProgress

# Seconds that a rate is taken over. Unchanged files pass by the thousand and new ones slowly, so a rate
# since the start would announce the end far too soon.
_RATE_SECONDS = 15.0

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
        stream = stream or sys.stderr
        self.visible = output.is_terminal(stream)
        if self.visible:
            self._bars = _bars(stream, unit, clock)
            self._task = self._bars.add_task(description, total=None, failed=0)

    def __enter__(self) -> ProgressBar:
        if self.visible:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.visible:
            self._bars.stop()

    def __call__(self, progress: Progress) -> None:
        """Show the state of an indexing run."""
        self._update(progress.done, progress.total, failed=progress.failed)

    def count(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` are finished."""
        self._update(done, total)

    def stage(self, name: str, done: int, total: int) -> None:
        """Show the state of one stage of a longer job; each stage starts a bar of its own."""
        if not self.visible:
            return
        description = _STAGES[name]
        if self._bars.tasks[0].description != description:
            self._bars.reset(self._task, total=None, description=description)
        if total > 1:
            self._update(done, total)

    def _update(self, done: int, total: int | None, **fields: Any) -> None:
        if self.visible:
            self._bars.update(self._task, completed=done, total=total, **fields)


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


def _bars(stream: TextIO, unit: str, clock: Callable[[], float]) -> rich.progress.Progress:
    # Rich takes 60 ms to import, so it is imported only where something is drawn.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
    from rich.text import Text

    class Computed(ProgressColumn):
        """A column whose text is computed from the task; it takes no room while empty."""

        def __init__(self, text: Callable[[rich.progress.Task], str]) -> None:
            super().__init__()
            self._text = text

        def render(self, task: rich.progress.Task) -> Text:
            return Text(self._text(task), no_wrap=True)

    in_bytes = unit == "bytes"

    def counts(task: rich.progress.Task) -> str:
        if task.total is None:
            if not task.completed:
                return ""
            if in_bytes:
                return format.size(task.completed)
            return format.counted(int(task.completed), unit.removesuffix("s"))
        percent = f"{100 * task.completed / task.total if task.total else 100:.0f}%"
        if in_bytes:
            return f"{percent}  {format.size(task.completed)} of {format.size(task.total)}"
        return f"{percent}  {task.completed:,.0f}/{task.total:,.0f}"

    def rate(task: rich.progress.Task) -> str:
        if not task.speed:
            return ""
        return f"{format.size(task.speed) if in_bytes else f'{format.rate(task.speed)} {unit}'}/s"

    def left(task: rich.progress.Task) -> str:
        if task.time_remaining and not task.finished:
            return f"{format.duration(task.time_remaining)} left"
        return ""

    def failed(task: rich.progress.Task) -> str:
        return f"{task.fields['failed']:,} failed" if task.fields["failed"] else ""

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        *(Computed(text) for text in (counts, rate, left, failed)),
        console=Console(file=stream, markup=False, highlight=False, emoji=False),
        transient=True,
        get_time=clock,
        speed_estimate_period=_RATE_SECONDS,
    )
