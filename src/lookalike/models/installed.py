"""Which of the known models are on this machine, and fetching one ahead of its use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lookalike.errors import UnknownExtractor
from lookalike.models.fetch import Progress, cached
from lookalike.models.presets import MODELS
from lookalike.models.record import Model
from lookalike.models.spec import ModelSpec, parse_spec


@dataclass(frozen=True, slots=True)
class Stocked:
    """A known model. `pictures` and `words`: what of it works without a network; `folder`: where it
    lies, None where it is not here."""

    model: Model
    pictures: bool
    words: bool
    folder: Path | None = None


def installed_models(models: Path | None = None) -> list[Stocked]:
    """Every model with a short name, and whether it is here. Nothing is downloaded or loaded."""
    return [_look(model, models) for model in MODELS.values()]


def fetch_model(name: str, *, models: Path | None = None, progress: Progress | None = None) -> Path:
    """Downloads all of a model, words too, for a machine that will have no network; returns the
    folder to copy. `name` as for an extractor: "onnx:resnet18", "clip:OWNER/NAME:fp16".

    Raises UnknownExtractor for families that keep no files here, UsageError as `fetch_files` does.
    """
    family, _, text = name.partition(":")
    if family not in {"onnx", "clip"} or not text:
        raise UnknownExtractor(f"{name} is no model to fetch; known are {', '.join(MODELS)}")
    spec = parse_spec(family, text, models=models)
    files = spec.fetch(spec.picture_files(family), models=models, progress=progress)
    if family == "clip":
        joint = not files.has(spec.graph("vision_model"))
        spec.fetch(spec.word_files(joint=joint), models=models, progress=progress)
    return files.folder


def _look(model: Model, models: Path | None) -> Stocked:
    family, _, text = model.name.partition(":")
    spec = parse_spec(family, text, models=models)
    here = cached(spec.source, spec.picture_files(family), revision=spec.revision, folder=models)
    words = model.words and _has_words(spec, models)
    return Stocked(model, here is not None, words, here.folder if here is not None else None)


_ENDING = re.compile(r"(\+regions|\+pca\d+)+$")
"""What follows the model in an extractor's name."""


def fetch_ahead(
    names: Iterable[str], *, models: Path | None = None, progress: Progress | None = None
) -> None:
    """Downloads what the extractors of these names need for pictures, where it is not here: the same
    that loading them would do, but before anything else has begun. Names of other extractors, and
    those that loading will refuse, are passed over."""
    for name in names:
        family, _, text = _ENDING.sub("", name).partition(":")
        if family in {"onnx", "clip"} and text:
            with suppress(UnknownExtractor):
                spec = parse_spec(family, text, models=models)
                spec.fetch(spec.picture_files(family), models=models, progress=progress)


def _has_words(spec: ModelSpec, models: Path | None) -> bool:
    return any(
        cached(spec.source, spec.word_files(joint=joint), revision=spec.revision, folder=models)
        for joint in (False, True)
    )
