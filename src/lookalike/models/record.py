"""What is known of a pretrained model before anything of it is downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Model:
    """One pretrained model.

    name           what users type, e.g. "onnx:resnet18"
    source         repository on the hub, "owner/name"
    revision       commit the record was made for; None: not known when this table was written, so
                   the first download takes the newest commit and the cache keeps to it
    licence        of the weights, as the publisher states it
    bytes          size of the download, about
    dim            length of a vector
    preprocessing  in words, for people; the numbers come from the model's own file
    words          it also puts texts into the space of its vectors
    sha256         file → SHA-256 where known; the file is checked against it, whatever the hub says
    file           the graph, where it does not lie at onnx/model.onnx
    processor      stands for preprocessor_config.json where the repository has none
    scale, bias    what the model was trained to multiply a cosine by, and to add (a logit)
    note           what a user should know before choosing it
    """

    name: str
    source: str
    revision: str | None
    licence: str
    bytes: int
    dim: int
    preprocessing: str
    words: bool = False
    sha256: Mapping[str, str] = field(default_factory=dict)
    file: str | None = None
    processor: Mapping[str, Any] | None = None
    scale: float | None = None
    bias: float | None = None
    note: str = ""
