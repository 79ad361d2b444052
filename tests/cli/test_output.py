"""Output that fits a terminal, and output for programs."""

import csv
import io
import json
import os
import sys
from pathlib import Path

import pytest

from lookalike.cli import hit_output, open_library, output
from lookalike.query import Hit, Hits, Query, Term


class Terminal(io.StringIO):
    """A stream that records what is written and reports to be a terminal."""

    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> Terminal:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    return terminal


def test_columns_are_aligned_and_numbers_right_aligned(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.table(["rank", "path"], [["1", "a.jpg"], ["10", "long name.jpg"]], right="r")
    assert capsys.readouterr().out == "rank  path\n   1  a.jpg\n  10  long name.jpg\n"


def test_a_long_path_is_not_shortened_without_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = "folder/" * 60 + "cat.jpg"
    output.table(["path"], [[path]])
    assert path in capsys.readouterr().out


def test_a_long_path_is_cut_in_the_middle_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = on_terminal(monkeypatch, 40)
    output.table(["rank", "path"], [["1", "photos/" * 20 + "cat-0001.jpg"]], right="r")
    row = terminal.getvalue().splitlines()[1]
    assert len(row) == 40
    assert row.startswith("   1  photos/")
    assert "…" in row
    assert row.endswith("cat-0001.jpg")


def test_the_wider_column_is_shortened_first_and_prose_at_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = on_terminal(monkeypatch, 50)
    row = ["1", "photos/holidays/cat.jpg", "98% of the image agrees, placed by 141 keypoints"]
    output.table(["group", "path", "why"], [row], right="r", stretch=(1, 2), prose=2)
    (line,) = terminal.getvalue().splitlines()[1:]
    assert line == "    1  photos/…days/cat.jpg  98% of the image agr…"


def test_columns_without_titles_have_no_title_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.table(["", ""], [["links", "21"]])
    assert capsys.readouterr().out == "links  21\n"


def test_wide_characters_take_two_columns() -> None:
    assert output.width_of("日本") == 4
    assert output.width_of("e\u0301") == 1
    assert output.width_of(output.shorten("日本語の写真.jpg", 9)) <= 9


@pytest.mark.parametrize("width", range(20))
def test_shortening_keeps_within_the_width(width: int) -> None:
    assert output.width_of(output.shorten("abcdefghij日本語klmnop", width)) <= width


def test_control_characters_of_a_file_name_are_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["path"], [["a\x1b[2Jb\nc.jpg"]])
    assert capsys.readouterr().out == "path\na\ufffd[2Jb\ufffdc.jpg\n"


def test_no_control_character_of_untrusted_text_reaches_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    untrusted = "a\x1b[2J\x9b2J\x1b]0;t\x07\rb\u202egpj.exe\x1b[8m"
    shown = "a\ufffd[2J\ufffd2J\ufffd]0;t\ufffd\ufffdb\ufffdgpj.exe\ufffd[8m"
    assert output.printable(f"{untrusted}\n") == f"{shown}\ufffd"
    assert output.printable(os.fsdecode(b"\x9b2J")) == "\ufffd2J"
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    output.put(f"\x1b[2mpath\x1b[0m\t\n{untrusted}")
    output.put_path(untrusted)
    output.put_path(untrusted, null=True)  # for programs
    output.note(untrusted)
    written = capsys.readouterr()
    assert written.out == f"\x1b[2mpath\x1b[0m\t\n{shown}\n{shown}\n{untrusted}\0"
    assert written.err == f"{shown}\n"


def test_names_in_a_pipe_are_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    output.put_path("a\x1b[2Jb\u202e")
    assert capsys.readouterr().out == "a\x1b[2Jb\u202e\n"


@pytest.mark.parametrize("name", ["-rf", "=cmd|'!A1", "+1", "@sum", "\t=1"])
def test_a_name_that_would_be_a_flag_or_a_formula_is_shown_as_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_library.display_path(tmp_path / name) == f"./{name}"
    assert open_library.display_path(tmp_path / "a" / name) == f"a/{name}"
    assert open_library.display_path(tmp_path / ".lookalike" / "imported" / name) == f"./{name}"


def test_json_keeps_letters_and_escapes_invalid_unicode() -> None:
    assert output.as_json({"path": "Müller.jpg"}, indent=None) == '{"path": "Müller.jpg"}'
    broken = os.fsdecode(b"m\xfcller.jpg")
    text = output.as_json({"path": broken}, indent=None)
    assert text.encode()
    assert os.fsencode(json.loads(text)["path"]) == b"m\xfcller.jpg"


def test_json_is_ascii_if_stdout_cannot_encode_more(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "Ü 写真 🏖.jpg"
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    text = output.as_json({"path": name}, indent=None)
    assert text.isascii()
    assert json.loads(text) == {"path": name}


def test_csv_is_quoted_where_necessary() -> None:
    assert output.csv_line([1, 'a "b", c', ""]) == '1,"a ""b"", c",'
    assert output.flatten({"a": None, "b": {"kind": "shoe"}}) == ["", '{"kind": "shoe"}']


def test_no_color_and_dumb_terminals_are_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert output.colored(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.colored(Terminal())
    assert output.is_terminal(Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert not output.is_terminal(Terminal())


def test_a_csv_of_hits_holds_no_formula(capsys: pytest.CaptureFixture[str]) -> None:
    hit = Hit(
        rank=1, id=1, path="=cmd|' /C calc'!A1.jpg", root=Path("photos"), score=1.0, similarity=1.0
    )
    hits = Hits((hit,), "color", "cosine", exact=True, searched_count=1, seconds={})
    hit_output.write_hits(hits, "csv", query=Query((Term(id=1),)))
    assert capsys.readouterr().out.splitlines()[1].startswith("1,./=cmd|' /C calc'!A1.jpg,1.0,")


@pytest.mark.parametrize(
    "cells",
    [
        ["a\nb", "c"],
        ["a\r", "b\r\nc"],
        ['say "x"', "a,b"],
        ["", "x"],
        ["\n", " "],
        ["ü\u2028", "1"],
    ],
)
def test_a_csv_record_is_read_back_whatever_its_cells_hold(cells: list[str]) -> None:
    text = output.csv_line(["h", "i"]) + "\n" + output.csv_line(cells) + "\n"
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["h", "i"], cells]
