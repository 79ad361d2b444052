"""Routes that follow jobs: what changes the library and takes long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi import Path as PathParam
from starlette.responses import Response, StreamingResponse

from lookalike.server.app_state import AppState, State
from lookalike.server.jobs.process import WRITERS
from lookalike.server.openapi import responses
from lookalike.server.query_params import KNOWN_PARAMETERS
from lookalike.server.responses import HTTPError, JSONResponse, to_json
from lookalike.wire import encode
from lookalike.wire.http import JobList, JobState

router = APIRouter(tags=["jobs"], dependencies=[KNOWN_PARAMETERS])

# Clients of one process that may follow jobs as events.
MAX_EVENT_STREAMS = 100

# Seconds between two looks at a job.
EVENT_SECONDS = 0.5


@router.get("/api/jobs", **responses(JobList))
async def jobs(state: State) -> Response:
    """The jobs that wait or run, and those that ended last, without their results; the newest first."""

    def read() -> dict[str, Any]:
        found = (replace(job, result=None) for job in state.job_states.jobs())
        return {"jobs": [job_document(state, job) for job in found]}

    return JSONResponse(await state.executors.quick.run(read))


@router.delete("/api/jobs/{id}", **responses(JobState))
async def cancel_job(state: State, id: Annotated[str, PathParam(max_length=64)]) -> Response:
    """Cancel a job; the response is its state now. Indexing keeps what is finished. On a server that other
    machines can reach, only if it is writable."""

    def cancel() -> dict[str, Any]:
        job = state.job_states.state(id)
        if job.run or job.kind in WRITERS or state.settings.hide_paths:
            check_writable(state)
        return job_document(state, state.job_states.cancel(id))

    return JSONResponse(await state.executors.quick.run(cancel))


@router.get("/api/jobs/{id}", **responses(JobState))
async def job(
    state: State,
    request: Request,
    id: Annotated[str, PathParam(max_length=64)],
    accept: Annotated[str, Header()] = "",
) -> Response:
    """The state of a job; `latest`: of the latest run. With `Accept: text/event-stream`, as events until it
    ends."""
    document = await state.executors.quick.run(lambda: job_document(state, state.writes.state(id)))
    if "text/event-stream" in accept and request.method == "GET":
        return StreamingResponse(events(state, id), media_type="text/event-stream")
    return JSONResponse(document)


async def events(
    state: AppState, id: str, *, max_streams: int = MAX_EVENT_STREAMS
) -> AsyncIterator[bytes]:
    """Yield the states of a job until it ends; only one if too many clients are listening already: browsers
    reconnect by themselves, and connections are few."""
    crowded = len(state.event_streams) >= max_streams
    token = object()
    state.event_streams.add(token)
    before: dict[str, Any] = {}
    try:
        while True:
            document = await state.executors.quick.run(
                lambda: job_document(state, state.writes.state(id))
            )
            if document != before:
                yield b"data: " + to_json(document) + b"\n\n"
            if crowded or not document["running"]:
                return
            before = document
            await asyncio.sleep(EVENT_SECONDS)
    finally:
        state.event_streams.discard(token)


def check_writable(state: AppState) -> None:
    """Raise `HTTPError` 403 if the server may not change the library."""
    if not state.settings.writable or state.library.read_only:
        raise HTTPError(
            403, "this server is read-only: start it with --writable to change the library"
        )
    state.check_roots()


async def submit(
    state: AppState, kind: str, arguments: Mapping[str, Any], *, scratch: Path | None = None
) -> Response:
    """Add a job that changes the library, and return the 202 response with its state."""
    document = await state.executors.quick.run(
        lambda: job_document(state, state.writes.submit(kind, arguments, scratch=scratch))
    )
    return JSONResponse(document, 202)


def job_document(state: AppState, job: JobState) -> dict[str, Any]:
    """Return the state of a job as a JSON document."""
    return encode(job)


def pending(state: AppState, kind: str) -> Response:
    """Return the 202 response for a request whose job is still running: the client asks again."""
    running = (job for job in state.jobs.running if job.kind == kind and job.running)
    job = next(running, JobState(kind=kind, state="running"))
    return JSONResponse(job_document(state, job), 202, {"Retry-After": "2"})
