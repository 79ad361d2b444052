"""What the catalogue knows of paths: enough to tell whether a file has changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence

from lookalike.errors import Outcome
from lookalike.stores.interface import FileState, Image
from lookalike.stores.local.database import chunks, marks
from lookalike.stores.local.images import IMAGE_COLUMNS, image_from
from lookalike.stores.local.path_encoding import decode_path, encode_path

TWINS = 256
"""Images of one size that are looked at for each new file. A folder of scans has thousands; all of
them for each of them would take hours, and beyond some hundreds the vectors are cheaper made anew."""


def file_states(
    connection: sqlite3.Connection, root: int, paths: Sequence[str]
) -> dict[str, FileState]:
    """Those of the paths that are known; two statements for every 900 of them."""
    keys: dict[int, str] = dict(connection.execute("SELECT id, key FROM spaces"))
    sets: dict[frozenset[int], frozenset[str]] = {}  # one object for all files of the same spaces
    found: dict[str, FileState] = {}
    for chunk in chunks(paths):
        images = connection.execute(
            "SELECT id, path, size, mtime_ns, hash, outcome, reason FROM images "  # noqa: S608
            f"WHERE root = ? AND path IN ({marks(len(chunk))})",
            [root, *map(encode_path, chunk)],
        ).fetchall()
        held: dict[int, list[int]] = {row[0]: [] for row in images}
        for image, space in connection.execute(
            f"SELECT image, space FROM placements WHERE image IN ({marks(len(held))})",  # noqa: S608
            list(held),
        ):
            held[image].append(space)
        for id, path, size, mtime_ns, hash, outcome, reason in images:
            ids = frozenset(held[id])
            spaces = sets.setdefault(ids, frozenset(keys[space] for space in ids))
            found[decode_path(path)] = FileState(
                id, size, mtime_ns, hash, Outcome(outcome), spaces, reason
            )
    return found


def same_content(
    connection: sqlite3.Connection, size: int, hash: bytes | None, spaces: Collection[str]
) -> list[Image]:
    """See `Writer.same_content`."""
    # The plus keeps SQLite from the index of sizes where the one of hashes leads straight there.
    same = "size = ? AND hash IS NOT NULL" if hash is None else "+size = ? AND hash = ?"
    rows = connection.execute(
        f"SELECT {IMAGE_COLUMNS} WHERE {same} AND {_complete(spaces)} "
        f"ORDER BY images.id LIMIT {TWINS}",
        [size, *([] if hash is None else [hash]), *spaces],
    )
    return [image_from(row) for row in rows]


def hashes_by_size(
    connection: sqlite3.Connection, sizes: Iterable[int], spaces: Collection[str], *, failed: bool
) -> dict[int, tuple[bytes, ...]]:
    """See `Writer.hashes`. Most sizes belong to no image at all, which one statement tells."""
    which = _complete(spaces) if failed else f"outcome = 'indexed' AND {_complete(spaces)}"
    found: dict[int, tuple[bytes, ...]] = {}
    for chunk in chunks(set(sizes)):
        met = connection.execute(
            f"SELECT DISTINCT size FROM images WHERE size IN ({marks(len(chunk))})",  # noqa: S608
            chunk,
        ).fetchall()
        for (size,) in met:
            rows = connection.execute(
                f"SELECT hash FROM images WHERE size = ? AND hash IS NOT NULL AND {which} "  # noqa: S608
                f"ORDER BY id LIMIT {TWINS}",
                [size, *spaces],
            )
            if same := dict.fromkeys(hash for (hash,) in rows):
                found[size] = tuple(same)
    return found


def _complete(spaces: Collection[str]) -> str:
    """A condition: failed, or with a vector in each of the spaces, whose keys are its parameters."""
    return f"""(outcome <> 'indexed' OR {len(spaces)} = (
        SELECT count(*) FROM placements JOIN spaces ON spaces.id = placements.space
        WHERE placements.image = images.id AND spaces.key IN ({marks(len(spaces))})))"""  # noqa: S608
