"""One open library, asked by many threads at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.library.drawing import album, draw

from lookalike.library import Library
from lookalike.query import Query, Term
from lookalike.search import encode
from lookalike.search.encode import Askers
from lookalike.search.terms import work
from lookalike.workers.limits import Limits

THREADS = 8


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = album(tmp_path_factory.mktemp("threads") / "photos", 40)
    with Library.create(folder) as made:
        made.add([folder], extractors=["color", "lookalike"])
    with Library.open(folder, readers=2) as opened:
        yield opened


def questions(folder: Path) -> list[Query]:
    """Every kind of work: stored vectors, pictures for the worker and for the network, filters."""
    found = [draw(folder / f"{n}.png", 500 + n).read_bytes() for n in range(4)]
    asked: list[Query] = []
    for n, data in enumerate(found):
        for by in ("color", "lookalike"):
            asked.append(Query((Term(image=data),), k=3 + n, extractors=(by,)))
            asked.append(Query((Term(id=n + 1), Term(id=9, weight=-1)), extractors=(by,)))
    where = "folder = 'odd' and size > 10"
    return [*asked, Query((Term(id=3),), where=where), Query((Term(id=4),), diversity=0.5)]


def test_threads_get_the_answers_that_one_alone_gets(library: Library, tmp_path: Path) -> None:
    asked = questions(tmp_path)
    alone = [[(hit.id, hit.similarity) for hit in library.search(q).hits] for q in asked]
    fresh = Library.open(library.folder.parent, readers=2)  # nothing is remembered in it
    together = threading.Barrier(THREADS)

    def ask_all(shift: int) -> None:
        together.wait()
        for at in range(len(asked)):
            place = (at + shift) % len(asked)
            hits = fresh.search(asked[place]).hits
            assert [hit.id for hit in hits] == [id for id, _ in alone[place]]
            assert [hit.similarity for hit in hits] == pytest.approx([s for _, s in alone[place]])

    with fresh, ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(ask_all, range(THREADS)))


def test_threads_that_ask_first_share_one_asker(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    from lookalike.extractors import load

    def slowly(name: str) -> Any:
        made.append(name)
        time.sleep(0.05)
        return load(name)

    monkeypatch.setattr(encode, "load", slowly)
    with library.snapshot() as snapshot:
        space = next(space for space in snapshot.spaces() if space.name == "color")
    askers = Askers(Limits())
    with ThreadPoolExecutor(THREADS) as pool:
        found = {id(asker) for asker in pool.map(lambda _: askers.asker(space), range(THREADS))}
    askers.close()
    assert len(found) == 1 and made == ["color"]


def test_a_batch_of_one_thread_does_not_take_away_that_of_another(
    library: Library, tmp_path: Path
) -> None:
    with library.snapshot() as snapshot:
        space = next(space for space in snapshot.spaces() if space.name == "color")
    askers = Askers(Limits())
    asker = askers.asker(space)
    several = [
        work(draw(tmp_path / f"{n}.png", 700 + n), Term(text="-"), any_orientation=False)
        for n in range(encode.MANY)
    ]
    tasks = [task for one in several for task in one.tasks]
    with asker.ahead(tasks):
        other = threading.Thread(target=lambda: asker.ahead(tasks[:1]).__enter__())
        other.start()
        other.join()
        for file in tmp_path.iterdir():
            file.unlink()  # from here on only what was done ahead can answer
        assert all(asker.vectors(one).shape == (1, space.dim) for one in several)
    askers.close()


def test_searches_go_on_while_pictures_are_added(library: Library, tmp_path: Path) -> None:
    folder = album(tmp_path / "photos", 20)
    with Library.create(folder) as growing:
        growing.add([folder], extractors=["color"])
        done = threading.Event()
        counts: list[int] = []

        def ask() -> None:
            while not done.is_set():
                hits = growing.search(Query((Term(id=1),), k=1000))
                ids = [hit.id for hit in hits.hits]
                assert ids[0] == 1 and len(set(ids)) == len(ids) == hits.searched_count
                counts.append(hits.searched_count)

        with ThreadPoolExecutor(3) as pool:
            threads = [pool.submit(ask) for _ in range(3)]
            for n in range(20, 32):
                draw(folder / f"{n:03d}.jpg", n)
            growing.add([folder])
            done.set()
            for thread in threads:
                thread.result()
        assert growing.search(Query((Term(id=1),), k=1000)).searched_count == 32
        assert counts[0] == 20
