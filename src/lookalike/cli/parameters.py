"""Options shared by several commands, and their value types."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])

LibraryName: TypeAlias = Path | str
"""The value of --library: a folder, or the URL of a database."""

MODELS = "LOOKALIKE_MODELS"  # read by lookalike.models.files


class UserPath(click.Path):
    """Path type that expands "~" where the shell has not (bash does not in `--library=~/Pictures`).

    output    the path is a file to write: it is checked before the work whose result it will hold
    suffixes  that such a file may have; none: any
    remedy    what to name instead of a file with another suffix
    url       it may also be a URL, which stays a text
    """

    def __init__(
        self, *suffixes: str, output: bool = False, remedy: str = "", url: bool = False
    ) -> None:
        super().__init__(path_type=Path, readable=False)  # unreadable files get our own messages
        self._suffixes, self._output, self._remedy, self._url = suffixes, output, remedy, url

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Expand "~" and check the path."""
        text = os.fspath(value)
        if self._url and isinstance(text, str) and "://" in text:
            return text
        if isinstance(text, str) and text.startswith("~") and not os.path.lexists(text):
            value = os.path.expanduser(text)  # noqa: PTH111 - "~nobody" stays as it is
        if not self._output and isinstance(value, str) and not value.isascii():
            from lookalike.stores.paths import existing_path  # no need where names are ASCII

            value = str(existing_path(Path(value)))
        file = Path(os.fsdecode(super().convert(value, param, ctx)))
        if self._suffixes and file.suffix.lower() not in self._suffixes:
            raise click.UsageError(f"cannot write '{file}': name {self._remedy}")
        if self._output and not file.absolute().parent.is_dir():
            raise click.UsageError(f"cannot write '{file}': there is no folder {file.parent}")
        return file


def complete_file(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete the path of a file, where an option also takes something else."""
    return [CompletionItem(incomplete, type="file")]


def complete_extractors(
    _: click.Context, __: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the last of several names of extractors."""
    from lookalike.extractors.registry import EXTRACTORS, names

    before, comma, last = incomplete.rpartition(",")
    return [
        CompletionItem(before + comma + name, help=known.summary if known else None)
        for name in names()
        if name.startswith(last)
        for known in (EXTRACTORS.get(name.rstrip(":")),)
    ]


PATH = UserPath()
LIBRARY = UserPath(url=True)
OUTPUT = UserPath(output=True)
FIGURE = UserPath(
    *(".png", ".jpg", ".jpeg", ".pdf", ".svg", ".webp", ".tif", ".tiff", ".eps"),
    output=True,
    remedy="a .png, .jpg, .pdf or .svg file",
)


def _amount(text: str, thousand: int, example: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    value = float(found[1]) * thousand ** " kmgt".index(found[2] or " ") if found else 0
    if value < 1:
        raise click.BadParameter(f"'{text}' is not a size; write for example {example}")
    return int(value)


def memory(text: str) -> int:
    """Parse a number of bytes such as "4G", "500M" or "1.5 GiB" (units of 1024)."""
    return _amount(text, 1024, "500M or 4G")


def pixels(text: str) -> int:
    """Parse a number of pixels such as "100M" (units of 1000)."""
    return _amount(text, 1000, "100M (megapixels)")


def library_option(command: F) -> F:
    """Add the option --library DIR|URL."""
    return click.option(
        "--library",
        type=LIBRARY,
        metavar="DIR|URL",
        envvar="LOOKALIKE_LIBRARY",
        show_envvar=True,
        help="The library: the folder of images, or the .lookalike folder itself, or a database, "
        "postgresql://USER@HOST/DATABASE?schema=NAME. Default: the first library found from the current "
        "folder upwards.",
    )(command)


def names_library(ctx: click.Context) -> bool:
    """Return whether --library was typed, rather than taken from the environment."""
    return ctx.get_parameter_source("library") is ParameterSource.COMMANDLINE


def library_or_folder(
    ctx: click.Context, library: LibraryName | None, folder: Path | None
) -> LibraryName | None:
    """Return the library that a command was given by --library or by FOLDER, which counts before the
    environment."""
    if folder is not None and names_library(ctx):
        raise click.UsageError("name the library once: by FOLDER or by --library")
    return folder or library


def _use_models(ctx: click.Context, _: click.Parameter, folder: Path | None) -> None:
    """Set the folder for this run and for the processes that it starts."""
    if folder is None:
        return
    before = os.environ.get(MODELS)
    os.environ[MODELS] = str(folder.absolute())

    def restore() -> None:
        if before is None:
            del os.environ[MODELS]
        else:
            os.environ[MODELS] = before

    ctx.call_on_close(restore)


def allow_root_option(command: F) -> F:
    """Add --allow-root."""
    return click.option(
        "--allow-root",
        "roots",
        multiple=True,
        metavar="FOLDER",
        help="Folder or URL whose images may be served though it lies outside the folder of the library.",
        envvar="LOOKALIKE_ALLOW_ROOT",
        show_envvar=True,
    )(command)


def model_dir_option(command: F) -> F:
    """Add the option --model-dir DIR."""
    return click.option(
        "--model-dir",
        type=PATH,
        metavar="DIR",
        envvar=MODELS,
        show_envvar=True,
        callback=_use_models,
        expose_value=False,
        help="Folder where models are found and downloaded to. Default: the platform's cache.",
    )(command)


def extractor_option(
    description: str, *, default: str | None = None, required: bool = False
) -> Callable[[F], F]:
    """Add -e/--extractor NAME; parameter `extractor`."""
    return click.option(
        "-e",
        "--extractor",
        metavar="NAME",
        default=default,
        show_default=default is not None,
        required=required,
        shell_complete=complete_extractors,
        help=description,
    )


def extractors_option(description: str) -> Callable[[F], F]:
    """Add -e/--extractor NAME,..., which may be repeated; parameter `extractors`, for `parse_names`."""
    return click.option(
        "-e",
        "--extractor",
        "extractors",
        metavar="NAME,...",
        multiple=True,
        shell_complete=complete_extractors,
        help=description,
    )


def parse_names(extractors: tuple[str, ...]) -> list[str]:
    """Return the names given with --extractor, each once."""
    from lookalike.extractors.registry import parse

    return parse(",".join(extractors))


def count_option(
    flag: str,
    description: str,
    *,
    default: int | None = None,
    low: int = 1,
    high: int | None = None,
) -> Callable[[F], F]:
    """Add an option that takes a whole number in [low, high]."""
    return click.option(
        flag,
        type=click.IntRange(low, high),
        metavar="N",
        default=default,
        show_default=default is not None,
        help=description,
    )


def output_option(
    description: str, *, type_: click.Path = PATH, metavar: str = "FILE", default: str | None = None
) -> Callable[[F], F]:
    """Add -o/--output FILE; parameter `out`."""
    return click.option(
        "-o",
        "--output",
        "out",
        type=type_,
        metavar=metavar,
        default=default,
        show_default=default is not None,
        help=description,
    )


def figure_option(flag: str, description: str, *, default: str | None = None) -> Callable[[F], F]:
    """Add an option that takes the image file to draw into."""
    return click.option(
        flag,
        type=FIGURE,
        metavar="OUT.png",
        default=default,
        show_default=default is not None,
        help=description,
    )


def format_options(*names: str, description: str = "Format of the results.") -> Callable[[F], F]:
    """Add --format with these names (the first is the default), and -0 if "paths" is one of them."""

    def add(command: F) -> F:
        if "paths" in names:
            command = click.option(
                "-0",
                "--null",
                "null",
                is_flag=True,
                help="Write paths only, each ended by a zero byte: for xargs -0.",
            )(command)
        return click.option(
            "--format",
            "format_",
            type=click.Choice(names),
            default=names[0],
            show_default=True,
            help=description,
        )(command)

    return add


def chosen_format(format_: str, null: bool) -> str:
    """Return the chosen format; -0 alone means paths."""
    if null and format_ not in ("table", "paths"):
        raise click.UsageError(f"-0 writes paths: leave out --format {format_}")
    return "paths" if null else format_
