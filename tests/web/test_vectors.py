"""Vectors in and out of a library over HTTP."""

from __future__ import annotations

import io
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from tests.web.running import running

from lookalike.client.client import Client
from lookalike.errors import LibraryBusy, LibraryError, UsageError
from lookalike.indexing import exporting as poured
from lookalike.library import Library
from lookalike.web import exporting
from lookalike.web.app import create_app
from lookalike.web.settings import Settings


@pytest.fixture(scope="module")
def served(library: Library) -> Iterator[str]:
    with running(create_app(library, Settings())) as port:
        yield f"http://127.0.0.1:{port}"


def test_vectors_go_out_as_the_library_writes_them(
    served: str, library: Library, tmp_path: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow (lookalike[parquet])")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
    steps: list[tuple[str, int, int]] = []
    with Client(served) as client:
        for vectors, folder in ((library.vectors, ours), (client.vectors, theirs)):
            listed = folder / "paths.txt"
            assert vectors.take_out("color", folder / "all.npy", paths=listed) == 40
            some = folder / "some.parquet"
            assert vectors.take_out("phash", some, where="folder = 'odd'") == 20
        client.vectors.take_out(
            "color", theirs / "again.npy", progress=lambda *step: steps.append(step)
        )
    for name in ("all.npy", "paths.txt"):
        assert (theirs / name).read_bytes() == (ours / name).read_bytes()
    size = (theirs / "all.npy").stat().st_size
    assert steps[-1] == ("export", size, size)
    tables = [parquet.read_table(folder / "some.parquet") for folder in (ours, theirs)]
    assert tables[0].equals(tables[1]) and tables[0].num_rows == 20
    assert sorted(path.name for path in theirs.iterdir()) == [
        "again.npy", "all.npy", "paths.txt", "some.parquet",
    ]  # fmt: skip


def test_what_cannot_go_out_is_said_and_leaves_nothing(served: str, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    with Client(served) as client:
        with pytest.raises(UsageError, match="it has: color, phash"):
            client.vectors.take_out("nothing", out)
        with pytest.raises(UsageError, match="no vectors to export"):
            client.vectors.take_out("color", out, where="size > 1e15")
        with pytest.raises(UsageError, match="no field nonsense"):
            client.vectors.take_out("color", out, where="nonsense = 1")
        with pytest.raises(UsageError, match="cannot write"):
            client.vectors.take_out("color", tmp_path / "nowhere" / "out.npy")
    assert list(tmp_path.iterdir()) == []


def test_rows_and_their_paths_are_of_one_state(client: TestClient) -> None:
    first = client.get("/api/vectors", params={"by": "color"})
    rows = np.load(io.BytesIO(first.content))
    assert rows.shape[0] == int(first.headers["x-lookalike-rows"]) == 40
    words = {"by": "color", "format": "paths"}
    same = client.get("/api/vectors", params=words, headers={"If-Match": first.headers["etag"]})
    assert same.status_code == 200 and len(same.text.splitlines()) == 40
    for other in ({"by": "phash"}, {"where": "size > 0"}):
        changed = client.get(
            "/api/vectors", params={**words, **other}, headers={"If-Match": first.headers["etag"]}
        )
        assert (changed.status_code, list(changed.json())) == (412, ["error"])


def test_an_export_that_breaks_off_is_not_taken_for_the_whole(
    served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = '{"rows": 40, "bytes": %s, "state": "x"}'
    for whole in ("9000000", "null"):
        program = f"print('{head % whole}'); print('x' * 10_000); raise SystemExit(1)"
        monkeypatch.setattr(exporting, "PROGRAM", (sys.executable, "-c", program))
        with Client(served) as client, pytest.raises(LibraryError):
            client.vectors.take_out("color", tmp_path / "out.npy")
    monkeypatch.setattr(exporting, "PROGRAM", (sys.executable, "-c", "print('?')"))
    with Client(served) as client, pytest.raises(LibraryBusy, match="ended early"):
        client.vectors.take_out("color", tmp_path / "out.npy")
    assert list(tmp_path.iterdir()) == []


def test_exports_are_few_and_end_with_their_visitors(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = (
        'import sys\nprint(\'{"rows": 1, "bytes": null, "state": "x"}\')\n'
        "while True: sys.stdout.write('x' * 65536)"
    )
    monkeypatch.setattr(exporting, "PROGRAM", (sys.executable, "-c", endless))
    app = create_app(library, Settings())
    exports = app.state.server.exports
    with running(app) as port:
        asked = f"GET /api/vectors?by=color HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        visitors = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        for visitor in visitors:
            visitor.sendall(asked)
            assert visitor.recv(100).startswith(b"HTTP/1.1 200")
        with Client(f"http://127.0.0.1:{port}") as client:
            with pytest.raises(LibraryBusy, match="exported to others"):
                client.vectors.take_out("color", Path("never.npy"))
            for visitor in visitors:
                visitor.close()
            for _ in range(400):
                if not exports.running:
                    break
                time.sleep(0.05)
            assert exports.running == 0
        monkeypatch.setattr(exporting, "STALL_SECONDS", 0.2)
        with socket.create_connection(("127.0.0.1", port)) as visitor:
            visitor.sendall(asked)
            visitor.recv(100)  # and no more
            for _ in range(400):
                if not exports.running:
                    break
                time.sleep(0.05)
            assert exports.running == 0


def test_streams_that_cannot_seek_get_the_same_bytes(library: Library, tmp_path: Path) -> None:
    library.vectors.take_out("color", tmp_path / "out.npy", paths=tmp_path / "out.txt")
    for form, name in (("npy", "out.npy"), ("paths", "out.txt")):
        out = io.BytesIO()
        told: list[poured.Outline] = []
        assert library.vectors.pour_out("color", out, form, begin=told.append) == 40  # type: ignore[arg-type]
        assert out.getvalue() == (tmp_path / name).read_bytes()
        assert told[0].rows == 40 and told[0].bytes in (None, len(out.getvalue()))
    assert np.array_equal(
        np.load(io.BytesIO((tmp_path / "out.npy").read_bytes())), np.load(tmp_path / "out.npy")
    )
