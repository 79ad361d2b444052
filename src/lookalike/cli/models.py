"""`lookalike models`: list pretrained networks, show which are installed, and fetch one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lookalike.cli import format, output, parameters
from lookalike.cli.progress import download_progress

if TYPE_CHECKING:
    from lookalike.models import InstalledModel


@click.group("models", invoke_without_command=True)
@parameters.model_dir_option
@parameters.format_options("table", "json")
@click.pass_context
def command(ctx: click.Context, format_: str) -> None:
    """List the networks with a short name, and which of them are installed.

    Any other ONNX export works as well: onnx:FOLDER, onnx:OWNER/NAME.
    """
    if ctx.invoked_subcommand is not None:
        return
    from lookalike.models.files import models_folder
    from lookalike.models.spec import installed_models

    models = installed_models()
    if format_ == "json":
        folder = str(models_folder())
        document = {"model_dir": folder, "models": [_record(model) for model in models]}
        output.put(output.as_json(document))
        return
    _print_table(models)
    output.put()
    output.put(f"Downloads go to {output.printable(str(models_folder()))}")


@command.command("get")
@click.argument("name")
@parameters.model_dir_option
def get(name: str) -> None:
    """Download a model in advance, with its text encoder if it has one.

    NAME is one of `lookalike models`, or onnx:OWNER/NAME, clip:OWNER/NAME. An interrupted download is
    resumed, and every file is checked. Prints the folder, which can be copied to a machine without a
    network.
    """
    from lookalike.models import fetch_model

    with download_progress() as progress:
        folder = fetch_model(name, progress=progress)
    output.put(str(folder))


def _record(entry: InstalledModel) -> dict[str, Any]:
    """Return one model of --format json. The keys are stable."""
    model = entry.model
    return {
        "name": model.name,
        "source": model.source,
        "revision": model.revision,
        "licence": model.licence,
        "bytes": model.bytes,
        "dim": model.dim,
        "text": model.text,
        "preprocessing": model.preprocessing,
        "note": model.note,
        "installed": {"images": entry.images, "text": entry.text},
        "folder": None if entry.folder is None else str(entry.folder),
    }


def _print_table(models: list[InstalledModel]) -> None:
    rows = [
        (
            entry.model.name,
            "yes" if entry.model.text else "",
            format.number(entry.model.dim),
            format.size(entry.model.bytes),
            _installed(entry),
            entry.model.licence,
            entry.model.source + (f"@{entry.model.revision[:8]}" if entry.model.revision else ""),
        )
        for entry in models
    ]
    titles = ("model", "text", "dim", "download", "installed", "licence", "source")
    output.table(titles, rows, right="llrr", stretch=-1)


def _installed(entry: InstalledModel) -> str:
    if not entry.images:
        return "no"
    return "yes" if entry.text or not entry.model.text else "images"
