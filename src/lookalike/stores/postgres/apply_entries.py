"""Store a batch of entries, and delete images, inside the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from psycopg.types.json import Json

from lookalike.files import compose
from lookalike.stores.metadata import field_values, merge, plain_text
from lookalike.stores.postgres.database import Connection, statement
from lookalike.stores.postgres.encoding import IdArray, copy_rows, decode, encode, ids_from
from lookalike.stores.postgres.feedback import forget_contents
from lookalike.stores.postgres.filter_sql import number_parameter
from lookalike.stores.postgres.full_text import update_text
from lookalike.stores.postgres.images import AT_PATHS, paths_parameters
from lookalike.stores.postgres.milvus_vectors import forget_rows, write_rows
from lookalike.stores.postgres.space_row import SpaceRow
from lookalike.stores.postgres.vectors import fetch
from lookalike.stores.records import Entry, Ids
from lookalike.stores.write_plan import (
    Location,
    Plan,
    Step,
    StoredImage,
    plan,
    prepare_vectors,
    restored_metadata,
)

_IMAGE_COLUMNS = (
    "root, path, folder, name, size, mtime_ns, hash, outcome, reason, ctime_ns, inode, "
    "width, height, format, dominant_color, facts, spaces, id"
)
_IMAGE_TYPES = (
    *(
        "int4",
        "text",
        "text",
        "text",
        "int8",
        "int8",
        "bytea",
        "text",
        "text",
        "int8",
        "int8",
        "int4",
        "int4",
    ),
    *("text", "text", "json", "int4[]", "int8"),
)


def apply_entries(
    connection: Connection, spaces: Mapping[str, SpaceRow], entries: Sequence[Entry]
) -> dict[Location, int]:
    """Store entries, no two of which have the same location; return their ids by location."""
    keys = {row.id: key for key, row in spaces.items()}

    def read(
        column: Literal["id", "hash", "location"], values: Collection[Any]
    ) -> list[StoredImage]:
        return _read_images(connection, keys, column, values)

    row = connection.execute("SELECT newest_image FROM library").fetchone()
    assert row is not None
    planned = plan(entries, read, next_id=row[0] + 1)
    copies = _read_copies(connection, spaces, planned)
    _delete_stale_vectors(connection, spaces, planned)
    replaced = _delete_images(connection, spaces, planned.replaced)[1]
    added = {
        key: _write_vectors(connection, planned, one, copies[key]) for key, one in spaces.items()
    }
    _write_images(connection, planned, added, keys)
    forget_contents(connection, planned.changed_contents | replaced)
    newest = max((step.id for step in planned.steps), default=0)
    connection.execute("UPDATE library SET newest_image = greatest(newest_image, %s)", (newest,))
    return {(step.entry.root, step.entry.path): step.id for step in planned.steps}


def _read_images(
    connection: Connection,
    keys: Mapping[int, str],
    column: Literal["id", "hash", "location"],
    values: Collection[Any],
) -> list[StoredImage]:
    """See `ReadImages`. The vectors are ids of the image itself: they are read when they are copied."""
    if column == "location":
        paths: defaultdict[int, list[str]] = defaultdict(list)
        for root, path in values:
            paths[root].append(path)
        wanted = [(AT_PATHS, paths_parameters(root, some)) for root, some in paths.items()]
    elif column == "id":
        wanted = [("id = ANY(%s)", (IdArray(values),))]  # type: ignore[list-item]
    else:
        wanted = [("hash = ANY(%s)", (list(values),))]  # type: ignore[list-item]
    rows = [
        row
        for condition, parameters in wanted
        for row in connection.execute(
            statement(
                "SELECT id, root, path, hash, spaces, width, height, format, dominant_color, facts "
                f"FROM images WHERE {condition} ORDER BY id"
            ),
            parameters,
        )
    ]
    return [
        StoredImage(
            id,
            (root, decode(path)),
            hash,
            tuple(facts),
            {keys[space]: id for space in held if space in keys},
        )
        for id, root, path, hash, held, *facts in rows
    ]


# Vectors


def _read_copies(
    connection: Connection, spaces: Mapping[str, SpaceRow], planned: Plan
) -> dict[str, dict[int, Any]]:
    """Return the vectors that are copied, as they were before the batch, by space and new image."""
    sources: dict[str, dict[int, int]] = {key: {} for key in spaces}
    for image, key, source in planned.copies:
        sources[key][image] = source
    found: dict[str, dict[int, Any]] = {}
    for key, wanted in sources.items():
        found[key] = {}
        if wanted:
            ids, vectors = fetch(connection, spaces[key], np.unique(list(wanted.values())))
            held = dict(zip(ids.tolist(), vectors, strict=True))
            found[key] = {image: held[source] for image, source in wanted.items() if source in held}
    return found


def _delete_stale_vectors(
    connection: Connection, spaces: Mapping[str, SpaceRow], planned: Plan
) -> None:
    stale: defaultdict[str, list[int]] = defaultdict(list)
    for image, key in planned.stale:
        stale[key].append(image)
    for key, images in stale.items():
        _delete_vectors(connection, spaces[key], images)


def _delete_vectors(connection: Connection, row: SpaceRow, images: Iterable[int]) -> None:
    if row.collection is not None:
        deleted = forget_rows(connection, row, images)
    else:
        deleted = connection.execute(
            statement("DELETE FROM {} WHERE image = ANY(%s)", row.table), (IdArray(images),)
        ).rowcount
    if deleted:
        _count(connection, row, -deleted)


def _count(connection: Connection, row: SpaceRow, more: int) -> None:
    connection.execute(
        "UPDATE spaces SET count = count + %s, changed = gen_random_uuid() WHERE id = %s",
        (more, row.id),
    )


def _write_vectors(
    connection: Connection, planned: Plan, row: SpaceRow, copies: Mapping[int, Any]
) -> set[int]:
    """Add the new vectors of one space by rising id; return the ids of their images."""
    key = row.space.key
    given = {
        step.id: step.entry.vectors[key] for step in planned.steps if key in step.entry.vectors
    }
    given |= copies
    if not given:
        return set()
    ids = np.array(sorted(given), np.int64)
    vectors = np.array([given[id] for id in ids.tolist()], np.float32)
    prepared = prepare_vectors(
        vectors, key=key, normalised=row.space.normalised, dtype=row.space.dtype
    )
    if row.collection is not None:
        write_rows(connection, row, ids, prepared)
    else:
        command = statement("COPY {} (image, vector) FROM STDIN (FORMAT BINARY)", row.table)
        with connection.cursor().copy(command) as copy:
            copy.write(copy_rows(ids, prepared, row.space.dtype))
    _count(connection, row, len(ids))
    return set(given)


# Images


def _write_images(
    connection: Connection, planned: Plan, added: Mapping[str, set[int]], keys: Mapping[int, str]
) -> None:
    stale = set(planned.stale)
    rows: dict[bool, list[tuple[Any, ...]]] = {True: [], False: []}
    for step in planned.steps:
        before = set(step.before.vectors) if step.before is not None else set()
        held = {key for key in before if (step.id, key) not in stale}
        held |= {key for key, images in added.items() if step.id in images}
        numbers = sorted(id for id, key in keys.items() if key in held)
        rows[step.before is None].append(_image_row(step, numbers))
    if rows[True]:
        with connection.cursor().copy(
            statement(f"COPY images ({_IMAGE_COLUMNS}) FROM STDIN (FORMAT BINARY)")
        ) as copy:
            copy.set_types(_IMAGE_TYPES)
            for row in rows[True]:
                copy.write_row(row)
    if rows[False]:
        columns = _IMAGE_COLUMNS.removesuffix(", id")
        values = ", ".join(["%s"] * (len(_IMAGE_TYPES) - 1))
        connection.cursor().executemany(
            statement(f"UPDATE images SET ({columns}) = ROW ({values}) WHERE id = %s"), rows[False]
        )
    new = [step for step in planned.steps if step.before is None]
    _restore_metadata(connection, new)
    update_derived(connection, [step.id for step in planned.steps])


def _image_row(step: Step, spaces: list[int]) -> tuple[Any, ...]:
    entry, (width, height, format, color, facts) = step.entry, step.facts
    folder, _, name = compose(encode(entry.path)).rpartition("/")
    return (
        entry.root,
        encode(entry.path),
        folder,
        name,
        entry.size,
        entry.mtime_ns,
        entry.hash,
        entry.outcome.value,
        encode(plain_text(entry.reason)),
        *(entry.inode or (None, None)),
        width,
        height,
        None if format is None else encode(format),
        color,
        None if facts is None else Json(facts, dumps=str),  # it is JSON already
        spaces,
        step.id,
    )


def _restore_metadata(connection: Connection, steps: Sequence[Step]) -> None:
    """Give new images what tables said about their content before it was removed, at best about the image
    at the same place."""
    kept: defaultdict[bytes, dict[Location, tuple[int, str]]] = defaultdict(dict)
    for number, hash, root, path, text in connection.execute(
        "SELECT number, hash, root, path, metadata FROM kept_metadata WHERE hash = ANY(%s) ORDER BY number",
        (list({step.entry.hash for step in steps if step.entry.hash is not None}),),
    ):
        kept[hash][root, decode(path)] = number, text
    found, same_place = restored_metadata(kept, steps)
    if found:
        used = IdArray(found[step.id][0] for step in same_place)
        connection.execute("DELETE FROM kept_metadata WHERE number = ANY(%s)", (used,))
        connection.cursor().executemany(
            "UPDATE images SET metadata = %s WHERE id = %s",
            [(text, id) for id, (_, text) in found.items()],
        )


def update_derived(connection: Connection, ids: Sequence[int]) -> None:
    """Bring up to date what filters and text search see of these images."""
    wanted = IdArray(ids)
    connection.execute("DELETE FROM field_values WHERE image = ANY(%s)", (wanted,))
    rows = [
        (id, name, value)
        for id, facts, *given in connection.execute(
            "SELECT id, facts, sidecar, metadata FROM images WHERE id = ANY(%s) "
            "AND (facts IS NOT NULL OR sidecar IS NOT NULL OR metadata IS NOT NULL)",
            (wanted,),
        ).fetchall()
        for name, values in field_values(facts, merge(*given)).items()
        for value in dict.fromkeys(values)
    ]
    if rows:
        numbers = _field_numbers(connection, {name for _, name, _ in rows})
        with connection.cursor().copy(
            "COPY field_values (image, field, number, text) FROM STDIN (FORMAT BINARY)"
        ) as copy:
            copy.set_types(("int8", "int4", "numeric", "text"))
            for id, name, value in rows:
                stored = (
                    (None, encode(value))
                    if isinstance(value, str)
                    else (number_parameter(value), None)
                )
                copy.write_row((id, numbers[name], *stored))
    update_text(connection, ids)


def _field_numbers(connection: Connection, names: set[str]) -> dict[str, int]:
    """Return the numbers of these fields; new ones get one."""
    stored = {encode(name): name for name in sorted(names)}
    select = "SELECT name, id FROM fields WHERE name = ANY(%s)"
    known: dict[str, int] = dict(connection.execute(select, (list(stored),)).fetchall())
    missing = [name for name in stored if name not in known]
    if missing:
        known |= dict(
            connection.execute(
                "INSERT INTO fields (name) SELECT unnest(%s::text[]) RETURNING name, id", (missing,)
            ).fetchall()
        )
    return {name: known[text] for text, name in stored.items()}


# Deleting images


def delete_images(
    connection: Connection, spaces: Mapping[str, SpaceRow], ids: Iterable[int] | Ids
) -> int:
    """Delete those of these images that exist, with all that is stored about them; return how many.

    Metadata from tables is kept by content. Comparisons and thumbnails go with the last image of a content.
    """
    count, contents = _delete_images(connection, spaces, ids)
    forget_contents(connection, contents)
    return count


def _delete_images(
    connection: Connection, spaces: Mapping[str, SpaceRow], ids: Iterable[int] | Ids
) -> tuple[int, set[bytes]]:
    """Delete images with their vectors and metadata; return how many, and the hashes of their contents."""
    wanted = IdArray(ids)
    if not len(wanted.ids):
        return 0, set()
    connection.execute(
        """WITH gone AS (
             SELECT id, hash, root, path, metadata FROM images
             WHERE id = ANY(%s) AND metadata IS NOT NULL AND hash IS NOT NULL),
           older AS (DELETE FROM kept_metadata k USING gone g
                     WHERE k.hash = g.hash AND k.root = g.root AND k.path = g.path)
           INSERT INTO kept_metadata (hash, root, path, metadata)
             SELECT hash, root, path, metadata FROM gone ORDER BY id""",
        (wanted,),
    )
    row = connection.execute(
        """WITH deleted AS (DELETE FROM images WHERE id = ANY(%s) RETURNING id, hash)
           SELECT string_agg(int8send(id), ''::bytea),
                  array_agg(DISTINCT hash) FILTER (WHERE hash IS NOT NULL) FROM deleted""",
        (wanted,),
        binary=True,
    ).fetchone()
    gone = ids_from(row[0] if row else None)
    if len(gone):
        for one in spaces.values():
            _delete_vectors(connection, one, gone)
        for table in ("field_values", "texts"):
            connection.execute(
                statement("DELETE FROM {} WHERE image = ANY(%s)", table), (IdArray(gone),)
            )
    return len(gone), set((row and row[1]) or ())
