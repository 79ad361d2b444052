"""Tests of the work on one file, without worker processes."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.errors import ImageError, MissingExtra, Outcome
from lookalike.extractors import load
from lookalike.extractors.extraction import Extraction, ExtractionResult, Task, extract_each
from lookalike.extractors.interface import Extractor, RunsIn, Vectors, space_key
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.vectors.similarity import Similarity
from lookalike.workers.limits import Failure, Limits

Made = Callable[[], Extractor]

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def stripes(*colours: tuple[int, int, int], width: int = 40, height: int = 60) -> Pixels:
    """Return vertical stripes of colour."""
    return np.repeat(np.array([colours], np.uint8).repeat(height, axis=0), width, axis=1)


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=0)
    return file.getvalue()


@pytest.mark.parametrize(
    ("pixels", "color"),
    [
        (stripes(RED), "#ff0000"),
        (stripes(RED, BLUE, BLUE), "#0000ff"),
        (stripes(GREEN, RED, width=1, height=1), "#00ff00"),
        # The mean of what is alike, not of everything.
        (stripes((10, 10, 10), (20, 20, 20), (255, 255, 255), width=400, height=400), "#0f0f0f"),
        (stripes(BLUE, width=9000, height=1), "#0000ff"),
    ],
)
def test_the_dominant_color_is_that_of_most_pixels(pixels: Pixels, color: str) -> None:
    result = Extraction.of([load("color")])(Task(data=png(pixels)))
    assert result.facts is not None and result.facts.dominant_color == color


class Fragile:
    """Returns three numbers, but fails on images with a certain first pixel."""

    name, revision, dim = "fragile", "1", 3
    similarity: Similarity = "cosine"
    pixels = PixelSpec()
    runs_in: RunsIn = "worker"

    def __init__(self, fail: Callable[[], Vectors]) -> None:
        self.fail = fail
        self.calls = 0

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        self.calls += 1
        if any(tuple(image[0, 0]) == RED for image in images):
            return self.fail()
        return np.ones((len(images), 3), np.float32)


def dividing() -> Vectors:
    raise ZeroDivisionError("by nothing\nsecond line")


def test_a_file_becomes_vectors_and_pixels_for_the_main_process(
    tmp_path: Path, toy_class: Made
) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(png(stripes(RED, GREEN)))
    worker, parent = load("histogram"), toy_class()
    loaded = Extraction.of([worker, parent])(Task(path=str(file)))
    assert (loaded.outcome, loaded.reason, loaded.known) == (Outcome.INDEXED, "", False)
    assert loaded.hash == hashlib.sha256(file.read_bytes()).digest()
    assert loaded.facts is not None
    assert (loaded.facts.width, loaded.facts.height, loaded.facts.format) == (80, 60, "png")
    assert loaded.vectors.keys() == {space_key(worker)}
    assert loaded.vectors[space_key(worker)].shape == (96,)
    (pixels,) = loaded.pixels.values()
    np.testing.assert_allclose(parent.extract([pixels]), [[0.5, 0.5, 0]])


def test_known_content_is_not_decoded(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(png(stripes(RED, GREEN))[:-4000])
    twin = hashlib.sha256(file.read_bytes()).digest()
    loaded = Extraction.of([load("color")])(Task(path=str(file), same_content=(b"0" * 32, twin)))
    assert loaded == ExtractionResult(twin, Outcome.INDEXED, known=True)
    assert Extraction.of([load("color")])(Task(path=str(file))).outcome is Outcome.TRUNCATED


def test_missing_and_broken_files_have_their_outcomes(tmp_path: Path) -> None:
    work = Extraction.of([load("color")])
    gone = work(Task(path=str(tmp_path / "gone.jpg")))
    assert (gone.outcome, gone.hash) == (Outcome.MISSING, None) and gone.reason
    broken = tmp_path / "broken.png"
    broken.write_bytes(png(stripes(RED, GREEN))[:-4000])
    loaded = work(Task(path=str(broken)))
    assert loaded.outcome is Outcome.TRUNCATED
    assert loaded.hash == hashlib.sha256(broken.read_bytes()).digest()
    assert not loaded.vectors


def test_the_pixel_limit_is_passed_on() -> None:
    work = Extraction.of([load("color")], limits=Limits(max_pixels=100))
    assert work(Task(data=png(stripes(RED, GREEN)))).outcome is Outcome.TOO_LARGE


def test_bytes_and_decoded_pixels_give_the_vectors_of_the_file(tmp_path: Path) -> None:
    pixels = stripes(RED, GREEN, BLUE)
    file = tmp_path / "a.png"
    file.write_bytes(png(pixels))
    work = Extraction.of([load("color")])
    tasks = [Task(path=str(file)), Task(data=file.read_bytes()), Task(pixels=pixels)]
    vectors = [next(iter(work(task).vectors.values())) for task in tasks]
    np.testing.assert_array_equal(vectors[0], vectors[1])
    np.testing.assert_array_equal(vectors[0], vectors[2])


def test_decoded_pixels_beyond_3_to_1_are_cropped_like_files(toy_class: Made) -> None:
    long = stripes(RED, GREEN, GREEN, GREEN, BLUE, width=60, height=60)
    work = Extraction.of([toy_class()])
    for task in (Task(pixels=long), Task(data=png(long))):
        (pixels,) = work(task).pixels.values()
        assert pixels.shape[1] == 3 * pixels.shape[0]
        assert (pixels[:, 1:-1] == GREEN).all()


@pytest.mark.parametrize(
    "pixels", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3)), np.zeros((0, 5, 3), np.uint8)]
)
def test_pixels_of_another_kind_are_refused(pixels: Pixels) -> None:
    loaded = Extraction.of([load("color")])(Task(pixels=pixels))
    assert loaded.outcome is Outcome.UNREADABLE and "uint8" in loaded.reason


def test_only_the_region_is_extracted(toy_class: Made) -> None:
    pixels = stripes(RED, GREEN, BLUE)
    work = Extraction.of([toy_class()])
    for task in (
        Task(pixels=pixels, region=(40, 10, 40, 20)),
        Task(data=png(pixels), region=(40, 10, 40, 20)),
    ):
        (part,) = work(task).pixels.values()
        assert part.shape == (20, 40, 3)
        assert (part == GREEN).all()


@pytest.mark.parametrize("region", [(-1, 0, 5, 5), (0, 0, 0, 5), (100, 0, 21, 5), (0, 56, 5, 5)])
def test_a_region_outside_the_image_is_refused(region: tuple[int, int, int, int]) -> None:
    loaded = Extraction.of([load("color")])(Task(pixels=stripes(RED, GREEN, BLUE), region=region))
    assert loaded.outcome is Outcome.UNREADABLE
    assert "does not lie inside its 120×60 pixels" in loaded.reason


def test_pixels_only_extracts_nothing() -> None:
    extractor = load("color")
    loaded = Extraction.of([extractor], pixels_only=True)(Task(pixels=stripes(RED)))
    assert not loaded.vectors and loaded.pixels.keys() == {space_key(extractor)}


def test_the_work_its_tasks_and_its_results_can_be_pickled() -> None:
    work = Extraction.of([load("color"), load("phash")])
    task = Task(data=png(stripes(RED, BLUE)), region=(0, 0, 50, 50))
    sent: ExtractionResult = pickle.loads(pickle.dumps(work))(pickle.loads(pickle.dumps(task)))
    again: ExtractionResult = pickle.loads(pickle.dumps(sent))
    for key, vector in work(task).vectors.items():
        np.testing.assert_array_equal(again.vectors[key], vector)


def test_a_failing_extractor_is_named_in_the_reason_of_the_image() -> None:
    loaded = Extraction.of([load("color"), Fragile(dividing)])(Task(pixels=stripes(RED)))
    assert loaded.outcome is Outcome.UNREADABLE
    assert (
        loaded.reason
        == "fragile fails on it: ZeroDivisionError: by nothing; use another --extractor for it"
    )
    assert not loaded.vectors


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.ones((1, 2), np.float32), r"it returned shape \(1, 2\), not \(1, 3\)"),
        (np.array([[1, np.nan, 0]], np.float32), "NaN"),
    ],
)
def test_vectors_of_a_wrong_shape_or_value_are_refused(given: Vectors, words: str) -> None:
    (made,) = extract_each(Fragile(lambda: given), [stripes(RED)])
    assert isinstance(made, ImageError)
    with pytest.raises(ImageError, match=words):
        raise made


def test_one_bad_image_does_not_affect_the_rest_of_the_batch() -> None:
    extractor = Fragile(dividing)
    made = extract_each(extractor, [stripes(GREEN), stripes(RED), stripes(BLUE)])
    assert [isinstance(vector, ImageError) for vector in made] == [False, True, False]
    assert extractor.calls == 4
    assert extract_each(extractor, []) == []


def test_errors_not_caused_by_an_image_are_raised() -> None:
    def missing() -> Vectors:
        raise MissingExtra("pip install 'lookalike[x]'")

    def full() -> Vectors:
        raise MemoryError

    with pytest.raises(MissingExtra):
        Extraction.of([Fragile(missing)])(Task(pixels=stripes(RED)))
    with pytest.raises(MemoryError):
        Extraction.of([Fragile(full)])(Task(pixels=stripes(RED)))


def test_a_lost_worker_gives_an_outcome() -> None:
    failed = ExtractionResult.failed(Failure(Outcome.TIMED_OUT, "took over 20 s"))
    assert failed == ExtractionResult(None, Outcome.TIMED_OUT, "took over 20 s")
