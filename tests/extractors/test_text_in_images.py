"""Words are read in images, however they are turned and however long the image is."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from lookalike.extractors.interface import ImageText
from lookalike.extractors.text_in_images import TextInImages
from lookalike.images.pixel_spec import Pixels

FONT = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def drawn(
    text: str, *, turned: int = 0, size: tuple[int, int] = (420, 240), at: int = 100
) -> Pixels:
    image = Image.new("RGB", size, "white")
    font = ImageFont.truetype(str(FONT), 22)
    ImageDraw.Draw(image).text((20, at), text, font=font, fill="black")
    return np.asarray(image.rotate(turned, expand=True))


def test_text_is_read_as_it_stands_turned_and_at_the_end_of_a_long_image() -> None:
    pytest.importorskip("rapidocr_onnxruntime")
    reader = TextInImages()
    plain = reader.read(drawn("Warranty 4711"))
    assert (plain.text.replace(" ", ""), plain.outcome) == ("Warranty4711", "read")
    assert plain.confidence is not None and 0.8 < plain.confidence <= 1
    assert "Warranty" in reader.read(drawn("Warranty card", turned=90)).text
    # Two parts, of which the second is wider than high, hold the line.
    assert reader.read(drawn("Receipt", size=(740, 3100), at=2500)).text == "Receipt"
    assert reader.read(drawn("")) == ImageText(outcome="no text")


def test_the_same_text_has_the_same_vector_and_no_text_the_zero_vector() -> None:
    reader = TextInImages()
    texts = ["Total 12.50 EUR", "TOTAL: 12.50\neur", "a very different sentence", ""]
    vectors = reader.vectors([ImageText(text) for text in texts])
    assert vectors.shape == (4, reader.dim)
    products = vectors @ vectors.T
    assert products[0, 1] == pytest.approx(1) and products[0, 2] < 0.3
    assert not vectors[3].any()


def test_an_image_that_the_reader_fails_on_is_told_and_costs_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(_: Pixels) -> None:
        raise RuntimeError("no memory for the plan")

    monkeypatch.setattr(TextInImages, "_engine", lambda _: fails)
    read = TextInImages().read(drawn("x"))
    assert read == ImageText(outcome="failed: RuntimeError: no memory for the plan")
