"""A batch of queries against single queries and the bare matrix product; the cost of diversity.

    python benchmarks/batch.py [--count 100000] [--dim 512] [--queries 1000] [--only speed|diversity]

The first part searches a library of clustered random vectors for images that it contains (by id), so that
everything but decoding is measured: the filter, the search, relevance, the rows of the hits. Runs
alternate, and the best of all repeats counts; no result comes from the cache. OpenBLAS's idle threads sleep
at once, as in the program (`lookalike search --batch`, `serve`). The second part draws the simulated
catalogue, indexes it and compares plain hits with those of a diversity of 0.3.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # read when NumPy is loaded

import numpy as np
from numpy.typing import NDArray

from lookalike import Library, Query
from lookalike.errors import Outcome
from lookalike.images.metadata.facts import Facts
from lookalike.query import Term
from lookalike.stores.interface import Entry, Space
from lookalike.stores.local.store import LocalStore
from search import best, clustered  # type: ignore[import-not-found]

KEY = "made@1"
SPACES = ["lookalike", "color", "shape"]


def fill(folder: Path, vectors: NDArray[np.float32]) -> None:
    """Create a library of these vectors, with paths like those of a shop."""
    with LocalStore.create(folder) as store, store.writer() as writer:
        root = writer.add_root(folder.parent).id
        writer.add_space(Space(KEY, "made", "1", vectors.shape[1], "cosine"))
        facts = Facts(width=800, height=600, format="jpeg")
        for start in range(0, len(vectors), 5000):
            writer.put(
                [
                    Entry(
                        root=root,
                        path=f"{i // 1000:03d}/{i:07d}.jpg",
                        size=i,
                        mtime_ns=0,
                        hash=i.to_bytes(32, "big"),
                        outcome=Outcome.INDEXED,
                        facts=facts,
                        vectors={KEY: vectors[i]},
                    )
                    for i in range(start, min(start + 5000, len(vectors)))
                ]
            )


def speed(count: int, dim: int, queries: int, repeats: int) -> None:
    vectors = clustered(count, dim, np.random.default_rng(0))
    rows = np.random.default_rng(1).permutation(count)[:queries]
    terms = [(Term(id=int(row) + 1),) for row in rows]
    alphas = iter(np.linspace(0, 1, 10_000).tolist())
    few = max(10, queries // 50)
    with TemporaryDirectory() as home:
        folder = Path(home) / "photos" / ".lookalike"
        fill(folder, vectors)
        with Library.open(folder, read_only=True) as library:

            def new_queries(count: int) -> list[Query]:
                """Return queries that no cache knows: another weight of images against text, of which
                there is none, makes another query with the same result."""
                alpha = next(alphas)
                return [Query(term, alpha=alpha) for term in terms[:count]]

            def one_by_one() -> None:
                for query in new_queries(few):
                    library.search_batch([query])

            library.search_batch(new_queries(2))
            times = best(
                {
                    "bare": lambda: vectors[rows] @ vectors.T,
                    "batch": lambda: library.search_batch(new_queries(queries)),
                    "single": one_by_one,
                },
                repeats,
            )
    single, batch, bare = times["single"] / few, times["batch"] / queries, times["bare"] / queries
    print(f"{queries} queries to {count:,} × {dim}")
    print(f"  one by one    {single * 1e3:8.2f} ms a query")
    print(f"  batch         {batch * 1e3:8.2f} ms, {single / batch:.1f} times the rate")
    print(f"  bare product  {bare * 1e3:8.2f} ms: the batch has {bare / batch:.0%} of its speed")


def diversity(products: int, weight: float) -> None:
    from lookalike.catalogue.generate import write_catalogue

    with TemporaryDirectory() as home:
        folder = Path(home) / "shop"
        write_catalogue(folder, products=products)
        with Library.create(folder) as library:
            library.add([folder], extractors=SPACES)
            ids = [image.id for image in library.files({Outcome.INDEXED})]
            print(f"{products} products, {len(ids)} images, diversity {weight}")
            for space in SPACES:
                for name, diverse in (("plain", 0.0), ("diverse", weight)):
                    batch = [
                        Query((Term(id=i),), k=11, extractors=(space,), diversity=diverse)
                        for i in ids[::7]
                    ]
                    results = library.search_batch(batch)
                    tops = [result.hits[1:] for result in results]  # the first is the query
                    distinct = np.mean([len({product(hit.path) for hit in hits}) for hits in tops])
                    similarity = np.mean([hit.similarity for hits in tops for hit in hits])
                    print(
                        f"  {space:10} {name:8} {distinct:5.2f} products in the top 10, "
                        f"mean similarity {similarity:.3f}"
                    )


def product(path: str) -> str:
    """Return the product that an image of the catalogue shows: p0012 for mug/p0012-3.jpg."""
    return Path(path).stem.partition("-")[0]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    arguments.add_argument("--count", type=int, default=100_000)
    arguments.add_argument("--dim", type=int, default=512)
    arguments.add_argument("--queries", type=int, default=1000)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--products", type=int, default=120)
    arguments.add_argument("--only", choices=("speed", "diversity"))
    given = arguments.parse_args()
    if given.only != "diversity":
        speed(given.count, given.dim, given.queries, given.repeats)
    if given.only != "speed":
        diversity(given.products, 0.3)


if __name__ == "__main__":
    main()
