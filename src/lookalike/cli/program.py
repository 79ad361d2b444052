"""The command-line program: finds commands by name and turns errors into one line and an exit code.

Exit codes: 0 success, 1 nothing found, 2 wrong use, 3 some files failed (with --strict) or are damaged
(check), 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

import lookalike
from lookalike.cli import output
from lookalike.errors import LookalikeError

# Section of the help page -> its commands, in the order a new user needs them. Each is a file of this
# folder with a `command`: "similar-groups" is in similar_groups.py.
SECTIONS: dict[str, tuple[str, ...]] = {
    "Images": (
        *("index", "search", "duplicates", "similar-groups", "feedback", "serve", "mcp", "demo"),
    ),
    "Understanding": ("explain", "map", "gap"),
    "The library": (
        *(
            "info",
            "failures",
            "check",
            "remove",
            "ann",
            "import",
            "import-parts",
            "export",
            "export-metadata",
            "copy",
            "drop",
        ),
    ),
    "Measuring": ("evaluate", "judge", "benchmark", "models", "train"),
    "The shell": ("completion",),
}

EPILOG = """\b
Start with:
  cd ~/Pictures
  lookalike index .
  lookalike search cat.jpg
  lookalike serve --open
"""


class UserError(click.ClickException):
    """Error shown to the user as one line; exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Write the message to stderr."""
        output.complain(self.message)


class Program(click.Group):
    """Group of all commands; imports a command's file only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, section by section."""
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command by name; None if there is none of that name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"lookalike.cli.{cmd_name.replace('-', '_')}")
        command = module.command
        assert isinstance(command, click.Command), f"{module.__name__} has no command"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands of the help page, section by section."""
        width = max(map(len, self.list_commands(ctx)))
        for title, names in SECTIONS.items():
            rows = []
            for name in names:
                command = self.get_command(ctx, name)
                assert command is not None
                rows.append((name.ljust(width), command.get_short_help_str(limit=90)))
            with formatter.section(title):
                formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve the command; suggest one for an unknown name."""
        name = args[0]
        if (
            not ctx.resilient_parsing
            and not name.startswith("-")
            and self.get_command(ctx, name) is None
        ):
            raise UserError(_unknown_command(name, self.list_commands(ctx)))
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; show the help page if there are none."""
        if not args and not ctx.resilient_parsing:  # the shell completes the name of a command
            click.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise UserError(_usage_text(error)) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and turn errors into one line and an exit code."""
        try:
            result = super().invoke(ctx)
            output.flush()
        except output.ReaderGone:
            # `| head` has read enough: that is not a failure (ripgrep exits 0 as well).
            output.drop()
            ctx.exit(0)
        except KeyboardInterrupt:
            output.interrupted()
            ctx.exit(130)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.message, err=True)  # `lookalike ann`: which of its commands?
            ctx.exit(2)
        except click.UsageError as error:
            raise UserError(_usage_text(error)) from None
        except LookalikeError as error:
            from lookalike.cli.open_library import with_library

            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            message = with_library(str(error))
            raise UserError(_with_options(command, message)) from error
        except PermissionError as error:
            raise UserError(
                f"no permission for {error.filename}: change its permissions or choose another path"
            ) from error
        except OSError as error:
            raise UserError(_describe_os_error(error)) from error
        except MemoryError as error:
            raise UserError(
                "there is not enough memory for this: close other programs, or use fewer images"
            ) from error
        return result


def _describe_os_error(error: OSError) -> str:
    """Describe an error that no command expects: a full or failing disk, a folder that vanished."""
    try:
        Path.cwd()
    except OSError:
        return "the current folder no longer exists: change to another"
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return f"{where}{(error.strerror or str(error)).lower()}; fix that, or choose another path"


def _with_options(command: click.Command | None, message: str) -> str:
    """Return an error of the library with options as typed: "--min-relevance" for "min_relevance"."""
    names = {
        name: option
        for parameter in (command.params if command else ())
        if isinstance(parameter, click.Option) and (option := max(parameter.opts, key=len))
        for name in (parameter.name, option.strip("-"))
    }
    return re.sub(
        r"(?<![\w./'-])[a-z]+(?:_[a-z]+)+(?![\w./'])|\A[a-z]+(?= needs )",
        lambda found: names.get(found[0], found[0]),
        message,
    )


def _usage_text(error: click.UsageError) -> str:
    """Return click's error as one line instead of three."""
    text = " ".join(error.format_message().split())
    # click's names of types: "'abc' is not a valid float range".
    for name, plain in (("float range", "number"), ("integer range", "whole number")):
        text = text.replace(f"is not a valid {name}", f"is not a {plain}")
    text = text.replace("is not a valid integer", "is not a whole number")
    text = text.replace(". (Did you mean", ". Did you mean").replace("?)", "?")
    if error.ctx is None:
        return text
    takes = [flag for parameter in error.ctx.command.params for flag in parameter.opts]
    if "unexpected extra" in text and "--library" in takes:
        # As in `lookalike info ~/Pictures`.
        text = f"{text.rstrip('.')}. Name the library with --library DIR"
    end = "" if text.endswith("?") else "."
    return f"{text.rstrip('.')}{end} See: {error.ctx.command_path} --help"


def _unknown_command(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    if Path(name).is_file():
        return f"'{name}' is a file, not a command. To search with it: lookalike search {name}"
    if Path(name).is_dir():
        return f"'{name}' is a folder, not a command. To index it: lookalike index {name}"
    close = get_close_matches(name, known, n=1)
    meant = f" Did you mean '{close[0]}'?" if close else ""
    return f"There is no command '{name}'.{meant} See: lookalike --help"


@click.command(
    cls=Program,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(lookalike.__version__, prog_name="lookalike", message="%(prog)s %(version)s")
def program() -> None:
    """Find images that look alike."""


def main() -> NoReturn:
    """Run the program with the arguments of this process; never returns."""
    output.prepare()
    _handle_signals()
    # Idle threads of OpenBLAS (loaded by NumPy) spin for about 30 ms, on two cores a quarter of a cold
    # search. With this they sleep at once.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    try:
        program.main(prog_name="lookalike")
    except KeyboardInterrupt:
        # During imports: nothing has been started yet.
        os._exit(130)
    except SystemExit as end:
        if isinstance(end.code, int):
            _exit(end.code)
        raise
    sys.exit(0)


def _handle_signals() -> None:
    """Make SIGTERM and SIGHUP act like Ctrl-C: finished work is stored, temporary files are removed.

    Signals that are ignored (`nohup`) stay ignored.
    """

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)


def _exit(code: int) -> NoReturn:
    """Exit without tearing down the interpreter, which takes 35 ms; everything of ours is closed."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the reader or the stream is closed
            stream.flush()
    os._exit(code)
