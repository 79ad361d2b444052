"""Choosing an index for a number of vectors: FAISS factory strings ("recipes") and their memory."""

from __future__ import annotations

import re

from lookalike.errors import UsageError

# Dimensions after PCA. Of 1,280-dimensional CNN vectors, 128 to 512 dimensions find equally well, because
# candidates are re-ranked by the stored vectors; 160 was fastest (docs/benchmarks.md).
REDUCED_DIM = 160

# Vectors of at most this dimension are indexed without PCA.
SHORT_DIM = 256

# Largest number of lists of an inverted file.
MAX_LISTS = 8192

# Bytes per vector that lists waste, because codes are kept in blocks of 32.
PADDING = 16

# Bytes beside the bits of a RaBitQ code: its length, its error and, with more bits, their scale.
RABITQ_FACTORS = 12

# Bytes of an id in a list.
ID_BYTES = 8


def list_count(count: int) -> int:
    """Return how many lists an inverted file of so many vectors should have.

    The power of two nearest to count^(2/3) / 11: the fastest of SIFT and CNN vectors between 20,000 and a
    million (docs/benchmark-details.md). But so few that each list gets some 39 training vectors, the least
    that k-means needs.
    """
    wanted = min(count ** (2 / 3) / 11, count / 39)
    size = 1
    while size * 1.41 < wanted:
        size *= 2
    return min(size, MAX_LISTS)


def candidate_recipes(count: int, dim: int, *, memory: int | None = None) -> list[str]:
    """Return the recipes to try for so many vectors of dimension `dim`, in this order.

    Later ones reach a higher recall and take more memory. All fit in `memory` bytes, if given.

    `UsageError` if not even the smallest fits.
    """
    if count < 1 or dim < 1:
        raise UsageError("an index needs at least one vector of at least one dimension")
    nlist = list_count(count)
    if dim < 16:
        recipes, smaller = [f"IVF{nlist},Flat"], []
    elif dim <= SHORT_DIM:
        kept = dim - dim % 8
        pca = "" if kept == dim else f"PCAR{kept},"
        recipes = [
            f"{pca}IVF{nlist},PQ{kept // 2}x4fs",
            f"RR{kept},IVF{nlist},RaBitQfs4" if kept == dim else f"{pca}IVF{nlist},RaBitQfs4",
            f"IVF{nlist},SQ8",
        ]
        smaller = [f"{pca}IVF{nlist},PQ{kept // 4}x4fs"]
    else:
        recipes = [f"PCAR{kept},IVF{nlist},PQ{kept // 2}x4fs" for kept in (REDUCED_DIM, 256)]
        recipes += [f"PCAR{kept},IVF{nlist},RaBitQfs4" for kept in (256, min(512, dim - dim % 8))]
        smaller = [f"PCAR{kept},IVF{nlist},PQ{kept // 2}x4fs" for kept in (96, 64)]
    if memory is None:
        return recipes
    recipes += smaller
    needed = {recipe: estimate_bytes(recipe, count, dim) for recipe in recipes}
    fitting = [recipe for recipe in recipes if needed[recipe] <= memory]
    if not fitting:
        least = min(needed.values())
        raise UsageError(
            f"an index of {count:,} vectors takes at least {_megabytes(least)}, "
            f"the limit is {_megabytes(memory)}: allow more memory, or search without an index"
        )
    return fitting


def estimate_bytes(recipe: str, count: int, dim: int) -> int:
    """Estimate the size in bytes of an index with this recipe.

    For recipes other than ours, from the parts whose size is known: lists, links, codes.
    """
    kept, fixed = dim, 0
    if transform := re.search(r"(?:PCAW?R?|RR|OPQ\d+_|ITQ)(\d+)", recipe):
        kept = int(transform[1])
        fixed += 4 * dim * kept
    if ivf := re.search(r"IVF(\d+)", recipe):
        fixed += int(ivf[1]) * (4 * kept + 128)
    per_vector = _code_bytes(recipe, kept)
    if ivf:
        per_vector += ID_BYTES + (PADDING if "fs" in recipe else 0)
    if links := re.search(r"(?:^|,)HNSW(\d+)", recipe):
        per_vector += int(links[1]) * 2 * 4 + 12
    return fixed + count * per_vector


def _code_bytes(recipe: str, dim: int) -> int:
    """Return the size of one vector's code."""
    if rabitq := re.search(r"RaBitQ(?:fs)?(\d*)", recipe):
        bits = int(rabitq[1] or 1)
        return (dim * bits + 7) // 8 + RABITQ_FACTORS
    if pq := re.search(r"PQ(\d+)(?:x(\d+))?", recipe):
        return (int(pq[1]) * int(pq[2] or 8) + 7) // 8
    if sq := re.search(r"SQ(fp16|bf16|8|6|4)", recipe):
        return dim * {"fp16": 16, "bf16": 16, "8": 8, "6": 6, "4": 4}[sq[1]] // 8
    return 4 * dim


def _megabytes(bytes_: int) -> str:
    return f"{bytes_ / 2**20:,.0f} MB" if bytes_ >= 2**20 else f"{bytes_ / 2**20:.2g} MB"
