"""Where on the disk a library lies."""

from __future__ import annotations

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
