"""The progress bar: its text, and where it is not shown."""

import io

import pytest

from lookalike.cli.progress import ProgressBar, download_progress
from lookalike.indexing.report import Progress
from lookalike.models import FetchProgress


class Terminal(io.StringIO):
    """A stream that records what is written and reports to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")


def state(done: int, total: int | None, *, failed: int = 0) -> Progress:
    return Progress(
        done=done, total=total, indexed=done - failed, failed=failed, path="a.jpg", seconds=10.0
    )


def test_the_bar_shows_share_rate_time_left_and_failures() -> None:
    stream, now = Terminal(), [0.0]
    with ProgressBar("Indexing", stream, clock=lambda: now[0]) as bar:
        for second in range(11):
            now[0] = float(second)
            bar(state(100 * second, 4000, failed=3))
    text = stream.getvalue()
    assert "Indexing" in text
    for part in ("25%  1,000/4,000", "100 images/s", "30.0 s left", "3 failed"):
        assert part in text


def test_the_rate_is_that_of_the_last_seconds_not_of_the_whole_run() -> None:
    stream, now = Terminal(), [0.0]
    with ProgressBar("Indexing", stream, clock=lambda: now[0]) as bar:
        bar(state(0, 200_000))
        now[0] = 1.0
        bar(state(100_000, 200_000))  # unchanged files pass in no time
        for second in range(2, 60):
            now[0] = float(second)
            bar(state(100_000 + 10 * second, 200_000))
    drawn = [part for part in stream.getvalue().split("\r") if "images/s" in part]
    assert " 10 images/s" in drawn[-1]


def test_files_are_counted_while_their_number_is_unknown() -> None:
    stream = Terminal()
    with ProgressBar("Indexing", stream) as bar:
        bar(state(1000, None))
    assert "1,000 images" in stream.getvalue()
    assert "left" not in stream.getvalue()


def test_other_units_are_named() -> None:
    stream, now = Terminal(), [0.0]
    with ProgressBar("Comparing", stream, unit="pairs", clock=lambda: now[0]) as bar:
        for second in range(6):
            now[0] = float(second)
            bar.count(2 * second, 40)
    assert "10/40" in stream.getvalue()
    assert "2.0 pairs/s" in stream.getvalue()


def test_each_stage_starts_again() -> None:
    stream = Terminal()
    with ProgressBar("Building", stream) as bar:
        bar.stage("train", 0, 1)
        bar.stage("add", 5, 10)
    assert "Training" in stream.getvalue()
    assert "Adding vectors" in stream.getvalue()
    assert "5/10" in stream.getvalue()


@pytest.mark.parametrize("columns", ["1", "20", "60"])
def test_a_narrow_terminal_is_no_error(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with ProgressBar("Indexing", Terminal()) as bar:
        bar(state(12_345_678, 50_000_000, failed=321))


def test_the_end_leaves_a_clean_line() -> None:
    stream = Terminal()
    with ProgressBar("Indexing", stream) as bar:
        bar(state(2, 2))
    assert stream.getvalue().endswith("\x1b[2K")  # the bar's line is erased


def test_nothing_is_written_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    with ProgressBar("Indexing", stream) as bar:
        bar(state(1, 2))
        bar.stage("train", 1, 2)
    monkeypatch.setenv("TERM", "dumb")
    with ProgressBar("Indexing", Terminal()) as bar:
        bar(state(1, 2))
        assert not bar.visible
    assert stream.getvalue() == ""


def test_a_download_shows_its_share_and_sizes() -> None:
    stream = Terminal()
    with download_progress(stream) as show:
        show(FetchProgress("a/b", "model.onnx", 10_000_000, 40_000_000))
    assert "Downloading a/b" in stream.getvalue()
    assert "25%  10 MB of 40 MB" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K")


def test_the_speed_of_a_download_counts_only_the_bytes_of_this_run() -> None:
    stream, now = Terminal(), [0.0]
    with ProgressBar("Downloading", stream, unit="bytes", clock=lambda: now[0]) as bar:
        for second in range(6):
            now[0] = float(second)
            bar.count(30_000_000 + 1_000_000 * second, 40_000_000)
    last = [part for part in stream.getvalue().split("\r") if "/s" in part][-1]
    assert "1.0 MB/s" in last and "5.0 s left" in last


def test_a_download_of_unknown_size_shows_what_has_arrived() -> None:
    stream = Terminal()
    with download_progress(stream) as show:
        show(FetchProgress("a/b", "model.onnx", 30_000_000, None))
    assert "30 MB" in stream.getvalue() and "%" not in stream.getvalue().replace("%s", "")


def test_a_download_is_announced_once_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with download_progress() as show:
        show(FetchProgress("a/b", "model.onnx", 0, 40_000_000))
        show(FetchProgress("a/b", "model.onnx", 40_000_000, 40_000_000))
    assert capsys.readouterr().err == "Downloading a/b (40 MB)\n"


def test_nothing_is_shown_where_nothing_is_downloaded() -> None:
    stream = Terminal()
    with download_progress(stream):
        pass
    assert stream.getvalue() == ""
