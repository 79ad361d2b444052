"""`lookalike decisions`: what was decided, written out and taken over."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.errors import UsageError
from lookalike.files import output_file


@click.command("decisions")
@click.argument("action", type=click.Choice(("list", "export", "import")), default="list")
@click.argument("file", type=parameters.PATH, required=False)
@parameters.library_option
@click.pass_context
def command(ctx: click.Context, action: str, file: Path | None, library: Path | None) -> None:
    """List what was decided, or carry it to another library as JSON lines.

    \b
    lookalike decisions
    lookalike decisions export decided.jsonl
    lookalike decisions import decided.jsonl
    """
    if file is not None and action == "list":
        raise UsageError("list writes to the terminal: did you mean `lookalike decisions export`?")
    with open_library.open_library(library, read_only=action != "import") as opened:
        if action == "import":
            new = opened.feedback.import_lines(_lines(file))
            output.put(f"Took over {format.counted(new, 'new decision')}.")
        elif action == "export":
            lines = list(opened.feedback.export_lines())
            _export(lines, file)
        else:
            decided = opened.feedback.all()
            rows = [
                [
                    one.decision.kind,
                    _where(one.first, one.decision.first),
                    _where(one.second, one.decision.second),
                    one.decision.who,
                    one.decision.when,
                ]
                for one in decided
            ]
            if not rows:
                output.note("Nothing was decided yet.")
                ctx.exit(1)
            output.table(["decision", "picture", "other", "who", "when"], rows, stretch=(1, 2))


def _lines(file: Path | None) -> list[str]:
    if file is None or str(file) == "-":
        return sys.stdin.read().splitlines()
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from None


def _export(lines: list[str], file: Path | None) -> None:
    if file is None or str(file) == "-":
        for line in lines:
            output.put(line)
        return
    with output_file(file) as out:
        out.write("".join(f"{line}\n" for line in lines).encode("utf-8"))
    output.note(f"Wrote {format.counted(len(lines), 'decision')} to {file}.")


def _where(files: tuple[Path, ...], hash: bytes | None) -> str:
    """The first file with that content, or the start of its hash where there is none."""
    if files:
        return open_library.display_path(files[0])
    return f"({hash.hex()[:12]}, not in the library)" if hash else ""
