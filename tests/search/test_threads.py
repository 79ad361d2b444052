"""One open library, searched by many threads at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.library.image_builders import album, draw

from lookalike.library import Library
from lookalike.query import Query, Term
from lookalike.search.encode import MANY, QueryEncoders
from lookalike.workers.limits import Limits

THREADS = 8


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = album(tmp_path_factory.mktemp("threads") / "photos", 40)
    with Library.create(folder) as made:
        made.add([folder], extractors=["color", "lookalike"])
    with Library.open(folder, readers=2) as opened:
        yield opened


def make_queries(folder: Path) -> list[Query]:
    """Every kind of query: stored vectors, images for the workers and for the network, filters."""
    found = [draw(folder / f"{n}.png", 500 + n).read_bytes() for n in range(4)]
    queries: list[Query] = []
    for n, data in enumerate(found):
        for by in ("color", "lookalike"):
            queries.append(Query((Term(image=data),), k=3 + n, extractors=(by,)))
            queries.append(Query((Term(id=n + 1), Term(id=9, weight=-1)), extractors=(by,)))
    where = "folder = 'odd' and size > 10"
    return [*queries, Query((Term(id=3),), where=where), Query((Term(id=4),), diversity=0.5)]


def test_threads_get_the_hits_of_a_single_thread(library: Library, tmp_path: Path) -> None:
    queries = make_queries(tmp_path)
    alone = [[(hit.id, hit.score) for hit in library.search(q).hits] for q in queries]
    fresh = Library.open(library.folder.parent, readers=2)  # with an empty result cache
    together = threading.Barrier(THREADS)

    def ask_all(shift: int) -> None:
        together.wait()
        for at in range(len(queries)):
            place = (at + shift) % len(queries)
            hits = fresh.search(queries[place]).hits
            assert [hit.id for hit in hits] == [id for id, _ in alone[place]]
            assert [hit.score for hit in hits] == pytest.approx([s for _, s in alone[place]])

    with fresh, ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(ask_all, range(THREADS)))


def test_threads_that_search_first_share_one_encoder(library: Library) -> None:
    with library.snapshot() as snapshot:
        space = next(space for space in snapshot.spaces() if space.name == "color")
    encoders = QueryEncoders(Limits())
    together = threading.Barrier(THREADS)

    def find(_: int) -> int:
        together.wait()
        return id(encoders.of(space))

    with ThreadPoolExecutor(THREADS) as pool:
        assert len(set(pool.map(find, range(THREADS)))) == 1
    encoders.close()


def test_batches_of_two_threads_get_the_hits_of_each_alone(
    library: Library, tmp_path: Path
) -> None:
    batches = [
        [
            Query((Term(draw(tmp_path / f"{batch}-{n}.png", 700 + 20 * batch + n)),), k=3)
            for n in range(MANY)
        ]
        for batch in range(2)
    ]
    alone = [[library.search(query).hits for query in batch] for batch in batches]
    with Library.open(library.folder.parent) as fresh, ThreadPoolExecutor(2) as pool:
        together = list(pool.map(fresh.search_batch, batches))
    for expected, found in zip(alone, together, strict=True):
        assert [hits.failure for hits in found] == [""] * MANY
        for one, other in zip(expected, found, strict=True):
            assert [hit.id for hit in one] == [hit.id for hit in other]
            assert [hit.score for hit in other] == pytest.approx(
                [hit.score for hit in one], abs=1e-5
            )


def test_searches_continue_while_images_are_added(library: Library, tmp_path: Path) -> None:
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
