"""Files of thumbnails in a library's folder, by content: `thumbnails/<side>/<first digits>/<SHA-256>.jpg`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

FOLDER = "thumbnails"


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
