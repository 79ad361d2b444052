"""Stages of a search: how long each took and what it did.

They are the plan of `Query.explain_plan`, the line of the log for a slow query, and the spans of
OpenTelemetry where an application has set that up.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from operator import attrgetter
from typing import Any

from lookalike.query import Stage

log = logging.getLogger("lookalike.search")
log.addHandler(logging.NullHandler())  # otherwise Python writes warnings to stderr by itself

# The stages of the search that runs, in the order in which they ended.
_RECORDED: ContextVar[list[stage] | None] = ContextVar("stages", default=None)


class stage:
    """Context of one stage, which is recorded if stages are: `with stage("plan") as details:`.

    name     a part of a stage has the name of the whole before a slash: "plan/filter"
    details  may be added to the dictionary until the stage ends

    Every search has some, so this is cheaper than a generator.
    """

    __slots__ = ("details", "name", "seconds", "started")

    def __init__(self, name: str, **details: Any) -> None:
        self.name, self.details = name, details

    def __enter__(self) -> dict[str, Any]:
        self.started = time.perf_counter()
        return self.details

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self.seconds = time.perf_counter() - self.started
        if error is None and (recorded := _RECORDED.get()) is not None:
            recorded.append(self)


@contextmanager
def record_stages(queries: int, slow: float, *, explain: bool) -> Iterator[list[Stage]]:
    """Record the stages of a search of so many queries; where they are of use, they are in the list
    afterwards, in the order in which they began.

    slow     seconds from which on they are logged, as a warning of the logger "lookalike.search"
    explain  the caller needs them
    """
    stages: list[Stage] = []
    recorded: list[stage] = []
    before = _RECORDED.set(recorded)
    started = time.perf_counter()
    try:
        yield stages
    finally:
        _RECORDED.reset(before)
    seconds = time.perf_counter() - started
    traced = "opentelemetry.trace" in sys.modules
    if not (explain or traced or seconds >= slow):
        return
    stages += [
        Stage(one.name, one.started - started, one.seconds, one.details)
        for one in sorted(recorded, key=attrgetter("started"))
    ]
    if seconds >= slow:
        _log_slow(queries, seconds, stages)
    if traced:
        _export_spans(queries, seconds, stages)


def details_text(stage: Stage) -> str:
    """Return the details of a stage in a line: "space color, compared 50,000"."""
    shown = (
        (name.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value))
        for name, value in stage.details.items()
    )
    return ", ".join(f"{name} {value}" for name, value in shown)


def _log_slow(queries: int, seconds: float, stages: Sequence[Stage]) -> None:
    """Log the plan of a slow search; no part of the query itself, which may be private."""
    parts = (
        f"{one.name} {one.seconds * 1000:.1f} ms"
        + (f" ({text})" if (text := details_text(one)) else "")
        for one in stages
    )
    what = "slow query" if queries == 1 else f"slow batch of {queries} queries"
    plan = [{"name": one.name, "seconds": round(one.seconds, 6), **one.details} for one in stages]
    log.warning(
        "%s: %.1f ms: %s", what, seconds * 1000, "; ".join(parts),
        extra={"milliseconds": round(seconds * 1000, 1), "plan": plan},
    )  # fmt: skip


def _export_spans(queries: int, seconds: float, stages: Sequence[Stage]) -> None:
    """Give the stages to OpenTelemetry as spans below the current one, if the application records any."""
    from opentelemetry import trace

    tracer = trace.get_tracer("lookalike")
    now = time.time_ns()
    first = now - round(seconds * 1e9)
    attributes = {"lookalike.queries": queries}
    whole = tracer.start_span("lookalike.search", start_time=first, attributes=attributes)
    if whole.is_recording():
        inside = trace.set_span_in_context(whole)
        for one in stages:
            start = first + round(one.started * 1e9)
            named = {f"lookalike.{name}": value for name, value in one.details.items()}
            span = tracer.start_span(
                f"lookalike.search/{one.name}", inside, start_time=start, attributes=named
            )
            span.end(start + round(one.seconds * 1e9))
    whole.end(now)
