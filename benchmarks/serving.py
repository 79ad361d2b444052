"""The server over HTTP, on the loopback interface: one client, fifty at once, and one beside slow work.

    python benchmarks/serving.py [--images 100000] [--seconds 5] [--clients 50] [--workers 1] [--quick]
    python benchmarks/serving.py --library FOLDER --k 10 --clients 32 --quick

A library of made-up vectors of the built-in extractor's shape around 1,000 centres is served by
`lookalike serve` in a process of its own; this process is the client. No query is sent twice.

first      the first search after the server says that it is ready
image      GET /api/search?image=ID, k=24, one after the other: milliseconds from request to the whole
           response, the part of `Library.search` in it, and the time of GET /health
upload     the same for images that were uploaded before, minus the time for computing their vectors
together   many clients with connections of their own: responses per second, and their latency
beside     one client again, while two others send batches of 100 queries all the time; while groups of
           similar images are searched for; while a map is computed
"""

from __future__ import annotations

import argparse
import io
import json
import os
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.errors import Outcome
from lookalike.extractors import load
from lookalike.extractors.interface import space_key
from lookalike.images.metadata.facts import Facts
from lookalike.stores.interface import Entry, Space
from lookalike.stores.local.store import LocalStore

BATCH = 1_000
UPLOADS = 40


class Connection:
    """A client with one persistent connection. Bare sockets, because `http.client` takes longer than the
    server on a machine with two cores."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = f"127.0.0.1:{port}"
        self.started = 0.0

    def send(self, path: str, body: bytes | None = None) -> None:
        """Send a request."""
        kind = "" if body is None else f"Content-Length: {len(body)}\r\n"
        method = "GET" if body is None else "POST"
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n{kind}\r\n"
        self.started = time.perf_counter()
        self.socket.sendall(head.encode() + (body or b""))

    def receive(self) -> tuple[int, bytes, float]:
        """Return status, body and seconds since the request was sent."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += self._more()
        return int(head[9:12]), body, time.perf_counter() - self.started

    def request(self, path: str, body: bytes | None = None) -> tuple[int, bytes, float]:
        """Return status, body and seconds."""
        self.send(path, body)
        return self.receive()

    def _more(self) -> bytes:
        part = self.socket.recv(1 << 16)
        assert part, "closed before the response"
        return part


def fill(folder: Path, count: int) -> None:
    extractor = load("lookalike")
    random = np.random.default_rng(0)
    centres = random.normal(size=(1_000, extractor.dim)).astype(np.float32)
    facts = Facts(4032, 3024, "jpeg")
    key = space_key(extractor)
    with LocalStore.create(folder / ".lookalike") as store, store.writer() as writer:
        root = writer.add_root(folder).id
        writer.add_space(Space(key, extractor.name, extractor.revision, extractor.dim, "cosine"))
        for start in range(0, count, BATCH):
            noise = random.normal(size=(BATCH, extractor.dim)).astype(np.float32)
            vectors = centres[random.integers(1_000, size=BATCH)] + 0.5 * noise
            writer.put(
                [
                    Entry(
                        root,
                        f"folder {number // 1000:03d}/image {number:06d}.jpg",
                        1000 + number,
                        number,
                        sha256(str(number).encode()).digest(),
                        Outcome.INDEXED,
                        facts=facts,
                        vectors={key: vector / np.linalg.norm(vector)},
                    )
                    for number, vector in enumerate(vectors, start)
                ]
            )


def image_bytes(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (24, 32, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((640, 480), Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


def line(name: str, milliseconds: list[float], more: str = "") -> None:
    ordered = sorted(milliseconds)
    p95, p99 = (ordered[int(share * (len(ordered) - 1))] for share in (0.95, 0.99))
    print(
        f"{name:34s} median {statistics.median(ordered):7.2f} ms   95 % {p95:7.1f}   99 % {p99:7.1f} ms"
        f"   of {len(ordered):5d}   {more}",
        flush=True,
    )


def searches(connection: Connection, ids: list[int], name: str, k: int = 24) -> None:
    whole, inside = [], []
    for id in ids:
        status, data, seconds = connection.request(f"/api/search?image={id}&k={k}")
        assert status == 200, data
        whole.append(1e3 * seconds)
        inside.append(1e3 * json.loads(data)["seconds"]["total"])
    line(name, whole, f"Library.search alone: median {statistics.median(inside):.1f} ms")


def uploads(connection: Connection) -> None:
    uploads = [
        json.loads(connection.request("/api/uploads", image_bytes(n))[1])["upload"]
        for n in range(UPLOADS)
    ]
    rest, extracting = [], []
    for upload in uploads:
        status, data, seconds = connection.request(f"/api/search?upload={upload}&k=24")
        assert status == 200, data
        extract = json.loads(data)["seconds"]["extract"]
        rest.append(1e3 * (seconds - extract))
        extracting.append(1e3 * extract)
    line("upload, less its vector", rest, f"vector: median {statistics.median(extracting):.1f} ms")


def together(port: int, clients: int, seconds: float, ids: Callable[[], int], k: int) -> None:
    waits: list[float] = []
    statuses: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        for _ in range(clients):
            connection = Connection(port)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(f"/api/search?image={ids()}&k={k}")
        started = time.perf_counter()
        while time.perf_counter() < started + seconds:
            for key, _ in selector.select(1.0):
                status, _, took = key.data.receive()
                waits.append(1e3 * took)
                statuses[status] = statuses.get(status, 0) + 1
                key.data.send(f"/api/search?image={ids()}&k={k}")
    rate = len(waits) / (time.perf_counter() - started)
    line(f"together, {clients} visitors", waits, f"{rate:.0f} answers/s, statuses {statuses}")


def beside(port: int, ids: Callable[[], int]) -> None:
    done = threading.Event()
    batches: list[int] = []

    def burden() -> None:
        connection = Connection(port)
        while not done.is_set():
            queries = [{"image": [str(ids())], "k": 24} for _ in range(100)]
            status, _, _ = connection.request(
                "/api/batch", json.dumps({"queries": queries}).encode()
            )
            batches.append(status)

    threads = [threading.Thread(target=burden) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    searches(Connection(port), [ids() for _ in range(60)], "image, beside 2 batches of 100")
    health = [1e3 * Connection(port).request("/health")[2] for _ in range(60)]
    line("health, beside 2 batches of 100", health, f"{len(batches)} batches meanwhile")
    done.set()
    for thread in threads:
        thread.join()


def beside_long(port: int, path: str, name: str, ids: Callable[[], int]) -> None:
    """Measure searches while the server computes the response of `path`."""
    started = time.perf_counter()
    status = Connection(port).request(path)[0]
    searches(Connection(port), [ids() for _ in range(100)], f"image, beside {name}")
    over = Connection(port).request(path)[0] == 200
    print(
        f"    {name}: first answer {status}, "
        f"{'over' if over else 'not over'} after {time.perf_counter() - started:.0f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--k", type=int, default=24)
    parser.add_argument("--library", type=Path, help="an existing one of --images images or more")
    parser.add_argument("--quick", action="store_true", help="only images, alone and together")
    options = parser.parse_args()
    order = iter(np.random.default_rng(1).permutation(options.images) + 1)
    lock = threading.Lock()

    def ids() -> int:
        with lock:
            return int(next(order))

    with tempfile.TemporaryDirectory() as scratch:
        folder = options.library or Path(scratch)
        if options.library is None:
            fill(folder, options.images)
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "lookalike.cli",
                "serve",
                str(folder),
                "--workers",
                str(options.workers),
            ],
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        try:
            assert server.stdout is not None
            shown = next(text for text in server.stdout if "http://" in text)
            port = int(shown.split("127.0.0.1:")[1].split("/")[0])
            connection = Connection(port)
            searches(connection, [ids()], "first", options.k)
            searches(connection, [ids() for _ in range(20)], "(warming up)", options.k)
            line("health", [1e3 * connection.request("/health")[2] for _ in range(200)])
            searches(connection, [ids() for _ in range(500)], "image", options.k)
            together(port, options.clients, options.seconds, ids, options.k)
            if options.quick:
                return
            uploads(connection)
            beside(port, ids)
            beside_long(port, "/api/similar-groups", "similar groups", ids)
            searches(Connection(port), [ids() for _ in range(100)], "image again")
            beside_long(port, "/api/map", "a map", ids)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


if __name__ == "__main__":
    main()
