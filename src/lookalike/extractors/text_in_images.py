"""Text in images: reads the words of screenshots, receipts and signs (OCR) with RapidOCR.

The words become metadata of the image (`ocr_text`), so that text queries find them. The vector counts the
groups of three letters in them: images with the same text are near.

Du et al., PP-OCR: A Practical Ultra Lightweight OCR System, 2020; Weinberger et al., Feature Hashing for
Large Scale Multitask Learning, 2009.
"""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from lookalike.cpu import physical_cores
from lookalike.errors import MissingExtra, raise_interrupt
from lookalike.extractors.interface import ImageText, RunsIn, Vectors
from lookalike.extractors.runtime import import_runtime
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.vectors.similarity import Similarity, normalise

DIM = 512
MIN_SIDE = 1080
"""Pixels of the shorter side that large JPEGs are scaled down to while they are decoded."""

MAX_SHORT, MAX_LONG, OVERLAP = 1600, 2600, 120
"""Largest part that is read at once, in pixels, and how far parts of a longer image overlap."""

MIN_CONFIDENCE = 0.5
MAX_TEXT = 20_000
"""Least probability of a line that is kept, and characters of an image's text."""


class TextInImages:
    """Reads text with RapidOCR; one set of networks a thread, which are loaded when they are first used."""

    name = "text"
    revision = "1"
    dim = DIM
    similarity: Similarity = "cosine"
    pixels = PixelSpec(fit="any", min_side=MIN_SIDE, whole=True)
    runs_in: RunsIn = "main"

    def __init__(self) -> None:
        self._engines = threading.local()

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Return (n, 512) float32 of unit length; zero for an image without text."""
        return self.vectors([self.read(image) for image in images])

    def read(self, image: Pixels) -> ImageText:
        """Return the text of an image (height, width, 3), line by line from top to bottom."""
        engine = self._engine()
        try:
            lines = [line for part in _parts(image) for line in _read_part(engine, *part)]
        except (
            Exception
        ) as error:  # what one image does to RapidOCR must not cost its other vectors
            raise_interrupt(error)
            return ImageText(outcome=f"failed: {type(error).__name__}: {error}"[:200])
        if not lines:
            return ImageText(outcome="no text")
        text = "\n".join(line for line, _ in lines)[:MAX_TEXT]
        letters = [len(line) for line, _ in lines]
        confidence = float(np.average([score for _, score in lines], weights=letters))
        return ImageText(text, round(confidence, 3), "read")

    def vectors(self, texts: Sequence[ImageText]) -> Vectors:
        """Return the vectors of texts: square roots of the counts of hashed groups of three letters."""
        found = np.zeros((len(texts), DIM), np.float32)
        for row, one in zip(found, texts, strict=True):
            for word in re.findall(r"\w+", one.text.casefold()):
                padded = f" {word} "
                for at in range(len(padded) - 2):
                    row[zlib.crc32(padded[at : at + 3].encode()) % DIM] += 1
        return normalise(np.sqrt(found))

    def concurrency(self) -> tuple[int, int]:
        """See `ConcurrentExtractor`: networks run on one thread each, as all of this program."""
        return physical_cores(), 1

    def _engine(self) -> Any:
        if not hasattr(self._engines, "engine"):
            self._engines.engine = _load_engine()
        return self._engines.engine


def _load_engine() -> Any:
    """Return RapidOCR on one thread, which reads an image in three quarters of the time of its defaults:
    the networks keep their memory (else each layer allocates its own), and lines are read one by one (in
    batches they are padded, and leave the processor's caches)."""
    runtime = import_runtime()
    try:
        from rapidocr_onnxruntime import RapidOCR
        from rapidocr_onnxruntime.utils.infer_engine import OrtInferSession
    except ImportError as error:
        raise_interrupt(error)
        raise MissingExtra(
            "reading text in images needs RapidOCR: pip install 'lookalike[text]'"
        ) from None

    OrtInferSession._init_sess_opts = staticmethod(_session_options)
    engine = RapidOCR(
        max_side_len=MAX_LONG,
        text_score=MIN_CONFIDENCE,
        rec_batch_num=1,
    )
    # Finding the lines takes hundreds of MB, which are given back after each image.
    release = runtime.RunOptions()
    release.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    finder = engine.text_det.infer.session
    finder.run = partial(finder.run, run_options=release)
    return engine


def _session_options(_: object) -> Any:
    options = import_runtime().SessionOptions()
    options.log_severity_level = 4  # its errors arrive as exceptions
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return options


def _parts(image: Pixels) -> Iterator[tuple[Pixels, bool, float, float]]:
    """Yield parts of an image, whether it is tall, and between which rows (else columns) lines count."""
    import cv2

    height, width = image.shape[:2]
    if (scale := MAX_SHORT / min(height, width)) < 1:
        size = round(width * scale), round(height * scale)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    tall = image.shape[0] >= image.shape[1]
    length = max(image.shape[:2])
    start = 0
    while True:
        end = min(start + MAX_LONG, length)
        part = image[start:end] if tall else image[:, start:end]
        low = OVERLAP / 2 if start else -1.0
        high = end - start - OVERLAP / 2 if end < length else length + 1.0
        yield part, tall, low, high
        if end == length:
            return
        start = end - OVERLAP


def _read_part(
    engine: Any, part: Pixels, tall: bool, low: float, high: float
) -> Iterator[tuple[str, float]]:
    """Yield the lines of a part with their probabilities."""
    found, _ = engine(np.ascontiguousarray(part[:, :, ::-1]))  # it takes BGR
    for box, text, score in found or ():
        centre = float(np.mean([point[1 if tall else 0] for point in box]))
        if text.strip() and low <= centre < high:
            yield text.strip(), float(score)
