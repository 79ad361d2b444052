"""What all routes of one server share, and how they reach it."""

from __future__ import annotations

import asyncio
import math
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from weakref import WeakKeyDictionary

import numpy as np
from fastapi import Depends, Request

from lookalike.errors import LookalikeError
from lookalike.library import Library
from lookalike.server.executors import Lane
from lookalike.server.jobs.changes import Changes
from lookalike.server.jobs.computations import Apart
from lookalike.server.jobs.exports import Exports
from lookalike.server.micro_batcher import Gathering
from lookalike.server.settings import Settings
from lookalike.server.uploads import Uploads

if TYPE_CHECKING:
    from lookalike.explain.explainer import Explainer


@dataclass(frozen=True, slots=True)
class Lanes:
    """Where blocking work is done.

    quick    facts and thumbnails that are there: milliseconds
    search   questions
    pictures decoding: uploads, thumbnails that must be made
    slow     what takes seconds: batches, questions that are verified by keypoints
    explain  explanations, which look at a pair of pictures some hundred times
    long     what may take minutes, in a process of its own: duplicates, maps
    writing  changes of the library, one at a time
    """

    quick: Lane
    search: Lane
    pictures: Lane
    slow: Lane
    explain: Lane
    long: Lane
    writing: Lane

    @classmethod
    def of(cls, settings: Settings) -> Lanes:
        def lane(name: str, threads: int, waiting: int, patience: float) -> Lane:
            return Lane(name, threads=threads, waiting=waiting, patience=patience)

        waiting, patience = settings.waiting, settings.patience
        return cls(
            quick=lane("quick", 4, 8 * waiting, patience),
            search=lane("search", settings.searching, waiting, patience),
            pictures=lane("pictures", 4, 4 * waiting, patience),
            slow=lane("slow", 2, 16, 2 * patience),
            explain=lane("explain", 2, 16, patience),
            long=lane("long", 2, 16, 3600.0),
            writing=lane("writing", 1, 16, patience),
        )

    def all(self) -> tuple[Lane, ...]:
        return (
            self.quick, self.search, self.pictures, self.slow, self.explain, self.long, self.writing,
        )  # fmt: skip


class Remembered:
    """Answers that take long: worked out once, whoever asks meanwhile waits for the same one."""

    def __init__(self, lane: Lane, *, kept: int = 8) -> None:
        self._lane = lane
        self._kept = kept
        self._futures: OrderedDict[Hashable, Future[Any]] = OrderedDict()
        self._ended: WeakKeyDictionary[Future[Any], float] = WeakKeyDictionary()
        self._lock = threading.Lock()

    async def get(
        self,
        key: Hashable,
        work: Callable[[], Any],
        *,
        patience: float,
        fresh: float = math.inf,
    ) -> Any | None:
        """What `work` returned for this key, no more than `fresh` seconds ago; None if it is not there
        within `patience` seconds: ask again, it goes on meanwhile."""
        with self._lock:
            future = self._futures.get(key)
            if future is None or self._stale(future, fresh):
                future = self._futures[key] = self._lane.submit(work)
                future.add_done_callback(self._note)
            self._futures.move_to_end(key)
            while len(self._futures) > self._kept:
                self._futures.popitem(last=False)
        waiting = asyncio.wrap_future(future)
        # Nobody may be there any more when it fails; whoever asks next will be told.
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
        done, _ = await asyncio.wait([waiting], timeout=patience)
        return waiting.result() if done else None

    def _note(self, future: Future[Any]) -> None:
        self._ended[future] = time.monotonic()

    def _stale(self, future: Future[Any], fresh: float) -> bool:
        if not future.done():
            return False
        age = time.monotonic() - self._ended.get(future, math.inf)
        return future.cancelled() or future.exception() is not None or age > fresh


@dataclass(slots=True)
class Listening:
    """How many are told as events how a change goes. For the event loop alone."""

    count: int = 0


@dataclass(frozen=True, eq=False)
class Server:
    """An open library and everything around it."""

    library: Library
    settings: Settings
    folder: Path
    lanes: Lanes
    uploads: Uploads
    remembered: Remembered
    apart: Apart
    exports: Exports
    changes: Changes
    gathering: Gathering
    temporary: tempfile.TemporaryDirectory[str] | None = None
    listening: Listening = field(default_factory=Listening)
    _explainers: list[Explainer] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, library: Library, settings: Settings) -> Server:
        temporary = None
        folder = settings.folder
        if folder is None:
            temporary = tempfile.TemporaryDirectory(prefix="lookalike-serve-")
            folder = Path(temporary.name)
        lanes = Lanes.of(settings)
        return cls(
            library=library,
            settings=settings,
            folder=folder,
            lanes=lanes,
            uploads=Uploads(folder / "uploads", library.limits, kept_bytes=settings.kept_bytes),
            remembered=Remembered(lanes.long),
            apart=Apart(library.folder),
            exports=Exports(library.folder),
            changes=Changes(library.folder, folder / "changes"),
            gathering=Gathering(library, waiting=settings.waiting, patience=settings.patience),
            temporary=temporary,
        )

    def explainer(self) -> Explainer:
        """Made at the first question why: what it imports is heavy."""
        from lookalike.explain.explainer import Explainer

        with self._lock:
            if not self._explainers:
                self._explainers.append(Explainer(self.library, limits=self.library.limits))
            return self._explainers[0]

    def warm_up(self) -> None:
        """Ask something, so that workers run, networks are loaded and vectors are in memory before the
        first visitor asks. Nobody is told when that fails: the visitor will be."""
        grey = np.full((64, 64, 3), 128, np.uint8)
        with suppress(LookalikeError):
            self.library.search(grey, k=1)

    def close(self) -> None:
        """End the threads and workers of the server; the library stays open."""
        self.gathering.close()
        self.apart.close()
        self.exports.close()
        for lane in self.lanes.all():
            lane.close()
        self.changes.close()
        for explainer in self._explainers:
            explainer.close()
        self.uploads.close()
        if self.temporary is not None:
            self.temporary.cleanup()


def server_of(request: Request) -> Server:
    server: Server = request.app.state.server
    return server


Here = Annotated[Server, Depends(server_of)]
"""What a route takes to reach the server."""
