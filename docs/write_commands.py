"""Writes docs/commands.md and the man page from the program's own help: `make docs`. A test compares them."""

from __future__ import annotations

import re
from pathlib import Path

import click
from click.testing import CliRunner

from lookalike import __version__
from lookalike.cli.program import EPILOG, program

PAGE = Path(__file__).parent / "commands.md"
MAN_PAGE = Path(__file__).parent / "lookalike.1"
HEAD = """# Commands

Written by `make docs` from `lookalike COMMAND --help`. Results go to stdout, everything else to stderr.
Exit codes: 0 fine, 1 nothing found, 2 wrong use, 3 some files failed (with `--strict`)
or are damaged (`check`), 130 interrupted.
"""


def commands(group: click.Group, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """All commands, as the words one types, groups before what is in them."""
    found: list[tuple[str, ...]] = []
    context = click.Context(group)
    for name in sorted(group.list_commands(context)):
        command = group.get_command(context, name)
        assert command is not None
        found.append((*words, name))
        if isinstance(command, click.Group):
            found += commands(command, (*words, name))
    return found


def page() -> str:
    sections = [HEAD]
    for words in commands(program):
        shown = CliRunner().invoke(
            program, [*words, "--help"], terminal_width=100, prog_name="lookalike"
        )
        assert shown.exit_code == 0, shown.output
        sections.append(
            f"## `lookalike {' '.join(words)}`\n\n```text\n{shown.stdout.strip()}\n```\n"
        )
    return "\n".join(sections)


def man_page() -> str:
    """The man page, in the macros of man(7)."""
    parts = [
        f'.TH LOOKALIKE 1 "" "lookalike {__version__}" "User Commands"',
        f".SH NAME\nlookalike \\- {roff('find images that look alike')}",
        ".SH SYNOPSIS\n.B lookalike\n.I COMMAND\n[\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]",
        f".SH EXAMPLES\n{paragraphs(EPILOG)}",
        ".SH COMMANDS",
    ]
    for words in commands(program):
        command: click.Command = program
        for word in words:
            assert isinstance(command, click.Group)
            command = command.get_command(click.Context(command), word) or command
        context = click.Context(command, info_name=" ".join(("lookalike", *words)))
        usage = " ".join(command.collect_usage_pieces(context))
        parts.append(
            f".SS {roff(' '.join(words))}\n.B {roff(context.info_name or '')}\n{roff(usage)}"
        )
        parts.append(".PP\n" + paragraphs(command.help or ""))
        records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
        parts += [f".TP\n.B {roff(one[0])}\n{roff(one[1])}" for one in records if one]
    parts.append(
        ".SH EXIT STATUS\n"
        + "\n".join(
            f".TP\n.B {status}\n{meaning}"
            for status, meaning in (
                (0, "Success."),
                (1, "Nothing was found."),
                (2, "Wrong use."),
                (3, "Some files failed (with --strict), or are damaged (check)."),
                (130, "Interrupted."),
            )
        )
    )
    return "\n".join(parts) + "\n"


def paragraphs(text: str) -> str:
    """The paragraphs of a help text; those after a \\b keep their lines."""
    found = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if paragraph.startswith("\b"):
            lines = "\n".join(map(roff, paragraph.splitlines()[1:]))
            found.append(f".nf\n.RS 4\n{lines}\n.RE\n.fi")
        else:
            found.append(roff(" ".join(paragraph.split())))
    return "\n.PP\n".join(found)


def roff(text: str) -> str:
    """A line of text without meaning for roff."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text[:1] in (".", "'") else text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    MAN_PAGE.write_text(man_page(), encoding="utf-8")
