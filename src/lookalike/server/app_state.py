"""State shared by all routes of one server."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import numpy as np
from fastapi import Depends, Request

from lookalike.errors import LookalikeError
from lookalike.library import Library
from lookalike.query import Query, Term
from lookalike.server.duplicate_sheets import DuplicateSheets
from lookalike.server.executors import Executors
from lookalike.server.image_tiles import ImageTiles
from lookalike.server.jobs.job_folder import JobFolder
from lookalike.server.jobs.results import JobResultCache
from lookalike.server.jobs.runner import JobRunner
from lookalike.server.jobs.write_queue import WriteQueue
from lookalike.server.micro_batcher import MicroBatcher
from lookalike.server.saved import Saved
from lookalike.server.security.redaction import Redactor
from lookalike.server.security.roots import check_roots
from lookalike.server.settings import Settings
from lookalike.server.uploads import Uploads
from lookalike.stores.interface import Snapshot
from lookalike.wire.codec import document_of
from lookalike.wire.http import SearchResponse

if TYPE_CHECKING:
    from lookalike.explain.explainer import Explainer


T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class AppState:
    """An open library and what serves it.

    event_streams  one entry for each client that follows a job as server-sent events
    """

    library: Library
    settings: Settings
    folder: Path
    executors: Executors
    uploads: Uploads
    tiles: ImageTiles
    batcher: MicroBatcher
    jobs: JobRunner
    job_results: JobResultCache
    job_states: JobFolder
    browsing: JobResultCache
    sheets: DuplicateSheets
    saved: Saved
    writes: WriteQueue
    redactor: Redactor
    temporary: tempfile.TemporaryDirectory[str] | None = None
    event_streams: set[object] = field(default_factory=set)
    _explainers: list[Explainer] = field(default_factory=list)
    _expected: list[bool] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, library: Library, settings: Settings) -> AppState:
        """Return the state for a library; `close` it in the end."""
        temporary = None
        folder = settings.folder
        if folder is None:
            temporary = tempfile.TemporaryDirectory(prefix="lookalike-serve-")
            folder = Path(temporary.name)
        executors = Executors.of(settings)
        job_states = JobFolder(folder / "jobs")
        jobs = JobRunner(
            library.address, job_states, check=partial(check_roots, library, settings.allow_roots)
        )
        job_results = JobResultCache(executors.jobs)
        return cls(
            library=library,
            settings=settings,
            folder=folder,
            executors=executors,
            uploads=Uploads(
                folder / "uploads", library.limits, max_bytes=settings.upload_cache_bytes
            ),
            tiles=ImageTiles(library.limits),
            batcher=MicroBatcher(
                library, queue_size=settings.queue_size, timeout=settings.queue_timeout
            ),
            jobs=jobs,
            job_results=job_results,
            browsing=JobResultCache(executors.slow),
            sheets=DuplicateSheets(jobs, job_results),
            saved=Saved(library.folder),
            job_states=job_states,
            writes=WriteQueue(jobs, job_states),
            redactor=Redactor(library, folder),
            temporary=temporary,
        )

    async def read(self, work: Callable[[Snapshot], T]) -> T:
        """Return what `work`, which takes milliseconds, returns for the library as it is now."""

        def call() -> T:
            with self.library.snapshot() as snapshot:
                return work(snapshot)

        return await self.executors.quick.run(call)

    def check_roots(self) -> None:
        """Raise `HTTPError` 403 before work on files of all roots if one of them is not allowed."""
        check_roots(self.library, self.settings.allow_roots)

    def stored_name(self, extractor: str | None) -> str | None:
        """Return the name of the space that a visitor calls so: those of models in a folder are made known
        without its path."""
        return None if extractor is None else self.redactor.stored_name(extractor)

    def explainer(self) -> Explainer:
        """Return the explainer, made at the first request: what it imports is heavy."""
        from lookalike.explain.explainer import Explainer

        with self._lock:
            if not self._explainers:
                self._explainers.append(Explainer(self.library, limits=self.library.limits))
            return self._explainers[0]

    def warm_up(self) -> None:
        """Run queries, so that workers run, networks are loaded and vectors and indexes are in memory before
        the first visitor searches. If one fails, nothing is said: the visitor's query will fail, too."""
        document_of(SearchResponse).encode  # noqa: B018 - compiles it
        with suppress(LookalikeError):
            with self.library.snapshot() as snapshot:
                spaces = [space.key for space in snapshot.spaces() if space.current]
                known = [(key, *snapshot.sample(key, 1).tolist()) for key in spaces]
            for key, *ids in known:
                for id in ids:
                    self.library.search(Query((Term(id=id),), k=1, extractors=(key,)))
        with suppress(LookalikeError):
            self.library.search(np.full((64, 64, 3), 128, np.uint8), k=1)

    def expect_visitor(self) -> None:
        """Start the workers that the page needs, once, while a browser loads it: they take half a second."""
        with self._lock:
            if self._expected:
                return
            self._expected.append(True)
        for warm_up in (self.library.thumbnails.warm_up, self.uploads.warm_up):
            self.executors.decode.submit(warm_up)

    def close(self) -> None:
        """End the threads and processes of the server; the library stays open."""
        self.batcher.close()
        self.writes.close()
        self.jobs.close()
        for executor in self.executors.all():
            executor.close()
        for explainer in self._explainers:
            explainer.close()
        self.uploads.close()
        self.tiles.close()
        if self.temporary is not None:
            self.temporary.cleanup()


async def app_state(request: Request) -> AppState:
    """Return the state of the application that a request belongs to. FastAPI would call a plain function
    in another thread."""
    state: AppState = request.app.state.server
    return state


State = Annotated[AppState, Depends(app_state)]
"""A route's parameter for the state of the server."""
