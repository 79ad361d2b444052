"""A fake hub on 127.0.0.1 in the layout of the real one, whose connections can be made to break."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

COMMIT = "a" * 40


@dataclass
class Hub:
    """What the server holds and does.

    requests         (path, Range header) of every request
    breaks_after     a connection ends after this many bytes of a body: once, or always
    refuses_ranges   HTTP status for requests with a Range header
    ignores_ranges   send the whole file instead of a range
    sends            content to send instead of the file's own
    """

    address: str = ""
    source: str = "someone/network"
    commit: str = COMMIT
    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    breaks_after: int | None = None
    breaks_always: bool = False
    refuses_ranges: int | None = None
    ignores_ranges: bool = False
    sends: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    user_agents: set[str | None] = field(default_factory=set)

    def listing(self) -> dict[str, Any]:
        siblings = []
        for name, content in self.files.items():
            entry: dict[str, Any] = {"rfilename": name, "size": len(content)}
            entry["blobId"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            if name in self.large:
                digest = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
            siblings.append(entry)
        return {"id": self.source, "sha": self.commit, "siblings": siblings}

    def fetched(self) -> list[str]:
        """Return the names of the files that were requested."""
        return [path.rpartition(f"/{COMMIT}/")[2] for path, _ in self.requests if COMMIT in path]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the tests out of the caches of the person who runs them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    for name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_TOKEN", "HF_ENDPOINT", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def hub(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append((self.path, self.headers.get("Range")))
            state.tokens.append(self.headers.get("Authorization"))
            state.user_agents.add(self.headers.get("User-Agent"))
            path = self.path.partition("?")[0]
            if path in {f"/api/models/{state.source}/revision/{name}" for name in ("main", COMMIT)}:
                self._send(json.dumps(state.listing()).encode())
            elif path.startswith(f"/{state.source}/resolve/{COMMIT}/"):
                self._send_file(path.rpartition(f"/{COMMIT}/")[2])
            else:
                self.send_error(404)

        def _send_file(self, name: str) -> None:
            content = state.sends.get(name, state.files[name])
            wanted = self.headers.get("Range")
            if wanted and state.refuses_ranges:
                self.send_error(state.refuses_ranges)
                return
            start = 0
            if wanted and not state.ignores_ranges:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self._send(content[start:], start, len(content))

        def _send(self, content: bytes, start: int = 0, total: int = 0) -> None:
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if state.breaks_after is not None and len(content) > state.breaks_after:
                content = content[: state.breaks_after]
                if not state.breaks_always:
                    state.breaks_after = None
                self.close_connection = True
            with suppress(OSError):  # the client may give up
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing: the tests look at `requests`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    state.address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("HF_ENDPOINT", state.address)
    yield state
    server.shutdown()
    server.server_close()
    thread.join()
