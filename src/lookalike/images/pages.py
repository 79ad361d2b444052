"""Pages of a file: pages of a document, and chosen frames of an animation or a video.

The first page has the path of the file. The others are named `file.pdf#3` (the third page, or frame) and
`clip.mp4#t=12.5` (the frame at so many seconds). A file that really has such a name comes first: `file.pdf#3`
is only a page where no file is called so. Where one is, the page is called `file.pdf#03`.
"""

from __future__ import annotations

import hashlib
import os
import re

MAX_PAGES = 1000
"""Pages of one document that are images of their own; further ones are not read."""

MAX_FRAMES = 16
"""Frames of an animation that are images of their own, spread evenly."""

_PAGE = re.compile(r"(.+)#(\d{1,9}|t=\d{1,7}(?:\.\d{1,3})?)", re.DOTALL | re.ASCII)


def split_page(path: str) -> tuple[str, str] | None:
    """Return the path of a file and the page in it ("3", "t=12.5") that a path may name, or None."""
    found = _PAGE.fullmatch(path)
    return (found[1], found[2]) if found else None


def file_of(path: str | os.PathLike[str]) -> str:
    """Return the path of the file that has a page: the path itself, unless only the other is there."""
    name = os.fspath(path)
    found = split_page(name)
    if found is None or os.path.lexists(name) or not os.path.lexists(found[0]):
        return name
    return found[0]


def is_page(path: str | os.PathLike[str]) -> bool:
    """Return whether a path names a page of a file, by what is on the disk."""
    return file_of(path) != os.fspath(path)


def free_name(path: str, page: str) -> str:
    """Return the name of a page of the file at `path`, which no file has."""
    while page[0] != "t" and os.path.lexists(f"{path}#{page}"):
        page = f"0{page}"
    return f"#{page}"


def page_digest(digest: bytes, page: str) -> bytes:
    """Return what identifies the content of a page, from the SHA-256 of the file."""
    number = page if page.startswith("t=") else str(int(page))
    return hashlib.sha256(digest + f"#{number}".encode()).digest()


def further_pages(count: int) -> tuple[str, ...]:
    """Return the pages after the first of a document of `count` pages, at most `MAX_PAGES` with it."""
    return tuple(str(number) for number in range(2, min(count, MAX_PAGES) + 1))


def chosen_frames(count: int) -> tuple[str, ...]:
    """Return the frames after the first of an animation, spread evenly, at most `MAX_FRAMES` with it."""
    wanted = min(count, MAX_FRAMES)
    return tuple(str(1 + round(step * (count - 1) / (wanted - 1))) for step in range(1, wanted))
