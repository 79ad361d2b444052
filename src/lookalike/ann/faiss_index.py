"""Approximate nearest neighbours with FAISS: an index proposes rows, the stored vectors decide.

An index here only names candidates. Their similarities are computed again from the stored vectors
(`refining.refine`), so that what is shown is true, and only what was missed can be wrong.

The metric is always L2. On unit vectors it orders as the cosine does, |a - b|² = 2 - 2 cos, and unlike
the inner product it survives PCA, which centres the data.

Recipes are FAISS factory strings: https://github.com/facebookresearch/faiss/wiki/The-index-factory.
RaBitQ: Gao and Long, SIGMOD 2024. FAISS is imported on use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import MissingExtra, UsageError
from lookalike.vectors.blocks import Floats, Rows, as_float32
from lookalike.vectors.pca import principal_axes
from lookalike.vectors.similarity import Similarity, normalise

CHUNK_BYTES = 32 << 20
"""Of vectors, as float32, that are added at a time."""

SAMPLE_A_LIST = 48
"""Vectors that k-means sees for each of its lists; below 39 FAISS finds too few."""

SAMPLE = 20_000
"""Vectors that everything else is learnt from (PCA, codes), at least."""

ITERATIONS = 10
"""Of k-means; ten more changed recall by less than 0.002 on real CNN vectors and doubled the time."""

Progress = Callable[[str, int, int], None]
"""Stage ("train", "add", "tune"), done, total."""


def quiet(stage: str, done: int, total: int) -> None:
    """The progress nobody asked for."""


def faiss() -> Any:
    """The library; `MissingExtra` if it is not installed."""
    try:
        import faiss as imported
    except ImportError:
        raise MissingExtra("an index needs FAISS: pip install faiss-cpu") from None
    return imported


@dataclass(frozen=True, slots=True)
class AnnIndex:
    """A FAISS index whose numbers are rows: the i-th vector that was added is row i.

    recipe      the factory string it was made of
    similarity  what it is for: under cosine, vectors are brought to length 1 first
    """

    index: Any
    recipe: str
    similarity: Similarity
    _asking: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def count(self) -> int:
        return int(self.index.ntotal)

    @property
    def largest_probe(self) -> int:
        """Up to where probing more finds more: lists of an inverted file, the queue of a graph; 1
        where there is nothing to choose."""
        inner, _ = innermost(self.index)
        if hasattr(inner, "nlist"):
            return int(inner.nlist)
        return 4096 if hasattr(inner, "hnsw") else 1

    def add(self, vectors: Floats, *, threads: int = 1) -> None:
        """Add rows (n, dim)."""
        library = faiss()
        library.omp_set_num_threads(threads)
        self.index.add(prepared(vectors, self.similarity))

    def candidates(
        self,
        queries: NDArray[np.float32],
        count: int,
        *,
        probe: int,
        allowed: NDArray[np.uint8] | None = None,
        threads: int = 1,
    ) -> Rows:
        """(q, count) rows that are likely near, -1 where there are fewer.

        queries  (q, dim) float32, finite
        probe    how much is looked at: see `largest_probe`
        allowed  only these rows: a bit for each, the lowest first (`bits`)
        threads  of this call; single queries are fastest with one
        """
        library = faiss()
        library.omp_set_num_threads(threads)
        parameters = self._asking.get(probe) if allowed is None else None
        if parameters is None:
            parameters = _parameters(library, self.index, probe, allowed)
            if allowed is None:
                self._asking[probe] = parameters
        _, found = self.index.search(prepared(queries, self.similarity), count, params=parameters)
        return np.asarray(found, np.int64)

    def copy(self) -> AnnIndex:
        """The same, to be changed while this one is searched."""
        return AnnIndex(faiss().clone_index(self.index), self.recipe, self.similarity)

    def save(self, path: Path) -> None:
        """Write it to a file. `OSError`: FAISS given a name of a file would raise RuntimeError where the
        disk is full, and know no name that is not UTF-8."""
        with path.open("wb") as file:
            faiss().write_index(self.index, faiss().PyCallbackIOWriter(file.write))

    @classmethod
    def load(
        cls, path: Path, recipe: str, similarity: Similarity, *, to_grow: bool = False
    ) -> AnnIndex:
        """The index in a file, whose lists stay on the disk where FAISS can map them; not if it is
        `to_grow`, for FAISS ends the process when something is added to those. Only for files
        that are known to be whole: FAISS itself may crash on others. `ValueError` if it refuses."""
        library = faiss()
        try:
            index = library.read_index(str(path), 0 if to_grow else library.IO_FLAG_MMAP_IFC)
        except Exception as error:  # SWIG raises RuntimeError, MemoryError and others
            raise ValueError(str(error)) from error
        return cls(index, recipe, similarity)


def bits(allowed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """What `candidates` takes as `allowed`, of a boolean a row."""
    return np.packbits(allowed, bitorder="little")


def prepared(vectors: Floats, similarity: Similarity) -> NDArray[np.float32]:
    """(n, dim) as the index sees them."""
    if similarity == "cosine":
        floats = as_float32(np.ascontiguousarray(vectors))
        lengths = np.sqrt(np.einsum("ij,ij->i", floats, floats))
        if ((np.abs(lengths - 1) < 1e-4) | (lengths == 0)).all():
            return floats
        return normalise(vectors)
    return as_float32(np.ascontiguousarray(vectors))


def train(
    matrix: Floats, recipe: str, *, similarity: Similarity, threads: int = 1, seed: int = 0
) -> AnnIndex:
    """An index without vectors, whose parameters were learnt from a sample of the rows (n, dim).

    `UsageError` of one line for a recipe that FAISS does not know or that does not fit the vectors.
    """
    library = faiss()
    library.omp_set_num_threads(threads)
    count, dim = matrix.shape
    try:
        index = library.index_factory(dim, recipe, library.METRIC_L2)
        inner, _ = innermost(index)
        if hasattr(inner, "cp"):
            inner.cp.niter, inner.cp.seed = ITERATIONS, 1234 + seed
            inner.cp.min_points_per_centroid = 1  # else it complains on stderr
        if hasattr(inner, "pq"):
            inner.pq.cp.min_points_per_centroid = 1
        if hasattr(inner, "do_polysemous_training"):
            # Orders the codes for a filter that nothing here asks for, in minutes.
            inner.do_polysemous_training = False
        wanted = max(SAMPLE, SAMPLE_A_LIST * int(getattr(inner, "nlist", 0)))
        rows = np.sort(np.random.default_rng(seed).permutation(count)[:wanted])
        _train(library, index, matrix, rows, similarity)
    except RuntimeError as error:
        raise UsageError(
            f"the recipe {recipe!r} does not work for {count:,} vectors of {dim} numbers: "
            f"{_reason(error)}"
        ) from error
    return AnnIndex(index, recipe, similarity)


def _train(library: Any, index: Any, matrix: Floats, rows: Rows, similarity: Similarity) -> None:
    """Transformations learn from few rows, and the sample for the rest is kept transformed: of 2,048
    numbers a vector it would take gigabytes."""
    few = rows[:: max(1, len(rows) // SAMPLE)]
    whole = library.downcast_index(index)
    if not isinstance(whole, library.IndexPreTransform):
        index.train(prepared(matrix[rows], similarity))
        return
    steps = [
        library.downcast_VectorTransform(whole.chain.at(number))
        for number in range(whole.chain.size())
    ]
    learning = prepared(matrix[few], similarity)
    for step in steps:
        if isinstance(step, library.PCAMatrix):
            _set_pca(library, step, learning)
        elif not step.is_trained:
            step.train(learning)
        learning = step.apply(learning)
    parts = []
    for some in chunks(rows, matrix.shape[1]):
        part = prepared(matrix[some], similarity)
        for step in steps:
            part = step.apply(part)
        parts.append(part)
    whole.index.train(np.concatenate(parts))
    whole.is_trained = True


def _set_pca(library: Any, step: Any, learning: NDArray[np.float32]) -> None:
    """FAISS's own PCA takes four times as long as NumPy's: it has a slower LAPACK."""
    found = principal_axes(learning)
    library.copy_array_to_vector(found.mean, step.mean)
    library.copy_array_to_vector(found.variances, step.eigenvalues)
    library.copy_array_to_vector(found.axes.ravel(), step.PCAMat)
    step.prepare_Ab()
    # All axes were needed until here; the file would keep 16 MB of them for 2,048 numbers.
    library.copy_array_to_vector(np.empty(0, np.float32), step.PCAMat)
    step.is_trained = True


def fill(index: AnnIndex, matrix: Floats, *, threads: int = 1, progress: Progress = quiet) -> None:
    """Add all rows, a chunk at a time: neither they nor their float32 copies are held together."""
    count, dim = matrix.shape
    for rows in chunks(np.arange(index.count, count), dim):
        index.add(matrix[rows[0] : rows[-1] + 1], threads=threads)
        progress("add", int(rows[-1]) + 1, count)


def chunks(rows: Rows, dim: int) -> Iterator[Rows]:
    """The rows in parts whose vectors take CHUNK_BYTES as float32."""
    step = max(1, CHUNK_BYTES // (4 * dim))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def innermost(index: Any) -> tuple[Any, list[Any]]:
    """The part that has lists or a graph, and the transformations that vectors go through before they
    reach it."""
    library = faiss()
    index = library.downcast_index(index)
    steps: list[Any] = []
    while isinstance(index, library.IndexPreTransform | library.IndexRefine):
        if isinstance(index, library.IndexRefine):
            index = library.downcast_index(index.base_index)
            continue
        steps += [
            library.downcast_VectorTransform(index.chain.at(number))
            for number in range(index.chain.size())
        ]
        index = library.downcast_index(index.index)
    return index, steps


def _parameters(library: Any, index: Any, probe: int, allowed: NDArray[np.uint8] | None) -> Any:
    """FAISS's parameter objects, nested as the index is."""
    index = library.downcast_index(index)
    if isinstance(index, library.IndexPreTransform):
        inner = _parameters(library, index.index, probe, allowed)
        return library.SearchParametersPreTransform(index_params=inner)
    if isinstance(index, library.IndexRefine):
        inner = _parameters(library, index.base_index, probe, allowed)
        return library.IndexRefineSearchParameters(k_factor=4.0, base_index_params=inner)
    chosen = {} if allowed is None else {"sel": library.IDSelectorBitmap(allowed)}
    if hasattr(index, "nlist"):
        return library.SearchParametersIVF(nprobe=probe, **chosen)
    if hasattr(index, "hnsw"):
        return library.SearchParametersHNSW(efSearch=probe, **chosen)
    return library.SearchParameters(**chosen) if chosen else None


def _reason(error: Exception) -> str:
    """FAISS's message without the place in its sources."""
    text = " ".join(str(error).split())
    return re.split(r"\.(?:cpp|h):\d+: (?:Error: )?", text)[-1]
