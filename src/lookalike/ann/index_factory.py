"""Which index for how many vectors: recipes, as FAISS factory strings, and what they take in memory."""

from __future__ import annotations

import re

from lookalike.errors import UsageError

PROJECTED = 160
"""Dimensions after PCA. Of 1,280 numbers of real CNN vectors, 128 to 512 find equally well, because the
stored vectors decide in the end; 160 was fastest (docs/benchmarks.md)."""

SHORT = 256
"""Vectors up to so many numbers are taken without PCA."""

PADDING = 16
"""Bytes a vector that lists lose, because codes are kept in blocks of 32."""

RABITQ_FACTORS = 12
"""Bytes beside the bits of a RaBitQ code: its length, its error and, with more bits, their scale."""

ROW = 8
"""Bytes of a row number in a list."""


def lists(count: int) -> int:
    """How many lists an inverted file of so many vectors has: the power of two nearest to
    1.6 √count, but each list gets some 39 vectors, below which k-means has too little to go by."""
    wanted = min(1.6 * count**0.5, count / 39)
    size = 1
    while size * 1.41 < wanted:
        size *= 2
    return min(size, 8192)


def ladder(count: int, dim: int, *, memory: int | None = None) -> list[str]:
    """Recipes for so many vectors of `dim` numbers, the one to try first at the start; the later ones
    find more and take more room. All fit in `memory` bytes, if it is given.

    `UsageError` if not even the smallest does.
    """
    if count < 1 or dim < 1:
        raise UsageError("an index needs at least one vector of at least one number")
    cells = lists(count)
    if dim < 16:
        recipes, smaller = [f"IVF{cells},Flat"], []
    elif dim <= SHORT:
        kept = dim - dim % 8
        turned = "" if kept == dim else f"PCAR{kept},"
        recipes = [
            f"{turned}IVF{cells},PQ{kept // 2}x4fs",
            f"RR{kept},IVF{cells},RaBitQfs4" if kept == dim else f"{turned}IVF{cells},RaBitQfs4",
            f"IVF{cells},SQ8",
        ]
        smaller = [f"{turned}IVF{cells},PQ{kept // 4}x4fs"]
    else:
        recipes = [f"PCAR{kept},IVF{cells},PQ{kept // 2}x4fs" for kept in (PROJECTED, 256)]
        recipes += [f"PCAR{kept},IVF{cells},RaBitQfs4" for kept in (256, min(512, dim - dim % 8))]
        smaller = [f"PCAR{kept},IVF{cells},PQ{kept // 2}x4fs" for kept in (96, 64)]
    if memory is None:
        return recipes
    recipes += smaller
    needed = {recipe: estimate(recipe, count, dim) for recipe in recipes}
    fitting = [recipe for recipe in recipes if needed[recipe] <= memory]
    if not fitting:
        least = min(needed.values())
        raise UsageError(
            f"an index of {count:,} vectors takes at least {_megabytes(least)}, "
            f"the limit is {_megabytes(memory)}: allow more memory, or search without an index"
        )
    return fitting


def estimate(recipe: str, count: int, dim: int) -> int:
    """Bytes that an index of this recipe takes, about; of recipes that are not ours the parts that
    have a size of their own: lists, links, codes."""
    kept, fixed = dim, 0
    if turned := re.search(r"(?:PCAW?R?|RR|OPQ\d+_|ITQ)(\d+)", recipe):
        kept = int(turned[1])
        fixed += 4 * dim * kept
    if ivf := re.search(r"IVF(\d+)", recipe):
        fixed += int(ivf[1]) * (4 * kept + 128)
    each = _code(recipe, kept)
    if ivf:
        each += ROW + (PADDING if "fs" in recipe else 0)
    if links := re.search(r"(?:^|,)HNSW(\d+)", recipe):
        each += int(links[1]) * 2 * 4 + 12
    return fixed + count * each


def _code(recipe: str, dim: int) -> int:
    """Bytes of one vector's code."""
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
