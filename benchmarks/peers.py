"""Approximate search beside hnswlib, usearch and FAISS's own HNSW and IVF, on the same vectors, queries
and threads: `python benchmarks/peers.py VECTORS.npy QUERIES.npy`.

Each is built with both cores, and searched with one query at a time on one thread, for several values of its
search parameter. The libraries alternate, and the median of all queries is printed. Ours is timed with the
re-ranking from the stored vectors, as in a search of a library; the memory of the index is counted. hnswlib,
usearch and FAISS's HNSW and IVF hold the vectors themselves, so all of their memory counts.

Where they are installed: `pip install hnswlib usearch lancedb qdrant-client`.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.ann import faiss_index, index_factory, rerank
from lookalike.ann.tuning import K
from lookalike.vectors.similarity import normalise, top_k

Floats = NDArray[np.float32]
Search = Callable[[Floats, int], Sequence[int] | NDArray[Any]]

ROUNDS = 3
THREADS = os.cpu_count() or 1


@dataclass(frozen=True)
class Peer:
    """One library. `build` returns a function (query, parameter) → ids, and the bytes of the index."""

    name: str
    build: Callable[[Floats], tuple[Search, int]]
    parameters: Sequence[int]


@dataclass
class Line:
    """The measurement of one library with one parameter."""

    name: str
    parameter: int
    recall: float
    milliseconds: float


def ours(recipe: str, width: int) -> Peer:
    def build(vectors: Floats) -> tuple[Search, int]:
        index = faiss_index.train(vectors, recipe, similarity="cosine", threads=THREADS)
        faiss_index.fill(index, vectors, threads=THREADS)
        with tempfile.TemporaryDirectory() as folder:
            index.save(Path(folder) / "index")
            size = (Path(folder) / "index").stat().st_size

        def search(query: Floats, probe: int) -> NDArray[np.int64]:
            proposed = index.candidates(query[None], width, nprobe=probe)
            found: NDArray[np.int64] = rerank.rerank(
                vectors,
                rerank.scaled(query[None], "cosine"),
                proposed,
                K,
                similarity="cosine",
                normalised=True,
            )[0][0]
            return found

        return search, size

    return Peer(f"Lookalike {recipe}, {width}", build, (16, 24, 32, 48, 64, 96, 128))


def hnswlib_peer(links: int) -> Peer:
    def build(vectors: Floats) -> tuple[Search, int]:
        import hnswlib

        index = hnswlib.Index("ip", vectors.shape[1])
        index.init_index(len(vectors), ef_construction=200, M=links)
        index.add_items(vectors, num_threads=THREADS)
        index.set_num_threads(1)

        def search(query: Floats, ef: int) -> NDArray[Any]:
            index.set_ef(ef)
            found: NDArray[Any] = index.knn_query(query[None], K)[0][0]
            return found

        return search, len(vectors) * (4 * vectors.shape[1] + 8 + 2 * links * 4 + 4)

    return Peer(f"hnswlib M={links}", build, (24, 40, 64, 100, 160, 250))


def usearch_peer(kind: str) -> Peer:
    def build(vectors: Floats) -> tuple[Search, int]:
        from usearch.index import Index

        index = Index(ndim=vectors.shape[1], metric="ip", dtype=kind, connectivity=16)
        index.add(np.arange(len(vectors)), vectors, threads=THREADS)

        def search(query: Floats, ef: int) -> NDArray[Any]:
            index.expansion_search = ef
            found: NDArray[Any] = index.search(query, K, threads=1).keys
            return found

        return search, int(index.memory_usage)

    return Peer(f"usearch {kind}", build, (40, 64, 100, 160, 250, 400))


def faiss_peer(recipe: str, parameters: Sequence[int]) -> Peer:
    def build(vectors: Floats) -> tuple[Search, int]:
        index = faiss_index.train(vectors, recipe, similarity="cosine", threads=THREADS)
        faiss_index.fill(index, vectors, threads=THREADS)

        def search(query: Floats, probe: int) -> NDArray[np.int64]:
            found: NDArray[np.int64] = index.candidates(query[None], K, nprobe=probe)[0]
            return found

        return search, index_factory.estimate_bytes(recipe, *vectors.shape)

    return Peer(f"FAISS {recipe}", build, parameters)


def lancedb_peer() -> Peer:
    def build(vectors: Floats) -> tuple[Search, int]:
        import lancedb
        import pyarrow as pa
        from lancedb.index import IvfPq

        folder = tempfile.mkdtemp()
        flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
        rows = pa.table({"id": np.arange(len(vectors)), "vector": flat})
        table = lancedb.connect(folder).create_table("t", rows)
        parts = vectors.shape[1] // 8
        kind = IvfPq(distance_type="cosine", num_partitions=256, num_sub_vectors=parts)
        table.create_index("vector", config=kind)
        size = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())

        def search(query: Floats, probe: int) -> list[int]:
            found = (
                table.search(query)
                .distance_type("cosine")
                .nprobes(probe)
                .refine_factor(10)
                .limit(K)
            )
            return [row["id"] for row in found.select(["id"]).to_list()]

        return search, size

    return Peer("LanceDB IVF_PQ, refine 10", build, (8, 16, 32, 64, 128))


def qdrant_peer() -> Peer:
    """Return the local mode of Qdrant, which has no index and compares all vectors in NumPy."""

    def build(vectors: Floats) -> tuple[Search, int]:
        from qdrant_client import QdrantClient
        from qdrant_client.models import Distance, VectorParams

        client = QdrantClient(":memory:")
        kind = VectorParams(size=vectors.shape[1], distance=Distance.COSINE)
        client.create_collection("t", vectors_config=kind)
        client.upload_collection("t", vectors=vectors, ids=range(len(vectors)))

        def search(query: Floats, _: int) -> list[int]:
            return [int(point.id) for point in client.query_points("t", query, limit=K).points]

        return search, vectors.nbytes

    return Peer("Qdrant embedded, exact", build, (1,))


def peers(count: int, dim: int) -> list[Peer]:
    cells = index_factory.list_count(count)
    found = [ours(recipe, 100) for recipe in index_factory.candidate_recipes(count, dim)[:2]]
    if importlib.util.find_spec("hnswlib"):
        found.append(hnswlib_peer(16))
    if importlib.util.find_spec("usearch"):
        found += [usearch_peer("f32"), usearch_peer("f16")]
    found.append(faiss_peer("HNSW16", (24, 40, 64, 100, 160, 250)))
    found.append(faiss_peer(f"IVF{cells},Flat", (8, 16, 32, 64, 96)))
    if importlib.util.find_spec("lancedb"):
        found.append(lancedb_peer())
    if importlib.util.find_spec("qdrant_client"):
        found.append(qdrant_peer())
    return found


def measure(
    vectors: Floats, queries: Floats, chosen: Sequence[Peer]
) -> tuple[list[Line], dict[str, tuple[float, float]]]:
    """Lines of all peers, and by name the seconds of building (of the processor, all threads together:
    what else the machine does costs none of those) and the bytes a vector."""
    _, near = top_k(vectors, queries, K, similarity="cosine")
    built: dict[str, tuple[float, float]] = {}
    searches: list[tuple[Peer, Search]] = []
    for peer in chosen:
        started = time.process_time()
        search, size = peer.build(vectors)
        built[peer.name] = (time.process_time() - started, size / len(vectors))
        searches.append((peer, search))
        print(f"built {peer.name} in {built[peer.name][0]:.1f} s", flush=True)
    _on_one_core()
    times: dict[tuple[str, int], list[float]] = {}
    recalls: dict[tuple[str, int], float] = {}
    for _ in range(ROUNDS):
        for peer, search in searches:
            for parameter in peer.parameters:
                key = (peer.name, parameter)
                right = 0.0
                for query, worst in zip(queries, near[:, -1], strict=True):
                    started = time.perf_counter()
                    found = search(query, parameter)
                    times.setdefault(key, []).append(time.perf_counter() - started)
                    rows = vectors[np.asarray(found, np.int64)]
                    right += float((rows @ query >= worst - 1e-5).sum())
                recalls[key] = right / (K * len(queries))
    lines = [
        Line(name, parameter, recalls[name, parameter], float(np.median(taken)) * 1e3)
        for (name, parameter), taken in times.items()
    ]
    return lines, built


def _on_one_core() -> None:
    """Run all threads on one core: LanceDB and NumPy cannot use one thread for a query."""
    if hasattr(os, "sched_setaffinity"):
        core = {max(os.sched_getaffinity(0))}
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(thread.name), core)


def at(lines: Sequence[Line], name: str, recall: float) -> float | None:
    """Return the milliseconds at a recall, interpolated; None where it is not reached."""
    own = sorted((line for line in lines if line.name == name), key=lambda line: line.recall)
    for below, above in itertools.pairwise(own):
        if below.recall < recall <= above.recall:
            share = (recall - below.recall) / (above.recall - below.recall)
            return below.milliseconds + share * (above.milliseconds - below.milliseconds)
    return own[0].milliseconds if own and own[0].recall >= recall else None


def draw(lines: Sequence[Line], out: Path, title: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.5, 4.6), layout="constrained")
    for name in dict.fromkeys(line.name for line in lines):
        own = sorted((line for line in lines if line.name == name), key=lambda line: line.recall)
        heavy = name.startswith("Lookalike")
        axes.plot(
            [line.recall for line in own],
            [line.milliseconds for line in own],
            marker="o",
            markersize=4,
            linewidth=2.2 if heavy else 1.2,
            linestyle="-" if heavy else "--",
            label=name,
        )
    axes.set(xlabel="recall@10", ylabel="ms a query, one thread", yscale="log", title=title)
    axes.set_xlim(left=0.9, right=1.001)
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8, frameon=False)
    figure.savefig(out, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("queries", type=Path, help="vectors that are not among the others")
    parser.add_argument("--count", type=int, default=200, help="number of queries")
    parser.add_argument(
        "--only", help="only names that begin with one of these, separated by commas"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    vectors = normalise(np.load(given.vectors, mmap_mode="r"))
    queries = normalise(np.load(given.queries, mmap_mode="r")[: given.count])
    chosen = peers(*vectors.shape)
    if given.only:
        chosen = [peer for peer in chosen if peer.name.startswith(tuple(given.only.split(",")))]
    lines, built = measure(vectors, queries, chosen)
    for line in lines:
        print(f"{line.name:40} {line.parameter:5} {line.recall:.4f} {line.milliseconds:8.3f} ms")
    print(
        f"{'':40} {'CPU s':>8} {'bytes':>7} {'.95':>7} {'.98':>7} {'.99':>7}  (ms at that recall)"
    )
    for name, (seconds, size) in built.items():
        shown = [at(lines, name, recall) for recall in (0.95, 0.98, 0.99)]
        cells = " ".join("      -" if ms is None else f"{ms:7.3f}" for ms in shown)
        print(f"{name:40} {seconds:8.1f} {size:7.0f} {cells}")
    if given.json:
        given.json.write_text(json.dumps([line.__dict__ for line in lines]))
    if given.plot:
        draw(lines, given.plot, f"{len(vectors):,} vectors of {vectors.shape[1]:,} numbers")


if __name__ == "__main__":
    main()
