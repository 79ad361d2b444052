"""ASGI middleware that compresses text: JSON, and the files of the page."""

from __future__ import annotations

import asyncio
import gzip

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What is compressed: images are already, and exports and events are streamed.
COMPRESSIBLE = ("application/json", "text/javascript", "text/css", "text/html", "image/svg+xml")

# Bytes from which compressing saves a packet.
MIN_BYTES = 1024

# Bytes from which compressing takes longer than the change to another thread.
THREAD_BYTES = 32 << 10

# zlib's level: 6 saves 3 % more of a page of hits and takes twice as long.
LEVEL = 4


class CompressionMiddleware:
    """Compresses the bodies of responses with gzip where the client accepts it (RFC 9110, 12.5.3)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "HEAD":
            await self._app(scope, receive, send)
            return
        accepted = accepts_gzip(Headers(scope=scope).get("accept-encoding", ""))
        start: Message | None = None

        async def send_compressed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                if not is_compressible(headers):
                    await send(message)
                    return
                headers.add_vary_header("Accept-Encoding")
                start = {**message, "headers": headers.raw}
                return
            if start is not None:
                if accepted:
                    start, message = await compressed(start, message)
                await send(start)
                start = None
            await send(message)

        await self._app(scope, receive, send_compressed)


def accepts_gzip(header: str) -> bool:
    """Return whether an Accept-Encoding allows gzip by name."""
    for part in header.lower().split(","):
        name, _, parameter = part.partition(";")
        if name.strip() == "gzip":
            return parameter.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def is_compressible(headers: Headers) -> bool:
    """Return whether the body with these headers is text that is not compressed yet."""
    kind = headers.get("content-type", "").partition(";")[0].strip()
    return kind in COMPRESSIBLE and "content-encoding" not in headers


async def compressed(start: Message, body: Message) -> tuple[Message, Message]:
    """Return the messages of a response with its body compressed; unchanged if it is short or streamed."""
    data = body.get("body", b"")
    if body.get("more_body", False) or len(data) < MIN_BYTES:
        return start, body
    if len(data) < THREAD_BYTES:
        small = compress(data)
    else:
        small = await asyncio.to_thread(compress, data)
    headers = MutableHeaders(raw=list(start["headers"]))
    headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(len(small))
    tag = headers.get("etag", "")
    if tag.startswith('"'):  # a strong one names exact bytes (RFC 9110, 8.8.3.3)
        headers["ETag"] = f"W/{tag}"
    return {**start, "headers": headers.raw}, {**body, "body": small}


def compress(data: bytes) -> bytes:
    """Return the data in the format of gzip, the same for the same data."""
    return gzip.compress(data, LEVEL, mtime=0)
