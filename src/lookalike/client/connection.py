"""One connection to a server: requests, and what its refusals mean."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlencode, urlsplit

from lookalike.errors import (
    LibraryBusy,
    LibraryError,
    LibraryReadOnly,
    LookalikeError,
    UsageError,
)

_ERRORS: Mapping[int, type[LookalikeError]] = {
    403: LibraryReadOnly,
    409: LibraryBusy,
    412: LibraryBusy,
    429: LibraryBusy,
    503: LibraryBusy,
}

PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds before asking again for what is being worked out; the last one from then on."""

PIECE = 256 << 10
"""Bytes of a large answer that are taken at a time."""

PAGE = 200
"""Items that are asked for at a time."""


class Connection:
    """Requests to one server (docs/http.md), answered with documents. For one thread at a time."""

    def __init__(self, address: str, *, token: str | None = None, timeout: float = 60.0) -> None:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{address} is no address of a server: http://127.0.0.1:8484")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._address = f"{parts.scheme}://{parts.netloc}"
        words = dict(parse_qsl(parts.query))
        self._token = token or words.get("token")

    def get(self, path: str, words: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A document, waited for where it must be worked out first: `get("/api/info")`."""
        address = f"{path}?{urlencode(pairs(words))}" if words else path
        for turn in range(10**9):
            status, data = self._asked("GET", address, None, {})
            if status != 202:
                break
            time.sleep(PAUSES[min(turn, len(PAUSES) - 1)])
        document: dict[str, Any] = json.loads(data)
        return document

    def pages(self, path: str, words: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The documents of a list, one after the other, to its end."""
        offset: int | None = 0
        while offset is not None:
            page = self.get(path, {**words, "offset": offset, "k": PAGE})
            yield page
            offset = page["next_offset"]

    def send(self, method: str, path: str, document: Any = None) -> dict[str, Any]:
        """What a request that changes something is answered with."""
        body = None if document is None else json.dumps(document).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        answered: dict[str, Any] = json.loads(self.fetch(method, path, body, kind))
        return answered

    def fetch(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: Mapping[str, str] | None = None,
    ) -> bytes:
        """An answer as it came."""
        return self._asked(method, path, body, kind or {})[1]

    def download(
        self,
        path: str,
        out: BinaryIO,
        kind: Mapping[str, str] | None = None,
        watch: Callable[[int, int], None] | None = None,
    ) -> Mapping[str, str]:
        """Write an answer, however large, to a file as it comes; its headers, by names in lower case.
        `LibraryError` where it does not come whole. `watch` is told of the bytes that came, and of all
        of them, 0 if nobody knows."""
        self._connection.close()  # what comes must not end because an idle connection was closed
        sent = self._marked(kind or {})
        with self._reached():
            self._connection.request("GET", path, None, sent)
            response = self._connection.getresponse()
            if response.status >= 400:
                raise meaning(response.status, response.read())
        whole = int(response.headers.get("Content-Length", 0))
        taken = 0
        while True:
            with self._reached():
                piece = response.read(PIECE)
            if not piece:
                break
            out.write(piece)
            taken += len(piece)
            if watch is not None:
                watch(taken, whole)
        if taken < whole:
            self._connection.close()
            raise LibraryError(f"{self._address} ended after {taken:,} of {whole:,} bytes")
        return {name.lower(): value for name, value in response.headers.items()}

    def close(self) -> None:
        self._connection.close()

    def _marked(self, headers: Mapping[str, str]) -> dict[str, str]:
        marked = {"X-Lookalike": "1", **headers}
        if self._token:
            marked["Authorization"] = f"Bearer {self._token}"
        return marked

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """`LibraryError` where the server is not reached, or no longer."""
        try:
            yield
        except (OSError, HTTPException) as error:
            self._connection.close()
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise LibraryError(f"no answer from {self._address}: {why.lower()}") from None

    def _asked(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        sent = self._marked(headers)
        with self._reached():
            try:
                status, data = self._once(method, path, body, sent)
            except (ConnectionError, HTTPException):  # the server closed a connection that was idle
                self._connection.close()
                status, data = self._once(method, path, body, sent)
        if status >= 400:
            raise meaning(status, data)
        return status, data

    def _once(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        return response.status, response.read()


def pairs(words: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Words as an address has them; those that are None are left out."""
    return [
        (name, str(one).lower() if isinstance(one, bool) else one)
        for name, value in words.items()
        for one in (value if isinstance(value, list | tuple) else [value])
        if one is not None
    ]


def meaning(status: int, data: bytes) -> LookalikeError:
    """The error that the server's library raised, as far as its status tells."""
    try:
        sentence = str(json.loads(data)["error"])
    except (ValueError, KeyError, TypeError):
        sentence = f"the server answers with status {status}"
    kind = _ERRORS.get(status, UsageError if status < 500 else LibraryError)
    return kind(sentence)
