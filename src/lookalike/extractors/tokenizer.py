"""Tokenizer of CLIP and SigLIP models, from the tokenizer.json of their repository."""

from __future__ import annotations

import contextlib
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import MissingExtra, UsageError

_CLIP_CONTEXT = 77
_SIGLIP_CONTEXT = 64
# Tokenizers without a limit state int(1e30); the longest real context is far below this.
_MAX_CONTEXT = 4096
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class TextRules:
    """How a model's texts are normalised, padded and masked.

    context      tokens per row; shorter texts are padded, longer ones truncated (the end token stays)
    pad          padding token; None: the tokenizer's own, or id 0
    lower        convert to lower case first
    punctuation  False: remove it first (SigLIP's `canonicalize_text`)
    masked       False: the network reads the padding, too, as SigLIP was trained to
    end          token that every row ends in, appended if the tokenizer does not do it itself
    """

    context: int
    pad: str | None = None
    lower: bool = False
    punctuation: bool = True
    masked: bool = True
    end: str | None = None


def read_rules(
    config: Mapping[str, Any], tokenizer_config: Mapping[str, Any], special: Mapping[str, Any]
) -> TextRules:
    """Return the rules from config.json, tokenizer_config.json and special_tokens_map.json.

    SigLIP was trained on 64 tokens, always padded, in lower case, without punctuation; SigLIP 2 likewise,
    but with punctuation. Their `pad_token` matters because attention pooling reads the padding.
    """
    model = str(config.get("model_type", ""))
    siglip = (
        model.startswith("siglip")
        or "siglip" in str(tokenizer_config.get("processor_class", "")).lower()
    )
    # Both generations have the same model_type; SigLIP 2 uses Gemma's tokenizer.
    gemma = "gemma" in str(tokenizer_config.get("tokenizer_class", "")).lower()
    text = config.get("text_config") or {}
    context = _first_context(
        text.get("max_position_embeddings"),
        config.get("max_position_embeddings"),
        tokenizer_config.get("model_max_length"),
    ) or (_SIGLIP_CONTEXT if siglip else _CLIP_CONTEXT)
    settings = {**special, **tokenizer_config}
    return TextRules(
        context=context,
        pad=_token(settings.get("pad_token")),
        lower=siglip or bool(tokenizer_config.get("do_lower_case", False)),
        punctuation=not siglip or gemma or model == "siglip2",
        masked=not siglip,
        end=_token(settings.get("eos_token")) if settings.get("add_eos_token") else None,
    )


class Tokenizer:
    """A tokenizer.json with the rules of one model."""

    def __init__(self, path: Path, rules: TextRules) -> None:
        tokenizers = _import_tokenizers()
        try:
            self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # its exceptions have no common class
            raise UsageError(f"{path} is not a tokenizer ({error})") from None
        self.rules = rules
        token = rules.pad or (self._tokenizer.padding or {}).get("pad_token")
        pad = self._tokenizer.token_to_id(token) if token else None
        # The padding configured in the file would pad to the longest text only.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(rules.context)
        self._pad = 0 if pad is None else int(pad)
        self._end: int | None = self._tokenizer.token_to_id(rules.end) if rules.end else None

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return token ids and mask, both (n, context) int64; the mask is 0 on the padding."""
        rows = self._tokenizer.encode_batch([self._clean(text) for text in texts])
        token_ids = np.full((len(texts), self.rules.context), self._pad, np.int64)
        mask = np.zeros_like(token_ids)
        for row, encoded in enumerate(rows):
            ids = list(encoded.ids)
            if self._end is not None and ids[-1:] != [self._end]:
                ids = [*ids[: self.rules.context - 1], self._end]
            token_ids[row, : len(ids)] = ids
            mask[row, : len(ids) if self.rules.masked else None] = 1
        return token_ids, mask

    def _clean(self, text: str) -> str:
        if self.rules.lower:
            text = text.lower()
        if not self.rules.punctuation:
            text = text.translate(_PUNCTUATION)
        return " ".join(text.split())


def _token(setting: Any) -> str | None:
    """Return a token, which is written as a string or as an object that contains it."""
    if isinstance(setting, Mapping):
        setting = setting.get("content")
    return None if setting is None else str(setting)


def _first_context(*candidates: Any) -> int | None:
    return next((n for n in candidates if isinstance(n, int) and 0 < n <= _MAX_CONTEXT), None)


def _import_tokenizers() -> Any:
    with contextlib.suppress(ImportError):
        import tokenizers

        return tokenizers
    raise MissingExtra("text queries need a tokenizer: pip install 'lookalike[clip]'")
