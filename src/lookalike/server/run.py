"""Running a server: its socket, one process or several, and how it ends."""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from lookalike.cpu import logical_cores
from lookalike.errors import UsageError
from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.routes.operation import SHARED_FOLDER
from lookalike.server.security.connection_limits import LimitedConnection
from lookalike.server.settings import Settings
from lookalike.wire import decode, encode
from lookalike.workers.limits import Limits

# Tried first, so that addresses in a browser's history stay valid.
DEFAULT_PORT = 8484

# Environment variable by which the processes of one server learn what they serve.
CONFIG_VARIABLE = "LOOKALIKE_SERVE_CONFIG"

BACKLOG = 512

# Seconds for requests that are in progress when the server is told to end.
SHUTDOWN_SECONDS = 10


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Settings of one server process. `readers`, `device`: see `Library.open`.

    location  of the library; a URL may hold a password
    """

    location: str
    settings: Settings
    limits: Limits
    readers: int
    device: str | None = None

    def open_library(self) -> Library:
        """Open the library."""
        return Library.open(
            self.location, limits=self.limits, readers=self.readers, device=self.device
        )


def serve(
    config: ServerConfig, sock: socket.socket, *, workers: int, ready: Callable[[], None]
) -> bool:
    """Answer requests on the socket until SIGINT or SIGTERM; then finish those in progress.

    `ready` is called when every process is warm. Returns True if a thread is still at work, perhaps for
    minutes: then end the process with `exit_now`. `LookalikeError` if the library cannot be opened.
    """
    with config.open_library() as library:
        if workers == 1:
            app = create_app(library, config.settings)
            run_app(app, sock, ready)
            return any(executor.active for executor in app.state.server.executors.all())
    with tempfile.TemporaryDirectory(prefix="lookalike-serve-") as shared:
        settings = config.settings
        if settings.folder is None:
            settings = replace(settings, folder=Path(shared))
        os.environ[CONFIG_VARIABLE] = json.dumps(encode(replace(config, settings=settings)))
        share_cores(workers)
        metrics_folder = Path(shared) / "metrics"
        metrics_folder.mkdir()
        os.environ[SHARED_FOLDER] = str(metrics_folder)
        with exit_on_signal():
            uvicorn_config = server_config(
                "lookalike.server.run:worker_app", factory=True, workers=workers
            )
            AnnouncingProcesses(uvicorn_config, [sock], ready).run()
    return False


def run_app(app: FastAPI, sock: socket.socket, ready: Callable[[], None]) -> None:
    """Serve an application in this process until a signal. `ready` is called when it is warm."""
    with exit_on_signal():
        AnnouncingServer(server_config(app), ready).run(sockets=[sock])


class AnnouncingServer(uvicorn.Server):
    """A server that says when it has started."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            # The garbage collector no longer visits what exists by now: that took 0.1 s every second under
            # load, in which no request was answered.
            gc.freeze()
            self._ready()


class AnnouncingProcesses(Multiprocess):
    """Server processes that say when all of them have started."""

    def __init__(
        self, config: uvicorn.Config, sockets: list[socket.socket], ready: Callable[[], None]
    ) -> None:
        super().__init__(config, sockets)
        self._ready = ready
        self._announced = False

    def keep_subprocess_alive(self) -> None:
        super().keep_subprocess_alive()
        if not self._announced and all(process.is_ready() for process in self.processes):
            self._announced = True
            self._ready()


def share_cores(workers: int) -> None:
    """Give each process started from now on its share of the cores for matrix products. With all cores each,
    they would wait for one another."""
    share = str(max(1, logical_cores() // workers))
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, share)


def worker_app() -> FastAPI:
    """Return the application of one of several processes."""
    config = decode(ServerConfig, json.loads(os.environ[CONFIG_VARIABLE]))
    library = config.open_library()
    atexit.register(library.close)
    app = create_app(library, config.settings)
    gc.freeze()  # as in `AnnouncingServer`
    return app


def server_config(app: Any, *, factory: bool = False, workers: int = 1) -> uvicorn.Config:
    """Return uvicorn's configuration: silent, and without trust in what clients say of their address."""
    return uvicorn.Config(
        app,
        factory=factory,
        workers=workers,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ws="none",
        http=LimitedConnection,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        backlog=BACKLOG,
    )


def listen(host: str, port: int | None) -> socket.socket:
    """Return a listening socket; without a port, on the default one if it is free, else on any.
    `UsageError`."""
    last = OSError()
    for candidate in (DEFAULT_PORT, 0) if port is None else (port,):
        try:
            family, kind, proto, _, address = socket.getaddrinfo(
                host, candidate, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
        except OSError:
            raise UsageError(f"{host} is not an address of this machine") from None
        sock = socket.socket(family, kind, proto)
        try:
            if os.name == "posix":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(BACKLOG)
            sock.set_inheritable(True)
            return sock
        except OSError as error:
            sock.close()
            last = error
    raise UsageError(
        f"cannot serve on {host}, port {port}: {(last.strerror or 'it is taken').lower()}; "
        "choose another with --port"
    )


def is_local(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(str(address[0]).startswith("127.") or address[0] == "::1" for *_, address in found)


@contextmanager
def exit_on_signal() -> Iterator[None]:
    """Treat SIGINT and SIGTERM as a normal end: uvicorn shuts down in order and then raises them again."""

    def exit_(_signal: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    before = {number: signal.signal(number, exit_) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except SystemExit as error:
        if error.code:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_now() -> None:
    """End the process without waiting for threads: a search for duplicates may take minutes, and the
    interpreter would wait for it. Nothing of it is stored."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
