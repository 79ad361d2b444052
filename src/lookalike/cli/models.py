"""`lookalike models`: which networks there are, which of them are here, and fetching one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lookalike.cli import format, output, parameters
from lookalike.cli.fetch_progress import FetchLine

if TYPE_CHECKING:
    from lookalike.models import Stocked


@click.group("models", invoke_without_command=True)
@parameters.model_dir_option
@parameters.format_options("table", "json")
@click.pass_context
def command(ctx: click.Context, format_: str) -> None:
    """List the networks that have a short name, and what of them is on this machine.

    Any other ONNX export can be used as well: onnx:FOLDER, onnx:OWNER/NAME.
    """
    if ctx.invoked_subcommand is not None:
        return
    from lookalike.models.cache_dirs import models_folder
    from lookalike.models.installed import installed_models

    listed = installed_models()
    if format_ == "json":
        folder = str(models_folder())
        document = {"model_dir": folder, "models": [_record(entry) for entry in listed]}
        output.put(output.as_json(document))
        return
    _table(listed)
    output.put()
    output.put(f"Downloads go to {output.printable(str(models_folder()))}")


@command.command("get")
@click.argument("name")
@parameters.model_dir_option
def get(name: str) -> None:
    """Download a model ahead of its use, for words too where it knows them.

    NAME is one of `lookalike models`, or onnx:OWNER/NAME, clip:OWNER/NAME. What broke off goes on
    where it stopped; every file is checked. Prints the folder, which can be copied to a machine
    without a network.
    """
    from lookalike.models import fetch_model

    with FetchLine() as line:
        folder = fetch_model(name, progress=line)
    output.put(str(folder))


def _record(entry: Stocked) -> dict[str, Any]:
    """One model of --format json; the keys are a promise to scripts."""
    model = entry.model
    return {
        "name": model.name,
        "source": model.source,
        "revision": model.revision,
        "licence": model.licence,
        "bytes": model.bytes,
        "dim": model.dim,
        "words": model.words,
        "preprocessing": model.preprocessing,
        "note": model.note,
        "here": {"pictures": entry.pictures, "words": entry.words},
        "folder": None if entry.folder is None else str(entry.folder),
    }


def _table(listed: list[Stocked]) -> None:
    rows = [
        (
            entry.model.name,
            "yes" if entry.model.words else "",
            format.number(entry.model.dim),
            format.size(entry.model.bytes),
            _here(entry),
            entry.model.licence,
            entry.model.source + (f"@{entry.model.revision[:8]}" if entry.model.revision else ""),
        )
        for entry in listed
    ]
    titles = ("model", "words", "dim", "download", "here", "licence", "source")
    output.table(titles, rows, right="llrr", stretch=-1)


def _here(entry: Stocked) -> str:
    if not entry.pictures:
        return "no"
    return "yes" if entry.words or not entry.model.words else "pictures"
