"""Long changes of a served library: asked for, watched, and what came of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from lookalike.ann.faiss_index import Progress as StageProgress
from lookalike.client.connection import PAUSES, Connection
from lookalike.errors import UsageError, error_by_name
from lookalike.indexing.report import IndexOptions, Progress

Watch = Callable[[Mapping[str, Any], float], None]
"""Told of the state of a change, and of the seconds since it was asked for."""

LOCAL = frozenset({"workers", "limits", "normalise", "metadata"})
"""Of `IndexOptions`, what a server decides for itself, or would have to read outside the library."""

LOOK = PAUSES[:3]
"""Seconds between two looks at a change; the last one from then on."""


def ended(
    connection: Connection, state: Mapping[str, Any], watch: Watch | None = None
) -> Mapping[str, Any]:
    """What came of a change, waited for; raises what it failed with. `state`: the answer to the request
    for it, whose ticket tells this run from those of others."""
    started, turn = time.monotonic(), 0
    while state["running"]:
        if watch is not None:
            watch(state, time.monotonic() - started)
        time.sleep(LOOK[min(turn, len(LOOK) - 1)])
        turn += 1
        state = connection.get("/api/indexing", {"ticket": state["ticket"]})
    if state["result"] is None:
        raise error_by_name(state["error"], state["message"])
    result: Mapping[str, Any] = state["result"]
    return result


def words_of(options: IndexOptions | None) -> dict[str, Any]:
    """How to index, in the words of HTTP; `UsageError` for what a server decides for itself."""
    options = options or IndexOptions()
    usual = IndexOptions()
    for name in sorted(LOCAL):
        if getattr(options, name) != getattr(usual, name):
            raise UsageError(f"over HTTP the server decides on `{name}` itself: leave it out")
    return {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if field.name not in LOCAL and getattr(options, field.name) != getattr(usual, field.name)
    }


def step(state: Mapping[str, Any], seconds: float) -> Progress:
    """Where indexing stands, in the words of `Library.add`."""
    return Progress(
        done=state["done"],
        total=state["total"],
        indexed=state["indexed"],
        failed=state["failed"],
        path=state["message"],
        seconds=seconds,
    )


def staged(progress: StageProgress) -> Watch:
    """Tells the stages of a change, once it has any."""

    def watch(state: Mapping[str, Any], _: float) -> None:
        if state["stage"]:
            progress(state["stage"], state["done"], state["total"] or 0)

    return watch
