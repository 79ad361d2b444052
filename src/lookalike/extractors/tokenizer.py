"""Words → numbers for the text side of CLIP and SigLIP, by the repository's own tokenizer.json."""

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
# Tokenizers without a limit carry int(1e30) here; the longest real context is far below.
_LONGEST = 4096
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class TextRules:
    """What a model's texts go through before and after the tokenizer.

    context      tokens in a row; shorter texts are padded, longer ones cut (the end token stays)
    pad          the token that fills up; None: the tokenizer's own, else the number 0
    lower        lower case first
    punctuation  False: it is taken out first (SigLIP's `canonicalize_text`)
    masked       False: the network reads the filling too, as SigLIP was trained to
    end          a token that every row ends in, put there if the tokenizer does not do it itself
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
    """From config.json, tokenizer_config.json and special_tokens_map.json.

    SigLIP was trained on 64 tokens, always filled up, lower-cased, without punctuation; SigLIP 2 as
    that, but with punctuation. Their `pad_token` matters: its attention pooling reads the filling.
    """
    model = str(config.get("model_type", ""))
    siglip = (
        model.startswith("siglip")
        or "siglip" in str(tokenizer_config.get("processor_class", "")).lower()
    )
    # The same model_type stands for both generations; SigLIP 2 reads with Gemma's tokenizer.
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
    """A tokenizer.json, ready for one model."""

    def __init__(self, path: Path, rules: TextRules) -> None:
        tokenizers = _import_tokenizers()
        try:
            self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # its exceptions have no common class
            raise UsageError(f"{path} is no tokenizer ({error})") from None
        self.rules = rules
        token = rules.pad or (self._tokenizer.padding or {}).get("pad_token")
        number = self._tokenizer.token_to_id(token) if token else None
        # The padding that the file itself asks for would fill up to the longest text only.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(rules.context)
        self._pad = 0 if number is None else int(number)
        self._end: int | None = self._tokenizer.token_to_id(rules.end) if rules.end else None

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Texts → token numbers and mask, both (n, context); the mask is 0 on the filling."""
        rows = self._tokenizer.encode_batch([self._clean(text) for text in texts])
        numbers = np.full((len(texts), self.rules.context), self._pad, np.int64)
        mask = np.zeros_like(numbers)
        for row, encoded in enumerate(rows):
            ids = list(encoded.ids)
            if self._end is not None and ids[-1:] != [self._end]:
                ids = [*ids[: self.rules.context - 1], self._end]
            numbers[row, : len(ids)] = ids
            mask[row, : len(ids) if self.rules.masked else None] = 1
        return numbers, mask

    def _clean(self, text: str) -> str:
        if self.rules.lower:
            text = text.lower()
        if not self.rules.punctuation:
            text = text.translate(_PUNCTUATION)
        return " ".join(text.split())


def _token(described: Any) -> str | None:
    """A token is written as a word, or as an object that holds it."""
    if isinstance(described, Mapping):
        described = described.get("content")
    return None if described is None else str(described)


def _first_context(*candidates: Any) -> int | None:
    return next((n for n in candidates if isinstance(n, int) and 0 < n <= _LONGEST), None)


def _import_tokenizers() -> Any:
    with contextlib.suppress(ImportError):
        import tokenizers

        return tokenizers
    raise MissingExtra("words need a tokenizer: pip install 'lookalike[clip]'")
