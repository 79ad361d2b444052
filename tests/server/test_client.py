"""The Python client returns what the library returns."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image
from tests.library.image_builders import album, draw
from tests.server.live_server import free_port, running

import lookalike
from lookalike.client.client import Client
from lookalike.client.images import with_weight
from lookalike.duplicates.report import Duplicates
from lookalike.embedding_map.build import build_map
from lookalike.errors import LibraryError, LibraryReadOnly, MissingExtra, Outcome, UsageError
from lookalike.explain.explainer import Explainer
from lookalike.indexing.report import IndexOptions, IndexReport, Progress
from lookalike.library import Library
from lookalike.query import Query, Term
from lookalike.server.app import create_app
from lookalike.server.jobs.job_folder import JobFolder
from lookalike.server.jobs.runner import JobRunner
from lookalike.server.jobs.write_queue import WriteQueue
from lookalike.server.settings import Settings
from lookalike.stores import records

TOKEN = "correct+horse%26&battery"

pytestmark = pytest.mark.usefixtures("jobs_in_threads")


@pytest.fixture(scope="module")
def served(library: Library) -> Iterator[str]:
    with running(create_app(library, Settings(token=TOKEN))) as port:
        yield f"http://127.0.0.1:{port}/?token={quote(TOKEN, safe='')}"


def alike(
    some: Iterable[records.Image], others: Iterable[records.Image], names: Sequence[str]
) -> bool:
    """Return whether images agree in these fields."""
    rows = [[[getattr(one, name) for name in names] for one in side] for side in (some, others)]
    return rows[0] == rows[1]


def same_groups(theirs: Duplicates, ours: Duplicates) -> bool:
    rows = [
        [
            [
                (m.image.path, m.kind, round(m.similarity, 6), m.evidence, m.spare, m.reason)
                for m in group.members
            ]
            for group in found.groups
        ]
        for found in (theirs, ours)
    ]
    return rows[0] == rows[1] and (theirs.searched, theirs.missing) == (ours.searched, ours.missing)


def stored(library: Library, id: int) -> NDArray[np.float32]:
    """Return a vector of the first space."""
    with library.snapshot() as snapshot:
        row: NDArray[np.float32] = snapshot.vectors(snapshot.spaces()[0].key, np.array([id]))[0]
    return row


def test_a_client_finds_what_the_library_finds(
    served: str, library: Library, image_bytes: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "new.png"
    file.write_bytes(image_bytes)
    pixels = np.asarray(Image.open(file).convert("RGB"))
    queries = [
        Query((Term(id=3, weight=2.5), Term(id=4), Term(id=5, weight=-1)), k=7),
        Query((Term(image=image_bytes),), extractors=("phash", "color"), fusion="ranks"),
        Query((Term(image=file, region=(0, 0, 0.5, 0.75)), Term(id=8)), where="size > 1"),
        Query((Term(image=pixels),), k=3, similarity="euclidean", any_orientation=True),
        Query((Term(image=Path("odd/001.jpg")),), k=2, diversity=0.3, min_relevance="weak"),
        Query((Term(vector=stored(library, 7)), Term(vector=stored(library, 8), weight=-0.5)), k=5),
        Query((Term(id=3), Term(vector=stored(library, 9), weight=2)), k=4, extractors=("color",)),
    ]
    with lookalike.Client(served) as client:
        for query in queries:
            theirs, ours = client.search(query), library.search(query)
            assert [hit.id for hit in theirs.hits] == [hit.id for hit in ours.hits]
            assert [hit.similarity for hit in theirs.hits] == pytest.approx(
                [hit.similarity for hit in ours.hits], abs=1e-6
            )
            assert [hit.relevance for hit in theirs.hits] == [hit.relevance for hit in ours.hits]
            assert (theirs.ranked_by, theirs.similarity, theirs.top_relevance) == (
                ours.ranked_by,
                ours.similarity,
                ours.top_relevance,
            )
        with pytest.raises(UsageError, match="have 384"):
            client.search(Query((Term(vector=np.ones(20_000, np.float32)),)))
        with pytest.raises(UsageError, match="one dimension"):
            client.search(Query((Term(vector=np.ones((2, 2), np.float32)),)))
        assert client.search(file, k=4).hits[0].path == library.search(file, k=4).hits[0].path


def test_a_batch_keeps_its_order_and_its_failures(served: str) -> None:
    queries = [
        Query((Term(id=7),), k=1),
        Query((Term(image=Path("nowhere.jpg")),)),
        Query((Term(text="mug"),)),
        Query((Term(id=9),), k=1),
    ]
    with Client(served) as client:
        responses = client.search_batch(queries)
    assert [[hit.id for hit in hits.hits] for hits in responses] == [[7], [], [], [9]]
    assert "nowhere.jpg" in responses[1].failure and "captions" in responses[2].failure


def test_info_fields_and_failures_are_those_of_the_library(
    served: str, library: Library, photos: Path
) -> None:
    ours = library.info()
    with Client(served) as client:
        info, fields = client.info(), client.images.fields()
        failed = list(client.failures())
        everything = list(client.files())
    assert (info.images, info.outcomes, info.roots) == (ours.images, ours.outcomes, ("photos",))
    spaces = [(space.name, space.dim, space.similarity, space.count) for space in ours.spaces]
    assert [(one.name, one.dim, one.similarity, one.count) for one in info.spaces] == spaces
    with library.snapshot() as snapshot:
        assert fields == dict(snapshot.fields())
    names = ("id", "path", "size", "outcome", "reason")
    assert alike(failed, library.failures(), names)
    assert alike(everything, library.files(), names) and len(everything) == 41


def test_failures_and_groups_can_be_limited_to_paths(served: str, library: Library) -> None:
    root = library.info().roots[0].path
    with Client(served) as client:
        below = list(client.files(below="odd"))
        assert alike(below, library.files(below=root / "odd"), ("id", "path"))
        assert [image.path for image in client.failures(below="broken.jpg")] == ["broken.jpg"]
        assert list(client.files([], below=".")) == []
        assert len(list(client.files(below="."))) == 41
        some = ["odd", "000.jpg"]
        ours = library.duplicates([root / one for one in some], kind="near")
        assert same_groups(client.duplicates(some, kind="near"), ours) and ours.searched == 21
        ours = library.duplicates(
            [root / "odd"], against=[root / "000.jpg"], prefer=[root / "odd"], kind="near"
        )
        theirs = client.duplicates(["odd"], against=["000.jpg"], prefer=["odd"], kind="near")
        assert same_groups(theirs, ours)
        grouped = library.similar_groups([root / "odd"], extractor="color", min_similarity=0.5)
        assert same_groups(
            client.similar_groups(["odd"], extractor="color", min_similarity=0.5), grouped
        )
        for lost in ("nowhere", "../photos", str(root), "odd/../.."):
            with pytest.raises(UsageError, match="no image at"):
                client.duplicates([lost])
            with pytest.raises(UsageError, match="no image at"):
                list(client.failures(below=lost))


def test_images_are_named_by_id_or_path(served: str, library: Library, photos: Path) -> None:
    with library.snapshot() as snapshot:
        ours = snapshot.images([3])[3]
    with Client(served) as client:
        theirs = client.images.facts(ours.path)
        assert replace(theirs, root=ours.root, mtime_ns=ours.mtime_ns) == ours
        assert theirs.mtime_ns == ours.mtime_ns // 10**9 * 10**9
        assert client.images.facts(3) == theirs
        assert client.images.file(3) == (photos / ours.path).read_bytes()
        assert client.images.thumbnail(3, 64) == library.thumbnails.get(3, 64).data
        odd = [image.path for image in client.images.find("path like 'odd/%'")]
        assert odd == sorted(f"odd/{file.name}" for file in (photos / "odd").iterdir())
        near = client.images.neighbours(3, k=5, extractor="color")
        with pytest.raises(UsageError, match="nowhere"):
            client.images.facts("nowhere.jpg")
        with pytest.raises(UsageError, match="4711"):
            client.images.facts(4711)
    hits = library.search(Query((Term(id=3),), k=6, extractors=("color",))).hits
    assert [hit.id for hit in near.hits] == [hit.id for hit in hits if hit.id != 3]


def test_lists_of_many_pages_are_complete(served: str, library: Library) -> None:
    ours = library.similar_groups(extractor="color", min_similarity=0.5)
    with Client(served, page_size=3) as client:
        assert [image.id for image in client.images.find()] == [
            image.id for image in library.files([Outcome.INDEXED])
        ]
        theirs = client.similar_groups(extractor="color", min_similarity=0.5)
    assert same_groups(theirs, ours) and ours.groups


def test_jobs_are_waited_for(library: Library) -> None:
    ours, drawn = library.duplicates(kind="near"), build_map(library, method="pca")
    app = create_app(library, Settings(job_wait=0.0))  # the first responses are 202
    with running(app) as port, Client(f"http://127.0.0.1:{port}") as client:
        assert same_groups(client.duplicates(kind="near"), ours)
        drawn_there = client.explanations.map(method="pca")
    assert drawn_there["ids"] == drawn.ids.tolist()
    assert list(zip(drawn_there["x"], drawn_there["y"], strict=True)) == [
        tuple(place) for place in drawn.as_dict()["positions"]
    ]


def test_explanations_are_those_of_the_library(
    served: str, library: Library, image_bytes: bytes
) -> None:
    with Explainer(library) as explainer, Client(served) as client:
        for query in (3, image_bytes):
            ours = explainer.match(query, 5, extractor="color").as_dict()
            assert client.explanations.match(query, 5, extractor="color") == json.loads(
                json.dumps(ours)
            )
        with pytest.raises(UsageError, match="color"):
            client.explanations.match_text("red", 3, extractor="color")


def test_a_client_changes_the_library(tmp_path: Path) -> None:
    folder = album(tmp_path / "photos", 6)
    (folder / "copy.jpg").write_bytes((folder / "000.jpg").read_bytes())
    steps: list[Progress] = []
    with Library.create(folder) as library:
        library.add([folder], extractors=["color", "phash"])
        app = create_app(library, Settings(writable=True))
        with running(app) as port, Client(f"http://127.0.0.1:{port}") as client:
            draw(folder / "new.jpg", 77)
            added = client.add(progress=steps.append)
            assert (added.new, added.unchanged, added.spaces) == (1, 7, ("color", "phash"))
            assert steps[0].done == 0 and client.info().images == 8
            (group,) = client.duplicates(kind="exact").groups
            assert [member.file for member in group.members] == [Path("000.jpg"), Path("copy.jpg")]
            made = client.feedback.add("not-duplicate", "000.jpg", "odd/001.jpg", who="me")
            assert made == [one.decision for one in library.feedback.all()]
            (theirs,), (ours,) = client.feedback.all(), library.feedback.all()
            assert theirs.decision == ours.decision
            assert [
                tuple(folder / path for path in side) for side in (theirs.first, theirs.second)
            ] == [
                ours.first,
                ours.second,
            ]
            assert client.feedback.all(["keep"]) == []
            lines = list(client.feedback.export_lines())
            assert lines == list(library.feedback.export_lines()) and len(lines) == 1
            assert client.feedback.import_lines(lines) == 0
            with pytest.raises(UsageError, match="line 2 is not a judgement"):
                client.feedback.import_lines([lines[0].replace("not-duplicate", "relevant"), "{}"])
            assert list(client.feedback.export_lines()) == lines
            assert client.feedback.remove("not-duplicate", "000.jpg", "odd/001.jpg") == 1
            assert library.feedback.all() == []
            assert client.feedback.import_lines(lines) == 1
            assert list(library.feedback.export_lines()) == lines
            number = client.images.facts("copy.jpg").id
            assert client.remove(number) == client.remove("new.jpg") == 1
            assert client.remove(["odd"]) == len(list((folder / "odd").iterdir()))
            assert list(client.images.find("path = 'new.jpg'")) == []
            with pytest.raises(UsageError, match="no image at nowhere"):
                client.remove(["nowhere"])


def test_adding_waits_for_its_own_job(tmp_path: Path) -> None:
    folder = album(tmp_path / "photos", 6)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        shared = tmp_path / "shared"
        app = create_app(library, Settings(writable=True, folder=shared))
        # Stands for another process of the same server.
        other = WriteQueue(JobRunner(library.folder), JobFolder(shared / "jobs"))
        reports: list[IndexReport] = []

        def add(port: int) -> None:
            with Client(f"http://127.0.0.1:{port}") as client:
                reports.append(client.add(["new.jpg"]))

        draw(folder / "new.jpg", 77)
        with running(app) as port:
            thread = threading.Thread(target=add, args=(port,))
            with FileLock(shared / "jobs" / "lock"):
                thread.start()
                others = other.submit("index", {"paths": [str(folder / "odd")], "options": {}})
                while len(list((shared / "jobs").glob("*.job"))) < 2:
                    thread.join(0.01)
                assert thread.is_alive() and not reports
            thread.join(60)
            while other.state(others.id).running:
                time.sleep(0.05)
        other.close()
    assert [(one.new, one.unchanged) for one in reports] == [(1, 0)]


def test_an_estimate_is_that_of_the_library(tmp_path: Path) -> None:
    folder = album(tmp_path / "photos", 6)
    with Library.create(folder) as library:
        library.add([folder / "odd"], extractors=["color"])
        app = create_app(library, Settings(writable=True))
        options = IndexOptions(include=("00*",))
        with running(app) as port, Client(f"http://127.0.0.1:{port}") as client:
            theirs = client.estimate(["."], options=options, sample=2)
            ours = library.estimate([folder / "odd"], options=options, sample=2)
            assert (theirs.files, theirs.to_index) == (ours.files, ours.to_index) == (3, 0)
            with pytest.raises(UsageError, match="`workers`"):
                client.add(options=IndexOptions(workers=99))
            with pytest.raises(UsageError, match="not a valid file pattern"):
                client.add(options=IndexOptions(include=("[z-a]",)))


def test_errors_are_those_of_the_library(served: str) -> None:
    with Client(served) as client:
        with pytest.raises(UsageError, match="no field nonsense"):
            client.search(Query((Term(id=1),), where="nonsense > 1"))
        with pytest.raises(UsageError, match="cannot be used"):
            client.search(b"\xff\xd8\xff\xe0" + bytes(300))
        with pytest.raises(LibraryReadOnly, match="--writable"):
            client.add()
        with pytest.raises(LibraryReadOnly, match="--writable"):
            client.estimate()
    with Client(served.partition("?")[0]) as nobody, pytest.raises(UsageError, match="token"):
        nobody.info()
    with (
        Client(f"http://127.0.0.1:{free_port()}") as lost,
        pytest.raises(LibraryError, match="no ans"),
    ):
        lost.info()
    with pytest.raises(UsageError, match="not the address"):
        Client("ftp://127.0.0.1")


def test_the_examples_of_the_documentation_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docs = Path(__file__).parents[2] / "docs"
    pages = "".join((docs / name).read_text("utf-8") for name in ("http.md", "programs.md"))
    blocks = re.findall(r"```python\n(.*?)```", pages, re.DOTALL)
    folder = album(tmp_path / "photos", 32)
    draw(tmp_path / "cat.jpg", 4)
    draw(tmp_path / "dog.jpg", 5)
    monkeypatch.chdir(tmp_path)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color", "phash"])
        with running(create_app(library, Settings(writable=True))) as port:
            names: dict[str, object] = {}
            for block in blocks:
                exec(compile(block.replace("8484", str(port)), "http.md", "exec"), names)
        kept = [one.decision.kind for one in library.feedback.all()]
        assert library.info().images == 31 and kept == ["keep"]
    shown = capsys.readouterr().out.splitlines()
    assert shown[:2] == ["32 ['color', 'phash']", "[]"] and shown[3].split()[0] == "48"
    assert (tmp_path / "best.jpg").stat().st_size > 500


def test_without_httpx_the_client_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(MissingExtra, match=r"pip install 'lookalike\[client\]'"):
        Client("http://127.0.0.1:8484")


def test_text_that_looks_like_a_weight_is_sent_with_a_weight() -> None:
    assert with_weight("16:9 poster", 1.0) == "1:16:9 poster"
    assert with_weight("red", -1.0) == "red"
    assert with_weight("red", 0.25) == "0.25:red"


def test_clients_of_several_threads(served: str) -> None:
    found: list[int] = []

    def ask(id: int) -> None:
        with Client(served) as client:
            found.append(client.search(Query((Term(id=id),), k=1)).hits[0].id)

    threads = [threading.Thread(target=ask, args=(id,)) for id in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [1, 2, 3, 4]
