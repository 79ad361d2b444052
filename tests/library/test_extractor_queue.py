"""Extractors in the main process: concurrent calls, batches, order, errors and interruption."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.library.fake_extractors import means
from tests.library.image_builders import album

from lookalike import IndexOptions, Library
from lookalike.errors import ImageError, LookalikeError, Outcome
from lookalike.extractors import runtime
from lookalike.extractors.builtin import BuiltinExtractor
from lookalike.extractors.extraction import ExtractionResult
from lookalike.extractors.interface import Extractor, RunsIn, Vectors, concurrency_of
from lookalike.extractors.pca_extractor import PcaExtractor
from lookalike.extractors.regions import RegionExtractor
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.indexing import indexer as indexing_run
from lookalike.indexing.extractor_thread import ExtractorQueue
from lookalike.vectors.similarity import Similarity


class SerialExtractor:
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


class ThreadedExtractor(SerialExtractor):
    """The same, called by two threads with three images each."""

    name = "several"

    def concurrency(self) -> tuple[int, int]:
        return 2, 3


def loaded_images(count: int) -> list[ExtractionResult]:
    return [
        ExtractionResult(b"", Outcome.INDEXED, pixels={"x": np.full((8, 8, 3), i, np.uint8)})
        for i in range(count)
    ]


def queue(
    extractors: Mapping[str, Extractor], *, batch: int = 32, max_waiting: int = 64
) -> ExtractorQueue[int]:
    return ExtractorQueue(extractors, batch=batch, max_waiting=max_waiting)


def run(
    extractor: Extractor, loads: Sequence[ExtractionResult], *, batch: int = 32
) -> list[tuple[int, ExtractionResult]]:
    found: list[tuple[int, ExtractionResult]] = []
    work = queue({"x": extractor}, batch=batch)
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


def test_few_images_of_any_size_are_in_memory(tmp_path: Path) -> None:
    """Files deleted at the first call are missing but for those that were read before."""
    photos = album(tmp_path / "photos", 60)

    def delete_files(_: Sequence[Pixels]) -> None:
        for file in photos.rglob("*.jpg"):
            file.unlink()

    with Library.create(photos, folder=tmp_path / "library") as library:
        options = IndexOptions(workers=2)
        report = library.add([photos], extractors=[SerialExtractor(delete_files)], options=options)
    assert 8 <= report.new <= 16


def test_images_are_returned_in_order_whichever_call_ends_first() -> None:
    def slow_at_first(images: Sequence[Pixels]) -> None:
        time.sleep(0.02 if images[0][0, 0, 0] % 2 else 0.0)

    found = run(ThreadedExtractor(slow_at_first), loaded_images(20))
    assert [number for number, _ in found] == list(range(20))
    assert reds(found) == list(range(20))


def test_a_concurrent_extractor_is_called_by_several_threads_with_a_few_images() -> None:
    met = threading.Barrier(2, timeout=20)

    def meet(images: Sequence[Pixels]) -> None:
        met.wait()  # for another call, or this one fails

    extractor = ThreadedExtractor(meet)
    assert reds(run(extractor, loaded_images(12))) == list(range(12))
    assert extractor.calls == [3] * 4


def test_any_other_extractor_is_called_by_the_indexing_thread_with_large_batches() -> None:
    """A plug-in may hold objects bound to one thread, such as a connection of sqlite3."""
    here = threading.current_thread()
    called_by = []
    extractor = SerialExtractor(lambda images: called_by.append(threading.current_thread()))
    assert reds(run(extractor, loaded_images(20), batch=8)) == list(range(20))
    assert extractor.calls == [8, 8, 4]
    assert set(called_by) == {here}


def test_the_queue_is_bounded() -> None:
    held = threading.Event()

    def hold(images: Sequence[Pixels]) -> None:
        held.wait(20)

    work = queue({"x": ThreadedExtractor(hold)}, max_waiting=2)
    room = 2 + 2 * 3
    for number, loaded in enumerate(loaded_images(room)):
        work.add(number, loaded)
        assert not list(work.finished())
    threading.Timer(0.05, held.set).start()
    work.add(room, loaded_images(1)[0])
    assert list(work.finished())  # waited for one
    assert held.is_set()
    list(work.rest())
    work.close()


def test_extractors_for_different_images_do_not_wait_for_each_other() -> None:
    """The first image is the only one for `rare`, so its batch is never full."""
    rare, common = ThreadedExtractor(), ThreadedExtractor()
    work = queue({"rare": rare, "common": common}, max_waiting=4)
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

    for extractors in (
        {"a": SerialExtractor(refuse), "b": ThreadedExtractor()},
        {"a": ThreadedExtractor(), "b": SerialExtractor(refuse)},
    ):
        work = queue(extractors)
        pixels = dict.fromkeys("ab", np.zeros((8, 8, 3), np.uint8))
        loaded = work.extract_now(ExtractionResult(b"", Outcome.INDEXED, pixels=pixels))
        work.close()
        assert (loaded.outcome, loaded.reason, loaded.vectors) == (Outcome.UNREADABLE, "never", {})


def test_a_failing_image_affects_only_itself_and_one_without_pixels_keeps_its_place() -> None:
    def refuse(images: Sequence[Pixels]) -> None:
        if any(image[0, 0, 0] == 4 for image in images):
            raise ImageError(Outcome.UNREADABLE, "too red")

    loads = loaded_images(7)
    loads[2] = ExtractionResult(None, Outcome.TRUNCATED, "no end")
    found = [loaded for _, loaded in run(ThreadedExtractor(refuse), loads)]
    assert [loaded.outcome for loaded in found] == [
        *[Outcome.INDEXED] * 2,
        Outcome.TRUNCATED,
        Outcome.INDEXED,
        Outcome.UNREADABLE,
        *[Outcome.INDEXED] * 2,
    ]
    assert found[4].reason == "too red" and not found[4].vectors


def test_one_image_can_be_extracted_ahead_of_the_queue() -> None:
    work = queue({"x": SerialExtractor()})
    work.add(0, loaded_images(1)[0])
    assert reds([(9, work.extract_now(loaded_images(10)[9]))]) == [9]
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
            library.add([photos], extractors=[ThreadedExtractor(fail_later)])
        assert 0 < library.info().images < 40
        assert library.add([photos], extractors=[ThreadedExtractor()]).new > 0
        assert library.info().images == 40


def test_images_finished_before_ctrl_c_are_stored(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", 40)

    def interrupted(images: Sequence[Pixels]) -> None:
        if len(extractor.calls) > 1:
            raise KeyboardInterrupt

    extractor = SerialExtractor(interrupted)
    with Library.create(photos) as library:
        with pytest.raises(KeyboardInterrupt):
            library.add([photos], extractors=[extractor])
        assert library.info().images == 8


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs POSIX signals")
def test_finished_images_in_the_queue_are_stored_on_ctrl_c(tmp_path: Path) -> None:
    def interrupt_when_the_others_are_done(images: Sequence[Pixels]) -> None:
        if len(extractor.calls) == 1:  # the first images hold up all that follow them
            while len(extractor.calls) < 4:
                time.sleep(0.01)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    extractor = ThreadedExtractor(interrupt_when_the_others_are_done)
    photos = album(tmp_path / "photos", 4 * 3)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs
    try:
        with Library.create(photos) as library:
            with pytest.raises(KeyboardInterrupt):
                library.add([photos], extractors=[extractor])
            assert library.info().images == 4 * 3
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_file_whose_copy_changed_meanwhile_gets_its_own_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """z has the content that a had when it was hashed, but a has changed by the time z is stored."""
    monkeypatch.setattr(indexing_run, "BATCH", 1)
    photos = tmp_path / "photos"
    photos.mkdir()

    def paint(name: str, colour: tuple[int, int, int]) -> None:
        Image.new("RGB", (16, 16), colour).save(photos / name)  # BMP: all are of one size

    paint("a.bmp", (200, 0, 0))
    for extractor in (SerialExtractor(), ThreadedExtractor()):
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
    class MustNotLoad(ThreadedExtractor):
        def concurrency(self) -> tuple[int, int]:
            raise AssertionError("this would load the network")

    loads = [ExtractionResult(None, Outcome.TRUNCATED, "no end")] * 3
    assert len(run(MustNotLoad(), loads)) == 3


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
    assert concurrency_of(ThreadedExtractor()) == (2, 3)
    assert concurrency_of(PcaExtractor(ThreadedExtractor(), 2)) == (2, 3)
    assert concurrency_of(SerialExtractor()) is None
    assert concurrency_of(PcaExtractor(SerialExtractor(), 2)) is None
    assert concurrency_of(RegionExtractor(ThreadedExtractor())) == (2, 3)
    wrapper = SerialExtractor()
    vars(wrapper)["base"] = ThreadedExtractor()  # a plug-in that does not declare concurrency
    assert concurrency_of(wrapper) is None
