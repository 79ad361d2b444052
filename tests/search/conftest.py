"""A library of sixty images with known vectors in two spaces, metadata and captions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.errors import Outcome
from lookalike.images.metadata.facts import Facts
from lookalike.query import Hits, Query
from lookalike.search.encode import QueryEncoders
from lookalike.search.pipeline import run_queries
from lookalike.stores.interface import Entry, Space
from lookalike.stores.local.store import LocalStore
from lookalike.vectors.similarity import normalise
from lookalike.workers.limits import Limits

COUNT = 60
WORDS = ("red", "shoe", "boot", "green", "sun")


@dataclass(frozen=True)
class SmallLibrary:
    """The library, and its vectors and prices by image id, 1 to COUNT."""

    store: LocalStore
    near: NDArray[np.float64]
    far: NDArray[np.float64]
    prices: list[int]

    def search(self, *queries: Query, tolerant: bool = False) -> list[Hits]:
        encoders = QueryEncoders(Limits())
        with self.store.snapshot() as snapshot:
            try:
                return run_queries(snapshot, encoders, queries, tolerant=tolerant)
            finally:
                encoders.close()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallLibrary]:
    draw = np.random.default_rng(5)
    near = normalise(draw.normal(size=(COUNT, 6)))
    far = draw.normal(size=(COUNT, 4)).astype(np.float32)
    near[40:44] = near[7]  # stand for re-saved images
    prices = draw.integers(1, 100, COUNT).tolist()
    folder: Path = tmp_path_factory.mktemp("small") / "photos" / ".lookalike"
    with LocalStore.create(folder) as store:
        with store.writer() as writer:
            writer.add_root(folder.parent)
            for name, dim, similarity in (("near", 6, "cosine"), ("far", 4, "euclidean")):
                writer.add_space(
                    Space(
                        key=f"{name}@1",
                        name=name,
                        revision="1",
                        dim=dim,
                        similarity=similarity,  # type: ignore[arg-type]
                        normalised=similarity == "cosine",
                    )
                )
            writer.put(
                [
                    Entry(
                        root=1,
                        path=f"{i:02d}.jpg",
                        size=1000 + i,
                        mtime_ns=1,
                        hash=i.to_bytes(32, "big"),
                        outcome=Outcome.INDEXED,
                        facts=Facts(width=40, height=30, format="jpeg"),
                        vectors={"near@1": near[i], "far@1": far[i]},
                    )
                    for i in range(COUNT)
                ]
            )
            writer.set_metadata(
                {
                    i + 1: {"price": price, "caption": " ".join(WORDS[: price % 6])}
                    for i, price in enumerate(prices)
                }
            )
        yield SmallLibrary(store, near.astype(np.float64), far.astype(np.float64), prices)
