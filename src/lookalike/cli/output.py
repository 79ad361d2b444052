"""Where text goes: results to stdout, everything else to stderr, and what a terminal can take.

All results pass through `put`, so that a reader who leaves early (`| head`), a full disk behind `>`
and file names that are not text in any encoding are each treated in one place.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TextIO, TypeAlias

import click

Format: TypeAlias = Literal["table", "json", "jsonl", "csv", "paths"]

_BIDI = "\u202a-\u202e\u2066-\u2069"
# Bytes of names that are not UTF-8, which some terminals take for control characters.
_RAW = "\udc80-\udc9f"
_UNPRINTABLE = re.compile(f"[\0-\x1f\x7f-\x9f\u2028\u2029{_BIDI}{_RAW}]")
_STEERING = re.compile(
    rf"(?P<own>\x1b\[(?:0|1|2|31)m)|[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{_BIDI}{_RAW}]"
)
_EDGE = 2  # spaces between two columns
_NARROWEST = 12  # of a column that is cut: less of a path says nothing


class ReaderGone(Exception):  # no error: the reader has had enough
    """Nobody reads stdout any more."""


def prepare() -> None:
    """Let every file name through: names that are not UTF-8 leave as the bytes they came as. A stream
    that was closed (`>&-`) leads nowhere, and the next file that is opened does not take its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, os.O_RDWR), mode))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            utf8 = stream.encoding.lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")


def put(text: str = "") -> None:
    """One line of results."""
    _write((harmless(text) if sys.stdout.isatty() else text) + "\n")


def put_path(path: str, *, null: bool = False) -> None:
    """A path, with a zero byte after it instead of a line end where names may have line ends."""
    if null:
        put_raw(path + "\0")
    else:
        put(path)


def put_raw(text: str) -> None:
    """Results without a line end of their own."""
    _write(text)


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        raise ReaderGone from None
    except OSError as error:
        raise _cannot_write(error) from None


def flush() -> None:
    """Hand over what is buffered, while a failure can still be told."""
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
    """Send what is still buffered nowhere, or Python complains about it when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def note(text: str) -> None:
    """A remark for the person, on stderr."""
    click.echo(
        harmless(text) if sys.stderr.isatty() else text,
        err=True,
        color=coloured(sys.stderr) or None,
    )


def aside(text: str) -> None:
    """A remark that only a person at a terminal can want: nothing where stderr is a file."""
    if is_terminal(sys.stderr):
        note(click.style(text, dim=True) if coloured(sys.stderr) else text)


def interrupted(text: str = "") -> None:
    """What became of the work after Ctrl-C, on a line of its own: the terminal has written "^C"."""
    start = "\n" if is_terminal(sys.stderr) else ""
    note(f"{start}Interrupted. {text}".rstrip())


def complain(text: str) -> None:
    """An error in one line, on stderr."""
    # Click strips the colour again where stderr is no terminal.
    head = click.style("Error:", fg="red", bold=True) if coloured(sys.stderr) else "Error:"
    note(f"{head} {printable(text)}")


def is_terminal(stream: TextIO) -> bool:
    """A terminal that can redraw a line."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def coloured(stream: TextIO) -> bool:
    """Colours are welcome there (https://no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def dim(text: str) -> str:
    """The text, less prominent on a terminal."""
    return click.style(text, dim=True) if coloured(sys.stdout) else text


# ---- text that fits ----


def printable(text: str) -> str:
    """The text without control characters, and without those that turn its direction: a file name may not
    steer the terminal, nor seem to have another ending than it has."""
    return _UNPRINTABLE.sub("\ufffd", text)


def harmless(text: str) -> str:
    """Lines of ours that a terminal gets: as `printable`, but for line ends, tabs and our own colours. What
    programs get is left as it is."""
    return _STEERING.sub(lambda found: found["own"] or "\ufffd", text)


def width_of(text: str) -> int:
    """Columns that the text takes on a terminal: East Asian wide characters take two."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def shorten(text: str, width: int, *, end: bool = False) -> str:
    """At most `width` columns, cut in the middle: both ends of a path say more than its middle. Prose is
    cut at its `end`."""
    if width_of(text) <= width:
        return text
    if width < 3:
        return "…"[:width]
    # Of a path the file's own name stands at the end.
    tail_width = 0 if end else max(1, (width - 1) * 2 // 3)
    tail = ""
    for c in reversed(text):
        if width_of(c + tail) > tail_width:
            break
        tail = c + tail
    head = ""
    for c in text:
        if width_of(head + c + "…" + tail) > width:
            break
        head += c
    return head + "…" + tail


def table(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: str = "",
    stretch: int | Sequence[int] = -1,
    prose: int | None = None,
) -> None:
    """Rows under titles, in aligned columns; no line of titles where all are empty.

    right    one letter a column: "r" stands to the right (numbers); the rest to the left
    stretch  the columns that are cut where the terminal is too narrow, the widest of them first
    prose    the column that is cut at its end, not in the middle
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(width_of(line[at]) for line in (titles, *cells)) for at in range(len(titles))]
    if is_terminal(sys.stdout):
        room = shutil.get_terminal_size().columns
        lack = sum(widths) + _EDGE * (len(widths) - 1) - room
        _narrow(widths, [stretch] if isinstance(stretch, int) else stretch, lack)
    end = None if prose is None else prose % len(widths)
    if any(titles):
        put(dim(_line(titles, widths, right, end)))
    for cell_row in cells:
        put(_line(cell_row, widths, right, end))


def _narrow(widths: list[int], stretch: Sequence[int], lack: int) -> None:
    """Take `lack` columns from the widest of those that may be cut; none gets narrower than 12."""
    for _ in range(lack):
        at = max(stretch, key=lambda number: widths[number])
        if widths[at] <= _NARROWEST:
            return
        widths[at] -= 1


def _line(cells: Sequence[str], widths: Sequence[int], right: str, end: int | None) -> str:
    parts = []
    for at, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        text = shorten(cell, width, end=at == end)
        gap = " " * (width - width_of(text))
        parts.append(gap + text if right[at : at + 1] == "r" else text + gap)
    return (" " * _EDGE).join(parts).rstrip()


# ---- text for programs ----


def as_json(value: Any, *, indent: int | None = 2) -> str:
    """JSON text; a name that is not UTF-8, or that stdout cannot take, is escaped as JSON does it."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str, allow_nan=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, indent=indent, default=str, allow_nan=False)
    return text


def csv_line(cells: Iterable[Any]) -> str:
    """One line of CSV (RFC 4180), without the line end."""
    import csv

    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(list(cells))
    return text.getvalue()


def flatten(record: Mapping[str, Any]) -> list[Any]:
    """The values of a record for a line of CSV: nothing for None, JSON for lists and objects."""
    return [
        "" if v is None else as_json(v, indent=None) if isinstance(v, (dict, list)) else v
        for v in record.values()
    ]
