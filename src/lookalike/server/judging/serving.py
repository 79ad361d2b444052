"""Running the judging page, for this machine alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import uvicorn

from lookalike.errors import Outcome
from lookalike.evaluation.relevance_judgements import JudgementFile
from lookalike.library import Library
from lookalike.server.judging.app import Desk, create_judging_app
from lookalike.server.run import configured, ended_by_signal
from lookalike.server.settings import Settings


def desk(library: Library, judging: JudgementFile, judge: str) -> Desk:
    """A judge's place. Pictures that the library no longer has can be judged no more; the page says so."""
    with library.snapshot() as snapshot:
        roots = {root.id: root.path for root in snapshot.roots()}
        ids: dict[str, int] = {}
        for image in snapshot.iter_files(outcomes={Outcome.INDEXED}):
            ids.setdefault(image.path, image.id)
            # As it is called where two roots have the same path.
            ids[os.fspath(roots[image.root] / image.path)] = image.id
    wanted = {name for pool in judging.pools for name in (pool.query, *pool.images)}
    return Desk(library, judging, judge, {name: ids[name] for name in wanted if name in ids})


def serve(place: Desk, bound: socket.socket, *, token: str, ready: Callable[[], None]) -> None:
    """Answer requests on the socket until a signal ends it. `ready` is called once they are taken in."""
    app = create_judging_app(place, Settings(token=token))
    with ended_by_signal():
        ready()
        uvicorn.Server(configured(app)).run(sockets=[bound])
