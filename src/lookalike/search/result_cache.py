"""Cache of search results, valid until the library changes."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path

from lookalike.query import Hits, Query, Term, option_values

CAPACITY = 256
"""Results: the last pages that a few people looked at, in about a megabyte."""


class ResultCache:
    """The results of the latest queries. All are dropped when the library changes.

    Thread-safe; two threads that run the same query at once both compute it.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._version: Hashable = None
        self._results: OrderedDict[Hashable, Hits] = OrderedDict()
        self._lock = threading.Lock()

    def get(
        self,
        version: Hashable,
        queries: Sequence[Query],
        compute: Callable[[Sequence[Query]], Sequence[Hits]],
    ) -> list[Hits]:
        """Return the hits of each query, cached or from `compute`, for this version of the library."""
        started = time.perf_counter()
        keys = [cache_key(query) for query in queries]
        with self._lock:
            if version != self._version:
                self._results.clear()
                self._version = version
            cached = [None if key is None else self._results.get(key) for key in keys]
            for key, hits in zip(keys, cached, strict=True):
                if hits is not None:
                    self._results.move_to_end(key)
        missing = [query for query, hits in zip(queries, cached, strict=True) if hits is None]
        took = (time.perf_counter() - started) / max(len(queries), 1)
        seconds = {"extract": 0.0, "search": 0.0, "total": took}
        computed = iter(compute(missing) if missing else ())
        results = [
            next(computed) if hits is None else replace(hits, seconds=seconds) for hits in cached
        ]
        with self._lock:
            for key, hits, before in zip(keys, results, cached, strict=True):
                new = key is not None and before is None and not hits.failure
                if new and version == self._version:
                    self._results[key] = hits
            while len(self._results) > self._capacity:
                self._results.popitem(last=False)
        return results


def cache_key(query: Query) -> Hashable | None:
    """Return a key that is equal for equal queries; None for those that are not cached.

    Not cached are queries that read the file of an image of the library again, those with feedback, and those
    whose plan is wanted.
    """
    keys = [_term_key(term, any_orientation=query.any_orientation) for term in query.terms]
    if query.feedback or query.explain_plan or None in keys:
        return None
    return tuple(keys), option_values(query)


def _term_key(term: Term, *, any_orientation: bool) -> Hashable | None:
    """Return the term with its image named by content, or by path, size and date."""
    key = (term.id, term.text, term.weight, term.region)
    image = term.image
    if term.vector is not None:
        return (*key, "vector", term.vector.shape, term.vector.tobytes())
    if term.id is not None and (any_orientation or term.region is not None):
        return None
    if image is None:
        return key
    if isinstance(image, Path):
        try:
            path = image.resolve(strict=True)
            stat = path.stat()
        except (OSError, RuntimeError):  # gone, or a link that leads to itself
            return None
        return (*key, str(path), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    if isinstance(image, bytes):
        return (*key, hashlib.sha256(image).digest())
    return (*key, image.shape, str(image.dtype), hashlib.sha256(image.tobytes()).digest())
