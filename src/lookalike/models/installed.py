"""List the known models on this machine, and fetch models in advance."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lookalike.errors import UnknownExtractor
from lookalike.models.fetch import Progress, find_cached
from lookalike.models.presets import MODELS, Model
from lookalike.models.spec import ModelSpec, parse_spec

_SUFFIX = re.compile(r"(\+regions|\+pca\d+)+$")
"""Wrappers that may follow the model in an extractor's name."""


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A known model and which of its parts are on this machine.

    images, text  whether image and text vectors can be computed without a network
    folder        that contains the files; None if they are not here
    """

    model: Model
    images: bool
    text: bool
    folder: Path | None = None


def installed_models(models: Path | None = None) -> list[InstalledModel]:
    """Return every model with a short name and its state. Downloads and loads nothing."""
    return [_inspect(model, models) for model in MODELS.values()]


def fetch_model(name: str, *, models: Path | None = None, progress: Progress | None = None) -> Path:
    """Download a complete model, with its text encoder, and return its folder.

    Use it to prepare a machine that has no network. `name` is an extractor's: "onnx:resnet18",
    "clip:OWNER/NAME:fp16". Raises UnknownExtractor for families without files here, and the errors
    of `fetch_files`.
    """
    family, _, text = name.partition(":")
    if family not in {"onnx", "clip"} or not text:
        raise UnknownExtractor(
            f"{name} is not a model that can be fetched; known are {', '.join(MODELS)}"
        )
    spec = parse_spec(family, text, models=models)
    files = spec.fetch(spec.image_files(family), models=models, progress=progress)
    if family == "clip":
        joint = not files.has(spec.graph("vision_model"))
        spec.fetch(spec.text_files(joint=joint), models=models, progress=progress)
    return files.folder


def prefetch(
    names: Iterable[str], *, models: Path | None = None, progress: Progress | None = None
) -> None:
    """Download what the extractors of these names need for images, if it is not on this machine.

    Loading them would do the same, but later, when work has begun. Names of other extractors and
    names that loading will reject are skipped.
    """
    for name in names:
        family, _, text = _SUFFIX.sub("", name).partition(":")
        if family in {"onnx", "clip"} and text:
            with suppress(UnknownExtractor):
                spec = parse_spec(family, text, models=models)
                spec.fetch(spec.image_files(family), models=models, progress=progress)


def _inspect(model: Model, models: Path | None) -> InstalledModel:
    family, _, text = model.name.partition(":")
    spec = parse_spec(family, text, models=models)
    found = find_cached(
        spec.source, spec.image_files(family), revision=spec.revision, folder=models
    )
    has_text = model.text and _has_text(spec, models)
    return InstalledModel(model, found is not None, has_text, found.folder if found else None)


def _has_text(spec: ModelSpec, models: Path | None) -> bool:
    return any(
        find_cached(
            spec.source, spec.text_files(joint=joint), revision=spec.revision, folder=models
        )
        for joint in (False, True)
    )
