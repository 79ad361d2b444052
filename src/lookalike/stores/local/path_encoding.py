"""Paths as the catalogue stores them."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

from lookalike.object_storage import is_url
from lookalike.stores.records import IMPORTED, Root

ROOTED = ("/", "\\")


def encode_path(path: str) -> str | bytes:
    """Return a path as SQLite can hold it.

    On POSIX a file name is any bytes; Python represents those that are not UTF-8 by lone surrogates, which
    SQLite TEXT cannot hold. Such a path becomes a BLOB, every other path TEXT, which filters can match.
    "surrogatepass" (unlike os.fsencode) restores every string exactly, on any system.
    """
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return path.encode("utf-8", "surrogatepass")
    return path


def decode_path(stored: str | bytes) -> str:
    """Return the path that `encode_path` was given."""
    return stored if isinstance(stored, str) else stored.decode("utf-8", "surrogatepass")


def decode_image_path(stored: str | bytes) -> str:
    """Return the path of an image below its root. One that leads out of it, which no indexing has written
    and a stranger may have, is read as one of a file that does not exist."""
    path = stored if isinstance(stored, str) else decode_path(stored)
    if ".." in path or path[:1] in ROOTED or "\0" in path or (os.name == "nt" and ":" in path):
        parts = path.replace("\0", "�").split("/")
        path = "/".join("…" if part == ".." else part for part in parts).lstrip("/\\")
        if os.name == "nt":
            path = path.replace(":", "_").replace("..\\", "…\\")
    return path


def conditions_below(folder: str) -> list[tuple[str, list[str | bytes]]]:
    """Return SQL conditions on `path`, with their parameters, that together select what is below `folder`.

    "" and "." select everything. The conditions select each path once, and in order. "0" is the character
    after "/". TEXT sorts before BLOB in SQLite, so a folder with a valid name needs two ranges, because files
    below it may have invalid names. Combined with OR, SQLite would read all paths of the root.
    """
    folder = folder.strip("/")
    if folder in ("", "."):
        return [("1", [])]
    texts: list[str | bytes] = [f"{folder}/", f"{folder}0"]
    blobs = [text.encode("utf-8", "surrogatepass") for text in (f"{folder}/", f"{folder}0")]
    valid = isinstance(encode_path(folder), str)
    return [("path >= ? AND path < ?", ends) for ends in ([texts] if valid else []) + [[*blobs]]]


def store_root(path: Path, home: Path) -> tuple[str | bytes, bool]:
    """Return a root as it is stored, and whether it is relative to `home`, the parent of `.lookalike`.

    Roots inside `home` move along with it. Every other root is absolute: "../elsewhere" would look movable
    but silently mean other images after a move.
    """
    if is_url(path):
        return encode_path(path.as_posix()), False
    for inner, outer in (
        (Path(os.path.abspath(path)), Path(os.path.abspath(home))),  # noqa: PTH100 - keeps links
        (path.resolve(), home.resolve()),
    ):
        if inner.is_relative_to(outer):
            return encode_path(inner.relative_to(outer).as_posix()), True
    return encode_path(os.path.abspath(path)), False  # noqa: PTH100 - resolve() would follow links


SELECT_ROOTS = "SELECT id, path, relative, identity, exclude FROM roots ORDER BY id"


def root_from(row: tuple[int, str | bytes, bool, str, str], library: Path) -> Root:
    """Return the root of a row (`SELECT_ROOTS`) of the catalogue in the folder `library`."""
    id_, stored, relative, identity, exclude = row
    path = Path(decode_path(stored))
    if relative:
        path = Path(os.path.abspath(library.parent / path))  # noqa: PTH100 - keeps links
    return Root(
        id_,
        path,
        imported=path == imported_root(library),
        identity=identity,
        exclude=tuple(json.loads(exclude)),
    )


def imported_root(library: Path) -> Path:
    """Return the path of the root of images without a file."""
    return library / IMPORTED


def quoted_home(library: Path) -> str:
    """Return the folder by which users name the library kept in `library`, as a shell takes it."""
    return shlex.quote(str(library.parent if library.name == ".lookalike" else library))
