"""Answers to repeated questions, kept while the library stays as it is."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from pathlib import Path

from lookalike.query import Hits, Query, Term

SETTINGS = attrgetter(*(field.name for field in fields(Query) if field.name != "terms"))

KEPT = 256
"""Answers: the last pages that a few people looked at, in about a megabyte."""


class Answers:
    """The answers given last, by question; all forgotten when the library changes. For any number of
    threads: two that ask the same at once both work it out."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._version: Hashable = None
        self._answers: OrderedDict[Hashable, Hits] = OrderedDict()
        self._lock = threading.Lock()

    def get(
        self,
        version: Hashable,
        queries: Sequence[Query],
        ask: Callable[[Sequence[Query]], Sequence[Hits]],
    ) -> list[Hits]:
        """The answers, in order: from here where there is one, the rest as `ask` gives them."""
        started = time.perf_counter()
        keys = [question_key(query) for query in queries]
        with self._lock:
            if version != self._version:
                self._answers.clear()
                self._version = version
            found = [None if key is None else self._answers.get(key) for key in keys]
            for key, hits in zip(keys, found, strict=True):
                if hits is not None:
                    self._answers.move_to_end(key)
        missing = [query for query, hits in zip(queries, found, strict=True) if hits is None]
        took = (time.perf_counter() - started) / max(len(queries), 1)
        seconds = {"extract": 0.0, "search": 0.0, "total": took}
        asked = iter(ask(missing) if missing else ())
        answers = [
            next(asked) if hits is None else replace(hits, seconds=seconds) for hits in found
        ]
        with self._lock:
            for key, hits, before in zip(keys, answers, found, strict=True):
                new = key is not None and before is None and not hits.failure
                if new and version == self._version:
                    self._answers[key] = hits
            while len(self._answers) > self._kept:
                self._answers.popitem(last=False)
        return answers


def question_key(query: Query) -> Hashable | None:
    """Equal for questions that ask the same; None for what must be looked at each time: a picture of
    the library whose file is read again, and what learns from decisions."""
    keys = [term_key(term, turned=query.any_orientation) for term in query.terms]
    if query.feedback or None in keys:
        return None
    return tuple(keys), SETTINGS(query)


def term_key(term: Term, *, turned: bool) -> Hashable | None:
    """The term with its picture named by content, or by where it is, its size and its date."""
    said = (term.id, term.text, term.weight, term.region)
    picture = term.image
    if term.vector is not None:
        return (*said, "vector", term.vector.shape, term.vector.tobytes())
    if term.id is not None and (turned or term.region is not None):
        return None
    if picture is None:
        return said
    if isinstance(picture, Path):
        try:
            path = picture.resolve(strict=True)
            stat = path.stat()
        except (OSError, RuntimeError):  # gone, or a link that leads to itself
            return None
        return (*said, str(path), stat.st_size, stat.st_mtime_ns)
    if isinstance(picture, bytes):
        return (*said, hashlib.sha256(picture).digest())
    return (*said, picture.shape, str(picture.dtype), hashlib.sha256(picture.tobytes()).digest())
