"""Parse what follows "onnx:" and "clip:": a preset, a folder, or a repository on the hub."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.errors import UnknownExtractor, UsageError
from lookalike.models.cache_dirs import models_folder
from lookalike.models.fetch import Progress, fetch_files
from lookalike.models.files import FileSpec, ModelFiles, open_folder
from lookalike.models.presets import MODELS, Model

VARIANTS = ("fp16", "quantized", "int8", "uint8", "q8", "q4", "q4f16", "bnb4")
"""Suffixes of reduced graphs that exports have beside the full one (model_fp16.onnx …)."""

TOKENIZER_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json")

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_NAME = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model requested by name.

    name              canonical name of the extractor; loading it gives the same model
    record            for presets
    folder            for folders of the user's own
    source, revision  repository on the hub
    variant           "" for the full graph
    crop              whether to crop the margin that the model's own file crops
    """

    name: str
    record: Model | None = None
    folder: Path | None = None
    source: str = ""
    revision: str | None = None
    variant: str = ""
    crop: bool = False

    def graph(self, stem: str) -> str:
        """Return the path of a graph within the model, such as "onnx/vision_model_fp16.onnx"."""
        if self.record is not None and self.record.file is not None:
            return self.record.file
        return f"onnx/{stem}{'_' if self.variant else ''}{self.variant}.onnx"

    def image_files(self, family: str) -> FileSpec:
        """Return the files needed to embed images."""
        settings = ("config.json", "preprocessor_config.json")
        if family == "clip":
            return FileSpec(settings, ((self.graph("vision_model"),), (self.graph("model"),)))
        prepared = self.record is not None and self.record.processor is not None
        graph = self.graph("model")
        required = (graph,) if prepared else ("config.json", graph)
        return FileSpec(required, optional=settings)

    def text_files(self, *, joint: bool) -> FileSpec:
        """Return the files needed to embed text; `joint`: one graph has both encoders."""
        graph = self.graph("model" if joint else "text_model")
        return FileSpec(("config.json", graph, "tokenizer.json"), optional=TOKENIZER_SETTINGS)

    def fetch(
        self, files: FileSpec, *, models: Path | None = None, progress: Progress | None = None
    ) -> ModelFiles:
        """Return the files, checked; download them first if needed."""
        if self.folder is not None:
            return open_folder(self.folder, files)
        return fetch_files(
            self.source,
            files,
            revision=self.revision,
            sha256=self.record.sha256 if self.record is not None else None,
            folder=models,
            progress=progress,
        )


def parse_spec(family: str, text: str, *, models: Path | None = None) -> ModelSpec:
    """Parse what follows "family:": PRESET, FOLDER or OWNER/NAME[@REVISION], [:VARIANT], [:crop].

    An existing folder takes precedence over a repository of the same name. Raises UsageError with a
    remedy.
    """
    rest = text.removesuffix(":crop")
    place, variant = _split_variant(rest)
    crop = rest != text
    suffix = f"{':' if variant else ''}{variant}{':crop' if crop else ''}"
    record = MODELS.get(f"{family}:{place}")
    if record is not None:
        if variant and record.file is not None:
            raise UsageError(f"{record.name} has only one graph, no {variant}")
        return ModelSpec(
            record.name + suffix, record, None, record.source, record.revision, variant, crop
        )
    folder = Path(place).expanduser()
    if folder.is_dir():
        found = folder.resolve()
        name = f"{family}:{found.as_posix()}{suffix}"
        return ModelSpec(name, None, found, variant=variant, crop=crop)
    source, _, revision = place.partition("@")
    if _REPOSITORY.fullmatch(source):
        return ModelSpec(f"{family}:{place}{suffix}", None, None, source, revision or None, variant)
    if not _NAME.fullmatch(place.replace("-", "_").replace(".", "_")):
        # A library moved from another machine names a folder of that machine.
        moved = models_folder(models) / folder.name
        if moved.is_dir():
            name = f"{family}:{folder.as_posix()}{suffix}"
            return ModelSpec(name, None, moved, variant=variant, crop=crop)
        raise UsageError(f"there is no folder {folder}, nor {moved}")
    known = ", ".join(name for name in MODELS if name.startswith(f"{family}:"))
    raise UnknownExtractor(
        f"no model {family}:{place}; known are {known}, {family}:FOLDER and {family}:OWNER/NAME"
    )


def read_json(files: ModelFiles, name: str) -> Mapping[str, Any]:
    """Return a JSON file of the model as a dict, empty if missing. Raises UsageError naming the file."""
    if not files.has(name):
        return {}
    path = files.path(name)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read as JSON ({error})") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path} does not contain a JSON object")
    return found


def _split_variant(text: str) -> tuple[str, str]:
    head, colon, tail = text.rpartition(":")
    if not colon or not _NAME.fullmatch(tail) or len(head) < 2:
        return text, ""
    if tail not in VARIANTS:
        raise UsageError(f"there is no variant {tail}; known are {', '.join(VARIANTS)}")
    return head, tail
