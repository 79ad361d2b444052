"""Check that the tables of a library are consistent with each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lookalike.stores.postgres.database import Connection, statement
from lookalike.stores.postgres.milvus_vectors import contradictions, milvus_blocks
from lookalike.stores.postgres.snapshot import LibraryState
from lookalike.stores.postgres.space_row import SpaceRow
from lookalike.stores.postgres.vectors import blocks
from lookalike.stores.write_plan import impossible_vectors

_COUNTS = {
    "images that failed have vectors": "SELECT count(*) FROM images WHERE outcome <> 'indexed' "
    "AND spaces && %s::int4[]",
    "images have no root": "SELECT count(*) FROM images LEFT JOIN roots ON roots.id = root "
    "WHERE roots.id IS NULL",
    "paths exist twice": "SELECT count(*) - count(DISTINCT (root, path)) FROM images",
    "ids are above the highest that was given": "SELECT count(*) FROM images, library "
    "WHERE id > newest_image",
    "values of fields belong to no image": "SELECT count(*) FROM field_values v WHERE NOT EXISTS "
    "(SELECT FROM images WHERE id = v.image)",
    "texts belong to no indexed image": "SELECT count(*) FROM texts t WHERE NOT EXISTS "
    "(SELECT FROM images WHERE id = t.image AND outcome = 'indexed')",
}


def check(connection: Connection, state: LibraryState) -> list[str]:
    """Return everything that contradicts itself, a line each; empty if it is intact.

    Reads all vectors once. Whether the files of the database are damaged is for PostgreSQL's own tools.
    """
    spaces = [row.id for row in state.spaces.values()]
    found = []
    for what, query in _COUNTS.items():
        row = connection.execute(statement(query), (spaces,) if "%s" in query else None).fetchone()
        if row and row[0]:
            found.append(f"{what} ({row[0]})")
    for key, one in state.spaces.items():
        found += [f"{key}: {line}" for line in _check_space(connection, one)]
    return found


def _check_space(connection: Connection, row: SpaceRow) -> Iterator[str]:
    space = row.space
    counted = connection.execute(
        statement(
            "SELECT (SELECT count(*) FROM {0}), "
            "(SELECT count(*) FROM {0} v WHERE NOT EXISTS "
            "(SELECT FROM images WHERE id = v.image AND spaces @> %(space)s::int4[])), "
            "(SELECT count(*) FROM images WHERE spaces @> %(space)s::int4[] "
            "AND NOT EXISTS (SELECT FROM {0} v WHERE v.image = id))",
            row.table,
        ),
        {"space": [row.id]},
    ).fetchone()
    assert counted is not None
    vectors, strangers, missing = counted
    if vectors != space.count:
        yield f"{space.count} vectors are counted, {vectors} are there"
    if strangers:
        yield f"{strangers} vectors belong to no image that has them"
    if missing:
        yield f"{missing} images have lost their vector"
    lost: list[int] = []
    found = infinite = lengths = 0
    for ids, block in (
        milvus_blocks(connection, row, lost=lost) if row.collection else blocks(connection, row)
    ):
        found += len(ids)
        wrong = impossible_vectors(
            block.astype(np.float32), normalised=space.normalised, dtype=space.dtype
        )
        infinite += int(wrong[0].sum())
        lengths += int(wrong[1].sum())
    if infinite:
        yield f"NaN, infinity or far too large a number: {infinite} of {vectors} vectors"
    if lengths:
        yield f"a length other than 1: {lengths} of {vectors} vectors"
    if row.collection is not None:
        yield from contradictions(connection, row, found, len(lost))
