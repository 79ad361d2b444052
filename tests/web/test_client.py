"""The Python client gives the answers of the library itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.web.running import free_port, running

import lookalike
from lookalike.client import Client, weighted
from lookalike.errors import LibraryError, LibraryReadOnly, UsageError
from lookalike.library import Library
from lookalike.query import Query, Term
from lookalike.web.app import create_app
from lookalike.web.settings import Settings

TOKEN = "correct-horse"


@pytest.fixture(scope="module")
def served(library: Library) -> Iterator[str]:
    with running(create_app(library, Settings(token=TOKEN))) as port:
        yield f"http://127.0.0.1:{port}/?token={TOKEN}"


def test_the_answers_are_those_of_the_library(
    served: str, library: Library, picture: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "new.png"
    file.write_bytes(picture)
    pixels = np.asarray(Image.open(file).convert("RGB"))
    questions = [
        Query((Term(image=3, weight=2.5), Term(image=4), Term(image=5, weight=-1)), k=7),
        Query((Term(picture=picture),), by=("phash", "color"), fusion="ranks"),
        Query((Term(picture=file, region=(0, 0, 0.5, 0.75)), Term(image=8)), where="size > 1"),
        Query((Term(picture=pixels),), k=3, similarity="euclidean", any_orientation=True),
        Query((Term(picture=Path("odd/001.jpg")),), k=2, diverse=0.3, min_relevance="weak"),
    ]
    with lookalike.Client(served) as client:
        for question in questions:
            theirs, ours = client.search(question), library.search(question)
            assert [hit.id for hit in theirs.hits] == [hit.id for hit in ours.hits]
            assert [hit.similarity for hit in theirs.hits] == pytest.approx(
                [hit.similarity for hit in ours.hits], abs=1e-6
            )
            assert [hit.relevance for hit in theirs.hits] == [hit.relevance for hit in ours.hits]
            assert (theirs.by, theirs.similarity, theirs.best) == (
                ours.by,
                ours.similarity,
                ours.best,
            )
        assert client.search(file, k=4).hits[0].path == library.search(file, k=4).hits[0].path


def test_a_batch_keeps_its_order_and_its_failures(served: str) -> None:
    queries = [
        Query((Term(image=7),), k=1),
        Query((Term(picture=Path("nowhere.jpg")),)),
        Query((Term(words="red"),)),
        Query((Term(image=9),), k=1),
    ]
    with Client(served) as client:
        answers = client.search_batch(queries)
    assert [[hit.id for hit in hits.hits] for hits in answers] == [[7], [], [], [9]]
    assert "nowhere.jpg" in answers[1].failure and "captions" in answers[2].failure


def test_documents_and_pictures_can_be_read(served: str, photos: Path) -> None:
    with Client(served) as client:
        assert client.read("info")["images"] == 40
        path = client.read("images/3")["path"]
        assert client.picture(3) == (photos / path).read_bytes()
        assert client.picture(3, size=64).startswith(b"\xff\xd8")
        assert client.indexing()["running"] is False


def test_errors_are_those_of_the_library(served: str) -> None:
    with Client(served) as client:
        with pytest.raises(UsageError, match="no field nonsense"):
            client.search(Query((Term(image=1),), where="nonsense > 1"))
        with pytest.raises(UsageError, match="cannot be used"):
            client.search(b"\xff\xd8\xff\xe0" + bytes(300))
        with pytest.raises(LibraryReadOnly, match="--writable"):
            client.add()
    with Client(served.partition("?")[0]) as nobody, pytest.raises(UsageError, match="token"):
        nobody.read("info")
    with (
        Client(f"http://127.0.0.1:{free_port()}") as lost,
        pytest.raises(LibraryError, match="no ans"),
    ):
        lost.read("info")
    with pytest.raises(UsageError, match="no address"):
        Client("ftp://127.0.0.1")


def test_words_that_look_weighted_stay_words() -> None:
    assert weighted("16:9 poster", 1.0) == "1:16:9 poster"
    assert weighted("red", -1.0) == "red"
    assert weighted("red", 0.25) == "0.25:red"


def test_clients_of_many_threads(served: str) -> None:
    found: list[int] = []

    def ask(id: int) -> None:
        with Client(served) as client:
            found.append(client.search(Query((Term(image=id),), k=1)).hits[0].id)

    threads = [threading.Thread(target=ask, args=(id,)) for id in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [1, 2, 3, 4]
