"""The index of the extension VectorChord, vchordrq: inverted lists of vectors that RaBitQ compresses.

It is used where the extension is installed, and was never run: no server with it was available. Options and
settings are those of its documentation (https://docs.vectorchord.ai/vectorchord/usage/indexing.html).
Gao & Long, RaBitQ: Quantizing high-dimensional vectors with a theoretical error bound for approximate nearest
neighbor search, 2024.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import ceil, sqrt

from lookalike.stores.postgres.database import Connection
from lookalike.stores.records import Space

FEW_ROWS, MANY_ROWS = 128_000, 2_000_000
"""Vectors below which lists do not pay, and from which on their number grows with the square root."""

SHARES = (0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.0)
"""Shares of the lists that are tried as `vchordrq.probes`."""


def has_vchord(connection: Connection) -> bool:
    """Return whether this database has the access method."""
    found = connection.execute("SELECT FROM pg_am WHERE amname = 'vchordrq'").fetchone()
    return found is not None


def recipe_for(count: int) -> str:
    """Return the recipe of an index of so many vectors, as a FAISS factory string."""
    if count < FEW_ROWS:
        return "RaBitQ"
    lists = 2 * count // 1000 if count < MANY_ROWS else round(6 * sqrt(count))
    return f"IVF{lists},RaBitQ"


def lists_of(recipe: str) -> int | None:
    """Return the number of inverted lists of a recipe, 0 without lists; None for a recipe of another kind."""
    found = re.fullmatch(r"(?:IVF([1-9]\d{0,6}),)?RaBitQ", recipe)
    return None if found is None else int(found[1] or 0)


def build_options(space: Space, lists: int, threads: int | None) -> str:
    """Return the end of CREATE INDEX: options in TOML, "" for those of an index without lists."""
    if not lists:
        return ""
    euclidean = space.similarity == "euclidean"
    options = (
        f"residual_quantization = {'true' if euclidean else 'false'}",
        "[build.internal]",
        f"lists = [{lists}]",
        f"spherical_centroids = {'false' if euclidean else 'true'}",
        f"build_threads = {min(threads or 1, 255)}",
    )
    return "WITH (options = '{}')".format("\n".join(options))


def probes_to_try(lists: int) -> Sequence[int]:
    """Return rising numbers of lists to search, from which the least that reaches a recall is chosen."""
    return [0] if not lists else sorted({ceil(share * lists) for share in SHARES})


def search_settings(probes: int) -> dict[str, str]:
    """Return the settings of a search of so many lists; 0 for an index without lists."""
    return {"vchordrq.probes": str(probes) if probes else ""}
