"""Text in images is stored with the content, searched by parts of words, and told in the hits."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from lookalike import IndexOptions, Library
from lookalike.extractors.text_in_images import TextInImages
from lookalike.images.pixel_spec import Pixels

ONE = IndexOptions(workers=1)
TEXTS = {"red": "Grand TotalAmount 12.50", "lime": "beach party", "blue": ""}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the text of an image depend on its colour; return the texts that are read."""
    found: list[str] = []

    def engine(image: Pixels) -> tuple[list[tuple[list[list[float]], str, float]] | None, None]:
        _, green, red = image[5, 5].tolist()
        text = TEXTS["red" if red > 200 else "lime" if green > 200 else "blue"]
        found.append(text)
        box = [[5.0, 5.0], [9.0, 5.0], [9.0, 9.0], [5.0, 9.0]]
        return ([(box, text, 0.9)] if text else None), None

    def of(_: TextInImages) -> Callable[[Pixels], object]:
        return engine

    monkeypatch.setattr(TextInImages, "_engine", of)
    return found


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number, color in enumerate(TEXTS):
        Image.new("RGB", (64 + number, 64), color).save(tmp_path / f"{color}.png")
    (tmp_path / "lime.png.txt").write_text("an amount of fruit")
    return tmp_path


def test_words_in_images_are_found_by_their_parts_and_the_hits_say_so(
    photos: Path, reads: list[str]
) -> None:
    with Library.create(photos) as library:
        library.add(photos, extractors=["text", "histogram"], options=ONE)
        assert sorted(reads) == sorted(TEXTS.values())
        hits = library.search(text="beach")
        assert [(hit.path, hit.matched_in) for hit in hits] == [("lime.png", ("ocr_text",))]
        assert [hit.path for hit in library.search(text="amount")] == ["lime.png"]  # the caption
        read = library.search(text="amount", extractor="text")
        assert [hit.path for hit in read] == ["red.png"]
        assert read.ranked_by == "text in images"
        assert library.search(text="otalamoun", where="ocr_confidence > 0.8")[0].path == "red.png"
        assert [hit.path for hit in library.search(where="ocr_outcome = 'no text'")] == ["blue.png"]
        assert library.search(photos / "red.png", extractor="text", k=1)[0].path == "red.png"


def test_text_is_read_once_and_stays_with_the_content(photos: Path, reads: list[str]) -> None:
    with Library.create(photos) as library:
        library.add(photos, extractors=["text"], options=ONE)
        library.add(photos, extractors=["histogram"], options=ONE)  # reads the files again
        shutil.copy(photos / "red.png", photos / "copy.png")
        library.add(photos, options=ONE)
        assert len(reads) == 3
        hits = library.search(text="grand", extractor="text")
        assert sorted(hit.path for hit in hits) == ["copy.png", "red.png"]
        Image.new("RGB", (80, 64), "blue").save(photos / "red.png")
        library.add(photos, options=ONE)
        hits = library.search(text="grand", extractor="text")
        assert [hit.path for hit in hits] == ["copy.png"]


def test_a_word_in_an_image_does_not_hide_what_images_show(photos: Path, reads: list[str]) -> None:
    with Library.create(photos) as library:
        library.add(photos, extractors=["lookalike", "text"], options=ONE)
        assert "captions" not in library.search(text="beach").ranked_by
        assert library.search(text="fruit").ranked_by == "captions"
