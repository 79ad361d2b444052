"""How long a question takes, from the bytes of its picture to its hits."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

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
) -> Latency | str:
    """The time of questions as a user asks them: with the bytes of a file, one at a time; or why none
    could be asked (the files are gone, the extractor has changed since)."""
    why = "the pictures cannot be read any more"
    # One more: the first question starts the worker and loads the network, and does not count. Asking it
    # twice would not do, because answers are remembered.
    rows = np.unique(np.linspace(0, len(pictures) - 1, count + 1).astype(np.int64))
    times: list[tuple[float, float, float]] = []
    for at, row in enumerate(rows.tolist()):
        try:
            data = pictures.files[row].read_bytes() if pictures.files else b""
        except OSError:
            continue
        query = replace(Query.of(data, k=10, extractor=by), exact=exact)
        started = time.perf_counter()
        (hits,) = library.search_batch([query])
        seconds = time.perf_counter() - started
        remembered = not hits.failure and not hits.seconds["search"]  # a copy was asked before
        if not (hits.failure or remembered) and (at > 0 or len(rows) == 1):
            times.append((seconds, hits.seconds["extract"], hits.seconds["search"]))
        why = hits.failure or why
    if not times:
        return why
    table = np.array(times)
    median, p95, p99 = np.percentile(table[:, 0], [50, 95, 99]).tolist()
    extract, search = np.median(table[:, 1:], axis=0).tolist()
    return Latency(median, p95, p99, extract, search, len(times))
