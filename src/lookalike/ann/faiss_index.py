"""FAISS indexes: training, filling, searching and saving.

An index here only proposes candidates. Their similarities are computed again from the stored vectors
(`lookalike.ann.rerank`), so that what is shown is exact, and hits can only be missed.

The metric is always L2. On unit vectors it orders as the cosine does, |a - b|² = 2 - 2 cos, and unlike
the inner product it survives PCA, which centres the data.

Recipes are FAISS factory strings: https://github.com/facebookresearch/faiss/wiki/The-index-factory.
RaBitQ: Gao and Long, SIGMOD 2024. FAISS is imported on use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.vectors.blocks import Floats, Rows, as_float32
from lookalike.vectors.kmeans import import_faiss
from lookalike.vectors.pca import principal_axes
from lookalike.vectors.similarity import Similarity, normalise

# Size of the vectors, as float32, that are added at a time.
CHUNK_BYTES = 32 << 20

# Training vectors for each list of an inverted file; with fewer than 39 FAISS warns.
SAMPLE_PER_LIST = 48

# Smallest training sample for everything else (PCA, codes).
MIN_SAMPLE = 20_000

# Iterations of k-means; ten more changed recall by less than 0.002 on CNN vectors of photos and doubled
# the time.
ITERATIONS = 10

# Queries that FAISS searches for one by one.
FEW_QUERIES = 8

# The largest ef_search that is tried.
MAX_EF_SEARCH = 4096

# Called with the stage ("train", "add", "tune"), done and total.
Progress = Callable[[str, int, int], None]


def no_progress(stage: str, done: int, total: int) -> None:
    """Ignore progress; the default."""


@dataclass(frozen=True)
class AnnIndex:
    """A FAISS index whose ids are row numbers: the i-th vector that was added is row i.

    recipe      the factory string it was made from
    similarity  what it is for: for the cosine, vectors are scaled to length 1 first
    """

    index: Any
    recipe: str
    similarity: Similarity
    _parameters: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def count(self) -> int:
        """The number of vectors."""
        return int(self.index.ntotal)

    @cached_property
    def max_nprobe(self) -> int:
        """The largest useful `nprobe`: the number of lists of an inverted file, the largest ef_search of
        a graph; 1 for an index without such a parameter."""
        inner, _ = unwrap(self.index)
        if hasattr(inner, "nlist"):
            return int(inner.nlist)
        return MAX_EF_SEARCH if hasattr(inner, "hnsw") else 1

    @cached_property
    def _fast_scan(self) -> Any:
        """The inverted file of four-bit codes inside, None in other indexes."""
        inner, _ = unwrap(self.index)
        return inner if hasattr(inner, "nlist") and hasattr(inner, "implem") else None

    @cached_property
    def _dim(self) -> int:
        return int(self.index.d)

    def add(self, vectors: Floats, *, threads: int = 1) -> None:
        """Add rows (n, dim)."""
        import_faiss().omp_set_num_threads(threads)
        self.index.add(prepare(vectors, self.similarity))

    def candidates(
        self,
        queries: NDArray[np.float32],
        count: int,
        *,
        nprobe: int,
        allowed: NDArray[np.uint8] | None = None,
        threads: int = 1,
    ) -> Rows:
        """Return (q, count) rows that are probably near, -1 where there are fewer.

        queries  (q, dim) float32, finite; of length 1 for the cosine
        nprobe   how many lists of an inverted file are searched, or ef_search of a graph
        allowed  search only these rows: a bitmap from `pack_bitmap`
        threads  for this call; single queries are fastest with one
        """
        library = import_faiss()
        library.omp_set_num_threads(threads)
        parameters = self._parameters.get(nprobe) if allowed is None else None
        if parameters is None:
            parameters = _search_parameters(library, self.index, nprobe, allowed)
            if allowed is None:
                self._parameters[nprobe] = parameters
        # For few queries their lists one by one (11) take an eighth less time than shared lists.
        implem = 11 if len(queries) <= FEW_QUERIES else 0
        if self._fast_scan is not None and self._fast_scan.implem != implem:
            self._fast_scan.implem = implem
        queries = np.ascontiguousarray(queries, np.float32)
        assert queries.shape[1] == self._dim
        found = np.empty((len(queries), count), np.int64)
        distances = np.empty(found.shape, np.float32)
        # `search_c` is called by FAISS's `search`, whose checks in Python take a tenth of a query's time.
        first, *last = map(library.swig_ptr, (queries, distances, found))
        self.index.search_c(len(queries), first, count, *last, parameters)
        return found

    def copy(self) -> AnnIndex:
        """Return a copy that can be changed while this one is searched."""
        return AnnIndex(import_faiss().clone_index(self.index), self.recipe, self.similarity)

    def save(self, path: Path) -> None:
        """Write it to a file. Raises `OSError`.

        Through a Python callback: given a file name, FAISS raises RuntimeError where the disk is full,
        and cannot open names that are not UTF-8.
        """
        with path.open("wb") as file:
            library = import_faiss()
            library.write_index(self.index, library.PyCallbackIOWriter(file.write))

    @classmethod
    def load(
        cls, path: Path, recipe: str, similarity: Similarity, *, writable: bool = False
    ) -> AnnIndex:
        """Read the index in a file. Its lists stay on the disk, memory-mapped, unless it is `writable`:
        FAISS ends the process when something is added to mapped lists.

        Only for files that are known to be intact: FAISS may crash on others. `ValueError` if it
        refuses the file.
        """
        library = import_faiss()
        try:
            index = library.read_index(str(path), 0 if writable else library.IO_FLAG_MMAP_IFC)
        except Exception as error:  # SWIG raises RuntimeError, MemoryError and others
            raise ValueError(str(error)) from error
        return cls(index, recipe, similarity)


def pack_bitmap(allowed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Pack a boolean for each row into the bitmap that `AnnIndex.candidates` takes."""
    return np.packbits(allowed, bitorder="little")


def prepare(vectors: Floats, similarity: Similarity) -> NDArray[np.float32]:
    """Return vectors (n, dim) as the index sees them: float32, of unit length for the cosine."""
    if similarity == "cosine":
        floats = as_float32(np.ascontiguousarray(vectors))
        squares = np.einsum("ij,ij->i", floats, floats)
        off = np.abs(squares - 1) > 2e-4
        return normalise(vectors) if off.any() and squares[off].any() else floats
    return as_float32(np.ascontiguousarray(vectors))


def train(
    matrix: Floats, recipe: str, *, similarity: Similarity, threads: int = 1, seed: int = 0
) -> AnnIndex:
    """Return an empty index, trained on a sample of the rows (n, dim).

    `UsageError` for a recipe that FAISS does not know or that does not fit the vectors.
    """
    library = import_faiss()
    library.omp_set_num_threads(threads)
    count, dim = matrix.shape
    try:
        index = library.index_factory(dim, recipe, library.METRIC_L2)
        inner, _ = unwrap(index)
        if hasattr(inner, "cp"):
            inner.cp.niter, inner.cp.seed = ITERATIONS, 1234 + seed
            inner.cp.min_points_per_centroid = 1  # otherwise FAISS complains on stderr
        if hasattr(inner, "pq"):
            inner.pq.cp.min_points_per_centroid = 1
        if hasattr(inner, "do_polysemous_training"):
            # Orders the codes for a filter that nothing here uses, in minutes.
            inner.do_polysemous_training = False
        size = max(MIN_SAMPLE, SAMPLE_PER_LIST * int(getattr(inner, "nlist", 0)))
        rows = np.sort(np.random.default_rng(seed).permutation(count)[:size])
        _train(library, index, matrix, rows, similarity)
    except RuntimeError as error:
        raise UsageError(
            f"the recipe {recipe!r} does not work for {count:,} vectors of {dim} dimensions: "
            f"{_reason(error)}"
        ) from error
    return AnnIndex(index, recipe, similarity)


def _train(library: Any, index: Any, matrix: Floats, rows: Rows, similarity: Similarity) -> None:
    """Train the transforms on a part of the sample, and the rest on the transformed sample: vectors of
    2,048 dimensions would take gigabytes otherwise."""
    few = rows[:: max(1, len(rows) // MIN_SAMPLE)]
    whole = library.downcast_index(index)
    if not isinstance(whole, library.IndexPreTransform):
        index.train(prepare(matrix[rows], similarity))
        return
    transforms = [
        library.downcast_VectorTransform(whole.chain.at(number))
        for number in range(whole.chain.size())
    ]
    sample = prepare(matrix[few], similarity)
    for transform in transforms:
        if isinstance(transform, library.PCAMatrix):
            _set_pca(library, transform, sample)
        elif not transform.is_trained:
            transform.train(sample)
        sample = transform.apply(sample)
    parts = []
    for some in chunks(rows, matrix.shape[1]):
        part = prepare(matrix[some], similarity)
        for transform in transforms:
            part = transform.apply(part)
        parts.append(part)
    whole.index.train(np.concatenate(parts))
    whole.is_trained = True


def _set_pca(library: Any, transform: Any, sample: NDArray[np.float32]) -> None:
    """Set the axes by our own PCA: FAISS's takes four times as long, with a slower LAPACK."""
    found = principal_axes(sample)
    library.copy_array_to_vector(found.mean, transform.mean)
    library.copy_array_to_vector(found.variances, transform.eigenvalues)
    library.copy_array_to_vector(found.axes.ravel(), transform.PCAMat)
    transform.prepare_Ab()
    # All axes are needed until here; saving them would take 16 MB for 2,048 dimensions.
    library.copy_array_to_vector(np.empty(0, np.float32), transform.PCAMat)
    transform.is_trained = True


def fill(
    index: AnnIndex, matrix: Floats, *, threads: int = 1, progress: Progress = no_progress
) -> None:
    """Add all rows, a chunk at a time, so that they are never in memory together as float32."""
    count, dim = matrix.shape
    for rows in chunks(np.arange(index.count, count), dim):
        index.add(matrix[rows[0] : rows[-1] + 1], threads=threads)
        progress("add", int(rows[-1]) + 1, count)


def chunks(rows: Rows, dim: int) -> Iterator[Rows]:
    """Split the rows into chunks whose vectors take CHUNK_BYTES as float32."""
    step = max(1, CHUNK_BYTES // (4 * dim))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def unwrap(index: Any) -> tuple[Any, list[Any]]:
    """Return the inner index, which has the lists or the graph, and the transforms before it."""
    library = import_faiss()
    index = library.downcast_index(index)
    transforms: list[Any] = []
    while isinstance(index, library.IndexPreTransform | library.IndexRefine):
        if isinstance(index, library.IndexRefine):
            index = library.downcast_index(index.base_index)
            continue
        transforms += [
            library.downcast_VectorTransform(index.chain.at(number))
            for number in range(index.chain.size())
        ]
        index = library.downcast_index(index.index)
    return index, transforms


def _search_parameters(
    library: Any, index: Any, nprobe: int, allowed: NDArray[np.uint8] | None
) -> Any:
    """Return FAISS's parameter objects, nested as the index is."""
    index = library.downcast_index(index)
    if isinstance(index, library.IndexPreTransform):
        inner = _search_parameters(library, index.index, nprobe, allowed)
        return library.SearchParametersPreTransform(index_params=inner)
    if isinstance(index, library.IndexRefine):
        inner = _search_parameters(library, index.base_index, nprobe, allowed)
        return library.IndexRefineSearchParameters(k_factor=4.0, base_index_params=inner)
    selector = {} if allowed is None else {"sel": library.IDSelectorBitmap(allowed)}
    if hasattr(index, "nlist"):
        return library.SearchParametersIVF(nprobe=nprobe, **selector)
    if hasattr(index, "hnsw"):
        return library.SearchParametersHNSW(efSearch=nprobe, **selector)
    return library.SearchParameters(**selector) if selector else None


def _reason(error: Exception) -> str:
    """Return FAISS's message without the position in its source."""
    text = " ".join(str(error).split())
    return re.split(r"\.(?:cpp|h):\d+: (?:Error: )?", text)[-1]
