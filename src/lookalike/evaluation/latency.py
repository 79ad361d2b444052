"""How long a question takes, from the bytes of its picture to its hits."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from lookalike.evaluation.collection import Collection
from lookalike.library import Library
from lookalike.query import Query

TIMED = 50
"""Questions whose time is taken."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from the bytes of a picture to its hits, one question at a time: decoding, extraction and
    search. (50th, 95th, 99th) percentiles of the whole, and the medians of the two parts."""

    median: float
    p95: float
    p99: float
    extract: float
    search: float
    questions: int


def latency(
    library: Library, pictures: Collection, by: str, *, count: int, exact: bool
) -> Latency | None:
    """The time of questions as a user asks them: with the bytes of a file, one at a time. None where
    none of the files can be read."""
    rows = np.linspace(0, len(pictures) - 1, min(count, len(pictures))).astype(np.int64)
    times: list[tuple[float, float, float]] = []
    for at, row in enumerate(rows.tolist()):
        try:
            data = pictures.files[row].read_bytes() if pictures.files else b""
        except OSError:
            continue
        if not data:
            continue
        query = Query.of(data, k=10, by=by)
        if exact:
            query = Query(query.terms, k=10, by=(by,), exact=True)
        if at == 0:  # starts the worker and loads the network, which a second question does not
            library.search_batch([query])
        started = time.perf_counter()
        (hits,) = library.search_batch([query])
        if not hits.failure:
            seconds = time.perf_counter() - started
            times.append((seconds, hits.seconds["extract"], hits.seconds["search"]))
    if not times:
        return None
    table = np.array(times)
    median, p95, p99 = np.percentile(table[:, 0], [50, 95, 99]).tolist()
    extract, search = np.median(table[:, 1:], axis=0).tolist()
    return Latency(median, p95, p99, extract, search, len(times))
