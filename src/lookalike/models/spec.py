"""Models by name: parse what follows "onnx:" and "clip:", fetch models, and list those installed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lookalike.errors import UnknownExtractor, UsageError
from lookalike.models.fetch import Progress, fetch_files, find_cached
from lookalike.models.files import FileSpec, ModelFiles, models_folder, open_folder
from lookalike.models.presets import MODELS, Model

VARIANTS = ("fp16", "quantized", "int8", "uint8", "q8", "q4", "q4f16", "bnb4")
"""Suffixes of reduced graphs that exports have beside the full one (model_fp16.onnx …)."""

TOKENIZER_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json")

LABELS_FILE = "labels.txt"
"""File with the name of a class a line, for classifiers whose config.json has none."""

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_NAME = re.compile(r"[A-Za-z0-9_]+")

_SUFFIX = re.compile(r"(\+regions|\+pca\d+)+$")
"""Wrappers that may follow the model in an extractor's name."""


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
        folder = (self.record.folder if self.record is not None else "") or "onnx"
        return f"{folder}/{stem}{'_' if self.variant else ''}{self.variant}.onnx"

    def setting(self, name: str) -> str:
        """Return the path of config.json or preprocessor_config.json within the model."""
        folder = self.record.folder if self.record is not None else ""
        return f"{folder}/{name}" if folder else name

    def image_files(self, family: str) -> FileSpec:
        """Return the files needed to embed images."""
        settings = (self.setting("config.json"), self.setting("preprocessor_config.json"))
        if family == "clip":
            return FileSpec(settings, ((self.graph("vision_model"),), (self.graph("model"),)))
        prepared = self.record is not None and self.record.processor is not None
        graph = self.graph("model")
        required = (graph,) if prepared else ("config.json", graph)
        return FileSpec(required, optional=(*settings, LABELS_FILE))

    def text_files(self, *, joint: bool) -> FileSpec:
        """Return the files needed to embed text; `joint`: one graph has both encoders."""
        graph = self.graph("model" if joint else "text_model")
        required = (self.setting("config.json"), graph, "tokenizer.json")
        return FileSpec(required, optional=TOKENIZER_SETTINGS)

    def fetch(self, files: FileSpec, *, progress: Progress | None = None) -> ModelFiles:
        """Return the files, checked; download them first if needed."""
        if self.folder is not None:
            return open_folder(self.folder, files)
        return fetch_files(
            self.source,
            files,
            revision=self.revision,
            sha256=self.record.sha256 if self.record is not None else None,
            progress=progress,
        )


def parse_spec(family: str, text: str) -> ModelSpec:
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
        moved = models_folder() / folder.name
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


def installed_models() -> list[InstalledModel]:
    """Return every model with a short name and its state. Downloads and loads nothing."""
    return [_inspect(model) for model in MODELS.values()]


def fetch_model(name: str, *, progress: Progress | None = None) -> Path:
    """Download a complete model, with its text encoder, and return its folder.

    Use it to prepare a machine that has no network. `name` is an extractor's: "onnx:resnet18",
    "clip:OWNER/NAME:fp16". Raises UnknownExtractor for families without files here, and the errors
    of `fetch_files`.
    """
    family, _, text = name.partition(":")
    if family not in {"onnx", "clip"} or not text:
        known = ", ".join(known for known, model in MODELS.items() if not model.package)
        raise UnknownExtractor(f"{name} is not a model that can be fetched; known are {known}")
    spec = parse_spec(family, text)
    files = spec.fetch(spec.image_files(family), progress=progress)
    if family == "clip":
        joint = not files.has(spec.graph("vision_model"))
        spec.fetch(spec.text_files(joint=joint), progress=progress)
    return files.folder


def prefetch(names: Iterable[str], *, progress: Progress | None = None) -> None:
    """Download what the extractors of these names need for images, if it is not on this machine.

    Loading them would do the same, but later, when work has begun. Names of other extractors and
    names that loading will reject are skipped.
    """
    for name in names:
        family, _, text = _SUFFIX.sub("", name).partition(":")
        if family in {"onnx", "clip"} and text:
            with suppress(UnknownExtractor):
                spec = parse_spec(family, text)
                spec.fetch(spec.image_files(family), progress=progress)


def _inspect(model: Model) -> InstalledModel:
    if model.package:
        folder = models_folder() / model.name
        written = (folder / "onnx/model.onnx").is_file()
        available = written or find_spec(model.package.replace("-", "_")) is not None
        return InstalledModel(model, available, False, folder if written else None)
    family, _, text = model.name.partition(":")
    spec = parse_spec(family, text)
    found = find_cached(spec.source, spec.image_files(family), revision=spec.revision)
    has_text = model.text and _has_text(spec)
    return InstalledModel(model, found is not None, has_text, found.folder if found else None)


def _has_text(spec: ModelSpec) -> bool:
    return any(
        find_cached(spec.source, spec.text_files(joint=joint), revision=spec.revision)
        for joint in (False, True)
    )
