"""Options that several commands share, and the kinds of values they take."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

MODELS = "LOOKALIKE_MODELS"  # what lookalike.models.cache_dirs reads


class _Given(click.Path):
    """A path, whose "~" is the home where the shell has left it: bash does in `--library=~/Pictures`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        text = os.fspath(value)
        if isinstance(text, str) and text.startswith("~") and not os.path.lexists(text):
            value = os.path.expanduser(text)  # noqa: PTH111 - "~nobody" stays as it is
        return super().convert(value, param, ctx)


PATH = _Given(path_type=Path, readable=False)  # what cannot be read is told in our words


FIGURES = frozenset((".png", ".jpg", ".jpeg", ".pdf", ".svg", ".webp", ".tif", ".tiff", ".eps"))


class _Figure(_Given):
    """A file that something is drawn into; refused before the work whose result it shall show."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        file = Path(os.fsdecode(super().convert(value, param, ctx)))
        if file.suffix.lower() not in FIGURES:
            raise click.UsageError(
                f"cannot draw into '{file}': name a .png, .jpg, .pdf or .svg file"
            )
        if not file.absolute().parent.is_dir():
            raise click.UsageError(f"cannot draw into '{file}': there is no folder {file.parent}")
        return file


FIGURE = _Figure(path_type=Path, readable=False)


def _amount(text: str, thousand: int, example: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    value = float(found[1]) * thousand ** " kmgt".index(found[2] or " ") if found else 0
    if value < 1:
        raise click.BadParameter(f"'{text}' is no size; write for example {example}")
    return int(value)


def memory(text: str) -> int:
    """Bytes: "4G", "500M", "1.5 GiB"; a thousand is 1024, as for memory everywhere."""
    return _amount(text, 1024, "500M or 4G")


def pixels(text: str) -> int:
    """A number of pixels: "100M" are a hundred megapixels."""
    return _amount(text, 1000, "100M (megapixels)")


def library_option(command: F) -> F:
    """--library DIR: where the library is."""
    return click.option(
        "--library",
        type=PATH,
        metavar="DIR",
        envvar="LOOKALIKE_LIBRARY",
        show_envvar=True,
        help="The library: the folder of pictures, or the .lookalike folder itself. Otherwise it "
        "is looked for from here upwards.",
    )(command)


def _use_models(ctx: click.Context, _: click.Parameter, folder: Path | None) -> None:
    """For this run of the program, and for the processes that it starts."""
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
    """--model-dir DIR: where models are looked for and downloaded to."""
    return click.option(
        "--model-dir",
        type=PATH,
        metavar="DIR",
        envvar=MODELS,
        show_envvar=True,
        callback=_use_models,
        expose_value=False,
        help="Where models are looked for and downloaded to. Default: the platform's cache.",
    )(command)


def format_options(*names: str) -> Callable[[F], F]:
    """--format with these names (the first is the default), and -0 where "paths" is one of them."""

    def add(command: F) -> F:
        if "paths" in names:
            command = click.option(
                "-0",
                "--null",
                "null",
                is_flag=True,
                help="Paths only, each ended by a zero byte: for xargs -0.",
            )(command)
        return click.option(
            "--format",
            "format_",
            type=click.Choice(names),
            default=names[0],
            show_default=True,
            help="How the results are written.",
        )(command)

    return add


def chosen_format(format_: str, null: bool) -> str:
    """The format, where -0 alone already means paths."""
    if null and format_ not in ("table", "paths"):
        raise click.UsageError(f"-0 writes paths: leave out --format {format_}")
    return "paths" if null else format_
