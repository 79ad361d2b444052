"""One query at a time on one thread: what the code around an ANN index costs.

    python benchmarks/one_query.py VECTORS.npy [--dim 512] [--queries 2000] [--rounds 3] [--profile]

A library is filled with the vectors (`ann_data.py` makes some of photos), indexed, and asked about images of
its own. Measured in turns in one run, as medians and 99 % quantiles of all queries:

minimal     the least that does the same work: `search` of the FAISS index, a gather of the candidates'
            vectors, a matrix product and `argpartition`; with the same index and parameters
hnswlib     M 16 and ef_construction 200, at the smallest ef that has the recall of the library (if installed)
index       the library's own search with re-ranking: the same rows, with exact similarities
snapshot    `Snapshot.search`
search      `Library.search` by id: plan, stored vector, hits with paths and relevance
"""

from __future__ import annotations

import argparse
import cProfile
import importlib.util
import pstats
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.ann.faiss_index import AnnIndex
from lookalike.errors import Outcome
from lookalike.images.metadata.facts import Facts
from lookalike.library import Library
from lookalike.query import Query, Term
from lookalike.stores.ann_index import IndexBuildOptions
from lookalike.stores.interface import Entry, Space
from lookalike.stores.local.ann import ann_search
from lookalike.stores.local.snapshot import LocalSnapshot
from lookalike.stores.local.store import LocalStore
from lookalike.vectors.pca import principal_axes
from lookalike.vectors.similarity import normalise, top_k

KEY = "made-up@1"
BATCH = 1_000
K = 10
EFS = (16, 20, 24, 32, 40, 50, 64, 80, 100, 130, 160, 200, 250, 300, 400)

Floats = NDArray[np.float32]
Search = Callable[[int], object]


def fill(folder: Path, vectors: Floats) -> None:
    """Make a library of these vectors with an ANN index."""
    facts = Facts(4032, 3024, "jpeg")
    with LocalStore.create(folder / ".lookalike") as store, store.writer() as writer:
        root = writer.add_root(folder).id
        writer.add_space(Space(KEY, "made-up", "1", vectors.shape[1], "cosine"))
        for start in range(0, len(vectors), BATCH):
            writer.put(
                [
                    Entry(
                        root,
                        f"folder {number // 1000:03d}/image {number:06d}.jpg",
                        1000 + number,
                        number,
                        sha256(str(number).encode()).digest(),
                        Outcome.INDEXED,
                        facts=facts,
                        vectors={KEY: vector},
                    )
                    for number, vector in enumerate(vectors[start : start + BATCH], start)
                ]
            )
    with Library.open(folder) as library:
        library.ann.build("made-up", IndexBuildOptions())


def recall(found: NDArray[np.int64], vectors: Floats, queries: Floats, worst: Floats) -> float:
    """Return the share of neighbours that are at least as similar as the true tenth."""
    similar = np.einsum("qkd,qd->qk", vectors[found], queries)
    return float((similar >= worst[:, None] - 1e-5).mean())


def hnswlib_search(
    file: Path, vectors: Floats, queries: Floats, worst: Floats, wanted: float
) -> Search | None:
    """Return the search of hnswlib's index in `file`, which is made if it does not exist."""
    if not importlib.util.find_spec("hnswlib"):
        return None
    import hnswlib

    index = hnswlib.Index("ip", vectors.shape[1])
    if file.exists():
        index.load_index(str(file))
    else:
        index.init_index(len(vectors), ef_construction=200, M=16)
        index.add_items(vectors)
        index.save_index(str(file))
    index.set_num_threads(1)
    for ef in EFS:
        index.set_ef(ef)
        reached = recall(index.knn_query(queries, K)[0].astype(np.int64), vectors, queries, worst)
        if reached >= wanted:
            break
    print(f"  hnswlib with ef {ef}: recall {reached:.4f}")
    return lambda number: index.knn_query(queries[number : number + 1], K)


def minimal_search(
    index: Any, parameters: Any, count: int, vectors: Floats, queries: Floats
) -> Search:
    def search(number: int) -> object:
        query = queries[number : number + 1]
        rows = index.search(query, count, params=parameters)[1][0]
        scores = vectors[rows] @ query[0]
        best = np.argpartition(scores, -K)[-K:]
        order = best[np.argsort(-scores[best])]
        return rows[order], scores[order]

    return search


def measure(library: Library, queries: NDArray[np.int64], rounds: int, profile: bool) -> None:
    with library.snapshot() as snapshot:
        assert isinstance(snapshot, LocalSnapshot)
        row, mapped = snapshot.open_space(KEY)
        loaded = snapshot._indexes.get(row, mapped, snapshot._stamp(row))
        assert loaded is not None
        vectors = np.array(mapped.vectors)
        asked = vectors[queries - 1]
        worst = top_k(vectors, asked, K, similarity="cosine")[1][:, -1]
        params = ann_search.search_params(loaded, mapped, K, None)
        assert params is not None
        loaded.index.candidates(asked[:1], params.candidates, nprobe=params.nprobe)
        found = np.concatenate([snapshot.search(KEY, one[None], K).ids for one in asked]) - 1
        reached = recall(found, vectors, asked, worst)
        print(f"  {loaded.index.recipe}, {params}: recall {reached:.4f}")
        # An index of its own, because the library's is set up for single queries.
        (path,) = library.folder.glob("spaces/*/ann-*.faiss")
        plain = AnnIndex.load(path, loaded.index.recipe, "cosine")
        parameters = loaded.index._parameters[params.nprobe]
        searches: dict[str, Search] = {
            "minimal": minimal_search(plain.index, parameters, params.candidates, vectors, asked)
        }
        file = library.folder.parent / "hnswlib.bin"
        if (peer := hnswlib_search(file, vectors, asked, worst, reached)) is not None:
            searches["hnswlib"] = peer
        searches["index"] = lambda number: ann_search.nearest(
            loaded, mapped, asked[number : number + 1], K,
            similarity="cosine", rows=None, normalised=True,
        )  # fmt: skip
        searches["snapshot"] = lambda number: snapshot.search(KEY, asked[number : number + 1], K)

        def by_id(number: int) -> object:
            library._results._results.clear()
            library._samples[1]._thresholds.clear()
            hits = library.search(Query((Term(id=int(queries[number])),), k=K))
            assert hits[0].relevance is not None
            return hits

        searches["search"] = by_id
        times: dict[str, list[float]] = {name: [] for name in searches}
        for _ in range(rounds):
            for start in range(0, len(queries), 100):
                for name, search in searches.items():
                    for number in range(start, min(start + 100, len(queries))):
                        started = time.perf_counter()
                        search(number)
                        times[name].append(1e3 * (time.perf_counter() - started))
        least = float(np.median(times["minimal"]))
        for name, taken in times.items():
            median, p99 = np.quantile(taken, (0.5, 0.99))
            print(
                f"  {name:10} median {median:6.3f} ms  p99 {p99:6.3f} ms  {median / least:5.2f} × minimal"
            )
        if profile:
            profiler = cProfile.Profile()
            profiler.enable()
            for number in range(len(queries)):
                by_id(number)
            profiler.disable()
            pstats.Stats(profiler).sort_stats("tottime").print_stats(40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--dim", type=int, help="shorten the vectors by PCA")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder for the library, to use it again")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        if not (folder / ".lookalike").exists():
            vectors = np.asarray(np.load(given.vectors, mmap_mode="r")[: given.count], np.float32)
            if given.dim:
                vectors = principal_axes(vectors[:20_000]).apply(vectors, given.dim)
            folder.mkdir(exist_ok=True)
            fill(folder, normalise(vectors))
        with Library.open(folder) as library:
            count = library.info().spaces[0].count
            print(f"{count:,} × {library.info().spaces[0].dim}")
            queries = np.random.default_rng(1).choice(count, given.queries, replace=False) + 1
            measure(library, queries, given.rounds, given.profile)


if __name__ == "__main__":
    main()
