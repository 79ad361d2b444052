"""Writes results to stdout and everything else to stderr.

All results pass through `put`, so a closed pipe (`| head`), a full disk behind `>` and file names that
are not valid text are each handled in one place.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Literal, TextIO, TypeAlias

import click

Format: TypeAlias = Literal["table", "json", "jsonl", "csv", "paths"]

_BIDI = "\u202a-\u202e\u2066-\u2069"
# Surrogates of bytes that are not UTF-8, which some terminals treat as control characters.
_RAW = "\udc80-\udc9f"
_UNPRINTABLE = re.compile(f"[\0-\x1f\x7f-\x9f\u2028\u2029{_BIDI}{_RAW}]")
_CONTROL = re.compile(
    rf"(?P<own>\x1b\[(?:0|1|2|31)m)|[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{_BIDI}{_RAW}]"
)
# Spaces between two columns.
_EDGE = 2
# Columns that a shortened cell keeps at least: less of a path says nothing.
_NARROWEST = 12
# The terminal whose last line is a progress bar.
_drawn_on: TextIO | None = None


class ReaderGone(Exception):  # not an error: the reader has read enough
    """The reader of stdout has closed it."""


def prepare() -> None:
    """Prepare the standard streams for file names in any encoding.

    Names that are not UTF-8 are written as the bytes they were read as. On Windows, what is piped is UTF-8,
    too, because the code page lacks most letters. A closed stream (`>&-`) is
    replaced by the null device, so that the next file opened does not take its descriptor.
    """
    if sys.platform == "win32":
        import colorama  # click needs it there

        colorama.just_fix_windows_console()
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, os.O_RDWR), mode))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and sys.platform == "win32":
            stream.reconfigure(encoding="utf-8", errors="surrogatepass")
        elif isinstance(stream, io.TextIOWrapper):
            utf8 = stream.encoding.lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")


def put(text: str = "") -> None:
    """Write one line of results."""
    _write((harmless(text) if sys.stdout.isatty() else text) + "\n")


def put_path(path: str, *, null: bool = False) -> None:
    """Write a path, ended by a newline or, with `null`, by a zero byte."""
    if null:
        put_raw(path + "\0")
    else:
        put(path)


def put_raw(text: str) -> None:
    """Write results that bring their own line ends."""
    _write(text)


def _write(text: str) -> None:
    _erase()
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        raise ReaderGone from None
    except OSError as error:
        raise _cannot_write(error) from None


def flush() -> None:
    """Flush stdout while a failure can still be reported."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGone from None
    except OSError as error:
        raise _cannot_write(error) from None


def _cannot_write(error: OSError) -> click.UsageError:
    drop()
    return click.UsageError(f"The results cannot be written to stdout: {error.strerror}")


def drop() -> None:
    """Discard buffered output; otherwise Python reports an error at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def note(text: str) -> None:
    """Write a remark to stderr."""
    _erase()
    click.echo(
        harmless(text) if sys.stderr.isatty() else text,
        err=True,
        color=colored(sys.stderr) or None,
    )


def aside(text: str) -> None:
    """Write a remark to stderr only if it is a terminal."""
    if is_terminal(sys.stderr):
        note(click.style(text, dim=True) if colored(sys.stderr) else text)


def redraw(stream: TextIO, text: str) -> None:
    """Replace the last line of a terminal by a text that the next output replaces."""
    global _drawn_on
    stream.write(f"\r\x1b[2K{text}")
    stream.flush()
    _drawn_on = stream if text else None


def _erase() -> None:
    if _drawn_on is not None:
        redraw(_drawn_on, "")


def interrupted(text: str = "") -> None:
    """Report an interruption on a line of its own (the terminal has written "^C")."""
    start = "\n" if is_terminal(sys.stderr) else ""
    note(f"{start}Interrupted. {text}".rstrip())


def complain(text: str) -> None:
    """Write an error to stderr in one line."""
    # click removes the color again where stderr is not a terminal.
    head = click.style("Error:", fg="red", bold=True) if colored(sys.stderr) else "Error:"
    note(f"{head} {printable(text)}")


def is_terminal(stream: TextIO) -> bool:
    """Return whether the stream is a terminal that can redraw a line."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def colored(stream: TextIO) -> bool:
    """Return whether to use colors on the stream (https://no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def dim(text: str) -> str:
    """Return the text dimmed on a terminal, else unchanged."""
    return click.style(text, dim=True) if colored(sys.stdout) else text


# ---- text that fits ----


def printable(text: str) -> str:
    """Replace control characters and those that change the text direction.

    A file name must not control the terminal, nor seem to have another extension than it has.
    """
    return _UNPRINTABLE.sub("\ufffd", text)


def harmless(text: str) -> str:
    """As `printable`, but keep line ends, tabs and our own colors: for lines written to a terminal."""
    return _CONTROL.sub(lambda found: found["own"] or "\ufffd", text)


def width_of(text: str) -> int:
    """Return how many columns the text takes on a terminal: East Asian wide characters take two."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def shorten(text: str, width: int, *, end: bool = False) -> str:
    """Shorten the text to at most `width` columns with an ellipsis.

    It is cut in the middle, because both ends of a path say more than its middle; prose is cut at its `end`.
    """
    if width_of(text) <= width:
        return text
    if width < 3:
        return "…"[:width]
    tail_width = 0 if end else max(1, (width - 1) * 2 // 3)  # a path ends with the file's own name
    tail = _first_columns(text[::-1], tail_width)[::-1]
    head = _first_columns(text, width - 1 - width_of(tail))
    return head.rstrip(" ") + "…" + tail.lstrip(" ")


def _first_columns(text: str, width: int) -> str:
    taken = accumulate(map(width_of, text))
    return text[: sum(columns <= width for columns in taken)]


def table(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: str = "",
    stretch: int | Sequence[int] = -1,
    prose: int | None = None,
) -> None:
    """Print rows under titles in aligned columns; without a title line where all titles are empty.

    right    one letter a column: "r" aligns it to the right (numbers), anything else to the left
    stretch  columns that are shortened where the terminal is too narrow
    prose    the column that is shortened at its end, not in the middle
    """
    lines = [list(titles), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(width_of, column)) for column in zip(*lines, strict=True)]
    if is_terminal(sys.stdout):
        flexible = {at % len(titles) for at in ([stretch] if isinstance(stretch, int) else stretch)}
        _narrow(widths, flexible, shutil.get_terminal_size().columns)
    end = None if prose is None else prose % len(titles)
    for number, line in enumerate(lines):
        padded = []
        for at, (cell, width) in enumerate(zip(line, widths, strict=True)):
            cell = shorten(cell, width, end=at == end)
            gap = " " * (width - width_of(cell))
            padded.append(gap + cell if right[at : at + 1] == "r" else cell + gap)
        text = (" " * _EDGE).join(padded).rstrip()
        if number:
            put(text)
        elif text:
            put(dim(text))


def _narrow(widths: list[int], flexible: Collection[int], room: int) -> None:
    """Reduce the widest of the flexible columns until the table fits, or no column should be narrower."""
    excess = sum(widths) + _EDGE * (len(widths) - 1) - room
    for _ in range(excess):
        widest = max(flexible, key=lambda at: widths[at])
        if widths[widest] <= _NARROWEST:
            return
        widths[widest] -= 1


# ---- text for programs ----


def as_json(value: Any, *, indent: int | None = 2) -> str:
    """Return JSON text. Characters that stdout cannot encode are escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str, allow_nan=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, indent=indent, default=str, allow_nan=False)
    return text


def csv_line(cells: Iterable[Any]) -> str:
    """Return one record of CSV (RFC 4180), without the line end. Cells with line breaks are quoted."""
    import csv

    text = io.StringIO()
    # The writer quotes the characters of its line terminator, and no other line breaks.
    csv.writer(text, lineterminator="\r\n").writerow(list(cells))
    return text.getvalue().removesuffix("\r\n")


def put_jsonl(records: Iterable[Mapping[str, Any]]) -> None:
    """Write records as JSON, a line each."""
    for record in records:
        put(as_json(record, indent=None))


def put_csv(fields: Iterable[str], records: Iterable[Mapping[str, Any]]) -> None:
    """Write records as CSV with a header; their values are in the order of the fields."""
    put(csv_line(fields))
    for record in records:
        put(csv_line(flatten(record)))


def flatten(record: Mapping[str, Any]) -> list[Any]:
    """Return the values of a record for CSV: empty for None, JSON for lists and objects."""
    return [
        "" if v is None else as_json(v, indent=None) if isinstance(v, (dict, list)) else v
        for v in record.values()
    ]
