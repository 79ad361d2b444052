"""Writes docs/commands.md from the program's own help: `make docs`. A test compares the two."""

from __future__ import annotations

from pathlib import Path

import click
from click.testing import CliRunner

from lookalike.cli.program import program

PAGE = Path(__file__).parent / "commands.md"
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


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
