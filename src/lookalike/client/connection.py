"""HTTP requests to one server: errors that responses stand for, and jobs to wait for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import parse_qsl, urlsplit

from lookalike.ann.faiss_index import Progress as StageProgress
from lookalike.errors import (
    PARSE_ERRORS,
    LibraryBusy,
    LibraryError,
    LibraryReadOnly,
    LookalikeError,
    MissingExtra,
    UsageError,
    error_by_name,
)
from lookalike.indexing.report import IndexOptions, Progress
from lookalike.wire import decode
from lookalike.wire.http import JobState

if TYPE_CHECKING:
    import httpx

_ERROR_OF_STATUS: Mapping[int, type[LookalikeError]] = {
    403: LibraryReadOnly,
    409: LibraryBusy,
    412: LibraryBusy,
    429: LibraryBusy,
    503: LibraryBusy,
}

# Seconds before asking again for what is being computed; the last one from then on.
POLL_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)

# Bytes of a large response that are read at a time.
CHUNK_BYTES = 256 << 10

# Items of a list that are requested at a time.
PAGE_SIZE = 200


class Connection:
    """Requests to one server (docs/http.md). For one thread at a time.

    page_size  items of a list that are requested at a time
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        timeout: float = 60.0,
        page_size: int = PAGE_SIZE,
    ) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingExtra("the client needs httpx: pip install 'lookalike[client]'") from None
        parts = urlsplit(address if "://" in address else f"http://{address}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"{address} is not the address of a server, such as http://127.0.0.1:8484"
            )
        # All names below `.localhost` are this machine (RFC 6761), which many resolvers do not know.
        local = parts.hostname.endswith(".localhost")
        place = f"127.0.0.1:{parts.port or 80}" if local else parts.netloc
        self._address = f"{parts.scheme}://{place}"
        self._page_size = page_size
        token = token or dict(parse_qsl(parts.query)).get("token")
        headers = {"X-Lookalike": "1"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        # Without proxies from the environment, which would be asked for addresses on this machine, too.
        self._client = httpx.Client(
            base_url=self._address, headers=headers, timeout=timeout, trust_env=False
        )
        # An idle connection may have been closed by the server at the moment of a request.
        self._retried = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
        self._http_error = httpx.HTTPError

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return a JSON document; wait for it if it must be computed first (202)."""
        polls = 0
        while (response := self._request("GET", path, params=params)).status_code == 202:
            time.sleep(POLL_SECONDS[min(polls, len(POLL_SECONDS) - 1)])
            polls += 1
        document: dict[str, Any] = response.json()
        return document

    def pages(self, path: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the documents of a list, page by page."""
        offset: int | None = 0
        while offset is not None:
            page = self.get(path, {**params, "offset": offset, "k": self._page_size})
            yield page
            offset = page["next_offset"]

    def send(self, method: str, path: str, document: Any = None) -> dict[str, Any]:
        """Send a JSON document and return the one of the response."""
        kind = {} if document is None else {"json": document}
        answer: dict[str, Any] = self._request(method, path, **kind).json()
        return answer

    def request(self, method: str, path: str, **options: Any) -> bytes:
        """Return the bytes of a response. `options` are those of `httpx.Client.request`."""
        return self._request(method, path, **options).content

    def download(
        self,
        path: str,
        out: BinaryIO,
        *,
        params: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Mapping[str, str]:
        """Write a response, however large, to a file as it arrives, and return its headers, with names in
        lower case. `LibraryError` if it is not complete. `progress` is called with the bytes received and
        their total, 0 if it is not known."""
        received = total = 0
        with (
            self._translate_errors(lambda: (received, total)),
            self._client.stream(
                "GET", path, params=query_params(params), headers=dict(headers or {})
            ) as response,
        ):
            if response.status_code >= 400:
                raise error_of(response.status_code, response.read())
            total = int(response.headers.get("Content-Length", 0))
            for chunk in response.iter_raw(CHUNK_BYTES):
                out.write(chunk)
                received += len(chunk)
                if progress is not None:
                    progress(received, total)
            return {name.lower(): value for name, value in response.headers.items()}

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        if options.get("params") is not None:
            options["params"] = query_params(options["params"])
        with self._translate_errors(lambda: (0, 0)):
            try:
                response = self._client.request(method, path, **options)
            except self._retried:
                response = self._client.request(method, path, **options)
        if response.status_code >= 400:
            raise error_of(response.status_code, response.content)
        return response

    @contextmanager
    def _translate_errors(self, progress: Callable[[], tuple[int, int]]) -> Iterator[None]:
        """Raise `LibraryError` if the server cannot be reached, or not any more."""
        try:
            yield
        except self._http_error as error:
            received, total = progress()
            if received:
                message = f"{self._address} ended after {received:,} of {total:,} bytes"
                raise LibraryError(message) from None
            reason = str(error) or type(error).__name__
            raise LibraryError(f"no answer from {self._address}: {reason.lower()}") from None


def query_params(params: Mapping[str, Any]) -> list[tuple[str, str | int | float | bool | None]]:
    """Return the parameters of an address; lists are repeated, and None is left out."""
    return [
        (name, str(one).lower() if isinstance(one, bool) else str(one))
        for name, value in params.items()
        for one in (value if isinstance(value, list | tuple) else [value])
        if one is not None
    ]


def error_of(status: int, data: bytes) -> LookalikeError:
    """Return the error that the server's library raised, as far as the status tells."""
    try:
        message = str(json.loads(data)["error"])
    except PARSE_ERRORS:
        message = f"the server answers with status {status}"
    kind = _ERROR_OF_STATUS.get(status, UsageError if status < 500 else LibraryError)
    return kind(message)


OnState = Callable[[JobState, float], None]
"""Called with the state of a job, and the seconds since it was asked for."""

# Options of `IndexOptions` that a server decides itself, or that would read files outside the library.
SERVER_SIDE_OPTIONS = frozenset(
    {"workers", "limits", "normalise", "metadata", "path_column", "replace_metadata"}
)


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
