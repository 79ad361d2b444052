"""The progress line: what it says, what it leaves out, and where it says nothing."""

import io

import pytest

from lookalike.cli import progress
from lookalike.cli.output import width_of
from lookalike.cli.progress import ProgressLine
from lookalike.indexing.report import Progress


class Terminal(io.StringIO):
    """Catches what is written, and says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def state(done: int, total: int | None, *, failed: int = 0, seconds: float = 10.0) -> Progress:
    return Progress(
        done=done, total=total, indexed=done - failed, failed=failed, path="a.jpg", seconds=seconds
    )


def test_the_line_shows_share_rate_time_left_and_failures() -> None:
    text = progress.line("Indexing", state(1000, 4000, failed=3), recent=(500, 5.0), width=120)
    assert text == (
        "Indexing  ━━━━━───────────────  25%  1,000/4,000  100 images/s  30.0 s left  3 failed"
    )


def test_the_line_counts_what_it_is_told_to_count() -> None:
    text = progress.line("Comparing", state(10, 40), recent=(10, 5.0), width=120, unit="pairs")
    assert "  10/40  2.0 pairs/s  " in text


def test_the_line_counts_files_while_the_number_of_all_is_unknown() -> None:
    text = progress.line("Indexing", state(1000, None), recent=(500, 5.0), width=120)
    assert text == "Indexing  1,000 files  100 images/s"


def test_nothing_is_promised_before_anything_is_done() -> None:
    text = progress.line("Indexing", state(0, 4000), recent=(0, 0.0), width=120)
    assert text == "Indexing  ────────────────────  0%  0/4,000"


@pytest.mark.parametrize("width", [1, 5, 10, 20, 40, 60, 79, 120])
def test_the_line_fits_any_width(width: int) -> None:
    for total in (None, 50_000_000):
        text = progress.line(
            "Indexing", state(12_345_678, total, failed=321), recent=(500, 5.0), width=width
        )
        assert width_of(text) <= width


def test_nothing_is_written_where_no_terminal_is() -> None:
    stream = io.StringIO()
    with ProgressLine("Indexing", stream) as line:
        line(state(1, 2))
    assert stream.getvalue() == ""


def test_every_state_is_one_write_over_the_last_and_the_end_leaves_a_clean_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with ProgressLine("Indexing", stream) as line:
        line(state(2, 2))
    written = stream.getvalue()
    assert "\n" not in written
    assert all(part.endswith("\x1b[K") for part in written.split("\r")[1:])
    assert written.endswith("\r\x1b[K")


def test_states_that_follow_too_fast_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    now = 100.0
    monkeypatch.setattr("lookalike.cli.progress.time.monotonic", lambda: now)
    stream = Terminal()
    line = ProgressLine("Indexing", stream)
    for done in range(1, 50):
        line(state(done, 100))
    assert stream.getvalue().count("\r") == 1
    now = 100.2
    line(state(50, 100))
    assert stream.getvalue().count("\r") == 2


def test_the_rate_is_that_of_the_last_seconds_not_of_the_whole_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    line = ProgressLine("Indexing", stream)
    line(state(100_000, 200_000, seconds=1.0))  # unchanged files pass in no time
    for second in range(2, 60):
        line(state(100_000 + 10 * second, 200_000, seconds=float(second)))
    monkeypatch.setattr(progress, "_REDRAW", 0.0)
    line(state(100_600, 200_000, seconds=60.0))
    assert "10 images/s" in stream.getvalue().split("\r")[-1]
