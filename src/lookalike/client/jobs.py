"""Jobs of a served library: work that takes long. They are started, followed, and waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from lookalike.ann.faiss_index import Progress as StageProgress
from lookalike.client.connection import POLL_SECONDS, Connection
from lookalike.errors import UsageError, error_by_name
from lookalike.indexing.report import IndexOptions, Progress
from lookalike.wire import decode
from lookalike.wire.http import JobState

OnState = Callable[[JobState, float], None]
"""Called with the state of a job, and the seconds since it was asked for."""

# Options of `IndexOptions` that a server decides itself, or that would read files outside the library.
SERVER_SIDE_OPTIONS = frozenset({"workers", "limits", "normalise", "metadata"})


def wait_for(
    connection: Connection, document: Mapping[str, Any], on_state: OnState | None = None
) -> Mapping[str, Any]:
    """Wait for the job whose state `document` is, and return its result; raise the error it failed with."""
    job = decode(JobState, document)
    started, polls = time.monotonic(), 0
    while job.running:
        if on_state is not None:
            on_state(job, time.monotonic() - started)
        time.sleep(POLL_SECONDS[min(polls, 2)])
        polls += 1
        job = decode(JobState, connection.get(f"/api/jobs/{job.id}"))
    if job.result is None:
        raise error_by_name(job.error, job.message)
    return job.result


def index_parameters(options: IndexOptions | None) -> dict[str, Any]:
    """Return the options of indexing that are not the default. `UsageError` for what a server decides."""
    options = options or IndexOptions()
    default = IndexOptions()
    changed = {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if getattr(options, field.name) != getattr(default, field.name)
    }
    for name in sorted(SERVER_SIDE_OPTIONS & changed.keys()):
        raise UsageError(f"over HTTP the server decides `{name}` itself: leave it out")
    return changed


def index_progress(job: JobState, seconds: float) -> Progress:
    """Return the progress of indexing as `Library.add` reports it."""
    return Progress(
        done=job.done,
        total=job.total,
        indexed=job.indexed,
        failed=job.failed,
        path=job.message,
        seconds=seconds,
    )


def report_stages(progress: StageProgress) -> OnState:
    """Return a callback that reports the stages of a job."""

    def on_state(job: JobState, _: float) -> None:
        if job.stage:
            progress(job.stage, job.done, job.total or 0)

    return on_state
