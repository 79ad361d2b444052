"""Options shared by several commands, and their value types."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

MODELS = "LOOKALIKE_MODELS"  # read by lookalike.models.cache_dirs


class _UserPath(click.Path):
    """Path type that expands "~" where the shell has not (bash does not in `--library=~/Pictures`)."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        text = os.fspath(value)
        if isinstance(text, str) and text.startswith("~") and not os.path.lexists(text):
            value = os.path.expanduser(text)  # noqa: PTH111 - "~nobody" stays as it is
        return super().convert(value, param, ctx)


PATH = _UserPath(path_type=Path, readable=False)  # unreadable files get our own messages


FIGURES = frozenset((".png", ".jpg", ".jpeg", ".pdf", ".svg", ".webp", ".tif", ".tiff", ".eps"))


class _FigurePath(_UserPath):
    """Path of an image file to write; checked before the work whose result it will show."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        file = Path(os.fsdecode(super().convert(value, param, ctx)))
        if file.suffix.lower() not in FIGURES:
            raise click.UsageError(
                f"cannot draw into '{file}': name a .png, .jpg, .pdf or .svg file"
            )
        if not file.absolute().parent.is_dir():
            raise click.UsageError(f"cannot draw into '{file}': there is no folder {file.parent}")
        return file


FIGURE = _FigurePath(path_type=Path, readable=False)


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
    """Add the option --library DIR."""
    return click.option(
        "--library",
        type=PATH,
        metavar="DIR",
        envvar="LOOKALIKE_LIBRARY",
        show_envvar=True,
        help="The library: the folder of images, or the .lookalike folder itself. Default: the first "
        "library found from the current folder upwards.",
    )(command)


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


def format_options(*names: str) -> Callable[[F], F]:
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
            help="Format of the results.",
        )(command)

    return add


def chosen_format(format_: str, null: bool) -> str:
    """Return the chosen format; -0 alone means paths."""
    if null and format_ not in ("table", "paths"):
        raise click.UsageError(f"-0 writes paths: leave out --format {format_}")
    return "paths" if null else format_
