"""Extractors of the parent: several calls at a time where they say so, and pictures in order all the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.library.drawing import album
from tests.library.toys import means

from lookalike import Library
from lookalike.errors import ImageError, LookalikeError, Outcome
from lookalike.extractors.contract import Extractor, Place, Vectors, lanes_of
from lookalike.extractors.extraction import Loaded
from lookalike.extractors.reduced import Reduced
from lookalike.images.needs import Needs, Pixels
from lookalike.indexing import inference
from lookalike.indexing.inference import Inference
from lookalike.vectors.similarity import Similarity


class Plain:
    """The mean colour; `during` is called with the pictures of every call."""

    dim = 3
    name = "plain"
    revision = "1"
    similarity: Similarity = "euclidean"
    needs = Needs(min_side=8)
    place: Place = "parent"

    def __init__(self, during: Callable[[Sequence[Pixels]], None] = lambda images: None) -> None:
        self.calls: list[int] = []
        self._during = during

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        self.calls.append(len(images))
        self._during(images)
        return means(images)


class Several(Plain):
    name = "several"

    def lanes(self) -> tuple[int, int]:
        return 2, 3


def pictures(count: int) -> list[Loaded]:
    return [
        Loaded(b"", Outcome.INDEXED, pixels={"x": np.full((8, 8, 3), i, np.uint8)})
        for i in range(count)
    ]


def run(extractor: Extractor, loads: Sequence[Loaded]) -> list[tuple[int, Loaded]]:
    found: list[tuple[int, Loaded]] = []
    work: Inference[int] = Inference({"x": extractor})
    try:
        for number, loaded in enumerate(loads):
            work.add(number, loaded)
            found += work.finished()
        found += work.rest()
    finally:
        work.close()
    return found


def reds(found: Sequence[tuple[int, Loaded]]) -> list[int]:
    return [round(float(loaded.vectors["x"][0]) * 255) for _, loaded in found]


def test_pictures_come_out_in_order_whichever_call_ends_first() -> None:
    def slow_at_first(images: Sequence[Pixels]) -> None:
        time.sleep(0.02 if images[0][0, 0, 0] % 2 else 0.0)

    found = run(Several(slow_at_first), pictures(20))
    assert [number for number, _ in found] == list(range(20))
    assert reds(found) == list(range(20))


def test_an_extractor_that_says_so_is_called_by_several_threads_with_a_few_each() -> None:
    met = threading.Barrier(2, timeout=20)

    def meet(images: Sequence[Pixels]) -> None:
        met.wait()  # for another call, or this one fails

    extractor = Several(meet)
    assert reds(run(extractor, pictures(12))) == list(range(12))
    assert extractor.calls == [3] * 4


def test_any_other_is_called_once_at_a_time_with_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "AT_ONCE", 8)
    free = threading.Lock()

    def one_at_a_time(images: Sequence[Pixels]) -> None:
        assert free.acquire(blocking=False)
        time.sleep(0.005)
        free.release()

    extractor = Plain(one_at_a_time)
    assert reds(run(extractor, pictures(20))) == list(range(20))
    assert extractor.calls == [8, 8, 4]


def test_no_more_pictures_wait_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "AHEAD", 2)
    work: Inference[int] = Inference({"x": Several()})
    out = 0
    for number, loaded in enumerate(pictures(50)):
        work.add(number, loaded)
        out += len(list(work.finished()))
        assert number + 1 - out <= 2 + 2 * 3
    out += len(list(work.rest()))
    work.close()
    assert out == 50


def test_a_picture_that_fails_costs_itself_and_one_without_pixels_passes_in_its_turn() -> None:
    def refuse(images: Sequence[Pixels]) -> None:
        if any(image[0, 0, 0] == 4 for image in images):
            raise ImageError(Outcome.UNREADABLE, "too red")

    loads = pictures(7)
    loads[2] = Loaded(None, Outcome.TRUNCATED, "no end")
    found = [loaded for _, loaded in run(Several(refuse), loads)]
    assert [loaded.outcome for loaded in found] == [
        *[Outcome.INDEXED] * 2,
        Outcome.TRUNCATED,
        Outcome.INDEXED,
        Outcome.UNREADABLE,
        *[Outcome.INDEXED] * 2,
    ]
    assert found[4].reason == "too red" and not found[4].vectors


def test_one_picture_can_go_before_those_that_wait() -> None:
    work: Inference[int] = Inference({"x": Plain()})
    work.add(0, pictures(1)[0])
    assert reds([(9, work.at_once(pictures(10)[9]))]) == [9]
    assert reds(list(work.rest())) == [0]
    work.close()


def test_an_error_that_no_picture_is_to_blame_for_ends_the_run_and_keeps_what_was_done(
    tmp_path: Path,
) -> None:
    calls = 0

    def fail_later(images: Sequence[Pixels]) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise LookalikeError("the network is gone")

    photos = album(tmp_path / "photos", 40)
    with Library.create(photos) as library:
        with pytest.raises(LookalikeError, match="the network is gone"):
            library.add([photos], extractors=[Several(fail_later)])
        assert 6 <= library.info().images < 40
        assert library.add([photos], extractors=[Several()]).new > 0
        assert library.info().images == 40


def test_lanes_are_those_of_the_network_inside() -> None:
    assert lanes_of(Several()) == (2, 3)
    assert lanes_of(Reduced(Several(), 2)) == (2, 3)
    assert lanes_of(Plain()) is None
    assert lanes_of(Reduced(Plain(), 2)) is None
