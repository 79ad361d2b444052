"""Takes the places of files on this machine out of what other machines are told."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.errors import LookalikeError
from lookalike.library import Library
from lookalike.models.files import cache_folder, hub_cache, models_folder
from lookalike.object_storage import shown
from lookalike.stores.open_store import shown_location

# Seconds for which the folders and spaces of a library are taken for unchanged.
LIFETIME = 1.0

# Media types of texts that are written by the program; images and exported vectors hold no sentences.
TEXTS = (b"application/json", b"application/x-ndjson", b"text/event-stream")

# The character before a path in a sentence: in "trip/photos/1.jpg", "/photos" is no absolute path.
BEFORE = r"(?:(?<=[\s\"'`(\[=:,;>])|(?<=\\n)|(?<=\\\"))"

# An extractor whose model is a folder of this machine, by its absolute path.
FOLDER_SPACE = re.compile(r"([a-z]+:)((?:[/~\\]|[A-Za-z]:[/\\]).*?)((?:\+regions|\+pca\d+)*)")


class Redactor:
    """Redacts the JSON texts of one server. Thread-safe.

    Files are named by their path below the library's folders, and those folders not at all; of other paths
    the last part is left. Spaces named by the folder of a model are named by its last part.
    """

    def __init__(self, library: Library, folder: Path) -> None:
        self._library = library
        self._places = {*_places(), str(folder)}
        self._lock = threading.Lock()
        self._read_at = -LIFETIME
        self._public: Mapping[str, str] = {}
        self._rules: list[tuple[tuple[bytes, ...], re.Pattern[bytes], _Replace]] = []

    def redact(self, text: bytes) -> bytes:
        """Return a JSON text (pure ASCII, as `to_json` writes it) without places of files."""
        self._update()
        for literals, pattern, replace in self._rules:
            if any(literal in text for literal in literals):
                text = pattern.sub(replace, text)
        return text

    def stored_name(self, name: str) -> str:
        """Return the name of the space that was made known by this name."""
        self._update()
        return next((stored for stored, public in self._public.items() if public == name), name)

    def _update(self) -> None:
        with self._lock:
            if time.monotonic() - self._read_at < LIFETIME:
                return
            roots = {str(self._library.address), shown_location(self._library.address)}
            if self._library.folder is not None:
                roots.add(os.fspath(self._library.folder))
            with suppress(LookalikeError), self._library.snapshot() as snapshot:
                for root in snapshot.roots():
                    roots |= {os.fspath(root.path), shown(root.path)}
                self._public = public_names(space.name for space in snapshot.spaces())
            roots |= {os.path.realpath(root) for root in roots}
            names = _longest_first(self._public)
            self._rules = []
            if names:
                pattern = re.compile(b"|".join(map(re.escape, names)))
                short = {_escaped(name): _escaped(public) for name, public in self._public.items()}
                self._rules.append((names, pattern, lambda found: short[found[0]]))
            models = {
                str(Path(match[2]).parent)
                for match in map(FOLDER_SPACE.fullmatch, self._public)
                if match
            }
            places = self._places | {model for model in models if len(model) > 3}
            inside = rb"{sep}(?:[^{sep}\s\"'`]*{sep})*"
            self._rules += [
                _rule(roots, rb"{sep}", b"the library"),
                _rule(places, inside, b"this machine"),
            ]
            self._read_at = time.monotonic()


_Replace = Callable[[re.Match[bytes]], bytes]


def _rule(
    folders: Iterable[str], inside: bytes, name: bytes
) -> tuple[tuple[bytes, ...], re.Pattern[bytes], _Replace]:
    """Return what to look for, a pattern, and the replacement: nothing for a folder before a path inside it,
    `name` for the folder itself."""
    literals = _longest_first(folder.rstrip(os.sep) for folder in folders)
    folder = b"|".join(map(re.escape, literals))
    inside = inside.replace(b"{sep}", re.escape(_escaped(os.sep)))
    pattern = BEFORE.encode() + b"(?:" + folder + b")(?:(" + inside + rb")|(?![\w.-]))"
    return literals, re.compile(pattern), lambda found: b"" if found[1] else name


def _places() -> set[str]:
    """Return folders of this machine that texts may name, beside those of the library."""
    home, python = str(Path.home()), sys.prefix
    own = {
        home,
        python,
        tempfile.gettempdir(),
        *map(str, (cache_folder(), hub_cache(), models_folder())),
    }
    own.add(str(Path(__file__).parents[3]))
    return {place for place in own | {os.path.realpath(one) for one in own} if len(place) > 3}


def _longest_first(texts: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(sorted({_escaped(text) for text in texts if text}, key=len, reverse=True))


def _escaped(text: str) -> bytes:
    """Return a text as it stands in JSON."""
    return json.dumps(text)[1:-1].encode("ascii")


def public_names(names: Iterable[str]) -> dict[str, str]:
    """Return how spaces that are named by a folder are called instead, by their names."""
    found: dict[str, str] = {}
    for name in names:
        match = FOLDER_SPACE.fullmatch(name)
        if match and name not in found:
            short = match[1] + re.split(r"[/\\]", match[2].rstrip("/\\"))[-1]
            number, public = 1, f"{short}{match[3]}"
            while public in found.values():
                number += 1
                public = f"{short}-{number}{match[3]}"
            found[name] = public
    return found


class RedactingMiddleware:
    """ASGI middleware that redacts the texts of all responses."""

    def __init__(self, app: ASGIApp, *, redactor: Redactor) -> None:
        self._app, self._redactor = app, redactor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            send = RedactingSend(self._redactor, send)
        await self._app(scope, receive, send)


class RedactingSend:
    """An ASGI `send` that redacts the texts of one response."""

    def __init__(self, redactor: Redactor, send: Send) -> None:
        self._redactor, self._send = redactor, send
        self._start: Message | None = None
        self._is_text = False

    async def __call__(self, message: Message) -> None:
        """Pass a message on. The head of a text waits for its body, because its length may change."""
        if message["type"] == "http.response.start":
            headers = {name.lower(): value for name, value in message["headers"]}
            self._is_text = headers.get(b"content-type", b"").startswith(TEXTS)
            if self._is_text:
                self._start = message
                return
        elif message["type"] == "http.response.body" and self._is_text:
            body = message.get("body", b"")
            redacted = self._redactor.redact(body)
            if self._start is not None:
                await self._send(_with_length(self._start, len(redacted) - len(body)))
                self._start = None
            message = {**message, "body": redacted}
        await self._send(message)


def _with_length(start: Message, more: int) -> Message:
    headers = [
        (name, b"%d" % (int(value) + more) if name.lower() == b"content-length" else value)
        for name, value in start["headers"]
    ]
    return {**start, "headers": headers}
