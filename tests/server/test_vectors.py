"""Import and export of vectors over HTTP, and ANN indexes."""

from __future__ import annotations

import io
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from filelock import FileLock
from tests.library.image_builders import album, draw
from tests.server.conftest import ADDRESS, CSRF_HEADERS
from tests.server.live_server import running

from lookalike.client.client import Client
from lookalike.errors import LibraryBusy, LibraryError, UsageError
from lookalike.indexing.vectors import ExportHeader
from lookalike.library import Library
from lookalike.models import files
from lookalike.query import Query
from lookalike.server.app import create_app
from lookalike.server.jobs.runner import JobRunner
from lookalike.server.jobs.write_queue import MAX_WAITING_WITH_FILES
from lookalike.server.routes.vectors import MAX_IMPORTS
from lookalike.server.settings import Settings
from lookalike.stores.ann_index import IndexBuildOptions

pytestmark = pytest.mark.usefixtures("jobs_in_threads")


@pytest.fixture(scope="module")
def served(library: Library) -> Iterator[str]:
    with running(create_app(library, Settings())) as port:
        yield f"http://127.0.0.1:{port}"


def test_exported_vectors_are_those_of_the_library(
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
            assert vectors.export_vectors("color", folder / "all.npy", paths=listed) == 40
            some = folder / "some.parquet"
            assert vectors.export_vectors("phash", some, where="folder = 'odd'") == 20
        client.vectors.export_vectors(
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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return album(tmp_path / "photos", 6)


@pytest.fixture
def writable(folder: Path) -> Iterator[str]:
    """The address of a writable server; its library is indexed with `color`."""
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        with running(create_app(library, Settings(writable=True, max_upload_bytes=20_000))) as port:
            yield f"http://127.0.0.1:{port}"


def vectors(count: int, dim: int = 8, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)


def test_imported_vectors_are_as_imported_by_the_library(
    writable: str, folder: Path, tmp_path: Path
) -> None:
    names = [f"shop/{n}.jpg" for n in range(900)]
    names[:2] = ["odd/001.jpg", "000.jpg"]
    np.save(tmp_path / "made.npy", vectors(900))  # 28,800 bytes: more than one request may send
    (tmp_path / "paths.txt").write_text("".join(f"{name}\n" for name in names))
    steps: list[tuple[str, int, int]] = []
    with Client(writable) as client:
        theirs = client.vectors.import_vectors(
            tmp_path / "made.npy",
            "made",
            paths=tmp_path / "paths.txt",
            progress=lambda *step: steps.append(step),
        )
        assert len(steps) > 1 and steps[-1] == ("import", 900, 900)
        assert (theirs.images, theirs.files) == (900, 2)
        assert (theirs.space.name, theirs.space.dim, theirs.space.similarity) == (
            "made",
            8,
            "cosine",
        )
        assert client.info().roots == ("photos", "imported")
        client.vectors.export_vectors(
            "made", tmp_path / "theirs.npy", paths=tmp_path / "theirs.txt"
        )
        facts = client.images.facts("odd/001.jpg")
        assert facts.size == (folder / "odd" / "001.jpg").stat().st_size
        hits = client.images.neighbours("shop/7.jpg", k=3, extractor="made").hits
        whole = client.add()  # the root of imported vectors is no folder
        assert (whole.unchanged, whole.removed) == (6, 0)
    (tmp_path / "ours").mkdir()
    with Library.create(tmp_path / "ours") as library:
        library.vectors.import_vectors(tmp_path / "made.npy", "made", paths=tmp_path / "paths.txt")
        library.vectors.export_vectors("made", tmp_path / "ours.npy", paths=tmp_path / "ours.txt")
        ours = library.search(Query.of(Path("shop/7.jpg"), extractor="made", k=4)).hits[1:]
    assert [hit.path for hit in hits] == [hit.path for hit in ours]
    listed = [(tmp_path / f"{who}.txt").read_text().splitlines() for who in ("theirs", "ours")]
    rows = [np.load(tmp_path / f"{who}.npy") for who in ("theirs", "ours")]
    assert sorted(listed[0]) == sorted(listed[1]) == sorted(names)
    for name in ("odd/001.jpg", "000.jpg", "shop/899.jpg"):
        assert np.array_equal(rows[0][listed[0].index(name)], rows[1][listed[1].index(name)])


def test_rows_without_paths_are_numbered_across_requests(writable: str, tmp_path: Path) -> None:
    np.save(tmp_path / "made.npy", vectors(700).astype(np.float64))
    with Client(writable) as client:
        assert (
            client.vectors.import_vectors(tmp_path / "made.npy", "made", dtype="f16").images == 700
        )
        found = [image.path for image in client.images.find("path like 'made/%'")]
        assert sorted(found) == sorted(f"made/{row}" for row in range(700))
        with pytest.raises(UsageError, match="--max-upload"):
            client.vectors.import_vectors(tmp_path / "made.npy", "short", pca=2)
        few = tmp_path / "few.npy"
        np.save(few, vectors(30))
        short = client.vectors.import_vectors(few, "short", pca=2, similarity="euclidean").space
        assert (short.dim, short.similarity, short.count) == (2, "euclidean", 30)
        with pytest.raises(UsageError, match="have 8: give them another name"):
            np.save(few, vectors(30, 9))
            client.vectors.import_vectors(few, "made")
        with pytest.raises(UsageError, match="row 3: holds NaN"):
            odd = vectors(30)
            odd[3, 1] = np.nan
            np.save(few, odd)
            client.vectors.import_vectors(few, "odd")
        with pytest.raises(UsageError, match="not a complete NPY"):
            client.vectors.import_vectors(Path(__file__), "odd")
        assert [one.name for one in client.info().spaces] == ["color", "made", "short"]


def import_over_http(client: TestClient, data: Any, paths: str | None = None, **params: Any) -> Any:
    """Import vectors; return the last state of the job, or the response that refused it."""
    out = io.BytesIO()
    np.save(out, data)
    files = {"vectors": ("v", out.getvalue())}
    if paths is not None:
        files["paths"] = ("p", paths.encode("utf-8", "surrogateescape"))
    response = client.post("/api/vectors", params={"extractor": "made", **params}, files=files)
    if response.status_code != 202:
        return response
    for _ in range(600):
        state = client.get(f"/api/jobs/{response.json()['id']}").json()
        if not state["running"]:
            return state
        time.sleep(0.05)
    raise AssertionError("the import does not end")


@pytest.fixture
def writer(folder: Path) -> Iterator[TestClient]:
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        settings = Settings(writable=True, folder=folder.parent / "served")
        with TestClient(
            create_app(library, settings), base_url=ADDRESS, headers=CSRF_HEADERS
        ) as client:
            yield client


@pytest.mark.parametrize(
    "name",
    ["../secret.jpg", "/etc/passwd", "odd/../../secret.jpg", "..", "C:\\secret.jpg", "\\secret.jpg",
     "a\\..\\..\\secret.jpg", "x" * 5000, "a\0b", ""],
)  # fmt: skip
def test_paths_outside_the_library_are_refused(writer: TestClient, folder: Path, name: str) -> None:
    draw(folder.parent / "secret.jpg", 5)
    state = import_over_http(writer, vectors(2), f"fine.jpg\n{name}\n")
    assert (state["error"], state["result"]) == ("UsageError", None)
    assert state["message"].startswith("paths.txt, line 2: ")
    assert writer.get("/api/info").json()["roots"] == ["photos"]
    assert list((folder.parent / "served" / "imports").iterdir()) == []


def test_paths_match_no_hidden_files_and_follow_no_links_out(
    writer: TestClient, folder: Path
) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    draw(outside / "secret.jpg", 5)
    draw(folder / ".hidden.jpg", 6)
    (folder / "away").symlink_to(outside)
    (folder / "away.jpg").symlink_to(outside / "secret.jpg")
    names = [
        "away/secret.jpg", "away.jpg", ".hidden.jpg", ".lookalike/catalogue.sqlite", "./odd//001.jpg",
        "https://shop.example/../1.jpg",
    ]  # fmt: skip
    refused = import_over_http(writer, vectors(6), "\n".join(names))
    assert "line 6" in refused["message"]
    names[-1] = "https://shop.example/1.jpg"
    state = import_over_http(writer, vectors(6), "\n".join(names))
    assert state["result"]["images"] == 6 and state["result"]["files"] == 1, state
    assert writer.get("/api/info").json()["roots"] == ["photos", "imported"]
    listed = writer.get("/api/images", params={"k": 100}).json()["images"]
    assert len(listed) == 6 + 5
    for image in listed[6:]:
        assert image["size"] == 0
        assert writer.get(f"/api/images/{image['id']}/file").status_code == 404
        assert writer.get(f"/api/images/{image['id']}/thumbnail").status_code == 404
    assert writer.post("/api/images", json={"paths": ["../outside"]}).status_code == 403


def test_an_import_adds_no_root(tmp_path: Path) -> None:
    photos, home = album(tmp_path / "photos", 3), tmp_path / "home"
    home.mkdir()
    draw(home / "private.jpg", 5)
    with Library.create(photos, folder=home / ".lookalike") as library:
        library.add([photos], extractors=["color"])
        app = create_app(library, Settings(writable=True, allow_roots=(str(photos),)))
        with TestClient(app, base_url=ADDRESS, headers=CSRF_HEADERS) as client:
            state = import_over_http(client, vectors(1), "private.jpg\n")
            assert (state["result"]["images"], state["result"]["files"]) == (1, 0)
            assert client.get("/api/info").json()["roots"] == ["photos", "imported"]


def header(text: str, data: bytes = b"") -> bytes:
    line = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line + data


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"PK\x03\x04" + bytes(100), 400),
        (b"\x93NUMPY\x03\x00\xff\xff\xff\xff" + b"{" * 100, 400),
        (header("{" * 9000), 400),
        *(
            (header(f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}}}", bytes(64)), 400)
            for kind, shape in (
                ("'<f4'", "(-1, 4)"), ("'<f4'", "(4, -1)"), ("'<f4'", f"({10**30}, 4)"),
                ("'<f4'", "(1000000000, 1000)"), ("'<f4'", "(True, 4)"), ("'<f4'", "('2', 4)"),
                ("'<f4'", "()"), ("'<f4'", "(0, 4)"), ("'|O'", "(2, 4)"), ("'<c8'", "(2, 4)"),
                ("[('a', '<f4')]", "(2, 4)"), ("'?'", "(2, 4)"), ("7", "(2, 4)"), ("'<U4'", "(2, 2)"),
            )
        ),
        (header("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 9000)}", bytes(9000)), 413),
        (header("{'descr': '|u1', 'fortran_order': False, 'shape': (250000, 1)}", bytes(250_000)), 413),
    ],
)  # fmt: skip
def test_invalid_npy_files_are_refused_and_not_stored(
    writer: TestClient, folder: Path, body: bytes, status: int
) -> None:
    response = writer.post("/api/vectors", params={"extractor": "made"}, content=body)
    assert response.status_code == status, response.text
    assert list(response.json()) == ["error"] and str(folder.parent) not in response.text
    assert list((folder.parent / "served" / "imports").iterdir()) == []
    assert writer.get("/health").status_code == 200


def test_pca_of_long_vectors_is_refused(writer: TestClient) -> None:
    assert import_over_http(writer, vectors(3, 5000), pca=2).status_code == 413
    assert import_over_http(writer, vectors(3, 5000))["result"]["images"] == 3


def test_the_number_of_waiting_imports_is_limited(writer: TestClient, folder: Path) -> None:
    served = folder.parent / "served"
    out = io.BytesIO()
    np.save(out, vectors(2))

    def ask() -> Any:
        return writer.post("/api/vectors", params={"extractor": "made"}, content=out.getvalue())

    with FileLock(served / "jobs" / "lock"):
        responses = [ask() for _ in range(MAX_WAITING_WITH_FILES + 1)]
        statuses = [response.status_code for response in responses]
        assert statuses == [202] * MAX_WAITING_WITH_FILES + [429]
        assert len(list((served / "imports").iterdir())) == MAX_WAITING_WITH_FILES


def test_the_number_of_arriving_imports_is_limited(writer: TestClient, folder: Path) -> None:
    for number in range(MAX_IMPORTS):
        (folder.parent / "served" / "imports" / str(number)).mkdir(parents=True)
    assert import_over_http(writer, vectors(2)).status_code == 429
    (folder.parent / "served" / "imports" / "0").rmdir()
    assert import_over_http(writer, vectors(2))["result"]["images"] == 2


def test_imports_and_ann_changes_need_a_writable_server(client: TestClient) -> None:
    body = header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}", bytes(16))
    responses = [
        client.post("/api/vectors?extractor=made", content=body, headers=CSRF_HEADERS),
        client.post("/api/ann", json={"extractor": "color"}, headers=CSRF_HEADERS),
        client.post("/api/ann/check", json={}, headers=CSRF_HEADERS),
        client.request("DELETE", "/api/ann", json={}, headers=CSRF_HEADERS),
    ]
    for response in responses:
        assert response.status_code == 403 and "--writable" in response.json()["error"]
    unmarked = client.post(
        "/api/vectors?extractor=made", content=body, headers={"Content-Type": "text/plain"}
    )
    assert unmarked.status_code == 403 and "X-Lookalike" in unmarked.json()["error"]


def test_ann_indexes_are_built_checked_and_removed(writable: str, tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason="needs FAISS")
    with Client(writable) as client:
        np.save(tmp_path / "made.npy", vectors(600, 4))
        client.vectors.import_vectors(tmp_path / "made.npy", "made")
        assert client.ann.build() == {}
        steps: list[tuple[str, int, int]] = []
        built = client.ann.build(
            "made", IndexBuildOptions(target=0.9), progress=lambda *step: steps.append(step)
        )
        assert list(built) == ["made"] and built["made"].rows == 600
        described = {one.name: one.index for one in client.info().spaces}
        assert described["color"] is None and described["made"] == built["made"]
        assert client.ann.history("made") == []
        (verdict,) = client.ann.check("made", queries=20, rebuild=False)
        assert verdict.space.name == "made" and not verdict.rebuilt
        assert verdict.check is not None and client.ann.history("made") == [verdict.check]
        for wish in (IndexBuildOptions(recipe="HNSW4096"), IndexBuildOptions(threads=64)):
            with pytest.raises(UsageError, match="recipe and threads"):
                client.ann.build("made", wish)
        with pytest.raises(UsageError, match="an index of 600 vectors takes"):
            client.ann.build("made", IndexBuildOptions(memory=10))
        for ask in (client.ann.build, client.ann.check, client.ann.history, client.ann.remove):
            with pytest.raises(UsageError, match="no vectors of nothing, only of color, made"):
                ask("nothing")
        assert client.ann.remove() == ["made"] and client.ann.remove("made") == []


def test_a_failed_export_leaves_no_file(served: str, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    with Client(served) as client:
        with pytest.raises(UsageError, match="only of color, phash"):
            client.vectors.export_vectors("nothing", out)
        with pytest.raises(UsageError, match="no vectors to export"):
            client.vectors.export_vectors("color", out, where="size > 1e15")
        with pytest.raises(UsageError, match="no field nonsense"):
            client.vectors.export_vectors("color", out, where="nonsense = 1")
        with pytest.raises(UsageError, match="cannot write"):
            client.vectors.export_vectors("color", tmp_path / "nowhere" / "out.npy")
    assert list(tmp_path.iterdir()) == []


def test_an_etag_ties_rows_and_paths_to_one_snapshot(client: TestClient) -> None:
    first = client.get("/api/vectors", params={"extractor": "color"})
    rows = np.load(io.BytesIO(first.content))
    assert rows.shape[0] == int(first.headers["x-lookalike-rows"]) == 40
    params = {"extractor": "color", "format": "paths"}
    same = client.get("/api/vectors", params=params, headers={"If-Match": first.headers["etag"]})
    assert same.status_code == 200 and len(same.text.splitlines()) == 40
    for other in ({"extractor": "phash"}, {"where": "size > 0"}):
        changed = client.get(
            "/api/vectors", params={**params, **other}, headers={"If-Match": first.headers["etag"]}
        )
        assert (changed.status_code, list(changed.json())) == (412, ["error"])


def app_with_export(library: Library, program: str, **settings: Any) -> FastAPI:
    """Return a server whose jobs run this Python program."""
    app = create_app(library, Settings(**settings))
    jobs = JobRunner(library.folder, program=(sys.executable, "-c", program))
    app.state.server = replace(app.state.server, jobs=jobs)
    return app


@pytest.mark.parametrize("size", ["9000000", "null"])
def test_an_export_that_breaks_off_is_not_taken_for_complete(
    library: Library, tmp_path: Path, size: str
) -> None:
    head = f'{{"begin": {{"rows": 40, "bytes": {size}, "state": "x"}}}}'
    app = app_with_export(library, f"print('{head}'); print('x' * 10_000); raise SystemExit(1)")
    with (
        running(app) as port,
        Client(f"http://127.0.0.1:{port}") as client,
        pytest.raises(LibraryError),
    ):
        client.vectors.export_vectors("color", tmp_path / "out.npy")
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_does_not_begin_is_refused(library: Library, tmp_path: Path) -> None:
    app = app_with_export(library, "print('?')")
    with (
        running(app) as port,
        Client(f"http://127.0.0.1:{port}") as client,
        pytest.raises(LibraryBusy, match="ended early"),
    ):
        client.vectors.export_vectors("color", tmp_path / "out.npy")
    assert list(tmp_path.iterdir()) == []


def wait_until_none_runs(app: FastAPI) -> None:
    for _ in range(400):
        if not app.state.server.jobs.running:
            return
        time.sleep(0.05)
    raise AssertionError("an export goes on")


ENDLESS = (
    'import sys\nprint(\'{"begin": {"rows": 1, "bytes": null, "state": "x"}}\')\n'
    "while True: sys.stdout.write('x' * 65536)"
)


def export_request(port: int) -> bytes:
    path = "/api/vectors?extractor=color"
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()


def test_exports_are_limited_and_end_when_their_client_disconnects(library: Library) -> None:
    app = app_with_export(library, ENDLESS)
    with running(app) as port:
        visitors = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        for visitor in visitors:
            visitor.sendall(export_request(port))
            assert visitor.recv(100).startswith(b"HTTP/1.1 200")
        with (
            Client(f"http://127.0.0.1:{port}") as client,
            pytest.raises(LibraryBusy, match="too many exports"),
        ):
            client.vectors.export_vectors("color", Path("never.npy"))
        for visitor in visitors:
            visitor.close()
        wait_until_none_runs(app)


def test_an_export_that_is_not_read_ends(library: Library) -> None:
    app = app_with_export(library, ENDLESS, export_seconds=0.2)
    with running(app) as port, socket.create_connection(("127.0.0.1", port)) as visitor:
        visitor.sendall(export_request(port))
        visitor.recv(100)  # and nothing more
        wait_until_none_runs(app)


def test_streams_without_seek_get_the_same_bytes(library: Library, tmp_path: Path) -> None:
    library.vectors.export_vectors("color", tmp_path / "out.npy", paths=tmp_path / "out.txt")
    for form, name in (("npy", "out.npy"), ("paths", "out.txt")):
        out = io.BytesIO()
        headers: list[ExportHeader] = []
        assert library.vectors.stream_vectors("color", out, form, begin=headers.append) == 40  # type: ignore[arg-type]
        assert out.getvalue() == (tmp_path / name).read_bytes()
        assert headers[0].rows == 40 and headers[0].bytes in (None, len(out.getvalue()))
    assert np.array_equal(
        np.load(io.BytesIO((tmp_path / "out.npy").read_bytes())), np.load(tmp_path / "out.npy")
    )


def test_a_space_is_dropped_over_http(writable: str, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.eye(4, dtype=np.float32))
    with Client(writable) as client:
        before = client.info().images
        assert client.vectors.import_vectors(tmp_path / "v.npy", "made").images == 4
        with pytest.raises(UsageError, match="are compared by cosine"):
            client.vectors.import_vectors(tmp_path / "v.npy", "made", similarity="euclidean")
        with pytest.raises(UsageError, match="color is the name of an extractor"):
            client.vectors.import_vectors(tmp_path / "v.npy", "color")
        assert client.vectors.drop("made") == 4
        assert client.info().images == before
        with pytest.raises(UsageError, match="no vectors of made"):
            client.vectors.drop("made")


FOREIGN_NAMES = [
    "onnx:owner/name", "onnx:x", "../x", "/etc", "~/x", "a/b", "a\\b", "a:b", "x\x1b[31m", "x\u202ey", "x\ny",
    "x\u200by", "$(id)", "`id`", "a;b", "a|b", "-x", ".x", "+x", " x", "a'b", 'a"b', "Color", "CLIP",
    "\uff43olor", "color+regions", "Phash+pca8", "captions", "Captions", "a@b", "a,b",
]  # fmt: skip


def test_names_that_messages_would_recommend_are_refused(
    writable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "is_trained", never)
    vectors_file = io.BytesIO()
    np.save(vectors_file, np.eye(4, dtype=np.float32))
    with Client(writable) as client:  # whose own check is not what protects the server
        for name in FOREIGN_NAMES:
            with pytest.raises(UsageError, match=r"invalid name|is the name of|is what searches"):
                client.connection.request(
                    "POST",
                    "/api/vectors",
                    params={"extractor": name},
                    content=vectors_file.getvalue(),
                )
        assert [space.name for space in client.info().spaces] == ["color"]


def never(place: object) -> bool:
    raise AssertionError(f"{place} was looked at")
