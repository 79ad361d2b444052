"""Many questions at once against one by one and the bare matrix product; what variety costs.

    python benchmarks/batch.py [--count 100000] [--dim 512] [--questions 1000] [--only speed|variety]

The first part asks a library of generated, clustered vectors with pictures that it holds (by id), so that
everything but the reading of pictures is measured: the filter, the search, relevance, the rows of the
hits; once more without the sieve of 8-bit products. Times are taken in turns, the best of all repeats; no
answer is a remembered one. OpenBLAS's idle threads sleep at once, as in the program (`lookalike search
--batch`, `serve`). The second part draws the simulated catalogue, indexes it and compares plain hits with
--diversity 0.3.
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
from lookalike.images.pixel_spec import Facts
from lookalike.query import Term
from lookalike.stores.interface import Entry, Space
from lookalike.stores.local import LocalStore
from search import best, clustered, unsieved  # type: ignore[import-not-found]

KEY = "made@1"
SPACES = ["lookalike", "color", "shape"]


def fill(folder: Path, vectors: NDArray[np.float32]) -> None:
    """A library of these vectors, with paths like those of a shop."""
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


def speed(count: int, dim: int, questions: int, repeats: int) -> None:
    vectors = clustered(count, dim, np.random.default_rng(0))
    asked = np.random.default_rng(1).permutation(count)[:questions]
    terms = [(Term(id=int(i) + 1),) for i in asked]
    alphas = iter(np.linspace(0, 1, 10_000).tolist())
    matrix_queries = vectors[asked]
    few = max(10, questions // 50)
    with TemporaryDirectory() as home:
        folder = Path(home) / "photos" / ".lookalike"
        fill(folder, vectors)
        with Library.open(folder, read_only=True) as library:

            def never_asked(count: int) -> list[Query]:
                """Answers are remembered by question; the weight of the pictures beside words, of which
                there are none, makes another question with the same answer."""
                alpha = next(alphas)
                return [Query(term, alpha=alpha) for term in terms[:count]]

            def one_by_one() -> None:
                for query in never_asked(few):
                    library.search_batch([query])

            library.search_batch(never_asked(2))

            times = best(
                {
                    "bare": lambda: matrix_queries @ vectors.T,
                    "batch": lambda: library.search_batch(never_asked(questions)),
                    "unsieved": unsieved(lambda: library.search_batch(never_asked(questions))),
                    "single": one_by_one,
                },
                repeats,
            )
    single, batch = times["single"] / few, times["batch"] / questions
    print(f"{questions} questions to {count:,} × {dim}")
    print(f"  one by one    {single * 1e3:8.2f} ms a question")
    print(f"  batch         {batch * 1e3:8.2f} ms, {single / batch:.1f} times the rate")
    plain = times["unsieved"] / questions
    print(f"  without sieve {plain * 1e3:8.2f} ms, {single / plain:.1f} times the rate")
    bare = times["bare"] / questions
    print(f"  bare product  {bare * 1e3:8.2f} ms: the batch has {bare / batch:.0%} of its speed")


def variety(products: int, weight: float) -> None:
    from lookalike.catalogue.generate import write_catalogue

    with TemporaryDirectory() as home:
        folder = Path(home) / "shop"
        write_catalogue(folder, products=products)
        with Library.create(folder) as library:
            library.add([folder], extractors=SPACES)
            ids = [image.id for image in library.failures({Outcome.INDEXED})]
            print(f"{products} products, {len(ids)} pictures, --diversity {weight}")
            for space in SPACES:
                for name, diverse in (("plain", 0.0), ("diverse", weight)):
                    queries = [
                        Query((Term(id=i),), k=11, extractors=(space,), diversity=diverse)
                        for i in ids[::7]
                    ]
                    answers = library.search_batch(queries)
                    tops = [answer.hits[1:] for answer in answers]  # the first is the question
                    spread = np.mean([len({product(hit.path) for hit in hits}) for hits in tops])
                    alike = np.mean([hit.similarity for hits in tops for hit in hits])
                    print(
                        f"  {space:10} {name:8} {spread:5.2f} products in the top 10, "
                        f"mean similarity {alike:.3f}"
                    )


def product(path: str) -> str:
    """The product that a picture of the catalogue shows: mug/p0012-3.jpg is one of p0012."""
    return Path(path).stem.partition("-")[0]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    arguments.add_argument("--count", type=int, default=100_000)
    arguments.add_argument("--dim", type=int, default=512)
    arguments.add_argument("--questions", type=int, default=1000)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--products", type=int, default=120)
    arguments.add_argument("--only", choices=("speed", "variety"))
    given = arguments.parse_args()
    if given.only != "variety":
        speed(given.count, given.dim, given.questions, given.exact_duplicates)
    if given.only != "speed":
        variety(given.products, 0.3)


if __name__ == "__main__":
    main()
