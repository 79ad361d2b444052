"""The extractors that run in the parent, beside the workers and the catalogue."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from lookalike.errors import ImageError, Outcome
from lookalike.extractors.contract import Extractor, lanes_of
from lookalike.extractors.extraction import Loaded, Vector, extract_each
from lookalike.extractors.runtime import alone
from lookalike.images.needs import Pixels

AT_ONCE = 32
"""Pictures that an extractor gets at once which does not say how many it wants."""

AHEAD = 64
"""Pictures that may wait for their vectors, beside those that are being worked on."""

Made = Vector | ImageError
T = TypeVar("T")


class Lane:
    """One extractor at work: calls of `extract` with some pictures each, several at a time if it says so.

    Networks on a processor do: a thread a core, each with a few pictures, and no core waits until the
    others have finished theirs. All others are called by one thread.
    """

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor
        self._threads, self.at_once = lanes_of(extractor) or (1, AT_ONCE)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="lookalike-inference")
        self._gathered: list[tuple[Pixels, Future[Made]]] = []

    @property
    def busy(self) -> int:
        """Pictures that all threads together have in hand."""
        return self._threads * self.at_once

    def add(self, pixels: Pixels) -> Future[Made]:
        """The vector to come of a picture. Begins when there are enough, or at `go`."""
        made: Future[Made] = Future()
        self._gathered.append((pixels, made))
        if len(self._gathered) >= self.at_once:
            self.go()
        return made

    def go(self) -> None:
        """Begins with those that were gathered."""
        if self._gathered:
            self._pool.submit(self._work, self._gathered)
            self._gathered = []

    def close(self) -> None:
        """Gives up what has not begun, and waits for what has."""
        self._pool.shutdown(cancel_futures=True)

    def _work(self, gathered: list[tuple[Pixels, Future[Made]]]) -> None:
        try:
            with alone() if self._threads > 1 else nullcontext():
                made = extract_each(self._extractor, [pixels for pixels, _ in gathered])
        except BaseException as error:  # raised where the vectors are asked for
            for _, future in gathered:
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
    """Pictures in, the same pictures with the vectors of all extractors out, in order."""

    def __init__(self, extractors: Mapping[str, Extractor]) -> None:
        self._lanes = {key: Lane(extractor) for key, extractor in extractors.items()}
        self._room = AHEAD + max((lane.busy for lane in self._lanes.values()), default=0)
        self._waiting: deque[Waiting[T]] = deque()

    def add(self, owner: T, loaded: Loaded) -> None:
        """Takes a picture as a worker left it; one without pixels passes in its turn."""
        vectors = {
            key: lane.add(loaded.pixels[key])
            for key, lane in self._lanes.items()
            if key in loaded.pixels
        }
        # The pixels are the lanes' now: a crowd of finished pictures should not keep them.
        self._waiting.append(Waiting(owner, replace(loaded, pixels={}), vectors))

    def finished(self) -> Iterator[tuple[T, Loaded]]:
        """Those at the front that are done; waits where more are under way than may be."""
        while self._waiting and (self._waiting[0].done() or len(self._waiting) > self._room):
            if not self._waiting[0].done():
                self._go()
            yield self._pop()

    def rest(self) -> Iterator[tuple[T, Loaded]]:
        """All that are left; waits for each."""
        self._go()
        while self._waiting:
            yield self._pop()

    def at_once(self, loaded: Loaded) -> Loaded:
        """The same for one picture, ahead of those that wait."""
        vectors = {key: self._lanes[key].add(pixels) for key, pixels in loaded.pixels.items()}
        self._go()
        return Waiting(None, loaded, vectors).result()

    def close(self) -> None:
        """Gives up what has not begun."""
        for lane in self._lanes.values():
            lane.close()

    def _go(self) -> None:
        for lane in self._lanes.values():
            lane.go()

    def _pop(self) -> tuple[T, Loaded]:
        first = self._waiting[0]
        found = first.owner, first.result()
        self._waiting.popleft()
        return found
