"""Indexes into parts on a Ray cluster: actors take lists of files and write parts, the driver the manifest.

No pixels and no vectors pass through Ray. A list counts once its parts are in the manifest, so a list whose
actor or node died is given to another actor, and every file has one row in the parts that count.
"""

from __future__ import annotations

import socket
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError, MissingExtra
from lookalike.extractors import load
from lookalike.extractors.interface import Extractor, FittedExtractor, space_key
from lookalike.indexing.file_lists import FileList, FileLists, FileTotal
from lookalike.indexing.index_parts import checked_sources, fit_and_start, resolve_sources
from lookalike.indexing.indexer import Indexer, extraction_pool
from lookalike.indexing.part_writer import PartWriter
from lookalike.indexing.parts import Manifest, PartRecord
from lookalike.indexing.report import (
    Counters,
    IndexOptions,
    IndexReport,
    Progress,
    ProgressCallback,
)
from lookalike.indexing.shards import WHOLE
from lookalike.object_storage import Location
from lookalike.thumbnails import STORED_SIDE

WAITING_LISTS = 2
"""Lists that an actor has at once, so that it does not wait for the driver."""

ATTEMPTS = 5
"""Actors that may die over one list before the run is given up."""

CONNECT_SECONDS = 10.0
"""Seconds that the cluster has to accept a connection."""

START_SECONDS = 120.0
"""Seconds without any actor after which the run is given up."""


@dataclass(frozen=True, slots=True)
class ListResult:
    """The parts of a list, and what became of its files."""

    parts: tuple[PartRecord, ...]
    report: IndexReport


class PartActor:
    """Decodes and extracts lists of files; holds its networks and workers from list to list.

    extractors  names, each with the arrays that it was fitted with
    manifest    with the roots and spaces of the run
    """

    def __init__(
        self,
        extractors: Sequence[tuple[str, Mapping[str, NDArray[np.generic]] | None]],
        options: IndexOptions,
        location: str,
        manifest: Manifest,
    ) -> None:
        self._extractors = [_loaded(name, fitted) for name, fitted in extractors]
        self._options = options
        self._location = location
        self._manifest = manifest
        self._pool = extraction_pool(self._extractors, options, STORED_SIDE)

    def ready(self) -> bool:
        """Return once the actor has started."""
        return True

    def run(self, work: FileList) -> ListResult:
        """Index a list of files into parts."""
        with PartWriter(self._location, WHOLE, keeps_manifest=False) as writer:
            writer.manifest = self._manifest
            indexer = Indexer(
                writer,
                self._extractors,
                [],
                None,
                self._options,
                None,
                may_forget=lambda missing: True,
                takes=lambda path: path not in work.known,
                files=work.files,
                thumbnail_side=STORED_SIDE,
                keep_thumbnail=writer.keep_thumbnail,
                pool=self._pool,
            )
            report = indexer.run([work.source])
        return ListResult(writer.manifest.parts, report)


def index_with_ray(
    sources: Sequence[Path],
    extractors: Sequence[Extractor],
    location: Location,
    address: str,
    *,
    options: IndexOptions | None = None,
    progress: ProgressCallback | None = None,
) -> IndexReport:
    """Index files into parts on a Ray cluster; return the report.

    extractors  those that can be loaded by name on every node
    location    folder or URL that every node can write
    address     of the cluster, "auto" for the one that this machine belongs to, "local" to start one here

    `options.workers` are the processes of each actor that read images, 1 by default, and the cores that it
    asks for. A run continues where an earlier one stopped. Raises what `index_parts` raises, and
    LookalikeError where the cluster cannot be reached or cannot do the work.
    """
    started = time.monotonic()
    options = replace(options or IndexOptions(), workers=(options and options.workers) or 1)
    paths = checked_sources(sources, options)
    ray = _connected(address)
    with PartWriter(location, WHOLE) as writer:
        fitted = fit_and_start(writer, paths, extractors, options)
        resolved = resolve_sources(writer, paths, options)
        cores = options.workers or 1
        total = FileTotal(resolved, options)
        actors = max(1, int(ray.cluster_resources().get("CPU", 0)) // cores)
        keys = frozenset(map(space_key, fitted))
        lists = FileLists(writer, resolved, keys, options, total, actors)
        manifest = replace(writer.manifest, parts=())
        described = [
            (
                one.name,
                dict(one.fitted) if isinstance(one, FittedExtractor) and one.fitted else None,
            )
            for one in fitted
        ]
        arguments = (described, options, str(location), manifest)
        driver = RayDriver(ray, arguments, cores)
        counters = Counters()
        try:
            for work, result in driver.run(iter(lists)):
                writer.add_parts(result.parts)
                _count(result.report, counters)
                lists.unreadable += result.report.unreadable
                if progress:
                    done = counters.done + lists.unchanged + lists.known_failures
                    seconds = time.monotonic() - started
                    indexed, bad = counters.indexed, counters.failed.total()
                    path = work.files[-1].path
                    progress(Progress(done, total.files, indexed, bad, path, seconds))
        finally:
            driver.close()
        writer.complete()
    counters.failed.update(lists.failed)
    counters.counts["unchanged"] += lists.unchanged
    counters.counts["known_failures"] += lists.known_failures
    return replace(
        counters.report(0, 0, lists.unreadable),
        spaces=tuple(one.name for one in fitted),
        seconds=time.monotonic() - started,
    )


class RayDriver:
    """Gives lists to the actors of a cluster, and lists of lost actors to others."""

    def __init__(self, ray: Any, arguments: tuple[Any, ...], cores: int) -> None:
        self._ray = ray
        self._arguments = arguments
        self._cores = cores
        total = ray.cluster_resources()
        gpus = 1 if total.get("GPU") else 0
        self._actor = ray.remote(num_cpus=cores, num_gpus=gpus)(PartActor)
        self._starting: dict[Any, Any] = {}  # actors by what they answer when they are ready
        self._actors: dict[Any, int] = {}  # with the number of their lists
        self._running: dict[Any, tuple[Any, FileList]] = {}
        self._again: deque[FileList] = deque()
        self._attempts: Counter[str] = Counter()

    def run(self, lists: Iterator[FileList]) -> Iterator[tuple[FileList, ListResult]]:
        """Yield every list with its result, in any order."""
        exhausted = False
        alone = time.monotonic()
        while True:
            self._start_actors()
            for busy in range(WAITING_LISTS):  # an actor gets a second list when each has one
                for actor in [one for one, running in self._actors.items() if running == busy]:
                    work = self._again.popleft() if self._again else next(lists, None)
                    if work is None:
                        exhausted = True
                        break
                    self._running[actor.run.remote(work)] = actor, work
                    self._actors[actor] += 1
            if exhausted and not self._again and not self._running:
                return
            if self._actors:
                alone = time.monotonic()
            elif time.monotonic() - alone > START_SECONDS:
                raise LookalikeError(
                    f"no node of the Ray cluster has {self._cores} free cores for "
                    f"{START_SECONDS:g} s: add nodes, or give --workers a smaller number"
                )
            yield from self._finished()

    def close(self) -> None:
        """End the actors."""
        for actor in (*self._starting.values(), *self._actors):
            self._ray.kill(actor)

    def _start_actors(self) -> None:
        """Start as many actors as the nodes that are alive have room for."""
        resources = self._ray.cluster_resources()
        room = int(resources.get("CPU", 0) // self._cores)
        if resources.get("GPU"):
            room = min(room, int(resources["GPU"]))
        for _ in range(room - len(self._actors) - len(self._starting)):
            actor = self._actor.remote(*self._arguments)
            self._starting[actor.ready.remote()] = actor

    def _finished(self) -> Iterator[tuple[FileList, ListResult]]:
        """Wait for something to happen; yield the lists that are done."""
        waiting = [*self._running, *self._starting]
        ready, _ = self._ray.wait(waiting, num_returns=1, timeout=1.0) if waiting else ([], [])
        if not waiting:
            time.sleep(0.2)
        for answer in ready:
            try:
                result = self._ray.get(answer)
            except self._ray.exceptions.RayTaskError as error:
                cause = error.cause
                raise (
                    cause
                    if isinstance(cause, LookalikeError)
                    else LookalikeError(f"an actor failed: {_last_line(error)}")
                ) from None
            except self._ray.exceptions.RayError as error:  # the actor or its node is gone
                self._lost(answer, error)
                continue
            if answer in self._starting:
                self._actors[self._starting.pop(answer)] = 0
            else:
                actor, work = self._running.pop(answer)
                if actor in self._actors:
                    self._actors[actor] -= 1
                yield work, result

    def _lost(self, answer: Any, error: Exception) -> None:
        """Forget a lost actor, and do its list again."""
        if answer in self._starting:
            del self._starting[answer]
            return
        actor, work = self._running.pop(answer)
        self._actors.pop(actor, None)
        first = work.files[0].path
        self._attempts[first] += 1
        if self._attempts[first] >= ATTEMPTS:
            raise LookalikeError(
                f"{ATTEMPTS} actors died over the files from {first} on ({_last_line(error)}): give them "
                "more memory, or leave these files out with --exclude"
            )
        self._again.append(work)


def _connected(address: str) -> Any:
    """Connect to a cluster; return the module ray. Raises MissingExtra and LookalikeError."""
    try:
        import ray
    except ImportError:
        raise MissingExtra("Ray is not installed: pip install 'lookalike[ray]'") from None
    if ray.is_initialized():
        return ray
    where = None if address == "local" else address
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
        except OSError as error:  # Ray itself would try for minutes
            raise LookalikeError(
                f"no Ray cluster at {address} ({(error.strerror or 'it does not answer').lower()}): check "
                "the address that `ray start --head` printed"
            ) from None
    try:
        ray.init(where, log_to_driver=False, logging_level="ERROR", include_dashboard=None)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise LookalikeError(
            f"no Ray cluster at {address}: {_last_line(error)}; start one with `ray start --head`, or "
            "give --ray local; if it has a token, set RAY_AUTH_MODE=token"
        ) from None
    except ray.exceptions.RayError as error:
        raise LookalikeError(
            f"the Ray cluster at {address} refuses the connection ({_lines(error)[0]}): set RAY_AUTH_TOKEN "
            "to its token, or copy ~/.ray/auth_token from its head node"
        ) from None
    return ray


def _loaded(name: str, fitted: Mapping[str, NDArray[np.generic]] | None) -> Extractor:
    extractor = load(name)
    if fitted is not None and isinstance(extractor, FittedExtractor):
        return extractor.with_fitted(fitted)
    return extractor


def _count(report: IndexReport, counters: Counters) -> None:
    """Add the counts of one list to those of the run."""
    for name in ("new", "changed", "added_vectors", "not_images", "drawings", "known_failures"):
        counters.counts[name] += getattr(report, name)
    counters.failed.update(report.failed)


def _last_line(error: Exception) -> str:
    return _lines(error)[-1]


def _lines(error: Exception) -> list[str]:
    lines = [line.strip()[:200] for line in str(error).splitlines() if line.strip()]
    return lines or [type(error).__name__]
