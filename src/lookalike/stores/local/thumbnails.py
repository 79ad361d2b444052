"""Files of thumbnails in a library's folder, by content: `thumbnails/<side>/<first digits>/<SHA-256>.jpg`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

FOLDER = "thumbnails"

HASH_BYTES = 32


def thumbnail_file(folder: Path, content: bytes, side: int | str) -> Path:
    """Return the file below `folder` for a content (SHA-256) and a longer side in pixels."""
    name = content.hex()
    return folder / str(side) / name[:2] / f"{name}.jpg"


def delete_thumbnails(library: Path, contents: Iterable[bytes]) -> None:
    """Delete the thumbnails of these contents (SHA-256) in all sizes, as far as that is possible."""
    folder = library / FOLDER
    with suppress(OSError):  # derived data: not worth an error
        sides = [place.name for place in folder.iterdir() if place.name.isdigit()]
        for content in contents:
            for side in sides:
                with suppress(OSError):
                    thumbnail_file(folder, content, side).unlink()


def cached_files(library: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield the files of the cache, unfinished ones (`.part`) too, with their content (SHA-256).

    Only names as given here: `thumbnails` may be a link to a folder of images, by mistake or by malice.
    """
    folder = library / FOLDER
    for file in sorted(folder.glob("[0-9]*/??/*.jpg*")):
        with suppress(ValueError):
            content = bytes.fromhex(file.name.partition(".")[0])
            whole = thumbnail_file(folder, content, file.parent.parent.name)
            if len(content) == HASH_BYTES and (file == whole or file.suffix == ".part"):
                yield file, content


def unused_thumbnails(library: Path, connection: sqlite3.Connection) -> Iterator[Path]:
    """Yield the thumbnails whose content no image has, and those that were not written to their end.

    A process that is killed leaves them, and a file that has changed twice since it was indexed.
    """
    known = "SELECT 1 FROM images WHERE hash = ?"
    for file, content in cached_files(library):
        if file.suffix == ".part" or not connection.execute(known, (content,)).fetchone():
            yield file


def delete_unused(library: Path, connection: sqlite3.Connection) -> int:
    """Delete the unused thumbnails; return how many there were."""
    unused = list(unused_thumbnails(library, connection))
    for file in unused:
        with suppress(OSError):
            file.unlink()
    return len(unused)


def count_unused(library: Path) -> int:
    """Return how many thumbnails are unused. Raises the errors of opening a library."""
    from lookalike.stores.local.database import translate_errors, writable
    from lookalike.stores.local.reader_pool import ReaderPool

    with (
        closing(ReaderPool(library, writable=writable(library))) as readers,
        translate_errors(library),
        closing(readers.connection()) as connection,
    ):
        return sum(1 for _ in unused_thumbnails(library, connection))
