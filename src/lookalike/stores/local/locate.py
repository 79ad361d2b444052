"""Where on the disk a library lies."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

FOLDER = ".lookalike"


def is_library(folder: Path) -> bool:
    return (folder / "catalogue.sqlite").is_file()


def find_library(start: Path) -> Path | None:
    """The nearest library at or above a folder, as git finds its repository."""
    for folder in (start, *start.absolute().parents):
        if is_library(folder / FOLDER):
            return folder / FOLDER
    return None


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder; those that go away meanwhile, beside a writer, do not count."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size  # noqa: PTH116, PTH118
    return total
