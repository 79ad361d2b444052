"""Running a server: its socket, one process or several, and how it ends."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import time
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from lookalike.cpu import logical_cores
from lookalike.errors import UsageError
from lookalike.library import Library
from lookalike.server import metrics
from lookalike.server.app import create_app
from lookalike.server.nightly import checked_daily
from lookalike.server.security.connection_limits import Connection
from lookalike.server.settings import Settings
from lookalike.workers.limits import Limits

USUAL_PORT = 8484
"""Tried first, so that addresses in a browser's history stay good."""

ENVIRONMENT = "LOOKALIKE_SERVING"
"""How the processes of one server learn what they serve."""

BACKLOG = 512
END_SECONDS = 10
"""For answers that are under way when the server is told to end."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What one process needs to know. `readers`, `device`: see `Library.open`."""

    folder: Path
    settings: Settings
    limits: Limits
    readers: int
    device: str | None = None

    def opened(self) -> Library:
        return Library.open(
            self.folder, limits=self.limits, readers=self.readers, device=self.device
        )


def serve(
    serving: Serving,
    bound: socket.socket,
    *,
    workers: int,
    ready: Callable[[], None],
    check_indexes: time | None = None,
) -> bool:
    """Answer requests on the socket until a signal (SIGINT, SIGTERM) ends it; then what is under way is
    finished. `ready` is called once requests are taken in, which wait until the first is answered.
    `check_indexes`: every day at this local time (see `nightly`).

    True where a thread is still at work, for minutes perhaps: end the process with `at_once` then.
    `LookalikeError` where the library cannot be opened.
    """
    with serving.opened() as library:
        if workers == 1:
            app = create_app(library, serving.settings)
            with ended_by_signal(), checked_daily(library.folder, check_indexes):
                ready()
                uvicorn.Server(configured(app)).run(sockets=[bound])
            return any(lane.taken for lane in app.state.server.lanes.all())
    with tempfile.TemporaryDirectory(prefix="lookalike-serve-") as shared:
        settings = serving.settings
        if settings.folder is None:
            settings = replace(settings, folder=Path(shared))
        os.environ[ENVIRONMENT] = written(replace(serving, settings=settings))
        share_cores(workers)
        figures = Path(shared) / "figures"
        figures.mkdir()
        os.environ[metrics.SHARED] = str(figures)
        config = configured("lookalike.server.run:application", factory=True, workers=workers)
        with ended_by_signal(), checked_daily(serving.folder, check_indexes):
            ready()
            Multiprocess(config, sockets=[bound]).run()
    return False


def share_cores(workers: int) -> None:
    """For processes that are started from now on: each multiplies matrices with its share of the cores.
    With all of them each, they would wait for one another."""
    share = str(max(1, logical_cores() // workers))
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, share)


def application() -> FastAPI:
    """The application of one of several processes."""
    serving = read(os.environ[ENVIRONMENT])
    library = serving.opened()
    atexit.register(library.close)
    return create_app(library, serving.settings)


def configured(app: Any, *, factory: bool = False, workers: int = 1) -> uvicorn.Config:
    """uvicorn as we want it: silent, and believing nothing that a client says of its address."""
    return uvicorn.Config(
        app,
        factory=factory,
        workers=workers,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ws="none",
        http=Connection,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=END_SECONDS,
        backlog=BACKLOG,
    )


def listening(host: str, port: int | None) -> socket.socket:
    """A socket that takes connections; without a port, the usual one if it is free, else any.
    `UsageError`."""
    last = OSError()
    for wanted in (USUAL_PORT, 0) if port is None else (port,):
        try:
            family, kind, proto, _, address = socket.getaddrinfo(
                host, wanted, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
        except OSError:
            raise UsageError(f"{host} is no address of this machine") from None
        bound = socket.socket(family, kind, proto)
        try:
            if os.name == "posix":
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(BACKLOG)
            bound.set_inheritable(True)
            return bound
        except OSError as error:
            bound.close()
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
def ended_by_signal() -> Iterator[None]:
    """uvicorn ends at a signal in good order and then raises it again: here it means a good end."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except SystemExit as error:
        if error.code:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def at_once() -> None:
    """End the process without waiting for threads: a search for duplicates may take minutes, and the
    interpreter would wait for it. Nothing of it is stored."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def written(serving: Serving) -> str:
    return json.dumps(asdict(serving), default=os.fspath)


def read(text: str) -> Serving:
    record = json.loads(text)
    settings = record["settings"]
    settings["folder"] = settings["folder"] and Path(settings["folder"])
    settings["hosts"] = tuple(settings["hosts"])
    return Serving(
        Path(record["folder"]),
        Settings(**settings),
        Limits(**record["limits"]),
        record["readers"],
        record["device"],
    )
