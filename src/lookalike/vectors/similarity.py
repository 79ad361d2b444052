"""Similarity of vectors, and exact search. Larger is closer, always.

`loop_top_k` defines in ten lines what `top_k` must return; the tests compare the two.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.vectors import Similarity as Similarity
from lookalike.vectors.blocks import BLOCK_BYTES, FEW_QUERIES, Floats, Rows, blocks
from lookalike.vectors.exact import MAX_PENDING, TINY, ExactTopK
from lookalike.vectors.kmeans import import_faiss

Real = TypeVar("Real", np.float32, np.float64)

# Queries that share one pass over the rows; more would only make the block of scores larger.
QUERY_BLOCK = 1024

# float16 rows of so many bytes are scanned by FAISS: to import it takes as long as to convert twice as many.
SCAN_BYTES = 128 << 20

# Excluded rows that a scan may find beside the nearest ones.
SCAN_EXCLUDED = 1000

# Multiplications of a matrix product up to which OpenBLAS uses one thread.
SINGLE_THREAD_PRODUCT = 1 << 18


def cosine(a: Floats, b: Floats) -> float:
    """Return the cosine of the angle between two vectors (dim,), in -1..1; 0 if one of them is zero."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    lengths = math.sqrt(float((x * x).sum())) * math.sqrt(float((y * y).sum()))
    if lengths == 0.0:
        return 0.0
    return min(1.0, max(-1.0, float((x * y).sum()) / lengths))


def euclidean(a: Floats, b: Floats) -> float:
    """Return minus the Euclidean distance between two vectors (dim,): 0 for equal ones, else negative."""
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return -math.sqrt(float((difference * difference).sum()))


def normalise(vectors: Floats) -> NDArray[np.float32]:
    """Scale vectors (n, dim), or one (dim,), to length 1, as float32; a zero vector stays zero.

    float64 is divided by the largest component first, so that no square leaves the range; those of float32
    never do.
    """
    wide = np.array(vectors, np.float64)  # changed in place: copies cost more than the arithmetic
    if vectors.dtype == np.float64:
        largest = np.abs(wide).max(axis=-1, keepdims=True, initial=0.0)
        largest[largest == 0.0] = 1.0
        wide /= largest
    lengths = np.sqrt(np.einsum("...i,...i->...", wide, wide))[..., None]
    wide /= np.maximum(lengths, TINY)
    return wide.astype(np.float32)


def similarity_matrix(
    queries: Floats, matrix: Floats, *, similarity: Similarity
) -> NDArray[np.float32]:
    """Compare every query (q, dim) with every row (n, dim): (q, n) float32.

    For arrays that fit in memory twice as float64; use `top_k` for whole libraries.
    """
    wide_queries, wide = np.asarray(queries, np.float64), np.asarray(matrix, np.float64)
    products = dot_products(wide_queries, wide)
    query_squares = np.einsum("ij,ij->i", wide_queries, wide_queries)[:, None]
    squares = np.einsum("ij,ij->i", wide, wide)[None, :]
    if similarity == "cosine":
        lengths = np.sqrt(query_squares) * np.sqrt(squares)
        lengths[lengths == 0.0] = 1.0
        products /= lengths
        return products.clip(-1.0, 1.0, out=products).astype(np.float32)
    distances = np.maximum(query_squares + squares - 2.0 * products, 0.0)
    # The expansion cancels for close pairs: compute them directly, so that equal vectors have distance 0.
    for query, row in zip(*np.nonzero(distances < 1e-6 * (query_squares + squares)), strict=True):
        distances[query, row] = ((wide_queries[query] - wide[row]) ** 2).sum()
    similarities: NDArray[np.float64] = -np.sqrt(distances)
    return similarities.astype(np.float32)


def dot_products(queries: NDArray[Real], rows: NDArray[Real]) -> NDArray[Real]:
    """Return the dot product (q, n) of each query and row.

    Small ones are computed in pieces for which BLAS starts no threads: on a busy machine it would wait for
    them many times as long as the product takes.
    """
    if len(queries) == 1:
        each: NDArray[Real] = np.vecdot(rows, queries)
        return each[None]
    work = max(1, queries.size)
    if work * len(rows) > 16 * SINGLE_THREAD_PRODUCT:
        return queries @ rows.T
    step = max(1, SINGLE_THREAD_PRODUCT // work)
    starts = range(0, max(1, len(rows)), step)
    return np.concatenate([queries @ rows[start : start + step].T for start in starts], axis=1)


def loop_top_k(
    matrix: Floats, queries: Floats, k: int, *, similarity: Similarity
) -> tuple[Rows, NDArray[np.float32]]:
    """Find the k nearest rows by a plain loop, one pair of vectors at a time: slow, and obviously correct.

    Returns the same as `top_k`: row numbers (q, k), -1 where there are fewer, and similarities (q, k)
    float32, -inf there; equal similarities in the order of the rows.
    """
    measure = cosine if similarity == "cosine" else euclidean
    rows = np.full((len(queries), k), -1, np.int64)
    similarities = np.full((len(queries), k), -np.inf, np.float32)
    for number, query in enumerate(queries):
        scores = np.array([measure(vector, query) for vector in matrix], np.float32)
        best = np.argsort(-scores, kind="stable")[:k]
        rows[number, : len(best)] = best
        similarities[number, : len(best)] = scores[best]
    return rows, similarities


def top_k(
    matrix: Floats,
    queries: NDArray[np.float32],
    k: int,
    *,
    similarity: Similarity,
    rows: Rows | None = None,
    exclude: Rows | None = None,
    normalised: bool = True,
    block_bytes: int = BLOCK_BYTES,
    max_pending: int = MAX_PENDING,
) -> tuple[Rows, NDArray[np.float32]]:
    """Find the k nearest rows of each query by comparing it with every row.

    matrix      (n, dim) float32 or float16, an array or a memory map; every number finite
    queries     (q, dim) float32, of any length; a zero query has cosine 0 to everything
    rows        search only these row numbers, in any order
    exclude     row numbers to leave out, sorted
    normalised  the rows have length 1 or 0, which saves computing it; never changes the result
    block_bytes  memory for a block of scores or rows; changes only the speed
    max_pending  pairs that may wait for the comparison in float64; changes only the speed

    Returns row numbers (q, k) int64, -1 where there are fewer than k, and similarities (q, k) float32,
    -inf there; best first, equal ones by rising row. Memory is bounded by a few blocks. Raises
    `UsageError` for k < 1, another dimension, or a query that is not finite.
    """
    matrix = np.asarray(matrix)
    queries = np.ascontiguousarray(queries, np.float32)
    if k < 1:
        raise UsageError(f"k is {k}: ask for at least one neighbour")
    if queries.ndim != 2 or queries.shape[1] != matrix.shape[1]:
        raise UsageError(
            f"queries of shape {queries.shape} do not fit vectors of {matrix.shape[1]} dimensions"
        )
    if not np.isfinite(queries).all():
        raise UsageError("a query vector holds NaN or infinity: it is similar to nothing")
    if rows is not None and not (np.diff(rows) > 0).all():
        rows = np.unique(rows)
    found = np.full((len(queries), k), -1, np.int64)
    similarities = np.full((len(queries), k), -np.inf, np.float32)
    pending = np.arange(len(queries))
    if similarity == "cosine":
        zero = ~queries.any(axis=1)
        first = _first_rows(len(matrix), k, rows=rows, exclude=exclude)
        found[zero, : len(first)], similarities[zero, : len(first)] = first, 0.0
        pending = pending[~zero]
    cosine = similarity == "cosine"
    scans = cosine and normalised and rows is None and _can_scan(matrix, len(pending))
    size = 1 if scans else QUERY_BLOCK
    for start in range(0, len(pending), size):
        part = pending[start : start + size]
        among = near_rows(matrix, queries[part[0]], k, exclude=exclude) if scans else rows
        best = ExactTopK(
            matrix,
            queries[part],
            k,
            cosine=cosine,
            normalised=normalised,
            max_pending=max_pending,
        )
        for block in blocks(
            matrix, rows=among, exclude=exclude, queries=len(part), block_bytes=block_bytes
        ):
            best.update(block)
        best.finalize()
        found[part], similarities[part] = best.rows, best.similarities
    return found, similarities


def _can_scan(matrix: Floats, queries: int) -> bool:
    """Return whether `near_rows` takes less time than comparing every row with so many queries."""
    return (
        queries <= FEW_QUERIES
        and matrix.dtype == np.float16
        and matrix.flags.c_contiguous
        and matrix.nbytes >= SCAN_BYTES
    )


def near_rows(
    matrix: NDArray[np.float16], query: NDArray[np.float32], k: int, *, exclude: Rows | None
) -> Rows | None:
    """Return the sorted rows among which are the k of the largest cosine with a query (dim,); None if there
    are too many.

    matrix  (n, dim), contiguous; rows of length 1 or 0. FAISS reads them as they are, in a third of the
            time in which they are converted to float32 and multiplied
    """
    exclude = np.empty(0, np.int64) if exclude is None else exclude
    count = len(exclude) + 4 * k + 64
    if count > len(matrix) or len(exclude) > SCAN_EXCLUDED:
        return None
    faiss = import_faiss()
    scores, rows = np.full(count, -np.inf, np.float32), np.empty(count, np.int64)
    quantizer = faiss.ScalarQuantizer(matrix.shape[1], faiss.ScalarQuantizer.QT_fp16)
    scanner = quantizer.select_InvertedListScanner(
        faiss.METRIC_INNER_PRODUCT, None, True, None, False
    )
    unit = normalise(query)
    scanner.set_query(faiss.swig_ptr(unit))
    scanner.set_list(0, 0.0)
    pointers = map(faiss.swig_ptr, (matrix.view(np.uint8), scores, rows))
    codes, *best = pointers
    scanner.scan_codes(len(matrix), codes, None, *best, count)
    allowed = ~np.isin(rows, exclude)
    # Errors of the products in float32, and of the length of rows that were rounded to float16.
    slack = (matrix.shape[1] + 16) * 2.0**-23 + 5e-4
    threshold = np.sort(scores[allowed])[-k] - 2 * slack
    return np.sort(rows[allowed & (scores >= threshold)]) if scores.min() < threshold else None


def _first_rows(n: int, k: int, *, rows: Rows | None, exclude: Rows | None) -> Rows:
    """Return the first k rows that may be found: the result of a zero query, to which all are equal."""
    exclude = np.empty(0, np.int64) if exclude is None else exclude
    reach = k + len(exclude)
    candidates = np.arange(min(n, reach), dtype=np.int64) if rows is None else rows[:reach]
    return candidates[~np.isin(candidates, exclude)][:k]
