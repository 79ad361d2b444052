"""The extractors that run in the parent, beside the workers and the catalogue."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from lookalike.errors import ImageError, Outcome
from lookalike.extractors.extraction import Loaded, Vector, extract_each
from lookalike.extractors.interface import Extractor, concurrency_of
from lookalike.extractors.runtime import alone
from lookalike.images.pixel_spec import Pixels

AT_ONCE = 32
"""Pictures that an extractor gets at once which is called by this thread."""

AHEAD = 64
"""Pictures that may wait for their vectors, beside those that are being worked on."""

Made = Vector | ImageError
T = TypeVar("T")


class Lane:
    """One extractor at work.

    A `ConcurrentExtractor` is called by several threads with a few images each: no core waits
    until the others have finished theirs. Any other is called by the thread that adds the pictures, for a
    plug-in may hold what belongs to one thread.
    """

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor
        concurrency = concurrency_of(extractor)
        threads, self._at_once = concurrency or (1, AT_ONCE)
        self.busy = threads * self._at_once  # pictures that all threads together have in hand
        self._pool = ThreadPoolExecutor(threads, "lookalike-inference") if concurrency else None
        self._together = threads > 1
        self._gathered: list[tuple[Pixels, Future[Made]]] = []

    def add(self, pixels: Pixels) -> Future[Made]:
        """The vector to come of a picture. Begins when there are enough, or at `go`."""
        made: Future[Made] = Future()
        self._gathered.append((pixels, made))
        if len(self._gathered) >= self._at_once:
            self.go()
        return made

    def go(self) -> None:
        """Begins with those that were gathered."""
        gathered, self._gathered = self._gathered, []
        if not gathered:
            return
        if self._pool is None:
            self._work(gathered)
        else:
            self._pool.submit(self._work_alone if self._together else self._work, gathered)

    def close(self) -> None:
        """Gives up what has not begun, and waits for what has."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _work_alone(self, gathered: list[tuple[Pixels, Future[Made]]]) -> None:
        with alone():
            self._work(gathered)

    def _work(self, gathered: list[tuple[Pixels, Future[Made]]]) -> None:
        try:
            made = extract_each(self._extractor, [pixels for pixels, _ in gathered])
        except BaseException as error:
            if self._pool is None:
                raise
            for _, future in gathered:  # raised where the vectors are asked for
                future.set_exception(error)
            return
        for (_, future), vector in zip(gathered, made, strict=True):
            future.set_result(vector)


@dataclass(slots=True)
class Waiting(Generic[T]):
    """A picture, whose it is, and its vectors to come by space key."""

    owner: T
    loaded: Loaded
    vectors: dict[str, Future[Made]] = field(default_factory=dict)

    def done(self) -> bool:
        return all(future.done() for future in self.vectors.values())

    def failed(self) -> bool:
        """Of those that are done: is an error to be raised instead of a result?"""
        return any(future.exception() is not None for future in self.vectors.values())

    def result(self) -> Loaded:
        """What the worker found, with the vectors made here or the reason why there are none."""
        loaded = self.loaded
        for key, future in self.vectors.items():
            made = future.result()
            if isinstance(made, ImageError):
                loaded = replace(loaded, outcome=made.outcome, reason=made.reason, vectors={})
            elif loaded.outcome is Outcome.INDEXED:
                loaded = replace(loaded, vectors={**loaded.vectors, key: made})
        return loaded


class Inference(Generic[T]):
    """Pictures in, the same pictures with the vectors of all extractors out, in order.

    Nothing is asked of an extractor, and no network loaded, before there is a picture for it.
    """

    def __init__(self, extractors: Mapping[str, Extractor]) -> None:
        self._extractors = dict(extractors)
        self._lanes: dict[str, Lane] = {}
        self._waiting: deque[Waiting[T]] = deque()

    def add(self, owner: T, loaded: Loaded) -> None:
        """Takes a picture as a worker left it; one without pixels passes in its turn."""
        # The pixels are the lanes' now: a crowd of finished pictures should not keep them.
        vectors = self._add(loaded)
        self._waiting.append(Waiting(owner, replace(loaded, pixels={}), vectors))

    def finished(self) -> Iterator[tuple[T, Loaded]]:
        """Those at the front that are done; waits where more are under way than may be."""
        room = AHEAD + max((lane.busy for lane in self._lanes.values()), default=0)
        while self._waiting and (self._waiting[0].done() or len(self._waiting) > room):
            if not self._waiting[0].done():
                self._go()
            yield self._pop()

    def rest(self) -> Iterator[tuple[T, Loaded]]:
        """All that are left; waits for each."""
        self._go()
        while self._waiting:
            yield self._pop()

    def left_over(self) -> Iterator[tuple[T, Loaded]]:
        """After an error or `close`: those at the front that were finished all the same."""
        while self._waiting and self._waiting[0].done() and not self._waiting[0].failed():
            yield self._pop()

    def at_once(self, loaded: Loaded) -> Loaded:
        """The same for one picture, ahead of those that wait."""
        vectors = self._add(loaded)
        self._go()
        return Waiting(None, loaded, vectors).result()

    def close(self) -> None:
        """Gives up what has not begun."""
        for lane in self._lanes.values():
            lane.close()

    def _add(self, loaded: Loaded) -> dict[str, Future[Made]]:
        found = {}
        for key, extractor in self._extractors.items():
            if key in loaded.pixels:
                if key not in self._lanes:
                    self._lanes[key] = Lane(extractor)
                found[key] = self._lanes[key].add(loaded.pixels[key])
        return found

    def _go(self) -> None:
        for lane in self._lanes.values():
            lane.go()

    def _pop(self) -> tuple[T, Loaded]:
        first = self._waiting[0]
        found = first.owner, first.result()
        self._waiting.popleft()
        return found
