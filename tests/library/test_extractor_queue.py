"""Extractors of the parent: several calls at a time where they say so, and images in order all the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.library.drawing import album
from tests.library.toys import means

from lookalike import Library
from lookalike.errors import ImageError, LookalikeError, Outcome
from lookalike.extractors import runtime
from lookalike.extractors.builtin import BuiltinExtractor
from lookalike.extractors.extraction import ExtractionResult
from lookalike.extractors.interface import Extractor, RunsIn, Vectors, concurrency_of
from lookalike.extractors.pca_extractor import PcaExtractor
from lookalike.extractors.regions import RegionExtractor
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.indexing import extractor_thread
from lookalike.indexing import indexer as indexing_run
from lookalike.indexing.extractor_thread import ExtractorQueue
from lookalike.vectors.similarity import Similarity


class Plain:
    """The mean colour; `during` is called with the images of every call."""

    dim = 3
    name = "plain"
    revision = "1"
    similarity: Similarity = "euclidean"
    pixels = PixelSpec(min_side=8)
    runs_in: RunsIn = "main"

    def __init__(self, during: Callable[[Sequence[Pixels]], None] = lambda images: None) -> None:
        self.calls: list[int] = []
        self._during = during

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        self.calls.append(len(images))
        self._during(images)
        return means(images)


class Several(Plain):
    name = "several"

    def concurrency(self) -> tuple[int, int]:
        return 2, 3


def random_images(count: int) -> list[ExtractionResult]:
    return [
        ExtractionResult(b"", Outcome.INDEXED, pixels={"x": np.full((8, 8, 3), i, np.uint8)})
        for i in range(count)
    ]


def run(
    extractor: Extractor, loads: Sequence[ExtractionResult]
) -> list[tuple[int, ExtractionResult]]:
    found: list[tuple[int, ExtractionResult]] = []
    work: ExtractorQueue[int] = ExtractorQueue({"x": extractor})
    try:
        for number, loaded in enumerate(loads):
            work.add(number, loaded)
            found += work.finished()
        found += work.rest()
    finally:
        work.close()
    return found


def reds(found: Sequence[tuple[int, ExtractionResult]]) -> list[int]:
    return [round(float(loaded.vectors["x"][0]) * 255) for _, loaded in found]


def test_images_are_returned_in_order_whichever_call_ends_first() -> None:
    def slow_at_first(images: Sequence[Pixels]) -> None:
        time.sleep(0.02 if images[0][0, 0, 0] % 2 else 0.0)

    found = run(Several(slow_at_first), random_images(20))
    assert [number for number, _ in found] == list(range(20))
    assert reds(found) == list(range(20))


def test_a_concurrent_extractor_is_called_by_several_threads_with_a_few_images() -> None:
    met = threading.Barrier(2, timeout=20)

    def meet(images: Sequence[Pixels]) -> None:
        met.wait()  # for another call, or this one fails

    extractor = Several(meet)
    assert reds(run(extractor, random_images(12))) == list(range(12))
    assert extractor.calls == [3] * 4


def test_any_other_extractor_is_called_by_the_indexing_thread_with_large_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A plug-in may hold what belongs to one thread, as a connection of sqlite3 does."""
    monkeypatch.setattr(extractor_thread, "BATCH", 8)
    here = threading.current_thread()
    called_by = []
    extractor = Plain(lambda images: called_by.append(threading.current_thread()))
    assert reds(run(extractor, random_images(20))) == list(range(20))
    assert extractor.calls == [8, 8, 4]
    assert set(called_by) == {here}


def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractor_thread, "MAX_WAITING", 2)
    held = threading.Event()

    def hold(images: Sequence[Pixels]) -> None:
        held.wait(20)

    work: ExtractorQueue[int] = ExtractorQueue({"x": Several(hold)})
    room = 2 + 2 * 3
    for number, loaded in enumerate(random_images(room)):
        work.add(number, loaded)
        assert not list(work.finished())
    threading.Timer(0.05, held.set).start()
    work.add(room, random_images(1)[0])
    assert list(work.finished())  # waited for one
    assert held.is_set()
    list(work.rest())
    work.close()


def test_extractors_for_different_images_do_not_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first image is the only one for `rare`, whose batch is never full."""
    monkeypatch.setattr(extractor_thread, "MAX_WAITING", 4)
    rare, common = Several(), Several()
    work: ExtractorQueue[int] = ExtractorQueue({"rare": rare, "common": common})
    pixels = np.full((8, 8, 3), 7, np.uint8)
    out = []
    for number in range(40):
        keys = ("rare", "common") if number == 0 else ("common",)
        work.add(number, ExtractionResult(b"", Outcome.INDEXED, pixels=dict.fromkeys(keys, pixels)))
        out += [number for number, _ in work.finished()]
    assert len(out) > 20
    out += [number for number, _ in work.rest()]
    work.close()
    assert out == list(range(40))
    assert sum(rare.calls) == 1 and sum(common.calls) == 40


def test_an_image_that_one_extractor_fails_on_has_no_vector_at_all() -> None:
    def refuse(images: Sequence[Pixels]) -> None:
        raise ImageError(Outcome.UNREADABLE, "never")

    for extractors in ({"a": Plain(refuse), "b": Several()}, {"a": Several(), "b": Plain(refuse)}):
        work: ExtractorQueue[int] = ExtractorQueue(extractors)
        pixels = dict.fromkeys("ab", np.zeros((8, 8, 3), np.uint8))
        loaded = work.extract_now(ExtractionResult(b"", Outcome.INDEXED, pixels=pixels))
        work.close()
        assert (loaded.outcome, loaded.reason, loaded.vectors) == (Outcome.UNREADABLE, "never", {})


def test_a_failing_image_affects_only_itself_and_one_without_pixels_keeps_its_place() -> None:
    def refuse(images: Sequence[Pixels]) -> None:
        if any(image[0, 0, 0] == 4 for image in images):
            raise ImageError(Outcome.UNREADABLE, "too red")

    loads = random_images(7)
    loads[2] = ExtractionResult(None, Outcome.TRUNCATED, "no end")
    found = [loaded for _, loaded in run(Several(refuse), loads)]
    assert [loaded.outcome for loaded in found] == [
        *[Outcome.INDEXED] * 2,
        Outcome.TRUNCATED,
        Outcome.INDEXED,
        Outcome.UNREADABLE,
        *[Outcome.INDEXED] * 2,
    ]
    assert found[4].reason == "too red" and not found[4].vectors


def test_one_image_can_be_extracted_ahead_of_the_queue() -> None:
    work: ExtractorQueue[int] = ExtractorQueue({"x": Plain()})
    work.add(0, random_images(1)[0])
    assert reds([(9, work.extract_now(random_images(10)[9]))]) == [9]
    assert reds(list(work.rest())) == [0]
    work.close()


def test_an_error_not_caused_by_an_image_ends_the_run_and_keeps_what_was_done(
    tmp_path: Path,
) -> None:
    turn, lock = iter(range(100)), threading.Lock()

    def fail_later(images: Sequence[Pixels]) -> None:
        with lock:
            number = next(turn)
        if number == 5:
            raise LookalikeError("the network is gone")

    photos = album(tmp_path / "photos", 40)
    with Library.create(photos) as library:
        with pytest.raises(LookalikeError, match="the network is gone"):
            library.add([photos], extractors=[Several(fail_later)])
        assert 0 < library.info().images < 40
        assert library.add([photos], extractors=[Several()]).new > 0
        assert library.info().images == 40


def test_images_finished_before_ctrl_c_are_stored(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", 40)

    def interrupted(images: Sequence[Pixels]) -> None:
        if len(extractor.calls) > 1:
            raise KeyboardInterrupt

    extractor = Plain(interrupted)
    with Library.create(photos) as library:
        with pytest.raises(KeyboardInterrupt):
            library.add([photos], extractors=[extractor])
        assert library.info().images == 32


def test_finished_images_in_the_queue_are_stored_on_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(work: ExtractorQueue[object]) -> Iterator[tuple[object, ExtractionResult]]:
        work._start()
        for waiting in work._waiting:
            waiting.result()
        raise KeyboardInterrupt

    monkeypatch.setattr(ExtractorQueue, "finished", lambda work: iter(()))
    monkeypatch.setattr(ExtractorQueue, "rest", interrupted)
    photos = album(tmp_path / "photos", 40)
    with Library.create(photos) as library:
        with pytest.raises(KeyboardInterrupt):
            library.add([photos], extractors=[Several()])
        assert library.info().images == 40


def test_a_file_whose_copy_changed_meanwhile_gets_its_own_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """z is what a was when it was told apart, but a is something else by the time z is stored."""
    monkeypatch.setattr(indexing_run, "BATCH", 1)
    photos = tmp_path / "photos"
    photos.mkdir()

    def paint(name: str, colour: tuple[int, int, int]) -> None:
        Image.new("RGB", (16, 16), colour).save(photos / name)  # BMP: all are of one size

    paint("a.bmp", (200, 0, 0))
    for extractor in (Plain(), Several()):
        with Library.create(photos, folder=tmp_path / extractor.name) as library:
            paint("a.bmp", (200, 0, 0))
            (photos / "z.bmp").unlink(missing_ok=True)
            library.add([photos], extractors=[extractor])
            paint("a.bmp", (0, 0, 100))
            paint("z.bmp", (200, 0, 0))
            library.add([photos], extractors=[extractor])
            with library.snapshot() as snapshot:
                key = f"{extractor.name}@1"
                ids = {
                    image.path: image.id
                    for image in snapshot.iter_files(outcomes=[Outcome.INDEXED])
                }
                order = np.array([ids["a.bmp"], ids["z.bmp"]], np.int64)
                vectors = snapshot.vectors(key, order) * 255
        np.testing.assert_allclose(vectors, [[0, 0, 100], [200, 0, 0]], atol=0.5)


def test_an_extractor_without_images_is_not_used() -> None:
    class Unwilling(Several):
        def concurrency(self) -> tuple[int, int]:
            raise AssertionError("this would load the network")

    loads = [ExtractionResult(None, Outcome.TRUNCATED, "no end")] * 3
    assert len(run(Unwilling(), loads)) == 3


def test_a_network_called_by_several_threads_runs_single_threaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime, "physical_cores", lambda: 3)
    network = BuiltinExtractor()
    seen = []
    streams = runtime.Session.streams

    def watched(session: runtime.Session) -> int:
        seen.append((threading.current_thread() is threading.main_thread(), streams(session)))
        return seen[-1][1]

    monkeypatch.setattr(runtime.Session, "streams", watched)
    pixels = np.zeros((network.pixels.height, network.pixels.width, 3), np.uint8)
    network.extract([pixels])
    run(network, [ExtractionResult(b"", Outcome.INDEXED, pixels={"x": pixels})] * 40)
    assert set(seen) == {(True, 3), (False, 1)}


def test_wrappers_have_the_concurrency_of_their_base() -> None:
    assert concurrency_of(Several()) == (2, 3)
    assert concurrency_of(PcaExtractor(Several(), 2)) == (2, 3)
    assert concurrency_of(Plain()) is None
    assert concurrency_of(PcaExtractor(Plain(), 2)) is None
    assert concurrency_of(RegionExtractor(Several())) == (2, 3)
    wrapper = Plain()
    vars(wrapper)["base"] = Several()  # of a plug-in, which has not said that it may be shared
    assert concurrency_of(wrapper) is None
